//! The engine on the in-process API server, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::engine::ports::Ports;
use kentroller_runtime::lease::Fence;
use kentroller_runtime::metrics::Metrics;
use kentroller_runtime::operator::{Ended, Operator, Readiness};
use kentroller_runtime::simulation::apiserver::{ApiServer, Fault, Matching, Served, Trouble, refusal_of_code};
use kentroller_runtime::{
    Access, AnyController, Clock, Controller, Creates, Declaration, Deletes, Failure, Kind, KindEntry, KindInfo, Meta,
    Mode, ObjectKey, Outcome, Owner, Reads, Reconcile, Reply, Switches, Verb, Wake, World, reconciler,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

/// What these tests read of a ConfigMap.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct ConfigMap {
    metadata: Meta,
}

impl Kind for ConfigMap {
    const INFO: KindInfo =
        KindInfo { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true, crd: None };
    type Meta = Meta;
    type View = ();

    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

#[derive(Debug, Serialize)]
struct AllOn;

impl Switches for AllOn {
    fn mode(&self) -> Mode {
        Mode::Act
    }
    fn workers(&self) -> usize {
        10
    }
}

/// Keeps a copy of each ConfigMap labelled `copy`; panics over one labelled `poison`.
struct Copies;

impl Controller for Copies {
    type Of = ConfigMap;
    type Settings = AllOn;

