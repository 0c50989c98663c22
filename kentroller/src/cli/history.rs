//! `kentroller history [NODE]`: the plans that were executed, and for a node which plans made and removed it, from what and why.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use comfy_table::{Table, presets};
use kentroller_planner::Money;
use kentroller_runtime::{HasStatus, Kind};

use super::remote::{Remote, runtime};
use crate::api::foreign::NodeClaim;
use crate::api::{AttemptStatus, DeletionPhase, NodeCost, PlanState, PlanStatus, RebalancePlan, Savings, marks};

/// Arguments of `kentroller history`.
#[derive(Args, Debug)]
pub(super) struct History {
    /// The name of a node or of a NodeClaim; without it all plans are told.
    node: Option<String>,
}

impl History {
    /// Exit code 1 when no plan has made or removed the node.
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        runtime()?.block_on(async {
            let remote = Remote::connect().await?;
            let mut plans = remote.list::<RebalancePlan>().await?;
            plans.sort_by_key(|plan| plan.status().and_then(|status| status.start_time));
            let told = match &self.node {
                None => all(&plans),
                Some(name) => {
                    let claims = remote.list::<NodeClaim>().await?;
                    let claim = claims.iter().find(|claim| claim.node_name() == Some(name));
                    let told = of_node(&plans, name, claim.map_or(name, |claim| claim.name()));
                    if told.is_empty() {
                        bail!("no plan that is still there has made or removed {name}; finished plans go with their claims")
                    }
                    told
                }
            };
            super::print(&told)?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// The plans that have begun, the oldest first, and their sum.
fn all(plans: &[RebalancePlan]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["PLAN", "BEGAN", "STATE", "GONE", "CAME", "KEPT", "PROMISED", "SAVED"]);
    let (mut in_all, mut saved, mut count) = (Money::ZERO, Money::ZERO, 0);
    for plan in plans {
        let Some((status, began)) = plan.status().and_then(|status| Some((status, status.start_time?))) else {
            continue;
        };
        let of_plan = promised(status.savings.as_ref());
        let really = achieved(status);
        in_all += of_plan.unwrap_or(Money::ZERO);
        saved += really.unwrap_or(Money::ZERO);
        count += 1;
        let text = |amount: Option<Money>| amount.map_or("-".to_owned(), Money::hourly);
        table.add_row([
            plan.name().to_owned(),
            began.to_string(),
            status.state.as_ref().map_or("", PlanState::as_str).to_owned(),
            went(status).to_string(),
            came(status).to_string(),
            status.nodes_deletion.values().filter(|one| one.phase() == Some(DeletionPhase::Kept)).count().to_string(),
            text(of_plan),
            text(really),
        ]);
    }
    if count == 0 {
        return "No plan has been executed so far.\n".to_owned();
    }
    let mut out = format!("{table}\n");
    let plans = if count == 1 { "plan" } else { "plans" };
    let _ = writeln!(
        out,
        "\n{count} {plans} promised {} USD an hour and saved {}, on the nodes that really came and went.",
        in_all.hourly(),
        saved.hourly()
    );
    out
}

/// Which plans have made and removed the node with this NodeClaim, from what, and for how much.
fn of_node(plans: &[RebalancePlan], node: &str, claim: &str) -> String {
    let mut out = String::new();
    for plan in plans {
        let Some(status) = plan.status() else { continue };
        let made = status.nodes_creation.values().find_map(|creation| {
            let attempt = creation.attempts.iter().find(|attempt| attempt.node_claim_name == claim)?;
            Some((creation.name.as_str(), attempt))
        });
        if let Some((name, attempt)) = made {
            let wave =
                plan.spec.node_claims_to_add.iter().find(|add| add.metadata.name == name).map_or(0, |add| add.wave);
            let place =
                [Some(attempt.instance_type.as_str()), attempt.zone.as_deref(), attempt.capacity_type.as_deref()];
            let place: Vec<&str> = place.into_iter().flatten().collect();
            let _ = writeln!(
                out,
                "{} plan {} made NodeClaim {claim} ({}) in wave {}: {}.",
                attempt.timestamp,
                plan.name(),
                place.join(", "),
                wave + 1,
                attempt.description
            );
            let replaced = in_wave(status, wave);
            if !replaced.is_empty() {
                let _ = writeln!(out, "  That wave replaced {}.", replaced.join(", "));
            }
            let _ = writeln!(out, "  {}", why(plan, status));
        }
        let course = status.nodes_deletion.get(node);
        if let Some((course, last)) = course.and_then(|course| Some((course, course.events.last()?))) {
            let what = match course.phase() {
                Some(DeletionPhase::Kept) => "kept",
                Some(DeletionPhase::Gone) => "removed",
                _ => "is removing",
            };
            let told = last.description.as_deref().unwrap_or_default();
            let _ = writeln!(out, "{} plan {} {what} node {node}: {told}.", last.timestamp, plan.name());
            let _ = writeln!(out, "  {}", why(plan, status));
        }
    }
    out
}

/// The nodes that went in a wave, with their prices.
fn in_wave(status: &PlanStatus, wave: u32) -> Vec<String> {
    let gone =
        status.nodes_deletion.values().filter(|one| one.wave == Some(wave) && one.phase() != Some(DeletionPhase::Kept));
    let costs = status.savings.as_ref().map(|savings| savings.blue_nodes.as_slice()).unwrap_or_default();
    let told = |node: &NodeCost| {
        let price = node.price_hourly.as_deref().unwrap_or("of unknown price");
        format!("{} ({}, {price} USD/h)", node.name, node.instance_type.as_deref().unwrap_or_default())
    };
    gone.map(|one| costs.iter().find(|node| node.name == one.name).map_or_else(|| one.name.clone(), told)).collect()
}

/// What the plan was for.
fn why(plan: &RebalancePlan, status: &PlanStatus) -> String {
    let promised = status.savings.as_ref().and_then(|savings| savings.projected_savings_cost_hourly.clone());
    let claim = plan.metadata.owner_references.iter().flatten().next().map(|owner| format!("claim {}", owner.name));
    let is_of_a_cycle = plan.label(marks::CYCLE_MODE).is_some();
    let by_itself = if is_of_a_cycle { "continuous rebalancing" } else { "a person" };
    let owner = claim.unwrap_or_else(|| by_itself.to_owned());
    let really = achieved(status).map_or(String::new(), |saved| format!(", and saved {}", saved.hourly()));
    format!(
        "It was asked for by {owner} and promised {} USD an hour{really}.",
        promised.unwrap_or_else(|| "no".to_owned())
    )
}

/// What a plan, or a wave of it, promises to save an hour.
pub(super) fn promised(savings: Option<&Savings>) -> Option<Money> {
    Money::parse(savings?.projected_savings_cost_hourly.as_deref()?)
}

/// What a plan has really saved an hour.
pub(super) fn achieved(status: &PlanStatus) -> Option<Money> {
    Money::parse(status.achieved_outcome.as_ref()?.diff.as_ref()?.price_hourly.as_deref()?)
}

fn went(status: &PlanStatus) -> usize {
    let is_gone = |phase| matches!(phase, Some(DeletionPhase::Gone | DeletionPhase::Ending));
    status.nodes_deletion.values().filter(|one| is_gone(one.phase())).count()
}

fn came(status: &PlanStatus) -> usize {
    let last = status.nodes_creation.values().filter_map(|one| one.attempts.last());
    last.filter(|attempt| attempt.status == AttemptStatus::Success).count()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan() -> RebalancePlan {
        let attempt = |name: &str, status: &str, said: &str| -> Value {
            json!({"description": said, "instanceType": "m6a.large", "nodeClaimName": name, "status": status, "zone": "us-east-1a",
                "capacityType": "spot", "timestamp": "2026-11-22T10:02:00Z"})
        };
        let creation = json!({"name": "green", "attempts": [attempt("green", "Failed", "InsufficientCapacityError"),
            attempt("green-attempt-1", "Success", "initialized")]});
        let course = json!({"name": "blue", "phase": "Gone", "wave": 0,
            "events": [{"status": "Success", "description": "gone", "timestamp": "2026-11-22T10:05:00Z"}]});
        serde_json::from_value(json!({
            "apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlan",
            "metadata": {"name": "now", "ownerReferences": [{"apiVersion": "a", "kind": "RebalancePlanClaim", "name": "now", "uid": "u"}]},
            "spec": {"execute": true, "nodeClaimsToAdd": [{"metadata": {"name": "green"}, "spec": {"nodeClassRef": {"group": "g", "kind": "k", "name": "n"}, "requirements": []}}],
                "nodeClaimsToDelete": [{"nodeClaimName": "b"}], "podsToMigrate": []},
            "status": {"state": "Done", "startTime": "2026-11-22T10:00:00Z", "conditions": [],
                "savings": {"projectedSavingsCostHourly": "2.0000", "blueNodes": [{"name": "blue", "instanceType": "m5.large", "priceHourly": "3.0000"}]},
                "achievedOutcome": {"diff": {"priceHourly": "1.5000"}},
                "nodesCreation": {"green": creation}, "nodesDeletion": {"blue": course}},
        }))
        .expect("a plan")
    }

    #[test]
    fn plans_are_told_with_what_they_promised_and_what_they_saved() {
        let told = all(&[plan()]);
        let row: Vec<&str> = told.lines().nth(1).expect("a row").split_whitespace().collect();
        assert_eq!(row, ["now", "2026-11-22T10:00:00Z", "Done", "1", "1", "0", "2.0000", "1.5000"], "{told}");
        assert!(told.ends_with(
            "1 plan promised 2.0000 USD an hour and saved 1.5000, on the nodes that really came and went.\n"
        ));
        assert_eq!(all(&[]), "No plan has been executed so far.\n");
    }

    #[test]
    fn a_node_knows_the_plan_that_made_it_and_the_one_that_removed_it() {
        assert_eq!(
            of_node(&[plan()], "ip-1", "green-attempt-1"),
            "2026-11-22T10:02:00Z plan now made NodeClaim green-attempt-1 (m6a.large, us-east-1a, spot) in wave 1: initialized.\n  \
             That wave replaced blue (m5.large, 3.0000 USD/h).\n  \
             It was asked for by claim now and promised 2.0000 USD an hour, and saved 1.5000.\n"
        );
        let removed = of_node(&[plan()], "blue", "b");
        assert!(removed.starts_with("2026-11-22T10:05:00Z plan now removed node blue: gone.\n"), "{removed}");
        assert_eq!(of_node(&[plan()], "other", "other"), "");
    }
}
