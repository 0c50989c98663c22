//! One list and watch for each kind, decoded straight into its projection.
//!
//! kube-runtime's watcher is not used: it wants the whole `ObjectMeta` of every object, fails a list for one object that
//! does not decode, and says nothing of the progress that our expectations wait for.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use kube::core::WatchEvent;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::share::Pool;
use crate::kind::{Kind, KindInfo, Metadata, ObjectKey};
use crate::wire;

/// Objects a page: what client-go takes.
const PAGE: usize = 500;
/// The server ends a watch after this long. That it does so proves that it told everything until then, as a bookmark does;
/// of a kind in which nothing changes a real API server sends no bookmark at all. Well below [`super::STALE`].
const LASTS: Duration = Duration::from_secs(40);
/// An end that comes earlier by more than this is not the server's: a proxy closes connections too.
const EARLY: Duration = Duration::from_secs(1);
/// A watch that ended otherwise and had proved nothing for as long is followed by a list, which proves it.
const UNPROVEN: Duration = Duration::from_secs(20);
/// We give a watch a little more before we give up on it: a connection of which nobody has told us that it is broken.
const IDLE: Duration = Duration::from_secs(LASTS.as_secs() + 5);
/// A page of a list may take this long.
const PAGE_LIMIT: Duration = Duration::from_secs(60);
/// The answer to a watch must have begun after this long.
const OPENING: Duration = Duration::from_secs(10);
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(30);
/// A kind that the API server does not serve is asked for again after this long.
const NOT_SERVED: Duration = Duration::from_secs(45);

/// What a watch tells its store.
#[derive(Debug)]
pub enum Body<K> {
    /// A whole list, what of it does not decode, and its resourceVersion.
    Listed(Vec<K>, Vec<Unreadable>, String),
    /// It is new, or changed.
    Applied(K),
    /// It is there, in a state that does not decode.
    Unreadable(Unreadable),
    /// It is gone: its key, its last state if that decodes, and the resourceVersion of its end.
    Deleted(ObjectKey, Option<K>, String),
    /// Nothing changed up to this resourceVersion.
    Progress(String),
}

impl<K: Kind> Body<K> {
    /// Up to where it tells everything; `None` when it does not say.
    fn version(&self) -> Option<&str> {
        let version = match self {
            Self::Listed(_, _, version) | Self::Deleted(_, _, version) | Self::Progress(version) => version,
            Self::Applied(object) => object.meta().resource_version(),
            Self::Unreadable(object) => &object.resource_version,
        };
        Some(version).filter(|version| !version.is_empty())
    }

    /// As [`Body::version`], as a number; 0 when it does not say.
    pub(super) fn revision(&self) -> u64 {
        self.version().map_or(0, super::kind_store::version)
    }
}

/// An object that does not decode. It is there all the same: what is known of it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The object.
    pub key: ObjectKey,
    /// Its version.
    pub resource_version: String,
    /// The path of the field that is wrong, as `spec.containers[0].name`.
    pub field: String,
    /// Why, as the decoder says it.
    pub message: String,
}

/// A [`Body`] on its way to the store of its type.
pub struct WatchMessage {
    pub(crate) of: TypeId,
    pub(crate) body: Box<dyn Any + Send>,
}

impl fmt::Debug for WatchMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchMessage").finish_non_exhaustive()
    }
}

/// What arrives at the engine from a watch.
#[derive(Debug)]
pub enum News {
    /// What a watch read.
    Message(WatchMessage),
    /// The watch cannot read at the moment; what it read before stands.
    Trouble(KindInfo, String),
}

/// What a watch needs to run.
#[derive(Clone)]
pub struct Context {
    /// Reads the API.
    pub client: kube::Client,
    /// Takes what is read.
    pub to: mpsc::Sender<News>,
    /// Asks for a fresh list.
    pub relist: Arc<Notify>,
    /// Reads these namespaces only; none: all.
    pub namespaces: Vec<String>,
}

/// Starts the watch of a kind.
pub type Start = fn(Context) -> BoxFuture<'static, ()>;

/// Runs the watch of kind `K` until the receiver is gone.
pub fn start<K: Kind>(context: Context) -> BoxFuture<'static, ()> {
    let (pool, proven) = (Pool::default(), Instant::now());
    Watch::<K> { context, pool, served: false, proven, kind: std::marker::PhantomData }.run().boxed()
}

#[derive(Deserialize)]
struct Page {
    metadata: PageMeta,
    items: Option<Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct PageMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    more: String,
}

/// Why a watch has to be started again.
enum End {
    /// From where it was.
    Again(String),
    /// From a new list.
    Anew,
    /// The engine is gone.
    Over,
}

