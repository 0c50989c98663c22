//! Where kube-scheduler would rather put a pod: the default profile's scores, which spread pods over nodes.
//!
//! Weights of Kubernetes 1.35: soft taints 3, topology spread 2, node affinity 2, pod affinity 2, least allocated 1,
//! balanced allocation 1. Absent: images (simulated nodes list none).

use std::collections::{BTreeMap, BTreeSet};

use kentroller_planner::manifest::{Effect, Pod};

use super::filter::{Miss, Rules, SoftTaints, siblings, spread_over, staying};
use crate::catalogue::{HOSTNAME, ZONE};
use crate::entropy::Entropy;
use crate::readings::selectors::term_selects;
use crate::room::{Amounts, Room, Rooms, tolerates};

/// What the scheduler assumes of a pod without requests: 100 m and 200 MiB.
const UNSAID: Amounts = Amounts { cpu_milli: 100, memory: 200 << 20, pods: 0 };

/// A pod fits nowhere: how many nodes were left out for each reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unschedulable(pub(crate) BTreeMap<Miss, usize>);

impl Unschedulable {
    /// The message of the pod's condition.
    pub(crate) fn message(&self, nodes: usize) -> String {
        let mut reasons: Vec<String> = self.0.iter().map(|(miss, count)| format!("{count} {}", miss.text())).collect();
        reasons.sort();
        format!("0/{nodes} nodes are available: {}.", reasons.join(", "))
    }
}

/// The place of one pod after the other; it remembers where it stopped looking.
#[derive(Debug)]
pub(crate) struct Chooser {
    entropy: Entropy,
    next_start: usize,
}

impl Chooser {
    pub(crate) fn new(entropy: Entropy) -> Self {
        Self { entropy, next_start: 0 }
    }

    /// The index of the node that the default profile picks, ties broken by lot.
    pub(crate) fn choose(&mut self, pod: &Pod, rooms: &Rooms) -> Result<usize, Unschedulable> {
        let rules = Rules::of(pod, rooms, SoftTaints::Scored);
        let (enough, count) = (enough_feasible(rooms.list.len()), rooms.list.len());
        let mut feasible = Vec::new();
        let mut misses = Unschedulable::default();
        let mut looked = 0;
        while looked < count && feasible.len() < enough {
            let at = (self.next_start + looked) % count;
            match rules.miss(&rooms.list[at]) {
                None => feasible.push(at),
                Some(miss) => *misses.0.entry(miss).or_default() += 1,
            }
            looked += 1;
        }
        if count > 0 {
            self.next_start = (self.next_start + looked) % count;
        }
        if feasible.is_empty() {
            return Err(misses);
        }
        let scores = total(pod, rooms, &feasible);
        let best = scores.iter().max().copied().unwrap_or_default();
        let ties: Vec<usize> =
            feasible.iter().zip(&scores).filter(|(_, score)| **score == best).map(|(at, _)| *at).collect();
        Ok(ties[self.entropy.below(ties.len())])
    }
}

/// After how many feasible nodes the scheduler stops looking: all below 100 nodes, then 50 % less n/125, at least 100.
fn enough_feasible(nodes: usize) -> usize {
    let percent = 50_usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(100)
}

fn total(pod: &Pod, rooms: &Rooms, feasible: &[usize]) -> Vec<i64> {
    let list: Vec<&Room> = feasible.iter().map(|at| &rooms.list[*at]).collect();
    let asked = Amounts::of_pod(&pod.spec.shape);
    let parts = [
        (3, highest_is_worst(list.iter().map(|room| soft_taints(pod, room)).collect())),
        (2, spread(pod, rooms, &list)),
        (2, highest_is_best(list.iter().map(|room| node_wishes(pod, room)).collect())),
        (2, between_bounds(pod_wishes(pod, rooms, &list))),
        (1, list.iter().map(|room| least_allocated(asked, room)).collect()),
        (1, list.iter().map(|room| balanced(asked, room)).collect()),
    ];
    (0..list.len()).map(|at| parts.iter().map(|(weight, scores)| weight * scores[at]).sum()).collect()
}

fn soft_taints(pod: &Pod, room: &Room) -> i64 {
    let soft = room.taints.iter().filter(|taint| taint.effect == Effect::PreferNoSchedule);
    soft.filter(|taint| !tolerates(&pod.spec.shape.tolerations, taint)).count() as i64
}

