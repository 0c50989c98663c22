//! Plays a plan on the board and writes down what is wrong.

mod bought;

use std::collections::{BTreeMap, BTreeSet};

use self::bought::Purchase;
use super::bill::Bill;
use super::board::{Board, Found, Host, Origin, Role};
use super::eviction::Evictions;
use super::limits::Limits;
use super::neighbours::Neighbours;
use super::offering::{Offers, Stated};
use super::placement::{node_faults, room_faults};
use super::prices::Prices;
use super::spread::Spread;
use super::violation::{Fault, Faults, Violation};
use super::volumes::Volumes;
use super::waiting::{Others, Waiting, reserve_faults};
use super::{budgets, disruption};
use crate::manifest::Node;
use crate::manifest::marks::{CAPACITY_TYPE, NODE_POOL};
use crate::value::{Catalog, Mode, Money, Move, MoveLimit, NewNode, Options, Plan, Snapshot, Wave};

/// More reasons than this are not told.
pub(super) const ENOUGH: usize = 1_000;

/// Pool, type, zone and capacity type: what makes two nodes alike.
type Likeness<'a> = (&'a str, &'a str, &'a str, &'a str);

/// A plan in the middle of being judged.
pub(super) struct Judge<'a> {
    pub(super) found: Vec<Violation>,
    plan: &'a Plan,
    options: &'a Options,
    board: Board<'a>,
    offers: Offers<'a>,
    neighbours: Neighbours,
    spread: Spread<'a>,
    volumes: Volumes<'a>,
    evictions: Evictions<'a>,
    limits: Limits<'a>,
    waiting: Waiting<'a>,
    bill: Bill,
    zero_budgets: BTreeMap<(&'a str, &'static str), String>,
    /// Every node is replaced, saving or not.
    roll: bool,
    wave: Option<usize>,
    /// Hosts without workload pods when the plan was made.
    empty: BTreeSet<usize>,
    removed: usize,
    /// The cpu of the nodes that go, in thousandths.
    removed_cpu: i64,
    moved: usize,
    /// Pods whose eviction was judged.
    judged: BTreeSet<usize>,
    /// New nodes that could not even be put on the board.
    unbuilt: BTreeSet<&'a str>,
    /// What this wave buys, and what it gives up.
    bought: Vec<(Likeness<'a>, &'a str)>,
    given_up: BTreeSet<Likeness<'a>>,
    /// By host.
    purchases: BTreeMap<usize, Purchase<'a>>,
    /// By host: pods that this wave brought it.
    arrived: BTreeMap<usize, Vec<usize>>,
    /// Nodes that pods of more than one node move to, in all waves.
    gathering: BTreeSet<&'a str>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, catalog: &'a Catalog, options: &'a Options, plan: &'a Plan) -> Self {
        let mut board = Board::new(snapshot);
        let prices = Prices::new(snapshot, catalog, &plan.region);
        let mut faults = Vec::new();
        let regions: BTreeSet<&str> = snapshot.nodes.iter().filter_map(Node::region).collect();
        if !regions.is_empty() && !regions.contains(plan.region.as_str()) {
            let text = format!("region is {:?}, the nodes are in {regions:?}", plan.region);
            faults.push((Fault::UnknownName, text));
        }
        let bill = Bill::new(&board, &prices, plan, &mut faults);
        let volumes = Volumes::new(snapshot, options.aggressive.ignore_local_persistent_volumes);
        let offers = Offers::new(&board, prices, options);
        let mut neighbours = Neighbours::new(&mut board);
        let mut spread = Spread::default();
        let mut others = Others { neighbours: &mut neighbours, spread: &mut spread, volumes: &volumes };
        let waiting = Waiting::new(&mut board, &mut others, options);
        let workload = |host: &Host<'_>| host.pods.iter().any(|body| board.bodies[*body].role == Role::Workload);
        let empty = board.standing().filter(|(_, host)| !workload(host)).map(|(at, _)| at).collect();
        let mut judge = Self {
            found: Vec::new(),
            evictions: Evictions::new(&board, options),
            limits: Limits::new(&board),
            plan,
            options,
            board,
            offers,
            neighbours,
            spread,
            volumes,
            waiting,
            bill,
            zero_budgets: budgets::zeros(snapshot),
            // An explicit zero means: replace regardless.
            roll: options.roll || options.min_savings.is_some_and(|wanted| wanted.parts() == 0),
            wave: None,
            empty,
            removed: 0,
            removed_cpu: 0,
            moved: 0,
            judged: BTreeSet::new(),
            unbuilt: BTreeSet::new(),
            bought: Vec::new(),
            given_up: BTreeSet::new(),
            purchases: BTreeMap::new(),
            arrived: BTreeMap::new(),
            gathering: gathering(plan),
        };
        judge.report("", faults);
        judge
    }

    fn report(&mut self, object: &str, faults: Faults) {
        for (fault, text) in faults {
            self.say(fault, object, text);
        }
    }

    fn say(&mut self, fault: Fault, object: &str, text: String) {
        if self.found.len() >= ENOUGH {
            return;
        }
        self.found.push(Violation { wave: self.wave, fault, object: object.to_owned(), text });
    }

    /// Plays one wave: new nodes come, pods move in the order given, emptied nodes go.
    pub(super) fn play(&mut self, number: usize, wave: &'a Wave) {
        self.wave = Some(number);
        let new: Vec<usize> = wave.add.iter().filter_map(|planned| self.buy(planned)).collect();
        let leaving = self.mark_leaving(wave);
        if !wave.moves.is_empty() && self.options.mode == Mode::DeleteEmpty {
            self.say(Fault::Mode, "", format!("moves: {} pods move, the mode is delete-empty", wave.moves.len()));
        }
        let mut moved_now = BTreeSet::new();
        for step in &wave.moves {
            self.play_move(step, &leaving, &mut moved_now);
        }
        self.moved = self.moved.saturating_add(wave.moves.len());
        for host in &leaving {
            self.take_away(*host);
        }
        if !leaving.is_empty() {
            let left = self.board.alive();
            if left < self.options.min_cluster_size {
                let text =
                    format!("remove: {left} nodes are left, minClusterSize is {}", self.options.min_cluster_size);
                self.say(Fault::MinClusterSize, "", text);
            }
        }
        let arrived = std::mem::take(&mut self.arrived);
        for host in arrived.keys().chain(&new).copied().collect::<BTreeSet<usize>>() {
            self.look_at_new(host, new.contains(&host), arrived.get(&host).map_or(&[][..], Vec::as_slice));
        }
        self.stand(wave, arrived.keys());
    }

    /// What must hold whenever a plan stops.
    fn stand<'h>(&mut self, wave: &Wave, given: impl Iterator<Item = &'h usize>) {
        let given_up = std::mem::take(&mut self.given_up);
        for ((pool, of, zone, capacity), name) in std::mem::take(&mut self.bought) {
            // A new node that gathers pods of several nodes replaces none of them by its like.
            let gathers = self.gathering.contains(name);
            if given_up.contains(&(pool, of, zone, capacity)) && !gathers && !self.roll {
                let text =
                    format!("add: this wave removes a node of the same pool {pool}, {of} in {zone:?} as {capacity}");
                self.say(Fault::LikeForLike, name, text);
            }
        }
        let mut faults = reserve_faults(&self.board, given, self.options.reserve);
        let mut others = Others { neighbours: &mut self.neighbours, spread: &mut self.spread, volumes: &self.volumes };
        faults.extend(self.waiting.faults(&mut self.board, &mut others));
        faults.extend(self.waiting.headroom_faults(&self.board, self.options));
        for (fault, object, text) in faults {
            self.say(fault, &object, text);
        }
        let faults = self.bill.after_wave(wave.hourly_after, self.roll);
        self.report("", faults);
    }

    /// Puts a new node on the board.
    fn buy(&mut self, planned: &'a NewNode) -> Option<usize> {
        let name = planned.name.as_str();
        self.bill.buy(planned.price);
        if self.options.mode != Mode::Full {
            self.say(Fault::Mode, name, "add: this mode buys no nodes".to_owned());
        }
        if name.is_empty() || !matches!(self.board.host(name), Found::None) || self.unbuilt.contains(name) {
            self.say(Fault::Duplicate, name, "add: the name is empty or taken".to_owned());
            return None;
        }
        let faults = self.offers.pool_faults(&planned.node_pool);
        self.report(name, faults);
        let mut faults = Vec::new();
        let stated = Stated {
            instance_type: &planned.instance_type,
            zone: &planned.zone,
            capacity_type: &planned.capacity_type,
            price: planned.price,
        };
        let host = self.offers.judge(planned, stated, &mut faults);
        self.report(name, faults);
        let (Some(host), Some(pool)) = (host, self.offers.pool(&planned.node_pool)) else {
            self.unbuilt.insert(name);
            return None;
        };
        let faults = bought::label_faults(planned, &host);
        self.report(name, faults);
        let types = planned.alternatives.iter().map(|other| &other.instance_type).chain([&planned.instance_type]);
        let types: BTreeSet<&String> = types.collect();
        let catalog = self.offers.prices.catalog;
        let region = self.offers.prices.region;
        let sizes =
            types.iter().filter_map(|name| catalog.instance_type(region, name)).map(|priced| &priced.instance_type);
        let faults = self.limits.add(pool, sizes);
        self.report(name, faults);
        let likeness: Likeness<'a> =
            (&planned.node_pool, &planned.instance_type, &planned.zone, planned.capacity_type.as_str());
        self.bought.push((likeness, name));
        let (instead, faults) = self.alternatives(&host, planned);
        self.report(name, faults);
        let daemons = host.used.clone();
        let at = self.board.add_host(host);
        self.purchases.insert(at, Purchase { daemons, instead });
        Some(at)
    }

    /// Judges the nodes that a wave removes, and closes them to new pods.
    fn mark_leaving(&mut self, wave: &'a Wave) -> Vec<usize> {
        let mut leaving = Vec::new();
        for name in &wave.remove {
            let at = match self.board.host(name) {
                Found::One(at) => at,
                Found::None => {
                    self.say(Fault::UnknownName, name, "remove: there is no such node".to_owned());
                    continue;
                }
                Found::Several => {
                    self.say(Fault::AmbiguousName, name, "remove: two nodes have this name".to_owned());
                    continue;
                }
            };
            if self.board.hosts[at].gone || leaving.contains(&at) {
                self.say(Fault::Duplicate, name, "remove: the plan removes it twice".to_owned());
                continue;
            }
            leaving.push(at);
            self.removed += 1;
            let host = &self.board.hosts[at];
            if let Origin::Live { node, .. } = &host.origin {
                let cpu = node.status.capacity.get("cpu").or_else(|| node.status.allocatable.get("cpu"));
                self.removed_cpu = self.removed_cpu.saturating_add(cpu.map_or(0, |cpu| cpu.milli()));
            }
            let was_empty = self.empty.contains(&at);
            let mut faults = disruption::removal_faults(
                &self.board,
                host,
                was_empty,
                self.options,
                &self.offers.prices,
                &self.zero_budgets,
            );
            faults.extend(over_allocatable(host).map(|text| (Fault::OverAllocatable, text)));
            if self.options.mode == Mode::DeleteEmpty && !was_empty {
                faults.push((Fault::Mode, "remove: it runs pods, the mode is delete-empty".to_owned()));
            }
            self.bill.drop(self.offers.prices.of_live(host).map_or(Money::ZERO, |price| price.amount));
            if let Origin::Live { node, .. } = host.origin
                && disruption::receiver_faults(&self.board, host, self.options).is_empty()
                && !disruption::is_cordoned(host)
            {
                let label = |key: &str| node.metadata.labels.get(key).map_or("", String::as_str);
                let (of, zone) = (node.instance_type().unwrap_or_default(), node.zone().unwrap_or_default());
                self.given_up.insert((label(NODE_POOL), of, zone, label(CAPACITY_TYPE)));
            }
            self.report(name, faults);
        }
        for at in &leaving {
            self.board.cordon(*at);
        }
        leaving
    }

    fn play_move(&mut self, step: &'a Move, leaving: &[usize], moved_now: &mut BTreeSet<usize>) {
        let name = step.pod.to_string();
        let body = match self.board.body(&step.pod.namespace, &step.pod.name) {
            Found::One(body) => body,
            Found::None => return self.say(Fault::UnknownName, &name, "moves: there is no such pod".to_owned()),
            Found::Several => {
                return self.say(Fault::AmbiguousName, &name, "moves: two pods have this name".to_owned());
            }
        };
        let Some(from) = self.board.bodies[body].host.filter(|_| self.board.bodies[body].role == Role::Workload) else {
            let role = self.board.bodies[body].role;
            return self.say(Fault::NotMovable, &name, format!("moves: the plan cannot move it, it is {role:?}"));
        };
        if !moved_now.insert(body) {
            self.say(Fault::Duplicate, &name, "moves: it moves twice in one wave".to_owned());
        }
        if self.board.hosts[from].name != step.from {
            let text = format!("moves.from is {:?}, it runs on {:?}", step.from, self.board.hosts[from].name);
            self.say(Fault::WrongOrigin, &name, text);
        }
        if !leaving.contains(&from) {
            let faults = disruption::origin_faults(&self.board.hosts[from], self.options);
            self.report(&name, faults);
        }
        if self.judged.insert(body) {
            let faults = self.evictions.faults(&self.board, &self.volumes, body);
            self.report(&name, faults);
        }
        let to = match self.board.host(&step.to) {
            Found::One(to) => to,
            Found::None if self.unbuilt.contains(step.to.as_str()) => return,
            Found::None => {
                let text = format!("moves.to is {:?}: there is no such node, and no wave so far adds it", step.to);
                return self.say(Fault::UnknownName, &name, text);
            }
            Found::Several => {
                return self.say(
                    Fault::AmbiguousName,
                    &name,
                    format!("moves.to is {:?}: two nodes have this name", step.to),
                );
            }
        };
        if to == from {
            return self.say(Fault::WrongOrigin, &name, format!("moves.to is {:?}, where it runs", step.to));
        }
        let mut faults = disruption::receiver_faults(&self.board, &self.board.hosts[to], self.options);
        if leaving.contains(&to) {
            faults.push((Fault::Receiver, format!("to {}: this wave removes it", step.to)));
        }
        self.board.lift(body);
        faults.extend(node_faults(&self.board, self.board.bodies[body].class, to));
        faults.extend(room_faults(&self.board, body, to));
        faults.extend(self.volumes.host_faults(&self.board, body, &self.board.hosts[to]));
        faults.extend(self.neighbours.faults(&mut self.board, body, to));
        faults.extend(self.spread.faults(&mut self.board, body, to));
        self.board.put(body, to);
        self.arrived.entry(to).or_default().push(body);
        self.report(&name, faults);
    }

    /// Removes a node after the moves of its wave.
    fn take_away(&mut self, at: usize) {
        for body in self.board.hosts[at].pods.clone() {
            let name = self.board.bodies[body].pod.metadata.key().to_string();
            let faults = match self.board.bodies[body].role {
                Role::Workload if Evictions::is_stuck(&self.board, body) => Vec::new(),
                Role::Workload if self.evictions.may_vanish(&self.board, &self.volumes, body) => {
                    self.evictions.faults(&self.board, &self.volumes, body)
                }
                Role::Workload => {
                    let mut faults = self.evictions.faults(&self.board, &self.volumes, body);
                    let text = format!("remove {}: the pod still runs there", self.board.hosts[at].name);
                    faults.push((Fault::NotEmpty, text));
                    faults
                }
                _ => self.evictions.resident_faults(&self.board, body),
            };
            self.report(&name, faults);
        }
        self.limits.remove(&self.board.hosts[at]);
        self.board.remove_host(at);
    }

    /// What concerns the plan as a whole.
    pub(super) fn finish(&mut self) {
        self.wave = None;
        if let Some(most) = self.options.max_nodes
            && self.removed > most
        {
            self.say(Fault::MaxNodes, "", format!("{} nodes go, maxNodes is {most}", self.removed));
        }
        if let Some(most) = self.options.max_cpu
            && self.removed > 1
            && self.removed_cpu > most.milli()
        {
            let text = format!(
                "the nodes that go have {} thousandths of a core, maxCPU is {}",
                self.removed_cpu,
                most.milli()
            );
            self.say(Fault::MaxCpu, "", text);
        }
        let workload = self.board.bodies.iter().filter(|body| body.role == Role::Workload).count();
        let most = match self.options.max_moves {
            None => usize::MAX,
            Some(MoveLimit::Pods(most)) => most,
            Some(MoveLimit::Share(share)) => share.of_count(workload),
        };
        if self.moved > most {
            self.say(Fault::MaxMoves, "", format!("{} pods move, maxMoves is {most}", self.moved));
        }
        let plan = self.plan;
        let faults = self.bill.after_all(plan, self.options, self.roll);
        self.report("", faults);
        let mut named = BTreeMap::new();
        for kept in &plan.kept {
            match self.board.host(&kept.node) {
                Found::One(at) if self.board.hosts[at].gone => {
                    self.say(Fault::Duplicate, &kept.node, "kept: the plan removes it".to_owned());
                }
                Found::One(_) | Found::Several => {}
                Found::None => self.say(Fault::UnknownName, &kept.node, "kept: there is no such node".to_owned()),
            }
            if named.insert(kept.node.as_str(), ()).is_some() && !matches!(self.board.host(&kept.node), Found::Several)
            {
                self.say(Fault::Duplicate, &kept.node, "kept: it is named twice".to_owned());
            }
            for blocker in &kept.blockers {
                if matches!(self.board.body(&blocker.pod.namespace, &blocker.pod.name), Found::None) {
                    self.say(
                        Fault::UnknownName,
                        &blocker.pod.to_string(),
                        "kept.blockers: there is no such pod".to_owned(),
                    );
                }
            }
        }
    }
}

fn gathering(plan: &Plan) -> BTreeSet<&str> {
    let mut source: BTreeMap<&str, &str> = BTreeMap::new();
    let steps = plan.waves.iter().flat_map(|wave| &wave.moves);
    steps
        .filter(|step| *source.entry(&step.to).or_insert(&step.from) != step.from)
        .map(|step| step.to.as_str())
        .collect()
}

/// A resource of which a live node's pods take more than it has.
fn over_allocatable(host: &Host<'_>) -> Option<String> {
    let (resource, room) =
        host.room.iter().find(|(resource, room)| host.used.get(*resource).is_some_and(|used| used > *room))?;
    Some(format!("its pods ask for {} of {resource}, it has {room}", host.used[resource]))
}
