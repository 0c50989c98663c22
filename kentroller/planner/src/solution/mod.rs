//! A solution under search: which nodes stay, which are bought, and how many pods of each class go where.
//!
//! One invariant carries everything: a node that exists either keeps all its pods (and may be given more) or goes.
//! So pods move only off nodes that go, and any subset of the removals is feasible.

mod steps;
mod zone_moves;

use std::sync::Arc;

use typed_index_collections::TiVec;

use self::steps::Steps;
use self::zone_moves::ZoneMoves;
use crate::model::preferences::price;
use crate::model::{
    BinId, BinRef, BrokenSpread, CPU, ClassId, Counts, DIMS, MEMORY, Model, NodeId, OfferingId, TermCount, Vector, add,
    count_of_term, give, put, room, shared_room,
};
use crate::value::{Money, Percent};

/// A bin with what it was given.
#[derive(Clone, Debug)]
pub(crate) struct Bin {
    pub bin_ref: BinRef,
    /// A closed bin costs nothing and holds nothing.
    pub open: bool,
    /// What can still be given to it, its reserve left out; below zero when it is fuller than its reserve allows.
    pub free: Vector,
    pub term_counts: Vec<TermCount>,
    /// Pods given to it, by class; never a count of zero.
    pub given: Counts,
    /// The price of the open bin; nothing where it is not known.
    pub price: Money,
    /// The weight of preferences about company that the open bin leaves unmet.
    unmet: i64,
}

impl Bin {
    /// How many pods of a class it was given.
    pub(crate) fn holds(&self, class: ClassId) -> i64 {
        self.given.iter().find(|(of, _)| *of == class).map_or(0, |(_, count)| *count)
    }
}

/// What a node costs besides its price: enough to tell equal costs apart.
const NODE: Money = Money::micros(10);

/// The bins of a solution with their cost.
#[derive(Clone, Debug)]
pub(crate) struct State<'m> {
    pub model: &'m Model,
    pub bins: TiVec<BinId, Bin>,
    /// Own pods of each existing node, by class.
    pub own: Arc<TiVec<NodeId, Counts>>,
    /// By existing node: how many running pods move if it goes.
    own_moves: Arc<TiVec<NodeId, i64>>,
    /// By offering: what a new bin of it can be given.
    rooms: Arc<TiVec<OfferingId, Vector>>,
    /// Of open bins.
    pub cost: Money,
    /// Running pods on closed nodes.
    pub moved: i64,
    /// Closed nodes.
    pub removed: usize,
    /// What they cost.
    gone: Money,
    /// Open new bins by pool: count, milli-cpu, bytes.
    bought: Vec<(i64, i64, i64)>,
    /// Spreads that did not hold at the start, as they stand.
    pub spreads: Vec<BrokenSpread>,
    /// By spread and domain: pods that were given there.
    pub landed: Vec<Vec<i64>>,
    /// Nodes whose pods have a broken spread: they move in an order.
    ordered: Arc<TiVec<NodeId, bool>>,
    /// Whether those nodes stay.
    pub frozen: bool,
    /// Whether our own limit on a service's pods of one node counts. Karpenter has none.
    pub shares: bool,
    pub reserve: Percent,
    spare: Vec<BinId>,
    /// The weight of preferences that are unmet beyond those of the cluster as it is.
    pub unmet: i64,
    /// Whether they count as cost.
    pub counts_preferences: bool,
    zone_moves: ZoneMoves,
    /// What earlier steps of the plan did, which stays.
    steps: Steps,
}

impl<'m> State<'m> {
    /// What a search makes small: the cost, the price of moves, and the price of unmet preferences.
    ///
    /// A removed node runs beside its successor for ten minutes; thirty days pay for that. At equal cost fewer nodes win.
    pub(crate) fn objective(&self, churn: Money) -> Money {
        let new: i64 = self.bought.iter().map(|(count, _, _)| count).sum();
        self.cost
            + churn * self.moved
            + self.gone / (6 * 24 * 30)
            + NODE * (new - self.removed as i64)
            + if self.counts_preferences { price(self.unmet) } else { Money::ZERO }
    }

