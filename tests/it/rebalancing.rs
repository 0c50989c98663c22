//! Claims and plans, as their users see them, and what they do to the cluster.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kentroller::simulation::USER;
use kentroller_runtime::simulation::apiserver::{Fault, Matching, Trouble, refusal_of_code};
use kentroller_tests::{Stage, text};
use kentroller_world::{Catalogue, price_per_hour};
use serde_json::{Value, json};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(3 * 3600);

#[tokio::test(start_paused = true)]
async fn a_claim_by_hand_runs_once_and_the_cluster_costs_less() {
    let stage = Stage::drifted(12, 1);
    let before = stage.operated.world.price_per_hour();
    let states: Arc<Mutex<Vec<String>>> = Arc::default();
    let pen = Arc::clone(&states);
    stage.operated.server.on_commit(move |commit| {
        if let ("RebalancePlanClaim", Some(claim)) = (&*commit.write.kind, &commit.after) {
            pen.lock().expect("one thread").push(text(&claim["status"]["state"]));
        }
    });
    stage.pass(5).await;
    stage.claim("now", json!({}));
    assert!(
        stage.until(LONG, |stage| stage.is_over("now")).await,
        "{}",
        stage.condition("RebalancePlan", "now", "Ready")
    );
    stage.pass(60).await;
    let mut states = states.lock().expect("one thread").clone();
    states.dedup();
    // Planned within the least interval between two looks: nobody has seen it Generating.
    assert_eq!(states, ["", "Submitted", "Ready", "Executing", "Completed"]);
    assert!(stage.is_done("now"), "{}", stage.state("RebalancePlan", "now"));
    assert!(stage.operated.world.price_per_hour() < before);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
    assert_eq!(stage.marks(), [""; 0]);

    let claim = stage.get("RebalancePlanClaim", "now").expect("the claim");
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    assert_eq!(claim["status"]["rebalanceName"], "now");
    assert_eq!(text(&claim["status"]["planId"]).len(), 12);
    assert!(claim["status"]["selectedNodesCount"].as_i64() > Some(0));
    assert!(!text(&claim["status"]["projectedSavingsPercent"]).is_empty());
    assert!(!text(&plan["status"]["savings"]["currentMonthlyCost"]).is_empty());
    assert_eq!(plan["spec"]["execute"], true);
    let gone = plan["status"]["nodesDeletion"].as_object().expect("the course of the nodes that went");
    assert!(!gone.is_empty());
    for (name, course) in gone {
        let last = course["events"].as_array().and_then(|events| events.last()).expect("an event");
        let kept = last["status"] == "Failed" && stage.state("RebalancePlan", "now") == "DoneWithWarnings";
        assert!(last["status"] == "Success" || kept, "{name}: {last}");
    }

    let revision = stage.operated.server.revision();
    stage.pass(3600).await;
    let writes = stage.operated.server.writes(revision);
    assert!(writes.iter().all(|write| &*write.kind == "Lease"), "an idle cluster is left alone: {writes:?}");
}

/// Kube-scheduler places, not we: an eviction too many, and Karpenter buys a node for the pod that found no place. With these
/// seeds that happened, or nodes were kept that could have gone, when a pod that had to come was not counted before it came.
#[test]
fn what_is_planned_is_what_happens() {
    for seed in [1, 2, 4, 9] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(comes_true(seed));
    }
}

