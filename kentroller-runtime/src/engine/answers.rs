//! Questions to ports, and their answers.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Engine;
use super::ports::Put;
use super::queue::{Cause, Item};
use crate::outcome::Decided;
use crate::switches::Switches;

/// How long an answer of a port is kept after it was given.
const ANSWER_MEMORY: SignedDuration = SignedDuration::from_mins(15);

impl<S: Switches + Serialize> Engine<S> {
    /// Asks what an Outcome asks. Not before its status stands: otherwise the next look would find an answer, or that it
    /// was asked, beside a status that knows nothing of it.
    pub(super) fn ask(&mut self, item: &Item, decided: &Decided) {
        let now = self.now();
        for question in &decided.questions {
            let cut = self.cut.clone();
            if question.ask.note(&question.key, &mut self.cut, now) {
                let (item, key) = (item.clone(), Arc::clone(&question.key));
                let filled = question.ask.run(Arc::clone(&key), &self.parts.ports, cut, &self.parts.writer.clock);
                self.answers.push(Box::pin(async move { (item, key, filled.await) }));
            }
        }
    }

    pub(super) fn answer(&mut self, item: Item, key: Arc<str>, put: Put) {
        let now = self.now();
        put(&mut self.cut, now);
        self.answered.insert(key, now);
        self.publish();
        self.queue.add(item, Cause::Own, now);
    }

    pub(super) fn forget_answers(&mut self, now: Timestamp) {
        let old = |at: &Timestamp| now.duration_since(*at) > ANSWER_MEMORY;
        let old: Vec<Arc<str>> =
            self.answered.iter().filter(|(_, at)| old(at)).map(|(key, _)| Arc::clone(key)).collect();
        if !old.is_empty() {
            self.cut.drop_answers(|key| old.iter().all(|old| **old != *key));
            self.answered.retain(|key, _| !old.contains(key));
        }
    }
}
