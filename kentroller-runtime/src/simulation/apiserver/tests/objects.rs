//! Creating, reading, listing, changing.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};

use super::*;

const CONFIGS: &str = "/api/v1/namespaces/shop/configmaps";

#[tokio::test(start_paused = true)]
async fn creation_fills_in_what_only_the_server_knows() {
    let api = server();
    let client = api.client("tester");
    check(
        &client,
        ("POST", CONFIGS, JSON),
        config("a"),
        201,
        &[
            ("/metadata/resourceVersion", json!("2")),
            ("/metadata/creationTimestamp", json!(START)),
            ("/metadata/namespace", json!("shop")),
            ("/metadata/generation", json!(null)),
        ],
    )
    .await;
    let uid = api.get("ConfigMap", Some("shop"), "a").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(uid.len(), 36);
    let generated = check(
        &client,
        ("POST", CONFIGS, JSON),
        json!({"metadata": {"generateName": "run-"}}),
        201,
        &[("/kind", json!("ConfigMap")), ("/apiVersion", json!("v1"))],
    )
    .await;
    let name = generated["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("run-") && name.len() == 9, "{name}");
    check(
        &client,
        ("POST", "/apis/example.com/v1/widgets", JSON),
        widget("w"),
        201,
        &[("/metadata/generation", json!(1))],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_creation_says_why_as_the_real_server_does() {
    let client = server().client("tester");
    check(&client, ("POST", CONFIGS, JSON), config("a"), 201, &[]).await;
    let with = |field: &str, value: Value| {
        let mut object = config("b");
        object["metadata"][field] = value;
        object
    };
    let huge = "x".repeat(200 * 1024);
    for (body, code, reason, message) in [
        (config("a"), 409, "AlreadyExists", "configmaps \"a\" already exists"),
        (
            json!({"metadata": {}}),
            422,
            "Invalid",
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
        (with("resourceVersion", json!("7")), 500, "", "resourceVersion should not be set on objects to be created"),
        (
            with("namespace", json!("other")),
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            with("annotations", json!({"example.com/a": huge, "example.com/b": huge})),
            422,
            "Invalid",
            "ConfigMap \"b\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
    ] {
        check(
            &client,
            ("POST", CONFIGS, JSON),
            body,
            code,
            &[
                ("/kind", json!("Status")),
                ("/status", json!("Failure")),
                ("/code", json!(code)),
                ("/reason", if reason.is_empty() { Value::Null } else { json!(reason) }),
                ("/message", json!(message)),
            ],
        )
        .await;
    }
    for (object, field) in
        [(with("name", json!("Upper")), "metadata.name"), (with("labels", json!({"a": "b c"})), "metadata.labels")]
    {
        check(&client, ("POST", CONFIGS, JSON), object, 422, &[("/details/causes/0/field", json!(field))]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_has_a_largest_size() {
    let client = server().client("tester");
    let sized = |bytes: usize| {
        let mut object = config("big");
        object["data"]["a"] = json!("x".repeat(bytes));
        object
    };
    check(&client, ("POST", CONFIGS, JSON), sized(1_400_000), 201, &[]).await;
    check(
        &client,
        ("PUT", &format!("{CONFIGS}/big"), JSON),
        sized(1_600_000),
        500,
        &[("/message", json!("etcdserver: request is too large"))],
    )
    .await;
    check(
        &client,
        ("PUT", &format!("{CONFIGS}/big"), JSON),
        sized(3_200_000),
        413,
        &[("/reason", json!("RequestEntityTooLarge"))],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn status_is_dropped_at_creation_but_for_nodes_and_seeds() {
    let api = server();
    let client = api.client("tester");
    let mut made = widget("w");
    made["status"] = json!({"state": "Busy"});
    check(&client, ("POST", "/apis/example.com/v1/widgets", JSON), made, 201, &[("/status", json!(null))]).await;
    let pods = "/api/v1/namespaces/shop/pods";
    check(
        &client,
        ("POST", pods, JSON),
        pod("p", "a", ""),
        201,
        &[
            ("/status", json!({"phase": "Pending", "qosClass": "BestEffort"})),
            ("/spec/terminationGracePeriodSeconds", json!(30)),
            ("/spec/schedulerName", json!("default-scheduler")),
            ("/spec/tolerations/1/key", json!("node.kubernetes.io/unreachable")),
        ],
    )
    .await;
    api.seed(pod("q", "a", "n1")).unwrap();
    assert_eq!(api.get("Pod", Some("shop"), "q").unwrap()["status"]["phase"], "Running");
    let node = json!({"metadata": {"name": "n1"}, "status": {"capacity": {"cpu": "4"}}});
    check(&client, ("POST", "/api/v1/nodes", JSON), node, 201, &[("/status/capacity/cpu", json!("4"))]).await;
}

#[tokio::test(start_paused = true)]
async fn typed_lists_are_ordered_and_selected() {
    let api = server();
    let client = api.client("tester");
    for (name, app, node) in [("c", "web", "n1"), ("a", "web", "n2"), ("b", "db", "n1")] {
        api.seed(pod(name, app, node)).unwrap();
    }
    let pods: Api<Pod> = Api::all(client.clone());
    let names = |params: ListParams| {
        let pods = pods.clone();
        async move {
            let list = pods.list(&params).await.unwrap();
            let names: Vec<String> = list.items.into_iter().map(|pod| pod.metadata.name.unwrap()).collect();
            (names.join(" "), list.metadata.resource_version.unwrap())
        }
    };
    let version = api.revision().to_string();
    assert_eq!(names(ListParams::default()).await, ("a b c".into(), version.clone()));
    assert_eq!(names(ListParams::default().labels("app in (web)")).await.0, "a c");
    assert_eq!(names(ListParams::default().fields("spec.nodeName=n1,status.phase=Running")).await.0, "b c");
    let (_, list) = ask(&client, "GET", "/api/v1/namespaces/shop/pods", JSON, &Value::Null).await;
    assert_eq!((&list["kind"], &list["items"][0]["kind"]), (&json!("PodList"), &Value::Null));
    check(&client, ("GET", "/api/v1/pods?fieldSelector=spec.hostname%3Dx", JSON), Value::Null, 400, &[]).await;
    check(
        &client,
        ("GET", "/api/v1/pods?resourceVersion=999", JSON),
        Value::Null,
        504,
        &[("/reason", json!("Timeout"))],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_pages_of_a_list_are_of_one_version() {
    let api = server();
    let client = api.client("tester");
    for name in ["a", "b", "c", "d", "e"] {
        api.create(config(name)).unwrap();
    }
    let (mut path, mut told) = ("/api/v1/configmaps?limit=2".to_owned(), Vec::new());
    let change = |name| api.delete("ConfigMap", Some("shop"), name, &DeleteOptions::default()).unwrap();
    let mut changes = ["d", "a"].into_iter();
    loop {
        let page =
            check(&client, ("GET", &path, JSON), Value::Null, 200, &[("/metadata/resourceVersion", json!("6"))]).await;
        let names = page["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap());
        told.push(format!("{} +{}", names.collect::<String>(), page["metadata"]["remainingItemCount"]));
        let Some(more) = page["metadata"]["continue"].as_str() else { break };
        path = format!("/api/v1/configmaps?limit=2&continue={}", more.replace('/', "%2F"));
        change(changes.next().unwrap());
    }
    assert_eq!(told, ["ab +3", "cd +1", "e +null"]);
    path = path.replace("limit=2", "limit=1");
    api.inject(Fault::ExpireHistory { kind: None });
    check(&client, ("GET", &path, JSON), Value::Null, 410, &[("/reason", json!("Expired"))]).await;
    check(&client, ("GET", "/api/v1/configmaps?continue=x", JSON), Value::Null, 400, &[]).await;
    check(
        &client,
        ("GET", "/api/v1/configmaps?limit=3", JSON),
        Value::Null,
        200,
        &[("/metadata/continue", json!(null))],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_version_or_a_foreign_uid_is_refused() {
    let api = server();
    let client = api.client("tester");
    api.create(config("a")).unwrap();
    let path = format!("{CONFIGS}/a");
    let modified = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your \
                    changes to the latest version and try again";
    let stale = json!({"metadata": {"resourceVersion": "1"}, "data": {"a": "2"}});
    check(
        &client,
        ("PATCH", &path, MERGE),
        stale,
        409,
        &[("/message", json!(modified)), ("/reason", json!("Conflict"))],
    )
    .await;
    let mut put = config("a");
    put["metadata"]["resourceVersion"] = json!("1");
    check(&client, ("PUT", &path, JSON), put.clone(), 409, &[("/message", json!(modified))]).await;
    put["metadata"] = json!({"name": "a", "uid": "other"});
    let (_, answer) = ask(&client, "PUT", &path, JSON, &put).await;
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("StorageError: invalid object, Code: 4, Key: /registry/configmaps/shop/a"), "{message}");
    assert!(message.contains("Precondition failed: UID in precondition: other, UID in object meta: "), "{message}");
    let foreign = json!({"metadata": {"uid": "other"}});
    check(&client, ("PATCH", &path, MERGE), foreign, 422, &[("/details/causes/0/field", json!("metadata.uid"))]).await;
    put["metadata"] = json!({"name": "b"});
    check(
        &client,
        ("PUT", &path, JSON),
        put,
        400,
        &[("/message", json!("the name of the object (b) does not match the name on the URL (a)"))],
    )
    .await;
    check(
        &client,
        ("GET", &format!("{CONFIGS}/none"), JSON),
        Value::Null,
        404,
        &[("/message", json!("configmaps \"none\" not found"))],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_custom_kind_is_replaced_only_with_a_version() {
    let api = server();
    let client = api.client("tester");
    api.create(widget("w")).unwrap();
    check(&client, ("PUT", "/apis/example.com/v1/widgets/w", JSON), widget("w"), 422, &[(
        "/message",
        json!("Widget.example.com \"w\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"),
    )])
    .await;
}

#[tokio::test(start_paused = true)]
async fn generation_counts_changes_of_the_spec_and_version_counts_writes() {
    let api = server();
    let client = api.client("tester");
    api.create(widget("w")).unwrap();
    let path = "/apis/example.com/v1/widgets/w";
    let status = format!("{path}/status");
    for (path, patch, version, generation) in [
        (path, json!({"spec": {"size": 3}}), 2, 1),
        (path, json!({"metadata": {"labels": {"a": "b"}}}), 3, 1),
        (path, json!({"metadata": {"labels": {"a": null}}}), 4, 1),
        (path, json!({"spec": {"size": 4}}), 5, 2),
        (path, json!({"status": {"state": "Busy"}}), 5, 2),
        (&status, json!({"status": {"state": "Busy"}, "spec": {"size": 9}}), 6, 2),
        (&status, json!({"status": {"state": "Busy"}}), 6, 2),
        (path, json!({"metadata": {"generation": 40, "creationTimestamp": "2001-01-01T00:00:00Z", "name": "w"}}), 6, 2),
    ] {
        check(
            &client,
            ("PATCH", path, MERGE),
            patch,
            200,
            &[("/metadata/resourceVersion", json!(version.to_string())), ("/metadata/generation", json!(generation))],
        )
        .await;
    }
    check(
        &client,
        ("GET", path, JSON),
        Value::Null,
        200,
        &[("/status/state", json!("Busy")), ("/spec/size", json!(4)), ("/metadata/labels", json!(null))],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn typed_writes_work_and_what_is_false_is_left_out_of_a_node() {
    let api = server();
    let nodes: Api<Node> = Api::all(api.client("tester"));
    let node: Node = serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": {"providerID": "x"}})).unwrap();
    let mut node = nodes.create(&PostParams::default(), &node).await.unwrap();
    nodes.patch("n", &PatchParams::default(), &Patch::Merge(json!({"spec": {"unschedulable": true}}))).await.unwrap();
    let stale = nodes.replace("n", &PostParams::default(), &node).await.unwrap_err();
    assert!(matches!(&stale, kube::Error::Api(status) if status.is_conflict()), "{stale}");
    nodes
        .patch("n", &PatchParams::default(), &Patch::Merge(json!({"spec": {"unschedulable": false, "taints": []}})))
        .await
        .unwrap();
    assert_eq!(api.get("Node", None, "n").unwrap()["spec"], json!({"providerID": "x"}));
    node = nodes.get("n").await.unwrap();
    node.spec.as_mut().unwrap().unschedulable = Some(true);
    assert_eq!(
        nodes.replace("n", &PostParams::default(), &node).await.unwrap().spec.unwrap().unschedulable,
        Some(true)
    );
}

#[tokio::test(start_paused = true)]
async fn leases_and_events_are_plain_kinds() {
    let api = server();
    let client = api.client("tester");
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "renewTime": "2026-03-01T12:00:00.123456Z"}});
    check(&client, ("POST", leases, JSON), lease, 201, &[("/spec/renewTime", json!("2026-03-01T12:00:00.123456Z"))])
        .await;
    let events = "/apis/events.k8s.io/v1/namespaces/shop/events";
    let event =
        json!({"metadata": {"generateName": "e."}, "reason": "Why", "eventTime": "2026-03-01T12:00:00.000001Z"});
    check(&client, ("POST", events, JSON), event, 201, &[("/metadata/generation", json!(null))]).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_run_gives_the_same_bytes() {
    let run = || {
        let api = server();
        for name in ["a", "b"] {
            api.create(config(name)).unwrap();
        }
        api.update("ConfigMap", Some("shop"), "a", |object| object["data"]["b"] = json!("2")).unwrap();
        format!("{:?} {:?}", api.list("ConfigMap"), api.writes(0))
    };
    assert_eq!(run(), run());
}

#[tokio::test(start_paused = true)]
async fn a_direct_change_that_changes_nothing_is_not_written() {
    let api = server();
    api.create(config("a")).unwrap();
    let before = api.revision();
    api.update("ConfigMap", Some("shop"), "a", |object| object["data"]["a"] = json!("1")).unwrap();
    assert_eq!(api.revision(), before);
    assert_eq!(api.writes(0).len(), 1);
}