fn node_wishes(pod: &Pod, room: &Room) -> i64 {
    let wishes = pod.spec.shape.affinity.node_affinity.preferred.iter();
    let met = wishes.filter(|wish| term_selects(&wish.preference, &room.name, &room.labels));
    met.map(|wish| i64::from(wish.weight)).sum()
}

/// Only the pod's own wishes; those that placed pods have about it are not counted.
fn pod_wishes(pod: &Pod, rooms: &Rooms, list: &[&Room]) -> Vec<i64> {
    let affinity = &pod.spec.shape.affinity;
    let mut scores = vec![0; list.len()];
    let signed = [(1, &affinity.pod_affinity.preferred), (-1, &affinity.pod_anti_affinity.preferred)];
    for (sign, wish) in signed.into_iter().flat_map(|(sign, wishes)| wishes.iter().map(move |wish| (sign, wish))) {
        let term = &wish.pod_affinity_term;
        let meant = rooms.matching_term(&pod.metadata.namespace, &pod.metadata.labels, term);
        let mut found: BTreeMap<&str, i64> = BTreeMap::new();
        for room in &rooms.list {
            if let Some(value) = room.label(&term.topology_key) {
                *found.entry(value).or_default() +=
                    room.crowds.iter().filter(|(class, _)| meant[**class]).map(|(_, c)| c.all).sum::<i64>();
            }
        }
        for (score, room) in scores.iter_mut().zip(list) {
            let here = room.label(&term.topology_key).and_then(|value| found.get(value)).copied().unwrap_or(0);
            *score += sign * i64::from(wish.weight) * here;
        }
    }
    scores
}

fn least_allocated(asked: Amounts, room: &Room) -> i64 {
    let after = room.used.plus(asked.max_of_each(UNSAID));
    let part = |used: i64, whole: i64| if whole == 0 || used > whole { 0 } else { (whole - used) * 100 / whole };
    (part(after.cpu_milli, room.allocatable.cpu_milli) + part(after.memory, room.allocatable.memory)) / 2
}

fn balanced(asked: Amounts, room: &Room) -> i64 {
    const WHOLE: i64 = 1_000_000;
    let after = room.used.plus(asked);
    let share =
        |used: i64, whole: i64| match i64::try_from(i128::from(used) * i128::from(WHOLE) / i128::from(whole.max(1))) {
            Ok(share) => share.min(WHOLE),
            Err(_) => WHOLE,
        };
    let apart = share(after.cpu_milli, room.allocatable.cpu_milli) - share(after.memory, room.allocatable.memory);
    (WHOLE - apart.abs() / 2) * 100 / WHOLE
}

/// The pod's own ScheduleAnyway constraints; a pod without any constraint gets the system's (hostname 3, zone 5) over its siblings.
fn spread(pod: &Pod, rooms: &Rooms, list: &[&Room]) -> Vec<i64> {
    let own = &pod.spec.shape.topology_spread_constraints;
    let mut asked: Vec<(&str, i64, Vec<bool>)> = Vec::new();
    if own.is_empty()
        && let Some(meant) = siblings(pod, rooms)
    {
        asked.push((HOSTNAME, 3, meant.clone()));
        asked.push((ZONE, 5, meant));
    }
    for constraint in own.iter().filter(|constraint| constraint.when_unsatisfiable == "ScheduleAnyway") {
        asked.push((&constraint.topology_key, constraint.max_skew.into(), spread_over(pod, constraint, rooms).1));
    }
    if asked.is_empty() {
        return vec![0; list.len()];
    }
    let mut scores = vec![0.0; list.len()];
    for (key, max_skew, meant) in &asked {
        let sizes: BTreeSet<&str> = list.iter().filter_map(|room| room.label(key)).collect();
        let weight = (sizes.len() as f64 + 2.0).ln();
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for room in &rooms.list {
            if let Some(value) = room.label(key) {
                *counts.entry(value).or_default() += staying(room, meant);
            }
        }
        for (score, room) in scores.iter_mut().zip(list) {
            if let Some(count) = room.label(key).and_then(|value| counts.get(value)) {
                *score += *count as f64 * weight + (max_skew - 1) as f64;
            }
        }
    }
    let rounded: Vec<i64> = scores.into_iter().map(|score: f64| score.round() as i64).collect();
    let (least, most) = bounds(&rounded);
    rounded.into_iter().map(|score| if most == 0 { 100 } else { 100 * (most + least - score) / most }).collect()
}

fn bounds(scores: &[i64]) -> (i64, i64) {
    (scores.iter().min().copied().unwrap_or(0), scores.iter().max().copied().unwrap_or(0))
}

