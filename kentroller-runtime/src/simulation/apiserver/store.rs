//! What the server keeps: objects by kind in the order of lists, each encoded once per write, and the log of changes
//! that watches read from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use hyper::body::Bytes;
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::Served;
use super::access::{Request, Rule};
use super::apply::Ownership;
use super::faults::Faults;
use super::gc::Chore;
use super::object::{self, Key};
use super::refusal::{self, Refusal};
use super::schema::Schema;

/// How many changes of a kind a watch can go back. A watch that is further behind gets 410, as from the real server.
const LOG_LENGTH: usize = 20_000;

/// The largest object that etcd takes in one request.
const LARGEST_OBJECT: usize = 1_572_864;

/// One state of one object.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) object: Arc<Value>,
    /// Its JSON after `{"apiVersion":…,"kind":…,`: lists of built-in kinds leave these two out, everything else adds them.
    pub(super) tail: Bytes,
    pub(super) revision: u64,
}

impl Stored {
    pub(super) fn key(&self) -> Key {
        (object::text(&self.object, "namespace").to_owned(), object::text(&self.object, "name").to_owned())
    }
}

/// One entry of the log of a kind. `now` of a deletion is the last state, carrying the version of the deletion.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) before: Option<Arc<Stored>>,
    pub(super) now: Arc<Stored>,
    pub(super) deleted: bool,
}

/// All objects of one kind.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) served: Arc<Served>,
    /// `"apiVersion":"…","kind":"…",`: what stands before every tail.
    pub(super) head: String,
    pub(super) schema: Option<Schema>,
    pub(super) objects: BTreeMap<Key, Arc<Stored>>,
    /// Who applied which fields; only of objects that somebody applied to.
    pub(super) applied: BTreeMap<Key, Ownership>,
    pub(super) log: VecDeque<Change>,
    /// A watch can start at this version or later.
    pub(super) oldest: u64,
    /// Raised to end all streams that were opened before.
    pub(super) epoch: u64,
    sleeping: Vec<Waker>,
}

/// Who writes, for the log of writes.
#[derive(Clone, Debug)]
pub(super) struct By {
    pub(super) user: Arc<str>,
    pub(super) verb: &'static str,
    pub(super) subresource: &'static str,
    pub(super) preconditions: Preconditions,
}

/// Which states of an object a request was meant for; a request without any hits whatever bears the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// It told a uid.
    pub uid: bool,
    /// It told a `resourceVersion`.
    pub resource_version: bool,
}

/// One committed write, as invariants and the "idle means leases only" check read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Who wrote.
    pub user: Arc<str>,
    /// `create`, `update`, `patch`, `delete`; an eviction is `create` of the subresource `eviction`.
    pub verb: &'static str,
    /// The kind of the object.
    pub kind: Arc<str>,
    /// Empty for cluster-wide kinds.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// `status`, `eviction` or empty.
    pub subresource: &'static str,
    /// The `resourceVersion` that the write made.
    pub revision: u64,
    /// What the request told; nothing for direct writes of the world.
    pub preconditions: Preconditions,
}

/// A committed write with the state on either side; `None` before a creation and after a removal.
#[derive(Clone, Debug)]
pub struct Commit {
    /// What was asked for.
    pub write: Write,
    /// The object as it was; `None` of a creation.
    pub before: Option<Arc<Value>>,
    /// The object as it is; `None` if it is gone.
    pub after: Option<Arc<Value>>,
}

/// Everything behind the lock.
pub(super) struct State {
    pub(super) now: Timestamp,
    pub(super) revision: u64,
    pub(super) tables: Vec<Table>,
    pub(super) writes: Vec<Write>,
    /// How often each was asked.
    pub(super) requests: BTreeMap<Request, usize>,
    pub(super) unserved: Vec<String>,
    pub(super) rules: BTreeMap<String, Vec<Rule>>,
    pub(super) faults: Faults,
    /// Objects by the uid of an owner, and where each uid lives: what garbage collection walks.
    pub(super) dependents: BTreeMap<String, BTreeSet<(usize, Key)>>,
    pub(super) places: BTreeMap<String, (usize, Key)>,
    pub(super) gone: BTreeSet<String>,
    pub(super) chores: VecDeque<Chore>,
    by_kind: BTreeMap<String, usize>,
    sequence: u64,
    /// Commits that observers have not seen, and sleepers to wake, once the lock is free.
    commits: Vec<Commit>,
    awake: Vec<Waker>,
    waiting: Vec<Waker>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("revision", &self.revision).field("kinds", &self.by_kind).finish_non_exhaustive()
    }
}

