//! Pods. A cluster has tens of thousands: all that pods of one template have in common is kept once.

use kentroller_planner::manifest::{PodSpec, PodStatus, belongs_to_node};
use kentroller_runtime::store::share::Pool;
use kentroller_runtime::{Meta, Owner, resource};

use super::Occupancy;

#[resource(
    foreign,
    group = "",
    version = "v1",
    kind = "Pod",
    plural = "pods",
    namespaced,
    index = Pod::node_name,
    share = Pod::share_parts,
    view = Occupancy
)]
/// A pod. Indexed by the name of its node.
pub struct Pod {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: PodSpec,
    #[serde(default)]
    pub status: PodStatus,
}

impl Pod {
    /// The node on which it runs; `None` while it waits for one.
    pub fn node_name(&self) -> Option<&str> {
        Some(&*self.spec.node_name).filter(|name| !name.is_empty())
    }

    /// The owner that makes a successor when the pod is gone.
    pub fn controller(&self) -> Option<&Owner> {
        self.metadata.owners.iter().find(|owner| owner.controller)
    }

    /// Whether it comes and goes with its node: no eviction moves it elsewhere.
    pub fn belongs_to_node(&self) -> bool {
        belongs_to_node(self.controller().map(|owner| owner.kind.as_str()), &self.metadata.annotations)
    }

    /// Whether it has ended for good.
    pub fn has_ended(&self) -> bool {
        self.status.is_finished()
    }

    /// Whether it must find a place elsewhere before its node goes.
    pub fn is_workload(&self) -> bool {
        !self.belongs_to_node() && !self.has_ended()
    }

    /// Whether it serves.
    pub fn is_ready(&self) -> bool {
        self.status.is_ready()
    }

    fn share_parts(&mut self, pool: &mut Pool) {
        self.status.keep_resizes(&self.spec.shape);
        pool.value(&mut self.spec.shape);
        pool.text(&mut self.spec.node_name);
        pool.text(&mut self.status.phase);
        pool.value(&mut self.status.conditions);
        super::keep_annotations(&mut self.metadata, pool);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kentroller_runtime::Kind as _;
    use serde_json::{Value, json};

    use super::*;

    fn pod(change: impl FnOnce(&mut Value)) -> Pod {
        let mut pod = json!({
            "metadata": {
                "name": "cart-1", "namespace": "shop", "uid": "u",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart", "uid": "r", "controller": true}],
            },
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        change(&mut pod);
        serde_json::from_value(pod).expect("a pod")
    }

    type Edit = fn(&mut Value);

    #[test]
    fn what_must_find_a_place_elsewhere() {
        let cases: [(&str, Edit, bool); 5] = [
            ("of a ReplicaSet", |_| {}, true),
            ("bare", |pod| pod["metadata"]["ownerReferences"] = json!([]), true),
            ("of a DaemonSet", |pod| pod["metadata"]["ownerReferences"][0]["kind"] = json!("DaemonSet"), false),
            ("a mirror", |pod| pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"}), false),
            ("ended", |pod| pod["status"]["phase"] = json!("Succeeded"), false),
        ];
        for (what, change, is_workload) in cases {
            assert_eq!(pod(change).is_workload(), is_workload, "{what}");
        }
        assert!(pod(|_| {}).is_ready());
        assert_eq!(pod(|pod| pod["spec"]["nodeName"] = json!("")).index_key(), None);
    }

    #[test]
    fn pods_of_one_template_share_its_parts_and_drop_what_nobody_reads() {
        let annotated = |name: &'static str| {
            pod(move |pod| {
                pod["metadata"]["name"] = json!(name);
                pod["status"]["conditions"][0]["lastTransitionTime"] =
                    json!(if name == "cart-1" { "2026-11-22T02:00:00Z" } else { "2026-11-22T03:00:00Z" });
                pod["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": name, "karpenter.sh/do-not-disrupt": "true"});
            })
        };
        let (mut one, mut other, mut pool) = (annotated("cart-1"), annotated("cart-2"), Pool::default());
        one.share(&mut pool);
        other.share(&mut pool);
        assert!(Arc::ptr_eq(&one.spec.shape, &other.spec.shape));
        assert!(Arc::ptr_eq(&one.spec.node_name, &other.spec.node_name));
        assert!(Arc::ptr_eq(&one.status.conditions, &other.status.conditions));
        assert!(Arc::ptr_eq(&one.metadata.annotations, &other.metadata.annotations));
        assert_eq!(one.metadata.annotations.keys().collect::<Vec<_>>(), ["karpenter.sh/do-not-disrupt"]);
    }

    #[test]
    fn resources_in_force_are_kept_only_where_they_are_more_than_what_is_asked() {
        let kept = |in_force: &'static str| {
            let mut pod = pod(move |pod| {
                let state = json!({"name": "c", "allocatedResources": {"cpu": in_force}, "resources": {"requests": {"cpu": in_force}}});
                pod["status"]["containerStatuses"] = json!([state]);
            });
            pod.share(&mut Pool::default());
            pod.status.container_statuses.len()
        };
        assert_eq!([kept("1"), kept("1000m"), kept("500m"), kept("2")], [0, 0, 0, 1]);
    }
}
