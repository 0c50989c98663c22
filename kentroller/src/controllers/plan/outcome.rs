//! What a plan brought, on the nodes that really came and went.

use kentroller_planner::Money;

use crate::api::marks::{CAPACITY_TYPE, INSTANCE_TYPE, ZONE};
use crate::api::{
    AchievedOutcome, Alternative, AttemptStatus, CreationAttempt, DeletionPhase, FailedAttempt, FailedNode, NodeCost,
    NodeDeletion, OutcomeDiff, PlanState, PlanStatus, RebalancePlan, Totals, WavePhase,
};

/// Whether a wave of an ended plan came to nothing, so that its new nodes are of no use: the plan failed or was stopped before
/// it touched a node that goes, or none of them went through us: they were kept, or gone before.
pub(super) fn is_in_vain(plan: &RebalancePlan, status: &PlanStatus, wave: u32) -> bool {
    let known = status.waves.iter().find(|known| known.index == wave);
    let touched = known.is_some_and(|wave| wave.touched);
    let is_over = known.is_some_and(|wave| matches!(wave.phase, WavePhase::Ending | WavePhase::Done));
    let stopped = matches!(status.state, Some(PlanState::Failed | PlanState::Canceled));
    let mut courses = status.nodes_deletion.values().filter(|course| course.wave == Some(wave));
    let replaced = courses.any(|course| matches!(course.phase(), Some(DeletionPhase::Ending | DeletionPhase::Gone)));
    let goes = plan.spec.node_claims_to_delete.iter().any(|one| one.wave == wave);
    (stopped && !touched && !is_over) || (is_over && goes && !replaced)
}

/// The outcome of an ended plan; `None` for a plan that only deletes, and for one that never began.
pub(super) fn achieved(plan: &RebalancePlan, status: &PlanStatus) -> Option<AchievedOutcome> {
    let savings = status.savings.as_ref()?;
    if plan.spec.node_claims_to_add.is_empty() || status.start_time.is_none() {
        return None;
    }
    let wave_of =
        |name: &str| plan.spec.node_claims_to_add.iter().find(|add| add.metadata.name == name).map(|add| add.wave);
    let mut outcome = AchievedOutcome::default();
    let mut green = Money::ZERO;
    for (name, creation) in &status.nodes_creation {
        let Some(last) = creation.attempts.last() else { continue };
        if last.status != AttemptStatus::Success {
            let tried = creation.attempts.iter().map(|attempt| FailedAttempt {
                description: attempt.description.clone(),
                instance_type: attempt.instance_type.clone(),
            });
            outcome.failed_nodes.push(FailedNode { attempts: tried.collect(), name: name.clone() });
            continue;
        }
        if wave_of(name).is_some_and(|wave| is_in_vain(plan, status, wave)) {
            // It is given back.
            continue;
        }
        let price = price(plan, name, creation.attempts.len() - 1, last);
        green += price.unwrap_or(Money::ZERO);
        let planned =
            savings.green_nodes.iter().find(|node| node.instance_type.as_deref() == Some(last.instance_type.as_str()));
        outcome.nodes.push(NodeCost {
            instance_type: Some(last.instance_type.clone()),
            is_spot: last.capacity_type.as_deref() == Some("spot"),
            memory_mib: planned.and_then(|node| node.memory_mib),
            milli_cpu: planned.and_then(|node| node.milli_cpu),
            name: last.node_claim_name.clone(),
            price_hourly: price.map(Money::hourly),
        });
    }
    let went = |course: &NodeDeletion| matches!(course.phase(), Some(DeletionPhase::Gone | DeletionPhase::Ending));
    let gone = |name: &str| status.nodes_deletion.get(name).is_some_and(went);
    let amount = |text: &Option<String>| text.as_deref().and_then(Money::parse).unwrap_or(Money::ZERO);
    let went: Vec<&NodeCost> = savings.blue_nodes.iter().filter(|node| gone(&node.name)).collect();
    let blue: Money = went.iter().map(|node| amount(&node.price_hourly)).sum();
    let saved = blue - green;
    outcome.totals = Some(Totals {
        memory_mib: Some(outcome.nodes.iter().filter_map(|node| node.memory_mib).sum()),
        milli_cpu: Some(outcome.nodes.iter().filter_map(|node| node.milli_cpu).sum()),
        nodes: i32::try_from(outcome.nodes.len()).ok(),
        price_hourly: Some(green.hourly()),
        price_monthly: Some(green.monthly()),
    });
    outcome.diff = (!went.is_empty()).then(|| OutcomeDiff {
        cluster_savings_percentage: Some(saved.percent_of(amount(&savings.current_cluster_hourly_cost)).to_string()),
        price_hourly: Some(saved.hourly()),
        price_monthly: Some(saved.monthly()),
        savings_percentage: Some(saved.percent_of(blue).to_string()),
    });
    Some(outcome)
}

/// The price of the offering that a node came from, among those that its last attempt asked for; `None` if it is none of them.
pub(super) fn price(plan: &RebalancePlan, name: &str, attempt: usize, came: &CreationAttempt) -> Option<Money> {
    let add = plan.spec.node_claims_to_add.iter().find(|add| add.metadata.name == name)?;
    let is_it = |offering: &&Alternative| {
        let is = |key: &str, value: Option<&str>| offering.value(key).is_none_or(|asked| Some(asked) == value);
        is(INSTANCE_TYPE, Some(&came.instance_type))
            && is(CAPACITY_TYPE, came.capacity_type.as_deref())
            && is(ZONE, came.zone.as_deref())
    };
    Money::parse(add.alternatives.get(attempt..)?.iter().find(is_it)?.price_hourly.as_deref()?)
}
