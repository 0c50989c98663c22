//! An API server in the process, behind a real `kube::Client`.
//!
//! It is here because nothing like it exists for kube 5: fakes that can be had have no watch, and delete through
//! finalizers. It serves what this project asks and nothing else; any other request panics with its method and path.
//! Objects are JSON values; everything is ordered, and time comes from outside, so that the same run gives the same
//! bytes. It needs a tokio runtime on one thread, paused or not.
//!
//! Data flow: `asked` takes a request apart, `http` answers it; `faults` and `access` may stop it, `operate` (with
//! `eviction`, `apply`, `merge`) makes the new state, `metadata`, `builtin` and `schema` complete and judge it, `store`
//! keeps it and logs the change, `gc` follows the owners, `list` and `watch` show it.
//!
//! Absent: dry runs, strict field validation, JSON and strategic patches, tables, protobuf, watches with initial events,
//! namespaces that must exist, priority and quota, immutable fields of pods, and `managedFields`.

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use jiff::Timestamp;
use serde_json::Value;

mod access;
mod apply;
mod asked;
mod builtin;
mod eviction;
mod faults;
mod gc;
mod http;
mod list;
mod merge;
mod metadata;
mod object;
mod operate;
mod refusal;
mod schema;
mod selector;
mod store;
#[cfg(test)]
mod tests;
mod validate;
mod watch;

pub use access::{Request, Rule};
pub use faults::{Fault, Matching, Trouble};
pub use operate::DeleteOptions;
pub use refusal::{Refusal, of_code as refusal_of_code};
pub use store::{Commit, Preconditions, Write};

use object::Key;
use operate::Part;
use store::{By, State};

/// A kind that the server serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// Empty for the core group.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// In PascalCase.
    pub kind: String,
    /// Lower-case plural, as in paths.
    pub plural: String,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
    /// Whether `status` is written apart from the rest.
    pub status_subresource: bool,
    /// The whole CustomResourceDefinition, for kinds that have one: defaults, pruning, validation and rules come from it.
    pub crd: Option<Value>,
}

impl Served {
    /// A kind of the server itself, or one whose CRD is not at hand.
    pub fn built_in(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool, status: bool) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural.into(),
            namespaced,
            status_subresource: status,
            crd: None,
        }
    }

    /// All that is needed from a CustomResourceDefinition, in its first served version.
    ///
    /// # Panics
    /// When it has no served version.
    pub fn custom(crd: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let spec = &crd["spec"];
        let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let version = versions.iter().find(|one| one["served"] == true).expect("a CRD serves a version");
        Self {
            group: text(&spec["group"]),
            version: text(&version["name"]),
            kind: text(&spec["names"]["kind"]),
            plural: text(&spec["names"]["plural"]),
            namespaced: spec["scope"] == "Namespaced",
            status_subresource: version["subresources"]["status"].is_object(),
            crd: Some(crd),
        }
    }

    /// `v1` or `group/version`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether a PUT must say which version it replaces.
    fn needs_version(&self) -> bool {
        self.crd.is_some() || self.group == "coordination.k8s.io"
    }

    /// Where the real server keeps the kind, as its storage errors tell.
    fn registry(&self) -> String {
        match (self.crd.is_some(), self.kind.as_str()) {
            (true, _) => format!("{}/{}", self.group, self.plural),
            (false, "Node") => "minions".into(),
            (false, _) => self.plural.clone(),
        }
    }
}

/// Called after every committed write.
type Observer = Arc<dyn Fn(&Commit) + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    observers: Mutex<Vec<Observer>>,
}

