//! One Outcome being carried out: status first, then group after group, as long as it is still wanted.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::expect::Expected;
use super::queue::Item;
use super::replies::Held;
use super::writer::{Refused, STORE_STALE, Writer};
use crate::kind::KindInfo;
use crate::measure::Measured;
use crate::outcome::{Act, Decided, Effect, Note};
use crate::store::{Cut, STALE};
use crate::switches::Mode;

/// Writes of one Outcome under way at once.
const AT_ONCE: usize = 8;
/// An Outcome that is older is not carried on.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(30);

/// The newest state, seen by Outcomes under way.
#[derive(Debug)]
pub(super) struct Latest {
    pub(super) cut: Cut,
    /// Counts changes of the settings.
    pub(super) settings: u64,
    pub(super) mode: Mode,
}

/// One Outcome to carry out.
pub(super) struct Execution {
    pub(super) item: Item,
    pub(super) decided: Decided,
    /// The status patch that the decided status comes to.
    pub(super) status: Option<Value>,
    pub(super) settings: u64,
    pub(super) writer: Arc<Writer>,
    pub(super) latest: Arc<ArcSwap<Latest>>,
    /// What was refused and is not sent again yet.
    pub(super) held: Held,
    /// The watched kinds that the controller declared.
    pub(super) kinds: Arc<[KindInfo]>,
}

/// What came of it.
pub(super) struct Executed {
    pub(super) item: Item,
    pub(super) decided: Decided,
    pub(super) results: Vec<(Effect, Result<(), Refused>)>,
    pub(super) expected: Vec<Expected>,
    pub(super) notes: Vec<Note>,
    /// What the accepted effects count.
    pub(super) counts: Vec<Measured>,
    /// Until when something was held back.
    pub(super) held_until: Option<Timestamp>,
    /// Whether the object's status is as it was decided.
    pub(super) status_stands: bool,
    /// Not carried to its end because it was not wanted any more.
    pub(super) dropped: bool,
}

impl Execution {
    pub(super) async fn run(self) -> Executed {
        let mut executed = Executed {
            item: self.item.clone(),
            decided: self.decided.clone(),
            results: Vec::new(),
            expected: Vec::new(),
            notes: Vec::new(),
            counts: Vec::new(),
            held_until: None,
            status_stands: self.status.is_none(),
            dropped: false,
        };
        if let Some(patch) = &self.status {
            let decided = &self.decided;
            let (object, uid, version) = (decided.object.clone(), &decided.uid, &decided.resource_version);
            let status = vec![Effect::status(decided.kind, object, uid, version, patch.clone())];
            executed.status_stands = self.run_group(status, &mut executed).await;
        }
        if !executed.status_stands {
            // Its events tell of a status that is not there: the next look tells them again.
            return executed;
        }
        let mut accepted = 0;
        for group in &self.decided.groups {
            if !group.is_empty() && !self.run_group(group.clone(), &mut executed).await {
                break;
            }
            accepted += 1;
        }
        executed.notes.extend(self.decided.events.iter().filter(|event| event.after <= accepted).cloned());
        executed
    }

    /// Carries out the effects of a group, if they are still wanted; says whether all were accepted.
    async fn run_group(&self, group: Vec<Effect>, executed: &mut Executed) -> bool {
        if !self.still_wanted() {
            executed.dropped = true;
            return false;
        }
        let mut waiting = group.into_iter();
        let mut running = FuturesUnordered::new();
        let mut all = true;
        loop {
            while running.len() < AT_ONCE {
                let Some(effect) = waiting.next() else { break };
                if let Some(until) = self.held_until(&effect) {
                    executed.held_until = Some(executed.held_until.map_or(until, |known| known.min(until)));
                    all = false;
                    continue;
                }
                running.push(async move {
                    let result = self.act(&effect).await;
                    (effect, result)
                });
            }
            let Some((mut effect, result)) = running.next().await else { return all };
            let (says, or_says) = (effect.says.take(), effect.or_says.take());
            match &result {
                Ok(_) => {
                    executed.notes.extend(says);
                    executed.counts.append(&mut effect.counts);
                }
                Err(refused) => {
                    all = false;
                    executed.notes.extend(or_says.map(|mut note| {
                        note.note = format!("{}: {}", note.note, refused.message);
                        note
                    }));
                }
            }
            executed.results.push((effect, result.map(|expected| executed.expected.extend(expected))));
        }
    }

    async fn act(&self, effect: &Effect) -> Result<Vec<Expected>, Refused> {
        let latest = self.latest.load();
        if matches!(effect.act, Act::Delete | Act::Evict | Act::Force) {
            self.fresh_enough(&latest.cut)?;
        }
        self.writer.act(effect, latest.mode).await
    }

    /// Nothing is ended on the ground of what a watch said long ago.
    fn fresh_enough(&self, cut: &Cut) -> Result<(), Refused> {
        let now = self.writer.clock.now();
        let oldest = self.kinds.iter().map(|kind| (cut.age(*kind, now), kind)).max_by_key(|(age, _)| *age);
        match oldest.filter(|(age, _)| *age > STALE) {
            None => Ok(()),
            Some((age, kind)) => {
                let message = format!(
                    "the watch of {} has proved nothing for {} s: nothing is deleted or evicted on a view that is older than {} s",
                    kind.plural,
                    age.as_secs(),
                    STALE.as_secs()
                );
                Err(Refused::own(STORE_STALE, message))
            }
        }
    }

    fn held_until(&self, effect: &Effect) -> Option<Timestamp> {
        let hold = self.held.get(&effect.key)?;
        hold.holds(effect, self.decided.generation, self.writer.clock.now()).then_some(hold.until)
    }

    fn still_wanted(&self) -> bool {
        let latest = self.latest.load();
        let stored = latest.cut.any_store(self.decided.kind).and_then(|store| store.object(&self.decided.object));
        let same = stored
            .is_some_and(|object| object.uid() == self.decided.uid && object.generation() == self.decided.generation);
        let age = self.writer.clock.now().duration_since(self.decided.now);
        same && latest.settings == self.settings && age < MAX_AGE
    }
}
