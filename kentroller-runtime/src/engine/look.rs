//! A look at an object: when its controller may decide, and what comes of it.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::execution::Execution;
use super::queue::Item;
use super::record::{self, Record};
use super::{Engine, LOOKS, status};
use crate::declaration::Declaration;
use crate::kind::KindInfo;
use crate::outcome::Decided;
use crate::switches::Switches;

/// A status that differs in the wording of its conditions only is written again after this long: a plan that moves a
/// thousand pods has as many things to say.
const WORDING: SignedDuration = SignedDuration::from_secs(10);
/// So many looks in a row that nobody but the object itself has caused are a mistake, and told; and told again after so
/// many more.
const SPINS: u32 = 10;
const SPINS_AGAIN: u32 = 600;

impl<S: Switches + Serialize> Engine<S> {
    /// Looks at what is ready, up to a bound; says whether there is more.
    pub(super) fn start_ready(&mut self) -> bool {
        let missing: Vec<Option<KindInfo>> = self.declarations.iter().map(|one| self.missing(one)).collect();
        let told = |kind: &KindInfo| self.troubled.get(kind).cloned();
        let blocked: Vec<Option<String>> = missing.iter().map(|kind| kind.as_ref().and_then(told)).collect();
        for _ in 0..LOOKS {
            let may = |controller: usize| missing[controller].is_none() || blocked[controller].is_some();
            let Some(item) = self.queue.pop(may) else { return false };
            if let Some(said) = &blocked[item.controller] {
                self.block(item, said);
            } else if self.expectations.met(&item, &self.cut) {
                self.look(item);
            } else {
                self.queue.done(&item, self.now());
                self.waiting.insert(item);
            }
        }
        true
    }

    /// A kind that was not listed yet: before, the controller decides nothing.
    fn missing(&self, declaration: &Declaration) -> Option<KindInfo> {
        let access = declaration.access.iter().map(|access| access.kind.info);
        let wakes = declaration.wakes.iter().map(|wake| wake.kind.info);
        let all = S::kept_in().iter().copied().chain([declaration.of.info]).chain(access).chain(wakes);
        let mut missing = all.filter(|kind| !self.listed(*kind));
        let first = missing.next()?;
        // One of which is known why it cannot be listed, if there is one.
        Some(std::iter::once(first).chain(missing).find(|kind| self.troubled.contains_key(kind)).unwrap_or(first))
    }

    fn look(&mut self, item: Item) {
        let now = self.now();
        let name = self.declarations[item.controller].name;
        self.warn_of_spinning(&item, now);
        self.began.insert(item.clone(), Instant::now());
        // Told before: a reconcile that takes long is seen while it does.
        self.parts.metrics.running(self.began.values().copied());
        let settings = Arc::clone(&self.in_force);
        let replies = self.replies.of(&item);
        let decided =
            self.parts.controllers[item.controller].decide(&item.key, &self.cut, now, &settings, replies.clone());
        let Some((decided, read)) = decided else {
            self.queue.done(&item, now);
            self.began.remove(&item);
            return;
        };
        if let Some(folder) = &self.parts.records
            && decided.as_ref().map_or(true, |decided| decided.effects().next().is_some())
        {
            let (declaration, text) = (&self.declarations[item.controller], record::told(&decided));
            let record = Record::of(declaration, &item.key, now, &*settings, &replies, (&self.cut, &read), text);
            write_record(&record, folder);
        }
        let before = self.stored_status(&item);
        let states = self.declarations[item.controller].of.states;
        let in_order = |decided: &Decided| {
            before.as_ref().map_or(Ok(()), |before| status::check_transition(before, decided, states))
        };
        match decided.and_then(|decided| in_order(&decided).map(|()| decided)) {
            Ok(decided) => {
                self.parts.metrics.reconciled(name, "success");
                self.queue.record_success(&item);
                self.carry_out(item, decided, before.as_ref());
            }
            Err(failure) => self.fail(item, &failure, before.as_ref()),
        }
    }

    fn warn_of_spinning(&mut self, item: &Item, now: Timestamp) {
        let in_a_row = self.queue.begin(item, now);
        if in_a_row == SPINS || in_a_row > SPINS && in_a_row.is_multiple_of(SPINS_AGAIN) {
            let declaration = &self.declarations[item.controller];
            tracing::warn!(
                controller = declaration.name,
                kind = declaration.of.info.kind,
                object = %item.key,
                "{in_a_row} reconciles in a row that nothing but the one before has caused: does its status change each time, or does it ask to be looked at at once?"
            );
        }
    }

    /// The status of the reconciled object as the store has it; `None` if the object is not there.
    pub(super) fn stored_status(&self, item: &Item) -> Option<Value> {
        let store = self.cut.any_store(self.declarations[item.controller].of.info)?;
        Some(store.object(&item.key)?.status_json())
    }

    /// The patch of the status. One of no more than wording waits until the last one is old enough.
    fn status(&mut self, item: &Item, before: &Value, decided: &mut Decided) -> Option<Value> {
        let patch = status::patch(before, decided)?;
        let now = self.now();
        let next = self.written.get(item).and_then(|last| last.saturating_add(WORDING).ok()).filter(|next| *next > now);
        if let Some(next) = next
            && status::is_wording(before, &patch)
        {
            decided.look_at = Some(decided.look_at.map_or(next, |at| at.min(next)));
            return None;
        }
        self.written.insert(item.clone(), now);
        Some(patch)
    }

    /// Sends what was decided on its way, if there is anything to write.
    pub(super) fn carry_out(&mut self, item: Item, mut decided: Decided, before: Option<&Value>) {
        let status = before.and_then(|before| self.status(&item, before, &mut decided));
        let nothing = status.is_none() && decided.effects().next().is_none();
        if nothing {
            let notes = decided.events.clone();
            self.post(&item, &decided, notes);
            self.measure(&item, &decided, &[]);
            self.ask(&item, &decided);
            self.settle(&item, &decided, None);
            return;
        }
        let execution = Execution {
            held: self.replies.held(&item),
            kinds: Arc::clone(&self.kinds[item.controller]),
            item,
            decided,
            status,
            settings: self.settings_version,
            writer: Arc::new(self.parts.writer.clone()),
            latest: Arc::clone(&self.latest),
        };
        self.executions.push(Box::pin(execution.run()));
    }
}

/// A record is a courtesy: one that cannot be written is told and changes nothing.
fn write_record(record: &Record, folder: &Path) {
    let path = record.path(folder);
    let written = serde_json::to_vec(record).map_err(std::io::Error::from).and_then(|text| std::fs::write(&path, text));
    if let Err(error) = written {
        tracing::warn!(%error, path = %path.display(), "a record was not written");
    }
}
