//! Sends the script's requests one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use kentroller_runtime::simulation::apiserver::{ApiServer, Fault};
use serde_json::Value;

use super::normal::Normal;
use super::script::{Expects, Step, User};
use super::{Told, script};
use crate::rest::{Answer, Api};

/// Whether somebody else works on the cluster.
#[derive(Clone, Copy)]
pub enum Surroundings<'a> {
    /// Controllers act, in their own time.
    Alive,
    /// Nobody acts on this embedded server: what others would do, the script does.
    Still(&'a ApiServer),
}

/// How long controllers may take.
const PATIENCE: u32 = 300;

/// Plays the script as an administrator, and where it says so as a user without any right.
pub async fn play(admin: &Api, nobody: &Api, surroundings: Surroundings<'_>) -> Vec<Told> {
    let mut answers: BTreeMap<&str, Value> = BTreeMap::new();
    let (mut normal, mut all) = (Normal::default(), Vec::new());
    for step in script() {
        let api = if step.user == User::Admin { admin } else { nobody };
        let path = filled(&step.path, &answers);
        let body: Value = serde_json::from_str(&filled(&step.body.to_string(), &answers)).expect("still JSON");
        if let Expects::Settled { pointer, value, otherwise } = &step.expects {
            if matches!(surroundings, Surroundings::Still(_)) && !otherwise.is_null() {
                admin.patch(&format!("{path}/status"), otherwise).await;
            }
            answers.insert(step.name, settled(admin, &step, &path, pointer, value).await);
            continue;
        }
        if let (Expects::NoHistory { kind }, Surroundings::Still(server)) = (&step.expects, surroundings) {
            server.inject(Fault::ExpireHistory { kind: Some((*kind).to_owned()) });
        }
        let (code, answer, words) = if matches!(step.expects, Expects::Events | Expects::NoHistory { .. }) {
            let events: Vec<Value> = api.watch(&path).await.collect().await;
            let words: Vec<Value> = events.iter().map(|event| normal.of(event)).collect();
            (200, Value::from(events), without_bookmarks(words))
        } else {
            let Answer { code, body } = api.ask(step.method, &path, step.content, &body).await;
            let words = normal.of(&body);
            (code, body, words)
        };
        answers.insert(step.name, answer);
        all.push(Told {
            name: step.name.to_owned(),
            request: format!("{} {}", step.method, step.path),
            body: step.body,
            code,
            answer: words,
        });
    }
    all
}

/// Looks at an object until a field has a value; null: until the object is gone.
async fn settled(admin: &Api, step: &Step, path: &str, pointer: &str, value: &Value) -> Value {
    for _ in 0..PATIENCE {
        let found = admin.find(path).await;
        let done = match &found {
            None => value.is_null(),
            Some(object) => !value.is_null() && object.pointer(pointer) == Some(value),
        };
        if done {
            return found.unwrap_or_default();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{}: {path} {pointer} never became {value}", step.name);
}

/// The events without bookmarks: no server promises when one comes, or that one comes. Those that do are held to what a
/// watcher reads of them.
fn without_bookmarks(mut events: Vec<Value>) -> Value {
    events.retain(|event| {
        let is_bookmark = event["type"] == "BOOKMARK";
        let (object, version) = (&event["object"], &event["object"]["metadata"]["resourceVersion"]);
        assert!(!is_bookmark || (object["kind"] == "RebalancePlanSchedule" && version.is_string()), "{event}");
        !is_bookmark
    });
    Value::from(events)
}

/// The text with fields of earlier answers in the places of `$step:/pointer$`.
fn filled(text: &str, answers: &BTreeMap<&str, Value>) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    while let (Some(named), Some(after)) = (parts.next(), parts.next()) {
        let (step, pointer) = named.split_once(':').unwrap_or_else(|| panic!("{named:?} is no step:/pointer"));
        let field = answers.get(step).and_then(|answer| answer.pointer(pointer)).and_then(Value::as_str);
        out.push_str(field.unwrap_or_else(|| panic!("{named:?}: no such text in {:?}", answers.get(step))));
        out.push_str(after);
    }
    out
}
