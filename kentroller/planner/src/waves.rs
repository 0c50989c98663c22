//! From a solution to waves: named pods move, and every prefix is a place to stop.
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use crate::{
    Money, Move, NewNode, Wave,
    cluster::{BrokenSpread, add, resources},
    state::{State, What},
};

/// A wave by indices: bins to open, nodes to close, and (pod, bin).
#[derive(Debug, Default)]
struct Draft {
    open: Vec<usize>,
    close: Vec<usize>,
    moves: Vec<(usize, usize)>,
    delta: i64,
}

/// The waves of a solution, cheapest way first.
pub(crate) fn waves(state: &State<'_>, before: Money, roll: bool) -> Vec<Wave> {
    let drafts = draft(state, roll);
    name(state, drafts, before)
}

/// Orders removals so that each wave pays for itself.
///
/// Room on existing nodes is there from the start. New bins open one after another, each chosen for the closed node that
/// lacks least; a wave ends as soon as what it removed outweighs what it bought.
fn draft(state: &State<'_>, roll: bool) -> Vec<Draft> {
    let mut yard = Yard::of(state);
    let mut drafts = Vec::new();
    let mut current = Draft::default();
    while let Some(node) = yard.next() {
        yard.open_for(node, &mut current);
        if !yard.close(node, &mut current) {
            // The solution holds every pod, so this cannot come to pass; the node then simply stays.
            continue;
        }
        // Rolling is not about money: a wave is as small as can be.
        if roll || current.delta < 0 || (current.delta == 0 && current.open.is_empty()) {
            drafts.push(std::mem::take(&mut current));
        }
    }
    if !current.close.is_empty() {
        drafts.push(current);
    }
    let mut settled = settle(state, drafts, roll);
    for round in 0.. {
        let (mut stay, later) = if roll { Default::default() } else { doubtful(state, &settled, round) };
        if stay.is_empty() && later.is_empty() {
            stay = disallowed(state, &settled);
        }
        if stay.is_empty() && later.is_empty() {
            break;
        }
        settled = settle(state, without(state, settled, &stay, &later), roll);
    }
    settled
}

/// Nodes that stay, and nodes that go in waves of their own, so that no purchase only repeats what it replaces.
fn doubtful(state: &State<'_>, drafts: &[Draft], round: usize) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let mut stay = BTreeSet::new();
    let mut later = BTreeSet::new();
    for doubt in doubts(state, drafts) {
        let price = |node: usize| state.bins[node].price;
        let alike: i64 = doubt.alike.iter().map(|node| price(*node)).sum();
        let ordered = doubt.alike.iter().any(|node| state.is_ordered(*node));
        if doubt.alike.is_empty() || price(doubt.source) <= doubt.price || round >= ROUNDS {
            stay.insert(doubt.source);
        } else if drafts[doubt.draft].delta + alike <= 0 && !ordered {
            later.extend(doubt.alike);
        } else if alike < price(doubt.source) - doubt.price {
            stay.extend(doubt.alike);
        } else {
            stay.insert(doubt.source);
        }
    }
    (stay, later)
}

/// Nodes that go although a broken spread would not let one of their pods land when its turn comes: they stay after all.
fn disallowed(state: &State<'_>, drafts: &[Draft]) -> BTreeSet<usize> {
    let model = state.model;
    let mut spreads = model.broken.clone();
    let domain = |spread: usize, what: What| match what {
        What::Node(node) => model.keys[model.broken[spread].key].of_node[node],
        What::New(kind) => model.keys[model.broken[spread].key].of_kind[kind],
    };
    let mut stay = BTreeSet::new();
    for draft in drafts {
        let mut home: BTreeMap<usize, usize> = BTreeMap::new();
        for node in draft.close.iter().filter(|node| state.is_ordered(**node)) {
            home.extend(model.nodes[*node].pods.iter().map(|pod| (*pod, *node)));
        }
        let mut landed: Vec<(usize, usize, Option<usize>)> = Vec::new();
        for (pod, bin) in &draft.moves {
            let Some(node) = home.get(pod).copied() else { continue };
            for (spread, itself) in &model.classes[model.pods[*pod].class].spreads {
                spreads[*spread].give(domain(*spread, What::Node(node)), -itself);
                let to = domain(*spread, state.bins[*bin].what);
                if spreads[*spread].room(to, *itself) <= 0 {
                    stay.insert(node);
                }
                spreads[*spread].give(to, *itself);
                landed.push((node, *spread, to));
            }
        }
        for (node, spread, to) in landed {
            let of = &spreads[spread];
            let here = to.and_then(|to| of.counts[to]).unwrap_or(i64::MAX);
            if here > of.least() + of.max_skew {
                stay.insert(node);
            }
        }
        if !stay.is_empty() {
            // What comes after depends on what stays: it is looked at again.
            return stay;
        }
    }
    stay
}

