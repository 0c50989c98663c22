//! What the operator asks of the API server is what its roles grant: nothing is refused, and nothing is granted for nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, StatusCode};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kentroller::api::foreign::ConfigMap;
use kentroller::controllers;
use kentroller::settings::OperatorMode;
use kentroller::simulation::{NAMESPACE, USER};
use kentroller_runtime::generate::rbac::Rights;
use kentroller_runtime::simulation::apiserver::{ApiServer, Rule};
use kentroller_runtime::{Declaration, Kind};
use kentroller_tests::Stage;
use kube::client::Body;
use serde_json::json;

const LONG: Duration = Duration::from_secs(2 * 3600);

/// The controllers that act in the stories of this file. Any other shows its rights in a test of its own, which
/// `crdgen -- new` writes.
const HERE: [&str; 4] = ["schedules", "claims", "rebalance-plans", "configuration"];

/// Granted to them, and asked by no story of this file; each with its reason.
const UNUSED: &[(&str, &str)] = &[
    ("get capacitybuffers of autoscaling.x-k8s.io", GUARDS),
    ("get configmaps", GUARDS),
    ("get csinodes of storage.k8s.io", GUARDS),
    ("get daemonsets of apps", GUARDS),
    ("get ec2nodeclasses of karpenter.k8s.aws", GUARDS),
    ("get namespaces", GUARDS),
    ("get nodeclaims of karpenter.sh", GUARDS),
    ("get nodeoverlays of karpenter.sh", GUARDS),
    ("get nodepools of karpenter.sh", GUARDS),
    ("get persistentvolumeclaims", GUARDS),
    ("get persistentvolumes", GUARDS),
    ("get poddisruptionbudgets of policy", GUARDS),
    ("get podtemplates", GUARDS),
    ("get rebalanceplanclaims of autoscaling.cast.ai", GUARDS),
    ("get rebalanceplans of autoscaling.cast.ai", GUARDS),
    ("get rebalanceplanschedules of autoscaling.cast.ai", GUARDS),
    ("get unavailableofferings of autoscaling.cast.ai", GUARDS),
    ("update rebalanceplanclaims/finalizers of autoscaling.cast.ai", ADMISSION),
    ("update rebalanceplanschedules/finalizers of autoscaling.cast.ai", ADMISSION),
];
const GUARDS: &str = "a guard may read any kind that its controller reads; those that are there read pods and nodes";
const ADMISSION: &str = "an admission plug-in asks for it on behalf of owners that block their own deletion";

#[tokio::test(start_paused = true)]
async fn what_the_roles_grant_is_what_the_operator_asks() {
    let mut stage = Stage::drifted(6, 1);
    let rights = rights();
    stage.operated.server.allow(USER, Some(rules(&rights)));
    stage.operated.set(|settings| settings.dynamic_config_map_name = Some("config".to_owned()));
    let (refused, client) = listening(&stage.operated.server);
    stage.operated.replace(client, false).await;
    everything(&stage).await;
    assert_eq!(*refused.lock().expect("one thread"), [""; 0], "missing from the declarations");

    let asked = asked(&stage.operated.server);
    let to_all = granted(&rights);
    let missing: Vec<&String> = asked.difference(&to_all).collect();
    assert_eq!(missing, [""; 0]);
    let to_these = granted(&Rights::of(&declared(|name| HERE.contains(&name)), &[ConfigMap::INFO]));
    let unused: Vec<&String> = to_these.difference(&asked).collect();
    let excused = |one: &&&String| UNUSED.iter().any(|(words, _)| one.as_str() == *words);
    let unexcused: Vec<_> = unused.iter().filter(|one| !excused(one)).collect();
    assert_eq!(unexcused, Vec::<&&String>::new(), "granted, and nothing asks for it");
    for (words, reason) in UNUSED {
        assert!(
            unused.iter().any(|one| one.as_str() == *words),
            "{words:?} ({reason}) is asked for now, or not granted"
        );
    }
}

#[test]
fn a_controller_that_has_no_story_here_shows_its_rights_in_a_test_of_its_own() {
    let shown: usize = crate::architecture::sources(&crate::architecture::root().join("kentroller/src/controllers"))
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("it can be read").matches("Rights::of_one(").count())
        .sum();
    let others: Vec<_> = declared(|name| !HERE.contains(&name)).iter().map(|one| one.name).collect();
    assert!(shown >= others.len(), "{shown} of {others:?} compare `Rights::of_one(…)` with what they need");
    assert_eq!(declared(|name| HERE.contains(&name)).len(), HERE.len());
}

#[tokio::test(start_paused = true)]
async fn a_shadow_asks_for_nothing_but_reads() {
    let mut stage = Stage::drifted(6, 1);
    let client = stage.operated.server.client("shadow");
    stage.operated.replace(client, true).await;
    let before = stage.operated.server.revision();
    stage.claim("now", json!({}));
    stage.schedule("often", "*/5 * * * *", json!({}));
    stage.pass(1200).await;
    let requests = stage.operated.server.requests();
    let verbs: BTreeSet<&str> =
        requests.iter().filter(|request| &*request.user == "shadow").map(|request| request.verb).collect();
    assert_eq!(verbs.into_iter().collect::<Vec<_>>(), ["list", "watch"]);
    assert_eq!(requests.iter().filter(|request| &*request.user == USER).count(), 0);
    let writers: BTreeSet<String> =
        stage.operated.server.writes(before).iter().map(|write| write.user.to_string()).collect();
    assert!(!writers.contains("shadow"), "{writers:?}");
}

