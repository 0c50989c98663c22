//! The main job: a schedule on a drifted cluster, and everything that follows from it.

use std::collections::BTreeSet;
use std::time::Instant;

use kentroller_planner::Money;
use kentroller_runtime::metrics::{ALL, PREFIX};
use kentroller_tests::rest::Api;
use serde_json::{Value, json};

use crate::cluster::on_the_cluster;
use crate::install::{OPERATOR, kubeconfig};
use crate::look::{self, CLAIMS, NODE_CLAIMS, NODES, PLANS, SCHEDULES, is, name, object, text};
use crate::operator::{Operator, replayed};
use crate::wait::{LONG, SHORT, until};
use crate::witness::Witness;

#[test]
fn a_schedule_rebalances_a_drifted_cluster() {
    on_the_cluster(|cluster, admin| async move {
        let account = kubeconfig(cluster, &admin, OPERATOR).await;
        let before = State::of(&admin).await;
        let witness = Witness::start(&cluster.kubeconfig).await;
        let records = cluster.folder.join("records");
        std::fs::remove_dir_all(&records).ok();
        std::fs::create_dir(&records).expect("a folder for records");
        let folder = records.to_str().expect("UTF-8");
        let mut operator = Operator::start(cluster, &account, "kentroller-0", &["--leader-elect", "--records", folder]);
        let started = Instant::now();
        let template = json!({"spec": {"autoExecute": true}});
        let schedule = json!({"schedule": "*/1 * * * *", "rebalancePlanClaimTemplate": template});
        admin.create(SCHEDULES, &object("RebalancePlanSchedule", "minutely", schedule)).await;
        let claim = until(LONG, async || {
            assert!(operator.is_running(), "{}", operator.log().0);
            let mut all = admin.list(CLAIMS).await.into_iter();
            all.find(|claim| text(claim, "/metadata/ownerReferences/0/name") == "minutely")
                .ok_or("the schedule made no claim")
        })
        .await;
        // What has started goes on, and nothing starts beside it.
        admin.patch(&format!("{SCHEDULES}/minutely"), &json!({"spec": {"suspend": true}})).await;
        let claim = followed(&admin, &mut operator, name(&claim), started).await;
        // As people see it.
        println!("{}", cluster.tool("kubectl", &["get", "rps,rpc,rp"]));

        let plan = admin.get(&format!("{PLANS}/{}", text(&claim, "/status/rebalanceName"))).await;
        assert_eq!(text(&claim, "/status/state"), "Completed", "{}", claim["status"]);
        assert_eq!(text(&plan, "/status/state"), "Done", "{}", plan["status"]);
        let nothing = |found: Vec<String>| found.is_empty().then_some(()).ok_or_else(|| found.join("\n"));
        until(SHORT, async || nothing(look::marks(&admin).await)).await;
        until(SHORT, async || nothing(look::pods_not_running(&admin).await)).await;
        assert_eq!(look::deployments_not_whole(&admin).await, [""; 0]);
        let after = State::of(&admin).await;
        nodes_came_and_went(&admin, &plan, &after).await;

        let seen = witness.testify();
        let not_evicted: Vec<_> = seen.left.iter().filter(|(_, reason)| *reason != "EvictionByEvictionAPI").collect();
        assert!(not_evicted.is_empty(), "pods left otherwise than by eviction: {not_evicted:?}");
        assert!(!seen.left.is_empty(), "no pod was moved");
        assert_eq!(seen.broken, [""; 0], "disruption budgets were broken");

        let saved = before.price - after.price;
        assert!(saved > Money::ZERO, "{} USD/h before, {} after", before.price.hourly(), after.price.hourly());
        let promised = text(&plan, "/status/achievedOutcome/diff/priceHourly");
        println!(
            "{} nodes at {} USD/h before, {} at {} after: {} saved (the plan says {promised}), {} pods evicted, {} waited for a node, {} nodes of Karpenter's own, {} s",
            before.nodes,
            before.price.hourly(),
            after.nodes,
            after.price.hourly(),
            saved.hourly(),
            seen.left.len(),
            seen.stranded.len(),
            unplanned(&plan, &before, &after).len(),
            started.elapsed().as_secs(),
        );
        if unplanned(&plan, &before, &after).is_empty() {
            assert_eq!(saved.hourly(), promised, "what the plan says it saved is what the cluster costs less");
        }
        for probe in ["/healthz", "/readyz"] {
            assert!(operator.ask(probe).starts_with("HTTP/1.1 200"), "{probe}: {}", operator.ask(probe));
        }
        let scraped = operator.ask("/metrics");
        let missing = ALL.iter().filter(|metric| !scraped.contains(&format!("# TYPE {PREFIX}_{} ", metric.name)));
        assert_eq!(missing.count(), 0, "{scraped}");
        operator.stop().assert_clean();
        assert!(!replayed(&records).is_empty(), "nothing was recorded");
        assert_eq!(admin.warnings(), [""; 0]);
        admin.delete(&format!("{SCHEDULES}/minutely")).await;
    });
}

