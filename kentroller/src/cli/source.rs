//! What questions about a cluster are answered from: the current cluster with the settings of its operator, or a dump.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use kentroller_planner::{Catalog, Options, Resting, Snapshot, manifest};
use kentroller_runtime::settings::Settings as _;

use super::catalog::CatalogArguments;
use super::place::Place;
use super::plan::{Trouble, ask, read, tell};
use super::remote::{Remote, runtime};
use crate::api::foreign::ConfigMap;
use crate::api::{RebalancePlan, RebalancePlanClaimSpec};
use crate::backend::snapshot::as_operators_see;
use crate::controllers::claim_options;
use crate::controllers::continuous::calm::{Came, resting};
use crate::controllers::continuous::cycle_options;
use crate::settings::Settings;

#[derive(Args, Debug)]
pub(super) struct Source {
    /// What `kubectl get nodes,pods,nodepools.karpenter.sh,nodeclaims.karpenter.sh,pdb,daemonsets -A -o json` printed (`-`: standard input). Without: the current cluster, read only.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    catalog: CatalogArguments,
    /// A file with a list `evictionConfig`. Default: what the operator's dynamic ConfigMap says; none for a dump.
    #[arg(long, value_name = "FILE")]
    eviction_config: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// A cluster, and the settings under which it is looked at.
#[derive(Debug)]
pub(super) struct Looked {
    pub snapshot: Snapshot,
    pub catalog: Catalog,
    pub settings: Settings,
    /// What rests in a cycle; nothing in a dump.
    pub resting: Resting,
    /// What could not be read, and what is assumed instead.
    pub warnings: Vec<String>,
    /// Of all that was read.
    pub digest: String,
}

impl Source {
    /// The files, of which some may be none of a cluster.
    pub(super) const fn files_mut(&mut self) -> &mut Vec<String> {
        &mut self.files
    }

    /// Reads all that is needed.
    ///
    /// # Errors
    /// Files that cannot be read, by name and field; a cluster that cannot be reached.
    pub(super) fn read(&self) -> Result<Looked, Trouble> {
        tell("reading");
        let mut dump = read(&self.files)?;
        let catalog = self.catalog.of(&dump.snapshot)?;
        let mut settings = self.settings(&mut dump.warnings)?;
        if let Some(file) = &self.eviction_config {
            settings.eviction_config = ask::eviction(file).map_err(Trouble::Input)?;
        }
        let snapshot = as_operators_see(dump.snapshot);
        let resting = if self.files.is_empty() { resting_now(&snapshot) } else { Ok(Resting::default()) };
        let resting = resting.unwrap_or_else(|error| {
            dump.warnings.push(format!("RebalancePlans cannot be read ({error:#}); nothing is taken to rest"));
            Resting::default()
        });
        Ok(Looked { snapshot, catalog, settings, resting, warnings: dump.warnings, digest: dump.digest })
    }

    /// The defaults, overlaid by what the operator's ConfigMap says; a dump has none.
    fn settings(&self, warnings: &mut Vec<String>) -> Result<Settings, Trouble> {
        let mut settings = Settings::from_env(&|_| None).map_err(|mistakes| Trouble::Input(format!("{mistakes:?}")))?;
        if !self.files.is_empty() {
            return Ok(settings);
        }
        settings.dynamic_config_map_name = Some(self.place.config_map.clone());
        let (key, map) = runtime()
            .map_err(|error| Trouble::Cluster(error.to_string()))?
            .block_on(async {
                let remote = Remote::connect().await?;
                let key = self.place.config_map(&remote);
                let map = remote.read_at::<ConfigMap>(&key).await;
                anyhow::Ok((key, map))
            })
            .map_err(|error| Trouble::Cluster(format!("{error:#}")))?;
        let why = match map {
            Ok(Some(map)) => match settings.overlaid_by(&map) {
                Some(Ok(settings)) => return Ok(settings),
                // It says nothing.
                None => return Ok(settings),
                Some(Err(mistakes)) => {
                    let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                    format!("ConfigMap {key} has mistakes: {}", all.join("; "))
                }
            },
            Ok(None) => {
                format!(
                    "there is no ConfigMap {key}; name the namespace of the operator with -n, and the ConfigMap with --config-map"
                )
            }
            Err(error) => format!("{error:#}"),
        };
        warnings.push(format!("{why}; the default settings count, without evictionConfig"));
        Ok(settings)
    }
}

/// What rests in a cycle of the current cluster, because of its plans.
fn resting_now(snapshot: &Snapshot) -> anyhow::Result<Resting> {
    let plans = runtime()?.block_on(async { Remote::connect().await?.list::<RebalancePlan>().await })?;
    let came = |pod: &'_ manifest::Pod| {
        let at = Timestamp::from_second(pod.metadata.creation_timestamp?.0).ok()?;
        Some((pod.metadata.key(), pod.metadata.controller()?.uid.clone(), at))
    };
    let pods: Vec<_> = snapshot.pods.iter().filter_map(came).collect();
    let pods = pods.iter().map(|(name, owner, at)| Came { name: name.clone(), owner, at: *at });
    let now = Timestamp::from_second(snapshot.now.0).unwrap_or(Timestamp::MAX);
    Ok(resting(plans.iter(), pods, now))
}

impl Looked {
    /// Says what could not be read.
    pub(super) fn warn(&self) {
        for warning in &self.warnings {
            super::complain(warning);
        }
    }

    /// As a claim without options has it planned.
    ///
    /// # Errors
    /// None that is known: a claim without options has no field that could be wrong.
    pub(super) fn of_claims(&self) -> Result<Options, Trouble> {
        claim_options(&RebalancePlanClaimSpec::default(), &self.settings).map_err(Trouble::Input)
    }

    /// As a cycle of continuous rebalancing has it planned.
    pub(super) fn of_cycles(&self) -> Options {
        let resting = self.resting.clone();
        Options { resting, ..cycle_options(&self.settings, self.settings.continuous_mode) }
    }
}

/// A name that is not there, and some that are: those that begin alike first.
pub(super) fn missing<'n>(what: &str, wanted: &str, names: impl Iterator<Item = &'n str>) -> Trouble {
    let alike = |name: &str| name.bytes().zip(wanted.bytes()).take_while(|(one, other)| one == other).count();
    let mut names: Vec<&str> = names.collect();
    names.sort_by_key(|name| (std::cmp::Reverse(alike(name)), *name));
    let some = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    let there = match names.len() {
        0 => "there is none at all".to_owned(),
        count @ 1..=5 => format!("there are {count}: {some}"),
        count => format!("there are {count}, such as {some}"),
    };
    Trouble::Usage(format!("{what} {wanted} is not there; {there}"))
}