/// An object without the two fields that its table already says.
struct Tail<'a>(&'a Value);

impl Serialize for Tail<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in self.0.as_object().into_iter().flatten() {
            if field != "apiVersion" && field != "kind" {
                map.serialize_entry(field, value)?;
            }
        }
        map.end()
    }
}

/// The bytes of an object after its head.
pub(super) fn tail_of(object: &Value) -> Bytes {
    let bytes = Bytes::from(serde_json::to_vec(&Tail(object)).expect("a JSON value has no keys that are not text"));
    bytes.slice(1..)
}

impl Table {
    fn new(served: Served) -> Self {
        let head = format!("\"apiVersion\":\"{}\",\"kind\":\"{}\",", served.api_version(), served.kind);
        let schema = served.crd.as_ref().map(|crd| Schema::of(&served, crd));
        Self {
            served: Arc::new(served),
            head,
            schema,
            objects: BTreeMap::new(),
            applied: BTreeMap::new(),
            log: VecDeque::new(),
            oldest: 0,
            epoch: 0,
            sleeping: Vec::new(),
        }
    }

    /// The whole JSON of an object.
    pub(super) fn bytes(&self, stored: &Stored) -> Bytes {
        let mut bytes = Vec::with_capacity(1 + self.head.len() + stored.tail.len());
        bytes.push(b'{');
        bytes.extend_from_slice(self.head.as_bytes());
        bytes.extend_from_slice(&stored.tail);
        bytes.into()
    }

    /// The objects of a namespace, or of all, in the order of lists.
    pub(super) fn range(&self, namespace: Option<&str>) -> impl Iterator<Item = (&Key, &Arc<Stored>)> {
        let from = (namespace.unwrap_or_default().to_owned(), String::new());
        let inside = move |key: &Key| namespace.is_none_or(|namespace| key.0 == namespace);
        self.objects.range(from..).take_while(move |(key, _)| inside(key))
    }

    /// Wakes the waker at the next change of this kind or the end of its streams.
    pub(super) fn wake_at_change(&mut self, waker: &Waker) {
        if !self.sleeping.iter().any(|one| one.will_wake(waker)) {
            self.sleeping.push(waker.clone());
        }
    }

    fn record(&mut self, change: Change) {
        self.log.push_back(change);
        if self.log.len() > LOG_LENGTH
            && let Some(dropped) = self.log.pop_front()
        {
            self.oldest = dropped.revision;
        }
    }
}

impl State {
    pub(super) fn new(kinds: Vec<Served>) -> Self {
        let mut by_kind = BTreeMap::new();
        for (at, served) in kinds.iter().enumerate() {
            let twin = by_kind.insert(served.kind.clone(), at);
            assert!(twin.is_none(), "two served kinds are called {}", served.kind);
        }
        Self {
            now: Timestamp::UNIX_EPOCH,
            // An empty cluster has seen writes too: version 0 has a meaning of its own in lists and watches.
            revision: 1,
            tables: kinds.into_iter().map(Table::new).collect(),
            writes: Vec::new(),
            requests: BTreeMap::new(),
            unserved: Vec::new(),
            rules: BTreeMap::new(),
            faults: Faults::default(),
            dependents: BTreeMap::new(),
            places: BTreeMap::new(),
            gone: BTreeSet::new(),
            chores: VecDeque::new(),
            by_kind,
            sequence: 0,
            commits: Vec::new(),
            awake: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// The table of a kind.
    ///
    /// # Panics
    /// When the kind is not served: a mistake of the test or of the simulated world.
    pub(super) fn table(&self, kind: &str) -> usize {
        *self.by_kind.get(kind).unwrap_or_else(|| {
            panic!("the embedded API server does not serve the kind {kind}; add it to the served kinds")
        })
    }

    pub(super) fn served_kind(&self, kind: &str) -> Option<usize> {
        self.by_kind.get(kind).copied()
    }

    pub(super) fn find(&self, table: usize, key: &Key) -> Result<&Arc<Stored>, Refusal> {
        let table = &self.tables[table];
        table.objects.get(key).ok_or_else(|| refusal::not_found(&table.served, &key.1))
    }

    /// A uid that nobody has or had. The sequence is the same in every run.
    pub(super) fn next_uid(&mut self) -> String {
        loop {
            let uid = self.another_uid();
            if !self.places.contains_key(&uid) && !self.gone.contains(&uid) {
                return uid;
            }
        }
    }

    fn another_uid(&mut self) -> String {
        let (high, low) = (self.next_number(), self.next_number());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 50),
            low & 0xffff_ffff_ffff
        )
    }

