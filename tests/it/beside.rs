//! A plan beside everybody else: what it writes on nodes and takes back, and pods that are none of its business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kentroller::simulation::USER;
use kentroller_tests::{Stage, is_workload, text};
use kentroller_world::{Setup, Timings};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);
const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";
const RESERVED_BY: &str = "rebalancing.cast.ai/reserved-by";

async fn planned() -> Stage {
    Stage::drifted(12, 1).planned(json!({})).await
}

async fn over(stage: &Stage) {
    assert!(
        stage.until(LONG, |stage| stage.is_over("now")).await,
        "{}",
        stage.condition("RebalancePlan", "now", "Ready")
    );
}

/// Nodes that are there already and that the plan needs: those that go, and those that take pods.
fn needed(stage: &Stage) -> Vec<String> {
    let spec = stage.plan()["spec"].clone();
    let names = |list: &str, field: &str| -> Vec<String> {
        spec[list].as_array().into_iter().flatten().map(|one| text(&one[field])).collect()
    };
    let claims = [names("nodeClaimsToDelete", "nodeClaimName"), names("podsToMigrate", "dstNodeClaimName")].concat();
    let node = |claim: &String| stage.get("NodeClaim", claim).map(|claim| text(&claim["status"]["nodeName"]));
    let mut nodes: Vec<String> = claims.iter().filter_map(node).filter(|node| !node.is_empty()).collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

/// Whether the plan takes the node away.
fn leaves(stage: &Stage, node: &str) -> bool {
    let going = stage.plan()["spec"]["nodeClaimsToDelete"].clone();
    let claims =
        going.as_array().into_iter().flatten().filter_map(|one| stage.get("NodeClaim", &text(&one["nodeClaimName"])));
    claims.into_iter().any(|claim| claim["status"]["nodeName"] == node)
}

fn shield(stage: &Stage, node: &str) -> Value {
    stage.get("Node", node).map_or(Value::Null, |node| node["metadata"]["annotations"][DO_NOT_DISRUPT].clone())
}

#[tokio::test(start_paused = true)]
async fn every_node_that_a_plan_needs_is_shielded_while_it_runs_and_as_it_was_afterwards() {
    let stage = planned().await;
    let nodes = needed(&stage);
    let (said, silent) = (&nodes[0], &nodes[1]);
    stage.edit("Node", said, |node| node["metadata"]["annotations"][DO_NOT_DISRUPT] = json!("false"));
    stage.execute();
    assert!(stage.until(LONG, |stage| !stage.plan()["status"]["waves"].is_null()).await);
    for node in &nodes {
        assert_eq!(shield(&stage, node), "true", "{node}");
    }
    over(&stage).await;
    stage.pass(60).await;
    assert!(stage.is_done("now"), "{}", stage.plan()["status"]);
    for (node, former) in [(said, json!("false")), (silent, Value::Null)] {
        if stage.get("Node", node).is_some() {
            assert_eq!(shield(&stage, node), former, "{node}");
        }
    }
    let stay: Vec<&String> = nodes.iter().filter(|node| stage.get("Node", node).is_some()).collect();
    assert!(!stay.is_empty());
    assert!(stay.iter().all(|node| *node == said || shield(&stage, node).is_null()));
}

#[tokio::test(start_paused = true)]
async fn the_marks_of_a_plan_that_is_gone_are_swept_and_those_of_a_person_stay() {
    let stage = planned().await;
    stage.execute();
    let drains = |stage: &Stage| stage.plan()["status"]["nodesDeletion"].to_string().contains("Draining");
    assert!(stage.until(LONG, drains).await);
    let going = stage.plan()["status"]["nodesDeletion"].clone();
    let of_person = needed(&stage).into_iter().find(|node| going[node.as_str()].is_null() && !leaves(&stage, node));
    let of_person = of_person.expect("a node that takes pods");
    stage.edit("Node", &of_person, |node| node["spec"]["unschedulable"] = json!(true));
    assert!(stage.marks().len() > 1, "{:?}", stage.marks());
    // Somebody is in a hurry.
    stage.edit("RebalancePlan", "now", |plan| plan["metadata"]["finalizers"] = json!([]));
    stage.delete("RebalancePlan", "now");
    stage.pass(110).await;
    assert_eq!(stage.marks(), [of_person.as_str()], "only the person's cordon is left");
    assert!(shield(&stage, &of_person).is_null());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_made_ahead_takes_no_pods_until_its_wave_is_drained() {
    let stage = Stage::drifted(12, 1);
    let seen: Arc<Mutex<(usize, Vec<String>)>> = Arc::default();
    let pen = Arc::clone(&seen);
    let reserved: Arc<Mutex<Vec<String>>> = Arc::default();
    let list = Arc::clone(&reserved);
    stage.operated.server.on_commit(move |commit| {
        let Some(after) = &commit.after else { return };
        let mut list = list.lock().expect("one thread");
        match &*commit.write.kind {
            "Node" => {
                let name = text(&after["metadata"]["name"]);
                list.retain(|node| *node != name);
                if after["metadata"]["annotations"][RESERVED_BY].is_string() {
                    pen.lock().expect("one thread").0 += 1;
                    list.push(name);
                }
            }
            "Pod" => {
                let was_placed = commit.before.as_ref().is_some_and(|before| before["spec"]["nodeName"].is_string());
                let node = text(&after["spec"]["nodeName"]);
                let is_daemon = after["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet";
                if !was_placed && !is_daemon && list.contains(&node) {
                    pen.lock().expect("one thread").1.push(format!("{} on {node}", after["metadata"]["name"]));
                }
            }
            _ => {}
        }
    });
    stage.claim("now", json!({"minSavingsPercentage": 0}));
    over(&stage).await;
    let (marked, placed) = seen.lock().expect("one thread").clone();
    assert!(marked > 0, "some node was made ahead");
    assert_eq!(placed, [""; 0]);
    assert_eq!(stage.marks(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nodes_are_tainted_only_while_pods_move() {
    let stage = Stage::drifted(12, 1);
    let seen: Arc<Mutex<(usize, usize)>> = Arc::default();
    let pen = Arc::clone(&seen);
    let drains: Arc<Mutex<bool>> = Arc::default();
    stage.operated.server.on_commit(move |commit| {
        let Some(after) = commit.after.as_ref().filter(|_| *commit.write.user == *USER) else { return };
        let mut drains = drains.lock().expect("one thread");
        let is_tainted = |node: &Value| node["spec"]["taints"].to_string().contains("rebalancing.cast.ai/later");
        match &*commit.write.kind {
            "RebalancePlan" => *drains = after["status"]["waves"].to_string().contains("Draining"),
            "Node" if is_tainted(after) && !commit.before.as_ref().is_some_and(|before| is_tainted(before)) => {
                let mut seen = seen_of(&pen);
                seen.0 += 1;
                seen.1 += usize::from(!*drains);
            }
            _ => {}
        }
    });
    stage.claim("now", json!({}));
    over(&stage).await;
    let (tainted, idle) = *seen_of(&seen);
    assert!(tainted > 0, "pods were steered");
    assert_eq!(idle, 0, "of {tainted} taints");
}

fn seen_of(seen: &Arc<Mutex<(usize, usize)>>) -> std::sync::MutexGuard<'_, (usize, usize)> {
    seen.lock().expect("one thread")
}

/// Pods that nobody can place, of somebody else.
fn strangers(stage: &Stage, count: usize) {
    for number in 0..count {
        let requests = json!({"cpu": "4000", "memory": "1Ti"});
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("stranger-{number}"), "namespace": "default"},
            "spec": {"containers": [{"name": "a", "image": "a:1", "resources": {"requests": requests}}]},
            "status": {"phase": "Pending"},
        });
        stage.operated.server.create(pod).expect("it is accepted");
    }
}

#[tokio::test(start_paused = true)]
async fn pods_of_others_that_wait_stop_no_plan() {
    let undisturbed = {
        let stage = planned().await;
        stage.execute();
        over(&stage).await;
        stage.plan()["status"].clone()
    };
    let stage = planned().await;
    strangers(&stage, 30);
    stage.execute();
    over(&stage).await;
    let status = stage.plan()["status"].clone();
    assert_eq!(status["state"], undisturbed["state"], "{}", status["warnings"]);
    assert_eq!(status["achievedOutcome"]["diff"], undisturbed["achievedOutcome"]["diff"]);
}

/// A pod that leaves a node whose pods go to several places: one of those that go to the place that takes most of them.
fn of_the_largest_batch(plan: &Value) -> String {
    let mut batches: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for pod in plan["spec"]["podsToMigrate"].as_array().into_iter().flatten() {
        let way = (text(&pod["srcNode"]), text(&pod["dstNodeClaimName"]));
        batches.entry(way).or_default().push(text(&pod["name"]));
    }
    let ways = |node: &String| batches.keys().filter(|(source, _)| source == node).count();
    let several = batches.iter().filter(|((source, _), _)| ways(source) > 1);
    several.max_by_key(|(_, pods)| pods.len()).expect("a node whose pods part").1[0].clone()
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_budget_forbids_it_holds_its_own_node_and_nothing_else() {
    let stage = planned().await;
    let first = of_the_largest_batch(&stage.plan());
    let pod = stage.list("Pod").into_iter().find(|pod| pod["metadata"]["name"] == first.as_str()).expect("the pod");
    let (namespace, node) = (text(&pod["metadata"]["namespace"]), text(&pod["spec"]["nodeName"]));
    stage.edit_in("Pod", &namespace, &first, |pod| pod["metadata"]["labels"]["only"] = json!("this"));
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "now") == "Running").await);
    let spec = json!({"selector": {"matchLabels": {"only": "this"}}, "maxUnavailable": 0});
    let metadata = json!({"name": "only-this", "namespace": namespace});
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec});
    stage.operated.server.create(budget).expect("it is accepted");
    let cordoned = |stage: &Stage| stage.get("Node", &node).is_some_and(|node| node["spec"]["unschedulable"] == true);
    assert!(stage.until(LONG, cordoned).await);
    let left = |stage: &Stage| {
        let pods = stage.list("Pod").into_iter();
        let stays = |pod: &Value| pod["spec"]["nodeName"] == node.as_str() && is_workload(pod);
        pods.filter(|pod| stays(pod)).count()
    };
    let alone = stage.until(Duration::from_secs(300), |stage| left(stage) == 1).await;
    assert!(alone, "{} pods are left where one is held", left(&stage));
    over(&stage).await;
    let status = stage.plan()["status"].clone();
    let deletions = status["nodesDeletion"].as_object().expect("nodes that go");
    let kept: Vec<&String> = deletions.iter().filter(|(_, one)| one["phase"] == "Kept").map(|(name, _)| name).collect();
    assert_eq!(kept, [&node], "{status}");
    let alone = deletions.values().filter(|one| one["phase"] == "Gone").count();
    assert_eq!(alone, deletions.len() - 1, "{status}");
    assert!(stage.list("Pod").iter().any(|other| other["metadata"]["uid"] == pod["metadata"]["uid"]), "it stays");
}

