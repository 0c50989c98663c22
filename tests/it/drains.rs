//! Drains that do not end by themselves: the node is kept, or what is left on it is ended by force.

use std::time::Duration;

use jiff::Timestamp;
use kentroller_tests::{Stage, text};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);
const UNCORDON_AFTER: &str = "rebalancing.cast.ai/uncordon-after";

/// A plan of a claim with these fields, one of whose nodes has a pod that its budget lets go nowhere from the start on: the node,
/// and the labels of the pod and its successors.
async fn stuck(spec: &Value) -> (Stage, String) {
    stuck_on(Stage::drifted(12, 1), spec).await
}

async fn stuck_on(stage: Stage, spec: &Value) -> (Stage, String) {
    let mut all = json!({"autoExecute": false});
    all.as_object_mut().expect("fields").extend(spec.as_object().expect("fields").clone());
    stage.claim("now", all);
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "now") == "Created").await);
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    let pod = &plan["spec"]["podsToMigrate"][0];
    let (name, namespace, node) = (text(&pod["name"]), text(&pod["namespace"]), text(&pod["srcNode"]));
    stage.edit_in("Pod", &namespace, &name, |pod| pod["metadata"]["labels"]["only"] = json!("this"));
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "now") == "Running").await);
    let spec = json!({"selector": {"matchLabels": {"only": "this"}}, "maxUnavailable": 0});
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "only-this", "namespace": namespace}, "spec": spec});
    stage.operated.server.create(budget).expect("it is accepted");
    (stage, node)
}

