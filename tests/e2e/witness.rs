//! Sees every version of pods and disruption budgets while something runs: what happens for a moment only is seen too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kentroller_tests::rest::Api;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::look::{WORKLOADS, name, text};

/// What was seen.
#[derive(Default)]
pub struct Seen {
    /// Pods that left, with the reason in their condition DisruptionTarget; empty when nobody evicted them.
    pub left: BTreeMap<String, String>,
    /// Budgets with fewer healthy pods than they ask for.
    pub broken: Vec<String>,
    /// Pods that the scheduler found no place for.
    pub stranded: BTreeSet<String>,
}

/// Watches until it is dropped or asked.
pub struct Witness {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Witness {
    pub async fn start(kubeconfig: &Path) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = Vec::new();
        for (path, note) in [
            (format!("/api/v1/namespaces/{WORKLOADS}/pods"), pod as fn(&mut Seen, &Value)),
            (format!("/apis/policy/v1/namespaces/{WORKLOADS}/poddisruptionbudgets"), budget),
        ] {
            let api = Api::of(kubeconfig).await;
            let list = api.get(&path).await;
            let from = text(&list, "/metadata/resourceVersion").to_owned();
            let mut events = api.watch(&format!("{path}?watch=true&timeoutSeconds=3600&resourceVersion={from}")).await;
            let seen = Arc::clone(&seen);
            tasks.push(tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    note(&mut seen.lock().expect("nobody panics in between"), &event["object"]);
                }
            }));
        }
        Self { seen, tasks }
    }

    /// What was seen; every watch must have lasted until now.
    pub fn testify(self) -> Seen {
        assert!(self.tasks.iter().all(|task| !task.is_finished()), "a watch broke off");
        self.tasks.iter().for_each(JoinHandle::abort);
        std::mem::take(&mut *self.seen.lock().expect("nobody panics in between"))
    }
}

fn pod(seen: &mut Seen, pod: &Value) {
    let owner = text(pod, "/metadata/ownerReferences/0/kind");
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let reason = |kind: &str| {
        let found = conditions.clone().find(|one| one["type"] == kind);
        found.and_then(|one| one["reason"].as_str()).unwrap_or_default()
    };
    if !text(pod, "/metadata/deletionTimestamp").is_empty() && owner != "DaemonSet" {
        seen.left.insert(name(pod).to_owned(), reason("DisruptionTarget").to_owned());
    }
    if reason("PodScheduled") == "Unschedulable" {
        seen.stranded.insert(name(pod).to_owned());
    }
}

fn budget(seen: &mut Seen, budget: &Value) {
    let (healthy, wanted) = (budget["status"]["currentHealthy"].as_i64(), budget["status"]["desiredHealthy"].as_i64());
    if healthy < wanted {
        seen.broken.push(format!("{}: {healthy:?} healthy of {wanted:?}", name(budget)));
    }
}
