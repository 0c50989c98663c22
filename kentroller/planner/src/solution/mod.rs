//! A solution under search: which nodes stay, which are bought, and how many pods of each class go where.
//!
//! One invariant carries everything: a node that exists either keeps all its pods (and may be given more) or goes.
//! So pods move only off nodes that go, and any subset of the removals is feasible.

mod away;

use std::sync::Arc;

use self::away::Away;
use crate::model::preferences::price;
use crate::model::{
    BrokenSpread, CPU, Counts, DIMS, MEMORY, Model, Tie, Vector, What, add, give, put, room, shared_room, tie_of,
};
use crate::value::{Money, Percent};

/// A bin with what it was given.
#[derive(Clone, Debug)]
pub(crate) struct Bin {
    pub what: What,
    /// A closed bin costs nothing and holds nothing.
    pub open: bool,
    /// What can still be given to it, its reserve left out; below zero when it is fuller than its reserve allows.
    pub free: Vector,
    pub ties: Vec<Tie>,
    /// Pods given to it, by class; never a count of zero.
    pub given: Vec<(usize, i64)>,
    /// The price of the open bin, in millionths an hour; 0 where it is not known.
    pub price: i64,
    /// The weight of wishes about company that the open bin leaves unmet.
    unmet: i64,
}

impl Bin {
    /// How many pods of a class it was given.
    pub(crate) fn holds(&self, class: usize) -> i64 {
        self.given.iter().find(|(of, _)| *of == class).map_or(0, |(_, count)| *count)
    }
}

/// What a node costs besides its price, in millionths an hour: enough to tell equal costs apart.
const NODE: i64 = 10;

/// The bins of a solution with their cost.
#[derive(Clone, Debug)]
pub(crate) struct State<'m> {
    pub model: &'m Model,
    pub bins: Vec<Bin>,
    /// Own pods of each existing node, by class.
    pub own: Arc<Vec<Counts>>,
    /// By existing node: running pods whose moving its removal means.
    own_moves: Arc<Vec<i64>>,
    /// By kind: what a new bin of it can be given.
    rooms: Arc<Vec<Vector>>,
    /// Millionths an hour, of open bins.
    pub cost: i64,
    /// Running pods on closed nodes.
    pub moved: i64,
    /// Closed nodes.
    pub removed: usize,
    /// What they cost, in millionths an hour.
    gone: i64,
    /// Open new bins by pool: count, milli-cpu, bytes.
    bought: Vec<(i64, i64, i64)>,
    /// Spreads that did not hold at the start, as they stand.
    pub spreads: Vec<BrokenSpread>,
    /// By spread and domain: pods that were given there.
    pub landed: Vec<Vec<i64>>,
    /// Nodes whose pods have a broken spread: they move in an order.
    ordered: Arc<Vec<bool>>,
    /// Whether those nodes stay.
    pub frozen: bool,
    /// Whether services are kept from ending on one node; Karpenter does not ask.
    pub shares: bool,
    pub reserve: Percent,
    spare: Vec<usize>,
    /// The weight of wishes that are unmet beyond those of the cluster as it is.
    pub unmet: i64,
    /// Whether they count as cost.
    pub is_kind: bool,
    away: Away,
}

impl<'m> State<'m> {
    /// What a search makes small, in millionths an hour: the cost, and what moves and unmet wishes cost by their price.
    ///
    /// A removed node runs ten minutes beside its successor, which thirty days pay for; of equal costs fewer nodes win.
    pub(crate) fn objective(&self, churn: i64) -> i64 {
        let new: i64 = self.bought.iter().map(|(count, _, _)| count).sum();
        self.cost
            + churn * self.moved
            + self.gone / (6 * 24 * 30)
            + NODE * (new - self.removed as i64)
            + if self.is_kind { price(self.unmet) } else { 0 }
    }

    /// The cluster as it is.
    pub(crate) fn of(model: &'m Model, reserve: Percent) -> Self {
        let own: Vec<Counts> = model
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
        let rooms = model.kinds.iter().map(|kind| {
            let mut free = kind.allocatable;
            add(&mut free, &kind.daemons, -1);
            free[CPU] -= reserve.of(kind.allocatable[CPU]);
            free[MEMORY] -= reserve.of(kind.allocatable[MEMORY]);
            free
        });
        let mut state = Self {
            model,
            bins: Vec::with_capacity(model.nodes.len() * 2),
            own: Arc::new(own),
            own_moves: Arc::new(own_moves),
            rooms: Arc::new(rooms.collect()),
            cost: 0,
            moved: 0,
            removed: 0,
            gone: 0,
            bought: vec![(0, 0, 0); model.limits.len()],
            spreads: model.broken.clone(),
            landed: model.broken.iter().map(|spread| vec![0; spread.counts.len()]).collect(),
            ordered: Arc::new(ordered),
            frozen: false,
            shares: true,
            reserve,
            spare: Vec::new(),
            unmet: 0,
            is_kind: false,
            away: Away::none(model),
        };
        for index in 0..model.nodes.len() {
            let bin = state.node_bin(index);
            state.cost += bin.price;
            state.bins.push(bin);
        }
        state
    }

