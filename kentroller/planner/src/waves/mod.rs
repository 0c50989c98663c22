//! From a solution to waves of named moves. A plan may stop after any wave.

mod draft;
mod naming;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use typed_index_collections::TiVec;

use self::draft::Draft;
use self::naming::name;
use self::order::{Close, RemovalOrder};
use crate::model::{BinId, BinRef, Model, NodeId};
use crate::solution::State;
use crate::value::{KeptReason, Money, Options, Pace, Wave};

/// The waves of a solution, cheapest way first.
#[derive(Debug, Default)]
pub(crate) struct Waves {
    pub waves: Vec<Wave>,
    /// Whether they end early because the cluster would get too small.
    pub cut: bool,
}

impl Waves {
    pub(crate) fn of(state: &State<'_>, before: Money, options: &Options, pace: &mut Pace<'_>) -> Self {
        let (drafts, cut) = draft(state, options, pace);
        let drafts = if options.roll { drafts } else { joined(state, drafts) };
        Self { waves: name(state, drafts, before), cut }
    }
}

/// A plan is not cut finer than this, unless its first waves are: more are nothing that people can read.
const WAVES: usize = 100;

/// Joins neighbouring waves as long as no more than a hundredth of all nodes that go are in one.
fn joined(state: &State<'_>, drafts: Vec<Draft>) -> Vec<Draft> {
    let most = drafts.iter().map(|draft| draft.close.len()).sum::<usize>() / WAVES;
    let mut joined: Vec<Draft> = Vec::new();
    for draft in drafts {
        let fits = |last: &&mut Draft| {
            last.close.len() + draft.close.len() <= most
                && !repeats(state, &last.open, &draft.close)
                && !repeats(state, &draft.open, &last.close)
        };
        match joined.last_mut().filter(fits) {
            Some(last) => last.join(draft),
            None => joined.push(draft),
        }
    }
    joined
}

/// Whether a new node is of the pool, type and zone of one that goes.
fn repeats(state: &State<'_>, open: &[BinId], close: &[NodeId]) -> bool {
    let model = state.model;
    let offerings = open.iter().filter_map(|bin| match state.bins[*bin].bin_ref {
        BinRef::New(offering) => Some(&model.offerings[offering]),
        BinRef::Node(_) => None,
    });
    offerings.into_iter().any(|offering| {
        close.iter().map(|node| &model.nodes[*node]).any(|node| {
            node.pool == Some(offering.pool)
                && node.instance_type == offering.instance_type
                && node.zone == offering.zone
        })
    })
}

/// Orders removals so that each wave pays for itself. Also tells whether the least size of the cluster ended them early.
///
/// A node stays after all when its removal brings nothing, or when no order of moves allows it.
fn draft(state: &State<'_>, options: &Options, pace: &mut Pace<'_>) -> (Vec<Draft>, bool) {
    let roll = options.roll;
    let mut stay = BTreeSet::new();
    let mut settled = Vec::new();
    let mut cut = false;
    for _ in 0..REDRAFTS {
        let began = pace.used();
        settled = settle(state, ordered(state, &stay, roll), roll);
        cut = false;
        let more = unsound(state, &mut settled, &mut cut, options);
        if more.is_empty() {
            return (settled, cut);
        }
        stay.extend(more);
        let now = pace.used();
        if now > began && now + (now - began) > 1000 {
            break;
        }
    }
    // As a last resort nodes are taken out of the waves as they are. Other moves may then lack one that opened their way.
    loop {
        let more = unsound(state, &mut settled, &mut cut, options);
        if more.is_empty() {
            return (settled, cut);
        }
        settled = settle(state, without(state, settled, &more, &BTreeSet::new()), roll);
    }
}

/// How often waves are drafted anew around nodes that stay after all.
const REDRAFTS: usize = 12;