/// Owners of workloads, and how many of their pods each node has.
fn places(stage: &Stage) -> BTreeMap<(String, String), i64> {
    let mut places = BTreeMap::new();
    for pod in stage.list("Pod").iter().filter(|pod| is_workload(pod)) {
        let owner = text(&pod["metadata"]["ownerReferences"][0]["uid"]);
        *places.entry((owner, text(&pod["spec"]["nodeName"]))).or_default() += 1;
    }
    places
}

/// Nodes that the operator opened to the scheduler while pods that it had moved were still to find their places elsewhere.
fn opened_early(stage: &Stage) -> Arc<Mutex<Vec<String>>> {
    let opened = Arc::new(Mutex::new(Vec::new()));
    let (found, pods) = (Arc::clone(&opened), Arc::new(Mutex::new(BTreeMap::new())));
    stage.operated.server.on_commit(move |commit| {
        let is_tainted = |node: &Value| node["spec"]["taints"].to_string().contains("rebalancing.cast.ai/later");
        let mut pods = pods.lock().expect("nobody panicked");
        match &commit.after {
            Some(pod) if is_workload(pod) => {
                let waits = pod["spec"]["nodeName"].is_null() && pod["metadata"]["deletionTimestamp"].is_null();
                pods.insert(text(&pod["metadata"]["uid"]), waits.then(|| text(&pod["metadata"]["name"])));
            }
            Some(node) if node["kind"] == "Node" && commit.before.as_ref().is_some_and(|before| is_tainted(before)) => {
                let waiting: Vec<&String> = pods.values().flatten().collect();
                if &*commit.write.user == USER && !is_tainted(node) && !waiting.is_empty() {
                    let told = format!("{} is opened while {waiting:?} wait", node["metadata"]["name"]);
                    found.lock().expect("nobody panicked").push(told);
                }
            }
            _ => {}
        }
    });
    opened
}