async fn comes_true(seed: u64) {
    let stage = Stage::drifted(12, seed);
    let before = stage.operated.world.price_per_hour();
    let revision = stage.operated.server.revision();
    stage.schedule("nightly", "0 2 * * *", json!({}));
    let is_over = |stage: &Stage| stage.names("RebalancePlanClaim").first().is_some_and(|claim| stage.is_over(claim));
    assert!(stage.until(LONG, is_over).await, "seed {seed}");
    stage.pass(60).await;
    assert_eq!(stage.operated.unplanned(revision), [""; 0], "seed {seed}: bought by Karpenter");
    let plans = stage.list("RebalancePlan");
    let (spec, status) = plans.first().map(|plan| (&plan["spec"], &plan["status"])).expect("the plan");
    let saved = before - stage.operated.world.price_per_hour();
    // A plan that buys nothing has no other outcome than the planned one.
    let buys = spec["nodeClaimsToAdd"].as_array().is_some_and(|claims| !claims.is_empty());
    let achieved = if buys { saved.hourly() } else { String::new() };
    assert_eq!(text(&status["achievedOutcome"]["diff"]["priceHourly"]), achieved, "seed {seed}");
    assert_eq!(text(&status["savings"]["projectedSavingsCostHourly"]), saved.hourly(), "seed {seed}");
    assert_eq!(before, price_per_hour(&stage.operated.server, &Catalogue::shipped()) + saved);
}

#[tokio::test(start_paused = true)]
async fn pods_that_never_get_a_node_hold_no_plan_up() {
    let stage = Stage::drifted(12, 1);
    let nowhere = json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "100m"}}}], "nodeSelector": {"no": "where"}});
    let labels = json!({"app": "stuck"});
    let stuck = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "stuck", "namespace": "default"},
        "spec": {"replicas": 25, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": nowhere}},
    });
    stage.operated.server.create(stuck).expect("it is accepted");
    stage.pass(30).await;
    assert_eq!(stage.operated.world.pods_not_running().len(), 25);
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    assert_eq!(stage.state("RebalancePlan", "now"), "Done", "{}", stage.condition("RebalancePlan", "now", "Ready"));
    stage.pass(60).await;
    assert_eq!(stage.operated.world.pods_not_running().len(), 25, "the others run");
}

