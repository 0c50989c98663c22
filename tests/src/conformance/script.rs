//! The requests, in their order. What they make is theirs alone: names begin with `conformance`.

use serde_json::{Value, json};

use crate::rest::{JSON, MERGE};

/// The namespace must be there, with its default ServiceAccount.
pub const NAMESPACE: &str = "conformance";
/// A node that no kubelet serves.
pub const NODE: &str = "conformance-1";

const SCHEDULES: &str = "/apis/autoscaling.cast.ai/v1alpha/rebalanceplanschedules";
const CLAIMS: &str = "/apis/autoscaling.cast.ai/v1alpha/rebalanceplanclaims";
const PODS: &str = "/api/v1/namespaces/conformance/pods";
const BUDGETS: &str = "/apis/policy/v1/namespaces/conformance/poddisruptionbudgets";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/conformance/leases";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/conformance/events";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    Admin,
    /// Has no right at all.
    Nobody,
}

/// What becomes of a step's answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expects {
    /// It is recorded.
    Answer,
    /// It is a watch: its events are recorded.
    Events,
    /// It is a watch since a version that no server remembers: its events are recorded.
    NoHistory { kind: &'static str },
    /// Nothing is recorded: the object is looked at until a field has a value; where nobody acts, `otherwise` is put into
    /// its status first.
    Settled { pointer: &'static str, value: Value, otherwise: Value },
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) user: User,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) content: &'static str,
    pub(super) body: Value,
    pub(super) expects: Expects,
}

fn step(name: &'static str, method: &'static str, path: impl Into<String>, body: Value) -> Step {
    let content = if method == "PATCH" { MERGE } else { JSON };
    Step { name, user: User::Admin, method, path: path.into(), content, body, expects: Expects::Answer }
}

fn get(name: &'static str, path: impl Into<String>) -> Step {
    step(name, "GET", path, Value::Null)
}

fn watch(name: &'static str, path: impl Into<String>) -> Step {
    Step { expects: Expects::Events, ..get(name, path) }
}

fn settled(name: &'static str, path: impl Into<String>, pointer: &'static str, value: Value, otherwise: Value) -> Step {
    Step { expects: Expects::Settled { pointer, value, otherwise }, ..get(name, path) }
}

fn by_nobody(step: Step) -> Step {
    Step { user: User::Nobody, ..step }
}

/// All requests.
pub(super) fn script() -> Vec<Step> {
    [writes(), reads(), status(), deletion(), children(), records(), nodes(), pods(), budgets(), watches()].concat()
}

fn schedule(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlanSchedule",
        "metadata": {"name": name, "labels": {"suite": "conformance"}}, "spec": spec})
}

fn daily() -> Value {
    json!({"schedule": "@daily", "rebalancePlanClaimTemplate": {"spec": {}}})
}

fn claim(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlanClaim",
        "metadata": {"name": name, "labels": {"suite": "conformance"}}, "spec": spec})
}

