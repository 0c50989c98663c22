//! Access rules, the log of requests and writes, and what is not served.

use std::sync::Mutex;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_without_a_rule_is_forbidden_and_says_what_is_missing() {
    let api = server();
    api.create(config("a")).unwrap();
    api.seed(pod("p", "web", "n1")).unwrap();
    let client = api.client("system:serviceaccount:ops:us");
    let rule = |group: &str, resource: &str, verbs: &[&str]| Rule {
        groups: vec![group.into()],
        resources: vec![resource.into()],
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..Rule::default()
    };
    let mut own = rule("", "configmaps", &["get"]);
    own.namespace = Some("shop".into());
    own.names = vec!["a".into()];
    api.allow(
        "system:serviceaccount:ops:us",
        Some(vec![own, rule("", "pods", &["list", "watch"]), rule("example.com", "widgets", &["*"])]),
    );
    for (method, path, code) in [
        ("GET", "/api/v1/namespaces/shop/configmaps/a", 200),
        ("GET", "/api/v1/namespaces/shop/configmaps/b", 403),
        ("GET", "/api/v1/pods", 200),
        ("GET", "/apis/example.com/v1/widgets", 200),
        ("GET", "/apis/example.com/v1/widgets/w", 404),
    ] {
        check(&client, (method, path, JSON), Value::Null, code, &[]).await;
    }
    let who = "User \"system:serviceaccount:ops:us\" cannot";
    let eviction = json!({"metadata": {"name": "p", "namespace": "shop"}});
    check(&client, ("POST", "/api/v1/namespaces/shop/pods/p/eviction", JSON), eviction, 403, &[
        ("/reason", json!("Forbidden")),
        ("/message", json!(format!(
            "pods \"p\" is forbidden: {who} create resource \"pods/eviction\" in API group \"\" in the namespace \"shop\""
        ))),
    ])
    .await;
    check(
        &client,
        ("GET", "/api/v1/nodes", JSON),
        Value::Null,
        403,
        &[(
            "/message",
            json!(format!("nodes is forbidden: {who} list resource \"nodes\" in API group \"\" at the cluster scope")),
        )],
    )
    .await;
    let asked: Vec<String> = api
        .requests()
        .into_iter()
        .map(|one| format!("{} {}/{}/{}", one.verb, one.group, one.resource, one.subresource))
        .collect();
    assert_eq!(
        asked,
        [
            "create /pods/eviction",
            "get /configmaps/",
            "get example.com/widgets/",
            "list /nodes/",
            "list /pods/",
            "list example.com/widgets/",
        ]
    );
    api.allow("system:serviceaccount:ops:us", None);
    check(&client, ("GET", "/api/v1/nodes", JSON), Value::Null, 200, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn every_write_is_logged_and_shown_to_observers_in_order() {
    let api = server();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, inside) = (seen.clone(), api.clone());
    api.on_commit(move |commit| {
        // An observer may read: the lock is free.
        let now = inside.revision();
        let (before, after) = (commit.before.is_some(), commit.after.is_some());
        log.lock().unwrap().push((commit.write.verb, commit.write.name.clone(), before, after, now));
    });
    let client = api.client("tester");
    check(&client, ("POST", "/apis/example.com/v1/widgets", JSON), widget("w"), 201, &[]).await;
    check(
        &client,
        ("PATCH", "/apis/example.com/v1/widgets/w/status", MERGE),
        json!({"status": {"state": "Busy"}}),
        200,
        &[],
    )
    .await;
    check(&client, ("DELETE", "/apis/example.com/v1/widgets/w", JSON), json!({}), 200, &[]).await;
    assert_eq!(
        *seen.lock().unwrap(),
        [
            ("create", "w".to_owned(), false, true, 2),
            ("patch", "w".to_owned(), true, true, 3),
            ("delete", "w".to_owned(), true, false, 4),
        ]
    );
    let writes = api.writes(2);
    assert_eq!(writes.len(), 2);
    api.acting_as("karpenter").create(widget("k")).unwrap();
    assert_eq!(&*api.writes(4)[0].user, "karpenter");
    assert_eq!((writes[0].subresource, &*writes[0].user, &*writes[0].kind), ("status", "tester", "Widget"));
}

/// Asks for something that nobody here may ask.
async fn check_unserved(method: &str, path: &str, kind: &str) {
    let api = server();
    api.create(widget("w")).unwrap();
    let client = api.client("tester");
    let request =
        ::http::Request::builder().method(method).uri(path).header("content-type", kind).body(Body::from(Vec::new()));
    let asked = tokio::spawn(async move { client.send(request.unwrap()).await.map(drop) }).await;
    assert!(asked.unwrap_err().is_panic(), "{method} {path}");
    assert_eq!(api.unserved(), [format!("{method} {path}")]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_panics_with_its_method_and_path() {
    for (method, path, kind) in [
        ("GET", "/version", JSON),
        ("GET", "/apis/example.com/v1/gadgets", JSON),
        ("GET", "/apis/example.com/v1/widgets?sendInitialEvents=true", JSON),
        ("GET", "/apis/example.com/v1/widgets/w/scale", JSON),
        ("DELETE", "/apis/example.com/v1/widgets", JSON),
        ("PATCH", "/apis/example.com/v1/widgets/w", "application/json-patch+json"),
        ("PATCH", "/api/v1/nodes/n", "application/strategic-merge-patch+json"),
        ("POST", "/apis/example.com/v1/widgets?dryRun=All", JSON),
        ("PATCH", "/api/v1/namespaces/shop/configmaps/a/status", MERGE),
        ("POST", "/api/v1/namespaces/shop/pods/p/binding", JSON),
    ] {
        check_unserved(method, path, kind).await;
    }
}
