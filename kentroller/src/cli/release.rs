//! `kentroller release`: takes back every mark of ours, with the rights of who calls and without the operator.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use kentroller_runtime::{HasStatus, Kind};
use serde_json::{Value, json};

use super::remote::{Remote, runtime};
use crate::api::foreign::{Node, NodeClaim};
use crate::api::marks::PLAN_FINALIZER;
use crate::api::{PlanState, RebalancePlan};
use crate::controllers::{interruption, marking};

/// Arguments of `kentroller release`.
#[derive(Args, Debug)]
pub(super) struct Release {}

impl Release {
    /// Stops every plan, lifts every cordon, taint, shield and label that a plan has put, and lets go of the plans. Exit code 1
    /// when something could not be changed.
    pub(super) fn execute() -> anyhow::Result<ExitCode> {
        runtime()?.block_on(async { release(&Remote::connect().await?, &mut super::out()).await })
    }
}

async fn release(remote: &Remote, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (mut done, mut failed) = (0, 0);
    // Plans first: an operator that runs would mark again.
    for plan in remote.list::<RebalancePlan>().await? {
        let Some(patch) = let_go(&plan) else { continue };
        note(remote.merge(&plan, patch).await, &plan, &mut done, &mut failed, out)?;
    }
    for node in remote.list::<Node>().await? {
        let kept = || marking::uncordon_time(&node).map(|_| marking::uncordon());
        let marked = marking::owner(&node).map(|plan| marking::release(&node, plan));
        // One that came after its plan had ended.
        let marked = marked.or_else(|| marking::is_tainted(&node).then(|| marking::untaint(&node)));
        let Some(patch) = marked.or_else(kept) else { continue };
        note(remote.merge(&node, patch).await, &node, &mut done, &mut failed, out)?;
    }
    // Read once more: a node may bear both, and is patched as it was read.
    for node in remote.list::<Node>().await?.iter().filter(|node| interruption::is_labelled(node)) {
        note(remote.merge(node, interruption::unlabel()).await, node, &mut done, &mut failed, out)?;
    }
    for claim in remote.list::<NodeClaim>().await? {
        if marking::owner(&claim).is_some() {
            note(remote.merge(&claim, marking::release_claim(&claim)).await, &claim, &mut done, &mut failed, out)?;
        }
    }
    match (done, failed) {
        (0, 0) => writeln!(out, "There is nothing of ours on the cluster.")?,
        _ => writeln!(out, "{done} objects are released, {failed} could not be.")?,
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The patch that stops a plan and takes its finalizer; `None` where there is nothing to do.
fn let_go(plan: &RebalancePlan) -> Option<Value> {
    let is_final = plan.status().and_then(|status| status.state.as_ref()).is_some_and(PlanState::is_final);
    let stops = plan.spec.execute && !is_final;
    let all = plan.metadata.finalizers.as_deref().unwrap_or_default();
    let rest: Vec<&String> = all.iter().filter(|one| *one != PLAN_FINALIZER).collect();
    let mut patch = json!({});
    if stops {
        patch["spec"] = json!({"execute": false});
    }
    if rest.len() < all.len() {
        patch["metadata"] = json!({"finalizers": rest});
    }
    (patch != json!({})).then_some(patch)
}

fn note<K: Kind>(
    result: anyhow::Result<()>,
    object: &K,
    done: &mut usize,
    failed: &mut usize,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let (kind, name) = (K::INFO.kind, object.name());
    match result {
        Ok(()) => {
            *done += 1;
            writeln!(out, "{kind} {name} is released.")?;
        }
        Err(error) => {
            *failed += 1;
            writeln!(std::io::stderr(), "{error:#}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_stopped_and_let_go_and_one_that_is_over_and_free_is_left() {
        let said = |execute: bool, state: &str, finalizers: Value| {
            let plan = json!({
                "apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlan",
                "metadata": {"name": "now", "finalizers": finalizers},
                "spec": {"execute": execute, "nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []},
                "status": {"state": state},
            });
            let_go(&serde_json::from_value(plan).expect("a plan"))
        };
        let ours = || json!([PLAN_FINALIZER, "example.org/other"]);
        let freed = json!({"finalizers": ["example.org/other"]});
        assert_eq!(said(true, "Running", ours()), Some(json!({"spec": {"execute": false}, "metadata": freed})));
        assert_eq!(said(true, "Created", json!([])), Some(json!({"spec": {"execute": false}})));
        assert_eq!(said(true, "Done", ours()), Some(json!({"metadata": freed})));
        assert_eq!(said(true, "Done", json!(["example.org/other"])), None);
        assert_eq!(said(false, "Created", json!(null)), None);
    }
    /// In virtual time, on a cluster that was drifted.
    #[cfg(feature = "simulation")]
    #[tokio::test(start_paused = true)]
    async fn what_an_operator_that_went_away_in_the_middle_of_a_plan_has_left_is_taken_back_without_it() {
        use std::time::Duration;

        use kentroller_world::{Drift, Setup};

        use crate::api::marks::{PREDICTED_AT, PREDICTED_INTERRUPTION};
        use crate::simulation::Operated;

        let start = "2026-11-22T01:58:00Z".parse().expect("a time");
        let mut operated = Operated::start(Drift { nodes: 12, seed: 1 }, Setup::default(), start).expect("a cluster");
        let version = "autoscaling.cast.ai/v1alpha";
        let claim = json!({"apiVersion": version, "kind": "RebalancePlanClaim", "metadata": {"name": "now"}, "spec": {"autoExecute": true}});
        operated.server.create(claim).expect("the claim");
        let plan = || operated.server.get("RebalancePlan", None, "now");
        let drains = || plan().is_some_and(|plan| plan["status"]["nodesDeletion"].to_string().contains("Draining"));
        for _ in 0..3600 {
            if drains() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(drains(), "{:?}", plan());
        operated.end().await;
        let at_risk = operated.server.list("Node")[0]["metadata"]["name"].as_str().expect("a name").to_owned();
        let labelled = |node: &mut Value| {
            node["metadata"]["labels"][PREDICTED_INTERRUPTION] = json!("true");
            node["metadata"]["annotations"][PREDICTED_AT] = json!("2026-11-22T02:00:00Z");
        };
        operated.server.update("Node", None, &at_risk, labelled).expect("the label of a prediction");

        let marked = || {
            let all = ["Node", "NodeClaim", "RebalancePlan"].map(|kind| operated.server.list(kind)).concat();
            let ours = [
                PREDICTED_INTERRUPTION,
                PREDICTED_AT,
                "rebalancing.cast.ai/plan",
                "rebalancing.cast.ai/cordoned-by",
                "rebalancing.cast.ai/later",
                "do-not-disrupt",
            ];
            // A NodeClaim goes on telling with which taints its node came.
            let told = |object: &Value| match object["kind"] == "NodeClaim" {
                true => object["metadata"].to_string(),
                false => object.to_string(),
            };
            let bears = |text: &str| ours.iter().any(|mark| text.contains(&format!("{mark}\"")));
            all.iter().filter(|object| bears(&told(object))).count()
        };
        assert!(marked() > 3, "a plan that runs marks what it needs");
        let (remote, mut told) = (Remote::of(operated.server.client("a-person")), Vec::new());
        let code = release(&remote, &mut told).await.expect("it is done");
        let told = String::from_utf8_lossy(&told).into_owned();
        assert_eq!(code, ExitCode::SUCCESS, "{told}");
        assert!(told.ends_with(" objects are released, 0 could not be.\n"), "{told}");
        assert_eq!(marked(), 0, "{told}");
        let open = operated.server.list("Node");
        assert!(open.iter().all(|node| node["spec"]["unschedulable"] != true), "no cordon is left");

        let mut again = Vec::new();
        release(&remote, &mut again).await.expect("once more");
        assert_eq!(String::from_utf8_lossy(&again), "There is nothing of ours on the cluster.\n");
        operated.server.delete("RebalancePlanClaim", None, "now", &Default::default()).expect("the claim");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(operated.server.list("RebalancePlan").is_empty(), "no finalizer holds it");
        assert_eq!(operated.world.pods_not_running(), [""; 0]);
    }
}
