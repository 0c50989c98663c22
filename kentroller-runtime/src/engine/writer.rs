//! Out: the only writer on the API. Every write goes through [`Writer::act`], with its conditions and a time-out, once.
//!
//! The client must be one without retries: kube's own repeats 429 and 503 for any method, hides the refusals of
//! disruption budgets for minutes, and outlives a lease.

use std::time::Duration;

use http::StatusCode;
use kube::core::Status;
use serde_json::{Value, json};

use super::expect::{Expected, Sight};
use crate::clock::Clock;
use crate::guard::{Fresh, PlainGuard, Read};
use crate::kind::KindInfo;
use crate::lease::{Fence, WRITE_LIMIT};
use crate::outcome::{Act, Effect};
use crate::switches::Mode;
use crate::wire;

/// The longest that the fresh reads of a guard may take together.
const GUARD_LIMIT: Duration = Duration::from_secs(10);

/// Why a write did not happen, or may not have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// HTTP code; 0 when there was no answer, or the engine refused.
    pub code: u16,
    /// In PascalCase: the API server's, or one of [`REFUSALS`].
    pub reason: String,
    /// For people.
    pub message: String,
}

/// Why the engine itself refuses a write.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// In PascalCase.
    pub reason: &'static str,
    /// What it means, for the reference page.
    pub doc: &'static str,
}

macro_rules! refusals {
    ($($name:ident = $reason:literal, $doc:literal;)+) => {
        $(pub(super) const $name: Refusal = Refusal { reason: $reason, doc: $doc };)+
        /// All of them.
        pub const REFUSALS: &[Refusal] = &[$($name),+];
    };
}

refusals! {
    MODE_OBSERVE = "ModeObserve", "Mode `observe` touches nothing but our own objects.";
    LEASE_LOST = "LeaseLost", "The lease is not held any more: another replica may act.";
    STORE_STALE = "StoreStale", "A watch has proved nothing for more than 60 s: nothing is deleted or evicted on what it said long ago. \
        `watch_age_seconds` says which kind; it goes on by itself when the watch does.";
    GUARD_REFUSED = "GuardRefused", "The last look before the write found a reason against it.";
    GUARD_UNREAD = "GuardUnread", "That look could not be read.";
    NO_ANSWER = "NoAnswer", "No answer within three seconds; the write may have happened, and is looked for.";
}

impl Refused {
    pub(super) fn own(refusal: Refusal, message: impl Into<String>) -> Self {
        Self { code: 0, reason: refusal.reason.to_owned(), message: message.into() }
    }
}

/// The writer of one engine.
#[derive(Clone)]
pub struct Writer {
    /// One that repeats nothing by itself.
    pub client: kube::Client,
    /// The time of the engine.
    pub clock: Clock,
    /// Open while the lease is held.
    pub fence: Fence,
    /// Writes nothing at all; says what it would write.
    pub shadow: bool,
}

impl Writer {
    /// Carries out one effect.
    ///
    /// # Errors
    /// [`Refused`] by the mode, the fence, the guard or the API server. After reason `NoAnswer` it may have happened.
    pub async fn act(&self, effect: &Effect, mode: Mode) -> Result<Vec<Expected>, Refused> {
        if self.shadow {
            tracing::info!(effect = %effect, "would do");
            return Ok(Vec::new());
        }
        if mode == Mode::Observe && !effect.kind.ours() {
            return Err(Refused::own(MODE_OBSERVE, "mode observe touches nothing but our own objects"));
        }
        if let Some(guard) = &effect.guard {
            self.look_again(guard).await?;
        }
        let request = request(effect);
        // The last step before the write, and no await between.
        if !self.fence.holds() {
            return Err(Refused::own(LEASE_LOST, "the lease is not held any more; another replica may act"));
        }
        let answer = tokio::time::timeout(WRITE_LIMIT, self.client.request::<Value>(request)).await;
        let stored = answer.map_err(|_| Refused::own(NO_ANSWER, format!("no answer within {WRITE_LIMIT:?}")))?;
        stored.map(|stored| expected(effect, &stored)).map_err(refused)
    }