/// The removals one after another, those in `stay` left out.
///
/// Room on existing nodes is open from the start. New bins open when a node needs them. First comes the node whose bins
/// cost least for its price. A wave ends as soon as it has removed more than it bought.
fn ordered(state: &State<'_>, stay: &BTreeSet<NodeId>, roll: bool) -> Vec<Draft> {
    CREDITS
        .map(|credit| in_order(state, stay, roll, credit))
        .into_iter()
        .max_by_key(|drafts| early(state, drafts))
        .unwrap_or_default()
}

/// Shares of spare room that are tried out, in percent: room that is bought early may be used soon, or late.
const CREDITS: [i64; 4] = [100, 70, 40, 0];

/// How early a plan saves: what it has saved, summed over the first third of its moves.
fn early(state: &State<'_>, drafts: &[Draft]) -> Money {
    let runs = |pod: usize| !state.model.pods[pod].not_running;
    let moves: Vec<i64> =
        drafts.iter().map(|draft| draft.moves.iter().filter(|(pod, _)| runs(*pod)).count() as i64).collect();
    let mut left = moves.iter().sum::<i64>() / 3;
    let mut sum = Money::ZERO;
    for (draft, moves) in drafts.iter().zip(moves) {
        left -= moves;
        sum -= draft.delta * left.max(0);
    }
    sum
}

fn in_order(state: &State<'_>, stay: &BTreeSet<NodeId>, roll: bool, credit: i64) -> Vec<Draft> {
    let mut order = RemovalOrder::of(state, stay, credit);
    let mut drafts = Vec::new();
    let mut current = Draft::default();
    while order.next_step() {
        while let Some((node, bins)) = order.next() {
            bins.into_iter().for_each(|bin| order.open(bin, &mut current));
            let closed = loop {
                match order.close(node, &mut current) {
                    Close::Done => break true,
                    Close::Wants(bin) => order.open(bin, &mut current),
                    // Other moves may open the way; else the node stays.
                    Close::HeldUp => break false,
                }
            };
            if !closed {
                continue;
            }
            // Rolling is not about money: a wave is as small as can be.
            if roll || current.delta < Money::ZERO || (current.delta == Money::ZERO && current.open.is_empty()) {
                drafts.push(std::mem::take(&mut current));
            }
        }
    }
    if !current.close.is_empty() {
        drafts.push(current);
    }
    drafts
}

/// Nodes that have to stay. Where a wave of its own helps a node to go, it gets one first.
///
/// The waves are cut to the least size of the cluster before, since a bin may have been bought for a wave that is cut.
fn unsound(state: &State<'_>, drafts: &mut Vec<Draft>, cut: &mut bool, options: &Options) -> BTreeSet<NodeId> {
    let roll = options.roll;
    for round in 0.. {
        *cut |= keep_size(state.model, drafts, options.min_cluster_size);
        let (stay, later) = if roll { Default::default() } else { doubtful(state, drafts, round) };
        if !stay.is_empty() {
            return stay;
        }
        if later.is_empty() {
            break;
        }
        *drafts = settle(state, without(state, std::mem::take(drafts), &stay, &later), roll);
    }
    disallowed(state, drafts)
}

/// Drops the wave that would leave too few nodes, and all after it. Returns whether it dropped any.
fn keep_size(model: &Model, drafts: &mut Vec<Draft>, least: usize) -> bool {
    let leaving = model.nodes.iter().filter(|node| matches!(node.held, Some((KeptReason::Deleting, _)))).count();
    let mut nodes = model.nodes.len() - leaving;
    let enough = drafts
        .iter()
        .take_while(|draft| {
            nodes = (nodes + draft.open.len()).saturating_sub(draft.close.len());
            nodes >= least
        })
        .count();
    let cut = enough < drafts.len();
    drafts.truncate(enough);
    cut
}