    fn node_bin(&self, index: usize) -> Bin {
        let node = &self.model.nodes[index];
        let mut free = node.allocatable;
        if node.receives {
            add(&mut free, &node.used, -1);
            free[CPU] -= self.reserve.of(node.allocatable[CPU]);
            free[MEMORY] -= self.reserve.of(node.allocatable[MEMORY]);
        } else {
            free = [-1; DIMS];
        }
        Bin {
            what: What::Node(index),
            open: true,
            free,
            ties: node.ties.clone(),
            given: Counts::new(),
            price: node.price.map_or(0, Money::as_micros),
            unmet: unmet(self.model, node.ties.iter().map(|tie| tie.term), &node.ties),
        }
    }

    /// What a new bin of a kind can be given.
    pub(crate) fn room_of_kind(&self, kind: usize) -> Vector {
        self.rooms[kind]
    }

    /// Whether the pool's limits allow one more node of a kind.
    pub(crate) fn may_buy(&self, kind: usize) -> bool {
        let kind = &self.model.kinds[kind];
        let (limit, (count, milli_cpu, bytes)) = (&self.model.limits[kind.pool], self.bought[kind.pool]);
        limit.nodes.is_none_or(|limit| count < limit)
            && limit.milli_cpu.is_none_or(|limit| milli_cpu + kind.capacity.0 <= limit)
            && limit.bytes.is_none_or(|limit| bytes + kind.capacity.1 <= limit)
    }

    /// Opens a new, empty bin.
    pub(crate) fn buy(&mut self, kind: usize) -> usize {
        let of = &self.model.kinds[kind];
        let bin = Bin {
            what: What::New(kind),
            open: true,
            free: self.room_of_kind(kind),
            ties: of.ties.clone(),
            given: Counts::new(),
            price: of.price.as_micros(),
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
            None => {
                self.bins.push(bin);
                self.bins.len() - 1
            }
        }
    }

    /// Whether a bin may be closed.
    pub(crate) fn may_close(&self, bin: usize) -> bool {
        let of = &self.bins[bin];
        of.open
            && match of.what {
                What::Node(node) => self.model.nodes[node].held.is_none() && !(self.frozen && self.ordered[node]),
                What::New(_) => true,
            }
    }

    /// Running pods whose moving a node's removal means.
    pub(crate) fn own_moves(&self, node: usize) -> i64 {
        self.own_moves[node]
    }

    /// The part of a node's cpu and memory that is left.
    pub(crate) fn emptiness(&self, node: usize) -> f64 {
        let part = |dim: usize| {
            self.bins[node].free[dim].max(0) as f64 / self.model.nodes[node].allocatable[dim].max(1) as f64
        };
        part(CPU).midpoint(part(MEMORY))
    }

    /// Closes a bin; all its pods are added to `pool`.
    pub(crate) fn close(&mut self, bin: usize, pool: &mut Counts) {
        let of = &mut self.bins[bin];
        debug_assert!(of.open, "a closed bin cannot be closed");
        let given = std::mem::take(&mut of.given);
        of.open = false;
        self.cost -= of.price;
        self.unmet -= of.unmet;
        let what = of.what;
        for (class, count) in given {
            self.land(what, class, -count);
            give(pool, class, count);
        }
        match what {
            What::Node(node) => {
                self.moved += self.own_moves(node);
                self.removed += 1;
                self.gone += self.bins[bin].price;
                for (class, count) in &self.own.clone()[node] {
                    self.count(what, *class, -count);
                    give(pool, *class, *count);
                }
            }
            What::New(kind) => {
                let of = &self.model.kinds[kind];
                let bought = &mut self.bought[of.pool];
                bought.0 -= 1;
                bought.1 -= of.capacity.0;
                bought.2 -= of.capacity.1;
                self.spare.push(bin);
            }
        }
    }

    /// Whether a closed node's own pods are all in `pool`.
    pub(crate) fn may_reopen(&self, node: usize, pool: &Counts) -> bool {
        !self.bins[node].open
            && self.own[node].iter().all(|(class, count)| pool.iter().any(|(have, n)| have == class && n >= count))
    }

    /// Opens a closed node with its own pods, which are taken out of `pool`.
    pub(crate) fn reopen(&mut self, node: usize, pool: &mut Counts) {
        for (class, count) in &self.own.clone()[node] {
            self.count(What::Node(node), *class, *count);
            give(pool, *class, -*count);
        }
        self.bins[node] = self.node_bin(node);
        self.cost += self.bins[node].price;
        self.unmet += self.bins[node].unmet;
        self.moved -= self.own_moves(node);
        self.removed -= 1;
        self.gone -= self.bins[node].price;
    }

