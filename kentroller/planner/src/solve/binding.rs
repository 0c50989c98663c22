//! Why a node stays that nothing holds: the one constraint without which its pods would have a place elsewhere.

use std::collections::BTreeMap;

use crate::model::{BinId, BinRef, CPU, ClassId, MEMORY, NodeId, OfferingId, TermCount, Vector, fits, put};
use crate::solution::State;
use crate::value::{KeptReason, Pace, Wave};

/// More nodes are not asked about one by one.
const ASKED: usize = 400;

/// What forbids a node to go, with words for people.
pub(super) type Binding = (KeptReason, String);

/// By node that stays although nothing holds it, and of which it can be told: what forbids it to go.
pub(super) fn bindings(start: &State<'_>, waves: &[Wave], pace: &mut Pace<'_>) -> BTreeMap<NodeId, Binding> {
    let free = |node: &NodeId| start.model.nodes[*node].held.is_none();
    if !start.model.nodes.keys().any(|node| free(&node)) {
        return BTreeMap::new();
    }
    let mut state = after(start, waves);
    let staying = start.model.nodes.keys().filter(|node| free(node) && state.bins[node.bin()].open);
    let staying: Vec<NodeId> = staying.take(ASKED).collect();
    let mut told = BTreeMap::new();
    for node in staying {
        if pace.used() > 1000 {
            break;
        }
        told.extend(binding(&mut state, node).map(|binding| (node, binding)));
    }
    told
}

/// The cluster once all waves are done.
fn after<'m>(start: &State<'m>, waves: &[Wave]) -> State<'m> {
    let (mut state, model) = (start.clone(), start.model);
    if waves.is_empty() {
        return state;
    }
    let mut bins: BTreeMap<&str, BinId> =
        model.nodes.iter_enumerated().map(|(node, of)| (of.name.as_str(), node.bin())).collect();
    let classes: BTreeMap<_, ClassId> = model.pods.iter().map(|pod| (&pod.name, pod.class)).collect();
    for wave in waves {
        for new in &wave.add {
            let is_it = |(_, of): &(OfferingId, &crate::model::NewNodeOption)| {
                of.pool_name == new.node_pool
                    && of.instance_type == new.instance_type
                    && of.zone == new.zone
                    && of.capacity_type == new.capacity_type
            };
            if let Some((offering, _)) = model.offerings.iter_enumerated().find(is_it) {
                bins.insert(&new.name, state.buy(offering));
            }
        }
        for step in &wave.moves {
            if let (Some(bin), Some(class)) = (bins.get(step.to.as_str()), classes.get(&step.pod)) {
                state.put(*bin, *class, 1);
            }
        }
        for name in &wave.remove {
            if let Some(bin) = bins.get(name.as_str()).filter(|bin| state.bins[**bin].open) {
                state.close(*bin, &mut Vec::new());
            }
        }
    }
    state
}

/// Asks what would let a node go, one constraint after the other.
fn binding(state: &mut State<'_>, node: NodeId) -> Option<Binding> {
    if has_room(state, node, false) {
        return None;
    }
    state.shares = false;
    let without_shares = has_room(state, node, false);
    state.shares = true;
    if without_shares {
        let detail = "half of a service's replicas at most may share a node: its pods have a place only beside other \
                      replicas of theirs";
        return Some((KeptReason::ReplicasTogether, detail.to_owned()));
    }
    if has_room(state, node, true) {
        let detail = format!("its pods have a place only in the reserve of {} % that nodes keep free", state.reserve);
        return Some((KeptReason::Reserve, detail));
    }
    if let Some(offering) = beyond_limits(state, node) {
        let of = &state.model.offerings[offering];
        let detail =
            format!("a limit of NodePool {} forbids to buy {}, which holds its pods", of.pool_name, of.instance_type);
        return Some((KeptReason::PoolLimit, detail));
    }
    only_here(state, node)
}

