//! Whose turn it is: one plan is executed at a time. Nodes that are about to be taken away go before what a person asks for, that goes
//! before what a schedule asks for, and that before continuous rebalancing; then the older one.

use jiff::Timestamp;
use kentroller_runtime::{HasStatus, Kind};

use crate::api::{ClaimState, PlanState, RebalancePlan, RebalancePlanClaim, marks};

/// Whether a plan came to its end.
pub(super) fn has_ended(plan: &RebalancePlan) -> bool {
    plan.status().and_then(|status| status.state.as_ref()).is_some_and(PlanState::is_final)
}

/// Whether a plan may have its marks on other objects.
pub(super) fn is_marked(plan: &RebalancePlan) -> bool {
    plan.metadata.finalizers.iter().flatten().any(|name| name == marks::PLAN_FINALIZER)
}

/// Whether the claim made the plan.
pub(super) fn is_of(plan: &RebalancePlan, claim: &RebalancePlanClaim) -> bool {
    plan.metadata.owner_references.iter().flatten().any(|owner| owner.uid == claim.uid())
}

/// Whether others must wait for this plan: it executes or is about to, or still has its marks on the cluster.
pub(super) fn holds_the_turn(plan: &RebalancePlan) -> bool {
    is_marked(plan) || (plan.spec.execute && !has_ended(plan))
}

/// Who asks for something: the provider does not wait; what a person wants now goes before what happens every night, and that before what
/// happens all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Interruption,
    ByHand,
    BySchedule,
    Continuous,
}

impl Rank {
    /// Of a claim or of its plan.
    fn of<K: Kind>(object: &K) -> Self {
        let has = |mark: &str| object.label(mark).is_some();
        if has(marks::PREDICTS) {
            return Self::Interruption;
        }
        match (has(marks::SCHEDULE), has(marks::CYCLE_MODE) || has(marks::CONSOLIDATES)) {
            (true, _) => Self::BySchedule,
            (false, true) => Self::Continuous,
            (false, false) => Self::ByHand,
        }
    }
}

/// Whether a claim waits for nothing but its turn. One whose plan waits for a person does not.
fn waits(claim: &RebalancePlanClaim, plans: &[&RebalancePlan]) -> bool {
    let is_ready = claim.status().is_some_and(|status| status.state == Some(ClaimState::Ready));
    let for_a_person = || plans.iter().any(|plan| !plan.spec.execute && !has_ended(plan) && is_of(plan, claim));
    is_ready && claim.spec.auto_execute && claim.deleting().is_none() && !for_a_person()
}

/// Whether anybody has something to do, or waits for something: then continuous rebalancing begins nothing.
pub(super) fn is_taken<'a>(
    mut plans: impl Iterator<Item = &'a RebalancePlan>,
    mut claims: impl Iterator<Item = &'a RebalancePlanClaim>,
) -> Option<String> {
    let plan = plans.find(|plan| is_marked(plan) || !has_ended(plan)).map(|plan| format!("plan {}", plan.name()));
    let is_open = |claim: &&RebalancePlanClaim| {
        let state = claim.status().and_then(|status| status.state.as_ref());
        claim.deleting().is_none() && claim.spec.auto_execute && state.is_none_or(|state| !state.is_final())
    };
    plan.or_else(|| claims.find(is_open).map(|claim| format!("claim {}", claim.name())))
}

/// The claim for which a plan that runs has to end at the border of its wave: it waits, and goes before.
pub(super) fn yields_to<'a>(
    plan: &RebalancePlan,
    plans: impl Iterator<Item = &'a RebalancePlan>,
    claims: impl Iterator<Item = &'a RebalancePlanClaim>,
) -> Option<&'a RebalancePlanClaim> {
    let plans: Vec<&RebalancePlan> = plans.collect();
    claims.filter(|claim| waits(claim, &plans)).find(|claim| Rank::of(*claim) < Rank::of(plan))
}

/// What a claim waits for, if it is not its turn: any plan that holds it, or a claim that waits too and goes before.
pub(super) fn before_claim<'a>(
    claim: &RebalancePlanClaim,
    plans: impl Iterator<Item = &'a RebalancePlan>,
    claims: impl Iterator<Item = &'a RebalancePlanClaim>,
) -> Option<String> {
    let plans: Vec<&RebalancePlan> = plans.collect();
    if let Some(plan) = plans.iter().find(|plan| holds_the_turn(plan)) {
        return Some(format!("plan {}", plan.name()));
    }
    let others = claims.filter(|other| waits(other, &plans) && other.uid() != claim.uid());
    let mut before = others.filter(|other| place(*other) < place(claim));
    before.next().map(|other| format!("claim {}", other.name()))
}

