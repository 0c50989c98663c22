//! What an Outcome has come to, once it was carried out: replies, expectations, events, and when to look again.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::events;
use super::execution::Executed;
use super::expect::{Expected, Sight};
use super::queue::{Cause, Item};
use super::{Engine, replies};
use crate::kind::ObjectKey;
use crate::measure::Measured;
use crate::metrics::MetricType;
use crate::outcome::{Decided, Note};
use crate::switches::Switches;

/// Everything that is not final is looked at again after about this long, whether anything woke it or not: a forgotten
/// wake-up costs minutes, not nights.
const SECOND_LOOK: Duration = Duration::from_secs(270);
/// And at most this much later, so that not all come at once.
const SPREAD: u64 = 60;

/// Versions of a reconciled object that concern its own writes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnVersions {
    /// The newest that its own Outcome wrote.
    written: u64,
    /// The newest that was seen while an Outcome was carried out: whose it is, the replies will say.
    seen: Option<u64>,
}

impl<S: Switches + Serialize> Engine<S> {
    /// The reconciled object changed: an edit wakes it at once, the sight of its own write in its interval.
    pub(super) fn own_change(&mut self, item: Item, version: &str, now: Timestamp) {
        let version = version.parse().unwrap_or(0);
        if self.queue.is_running(&item) {
            self.own_versions.entry(item).or_default().seen = Some(version);
            return;
        }
        let own = self.own_versions.get(&item).is_some_and(|own| version <= own.written);
        self.queue.add(item, if own { Cause::Itself } else { Cause::Own }, now);
    }

    pub(super) fn finish(&mut self, executed: Executed) {
        let now = self.now();
        let Executed { item, decided, results, expected, notes, counts, held_until, status_stands, dropped } = executed;
        let name = self.declarations[item.controller].name;
        let mut retry = held_until;
        for (effect, result) in results {
            let code = result.as_ref().map_or_else(|refused| refused.code, |()| 200);
            self.parts.metrics.wrote(effect.act.verb(), effect.kind.kind, code);
            let written = self.replies.record(&item, decided.generation, &effect, result, now);
            replies::log(name, &item.key, &effect, &written);
            retry = [retry, written.retry_at()].into_iter().flatten().min();
        }
        self.note_own_versions(&item, &decided, &expected);
        self.expectations.add(item.clone(), expected, now);
        // What changed nothing is seen already.
        self.expectations.met(&item, &self.cut);
        self.post(&item, &decided, notes);
        if status_stands {
            self.measure(&item, &decided, &counts);
            self.ask(&item, &decided);
        }
        if let Some(began) = self.began.get(&item) {
            self.parts.metrics.took(name, began.elapsed());
        }
        if dropped {
            self.queue.add(item.clone(), Cause::Own, now);
        }
        self.settle(&item, &decided, retry);
    }

    fn note_own_versions(&mut self, item: &Item, decided: &Decided, expected: &[Expected]) {
        let of_own = |one: &&Expected| one.kind == decided.kind && one.object == decided.object;
        let written = expected.iter().filter(of_own).filter_map(|one| match one.sight {
            Sight::AtLeast(version) => Some(version),
            Sight::Leaving => None,
        });
        let written = written.max();
        if written.is_some() || self.own_versions.contains_key(item) {
            let own = self.own_versions.entry(item.clone()).or_default();
            own.written = own.written.max(written.unwrap_or(0));
        }
    }

    /// The item is done for now; when is it looked at again?
    pub(super) fn settle(&mut self, item: &Item, decided: &Decided, retry: Option<Timestamp>) {
        let now = self.now();
        let second = (!self.is_final(item, decided)).then(|| now.saturating_add(second_look(&item.key)).ok()).flatten();
        if let Some(at) = [decided.look_at, retry, second].into_iter().flatten().min() {
            self.queue.add_at(item.clone(), at);
        }
        if let Some(own) = self.own_versions.get_mut(item)
            && let Some(seen) = own.seen.take()
        {
            let cause = if seen <= own.written { Cause::Itself } else { Cause::Own };
            self.queue.add(item.clone(), cause, now);
        }
        self.began.remove(item);
        self.queue.done(item, now);
    }

    /// Whether the object's state has no successor.
    fn is_final(&self, item: &Item, decided: &Decided) -> bool {
        let states = self.declarations[item.controller].of.states;
        let stored = || self.stored_status(item);
        let status = decided.status.clone().or_else(stored).unwrap_or_default();
        let state = status["state"].as_str().and_then(|state| states.iter().find(|(name, _)| *name == state));
        state.is_some_and(|(_, next)| next.is_empty())
    }

    /// What the effects count, and what the Outcome counts and sets; of an object that is gone meanwhile nothing is set.
    pub(super) fn measure(&self, item: &Item, decided: &Decided, counts: &[Measured]) {
        let (name, metrics) = (self.declarations[item.controller].name, &self.parts.metrics);
        counts.iter().for_each(|one| metrics.count(one));
        let Some(own) = &decided.measured else { return };
        let (gauges, counts): (Vec<_>, Vec<_>) =
            own.iter().cloned().partition(|one| one.metric.type_ == MetricType::Gauge);
        counts.iter().for_each(|one| metrics.count(one));
        if self.stored_status(item).is_some() {
            metrics.set(name, &item.key, gauges);
        }
    }

    /// Posts the events of a look, and logs its lines; what was the last word on the object is not said again.
    pub(super) fn post(&mut self, item: &Item, decided: &Decided, notes: Vec<Note>) {
        let regarding = events::Regarding::from(decided);
        let now = self.now();
        let name = self.declarations[item.controller].name;
        for line in &decided.lines {
            if self.said.is_new(&decided.uid, name, line) {
                tracing::info!(controller = name, "{line}");
            }
        }
        for note in notes {
            if !self.said.is_news(&regarding.uid, &note) {
                continue;
            }
            self.posted += 1;
            let (kind, object) = (regarding.kind.kind, &regarding.object);
            if note.warning {
                tracing::warn!(controller = name, kind, %object, reason = note.reason, "{}", note.note);
            } else {
                tracing::info!(controller = name, kind, %object, reason = note.reason, "{}", note.note);
            }
            let reporter =
                events::Reporter { operator: &self.parts.name, controller: name, instance: &self.parts.instance };
            let event = events::event(&regarding, &note, reporter, self.posted, now);
            let writer = self.parts.writer.clone();
            self.posts.push(Box::pin(async move { writer.post(&event).await }));
        }
    }
}

/// The same for the same object, and spread over all of them.
fn second_look(key: &ObjectKey) -> Duration {
    let hash = key
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    SECOND_LOOK + Duration::from_secs(hash % SPREAD)
}
