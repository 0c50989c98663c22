//! Marks on nodes and NodeClaims whose plan does not live any more are taken back, whoever left them there: a plan that lost its
//! finalizer, or an operator that was taken away in the middle. Nodes that were kept take pods again when it is time.

use std::collections::BTreeSet;
use std::time::Duration;

use kentroller_runtime::{Cluster, Failure, Guard, Kind, Outcome, Reconcile, World, controller};

use super::{count, marking, turn};
use crate::api::RebalancePlan;
use crate::api::foreign::{Node, NodeClaim};

const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Objects of one look: each asks for all plans once more.
const MOST_AT_ONCE: usize = 20;

/// Takes back the marks of plans that are gone, and those whose time is over.
#[controller(
    of = Cluster,
    feature = "rebalancer",
    reads(Node, NodeClaim, RebalancePlan),
    writes(Node: patch, NodeClaim: patch),
    gauges(orphaned_marks = "Nodes and NodeClaims that bear marks of a plan that is gone, and are to be given back"),
)]
pub struct Sweep;

impl Reconcile for Sweep {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        let living: BTreeSet<&str> = world.all::<RebalancePlan>().filter(|plan| lives(plan)).map(Kind::uid).collect();
        let nodes: Vec<_> = world.all::<Node>().filter_map(|node| Some((node, orphan(node, &living)?))).collect();
        let claims: Vec<_> =
            world.all::<NodeClaim>().filter_map(|claim| Some((claim, orphan(claim, &living)?))).collect();
        out.set(Self::ORPHANED_MARKS, [], count(nodes.len() + claims.len()));
        for (node, plan) in nodes.into_iter().take(MOST_AT_ONCE) {
            out.merge(node, marking::release(node, plan)).only_if(is_gone(plan));
        }
        for (claim, plan) in claims.into_iter().take(MOST_AT_ONCE) {
            out.merge(claim, marking::release_claim(claim)).only_if(is_gone(plan));
        }
        for node in world.all::<Node>().filter(|node| is_late_comer(node, world)).take(MOST_AT_ONCE) {
            out.merge(node, marking::untaint(node));
        }
        let is_over = |node: &&Node| marking::uncordon_time(node).is_some_and(|time| time <= world.now());
        for node in world.all::<Node>().filter(is_over).take(MOST_AT_ONCE) {
            out.merge(node, marking::uncordon());
        }
        // Who has opened it meanwhile, and closes it again, has reasons of his own.
        let is_open =
            |node: &&Node| !node.spec.unschedulable && marking::uncordon_time(node).is_some() && !is_over(node);
        for node in world.all::<Node>().filter(is_open).take(MOST_AT_ONCE) {
            out.merge(node, marking::stay_open());
        }
        out.look_in(LOOK_EVERY);
        Ok(out)
    }

    /// What is left behind is taken back in any case.
    fn disabled(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Self::reconcile(cluster, world)
    }
}

/// Whether the plan, or its own clean-up, still looks after its marks.
fn lives(plan: &RebalancePlan) -> bool {
    !turn::has_ended(plan) || turn::is_marked(plan)
}

/// The uid of the plan whose marks the object bears, if none of the living has it.
fn orphan<'a, K: Kind>(object: &'a K, living: &BTreeSet<&str>) -> Option<&'a str> {
    marking::owner(object).filter(|plan| !living.contains(plan))
}

/// Whether the node came after the plan that made it had ended: it is born with the soft taint, and nobody lifts it.
fn is_late_comer(node: &Node, world: &World<Sweep>) -> bool {
    let is_registered = || world.indexed::<NodeClaim>(node.name()).into_iter().any(NodeClaim::is_registered);
    marking::is_tainted(node) && marking::owner(node).is_none() && is_registered()
}