/// A handle on the server. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
    /// The user of direct writes.
    user: Arc<str>,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server with nothing in it.
    ///
    /// # Panics
    /// When two kinds have the same name, or the schema of a CRD does not compile.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static, kinds: Vec<Served>) -> Self {
        let shared =
            Shared { state: Mutex::new(State::new(kinds)), now: Box::new(now), observers: Mutex::new(Vec::new()) };
        Self { shared: Arc::new(shared), user: "world".into() }
    }

    /// The same server, whose direct writes are logged as this user's: `karpenter`, `kubelet`, a human. It is `world`
    /// until said otherwise.
    #[must_use]
    pub fn acting_as(&self, user: &str) -> Self {
        Self { shared: self.shared.clone(), user: user.into() }
    }

    fn by(&self, verb: &'static str, subresource: &'static str) -> By {
        By { user: self.user.clone(), verb, subresource, preconditions: Preconditions::default() }
    }

    /// A client that speaks to this server as the given user, without retries.
    ///
    /// # Panics
    /// Outside a tokio runtime, where kube cannot make a client.
    pub fn client(&self, user: &str) -> kube::Client {
        let (server, user) = (self.clone(), Arc::<str>::from(user));
        let service = tower::service_fn(move |request| server.clone().serve(user.clone(), request));
        kube::Client::new(service, "default")
    }

    /// One object; `namespace` is `None` for cluster-wide kinds.
    pub fn get(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        let state = self.lock();
        let stored = state.tables[state.table(kind)].objects.get(&key(namespace, name))?;
        Some(stored.object.clone())
    }

    /// All objects of a kind, by namespace and name.
    pub fn list(&self, kind: &str) -> Vec<Arc<Value>> {
        let state = self.lock();
        state.tables[state.table(kind)].objects.values().map(|stored| stored.object.clone()).collect()
    }

    /// Creates an object, as a POST does.
    ///
    /// # Errors
    /// What the server would answer.
    pub fn create(&self, object: Value) -> Result<Arc<Value>, Refusal> {
        self.bring(object, false)
    }

    /// Creates an object together with its status, for worlds that begin in the middle of a life. It keeps the uid and the
    /// `creationTimestamp` that it brings.
    ///
    /// # Errors
    /// What the server would answer.
    pub fn seed(&self, object: Value) -> Result<Arc<Value>, Refusal> {
        self.bring(object, true)
    }

    fn bring(&self, object: Value, seeded: bool) -> Result<Arc<Value>, Refusal> {
        self.transact(|state| {
            let table = state.table(object["kind"].as_str().unwrap_or_default());
            let namespace = match object::text(&object, "namespace") {
                "" if state.tables[table].served.namespaced => "default".to_owned(),
                told => told.to_owned(),
            };
            let stored = state.create(table, &namespace, object, seeded, &self.by("create", ""))?;
            Ok(stored.object.clone())
        })
    }

    /// Changes the spec and metadata of an object. A change that changes nothing is not written.
    ///
    /// # Errors
    /// What the server would answer.
    pub fn update(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Refusal> {
        self.alter(kind, namespace, name, Part::Main, change)
    }

    /// Changes the status of an object. A change that changes nothing is not written.
    ///
    /// # Errors
    /// What the server would answer.
    pub fn update_status(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Refusal> {
        self.alter(kind, namespace, name, Part::Status, change)
    }

    fn alter(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        part: Part,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Refusal> {
        self.transact(|state| {
            let table = state.table(kind);
            let by = self.by("update", if part == Part::Status { "status" } else { "" });
            let stored = state.change(table, &key(namespace, name), part, &by, |current| {
                let mut object = current.clone();
                change(&mut object);
                Ok((object, false))
            })?;
            Ok(stored.object.clone())
        })
    }

    /// Deletes an object; whether it is gone at once (`true`) or held by finalizers or a grace period (`false`).
    ///
    /// # Errors
    /// What the server would answer.
    pub fn delete(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<bool, Refusal> {
        self.transact(|state| {
            let table = state.table(kind);
            let removed = state.delete(table, &key(namespace, name), options, &self.by("delete", ""))?;
            Ok(matches!(removed, operate::Removed::Gone(_)))
        })
    }

    /// Evicts a pod under its disruption budget, as the eviction subresource does.
    ///
    /// # Errors
    /// What the server would answer: 429 while the budget does not allow it.
    pub fn evict(&self, namespace: &str, name: &str, options: &DeleteOptions) -> Result<(), Refusal> {
        self.transact(|state| {
            let table = state.table("Pod");
            state.evict(table, &key(Some(namespace), name), options, &self.by("create", "eviction"))
        })
    }

    /// The version of the last write.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Waits until something was written after the given version; answers the version of the last write.
    pub fn changed(&self, since: u64) -> impl Future<Output = u64> + Send + 'static {
        let server = self.clone();
        poll_fn(move |context| {
            let mut state = server.lock();
            if state.revision > since {
                return Poll::Ready(state.revision);
            }
            state.wake_at_write(context.waker());
            Poll::Pending
        })
    }

    /// Every kind of request that came over HTTP so far.
    pub fn requests(&self) -> BTreeSet<Request> {
        self.lock().requests.keys().cloned().collect()
    }

    /// How often a user has asked for this verb, of all kinds together.
    pub fn asked(&self, user: &str, verb: &str) -> usize {
        let state = self.lock();
        let meant = state.requests.iter().filter(|(request, _)| &*request.user == user && request.verb == verb);
        meant.map(|(_, times)| times).sum()
    }

    /// Requests that are not served here, each of which has panicked: for tests whose subject survives panics.
    pub fn unserved(&self) -> Vec<String> {
        self.lock().unserved.clone()
    }

    /// All committed writes after the given version, in their order.
    pub fn writes(&self, since: u64) -> Vec<Write> {
        let state = self.lock();
        let from = state.writes.partition_point(|write| write.revision <= since);
        state.writes[from..].to_vec()
    }

    /// Calls the observer after every committed write, in the order of commits, outside the lock: it may read and write.
    pub fn on_commit(&self, observer: impl Fn(&Commit) + Send + Sync + 'static) {
        self.observers().push(Arc::new(observer));
    }

    /// Binds a user to rules; without rules a user may do everything.
    pub fn allow(&self, user: &str, rules: Option<Vec<Rule>>) {
        let mut state = self.lock();
        match rules {
            Some(rules) => drop(state.rules.insert(user.to_owned(), rules)),
            None => drop(state.rules.remove(user)),
        }
    }

    /// Makes something go wrong.
    pub fn inject(&self, fault: Fault) {
        self.transact(|state| state.inject(fault));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observers(&self) -> MutexGuard<'_, Vec<Observer>> {
        self.shared.observers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something under the lock, then tells observers and sleepers what came of it.
    fn transact<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let now = (self.shared.now)();
        let (result, (commits, sleepers)) = {
            let mut state = self.lock();
            state.now = now;
            let result = act(&mut state);
            state.collect_garbage();
            (result, state.take_news())
        };
        for sleeper in sleepers {
            sleeper.wake();
        }
        if !commits.is_empty() {
            let observers = self.observers().clone();
            for commit in &commits {
                for observer in &observers {
                    observer(commit);
                }
            }
        }
        result
    }
}

fn key(namespace: Option<&str>, name: &str) -> Key {
    (namespace.unwrap_or_default().to_owned(), name.to_owned())
}
