//! The store of one kind: ordered, indexed, with a memory of what is gone. Every clone is cheap and independent.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use imbl::ordmap::Values;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{OrdMap, OrdSet, Vector};
use jiff::{SignedDuration, Timestamp};

use super::change::{AnyKindStore, AnyObject, Changed, Sighting};
use super::view::View as _;
use super::watch::{Body, Unreadable};
use crate::declaration::Change;
use crate::kind::{Kind, KindInfo, Metadata, ObjectKey};

/// How long a store remembers what is gone.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);

/// The last that was known of an object that is gone.
#[derive(Clone, Debug)]
pub struct Gone<K> {
    /// When its end was seen.
    pub at: Timestamp,
    /// Its last state.
    pub last: Arc<K>,
}

/// What a store knows of a key: a missing key alone is never taken for "it is gone".
#[derive(Debug)]
pub enum Lookup<'a, K> {
    /// It is there.
    Present(&'a K),
    /// It was there within the last hour.
    Gone(&'a Gone<K>),
    /// Not seen since the start, or gone for longer than an hour.
    NeverSeen,
}

impl<'a, K> Lookup<'a, K> {
    /// The object, if it is there.
    pub fn present(self) -> Option<&'a K> {
        match self {
            Self::Present(object) => Some(object),
            Self::Gone(_) | Self::NeverSeen => None,
        }
    }
}

/// All objects of a kind, ordered by namespace and name. A type with a name, as an `impl Iterator` repeats the bounds of the
/// method that returns it: an undeclared [`World::all`](crate::World::all) would be told twice.
pub struct Objects<'a, K>(Option<Values<'a, ObjectKey, Arc<K>, DefaultSharedPtr>>);

impl<K> fmt::Debug for Objects<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Objects")
    }
}

/// None.
impl<K> Default for Objects<'_, K> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'a, K> Iterator for Objects<'a, K> {
    type Item = &'a K;

    fn next(&mut self) -> Option<&'a K> {
        self.0.as_mut()?.next().map(Arc::as_ref)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.as_ref().map_or((0, Some(0)), Iterator::size_hint)
    }
}

impl<'a, K> DoubleEndedIterator for Objects<'a, K> {
    fn next_back(&mut self) -> Option<&'a K> {
        self.0.as_mut()?.next_back().map(Arc::as_ref)
    }
}

/// The store of one kind.
#[derive(Clone)]
pub struct KindStore<K: Kind> {
    objects: OrdMap<ObjectKey, Arc<K>>,
    uids: OrdMap<Arc<str>, ObjectKey>,
    owned: OrdSet<(Arc<str>, ObjectKey)>,
    indexed: OrdSet<(Arc<str>, ObjectKey)>,
    gone: OrdMap<ObjectKey, Gone<K>>,
    /// The order in which they went, so that the oldest is forgotten first.
    went: Vector<(Timestamp, ObjectKey)>,
    view: K::View,
    revision: u64,
    synced: bool,
    /// When its watch last proved to be up to date; `None` when nothing was ever watched.
    proven: Option<Timestamp>,
    /// What is there in a state that does not decode. What was known of it before is among the objects.
    unreadable: OrdMap<ObjectKey, Unreadable>,
}

impl<K: Kind> Default for KindStore<K> {
    fn default() -> Self {
        Self {
            objects: OrdMap::new(),
            uids: OrdMap::new(),
            owned: OrdSet::new(),
            indexed: OrdSet::new(),
            gone: OrdMap::new(),
            went: Vector::new(),
            view: K::View::default(),
            revision: 0,
            synced: false,
            proven: None,
            unreadable: OrdMap::new(),
        }
    }
}

impl<K: Kind> fmt::Debug for KindStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KindStore").field("objects", &self.objects.len()).field("revision", &self.revision).finish()
    }
}