/// Where pods were before a plan, and which of them it moves.
struct Placed {
    places: BTreeMap<(String, String), i64>,
    /// By name of the pod.
    owners: BTreeMap<String, String>,
    moves: Vec<Value>,
}

impl Placed {
    fn of(stage: &Stage) -> Self {
        let pods = stage.list("Pod");
        let owner = |pod: &Value| text(&pod["metadata"]["ownerReferences"][0]["uid"]);
        let owners = pods.iter().map(|pod| (text(&pod["metadata"]["name"]), owner(pod))).collect();
        let moves = stage.plan()["spec"]["podsToMigrate"].as_array().cloned().expect("pods that move");
        Self { places: places(stage), owners, moves }
    }

    /// The plan is done, and every pod is where the plan has it.
    fn assert_done_as_planned(&self, stage: &Stage) {
        let status = stage.plan()["status"].clone();
        assert_eq!(status["state"], "Done", "{status}");
        let node_of = |claim: String| {
            let attempts = status["nodesCreation"][&claim]["attempts"].as_array();
            let made = attempts.and_then(|all| all.last()).map_or(claim, |last| text(&last["nodeClaimName"]));
            text(&stage.get("NodeClaim", &made).expect("a node that takes pods stays")["status"]["nodeName"])
        };
        let mut planned = self.places.clone();
        for pod in &self.moves {
            let owner = &self.owners[&text(&pod["name"])];
            *planned.entry((owner.clone(), text(&pod["srcNode"]))).or_default() -= 1;
            *planned.entry((owner.clone(), node_of(text(&pod["dstNodeClaimName"])))).or_default() += 1;
        }
        planned.retain(|_, pods| *pods != 0);
        assert_eq!(places(stage), planned);
    }
}

