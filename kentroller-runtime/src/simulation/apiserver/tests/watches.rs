//! Watches: what they tell, from when, and how they end.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, WatchEvent, WatchParams};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_watch_tells_every_change_after_its_version() {
    let api = server();
    let client = api.client("tester");
    api.create(config("a")).unwrap();
    let mut lines = Lines::open(&client, "/api/v1/configmaps?watch=true&resourceVersion=2").await;
    api.create(config("b")).unwrap();
    api.update("ConfigMap", Some("shop"), "a", |object| object["data"]["a"] = json!("2")).unwrap();
    api.create(widget("w")).unwrap();
    api.delete("ConfigMap", Some("shop"), "b", &DeleteOptions::default()).unwrap();
    for wanted in ["ADDED b@3", "MODIFIED a@4", "DELETED b@6"] {
        assert_eq!(lines.next_told().await, wanted);
    }
    assert!(lines.is_quiet(Duration::from_secs(10)).await);
    let mut from_start = Lines::open(&client, "/api/v1/configmaps?watch=true").await;
    assert_eq!(from_start.next_told().await, "ADDED a@4");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_enters_or_leaves_the_selection_is_added_or_deleted() {
    let api = server();
    let client = api.client("tester");
    api.seed(pod("p", "web", "n1")).unwrap();
    let path = "/api/v1/pods?watch=true&resourceVersion=2&labelSelector=app%3Ddb";
    let mut lines = Lines::open(&client, path).await;
    let label = |app: &'static str| {
        api.update("Pod", Some("shop"), "p", move |pod| pod["metadata"]["labels"]["app"] = json!(app)).unwrap();
    };
    label("db");
    assert_eq!(lines.next_told().await, "ADDED p@3");
    label("web");
    let left = lines.next().await;
    assert_eq!(left["type"], "DELETED");
    assert_eq!(left["object"]["metadata"]["labels"]["app"], "db");
    assert_eq!(left["object"]["metadata"]["resourceVersion"], "4");
    label("cache");
    assert!(lines.is_quiet(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_every_minute_and_before_the_end_and_carry_the_latest_version_once_anything_of_the_kind_changed()
{
    let api = server();
    let client = api.client("tester");
    let path = "/api/v1/configmaps?watch=true&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=150";
    let mut lines = Lines::open(&client, path).await;
    let began = Instant::now();
    assert!(lines.is_quiet(Duration::from_secs(59)).await);
    api.create(config("c")).unwrap();
    assert_eq!(lines.next_told().await, "ADDED c@2");
    api.create(widget("w")).unwrap();
    let bookmark = lines.next().await;
    assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], "3");
    assert_eq!(began.elapsed().as_secs(), 60);
    for second in [120, 148] {
        assert_eq!(lines.next().await["type"], "BOOKMARK");
        assert_eq!(began.elapsed().as_secs(), second);
    }
    assert!(lines.is_over().await);
    assert_eq!(began.elapsed().as_secs(), 150);
    let mut quiet = Lines::open(&client, &path.replace("configmaps", "nodes").replace("Version=1", "Version=3")).await;
    assert!(quiet.is_quiet(Duration::from_secs(149)).await && quiet.is_over().await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_forgotten_history_gets_410() {
    let api = server();
    let client = api.client("tester");
    api.create(config("a")).unwrap();
    api.create(config("b")).unwrap();
    api.inject(Fault::ExpireHistory { kind: Some("ConfigMap".into()) });
    let mut lines = Lines::open(&client, "/api/v1/configmaps?watch=true&resourceVersion=2").await;
    let error = lines.next().await;
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(error["object"]["message"], "too old resource version: 2 (3)");
    assert!(lines.is_over().await);
    let mut fresh = Lines::open(&client, "/api/v1/configmaps?watch=true&resourceVersion=3").await;
    assert!(fresh.is_quiet(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn kube_decodes_the_events_of_a_typed_watch() {
    let api = server();
    let pods: Api<Pod> = Api::namespaced(api.client("tester"), "shop");
    let mut events = Box::pin(pods.watch(&WatchParams::default().timeout(90), "1").await.unwrap());
    api.seed(pod("p", "web", "")).unwrap();
    api.delete("Pod", Some("shop"), "p", &DeleteOptions::default()).unwrap();
    let mut told = Vec::new();
    while let Some(event) = events.try_next().await.unwrap() {
        told.push(match event {
            WatchEvent::Added(pod) => format!("added {}", pod.metadata.name.unwrap()),
            WatchEvent::Modified(pod) => format!("leaving {}", pod.metadata.deletion_timestamp.is_some()),
            WatchEvent::Deleted(pod) => format!("deleted {}", pod.metadata.resource_version.unwrap()),
            WatchEvent::Bookmark(mark) => format!("bookmark {}", mark.metadata.resource_version),
            WatchEvent::Error(error) => format!("error {}", error.code),
        });
    }
    assert_eq!(told, ["added p", "leaving true", "deleted 4", "bookmark 4", "bookmark 4"]);
}

#[tokio::test(start_paused = true)]
async fn many_watches_share_one_order() {
    let api = server();
    let client = api.client("tester");
    let mut watches = Vec::new();
    for _ in 0..50 {
        watches.push(Lines::open(&client, "/api/v1/configmaps?watch=true&resourceVersion=1").await);
    }
    for name in ["a", "b", "c"] {
        api.create(config(name)).unwrap();
    }
    for watch in &mut watches {
        for wanted in ["ADDED a@2", "ADDED b@3", "ADDED c@4"] {
            assert_eq!(watch.next_told().await, wanted);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_world_is_woken_by_the_next_write() {
    let api = server();
    let waiting = tokio::spawn(api.changed(api.revision()));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    api.create(config("a")).unwrap();
    assert_eq!(waiting.await.unwrap(), 2);
    assert_eq!(api.changed(1).await, 2);
}