struct Watch<K> {
    context: Context,
    pool: Pool,
    /// Whether a list has ever come.
    served: bool,
    /// When the API server last told anything.
    proven: Instant,
    kind: std::marker::PhantomData<K>,
}

impl<K: Kind> Watch<K> {
    async fn run(mut self) {
        let mut delay = FIRST_DELAY;
        loop {
            match self.list().await {
                Ok((objects, unreadable, version)) => {
                    self.served = true;
                    delay = FIRST_DELAY;
                    if !self.tell(Body::Listed(objects, unreadable, version.clone())).await {
                        return;
                    }
                    if matches!(self.follow(version).await, End::Over) {
                        return;
                    }
                }
                Err(kube::Error::Api(status)) if status.code == 404 && K::OPTIONAL && !self.served => {
                    if !self.tell(Body::Listed(Vec::new(), Vec::new(), String::new())).await {
                        return;
                    }
                    tokio::time::sleep(NOT_SERVED).await;
                }
                Err(error) => {
                    if !self.trouble(&error).await {
                        return;
                    }
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(LAST_DELAY);
                }
            }
        }
    }

    /// Watches from `version` until the history is gone or a fresh list is asked for.
    async fn follow(&mut self, mut version: String) -> End {
        let mut delay = FIRST_DELAY;
        loop {
            match self.watch(&version).await {
                Ok(End::Again(next)) => {
                    delay = FIRST_DELAY;
                    version = next;
                }
                Ok(end) => return end,
                Err((error, next)) => {
                    version = next;
                    if !self.trouble(&error).await {
                        return End::Over;
                    }
                    tokio::time::sleep(delay).await;
                    if self.is_of_several() {
                        return End::Anew;
                    }
                    delay = (delay * 2).min(LAST_DELAY);
                }
            }
        }
    }

    /// Of several namespaces the oldest version counts: what came since is told again.
    async fn list(&mut self) -> Result<(Vec<K>, Vec<Unreadable>, String), kube::Error> {
        let (mut objects, mut unreadable, mut oldest) = (Vec::new(), Vec::new(), None::<String>);
        for namespace in self.namespaces() {
            let version = self.list_one(&namespace, &mut objects, &mut unreadable).await?;
            let is_older = |than: &String| super::kind_store::version(&version) < super::kind_store::version(than);
            if oldest.as_ref().is_none_or(is_older) {
                oldest = Some(version);
            }
        }
        Ok((objects, unreadable, oldest.unwrap_or_default()))
    }

    async fn list_one(
        &mut self,
        namespace: &str,
        objects: &mut Vec<K>,
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<String, kube::Error> {
        let (mut more, limit) = (String::new(), PAGE.to_string());
        loop {
            let next: &[(&str, &str)] = &[("continue", &more), ("limit", &limit)];
            let request = Self::request(namespace, if more.is_empty() { &next[1..] } else { next });
            let page: Page = tokio::time::timeout(PAGE_LIMIT, self.context.client.request(request))
                .await
                .unwrap_or_else(|_| Err(late("the list did not arrive in time")))?;
            for item in page.items.unwrap_or_default() {
                match self.decode(item.get()) {
                    Ok(object) => objects.push(object),
                    Err(object) => unreadable.push(object),
                }
            }
            if page.metadata.more.is_empty() {
                return Ok(page.metadata.resource_version);
            }
            more = page.metadata.more;
        }
    }

    /// The empty name stands for all.
    fn namespaces(&self) -> Vec<String> {
        let named = &self.context.namespaces;
        if named.is_empty() { vec![String::new()] } else { named.clone() }
    }

    /// How far one of several streams has come says nothing of the others: nothing is resumed, all is listed anew.
    fn is_of_several(&self) -> bool {
        self.context.namespaces.len() > 1
    }

    async fn watch(&mut self, from: &str) -> Result<End, (kube::Error, String)> {
        let mut version = from.to_owned();
        let lasts = LASTS.as_secs().to_string();
        let query =
            [("allowWatchBookmarks", "true"), ("resourceVersion", from), ("timeoutSeconds", &lasts), ("watch", "true")];
        let client = &self.context.client;
        let requests = self.namespaces().into_iter().map(|namespace| Self::request(&namespace, &query));
        let streams = requests.map(|request| client.request_events::<Box<RawValue>>(request));
        let streams = futures::future::try_join_all(streams);
        let relist = Arc::clone(&self.context.relist);
        let opened = tokio::select! {
            biased;
            () = relist.notified() => return Ok(End::Anew),
            opened = tokio::time::timeout(OPENING, streams) => opened,
        };
        let opened = opened.unwrap_or_else(|_| Err(late("the watch was not answered in time")));
        let opened = opened.map_err(|error| (error, version.clone()))?;
        let mut events = futures::stream::select_all(opened.into_iter().map(Box::pin));
        let began = Instant::now();
        loop {
            let next = tokio::select! {
                biased;
                () = relist.notified() => return Ok(End::Anew),
                next = tokio::time::timeout(IDLE, events.next()) => next,
            };
            let event = match next {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => return Err((error, version)),
                Ok(None) if began.elapsed() + EARLY >= LASTS => {
                    let there = self.tell(Body::Progress(version.clone())).await;
                    let on = if self.is_of_several() { End::Anew } else { End::Again(version) };
                    return Ok(if there { on } else { End::Over });
                }
                Ok(None) | Err(_) if self.is_of_several() => return Ok(End::Anew),
                Ok(None) | Err(_) if self.proven.elapsed() >= UNPROVEN => return Ok(End::Anew),
                Ok(None) | Err(_) => return Ok(End::Again(version)),
            };
            let body = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => match self.decode(object.get()) {
                    Ok(object) => Body::Applied(object),
                    Err(object) => Body::Unreadable(object),
                },
                WatchEvent::Deleted(object) => self.deleted(object.get()),
                WatchEvent::Bookmark(mark) => Body::Progress(mark.metadata.resource_version),
                WatchEvent::Error(status) if status.code == 410 => return Ok(End::Anew),
                WatchEvent::Error(status) => return Err((kube::Error::Api(status), version)),
            };
            if let Some(at) = body.version() {
                at.clone_into(&mut version);
            }
            if !self.tell(body).await {
                return Ok(End::Over);
            }
        }
    }

