//! One Outcome on its way: status first, then group after group, as long as it is still wanted.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use serde_json::Value;

use super::effects::{Hands, Refused};
use super::expect::Expected;
use super::queue::Item;
use crate::outcome::{Decided, Effect, Note};
use crate::store::Cut;
use crate::switches::Mode;

/// Writes of one Outcome under way at once.
const AT_ONCE: usize = 8;
/// An Outcome that is older is not carried on.
const MAX_AGE: i64 = 30;

/// The newest state, seen by Outcomes in flight.
#[derive(Debug)]
pub(super) struct Latest {
    pub(super) cut: Cut,
    /// Counts changes of the settings.
    pub(super) settings: u64,
    pub(super) mode: Mode,
}

/// One Outcome to carry out.
pub(super) struct Flight {
    pub(super) item: Item,
    pub(super) decided: Decided,
    /// The status patch that the decided status comes to.
    pub(super) status: Option<Value>,
    pub(super) settings: u64,
    pub(super) hands: Arc<Hands>,
    pub(super) latest: Arc<ArcSwap<Latest>>,
}

/// What came of it.
pub(super) struct Landed {
    pub(super) item: Item,
    pub(super) decided: Decided,
    pub(super) replies: Vec<(String, Result<(), Refused>)>,
    pub(super) expected: Vec<Expected>,
    pub(super) notes: Vec<Note>,
    /// Not carried to its end because it was not wanted any more.
    pub(super) dropped: bool,
}

impl Flight {
    pub(super) async fn fly(self) -> Landed {
        let mut landed = Landed {
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
                landed.dropped = true;
                return landed;
            }
            if !self.carry_out(group, &mut landed).await {
                return landed;
            }
        }
        landed.notes.extend(self.decided.events.clone());
        landed
    }

    /// Runs the effects of a group; says whether all were accepted.
    async fn carry_out(&self, group: Vec<Effect>, landed: &mut Landed) -> bool {
        let mut waiting = group.into_iter();
        let mut flying = FuturesUnordered::new();
        let mut all = true;
        loop {
            while flying.len() < AT_ONCE {
                let Some(effect) = waiting.next() else { break };
                flying.push(async move {
                    let mode = self.latest.load().mode;
                    let result = self.hands.act(&effect, mode).await;
                    (effect, result)
                });
            }
            let Some((effect, result)) = flying.next().await else { return all };
            match &result {
                Ok(_) => landed.notes.extend(effect.says),
                Err(refused) => {
                    all = false;
                    landed.notes.extend(effect.or_says.map(|mut note| {
                        note.note = format!("{}: {}", note.note, refused.message);
                        note
                    }));
                }
            }
            landed.replies.push((effect.key, result.map(|expected| landed.expected.extend(expected))));
        }
    }

    fn still_wanted(&self) -> bool {
        let latest = self.latest.load();
        let stored = latest.cut.any_shelf(self.decided.kind).and_then(|shelf| shelf.object(&self.decided.object));
        let same = stored
            .is_some_and(|object| object.uid() == self.decided.uid && object.generation() == self.decided.generation);
        let age = self.age(self.hands.clock.now());
        same && latest.settings == self.settings && age < MAX_AGE
    }

    fn age(&self, now: Timestamp) -> i64 {
        now.duration_since(self.decided.now).as_secs()
    }
}
