//! What a reconcile decided: effects in order, status, conditions, events, when to look again. Values only; the engine
//! carries them out.

mod change;
mod decided;
mod effect;

use std::marker::PhantomData;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::decided::{Decided, Note, Question};
pub use self::effect::{Act, Effect};
use crate::capability::{Asks, ConditionOf, Creates, Deletes, Evicts, Forces, Patches};
use crate::condition::{ConditionType, Mark, Reason as _};
use crate::declaration::{Controller, Event, Reconcile};
use crate::failure::{self, Failure};
use crate::guard::Guard;
use crate::kind::{HasStatus, Kind, Metadata, ObjectKey, Owner};
use crate::measure::{Counter, Gauge, Histogram, Metric};
use crate::port::Port;

/// Why a condition of a kind may be as it is.
pub type ReasonOf<K> = <<K as HasStatus>::Condition as ConditionType>::Reason;

/// What a reconcile of controller `C` decided. Only what `C` declared can be put into it.
#[derive(Debug)]
pub struct Outcome<C> {
    decided: Decided,
    /// What the API server would refuse; the first one counts.
    mistake: Option<Failure>,
    controller: PhantomData<fn() -> C>,
}

/// The effect that was just added, to say more about it.
#[derive(Debug)]
pub struct Added<'a, C> {
    /// `None` if it would change nothing.
    effect: Option<&'a mut Effect>,
    controller: PhantomData<fn() -> C>,
}

impl<C: Controller> Added<'_, C> {
    /// Emits this event when the effect was accepted.
    pub fn says(self, event: Event<C>, note: impl Into<String>) -> Self {
        self.with(|effect| effect.says = Some(Note::new(event.info, note)))
    }

    /// Emits this event when the effect was refused; the refusal is added to the note.
    pub fn or_says(self, event: Event<C>, note: impl Into<String>) -> Self {
        self.with(|effect| effect.or_says = Some(Note::new(event.info, note)))
    }

    /// Adds one to a counter when the effect was accepted.
    pub fn counts<const N: usize>(self, counter: Metric<C, Counter, N>, labels: [&str; N]) -> Self {
        self.with(|effect| effect.counts.push(counter.measured(labels, 1.0)))
    }

    /// Looks once more, on fresh reads, right before the write.
    pub fn only_if(self, guard: Guard<C>) -> Self {
        self.with(|effect| effect.guard = Some(guard.into_plain()))
    }

    /// Names the effect for [`crate::World::reply`]; otherwise its key is its verb, kind and object.
    pub fn keyed(self, key: impl Into<String>) -> Self {
        self.with(|effect| effect.key = key.into())
    }

    fn with(mut self, change: impl FnOnce(&mut Effect)) -> Self {
        self.effect.as_deref_mut().map(change);
        self
    }
}

impl<C: Reconcile> Outcome<C> {
    pub(crate) fn of(object: &C::Of, now: Timestamp) -> Self {
        let decided = Decided { measured: Some(Vec::new()), ..Decided::about(C::Of::INFO, object, now) };
        Self { decided, mistake: None, controller: PhantomData }
    }

    /// Creates an object. A name that is taken is refused with 409 and reason `AlreadyExists`.
    pub fn create<K: Kind>(&mut self, object: &K) -> Added<'_, C>
    where
        C: Creates<K>,
    {
        self.add(Effect::create(object))
    }

    /// As [`Outcome::create`], with the reconciled object as its owner: it goes when its owner goes, and its changes wake
    /// the owner.
    pub fn create_owned<K: Kind>(&mut self, object: &K) -> Added<'_, C>
    where
        C: Creates<K>,
    {
        let owner = Owner {
            api_version: self.decided.kind.api_version(),
            kind: self.decided.kind.kind.to_owned(),
            name: self.decided.object.name.to_string(),
            uid: self.decided.uid.clone(),
            controller: true,
        };
        self.add(Effect::create_owned(object, &owner))
    }

    /// As [`Outcome::create`], from a manifest: for kinds that are stored as a projection and written whole.
    pub fn create_manifest<K: Kind>(&mut self, key: ObjectKey, manifest: Value) -> Added<'_, C>
    where
        C: Creates<K>,
    {
        self.add(Effect::create_manifest(K::INFO, key, manifest))
    }