    fn deleted(&mut self, text: &str) -> Body<K> {
        match self.decode(text) {
            Ok(last) => {
                let version = last.meta().resource_version().to_owned();
                Body::Deleted(last.key(), Some(last), version)
            }
            Err(last) => Body::Deleted(last.key, None, last.resource_version),
        }
    }

    /// One object that does not decode must not hide the others, nor be taken for gone: it is named, with its field.
    fn decode(&mut self, text: &str) -> Result<K, Unreadable> {
        let mut object: K = match serde_json::from_str(text) {
            Ok(object) => object,
            Err(_) => return Err(unreadable::<K>(text)),
        };
        object.share(&mut self.pool);
        Ok(object)
    }

    fn request(namespace: &str, query: &[(&str, &str)]) -> wire::Request {
        wire::get(&K::INFO.path(namespace, None), query)
    }

    async fn tell(&mut self, body: Body<K>) -> bool {
        self.proven = Instant::now();
        self.context.to.send(News::Message(WatchMessage { of: TypeId::of::<K>(), body: Box::new(body) })).await.is_ok()
    }

    async fn trouble(&self, error: &kube::Error) -> bool {
        let said = match error {
            kube::Error::Api(status) if status.code == 403 => {
                format!("not allowed to list and watch {}: grant these verbs ({})", K::INFO.plural, status.message)
            }
            kube::Error::Api(status) if status.code == 404 => {
                format!("the API server does not know {}.{}: is its CRD installed?", K::INFO.plural, K::INFO.group)
            }
            // It is busy, or makes room for a kind that is new to it.
            kube::Error::Api(status) if status.code == 429 => {
                format!("the API server asks to wait before it lists {}: {}", K::INFO.plural, status.message)
            }
            kube::Error::Api(status) => format!("cannot read {}: {} ({})", K::INFO.plural, status.message, status.code),
            other => format!("cannot read {}: {other}", K::INFO.plural),
        };
        self.context.to.send(News::Trouble(K::INFO, said)).await.is_ok()
    }
}

fn late(message: &str) -> kube::Error {
    kube::Error::Service(message.into())
}

/// What is wrong with an object that does not decode.
fn unreadable<K: Kind>(text: &str) -> Unreadable {
    let object: Value = serde_json::from_str(text).unwrap_or_default();
    let word = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
    let decoded = serde_path_to_error::deserialize::<_, K>(&mut serde_json::Deserializer::from_str(text));
    let (field, message) = match decoded {
        Ok(_) => (String::new(), "trailing characters".to_owned()),
        Err(error) => (error.path().to_string(), error.inner().to_string()),
    };
    let key = ObjectKey::namespaced(word("namespace"), word("name"));
    tracing::warn!(
        kind = K::INFO.kind, object = %key, field, "{message}: the object does not decode; its last known state counts until the field is mended"
    );
    Unreadable { key, resource_version: word("resourceVersion").to_owned(), field, message }
}
