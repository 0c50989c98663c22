//! How long things take in a cluster, as the times in its objects tell.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::Dumped;
use super::owners::controller;
use crate::conditions;
use crate::hands::text;
use crate::seen::time;
use crate::timings::Timings;

/// A longer time between two conditions tells of something that went wrong in between.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long things take, as far as a dump tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    pub launch: Option<Duration>,
    pub boot: Option<Duration>,
    pub node_ready: Option<Duration>,
    pub pod_start: Option<Duration>,
    /// By uid of an owner.
    pub starts: BTreeMap<String, Duration>,
}

impl Measured {
    /// The timings, with what was measured in place of what was assumed.
    pub fn over(&self, otherwise: Timings) -> Timings {
        Timings {
            launch: self.launch.unwrap_or(otherwise.launch),
            boot: self.boot.unwrap_or(otherwise.boot),
            node_ready: self.node_ready.unwrap_or(otherwise.node_ready),
            pod_start: self.pod_start.unwrap_or(otherwise.pod_start),
            starts: self.starts.clone(),
            ..otherwise
        }
    }
}

impl Dumped {
    /// Medians of what the objects tell.
    pub fn measured(&self) -> Measured {
        let true_at = |object: &Value, kind: &str| conditions::true_since(object, kind);
        let claims = self.of_kind("NodeClaim");
        let nodes: BTreeMap<String, Timestamp> = self
            .of_kind("Node")
            .iter()
            .filter_map(|node| Some((text(&node["metadata"]["name"]), time(node, "creationTimestamp")?)))
            .collect();
        let joined = |claim: &Value| nodes.get(claim["status"]["nodeName"].as_str()?).copied();
        let launch = claims.iter().filter_map(|one| span(time(one, "creationTimestamp"), true_at(one, "Launched")));
        let boot = claims.iter().filter_map(|one| span(true_at(one, "Launched"), joined(one)));
        let ready = claims.iter().filter_map(|one| span(joined(one), true_at(one, "Initialized")));
        let mut of_owner: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
        for pod in self.of_kind("Pod").iter().filter(|pod| pod["status"]["phase"] == "Running") {
            let Some(owner) = controller(pod).filter(|owner| owner["kind"] != "Node") else { continue };
            if let Some(took) = span(true_at(pod, "PodScheduled"), true_at(pod, "Ready")) {
                of_owner.entry(text(&owner["uid"])).or_default().push(took);
            }
        }
        let starts: BTreeMap<String, Duration> =
            of_owner.into_iter().filter_map(|(uid, all)| Some((uid, median(all)?))).collect();
        Measured {
            launch: median(launch.collect()),
            boot: median(boot.collect()),
            node_ready: median(ready.collect()),
            pod_start: median(starts.values().copied().collect()),
            starts,
        }
    }
}

/// The time from one moment to another, where it can have been that.
fn span(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<Duration> {
    let took = Duration::try_from(to?.duration_since(from?)).ok()?;
    (!took.is_zero() && took <= LONGEST).then_some(took)
}

fn median(mut all: Vec<Duration>) -> Option<Duration> {
    all.sort();
    all.get(all.len() / 2).copied()
}
