//! What makes pods.

use kentroller_planner::manifest::DaemonSetSpec;
use kentroller_runtime::store::share::Pool;
use kentroller_runtime::{Meta, resource};
use serde::{Deserialize, Serialize};

#[resource(foreign, group = "apps", version = "v1", kind = "DaemonSet", plural = "daemonsets", namespaced, share = DaemonSet::share_parts)]
/// Runs one pod on every node that it fits.
pub struct DaemonSet {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: DaemonSetSpec,
}

impl DaemonSet {
    fn share_parts(&mut self, pool: &mut Pool) {
        pool.value(&mut self.spec.template.spec.shape);
        super::keep_annotations(&mut self.metadata, pool);
    }
}

#[resource(foreign, group = "apps", version = "v1", kind = "ReplicaSet", plural = "replicasets", namespaced, share = ReplicaSet::share_parts)]
/// Keeps a number of equal pods, mostly for a Deployment.
pub struct ReplicaSet {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: Replicas,
}

impl ReplicaSet {
    fn share_parts(&mut self, pool: &mut Pool) {
        super::keep_annotations(&mut self.metadata, pool);
    }
}

#[resource(foreign, group = "apps", version = "v1", kind = "StatefulSet", plural = "statefulsets", namespaced, share = StatefulSet::share_parts)]
/// Keeps a number of pods that each have a name and volumes of their own.
pub struct StatefulSet {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: Replicas,
}

impl StatefulSet {
    fn share_parts(&mut self, pool: &mut Pool) {
        super::keep_annotations(&mut self.metadata, pool);
    }
}

/// How many pods are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// Absent: 1.
    pub replicas: Option<u32>,
}
