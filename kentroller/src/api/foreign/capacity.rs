//! What Karpenter counts besides pods and list prices: room kept free, and prices put on by hand.

use kentroller_planner::manifest::{CapacityBufferSpec, CapacityBufferStatus, NodeOverlaySpec, PodTemplate};
use kentroller_runtime::store::share::Pool;
use kentroller_runtime::{Meta, resource};

#[resource(
    foreign,
    group = "autoscaling.x-k8s.io",
    version = "v1beta1",
    kind = "CapacityBuffer",
    plural = "capacitybuffers",
    namespaced,
    optional
)]
/// Room that is kept free by pods that do not exist.
pub struct CapacityBuffer {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: CapacityBufferSpec,
    #[serde(default)]
    pub status: CapacityBufferStatus,
}

#[resource(foreign, group = "", version = "v1", kind = "PodTemplate", plural = "podtemplates", namespaced, share = NamedPodTemplate::share_parts)]
/// What the pods of a buffer would be.
pub struct NamedPodTemplate {
    pub metadata: Meta,
    #[serde(default)]
    pub template: PodTemplate,
}

impl NamedPodTemplate {
    fn share_parts(&mut self, pool: &mut Pool) {
        pool.value(&mut self.template.spec.shape);
    }
}

#[resource(
    foreign,
    group = "karpenter.sh",
    version = "v1alpha1",
    kind = "NodeOverlay",
    plural = "nodeoverlays",
    optional
)]
/// A price, or a change of one, for the nodes that it selects.
pub struct NodeOverlay {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: NodeOverlaySpec,
}
