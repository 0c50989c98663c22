//! What comes to be protected while a plan runs, and what other people do to its nodes meanwhile, binds it at every step.

use std::time::Duration;

use kentroller_tests::{Stage, text};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);
const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";

/// Nodes that the plan takes away, in the order of their waves.
fn leaving(stage: &Stage) -> Vec<String> {
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    let mut going = plan["spec"]["nodeClaimsToDelete"].as_array().cloned().expect("nodes that go");
    going.sort_by_key(|one| one["wave"].as_u64());
    let node =
        |one: &Value| text(&stage.get("NodeClaim", &text(&one["nodeClaimName"])).expect("it")["status"]["nodeName"]);
    going.iter().map(node).collect()
}

/// A cluster with a plan that waits for somebody to execute it.
async fn planned(spec: Value) -> Stage {
    Stage::drifted(12, 1).planned(spec).await
}

/// A pod of the workload on the node.
fn pod_on(stage: &Stage, node: &str) -> Value {
    let mut pods = stage.list("Pod").into_iter();
    let movable = |pod: &Value| {
        pod["spec"]["nodeName"] == node
            && pod["metadata"]["deletionTimestamp"].is_null()
            && pod["metadata"]["ownerReferences"][0]["kind"] != "DaemonSet"
    };
    (*pods.find(|pod| movable(pod)).expect("a pod on the node")).clone()
}

fn change_pod(stage: &Stage, pod: &Value, change: impl FnOnce(&mut Value)) {
    let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
    stage.operated.server.update("Pod", Some(&namespace), &name, change).expect("the edit is accepted");
}

fn annotate(object: &mut Value, key: &str, value: &str) {
    object["metadata"]["annotations"][key] = json!(value);
}

/// A pod that nobody would make again.
fn bare(stage: &Stage, node: &str) -> Value {
    let requests = json!({"cpu": "10m", "memory": "16Mi"});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "six-hours", "namespace": "default"},
        "spec": {"nodeName": node, "containers": [{"name": "a", "image": "a:1", "resources": {"requests": requests}}]},
    });
    (*stage.operated.server.create(pod).expect("it is accepted")).clone()
}

/// The end of a plan of which one node had to stay: the pod is the same one, the node is there and takes pods, and the status
/// names both and says why.
async fn kept(stage: &Stage, node: &str, pod: Option<&Value>, why: &str) {
    assert!(
        stage.until(LONG, |stage| stage.is_over("now")).await,
        "{}",
        stage.condition("RebalancePlan", "now", "Ready")
    );
    stage.pass(120).await;
    let status = stage.get("RebalancePlan", "now").expect("the plan")["status"].clone();
    assert_eq!(status["state"], "DoneWithWarnings", "{status}");
    assert_eq!(status["nodesDeletion"][node]["phase"], "Kept", "{status}");
    let events = status["nodesDeletion"][node]["events"].as_array().cloned().unwrap_or_default();
    let told = events.iter().any(|event| text(&event["description"]).contains(why));
    assert!(told, "{why}: {events:?}");
    assert!(stage.notes("now", "NodeKept").iter().any(|note| note.contains(node) && note.contains(why)));
    let there = stage.get("Node", node).expect("the node is kept");
    assert!(there["spec"]["taints"].to_string().find("rebalancing.cast.ai").is_none(), "{there}");
    assert!(there["metadata"]["labels"]["rebalancing.cast.ai/plan"].is_null(), "{there}");
    if let Some(pod) = pod {
        let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
        let now = stage.operated.server.get("Pod", Some(&namespace), &name).expect("the pod is there");
        assert_eq!(now["metadata"]["uid"], pod["metadata"]["uid"]);
        assert!(now["metadata"]["deletionTimestamp"].is_null());
    }
    let others = status["nodesDeletion"].as_object().expect("the nodes that went");
    assert!(others.values().any(|course| course["phase"] == "Gone"), "the rest of the plan is done: {status}");
}

