#[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", namespaced, optional, only = "spec.nodeName!=", index = Pod::node_name, share = Pod::share_parts, view = Occupancy)]
/// What is read of a pod.
#[derive(Default)]
#[serde(default)]
pub struct Pod {
    pub metadata: Meta,
    pub spec: PodSpec,
}
