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
use crate::controllers::marking;

/// Arguments of `kentroller release`.
#[derive(Args, Debug)]
pub(super) struct Release {}

impl Release {
    /// Stops every plan, lifts every cordon, taint, shield and label that a plan has put, and lets go of the plans. Exit code 1
    /// when something could not be changed.
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        runtime()?.block_on(self.release())
    }

    async fn release(self) -> anyhow::Result<ExitCode> {
        let remote = Remote::connect().await?;
        let (mut done, mut failed) = (0, 0);
        // Plans first: an operator that runs would mark again.
        for plan in remote.list::<RebalancePlan>().await? {
            let Some(patch) = let_go(&plan) else { continue };
            note(remote.merge(&plan, patch).await, &plan, &mut done, &mut failed)?;
        }
        for node in remote.list::<Node>().await? {
            let kept = || marking::uncordon_time(&node).map(|_| marking::uncordon());
            let marked = marking::owner(&node).map(|plan| marking::release(&node, plan));
            let Some(patch) = marked.or_else(kept) else { continue };
            note(remote.merge(&node, patch).await, &node, &mut done, &mut failed)?;
        }
        for claim in remote.list::<NodeClaim>().await? {
            if marking::owner(&claim).is_some() {
                note(remote.merge(&claim, marking::release_claim(&claim)).await, &claim, &mut done, &mut failed)?;
            }
        }
        let mut out = super::out();
        match (done, failed) {
            (0, 0) => writeln!(out, "There is nothing of ours on the cluster.")?,
            _ => writeln!(out, "{done} objects are released, {failed} could not be.")?,
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
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

fn note<K: Kind>(result: anyhow::Result<()>, object: &K, done: &mut usize, failed: &mut usize) -> anyhow::Result<()> {
    let (kind, name) = (K::INFO.kind, object.name());
    match result {
        Ok(()) => {
            *done += 1;
            writeln!(super::out(), "{kind} {name} is released.")?;
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
}
