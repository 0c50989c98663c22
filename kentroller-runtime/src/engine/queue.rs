//! Which object is reconciled next, and not before when. Pure: time comes in as a value.
//!
//! kube-runtime's scheduler is not used: it has no priorities, no backoff per key, no reset on success, no least interval,
//! and its order depends on a random hash.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::kind::ObjectKey;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(300);

/// How long to wait after this many failures in a row.
pub fn backoff(failures: u32, last: Duration) -> Duration {
    FIRST_DELAY.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(last)
}

/// One object of one controller (by its place in the list of controllers).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub controller: usize,
    pub key: ObjectKey,
}

/// Why an object is looked at. Of several the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The object itself was edited, or an answer is there: at once.
    Own,
    /// Something else changed that it watches: not before its least interval is over.
    Foreign,
    /// Its own look: the sight of the status that it wrote, or a wish to be looked at again at once. Not before the least
    /// interval is over, and counted.
    Itself,
    /// Its time has come.
    Time,
    /// The first look after a start.
    Start,
}

/// Earlier ones go first: what changed, what is due, the first look after a start.
const PRIORITIES: usize = 3;

impl Cause {
    fn priority(self) -> usize {
        match self {
            Self::Own | Self::Foreign => 0,
            Self::Time | Self::Itself => 1,
            Self::Start => 2,
        }
    }
}

/// What one controller has to look at.
#[derive(Debug, Default)]
struct Lane {
    least_interval: Duration,
    /// By priority, in the order in which they came, with since when they wait.
    ready: [BTreeMap<u64, (Item, Timestamp)>; PRIORITIES],
    running: usize,
}

/// The last look at an object.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Timestamp,
    /// How many looks in a row nobody but itself has caused.
    in_a_row: u32,
}

/// The queue: the same item never waits twice and never runs twice at once.
#[derive(Debug)]
pub struct Queue {
    workers: usize,
    count: u64,
    lanes: Vec<Lane>,
    /// Where an item stands in its lane.
    places: BTreeMap<Item, (usize, u64)>,
    timers: BTreeSet<(Timestamp, Item)>,
    due: BTreeMap<Item, Timestamp>,
    /// Why an item waits, or will when it is due.
    causes: BTreeMap<Item, Cause>,
    running: BTreeSet<Item>,
    /// What woke an item while it ran.
    again: BTreeMap<Item, Cause>,
    looks: BTreeMap<Item, Look>,
    failures: BTreeMap<Item, u32>,
}

