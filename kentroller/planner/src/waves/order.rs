//! The order in which a solution's removals can be made: which slots are open, and which nodes wait.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use typed_index_collections::TiVec;

use super::draft::Draft;
use crate::model::{BinId, BinRef, BrokenSpread, ClassId, Counts, DIMS, NodeId, PODS, add};
use crate::solution::State;
use crate::value::Money;

/// At most this many bins or nodes are compared for one choice.
const COMPARED: usize = 64;

/// How closing a node ended.
pub(crate) enum Close {
    Done,
    /// A spread allows one of its pods only in a bin that is not open yet.
    Wants(BinId),
    /// A spread allows one of its pods nowhere now.
    HeldUp,
}

/// Slots that are open, and nodes that wait to be closed.
pub(crate) struct RemovalOrder<'a, 'm> {
    state: &'a State<'m>,
    /// By class: open slots, newest last.
    slots: TiVec<ClassId, Vec<(BinId, i64)>>,
    /// By class: how many open slots there are.
    free: TiVec<ClassId, i64>,
    /// By class: new bins that hold it and are not open yet.
    unopened: TiVec<ClassId, Vec<BinId>>,
    is_open: TiVec<BinId, bool>,
    /// By class: nodes that wait and own it.
    owners: TiVec<ClassId, Vec<NodeId>>,
    waits: TiVec<NodeId, bool>,
    /// By class: what a place for a pod costs where it is bought. Unit: millionths of a US dollar an hour.
    worth: TiVec<ClassId, i64>,
    /// (what each move saves, node), the best first, possibly stale.
    queue: BinaryHeap<(i64, Reverse<NodeId>)>,
    /// By step of the plan: the nodes that wait for their step to come.
    later: Vec<Vec<NodeId>>,
    /// How much of what is bought in advance counts as gained. Unit: percent.
    credit: i64,
    /// Nodes that a broken spread holds up until other moves are made.
    held_up: Vec<NodeId>,
    /// Broken spreads as they stand after the moves so far.
    spreads: Vec<BrokenSpread>,
}

impl<'a, 'm> RemovalOrder<'a, 'm> {
    /// `stay`: closed nodes that are to stay after all. `credit`: how much of the room that is bought for later moves counts as
    /// gained, in percent.
    pub(crate) fn of(state: &'a State<'m>, stay: &BTreeSet<NodeId>, credit: i64) -> Self {
        let classes = state.model.classes.len();
        let mut order = Self {
            state,
            slots: vec![Vec::new(); classes].into(),
            free: vec![0; classes].into(),
            unopened: vec![Vec::new(); classes].into(),
            is_open: vec![false; state.bins.len()].into(),
            owners: vec![Vec::new(); classes].into(),
            waits: vec![false; state.model.nodes.len()].into(),
            worth: worth(state),
            queue: BinaryHeap::new(),
            later: vec![Vec::new(); state.steps()],
            credit,
            held_up: Vec::new(),
            spreads: state.model.broken.clone(),
        };
        for (at, bin) in state.bins.iter_enumerated().filter(|(_, bin)| bin.open) {
            for (class, count) in &bin.given {
                match bin.bin_ref {
                    BinRef::Node(_) => {
                        order.slots[*class].push((at, *count));
                        order.free[*class] += count;
                    }
                    BinRef::New(_) => order.unopened[*class].push(at),
                }
            }
        }
        for node in state.model.nodes.keys().filter(|node| !state.bins[node.bin()].open && !stay.contains(node)) {
            order.later[state.step_of(node.bin())].push(node);
        }
        order.later.reverse();
        order
    }

    /// Lets the nodes of the next step come; whether there is one.
    pub(crate) fn next_step(&mut self) -> bool {
        let Some(nodes) = self.later.pop() else { return false };
        for node in nodes {
            self.waits[node] = true;
            for (class, _) in &self.state.own[node] {
                self.owners[*class].push(node);
            }
            self.push(node);
        }
        for node in std::mem::take(&mut self.held_up) {
            self.push(node);
        }
        true
    }

    fn missing(&self, node: NodeId) -> i64 {
        self.state.own[node].iter().map(|(class, count)| (count - self.free[*class]).max(0)).sum()
    }

    fn push(&mut self, node: NodeId) {
        self.queue.push((self.saving_per_move(node), Reverse(node)));
    }

    /// What the places are worth that the pods of a node lack. Unit: millionths of a US dollar an hour.
    fn lacks(&self, node: NodeId) -> i64 {
        let own = self.state.own[node].iter();
        own.map(|(class, count)| (count - self.free[*class]).max(0) * self.worth[*class]).sum()
    }