#[tokio::test(start_paused = true)]
async fn mode_observe_gets_by_without_the_rights_to_act() {
    let mut stage = Stage::drifted(6, 1);
    stage.operated.set(|settings| settings.mode = OperatorMode::Observe);
    stage.operated.server.allow(USER, Some(rules(&Rights { act: Vec::new(), ..rights() })));
    let (refused, client) = listening(&stage.operated.server);
    stage.operated.replace(client, false).await;
    stage.claim("now", json!({"autoExecute": true}));
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "now") == "Created").await);
    // Not even when somebody approves.
    stage.execute();
    stage.pass(1200).await;
    assert_eq!(stage.state("RebalancePlan", "now"), "Created");
    assert_eq!(stage.condition("RebalancePlan", "now", "Reconciling"), "ModeObserve=True");
    assert_eq!(*refused.lock().expect("one thread"), [""; 0]);
}

/// One cluster on which everything happens that makes the operator write.
async fn everything(stage: &Stage) {
    // A schedule makes a claim, whose plan makes and removes nodes; then history and ownership change.
    stage.schedule("often", "0 2 * * *", json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 1}));
    let is_over = |stage: &Stage| stage.names("RebalancePlanClaim").iter().any(|claim| stage.is_over(claim));
    assert!(stage.until(LONG, is_over).await);
    stage.edit("RebalancePlanSchedule", "often", |schedule| schedule["spec"]["preserveHistory"] = json!(true));
    stage.pass(10).await;
    stage.edit("RebalancePlanSchedule", "often", |schedule| {
        schedule["spec"]["successfulJobsHistoryLimit"] = json!(0);
        schedule["spec"]["failedJobsHistoryLimit"] = json!(0);
    });
    assert!(stage.until(LONG, |stage| stage.names("RebalancePlanClaim").is_empty()).await);
    // A plan that is rejected.
    let spec = json!({"execute": true, "nodeClaimsToDelete": [{"nodeClaimName": "nobody"}], "nodeClaimsToAdd": [], "podsToMigrate": []});
    stage.create("RebalancePlan", "made-up", spec).expect("the API server takes it");
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "made-up") == "Failed").await);
    // Settings that are rejected.
    let metadata = json!({"name": "config", "namespace": NAMESPACE});
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.yaml": "mode: none"}});
    stage.operated.server.create(map).expect("the ConfigMap");
    // An ended claim, and a schedule that cannot be read.
    stage.claim("none", json!({"scope": {"nodeNames": []}}));
    stage.schedule("broken", "every day", json!({}));
    stage.pass(60).await;
}

/// The declarations of the controllers with such a name.
fn declared(is_meant: impl Fn(&str) -> bool) -> Vec<Declaration> {
    controllers::all().iter().map(|one| one.declaration()).filter(|one| is_meant(one.name)).collect()
}

fn rights() -> Rights {
    Rights::of(&declared(|_| true), &[ConfigMap::INFO])
}

/// What the chart grants where pods may not be forced.
pub fn without_force() -> Vec<Rule> {
    rules(&rights())
}

/// The roles as the in-process API server enforces them, without the one that only forces pods.
fn rules(rights: &Rights) -> Vec<Rule> {
    let rule = |one: &PolicyRule, namespace: Option<&str>| Rule {
        groups: one.api_groups.clone().unwrap_or_default(),
        resources: one.resources.clone().unwrap_or_default(),
        verbs: one.verbs.clone(),
        names: Vec::new(),
        namespace: namespace.map(str::to_owned),
    };
    let wide = rights.observe.iter().chain(&rights.act).map(|one| rule(one, None));
    let own = rights.own_namespace.iter().chain(&rights.act_in_own_namespace).map(|one| rule(one, Some(NAMESPACE)));
    let default = rights.default_namespace.iter().map(|one| rule(one, Some("default")));
    wide.chain(own).chain(default).collect()
}

/// Each right in words such as `create pods/eviction` or `patch nodeclaims.karpenter.sh`.
fn granted(rights: &Rights) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for rule in rules(rights) {
        for (group, resource) in rule.groups.iter().flat_map(|group| rule.resources.iter().map(move |one| (group, one)))
        {
            all.extend(rule.verbs.iter().map(|verb| words(verb, resource, group)));
        }
    }
    all
}

fn asked(server: &ApiServer) -> BTreeSet<String> {
    let ours = server.requests().into_iter().filter(|request| &*request.user == USER);
    ours.map(|request| {
        let suffix = if request.subresource.is_empty() { String::new() } else { format!("/{}", request.subresource) };
        words(request.verb, &format!("{}{suffix}", request.resource), &request.group)
    })
    .collect()
}

fn words(verb: &str, resource: &str, group: &str) -> String {
    if group.is_empty() { format!("{verb} {resource}") } else { format!("{verb} {resource} of {group}") }
}

/// A client that notes which requests are refused as forbidden.
fn listening(server: &ApiServer) -> (Arc<Mutex<Vec<String>>>, kube::Client) {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let (notes, inner) = (Arc::clone(&refused), server.client(USER));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (notes, inner) = (Arc::clone(&notes), inner.clone());
        async move {
            let what = format!("{} {}", request.method(), request.uri());
            let answer = inner.send(request).await;
            if answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::FORBIDDEN) {
                notes.lock().expect("one thread").push(what);
            }
            answer
        }
    });
    (refused, kube::Client::new(service, "default"))
}
