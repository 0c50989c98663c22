//! Server-side apply.

use super::*;

const NODE: &str = "/api/v1/nodes/n";
const WIDGET: &str = "/apis/example.com/v1/widgets/w";

fn marks(labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"labels": labels}})
}

async fn apply(
    client: &kube::Client,
    path: &str,
    who: &str,
    body: Value,
    code: u16,
    fields: &[(&str, Value)],
) -> Value {
    let (path, force) = path.strip_suffix('!').map_or((path, ""), |path| (path, "&force=true"));
    check(client, ("PATCH", &format!("{path}?fieldManager={who}{force}"), APPLY), body, code, fields).await
}

#[tokio::test(start_paused = true)]
async fn an_applier_takes_back_only_what_it_alone_applied() {
    let api = server();
    let client = api.client("tester");
    api.create(json!({"kind": "Node", "metadata": {"name": "n", "labels": {"zone": "a", "both": "x"}}})).unwrap();
    let labels = |value: Value| [("/metadata/labels", value)];
    apply(
        &client,
        NODE,
        "us",
        marks(json!({"mark": "1", "both": "x"})),
        200,
        &labels(json!({"zone": "a", "both": "x", "mark": "1"})),
    )
    .await;
    apply(&client, NODE, "them", marks(json!({"mark": "1"})), 200, &[]).await;
    apply(
        &client,
        NODE,
        "us",
        marks(json!({"more": "2"})),
        200,
        &labels(json!({"zone": "a", "both": "x", "mark": "1", "more": "2"})),
    )
    .await;
    apply(&client, NODE, "them", marks(json!({})), 200, &labels(json!({"zone": "a", "both": "x", "more": "2"}))).await;
    apply(&client, NODE, "us", marks(json!({})), 200, &labels(json!({"zone": "a", "both": "x"}))).await;
}

