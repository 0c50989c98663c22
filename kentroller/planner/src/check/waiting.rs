//! Room that a plan must leave: for pods that wait, for headroom, and the reserve on receivers.

use std::collections::BTreeMap;

use super::board::{Board, Role};
use super::disruption::is_cordoned;
use super::facts::is_deleting;
use super::neighbours::Neighbours;
use super::placement::node_faults;
use super::requests::Amounts;
use super::spread::Spread;
use super::violation::Fault;
use super::volumes::Volumes;
use crate::value::{Headroom, Options, Percent};

/// Pods that wait, each with the host that has room for it.
#[derive(Debug, Default)]
pub(super) struct Waiting<'a> {
    /// Body and host, the most important pod first.
    seats: Vec<(usize, usize)>,
    taken: BTreeMap<usize, Amounts<'a>>,
    /// By class: hosts that would do as long as no other pod is in the way, and for how many hosts that was asked.
    suitable: BTreeMap<usize, (usize, Vec<usize>)>,
    /// By pool: what was free when the plan was made.
    headroom: BTreeMap<&'a str, (i128, i128)>,
}

/// What looks at other pods.
pub(super) struct Others<'m, 'a> {
    pub(super) neighbours: &'m mut Neighbours,
    pub(super) spread: &'m mut Spread<'a>,
    pub(super) volumes: &'m Volumes<'a>,
}

type WaitingFaults = Vec<(Fault, String, String)>;

impl<'a> Waiting<'a> {
    /// Gives every pod that waits and could run at once a seat, as long as there are some.
    pub(super) fn new(board: &mut Board<'a>, others: &mut Others<'_, 'a>, options: &'a Options) -> Self {
        let mut waiting = Self::default();
        let mut pods: Vec<usize> = (0..board.bodies.len())
            .filter(|body| {
                let (body, shape) = (&board.bodies[*body], board.class_of(*body).shape);
                body.role == Role::Pending
                    && body.pod.metadata.deletion_timestamp.is_none()
                    && shape.gates == 0
                    && shape.resource_claims == 0
            })
            .collect();
        pods.sort_by_key(|body| {
            let needs = board.needs(*body);
            let of = |name: &str| std::cmp::Reverse(needs.get(name).copied().unwrap_or(0));
            (std::cmp::Reverse(board.class_of(*body).shape.priority), of("cpu"), of("memory"), *body)
        });
        let _left_out = waiting.seat(board, others, pods);
        for name in options.headroom.keys() {
            waiting.headroom.insert(name, waiting.free(board, name));
        }
        waiting
    }

    /// Whether anybody waits who has a seat.
    pub(super) const fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// After a wave: whether all who had a seat still have one.
    pub(super) fn faults(&mut self, board: &mut Board<'a>, others: &mut Others<'_, 'a>) -> WaitingFaults {
        let mut displaced = Vec::new();
        let mut kept = Vec::new();
        for (body, host) in std::mem::take(&mut self.seats) {
            let taken = self.taken.get(&host);
            let crowded = |(name, needed): (&&'a str, &i128)| {
                *needed > 0
                    && board.hosts[host].free(name) < taken.and_then(|taken| taken.get(name)).copied().unwrap_or(0)
            };
            if board.hosts[host].gone || is_cordoned(&board.hosts[host]) || board.needs(body).iter().any(crowded) {
                self.give_back(board, body, host);
                displaced.push(body);
            } else {
                kept.push((body, host));
            }
        }
        self.seats = kept;
        if displaced.is_empty() {
            return WaitingFaults::new();
        }
        let homeless = self.seat(board, others, displaced);
        if homeless.is_empty() {
            return WaitingFaults::new();
        }
        // Seats are given once more from nothing, as another order may fit.
        let mut all: Vec<usize> = std::mem::take(&mut self.seats).into_iter().map(|(body, _)| body).collect();
        all.extend(&homeless);
        all.sort_by_key(|body| {
            let needs = board.needs(*body);
            let of = |name: &str| std::cmp::Reverse(needs.get(name).copied().unwrap_or(0));
            (of("cpu"), of("memory"), *body)
        });
        self.taken.clear();
        let homeless = self.seat(board, others, all);
        let fault = |body: usize| {
            let text = "it waits for a node and had room when the plan was made; now it has none".to_owned();
            (Fault::PendingRoom, board.bodies[body].pod.metadata.key().to_string(), text)
        };
        homeless.into_iter().map(fault).collect()
    }

    /// After a wave: pools whose headroom shrank below what is wanted.
    pub(super) fn headroom_faults(&self, board: &Board<'a>, options: &Options) -> WaitingFaults {
        let mut faults = WaitingFaults::new();
        for (pool, Headroom { milli_cpu, bytes }) in &options.headroom {
            let (cpu_before, memory_before) = self.headroom.get(pool.as_str()).copied().unwrap_or((0, 0));
            let (cpu, memory) = self.free(board, pool);
            for (resource, wanted, before, now) in
                [("cpu", *milli_cpu, cpu_before, cpu), ("memory", *bytes, memory_before, memory)]
            {
                if now < i128::from(wanted) && now < before {
                    let text =
                        format!("headroom {resource} of {wanted} is asked for, {now} would be free ({before} before)");
                    faults.push((Fault::Headroom, pool.clone(), text));
                }
            }
        }
        faults
    }