fn node(stage: &Stage, name: &str) -> Value {
    stage.get("Node", name).map_or(Value::Null, |node| (*node).clone())
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_drained_in_time_is_kept_and_takes_pods_again_later() {
    for (spec, minutes) in [
        (json!({}), 30),
        (json!({"uncordonAfter": "5m"}), 5),
        (json!({"evictGracefully": true, "aggressiveModeConfig": {"aggressiveEviction": true}}), 30),
    ] {
        let (stage, name) = stuck(&spec).await;
        assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
        let status = stage.plan()["status"].clone();
        assert_eq!(status["state"], "DoneWithWarnings", "{spec}: {status}");
        let kept = node(&stage, &name);
        assert_eq!(kept["metadata"]["annotations"]["rebalancing.cast.ai/status"], "drain-failed", "{kept}");
        let until = text(&kept["metadata"]["annotations"][UNCORDON_AFTER]);
        assert!(!until.is_empty() && kept["spec"]["unschedulable"] == true, "{spec}: {kept}");
        let events = status["nodesDeletion"][&name]["events"].as_array().cloned().expect("events");
        let (first, last) = (events.first().expect("an event"), events.last().expect("an event"));
        assert_eq!((text(&first["status"]).as_str(), text(&last["status"]).as_str()), ("NodeCordoned", "Failed"));
        let at = |event: &Value| text(&event["timestamp"]).parse::<Timestamp>().expect("a time");
        let drained = at(last).duration_since(at(first)).as_secs();
        assert!((1200..1300).contains(&drained), "{spec}: it was tried for {drained} s");
        let rests = until.parse::<Timestamp>().expect("a time").duration_since(at(last)).as_secs();
        assert_eq!(rests, minutes * 60, "{spec}");
        let opened = |stage: &Stage| node(stage, &name)["spec"]["unschedulable"].is_null();
        assert!(stage.until(Duration::from_secs(3600), opened).await, "{spec}: it stays cordoned");
        assert!(stage.operated.clock.now() >= until.parse::<Timestamp>().expect("a time"), "{spec}: not before");
        assert!(node(&stage, &name)["metadata"]["annotations"][UNCORDON_AFTER].is_null(), "{spec}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_aggressive_eviction_a_drain_is_forced_when_its_time_is_over() {
    for (spec, minutes) in [
        (json!({"aggressiveModeConfig": {"aggressiveEviction": true, "drainTimeout": "5m"}}), 5),
        (json!({"evictGracefully": false}), 20),
    ] {
        let (stage, name) = stuck(&spec).await;
        assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
        let status = stage.plan()["status"].clone();
        assert_eq!(status["state"], "Done", "{spec}: {status}");
        assert!(node(&stage, &name).is_null(), "{spec}: {name} is gone");
        let told = status["warnings"].to_string();
        assert!(told.contains(&name) && told.contains("its drain is forced"), "{spec}: {told}");
        let events = status["nodesDeletion"][&name]["events"].as_array().cloned().expect("events");
        let forced = events.iter().find(|event| text(&event["description"]).contains("forced")).expect("it is told");
        let at = |event: &Value| text(&event["timestamp"]).parse::<Timestamp>().expect("a time");
        let drained = at(forced).duration_since(at(&events[0])).as_secs();
        assert!((minutes * 60..minutes * 60 + 60).contains(&drained), "{spec}: it was tried for {drained} s");
        stage.pass(120).await;
        let waiting = stage.list("Pod").into_iter().filter(|pod| pod["status"]["phase"] == "Pending").count();
        assert_eq!((waiting, stage.marks()), (0, Vec::new()), "{spec}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_drain_is_forced_over_a_pod_that_forbids_it() {
    let (stage, name) =
        stuck(&json!({"aggressiveModeConfig": {"aggressiveEviction": true, "drainTimeout": "5m"}})).await;
    let held = |stage: &Stage| node(stage, &name)["spec"]["unschedulable"] == true;
    assert!(stage.until(LONG, held).await);
    stage.pass(250).await;
    let left = stage.list("Pod").into_iter().find(|pod| pod["metadata"]["labels"]["only"] == "this").expect("it stays");
    let (namespace, pod) = (text(&left["metadata"]["namespace"]), text(&left["metadata"]["name"]));
    stage.edit_in("Pod", &namespace, &pod, |pod| {
        pod["metadata"]["annotations"] = json!({"karpenter.sh/do-not-disrupt": "true"});
    });
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    stage.pass(60).await;
    let claims = stage.list("NodeClaim");
    let claim = claims.iter().find(|claim| claim["status"]["nodeName"] == name.as_str()).expect("the node is kept");
    assert!(claim["metadata"]["deletionTimestamp"].is_null(), "{claim}");
    assert!(!claim["metadata"]["annotations"].to_string().contains("termination-timestamp"), "{claim}");
    let there = stage.list("Pod").iter().any(|other| other["metadata"]["uid"] == left["metadata"]["uid"]);
    assert!(there, "the pod stays");
}

/// The pod on the node that only its budget keeps there.
fn left(stage: &Stage) -> Option<Value> {
    let is_it = |pod: &Value| pod["metadata"]["labels"]["only"] == "this";
    stage.list("Pod").into_iter().find(|pod| is_it(pod)).map(|pod| (*pod).clone())
}

/// A cluster where pods may be forced.
fn forcing() -> Stage {
    let stage = Stage::drifted(12, 1);
    stage.operated.set(|settings| settings.force_eviction = true);
    stage
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_eviction_is_refused_for_too_long_is_deleted_where_claim_and_cluster_allow_it() {
    let by_budget = json!({"ignoreBlockingPDB": true, "ignoreBlockingPDBTimeout": "5m"});
    let by_mark = json!({"ignoreProblemRemovalDisabledPods": true, "ignoreProblemRemovalDisabledPodsTimeout": "5m"});
    let in_time = json!({"ignoreBlockingPDB": true});
    for (flags, is_marked, minutes) in [(by_budget, false, 5), (by_mark, true, 5), (in_time, false, 10)] {
        let (stage, name) = stuck_on(forcing(), &json!({"aggressiveModeConfig": flags})).await;
        let pod = left(&stage).expect("the pod");
        let of = |field: &str| text(&pod["metadata"][field]);
        if is_marked {
            stage.edit_in("Pod", &of("namespace"), &of("name"), |pod| {
                pod["metadata"]["annotations"] = json!({"karpenter.sh/do-not-disrupt": "true"});
            });
        }
        let is_gone = |stage: &Stage| !stage.list("Pod").iter().any(|other| other["metadata"]["uid"] == *of("uid"));
        assert!(stage.until(LONG, is_gone).await, "{flags}: {}", stage.plan()["status"]["nodesDeletion"]);
        let now = stage.operated.clock.now();
        let course = stage.plan()["status"]["nodesDeletion"][&name].clone();
        let since = text(&course["cordonTime"]).parse::<Timestamp>().expect("a time");
        let tried = now.duration_since(since).as_secs();
        assert!((minutes * 60..minutes * 60 + 90).contains(&tried), "{flags}: it was tried for {tried} s");
        assert!(stage.until(LONG, |stage| stage.is_over("now")).await, "{flags}");
        assert_eq!(stage.plan()["status"]["state"], "Done", "{flags}: {}", stage.plan()["status"]);
        assert!(node(&stage, &name).is_null(), "{flags}: {name} is gone");
        let told = stage.notes("now", "PodForced").concat();
        assert!(told.contains(&format!("pod {}/{} is deleted", of("namespace"), of("name"))), "{flags}: {told}");
        stage.pass(120).await;
        let waiting = stage.list("Pod").into_iter().filter(|pod| pod["status"]["phase"] == "Pending").count();
        assert_eq!((waiting, stage.marks()), (0, Vec::new()), "{flags}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_pod_is_deleted_where_the_cluster_does_not_allow_it_and_the_plan_says_so() {
    let flags = json!({"aggressiveModeConfig": {"ignoreBlockingPDB": true, "ignoreBlockingPDBTimeout": "5m"}});
    // The setting is off, or it is on and nobody has bound the role.
    for is_set in [false, true] {
        let stage = if is_set { forcing() } else { Stage::drifted(12, 1) };
        if is_set {
            stage.operated.server.allow(kentroller::simulation::USER, Some(crate::rights::without_force()));
        }
        let (stage, name) = stuck_on(stage, &flags).await;
        let pod = left(&stage).expect("the pod");
        assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
        let status = stage.plan()["status"].clone();
        assert_eq!(status["state"], "DoneWithWarnings", "{status}");
        assert_eq!(left(&stage).expect("it stays")["metadata"]["uid"], pod["metadata"]["uid"]);
        let kept = node(&stage, &name);
        assert_eq!(kept["metadata"]["annotations"]["rebalancing.cast.ai/status"], "drain-failed", "{kept}");
        let told = stage.notes("now", "ForceEvictionNotAllowed").concat() + &status["warnings"].to_string();
        assert!(told.contains("ForceEvictionNotAllowed") || told.contains("cannot delete"), "{is_set}: {told}");
        assert_eq!(stage.events("now").contains(&"Warning ForceEvictionNotAllowed".to_owned()), is_set, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_timeout_without_aggressive_eviction_is_how_long_a_drain_may_take() {
    let (stage, name) = stuck(&json!({"aggressiveModeConfig": {"drainTimeout": "5m"}})).await;
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let events = stage.plan()["status"]["nodesDeletion"][&name]["events"].as_array().cloned().expect("events");
    let at = |event: &Value| text(&event["timestamp"]).parse::<Timestamp>().expect("a time");
    let drained = at(events.last().expect("an event")).duration_since(at(&events[0])).as_secs();
    assert!((300..360).contains(&drained), "it was tried for {drained} s");
    assert!(!node(&stage, &name).is_null(), "it is kept");
}