/// Whether the pods of a node have a place on other nodes; `filled`: their reserve may be used.
fn has_room(state: &State<'_>, node: NodeId, filled: bool) -> bool {
    let mut changed: BTreeMap<BinId, (Vector, Vec<TermCount>)> = BTreeMap::new();
    let mut classes = state.own[node].clone();
    classes.extend(state.bins[node.bin()].given.iter().copied());
    // The largest have the fewest places.
    classes.sort_by_key(|(class, _)| {
        let request = &state.model.classes[*class].request;
        std::cmp::Reverse((request[CPU], request[MEMORY]))
    });
    classes.into_iter().all(|(class, mut count)| {
        for (bin, of) in state.bins.iter_enumerated() {
            if count == 0 {
                break;
            }
            if bin == node.bin() || !of.open || !admits(state, of.bin_ref, class) {
                continue;
            }
            let (mut free, terms) = changed.get(&bin).cloned().unwrap_or_else(|| (of.free, of.term_counts.clone()));
            if filled && !changed.contains_key(&bin) {
                spend_reserve(state, of.bin_ref, &mut free);
            }
            let most = state.left(class, &free, &terms).min(state.spread_room(of.bin_ref, class)).min(count);
            if most > 0 {
                let mut terms = terms;
                put(state.model, class, most, &mut free, &mut terms);
                changed.insert(bin, (free, terms));
                count -= most;
            }
        }
        count == 0
    })
}

fn admits(state: &State<'_>, bin_ref: BinRef, class: ClassId) -> bool {
    state.model.admits.get(state.model.classes[class].needs, state.model.signature(bin_ref))
}

/// Adds what a bin keeps free; a node that takes no pods stays shut.
fn spend_reserve(state: &State<'_>, bin_ref: BinRef, free: &mut Vector) {
    let allocatable = match bin_ref {
        BinRef::Node(node) if state.model.nodes[node].receives => state.model.nodes[node].allocatable,
        BinRef::Node(_) => return,
        BinRef::New(offering) => state.model.offerings[offering].allocatable,
    };
    for dim in [CPU, MEMORY] {
        free[dim] += state.reserve.of(allocatable[dim]);
    }
}

/// A cheaper offering that holds all pods of a node, and that only a limit of its pool forbids.
fn beyond_limits(state: &State<'_>, node: NodeId) -> Option<OfferingId> {
    let price = state.model.nodes[node].price?;
    let mut wanted = [0; crate::model::DIMS];
    for (class, count) in &state.own[node] {
        crate::model::add(&mut wanted, &state.model.classes[*class].request, *count);
    }
    let holds = |offering: &OfferingId| {
        state.model.offerings[*offering].price < price
            && !state.may_buy(*offering)
            && fits(&wanted, &state.room_of_offering(*offering))
            && state.own[node].iter().all(|(class, _)| state.offering_admits(*offering, *class))
    };
    state.model.offerings.keys().find(holds)
}

/// A pod that no other node and no offering may take, however empty they were.
fn only_here(state: &State<'_>, node: NodeId) -> Option<Binding> {
    let model = state.model;
    let is_other = |other: NodeId| other != node && model.nodes[other].receives;
    if model.offerings.is_empty() && !model.nodes.keys().any(is_other) {
        return None;
    }
    let has_other = |class: ClassId| {
        model.nodes.keys().filter(|other| is_other(*other)).map(BinRef::Node).any(|other| admits(state, other, class))
            || model.offerings.keys().any(|offering| state.offering_admits(offering, class))
    };
    let (class, _) = state.own[node].iter().find(|(class, _)| !has_other(*class))?;
    let pod = model.nodes[node].pods.iter().find(|pod| model.pods[**pod].class == *class)?;
    let detail = format!("pod {} may run on no other node, and on none that could be bought", model.pods[*pod].name);
    Some((KeptReason::OnlyPlace, detail))
}
