//! `kentroller approve PLAN`: the word of a person, given with the rights of that person. The operator does the rest.

use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use kentroller_runtime::Kind;
use serde_json::json;

use super::remote::{Remote, runtime};
use crate::api::{PlanState, RebalancePlan};

/// Arguments of `kentroller approve`.
#[derive(Args, Debug)]
pub(super) struct Approve {
    /// The name of the plan, as `kubectl get rp` shows it.
    plan: String,
}

impl Approve {
    /// Sets `spec.execute` of the plan as it was read; exit code 1 when there is nothing to approve.
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        runtime()?.block_on(self.approve())
    }

    async fn approve(self) -> anyhow::Result<ExitCode> {
        let remote = Remote::connect().await?;
        let Some(plan) = remote.read::<RebalancePlan>(&self.plan).await? else {
            bail!("there is no plan {}; `kubectl get rp` lists them", self.plan)
        };
        if !needs_approval(&plan)? {
            writeln!(super::out(), "Plan {} is approved already.", self.plan)?;
            return Ok(ExitCode::SUCCESS);
        }
        remote.merge(&plan, json!({"spec": {"execute": true}})).await?;
        let (adds, removes) = (plan.spec.node_claims_to_add.len(), plan.spec.node_claims_to_delete.len());
        writeln!(
            super::out(),
            "Plan {name} is approved: nodes that go {removes}, nodes that come {adds}{saved}. `kubectl get rp {name} -w` follows it; it stops at its next safe point \
             when spec.execute is set back to false.",
            name = self.plan,
            saved = saved(&plan),
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

fn saved(plan: &RebalancePlan) -> String {
    let savings = plan.status.as_ref().and_then(|status| status.savings.as_ref());
    let hourly = savings.and_then(|savings| savings.projected_savings_cost_hourly.as_deref());
    hourly.map_or(String::new(), |hourly| format!(", {hourly} USD an hour less"))
}

/// Whether the plan is still to be approved.
fn needs_approval(plan: &RebalancePlan) -> anyhow::Result<bool> {
    let state = plan.status.as_ref().and_then(|status| status.state.clone()).unwrap_or(PlanState::Pending);
    let name = plan.name();
    match state {
        _ if plan.metadata.deletion_timestamp.is_some() => bail!("plan {name} is being deleted"),
        PlanState::Pending => bail!("plan {name} is being checked; approve it when its state is Created"),
        PlanState::Created if !plan.spec.execute => Ok(true),
        PlanState::Created | PlanState::Running if plan.spec.execute => Ok(false),
        PlanState::Running => bail!("plan {name} is being canceled"),
        over => {
            bail!("plan {name} is over ({}): make a new claim, whose plan fits the cluster as it is now", over.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_approved_once_it_is_checked_and_before_it_is_over() {
        let said = |state: &str, execute: bool| {
            let plan = json!({
                "apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlan",
                "metadata": {"name": "now"},
                "spec": {"execute": execute, "nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []},
                "status": {"state": state},
            });
            needs_approval(&serde_json::from_value(plan).expect("a plan")).map_err(|error| error.to_string())
        };
        assert_eq!(said("Created", false), Ok(true));
        assert_eq!(said("Created", true), Ok(false));
        assert_eq!(said("Running", true), Ok(false));
        for (state, says) in [
            ("Pending", "is being checked"),
            ("Running", "is being canceled"),
            ("Expired", "is over (Expired)"),
            ("Done", "is over (Done)"),
            ("Rebuilt", "is over (Rebuilt)"),
        ] {
            let told = said(state, false).expect_err(state);
            assert!(told.contains(says), "{state}: {told}");
        }
    }
}
