//! Where Karpenter's own rule would settle, command by command.

use std::sync::Arc;

use super::rule::{Rule, Terms};
use crate::manifest::NodePool;
use crate::manifest::marks::{BUDGET, CONSOLIDATION, REMOVAL_DISABLED};
use crate::model::build::model;
use crate::model::{BinId, BinRef, Model};
use crate::solution::State;
use crate::value::{Aggressive, Budget, Catalog, InputError, Money, Options, Pace, Percent, Snapshot};

/// What Karpenter's rule would do with a cluster, one command after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// What the nodes with a known price cost before.
    pub before: Money,
    /// In order.
    pub commands: Vec<Consolidation>,
    /// Whether nothing is left to do; `false`: time was over.
    pub is_settled: bool,
}

/// One command of Karpenter's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consolidation {
    /// Nodes that go.
    pub removed: Vec<String>,
    /// The node that is bought for them.
    pub added: Option<String>,
    /// Pods that move.
    pub moves: usize,
    /// What the cluster costs afterwards.
    pub hourly_after: Money,
}

impl Course {
    /// What the cluster costs in the end.
    pub fn after(&self) -> Money {
        self.commands.last().map_or(self.before, |command| command.hourly_after)
    }

    /// Pods that move, once for each time that they do.
    pub fn moves(&self) -> usize {
        self.commands.iter().map(|command| command.moves).sum()
    }
}

/// For every command until none is found: the moves made so far, and the cost after it. What is held from a claim without
/// options is held from Karpenter too.
///
/// # Errors
/// The same input errors as planning.
pub fn consolidate(snapshot: &Snapshot, catalog: &Catalog) -> Result<Vec<(usize, Money)>, InputError> {
    let model = model(snapshot, catalog, &Options::default())?;
    let course = course(&model, Vec::new(), &mut |_: u64| 0);
    let mut moves = 0;
    let after = course.commands.iter().map(|command| {
        moves += command.moves;
        (moves, command.hourly_after)
    });
    Ok([(0, course.before)].into_iter().chain(after).collect())
}

/// Where Karpenter would settle if every NodePool had a consolidation policy; `None`: each has its own.
///
/// Of what holds nodes only what Karpenter knows counts: neither our annotations, nor that a pod has no controller, is of a
/// Job, or is marked removal-disabled.
///
/// # Errors
/// The same input errors as planning.
pub fn settle_as_karpenter(
    snapshot: &Snapshot,
    catalog: &Catalog,
    policy: Option<&str>,
    budget: &mut dyn Budget,
) -> Result<Course, InputError> {
    let mut snapshot = snapshot.clone();
    for pool in &mut snapshot.node_pools {
        let annotations = Arc::make_mut(&mut pool.metadata.annotations);
        annotations.retain(|key, _| key != CONSOLIDATION && key != BUDGET);
        if let Some(policy) = policy {
            policy.clone_into(&mut pool.spec.disruption.consolidation_policy);
        }
    }
    // Not by the flag for such pods, which lifts do-not-disrupt as well: that Karpenter knows.
    for pod in snapshot.pods.iter_mut().filter(|pod| pod.metadata.mark(REMOVAL_DISABLED).is_some()) {
        Arc::make_mut(&mut pod.metadata.annotations).remove(REMOVAL_DISABLED);
        Arc::make_mut(&mut pod.metadata.labels).remove(REMOVAL_DISABLED);
    }
    let aggressive = Aggressive {
        ignore_problem_pods_without_controller: true,
        ignore_problem_job_pods: true,
        ..Aggressive::default()
    };
    let model = model(&snapshot, catalog, &Options { aggressive, ..Options::default() })?;
    let is_balanced = |pool: &NodePool| pool.spec.disruption.consolidation_policy == "Balanced";
    Ok(course(&model, snapshot.node_pools.iter().map(is_balanced).collect(), budget))
}

fn course(model: &Model, balanced: Vec<bool>, budget: &mut dyn Budget) -> Course {
    let mut state = State::of(model, Percent::whole(0));
    state.shares = false;
    let rule = Rule::of(model, State::may_close).with_balanced(balanced);
    let pace = &mut Pace::of(budget);
    let mut course = Course { before: state.cost, commands: Vec::new(), is_settled: true };
    while let Some(command) = rule.command(&mut state, Terms::default(), pace) {
        course.commands.push(Consolidation {
            removed: command.gone.iter().map(|bin| name(&state, *bin)).collect(),
            added: command.bought.map(|bin| name(&state, bin)),
            moves: usize::try_from(command.moves).unwrap_or(0),
            hourly_after: state.cost,
        });
    }
    course.is_settled = pace.used() < Terms::default().until;
    course
}

/// The name of a node; of one that was bought, its number with what it is.
fn name(state: &State<'_>, bin: BinId) -> String {
    match state.bins[bin].bin_ref {
        BinRef::Node(node) => state.model.nodes[node].name.clone(),
        BinRef::New(offering) => {
            let of = &state.model.offerings[offering];
            let number = usize::from(bin) + 1 - state.model.nodes.len();
            format!("new-{number} ({} {} in {})", of.capacity_type.as_str(), of.instance_type, of.zone)
        }
    }
}