    /// Seats pods; those without a place are returned.
    fn seat(&mut self, board: &mut Board<'a>, others: &mut Others<'_, 'a>, pods: Vec<usize>) -> Vec<usize> {
        let mut homeless = Vec::new();
        // Hosts only fill up while seats are given. One that was too full for a pod stays too full for its like.
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        for body in pods {
            let class = board.bodies[body].class;
            let hosts = self.suitable(board, others, body);
            let start = first.get(&class).copied().unwrap_or(0);
            let mut found = None;
            for (at, host) in hosts.iter().enumerate().skip(start) {
                if !self.has_room(board, body, *host) {
                    if found.is_none() && first.get(&class).copied().unwrap_or(0) == at {
                        first.insert(class, at + 1);
                    }
                    continue;
                }
                let busy = !others.neighbours.faults(board, body, *host).is_empty()
                    || !others.spread.faults(board, body, *host).is_empty()
                    || !super::placement::room_faults(board, body, *host).is_empty();
                if !busy {
                    found = Some(*host);
                    break;
                }
            }
            match found {
                Some(host) => {
                    let needs = board.needs(body).clone();
                    let taken = self.taken.entry(host).or_default();
                    for (name, amount) in needs {
                        *taken.entry(name).or_default() += amount;
                    }
                    self.seats.push((body, host));
                }
                None => homeless.push(body),
            }
        }
        homeless
    }

    fn suitable(&mut self, board: &Board<'a>, others: &Others<'_, 'a>, body: usize) -> Vec<usize> {
        let class = board.bodies[body].class;
        let (asked, hosts) = self.suitable.entry(class).or_default();
        for at in *asked..board.hosts.len() {
            let host = &board.hosts[at];
            if !is_deleting(host)
                && node_faults(board, class, at).is_empty()
                && others.volumes.host_faults(board, body, host).is_empty()
            {
                hosts.push(at);
            }
        }
        *asked = board.hosts.len();
        hosts.retain(|at| !board.hosts[*at].gone && !is_cordoned(&board.hosts[*at]));
        hosts.clone()
    }

    fn has_room(&self, board: &Board<'a>, body: usize, host: usize) -> bool {
        let taken = self.taken.get(&host);
        board.needs(body).iter().all(|(name, needed)| {
            let taken = taken.and_then(|taken| taken.get(name)).copied().unwrap_or(0);
            *needed <= 0 || *needed <= board.hosts[host].free(name) - taken
        })
    }

    fn give_back(&mut self, board: &Board<'a>, body: usize, host: usize) {
        if let Some(taken) = self.taken.get_mut(&host) {
            for (name, amount) in board.needs(body) {
                *taken.entry(name).or_default() -= amount;
            }
        }
    }

    /// Milli-cpu and bytes that are free on a pool's open nodes, seats taken off.
    fn free(&self, board: &Board<'a>, pool: &str) -> (i128, i128) {
        let (mut cpu, mut memory) = (0, 0);
        for (at, host) in board.standing() {
            if host.pool().is_some_and(|of| *of.metadata.name == *pool) && !is_cordoned(host) && !is_deleting(host) {
                let taken = |name: &str| self.taken.get(&at).and_then(|taken| taken.get(name)).copied().unwrap_or(0);
                cpu += (host.free("cpu") - taken("cpu")).max(0);
                memory += (host.free("memory") - taken("memory")).max(0);
            }
        }
        (cpu, memory)
    }
}

/// After a wave: hosts that were given pods and keep less than the reserve.
pub(super) fn reserve_faults<'h>(
    board: &Board<'_>,
    given: impl Iterator<Item = &'h usize>,
    reserve: Percent,
) -> WaitingFaults {
    let mut faults = WaitingFaults::new();
    for host in given.map(|host| &board.hosts[*host]).filter(|host| !host.gone) {
        for resource in ["cpu", "memory"] {
            let room = host.room.get(resource).copied().unwrap_or(0);
            let (free, wanted) = (host.free(resource), kept_free(reserve, room));
            if free < wanted {
                let text = format!("it takes pods and keeps {free} of {room} {resource}; the reserve is {wanted}");
                faults.push((Fault::Reserve, host.name.to_owned(), text));
            }
        }
    }
    faults
}

/// The reserve of a receiver with this much room, rounded up.
pub(super) fn kept_free(reserve: Percent, room: i128) -> i128 {
    (i128::from(reserve.parts().max(0)) * room.max(0) + 999_999) / 1_000_000
}