    /// The cluster as it is.
    pub(crate) fn of(model: &'m Model, reserve: Percent) -> Self {
        let own: TiVec<NodeId, Counts> = model
            .nodes
            .iter()
            .map(|node| {
                let mut counts = Counts::new();
                for pod in &node.pods {
                    give(&mut counts, model.pods[*pod].class, 1);
                }
                counts
            })
            .collect();
        let is_ordered = |own: &Counts| own.iter().any(|(class, _)| !model.classes[*class].spreads.is_empty());
        let ordered = own.iter().map(is_ordered).collect();
        let runs = |pod: &&usize| model.pods[**pod].node.is_some();
        let own_moves = model.nodes.iter().map(|node| node.pods.iter().filter(runs).count() as i64).collect();
        let rooms = model.offerings.iter().map(|offering| {
            let mut free = offering.allocatable;
            add(&mut free, &offering.daemons, -1);
            free[CPU] -= reserve.of(offering.allocatable[CPU]);
            free[MEMORY] -= reserve.of(offering.allocatable[MEMORY]);
            free
        });
        let mut state = Self {
            model,
            bins: TiVec::with_capacity(model.nodes.len() * 2),
            own: Arc::new(own),
            own_moves: Arc::new(own_moves),
            rooms: Arc::new(rooms.collect()),
            cost: Money::ZERO,
            moved: 0,
            removed: 0,
            gone: Money::ZERO,
            bought: vec![(0, 0, 0); model.limits.len()],
            spreads: model.broken.clone(),
            landed: model.broken.iter().map(|spread| vec![0; spread.counts.len()]).collect(),
            ordered: Arc::new(ordered),
            frozen: false,
            shares: true,
            reserve,
            spare: Vec::new(),
            unmet: 0,
            counts_preferences: false,
            zone_moves: ZoneMoves::none(model),
            steps: Steps::default(),
        };
        for node in model.nodes.keys() {
            let bin = state.node_bin(node);
            state.cost += bin.price;
            state.bins.push(bin);
        }
        state
    }

    fn node_bin(&self, node: NodeId) -> Bin {
        let of = &self.model.nodes[node];
        let mut free = of.allocatable;
        if of.receives {
            add(&mut free, &of.used, -1);
            free[CPU] -= self.reserve.of(of.allocatable[CPU]);
            free[MEMORY] -= self.reserve.of(of.allocatable[MEMORY]);
        } else {
            free = [-1; DIMS];
        }
        Bin {
            bin_ref: BinRef::Node(node),
            open: true,
            free,
            term_counts: of.term_counts.clone(),
            given: Counts::new(),
            price: of.price.unwrap_or_default(),
            unmet: unmet(self.model, of.term_counts.iter().map(|counted| counted.term), &of.term_counts),
        }
    }

    /// What a new bin of an offering can be given.
    pub(crate) fn room_of_offering(&self, offering: OfferingId) -> Vector {
        self.rooms[offering]
    }

    /// Whether the pool's limits allow one more node of an offering.
    pub(crate) fn may_buy(&self, offering: OfferingId) -> bool {
        let offering = &self.model.offerings[offering];
        let (limit, (count, milli_cpu, bytes)) = (&self.model.limits[offering.pool], self.bought[offering.pool]);
        limit.nodes.is_none_or(|limit| count < limit)
            && limit.milli_cpu.is_none_or(|limit| milli_cpu + offering.capacity.0 <= limit)
            && limit.bytes.is_none_or(|limit| bytes + offering.capacity.1 <= limit)
    }

    /// Opens a new, empty bin.
    pub(crate) fn buy(&mut self, offering: OfferingId) -> BinId {
        let of = &self.model.offerings[offering];
        let bin = Bin {
            bin_ref: BinRef::New(offering),
            open: true,
            free: self.room_of_offering(offering),
            term_counts: of.term_counts.clone(),
            given: Counts::new(),
            price: of.price,
            unmet: 0,
        };
        self.cost += bin.price;
        let bought = &mut self.bought[of.pool];
        bought.0 += 1;
        bought.1 += of.capacity.0;
        bought.2 += of.capacity.1;
        match self.spare.pop() {
            Some(at) => {
                self.bins[at] = bin;
                at
            }
            None => self.bins.push_and_get_key(bin),
        }
    }

    /// Whether a bin may be closed.
    pub(crate) fn may_close(&self, bin: BinId) -> bool {
        let of = &self.bins[bin];
        of.open
            && !self.is_settled(bin)
            && match of.bin_ref {
                BinRef::Node(node) => self.model.nodes[node].held.is_none() && !(self.frozen && self.ordered[node]),
                BinRef::New(_) => true,
            }
    }

    /// How many running pods move if a node goes.
    pub(crate) fn own_moves(&self, node: NodeId) -> i64 {
        self.own_moves[node]
    }

    /// The part of a bin's cpu and memory that is left.
    pub(crate) fn emptiness(&self, bin: BinId) -> f64 {
        let allocatable = match self.bins[bin].bin_ref {
            BinRef::Node(node) => &self.model.nodes[node].allocatable,
            BinRef::New(offering) => &self.model.offerings[offering].allocatable,
        };
        let part = |dim: usize| self.bins[bin].free[dim].max(0) as f64 / allocatable[dim].max(1) as f64;
        part(CPU).midpoint(part(MEMORY))
    }

