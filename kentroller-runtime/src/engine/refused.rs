//! What comes of a look that decided nothing: conditions that say why, and another look in time.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::Engine;
use super::queue::Item;
use crate::condition::Mark;
use crate::failure::{Class, Failure, NOT_READABLE};
use crate::outcome::Decided;
use crate::switches::Switches;

/// When an object that waits for something outside is looked at again.
const WAITING: Duration = Duration::from_secs(30);

impl<S: Switches + Serialize> Engine<S> {
    /// Tells on the object why its controller cannot decide anything.
    pub(super) fn block(&mut self, item: Item, said: &str) {
        self.queue.begin(&item, self.now());
        let before = self.stored_status(&item);
        self.fail(item, &NOT_READABLE.because(said), before.as_ref());
    }

    /// Carries out what a failure comes to.
    pub(super) fn fail(&mut self, item: Item, failure: &Failure, before: Option<&Value>) {
        match self.record_failure(&item, failure) {
            Some(decided) => self.carry_out(item, decided, before),
            None => {
                self.queue.done(&item, self.now());
                self.began.remove(&item);
            }
        }
    }

    /// A condition, and another look; `None` if the object is not there any more.
    fn record_failure(&mut self, item: &Item, failure: &Failure) -> Option<Decided> {
        let name = self.declarations[item.controller].name;
        self.parts.metrics.reconciled(name, failure.class.as_str());
        tracing::warn!(controller = name, object = %item.key, reason = %failure.reason, class = failure.class.as_str(), "{}", failure.message);
        let kind = self.declarations[item.controller].of.info;
        let object = self.cut.any_store(kind)?.object(&item.key)?;
        let now = self.now();
        let mut decided = Decided::about(kind, &*object, now);
        // A kind without a status has nowhere to say why; the log has said it.
        if self.declarations[item.controller].of.conditions.is_some() {
            let mark = |type_: &str, status: bool| Mark {
                type_: type_.to_owned(),
                status: Some(status),
                reason: failure.reason.to_string(),
                message: failure.message.clone(),
            };
            decided.marks.push(mark("Ready", false));
            decided.marks.push(mark("Stalled", failure.class != Class::Transient));
        }
        let delay = self.queue.record_failure(item);
        decided.look_at = match failure.class {
            Class::Transient => now.saturating_add(delay).ok(),
            Class::Waiting => now.saturating_add(WAITING).ok(),
            Class::Terminal => None,
        };
        Some(decided)
    }
}
