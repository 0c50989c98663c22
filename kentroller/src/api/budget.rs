//! A commitment budget: capacity that is paid for whether it is used or not.

use std::collections::BTreeMap;

use kentroller_planner::Quantity;
use kentroller_runtime::{Condition, Conditions, resource, words};

#[resource(
    group = "autoscaling.cast.ai",
    version = "v1alpha",
    kind = "CommitmentBudget",
    shortname = "cb",
    category = "kentroller",
    status = BudgetStatus,
    conditions = BudgetCondition,
    column("Type", string, ".spec.type"),
    column("Instance Type", string, ".spec.ri.instanceType"),
    column("RI Count", integer, ".spec.ri.count"),
    column("RI Family", string, ".spec.ri.instanceFamily"),
    column("SP Family", string, ".spec.ec2InstanceSP.instanceFamily"),
    column("Commitment", string, ".spec.computeSP.commitmentAmount"),
    column("Matched NodePools", integer, ".status.matchedNodePools"),
    column("Compatible", string, ".status.conditions[?(@.type=='CompatibleNodePools')].reason"),
    column("Age", date, ".metadata.creationTimestamp")
)]
/// Capacity that is paid for whether it is used or not: planning uses it first.
///
/// ```yaml
/// apiVersion: autoscaling.cast.ai/v1alpha
/// kind: CommitmentBudget
/// metadata: {name: reserved-m6i}
/// spec:
///   budgetID: ri-0a1b2c
///   type: reserved-instance
///   ri: {instanceType: m6i.large, availabilityZone: eu-central-1a, count: 4}
/// ```
pub struct CommitmentBudgetSpec {
    /// Identifies the commitment at the provider.
    #[serde(rename = "budgetID")]
    pub budget_id: String,
    /// The commitment, if it is a compute savings plan.
    #[serde(rename = "computeSP")]
    pub compute_sp: Option<ComputeSavingsPlan>,
    /// The commitment, if it is an EC2 instance savings plan.
    #[serde(rename = "ec2InstanceSP")]
    pub ec2_instance_sp: Option<InstanceSavingsPlan>,
    /// The commitment, if it is a reserved instance.
    pub ri: Option<ReservedInstance>,
    /// What kind of commitment it is.
    #[serde(rename = "type")]
    pub type_: CommitmentType,
}

words! {
    /// What kind of commitment it is.
    pub enum CommitmentType {
        /// Machines of a type or family, paid for in advance.
        ReservedInstance = "reserved-instance",
        /// An amount an hour for any machine.
        ComputeSavingsPlan = "compute-savings-plan",
        /// An amount an hour for machines of one family.
        InstanceSavingsPlan = "ec2-instance-savings-plan",
    }
}

#[resource(part)]
/// An amount an hour that is paid for any machine.
#[derive(Default, Eq)]
pub struct ComputeSavingsPlan {
    /// The amount, in US dollars an hour.
    pub commitment_amount: String,
    /// The cheapest price for each core, by family.
    #[serde(rename = "familyCPUPrices")]
    pub family_cpu_prices: BTreeMap<String, FamilyPrice>,
    /// Identifies the offering at the provider.
    pub offering_id: Option<String>,
}

#[resource(part)]
/// The cheapest price of a family.
#[derive(Default, Eq)]
pub struct FamilyPrice {
    /// The instance type that has this price.
    pub instance_type: Option<String>,
    /// The price for each core, in US dollars an hour.
    #[serde(rename = "pricePerCPU")]
    pub price_per_cpu: String,
}

#[resource(part)]
/// An amount an hour that is paid for machines of one family.
#[derive(Default, Eq)]
pub struct InstanceSavingsPlan {
    /// The amount, in US dollars an hour.
    pub commitment_amount: String,
    /// The family.
    pub instance_family: String,
    /// Identifies the offering at the provider.
    pub offering_id: Option<String>,
    /// The price for each core, in US dollars an hour.
    #[serde(rename = "pricePerCPU")]
    pub price_per_cpu: Option<String>,
}

#[resource(part)]
/// Machines that are paid for in advance: of one type in one zone, or of one family in the region.
#[derive(Default, Eq)]
pub struct ReservedInstance {
    /// The zone; absent for a whole region.
    pub availability_zone: Option<String>,
    /// How many machines; of a zonal reservation.
    #[garde(range(min = 0))]
    pub count: Option<i64>,
    /// How much cpu; of a regional reservation.
    #[serde(default)]
    #[schemars(schema_with = "super::quantity")]
    pub cpu: Option<Quantity>,
    /// The family; of a regional reservation.
    pub instance_family: Option<String>,
    /// The instance type; of a zonal reservation.
    pub instance_type: Option<String>,
    /// How much memory; of a regional reservation.
    #[serde(default)]
    #[schemars(schema_with = "super::quantity")]
    pub memory: Option<Quantity>,
}

#[resource(status)]
/// How a commitment is used.
pub struct BudgetStatus {
    /// What the budget is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// How many node pools can use it.
    pub matched_node_pools: Option<i64>,
    /// The generation of the budget that this status judges.
    pub observed_generation: Option<i64>,
}

/// What `kubectl wait` may ask of a budget besides the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Conditions)]
pub enum BudgetCondition {
    /// Some node pool can use the commitment.
    CompatibleNodePools,
}