/// Nodes that stay, and nodes that go in waves of their own. Without this a purchase could only repeat what it replaces.
fn doubtful(state: &State<'_>, drafts: &[Draft], round: usize) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
    let mut stay = BTreeSet::new();
    let mut later = BTreeSet::new();
    for doubt in doubts(state, drafts) {
        let price = |node: NodeId| state.bins[node.bin()].price;
        let alike: Money = doubt.alike.iter().map(|node| price(*node)).sum();
        let ordered = doubt.alike.iter().any(|node| state.is_ordered(*node));
        if doubt.alike.is_empty() || price(doubt.source) <= doubt.price || round >= ROUNDS {
            stay.insert(doubt.source);
        } else if drafts[doubt.draft].delta + alike <= Money::ZERO && !ordered {
            later.extend(doubt.alike);
        } else if alike < price(doubt.source) - doubt.price {
            stay.extend(doubt.alike);
        } else {
            stay.insert(doubt.source);
        }
    }
    (stay, later)
}

/// Nodes with a pod that a broken spread does not let land when its turn comes. They stay after all.
fn disallowed(state: &State<'_>, drafts: &[Draft]) -> BTreeSet<NodeId> {
    let model = state.model;
    let mut spreads = model.broken.clone();
    let mut stay = BTreeSet::new();
    // Where pods landed in earlier drafts.
    let mut settled: BTreeSet<(usize, Option<usize>)> = BTreeSet::new();
    for draft in drafts {
        let mut landed: Vec<(NodeId, usize, Option<usize>)> = Vec::new();
        let from = |pod: usize| model.pods[pod].home;
        for moves in draft.moves.chunk_by(|a, b| from(a.0) == from(b.0)) {
            let Some(node) = moves.first().and_then(|(pod, _)| from(*pod)).filter(|node| state.is_ordered(*node))
            else {
                continue;
            };
            let (before, so_far) = (spreads.clone(), landed.len());
            let mut allowed = true;
            for (pod, bin) in moves {
                for (spread, itself) in &model.classes[model.pods[*pod].class].spreads {
                    spreads[*spread].give(model.domain(*spread, BinRef::Node(node)), -itself);
                    let to = model.domain(*spread, state.bins[*bin].bin_ref);
                    allowed &= spreads[*spread].room(to, *itself) > 0;
                    spreads[*spread].give(to, *itself);
                    landed.push((node, *spread, to));
                }
            }
            if !allowed {
                // Later moves are judged as if this node had stayed.
                stay.insert(node);
                spreads = before;
                landed.truncate(so_far);
            }
        }
        let holds = |spread: usize, to: Option<usize>| {
            let of = &spreads[spread];
            to.and_then(|to| of.counts[to]).unwrap_or(i64::MAX) <= of.least() + of.max_skew
        };
        // A pod that leaves the emptiest domain lowers the least count. Pods that landed earlier are measured by it too.
        let lowered: BTreeSet<usize> =
            settled.iter().filter(|(spread, to)| !holds(*spread, *to)).map(|(spread, _)| *spread).collect();
        for (node, spread, to) in landed {
            if lowered.contains(&spread) || !holds(spread, to) {
                stay.insert(node);
            }
            settled.insert((spread, to));
        }
    }
    stay
}

/// How often waves are looked through for purchases that bring nothing. After the last time their sources stay.
const ROUNDS: usize = 12;

/// A purchase that takes the pods of one removed node only, and brings nothing or seems to.
struct Doubt {
    draft: usize,
    source: NodeId,
    /// Of the new node.
    price: Money,
    /// Nodes of the same pool, type and zone that go in the same wave.
    alike: Vec<NodeId>,
}

