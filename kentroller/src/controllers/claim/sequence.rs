//! A claim that needs more than one plan takes has several, one after the other: `name`, `name-2`, and so on, each computed
//! anew on what the one before has left, or on what others have made of the cluster before it could begin.

use jiff::Timestamp;
use kentroller_planner::{Money, Options, Quantity};
use kentroller_runtime::condition::{in_status_since, seconds};
use kentroller_runtime::{Answer, Failure, HasStatus, Kind};

use super::{ClaimStep, GENERATION_TIMEOUT};
use crate::api::{
    ClaimReason, FailureReason, PlanCondition, RebalancePlan, RebalancePlanClaim, RebalancePlanSpec, Warning,
};
use crate::backend::{MOST_NODES, Plans, size};
use crate::controllers::{PLAN_MAX_AGE, after, claim_options, turn};

/// So many plans in a row may come too late; then the claim fails.
const MOST_TOO_LATE: usize = 3;

/// The plans of a claim in their order.
pub(super) fn in_order<'a>(claim: &RebalancePlanClaim, mut plans: Vec<&'a RebalancePlan>) -> Vec<&'a RebalancePlan> {
    plans.sort_by_key(|plan| number(claim, plan));
    plans
}

/// The name of the plan with this number, counted from 1.
pub(super) fn name(claim: &RebalancePlanClaim, number: usize) -> String {
    if number == 1 { claim.name().to_owned() } else { format!("{}-{number}", claim.name()) }
}

