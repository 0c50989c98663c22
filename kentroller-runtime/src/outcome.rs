//! What a reconcile decided: effects in order, status, conditions, events, when to look again. Values only; the engine
//! carries them out.

mod decided;
mod effect;

use std::marker::PhantomData;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

pub use self::decided::{Decided, Note, Question};
pub use self::effect::{Act, Effect};
use crate::condition::{ConditionType, Mark};
use crate::declaration::{Asks, Controller, Creates, Deletes, Event, Evicts, Patches, Reconcile};
use crate::guard::Guard;
use crate::kind::{HasStatus, Kind, ObjectKey};
use crate::port::Port;

/// What a reconcile of controller `C` decided. Only what `C` declared can be put into it.
#[derive(Debug)]
pub struct Outcome<C> {
    decided: Decided,
    controller: PhantomData<fn() -> C>,
}

/// The effect that was just added, to say more about it.
#[derive(Debug)]
pub struct Added<'a, C> {
    effect: &'a mut Effect,
    controller: PhantomData<fn() -> C>,
}

impl<C: Controller> Added<'_, C> {
    /// Emits this event when the effect was accepted.
    pub fn says(self, event: Event<C>, note: impl Into<String>) -> Self {
        self.effect.says = Some(Note::new(event.info, note));
        self
    }

    /// Emits this event when the effect was refused; the refusal is added to the note.
    pub fn or_says(self, event: Event<C>, note: impl Into<String>) -> Self {
        self.effect.or_says = Some(Note::new(event.info, note));
        self
    }

    /// Looks once more, on fresh reads, right before the write.
    pub fn only_if(self, guard: Guard<C>) -> Self {
        self.effect.guard = Some(guard.into_plain());
        self
    }

    /// Names the effect for [`crate::World::reply`]; otherwise its key is its verb, kind and object.
    pub fn keyed(self, key: impl Into<String>) -> Self {
        self.effect.key = key.into();
        self
    }
}

impl<C: Reconcile> Outcome<C> {
    pub(crate) fn of(object: &C::Of, now: Timestamp) -> Self {
        Self { decided: Decided::about(C::Of::INFO, object, now), controller: PhantomData }
    }

    /// Creates an object. A name that is taken is refused with 409 and reason `AlreadyExists`.
    pub fn create<K: Kind>(&mut self, object: &K) -> Added<'_, C>
    where
        C: Creates<K>,
    {
        self.add(Effect::create(object))
    }

    /// As [`Outcome::create`], from a manifest: for kinds that are stored as a projection and written whole.
    pub fn create_manifest<K: Kind>(&mut self, key: ObjectKey, manifest: Value) -> Added<'_, C>
    where
        C: Creates<K>,
    {
        self.add(Effect::create_manifest(K::INFO, key, manifest))
    }

    /// Merges `patch` into an object, on the condition that it is still the very version that was read.
    pub fn patch<K: Kind>(&mut self, object: &K, patch: Value) -> Added<'_, C>
    where
        C: Patches<K>,
    {
        self.add(Effect::patch(object, patch))
    }

    /// Deletes an object, on the condition that it is still the very version that was read.
    pub fn delete<K: Kind>(&mut self, object: &K) -> Added<'_, C>
    where
        C: Deletes<K>,
    {
        self.add(Effect::delete(object))
    }

    /// Asks the eviction API to end a pod; a disruption budget refuses with 429. Never retried by the client.
    pub fn evict<K: Kind>(&mut self, pod: &K) -> Added<'_, C>
    where
        C: Evicts<K>,
    {
        self.add(Effect::evict(pod))
    }

    /// Asks a port; the answer is in the World when the object is looked at again.
    pub fn ask<P: Port>(&mut self, key: impl Into<String>, ask: P::Ask)
    where
        C: Asks<P>,
    {
        self.decided.questions.push(Question::new::<P>(key.into(), ask));
    }

    /// Everything added after this waits until everything before it was accepted.
    pub fn then(&mut self) {
        self.decided.barrier();
    }

    pub fn event(&mut self, event: Event<C>, note: impl Into<String>) {
        self.decided.events.push(Note::new(event.info, note));
    }

    /// The summary condition `Ready`; `None` is Unknown.
    pub fn ready(&mut self, status: impl Into<Option<bool>>, reason: &str, message: impl Into<String>) {
        self.mark("Ready", status.into(), reason, message.into());
    }

    /// The object is on its way: `Reconciling`, and `Ready` False with the same words.
    pub fn reconciling(&mut self, reason: &str, message: impl Into<String>) {
        let message = message.into();
        self.mark("Ready", Some(false), reason, message.clone());
        self.mark("Reconciling", Some(true), reason, message);
    }

    /// Nothing will happen until somebody changes something: `Stalled`, and `Ready` False with the same words.
    pub fn stalled(&mut self, reason: &str, message: impl Into<String>) {
        let message = message.into();
        self.mark("Ready", Some(false), reason, message.clone());
        self.mark("Stalled", Some(true), reason, message);
    }

    /// Looks again at this time, if nothing wakes the object before. The earliest of several counts.
    pub fn look_at(&mut self, at: Timestamp) {
        let earlier = self.decided.look_at.is_none_or(|before| at < before);
        if earlier {
            self.decided.look_at = Some(at);
        }
    }

    /// As [`Outcome::look_at`], from now.
    pub fn look_in(&mut self, delay: Duration) {
        let at = self.decided.now.saturating_add(delay).unwrap_or(Timestamp::MAX);
        self.look_at(at);
    }

    pub fn into_decided(self) -> Decided {
        self.decided
    }

    fn add(&mut self, effect: Effect) -> Added<'_, C> {
        Added { effect: self.decided.push(effect), controller: PhantomData }
    }

    fn mark(&mut self, type_: &str, status: Option<bool>, reason: &str, message: String) {
        self.decided.marks.retain(|mark| mark.type_ != type_);
        self.decided.marks.push(Mark { type_: type_.to_owned(), status, reason: reason.to_owned(), message });
    }
}

impl<C: Reconcile> Outcome<C>
where
    C::Of: HasStatus,
{
    /// The whole status as it should be; conditions and observedGeneration are the engine's. Written before the effects
    /// of its group, and only if it changes something.
    pub fn status(&mut self, status: &<C::Of as HasStatus>::Status) {
        self.decided.status = Some(serde_json::to_value(status).unwrap_or_default());
    }

    /// One of the kind's own conditions.
    pub fn condition(
        &mut self,
        condition: <C::Of as HasStatus>::Condition,
        status: impl Into<Option<bool>>,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.mark(condition.as_str(), status.into(), reason, message.into());
    }
}
