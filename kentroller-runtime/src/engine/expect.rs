//! Own writes: an object is not reconciled again before the stores have caught up with what was written for it.
//! Otherwise a decision on the old state would be carried out twice. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::queue::Item;
use crate::kind::{KindInfo, ObjectKey};
use crate::store::{Cut, Sighting};

/// After this long without the expected sight, the kind is listed afresh.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// What a write must become visible as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The kind of the object.
    pub kind: KindInfo,
    /// The object.
    pub object: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// What the store must show of it.
    pub sight: Sight,
}

/// What a store shows of an accepted write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// This version or a newer one, or the object's end.
    AtLeast(u64),
    /// On its way out, or gone.
    Leaving,
}

/// What each item still waits for.
#[derive(Debug, Default)]
pub struct Expectations {
    open: BTreeMap<Item, (Timestamp, Vec<Expected>)>,
}

impl Expectations {
    pub fn add(&mut self, item: Item, expected: Vec<Expected>, now: Timestamp) {
        if !expected.is_empty() {
            self.open.entry(item).or_insert_with(|| (now, Vec::new())).1.extend(expected);
        }
    }

    /// Whether the stores show all that was written for the item.
    pub fn met(&mut self, item: &Item, cut: &Cut) -> bool {
        let Some((_, expected)) = self.open.get_mut(item) else { return true };
        expected.retain(|expected| !seen(expected, cut));
        if expected.is_empty() {
            self.open.remove(item);
        }
        !self.open.contains_key(item)
    }

    /// Kinds to list afresh because a sight is overdue; each is named once per patience. What is met counts no more, whether
    /// anybody has looked since or not.
    pub fn overdue(&mut self, now: Timestamp, cut: &Cut) -> Vec<KindInfo> {
        let mut kinds = Vec::new();
        self.open.retain(|_, (_, expected)| {
            expected.retain(|expected| !seen(expected, cut));
            !expected.is_empty()
        });
        for (since, expected) in self.open.values_mut() {
            let waited = now.duration_since(*since);
            if waited >= PATIENCE {
                *since = now;
                kinds.extend(expected.iter().map(|expected| expected.kind));
            }
        }
        kinds.sort();
        kinds.dedup();
        kinds
    }

    pub fn forget(&mut self, item: &Item) {
        self.open.remove(item);
    }

    /// When the next sight is overdue.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.open.values().map(|(since, _)| since.saturating_add(PATIENCE).unwrap_or(Timestamp::MAX)).min()
    }
}

fn seen(expected: &Expected, cut: &Cut) -> bool {
    match (cut.sighting(expected.kind, &expected.object, &expected.uid), expected.sight) {
        // Nothing will ever be seen of what cannot be read.
        (Sighting::Unwatched | Sighting::Unreadable | Sighting::Gone, _) => true,
        (Sighting::Present { version, .. }, Sight::AtLeast(wanted)) => version >= wanted,
        (Sighting::Present { deleting, .. }, Sight::Leaving) => deleting,
        // Made and gone between two looks: its store is past the write, so waiting longer shows nothing.
        (Sighting::NeverSeen, Sight::AtLeast(wanted)) => {
            cut.any_store(expected.kind).is_none_or(|store| store.revision() >= wanted)
        }
        (Sighting::NeverSeen, Sight::Leaving) => true,
    }
}