    /// Takes a trial back: closes the bins that it opened, and restores those that it changed, given in the order of the
    /// changes, and the spreads.
    pub(crate) fn take_back(
        &mut self,
        opened: impl IntoIterator<Item = usize>,
        changed: Vec<(usize, Bin)>,
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
    pub(crate) fn restore(&mut self, bin: usize, was: Bin) {
        let sign = i64::from(was.open) - i64::from(self.bins[bin].open);
        self.cost += sign * was.price;
        self.weigh_bin(&was, 1);
        match was.what {
            _ if sign == 0 => {}
            What::Node(node) => {
                self.moved -= sign * self.own_moves(node);
                self.removed = self.removed.wrapping_add_signed(-sign as isize);
                self.gone -= sign * was.price;
            }
            What::New(kind) => {
                let of = &self.model.kinds[kind];
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
    pub(crate) fn room(&self, bin: usize, class: usize) -> i64 {
        let of = &self.bins[bin];
        if !of.open || !self.model.admits.get(self.model.classes[class].needs, self.model.signature(of.what)) {
            return 0;
        }
        let spread = self.spread_room(of.what, class);
        if spread <= 0 {
            return 0;
        }
        self.left(class, &of.free, &of.ties).min(spread)
    }

    /// How many pods of a class fit into free room beside what the ties count.
    pub(crate) fn left(&self, class: usize, free: &Vector, ties: &[Tie]) -> i64 {
        if self.shares { shared_room(self.model, class, free, ties) } else { room(self.model, class, free, ties) }
    }

    /// How many pods of a class the spreads that it owns let into a bin's domains.
    pub(crate) fn spread_room(&self, what: What, class: usize) -> i64 {
        let spreads = self.model.classes[class].spreads.iter();
        spreads
            .map(|(spread, itself)| self.spreads[*spread].room(self.model.domain(*spread, what), *itself))
            .min()
            .unwrap_or(i64::MAX)
    }

    /// The weight of wishes that pods of a class would leave unmet in a bin, whoever else is there.
    pub(crate) fn unmet_by(&self, what: What, class: usize, count: i64) -> i64 {
        self.dislike(what, class) * count + self.away.would(self.model, what, class, count)
    }

    /// The weight of a pod's preferences among nodes that a bin leaves unmet.
    fn dislike(&self, what: What, class: usize) -> i64 {
        let likes = &self.model.wishes.nodes[self.model.classes[class].likes];
        if likes.is_empty() {
            return 0;
        }
        likes[self.model.signature(what)]
    }

    fn weigh(&mut self, what: What, class: usize, count: i64) {
        self.unmet += self.dislike(what, class) * count + self.away.come(self.model, what, class, count);
    }

    /// Weighs all that a bin holds, or that went with it.
    fn weigh_bin(&mut self, bin: &Bin, sign: i64) {
        if bin.open {
            self.unmet += sign * bin.unmet;
            for (class, count) in &bin.given {
                self.weigh(bin.what, *class, sign * count);
            }
        } else if let What::Node(node) = bin.what {
            for (class, count) in &self.own.clone()[node] {
                self.weigh(bin.what, *class, -sign * count);
            }
        }
    }

    /// Counts pods in (or out of) the domains of a bin.
    fn count(&mut self, what: What, class: usize, count: i64) {
        self.weigh(what, class, count);
        for (spread, itself) in &self.model.classes[class].spreads {
            let domain = self.model.domain(*spread, what);
            self.spreads[*spread].give(domain, count * itself);
        }
    }

    /// The same for pods that are given, not at home.
    fn land(&mut self, what: What, class: usize, count: i64) {
        self.count(what, class, count);
        for (spread, _) in &self.model.classes[class].spreads {
            if let Some(domain) = self.model.domain(*spread, what) {
                self.landed[*spread][domain] += count;
            }
        }
    }

    /// Whether a node has pods whose spread does not hold: they move in an order.
    pub(crate) fn is_ordered(&self, node: usize) -> bool {
        self.ordered[node]
    }

    /// Whether every pod that was given is where the spreads let it be, all moves done.
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
    pub(crate) fn put(&mut self, bin: usize, class: usize, count: i64) {
        let of = &mut self.bins[bin];
        let touched = &self.model.classes[class].touches;
        let was = unmet(self.model, touched.iter().copied(), &of.ties);
        put(self.model, class, count, &mut of.free, &mut of.ties);
        let more = unmet(self.model, touched.iter().copied(), &of.ties) - was;
        of.unmet += more;
        self.unmet += more;
        give(&mut of.given, class, count);
        let what = of.what;
        self.land(what, class, count);
    }

    /// The signature of a kind admits a class.
    pub(crate) fn kind_admits(&self, kind: usize, class: usize) -> bool {
        self.model.admits.get(self.model.classes[class].needs, self.model.kinds[kind].signature)
    }
}

/// The weight of wishes about company that counts of some terms leave unmet.
fn unmet(model: &Model, terms: impl Iterator<Item = usize>, ties: &[Tie]) -> i64 {
    let wishes = terms.filter_map(|term| Some((term, model.wishes.beside[term].as_ref()?)));
    wishes.map(|(term, wish)| wish.unmet(tie_of(ties, term))).sum()
}
