//! One list and watch for each kind, decoded straight into its projection.
//!
//! kube-runtime's watcher is not used: it wants the whole `ObjectMeta` of every object, fails a list for one object that
//! does not decode, and says nothing of the progress that our expectations wait for.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::Request;
use kube::core::WatchEvent;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};

use super::share::Pool;
use crate::kind::{Kind, KindInfo};

/// Objects a page: what client-go takes.
const PAGE: usize = 500;
/// The server ends a watch after this long; we give it a little more before we give up on it.
const WATCH_SECONDS: u64 = 290;
const IDLE: Duration = Duration::from_secs(WATCH_SECONDS + 10);
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(30);
/// A kind that the API server does not serve is asked for again after this long.
const NOT_SERVED: Duration = Duration::from_secs(60);

/// What a watch tells its store.
#[derive(Debug)]
pub enum Body<K> {
    /// A whole list, and its resourceVersion.
    Listed(Vec<K>, String),
    Applied(K),
    Deleted(K),
    /// Nothing changed up to this resourceVersion.
    Progress(String),
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
    Message(WatchMessage),
    /// The watch cannot read at the moment; what it read before stands.
    Trouble(KindInfo, String),
}

/// What a watch needs to run.
#[derive(Clone)]
pub struct Context {
    pub client: kube::Client,
    pub to: mpsc::Sender<News>,
    /// Asks for a fresh list.
    pub relist: Arc<Notify>,
    /// Reads this namespace only; empty for all.
    pub namespace: String,
}

/// Starts the watch of a kind.
pub type Start = fn(Context) -> BoxFuture<'static, ()>;

/// Runs the watch of kind `K` until the receiver is gone.
pub fn start<K: Kind>(context: Context) -> BoxFuture<'static, ()> {
    Watch::<K> { context, pool: Pool::default(), served: false, kind: std::marker::PhantomData }.run().boxed()
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
    kind: std::marker::PhantomData<K>,
}

impl<K: Kind> Watch<K> {
    async fn run(mut self) {
        let mut delay = FIRST_DELAY;
        loop {
            match self.list().await {
                Ok((objects, version)) => {
                    self.served = true;
                    delay = FIRST_DELAY;
                    if !self.tell(Body::Listed(objects, version.clone())).await {
                        return;
                    }
                    if matches!(self.follow(version).await, End::Over) {
                        return;
                    }
                }
                Err(kube::Error::Api(status)) if status.code == 404 && K::OPTIONAL && !self.served => {
                    if !self.tell(Body::Listed(Vec::new(), String::new())).await {
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
                    delay = (delay * 2).min(LAST_DELAY);
                }
            }
        }
    }

    async fn list(&mut self) -> Result<(Vec<K>, String), kube::Error> {
        let (mut objects, mut more) = (Vec::new(), String::new());
        loop {
            let mut query = vec![("limit", PAGE.to_string())];
            if !more.is_empty() {
                query.push(("continue", more));
            }
            let page: Page = tokio::time::timeout(IDLE, self.context.client.request(self.request(&query)))
                .await
                .unwrap_or_else(|_| Err(kube::Error::Service("the list did not arrive in time".into())))?;
            for item in page.items.unwrap_or_default() {
                objects.extend(self.decode(serde_json::from_str(item.get()), || name_of(item.get())));
            }
            if page.metadata.more.is_empty() {
                return Ok((objects, page.metadata.resource_version));
            }
            more = page.metadata.more;
        }
    }

    async fn watch(&mut self, from: &str) -> Result<End, (kube::Error, String)> {
        let mut version = from.to_owned();
        let query = [
            ("watch", "true".to_owned()),
            ("resourceVersion", version.clone()),
            ("allowWatchBookmarks", "true".to_owned()),
            ("timeoutSeconds", WATCH_SECONDS.to_string()),
        ];
        let relist = Arc::clone(&self.context.relist);
        let events = self.context.client.request_events::<Value>(self.request(&query)).await;
        let mut events = pin!(events.map_err(|error| (error, version.clone()))?);
        loop {
            let next = tokio::select! {
                biased;
                () = relist.notified() => return Ok(End::Anew),
                next = tokio::time::timeout(IDLE, events.next()) => next,
            };
            let event = match next {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => return Err((error, version)),
                // The server ends a watch in its time; a silent one is ended by us.
                Ok(None) | Err(_) => return Ok(End::Again(version)),
            };
            let body = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.object(object, &mut version).map(Body::Applied)
                }
                WatchEvent::Deleted(object) => self.object(object, &mut version).map(Body::Deleted),
                WatchEvent::Bookmark(mark) => {
                    version = mark.metadata.resource_version;
                    Some(Body::Progress(version.clone()))
                }
                WatchEvent::Error(status) if status.code == 410 => return Ok(End::Anew),
                WatchEvent::Error(status) => return Err((kube::Error::Api(status), version)),
            };
            if let Some(body) = body
                && !self.tell(body).await
            {
                return Ok(End::Over);
            }
        }
    }

    fn object(&mut self, object: Value, version: &mut String) -> Option<K> {
        if let Some(at) = object["metadata"]["resourceVersion"].as_str() {
            at.clone_into(version);
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.decode(serde_json::from_value(object), || name)
    }

    /// One object that does not decode must not hide the others: it is named, and left out.
    fn decode(&mut self, decoded: serde_json::Result<K>, name: impl FnOnce() -> String) -> Option<K> {
        match decoded {
            Ok(mut object) => {
                object.share(&mut self.pool);
                Some(object)
            }
            Err(error) => {
                tracing::error!(kind = K::INFO.kind, name = name(), %error, "an object does not decode and is left alone; mend the field that the error names");
                None
            }
        }
    }

    fn request(&self, query: &[(&str, String)]) -> Request<Vec<u8>> {
        let query: BTreeMap<&str, &String> = query.iter().map(|(name, value)| (*name, value)).collect();
        let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let uri = format!("{}?{}", K::INFO.path(&self.context.namespace, None), pairs.join("&"));
        let mut request = Request::new(Vec::new());
        // The path is made of constants and the query is escaped: it always parses.
        *request.uri_mut() = uri.parse().unwrap_or_default();
        request
    }

    async fn tell(&self, body: Body<K>) -> bool {
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
            kube::Error::Api(status) => format!("cannot read {}: {} ({})", K::INFO.plural, status.message, status.code),
            other => format!("cannot read {}: {other}", K::INFO.plural),
        };
        self.context.to.send(News::Trouble(K::INFO, said)).await.is_ok()
    }
}

fn name_of(text: &str) -> String {
    let object: Value = serde_json::from_str(text).unwrap_or_default();
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn escape(value: &str) -> String {
    let mut escaped = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}