impl<K: Kind> KindStore<K> {
    /// All objects, ordered by namespace and name.
    pub fn all(&self) -> Objects<'_, K> {
        Objects(Some(self.objects.values()))
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// What is known of an object: it is there, it is gone, or it was never seen.
    pub fn lookup(&self, key: &ObjectKey) -> Lookup<'_, K> {
        if let Some(object) = self.objects.get(key) {
            return Lookup::Present(object);
        }
        self.gone.get(key).map_or(Lookup::NeverSeen, Lookup::Gone)
    }

    /// The object with this uid, if it is there.
    pub fn by_uid(&self, uid: &str) -> Option<&K> {
        self.objects.get(self.uids.get(uid)?).map(Arc::as_ref)
    }

    /// The objects that name this uid among their owners.
    pub fn owned_by(&self, uid: &str) -> impl Iterator<Item = &K> {
        self.under(&self.owned, uid)
    }

    /// The objects whose [`Kind::index_key`] is this.
    pub fn indexed_under(&self, index: &str) -> impl Iterator<Item = &K> {
        self.under(&self.indexed, index)
    }

    /// What is computed from all objects.
    pub fn view(&self) -> &K::View {
        &self.view
    }

    fn under<'a>(&'a self, set: &'a OrdSet<(Arc<str>, ObjectKey)>, first: &str) -> impl Iterator<Item = &'a K> {
        let first: Arc<str> = Arc::from(first);
        let start = (Arc::clone(&first), ObjectKey::cluster(""));
        set.range(start..)
            .take_while(move |(under, _)| *under == first)
            .filter_map(|(_, key)| self.objects.get(key).map(Arc::as_ref))
    }

    fn insert(&mut self, object: K) -> Changed {
        let (key, new) = (object.key(), Arc::new(object));
        let old = self.objects.insert(key.clone(), Arc::clone(&new));
        self.view.change(&Change { old: old.as_deref(), new: Some(&new) });
        // Most changes concern none of the indexes, and each costs as much as the change itself while a cut is held.
        if !old.as_ref().is_some_and(|old| is_found_alike(&**old, &new)) {
            if let Some(old) = &old {
                self.unlink(&key, old);
            }
            self.link(&key, &new);
        }
        if self.gone.contains_key(&key) {
            self.gone.remove(&key);
        }
        if self.unreadable.contains_key(&key) {
            self.unreadable.remove(&key);
        }
        Changed { kind: K::INFO, key, old: old.map(|old| old as _), new: Some(new as _) }
    }

    fn remove(&mut self, key: &ObjectKey, last: Option<K>, now: Timestamp) -> Option<Changed> {
        self.unreadable.remove(key);
        let old = self.objects.remove(key)?;
        self.view.change(&Change { old: Some(&old), new: None });
        self.unlink(key, &old);
        let last = last.map_or_else(|| Arc::clone(&old), Arc::new);
        self.gone.insert(key.clone(), Gone { at: now, last });
        self.went.push_back((now, key.clone()));
        self.forget(now);
        Some(Changed { kind: K::INFO, key: key.clone(), old: Some(old as _), new: None })
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.went.front().filter(|(at, _)| now.duration_since(*at) >= MEMORY).cloned() {
            self.went.pop_front();
            // It may have come back and gone again since.
            if self.gone.get(&key).is_some_and(|gone| gone.at == at) {
                self.gone.remove(&key);
            }
        }
    }

    fn link(&mut self, key: &ObjectKey, object: &K) {
        self.uids.insert(Arc::from(object.uid()), key.clone());
        for owner in object.meta().owners() {
            self.owned.insert((Arc::from(owner.uid), key.clone()));
        }
        if let Some(index) = object.index_key() {
            self.indexed.insert((Arc::from(index), key.clone()));
        }
    }

    fn unlink(&mut self, key: &ObjectKey, object: &K) {
        self.uids.remove(object.uid());
        for owner in object.meta().owners() {
            self.owned.remove(&(Arc::from(owner.uid), key.clone()));
        }
        if let Some(index) = object.index_key() {
            self.indexed.remove(&(Arc::from(index), key.clone()));
        }
    }

    /// A whole list replaces what is known. It came without an error, so what it lacks is gone.
    fn relist(&mut self, objects: Vec<K>, unreadable: Vec<Unreadable>, now: Timestamp) -> Vec<Changed> {
        let mut changes = Vec::new();
        let mut missing: std::collections::BTreeSet<ObjectKey> = self.objects.keys().cloned().collect();
        self.unreadable = unreadable.into_iter().map(|object| (object.key.clone(), object)).collect();
        missing.retain(|key| !self.unreadable.contains_key(key));
        for object in objects {
            let key = object.key();
            missing.remove(&key);
            let known = self.objects.get(&key);
            if known.is_some_and(|known| known.meta().resource_version() == object.meta().resource_version()) {
                continue;
            }
            changes.push(self.insert(object));
        }
        changes.extend(missing.iter().filter_map(|key| self.remove(key, None, now)));
        self.synced = true;
        changes
    }
}