fn writes() -> Vec<Step> {
    let selector = json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]});
    vec![
        step("create", "POST", SCHEDULES, schedule("conformance-a", daily())),
        step("create again", "POST", SCHEDULES, schedule("conformance-a", daily())),
        step("create with a field that nobody knows", "POST", SCHEDULES, {
            let mut spec = daily();
            spec["nonsense"] = json!({"deep": true});
            schedule("conformance-b", spec)
        }),
        step(
            "create without what is required",
            "POST",
            SCHEDULES,
            schedule("conformance-c", json!({"schedule": "@daily"})),
        ),
        // One mistake each: the real server tells several in any order.
        step("create with a number out of range", "POST", SCHEDULES, {
            let mut spec = daily();
            spec["failedJobsHistoryLimit"] = json!(-1);
            schedule("conformance-c", spec)
        }),
        step("create with a wrong word", "POST", SCHEDULES, {
            let mut spec = daily();
            spec["rebalancePlanClaimTemplate"]["spec"]["mode"] = json!("Random");
            schedule("conformance-c", spec)
        }),
        step("create with a wrong type", "POST", SCHEDULES, {
            let mut spec = daily();
            spec["suspend"] = json!("yes");
            schedule("conformance-c", spec)
        }),
        step(
            "create against a rule",
            "POST",
            CLAIMS,
            claim("conformance-c", json!({"scope": {"nodeNames": ["a"], "nodeSelector": selector}})),
        ),
        step("create with a wrong name", "POST", SCHEDULES, schedule("Conformance_C", daily())),
        step("create with a status", "POST", CLAIMS, {
            let mut claim = claim("conformance-d", json!({"autoExecute": false}));
            claim["status"] = json!({"state": "Completed"});
            claim
        }),
        step(
            "change",
            "PATCH",
            format!("{SCHEDULES}/conformance-a"),
            json!({
                "metadata": {"uid": "$create:/metadata/uid$", "resourceVersion": "$create:/metadata/resourceVersion$"},
                "spec": {"schedule": "@hourly", "timeZone": "Europe/Vilnius"},
            }),
        ),
        step("change nothing", "PATCH", format!("{SCHEDULES}/conformance-a"), json!({"spec": {"schedule": "@hourly"}})),
        step(
            "take a field away",
            "PATCH",
            format!("{SCHEDULES}/conformance-a"),
            json!({"spec": {"timeZone": null, "suspend": null}}),
        ),
        step(
            "change only labels",
            "PATCH",
            format!("{SCHEDULES}/conformance-a"),
            json!({"metadata": {"labels": {"more": "1"}}}),
        ),
        step(
            "change with an old version",
            "PATCH",
            format!("{SCHEDULES}/conformance-a"),
            json!({
                "metadata": {"uid": "$create:/metadata/uid$", "resourceVersion": "$create:/metadata/resourceVersion$"},
                "spec": {"schedule": "@weekly"},
            }),
        ),
        step(
            "change another object of that name",
            "PATCH",
            format!("{SCHEDULES}/conformance-a"),
            json!({
                "metadata": {"uid": "00000000-0000-4000-8000-000000000000"}, "spec": {"schedule": "@weekly"},
            }),
        ),
        step(
            "change to something wrong",
            "PATCH",
            format!("{SCHEDULES}/conformance-a"),
            json!({"spec": {"schedule": ""}}),
        ),
        step(
            "change what is not there",
            "PATCH",
            format!("{SCHEDULES}/conformance-z"),
            json!({"spec": {"schedule": "@daily"}}),
        ),
    ]
}

fn reads() -> Vec<Step> {
    vec![
        get("read", format!("{SCHEDULES}/conformance-a")),
        get("read what is not there", format!("{SCHEDULES}/conformance-z")),
        get("list", format!("{SCHEDULES}?labelSelector=suite%3Dconformance")),
        get("list the first", format!("{SCHEDULES}?labelSelector=suite%3Dconformance&limit=1")),
        get(
            "list the rest",
            format!(
                "{SCHEDULES}?labelSelector=suite%3Dconformance&limit=1&continue=$list the first:/metadata/continue$"
            ),
        ),
        get("list by a set of labels", format!("{SCHEDULES}?labelSelector=suite+in+%28conformance%29%2Cmore")),
        by_nobody(get("list without the right", SCHEDULES)),
        by_nobody(step(
            "change without the right",
            "PATCH",
            format!("{SCHEDULES}/conformance-a"),
            json!({"spec": {"suspend": true}}),
        )),
    ]
}

