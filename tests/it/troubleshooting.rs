//! The troubleshooting steps of the public texts, as they are written: every command becomes the request that kubectl makes of it,
//! and its answer shows what the step tells to look for.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use kentroller::settings::Settings;
use kentroller::{controllers, simulation};
use kentroller_runtime::ObjectKey;
use kentroller_runtime::settings::{Decimal, SettingValue as _};
use kentroller_tests::{Stage, is_workload, text};
use kentroller_world::{Faults, Offering};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);

/// A person with kubectl.
struct Kubectl<'a>(&'a Stage);

impl Kubectl<'_> {
    /// `kubectl get WORD`: the objects of the kind that is called so, by whichever of its names.
    async fn get(&self, word: &str) -> Vec<Value> {
        let kinds = controllers::kinds();
        let is_called = |kind: &&kentroller_runtime::generate::OwnKind| {
            let names = kind.crd().spec.names;
            let all = [Some(names.plural), names.singular]
                .into_iter()
                .flatten()
                .chain(names.short_names.into_iter().flatten());
            all.into_iter().any(|name| name == word)
        };
        let own = kinds.iter().find(is_called).map(|kind| kind.info.path("", None));
        let path = own.unwrap_or_else(|| match word {
            "node" => "/api/v1/nodes".to_owned(),
            "nodeclaim" => "/apis/karpenter.sh/v1/nodeclaims".to_owned(),
            "pdb" => "/apis/policy/v1/poddisruptionbudgets".to_owned(),
            "events" => "/apis/events.k8s.io/v1/events".to_owned(),
            other => panic!("no kind is called {other}"),
        });
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        let list: Value = self.0.operated.server.client("a-person").request(request).await.expect("a list");
        list["items"].as_array().expect("items").clone()
    }

    /// `kubectl describe WORD NAME`: the object, and the events about it.
    async fn describe(&self, word: &str, name: &str) -> (Value, Vec<String>) {
        let found = self.get(word).await.into_iter().find(|object| object["metadata"]["name"] == name);
        let object = found.unwrap_or_else(|| panic!("there is no {word} {name}"));
        let all = self.get("events").await;
        let about = all.iter().filter(|event| event["regarding"]["uid"] == object["metadata"]["uid"]);
        let told =
            about.map(|event| format!("{} {}: {}", text(&event["type"]), text(&event["reason"]), text(&event["note"])));
        let told = told.collect();
        (object, told)
    }
}

/// `Status Reason: message` of a condition.
fn condition(object: &Value, type_: &str) -> String {
    let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|one| one["type"] == type_);
    found
        .map(|one| format!("{} {}: {}", text(&one["status"]), text(&one["reason"]), text(&one["message"])))
        .unwrap_or_default()
}

/// All that the new nodes of a plan may become.
fn offerings(plan: &Value) -> Vec<Offering> {
    let adds = plan["spec"]["nodeClaimsToAdd"].as_array().into_iter().flatten();
    let all = adds.flat_map(|add| add["alternatives"].as_array().into_iter().flatten());
    let offering = |one: &Value| {
        let requirements = one["requirements"].as_array().cloned().unwrap_or_default();
        let value = |key: &str| {
            let found = requirements.iter().find(|one| one["key"] == key);
            found.map(|one| text(&one["values"][0])).unwrap_or_default()
        };
        Offering {
            instance_type: value("node.kubernetes.io/instance-type"),
            zone: value("topology.kubernetes.io/zone"),
            capacity_type: value("karpenter.sh/capacity-type"),
        }
    };
    all.map(offering).collect()
}

