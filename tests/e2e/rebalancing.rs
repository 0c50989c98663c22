//! The main job: a schedule on a drifted cluster, and everything that follows from it.

use std::collections::BTreeSet;
use std::time::Instant;

use kentroller::controllers::METRICS_PREFIX;
use kentroller_planner::Money;
use kentroller_runtime::metrics::ALL;
use kentroller_tests::rest::Api;
use serde_json::{Value, json};

use crate::cluster::{Cluster, on_the_cluster};
use crate::install::{OPERATOR, kubeconfig};
use crate::look::{self, CLAIMS, NODE_CLAIMS, NODE_POOLS, NODES, PLANS, SCHEDULES, is, name, object, text};
use crate::operator::{Operator, approve, replayed};
use crate::wait::{LONG, SHORT, until};
use crate::witness::Witness;

/// Has Karpenter consolidate beside the plan.
const BESIDE: &str = "KENTROLLER_E2E_BESIDE";

/// A pool of which Karpenter takes care itself.
fn consolidating() -> Value {
    let disruption = json!({"consolidateAfter": "30s", "budgets": [{"nodes": "10%"}]});
    json!({"metadata": {"annotations": {"kentroller.cast.ai/consolidation": null}}, "spec": {"disruption": disruption}})
}

#[test]
fn a_schedule_rebalances_a_drifted_cluster() {
    on_the_cluster(|cluster, admin| async move {
        let account = kubeconfig(cluster, &admin, OPERATOR).await;
        let is_beside = std::env::var_os(BESIDE).is_some();
        if is_beside {
            for pool in admin.list(NODE_POOLS).await {
                admin.patch(&format!("{NODE_POOLS}/{}", name(&pool)), &consolidating()).await;
            }
        }
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
        let plan = admin.get(&format!("{PLANS}/{}", text(&claim, "/status/rebalanceName"))).await;
        assert_eq!(text(&claim, "/status/state"), "Completed", "{}", claim["status"]);
        assert!(is_beside || text(&plan, "/status/state") == "Done", "{}", plan["status"]);
        let nothing = |found: Vec<String>| found.is_empty().then_some(()).ok_or_else(|| found.join("\n"));
        // A node that was kept says so for good.
        if !is_beside {
            until(SHORT, async || nothing(look::marks(&admin).await)).await;
        }
        until(SHORT, async || nothing(look::pods_not_running(&admin).await)).await;
        assert_eq!(look::deployments_not_whole(&admin).await, [""; 0]);
        let after = State::of(&admin).await;
        if !is_beside {
            nodes_came_and_went(&admin, &plan, &after).await;
        }

        let seen = witness.testify();
        let not_evicted: Vec<_> = seen.left.iter().filter(|(_, reason)| *reason != "EvictionByEvictionAPI").collect();
        assert!(is_beside || not_evicted.is_empty(), "pods left otherwise than by eviction: {not_evicted:?}");
        assert!(!seen.left.is_empty(), "no pod was moved");
        assert_eq!(seen.broken, [""; 0], "disruption budgets were broken");

        let saved = before.price - after.price;
        assert!(saved > Money::ZERO, "{} USD/h before, {} after", before.price.hourly(), after.price.hourly());
        let promised = text(&plan, "/status/achievedOutcome/diff/priceHourly");
        println!(
            "{} nodes at {} USD/h before, {} at {} after: {} saved (the plan says {promised}), {} pods evicted, {} waited for a node, {} s",
            before.nodes,
            before.price.hourly(),
            after.nodes,
            after.price.hourly(),
            saved.hourly(),
            seen.left.len(),
            seen.stranded.len(),
            started.elapsed().as_secs(),
        );
        let unplanned = unplanned(&plan, &before, &after);
        if is_beside {
            println!("nodes that nobody planned: {unplanned:?}; {}", plan["status"]["warnings"]);
            return;
        }
        assert_eq!(unplanned, [""; 0], "nodes that nobody planned");
        assert_eq!(saved.hourly(), promised, "what the plan says it saved is what the cluster costs less");
        for probe in ["/healthz", "/readyz"] {
            assert!(operator.ask(probe).starts_with("HTTP/1.1 200"), "{probe}: {}", operator.ask(probe));
        }
        let scraped = operator.ask("/metrics");
        let missing =
            ALL.iter().filter(|metric| !scraped.contains(&format!("# TYPE {METRICS_PREFIX}_{} ", metric.name)));
        assert_eq!(missing.count(), 0, "{scraped}");
        as_people_see_it(cluster, name(&claim));
        operator.stop().assert_clean();
        assert!(!replayed(&records).is_empty(), "nothing was recorded");
        assert_eq!(admin.warnings(), [""; 0]);
        admin.delete(&format!("{SCHEDULES}/minutely")).await;
    });
}

