//! Deleting: preconditions, finalizers, grace periods and what owners leave behind.

use super::*;

const WIDGETS: &str = "/apis/example.com/v1/widgets";

#[tokio::test(start_paused = true)]
async fn a_precondition_that_does_not_hold_keeps_the_object() {
    let api = server();
    let client = api.client("tester");
    let uid = api.create(widget("w")).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    let path = format!("{WIDGETS}/w");
    for (preconditions, message) in [
        (
            json!({"uid": "other"}),
            format!(
                "Operation cannot be fulfilled on Widget.example.com \"w\": the UID in the precondition (other) does not \
                 match the UID in record ({uid}). The object might have been deleted and then recreated"
            ),
        ),
        (
            json!({"uid": uid, "resourceVersion": "1"}),
            "Operation cannot be fulfilled on Widget.example.com \"w\": the ResourceVersion in the precondition (1) does \
             not match the ResourceVersion in record (2). The object might have been modified"
                .to_owned(),
        ),
    ] {
        check(&client, ("DELETE", &path, JSON), json!({"preconditions": preconditions}), 409, &[
            ("/message", json!(message)),
            ("/reason", json!("Conflict")),
        ])
        .await;
    }
    check(
        &client,
        ("DELETE", &path, JSON),
        json!({"preconditions": {"uid": uid, "resourceVersion": "2"}}),
        200,
        &[("/status", json!("Success")), ("/details/kind", json!("widgets")), ("/details/uid", json!(uid))],
    )
    .await;
    check(&client, ("DELETE", &path, JSON), Value::Null, 404, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_holds_the_object_until_it_is_lifted() {
    let api = server();
    let client = api.client("tester");
    let mut held = widget("w");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    api.create(held).unwrap();
    let path = format!("{WIDGETS}/w");
    let mut lines = Lines::open(&client, &format!("{WIDGETS}?watch=true&resourceVersion=2")).await;
    check(
        &client,
        ("DELETE", &path, JSON),
        json!({}),
        200,
        &[
            ("/metadata/deletionTimestamp", json!(START)),
            ("/metadata/deletionGracePeriodSeconds", json!(0)),
            ("/metadata/generation", json!(2)),
        ],
    )
    .await;
    assert_eq!(lines.next_told().await, "MODIFIED w@3");
    check(&client, ("DELETE", &path, JSON), json!({}), 200, &[("/metadata/resourceVersion", json!("3"))]).await;
    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    check(&client, ("PATCH", &path, MERGE), more, 422, &[(
        "/message",
        json!(
            "Widget.example.com \"w\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the \
             object is being deleted, found new finalizers []string{\"example.com/more\"}"
        ),
    )])
    .await;
    let none = json!({"metadata": {"finalizers": null, "deletionTimestamp": null}});
    check(&client, ("PATCH", &path, MERGE), none, 200, &[("/metadata/deletionTimestamp", json!(START))]).await;
    assert_eq!(lines.next_told().await, "DELETED w@4");
    assert_eq!(api.get("Widget", None, "w"), None);
}

#[tokio::test(start_paused = true)]
async fn a_running_pod_leaves_in_its_grace_period_and_others_at_once() {
    let api = server();
    let client = api.client("tester");
    let path = |name: &str| format!("/api/v1/namespaces/shop/pods/{name}");
    for (name, node, phase) in [("run", "n1", "Running"), ("waits", "", "Pending"), ("done", "n1", "Succeeded")] {
        let mut pod = pod(name, "web", node);
        pod["status"]["phase"] = json!(phase);
        api.seed(pod).unwrap();
    }
    check(
        &client,
        ("DELETE", &path("run"), JSON),
        json!({}),
        200,
        &[
            ("/metadata/deletionTimestamp", json!("2026-03-01T12:00:30Z")),
            ("/metadata/deletionGracePeriodSeconds", json!(30)),
            ("/metadata/generation", json!(2)),
        ],
    )
    .await;
    for (asked, at) in [(60, "2026-03-01T12:00:30Z"), (5, "2026-03-01T12:00:05Z"), (10, "2026-03-01T12:00:05Z")] {
        check(
            &client,
            ("DELETE", &path("run"), JSON),
            json!({"gracePeriodSeconds": asked}),
            200,
            &[("/metadata/deletionTimestamp", json!(at))],
        )
        .await;
    }
    assert!(api.get("Pod", Some("shop"), "run").is_some());
    assert!(
        api.delete("Pod", Some("shop"), "run", &DeleteOptions { grace_period_seconds: Some(0), ..Default::default() })
            .unwrap()
    );
    for name in ["waits", "done"] {
        check(&client, ("DELETE", &path(name), JSON), json!({}), 200, &[("/kind", json!("Pod"))]).await;
    }
    assert_eq!(api.list("Pod"), Vec::<Arc<Value>>::new());
}

fn owned(mut object: Value, owners: &[&Value], blocking: bool) -> Value {
    let all = owners.iter().map(|owner| {
        json!({"apiVersion": "v1", "kind": "X", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
               "controller": true, "blockOwnerDeletion": blocking})
    });
    object["metadata"]["ownerReferences"] = all.collect();
    object
}

/// Deletes owner `w` (which owns `a` alone, and `b` together with `v`); answers who is left and who leaves.
fn check_owners(policy: Option<&str>, hold: bool, wanted: &[&str]) {
    let api = server();
    let (w, v) = (api.create(widget("w")).unwrap(), api.create(widget("v")).unwrap());
    let mut a = owned(config("a"), &[&w], true);
    if hold {
        a["metadata"]["finalizers"] = json!(["example.com/hold"]);
    }
    api.create(a).unwrap();
    let b = api.create(owned(config("b"), &[&w, &v], false)).unwrap();
    api.create(owned(config("c"), &[&b], false)).unwrap();
    let options = DeleteOptions { propagation: policy.map(str::to_owned), ..Default::default() };
    api.delete("Widget", None, "w", &options).unwrap();
    let told: Vec<String> = [api.list("Widget"), api.list("ConfigMap")]
        .concat()
        .iter()
        .map(|object| {
            let leaving = if object::is_leaving(object) { "-" } else { "" };
            format!("{leaving}{}:{}", object::text(object, "name"), object::owners(object).count())
        })
        .collect();
    assert_eq!(told, wanted, "{policy:?} {hold}");
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_leaves_behind_follows_the_policy() {
    check_owners(None, false, &["v:0", "b:1", "c:1"]);
    check_owners(Some("Background"), true, &["v:0", "-a:1", "b:1", "c:1"]);
    check_owners(Some("Foreground"), false, &["v:0", "b:1", "c:1"]);
    check_owners(Some("Foreground"), true, &["v:0", "-w:0", "-a:1", "b:1", "c:1"]);
    check_owners(Some("Orphan"), false, &["v:0", "a:0", "b:1", "c:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_of_an_owner_that_is_gone_goes_too() {
    let api = server();
    let w = api.create(widget("w")).unwrap();
    api.delete("Widget", None, "w", &DeleteOptions::default()).unwrap();
    api.create(owned(config("late"), &[&w], true)).unwrap();
    assert_eq!(api.get("ConfigMap", Some("shop"), "late"), None);
    let last = api.writes(0).pop().unwrap();
    assert_eq!((last.verb, &*last.user), ("delete", "system:serviceaccount:kube-system:generic-garbage-collector"));
    api.create(owned(config("foreign"), &[&json!({"metadata": {"name": "x", "uid": "unknown"}})], true)).unwrap();
    assert!(api.get("ConfigMap", Some("shop"), "foreign").is_some());
}
