//! A migration plan: the pods that are moved alive before their node goes.

use std::collections::BTreeMap;

use kentroller_runtime::{Condition, resource, words};

#[resource(
    group = "autoscaling.cast.ai",
    version = "v1alpha",
    kind = "RebalanceMigrationPlan",
    shortname = "rmp",
    category = "kentroller",
    status = MigrationStatus,
    column("Phase", string, ".status.phase"),
    column("Age", date, ".metadata.creationTimestamp")
)]
/// Moves pods alive from a node that goes to others, by one Migration for each pod.
///
/// ```yaml
/// apiVersion: autoscaling.cast.ai/v1alpha
/// kind: RebalanceMigrationPlan
/// metadata: {name: off-node-a}
/// spec:
///   migrations:
///     - podNamespace: shop
///       podName: cart-0
///       destinationNode: ip-10-0-1-18.ec2.internal
///       destinationNodeClaim: default-m3c9d
///       policy: Optional
/// ```
#[derive(Default)]
pub struct RebalanceMigrationPlanSpec {
    /// The pods that are moved.
    #[required]
    pub migrations: Vec<MigrationEntry>,
}

#[resource(part)]
/// A pod that is moved alive.
#[derive(Default, Eq)]
pub struct MigrationEntry {
    /// The name of the node that takes the pod.
    pub destination_node: String,
    /// The name of that node's NodeClaim.
    pub destination_node_claim: String,
    /// How the pod is moved; passed on to its Migration.
    pub options: Option<MigrationOptions>,
    /// The name of the pod.
    pub pod_name: Option<String>,
    /// The namespace of the pod.
    pub pod_namespace: Option<String>,
    /// What happens when the pod cannot be moved alive: Optional evicts it, Mandatory leaves it.
    pub policy: String,
}

#[resource(part)]
/// How a pod is moved alive.
#[derive(Default, Eq)]
pub struct MigrationOptions {
    /// The number of changed memory pages below which the pod is frozen and moved.
    #[serde(rename = "dirty_pages_threshold")]
    pub dirty_pages_threshold: Option<i64>,
    /// Whether the move fails when the pod has inbound connections through Istio.
    #[serde(rename = "fail_on_inbound_istio_connections")]
    pub fail_on_inbound_istio_connections: Option<bool>,
    /// The most rounds of copying memory before the pod is frozen.
    pub iterations: Option<i64>,
    /// What is kept short.
    #[serde(rename = "optimize_for")]
    pub optimize_for: Option<DumpGoal>,
    /// How long the pod may be frozen, such as 500ms.
    #[serde(rename = "requested_freeze_time")]
    pub requested_freeze_time: Option<String>,
    /// Whether open TCP connections are moved with the pod.
    #[serde(rename = "with_tcp")]
    pub with_tcp: Option<bool>,
    /// Whether destinations of moved connections are rewritten to the pod's new address.
    #[serde(rename = "with_tcp_dnat_rewrite")]
    pub with_tcp_dnat_rewrite: Option<bool>,
    /// The source address that moved connections get.
    #[serde(rename = "with_tcp_snat")]
    pub with_tcp_snat: Option<String>,
}

words! {
    /// What a move keeps short.
    pub enum DumpGoal {
        /// The time for which the pod is frozen.
        FreezeTime,
        /// The time for which its memory is copied.
        DumpTime,
    }
}

#[resource(status)]
/// What became of the pods.
pub struct MigrationStatus {
    /// What the migration plan is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// How each pod stands, by namespace and name.
    pub migrations: BTreeMap<String, MigrationProgress>,
    /// The generation of the migration plan that this status judges.
    pub observed_generation: Option<i64>,
    /// Where the migration plan is.
    #[serde(default = "MigrationPhase::default")]
    pub phase: MigrationPhase,
}

words! {
    /// Where a migration plan is.
    pub open enum MigrationPhase {
        /// Nothing was done so far.
        Pending,
        /// Pods are being moved.
        Running,
        /// Every pod was moved.
        Completed,
        /// Some pod could not be moved.
        Failed,
    }
}

#[expect(clippy::derivable_impls, reason = "the words! that make the enum take no #[default]")]
impl Default for MigrationPhase {
    fn default() -> Self {
        Self::Pending
    }
}

#[resource(part)]
/// How one pod stands.
#[derive(Eq)]
pub struct MigrationProgress {
    /// What happens when the pod cannot be moved alive.
    pub policy: String,
    /// Where its Migration is.
    pub state: MigrationState,
}

words! {
    /// Where the move of a pod is.
    pub enum MigrationState {
        /// Nothing was done so far.
        Pending,
        /// Its memory is being copied.
        Running,
        /// It can be started at its destination.
        Ready,
        /// Its successor was made.
        PodCreated,
        /// It could not be moved.
        Failed,
        /// It runs at its destination.
        Completed,
    }
}