/// The columns that are documented, none of them empty; and the story of the plan in its events.
fn as_people_see_it(cluster: &Cluster, claim: &str) {
    for (kind, name, columns) in [
        ("rps", "minutely", "NAME SCHEDULE SUSPEND ACTIVE LAST SCHEDULE AGE"),
        ("rpc", claim, "NAME STATE PLANID NODES SAVINGS% REBALANCE AGE"),
        ("rp", claim, "NAME BEFORE AFTER SAVINGS% STATE AUTO-EXECUTED AGE"),
    ] {
        let told = cluster.tool("kubectl", &["get", kind, name]);
        println!("{told}");
        let (head, row) = told.split_once('\n').expect("a head and a row");
        assert_eq!(head.split_whitespace().collect::<Vec<_>>().join(" "), columns);
        // Cells begin where their columns do; those that hold blanks are cron expressions.
        let starts =
            columns.replace("LAST SCHEDULE", "LAST").split(' ').filter_map(|one| head.find(one)).collect::<Vec<_>>();
        for start in starts {
            let cell = row.get(start..).and_then(|rest| rest.split("  ").next()).unwrap_or_default().trim();
            assert!(!cell.is_empty() && cell != "<none>", "an empty cell at {start} of\n{told}");
        }
    }
    let story = cluster.tool("kubectl", &["describe", "rp", claim]);
    for reason in ["PlanChecked", "PlanStarted", "WaveDone", "PlanDone"] {
        assert!(story.contains(reason), "{reason} is missing in\n{story}");
    }
}

#[test]
fn a_plan_runs_when_a_person_approves_it() {
    on_the_cluster(|cluster, admin| async move {
        let account = kubeconfig(cluster, &admin, OPERATOR).await;
        let mut operator = Operator::start(cluster, &account, "kentroller-3", &["--leader-elect"]);
        let missing = approve(&cluster.kubeconfig, "approved").expect_err("there is no plan yet");
        assert!(missing.contains("there is no plan approved"), "{missing}");
        // One node is replaced by its like, whatever was saved before.
        let spec = json!({"minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 1}});
        admin.create(CLAIMS, &object("RebalancePlanClaim", "approved", spec)).await;
        let path = format!("{PLANS}/approved");
        let waits = async || {
            let plan = admin.find(&path).await.unwrap_or_default();
            (text(&plan, "/status/state") == "Created").then_some(plan).ok_or("the plan is not Created")
        };
        assert_eq!(until(SHORT, waits).await["spec"]["execute"], false);
        println!("{}", approve(&cluster.kubeconfig, "approved").expect("an administrator may patch plans"));
        let claim = followed(&admin, &mut operator, "approved", Instant::now()).await;
        assert_eq!(text(&claim, "/status/state"), "Completed", "{}", claim["status"]);
        let late = approve(&cluster.kubeconfig, "approved").expect_err("it is over");
        assert!(late.contains("is over (Done)"), "{late}");
        operator.stop().assert_clean();
        admin.delete(&format!("{CLAIMS}/approved")).await;
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
