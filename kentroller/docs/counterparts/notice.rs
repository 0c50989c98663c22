//! The notice of the tutorial with kube-rs.
// count: imports
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, CustomResource, Resource, ResourceExt};
use prometheus_client::metrics::counter::Counter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

// count: kind

/// A text that should be seen until a time.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.org", version = "v1", kind = "Notice", shortname = "nt", status = "NoticeStatus")]
#[kube(printcolumn = r#"{"name":"Text","type":"string","jsonPath":".spec.text"}"#)]
pub struct NoticeSpec {
    /// What should be seen.
    #[schemars(length(min = 1, max = 200))]
    pub text: String,
    /// Until when; for ever, if it is absent.
    pub until: Option<Time>,
}

/// What became of a notice.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoticeStatus {
    /// What the notice is and is not, for machines.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// The generation that this status judges.
    pub observed_generation: Option<i64>,
}

// count: controller

const NAMESPACE: &str = "default";

/// What every reconcile needs.
pub struct Context {
    client: Client,
    recorder: Recorder,
    texts_shown: Counter,
}

/// Keeps a ConfigMap for a notice until its time is over.
async fn reconcile(notice: Arc<Notice>, context: Arc<Context>) -> Result<Action, kube::Error> {
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), NAMESPACE);
    let now = Timestamp::now();
    let over = notice.spec.until.as_ref().is_some_and(|until| until.0 <= now);
    let uid = notice.uid();
    let old = maps.get_opt(&notice.name_any()).await?;
    let old = old.filter(|map| map.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref()));
    match &old {
        Some(map) if over => {
            let preconditions = Preconditions { uid: map.uid(), resource_version: map.resource_version() };
            let params = DeleteParams { preconditions: Some(preconditions), ..Default::default() };
            maps.delete(&map.name_any(), &params).await?;
            say(&context, &notice, EventType::Normal, "Over", "the text was taken down".to_owned()).await?;
        }
        None if !over => {
            let map = ConfigMap {
                metadata: ObjectMeta {
                    name: Some(notice.name_any()),
                    namespace: Some(NAMESPACE.to_owned()),
                    owner_references: Some(notice.controller_owner_ref(&()).into_iter().collect()),
                    ..Default::default()
                },
                data: Some(BTreeMap::from([("text".to_owned(), notice.spec.text.clone())])),
                ..Default::default()
            };
            if let Err(error) = maps.create(&PostParams::default(), &map).await {
                say(&context, &notice, EventType::Warning, "Refused", format!("no ConfigMap: {error}")).await?;
                return Err(error);
            }
            say(&context, &notice, EventType::Normal, "Shown", "the text is shown".to_owned()).await?;
            context.texts_shown.inc();
        }
        _ => {}
    }
    report(&context, &notice, old.is_some(), over, now).await?;
    let until = notice.spec.until.as_ref().filter(|_| !over);
    let wait = until.and_then(|until| Duration::try_from(until.0.duration_since(now)).ok());
    Ok(wait.map_or_else(Action::await_change, Action::requeue))
}

async fn say(context: &Context, notice: &Notice, type_: EventType, reason: &str, note: String) -> Result<(), kube::Error> {
    let event =
        Event { type_, reason: reason.to_owned(), note: Some(note), action: "Reconcile".to_owned(), secondary: None };
    context.recorder.publish(&event, &notice.object_ref(&())).await
}

async fn report(context: &Context, notice: &Notice, shown: bool, over: bool, now: Timestamp) -> Result<(), kube::Error> {
    let before = notice.status.clone().unwrap_or_default();
    let generation = notice.meta().generation;
    let condition = |type_: &str, holds: bool, reason: &str, message: &str| {
        let status = if holds { "True" } else { "False" };
        let same = before.conditions.iter().find(|one| one.type_ == type_ && one.status == status);
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: generation,
            last_transition_time: same.map_or(Time(now), |one| one.last_transition_time.clone()),
        }
    };
    let status = NoticeStatus {
        conditions: vec![
            condition("Shown", shown, "Seen", "Whether the ConfigMap is there."),
            condition("Ready", over != shown, if over { "Over" } else { "Wanted" }, ""),
        ],
        observed_generation: generation,
    };
    if status == before {
        return Ok(());
    }
    let notices: Api<Notice> = Api::all(context.client.clone());
    let patch = Patch::Merge(json!({ "status": status }));
    notices.patch_status(&notice.name_any(), &PatchParams::default(), &patch).await.map(drop)
}

fn retry(_: Arc<Notice>, _: &kube::Error, _: Arc<Context>) -> Action {
    Action::requeue(Duration::from_secs(5))
}

/// Says what wakes the controller.
pub async fn run(client: Client, texts_shown: Counter) {
    let recorder = Recorder::new(client.clone(), Reporter::from("notices"));
    let context = Arc::new(Context { client: client.clone(), recorder, texts_shown });
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    Controller::new(Api::<Notice>::all(client), watcher::Config::default())
        .owns(maps, watcher::Config::default())
        .run(reconcile, retry, context)
        .for_each(|_| std::future::ready(()))
        .await;
}
