//! One Outcome on its way: status first, then group after group, as long as it is still wanted.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use serde_json::Value;

use super::expect::Expected;
use super::queue::Item;
use super::writer::{Refused, Writer};
use crate::outcome::{Decided, Effect, Note};
use crate::store::Cut;
use crate::switches::Mode;

/// Writes of one Outcome under way at once.
const AT_ONCE: usize = 8;
/// An Outcome that is older is not carried on.
const MAX_AGE: i64 = 30;

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
}

/// What came of it.
pub(super) struct Executed {
    pub(super) item: Item,
    pub(super) decided: Decided,
    pub(super) replies: Vec<(String, Result<(), Refused>)>,
    pub(super) expected: Vec<Expected>,
    pub(super) notes: Vec<Note>,
    /// Not carried to its end because it was not wanted any more.
    pub(super) dropped: bool,
}

impl Execution {
    pub(super) async fn run(self) -> Executed {
        let mut executed = Executed {
            item: self.item.clone(),
            decided: self.decided.clone(),
            replies: Vec::new(),
            expected: Vec::new(),
            notes: Vec::new(),
            dropped: false,
        };
        let status = self.status.as_ref().map(|patch| {
            let decided = &self.decided;
            let (object, uid, version) = (decided.object.clone(), &decided.uid, &decided.resource_version);
            vec![Effect::status(decided.kind, object, uid, version, patch.clone())]
        });
        let groups = status.into_iter().chain(self.decided.groups.clone());
        for group in groups.filter(|group| !group.is_empty()) {
            if !self.still_wanted() {
                executed.dropped = true;
                return executed;
            }
            if !self.carry_out(group, &mut executed).await {
                return executed;
            }
        }
        executed.notes.extend(self.decided.events.clone());
        executed
    }

    /// Runs the effects of a group; says whether all were accepted.
    async fn carry_out(&self, group: Vec<Effect>, executed: &mut Executed) -> bool {
        let mut waiting = group.into_iter();
        let mut running = FuturesUnordered::new();
        let mut all = true;
        loop {
            while running.len() < AT_ONCE {
                let Some(effect) = waiting.next() else { break };
                running.push(async move {
                    let mode = self.latest.load().mode;
                    let result = self.writer.act(&effect, mode).await;
                    (effect, result)
                });
            }
            let Some((effect, result)) = running.next().await else { return all };
            match &result {
                Ok(_) => executed.notes.extend(effect.says),
                Err(refused) => {
                    all = false;
                    executed.notes.extend(effect.or_says.map(|mut note| {
                        note.note = format!("{}: {}", note.note, refused.message);
                        note
                    }));
                }
            }
            executed.replies.push((effect.key, result.map(|expected| executed.expected.extend(expected))));
        }
    }

    fn still_wanted(&self) -> bool {
        let latest = self.latest.load();
        let stored = latest.cut.any_store(self.decided.kind).and_then(|store| store.object(&self.decided.object));
        let same = stored
            .is_some_and(|object| object.uid() == self.decided.uid && object.generation() == self.decided.generation);
        let age = self.age(self.writer.clock.now());
        same && latest.settings == self.settings && age < MAX_AGE
    }

    fn age(&self, now: Timestamp) -> i64 {
        now.duration_since(self.decided.now).as_secs()
    }
}
