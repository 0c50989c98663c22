//! Whether somebody rolls out one of the workloads that a plan is to move: two who replace the same pods at once would both count on
//! the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kentroller_runtime::Kind;

use super::PlanStep;
use crate::api::foreign::Pod;
use crate::controllers::after;

/// What Kubernetes marks the pods of one version of a Deployment with, and what the names of its ReplicaSets end with.
const VERSION: &str = "pod-template-hash";
/// How long the youngest pod of two versions may be there before their rollout counts as resting, if all pods serve.
const STEP: Duration = Duration::from_secs(60);

/// A Deployment, or what works like one: namespace and name.
type Workload<'a> = (&'a str, &'a str);

/// The pods of one workload.
#[derive(Default)]
struct Versions<'a> {
    known: BTreeSet<&'a str>,
    moves: bool,
}

impl PlanStep<'_> {
    /// A workload of the plan of which two versions run, and whose pods are being replaced right now.
    pub(super) fn rolls_out(&self) -> Option<String> {
        let concerned: BTreeSet<Workload<'_>> =
            self.planned_pods().filter_map(|(_, pod)| Some(versioned(pod)?.0)).collect();
        let mut versions: BTreeMap<Workload<'_>, Versions<'_>> = BTreeMap::new();
        for pod in self.world.all::<Pod>().filter(|pod| !pod.has_ended() && pod.deleting().is_none()) {
            let Some((workload, version)) = versioned(pod).filter(|(workload, _)| concerned.contains(workload)) else {
                continue;
            };
            let all = versions.entry(workload).or_default();
            all.known.insert(version);
            all.moves |= !pod.is_ready() || after(pod.created(), STEP) > self.world.now();
        }
        let rolled = versions.into_iter().find(|(_, all)| all.known.len() > 1 && all.moves);
        rolled.map(|((namespace, name), _)| format!("{namespace}/{name}"))
    }
}

/// The workload of a pod and its version.
fn versioned(pod: &Pod) -> Option<(Workload<'_>, &str)> {
    let version = pod.label(VERSION)?;
    let name = pod.controller()?.name.strip_suffix(version)?.strip_suffix('-')?;
    Some(((&*pod.metadata.namespace, name), version))
}
