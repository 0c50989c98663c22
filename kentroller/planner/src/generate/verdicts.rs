//! Clusters about which kube-scheduler's own plugins were asked: `tests/vectors/scheduling.jsonl`.
//!
//! The clusters are made, and the verdicts written, by `tests/controlplane/cmd/schedulingvectors`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::manifest::{CsiNode, LabelSelector, Labels, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use crate::value::Snapshot;

/// A cluster and what the plugins say of its pods.
#[derive(Debug)]
pub struct Verdicts {
    /// Its objects. Pods without a node are each asked about for themselves, as if the others were not there.
    pub snapshot: Snapshot,
    /// By pod, as its place in the snapshot: for each node the letters of the plugins that refuse it, `-` where none does.
    pub words: BTreeMap<usize, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    nodes: Vec<Node>,
    namespaces: Vec<Namespace>,
    pods: Vec<Pod>,
    #[serde(default)]
    volumes: Vec<PersistentVolume>,
    #[serde(default)]
    claims: Vec<PersistentVolumeClaim>,
    #[serde(default)]
    csi_nodes: Vec<CsiNode>,
    verdicts: BTreeMap<String, String>,
}

/// Reads a file of verdicts.
///
/// # Errors
/// The first line that is no cluster, and why.
pub fn verdicts(lines: &str) -> Result<Vec<Verdicts>, serde_json::Error> {
    lines.lines().map(of_line).collect()
}

fn of_line(line: &str) -> Result<Verdicts, serde_json::Error> {
    let Line { nodes, namespaces, pods, volumes, claims, csi_nodes, verdicts } = serde_json::from_str(line)?;
    let words = |pod: &Pod| verdicts.get(&pod.metadata.key().to_string());
    let split = |words: &String| words.split(' ').map(str::to_owned).collect();
    let words = pods.iter().enumerate().filter_map(|(at, pod)| Some((at, split(words(pod)?)))).collect();
    let snapshot = Snapshot {
        nodes,
        pods,
        namespaces: Some(namespaces),
        persistent_volumes: volumes,
        persistent_volume_claims: claims,
        csi_nodes,
        ..Snapshot::default()
    };
    Ok(Verdicts { snapshot, words })
}

impl Verdicts {
    /// The cluster as it is when one pod is asked about: it waits for a node, and no other pod does.
    pub fn with_waiting(&self, asking: usize) -> Snapshot {
        let mut snapshot = self.snapshot.clone();
        let pods = self.snapshot.pods.iter().enumerate();
        let counted = pods.filter(|(at, pod)| *at == asking || !pod.spec.node_name.is_empty());
        snapshot.pods = counted.map(|(_, pod)| pod.clone()).collect();
        snapshot
    }
}

/// What a reading of the rules says beside the plugins.
#[derive(Debug, Default)]
pub struct Agreement {
    /// How often both let a pod in.
    pub let_in: usize,
    /// How often both refuse it.
    pub refused: usize,
    /// By reason: how often the two differ.
    pub explained: BTreeMap<&'static str, usize>,
    unexplained: Vec<String>,
}

impl Agreement {
    /// Notes one verdict. `refused`: by the plugins. `ours`: `Err` where the reading refuses, with the reason where it may be
    /// stricter. It must never let in what the plugins refuse.
    pub fn note(&mut self, about: impl FnOnce() -> String, refused: bool, ours: Result<(), Option<&'static str>>) {
        match (refused, ours) {
            (false, Ok(())) => self.let_in += 1,
            (true, Err(_)) => self.refused += 1,
            (false, Err(Some(reason))) => self.explain(reason),
            (false, Err(None)) => self.unexplained.push(format!("stricter: {}", about())),
            (true, Ok(())) => self.unexplained.push(format!("laxer: {}", about())),
        }
    }

    /// Counts a difference by its reason.
    pub fn explain(&mut self, reason: &'static str) {
        *self.explained.entry(reason).or_default() += 1;
    }

    /// Whether the two differ for named reasons only, and so often as is counted; `None`: of vectors that nobody counted.
    ///
    /// # Errors
    /// What is otherwise: the first differences without a reason, or the counts.
    pub fn holds(&self, counted: Option<&BTreeMap<String, usize>>) -> Result<(), String> {
        if !self.unexplained.is_empty() {
            let first: Vec<&str> = self.unexplained.iter().take(20).map(String::as_str).collect();
            return Err(format!("{} differences have no reason:\n{}", self.unexplained.len(), first.join("\n")));
        }
        let found: BTreeMap<String, usize> =
            self.explained.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect();
        match counted.is_none_or(|counted| *counted == found) {
            true => Ok(()),
            false => Err(format!("alike: {} let in, {} refused; differences: {found:#?}", self.let_in, self.refused)),
        }
    }
}

/// A fault of kube-scheduler 1.35 by which its verdict on a pod is not what the API promises, where it bears on the pod.
///
/// `mergeAffinityTermNamespacesIfNotEmpty` (`interpodaffinity/plugin.go`) is given a copy of the term, so the selector stays in
/// force after its namespaces were listed, and is then asked about a namespace without labels. One that such a namespace
/// meets, such as `DoesNotExist`, selects every namespace. Our readings follow the API, as kube-scheduler before 1.35 does.
pub fn upstream_fault(pod: &Pod) -> Option<&'static str> {
    let affinity = &pod.spec.shape.affinity;
    let mut terms = affinity.pod_affinity.required.iter().chain(&affinity.pod_anti_affinity.required);
    let is_met_by_none =
        |selector: &LabelSelector| !selector.is_empty() && selector.matches(&Labels::new()) == Some(true);
    let selects_all = terms.any(|term| term.namespace_selector.as_ref().is_some_and(is_met_by_none));
    selects_all.then_some("kube-scheduler 1.35 takes a namespaceSelector that no label meets for every namespace")
}

/// Whether a container says what was allocated to it and not what is in force. kube-scheduler counts such a status for nothing;
/// we count what is allocated, so that no room is promised twice.
pub fn is_allocated_only(pod: &Pod) -> bool {
    let mut states = pod.status.container_statuses.iter();
    states.any(|state| state.resources.requests.is_empty() && !state.allocated_resources.is_empty())
}

/// The committed vectors and what is counted of a reading's differences; or those of the file that `SCHEDULING_VECTORS` names.
#[cfg(test)]
pub(crate) fn vectors(reading: &str) -> (Vec<Verdicts>, Option<BTreeMap<String, usize>>) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("vectors can be read");
    let named = std::env::var("SCHEDULING_VECTORS").ok();
    let lines = named.as_ref().map_or_else(|| read(&folder.join("scheduling.jsonl")), |path| read(path.as_ref()));
    let counted = read(&folder.join("scheduling.differences.json"));
    let mut counted: BTreeMap<String, BTreeMap<String, usize>> = serde_json::from_str(&counted).expect("counts");
    (verdicts(&lines).expect("lines that schedulingvectors wrote"), counted.remove(reading).filter(|_| named.is_none()))
}