    /// Closes a bin; all its pods are added to `pool`.
    pub(crate) fn close(&mut self, bin: BinId, pool: &mut Counts) {
        let of = &mut self.bins[bin];
        debug_assert!(of.open, "a closed bin cannot be closed");
        let given = std::mem::take(&mut of.given);
        of.open = false;
        self.cost -= of.price;
        self.unmet -= of.unmet;
        let bin_ref = of.bin_ref;
        for (class, count) in given {
            self.land(bin_ref, class, -count);
            give(pool, class, count);
        }
        match bin_ref {
            BinRef::Node(node) => {
                self.moved += self.own_moves(node);
                self.removed += 1;
                self.gone += self.bins[bin].price;
                for (class, count) in &self.own.clone()[node] {
                    self.count(bin_ref, *class, -count);
                    give(pool, *class, *count);
                }
            }
            BinRef::New(offering) => {
                let of = &self.model.offerings[offering];
                let bought = &mut self.bought[of.pool];
                bought.0 -= 1;
                bought.1 -= of.capacity.0;
                bought.2 -= of.capacity.1;
                self.spare.push(bin);
            }
        }
    }

    /// Whether a closed node's own pods are all in `pool`.
    pub(crate) fn may_reopen(&self, node: NodeId, pool: &Counts) -> bool {
        !self.bins[node.bin()].open
            && !self.is_settled(node.bin())
            && self.own[node].iter().all(|(class, count)| pool.iter().any(|(have, n)| have == class && n >= count))
    }

    /// Opens a closed node with its own pods, which are taken out of `pool`.
    pub(crate) fn reopen(&mut self, node: NodeId, pool: &mut Counts) {
        for (class, count) in &self.own.clone()[node] {
            self.count(BinRef::Node(node), *class, *count);
            give(pool, *class, -*count);
        }
        self.bins[node.bin()] = self.node_bin(node);
        self.cost += self.bins[node.bin()].price;
        self.unmet += self.bins[node.bin()].unmet;
        self.moved -= self.own_moves(node);
        self.removed -= 1;
        self.gone -= self.bins[node.bin()].price;
    }

    /// Undoes a trial: closes the bins that it opened, then restores the bins that it changed, last change first, and the
    /// spreads.
    pub(crate) fn take_back(
        &mut self,
        opened: impl IntoIterator<Item = BinId>,
        changed: Vec<(BinId, Bin)>,
        spreads: (Vec<BrokenSpread>, Vec<Vec<i64>>),
    ) {
        for bin in opened {
            self.close(bin, &mut Counts::new());
        }
        for (bin, was) in changed.into_iter().rev() {
            self.restore(bin, was);
        }
        (self.spreads, self.landed) = spreads;
    }

    /// Puts a bin back as it was; what was done to others since must be undone already.
    pub(crate) fn restore(&mut self, bin: BinId, was: Bin) {
        let sign = i64::from(was.open) - i64::from(self.bins[bin].open);
        self.cost += was.price * sign;
        self.weigh_bin(&was, 1);
        match was.bin_ref {
            _ if sign == 0 => {}
            BinRef::Node(node) => {
                self.moved -= sign * self.own_moves(node);
                self.removed = self.removed.wrapping_add_signed(-sign as isize);
                self.gone -= was.price * sign;
            }
            BinRef::New(offering) => {
                let of = &self.model.offerings[offering];
                let bought = &mut self.bought[of.pool];
                bought.0 += 1;
                bought.1 += of.capacity.0;
                bought.2 += of.capacity.1;
                self.spare.retain(|spare| *spare != bin);
            }
        }
        let is = std::mem::replace(&mut self.bins[bin], was);
        self.weigh_bin(&is, -1);
    }

    /// How many pods of a class an open bin may be given.
    #[inline]
    pub(crate) fn room(&self, bin: BinId, class: ClassId) -> i64 {
        let of = &self.bins[bin];
        if !of.open || !self.model.admits.get(self.model.classes[class].needs, self.model.signature(of.bin_ref)) {
            return 0;
        }
        let spread = self.spread_room(of.bin_ref, class);
        if spread <= 0 {
            return 0;
        }
        self.left(class, &of.free, &of.term_counts).min(spread)
    }

    /// How many pods of a class fit into free room beside what the terms count.
    #[inline]
    pub(crate) fn left(&self, class: ClassId, free: &Vector, term_counts: &[TermCount]) -> i64 {
        if self.shares {
            shared_room(self.model, class, free, term_counts)
        } else {
            room(self.model, class, free, term_counts)
        }
    }