    fn declaration() -> Declaration {
        Declaration {
            name: "copies",
            doc: "",
            feature: None,
            of: KindEntry::of::<ConfigMap>(),
            access: vec![Access::to::<ConfigMap>(&[Verb::Read, Verb::Create, Verb::Delete])],
            wakes: vec![Wake::owner::<ConfigMap, ConfigMap>()],
            events: &[],
            ports: &[],
        }
    }
}
impl Reads<ConfigMap> for Copies {}
impl Creates<ConfigMap> for Copies {}
impl Deletes<ConfigMap> for Copies {}

impl Reconcile for Copies {
    fn reconcile(object: &ConfigMap, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(object);
        assert!(object.label("poison").is_none(), "poisoned by {}", object.name());
        let copy = ObjectKey::namespaced("default", format!("copy-of-{}", object.name()));
        let missing = world.lookup::<ConfigMap>(&copy).present().is_none();
        if object.label("copy").is_some() && missing {
            let owner = Owner {
                api_version: "v1".into(),
                kind: "ConfigMap".into(),
                name: object.name().into(),
                uid: object.uid().into(),
                controller: true,
            };
            let metadata =
                Meta { name: copy.name, namespace: copy.namespace, owners: Arc::new(vec![owner]), ..Meta::default() };
            out.create(&ConfigMap { metadata }).keyed("copy");
            if let Some(Reply::Refused { count, .. }) = world.reply("copy") {
                assert!(*count < 20, "it is not tried for ever without a pause");
            }
        }
        Ok(out)
    }
}

struct Running {
    server: ApiServer,
    stop: watch::Sender<bool>,
    settings: watch::Sender<Arc<AllOn>>,
    ended: tokio::task::JoinHandle<Ended>,
}

fn server() -> ApiServer {
    let clock = Clock::starting_at("2026-11-22T10:00:00Z".parse::<Timestamp>().expect("a time"));
    let kinds = vec![
        Served::built_in("", "v1", "ConfigMap", "configmaps", true, false),
        Served::built_in("events.k8s.io", "v1", "Event", "events", true, false),
        Served::built_in("coordination.k8s.io", "v1", "Lease", "leases", true, false),
    ];
    ApiServer::new(move || clock.now(), kinds)
}

fn start(server: &ApiServer, instance: &str) -> Running {
    let clock = Clock::starting_at("2026-11-22T10:00:00Z".parse::<Timestamp>().expect("a time"));
    let (stop, stopped) = watch::channel(false);
    let (settings, current) = watch::channel(Arc::new(AllOn));
    let controllers: Vec<Box<dyn AnyController<AllOn>>> = vec![reconciler::<Copies>()];
    let operator = Operator {
        controllers,
        ports: Ports::default(),
        settings: current,
        metrics: Metrics::default(),
        instance: instance.to_owned(),
        namespace: "default".to_owned(),
        own_namespace: [(ConfigMap::INFO, "default".to_owned())].into(),
        shadow: false,
        elect: true,
        readiness: Readiness::default(),
        records: None,
    };
    let ended = tokio::spawn(operator.run(server.client(instance), clock, stopped));
    Running { server: server.clone(), stop, settings, ended }
}

fn config(name: &str, label: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default", "labels": {label: "yes"}}})
}

impl Running {
    fn names(&self) -> Vec<String> {
        let listed = self.server.list("ConfigMap");
        listed.iter().map(|object| object["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn copies_made(&self) -> usize {
        let of_copies = |name: &str| name.starts_with("copy-of-");
        self.server.writes(0).iter().filter(|write| write.verb == "create" && of_copies(&write.name)).count()
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_reconcile_wants_is_made_once_and_made_again_when_it_goes() {
    let server = server();
    server.create(config("a", "copy")).expect("created");
    let running = start(&server, "one");
    pass(5).await;
    assert_eq!(running.names(), ["a", "copy-of-a"]);
    server.delete("ConfigMap", Some("default"), "copy-of-a", &Default::default()).expect("deleted");
    pass(5).await;
    assert_eq!(running.names(), ["a", "copy-of-a"]);
    assert_eq!(running.copies_made(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_object_stalls_only_itself() {
    let server = server();
    server.create(config("bad", "poison")).expect("created");
    server.create(config("good", "copy")).expect("created");
    let running = start(&server, "one");
    pass(60).await;
    assert_eq!(running.names(), ["bad", "copy-of-good", "good"]);
    assert!(!running.ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_tried_again_with_a_growing_pause() {
    let server = server();
    let creates = Matching {
        user: Some("one".into()),
        verb: Some("create".into()),
        resource: Some("configmaps".into()),
        ..Default::default()
    };
    server.inject(Fault::Requests {
        matching: creates,
        after: 0,
        times: 5,
        trouble: Trouble::Refuse(refusal_of_code(500)),
    });
    server.create(config("a", "copy")).expect("created");
    let running = start(&server, "one");
    pass(10).await;
    assert_eq!(running.names(), ["a"]);
    pass(60).await;
    assert_eq!(running.names(), ["a", "copy-of-a"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_was_lost_does_not_make_a_second_object() {
    let server = server();
    let creates = Matching {
        user: Some("one".into()),
        verb: Some("create".into()),
        resource: Some("configmaps".into()),
        ..Default::default()
    };
    server.inject(Fault::Requests { matching: creates, after: 0, times: 1, trouble: Trouble::LoseReply });
    server.create(config("a", "copy")).expect("created");
    let running = start(&server, "one");
    pass(60).await;
    assert_eq!(running.names(), ["a", "copy-of-a"]);
    assert_eq!(running.copies_made(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_goes_away_for_a_minute_is_read_again() {
    let server = server();
    let running = start(&server, "one");
    pass(5).await;
    server.inject(Fault::Unreachable { lasting: Duration::from_secs(6) });
    pass(7).await;
    server.inject(Fault::ExpireHistory { kind: Some("ConfigMap".into()) });
    server.create(config("a", "copy")).expect("created");
    pass(60).await;
    assert_eq!(running.names(), ["a", "copy-of-a"]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_operator_writes_nothing_but_its_lease() {
    let server = server();
    server.create(config("a", "copy")).expect("created");
    let running = start(&server, "one");
    pass(60).await;
    let since = server.revision();
    pass(3600).await;
    let kinds: std::collections::BTreeSet<String> =
        server.writes(since).iter().map(|write| write.kind.to_string()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["Lease"]);
    assert!(!running.ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn the_second_replica_acts_only_after_the_first_has_let_go() {
    let server = server();
    let first = start(&server, "one");
    pass(5).await;
    let second = start(&server, "two");
    server.create(config("a", "copy")).expect("created");
    pass(30).await;
    let by = |user: &str| {
        server.writes(0).iter().filter(|write| &*write.user == user && &*write.kind == "ConfigMap").count()
    };
    assert_eq!((by("one"), by("two")), (1, 0));

    let _ = first.stop.send(true);
    assert_eq!(first.ended.await.expect("no panic"), Ended::Stopped);
    server.create(config("b", "copy")).expect("created");
    pass(10).await;
    assert_eq!((by("one"), by("two")), (1, 1));
    drop((second.stop, second.settings, first.settings));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_ends_and_writes_nothing_past_its_deadline() {
    let server = server();
    let running = start(&server, "one");
    pass(5).await;
    let leases = Matching {
        user: Some("one".into()),
        verb: Some("update".into()),
        resource: Some("leases".into()),
        ..Default::default()
    };
    server.inject(Fault::Requests {
        matching: leases,
        after: 0,
        times: 1000,
        trouble: Trouble::Refuse(refusal_of_code(500)),
    });
    pass(13).await;
    server.create(config("a", "copy")).expect("created");
    pass(30).await;
    assert_eq!(running.ended.await.expect("no panic"), Ended::LeaseLost);
    assert_eq!(server.list("ConfigMap").len(), 1);
    assert!(!Fence::closed().holds());
}
