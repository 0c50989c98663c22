//! In: everything that controllers read. One task applies all changes here in one order; a [`Cut`] is one point of it.
//!
//! kube-runtime's reflector is not used: it has no secondary index and no memory of what is gone, its shared form loses
//! deletes, and it keeps whole objects (a pod with managed fields takes 244 KiB there, some 0.6 KiB here).

pub(crate) mod change;
mod kind_store;
pub mod share;
mod view;
pub mod watch;

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use jiff::Timestamp;
use serde_json::Value;

pub use self::change::{AnyKindStore, AnyObject, Changed, Sighting};
pub use self::kind_store::{Gone, KindStore, Lookup, Objects};
pub use self::view::View;
use crate::declaration::KindEntry;
use crate::kind::{Kind, KindInfo, ObjectKey};
use crate::port::{Answer, Port};

/// A store whose watch has not proved to be up to date for longer is no ground to delete or evict anything.
pub const STALE: Duration = Duration::from_secs(60);

/// An answer without the type of its port.
trait AnyAnswer: Any + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn to_json(&self) -> Value;
}

impl<P: Port> AnyAnswer for Answer<P> {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("an answer is made of JSON, and of maps with text for keys")
    }
}

/// One point in the order of all changes, over all kinds. Cloning is one reference count; nothing in it ever changes.
#[derive(Clone)]
pub struct Cut(Arc<Snapshot>);

#[derive(Clone)]
struct Snapshot {
    stores: Vec<Arc<dyn AnyKindStore>>,
    slots: Arc<BTreeMap<TypeId, usize>>,
    /// Where the operator lives.
    namespace: Arc<str>,
    /// By the name of the port and the key of the question.
    answers: OrdMap<(&'static str, Arc<str>), Arc<dyn AnyAnswer>>,
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.stores.iter().map(|store| (store.kind(), store.count()))).finish()
    }
}

impl Cut {
    /// Empty stores for these kinds; a kind that is named twice has one store.
    pub fn empty(kinds: &[KindEntry]) -> Self {
        let (mut stores, mut slots) = (Vec::new(), BTreeMap::new());
        for kind in kinds {
            slots.entry((kind.type_id)()).or_insert_with(|| {
                stores.push((kind.empty)());
                stores.len() - 1
            });
        }
        Self(Arc::new(Snapshot { stores, slots: Arc::new(slots), namespace: Arc::from(""), answers: OrdMap::new() }))
    }

    /// As an operator in this namespace sees it.
    pub fn of_operator_in(mut self, namespace: &str) -> Self {
        Arc::make_mut(&mut self.0).namespace = Arc::from(namespace);
        self
    }

    /// The namespace of the operator; empty where nobody said it.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The store of a kind; `None` if no controller declared it.
    pub fn store<K: Kind>(&self) -> Option<&KindStore<K>> {
        let slot = *self.0.slots.get(&TypeId::of::<K>())?;
        self.0.stores[slot].as_any().downcast_ref()
    }

    /// The state of a question that was asked under this key.
    pub fn answer<P: Port>(&self, key: &str) -> Option<&Answer<P>> {
        self.0.answers.get(&(P::NAME, Arc::from(key)))?.as_any().downcast_ref()
    }

    pub(crate) fn kind(&self, of: TypeId) -> Option<KindInfo> {
        self.0.slots.get(&of).map(|slot| self.0.stores[*slot].kind())
    }

    pub(crate) fn any_store(&self, kind: KindInfo) -> Option<&dyn AnyKindStore> {
        self.0.stores.iter().find(|store| store.kind() == kind).map(Arc::as_ref)
    }

    pub(crate) fn set_answer<P: Port>(&mut self, key: Arc<str>, answer: Answer<P>) {
        Arc::make_mut(&mut self.0).answers.insert((P::NAME, key), Arc::new(answer));
    }

    pub(crate) fn answer_json(&self, port: &'static str, key: &str) -> Option<Value> {
        self.0.answers.get(&(port, Arc::from(key))).map(|answer| answer.to_json())
    }

    pub(crate) fn drop_answers(&mut self, keep: impl Fn(&str) -> bool) {
        let answers = &mut Arc::make_mut(&mut self.0).answers;
        *answers = std::mem::take(answers).into_iter().filter(|((_, key), _)| keep(key)).collect();
    }

    /// Applies one message of a watch; says what changed.
    pub fn apply(&mut self, message: watch::WatchMessage, now: Timestamp) -> Vec<Changed> {
        self.change(message.of, |store| {
            store.prove(now);
            store.apply(message.body, now)
        })
    }

    fn change(&mut self, of: TypeId, change: impl FnOnce(&mut dyn AnyKindStore) -> Vec<Changed>) -> Vec<Changed> {
        let Some(&slot) = self.0.slots.get(&of) else { return Vec::new() };
        let snapshot = Arc::make_mut(&mut self.0);
        let store = &mut snapshot.stores[slot];
        if Arc::get_mut(store).is_none() {
            *store = store.fork();
        }
        change(Arc::get_mut(store).expect("it was forked if somebody else held it"))
    }

    /// Puts an object straight into its store: for tests of pure functions, and for replays.
    pub fn with<K: Kind>(self, object: K) -> Self {
        self.put::<K>(watch::Body::Applied(object))
    }

    /// Puts a whole list straight into its store.
    pub(crate) fn with_all<K: Kind>(self, objects: Vec<K>) -> Self {
        self.put::<K>(watch::Body::Listed(objects, Vec::new(), String::new()))
    }

    fn put<K: Kind>(mut self, body: watch::Body<K>) -> Self {
        self.change(TypeId::of::<K>(), |store| store.apply(Box::new(body), Timestamp::UNIX_EPOCH));
        self
    }

    /// How long ago the watch of a kind last proved to be up to date; zero of a kind that is not watched.
    pub fn age(&self, kind: KindInfo, now: Timestamp) -> Duration {
        let proven = self.any_store(kind).and_then(AnyKindStore::proven);
        proven.map_or(Duration::ZERO, |proven| Duration::try_from(now.duration_since(proven)).unwrap_or_default())
    }

    pub(crate) fn prove(&mut self, of: TypeId, at: Timestamp) {
        self.change(of, |store| {
            store.prove(at);
            Vec::new()
        });
    }

    /// Whether every store has seen a whole list since the start.
    pub fn synced(&self) -> bool {
        self.0.stores.iter().all(|store| store.synced())
    }

    /// What the store of a kind knows of one object, by uid.
    pub(crate) fn sighting(&self, kind: KindInfo, key: &ObjectKey, uid: &str) -> Sighting {
        self.any_store(kind).map_or(Sighting::Unwatched, |store| store.sighting(key, uid))
    }
}
