//! What became of effects: what a World shows of it, how long a refused one is held back, and the line that tells it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::queue::{Item, backoff};
use super::writer::Refused;
use crate::kind::ObjectKey;
use crate::outcome::{Act, Effect};
use crate::world::{Replies, Reply};

/// The longest that a refused effect is held back.
const LAST_DELAY: Duration = Duration::from_secs(300);
/// As long, when no more than time has to pass: a disruption budget, a guard, a lease, an answer that did not come.
const LAST_DELAY_OF_TIME: Duration = Duration::from_secs(10);

/// A refused effect that is not sent again yet. Another version of its object, or another generation of the reconciled
/// one, makes it another effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    uid: String,
    resource_version: String,
    generation: i64,
    pub(super) until: Timestamp,
}

impl Hold {
    pub(super) fn holds(&self, effect: &Effect, generation: i64, now: Timestamp) -> bool {
        let same = self.uid == effect.uid && self.resource_version == effect.resource_version;
        same && self.generation == generation && now < self.until
    }
}

/// Held effects of one object, by their key.
pub(super) type Held = Arc<BTreeMap<String, Hold>>;

/// Replies and holds of all objects.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    replies: BTreeMap<Item, Replies>,
    held: BTreeMap<Item, Held>,
}

impl Ledger {
    pub(super) fn of(&self, item: &Item) -> Replies {
        self.replies.get(item).cloned().unwrap_or_default()
    }

    pub(super) fn held(&self, item: &Item) -> Held {
        self.held.get(item).cloned().unwrap_or_default()
    }

    /// Notes what became of an effect; says what the World will show of it.
    pub(super) fn record(
        &mut self,
        item: &Item,
        generation: i64,
        effect: &Effect,
        result: Result<(), Refused>,
        now: Timestamp,
    ) -> Reply {
        let known = self.replies.entry(item.clone()).or_default();
        let reply = reply(known.get(&effect.key), effect, result, now);
        known.insert(effect.key.clone(), reply.clone());
        let held = Arc::make_mut(self.held.entry(item.clone()).or_default());
        match reply.retry_at() {
            Some(until) => {
                let (uid, resource_version) = (effect.uid.clone(), effect.resource_version.clone());
                held.insert(effect.key.clone(), Hold { uid, resource_version, generation, until });
            }
            None => drop(held.remove(&effect.key)),
        }
        if held.is_empty() {
            self.held.remove(item);
        }
        reply
    }

    /// Holds nothing back any more.
    pub(super) fn release(&mut self) {
        self.held.clear();
    }

    pub(super) fn forget(&mut self, item: &Item) {
        self.replies.remove(item);
        self.held.remove(item);
    }
}

fn reply(before: Option<&Reply>, effect: &Effect, result: Result<(), Refused>, now: Timestamp) -> Reply {
    let Err(Refused { code, reason, message }) = result else { return Reply::Accepted { at: now } };
    let (since, count) = match before {
        Some(Reply::Refused { since, count, .. }) => (*since, count + 1),
        _ => (now, 1),
    };
    let of_time = code == 0 || matches!(effect.act, Act::Evict) && code == 429;
    let delay = backoff(count, if of_time { LAST_DELAY_OF_TIME } else { LAST_DELAY });
    let retry_at = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
    Reply::Refused { code, reason, message, since, count, retry_at }
}

/// One line for each effect, under the target `effect`: what, about what, under which condition, with what result. A
/// refusal is a warning the first time.
pub(super) fn log(controller: &'static str, of: &ObjectKey, effect: &Effect, reply: &Reply) {
    let (verb, kind, object) = (effect.act.verb(), effect.kind.kind, &effect.object);
    let (uid, version, guarded) = (&effect.uid, &effect.resource_version, effect.guard.is_some());
    match reply {
        Reply::Accepted { .. } => {
            tracing::info!(target: "effect", controller, %of, verb, kind, %object, uid, version, guarded, "done");
        }
        Reply::Refused { code, reason, message, count: 1, .. } => {
            tracing::warn!(target: "effect", controller, %of, verb, kind, %object, uid, version, guarded, code, reason, "refused: {message}");
        }
        Reply::Refused { code, reason, message, count, .. } => {
            tracing::debug!(target: "effect", controller, %of, verb, kind, %object, uid, version, guarded, code, reason, count, "refused again: {message}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::{Cluster, Kind};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_refused_effect_is_held_longer_each_time_and_an_eviction_no_longer_than_ten_seconds() {
        let check = |act: Act, code: u16, want: [i64; 5]| {
            let effect = Effect { act, ..Effect::status(Cluster::INFO, ObjectKey::cluster("a"), "u", "1", json!({})) };
            let mut last = None;
            let delays = [(); 5].map(|()| {
                let refused = Refused { code, reason: "No".to_owned(), message: String::new() };
                let next = reply(last.as_ref(), &effect, Err(refused), at(0));
                let delay = next.retry_at().expect("refused").as_second();
                last = Some(next);
                delay
            });
            assert_eq!(delays, want, "{code}");
        };
        check(Act::Evict, 429, [1, 2, 4, 8, 10]);
        check(Act::Delete, 0, [1, 2, 4, 8, 10]);
        check(Act::Delete, 429, [1, 2, 4, 8, 16]);
        check(Act::Create(json!({})), 422, [1, 2, 4, 8, 16]);
    }

    #[test]
    fn another_version_or_generation_is_another_effect() {
        let item = Item { controller: 0, key: ObjectKey::cluster("a") };
        let effect = |version: &str| Effect::status(Cluster::INFO, ObjectKey::cluster("a"), "u", version, json!({}));
        let mut ledger = Ledger::default();
        let refused = Refused { code: 409, reason: "Conflict".to_owned(), message: String::new() };
        ledger.record(&item, 3, &effect("1"), Err(refused), at(0));
        let held = ledger.held(&item);
        let hold = held.get(&effect("1").key).expect("it is held");
        assert!(hold.holds(&effect("1"), 3, at(0)));
        assert!(!hold.holds(&effect("1"), 3, at(1)), "its time is over");
        assert!(!hold.holds(&effect("2"), 3, at(0)), "the object has changed");
        assert!(!hold.holds(&effect("1"), 4, at(0)), "the spec has changed");
        ledger.record(&item, 3, &effect("2"), Ok(()), at(1));
        assert!(ledger.held(&item).is_empty());
    }
}
