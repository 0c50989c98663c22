//! The commands for three in the morning, as a person types them: against an operator that runs, and without one.

use kentroller_tests::rest::Api;
use serde_json::{Value, json};

use crate::cluster::{Cluster, on_the_cluster};
use crate::install::{NAMESPACE, OPERATOR, kubeconfig, released, uninstalled};
use crate::look::{self, CLAIMS, NODES, PLANS, name, object, text};
use crate::operator::{Operator, command};
use crate::wait::{LONG, SHORT, until};

/// Waits until the plan says so in its `Ready` condition.
async fn says(admin: &Api, plan: &str, words: &str) -> Value {
    until(LONG, async || {
        let plan = admin.find(&format!("{PLANS}/{plan}")).await.unwrap_or_default();
        let all = plan["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = all.iter().find(|one| one["type"] == "Ready").map(|one| text(one, "/message").to_owned());
        let told = format!("{} {}", text(&plan, "/status/state"), ready.unwrap_or_default());
        if told.contains(words) { Ok(plan) } else { Err(format!("it says {told:?}, not {words:?}")) }
    })
    .await
}

/// How many nodes of each pool we may take at once; `None` for what was so before.
async fn pace(admin: &Api, budget: Option<&str>) {
    const POOLS: &str = "/apis/karpenter.sh/v1/nodepools";
    for pool in admin.list(POOLS).await {
        let annotations = json!({"metadata": {"annotations": {"kentroller.cast.ai/budget": budget}}});
        admin.patch(&format!("{POOLS}/{}", name(&pool)), &annotations).await;
    }
}

/// A plan that runs, and waits until a node of its pool may go: no command finds it over already.
async fn waiting(cluster: &Cluster, admin: &Api, claim: &str) {
    pace(admin, None).await;
    let spec = json!({"minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 3}});
    admin.create(CLAIMS, &object("RebalancePlanClaim", claim, spec)).await;
    says(admin, claim, "Created").await;
    pace(admin, Some("0")).await;
    let approved = command(&cluster.kubeconfig, &["approve", claim]).expect("an administrator may");
    println!("{approved}");
    says(admin, claim, "a disruption slot").await;
}

#[test]
fn people_pause_resume_cancel_and_release_and_read_what_happened() {
    on_the_cluster(|cluster, admin| async move {
        let run = |arguments: &[&str]| command(&cluster.kubeconfig, arguments);
        let account = kubeconfig(cluster, &admin, OPERATOR).await;
        let config_map = format!("{OPERATOR}-dynamic-config");
        let mut operator = Operator::reading(cluster, &account, "kentroller-4", &["--leader-elect"], &config_map);
        let nodes = admin.list(NODES).await.len();
        assert!(run(&["status"]).expect("anybody may read").contains("Nothing runs"), "{:?}", run(&["status"]));

        let all = admin.list(NODES).await;
        let node = name(&all[0]);
        let explained = run(&["explain", "node", node, "--namespace", NAMESPACE]).expect("anybody may read");
        assert!(explained.starts_with(&format!("Node {node}")) && explained.contains("for claims"), "{explained}");
        let missing =
            run(&["explain", "pod", "nowhere/nothing", "--namespace", NAMESPACE]).expect_err("it is not there");
        assert!(missing.contains("in namespace nowhere, pod nothing is not there"), "{missing}");
        let why = run(&["why", "--steps", "100", "--namespace", NAMESPACE]).expect("anybody may read");
        assert!(why.contains("NODE") && why.contains("nodes would go and"), "{why}");
        println!("{explained}\n{why}");

        waiting(cluster, &admin, "night").await;
        let paused = run(&["pause", "--for", "1h", "--namespace", NAMESPACE]).expect("an administrator may");
        assert!(paused.contains("Everything is paused until"), "{paused}");
        says(&admin, "night", "paused").await;
        let told = run(&["status"]).expect("it reads");
        assert!(told.contains("Plan night is Running.") && told.contains("paused"), "{told}");
        println!("{told}");
        let resumed = run(&["resume", "--namespace", NAMESPACE]).expect("an administrator may");
        assert!(resumed.contains("Everything goes on"), "{resumed}");
        says(&admin, "night", "a disruption slot").await;

        let canceled = run(&["cancel", "night"]).expect("an administrator may");
        assert!(canceled.contains("stops at its next safe point"), "{canceled}");
        let plan = says(&admin, "night", "Canceled").await;
        println!("{}", text(&plan, "/status/failureMessage"));
        let nothing = |found: Vec<String>| found.is_empty().then_some(()).ok_or_else(|| found.join("\n"));
        until(SHORT, async || nothing(look::marks(&admin).await)).await;
        let late = run(&["cancel", "night"]).expect_err("it is over");
        assert!(late.contains("is over (Canceled)"), "{late}");
        let history = run(&["history"]).expect("it reads");
        assert!(history.contains("night") && history.contains("Canceled"), "{history}");
        println!("{history}");

        // The operator is taken away in the middle: its marks go without it.
        waiting(cluster, &admin, "left").await;
        assert!(!look::marks(&admin).await.is_empty(), "a plan that runs shields what it needs");
        assert!(operator.is_running(), "{}", operator.log().0);
        drop(operator);
        let released = run(&["release"]).expect("an administrator may");
        assert!(released.contains("objects are released, 0 could not be"), "{released}");
        assert_eq!(look::marks(&admin).await, [""; 0]);
        assert!(run(&["release"]).expect("once more").contains("There is nothing of ours on the cluster"));
        assert_eq!(admin.list(NODES).await.len(), nodes, "nothing was removed");
        pace(&admin, None).await;
        for claim in ["night", "left"] {
            admin.delete(&format!("{CLAIMS}/{claim}")).await;
        }
        until(SHORT, async || if admin.list(PLANS).await.is_empty() { Ok(()) } else { Err("plans are left") }).await;
    });
}

#[test]
fn uninstalled_in_the_documented_order_in_the_middle_of_a_plan_nothing_of_ours_is_left() {
    on_the_cluster(|cluster, admin| async move {
        let run = |arguments: &[&str]| command(&cluster.kubeconfig, arguments);
        let account = kubeconfig(cluster, &admin, OPERATOR).await;
        let config_map = format!("{OPERATOR}-dynamic-config");
        let mut operator = Operator::reading(cluster, &account, "kentroller-5", &["--leader-elect"], &config_map);
        let nodes = admin.list(NODES).await.len();
        waiting(cluster, &admin, "leaving").await;
        assert!(!look::marks(&admin).await.is_empty(), "a plan that runs shields what it needs");

        run(&["pause", "--namespace", NAMESPACE]).expect("an administrator may");
        says(&admin, "leaving", "paused").await;
        run(&["cancel", "leaving"]).expect("an administrator may");
        says(&admin, "leaving", "Canceled").await;
        let nothing = |found: Vec<String>| found.is_empty().then_some(()).ok_or_else(|| found.join("\n"));
        until(SHORT, async || nothing(look::marks(&admin).await)).await;
        assert!(operator.is_running(), "{}", operator.log().0);
        operator.stop().assert_clean();
        assert_eq!(uninstalled(cluster, &admin).await, [""; 0]);
        assert!(run(&["release"]).expect("an administrator may").contains("There is nothing of ours on the cluster"));
        admin.delete(&format!("{CLAIMS}/leaving")).await;
        until(SHORT, async || if admin.list(PLANS).await.is_empty() { Ok(()) } else { Err("plans are left") }).await;
        assert_eq!(admin.list(NODES).await.len(), nodes, "nothing was removed");
        pace(&admin, None).await;
        // For the tests that come after this one.
        released(cluster, &[]);
    });
}