/// How often waves are looked through for purchases that bring nothing; after the last time their sources stay.
const ROUNDS: usize = 12;

/// A purchase that takes the pods of one removed node only, and brings nothing or seems to.
struct Doubt {
    draft: usize,
    source: usize,
    /// Of the new node.
    price: i64,
    /// Nodes of the same pool, type and zone that go in the same wave.
    alike: Vec<usize>,
}

/// The waves without the nodes that stay, and with those that go `later` in waves of their own.
fn without(state: &State<'_>, drafts: Vec<Draft>, stay: &BTreeSet<usize>, later: &BTreeSet<usize>) -> Vec<Draft> {
    let pods = |nodes: &BTreeSet<usize>| -> BTreeSet<usize> {
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
    // By bin: a node that its pods come from, one of those that run if there is any, and whether they come from one.
    let mut sources: BTreeMap<usize, (Option<usize>, bool, bool)> = BTreeMap::new();
    for draft in drafts {
        let mut home: BTreeMap<usize, usize> = BTreeMap::new();
        for node in &draft.close {
            home.extend(model.nodes[*node].pods.iter().map(|pod| (*pod, *node)));
        }
        for (pod, bin) in &draft.moves {
            let (node, runs) = (home.get(pod).copied(), !model.pods[*pod].ghost);
            let of = sources.entry(*bin).or_insert((node, true, runs));
            if runs && !of.2 {
                *of = (node, true, true);
            }
            of.1 &= of.0 == node || !runs;
        }
    }
    for (number, draft) in drafts.iter().enumerate() {
        for bin in &draft.open {
            let (Some((Some(source), true, _)), What::New(kind)) = (sources.get(bin).copied(), state.bins[*bin].what)
            else {
                continue;
            };
            let kind = &model.kinds[kind];
            let is_alike = |other: &usize| {
                let node = &model.nodes[*other];
                *other != source
                    && node.pool == Some(kind.pool)
                    && node.instance_type == kind.instance_type
                    && node.zone == kind.zone
            };
            let alike: Vec<usize> = draft.close.iter().copied().filter(is_alike).collect();
            let price = state.bins[*bin].price;
            if state.bins[source].price <= price || !alike.is_empty() {
                found.push(Doubt { draft: number, source, price, alike });
            }
        }
    }
    found
}

/// Buys each bin in the wave that first moves a pod to it (never, when none does), and joins waves that do not pay.
fn settle(state: &State<'_>, drafts: Vec<Draft>, roll: bool) -> Vec<Draft> {
    let mut is_bought = vec![false; state.bins.len()];
    let mut settled: Vec<Draft> = Vec::new();
    for mut draft in drafts {
        draft.open.clear();
        draft.delta = -draft.close.iter().map(|node| state.bins[*node].price).sum::<i64>();
        for (_, bin) in &draft.moves {
            if matches!(state.bins[*bin].what, What::New(_)) && !std::mem::replace(&mut is_bought[*bin], true) {
                draft.open.push(*bin);
                draft.delta += state.bins[*bin].price;
            }
        }
        match settled.last_mut().filter(|last| !roll && last.delta > 0) {
            Some(last) => last.join(draft),
            None => settled.push(draft),
        }
    }
    // A last wave that does not pay for itself belongs to the one before.
    while !roll && settled.len() > 1 && settled.last().is_some_and(|last| last.delta > 0) {
        let Some(last) = settled.pop() else { break };
        if let Some(before) = settled.last_mut() {
            before.join(last);
        }
    }
    settled
}

impl Draft {
    /// Both as one wave.
    fn join(&mut self, later: Self) {
        self.open.extend(later.open);
        self.close.extend(later.close);
        self.moves.extend(later.moves);
        self.delta += later.delta;
    }
}

/// At most this many bins or nodes are compared for one choice.
const COMPARED: usize = 64;

/// Slots that are open, and nodes that wait to be closed.
struct Yard<'a, 'm> {
    state: &'a State<'m>,
    /// By class: open slots, newest last.
    slots: Vec<Vec<(usize, i64)>>,
    /// By class: how many open slots there are.
    free: Vec<i64>,
    /// By class: new bins that hold it and are not open yet.
    unopened: Vec<Vec<usize>>,
    is_open: Vec<bool>,
    /// By class: nodes that wait and own it.
    owners: Vec<Vec<usize>>,
    waits: Vec<bool>,
    /// (missing pods, price negated, node), possibly stale.
    queue: BinaryHeap<Reverse<(i64, i64, usize)>>,
    /// Nodes that a broken spread holds up until other moves are made.
    held_up: Vec<usize>,
    /// Broken spreads as they stand after the moves so far.
    spreads: Vec<BrokenSpread>,
}

impl<'a, 'm> Yard<'a, 'm> {
    fn of(state: &'a State<'m>) -> Self {
        let classes = state.model.classes.len();
        let mut yard = Self {
            state,
            slots: vec![Vec::new(); classes],
            free: vec![0; classes],
            unopened: vec![Vec::new(); classes],
            is_open: vec![false; state.bins.len()],
            owners: vec![Vec::new(); classes],
            waits: vec![false; state.model.nodes.len()],
            queue: BinaryHeap::new(),
            held_up: Vec::new(),
            spreads: state.model.broken.clone(),
        };
        for (at, bin) in state.bins.iter().enumerate().filter(|(_, bin)| bin.open) {
            for (class, count) in &bin.given {
                match bin.what {
                    What::Node(_) => {
                        yard.slots[*class].push((at, *count));
                        yard.free[*class] += count;
                    }
                    What::New(_) => yard.unopened[*class].push(at),
                }
            }
        }
        for node in (0..state.model.nodes.len()).filter(|node| !state.bins[*node].open) {
            yard.waits[node] = true;
            for (class, _) in &state.own[node] {
                yard.owners[*class].push(node);
            }
        }
        for node in (0..state.model.nodes.len()).filter(|node| yard.waits[*node]).collect::<Vec<_>>() {
            yard.push(node);
        }
        yard
    }

    fn missing(&self, node: usize) -> i64 {
        self.state.own[node].iter().map(|(class, count)| (count - self.free[*class]).max(0)).sum()
    }

    fn push(&mut self, node: usize) {
        let missing = self.missing(node);
        self.queue.push(Reverse((missing, -self.state.bins[node].price, node)));
    }

    /// The node that lacks least; of equals the dearest.
    fn next(&mut self) -> Option<usize> {
        while let Some(Reverse((told, _, node))) = self.queue.pop() {
            if !self.waits[node] {
                continue;
            }
            let missing = self.missing(node);
            if missing > told {
                self.push(node);
                continue;
            }
            return Some(node);
        }
        None
    }

    /// Opens new bins until a node lacks nothing.
    fn open_for(&mut self, node: usize, draft: &mut Draft) {
        let own = &self.state.own;
        for (class, count) in &own[node] {
            while self.free[*class] < *count {
                let is_open = &self.is_open;
                self.unopened[*class].retain(|bin| !is_open[*bin]);
                let compared = self.unopened[*class].iter().copied().take(COMPARED);
                let chosen = compared.max_by_key(|bin| {
                    let given = &self.state.bins[*bin].given;
                    let useful: i64 = own[node]
                        .iter()
                        .filter_map(|(class, count)| {
                            given.iter().find(|(of, _)| of == class).map(|(_, n)| *n.min(count))
                        })
                        .sum();
                    (useful, Reverse(self.state.bins[*bin].price), Reverse(*bin))
                });
                let Some(bin) = chosen else { break };
                self.is_open[bin] = true;
                draft.open.push(bin);
                draft.delta += self.state.bins[bin].price;
                for (class, count) in &self.state.bins[bin].given {
                    self.slots[*class].push((bin, *count));
                    self.free[*class] += count;
                }
                // Whoever owns what came may lack less now; the rarest classes tell most.
                let rarest =
                    self.state.bins[bin].given.iter().min_by_key(|(class, _)| (self.owners[*class].len(), *class));
                if let Some((class, _)) = rarest.copied() {
                    let waits = &self.waits;
                    self.owners[class].retain(|node| waits[*node]);
                    for node in self.owners[class].iter().copied().take(COMPARED).collect::<Vec<_>>() {
                        self.push(node);
                    }
                }
            }
        }
    }

    /// Sends a node's pods to open slots; `false` when there are none that fit, or none that a spread allows yet.
    fn close(&mut self, node: usize, draft: &mut Draft) -> bool {
        if self.missing(node) > 0 {
            self.waits[node] = false;
            return false;
        }
        let spreads = self.spreads.clone();
        let mut moves: Vec<(usize, usize, usize)> = Vec::new();
        for pod in &self.state.model.nodes[node].pods {
            let class = self.state.model.pods[*pod].class;
            self.count(What::Node(node), class, -1);
            let slot = self.slot(class);
            let Some(slot) = slot else {
                // Back to what it was; other moves may open the way.
                self.spreads = spreads;
                for (_, bin, class) in moves {
                    self.free[class] += 1;
                    self.slots[class].push((bin, 1));
                }
                self.held_up.push(node);
                return false;
            };
            let bin = self.slots[class][slot].0;
            self.count(self.state.bins[bin].what, class, 1);
            moves.push((*pod, bin, class));
            self.slots[class][slot].1 -= 1;
            self.free[class] -= 1;
            if self.slots[class][slot].1 == 0 {
                self.slots[class].remove(slot);
            }
        }
        self.waits[node] = false;
        draft.close.push(node);
        draft.delta -= self.state.bins[node].price;
        draft.moves.extend(moves.iter().map(|(pod, bin, _)| (*pod, *bin)));
        if moves.iter().any(|(_, _, class)| !self.state.model.classes[*class].spreads.is_empty()) {
            for node in std::mem::take(&mut self.held_up) {
                self.push(node);
            }
        }
        true
    }

    /// An open slot for a pod of a class, the newest that the spreads allow.
    fn slot(&self, class: usize) -> Option<usize> {
        let spreads = &self.state.model.classes[class].spreads;
        (0..self.slots[class].len()).rev().find(|slot| {
            let what = self.state.bins[self.slots[class][*slot].0].what;
            spreads.iter().all(|(spread, itself)| self.spreads[*spread].room(self.domain(*spread, what), *itself) > 0)
        })
    }

    fn domain(&self, spread: usize, what: What) -> Option<usize> {
        let key = &self.state.model.keys[self.spreads[spread].key];
        match what {
            What::Node(node) => key.of_node[node],
            What::New(kind) => key.of_kind[kind],
        }
    }

    fn count(&mut self, what: What, class: usize, count: i64) {
        for (spread, itself) in &self.state.model.classes[class].spreads {
            let domain = self.domain(*spread, what);
            self.spreads[*spread].give(domain, count * itself);
        }
    }
}

fn name(state: &State<'_>, drafts: Vec<Draft>, before: Money) -> Vec<Wave> {
    let model = state.model;
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    let mut hourly = before;
    let mut waves = Vec::new();
    for draft in drafts {
        let mut wave = Wave::default();
        for bin in &draft.open {
            let name = format!("new-{}", names.len() + 1);
            if let What::New(kind) = state.bins[*bin].what {
                wave.add.push(new_node(state, *bin, kind, name.clone()));
            }
            names.insert(*bin, name);
        }
        wave.remove = draft.close.iter().map(|node| model.nodes[*node].name.clone()).collect();
        // Receiver by receiver, the largest pods first.
        let mut moves: Vec<(usize, usize)> = draft.moves;
        moves.retain(|(pod, _)| model.pods[*pod].node.is_some() && !model.pods[*pod].ghost);
        // Moves of pods with a broken spread come first, in the order in which each was allowed.
        let in_order = |pod: usize| !model.classes[model.pods[pod].class].spreads.is_empty();
        let count = moves.len();
        let ranks: BTreeMap<usize, usize> = moves
            .iter()
            .enumerate()
            .map(|(rank, (pod, _))| (*pod, if in_order(*pod) { rank } else { count }))
            .collect();
        moves.sort_by_key(|(pod, bin)| {
            let request = &model.classes[model.pods[*pod].class].request;
            (ranks[pod], *bin, Reverse((request[0], request[1])), *pod)
        });
        for (pod, bin) in moves {
            let unit = &model.pods[pod];
            let to = match state.bins[bin].what {
                What::Node(node) => model.nodes[node].name.clone(),
                What::New(_) => names.get(&bin).cloned().unwrap_or_default(),
            };
            let from = unit.node.map(|node| model.nodes[node].name.clone()).unwrap_or_default();
            wave.moves.push(Move { pod: unit.name.clone(), from, to });
        }
        hourly += Money::micros(draft.delta);
        wave.hourly_after = hourly;
        wave.reason = reason(&wave, Money::micros(-draft.delta));
        waves.push(wave);
    }
    waves
}

fn reason(wave: &Wave, saved: Money) -> String {
    let nodes = |count: usize| if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
    let what = match (wave.remove.len(), wave.add.len(), wave.moves.len()) {
        (gone, 0, 0) => format!("{} without pods", nodes(gone)),
        (gone, 0, moves) => format!("{moves} pods of {} fit on others", nodes(gone)),
        (gone, new, moves) => format!("{} replaced by {new} new, {moves} pods move", nodes(gone)),
    };
    format!("{what}: saves {saved} USD/h")
}

fn new_node(state: &State<'_>, bin: usize, kind: usize, name: String) -> NewNode {
    let model = state.model;
    let of = &model.kinds[kind];
    let mut requests = of.daemons;
    for (class, count) in &state.bins[bin].given {
        add(&mut requests, &model.classes[*class].request, *count);
    }
    NewNode {
        name,
        node_pool: of.pool_name.clone(),
        instance_type: of.instance_type.clone(),
        zone: of.zone.clone(),
        capacity_type: of.capacity_type.clone(),
        price: of.price,
        alternatives: model.shelf.alternatives(model, kind, &state.bins[bin].given, state.reserve),
        requests: resources(&requests, &model.dims),
        labels: of.place.labels.clone(),
        taints: of.place.taints.clone(),
    }
}