    /// The five letters that `generateName` gets.
    pub(super) fn next_suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut number = self.next_number();
        let mut letter = || {
            let (rest, at) = (number / LETTERS.len() as u64, (number % LETTERS.len() as u64) as usize);
            number = rest;
            char::from(LETTERS[at])
        };
        (0..5).map(|_| letter()).collect()
    }

    /// SplitMix64 over a counter (Steele, Lea, Flood 2014): well spread, and no state beyond the count.
    fn next_number(&mut self) -> u64 {
        self.sequence += 1;
        let mut mixed = self.sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Writes a new state of an object and tells everybody.
    ///
    /// # Errors
    /// When the object is larger than etcd takes.
    pub(super) fn put(&mut self, table: usize, key: Key, mut object: Value, by: &By) -> Result<Arc<Stored>, Refusal> {
        let revision = self.revision + 1;
        object::set_meta(&mut object, "resourceVersion", json!(revision.to_string()));
        let tail = tail_of(&object);
        if tail.len() > LARGEST_OBJECT {
            return Err(refusal::internal("etcdserver: request is too large"));
        }
        let stored = Arc::new(Stored { object: Arc::new(object), tail, revision });
        self.revision = revision;
        let before = self.tables[table].objects.insert(key.clone(), stored.clone());
        self.note_owners(table, &key, before.as_deref(), Some(&stored));
        self.commit(table, key, before, stored.clone(), false, by);
        Ok(stored)
    }

    /// Removes an object; answers its last state with the version of the removal.
    pub(super) fn remove(&mut self, table: usize, key: &Key, by: &By) -> Option<Arc<Stored>> {
        let before = self.tables[table].objects.remove(key)?;
        self.tables[table].applied.remove(key);
        self.revision += 1;
        let mut object = (*before.object).clone();
        object::set_meta(&mut object, "resourceVersion", json!(self.revision.to_string()));
        let tail = tail_of(&object);
        let last = Arc::new(Stored { object: Arc::new(object), tail, revision: self.revision });
        self.note_owners(table, key, Some(&before), None);
        self.commit(table, key.clone(), Some(before), last.clone(), true, by);
        Some(last)
    }

    fn commit(
        &mut self,
        table: usize,
        key: Key,
        before: Option<Arc<Stored>>,
        now: Arc<Stored>,
        deleted: bool,
        by: &By,
    ) {
        let write = Write {
            user: by.user.clone(),
            verb: by.verb,
            kind: self.tables[table].served.kind.as_str().into(),
            namespace: key.0,
            name: key.1,
            subresource: by.subresource,
            revision: now.revision,
            preconditions: by.preconditions,
        };
        self.writes.push(write.clone());
        self.commits.push(Commit {
            write,
            before: before.as_ref().map(|stored| stored.object.clone()),
            after: (!deleted).then(|| now.object.clone()),
        });
        let place = &mut self.tables[table];
        place.record(Change { revision: now.revision, before, now, deleted });
        self.awake.append(&mut place.sleeping);
        self.awake.append(&mut self.waiting);
    }

    /// Wakes the waker at the next write of anything.
    pub(super) fn wake_at_write(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|one| one.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    /// Wakes all streams of a kind, or of all kinds, to look at faults again.
    pub(super) fn wake_streams(&mut self, table: Option<usize>) {
        for (at, place) in self.tables.iter_mut().enumerate() {
            if table.is_none_or(|table| table == at) {
                self.awake.append(&mut place.sleeping);
            }
        }
    }

    /// What must happen outside the lock: commits to show, sleepers to wake.
    pub(super) fn take_news(&mut self) -> (Vec<Commit>, Vec<Waker>) {
        (mem::take(&mut self.commits), mem::take(&mut self.awake))
    }
}
