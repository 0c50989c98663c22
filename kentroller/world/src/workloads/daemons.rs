//! The DaemonSet controller: one pod on every node that it fits, pinned there by node affinity; the scheduler binds it.
//!
//! Absent: rolling updates.

use jiff::Timestamp;
use kentroller_planner::manifest::{NodeSelectorTerm, ObjectName, PodSpec, Taint};
use kentroller_runtime::simulation::apiserver::DeleteOptions;
use serde_json::{Value, json};

use super::{generation, pod_of};
use crate::actor::Actor;
use crate::entropy::Entropy;
use crate::hands::Hands;
use crate::room::tolerates;
use crate::scheduler::filter::meets_node_rules;
use crate::seen::{Kind, KnownPod, News, Seen, is_leaving, uid};

/// The controller.
#[derive(Debug)]
pub(crate) struct Daemons {
    entropy: Entropy,
}

impl Daemons {
    pub(crate) fn new(entropy: Entropy) -> Self {
        Self { entropy }
    }

    fn reconcile(&mut self, key: &ObjectName, daemon: &Value, seen: &Seen, hands: &Hands) {
        let pods: Vec<(&ObjectName, &KnownPod)> =
            seen.of_owner(uid(daemon)).filter(|(_, pod)| pod.is_active()).collect();
        let spec = spec_of(daemon);
        let mut wanted = 0;
        for (name, node) in &seen.nodes {
            let runs = pods.iter().filter(|(_, pod)| target(&pod.object.spec) == Some(&*name)).count();
            let fits = belongs(&spec, name, &node.object.metadata.labels, &node.object.spec.taints);
            wanted += usize::from(fits);
            if fits && runs == 0 && !node.is_leaving() {
                hands.create(daemon_pod(daemon, name, &mut self.entropy));
            }
        }
        for (pod, known) in &pods {
            let node = target(&known.object.spec).and_then(|name| seen.nodes.get(name));
            let stays =
                node.is_some_and(|node| belongs(&spec, &node.object.metadata.name, &node.object.metadata.labels, &[]));
            if !stays {
                let options = DeleteOptions { uid: Some(uid(&known.raw).to_owned()), ..DeleteOptions::default() };
                hands.delete("Pod", pod, &options);
            }
        }
        let ready = pods.iter().filter(|(_, pod)| pod.object.status.is_ready()).count();
        let bound = pods.iter().filter(|(_, pod)| !pod.object.spec.node_name.is_empty()).count();
        hands.edit_status("DaemonSet", key, |status| {
            *status = status_of(wanted, bound, ready, generation(daemon));
        });
    }
}

/// The status of a DaemonSet.
fn status_of(wanted: usize, bound: usize, ready: usize, generation: i64) -> Value {
    json!({
        "desiredNumberScheduled": wanted, "currentNumberScheduled": bound, "updatedNumberScheduled": bound,
        "numberReady": ready, "numberAvailable": ready, "numberMisscheduled": 0, "observedGeneration": generation,
    })
}

/// The spec of the template's pods, with what the controller lets them tolerate.
pub(crate) fn spec_of(daemon: &Value) -> PodSpec {
    let mut spec = daemon["spec"]["template"]["spec"].clone();
    tolerate(&mut spec);
    serde_json::from_value(spec).unwrap_or_default()
}

fn tolerate(spec: &mut Value) {
    if !spec["tolerations"].is_array() {
        spec["tolerations"] = json!([]);
    }
    let Some(list) = spec["tolerations"].as_array_mut() else { return };
    for (condition, effect) in [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ] {
        list.push(json!({"key": format!("node.kubernetes.io/{condition}"), "operator": "Exists", "effect": effect}));
    }
}

/// Whether a daemon runs on a node with these labels and taints.
pub(crate) fn belongs(
    spec: &PodSpec,
    node: &str,
    labels: &kentroller_planner::manifest::Labels,
    taints: &[Taint],
) -> bool {
    use kentroller_planner::manifest::Effect::PreferNoSchedule;
    let hard = taints.iter().filter(|taint| taint.effect != PreferNoSchedule);
    meets_node_rules(&spec.shape, node, labels)
        && hard.into_iter().all(|taint| tolerates(&spec.shape.tolerations, taint))
}

/// The pod of a daemon for one node.
pub(crate) fn daemon_pod(daemon: &Value, node: &str, entropy: &mut Entropy) -> Value {
    let mut pod = pod_of(daemon, entropy);
    tolerate(&mut pod["spec"]);
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    let terms = json!({"nodeSelectorTerms": [{"matchFields": [field]}]});
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = terms;
    pod
}

/// The node that a daemon's pod is made for.
fn target(spec: &PodSpec) -> Option<&str> {
    let terms = spec.shape.affinity.node_affinity.required.as_ref()?;
    let NodeSelectorTerm { match_fields, .. } = terms.node_selector_terms.first()?;
    Some(match_fields.first()?.values.first()?.as_str())
}

impl Actor for Daemons {
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        let nodes_changed = news.of(Kind::Node).next().is_some();
        for (key, daemon) in seen.plain(Kind::DaemonSet) {
            let touched = news.touched.get(&Kind::DaemonSet).is_some_and(|keys| keys.contains(key));
            if (nodes_changed || touched || news.owners.contains(uid(daemon))) && !is_leaving(daemon) {
                self.reconcile(key, daemon, seen, hands);
            }
        }
        None
    }
}