#[tokio::test(start_paused = true)]
async fn pods_land_where_the_plan_has_them_though_nodes_of_later_waves_come_in_an_instant() {
    let instant = Duration::from_millis(20);
    let timings = Timings { launch: instant, boot: instant, node_ready: Duration::ZERO, ..Timings::default() };
    // Of this seed, nodes are registered while pods find their places.
    let stage = Stage::with(30, Setup { seed: 2, timings, ..Setup::default() }).planned(json!({})).await;
    let before = Placed::of(&stage);
    stage.execute();
    over(&stage).await;
    before.assert_done_as_planned(&stage);
}

#[tokio::test(start_paused = true)]
async fn pods_land_where_the_plan_has_them_though_budgets_open_while_later_waves_move() {
    // A scheduler that is slow leaves pods on their way for long: time for the other wave.
    let timings = Timings { reaction: Duration::from_millis(1500), ..Timings::default() };
    let stage = Stage::with(20, Setup { seed: 3, timings, ..Setup::default() }).planned(json!({})).await;
    let before = Placed::of(&stage);
    // One pod of each wave but the first, which goes alone, is held by a budget of its own.
    let held: BTreeMap<u64, &Value> =
        before.moves.iter().filter_map(|pod| Some((pod["wave"].as_u64().filter(|wave| *wave > 0)?, pod))).collect();
    for (wave, pod) in &held {
        let (namespace, only) = (text(&pod["namespace"]), format!("wave-{wave}"));
        stage.edit_in("Pod", &namespace, &text(&pod["name"]), |pod| pod["metadata"]["labels"]["only"] = json!(only));
        let spec = json!({"selector": {"matchLabels": {"only": only}}, "maxUnavailable": 0});
        let metadata = json!({"name": only, "namespace": namespace});
        let budget =
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec});
        stage.operated.server.create(budget).expect("it is accepted");
    }
    let opened = opened_early(&stage);
    stage.execute();
    let last = held.keys().max().copied();
    for (wave, pod) in &held {
        let is_next = |one: &Value| one["index"].as_u64() > Some(*wave) && one["phase"] == "Draining";
        let moves_on = |stage: &Stage| {
            let waves = stage.plan()["status"]["waves"].clone();
            waves.as_array().into_iter().flatten().any(is_next) || Some(*wave) == last
        };
        assert!(stage.until(LONG, moves_on).await, "wave {wave} holds up the next one");
        let (name, namespace) = (format!("wave-{wave}"), text(&pod["namespace"]));
        let server = &stage.operated.server;
        server.delete("PodDisruptionBudget", Some(&namespace), &name, &Default::default()).expect("it goes");
    }
    over(&stage).await;
    before.assert_done_as_planned(&stage);
    assert_eq!(*opened.lock().expect("nobody panicked"), [""; 0]);
}