    /// What each move off a node saves, if places that it lacks cost what they are worth.
    fn saving_per_move(&self, node: NodeId) -> i64 {
        self.per_move(node, self.state.bins[node.bin()].price.as_micros() - self.lacks(node))
    }

    /// Unit: thousandths of a millionth of a US dollar an hour. A node without running pods comes before all others.
    fn per_move(&self, node: NodeId, micros: i64) -> i64 {
        match self.state.own_moves(node) {
            0 => i64::MAX / 2 + micros.clamp(-1 << 60, 1 << 60),
            moves => micros.saturating_mul(1000) / moves,
        }
    }

    /// The node to close next, with the new bins that it waits for: the one whose moves save most.
    ///
    /// What is bought for it and holds more than its pods has a value for later moves.
    pub(crate) fn next(&mut self) -> Option<(NodeId, Vec<BinId>)> {
        let mut best: Option<(i64, NodeId, Vec<BinId>)> = None;
        let mut looked: Vec<NodeId> = Vec::new();
        while looked.len() < COMPARED {
            let Some((told, Reverse(node))) = self.queue.pop() else { break };
            if !self.waits[node] || looked.contains(&node) {
                continue;
            }
            let now = self.saving_per_move(node);
            if now < told {
                self.push(node);
                continue;
            }
            looked.push(node);
            let bins = self.wanted(node);
            let saves = self.per_move(node, self.saving(node, &bins));
            if best.as_ref().is_none_or(|(most, _, _)| saves > *most) {
                best = Some((saves, node, bins));
            }
            if self.missing(node) == 0 {
                break;
            }
        }
        let (_, node, bins) = best?;
        looked.into_iter().filter(|other| *other != node).for_each(|other| self.push(other));
        Some((node, bins))
    }

    /// What a node costs less the new bins that it waits for, part of whose spare room counts as gained.
    fn saving(&self, node: NodeId, bins: &[BinId]) -> i64 {
        let cost: i64 = bins.iter().map(|bin| self.state.bins[*bin].price.as_micros()).sum();
        let spare = (cost - self.lacks(node)).max(0);
        self.state.bins[node.bin()].price.as_micros() - cost + spare * self.credit / 100
    }

    /// New bins that together hold what a node lacks. Each is the most useful for its price when it is chosen.
    fn wanted(&mut self, node: NodeId) -> Vec<BinId> {
        let own = self.state.own[node].iter().map(|(class, count)| (*class, count - self.free[*class]));
        let mut lacks: Counts = own.filter(|(_, lack)| *lack > 0).collect();
        let mut bins: Vec<BinId> = Vec::new();
        let step = self.state.step_of(node.bin());
        while let Some((class, _)) = lacks.first().copied() {
            let is_open = &self.is_open;
            self.unopened[class].retain(|bin| !is_open[*bin]);
            let compared = self.unopened[class].iter().copied().filter(|bin| !bins.contains(bin)).take(COMPARED);
            let chosen = compared.max_by_key(|bin| {
                let of = &self.state.bins[*bin];
                let useful = lacks.iter().map(|(class, lack)| of.holds(*class).min(*lack)).sum();
                let step = Reverse(self.state.step_of(*bin).max(step));
                (step, per_price(useful, of.price), Reverse(of.price), Reverse(*bin))
            });
            // The solution has a place for every pod. A place that is not to be had now waits for other moves.
            let Some(bin) = chosen else { break };
            bins.push(bin);
            for (class, lack) in &mut lacks {
                *lack -= self.state.bins[bin].holds(*class);
            }
            lacks.retain(|(_, lack)| *lack > 0);
        }
        bins
    }

    pub(crate) fn open(&mut self, bin: BinId, draft: &mut Draft) {
        self.is_open[bin] = true;
        draft.open.push(bin);
        draft.delta += self.state.bins[bin].price;
        for (class, count) in &self.state.bins[bin].given {
            self.slots[*class].push((bin, *count));
            self.free[*class] += count;
        }
        // Nodes with pods of the new bin's classes may lack less now. Some of each class are looked at.
        for (class, _) in self.state.bins[bin].given.clone() {
            let waits = &self.waits;
            self.owners[class].retain(|node| waits[*node]);
            for node in self.owners[class].iter().copied().take(COMPARED).collect::<Vec<_>>() {
                self.push(node);
            }
        }
    }

