//! What only the inside of an engine can show.

use std::any::TypeId;
use std::convert::Infallible;
use std::sync::Mutex;

use serde::Serializer;

use super::*;
use crate::clock::Clock;
use crate::controller;
use crate::declaration::Reconcile;
use crate::failure::Failure;
use crate::lease::Fence;
use crate::outcome::Outcome;
use crate::store::watch::WatchMessage;
use crate::world::World;

const NEWS: usize = 10 * BATCH;

/// How much of the news was taken in at each look.
#[derive(Clone, Debug)]
struct Taken(mpsc::Sender<News>, Arc<Mutex<Vec<usize>>>);

impl Serialize for Taken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl Switches for Taken {}

/// Looks again every ten seconds, and notes how much of the news was taken in.
#[controller(crate = crate, of = Cluster, settings = Taken)]
struct Ticks;

impl Reconcile for Ticks {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let Taken(to, taken) = world.settings();
        taken.lock().expect("not poisoned").push(to.capacity());
        let mut out = world.outcome(cluster);
        out.look_in(Duration::from_secs(10));
        Ok(out)
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_looked_at_however_much_news_there_is() {
    let service = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<kube::client::Body>, Infallible>>()
    });
    let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
    let (to, news) = mpsc::channel(NEWS);
    let taken = Taken(to.clone(), Arc::default());
    let (_settings, settings) = watch::channel(Arc::new(taken.clone()));
    let (_role, leads) = watch::channel(Role::Leads);
    let writer = Writer { client: kube::Client::new(service, "default"), clock, fence: Fence::open(), shadow: false };
    let mut engine = Engine::new(Parts {
        controllers: vec![reconciler::<Ticks>()],
        writer,
        ports: Ports::default(),
        settings,
        metrics: Metrics::default(),
        name: "operator".to_owned(),
        instance: "one".to_owned(),
        namespace: "default".to_owned(),
        namespaces: BTreeMap::new(),
        records: None,
        leads,
        health: Health::default(),
    });
    engine.news = news;
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(engine.run(stopped));
    tokio::time::sleep(Duration::from_secs(5)).await;
    for _ in 0..NEWS {
        let message = WatchMessage { of: TypeId::of::<()>(), body: Box::new(()) };
        to.try_send(News::Message(message)).expect("there is room");
    }
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let looks = taken.1.lock().expect("not poisoned").clone();
    assert_eq!(looks.len(), 2);
    assert!(looks[1] <= 2 * BATCH, "the look came after {} of {NEWS} pieces of news", looks[1]);
}
