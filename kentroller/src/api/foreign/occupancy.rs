//! What pods take of each node, and which of them are on their way: the view of all pods.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use kentroller_planner::manifest::Resources;
use kentroller_planner::{Quantity, rules::requests};
use kentroller_runtime::{Change, Kind, ObjectKey, View};

use super::Pod;

/// Pods that have ended are not in it: they take nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Occupancy {
    taken: OrdMap<String, Resources>,
    moving: OrdSet<ObjectKey>,
    apart: OrdSet<ObjectKey>,
}

impl Occupancy {
    /// What the pods of a node take, one `pods` for each of them included; `None` of a node without pods.
    pub fn taken(&self, node: &str) -> Option<&Resources> {
        self.taken.get(node)
    }

    /// Pods, but for those that belong to their node, that have no node, are not Ready or are being deleted.
    pub fn moving(&self) -> impl Iterator<Item = &ObjectKey> {
        self.moving.iter()
    }

    /// Pods that demand by a required anti-affinity that others stay away.
    pub fn apart(&self) -> impl Iterator<Item = &ObjectKey> {
        self.apart.iter()
    }

    fn take(&mut self, pod: &Pod, sign: i64) {
        let node = &*pod.spec.node_name;
        let mut taken = self.taken.remove(node).unwrap_or_default();
        for (what, much) in requests_of(pod) {
            let sum = taken.remove(&what).unwrap_or_default().milli() + sign * much.milli();
            if sum != 0 {
                taken.insert(what, Quantity::thousandths(sum));
            }
        }
        if !taken.is_empty() {
            self.taken.insert(node.to_owned(), taken);
        }
    }
}

impl View<Pod> for Occupancy {
    fn change(&mut self, change: &Change<'_, Pod>) {
        let [old, new] = [change.old, change.new].map(|pod| pod.filter(|pod| !pod.has_ended()));
        if let (Some(old), Some(new)) = (old, new)
            && counts_alike(old, new)
        {
            return;
        }
        if let Some(pod) = old {
            self.moving.remove(&pod.key());
            self.apart.remove(&pod.key());
            if !pod.spec.node_name.is_empty() {
                self.take(pod, -1);
            }
        }
        if let Some(pod) = new {
            if is_moving(pod) {
                self.moving.insert(pod.key());
            }
            if !pod.spec.shape.affinity.pod_anti_affinity.required.is_empty() {
                self.apart.insert(pod.key());
            }
            if !pod.spec.node_name.is_empty() {
                self.take(pod, 1);
            }
        }
    }
}

/// Most changes of a pod are news about its containers.
fn counts_alike(old: &Pod, new: &Pod) -> bool {
    old.spec.node_name == new.spec.node_name
        && Arc::ptr_eq(&old.spec.shape, &new.spec.shape)
        && old.status.container_statuses == new.status.container_statuses
        && is_moving(old) == is_moving(new)
}

fn is_moving(pod: &Pod) -> bool {
    !pod.belongs_to_node() && (!pod.is_ready() || pod.deleting().is_some() || pod.spec.node_name.is_empty())
}

/// What a pod takes of a node, its place among the node's pods included.
pub(crate) fn requests_of(pod: &Pod) -> Resources {
    let mut wanted =
        requests::in_force(&pod.spec.shape, &pod.status.container_statuses, pod.status.is_resize_infeasible());
    wanted.insert("pods".to_owned(), Quantity::whole(1));
    wanted.retain(|_, much| *much > Quantity::default());
    wanted
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    fn pod(name: u32, node: u32, cpu: u32, phase: &str, ready: bool, leaving: bool, apart: bool) -> Pod {
        let term = json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "a"}}}]);
        let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}});
        let mut pod = json!({
            "metadata": {"name": format!("pod-{name}"), "namespace": "shop", "uid": format!("u{name}")},
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu.to_string(), "memory": "1Gi"}}}]},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        });
        if node > 0 {
            pod["spec"]["nodeName"] = json!(format!("n{node}"));
        }
        if leaving {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        if apart {
            pod["spec"]["affinity"] = affinity;
        }
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn after_any_history_it_is_what_the_pods_that_are_left_say() {
        let mut last = 1_u32;
        let mut lot = |below: u32| {
            last = last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (last >> 16) % below
        };
        let (mut pods, mut kept): (BTreeMap<ObjectKey, Pod>, Occupancy) = Default::default();
        for step in 0..3_000 {
            let phase = ["Running", "Running", "Pending", "Succeeded"][lot(4) as usize];
            let new = pod(lot(12), lot(4), lot(3), phase, lot(2) > 0, lot(4) == 0, lot(3) == 0);
            let key = new.key();
            if lot(4) == 0 {
                let old = pods.remove(&key);
                kept.change(&Change { old: old.as_ref(), new: None });
            } else {
                let old = pods.insert(key, new.clone());
                kept.change(&Change { old: old.as_ref(), new: Some(&new) });
            }
            assert_eq!(kept, Occupancy::of(pods.values()), "step {step}");
        }
        pods.values().for_each(|pod| kept.change(&Change { old: Some(pod), new: None }));
        assert_eq!(kept, Occupancy::default(), "nothing is left of what has gone");
    }

    #[test]
    fn it_says_what_is_taken_and_who_is_on_the_way() {
        let pods = [
            pod(1, 1, 2, "Running", true, false, false),
            pod(2, 1, 1, "Running", true, true, true),
            pod(3, 0, 1, "Pending", false, false, false),
            pod(4, 1, 4, "Succeeded", false, false, true),
        ];
        let view = Occupancy::of(&pods);
        let taken: Value = view.taken("n1").map(|taken| json!(taken)).expect("pods are there");
        assert_eq!(taken, json!({"cpu": "3", "memory": "2Gi", "pods": "2"}));
        assert_eq!(view.taken("n2"), None);
        let names = |keys: Vec<&ObjectKey>| keys.into_iter().map(|key| key.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(view.moving().collect()), ["pod-2", "pod-3"]);
        assert_eq!(names(view.apart().collect()), ["pod-2"]);
    }
}
