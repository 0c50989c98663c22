//! Continuous rebalancing: cycles that make plans of their own, when they are worth it and when nobody else has the turn.

use std::time::Duration;

use kentroller::api::{AggressiveModeConfig, EvictionConfig};
use kentroller::settings::{CycleMode, OperatorMode, Settings};
use kentroller::simulation::USER;
use kentroller_runtime::settings::{Decimal, SettingValue as _};
use kentroller_tests::{Stage, is_workload, text};
use kentroller_world::Faults;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);
const MODE: &str = "rebalancer.cast.ai/consolidation-mode";

fn plans(stage: &Stage) -> Vec<Value> {
    let mut plans: Vec<Value> = stage.list("RebalancePlan").iter().map(|plan| (**plan).clone()).collect();
    plans.retain(|plan| plan["metadata"]["labels"][MODE].is_string());
    plans.sort_by_key(|plan| text(&plan["metadata"]["name"]));
    plans
}

fn states(stage: &Stage) -> Vec<String> {
    plans(stage).iter().map(|plan| text(&plan["status"]["state"])).collect()
}

/// Writes of the operator since that version, but for its lease.
fn writes(stage: &Stage, since: u64) -> Vec<String> {
    let writes = stage.operated.server.writes(since).into_iter().filter(|write| *write.user == *USER);
    let all = writes.filter(|write| &*write.kind != "Lease");
    all.map(|write| format!("{} {} {}", write.verb, write.kind, write.name)).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_rebalanced_unless_somebody_switches_it_on() {
    let stage = Stage::drifted(12, 1);
    stage.pass(1800).await;
    assert_eq!(stage.names("RebalancePlan"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_worth_it_is_rebalanced_and_then_a_cycle_writes_nothing() {
    let stage = Stage::continuous(|_| ());
    assert!(stage.until(LONG, |stage| states(stage) == ["Done"]).await, "{:?}", states(&stage));
    let plan = plans(&stage).remove(0);
    let name = text(&plan["metadata"]["name"]);
    let stamp = name.strip_prefix("consolidation-").expect("its name");
    assert!(stamp.len() == 14 && stamp.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
    assert_eq!(plan["spec"]["execute"], true);
    assert_eq!(plan["metadata"]["labels"][MODE], "full");
    assert!(plan["metadata"]["ownerReferences"].is_null(), "no claim");
    assert_eq!(stage.names("RebalancePlanClaim"), [""; 0]);
    let saved = text(&plan["status"]["achievedOutcome"]["diff"]["priceMonthly"]);
    assert!(saved.parse::<f64>().expect("a number") > 50.0, "{saved}");
    let told = stage
        .list("Event")
        .into_iter()
        .any(|event| event["reason"] == "CyclePlanned" && text(&event["note"]).contains(&name));
    assert!(told, "it is told");
    // What the first plan leaves may be worth another one.
    stage.pass(1800).await;
    assert!(states(&stage).iter().all(|state| state == "Done"), "{:?}", states(&stage));
    let since = stage.operated.server.revision();
    stage.pass(1800).await;
    assert_eq!(writes(&stage, since), [""; 0]);
    assert_eq!(stage.marks(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_mode_does_what_it_includes_and_nothing_more() {
    for (mode, word) in [(CycleMode::DrainOnly, "drain-only"), (CycleMode::DeleteEmpty, "delete-empty")] {
        let stage = Stage::continuous(|settings| settings.continuous_mode = mode);
        let before = stage.names("NodeClaim").len();
        stage.pass(3600).await;
        for plan in plans(&stage) {
            let (adds, moves) = (&plan["spec"]["nodeClaimsToAdd"], &plan["spec"]["podsToMigrate"]);
            assert_eq!(adds.as_array().map_or(0, Vec::len), 0, "{word}: {plan}");
            if mode == CycleMode::DeleteEmpty {
                assert_eq!(moves.as_array().map_or(0, Vec::len), 0, "{plan}");
            }
            let told = text(&plan["metadata"]["labels"][MODE]);
            assert!(told == word || told == "delete-empty", "{told}");
            assert_eq!(plan["status"]["state"], "Done", "{word}: {}", plan["status"]);
        }
        let after = stage.names("NodeClaim").len();
        assert_eq!(after < before, mode == CycleMode::DrainOnly, "{word}: {before} nodes, then {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn below_a_threshold_no_plan_is_made_and_simpler_modes_have_their_own() {
    type Change = fn(&mut Settings);
    let cases: [(&str, Change, &[&str]); 3] = [
        ("monthly", |settings| settings.monthly_savings_threshold = parsed("1000000"), &[]),
        ("of the nodes that go", |settings| settings.savings_threshold = parsed("100"), &["drain-only"]),
        ("of the cluster", |settings| settings.cluster_savings_threshold = Some(parsed("90")), &["drain-only"]),
    ];
    for (threshold, change, modes) in cases {
        let stage = Stage::continuous(change);
        stage.pass(1200).await;
        let made: Vec<String> = plans(&stage).iter().map(|plan| text(&plan["metadata"]["labels"][MODE])).collect();
        assert_eq!(made, modes, "{threshold}");
    }
}

fn parsed(text: &str) -> Decimal {
    Decimal::parse(text).expect("a decimal")
}

#[tokio::test(start_paused = true)]
async fn after_failures_it_backs_off_longer_each_time() {
    let stage = Stage::continuous(|_| ());
    // No machine ever joins the cluster.
    stage.operated.world.set_faults(|faults| *faults = Faults { lost_percent: 100, ..Faults::default() });
    let count = |stage: &Stage| states(stage).iter().filter(|state| *state == "Failed").count();
    let mut ends = Vec::new();
    for number in 1..=3 {
        assert!(
            stage.until(Duration::from_secs(12 * 3600), |stage| count(stage) == number).await,
            "{:?}",
            states(&stage)
        );
        ends.push(stage.operated.clock.now());
        let next = |stage: &Stage| plans(stage).len() > number;
        assert!(stage.until(Duration::from_secs(12 * 3600), next).await);
        let waited = stage.operated.clock.now().duration_since(ends[number - 1]).as_secs();
        let least = 1800 << (number - 1);
        assert!((least - 60..least + 120).contains(&waited), "after failure {number} it waited {waited} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_goes_before_and_the_cycle_goes_on_afterwards() {
    let stage = Stage::continuous(|_| ());
    let drains = |stage: &Stage| {
        plans(stage).iter().any(|plan| plan["status"]["nodesDeletion"].to_string().contains("Draining"))
    };
    assert!(stage.until(LONG, drains).await);
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    assert_eq!(states(&stage)[0], "Canceled");
    assert!(text(&plans(&stage)[0]["status"]["failureMessage"]).contains("yields to claim now"));
    assert_eq!(stage.state("RebalancePlan", "now"), "Done");
    stage.pass(1800).await;
    assert!(states(&stage).iter().skip(1).all(|state| state == "Done"), "{:?}", states(&stage));
    assert_eq!(stage.marks(), [""; 0]);
}

fn eviction(config: Value) -> EvictionConfig {
    EvictionConfig::try_from(config).expect("it is right")
}

#[tokio::test(start_paused = true)]
async fn a_node_that_eviction_config_protects_stays_for_cycles_and_for_claims() {
    let stage = Stage::drifted(12, 1);
    stage.claim("look", json!({}));
    assert!(stage.until(LONG, |stage| stage.get("RebalancePlan", "look").is_some()).await);
    let claim =
        text(&stage.get("RebalancePlan", "look").expect("it")["spec"]["nodeClaimsToDelete"][0]["nodeClaimName"]);
    let node = text(&stage.get("NodeClaim", &claim).expect("it")["status"]["nodeName"]);
    stage.delete("RebalancePlanClaim", "look");
    stage.edit("Node", &node, |node| node["metadata"]["labels"]["dedicated"] = json!("gpu"));
    stage.operated.set(|settings| {
        settings.continuous_rebalancing = true;
        settings.min_node_age = Duration::ZERO;
        settings.eviction_config = eviction(json!([{
            "nodeSelector": {"labelSelector": {"matchLabels": {"dedicated": "gpu"}}},
            "settings": {"removalDisabled": {"enabled": true}},
        }]));
    });
    let has_ended = |stage: &Stage| states(stage).iter().any(|state| state == "Done");
    assert!(stage.until(LONG, has_ended).await, "{:?}", states(&stage));
    assert!(stage.get("NodeClaim", &claim).is_some(), "{node} stays");
    stage.claim("now", json!({"minSavingsPercentage": 0, "scope": {"nodeNames": [node]}}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    assert!(stage.get("NodeClaim", &claim).is_some(), "{node} stays");
    assert_eq!(stage.state("RebalancePlanClaim", "now"), "Skipped");
}

#[tokio::test(start_paused = true)]
async fn single_replicas_stay_unless_eviction_config_calls_them_aggressive() {
    let aggressive = json!([{"podSelector": {}, "settings": {"aggressive": {"enabled": true}}}]);
    let both = json!([{"podSelector": {}, "settings": {"aggressive": {"enabled": true}, "removalDisabled": {"enabled": true}}}]);
    for (config, budgets, moves) in
        [(json!([]), false, false), (aggressive.clone(), false, true), (both, false, false), (aggressive, true, false)]
    {
        // Two single replicas are on nodes that would go.
        let stage = Stage::drifted(12, 4);
        // A budget of a single replica allows none to go, and nobody breaks it.
        for budget in stage.list("PodDisruptionBudget").into_iter().filter(|_| !budgets) {
            let (namespace, name) = (text(&budget["metadata"]["namespace"]), text(&budget["metadata"]["name"]));
            let gone =
                stage.operated.server.delete("PodDisruptionBudget", Some(&namespace), &name, &Default::default());
            gone.expect("the deletion");
        }
        stage.operated.set(|settings| {
            settings.continuous_rebalancing = true;
            settings.min_node_age = Duration::ZERO;
            settings.polling_period = Duration::from_secs(300);
            settings.eviction_config = eviction(config.clone());
        });
        let owner = |pod: &Value| text(&pod["metadata"]["ownerReferences"][0]["uid"]);
        let pods = stage.list("Pod");
        let replicas = |uid: &str| pods.iter().filter(|pod| owner(pod) == uid).count();
        let singles: Vec<String> = pods
            .iter()
            .filter(|pod| is_workload(pod) && replicas(&owner(pod)) == 1)
            .map(|pod| text(&pod["metadata"]["name"]))
            .collect();
        assert!(!singles.is_empty(), "the cluster has single replicas");
        stage.pass(1800).await;
        let plans = plans(&stage);
        let moved = plans.iter().flat_map(|plan| plan["spec"]["podsToMigrate"].as_array().cloned().unwrap_or_default());
        let moved = moved.filter(|pod| singles.contains(&text(&pod["name"]))).count();
        assert_eq!(moved > 0, moves, "{config}: {moved} single replicas move in {} plans", plans.len());
        assert!(plans.iter().all(|plan| plan["status"]["state"] == "Done"), "{config}: {:?}", states(&stage));
    }
}

/// Changes all nodes.
fn each_node(stage: &Stage, change: impl Fn(&mut Value)) {
    for node in stage.names("Node") {
        stage.edit("Node", &node, &change);
    }
}

/// Changes all pods of workloads.
fn each_pod(stage: &Stage, change: impl Fn(&mut Value)) {
    for pod in stage.list("Pod").into_iter().filter(|pod| is_workload(pod)) {
        let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
        stage.edit_in("Pod", &namespace, &name, &change);
    }
}

/// Puts one more pod on each node.
fn on_each_node(stage: &Stage, pod: impl Fn(&mut Value)) {
    for node in stage.names("Node") {
        let requests = json!({"cpu": "10m", "memory": "16Mi"});
        let mut added = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("of-{node}"), "namespace": "default"},
            "spec": {"nodeName": node, "containers": [{"name": "a", "image": "a:1", "resources": {"requests": requests}}]},
        });
        pod(&mut added);
        stage.operated.server.create(added).expect("it is accepted");
    }
}

fn owned_by(kind: &str) -> Value {
    json!([{"apiVersion": "v1", "kind": kind, "name": "a", "uid": "a", "controller": true}])
}

fn each_pool(stage: &Stage, change: impl Fn(&mut Value)) {
    for pool in stage.names("NodePool") {
        stage.edit("NodePool", &pool, &change);
    }
}

/// So many budgets for each pod, and no others; each allows so many pods of a namespace to go.
fn budgets(stage: &Stage, count: usize, allows: i64) {
    for budget in stage.list("PodDisruptionBudget") {
        let (namespace, name) = (text(&budget["metadata"]["namespace"]), text(&budget["metadata"]["name"]));
        let gone = stage.operated.server.delete("PodDisruptionBudget", Some(&namespace), &name, &Default::default());
        gone.expect("the deletion");
    }
    for (namespace, number) in stage.list("Pod").iter().filter(|pod| is_workload(pod)).flat_map(|pod| {
        let namespace = text(&pod["metadata"]["namespace"]);
        (0..count).map(move |number| (namespace.clone(), number))
    }) {
        // One for a namespace each: the second one of a name is refused.
        let _ = stage.operated.server.create(json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": format!("all-{number}"), "namespace": namespace},
            "spec": {"selector": {}, "maxUnavailable": allows}}));
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_stay_is_no_candidate_of_a_cycle_unless_aggressive_mode_lifts_that() {
    const DISABLED: &str = "autoscaling.cast.ai/removal-disabled";
    const SHIELD: &str = "karpenter.sh/do-not-disrupt";
    let annotated = |key: &'static str, value: &'static str| {
        move |object: &mut Value| object["metadata"]["annotations"][key] = json!(value)
    };
    type Case = (&'static str, Box<dyn Fn(&Stage)>, Option<&'static str>);
    let case = |what, change: Box<dyn Fn(&Stage)>, lifted| -> Case { (what, change, lifted) };
    let cases = [
        case("nothing is in the way", Box::new(|_| ()), None),
        case(
            "removal-disabled",
            Box::new(|stage| each_node(stage, |node| node["metadata"]["labels"][DISABLED] = json!("true"))),
            Some("ignoreProblemRemovalDisabledNodes"),
        ),
        case(
            "do-not-disrupt on the node",
            Box::new(move |stage| each_node(stage, annotated(SHIELD, "true"))),
            Some("ignoreProblemRemovalDisabledNodes"),
        ),
        case(
            "too young",
            Box::new(|stage| stage.operated.set(|settings| settings.min_node_age = Duration::from_secs(30 * 86_400))),
            None,
        ),
        case("a static pool", Box::new(|stage| each_pool(stage, |pool| pool["spec"]["replicas"] = json!(12))), None),
        case(
            "WhenEmpty",
            Box::new(|stage| {
                each_pool(stage, |pool| {
                    pool["metadata"]["annotations"] = json!({});
                    pool["spec"]["disruption"] = json!({"consolidationPolicy": "WhenEmpty", "consolidateAfter": "30s"});
                })
            }),
            None,
        ),
        case(
            "excluded",
            Box::new(move |stage| each_pool(stage, annotated("kentroller.cast.ai/consolidation", "exclude"))),
            None,
        ),
        case("bare pods", Box::new(|stage| on_each_node(stage, |_| ())), Some("ignoreProblemPodsWithoutController")),
        case(
            "pods of Jobs",
            Box::new(|stage| on_each_node(stage, |pod| pod["metadata"]["ownerReferences"] = owned_by("Job"))),
            Some("ignoreProblemJobPods"),
        ),
        case(
            "pods with do-not-disrupt",
            Box::new(move |stage| each_pod(stage, annotated(SHIELD, "true"))),
            Some("ignoreProblemRemovalDisabledPods"),
        ),
        case(
            "pods with removal-disabled",
            Box::new(move |stage| each_pod(stage, annotated(DISABLED, "true"))),
            Some("ignoreProblemRemovalDisabledPods"),
        ),
        case(
            "pods that are not safe to evict",
            Box::new(move |stage| {
                each_pod(stage, annotated("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"))
            }),
            None,
        ),
        case("budgets that allow none", Box::new(|stage| budgets(stage, 1, 0)), Some("ignoreBlockingPDB")),
        case("two budgets for a pod", Box::new(|stage| budgets(stage, 2, 5)), None),
        case(
            "another scheduler's pods",
            Box::new(|stage| {
                on_each_node(stage, |pod| {
                    pod["metadata"]["ownerReferences"] = owned_by("StatefulSet");
                    pod["spec"]["schedulerName"] = json!("volcano");
                });
            }),
            None,
        ),
        case(
            "single replicas",
            Box::new(|stage| {
                on_each_node(stage, |pod| {
                    let name = text(&pod["metadata"]["name"]);
                    pod["metadata"]["ownerReferences"] = owned_by("StatefulSet");
                    pod["metadata"]["ownerReferences"][0]["name"] = json!(name);
                    pod["metadata"]["ownerReferences"][0]["uid"] = json!(name);
                });
            }),
            None,
        ),
    ];
    for (what, change, lifted) in cases {
        let stage = Stage::continuous(|settings| {
            settings.continuous_rebalancing = false;
            settings.force_eviction = true;
            // What would go is written down, and stays: the oracle knows the flags of claims only.
            settings.mode = OperatorMode::Approve;
        });
        change(&stage);
        // The status of budgets follows.
        stage.pass(60).await;
        stage.operated.set(|settings| settings.continuous_rebalancing = true);
        let nothing = what.starts_with("nothing");
        assert_eq!(stage.until(Duration::from_secs(330), |stage| !plans(stage).is_empty()).await, nothing, "{what}");
        let Some(flag) = lifted else { continue };
        stage.operated.set(|settings| settings.aggressive_mode = aggressive(json!({flag: true})));
        assert!(stage.until(Duration::from_secs(630), |stage| !plans(stage).is_empty()).await, "{what}, {flag}");
    }
}

fn aggressive(config: Value) -> AggressiveModeConfig {
    AggressiveModeConfig::from_config(&config).expect("it is right")
}

/// The first plan of a cluster that is rebalanced with these settings, if a cycle or two make one.
async fn first_plan(change: impl FnOnce(&mut Settings)) -> Option<Value> {
    let stage = Stage::continuous(change);
    stage.until(Duration::from_secs(330), |stage| !plans(stage).is_empty()).await;
    plans(&stage).into_iter().next()
}

#[tokio::test(start_paused = true)]
async fn a_cycle_keeps_to_its_limits_of_nodes_and_of_search() {
    let count = |plan: &Value| plan["spec"]["nodeClaimsToDelete"].as_array().map_or(0, Vec::len);
    let whole = first_plan(|_| ()).await.expect("a plan");
    assert!(count(&whole) > 1, "{whole}");
    let one = first_plan(|settings| settings.max_nodes_per_iteration = 1).await.expect("a plan");
    assert_eq!(count(&one), 1, "the most nodes of a cycle");
    assert!(first_plan(|settings| settings.min_nodes_to_consider = 12).await.is_some(), "all are candidates");
    assert_eq!(first_plan(|settings| settings.min_nodes_to_consider = 13).await, None, "too few candidates");
    let shallow = first_plan(|settings| settings.max_search_depth = 1).await;
    let saved = |plan: &Value| text(&plan["status"]["savings"]["projectedSavingsCostHourly"]).parse::<f64>();
    let (deep, shallow) =
        (saved(&whole).expect("it is checked"), shallow.map_or(0.0, |plan| saved(&plan).unwrap_or(0.0)));
    assert!(shallow < deep, "two steps of search find {shallow} USD/h, a million {deep}");
}

#[tokio::test(start_paused = true)]
async fn in_drain_only_a_node_stays_whose_pods_have_no_place_on_other_nodes() {
    for pinned in [false, true] {
        let stage = Stage::continuous(|settings| {
            settings.continuous_rebalancing = false;
            settings.continuous_mode = CycleMode::DrainOnly;
        });
        on_each_node(&stage, |pod| {
            pod["metadata"]["ownerReferences"] = owned_by("StatefulSet");
            if pinned {
                pod["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": pod["spec"]["nodeName"]});
            }
        });
        stage.pass(60).await;
        stage.operated.set(|settings| settings.continuous_rebalancing = true);
        let made = stage.until(Duration::from_secs(330), |stage| !plans(stage).is_empty()).await;
        assert_eq!(made, !pinned, "pinned to their nodes: {pinned}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_cycle_has_moved_stays_for_an_hour_and_what_it_made_stays_while_it_is_young() {
    let hour = Duration::from_secs(3600);
    let stage = Stage::continuous(|settings| {
        settings.max_nodes_per_iteration = 2;
        settings.min_node_age = Duration::from_secs(2 * 3600);
        settings.monthly_savings_threshold = parsed("0");
    });
    // The nodes are old enough, but for those that come.
    for node in stage.names("Node") {
        stage.edit("Node", &node, |node| node["metadata"]["creationTimestamp"] = json!("2026-11-21T01:58:00Z"));
    }
    let before = stage.names("NodeClaim");
    let mut known: Vec<String> = Vec::new();
    let mut moved = 0;
    for _ in 0..(4 * 3600 / 2) {
        stage.pass(2).await;
        for plan in plans(&stage) {
            let name = text(&plan["metadata"]["name"]);
            if known.contains(&name) {
                continue;
            }
            known.push(name.clone());
            let went = plan["spec"]["nodeClaimsToDelete"].as_array().cloned().unwrap_or_default();
            let young = went.iter().filter(|one| !before.contains(&text(&one["nodeClaimName"]))).count();
            let since_start =
                stage.operated.clock.now().duration_since(kentroller_tests::START.parse().expect("a time"));
            assert!(young == 0 || since_start.as_secs() > 2 * 3600, "{name} takes nodes that were just made");
            for step in plan["spec"]["podsToMigrate"].as_array().into_iter().flatten() {
                let (namespace, pod) = (text(&step["namespace"]), text(&step["name"]));
                let Some(pod) = stage.operated.server.get("Pod", Some(&namespace), &pod) else { continue };
                let came: jiff::Timestamp = text(&pod["metadata"]["creationTimestamp"]).parse().expect("a time");
                let age = stage.operated.clock.now().duration_since(came).unsigned_abs();
                let is_of_start = came == kentroller_tests::START.parse().expect("a time");
                assert!(is_of_start || age >= hour, "{name} moves a pod again that came {age:?} ago");
                moved += 1;
            }
        }
    }
    assert!(known.len() > 2 && moved > 0, "{} plans, {moved} moves", known.len());
}

#[tokio::test(start_paused = true)]
async fn plans_of_cycles_carry_the_time_outs_of_aggressive_mode_and_keep_to_them() {
    let config = json!({"aggressiveEviction": true, "ignoreBlockingPDB": true, "ignoreBlockingPDBTimeout": "2m"});
    let plan = first_plan(|settings| settings.aggressive_mode = aggressive(config)).await.expect("a plan");
    let carried = &plan["spec"]["aggressiveMode"];
    assert_eq!(
        (&carried["drainTimeout"], &carried["ignoreBlockingPDBTimeout"]),
        (&json!("20m"), &json!("2m")),
        "{plan}"
    );
    // Without aggressiveEviction a node that is not drained in time is kept.
    let stage = Stage::continuous(|settings| settings.aggressive_mode = aggressive(json!({"drainTimeout": "1m"})));
    let course =
        |stage: &Stage| plans(stage).first().map_or(String::new(), |plan| plan["status"]["nodesDeletion"].to_string());
    assert!(stage.until(LONG, |stage| course(stage).contains("Draining")).await);
    budgets(&stage, 1, 0);
    let is_kept = |stage: &Stage| course(stage).contains("not drained in time");
    assert!(stage.until(Duration::from_secs(300), is_kept).await, "{}", course(&stage));
    assert!(stage.until(LONG, |stage| !states(stage).iter().any(|state| state == "Running")).await);
}