    /// Changes an object: what `change` makes different of it, and nothing else, is merged into the very version that was
    /// read. A change of its status is not sent: a status has one owner.
    ///
    /// ```
    /// # use kentroller_runtime::prelude::*;
    /// # #[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
    /// # pub struct Node { pub metadata: Meta, pub spec: NodeSpec }
    /// # #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
    /// # #[serde(default)]
    /// # pub struct NodeSpec { pub unschedulable: bool }
    /// # mod settings { #[derive(Debug)] pub struct Settings; impl kentroller_runtime::Switches for Settings {} }
    /// /// Cordons every node.
    /// #[controller(of = Node, writes(Node: patch))]
    /// pub struct Cordon;
    ///
    /// impl Reconcile for Cordon {
    ///     fn reconcile(node: &Node, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
    ///         let mut out = world.outcome(node);
    ///         out.patch(node, |node| node.spec.unschedulable = true);
    ///         Ok(out)
    ///     }
    /// }
    /// # fn main() {}
    /// ```
    pub fn patch<K: Kind>(&mut self, object: &K, change: impl FnOnce(&mut K)) -> Added<'_, C>
    where
        C: Patches<K>,
    {
        let mut changed = object.clone();
        change(&mut changed);
        match change::between(object, &changed) {
            Some(patch) => self.merge(object, patch),
            None => Added { effect: None, controller: PhantomData },
        }
    }

    /// As [`Outcome::patch`], with a JSON merge patch: for fields that the projection does not have.
    pub fn merge<K: Kind>(&mut self, object: &K, patch: Value) -> Added<'_, C>
    where
        C: Patches<K>,
    {
        self.add(Effect::patch(object, patch))
    }

    /// Puts a finalizer on an object, unless it is there.
    pub fn add_finalizer<K: Kind>(&mut self, object: &K, finalizer: &str) -> Added<'_, C>
    where
        C: Patches<K>,
    {
        let mut all = object.meta().finalizers().to_vec();
        if !all.iter().any(|known| known == finalizer) {
            all.push(finalizer.to_owned());
        }
        self.finalizers(object, &all)
    }

    /// Takes a finalizer off an object, if it is there: the last one that goes lets a deleted object go.
    pub fn remove_finalizer<K: Kind>(&mut self, object: &K, finalizer: &str) -> Added<'_, C>
    where
        C: Patches<K>,
    {
        let all: Vec<String> = object.meta().finalizers().iter().filter(|known| *known != finalizer).cloned().collect();
        self.finalizers(object, &all)
    }

    fn finalizers<K: Kind>(&mut self, object: &K, all: &[String]) -> Added<'_, C>
    where
        C: Patches<K>,
    {
        if all == object.meta().finalizers() {
            return Added { effect: None, controller: PhantomData };
        }
        self.merge(object, json!({"metadata": {"finalizers": all}}))
    }

