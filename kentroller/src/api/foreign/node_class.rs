//! What Karpenter's AWS provider makes nodes with.

use kentroller_planner::manifest::{Ec2NodeClassSpec, Ec2NodeClassStatus};
use kentroller_runtime::{Meta, resource};

#[resource(
    foreign,
    group = "karpenter.k8s.aws",
    version = "v1",
    kind = "EC2NodeClass",
    plural = "ec2nodeclasses",
    optional
)]
/// Images, kubelet settings, disks and subnets of the nodes of a NodePool.
pub struct Ec2NodeClass {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: Ec2NodeClassSpec,
    #[serde(default)]
    pub status: Ec2NodeClassStatus,
}