fn highest_is_best(scores: Vec<i64>) -> Vec<i64> {
    let (_, most) = bounds(&scores);
    scores.into_iter().map(|score| if most == 0 { 0 } else { 100 * score / most }).collect()
}

fn highest_is_worst(scores: Vec<i64>) -> Vec<i64> {
    let (_, most) = bounds(&scores);
    scores.into_iter().map(|score| if most == 0 { 100 } else { 100 - 100 * score / most }).collect()
}

fn between_bounds(scores: Vec<i64>) -> Vec<i64> {
    let (least, most) = bounds(&scores);
    scores.into_iter().map(|score| if most == least { 0 } else { 100 * (score - least) / (most - least) }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn room(name: &str, zone: &str) -> Room {
        let labels = [(HOSTNAME, name), (ZONE, zone)].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let allocatable = Amounts { cpu_milli: 4_000, memory: 8 << 30, pods: 10 };
        Room { name: name.into(), labels: labels.into(), allocatable, ..Room::default() }
    }

    fn pod(extra: serde_json::Value) -> Pod {
        let mut spec =
            json!({"containers": [{"name": "app", "resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}]});
        for (key, value) in extra.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let owner = json!([{"kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true}]);
        let metadata =
            json!({"namespace": "shop", "name": "web-1", "labels": {"app": "web"}, "ownerReferences": owner});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    /// Places pods of one kind one after the other on nodes a (zone 1), b (zone 1), c (zone 2) and tells how many went where.
    fn check(extra: serde_json::Value, pods: usize, prepare: impl Fn(&mut Rooms)) -> [i64; 4] {
        let mut rooms = Rooms::of(vec![room("a", "1"), room("b", "1"), room("c", "2")]);
        let one = pod(extra);
        let class = rooms.class(crate::room::Class::of(&one));
        prepare(&mut rooms);
        let mut chooser = Chooser::new(Entropy::seeded(3));
        let mut counts = [0; 4];
        for _ in 0..pods {
            match chooser.choose(&one, &rooms) {
                Ok(at) => {
                    rooms.seat(at, class, Amounts::of_pod(&one.spec.shape), true);
                    counts[at] += 1;
                }
                Err(_) => counts[3] += 1,
            }
        }
        counts
    }

    #[test]
    fn pods_spread_and_wait_where_a_hard_rule_says_so() {
        let nothing = |_: &mut Rooms| {};
        assert_eq!(check(json!({}), 3, nothing), [1, 1, 1, 0], "equal nodes share");
        assert_eq!(check(json!({}), 13, nothing), [4, 4, 4, 1], "the thirteenth has no room");
        let apart = json!({"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": HOSTNAME});
        let apart =
            json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}});
        assert_eq!(check(apart, 5, nothing), [1, 1, 1, 2], "one a host");
        let zones = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": ZONE,
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]});
        let counts = check(zones, 12, nothing);
        assert_eq!((counts[0] + counts[1], counts[2], counts[3]), (5, 4, 3), "zone 2 has room for 4, so zone 1 gets 5");
        assert_eq!(check(json!({"nodeSelector": {ZONE: "2"}}), 5, nothing), [0, 0, 4, 1]);
        let cordon = |rooms: &mut Rooms| rooms.list[0].unschedulable = true;
        assert_eq!(check(json!({}), 2, cordon), [0, 1, 1, 0]);
        let soft = |rooms: &mut Rooms| {
            let taint = json!({"key": "later", "effect": "PreferNoSchedule"});
            for room in &mut rooms.list[1..] {
                room.taints.push(serde_json::from_value(taint.clone()).unwrap());
            }
        };
        assert_eq!(check(json!({}), 1, soft), [1, 0, 0, 0], "a soft taint steers");
        assert_eq!(check(json!({}), 12, soft), [4, 4, 4, 0], "and does not bind");
    }

    #[test]
    fn a_pod_that_fits_nowhere_says_why_in_the_schedulers_words() {
        let mut rooms = Rooms::of(vec![room("a", "1"), room("b", "1")]);
        rooms.list[1].unschedulable = true;
        let big = pod(json!({"containers": [{"name": "app", "resources": {"requests": {"cpu": "5"}}}]}));
        let misses = Chooser::new(Entropy::seeded(1)).choose(&big, &rooms).unwrap_err();
        assert_eq!(misses.message(2), "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.");
    }

    #[test]
    fn a_cluster_of_many_nodes_is_looked_at_in_samples() {
        assert_eq!([50, 100, 250, 5_000].map(enough_feasible), [100, 100, 120, 500]);
    }
}