    /// Sends a node's pods to open slots.
    pub(crate) fn close(&mut self, node: NodeId, draft: &mut Draft) -> Close {
        if self.missing(node) > 0 {
            // The solution has a place for every pod, so this cannot happen. If it did, the node would stay.
            self.waits[node] = false;
            return Close::HeldUp;
        }
        let spreads = self.spreads.clone();
        let mut moves: Vec<(usize, BinId, ClassId)> = Vec::new();
        for pod in &self.state.model.nodes[node].pods {
            let class = self.state.model.pods[*pod].class;
            self.count(BinRef::Node(node), class, -1);
            let slot = self.slot(node, class);
            let Some(slot) = slot else {
                let unopened = self.unopened[class].iter().copied().filter(|bin| !self.is_open[*bin]);
                let wanted =
                    unopened.filter(|bin| self.is_allowed(*bin, class)).min_by_key(|bin| self.state.bins[*bin].price);
                self.spreads = spreads;
                for (_, bin, class) in moves {
                    self.free[class] += 1;
                    self.slots[class].push((bin, 1));
                }
                if wanted.is_none() {
                    self.held_up.push(node);
                }
                return wanted.map_or(Close::HeldUp, Close::Wants);
            };
            let bin = self.slots[class][slot].0;
            self.count(self.state.bins[bin].bin_ref, class, 1);
            moves.push((*pod, bin, class));
            self.slots[class][slot].1 -= 1;
            self.free[class] -= 1;
            if self.slots[class][slot].1 == 0 {
                self.slots[class].remove(slot);
            }
        }
        self.waits[node] = false;
        draft.close.push(node);
        draft.delta -= self.state.bins[node.bin()].price;
        draft.moves.extend(moves.iter().map(|(pod, bin, _)| (*pod, *bin)));
        if moves.iter().any(|(_, _, class)| !self.state.model.classes[*class].spreads.is_empty()) {
            for node in std::mem::take(&mut self.held_up) {
                self.push(node);
            }
        }
        Close::Done
    }

    /// An open slot for a pod of a class, among those that the spreads allow: the newest one that keeps its zone, else the newest.
    fn slot(&self, node: NodeId, class: ClassId) -> Option<usize> {
        let bin = |slot: &usize| self.slots[class][*slot].0;
        let mut allowed = (0..self.slots[class].len()).rev().filter(|slot| self.is_allowed(bin(slot), class));
        let is_near = |slot: &usize| {
            let preferences = &self.state.model.preferences;
            let bin_ref = self.state.bins[bin(slot)].bin_ref;
            self.state.model.classes[class]
                .zone_affinity
                .iter()
                .all(|(home, _)| preferences.zone_affinity[*home].keeps(node, bin_ref))
        };
        let newest = allowed.next()?;
        Some([newest].into_iter().chain(allowed).find(is_near).unwrap_or(newest))
    }

    fn is_allowed(&self, bin: BinId, class: ClassId) -> bool {
        let bin_ref = self.state.bins[bin].bin_ref;
        let spreads = &self.state.model.classes[class].spreads;
        spreads
            .iter()
            .all(|(spread, itself)| self.spreads[*spread].room(self.state.model.domain(*spread, bin_ref), *itself) > 0)
    }

    fn count(&mut self, bin_ref: BinRef, class: ClassId, count: i64) {
        for (spread, itself) in &self.state.model.classes[class].spreads {
            let domain = self.state.model.domain(*spread, bin_ref);
            self.spreads[*spread].give(domain, count * itself);
        }
    }
}

/// An amount divided by a price, large enough to tell small differences apart.
fn per_price(amount: i64, price: Money) -> i64 {
    amount.saturating_mul(1_000_000_000) / price.as_micros().max(1)
}

/// By class: what a place for one pod costs in the new bins of a solution. A pod pays for its mean share of what a bin was given.
fn worth(state: &State<'_>) -> TiVec<ClassId, i64> {
    let mut paid: TiVec<ClassId, (i64, i64)> = vec![(0, 0); state.model.classes.len()].into();
    for bin in state.bins.iter().filter(|bin| bin.open && matches!(bin.bin_ref, BinRef::New(_))) {
        let mut whole = [0; DIMS];
        bin.given.iter().for_each(|(class, count)| add(&mut whole, &state.model.classes[*class].request, *count));
        // A pod itself is a resource of which every pod has one: it says little.
        let dims = whole.iter().enumerate().filter(|(dim, sum)| *dim != PODS && **sum > 0).count().max(1) as f64;
        for (class, count) in &bin.given {
            let request = &state.model.classes[*class].request;
            let share: f64 = (0..DIMS)
                .filter(|dim| *dim != PODS && whole[*dim] > 0)
                .map(|dim| request[dim] as f64 / whole[dim] as f64)
                .sum();
            let of = &mut paid[*class];
            of.0 += (bin.price.as_f64() * share / dims) as i64 * count;
            of.1 += count;
        }
    }
    paid.into_iter().map(|(sum, count)| if count == 0 { 0 } else { sum / count }).collect()
}