/// The API server does not have the plan either.
fn is_gone(plan: &str) -> Guard<Sweep> {
    let uid = plan.to_owned();
    let guard = Guard::<Sweep>::that(move |fresh| {
        let plans = fresh.all::<RebalancePlan>()?;
        match plans.iter().find(|plan| plan.uid() == uid && lives(plan)) {
            Some(plan) => Err(format!("plan {} is there", plan.name())),
            None => Ok(()),
        }
    });
    guard.list::<RebalancePlan>("")
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::Controller as _;
    use kentroller_runtime::generate::rbac::Rights;
    use kentroller_runtime::testing::{given, object};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_bears_the_uid_of_no_plan_is_given_back_and_everything_else_stays() {
        let node = |name: &str, metadata: Value| -> Node {
            let mut node =
                json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"unschedulable": true}});
            node["metadata"]["name"] = json!(name);
            object(node)
        };
        let cordoned = |uid: &str| {
            json!({"labels": {"rebalancing.cast.ai/plan": uid}, "annotations": {"rebalancing.cast.ai/cordoned-by": uid,
                "karpenter.sh/do-not-disrupt": "true", "rebalancing.cast.ai/former-do-not-disrupt": "absent"}})
        };
        let plan: RebalancePlan =
            object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "now", "uid": "alive"},
            "spec": {"nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []}}));
        let claim: NodeClaim = object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "c",
            "labels": {"rebalancing.cast.ai/plan": "dead"}}}));
        let given = given::<Sweep>()
            .with(plan)
            .with(node("of-alive", cordoned("alive")))
            .with(node("of-dead", cordoned("dead")))
            .with(node("of-a-person", json!({})))
            .with(claim);
        let decided = given.decide(&Cluster::default()).expect("a decision");
        let effects: Vec<String> = decided.effects().map(ToString::to_string).collect();
        assert_eq!(effects.len(), 2, "{effects:?}");
        assert!(effects[0].contains("Node of-dead") && effects[1].contains("NodeClaim c"), "{effects:?}");
        let told: Vec<String> = decided.measured.iter().flatten().map(ToString::to_string).collect();
        assert_eq!(told, ["set    orphaned_marks 2"]);
        assert!(
            decided.effects().all(|effect| effect.guard.is_some()),
            "the API server is asked for the plan once more"
        );
    }

    #[test]
    fn marks_of_a_plan_that_has_ended_and_lost_its_finalizer_are_swept_and_those_of_one_that_cleans_up_are_not() {
        let plan = |state: &str, marked: bool| -> RebalancePlan {
            let finalizers = if marked { json!([crate::api::marks::PLAN_FINALIZER]) } else { Value::Null };
            object(
                json!({"apiVersion": "", "kind": "", "metadata": {"name": "now", "uid": "u", "finalizers": finalizers},
                "spec": {"nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []},
                "status": {"state": state, "conditions": []}}),
            )
        };
        let node: Node = object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n",
            "labels": {"rebalancing.cast.ai/plan": "u"}}, "spec": {}}));
        for (state, marked, swept) in [
            ("Running", true, 0),
            ("Running", false, 0),
            ("Canceled", true, 0),
            ("Canceled", false, 1),
            ("Done", false, 1),
        ] {
            let given = given::<Sweep>().with(plan(state, marked)).with(node.clone());
            let effects = given.decide(&Cluster::default()).expect("a decision").effects().count();
            assert_eq!(effects, swept, "{state} {marked}");
        }
    }

    #[test]
    fn the_soft_taint_of_a_node_that_came_after_its_plan_had_ended_is_lifted_once_karpenter_has_registered_it() {
        let later = json!([{"key": "rebalancing.cast.ai/later", "effect": "PreferNoSchedule"}]);
        let alive = || json!({"rebalancing.cast.ai/plan": "alive"});
        for (labels, registered, swept) in [(json!({}), true, 1), (json!({}), false, 0), (alive(), true, 0)] {
            let plan: RebalancePlan =
                object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "now", "uid": "alive"},
                "spec": {"nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []}}));
            let node: Node = object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n",
                "labels": labels}, "spec": {"taints": later}}));
            let is = |kind: &str, status: bool| {
                json!({"type": kind, "status": if status { "True" } else { "False" },
                "lastTransitionTime": "2026-11-22T08:00:00Z"})
            };
            let claim: NodeClaim = object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "c"}, "spec": {},
                "status": {"nodeName": "n", "conditions": [is("Launched", true), is("Registered", registered)]}}));
            let given = given::<Sweep>().with(plan).with(node).with(claim);
            let effects = given.decide(&Cluster::default()).expect("a decision").effects().count();
            assert_eq!(effects, swept, "labels {labels}, registered {registered}");
        }
    }

    #[test]
    fn a_node_that_somebody_opened_early_is_not_opened_once_more() {
        let node = |unschedulable: bool, until: &str| -> Node {
            object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n",
                "annotations": {"rebalancing.cast.ai/uncordon-after": until}}, "spec": {"unschedulable": unschedulable}}))
        };
        let check = |node: Node, want: Option<Value>| {
            let given = given::<Sweep>().at("2026-11-22T10:00:00Z").with(node);
            let decided = given.decide(&Cluster::default()).expect("a decision");
            let patches: Vec<Value> = decided
                .effects()
                .map(|effect| match &effect.act {
                    kentroller_runtime::outcome::Act::Patch(patch) => patch.clone(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(patches, want.into_iter().collect::<Vec<_>>());
        };
        let (early, late) = ("2026-11-22T10:30:00Z", "2026-11-22T09:30:00Z");
        let forgets = json!({"metadata": {"annotations": {"rebalancing.cast.ai/uncordon-after": null}}});
        let mut opens = forgets.clone();
        opens["spec"] = json!({"unschedulable": null});
        check(node(true, early), None);
        check(node(true, late), Some(opens));
        check(node(false, early), Some(forgets));
    }

    #[test]
    fn its_rights_are_to_read_plans_and_to_patch_nodes() {
        assert_eq!(
            Rights::of_one(&Sweep::declaration(), &[]).lines(),
            [
                "everywhere: get, list, watch nodes",
                "everywhere: get, list, watch rebalanceplans",
                "everywhere: get, list, watch nodeclaims",
                "everywhere, not in mode observe: patch nodes",
                "everywhere, not in mode observe: patch nodeclaims",
            ]
        );
    }
}