type Meddle = fn(&Stage, &str) -> Option<Value>;

#[tokio::test(start_paused = true)]
async fn what_is_protected_after_planning_stays_and_its_node_with_it() {
    let cases: [(&str, Meddle); 6] = [
        ("do-not-disrupt", |stage, node| {
            let pod = pod_on(stage, node);
            change_pod(stage, &pod, |pod| annotate(pod, DO_NOT_DISRUPT, "true"));
            Some(pod)
        }),
        ("removal-disabled", |stage, node| {
            let pod = pod_on(stage, node);
            change_pod(stage, &pod, |pod| annotate(pod, "autoscaling.cast.ai/removal-disabled", "true"));
            Some(pod)
        }),
        ("bare", |stage, node| Some(bare(stage, node))),
        ("annotation karpenter.sh/do-not-disrupt", |stage, node| {
            stage.edit("Node", node, |node| annotate(node, DO_NOT_DISRUPT, "true"));
            None
        }),
        ("marked autoscaling.cast.ai/removal-disabled", |stage, node| {
            stage.edit("Node", node, |node| annotate(node, "autoscaling.cast.ai/removal-disabled", "true"));
            None
        }),
        ("somebody else cordoned it", |stage, node| {
            stage.edit("Node", node, |node| node["spec"]["unschedulable"] = json!(true));
            None
        }),
    ];
    for (why, meddle) in cases {
        let stage = planned(json!({})).await;
        let node = leaving(&stage).pop().expect("a node");
        let pod = meddle(&stage, &node);
        stage.execute();
        kept(&stage, &node, pod.as_ref(), why).await;
        let there = stage.get("Node", &node).expect("it");
        assert_eq!(there["spec"]["unschedulable"] == true, why.contains("cordoned"), "{why}: {there}");
    }
}

/// Waits until the last node of the plan is drained.
async fn draining(stage: &Stage) -> String {
    let node = leaving(stage).pop().expect("a node");
    let cordoned = |stage: &Stage| stage.get("Node", &node).is_some_and(|node| node["spec"]["unschedulable"] == true);
    assert!(stage.until(LONG, cordoned).await);
    node
}