/// The waves without the nodes that stay, and with those that go `later` in waves of their own.
fn without(state: &State<'_>, drafts: Vec<Draft>, stay: &BTreeSet<NodeId>, later: &BTreeSet<NodeId>) -> Vec<Draft> {
    let pods = |nodes: &BTreeSet<NodeId>| -> BTreeSet<usize> {
        nodes.iter().flat_map(|node| &state.model.nodes[*node].pods).copied().collect()
    };
    let (staying, postponed) = (pods(stay), pods(later));
    let mut all = Vec::new();
    for mut draft in drafts {
        draft.close.retain(|node| !stay.contains(node));
        draft.moves.retain(|(pod, _)| !staying.contains(pod));
        let mut second = Draft::default();
        let (close, goes_later) = draft.close.iter().partition(|node| !later.contains(node));
        draft.close = close;
        second.close = goes_later;
        let (moves, moved_later) = draft.moves.iter().partition(|(pod, _)| !postponed.contains(pod));
        draft.moves = moves;
        second.moves = moved_later;
        all.extend([draft, second].into_iter().filter(|draft| !draft.close.is_empty()));
    }
    all
}

fn doubts(state: &State<'_>, drafts: &[Draft]) -> Vec<Doubt> {
    let model = state.model;
    let mut found = Vec::new();
    // By bin: a node that its pods come from, whether all come from it, and whether the pod runs that told the node.
    let mut sources: BTreeMap<BinId, (Option<NodeId>, bool, bool)> = BTreeMap::new();
    for draft in drafts {
        for (pod, bin) in &draft.moves {
            let (node, runs) = (model.pods[*pod].home, !model.pods[*pod].not_running);
            let of = sources.entry(*bin).or_insert((node, true, runs));
            if runs && !of.2 {
                *of = (node, true, true);
            }
            of.1 &= of.0 == node || !runs;
        }
    }
    for (number, draft) in drafts.iter().enumerate() {
        for bin in &draft.open {
            // Successors of pods on nodes that are going do not come with this wave. For them alone nothing is bought.
            let mut coming =
                draft.moves.iter().filter(|(_, to)| to == bin).map(|(pod, _)| &model.pods[*pod]).peekable();
            if let Some(source) = coming.peek().and_then(|pod| pod.home)
                && coming.all(|pod| pod.is_successor)
            {
                found.push(Doubt { draft: number, source, price: Money::MAX, alike: Vec::new() });
                continue;
            }
            let (Some((Some(source), true, _)), BinRef::New(offering)) =
                (sources.get(bin).copied(), state.bins[*bin].bin_ref)
            else {
                continue;
            };
            let offering = &model.offerings[offering];
            let is_alike = |other: &NodeId| {
                let node = &model.nodes[*other];
                *other != source
                    && node.pool == Some(offering.pool)
                    && node.instance_type == offering.instance_type
                    && node.zone == offering.zone
            };
            let alike: Vec<NodeId> = draft.close.iter().copied().filter(is_alike).collect();
            let price = state.bins[*bin].price;
            if state.bins[source.bin()].price <= price || !alike.is_empty() {
                found.push(Doubt { draft: number, source, price, alike });
            }
        }
    }
    found
}

/// Buys each bin in the wave that first moves a pod to it, or never if none does. Joins waves that do not pay.
fn settle(state: &State<'_>, drafts: Vec<Draft>, roll: bool) -> Vec<Draft> {
    let mut is_bought: TiVec<BinId, bool> = vec![false; state.bins.len()].into();
    let mut settled: Vec<Draft> = Vec::new();
    for mut draft in drafts {
        draft.open.clear();
        draft.delta = -draft.close.iter().map(|node| state.bins[node.bin()].price).sum::<Money>();
        for (_, bin) in &draft.moves {
            if matches!(state.bins[*bin].bin_ref, BinRef::New(_)) && !std::mem::replace(&mut is_bought[*bin], true) {
                draft.open.push(*bin);
                draft.delta += state.bins[*bin].price;
            }
        }
        match settled.last_mut().filter(|last| !roll && last.delta > Money::ZERO) {
            Some(last) => last.join(draft),
            None => settled.push(draft),
        }
    }
    // If the last wave does not pay for itself, it joins the one before.
    while !roll && settled.len() > 1 && settled.last().is_some_and(|last| last.delta > Money::ZERO) {
        let Some(last) = settled.pop() else { break };
        if let Some(before) = settled.last_mut() {
            before.join(last);
        }
    }
    settled
}