/// Whether both are found under the same uid, owners and index.
fn is_found_alike<K: Kind>(old: &K, new: &K) -> bool {
    let owners = |object: &K| object.meta().owners().into_iter().map(|owner| owner.uid).collect::<Vec<_>>();
    old.uid() == new.uid() && old.index_key() == new.index_key() && owners(old) == owners(new)
}

/// A resourceVersion as a number. They are ordered since Kubernetes 1.35 says so, and were in every server before.
pub(super) fn version(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

impl<K: Kind> AnyKindStore for KindStore<K> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn kind(&self) -> KindInfo {
        K::INFO
    }

    fn count(&self) -> usize {
        self.objects.len()
    }

    fn synced(&self) -> bool {
        self.synced
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn fork(&self) -> Arc<dyn AnyKindStore> {
        Arc::new(self.clone())
    }

    fn apply(&mut self, body: Box<dyn Any + Send>, now: Timestamp) -> Vec<Changed> {
        let body = *body.downcast::<Body<K>>().expect("a message goes to the store of its type");
        self.revision = self.revision.max(body.revision());
        match body {
            Body::Listed(objects, unreadable, _) => self.relist(objects, unreadable, now),
            Body::Applied(object) => vec![self.insert(object)],
            Body::Unreadable(object) => {
                self.unreadable.insert(object.key.clone(), object);
                Vec::new()
            }
            Body::Deleted(key, last, _) => self.remove(&key, last, now).into_iter().collect(),
            Body::Progress(_) => Vec::new(),
        }
    }

    fn prove(&mut self, now: Timestamp) {
        self.proven = Some(now);
    }

    fn proven(&self) -> Option<Timestamp> {
        self.proven
    }

    fn unreadable(&self) -> Vec<&Unreadable> {
        self.unreadable.values().collect()
    }

    fn object(&self, key: &ObjectKey) -> Option<Arc<dyn AnyObject>> {
        self.objects.get(key).map(|object| Arc::clone(object) as _)
    }

    fn keys(&self) -> Vec<ObjectKey> {
        self.objects.keys().cloned().collect()
    }

    fn sighting(&self, key: &ObjectKey, uid: &str) -> Sighting {
        if self.unreadable.contains_key(key) {
            return Sighting::Unreadable;
        }
        match self.objects.get(key) {
            Some(object) if object.uid() == uid => Sighting::Present {
                version: version(object.meta().resource_version()),
                deleting: object.deleting().is_some(),
            },
            // Another object of that name: the one asked for must be gone.
            Some(_) => Sighting::Gone,
            None => match self.gone.get(key) {
                Some(gone) if gone.last.uid() == uid => Sighting::Gone,
                _ => Sighting::NeverSeen,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::kind::{Meta, Owner};
    use crate::store::View;

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    struct Pod {
        metadata: Meta,
        node: String,
    }

    /// How many pods are on each node.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct OnNodes(OrdMap<String, usize>);

    impl View<Pod> for OnNodes {
        fn change(&mut self, change: &Change<'_, Pod>) {
            if let Some(old) = change.old {
                let left = self.0.remove(&old.node).unwrap_or_default().saturating_sub(1);
                self.0.extend((left > 0).then(|| (old.node.clone(), left)));
            }
            if let Some(new) = change.new {
                *self.0.entry(new.node.clone()).or_default() += 1;
            }
        }
    }

    impl Kind for Pod {
        const INFO: KindInfo =
            KindInfo { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true, crd: None };
        type Meta = Meta;
        type View = OnNodes;

        fn meta(&self) -> &Meta {
            &self.metadata
        }
        fn index_key(&self) -> Option<&str> {
            Some(self.node.as_str()).filter(|node| !node.is_empty())
        }
    }

    fn pod(uid: &str, node: &str, owner: &str) -> Pod {
        let owner = Owner { uid: owner.to_owned(), controller: true, ..Owner::default() };
        let metadata = Meta { name: "a".into(), uid: uid.into(), owners: Arc::new(vec![owner]), ..Meta::default() };
        Pod { metadata, node: node.to_owned() }
    }

    #[test]
    fn a_view_is_at_every_moment_what_it_is_when_made_anew() {
        let mut store = KindStore::<Pod>::default();
        // The numbers of a linear congruential generator: every run is the same.
        let mut last = 7_u32;
        let mut lot = |below: u32| {
            last = last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (last >> 16) % below
        };
        let mut held = Vec::new();
        for step in 0..2_000 {
            let mut any = |version: usize| {
                let mut pod = pod("u", ["n1", "n2", "n3"][lot(3) as usize], "o");
                pod.metadata.name = format!("pod-{}", lot(20)).into();
                pod.metadata.resource_version = version.to_string().into();
                pod
            };
            let body = match step % 7 {
                0 => {
                    let last = any(step);
                    Body::Deleted(Kind::key(&last), Some(last), step.to_string())
                }
                1 if step % 3 == 0 => {
                    Body::Listed((0..12).map(|one| any(step + one)).collect(), Vec::new(), step.to_string())
                }
                _ => Body::Applied(any(step)),
            };
            store.apply(Box::new(body), Timestamp::UNIX_EPOCH);
            assert_eq!(*store.view(), OnNodes::of(store.all()), "step {step}");
            held.push((store.clone(), store.view().clone()));
        }
        assert!(held.iter().all(|(store, view)| store.view() == view), "a cut keeps the view that it had");
    }

    #[test]
    fn an_object_that_does_not_decode_is_there_in_its_last_state_until_it_is_gone() {
        let mut store = KindStore::<Pod>::default();
        let key = ObjectKey::cluster("a");
        let apply =
            |store: &mut KindStore<Pod>, body: Body<Pod>| store.apply(Box::new(body), Timestamp::UNIX_EPOCH).len();
        let unreadable = || Unreadable {
            key: key.clone(),
            resource_version: "7".to_owned(),
            field: "node".to_owned(),
            message: "expected a string".to_owned(),
        };
        apply(&mut store, Body::Applied(pod("u", "n1", "o")));
        assert_eq!(apply(&mut store, Body::Unreadable(unreadable())), 0);
        assert_eq!(apply(&mut store, Body::Listed(Vec::new(), vec![unreadable()], "8".to_owned())), 0);
        assert_eq!((store.len(), store.unreadable().len(), store.revision()), (1, 1, 8));
        assert_eq!(store.sighting(&key, "u"), Sighting::Unreadable);
        assert_eq!(apply(&mut store, Body::Deleted(key.clone(), None, "9".to_owned())), 1);
        assert!(matches!(store.lookup(&key), Lookup::Gone(_)) && store.unreadable().is_empty());
    }

    #[test]
    fn an_object_is_found_where_it_is_now_and_nowhere_else() {
        for after in [("u", "n1", "o1"), ("v", "n1", "o1"), ("u", "n2", "o1"), ("u", "", "o1"), ("u", "n1", "o2")] {
            let mut store = KindStore::<Pod>::default();
            store.insert(pod("u", "n1", "o1"));
            let held = store.clone();
            store.insert(pod(after.0, after.1, after.2));
            for (uid, node, owner) in [("u", "n1", "o1"), ("v", "n2", "o2")] {
                assert_eq!(store.by_uid(uid).is_some(), after.0 == uid, "{after:?}");
                assert_eq!(store.indexed_under(node).count(), usize::from(after.1 == node), "{after:?}");
                assert_eq!(store.owned_by(owner).count(), usize::from(after.2 == owner), "{after:?}");
            }
            assert_eq!(
                (held.by_uid("u").is_some(), held.indexed_under("n1").count(), held.owned_by("o1").count()),
                (true, 1, 1)
            );
        }
    }
}
