//! Which object is reconciled next. Pure: time comes in as a value.
//!
//! kube-runtime's scheduler is not used: it has no priorities, no backoff per key, no reset on success, and its order
//! depends on a random hash.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::kind::ObjectKey;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(300);

/// One object of one controller (by its place in the list of controllers).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub controller: usize,
    pub key: ObjectKey,
}

/// Earlier ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Something changed.
    Change,
    /// Its time has come.
    Time,
    /// The first look after a start.
    Start,
}

/// The queue: the same item never waits twice and never runs twice at once.
#[derive(Debug)]
pub struct Queue {
    workers: usize,
    count: u64,
    ready: BTreeMap<(Priority, u64), Item>,
    places: BTreeMap<Item, (Priority, u64)>,
    timers: BTreeSet<(Timestamp, Item)>,
    due: BTreeMap<Item, Timestamp>,
    running: BTreeSet<Item>,
    again: BTreeSet<Item>,
    failures: BTreeMap<Item, u32>,
}

impl Queue {
    /// A queue that lets `workers` items of each controller run at once.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            count: 0,
            ready: BTreeMap::new(),
            places: BTreeMap::new(),
            timers: BTreeSet::new(),
            due: BTreeMap::new(),
            running: BTreeSet::new(),
            again: BTreeSet::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Wants the item reconciled; a burst of wishes becomes one.
    pub fn add(&mut self, item: Item, priority: Priority) {
        if self.running.contains(&item) {
            self.again.insert(item);
            return;
        }
        if let Some(&place) = self.places.get(&item) {
            if place.0 <= priority {
                return;
            }
            self.ready.remove(&place);
        }
        self.count += 1;
        self.ready.insert((priority, self.count), item.clone());
        self.places.insert(item, (priority, self.count));
    }

    /// Wants the item reconciled at a time; replaces an earlier wish of this sort.
    pub fn add_at(&mut self, item: Item, at: Timestamp) {
        if let Some(before) = self.due.insert(item.clone(), at) {
            self.timers.remove(&(before, item.clone()));
        }
        self.timers.insert((at, item));
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
            self.add(item, Priority::Time);
        }
    }

    /// The next item whose controller has a free worker and passes `allowed`; it is running until [`Queue::done`].
    pub fn pop(&mut self, mut allowed: impl FnMut(&Item) -> bool) -> Option<Item> {
        let mut busy: BTreeMap<usize, usize> = BTreeMap::new();
        for item in &self.running {
            *busy.entry(item.controller).or_default() += 1;
        }
        let free = |item: &Item| busy.get(&item.controller).is_none_or(|running| *running < self.workers);
        let (place, item) = self.ready.iter().find(|(_, item)| free(item) && allowed(item))?;
        let (place, item) = (*place, item.clone());
        self.ready.remove(&place);
        self.places.remove(&item);
        if let Some(at) = self.due.remove(&item) {
            self.timers.remove(&(at, item.clone()));
        }
        self.running.insert(item.clone());
        Some(item)
    }

    /// The item does not run any more; what woke it meanwhile counts.
    pub fn done(&mut self, item: &Item) {
        self.running.remove(item);
        if self.again.remove(item) {
            self.add(item.clone(), Priority::Change);
        }
    }

    /// Counts a failure; says how long to wait.
    pub fn record_failure(&mut self, item: &Item) -> Duration {
        let failures = self.failures.entry(item.clone()).or_default();
        *failures += 1;
        FIRST_DELAY.saturating_mul(1 << (*failures - 1).min(16)).min(LAST_DELAY)
    }

    pub fn succeeded(&mut self, item: &Item) {
        self.failures.remove(item);
    }

    /// Forgets an item whose object is gone.
    pub fn forget(&mut self, item: &Item) {
        self.failures.remove(item);
        if let Some(at) = self.due.remove(item) {
            self.timers.remove(&(at, item.clone()));
        }
    }

    pub fn depth(&self) -> usize {
        self.ready.len()
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str) -> Item {
        Item { controller: 0, key: ObjectKey::cluster(name) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn drain(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop(|_| true)).map(|item| item.key.to_string()).collect()
    }

    #[test]
    fn changes_go_before_times_and_times_before_the_first_look() {
        let mut queue = Queue::new(9);
        queue.add(item("start"), Priority::Start);
        queue.add_at(item("time"), at(5));
        queue.add(item("change"), Priority::Change);
        queue.tick(at(5));
        assert_eq!(drain(&mut queue), ["change", "time", "start"]);
    }

    #[test]
    fn a_burst_is_one_and_a_change_while_running_runs_once_more() {
        let mut queue = Queue::new(9);
        queue.add(item("a"), Priority::Start);
        queue.add(item("a"), Priority::Change);
        assert_eq!(drain(&mut queue), ["a"]);
        queue.add(item("a"), Priority::Change);
        queue.add(item("a"), Priority::Change);
        assert_eq!(drain(&mut queue), [""; 0]);
        queue.done(&item("a"));
        assert_eq!(drain(&mut queue), ["a"]);
    }

    #[test]
    fn workers_bound_what_runs() {
        let mut queue = Queue::new(1);
        queue.add(item("a"), Priority::Change);
        queue.add(item("b"), Priority::Change);
        assert_eq!(drain(&mut queue), ["a"]);
        queue.done(&item("a"));
        assert_eq!(drain(&mut queue), ["b"]);
    }

    #[test]
    fn the_delay_doubles_up_to_five_minutes_and_success_resets_it() {
        let mut queue = Queue::new(1);
        let delays: Vec<u64> = (0..10).map(|_| queue.record_failure(&item("a")).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        queue.succeeded(&item("a"));
        assert_eq!(queue.record_failure(&item("a")).as_secs(), 1);
    }
}