#[tokio::test(start_paused = true)]
async fn what_a_plan_waits_for_is_not_written_for_every_pod() {
    let stage = Stage::drifted(12, 1);
    let written: Arc<Mutex<Vec<(Instant, bool)>>> = Arc::default();
    let pen = Arc::clone(&written);
    stage.operated.server.on_commit(move |commit| {
        if let (true, Some(before), Some(after)) =
            (&*commit.write.kind == "RebalancePlan", &commit.before, &commit.after)
        {
            let is_wording =
                unworded(&before["status"]) == unworded(&after["status"]) && before["spec"] == after["spec"];
            let is_wording = is_wording && before["metadata"]["finalizers"] == after["metadata"]["finalizers"];
            pen.lock().expect("one thread").push((Instant::now(), is_wording));
        }
    });
    stage.claim("now", json!({"nodeConstraints": {"maxNodes": 4}}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let written = written.lock().expect("one thread");
    let soon = |pair: &&[(Instant, bool)]| pair[1].1 && pair[1].0 - pair[0].0 < Duration::from_secs(10);
    assert_eq!(written.windows(2).filter(soon).count(), 0, "{written:?}");
    assert!(written.iter().any(|(_, is_wording)| *is_wording), "{written:?}");
}

/// A status without the messages of its conditions.
fn unworded(status: &Value) -> Value {
    let mut status = status.clone();
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["message"] = Value::Null;
    }
    status
}

#[tokio::test(start_paused = true)]
async fn pods_leave_by_eviction_only() {
    let stage = Stage::drifted(12, 1);
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let ours = stage
        .operated
        .server
        .requests()
        .into_iter()
        .filter(|request| &*request.user == "kentroller" && request.resource == "pods");
    let verbs: Vec<(String, String)> =
        ours.map(|request| (request.verb.to_string(), request.subresource.clone())).collect();
    assert!(verbs.contains(&("create".to_owned(), "eviction".to_owned())));
    assert!(verbs.iter().all(|(verb, _)| verb != "delete" && verb != "patch"), "{verbs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_is_cordoned_before_its_pods_leave_and_removed_when_the_last_has_left() {
    let stage = Stage::drifted(12, 1);
    let deeds: Arc<Mutex<Vec<(&str, String)>>> = Arc::default();
    let pen = Arc::clone(&deeds);
    stage.operated.server.on_commit(move |commit| {
        let write = &commit.write;
        let Some(before) = commit.before.as_ref().filter(|_| *write.user == *USER) else { return };
        let is_cordoned = |node: &Value| node["spec"]["unschedulable"] == true;
        let cordons = commit.after.as_ref().is_some_and(|after| is_cordoned(after) && !is_cordoned(before));
        let deed = match (&*write.kind, write.verb, write.subresource) {
            ("Node", "patch", "") if cordons => ("cordon", write.name.clone()),
            ("Pod", _, "eviction") => ("evict", text(&before["spec"]["nodeName"])),
            ("NodeClaim", "delete", _) => ("remove", text(&before["status"]["nodeName"])),
            _ => return,
        };
        pen.lock().expect("one thread").push(deed);
    });
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let deeds = deeds.lock().expect("one thread").clone();
    let removed: Vec<&String> = deeds.iter().filter(|(deed, _)| *deed == "remove").map(|(_, node)| node).collect();
    assert!(!removed.is_empty());
    for node in removed {
        let mut course: Vec<&str> = deeds.iter().filter(|(_, of)| of == node).map(|(deed, _)| *deed).collect();
        course.dedup();
        assert_eq!(course, ["cordon", "evict", "remove"], "{node}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_node_is_shielded_while_its_plan_runs_and_bears_the_hash_of_its_pool() {
    let stage = Stage::drifted(12, 1);
    let made: Arc<Mutex<Vec<Value>>> = Arc::default();
    let pen = Arc::clone(&made);
    stage.operated.server.on_commit(move |commit| {
        let is_ours =
            *commit.write.user == *USER && &*commit.write.kind == "NodeClaim" && commit.write.verb == "create";
        if let Some(claim) = commit.after.as_ref().filter(|_| is_ours) {
            pen.lock().expect("one thread").push((**claim).clone());
        }
    });
    stage.claim("now", json!({"minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 8}}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let made = made.lock().expect("one thread").clone();
    assert!(!made.is_empty());
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    for claim in &made {
        let (labels, annotations) = (&claim["metadata"]["labels"], &claim["metadata"]["annotations"]);
        assert_eq!(labels["rebalancing.cast.ai/plan"], plan["metadata"]["uid"]);
        assert_eq!(annotations["rebalancing.cast.ai/made-by"], "now");
        assert_eq!(annotations["karpenter.sh/do-not-disrupt"], "true");
        let pool = stage.get("NodePool", &text(&labels["karpenter.sh/nodepool"])).expect("its pool");
        for hash in ["karpenter.sh/nodepool-hash", "karpenter.sh/nodepool-hash-version"] {
            assert_eq!(annotations[hash], pool["metadata"]["annotations"][hash], "{hash}");
            assert!(annotations[hash].is_string(), "{hash}");
        }
    }
    stage.pass(60).await;
    assert_eq!(stage.marks(), [""; 0], "and not afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_fails_to_make_its_nodes_gives_them_back_and_touches_no_other() {
    let stage = Stage::drifted(3, 3);
    let (nodes, claims) = (stage.names("Node"), stage.names("NodeClaim"));
    stage.operated.world.set_faults(|faults| faults.lost_percent = 100);
    let timeouts = json!({"rebalanceExecutionTimeout": "300s"});
    stage.claim("now", json!({"minSavingsPercentage": 0, "timeouts": timeouts}));
    let made = |stage: &Stage| stage.names("NodeClaim").len() > claims.len();
    assert!(stage.until(Duration::from_secs(300), made).await);
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let status = stage.get("RebalancePlan", "now").expect("the plan")["status"].clone();
    assert_eq!((&status["state"], &status["failurePhase"]), (&json!("Failed"), &json!("Creation")), "{status}");
    stage.pass(120).await;
    assert_eq!((stage.names("Node"), stage.names("NodeClaim")), (nodes, claims));
    assert_eq!(stage.marks(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn no_node_goes_while_one_that_came_for_it_is_not_ready() {
    let stage = Stage::drifted(3, 3);
    stage.claim("now", json!({"minSavingsPercentage": 0}));
    let removals = |stage: &Stage| {
        let writes = stage.operated.server.writes(0).into_iter();
        writes.filter(|write| *write.user == *USER && &*write.kind == "NodeClaim" && write.verb == "delete").count()
    };
    let evicts = |stage: &Stage| stage.operated.server.writes(0).iter().any(|write| write.subresource == "eviction");
    assert!(stage.until(LONG, evicts).await);
    assert_eq!(removals(&stage), 0);
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    let adds = plan["spec"]["nodeClaimsToAdd"].as_array().expect("new nodes");
    let mut of_wave =
        adds.iter().filter(|add| add["wave"].as_u64() == plan["status"]["wave"].as_u64().filter(|wave| *wave > 0));
    let green = text(&of_wave.next().expect("a new node of the wave that is drained")["metadata"]["name"]);
    let green = text(&stage.get("NodeClaim", &green).expect("it has come")["status"]["nodeName"]);
    set_ready(&stage, &green, "False");
    stage.pass(100).await;
    assert_eq!(removals(&stage), 0);
    set_ready(&stage, &green, "True");
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    assert!(removals(&stage) > 0 && stage.is_done("now"));
}

fn set_ready(stage: &Stage, node: &str, status: &str) {
    let change = |node: &mut Value| {
        for condition in node["status"]["conditions"].as_array_mut().into_iter().flatten() {
            if condition["type"] == "Ready" {
                condition["status"] = json!(status);
                condition["reason"] = json!("TriedByATest");
            }
        }
    };
    stage.operated.server.update_status("Node", None, node, change).expect("it is told");
}

#[tokio::test(start_paused = true)]
async fn a_scope_names_the_nodes_that_may_go_and_an_empty_one_names_none() {
    let stage = Stage::drifted(8, 1);
    let node = stage.names("Node")[0].clone();
    // Rolled: what is in scope goes, whatever it saves.
    stage.claim("one", json!({"minSavingsPercentage": 0, "scope": {"nodeNames": [node]}}));
    stage.claim("none", json!({"scope": {"nodeNames": []}}));
    let selector = json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["plan9"]}]}]});
    stage.claim("no-match", json!({"scope": {"nodeSelector": selector}}));
    assert!(stage.until(LONG, |stage| ["one", "none", "no-match"].iter().all(|name| stage.is_over(name))).await);
    for name in ["none", "no-match"] {
        let claim = stage.get("RebalancePlanClaim", name).expect("the claim");
        assert_eq!(claim["status"]["state"], "Skipped", "{name}");
        assert_eq!(claim["status"]["skippedReason"], "NothingInScope", "{name}");
    }
    let one = stage.get("RebalancePlanClaim", "one").expect("the claim");
    assert_eq!(one["status"]["selectedNodes"], json!([node]));
    assert_eq!(one["status"]["state"], "Completed");
    assert!(stage.get("Node", &node).is_none(), "it went");
}

#[tokio::test(start_paused = true)]
async fn a_selector_selects_by_every_operator_and_by_name() {
    let stage = Stage::drifted(6, 1);
    let nodes = stage.names("Node");
    for (node, size) in [(&nodes[0], "3"), (&nodes[1], "5")] {
        let server = &stage.operated.server;
        server
            .update("Node", None, node, |node| node["metadata"]["labels"]["size"] = json!(size))
            .expect("it is labelled");
    }
    stage.pass(5).await;
    let of = |operator: &str, values: &[&str]| json!({"key": "size", "operator": operator, "values": values});
    let term = |all: Vec<Value>| json!({"matchExpressions": all});
    let name = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [nodes[1]]}]});
    let cases = [
        ("in", vec![term(vec![of("In", &["3", "4"])])], vec![0]),
        ("not-in", vec![term(vec![of("NotIn", &["3"])])], vec![1, 2, 3, 4, 5]),
        ("exists", vec![term(vec![of("Exists", &[])])], vec![0, 1]),
        ("does-not-exist", vec![term(vec![of("DoesNotExist", &[])])], vec![2, 3, 4, 5]),
        ("gt", vec![term(vec![of("Gt", &["4"])])], vec![1]),
        ("lt", vec![term(vec![of("Lt", &["4"])])], vec![0]),
        ("name", vec![name], vec![1]),
        ("either", vec![term(vec![of("In", &["3"])]), term(vec![of("In", &["5"])])], vec![0, 1]),
        ("both", vec![term(vec![of("Exists", &[]), of("Gt", &["3"])])], vec![1]),
        ("none", vec![term(vec![of("In", &["9"])])], vec![]),
        ("empty", vec![json!({})], vec![]),
    ];
    for (claim, terms, selected) in cases {
        // Rolled: each node that is selected goes.
        let scope = json!({"nodeSelector": {"nodeSelectorTerms": terms}});
        stage.claim(claim, json!({"autoExecute": false, "minSavingsPercentage": 0, "scope": scope}));
        let decided = |stage: &Stage| ["Ready", "Skipped"].contains(&stage.state("RebalancePlanClaim", claim).as_str());
        assert!(stage.until(Duration::from_secs(120), decided).await, "{claim}");
        let status = &stage.get("RebalancePlanClaim", claim).expect("the claim")["status"];
        let listed = status["selectedNodes"].as_array().into_iter().flatten().map(text);
        let mut found: Vec<usize> =
            listed.map(|name| nodes.iter().position(|node| *node == name).expect("a node")).collect();
        found.sort_unstable();
        // Of many, one may have nowhere to go.
        let spared = selected.iter().filter(|node| !found.contains(node)).count();
        assert!(found.iter().all(|node| selected.contains(node)), "{claim}: {found:?}");
        assert!(spared <= usize::from(selected.len() > 2), "{claim}: {found:?} of {selected:?}");
        assert_eq!(status["skippedReason"] == "NothingInScope", selected.is_empty(), "{claim}: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn both_kinds_of_scope_at_once_are_refused_with_a_message() {
    let stage = Stage::drifted(4, 1);
    let scope = json!({"nodeNames": ["a"], "nodeSelector": {"nodeSelectorTerms": []}});
    let refusal = stage.create("RebalancePlanClaim", "both", json!({"scope": scope})).expect_err("it is refused");
    assert!(refusal.contains("nodeNames and nodeSelector are mutually exclusive"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn absurd_numbers_are_refused_and_name_their_field() {
    let stage = Stage::drifted(4, 1);
    for (field, spec) in [
        ("minSavingsPercentage", json!({"minSavingsPercentage": 101})),
        ("maxNodes", json!({"nodeConstraints": {"maxNodes": 0}})),
        ("minAgeSeconds", json!({"nodeConstraints": {"minAgeSeconds": -1}})),
    ] {
        let refusal = stage.create("RebalancePlanClaim", "absurd", spec).expect_err("it is refused");
        assert!(refusal.contains(field), "{refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn constraints_narrow_what_goes() {
    let stage = Stage::drifted(12, 1);
    let start = stage.operated.clock.now().as_second();
    stage.claim("few", json!({"nodeConstraints": {"maxNodes": 2}}));
    assert!(stage.until(LONG, |stage| stage.is_over("few")).await);
    let few = stage.get("RebalancePlanClaim", "few").expect("the claim");
    assert_eq!(few["status"]["selectedNodesCount"], 2);

    // All nodes are of the same age, but for what came since.
    let age = stage.operated.clock.now().as_second() - start;
    let nodes = i64::try_from(stage.names("Node").len()).expect("few");
    for (name, constraint, reason) in [
        ("young", json!({"minAgeSeconds": age + 600}), "NothingInScope"),
        ("old", json!({"minAgeSeconds": 60}), ""),
        ("large", json!({"minClusterSize": nodes + 20}), "MinClusterSize"),
        ("small", json!({"minClusterSize": 1}), ""),
    ] {
        stage.claim(name, json!({"autoExecute": false, "nodeConstraints": constraint}));
        let decided = |stage: &Stage| ["Ready", "Skipped"].contains(&stage.state("RebalancePlanClaim", name).as_str());
        assert!(stage.until(Duration::from_secs(300), decided).await, "{name}");
        let claim = stage.get("RebalancePlanClaim", name).expect("the claim");
        assert_eq!(text(&claim["status"]["skippedReason"]), reason, "{name}: {}", claim["status"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_saving_below_the_minimum_fails_with_both_numbers() {
    let stage = Stage::drifted(12, 1);
    let before = stage.names("Node");
    stage.claim("greedy", json!({"minSavingsPercentage": 100}));
    assert!(stage.until(LONG, |stage| stage.is_over("greedy")).await);
    let claim = stage.get("RebalancePlanClaim", "greedy").expect("the claim");
    assert_eq!(
        (&claim["status"]["state"], &claim["status"]["failureReason"]),
        (&json!("Failed"), &json!("FailureReasonBelowMinSavings"))
    );
    let said = text(&claim["status"]["errorMessage"]);
    assert!(said.starts_with("the best plan saves ") && said.ends_with("minSavingsPercentage is 100"), "{said}");
    assert_eq!(stage.names("Node"), before, "nothing was touched");
    let (status, proposed) = (&claim["status"], &claim["status"]["proposedSavings"]);
    let blue: Vec<&Value> = proposed["blueNodes"].as_array().into_iter().flatten().map(|node| &node["name"]).collect();
    let selected: Vec<&Value> = status["selectedNodes"].as_array().into_iter().flatten().collect();
    assert!(!blue.is_empty() && blue.len() == selected.len(), "{status}");
    assert!(blue.iter().all(|node| selected.contains(node)), "{status}");
    assert_eq!(status["projectedSavingsPercent"], proposed["projectedSavingsPercent"]);
}

#[tokio::test(start_paused = true)]
async fn without_auto_execute_the_plan_waits_runs_when_told_and_stops_when_told() {
    let stage = Stage::drifted(12, 1);
    stage.claim("asked", json!({"autoExecute": false}));
    assert!(stage.until(Duration::from_secs(300), |stage| stage.state("RebalancePlan", "asked") == "Created").await);
    assert_eq!(stage.state("RebalancePlanClaim", "asked"), "Ready");
    let nodes = stage.names("Node");
    stage.pass(300).await;
    assert_eq!(stage.names("Node"), nodes);
    stage.edit("RebalancePlan", "asked", |plan| plan["spec"]["execute"] = json!(true));
    assert!(
        stage.until(Duration::from_secs(300), |stage| stage.state("RebalancePlanClaim", "asked") == "Executing").await
    );
    stage.edit("RebalancePlan", "asked", |plan| plan["spec"]["execute"] = json!(false));
    assert!(stage.until(Duration::from_secs(600), |stage| stage.is_over("asked")).await);
    stage.pass(120).await;
    assert_eq!(stage.state("RebalancePlan", "asked"), "Canceled");
    assert_eq!(stage.state("RebalancePlanClaim", "asked"), "Canceled");
    assert_eq!(stage.marks(), [""; 0]);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_nobody_executes_expires() {
    let stage = Stage::drifted(12, 1);
    stage.claim("asked", json!({"autoExecute": false}));
    stage.pass(3600 + 300).await;
    assert_eq!(stage.state("RebalancePlan", "asked"), "Expired");
    assert_eq!(stage.state("RebalancePlanClaim", "asked"), "Skipped");
}

#[tokio::test(start_paused = true)]
async fn one_plan_executes_at_a_time_and_the_others_say_for_whom_they_wait() {
    let stage = Stage::drifted(20, 1);
    stage.claim("first", json!({"nodeConstraints": {"maxNodes": 3}}));
    stage.pass(20).await;
    stage.claim("second", json!({"nodeConstraints": {"maxNodes": 3}}));
    stage.pass(20).await;
    assert_eq!(stage.state("RebalancePlanClaim", "first"), "Executing");
    assert_eq!(stage.state("RebalancePlanClaim", "second"), "Ready");
    assert_eq!(stage.condition("RebalancePlanClaim", "second", "Executing"), "WaitsForTurn=False");
    let mut together = 0;
    while !(stage.is_over("first") && stage.is_over("second")) {
        let running = stage.list("RebalancePlan").iter().filter(|plan| plan["status"]["state"] == "Running").count();
        together = together.max(running);
        stage.pass(5).await;
    }
    assert_eq!(together, 1);
    assert_eq!(stage.marks(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_takes_too_long_ends_and_names_what_it_waited_for() {
    let stage = Stage::drifted(12, 1);
    let timeouts = json!({"rebalanceExecutionTimeout": "25s"});
    stage.claim("hasty", json!({"nodeConstraints": {"maxNodes": 1}, "timeouts": timeouts}));
    assert!(stage.until(LONG, |stage| stage.is_over("hasty")).await);
    let claim = stage.get("RebalancePlanClaim", "hasty").expect("the claim");
    assert_eq!(claim["status"]["failureReason"], "FailureReasonTimeout");
    let said = text(&claim["status"]["errorMessage"]);
    let plan = stage.get("RebalancePlan", "hasty").expect("the plan");
    assert_eq!(plan["status"]["failurePhase"], "Deletion", "{}", plan["status"]);
    let waited = said.split_once("waited for: ").expect("what it waited for").1;
    let moving = plan["spec"]["podsToMigrate"].as_array().cloned().unwrap_or_default();
    assert!(moving.iter().any(|pod| waited.contains(&text(&pod["name"]))), "{said}");
    stage.pass(300).await;
    assert_eq!(stage.marks(), [""; 0]);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_the_api_server_will_not_have_ends_the_plan_long_before_its_time() {
    let stage = Stage::drifted(12, 1);
    let creations = Matching {
        user: Some(USER.to_owned()),
        verb: Some("create".to_owned()),
        resource: Some("nodeclaims".to_owned()),
        ..Matching::default()
    };
    let trouble = Trouble::Refuse(refusal_of_code(422));
    stage.operated.server.inject(Fault::Requests { matching: creations, after: 0, times: 10_000, trouble });
    let began = Instant::now();
    stage.claim("refused", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("refused")).await);
    let claim = stage.get("RebalancePlanClaim", "refused").expect("the claim");
    assert_eq!(claim["status"]["failureReason"], "FailureReasonNodeCreateFailed", "{}", claim["status"]);
    assert!(began.elapsed() < Duration::from_secs(15 * 60), "it does not wait for its time-out");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_contradicts_the_cluster_is_rejected_whole() {
    let stage = Stage::drifted(8, 1);
    let nodes = stage.names("Node");
    let spec = json!({"execute": true, "nodeClaimsToDelete": [{"nodeClaimName": "nobody"}], "nodeClaimsToAdd": [], "podsToMigrate": []});
    stage.create("RebalancePlan", "made-up", spec).expect("the API server takes it");
    assert!(stage.until(Duration::from_secs(60), |stage| stage.state("RebalancePlan", "made-up") == "Failed").await);
    let plan = stage.get("RebalancePlan", "made-up").expect("the plan");
    assert_eq!(plan["status"]["failureReason"], "FailureReasonPlanInvalid");
    assert!(text(&plan["status"]["failureMessage"]).contains("nobody"));
    assert_eq!(stage.names("Node"), nodes);
}

#[tokio::test(start_paused = true)]
async fn a_plan_deleted_while_it_runs_stops_and_leaves_no_mark() {
    let stage = Stage::drifted(20, 1);
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "now") == "Running").await);
    stage.pass(20).await;
    stage.delete("RebalancePlanClaim", "now");
    assert!(stage.until(Duration::from_secs(60), |stage| stage.get("RebalancePlan", "now").is_none()).await);
    stage.pass(60).await;
    assert_eq!(stage.marks(), [""; 0]);
    assert_eq!(idle_greens(&stage), [""; 0], "what nobody needs is given back");
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

/// NodeClaims that the operator made and on whose nodes nothing but daemons runs.
fn idle_greens(stage: &Stage) -> Vec<String> {
    let runs = |node: &Value| {
        let is_workload = |pod: &Value| pod["metadata"]["ownerReferences"][0]["kind"] != "DaemonSet";
        stage.list("Pod").iter().any(|pod| pod["spec"]["nodeName"] == *node && is_workload(pod))
    };
    let made = stage.list("NodeClaim").into_iter().filter(|claim| {
        claim["metadata"]["annotations"]["rebalancing.cast.ai/made-by"].is_string()
            && claim["metadata"]["deletionTimestamp"].is_null()
    });
    made.filter(|claim| !runs(&claim["status"]["nodeName"])).map(|claim| text(&claim["metadata"]["name"])).collect()
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_is_restarted_again_and_again_finishes_the_plan() {
    let mut stage = Stage::drifted(12, 1);
    stage.claim("now", json!({}));
    for _ in 0..40 {
        stage.pass(17).await;
        stage.operated.restart().await;
    }
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await, "{:?}", stage.events("now"));
    stage.pass(60).await;
    assert!(stage.is_done("now"), "{}", stage.state("RebalancePlan", "now"));
    assert_eq!(stage.marks(), [""; 0]);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_new_node_that_cannot_be_had_is_tried_with_its_next_offering() {
    let stage = Stage::drifted(12, 1);
    // No minimal saving: each selected node is replaced, and they are more than the others have room for.
    let roll = json!({"autoExecute": false, "minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 8}});
    stage.claim("asked", roll);
    assert!(stage.until(Duration::from_secs(300), |stage| stage.state("RebalancePlan", "asked") == "Created").await);
    let plan = stage.get("RebalancePlan", "asked").expect("the plan");
    let added = plan["spec"]["nodeClaimsToAdd"].as_array().cloned().unwrap_or_default();
    let choice = |add: &&Value| add["alternatives"].as_array().is_some_and(|all| all.len() > 1);
    let first = added.iter().find(choice).expect("a new node with a choice of offerings").clone();
    let value = |key: &str| -> String {
        let all = first["alternatives"][0]["requirements"].as_array().cloned().unwrap_or_default();
        let one = all.iter().find(|one: &&Value| one["key"] == key).cloned().unwrap_or_default();
        text(&one["values"][0])
    };
    let exhausted = kentroller_world::Offering {
        instance_type: value("node.kubernetes.io/instance-type"),
        zone: value("topology.kubernetes.io/zone"),
        capacity_type: value("karpenter.sh/capacity-type"),
    };
    stage.operated.world.set_faults(|faults| {
        faults.exhausted.insert(exhausted);
    });
    stage.edit("RebalancePlan", "asked", |plan| plan["spec"]["execute"] = json!(true));
    assert!(stage.until(LONG, |stage| stage.is_over("asked")).await);
    let plan = stage.get("RebalancePlan", "asked").expect("the plan");
    let attempts = plan["status"]["nodesCreation"][text(&first["metadata"]["name"])]["attempts"].clone();
    assert_eq!(attempts[0]["status"], "Failed", "{attempts}");
    assert_eq!(attempts[0]["description"], "InsufficientCapacityError");
    assert!(text(&attempts[1]["nodeClaimName"]).ends_with("-attempt-1"));
    assert!(stage.is_done("asked"), "{}", plan["status"]["state"]);
}
