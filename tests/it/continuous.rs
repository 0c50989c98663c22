//! Continuous rebalancing: cycles that make plans of their own, when they are worth it and when nobody else has the turn.

use std::time::Duration;

use kentroller::api::EvictionConfig;
use kentroller::settings::{CycleMode, Settings};
use kentroller::simulation::USER;
use kentroller_runtime::settings::{Decimal, SettingValue as _};
use kentroller_tests::{Stage, is_workload, text};
use kentroller_world::Faults;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);
const MODE: &str = "rebalancer.cast.ai/consolidation-mode";

/// A cluster that is rebalanced continuously with these settings besides.
fn stage(change: impl FnOnce(&mut Settings)) -> Stage {
    let stage = Stage::drifted(12, 1);
    stage.operated.set(|settings| {
        settings.continuous_rebalancing = true;
        settings.min_node_age = Duration::ZERO;
        settings.polling_period = Duration::from_secs(300);
        change(settings);
    });
    stage
}

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
    let stage = stage(|_| ());
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
        let stage = stage(|settings| settings.continuous_mode = mode);
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
        let stage = stage(change);
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
    let stage = stage(|_| ());
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
    let stage = stage(|_| ());
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
    assert!(stage.until(LONG, |stage| states(stage) == ["Done"]).await, "{:?}", states(&stage));
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
