//! What a claim, a schedule or a command line asks of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CapacityType, Money, Percent, Resting};
use crate::manifest::{NodeSelectorTerm, Quantity};

/// What a plan may do and must achieve. The default is that of a claim without options.
///
/// As JSON it is what connected mode asks a backend with: a field that is not known may forbid something, so it is a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Which nodes may be removed.
    pub scope: Scope,
    /// What a plan may do.
    pub mode: Mode,
    /// Replace every selected node by the cheapest fresh one, saving or not.
    pub roll: bool,
    /// Only nodes of NodePools that are annotated `kentroller.cast.ai/consolidation: include` may be removed; else all but those of
    /// NodePools that are annotated `exclude`.
    pub pools_opt_in: bool,
    /// At most this many nodes are removed.
    pub max_nodes: Option<usize>,
    /// Nodes are removed as long as their cpu comes to no more than this; the first in any case.
    pub max_cpu: Option<Quantity>,
    /// Which nodes count as the first when `max_nodes` or `max_cpu` is set.
    pub sort_by: Option<SortBy>,
    /// Only nodes of this capacity type may be removed.
    pub capacity_type: Option<CapacityType>,
    /// Nodes younger than this stay.
    pub min_age: Duration,
    /// The cluster keeps at least this many nodes that are not being deleted.
    pub min_cluster_size: usize,
    /// The saving, relative to the removed nodes, below which there is no plan. `None`: any positive saving.
    pub min_savings: Option<Percent>,
    /// Which blocks are lifted.
    pub aggressive: Aggressive,
    /// Continuous mode: pods without a second replica stay where they are.
    pub continuous: bool,
    /// At most this many pods move.
    pub max_moves: Option<MoveLimit>,
    /// What moving one pod of ordinary cost must save an hour.
    pub churn_price: Money,
    /// By how much a plan may be dearer than the cheapest one found, if fewer pods move. Default: 1 %; 0: the cheapest.
    pub tolerance: Percent,
    /// The share of cpu and memory that every node which takes pods keeps free. Default: 1 %.
    pub reserve: Percent,
    /// Room that is kept free, by NodePool.
    pub headroom: BTreeMap<String, Headroom>,
    /// The shares of moved pods for which the best plan is told.
    pub curve: Vec<Percent>,
    /// Overrides per pod and node, as `evictionConfig` gives them.
    pub eviction: Vec<EvictionRule>,
    /// Whether whoever carries the plan out ends pods that their disruption budgets forbid to evict, where an eviction rule says so.
    pub breaks_pdbs: bool,
    /// Nodes that other work has its hands on: neither removed nor given pods.
    pub reserved_nodes: BTreeSet<String>,
    /// Nodes to whose removal the judge of plans objects: they stay.
    pub objected_nodes: BTreeSet<String>,
    /// NodePools with the instance types of theirs that the judge objects to; an empty type stands for all. None are bought.
    pub objected_offerings: BTreeSet<(String, String)>,
    /// What rests: nodes that are not removed, pods that are not moved, offerings that are not bought.
    pub resting: Resting,
    /// The search ends after so many steps, if the budget does not end it before. `None`: the budget ends it alone.
    pub max_steps: Option<u64>,
    /// Where chance begins: the same seed and steps give the same plan.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scope: Scope::All,
            mode: Mode::Full,
            roll: false,
            pools_opt_in: false,
            max_nodes: None,
            max_cpu: None,
            sort_by: None,
            capacity_type: None,
            min_age: Duration::ZERO,
            min_cluster_size: 0,
            min_savings: None,
            aggressive: Aggressive::default(),
            continuous: false,
            max_moves: None,
            churn_price: Money::ZERO,
            tolerance: Percent::whole(1),
            reserve: Percent::whole(1),
            headroom: BTreeMap::new(),
            curve: Vec::new(),
            eviction: Vec::new(),
            breaks_pdbs: true,
            reserved_nodes: BTreeSet::new(),
            objected_nodes: BTreeSet::new(),
            objected_offerings: BTreeSet::new(),
            resting: Resting::default(),
            max_steps: None,
            seed: 0,
        }
    }
}

impl Options {
    /// Whether a plan that costs a little more is preferred where fewer pods move.
    pub(crate) fn is_calm(&self) -> bool {
        self.tolerance > Percent::whole(0) && self.mode == Mode::Full && !self.roll
    }
}

