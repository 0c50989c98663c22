//! Evictions under disruption budgets.

use super::*;

fn budget(name: &str, app: &str, allowed: i64) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": app}}},
        "status": {
            "disruptionsAllowed": allowed, "currentHealthy": 2 + allowed, "desiredHealthy": 2, "expectedPods": 3,
            "observedGeneration": 1,
            "conditions": [{"type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods"}]
        }
    })
}

fn eviction(name: &str) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "shop"}})
}

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/shop/pods/{name}/eviction")
}

const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

#[tokio::test(start_paused = true)]
async fn a_budget_is_taken_from_at_once_and_then_refuses() {
    let api = server();
    let client = api.client("tester");
    api.seed(budget("web", "web", 1)).unwrap();
    for name in ["a", "b", "c"] {
        api.seed(pod(name, "web", "n1")).unwrap();
    }
    check(
        &client,
        ("POST", &path("a"), JSON),
        eviction("a"),
        201,
        &[("/status", json!("Success")), ("/code", json!(201))],
    )
    .await;
    let taken = api.get("PodDisruptionBudget", Some("shop"), "web").unwrap();
    assert_eq!(taken["status"]["disruptionsAllowed"], 0);
    assert_eq!(taken["status"]["disruptedPods"], json!({"a": START}));
    assert_eq!(taken["status"]["conditions"][0]["reason"], "InsufficientPods");
    assert!(object::is_leaving(&api.get("Pod", Some("shop"), "a").unwrap()));
    check(
        &client,
        ("POST", &path("b"), JSON),
        eviction("b"),
        429,
        &[
            ("/reason", json!("TooManyRequests")),
            ("/message", json!(REFUSED)),
            ("/details/causes/0/reason", json!("DisruptionBudget")),
            ("/details/causes/0/message", json!("The disruption budget web does not allow evicting pods currently")),
            ("/details/retryAfterSeconds", json!(null)),
        ],
    )
    .await;
    check(&client, ("POST", &path("a"), JSON), eviction("a"), 201, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_its_controller_has_not_seen_refuses_for_ten_seconds() {
    let api = server();
    let client = api.client("tester");
    let mut unseen = budget("web", "web", 1);
    unseen["status"]["observedGeneration"] = json!(0);
    api.seed(unseen).unwrap();
    api.seed(pod("a", "web", "n1")).unwrap();
    check(
        &client,
        ("POST", &path("a"), JSON),
        eviction("a"),
        429,
        &[
            ("/details/retryAfterSeconds", json!(10)),
            ("/details/causes/0/message", json!("The disruption budget web is still being processed by the server.")),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_budgets_over_one_pod_are_an_error_of_the_server() {
    let api = server();
    let client = api.client("tester");
    api.seed(budget("one", "web", 1)).unwrap();
    api.seed(budget("two", "web", 1)).unwrap();
    api.seed(pod("a", "web", "n1")).unwrap();
    check(
        &client,
        ("POST", &path("a"), JSON),
        eviction("a"),
        500,
        &[(
            "/message",
            json!("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."),
        )],
    )
    .await;
}

/// Evicts a pod in some state under a budget with nothing left.
fn check_exhausted(change: impl FnOnce(&mut Value, &mut Value), goes: bool) {
    let api = server();
    let (mut pod, mut budget) = (pod("a", "web", "n1"), budget("web", "web", 0));
    change(&mut pod, &mut budget);
    api.seed(budget.clone()).unwrap();
    api.seed(pod.clone()).unwrap();
    let evicted = api.evict("shop", "a", &DeleteOptions::default());
    assert_eq!(evicted.is_ok(), goes, "{pod} {budget}");
    assert_eq!(api.get("PodDisruptionBudget", Some("shop"), "web").unwrap()["status"]["disruptionsAllowed"], 0);
}

#[tokio::test(start_paused = true)]
async fn pods_that_serve_nobody_go_without_a_budget() {
    for phase in ["Pending", "Succeeded", "Failed"] {
        check_exhausted(|pod, _| pod["status"]["phase"] = json!(phase), true);
    }
    check_exhausted(|_, _| {}, false);
    let unready = |pod: &mut Value| pod["status"]["conditions"][0]["status"] = json!("False");
    check_exhausted(|pod, _| unready(pod), true);
    check_exhausted(
        |pod, budget| {
            unready(pod);
            budget["status"]["currentHealthy"] = json!(1);
        },
        false,
    );
    check_exhausted(
        |pod, budget| {
            unready(pod);
            budget["status"]["currentHealthy"] = json!(1);
            budget["spec"]["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
        },
        true,
    );
    check_exhausted(|_, budget| budget["spec"]["selector"] = json!({}), false);
    check_exhausted(|_, budget| budget["spec"]["selector"] = Value::Null, true);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_tells_what_the_budget_lacks() {
    let said = |change: fn(&mut Value)| {
        let api = server();
        let mut budget = budget("web", "web", 0);
        change(&mut budget["status"]);
        api.seed(budget).unwrap();
        api.seed(pod("a", "web", "n1")).unwrap();
        let refused = api.evict("shop", "a", &DeleteOptions::default()).unwrap_err();
        refused.details.unwrap().causes[0].message.clone()
    };
    let budget = "The disruption budget web";
    assert_eq!(said(|_| {}), format!("{budget} needs 2 healthy pods and has 2 currently"));
    let failed = |status: &mut Value| {
        status["conditions"][0] =
            json!({"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no scale"});
    };
    assert_eq!(
        said(failed),
        format!("{budget} does not allow evicting pods currently because it failed sync: no scale")
    );
}

#[tokio::test(start_paused = true)]
async fn a_successor_of_the_same_name_is_not_evicted() {
    let api = server();
    let client = api.client("tester");
    api.seed(pod("a", "web", "n1")).unwrap();
    let mut asked = eviction("a");
    asked["deleteOptions"] = json!({"preconditions": {"uid": "predecessor"}});
    check(&client, ("POST", &path("a"), JSON), asked, 409, &[("/reason", json!("Conflict"))]).await;
    assert!(!object::is_leaving(&api.get("Pod", Some("shop"), "a").unwrap()));
    check(
        &client,
        ("POST", &path("a"), JSON),
        eviction("b"),
        400,
        &[("/message", json!("name in URL does not match name in Eviction object"))],
    )
    .await;
    check(&client, ("POST", &path("none"), JSON), eviction("none"), 404, &[]).await;
}
