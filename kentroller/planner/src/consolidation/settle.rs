//! After a plan Karpenter's own rule should find nothing to do. What it would do becomes part of the plan, or a warning.
//!
//! One thing is not foreseen: what Karpenter may do once the plan has mended a broken spread.

use std::collections::BTreeMap;

use super::rule::{Command, Rule, Terms};
use typed_index_collections::TiVec;

use crate::manifest::ObjectName;
use crate::model::{BinId, BinRef, ClassId, Counts, Model, give};
use crate::search::place;
use crate::solution::State;
use crate::value::{KeptReason, Mode, Money, Options, Pace, Percent, Warning, Wave};

/// The share of the budget that one look takes at most, in thousandths.
pub(crate) const SETTLING: u32 = 30;

/// Carries out what Karpenter's rule would do next, as far as the limits of a plan let it.
pub(crate) fn extend(state: &mut State<'_>, moves: i64, churn: Money, pace: &mut Pace<'_>) {
    let terms = Terms { moves, churn, until: pace.used().saturating_add(SETTLING) };
    let rule = Rule::of(state.model, would_go);
    while rule.command(state, terms, pace).is_some() {}
}

/// Warns of what Karpenter's rule would still do after some waves, and names the limit that keeps it out of the plan.
pub(crate) fn left(
    model: &Model,
    waves: &[Wave],
    moves: Option<i64>,
    options: &Options,
    pace: &mut Pace<'_>,
) -> Option<Warning> {
    let (mut state, names) = end(model, waves);
    let terms = Terms { until: pace.used().saturating_add(SETTLING), ..Terms::default() };
    let command = Rule::of(model, may_go).command(&mut state, terms, pace)?;
    let gone: Vec<&str> = command.gone.iter().map(|bin| names[*bin].as_str()).collect();
    let message = format!(
        "Karpenter's own consolidation would go on after this plan: {} could go for {} USD/h less; {} forbids it",
        gone.join(", "),
        command.saves,
        limit(&state, &command, moves, options),
    );
    Some(Warning { object: String::new(), message })
}

/// What a plan may remove and Karpenter would remove.
fn would_go(state: &State<'_>, bin: BinId) -> bool {
    state.may_close(bin) && is_consolidated(state, bin)
}

/// What Karpenter may remove. Nodes outside of the plan's scope count too.
pub(super) fn may_go(state: &State<'_>, bin: BinId) -> bool {
    state.bins[bin].open && held(state, bin).is_none_or(is_scope) && is_consolidated(state, bin)
}

/// Why a bin stays whatever happens; `None` when it may go.
fn held(state: &State<'_>, bin: BinId) -> Option<KeptReason> {
    match state.bins[bin].bin_ref {
        BinRef::Node(node) => state.model.nodes[node].held.as_ref().map(|(reason, _)| *reason),
        BinRef::New(_) => None,
    }
}

/// Whether a bin is of a pool that Karpenter does not leave alone.
fn is_consolidated(state: &State<'_>, bin: BinId) -> bool {
    let pool = match state.bins[bin].bin_ref {
        BinRef::Node(node) => state.model.nodes[node].pool,
        BinRef::New(offering) => Some(state.model.offerings[offering].pool),
    };
    pool.is_some_and(|pool| state.model.consolidated[pool])
}

const fn is_scope(reason: KeptReason) -> bool {
    matches!(reason, KeptReason::OutOfScope | KeptReason::MaxNodes | KeptReason::MaxCpu)
}

/// The cluster after some waves, without a reserve; and the names of its bins.
pub(super) fn end<'m>(model: &'m Model, waves: &[Wave]) -> (State<'m>, TiVec<BinId, String>) {
    let mut state = State::of(model, Percent::whole(0));
    state.shares = false;
    let mut names: TiVec<BinId, String> = model.nodes.iter().map(|node| node.name.clone()).collect();
    let mut bins: BTreeMap<String, BinId> = names.iter_enumerated().map(|(bin, name)| (name.clone(), bin)).collect();
    let classes: BTreeMap<&ObjectName, ClassId> = model.pods.iter().map(|pod| (&pod.name, pod.class)).collect();
    // Pods that wait have reserved room and no moves. They are placed at the end.
    let mut waiting = Counts::new();
    for wave in waves {
        for new in &wave.add {
            let offering = model.offerings.position(|offering| {
                offering.pool_name == new.node_pool
                    && offering.instance_type == new.instance_type
                    && offering.zone == new.zone
                    && offering.capacity_type == new.capacity_type
            });
            if let Some(offering) = offering {
                bins.insert(new.name.clone(), state.buy(offering));
                names.push(new.name.clone());
            }
        }
        for bin in wave.remove.iter().filter_map(|name| bins.get(name)) {
            state.close(*bin, &mut waiting);
        }
        for step in &wave.moves {
            let (Some(bin), Some(class)) = (bins.get(&step.to), classes.get(&step.pod)) else { continue };
            state.put(*bin, *class, 1);
            give(&mut waiting, *class, -1);
        }
    }
    place(&mut state, &mut waiting, &mut Vec::new());
    (state, names)
}

/// In words: what keeps a command out of a plan.
fn limit(after: &State<'_>, command: &Command, moves: Option<i64>, options: &Options) -> String {
    let is_out = |bin: &BinId| held(after, *bin).is_some_and(is_scope);
    if command.gone.iter().any(is_out) {
        "its scope".to_owned()
    } else if options.mode != Mode::Full {
        "its mode".to_owned()
    } else if moves.is_some_and(|most| after.moved > most) {
        "its limit of moves".to_owned()
    } else if options.churn_price > Money::ZERO {
        "its price of moves".to_owned()
    } else if options.min_cluster_size > 0 {
        "its least size of the cluster".to_owned()
    } else if options.min_savings.is_some() {
        "its least saving".to_owned()
    } else if options.reserve > Percent::whole(0) {
        format!("its reserve of {} %", options.reserve)
    } else {
        "that no service may end on one node, or the order of its moves,".to_owned()
    }
}