/// Which nodes a plan may remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Scope {
    /// Every node.
    #[default]
    All,
    /// By name; an empty set holds no node.
    Nodes(BTreeSet<String>),
    /// Nodes that satisfy one of the terms; an empty list holds no node.
    Terms(Vec<NodeSelectorTerm>),
}

/// What a plan may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Mode {
    /// Remove nodes and buy cheaper ones.
    #[default]
    Full,
    /// Remove nodes whose pods fit on others.
    DrainOnly,
    /// Remove nodes without pods.
    DeleteEmpty,
}

/// An order of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum SortBy {
    /// Dearest per core first.
    NormalizedCpuPrice,
    /// Dearest per requested core first.
    RequestedCpuPrice,
    /// Emptiest first.
    LeastUtilized,
    /// Oldest first.
    Age,
}

/// A limit on moved pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum MoveLimit {
    /// A number of pods.
    Pods(usize),
    /// Of all pods that could move.
    Share(Percent),
}

/// Sets one flag.
pub type Flag = fn(&mut Aggressive);

/// Hands the blocks that a claim may lift to the macro of this name, as `field = "nameInAggressiveModeConfig",` each.
///
/// The one list of them: whoever needs all of them makes them of it.
#[macro_export]
macro_rules! aggressive_flags {
    ($with:ident) => {
        $with! {
            ignore_blocking_pdb = "ignoreBlockingPDB",
            ignore_consolidatable = "ignoreConsolidatable",
            ignore_instance_criteria = "ignoreInstanceCriteria",
            ignore_local_persistent_volumes = "ignoreLocalPersistentVolumes",
            ignore_problem_job_pods = "ignoreProblemJobPods",
            ignore_problem_pods_without_controller = "ignoreProblemPodsWithoutController",
            ignore_problem_removal_disabled_nodes = "ignoreProblemRemovalDisabledNodes",
            ignore_problem_removal_disabled_pods = "ignoreProblemRemovalDisabledPods",
            ignore_zero_node_pool_disruption_budgets = "ignoreZeroNodePoolDisruptionBudgets",
        }
    };
}

macro_rules! flags {
    ($($field:ident = $name:literal,)*) => {
        /// Blocks that a claim may lift, by the names of its `aggressiveModeConfig`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Aggressive { $(#[doc = concat!("`", $name, "` of a claim.")] pub $field: bool,)* }

        impl Aggressive {
            /// Every flag by its name.
            pub const FLAGS: [(&'static str, Flag); [$($name),*].len()] = [$(($name, |flags| flags.$field = true),)*];
        }
    };
}

aggressive_flags!(flags);

impl Aggressive {
    /// The flag of this name, in whatever case.
    pub fn flag(name: &str) -> Option<Flag> {
        Self::FLAGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, set)| *set)
    }
}

/// Room that is kept free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headroom {
    /// Cpu. Unit: thousandths of a core.
    pub milli_cpu: i64,
    /// Memory.
    pub bytes: i64,
}

/// One entry of `evictionConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvictionRule {
    /// Where it stands in the list, counted from 0, entries that say nothing included.
    pub place: usize,
    /// What it speaks of.
    pub selects: EvictionTarget,
    /// What it says.
    pub strictness: Strictness,
}

/// What an eviction rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum EvictionTarget {
    /// Pods of some namespaces, labels and kind.
    Pods {
        /// Empty: every namespace.
        namespaces: Vec<String>,
        /// Empty: every pod.
        labels: crate::manifest::LabelSelector,
        /// The kind of any controller up the chain; empty: every kind.
        kind: String,
        /// At least this many replicas.
        min_replicas: Option<u32>,
        /// At most this many replicas.
        max_replicas: Option<u32>,
    },
    /// Nodes that satisfy one of the terms, with all their pods.
    Nodes(Vec<NodeSelectorTerm>),
}

/// How freely pods may be evicted; the most restrictive of all that match wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Strictness {
    /// Continuous mode may move the pod although it has no second replica or its disruption budgets object.
    Aggressive,
    /// Continuous mode may move the pod whatever holds it, as long as a place can be found for it.
    Disposable,
    /// The pod stays.
    RemovalDisabled,
}