    /// Gives a label of an object this value, or takes it away with `None`.
    pub fn label<'v, K: Kind>(&mut self, object: &K, key: &str, value: impl Into<Option<&'v str>>) -> Added<'_, C>
    where
        C: Patches<K>,
    {
        let value = value.into();
        if object.label(key) == value {
            return Added { effect: None, controller: PhantomData };
        }
        self.merge(object, json!({"metadata": {"labels": {key: value}}}))
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

    /// Ends a pod that the eviction API refuses to end: it is deleted with its own grace period, whatever its disruption budget says.
    /// With its uid as condition. Refused with 403 where the role for it is not bound.
    pub fn force<K: Kind>(&mut self, pod: &K) -> Added<'_, C>
    where
        C: Forces<K>,
    {
        self.add(Effect::force(pod))
    }

    /// Asks a port about the object as it stands; the answer is in the World when the object is looked at again.
    pub fn ask<P: Port>(&mut self, ask: P::Ask)
    where
        C: Asks<P>,
    {
        let about = &self.decided;
        let key = crate::port::question_key(about.kind, &about.uid, about.generation);
        self.decided.questions.push(Question::new::<P>(key, ask));
    }

    /// Everything added after this, events too, waits until everything before it was accepted.
    pub fn then(&mut self) {
        self.decided.barrier();
    }

    /// Writes a line into the log, under the name of the controller; the same one twice is told once. For what happens on every
    /// look: an event is for what somebody should notice.
    pub fn log(&mut self, line: impl Into<String>) {
        self.decided.lines.push(line.into());
    }

    /// Emits an event about the reconciled object; the same one twice is told once.
    pub fn event(&mut self, event: Event<C>, note: impl Into<String>) {
        self.decided.event(Note::new(event.info, note));
    }

    /// Adds to a counter, once this Outcome was carried out. What an effect does is better counted by [`Added::counts`]: an
    /// Outcome comes again as long as it does not come true.
    pub fn count<const N: usize>(&mut self, counter: Metric<C, Counter, N>, labels: [&str; N], by: u32) {
        self.decided.measured.get_or_insert_default().push(counter.measured(labels, f64::from(by)));
    }

    /// What is so of the object now. It stands until the object's next Outcome or its end; what objects set for the same
    /// labels is added up.
    pub fn set<const N: usize>(&mut self, gauge: Metric<C, Gauge, N>, labels: [&str; N], value: f64) {
        self.decided.measured.get_or_insert_default().push(gauge.measured(labels, value));
    }

    /// Counts a value in the bucket of its size, once this Outcome was carried out.
    pub fn observe<const N: usize>(&mut self, histogram: Metric<C, Histogram, N>, labels: [&str; N], value: f64) {
        self.decided.measured.get_or_insert_default().push(histogram.measured(labels, value));
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

    /// The whole status as it should be; conditions and observedGeneration are the engine's. Written before the effects
    /// of its group, and only if it changes something.
    pub fn status(&mut self, status: &<C::Of as HasStatus>::Status)
    where
        C::Of: HasStatus,
    {
        self.decided.status =
            Some(serde_json::to_value(status).expect("a status is made of JSON, and of maps with text for keys"));
    }

    /// The summary condition `Ready`; `None` is Unknown.
    pub fn ready(
        &mut self,
        status: impl Into<Option<bool>>,
        reason: impl Into<ReasonOf<C::Of>>,
        message: impl Into<String>,
    ) where
        C::Of: HasStatus,
    {
        self.mark_listed("Ready", status.into(), &reason.into(), message.into());
    }

    /// The object is on its way: `Reconciling`, and `Ready` False with the same words.
    pub fn reconciling(&mut self, reason: impl Into<ReasonOf<C::Of>>, message: impl Into<String>)
    where
        C::Of: HasStatus,
    {
        let (reason, message) = (reason.into(), message.into());
        self.mark_listed("Ready", Some(false), &reason, message.clone());
        self.mark_listed("Reconciling", Some(true), &reason, message);
    }

    /// Nothing will happen until somebody changes something: `Stalled`, and `Ready` False with the same words.
    pub fn stalled(&mut self, reason: impl Into<ReasonOf<C::Of>>, message: impl Into<String>)
    where
        C::Of: HasStatus,
    {
        let (reason, message) = (reason.into(), message.into());
        self.mark_listed("Ready", Some(false), &reason, message.clone());
        self.mark_listed("Stalled", Some(true), &reason, message);
    }

    /// One of the kind's own conditions.
    pub fn condition<T: ConditionType + ConditionOf<C::Of>>(
        &mut self,
        condition: T,
        status: impl Into<Option<bool>>,
        reason: impl Into<ReasonOf<C::Of>>,
        message: impl Into<String>,
    ) where
        C::Of: HasStatus,
    {
        self.mark_listed(condition.as_str(), status.into(), &reason.into(), message.into());
    }

    /// `Ready` is False because the feature of the controller is off.
    pub(crate) fn disabled(&mut self) {
        let feature = C::declaration().feature.unwrap_or_default();
        self.mark("Ready", Some(false), "FeatureDisabled", format!("Feature {feature} is off."));
    }

    /// What was decided.
    ///
    /// # Errors
    /// What the API server would refuse, with what to write instead.
    pub fn finished(self) -> Result<Decided, Failure> {
        self.mistake.map_or(Ok(self.decided), Err)
    }

    /// What was decided, right or wrong.
    pub fn into_decided(self) -> Decided {
        self.decided
    }

    fn add(&mut self, effect: Effect) -> Added<'_, C> {
        Added { effect: Some(self.decided.push(effect)), controller: PhantomData }
    }

    fn mark_listed(&mut self, type_: &str, status: Option<bool>, reason: &ReasonOf<C::Of>, message: String)
    where
        C::Of: HasStatus,
    {
        let (set, word) = (<<C::Of as HasStatus>::Condition as ConditionType>::SET, reason.word());
        debug_assert!(!set.is_misplaced(type_, word), "{word} is not listed as a reason of {type_}");
        self.mark(type_, status, word, message);
    }

    fn mark(&mut self, type_: &str, status: Option<bool>, reason: &str, message: String) {
        if !failure::is_reason(reason) {
            let message =
                format!("condition {type_}: reason {reason:?} is not in PascalCase, and the API server refuses it");
            self.mistake.get_or_insert_with(|| Failure::terminal("ReasonInvalid", message));
        }
        self.decided.marks.retain(|mark| mark.type_ != type_);
        self.decided.marks.push(Mark { type_: type_.to_owned(), status, reason: reason.to_owned(), message });
    }
}