impl Queue {
    /// A queue that lets `workers` items of each controller run at once; each controller with its least interval between
    /// looks at one object.
    pub fn new(workers: usize, least_intervals: impl IntoIterator<Item = Duration>) -> Self {
        let lane = |least_interval| Lane { least_interval, ..Lane::default() };
        Self {
            workers,
            count: 0,
            lanes: least_intervals.into_iter().map(lane).collect(),
            places: BTreeMap::new(),
            timers: BTreeSet::new(),
            due: BTreeMap::new(),
            causes: BTreeMap::new(),
            running: BTreeSet::new(),
            again: BTreeMap::new(),
            looks: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Wants the item reconciled; a burst of wishes becomes one.
    pub fn add(&mut self, item: Item, cause: Cause, now: Timestamp) {
        if self.running.contains(&item) {
            let known = self.again.entry(item).or_insert(cause);
            *known = cause.min(*known);
            return;
        }
        if matches!(cause, Cause::Foreign | Cause::Itself) && !self.places.contains_key(&item) {
            let earliest = self.earliest(&item);
            if earliest > now {
                return self.add_timer(item, earliest, cause);
            }
        }
        self.make_ready(item, cause, now);
    }

    /// Wants the item reconciled at a time, and not before its least interval is over. An earlier wish stands.
    pub fn add_at(&mut self, item: Item, at: Timestamp) {
        let earliest = self.earliest(&item);
        if at < earliest {
            self.add_timer(item, earliest, Cause::Itself);
        } else {
            self.add_timer(item, at, Cause::Time);
        }
    }

    fn add_timer(&mut self, item: Item, at: Timestamp, cause: Cause) {
        let known = self.causes.entry(item.clone()).or_insert(cause);
        *known = cause.min(*known);
        if let Some(before) = self.due.get(&item).copied() {
            if before <= at {
                return;
            }
            self.timers.remove(&(before, item.clone()));
        }
        self.due.insert(item.clone(), at);
        self.timers.insert((at, item));
    }

    fn make_ready(&mut self, item: Item, cause: Cause, now: Timestamp) {
        let known = self.causes.entry(item.clone()).or_insert(cause);
        *known = cause.min(*known);
        let (lane, priority) = (&mut self.lanes[item.controller], cause.priority());
        let mut since = now;
        if let Some(&(before, place)) = self.places.get(&item) {
            if before <= priority {
                return;
            }
            since = lane.ready[before].remove(&place).map_or(now, |(_, since)| since);
        }
        self.count += 1;
        lane.ready[priority].insert(self.count, (item.clone(), since));
        self.places.insert(item, (priority, self.count));
    }

    /// Before when nothing but the object itself has it looked at.
    fn earliest(&self, item: &Item) -> Timestamp {
        let interval = self.lanes[item.controller].least_interval;
        let last = self.looks.get(item).map(|look| look.at.saturating_add(interval).unwrap_or(Timestamp::MAX));
        last.unwrap_or(Timestamp::MIN)
    }

    /// The next moment at which an item becomes due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Moves what is due by `now` among the ready ones.
    pub fn tick(&mut self, now: Timestamp) {
        while let Some((at, item)) = self.timers.first().cloned() {
            if at > now {
                return;
            }
            self.timers.remove(&(at, item.clone()));
            self.due.remove(&item);
            let cause = self.causes.get(&item).copied().unwrap_or(Cause::Time);
            self.make_ready(item, cause, now);
        }
    }

    /// The next item of a controller that has a free worker and is `allowed`; it is running until [`Queue::done`].
    pub fn pop(&mut self, allowed: impl Fn(usize) -> bool) -> Option<Item> {
        let free = |(controller, lane): &(usize, &Lane)| lane.running < self.workers && allowed(*controller);
        let heads = self.lanes.iter().enumerate().filter(free).filter_map(|(controller, lane)| {
            let (priority, ready) = lane.ready.iter().enumerate().find(|(_, ready)| !ready.is_empty())?;
            Some((priority, *ready.first_key_value()?.0, controller))
        });
        let (priority, place, controller) = heads.min()?;
        let lane = &mut self.lanes[controller];
        let (item, _) = lane.ready[priority].remove(&place)?;
        lane.running += 1;
        self.places.remove(&item);
        if let Some(at) = self.due.remove(&item) {
            self.timers.remove(&(at, item.clone()));
        }
        self.running.insert(item.clone());
        Some(item)
    }

    /// A look at a running item begins; says how many in a row nobody but itself has caused.
    pub fn begin(&mut self, item: &Item, now: Timestamp) -> u32 {
        let cause = self.causes.remove(item).unwrap_or(Cause::Time);
        let before = self.looks.get(item).map_or(0, |look| look.in_a_row);
        let in_a_row = if cause == Cause::Itself { before + 1 } else { 0 };
        self.looks.insert(item.clone(), Look { at: now, in_a_row });
        in_a_row
    }

    /// The item does not run any more; what woke it meanwhile counts.
    pub fn done(&mut self, item: &Item, now: Timestamp) {
        if self.running.remove(item) {
            self.lanes[item.controller].running -= 1;
        }
        if let Some(cause) = self.again.remove(item) {
            self.add(item.clone(), cause, now);
        }
    }

    /// Counts a failure; says how long to wait.
    pub fn record_failure(&mut self, item: &Item) -> Duration {
        let failures = self.failures.entry(item.clone()).or_default();
        *failures += 1;
        backoff(*failures, LAST_DELAY)
    }

    pub fn record_success(&mut self, item: &Item) {
        self.failures.remove(item);
    }

    /// Forgets an item whose object is gone.
    pub fn forget(&mut self, item: &Item) {
        self.failures.remove(item);
        self.looks.remove(item);
        self.causes.remove(item);
        self.again.remove(item);
        if let Some(at) = self.due.remove(item) {
            self.timers.remove(&(at, item.clone()));
        }
        if let Some((priority, place)) = self.places.remove(item) {
            self.lanes[item.controller].ready[priority].remove(&place);
        }
    }

    pub fn is_running(&self, item: &Item) -> bool {
        self.running.contains(item)
    }

    /// How many wait, and since when the oldest does.
    pub fn waiting(&self) -> (usize, Option<Timestamp>) {
        let heads = self.lanes.iter().flat_map(|lane| &lane.ready);
        let oldest = heads.filter_map(|ready| Some(ready.first_key_value()?.1.1)).min();
        (self.places.len(), oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn item(name: &str) -> Item {
        Item { controller: 0, key: ObjectKey::cluster(name) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn queue(workers: usize) -> Queue {
        Queue::new(workers, [SECOND])
    }

    fn drain(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop(|_| true)).map(|item| item.key.to_string()).collect()
    }

    /// Looks at what is ready, at this time; says how many in a row nobody but the item has caused.
    fn look(queue: &mut Queue, now: Timestamp) -> Option<u32> {
        queue.tick(now);
        let item = queue.pop(|_| true)?;
        let in_a_row = queue.begin(&item, now);
        queue.done(&item, now);
        Some(in_a_row)
    }

    #[test]
    fn changes_go_before_times_and_times_before_the_first_look() {
        let mut queue = queue(9);
        queue.add(item("start"), Cause::Start, at(0));
        queue.add_at(item("time"), at(5));
        queue.add(item("change"), Cause::Own, at(1));
        queue.tick(at(5));
        assert_eq!(queue.waiting(), (3, Some(at(0))));
        assert_eq!(drain(&mut queue), ["change", "time", "start"]);
    }

    #[test]
    fn a_burst_is_one_and_a_change_while_running_runs_once_more() {
        let mut queue = queue(9);
        queue.add(item("a"), Cause::Start, at(0));
        queue.add(item("a"), Cause::Own, at(0));
        assert_eq!(drain(&mut queue), ["a"]);
        queue.add(item("a"), Cause::Own, at(0));
        queue.add(item("a"), Cause::Own, at(0));
        assert_eq!(drain(&mut queue), [""; 0]);
        queue.done(&item("a"), at(0));
        assert_eq!(drain(&mut queue), ["a"]);
    }

    #[test]
    fn workers_bound_what_runs() {
        let mut queue = queue(1);
        queue.add(item("a"), Cause::Own, at(0));
        queue.add(item("b"), Cause::Own, at(0));
        assert_eq!(drain(&mut queue), ["a"]);
        queue.done(&item("a"), at(0));
        assert_eq!(drain(&mut queue), ["b"]);
    }

    #[test]
    fn the_delay_doubles_up_to_five_minutes_and_success_resets_it() {
        let mut queue = queue(1);
        let delays: Vec<u64> = (0..10).map(|_| queue.record_failure(&item("a")).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        queue.record_success(&item("a"));
        assert_eq!(queue.record_failure(&item("a")).as_secs(), 1);
    }

    #[test]
    fn a_foreign_event_waits_for_the_least_interval_and_an_edit_does_not() {
        let mut queue = queue(1);
        queue.add(item("a"), Cause::Foreign, at(10));
        assert_eq!(look(&mut queue, at(10)), Some(0), "the first look has nothing to wait for");
        queue.add(item("a"), Cause::Foreign, at(10));
        assert_eq!((look(&mut queue, at(10)), queue.next_due()), (None, Some(at(11))));
        queue.add(item("a"), Cause::Own, at(10));
        assert_eq!(look(&mut queue, at(10)), Some(0));
        assert_eq!(queue.next_due(), None, "that look saw the foreign event as well");
        queue.add_at(item("a"), at(300));
        queue.add(item("a"), Cause::Foreign, at(10));
        assert_eq!((look(&mut queue, at(11)), queue.next_due()), (Some(0), None));
    }

    #[test]
    fn a_look_that_causes_the_next_is_spaced_and_counted_until_somebody_else_does() {
        let mut queue = queue(1);
        queue.add(item("a"), Cause::Own, at(0));
        assert_eq!(look(&mut queue, at(0)), Some(0));
        for second in 1..=12 {
            queue.add_at(item("a"), at(second - 1));
            assert_eq!(look(&mut queue, at(second - 1)), None, "it does not spin");
            assert_eq!(look(&mut queue, at(second)), Some(u32::try_from(second).expect("small")));
        }
        queue.add(item("a"), Cause::Itself, at(12));
        queue.add(item("a"), Cause::Foreign, at(12));
        assert_eq!(look(&mut queue, at(13)), Some(0), "a foreign event at the same time is a reason of its own");
    }
}