thread_local! {
    /// What was logged on the thread of a test that keeps its log.
    static LOG: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

type Kept = Rc<RefCell<Vec<u8>>>;

/// The log of the operator, from here on; each test has a thread of its own.
struct Log(Kept);

struct Pen;

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow(|log| log.as_ref().map_or(Ok(bytes.len()), |log| log.borrow_mut().write(bytes)))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn kept() -> Self {
        // One for all threads: a subscriber of one thread loses what another thread met first.
        static STARTED: Once = Once::new();
        STARTED.call_once(|| tracing_subscriber::fmt().json().with_env_filter("info").with_writer(|| Pen).init());
        let log = Kept::default();
        LOG.set(Some(Rc::clone(&log)));
        Self(log)
    }

    /// `kubectl logs -l app=castai-kentroller`, which shows ten lines of each pod, and `grep -i` for any of these words.
    fn grep(&self, words: &[&str]) -> Vec<String> {
        let lines = self.lines();
        let shown = lines[lines.len().saturating_sub(10)..].iter();
        shown.filter(|line| words.iter().any(|word| line.contains(word))).cloned().collect()
    }

    /// The same with `--tail=-1`, in small letters.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0.borrow()).to_lowercase();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        LOG.set(None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_does_not_fire_says_why_when_it_is_described() {
    let stage = Stage::drifted(4, 1);
    stage.schedule("wrong", "0 25 * * *", json!({}));
    stage.schedule("asleep", "0 2 * * *", json!({"suspend": true}));
    stage.schedule("well", "0 3 * * *", json!({}));
    stage.pass(600).await;
    let kubectl = Kubectl(&stage);
    let (wrong, events) = kubectl.describe("rps", "wrong").await;
    assert!(events.iter().any(|event| event.starts_with("Warning ScheduleInvalid: ")), "{events:?}");
    assert!(condition(&wrong, "Ready").starts_with("False ScheduleInvalid: "), "{}", condition(&wrong, "Ready"));
    let (asleep, _) = kubectl.describe("rps", "asleep").await;
    assert_eq!(asleep["spec"]["suspend"], true);
    assert!(condition(&asleep, "Scheduled").starts_with("False Suspended"), "{}", condition(&asleep, "Scheduled"));
    let (well, events) = kubectl.describe("rps", "well").await;
    assert!(condition(&well, "Ready").starts_with("True "), "{}", condition(&well, "Ready"));
    assert!(!events.iter().any(|event| event.starts_with("Warning ")), "{events:?}");
    stage.operated.set(|settings| settings.rebalancer = false);
    stage.pass(60).await;
    let (well, _) = kubectl.describe("rebalanceplanschedule", "well").await;
    assert!(condition(&well, "Scheduled").starts_with("False FeatureDisabled"), "{}", condition(&well, "Scheduled"));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_stuck_shows_its_conditions_and_at_last_an_error_message() {
    let mut stage = Stage::drifted(12, 1);
    let key = ObjectKey::namespaced(simulation::NAMESPACE, "prices");
    stage.operated.prices = kentroller::backend::Prices::ConfigMap(key);
    stage.operated.restart().await;
    stage.claim("stuck", json!({}));
    stage.pass(60).await;
    let (claim, _) = Kubectl(&stage).describe("rpc", "stuck").await;
    assert!(["Pending", "Submitted", "Generating"].contains(&&*text(&claim["status"]["state"])), "{}", claim["status"]);
    assert!(condition(&claim, "Ready").contains("castai-agent/prices"), "{}", condition(&claim, "Ready"));
    stage.pass(600).await;
    let (claim, events) = Kubectl(&stage).describe("rpc", "stuck").await;
    assert_eq!(claim["status"]["state"], "Failed");
    assert!(text(&claim["status"]["errorMessage"]).contains("castai-agent/prices"), "{}", claim["status"]);
    assert!(events.iter().any(|event| event.starts_with("Warning ClaimFailed: ")), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_saving_that_is_too_much_to_ask_fails_the_claim_and_executes_nothing() {
    let stage = Stage::drifted(12, 1);
    let nodes = stage.names("Node");
    stage.claim("greedy", json!({"minSavingsPercentage": 100}));
    assert!(stage.until(LONG, |stage| stage.is_over("greedy")).await);
    let (claim, _) = Kubectl(&stage).describe("rpc", "greedy").await;
    assert_eq!(claim["status"]["state"], "Failed");
    assert!(text(&claim["status"]["errorMessage"]).ends_with("minSavingsPercentage is 100"), "{}", claim["status"]);
    assert!(Kubectl(&stage).get("rp").await.iter().all(|plan| plan["status"]["startTime"].is_null()));
    assert_eq!(stage.names("Node"), nodes);
}

#[tokio::test(start_paused = true)]
async fn old_claims_go_by_the_limits_of_their_schedule() {
    let stage = Stage::drifted(4, 1);
    stage.schedule("often", "*/10 * * * *", json!({"failedJobsHistoryLimit": 2, "successfulJobsHistoryLimit": 1}));
    stage.pass(2 * 3600).await;
    let (schedule, _) = Kubectl(&stage).describe("rps", "often").await;
    let limits = [&schedule["spec"]["successfulJobsHistoryLimit"], &schedule["spec"]["failedJobsHistoryLimit"]];
    assert_eq!(limits, [1, 2]);
    let claims = Kubectl(&stage).get("rpc").await;
    let completed = claims.iter().filter(|claim| claim["status"]["state"] == "Completed").count();
    assert!(completed <= 1 && claims.len() - completed <= 2, "{completed} of {}", claims.len());
}

#[tokio::test(start_paused = true)]
async fn a_plan_for_whose_nodes_there_is_no_capacity_shows_every_try_and_fails_with_the_reason() {
    let stage = Stage::drifted(12, 1).planned(json!({})).await;
    let plan = stage.plan();
    let offerings = offerings(&plan);
    assert!(!offerings.is_empty());
    stage.operated.world.set_faults(|faults| faults.exhausted.extend(offerings));
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let (plan, events) = Kubectl(&stage).describe("rp", "now").await;
    let tries = plan["status"]["nodesCreation"].to_string();
    assert!(tries.contains("InsufficientCapacityError") && tries.contains("\"Failed\""), "{tries}");
    assert_eq!(plan["status"]["state"], "Failed");
    assert_eq!(plan["status"]["failureReason"], "FailureReasonNodeCreateFailed");
    assert_eq!(plan["status"]["failurePhase"], "Creation");
    assert!(events.iter().any(|event| event.starts_with("Warning PlanFailed: ")), "{events:?}");
    // The second step: what would be looked at if live migration were there.
    assert_eq!(Kubectl(&stage).get("rebalancemigrationplans").await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn continuous_rebalancing_that_makes_no_plan_says_why_within_what_kubectl_shows_of_the_log() {
    type Change = fn(&mut Settings);
    let cases: [(Change, &str); 3] = [
        (|settings| settings.min_nodes_to_consider = 1000, "1000 are needed"),
        (|settings| settings.monthly_savings_threshold = Decimal::parse("1000000").expect("a decimal"), "1000000"),
        (|settings| settings.continuous_rebalancing = false, ""),
    ];
    for (change, says) in cases {
        let log = Log::kept();
        let stage = Stage::continuous(change);
        stage.pass(1200).await;
        assert_eq!(Kubectl(&stage).get("rp").await.len(), 0, "{says}");
        let lines = log.grep(&["continuous-rebalancing"]);
        assert_eq!(lines.is_empty(), says.is_empty(), "{says}: {lines:?}");
        assert!(says.is_empty() || lines.iter().any(|line| line.contains(says)), "{says}: {lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cycle_whose_plans_fail_backs_off_and_says_so() {
    let log = Log::kept();
    let stage = Stage::continuous(|_| ());
    stage.operated.world.set_faults(|faults| *faults = Faults { lost_percent: 100, ..Faults::default() });
    let failed = |stage: &Stage| stage.list("RebalancePlan").iter().any(|plan| plan["status"]["state"] == "Failed");
    assert!(stage.until(LONG, failed).await);
    stage.pass(900).await;
    let lines = log.grep(&["backoff", "consecutive"]);
    assert!(
        lines.iter().any(|line| line.contains("backoff until") && line.contains("consecutive failures 1")),
        "{lines:?}"
    );
    // It is over with a cycle that does well.
    stage.operated.world.set_faults(|faults| *faults = Faults::default());
    let done = |stage: &Stage| stage.list("RebalancePlan").iter().any(|plan| plan["status"]["state"] == "Done");
    assert!(stage.until(LONG, done).await);
    stage.pass(600).await;
    assert_eq!(log.grep(&["backoff", "consecutive"]), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_selected_shows_what_holds_it() {
    // With this seed a single replica has a budget.
    let stage = Stage::drifted(12, 4).planned(json!({})).await;
    let claim = text(&stage.plan()["spec"]["nodeClaimsToDelete"][0]["nodeClaimName"]);
    let held = text(&stage.get("NodeClaim", &claim).expect("it")["status"]["nodeName"]);
    stage.delete("RebalancePlanClaim", "now");
    stage
        .edit("Node", &held, |node| node["metadata"]["labels"]["autoscaling.cast.ai/removal-disabled"] = json!("true"));
    let guarded = guarded(&stage).await;
    assert!(!guarded.is_empty(), "some budget allows no disruption");
    stage.operated.set(|settings| {
        settings.continuous_rebalancing = true;
        settings.min_node_age = Duration::ZERO;
    });
    let done = |stage: &Stage| stage.list("RebalancePlan").iter().any(|plan| plan["status"]["state"] == "Done");
    assert!(stage.until(LONG, done).await);
    let nodes = Kubectl(&stage).get("node").await;
    let node = nodes.iter().find(|node| node["metadata"]["name"] == *held).expect("it stays");
    assert_eq!(node["metadata"]["labels"]["autoscaling.cast.ai/removal-disabled"], "true");
    for (pod, on) in guarded {
        let now = stage.list("Pod").into_iter().find(|one| one["metadata"]["uid"] == *pod).expect("it was not evicted");
        assert_eq!(text(&now["spec"]["nodeName"]), on);
    }
}

/// Pods of the workload of which `kubectl get pdb -A` shows 0 allowed disruptions, with their nodes.
async fn guarded(stage: &Stage) -> Vec<(String, String)> {
    let budgets = Kubectl(stage).get("pdb").await;
    let pods = stage.list("Pod");
    let mut found = Vec::new();
    for budget in budgets.iter().filter(|budget| budget["status"]["disruptionsAllowed"] == 0) {
        let wanted = budget["spec"]["selector"]["matchLabels"].as_object().expect("labels");
        let is_of = |pod: &Value| {
            let labels = &pod["metadata"]["labels"];
            pod["metadata"]["namespace"] == budget["metadata"]["namespace"]
                && wanted.iter().all(|(key, value)| labels[key] == *value)
        };
        let of = pods.iter().filter(|pod| is_workload(pod) && is_of(pod));
        found.extend(of.map(|pod| (text(&pod["metadata"]["uid"]), text(&pod["spec"]["nodeName"]))));
    }
    found
}

/// The NodePool as one that Karpenter consolidates by this policy, and we do not instead of it.
fn consolidated_by(stage: &Stage, policy: &str) {
    stage.edit("NodePool", "general", |pool| {
        pool["metadata"]["annotations"]
            .as_object_mut()
            .expect("annotations")
            .remove("kentroller.cast.ai/consolidation");
        pool["spec"]["disruption"]["consolidationPolicy"] = json!(policy);
        pool["spec"]["disruption"]["consolidateAfter"] = json!("30s");
    });
}

#[tokio::test(start_paused = true)]
async fn of_a_pool_that_consolidates_only_what_is_empty_no_node_with_pods_is_selected() {
    for (policy, moves) in [("WhenEmptyOrUnderutilized", true), ("WhenEmpty", false)] {
        let log = Log::kept();
        let stage = Stage::drifted(12, 1);
        consolidated_by(&stage, policy);
        stage.pass(60).await;
        let claims = Kubectl(&stage).get("nodeclaim").await;
        let shown = claims.iter().filter(|claim| condition(claim, "Consolidatable").starts_with("True ")).count();
        assert!(shown > 0, "Karpenter shows which may be consolidated");
        stage.operated.set(|settings| {
            settings.continuous_rebalancing = true;
            settings.min_node_age = Duration::ZERO;
            settings.polling_period = Duration::from_secs(300);
        });
        stage.pass(1200).await;
        let plans = Kubectl(&stage).get("rp").await;
        let moved =
            plans.iter().any(|plan| plan["spec"]["podsToMigrate"].as_array().is_some_and(|all| !all.is_empty()));
        assert_eq!(moved, moves, "{policy}: {plans:?}");
        assert!(moves || !log.grep(&["continuous-rebalancing"]).is_empty(), "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn node_consolidation_says_in_the_log_why_it_takes_no_node_and_which_it_takes() {
    let log = Log::kept();
    let stage = Stage::drifted(12, 1);
    stage.pass(60).await;
    assert_eq!(log.grep(&["empty-node-deleter"]), [""; 0], "step 1: it is off");
    stage.operated.set(|settings| settings.node_consolidation = true);
    stage.pass(600).await;
    let lines = log.grep(&["empty-node-deleter"]);
    assert!(lines.iter().any(|line| line.contains("no node is of no use")), "{lines:?}");
    let claim = Kubectl(&stage).get("nodeclaim").await.remove(0);
    let node = text(&claim["status"]["nodeName"]);
    stage.edit("Node", &node, |node| node["spec"]["taints"] = json!([{"key": "rests", "effect": "NoSchedule"}]));
    for pod in stage.list("Pod").into_iter().filter(|pod| is_workload(pod) && pod["spec"]["nodeName"] == *node) {
        let (namespace, pod) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
        stage.operated.server.delete("Pod", Some(&namespace), &pod, &Default::default()).expect("it goes");
    }
    assert!(stage.until(LONG, |stage| stage.get("Node", &node).is_none()).await);
    let name = text(&claim["metadata"]["name"]);
    let told = log.lines().into_iter().filter(|line| line.contains("empty-node-deleter: empty nodes"));
    assert!(told.clone().any(|line| line.contains(&name) || line.contains(&node)), "{:?}", told.collect::<Vec<_>>());
}
