//! The cluster that a rehearsal begins with: the user's own, or a generated one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Catalog;
use kentroller_runtime::simulation::apiserver::ApiServer;
use kentroller_world::{Catalogue, Drift, Dumped, Timings};

use crate::api::marks::REGION;
use crate::backend::Prices;
use crate::cli::plan::dump::Dump;
use crate::simulation::{prices, sold};

/// How long a copy takes to come to rest.
const RESTS: Duration = Duration::from_secs(60);

/// What a rehearsal begins with. It can be built any number of times.
pub(in crate::cli) struct Cluster {
    pub source: String,
    pub starts: Timestamp,
    pub prices: Prices,
    pub timings: Timings,
    pub warnings: Vec<String>,
    /// What the copy does not know.
    pub gaps: Vec<String>,
    /// How long it takes to come to rest before anything is asked for: a dump may lack pods that controllers make at once.
    pub rests: Duration,
    catalogue: Catalogue,
    made: Made,
}

enum Made {
    Generated(Drift),
    Dumped(Box<Dumped>),
}

impl Cluster {
    /// A drifted cluster of the simulated cloud.
    pub(in crate::cli) fn generated(drift: Drift, starts: Timestamp) -> Self {
        Self {
            source: format!("a drifted cluster of {} nodes, seed {}", drift.nodes, drift.seed),
            starts,
            prices: prices(),
            timings: Timings::default(),
            warnings: Vec::new(),
            gaps: Vec::new(),
            rests: Duration::ZERO,
            catalogue: Catalogue::shipped(),
            made: Made::Generated(drift),
        }
    }

    /// The cluster of a dump.
    ///
    /// # Errors
    /// A dump that no rehearsal can begin with: what it lacks, and how to get it.
    pub(in crate::cli) fn dumped(dump: Dump, catalog: Catalog, source: &str) -> Result<Self, String> {
        let dumped = Dumped::of(dump.whole.unwrap_or_default());
        for (kind, resource, why) in [
            ("Pod", "pods", "there is nothing to move"),
            ("NodePool", "nodepools.karpenter.sh", "Karpenter has nothing to make nodes of"),
            ("NodeClaim", "nodeclaims.karpenter.sh", "no node is Karpenter's, so none may go"),
        ] {
            if dumped.count(kind) == 0 {
                return Err(format!(
                    "{source}: there is no {kind} in the dump: {why}; dump {resource} as well (`kubectl get {resource} -A -o json`)"
                ));
            }
        }
        let region = region(&dump.snapshot.nodes);
        let mut zones = dumped.zones();
        if zones.is_empty() {
            zones.insert(String::new());
        }
        let catalogue = sold(&catalog, &region, &zones);
        let priced = dump.snapshot.nodes.iter().any(|node| catalogue.price_of(&node.metadata.labels).is_some());
        if !priced {
            return Err(format!(
                "{source}: no Node has a price: {} names no offering of region `{region}` that fits their labels \
                 node.kubernetes.io/instance-type and karpenter.sh/capacity-type; give prices with --catalog FILE.csv",
                catalog.source
            ));
        }
        let starts = Timestamp::from_second(dump.snapshot.now.0).unwrap_or_default();
        Ok(Self {
            source: source.to_owned(),
            starts,
            prices: Prices::Fixed(Arc::new(catalog)),
            timings: dumped.measured().over(aws()),
            warnings: dump.warnings,
            gaps: dumped.gaps(&catalogue),
            rests: RESTS,
            catalogue,
            made: Made::Dumped(Box::new(dumped)),
        })
    }

    /// Puts the cluster on an empty server; what the cloud sells is returned.
    ///
    /// # Errors
    /// What the server refused.
    pub(super) fn put(&self, server: &ApiServer) -> Result<Arc<Catalogue>, String> {
        let mut catalogue = self.catalogue.clone();
        match &self.made {
            Made::Generated(drift) => drop(drift.build(server, self.starts).map_err(|refusal| refusal.message)?),
            Made::Dumped(dumped) => {
                let built = dumped.build(server, &mut catalogue);
                built.map_err(|uncopied| format!("{}, {uncopied}", self.source))?;
            }
        }
        Ok(Arc::new(catalogue))
    }
}

/// How long things take on AWS where a dump does not tell.
fn aws() -> Timings {
    let seconds = Duration::from_secs;
    Timings {
        launch: seconds(5),
        boot: seconds(40),
        node_ready: seconds(20),
        pod_start: seconds(15),
        pod_stop: seconds(5),
        terminate: seconds(60),
        ..Timings::default()
    }
}

/// The region of most nodes.
fn region(nodes: &[kentroller_planner::manifest::Node]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes {
        let told = node.metadata.labels.get(REGION).map(String::as_str);
        *counts.entry(told.unwrap_or_default()).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(region, _)| region.to_owned()).unwrap_or_default()
}
