//! Costs before and after a plan, in the words of its status. Amounts are decimal texts: hourly with four digits, monthly
//! (730 hours) with two, percentages with one.

use kentroller_runtime::resource;

#[resource(part)]
/// What a plan saves: blue nodes go, green nodes come.
#[derive(Default, Eq)]
pub struct Savings {
    /// The nodes that go.
    pub blue_nodes: Vec<NodeCost>,
    /// The currency of every amount here.
    #[serde(default = "dollars")]
    pub currency: String,
    /// What all nodes of the cluster cost an hour before.
    pub current_cluster_hourly_cost: Option<String>,
    /// What all nodes of the cluster cost a month before.
    pub current_cluster_monthly_cost: Option<String>,
    /// How many nodes the cluster has before.
    pub current_cluster_nodes: Option<i32>,
    /// What the blue nodes cost an hour.
    pub current_hourly_cost: Option<String>,
    /// How many pods on the blue nodes can move.
    pub current_migratable_pods: Option<i32>,
    /// What the blue nodes cost a month.
    pub current_monthly_cost: Option<String>,
    /// How many pods in scope hold their nodes.
    pub current_problematic_pods: Option<i32>,
    /// How many nodes could be replaced.
    pub current_replaceable_nodes: Option<i32>,
    /// The nodes that come.
    pub green_nodes: Vec<NodeCost>,
    /// What all nodes of the cluster cost an hour afterwards.
    pub projected_cluster_hourly_cost: Option<String>,
    /// What all nodes of the cluster cost a month afterwards.
    pub projected_cluster_monthly_cost: Option<String>,
    /// How many nodes the cluster has afterwards.
    pub projected_cluster_nodes: Option<i32>,
    /// The saving in percent of what the cluster costs before.
    pub projected_cluster_savings_percent: Option<String>,
    /// How many green nodes there are.
    pub projected_green_nodes: Option<i32>,
    /// What the green nodes cost an hour.
    pub projected_hourly_cost: Option<String>,
    /// What the green nodes cost a month.
    pub projected_monthly_cost: Option<String>,
    /// The saving an hour.
    pub projected_savings_cost_hourly: Option<String>,
    /// The saving a month.
    pub projected_savings_cost_monthly: Option<String>,
    /// The saving in percent of what the blue nodes cost.
    pub projected_savings_percent: Option<String>,
}

fn dollars() -> String {
    "USD".to_owned()
}

#[resource(part)]
/// A node, its size and its price.
#[derive(Default, Eq)]
pub struct NodeCost {
    /// The instance type of the node.
    pub instance_type: Option<String>,
    /// Whether it is a spot node.
    pub is_spot: bool,
    /// The memory of the node, in MiB.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: Option<i64>,
    /// The cpu of the node, in thousandths of a core.
    #[serde(rename = "milliCPU")]
    pub milli_cpu: Option<i64>,
    /// The name of the node, or of its NodeClaim while there is no node.
    pub name: String,
    /// What the node costs an hour; absent when that is not known.
    pub price_hourly: Option<String>,
}