    /// How many pods of a class the spreads that it owns let into a bin's domains.
    #[inline]
    pub(crate) fn spread_room(&self, bin_ref: BinRef, class: ClassId) -> i64 {
        let spreads = self.model.classes[class].spreads.iter();
        spreads
            .map(|(spread, itself)| self.spreads[*spread].room(self.model.domain(*spread, bin_ref), *itself))
            .min()
            .unwrap_or(i64::MAX)
    }

    /// The weight of preferences that pods of a class would leave unmet in a bin, whoever else is there.
    pub(crate) fn unmet_by(&self, bin_ref: BinRef, class: ClassId, count: i64) -> i64 {
        self.unmet_by_node(bin_ref, class) * count + self.zone_moves.would(self.model, bin_ref, class, count)
    }

    /// The weight of a pod's preferences among nodes that a bin leaves unmet.
    fn unmet_by_node(&self, bin_ref: BinRef, class: ClassId) -> i64 {
        let preferred_nodes = &self.model.preferences.nodes[self.model.classes[class].preferred_nodes];
        if preferred_nodes.is_empty() {
            return 0;
        }
        preferred_nodes[self.model.signature(bin_ref)]
    }

    fn weigh(&mut self, bin_ref: BinRef, class: ClassId, count: i64) {
        self.unmet +=
            self.unmet_by_node(bin_ref, class) * count + self.zone_moves.come(self.model, bin_ref, class, count);
    }

    /// Weighs what an open bin was given, or what a closed node held itself.
    fn weigh_bin(&mut self, bin: &Bin, sign: i64) {
        if bin.open {
            self.unmet += sign * bin.unmet;
            for (class, count) in &bin.given {
                self.weigh(bin.bin_ref, *class, sign * count);
            }
        } else if let BinRef::Node(node) = bin.bin_ref {
            for (class, count) in &self.own.clone()[node] {
                self.weigh(bin.bin_ref, *class, -sign * count);
            }
        }
    }

    /// Counts pods in (or out of) the domains of a bin.
    fn count(&mut self, bin_ref: BinRef, class: ClassId, count: i64) {
        self.weigh(bin_ref, class, count);
        for (spread, itself) in &self.model.classes[class].spreads {
            let domain = self.model.domain(*spread, bin_ref);
            self.spreads[*spread].give(domain, count * itself);
        }
    }

    /// The same for pods that are given, which were elsewhere before.
    fn land(&mut self, bin_ref: BinRef, class: ClassId, count: i64) {
        self.count(bin_ref, class, count);
        for (spread, _) in &self.model.classes[class].spreads {
            if let Some(domain) = self.model.domain(*spread, bin_ref) {
                self.landed[*spread][domain] += count;
            }
        }
    }

    /// Whether a node has pods whose spread does not hold: they move in an order.
    pub(crate) fn is_ordered(&self, node: NodeId) -> bool {
        self.ordered[node]
    }

    /// Whether the spreads allow every pod that was given, once all moves are made.
    pub(crate) fn spreads_hold(&self) -> bool {
        self.spreads.iter().zip(&self.landed).all(|(spread, landed)| {
            let most = spread.least() + spread.max_skew;
            landed
                .iter()
                .zip(&spread.counts)
                .all(|(landed, count)| *landed == 0 || count.is_some_and(|count| count <= most))
        })
    }

    /// Gives pods of a class to an open bin.
    pub(crate) fn put(&mut self, bin: BinId, class: ClassId, count: i64) {
        let of = &mut self.bins[bin];
        let affected = &self.model.classes[class].affected_terms;
        let was = unmet(self.model, affected.iter().copied(), &of.term_counts);
        put(self.model, class, count, &mut of.free, &mut of.term_counts);
        let more = unmet(self.model, affected.iter().copied(), &of.term_counts) - was;
        of.unmet += more;
        self.unmet += more;
        give(&mut of.given, class, count);
        let bin_ref = of.bin_ref;
        self.land(bin_ref, class, count);
    }

    /// The signature of an offering admits a class.
    pub(crate) fn offering_admits(&self, offering: OfferingId, class: ClassId) -> bool {
        self.model.admits.get(self.model.classes[class].needs, self.model.offerings[offering].signature)
    }
}

/// The weight of preferences about company that counts of some terms leave unmet.
fn unmet(model: &Model, terms: impl Iterator<Item = usize>, term_counts: &[TermCount]) -> i64 {
    let preferences = terms.filter_map(|term| Some((term, model.preferences.beside[term].as_ref()?)));
    preferences.map(|(term, wish)| wish.unmet(count_of_term(term_counts, term))).sum()
}

#[cfg(test)]
mod verdicts;