fn status() -> Vec<Step> {
    let one = format!("{SCHEDULES}/conformance-a");
    let condition = |status: &str| json!({"type": "Ready", "status": status, "reason": "Told", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    vec![
        step(
            "write the status",
            "PATCH",
            format!("{one}/status"),
            json!({"status": {"activeCount": 2, "conditions": [condition("True")]}}),
        ),
        step(
            "write the status and more",
            "PATCH",
            format!("{one}/status"),
            json!({
                "metadata": {"labels": {"ignored": "1"}}, "spec": {"schedule": "@weekly"}, "status": {"activeCount": 3},
            }),
        ),
        step("write the status beside the spec", "PATCH", one.clone(), json!({"status": {"activeCount": 9}})),
        step(
            "write a wrong status",
            "PATCH",
            format!("{one}/status"),
            json!({"status": {"conditions": [condition("Perhaps")]}}),
        ),
        step(
            "write the status with an old version",
            "PATCH",
            format!("{one}/status"),
            json!({
                "metadata": {"resourceVersion": "$create:/metadata/resourceVersion$"}, "status": {"activeCount": 1},
            }),
        ),
    ]
}

fn deletion() -> Vec<Step> {
    let one = format!("{SCHEDULES}/conformance-a");
    let delete = |preconditions: Value| json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", "preconditions": preconditions});
    vec![
        step("add a finalizer", "PATCH", one.clone(), json!({"metadata": {"finalizers": ["example.com/held"]}})),
        step(
            "delete another object of that name",
            "DELETE",
            one.clone(),
            delete(json!({"uid": "00000000-0000-4000-8000-000000000000"})),
        ),
        step(
            "delete an old version",
            "DELETE",
            one.clone(),
            delete(json!({"resourceVersion": "$create:/metadata/resourceVersion$"})),
        ),
        step("delete what is held", "DELETE", one.clone(), delete(json!({"uid": "$create:/metadata/uid$"}))),
        step("delete what is leaving", "DELETE", one.clone(), delete(json!({"uid": "$create:/metadata/uid$"}))),
        step(
            "add a finalizer to what is leaving",
            "PATCH",
            one.clone(),
            json!({"metadata": {"finalizers": ["example.com/held", "example.com/more"]}}),
        ),
        step("take the finalizer away", "PATCH", one.clone(), json!({"metadata": {"finalizers": []}})),
        get("read what has gone", one.clone()),
        step("delete what has gone", "DELETE", one, delete(Value::Null)),
        step(
            "delete",
            "DELETE",
            format!("{SCHEDULES}/conformance-b"),
            delete(json!({"uid": "$create with a field that nobody knows:/metadata/uid$"})),
        ),
        step("delete the claim", "DELETE", format!("{CLAIMS}/conformance-d"), delete(Value::Null)),
    ]
}

/// What belongs to an object goes with it.
fn children() -> Vec<Step> {
    let owner = json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlanSchedule", "name": "conformance-o",
        "uid": "$create an owner:/metadata/uid$", "controller": true, "blockOwnerDeletion": true});
    let mut child = claim("conformance-o-1", json!({}));
    child["metadata"]["ownerReferences"] = json!([owner]);
    vec![
        step("create an owner", "POST", SCHEDULES, schedule("conformance-o", daily())),
        step("create a child", "POST", CLAIMS, child),
        step(
            "delete the owner",
            "DELETE",
            format!("{SCHEDULES}/conformance-o"),
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}),
        ),
        settled("the child goes", format!("{CLAIMS}/conformance-o-1"), "", Value::Null, Value::Null),
        get("read the child", format!("{CLAIMS}/conformance-o-1")),
    ]
}

/// Leases and events.
fn records() -> Vec<Step> {
    let lease = |version: &str, holder: &str| {
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "conformance", "namespace": NAMESPACE, "resourceVersion": version},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 0,
                "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"}})
    };
    let event = |name: &str, action: &str| {
        json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name, "namespace": NAMESPACE},
            "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "Told", "action": action, "note": "a note",
            "reportingController": "example.com/conformance", "reportingInstance": "one",
            "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": NAMESPACE, "name": "conformance-1"}})
    };
    let one = format!("{LEASES}/conformance");
    vec![
        step("create a lease", "POST", LEASES, lease("", "one")),
        step("renew the lease", "PUT", one.clone(), lease("$create a lease:/metadata/resourceVersion$", "two")),
        step("renew an old lease", "PUT", one.clone(), lease("$create a lease:/metadata/resourceVersion$", "three")),
        get("read the lease", one),
        step("create an event", "POST", EVENTS, event("conformance-told", "Tell")),
        step("create an event without an action", "POST", EVENTS, event("conformance-untold", "")),
    ]
}

fn nodes() -> Vec<Step> {
    let one = format!("/api/v1/nodes/{NODE}");
    let node =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {"suite": "conformance"}}});
    vec![
        step("create a node", "POST", "/api/v1/nodes", node),
        step(
            "cordon",
            "PATCH",
            one.clone(),
            json!({"metadata": {"labels": {"rebalancing.cast.ai/plan": "x"}}, "spec": {"unschedulable": true}}),
        ),
        step(
            "give a node a wrong label",
            "PATCH",
            one.clone(),
            json!({"metadata": {"labels": {"rebalancing.cast.ai/plan": "not a label!"}}}),
        ),
        step(
            "uncordon",
            "PATCH",
            one,
            json!({"metadata": {"labels": {"rebalancing.cast.ai/plan": null}}, "spec": {"unschedulable": null}}),
        ),
    ]
}