/// The cluster at one moment.
struct State {
    nodes: usize,
    price: Money,
    claims: BTreeSet<String>,
}

impl State {
    async fn of(admin: &Api) -> Self {
        let claims = admin.list(NODE_CLAIMS).await;
        Self {
            nodes: admin.list(NODES).await.len(),
            price: look::price(admin).await,
            claims: claims.iter().map(|claim| name(claim).to_owned()).collect(),
        }
    }
}

/// Waits for the end of a claim, and prints how it goes.
async fn followed(admin: &Api, operator: &mut Operator, claim: &str, started: Instant) -> Value {
    let mut told = String::new();
    until(LONG, async || {
        assert!(operator.is_running(), "{}", operator.log().0);
        let claim = admin.get(&format!("{CLAIMS}/{claim}")).await;
        let plan = admin.find(&format!("{PLANS}/{}", name(&claim))).await.unwrap_or_default();
        let ready = plan["status"]["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == "Ready");
        let now = ready.map(|one| text(one, "/message").to_owned()).unwrap_or_default();
        if now != told {
            let (nodes, price) = (admin.list(NODES).await.len(), look::price(admin).await.hourly());
            println!("{:4} s  {nodes:3} nodes  {price} USD/h  {now:.120}", started.elapsed().as_secs());
            told.clone_from(&now);
        }
        let over = matches!(text(&claim, "/status/state"), "Completed" | "Failed" | "Skipped" | "Canceled");
        if over { Ok(claim) } else { Err(format!("claim {} is not over: {now}", name(&claim))) }
    })
    .await
}

/// The NodeClaims that the plan made, whichever of its tries it took.
fn made(plan: &Value) -> BTreeSet<String> {
    let all = plan["status"]["nodesCreation"].as_object().into_iter().flatten();
    let last = |(_, creation): (&String, &Value)| {
        let attempts = creation["attempts"].as_array().and_then(|attempts| attempts.last());
        attempts.map(|last| text(last, "/nodeClaimName").to_owned()).unwrap_or_default()
    };
    all.map(last).collect()
}

/// What Karpenter launched beside the plan.
fn unplanned(plan: &Value, before: &State, after: &State) -> Vec<String> {
    let made = made(plan);
    after.claims.iter().filter(|claim| !before.claims.contains(*claim) && !made.contains(*claim)).cloned().collect()
}

async fn nodes_came_and_went(admin: &Api, plan: &Value, after: &State) {
    let made = made(plan);
    assert_eq!(made.len(), plan["spec"]["nodeClaimsToAdd"].as_array().map_or(0, Vec::len));
    for claim in admin.list(NODE_CLAIMS).await {
        assert!(is(&claim, "Initialized"), "{}: {}", name(&claim), claim["status"]);
        assert!(!is(&claim, "Drifted"), "{}: {}", name(&claim), claim["status"]);
    }
    assert!(made.is_subset(&after.claims), "{made:?} in {:?}", after.claims);
    let gone = plan["spec"]["nodeClaimsToDelete"].as_array().expect("the plan removes nodes");
    assert!(!gone.is_empty());
    for one in gone {
        assert!(!after.claims.contains(text(one, "/nodeClaimName")), "{one} is still there");
    }
    for node in admin.list(NODES).await {
        let claim = text(&node, "/metadata/ownerReferences/0/name");
        assert!(after.claims.contains(claim), "node {} of NodeClaim {claim:?}, which is gone", name(&node));
    }
}
