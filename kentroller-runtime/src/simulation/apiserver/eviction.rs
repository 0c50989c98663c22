//! Evictions: a delete that disruption budgets may refuse.
//!
//! The order of the checks is that of the real server (`pkg/registry/core/pod/storage/eviction.go`, 1.35): a pod that
//! is pending, ended or leaving goes without a budget; two budgets are an error; a pod that is not ready goes where the
//! budget's policy or its room allows it; everything else takes from `disruptionsAllowed` before the delete is tried.

use serde_json::{Value, json};

use super::object::{self, Key};
use super::operate::{DeleteOptions, Part, seconds};
use super::refusal::{self, Refusal};
use super::selector::LabelSelector;
use super::store::{By, Preconditions, State};

/// Evictions that the budget's controller has not seen yet; above this the real server stops.
const MOST_DISRUPTED_PODS: usize = 2000;

impl State {
    /// Evicts a pod.
    pub(super) fn evict(&mut self, table: usize, key: &Key, options: &DeleteOptions, by: &By) -> Result<(), Refusal> {
        let pod = self.find(table, key)?.object.clone();
        if !goes_freely(&pod) {
            let budgets = self.budgets_of(&pod);
            match budgets.as_slice() {
                [] => {}
                [budget] => self.take_from(budget, &pod)?,
                _ => {
                    return Err(refusal::internal(
                        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                    ));
                }
            }
        }
        self.delete(table, key, options, by).map(drop)
    }

    /// The disruption budgets that select a pod.
    fn budgets_of(&self, pod: &Value) -> Vec<Key> {
        let Some(table) = self.served_kind("PodDisruptionBudget") else { return Vec::new() };
        let in_namespace = self.tables[table].range(Some(object::text(pod, "namespace")));
        let selecting = in_namespace.filter(|(_, stored)| {
            LabelSelector::of_budget(&stored.object["spec"]["selector"]).is_some_and(|selector| selector.matches(pod))
        });
        selecting.map(|(key, _)| key.clone()).collect()
    }

    /// Takes one disruption from a budget, unless the pod needs none.
    fn take_from(&mut self, budget: &Key, pod: &Value) -> Result<(), Refusal> {
        let table = self.table("PodDisruptionBudget");
        let object = self.find(table, budget)?.object.clone();
        let status = &object["status"];
        let count = |field: &str| status[field].as_i64().unwrap_or_default();
        let name = object::text(&object, "name");
        if !is_ready(pod) {
            let always = object["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
            let healthy_enough = count("currentHealthy") >= count("desiredHealthy") && count("desiredHealthy") > 0;
            if always || healthy_enough {
                return Ok(());
            }
        }
        if count("observedGeneration") < object::number(&object, "generation").unwrap_or_default() {
            let cause = format!("The disruption budget {name} is still being processed by the server.");
            return Err(refusal::disruption_budget(cause, 10));
        }
        let allowed = count("disruptionsAllowed");
        let served = &self.tables[table].served;
        if allowed < 0 {
            return Err(refusal::forbidden(served, name, "pdb disruptions allowed is negative"));
        }
        let disrupted = status["disruptedPods"].as_object().map_or(0, serde_json::Map::len);
        if disrupted > MOST_DISRUPTED_PODS {
            let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
            return Err(refusal::forbidden(served, name, why));
        }
        if allowed == 0 {
            return Err(refusal::disruption_budget(why_exhausted(name, status), 0));
        }
        let (at, pod_name) = (seconds(self.now), object::text(pod, "name").to_owned());
        let by = By {
            user: "system:apiserver".into(),
            verb: "update",
            subresource: "status",
            preconditions: Preconditions::default(),
        };
        let taken = self.change(table, budget, Part::Status, &by, |current| {
            let mut budget = current.clone();
            let status = object::fields_mut(object::fields_mut(&mut budget).entry("status").or_insert(json!({})));
            status.insert("disruptionsAllowed".into(), json!(allowed - 1));
            object::fields_mut(status.entry("disruptedPods").or_insert(json!({}))).insert(pod_name, json!(at));
            if allowed == 1 {
                mark_exhausted(status.get_mut("conditions"), &at);
            }
            Ok((budget, false))
        });
        taken.map(drop)
    }
}

/// Why a budget has nothing left: its counts, unless they cannot be trusted or do not explain it.
fn why_exhausted(name: &str, status: &Value) -> String {
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let told = conditions.iter().find(|one| one["type"] == "DisruptionAllowed" && one["status"] == "False");
    let text = |field: &str| told.and_then(|one| one[field].as_str()).unwrap_or_default();
    let (reason, message) = (text("reason"), text("message"));
    let count = |field: &str| status[field].as_i64().unwrap_or_default();
    let (needs, has) = (count("desiredHealthy"), count("currentHealthy"));
    let stands = format!("The disruption budget {name}");
    if reason == "SyncFailed" && !message.is_empty() {
        format!("{stands} does not allow evicting pods currently because it failed sync: {message}")
    } else if has <= needs {
        format!("{stands} needs {needs} healthy pods and has {has} currently")
    } else if !message.is_empty() {
        format!("{stands} does not allow evicting pods currently ({reason}): {message}")
    } else {
        format!("{stands} does not allow evicting pods currently")
    }
}

/// The condition `DisruptionAllowed` turns when the last disruption is taken.
fn mark_exhausted(conditions: Option<&mut Value>, at: &str) {
    let Some(Value::Array(all)) = conditions else { return };
    for condition in all.iter_mut().filter(|one| one["type"] == "DisruptionAllowed") {
        if condition["status"] != "False" {
            condition["lastTransitionTime"] = json!(at);
        }
        condition["status"] = json!("False");
        condition["reason"] = json!("InsufficientPods");
    }
}

fn goes_freely(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending")) || object::is_leaving(pod)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}