fn pods() -> Vec<Step> {
    let pod = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "conformance"}},
            "spec": {"nodeName": NODE, "automountServiceAccountToken": false, "containers": [{"name": "main", "image": "example.test/service:1", "resources": {"requests": {"cpu": "10m"}}}]}})
    };
    let runs = json!({"status": {"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]}});
    vec![
        step("create a pod", "POST", PODS, pod("conformance-1")),
        step("create another pod", "POST", PODS, pod("conformance-2")),
        get("list the pods of a node", format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{NODE}")),
        step("let the pod run", "PATCH", format!("{PODS}/conformance-1/status"), runs.clone()),
        step("let the other pod run", "PATCH", format!("{PODS}/conformance-2/status"), runs),
    ]
}

fn budgets() -> Vec<Step> {
    let budget = |name: &str| {
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "conformance"}}}})
    };
    let settled_status = json!({"status": {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2, "observedGeneration": 1}});
    let evict = |name: &str, uid: &str| {
        let mut body =
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}});
        if !uid.is_empty() {
            body["deleteOptions"] = json!({"preconditions": {"uid": uid}});
        }
        body
    };
    let eviction = |name: &str| format!("{PODS}/{name}/eviction");
    vec![
        step("create a budget", "POST", BUDGETS, budget("conformance")),
        settled(
            "the budget allows one",
            format!("{BUDGETS}/conformance"),
            "/status/disruptionsAllowed",
            json!(1),
            settled_status,
        ),
        by_nobody(step("evict without the right", "POST", eviction("conformance-1"), evict("conformance-1", ""))),
        step("evict what is not there", "POST", eviction("conformance-9"), evict("conformance-9", "")),
        step("evict", "POST", eviction("conformance-1"), evict("conformance-1", "$create a pod:/metadata/uid$")),
        get("read the evicted pod", format!("{PODS}/conformance-1")),
        settled(
            "the budget counts it",
            format!("{BUDGETS}/conformance"),
            "/status/currentHealthy",
            json!(1),
            json!({"status": {"currentHealthy": 1}}),
        ),
        step(
            "evict more than allowed",
            "POST",
            eviction("conformance-2"),
            evict("conformance-2", "$create another pod:/metadata/uid$"),
        ),
        step(
            "end the evicted pod",
            "DELETE",
            format!("{PODS}/conformance-1"),
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}),
        ),
        get("read the ended pod", format!("{PODS}/conformance-1")),
        step("create a second budget", "POST", BUDGETS, budget("conformance-too")),
        step("evict under two budgets", "POST", eviction("conformance-2"), evict("conformance-2", "")),
        step("delete the second budget", "DELETE", format!("{BUDGETS}/conformance-too"), Value::Null),
        step("delete the budget", "DELETE", format!("{BUDGETS}/conformance"), Value::Null),
        step(
            "evict another pod of that name",
            "POST",
            eviction("conformance-2"),
            evict("conformance-2", "00000000-0000-4000-8000-000000000000"),
        ),
        step(
            "evict without a budget",
            "POST",
            eviction("conformance-2"),
            evict("conformance-2", "$create another pod:/metadata/uid$"),
        ),
        step(
            "end the other pod",
            "DELETE",
            format!("{PODS}/conformance-2"),
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}),
        ),
        step("delete the node", "DELETE", format!("/api/v1/nodes/{NODE}"), Value::Null),
        step("delete the lease", "DELETE", format!("{LEASES}/conformance"), Value::Null),
    ]
}

fn watches() -> Vec<Step> {
    let of = |from: &str| {
        format!(
            "{SCHEDULES}?labelSelector=suite%3Dconformance&watch=true&allowWatchBookmarks=true&timeoutSeconds=3&resourceVersion={from}"
        )
    };
    vec![
        watch("watch since the list", of("$list:/metadata/resourceVersion$")),
        Step { expects: Expects::NoHistory { kind: "RebalancePlanSchedule" }, ..get("watch since long ago", of("1")) },
    ]
}