#[tokio::test(start_paused = true)]
async fn what_is_protected_during_a_drain_stays_and_its_node_takes_pods_again() {
    for (why, meddle) in [
        (
            "do-not-disrupt",
            (|stage, node| {
                let pod = pod_on(stage, node);
                change_pod(stage, &pod, |pod| annotate(pod, DO_NOT_DISRUPT, "true"));
                Some(pod)
            }) as Meddle,
        ),
        ("bare", |stage, node| Some(bare(stage, node))),
        ("marked autoscaling.cast.ai/removal-disabled", |stage, node| {
            stage.edit("Node", node, |node| annotate(node, "autoscaling.cast.ai/removal-disabled", "true"));
            None
        }),
    ] {
        let stage = planned(json!({})).await;
        stage.execute();
        let node = draining(&stage).await;
        let pod = meddle(&stage, &node);
        kept(&stage, &node, pod.as_ref(), why).await;
        let there = stage.get("Node", &node).expect("it");
        assert!(there["spec"]["unschedulable"].is_null(), "{there}");
        assert_eq!(there["metadata"]["annotations"]["rebalancing.cast.ai/status"], "drain-failed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_a_person_uncordons_during_its_drain_is_left_to_that_person() {
    let stage = planned(json!({})).await;
    stage.execute();
    let node = draining(&stage).await;
    let pod = pod_on(&stage, &node);
    stage.edit("Node", &node, |node| node["spec"]["unschedulable"] = json!(false));
    kept(&stage, &node, Some(&pod), "somebody made it schedulable again").await;
    let there = stage.get("Node", &node).expect("it");
    assert!(there["metadata"]["annotations"]["rebalancing.cast.ai/cordoned-by"].is_null(), "{there}");
    assert!(there["spec"]["unschedulable"].is_null() || there["spec"]["unschedulable"] == false, "{there}");
}

#[tokio::test(start_paused = true)]
async fn a_protection_that_ends_soon_costs_nothing() {
    let stage = planned(json!({})).await;
    let node = leaving(&stage).pop().expect("a node");
    let pod = pod_on(&stage, &node);
    change_pod(&stage, &pod, |pod| annotate(pod, DO_NOT_DISRUPT, "true"));
    stage.execute();
    let blocked = |stage: &Stage| {
        let plan = stage.get("RebalancePlan", "now").expect("the plan");
        plan["status"]["nodesDeletion"][&node]["phase"] == "Blocked"
    };
    assert!(stage.until(LONG, blocked).await);
    stage.pass(60).await;
    change_pod(&stage, &pod, |pod| pod["metadata"]["annotations"] = json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    assert_eq!(stage.state("RebalancePlan", "now"), "Done");
    assert!(stage.get("Node", &node).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_flag_of_the_claim_lifts_its_rule_at_the_eviction_too() {
    let stage = planned(json!({"aggressiveModeConfig": {"ignoreProblemPodsWithoutController": true}})).await;
    let node = leaving(&stage).pop().expect("a node");
    bare(&stage, &node);
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    assert!(stage.get("Node", &node).is_none(), "{}", stage.condition("RebalancePlan", "now", "Ready"));
}

/// A cluster whose nodes can only go if new ones come.
fn tight() -> Stage {
    Stage::drifted(3, 3)
}

/// Every node is replaced.
fn roll() -> Value {
    json!({"minSavingsPercentage": 0})
}

async fn over(stage: &Stage, claim: &str) {
    assert!(
        stage.until(LONG, |stage| stage.is_over(claim)).await,
        "{}",
        stage.condition("RebalancePlan", claim, "Ready")
    );
}

/// NodeClaims that a plan made.
fn made(stage: &Stage, plan: &str) -> Vec<String> {
    let plan = stage.get("RebalancePlan", plan).expect("the plan");
    let all = plan["status"]["nodesCreation"].as_object().cloned().unwrap_or_default();
    all.values()
        .map(|one| text(&one["attempts"].as_array().and_then(|all| all.last()).expect("one")["nodeClaimName"]))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_shield_that_a_person_put_on_a_node_of_an_earlier_plan_stays() {
    let stage = tight();
    stage.claim("first", roll());
    over(&stage, "first").await;
    let claim = made(&stage, "first").pop().expect("a new node");
    let node = text(&stage.get("NodeClaim", &claim).expect("it")["status"]["nodeName"]);
    for (kind, name) in [("Node", &node), ("NodeClaim", &claim)] {
        stage.edit(kind, name, |object| annotate(object, DO_NOT_DISRUPT, "true"));
    }
    stage.claim("second", roll());
    over(&stage, "second").await;
    assert!(stage.is_done("second"));
    for (kind, name) in [("Node", &node), ("NodeClaim", &claim)] {
        let there = stage.get(kind, name).expect("it stays");
        assert_eq!(there["metadata"]["annotations"][DO_NOT_DISRUPT], "true", "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_finish_dying_does_not_hold_the_turn() {
    let stage = planned(json!({})).await;
    let going = leaving(&stage);
    let stays = stage.list("NodeClaim").into_iter().find(|claim| !going.contains(&text(&claim["status"]["nodeName"])));
    let bystander = stays.expect("a node that stays");
    let pod = pod_on(&stage, &text(&bystander["status"]["nodeName"]));
    change_pod(&stage, &pod, |pod| annotate(pod, DO_NOT_DISRUPT, "true"));
    stage.execute();
    let node = text(&bystander["status"]["nodeName"]);
    let touched = |stage: &Stage| {
        stage.get("Node", &node).is_some_and(|node| node["metadata"]["labels"]["rebalancing.cast.ai/plan"].is_string())
    };
    assert!(stage.until(LONG, touched).await);
    stage.delete("NodeClaim", &text(&bystander["metadata"]["name"]));
    over(&stage, "now").await;
    assert!(stage.get("Node", &node).is_some(), "its pod holds it for ever");
    assert!(stage.get("RebalancePlan", "now").expect("the plan")["metadata"]["finalizers"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_deleted_before_it_runs_gives_its_turn_back() {
    let stage = planned(json!({})).await;
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    stage.edit("RebalancePlan", "now", |plan| plan["metadata"]["finalizers"] = json!(["rebalancing.cast.ai/plan"]));
    stage.delete("RebalancePlan", "now");
    stage.pass(10).await;
    let there = stage.get("RebalancePlan", "now");
    assert!(there.is_none_or(|other| other["metadata"]["uid"] != plan["metadata"]["uid"]), "it is gone");
}

#[tokio::test(start_paused = true)]
async fn a_claim_made_anew_under_the_same_name_makes_nodes_of_its_own() {
    let stage = tight();
    let mut names = Vec::new();
    for _ in 0..2 {
        stage.claim("now", roll());
        over(&stage, "now").await;
        assert!(stage.is_done("now"), "{}", stage.condition("RebalancePlan", "now", "Ready"));
        names.extend(made(&stage, "now"));
        stage.delete("RebalancePlanClaim", "now");
        assert!(stage.until(LONG, |stage| stage.get("RebalancePlan", "now").is_none()).await);
    }
    let all = names.len();
    names.sort();
    names.dedup();
    assert!(all >= 2 && names.len() == all, "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_of_a_pool_that_was_changed_after_planning_is_not_made() {
    let stage = tight().planned(roll()).await;
    for pool in stage.names("NodePool") {
        stage.edit("NodePool", &pool, |pool| pool["spec"]["template"]["metadata"]["labels"]["team"] = json!("shop"));
    }
    stage.execute();
    over(&stage, "now").await;
    let status = stage.get("RebalancePlan", "now").expect("the plan")["status"].clone();
    assert_eq!((&status["state"], &status["failureReason"]), (&json!("Failed"), &json!("FailureReasonClusterChanged")));
    let ours =
        |claim: &&std::sync::Arc<Value>| !claim["metadata"]["annotations"]["rebalancing.cast.ai/made-by"].is_null();
    assert_eq!(stage.list("NodeClaim").iter().filter(ours).count(), 0, "nothing was bought by the plan");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_bought_before_a_slot_is_free() {
    let stage = tight().planned(roll()).await;
    let claims = stage.names("NodeClaim");
    let pace = |stage: &Stage, pace: &str| {
        for pool in stage.names("NodePool") {
            stage.edit("NodePool", &pool, |pool| annotate(pool, "kentroller.cast.ai/budget", pace));
        }
    };
    pace(&stage, "0");
    stage.execute();
    stage.pass(900).await;
    assert_eq!(stage.names("NodeClaim"), claims);
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    let said = plan["status"]["conditions"].to_string();
    assert!(said.contains("a disruption slot of NodePool"), "{said}");
    pace(&stage, "10%");
    over(&stage, "now").await;
    assert_eq!(stage.state("RebalancePlan", "now"), "Done");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_ends_before_it_touched_a_node_gives_its_new_nodes_back() {
    let stage = tight().planned(roll()).await;
    let claims = stage.names("NodeClaim");
    stage.execute();
    let begun = |stage: &Stage| stage.names("NodeClaim").len() > claims.len();
    assert!(stage.until(LONG, begun).await);
    for pool in stage.names("NodePool") {
        stage.edit("NodePool", &pool, |pool| annotate(pool, "kentroller.cast.ai/budget", "0"));
    }
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "now") == "Failed").await);
    over(&stage, "now").await;
    stage.pass(300).await;
    assert_eq!(stage.names("NodeClaim"), claims, "a node that nobody needs is not paid for");
    assert_eq!(stage.marks(), [""; 0]);
}
