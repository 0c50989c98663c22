//! What goes wrong on command.

use super::*;

const WIDGETS: &str = "/apis/example.com/v1/widgets";

fn on(verb: &str) -> Matching {
    Matching { verb: Some(verb.into()), ..Matching::default() }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_hits_the_matching_requests_it_was_meant_for() {
    let api = server();
    let client = api.client("tester");
    let trouble = Trouble::Refuse(refusal_of_code(503));
    api.inject(Fault::Requests { matching: on("create"), after: 1, times: 2, trouble });
    for (name, code) in [("a", 201), ("b", 503), ("c", 503), ("b", 201)] {
        check(&client, ("POST", WIDGETS, JSON), widget(name), code, &[]).await;
        check(&client, ("GET", WIDGETS, JSON), Value::Null, 200, &[]).await;
    }
    assert_eq!(api.list("Widget").len(), 2);
}

async fn try_to_create(client: &kube::Client, name: &str) -> Result<(), kube::Error> {
    let request =
        ::http::Request::post(WIDGETS).header("content-type", JSON).body(widget(name).to_string().into_bytes());
    client.request_text(request.unwrap()).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_done_and_a_broken_connection_is_not() {
    let api = server();
    let client = api.client("tester");
    for (trouble, name, done) in [(Trouble::LoseReply, "lost", true), (Trouble::Disconnect, "cut", false)] {
        api.inject(Fault::Requests { matching: on("create"), after: 0, times: 1, trouble });
        let broken = try_to_create(&client, name).await.unwrap_err();
        assert!(!matches!(broken, kube::Error::Api(_)), "{broken}");
        assert_eq!(api.get("Widget", None, name).is_some(), done, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_shows_how_things_were() {
    let api = server();
    let client = api.client("tester");
    for name in ["a", "b"] {
        api.create(widget(name)).unwrap();
    }
    api.update("Widget", None, "a", |widget| widget["spec"]["size"] = json!(9)).unwrap();
    api.delete("Widget", None, "b", &DeleteOptions::default()).unwrap();
    let one = format!("{WIDGETS}/a");
    let stale = |verb| Fault::Requests { matching: on(verb), after: 0, times: 1, trouble: Trouble::Stale(3) };
    api.inject(stale("list"));
    let (_, then) = ask(&client, "GET", WIDGETS, JSON, &Value::Null).await;
    assert_eq!((then["items"].as_array().unwrap().len(), &then["metadata"]["resourceVersion"]), (2, &json!("3")));
    api.inject(stale("get"));
    for size in [3, 9] {
        check(&client, ("GET", &one, JSON), Value::Null, 200, &[("/spec/size", json!(size))]).await;
    }
    let (_, now) = ask(&client, "GET", WIDGETS, JSON, &Value::Null).await;
    assert_eq!(now["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_takes_its_time_and_a_hung_one_never_ends() {
    let api = server();
    let client = api.client("tester");
    let began = Instant::now();
    let slow = Trouble::Delay(Duration::from_secs(7));
    api.inject(Fault::Requests { matching: on("create"), after: 0, times: 1, trouble: slow });
    try_to_create(&client, "slow").await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 7);
    api.inject(Fault::Requests { matching: on("create"), after: 0, times: 1, trouble: Trouble::Hang });
    let hung = tokio::time::timeout(Duration::from_secs(3600), try_to_create(&client, "hung")).await;
    assert!(hung.is_err());
    assert_eq!(api.get("Widget", None, "hung"), None);
}

#[tokio::test(start_paused = true)]
async fn dropped_watches_end_and_can_be_opened_again() {
    let api = server();
    let client = api.client("tester");
    let mut widgets = Lines::open(&client, &format!("{WIDGETS}?watch=true&resourceVersion=1")).await;
    let mut configs = Lines::open(&client, "/api/v1/configmaps?watch=true&resourceVersion=1").await;
    api.inject(Fault::DropWatches { kind: Some("Widget".into()) });
    assert!(widgets.is_over().await);
    assert!(configs.is_quiet(Duration::from_secs(5)).await);
    api.create(widget("w")).unwrap();
    let mut again = Lines::open(&client, &format!("{WIDGETS}?watch=true&resourceVersion=1")).await;
    assert_eq!(again.next_told().await, "ADDED w@2");
}

#[tokio::test(start_paused = true)]
async fn held_watches_tell_everything_later_and_lists_stay_exact() {
    let api = server();
    let client = api.client("tester");
    let mut lines = Lines::open(&client, &format!("{WIDGETS}?watch=true&resourceVersion=1")).await;
    api.inject(Fault::HoldWatches { kind: None, lasting: Duration::from_secs(30) });
    api.create(widget("w")).unwrap();
    assert!(lines.is_quiet(Duration::from_secs(20)).await);
    check(&client, ("GET", WIDGETS, JSON), Value::Null, 200, &[("/items/0/metadata/name", json!("w"))]).await;
    let began = Instant::now();
    assert_eq!(lines.next_told().await, "ADDED w@2");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_held_watch_does_not_even_end() {
    let api = server();
    let client = api.client("tester");
    let mut lines = Lines::open(&client, &format!("{WIDGETS}?watch=true&resourceVersion=1&timeoutSeconds=10")).await;
    api.inject(Fault::HoldWatches { kind: None, lasting: Duration::from_secs(30) });
    let began = Instant::now();
    assert!(lines.is_over().await);
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_cuts_everything_for_a_while() {
    let api = server();
    let client = api.client("tester");
    let mut lines = Lines::open(&client, &format!("{WIDGETS}?watch=true&resourceVersion=1")).await;
    api.inject(Fault::Unreachable { lasting: Duration::from_secs(60) });
    assert!(lines.stream.next().await.unwrap().is_err());
    assert!(try_to_create(&client, "w").await.is_err());
    tokio::time::sleep(Duration::from_secs(61)).await;
    try_to_create(&client, "w").await.unwrap();
}