#[tokio::test(start_paused = true)]
async fn another_value_of_another_owner_is_a_conflict_unless_forced() {
    let api = server();
    let client = api.client("tester");
    api.create(json!({"kind": "Node", "metadata": {"name": "n", "labels": {"zone": "a"}}})).unwrap();
    apply(&client, NODE, "them", marks(json!({"mark": "1"})), 200, &[]).await;
    apply(
        &client,
        NODE,
        "us",
        marks(json!({"mark": "2", "zone": "b"})),
        409,
        &[
            ("/reason", json!("Conflict")),
            (
                "/message",
                json!(
                    "Apply failed with 2 conflicts: conflict with \"them\" using v1: .metadata.labels.mark\n\
             conflict with \"unknown\" using v1: .metadata.labels.zone"
                ),
            ),
            ("/details/causes/0/reason", json!("FieldManagerConflict")),
            ("/details/causes/0/field", json!(".metadata.labels.mark")),
        ],
    )
    .await;
    apply(
        &client,
        &format!("{NODE}!"),
        "us",
        marks(json!({"mark": "2"})),
        200,
        &[("/metadata/labels/mark", json!("2"))],
    )
    .await;
    apply(&client, NODE, "them", marks(json!({})), 200, &[("/metadata/labels/mark", json!("2"))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_plain_write_takes_the_field_from_its_applier() {
    let api = server();
    let client = api.client("tester");
    api.create(json!({"kind": "Node", "metadata": {"name": "n"}})).unwrap();
    apply(&client, NODE, "us", marks(json!({"mark": "1"})), 200, &[]).await;
    check(&client, ("PATCH", NODE, MERGE), json!({"metadata": {"labels": {"mark": "human"}}}), 200, &[]).await;
    apply(&client, NODE, "us", marks(json!({"mark": "1"})), 409, &[]).await;
    apply(&client, NODE, "us", marks(json!({})), 200, &[("/metadata/labels/mark", json!("human"))]).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_application_again_is_no_write() {
    let api = server();
    let client = api.client("tester");
    api.create(json!({"kind": "Node", "metadata": {"name": "n", "labels": {"a": "1"}}})).unwrap();
    // The first one is a write even where no value changes: it makes an owner.
    let version = |version: &str| [("/metadata/resourceVersion", json!(version))];
    apply(&client, NODE, "us", marks(json!({"a": "1"})), 200, &version("3")).await;
    apply(&client, NODE, "us", marks(json!({"a": "1"})), 200, &version("3")).await;
    let mut stale = marks(json!({"a": "2"}));
    stale["metadata"]["resourceVersion"] = json!("2");
    apply(&client, &format!("{NODE}!"), "us", stale, 409, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn applying_creates_what_is_missing_unless_it_names_a_uid() {
    let api = server();
    let client = api.client("tester");
    let mut wanted = widget("w");
    wanted["metadata"]["uid"] = json!("gone");
    apply(&client, WIDGET, "us", wanted.clone(), 409, &[(
        "/message",
        json!(
            "Operation cannot be fulfilled on widgets.example.com \"w\": uid mismatch: the provided object specified uid \
             gone, and no existing object was found"
        ),
    )]).await;
    apply(&client, WIDGET, "us", widget("w"), 201, &[("/spec/color", json!("red"))]).await;
    apply(
        &client,
        WIDGET,
        "them",
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"size": 4}}),
        409,
        &[],
    )
    .await;
    wanted["metadata"]["uid"] = json!("other");
    apply(&client, WIDGET, "us", wanted, 422, &[("/details/causes/0/field", json!("metadata.uid"))]).await;
    check(
        &client,
        ("PATCH", WIDGET, APPLY),
        widget("w"),
        422,
        &[(
            "/message",
            json!(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
            ),
        )],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn keyed_lists_are_merged_by_key_and_others_are_one_value() {
    let api = server();
    let client = api.client("tester");
    let limits = |limits: Value| json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"limits": limits}});
    let mut first = widget("w");
    first["spec"]["limits"] = json!([{"name": "cpu", "max": 1}]);
    api.create(first).unwrap();
    apply(
        &client,
        WIDGET,
        "us",
        limits(json!([{"name": "mem", "max": 2}])),
        200,
        &[("/spec/limits", json!([{"name": "cpu", "max": 1, "unit": "m"}, {"name": "mem", "max": 2, "unit": "m"}]))],
    )
    .await;
    apply(
        &client,
        WIDGET,
        "us",
        limits(json!([{"name": "cpu", "unit": "m"}])),
        200,
        &[("/spec/limits", json!([{"name": "cpu", "max": 1, "unit": "m"}]))],
    )
    .await;
    apply(
        &client,
        WIDGET,
        "us",
        json!({"apiVersion": "example.com/v1", "kind": "Widget"}),
        200,
        &[("/spec/limits", json!([{"name": "cpu", "max": 1, "unit": "m"}]))],
    )
    .await;
    api.create(
        json!({"kind": "Node", "metadata": {"name": "n"}, "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
    )
    .unwrap();
    let taints =
        json!({"apiVersion": "v1", "kind": "Node", "spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}});
    apply(&client, NODE, "us", taints.clone(), 409, &[]).await;
    apply(
        &client,
        &format!("{NODE}!"),
        "us",
        taints,
        200,
        &[("/spec/taints/0/key", json!("b")), ("/spec/taints/1", json!(null))],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_status_is_applied_apart() {
    let api = server();
    let client = api.client("tester");
    api.create(widget("w")).unwrap();
    let both =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"size": 7}, "status": {"state": "Busy"}});
    apply(
        &client,
        &format!("{WIDGET}/status"),
        "us",
        both.clone(),
        200,
        &[("/spec/size", json!(3)), ("/status/state", json!("Busy"))],
    )
    .await;
    let other = json!({"apiVersion": "example.com/v1", "kind": "Widget", "status": {"state": "Idle"}});
    apply(&client, WIDGET, "us", other, 200, &[("/status/state", json!("Busy"))]).await;
    apply(&client, "/apis/example.com/v1/widgets/none/status", "us", both, 404, &[]).await;
}