fn number(claim: &RebalancePlanClaim, plan: &RebalancePlan) -> usize {
    let rest = plan.name().strip_prefix(claim.name()).and_then(|rest| rest.strip_prefix('-'));
    rest.and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// Whether the plan is as large as one may be: what it leaves may be worth another one.
fn is_full(spec: &RebalancePlanSpec) -> bool {
    spec.node_claims_to_delete.len() >= MOST_NODES || size::is_shrunk(spec)
}

/// Whether the plan was executed, to whatever end.
pub(super) fn was_begun(plan: &RebalancePlan) -> bool {
    plan.status().is_some_and(|status| status.start_time.is_some())
}

/// Whether the plan did not begin because the cluster was not any more what it was computed for.
fn came_too_late(plan: &RebalancePlan) -> bool {
    let reason = plan.status().and_then(|status| status.failure_reason.as_ref());
    !was_begun(plan) && matches!(reason, Some(FailureReason::ClusterChanged | FailureReason::PlanInvalid))
}

/// What the plans of the claim have really saved.
pub(super) fn saved(plans: &[&RebalancePlan]) -> Option<Money> {
    let of_plan = |plan: &&RebalancePlan| {
        let outcome = plan.status()?.achieved_outcome.clone()?;
        Money::parse(outcome.diff?.price_hourly?.as_str())
    };
    let all: Vec<Money> = plans.iter().filter_map(of_plan).collect();
    (!all.is_empty()).then(|| all.into_iter().sum())
}

impl ClaimStep<'_> {
    /// What is asked of the plan with this number: no more nodes in all than the claim allows, and none that came since the
    /// claim's first plan began.
    pub(super) fn options(&self, plans: &[&RebalancePlan]) -> Result<Options, String> {
        let mut options = claim_options(&self.claim.spec, self.world.settings())?;
        let plans: Vec<&RebalancePlan> = plans.iter().copied().filter(|plan| was_begun(plan)).collect();
        let gone: usize = plans.iter().map(|plan| plan.spec.node_claims_to_delete.len()).sum();
        let left = options.max_nodes.map_or(MOST_NODES, |most| most.saturating_sub(gone));
        options.max_nodes = Some(left.min(MOST_NODES));
        let blue =
            plans.iter().filter_map(|plan| plan.status()?.savings.as_ref()).flat_map(|savings| &savings.blue_nodes);
        let spent = blue.filter_map(|node| node.milli_cpu).fold(0_i64, i64::saturating_add);
        options.max_cpu = options.max_cpu.map(|most| Quantity::thousandths(most.milli().saturating_sub(spent)));
        let began = plans.first().and_then(|plan| plan.status()?.start_time);
        if let Some(age) = began.and_then(|began| self.world.now().duration_since(began).try_into().ok()) {
            options.min_age = options.min_age.max(age);
        }
        Ok(options)
    }

    /// Whether the claim goes on after this plan, which was executed.
    pub(super) fn goes_on_after(&self, plans: &[&RebalancePlan]) -> bool {
        let is_full = plans.last().is_some_and(|plan| is_full(&plan.spec));
        let is_left = |cpu: Quantity| cpu > Quantity::default();
        let has_more = self
            .options(plans)
            .is_ok_and(|options| options.max_nodes != Some(0) && options.max_cpu.is_none_or(is_left));
        is_full && has_more && self.claim.spec.auto_execute
    }

    /// Whether another plan is computed in place of this one, which came too late.
    pub(super) fn is_tried_again(&self, plans: &[&RebalancePlan]) -> bool {
        let too_late = plans.iter().rev().take_while(|plan| came_too_late(plan)).count();
        self.claim.spec.auto_execute && (1..MOST_TOO_LATE).contains(&too_late)
    }

    /// Has the next plan computed and made; says whether the claim is at its end instead.
    ///
    /// # Errors
    /// What is wrong with the cluster, until it takes too long.
    pub(super) fn next_plan(&mut self, plans: &[&RebalancePlan]) -> Result<bool, Failure> {
        let Ok(options) = self.options(plans) else { return Ok(true) };
        let (number, now) = (plans.len() + 1, self.world.now());
        let ended = plans.last().and_then(|plan| {
            let since = |end| in_status_since(&plan.status()?.conditions, end, true);
            since(PlanCondition::Done).or_else(|| since(PlanCondition::Fail))
        });
        let ended = ended.unwrap_or(Timestamp::MIN);
        let since = *self.status.generation_start_time.get_or_insert(seconds(now));
        let end = after(since, GENERATION_TIMEOUT);
        let ask = self.question(format!("{}/{number}", self.claim.uid()), options);
        self.out.reconciling(ClaimReason::Executing, format!("Plan {} is computed.", name(self.claim, number)));
        match self.world.answer::<Plans>(self.claim).cloned() {
            Some(Answer::Given { at, answer }) if at > ended && now < after(at, PLAN_MAX_AGE) => {
                if answer.held_back.is_some() || answer.nothing.is_some() {
                    return Ok(true);
                }
                let plans = self.world.all::<RebalancePlan>();
                match turn::before_claim(self.claim, plans, self.world.all::<RebalancePlanClaim>()) {
                    Some(other) => {
                        let message = format!("Waits for {other}; one plan is executed at a time.");
                        self.out.reconciling(ClaimReason::WaitsForTurn, message);
                    }
                    None => {
                        self.status.generation_start_time = None;
                        self.write(&answer, number, self.executes());
                    }
                }
                self.out.look_at(after(at, PLAN_MAX_AGE));
            }
            _ if now >= end => {
                let text = format!("plan {} could not be computed in time: not all was done", name(self.claim, number));
                self.status.warnings.push(Warning { description: text });
                return Ok(true);
            }
            Some(Answer::Asked { .. }) => {}
            Some(Answer::Failed { at, failure }) if at > ended && now < after(at, crate::controllers::RETRY_AFTER) => {
                return Err(failure);
            }
            _ => self.out.ask::<Plans>(ask),
        }
        self.out.look_at(end);
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::Reply;
    use kentroller_runtime::outcome::Act;
    use kentroller_runtime::testing::{Given, given, object};
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{ClaimStatus, RebalancePlanClaim};
    use crate::backend::Planned;
    use crate::controllers::claim::Claims;
    use crate::settings::OperatorMode;

    fn claim(spec: Value) -> RebalancePlanClaim {
        object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "a", "uid": "u", "generation": 1},
            "spec": spec, "status": {"state": "Executing", "conditions": []}}))
    }

    /// A plan of the claim that removed so many nodes and ended at 10:00.
    fn done(name: &str, nodes: usize) -> RebalancePlan {
        let going: Vec<Value> = (0..nodes).map(|node| json!({"nodeClaimName": format!("{name}-{node}")})).collect();
        let ended = json!({"type": "Done", "status": "True", "reason": "Done", "message": "", "lastTransitionTime": "2026-11-22T10:00:00Z"});
        object(json!({"apiVersion": "", "kind": "", "metadata": {"name": name, "uid": name, "ownerReferences": [
                {"apiVersion": "", "kind": "RebalancePlanClaim", "name": "a", "uid": "u", "controller": true}]},
            "spec": {"nodeClaimsToAdd": [], "nodeClaimsToDelete": going, "podsToMigrate": []},
            "status": {"state": "Done", "conditions": [ended], "startTime": "2026-11-22T09:00:00Z",
                "achievedOutcome": {"diff": {"priceHourly": "1.5000"}}}}))
    }

    fn planned(nothing: bool) -> Planned {
        serde_json::from_value(json!({
            "spec": {"nodeClaimsToAdd": [], "nodeClaimsToDelete": [{"nodeClaimName": "x"}], "podsToMigrate": []},
            "seed": "u/1", "id": "1", "savings": {}, "savings_percent": 10_000, "held_back": null, "proposed": null, "removed": ["n"], "kept": [],
            "warnings": [], "nothing": nothing.then(|| json!(["NoSaving", "nothing is cheaper"])),
        }))
        .expect("a computed plan")
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-11-22T{time}Z").parse().expect("a time")
    }

    fn given_at(time: &str, plans: &[RebalancePlan]) -> Given<Claims> {
        given::<Claims>().at(&at(time).to_string()).with_all(plans.iter().cloned())
    }

    /// What becomes of the claim: its state, what it asks, what it writes besides its status.
    fn becomes(given: &Given<Claims>, claim: &RebalancePlanClaim) -> (Option<ClaimStatus>, String, Vec<String>) {
        let decided = given.decide(claim).expect("a decision");
        let status = decided.status.clone().map(|status| serde_json::from_value(status).expect("a status"));
        let effects = decided.effects().map(ToString::to_string).collect();
        (status, format!("{:?}", decided.questions), effects)
    }

    #[test]
    fn after_a_plan_as_large_as_one_may_be_the_next_one_is_asked_for_and_made() {
        let claim = claim(json!({"autoExecute": true}));
        let plans = [done("a", MOST_NODES)];
        let answer = |time: &str, nothing: bool| Answer::Given { at: at(time), answer: planned(nothing).into() };

        let before = given_at("10:00:05", &plans).answered::<Plans>(&claim, answer("08:59:00", false));
        let (status, asked, effects) = becomes(&before, &claim);
        assert_eq!(asked, "[plans RebalancePlanClaim/u/1]", "the answer of before is no answer");
        assert_eq!((status.expect("a status").state.expect("a state").as_str(), effects.len()), ("Executing", 0));

        let after = given_at("10:01:00", &plans).answered::<Plans>(&claim, answer("10:00:30", false));
        let (status, asked, effects) = becomes(&after, &claim);
        assert_eq!((asked.as_str(), effects.len()), ("[]", 1));
        assert!(effects[0].contains("create RebalancePlan a-2"), "{effects:?}");
        let is_armed = |given: &Given<Claims>| {
            given.decide(&claim).expect("a decision").effects().any(|effect| match &effect.act {
                Act::Create(object) => object["spec"]["execute"] == true,
                _ => false,
            })
        };
        assert!(is_armed(&after));
        let by_people = after.set(|settings| settings.mode = OperatorMode::Approve);
        assert!(!is_armed(&by_people), "a person approves each plan, not only the first");
        assert_eq!(status.expect("a status").rebalance_name.as_deref(), Some("a-2"));
    }

    #[test]
    fn the_claim_ends_with_the_sum_when_nothing_more_is_found_or_allowed() {
        let nothing = Answer::Given { at: at("10:00:30"), answer: planned(true).into() };
        let ends = |spec: Value, plans: &[RebalancePlan], answer: Option<&Answer<Plans>>| {
            let claim = claim(spec);
            let mut given = given_at("10:01:00", plans);
            if let Some(answer) = answer {
                given = given.answered::<Plans>(&claim, answer.clone());
            }
            let (status, asked, _) = becomes(&given, &claim);
            let state = status.expect("a status").state.expect("a state");
            assert_eq!((state.as_str(), asked.as_str()), ("Completed", "[]"));
            given.decide(&claim).expect("a decision").marks.iter().map(|mark| mark.message.clone()).collect::<Vec<_>>()
        };
        let said =
            ends(json!({"autoExecute": true}), &[done("a", MOST_NODES), done("a-2", MOST_NODES)], Some(&nothing));
        assert!(said.iter().any(|said| said == "Saves 3.0000 USD an hour."), "{said:?}");
        ends(json!({"autoExecute": true}), &[done("a", MOST_NODES - 1)], None);
        ends(json!({"autoExecute": true, "nodeConstraints": {"maxNodes": MOST_NODES}}), &[done("a", MOST_NODES)], None);
        ends(json!({}), &[done("a", MOST_NODES)], None);
        let mut second = done("a-2", 1);
        second.status = serde_json::from_value(json!({"state": "Expired", "conditions": []})).expect("a status");
        let said = ends(json!({"autoExecute": true}), &[done("a", MOST_NODES), second], None);
        assert!(said.iter().any(|said| said == "Saves 1.5000 USD an hour."), "{said:?}");
    }

    #[test]
    fn a_plan_that_came_too_late_is_computed_anew_three_times_at_most() {
        let failed = |name: &str, reason: &str, started: Value| -> RebalancePlan {
            let ended = json!({"type": "Fail", "status": "True", "reason": reason, "message": "", "lastTransitionTime": "2026-11-22T10:00:00Z"});
            let mut plan = done(name, 1);
            plan.status =
                serde_json::from_value(json!({"state": "Failed", "failureReason": reason, "conditions": [ended],
                "failureMessage": "a node is gone", "startTime": started}))
                .expect("a status");
            plan
        };
        let changed = |name: &str| failed(name, "FailureReasonClusterChanged", Value::Null);
        let check = |spec: Value, plans: &[RebalancePlan], nothing: Option<bool>, state: &str, does: &str| {
            let claim = claim(spec.clone());
            let mut given = given_at("10:01:00", plans);
            if let Some(nothing) = nothing {
                let answer = Answer::Given { at: at("10:00:30"), answer: planned(nothing).into() };
                given = given.answered::<Plans>(&claim, answer);
            }
            let (status, asked, effects) = becomes(&given, &claim);
            let did = format!("{asked} {effects:?}");
            let status = status.expect("a status");
            assert_eq!(status.state.expect("a state").as_str(), state, "{spec} {plans:?}");
            assert!(did.contains(does), "{did}, not {does}");
        };
        let alone = || json!({"autoExecute": true});
        check(alone(), &[changed("a")], None, "Executing", "[plans RebalancePlanClaim/u/1]");
        check(alone(), &[changed("a")], Some(false), "Executing", "create RebalancePlan a-2");
        check(alone(), &[changed("a"), changed("a-2")], Some(false), "Executing", "create RebalancePlan a-3");
        check(alone(), &[changed("a"), changed("a-2"), changed("a-3")], Some(false), "Failed", "[] []");
        check(alone(), &[changed("a")], Some(true), "Skipped", "[] []");
        check(alone(), &[done("a", MOST_NODES), changed("a-2")], Some(true), "Completed", "[] []");
        check(json!({}), &[changed("a")], Some(false), "Failed", "[] []");
        let begun = failed("a", "FailureReasonClusterChanged", json!("2026-11-22T09:00:00Z"));
        check(alone(), &[begun], Some(false), "Failed", "[] []");
        let invalid = failed("a", "FailureReasonPlanInvalid", Value::Null);
        check(alone(), &[invalid], Some(false), "Executing", "create RebalancePlan a-2");
        let timeout = failed("a", "FailureReasonTimeout", Value::Null);
        check(alone(), &[timeout], Some(false), "Failed", "[] []");
    }

    #[test]
    fn plans_are_in_the_order_of_their_numbers_and_the_last_one_counts() {
        let claim = claim(json!({}));
        let plans = [done("a-10", 1), done("a", 1), done("a-2", 1)];
        let names: Vec<&str> = in_order(&claim, plans.iter().collect()).into_iter().map(Kind::name).collect();
        assert_eq!(names, ["a", "a-2", "a-10"]);
    }

    #[test]
    fn a_plan_that_the_api_server_refuses_for_good_ends_its_claim_with_its_words() {
        let claim: RebalancePlanClaim =
            object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "a", "uid": "u",
            "generation": 1}, "spec": {"autoExecute": true}, "status": {"state": "Ready", "conditions": []}}));
        let check = |code: u16, state: &str| {
            let now = at("10:00:00");
            let refused = Reply::Refused {
                code,
                reason: "Invalid".to_owned(),
                message: "etcdserver: request is too large".to_owned(),
                since: now,
                count: 1,
                retry_at: now,
            };
            let answer = Answer::Given { at: now, answer: planned(false).into() };
            let given = given_at("10:00:00", &[]).answered::<Plans>(&claim, answer);
            let (status, _, _) = becomes(&given.after("create RebalancePlan a", refused), &claim);
            let status = status.expect("a status");
            assert_eq!(status.state.expect("a state").as_str(), state, "{code}");
            let told = status.error_message.unwrap_or_default();
            assert_eq!(told.contains("request is too large"), state == "Failed", "{told}");
        };
        check(413, "Failed");
        check(422, "Failed");
        check(429, "Ready");
        check(500, "Ready");
    }

    #[test]
    fn a_plan_of_somebody_else_under_the_same_name_ends_the_claim_instead_of_being_waited_for() {
        let claim: RebalancePlanClaim =
            object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "b", "uid": "other",
            "generation": 1}, "spec": {"autoExecute": true}, "status": {"state": "Ready", "conditions": []}}));
        let answer = Answer::Given { at: at("10:00:00"), answer: planned(false).into() };
        let given = given_at("10:00:00", &[done("b", 1)]).answered::<Plans>(&claim, answer);
        let (status, _, effects) = becomes(&given, &claim);
        let status = status.expect("a status");
        assert_eq!((status.state.expect("a state").as_str(), effects.len()), ("Failed", 0));
        assert!(status.error_message.unwrap_or_default().contains("RebalancePlan b of somebody else"));
    }
}