    /// Posts an event. It is a courtesy: a refusal is logged and changes nothing.
    pub async fn post(&self, event: &Value) {
        if self.shadow || !self.fence.holds() {
            return;
        }
        let namespace = event["metadata"]["namespace"].as_str().unwrap_or("default");
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        match tokio::time::timeout(WRITE_LIMIT, self.client.request::<Value>(wire::post(&path, event))).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, reason = event["reason"].as_str(), "an event was refused"),
            Err(_) => tracing::warn!(reason = event["reason"].as_str(), "an event got no answer"),
        }
    }

    async fn look_again(&self, guard: &PlainGuard) -> Result<(), Refused> {
        let reads = async {
            let mut fresh = Fresh::default();
            for read in &guard.reads {
                let (kind, found) = self.read(read).await?;
                fresh.add(kind, found);
            }
            Ok(fresh)
        };
        let fresh = tokio::time::timeout(GUARD_LIMIT, reads)
            .await
            .unwrap_or_else(|_| Err(Refused::own(GUARD_UNREAD, format!("no answer within {GUARD_LIMIT:?}"))))?;
        (guard.check)(&fresh).map_err(|why| Refused::own(GUARD_REFUSED, why))
    }

    async fn read(&self, read: &Read) -> Result<(KindInfo, Vec<Value>), Refused> {
        let unread = |error: kube::Error| Refused { reason: GUARD_UNREAD.reason.to_owned(), ..refused(error) };
        match read {
            Read::Get(kind, key) => {
                let path = kind.path(&key.namespace, Some(&key.name));
                match self.client.request::<Value>(wire::get(&path, &[])).await {
                    Ok(object) => Ok((*kind, vec![object])),
                    Err(kube::Error::Api(status)) if status.code == 404 => Ok((*kind, Vec::new())),
                    Err(error) => Err(unread(error)),
                }
            }
            Read::List(kind, selector) => {
                let request = wire::get(&kind.path("", None), &[("fieldSelector", selector)]);
                let listed: Value = self.client.request(request).await.map_err(unread)?;
                let items = listed["items"].as_array().cloned().unwrap_or_default();
                Ok((*kind, items))
            }
        }
    }
}

fn request(effect: &Effect) -> wire::Request {
    let (kind, object) = (effect.kind, &effect.object);
    let one = kind.path(&object.namespace, Some(&object.name));
    let merge = |patch: &Value, path: &str| {
        let mut body = patch.clone();
        body["metadata"]["uid"] = json!(effect.uid);
        body["metadata"]["resourceVersion"] = json!(effect.resource_version);
        wire::merge(path, &body)
    };
    match &effect.act {
        Act::Create(body) => wire::post(&kind.path(&object.namespace, None), body),
        Act::Patch(patch) => merge(patch, &one),
        Act::Status(patch) => merge(&json!({ "status": patch }), &format!("{one}/status")),
        Act::Delete | Act::Force => {
            let mut preconditions = json!({"uid": effect.uid});
            if effect.act == Act::Delete {
                preconditions["resourceVersion"] = json!(effect.resource_version);
            }
            let body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
                "preconditions": preconditions});
            wire::delete(&one, &body)
        }
        Act::Evict => {
            let body = json!({"apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": object.name, "namespace": object.namespace},
                "deleteOptions": {"preconditions": {"uid": effect.uid}}});
            wire::post(&format!("{one}/eviction"), &body)
        }
    }
}

/// What the stores must show of a write that was accepted.
fn expected(effect: &Effect, stored: &Value) -> Vec<Expected> {
    let metadata = &stored["metadata"];
    let version = metadata["resourceVersion"].as_str().and_then(|text| text.parse().ok());
    let (uid, sight) = match effect.act {
        Act::Create(_) | Act::Patch(_) | Act::Status(_) => {
            (metadata["uid"].as_str().unwrap_or(&effect.uid), Sight::AtLeast(version.unwrap_or(0)))
        }
        Act::Delete | Act::Evict | Act::Force => (effect.uid.as_str(), Sight::Leaving),
    };
    vec![Expected { kind: effect.kind, object: effect.object.clone(), uid: uid.to_owned(), sight }]
}

fn refused(error: kube::Error) -> Refused {
    match error {
        kube::Error::Api(status) => {
            let Status { code, reason, message, .. } = *status;
            let code_name = StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason());
            let reason = if reason.is_empty() { code_name.unwrap_or("Refused").replace(' ', "") } else { reason };
            Refused { code, reason, message }
        }
        other => Refused::own(NO_ANSWER, format!("{other}")),
    }
}