/// The plan that goes before this one: one that may have its marks on the cluster, or one that waits too and goes before.
pub(super) fn before_plan<'a>(
    plan: &RebalancePlan,
    plans: impl Iterator<Item = &'a RebalancePlan>,
) -> Option<&'a RebalancePlan> {
    let place = |plan: &RebalancePlan| (!is_marked(plan), place(plan));
    let waits = |other: &RebalancePlan| other.status().is_some_and(|status| status.state == Some(PlanState::Created));
    let mut others = plans.filter(|other| other.uid() != plan.uid() && holds_the_turn(other));
    others.find(|other| (is_marked(other) || waits(other)) && place(other) < place(plan))
}

/// What goes first: by rank, then by age.
fn place<K: Kind>(object: &K) -> (Rank, Timestamp, String) {
    (Rank::of(object), object.created(), object.name().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(name: &str, second: i64, execute: bool, state: &str, marked: bool) -> RebalancePlan {
        let created = Timestamp::from_second(second).expect("in range");
        let finalizers = if marked { vec![marks::PLAN_FINALIZER] } else { Vec::new() };
        serde_json::from_value(json!({
            "apiVersion": RebalancePlan::INFO.api_version(), "kind": RebalancePlan::INFO.kind,
            "metadata": {"name": name, "uid": name, "creationTimestamp": created, "finalizers": finalizers},
            "spec": {"execute": execute, "nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []},
            "status": {"state": state, "conditions": []},
        }))
        .expect("a plan")
    }

    #[test]
    fn a_plan_waits_for_marks_on_the_cluster_and_for_older_plans_that_wait_too() {
        let mine = plan("mine", 20, true, "Created", false);
        let cases = [
            ("nobody", plan("mine", 20, true, "Created", false), None),
            ("an older one", plan("a", 10, true, "Created", false), Some("a")),
            ("a younger one", plan("a", 30, true, "Created", false), None),
            ("one that nobody executes", plan("a", 10, false, "Created", false), None),
            ("one that is not checked", plan("a", 10, true, "Pending", false), None),
            ("a younger one that runs", plan("a", 30, true, "Running", true), Some("a")),
            ("one that ended and is marked still", plan("a", 30, false, "Failed", true), Some("a")),
            ("one that ended", plan("a", 10, true, "Done", false), None),
        ];
        for (what, other, wanted) in &cases {
            assert_eq!(before_plan(&mine, [other].into_iter()).map(Kind::name), *wanted, "{what}");
        }
    }

    #[test]
    fn a_claim_waits_for_any_plan_that_holds_the_turn_and_for_older_claims_that_are_ready() {
        let claim = |name: &str, second: i64, execute: bool, state: &str| -> RebalancePlanClaim {
            let created = Timestamp::from_second(second).expect("in range");
            serde_json::from_value(json!({
                "apiVersion": RebalancePlanClaim::INFO.api_version(), "kind": RebalancePlanClaim::INFO.kind,
                "metadata": {"name": name, "uid": name, "creationTimestamp": created},
                "spec": {"autoExecute": execute}, "status": {"state": state, "conditions": []},
            }))
            .expect("a claim")
        };
        let mine = claim("mine", 20, true, "Generating");
        let free = plan("p", 30, false, "Created", false);
        let held = plan("p", 30, true, "Pending", false);
        let of_a = |execute: bool, state: &str| {
            let mut plan = plan("a", 30, execute, state, false);
            let owner = json!([{"apiVersion": "", "kind": "RebalancePlanClaim", "name": "a", "uid": "a"}]);
            plan.metadata.owner_references = serde_json::from_value(owner).expect("owners");
            plan
        };
        let (unapproved, over) = (of_a(false, "Created"), of_a(false, "Expired"));
        let cases = [
            ("nobody", &free, claim("mine", 20, true, "Ready"), None),
            ("a plan that is about to run", &held, claim("mine", 20, true, "Ready"), Some("plan p")),
            ("an older claim", &free, claim("a", 10, true, "Ready"), Some("claim a")),
            ("an older claim that waits for a person", &free, claim("a", 10, false, "Ready"), None),
            ("an older claim without a plan", &free, claim("a", 10, true, "Generating"), None),
            ("a younger claim", &free, claim("a", 30, true, "Ready"), None),
            ("an older claim whose plan waits for a person", &unapproved, claim("a", 10, true, "Ready"), None),
            ("an older claim whose plan is over", &over, claim("a", 10, true, "Ready"), Some("claim a")),
        ];
        for (what, plan, other, wanted) in &cases {
            assert_eq!(before_claim(&mine, [*plan].into_iter(), [other].into_iter()).as_deref(), *wanted, "{what}");
        }
    }
}
