//! `kentroller cancel NAME`: stops a claim or its plan at the next safe point. The operator does the rest.

use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use kentroller_runtime::{HasStatus, Kind};
use serde_json::json;

use super::remote::{Remote, runtime};
use crate::api::{ClaimState, PlanState, RebalancePlan, RebalancePlanClaim};

/// Arguments of `kentroller cancel`.
#[derive(Args, Debug)]
pub(super) struct Cancel {
    /// The name of the plan or the claim, as `kubectl get rp,rpc` shows it.
    name: String,
}

/// What cancelling comes to.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// `spec.execute` of the plan is set to false.
    Stop,
    /// The claim is deleted: it has no plan that is under way.
    Withdraw,
}

impl Cancel {
    /// Exit code 1 when there is nothing to cancel.
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        runtime()?.block_on(self.cancel())
    }

    async fn cancel(self) -> anyhow::Result<ExitCode> {
        let remote = Remote::connect().await?;
        let claim = remote.read::<RebalancePlanClaim>(&self.name).await?;
        // The claim knows its last plan; the first one has its name.
        let last =
            claim.as_ref().filter(|claim| !is_over(claim)).and_then(|claim| claim.status()?.rebalance_name.clone());
        let plan = remote.read::<RebalancePlan>(last.as_ref().unwrap_or(&self.name)).await?;
        let mut out = super::out();
        match (way(&self.name, plan.as_ref(), claim.as_ref())?, plan, claim) {
            (Way::Stop, Some(plan), _) => {
                remote.merge(&plan, json!({"spec": {"execute": false}})).await?;
                let name = plan.name();
                writeln!(
                    out,
                    "Plan {name} stops at its next safe point: new nodes that replaced nothing are given back, the others stay. \
                     `kubectl get rp {name} -w` follows it."
                )?;
            }
            (Way::Withdraw, _, Some(claim)) => {
                remote.delete(&claim).await?;
                writeln!(out, "Claim {} is deleted; nothing of it is under way.", self.name)?;
            }
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn is_over(claim: &RebalancePlanClaim) -> bool {
    claim.status().and_then(|status| status.state.as_ref()).is_some_and(ClaimState::is_final)
}

/// How the plan, or the claim, is stopped. A plan that has not begun goes with its claim.
fn way(name: &str, plan: Option<&RebalancePlan>, claim: Option<&RebalancePlanClaim>) -> anyhow::Result<Way> {
    let claim_is_open = claim.is_some_and(|claim| !is_over(claim));
    if let Some(plan) = plan {
        let state = plan.status().and_then(|status| status.state.clone()).unwrap_or(PlanState::Pending);
        match state {
            PlanState::Running => return Ok(Way::Stop),
            _ if claim_is_open => return Ok(Way::Withdraw),
            state if state.is_final() => bail!("plan {name} is over ({})", state.as_str()),
            _ if !plan.spec.execute => bail!("plan {name} is not being executed: spec.execute is false"),
            _ => return Ok(Way::Stop),
        }
    }
    let Some(claim) = claim else { bail!("there is no plan and no claim {name}; `kubectl get rp,rpc` lists them") };
    match claim.status().and_then(|status| status.state.clone()).unwrap_or(ClaimState::Pending) {
        state if state.is_final() => bail!("claim {name} is over ({})", state.as_str()),
        _ => Ok(Way::Withdraw),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_plan_under_way_is_stopped_a_claim_without_one_is_withdrawn_and_what_is_over_is_left() {
        fn object<K: Kind>(spec: Value, state: &str) -> K {
            let object = json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": K::INFO.kind,
                "metadata": {"name": "now"}, "spec": spec, "status": {"state": state}});
            serde_json::from_value(object).expect("an object")
        }
        let plan = |execute: bool, state: &str| -> RebalancePlan {
            let lists =
                json!({"execute": execute, "nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []});
            object(lists, state)
        };
        let claim = |state: &str| -> RebalancePlanClaim { object(json!({}), state) };
        let said = |plan: Option<RebalancePlan>, claim: Option<RebalancePlanClaim>| {
            way("now", plan.as_ref(), claim.as_ref()).map_err(|error| error.to_string())
        };
        assert_eq!(said(Some(plan(true, "Running")), Some(claim("Executing"))), Ok(Way::Stop));
        assert_eq!(said(Some(plan(true, "Created")), None), Ok(Way::Stop));
        assert_eq!(said(Some(plan(false, "Created")), Some(claim("Ready"))), Ok(Way::Withdraw), "not begun");
        assert_eq!(said(Some(plan(true, "Created")), Some(claim("Ready"))), Ok(Way::Withdraw), "waits for its turn");
        assert_eq!(said(Some(plan(true, "Done")), Some(claim("Executing"))), Ok(Way::Withdraw), "between two plans");
        assert_eq!(said(None, Some(claim("Generating"))), Ok(Way::Withdraw));
        for (plan, claim, says) in [
            (Some(plan(false, "Created")), None, "is not being executed"),
            (Some(plan(true, "Done")), None, "is over (Done)"),
            (None, Some(claim("Failed")), "is over (Failed)"),
            (None, None, "there is no plan and no claim now"),
        ] {
            let told = said(plan, claim).expect_err(says);
            assert!(told.contains(says), "{told}");
        }
    }
}
