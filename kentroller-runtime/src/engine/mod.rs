//! Out: runs controllers on cuts of the stores and carries out what they decide. One task holds all state; pure parts
//! beside it decide, and [`writer::Writer`] writes.
//!
//! kube-runtime's Controller is not used: a panic ends it, and it has no time-outs, no reset of backoff, no priorities,
//! no reading of its own writes, and no way to run a reconcile without a client.

mod answers;
mod controller;
mod events;
mod execution;
mod expect;
mod finish;
mod incoming;
mod look;
pub mod ports;
mod queue;
pub mod record;
mod refused;
mod replies;
mod status;
#[cfg(test)]
mod tests;
pub mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

pub use self::controller::{AnyController, reconciler};
use self::execution::{Executed, Latest};
use self::ports::{Ports, Put};
use self::queue::{Cause, Item, Queue};
use self::writer::Writer;
use crate::declaration::{Declaration, KindEntry, Verb};
use crate::kind::{Cluster, KindInfo};
use crate::lease::Role;
use crate::metrics::Metrics;
use crate::operator::Health;
use crate::store::watch::{Context, News};
use crate::store::{AnyKindStore, Cut, STALE};
use crate::switches::Switches;

/// Messages of watches that are applied before ready objects are looked at, and looks before messages are applied again.
const BATCH: usize = 1_000;
const LOOKS: usize = 100;

/// Everything an engine is made of.
pub struct Parts<S> {
    /// What decides.
    pub controllers: Vec<Box<dyn AnyController<S>>>,
    /// What writes.
    pub writer: Writer,
    /// What answers questions.
    pub ports: Ports,
    /// The settings of the process, as they are given from outside.
    pub settings: watch::Receiver<Arc<S>>,
    /// What is counted.
    pub metrics: Metrics,
    /// The operator's name: before that of the controller it says who reports an event.
    pub name: String,
    /// Who emits the events: the pod's name.
    pub instance: String,
    /// Where the operator lives.
    pub namespace: String,
    /// Kinds that are read in these namespaces only.
    pub namespaces: BTreeMap<KindInfo, Vec<String>>,
    /// Where reconciles that acted are written, one file each.
    pub records: Option<PathBuf>,
    /// Whether this replica leads. Before, its stores are kept and nothing is decided.
    pub leads: watch::Receiver<Role>,
    /// What probes are told.
    pub health: Health,
}

/// Runs the controllers.
pub struct Engine<S> {
    parts: Parts<S>,
    declarations: Vec<Declaration>,
    /// The watched kinds that each controller declared.
    kinds: Vec<Arc<[KindInfo]>>,
    leading: bool,
    cut: Cut,
    queue: Queue,
    expectations: expect::Expectations,
    /// Items that wait for the sight of their own writes.
    waiting: BTreeSet<Item>,
    replies: replies::Ledger,
    /// When the status was written last.
    written: BTreeMap<Item, Timestamp>,
    own_versions: BTreeMap<Item, finish::OwnVersions>,
    answered: BTreeMap<Arc<str>, Timestamp>,
    said: events::Said,
    posted: u64,
    news: mpsc::Receiver<News>,
    relist: BTreeMap<KindInfo, Arc<Notify>>,
    troubled: BTreeMap<KindInfo, String>,
    undecodable: BTreeSet<KindInfo>,
    /// When the look began whose Outcome is being carried out.
    began: BTreeMap<Item, Instant>,
    executions: FuturesUnordered<BoxFuture<'static, Executed>>,
    answers: FuturesUnordered<BoxFuture<'static, (Item, Arc<str>, Put)>>,
    posts: FuturesUnordered<BoxFuture<'static, ()>>,
    latest: Arc<ArcSwap<Latest>>,
    in_force: Arc<S>,
    /// How often the settings changed; 0 until they were read from the objects that hold them.
    settings_version: u64,
}

impl<S> std::fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("cut", &self.cut).field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// The kinds that declarations name, each once.
pub fn kinds(declarations: &[Declaration]) -> Vec<KindEntry> {
    let all = declarations.iter().flat_map(read_by);
    let kinds: BTreeMap<KindInfo, KindEntry> = all.map(|kind| (kind.info, kind)).collect();
    kinds.into_values().collect()
}

fn read_by(declaration: &Declaration) -> impl Iterator<Item = KindEntry> {
    let wakes = declaration.wakes.iter().map(|wake| wake.kind);
    let reads = declaration.access.iter().filter(|access| access.verbs.contains(&Verb::Read));
    std::iter::once(declaration.of).chain(wakes).chain(reads.map(|access| access.kind))
}

impl<S: Switches + Serialize> Engine<S> {
    /// An engine whose watches are running; it does nothing before [`Engine::run`].
    pub fn new(parts: Parts<S>) -> Self {
        let declarations: Vec<Declaration> = parts.controllers.iter().map(|one| one.declaration()).collect();
        let wrong = crate::generate::mistakes::of_controllers(&declarations);
        assert!(wrong.is_empty(), "these controllers cannot run together: {}", wrong.join("; "));
        parts.metrics.declare(&declarations);
        let all = kinds(&declarations);
        let (to, news) = mpsc::channel(BATCH);
        let relist = watch_all(&all, &parts, &to);
        let watched = |declaration: &Declaration| {
            read_by(declaration).filter(|kind| kind.watch.is_some()).map(|kind| kind.info).collect()
        };
        let cluster = Cluster { metadata: crate::kind::Meta { name: Cluster::NAME.into(), ..Default::default() } };
        let cut = Cut::empty(&all).of_operator_in(&parts.namespace).with_all(vec![cluster]);
        let in_force = Arc::clone(&parts.settings.borrow());
        let latest = Latest { cut: cut.clone(), settings: 0, mode: in_force.mode() };
        Self {
            kinds: declarations.iter().map(watched).collect(),
            leading: false,
            cut,
            queue: Queue::new(in_force.workers(), declarations.iter().map(|one| one.least_interval)),
            declarations,
            parts,
            expectations: expect::Expectations::default(),
            waiting: BTreeSet::new(),
            replies: replies::Ledger::default(),
            written: BTreeMap::new(),
            own_versions: BTreeMap::new(),
            answered: BTreeMap::new(),
            said: events::Said::default(),
            posted: 0,
            news,
            relist,
            troubled: BTreeMap::new(),
            undecodable: BTreeSet::new(),
            began: BTreeMap::new(),
            executions: FuturesUnordered::new(),
            answers: FuturesUnordered::new(),
            posts: FuturesUnordered::new(),
            latest: Arc::new(ArcSwap::from_pointee(latest)),
            in_force,
            settings_version: 0,
        }
    }

    /// Runs until `stop` says so; then takes nothing new in, and waits for what is under way.
    ///
    /// Each round what is due becomes ready, however much news there is; then a bounded number of ready objects is looked
    /// at; then a bounded amount of news is taken in. So nothing of it can starve the rest.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        self.follow_settings();
        while !*stop.borrow() {
            if !self.leading && *self.parts.leads.borrow_and_update() == Role::Leads {
                self.lead();
            }
            if self.next_due() <= self.now() {
                self.tick();
            }
            let more = self.leading && self.start_ready();
            self.report();
            let next = self.next_due();
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                Ok(()) = self.parts.leads.changed(), if !self.leading => {}
                Ok(()) = self.parts.settings.changed() => self.follow_settings(),
                Some(executed) = self.executions.next() => self.finish(executed),
                Some((item, key, put)) = self.answers.next() => self.answer(item, key, put),
                Some(()) = self.posts.next() => {}
                Some(news) = self.news.recv() => self.take_in(news),
                () = tokio::task::yield_now(), if more => {}
                () = self.parts.writer.clock.sleep_until(next) => self.tick(),
            }
        }
        while let Some(executed) = self.executions.next().await {
            self.finish(executed);
        }
        while self.posts.next().await.is_some() {}
    }

    fn now(&self) -> Timestamp {
        self.parts.writer.clock.now()
    }

    fn next_due(&self) -> Timestamp {
        let due = [self.queue.next_due(), self.expectations.next_due()];
        due.into_iter().flatten().min().unwrap_or(Timestamp::MAX)
    }

    fn tick(&mut self) {
        let now = self.now();
        self.queue.tick(now);
        for kind in self.expectations.overdue(now, &self.cut) {
            tracing::warn!(
                kind = kind.kind,
                "an own write is not visible after {} s: listing afresh",
                expect::PATIENCE.as_secs()
            );
            if let Some(relist) = self.relist.get(&kind) {
                relist.notify_one();
            }
        }
        self.forget_answers(now);
    }

    /// This replica leads from now on: everything is looked at, in what its stores hold.
    fn lead(&mut self) {
        self.leading = true;
        self.wake_all();
    }

    fn wake_all(&mut self) {
        let now = self.now();
        for (controller, declaration) in self.declarations.iter().enumerate() {
            let store = self.cut.any_store(declaration.of.info);
            for key in store.into_iter().flat_map(AnyKindStore::keys) {
                self.queue.add(Item { controller, key }, Cause::Start, now);
            }
        }
    }

    /// Reads the settings again from the objects that hold them.
    fn follow_settings(&mut self) {
        if !S::kept_in().iter().all(|kind| self.listed(*kind)) {
            return;
        }
        let given = Arc::clone(&self.parts.settings.borrow());
        let last = (self.settings_version > 0).then_some(&self.in_force);
        let settings = S::in_force(&given, last, &self.cut);
        if last.is_some_and(|last| Arc::ptr_eq(last, &settings)) {
            return;
        }
        if self.settings_version > 0 {
            tracing::info!(mode = ?settings.mode(), "the settings changed");
        }
        self.in_force = settings;
        self.settings_version += 1;
        // What the mode refused may be allowed now.
        self.replies.release();
        self.wake_all();
        self.publish();
    }

    fn publish(&self) {
        let mode = self.in_force.mode();
        self.latest.store(Arc::new(Latest { cut: self.cut.clone(), settings: self.settings_version, mode }));
    }

    fn listed(&self, kind: KindInfo) -> bool {
        self.cut.any_store(kind).is_none_or(AnyKindStore::synced)
    }

    /// Tells probes and metrics how it goes.
    fn report(&self) {
        let now = self.now();
        // On a replica that stands by nothing waits for anything but its turn to lead.
        let (depth, oldest) = if self.leading { self.queue.waiting() } else { (0, None) };
        let waited = |since: Timestamp| Duration::try_from(now.duration_since(since)).unwrap_or_default();
        self.parts.metrics.queue(depth, oldest.map(waited));
        self.parts.metrics.running(self.began.values().copied());
        let stale = self.relist.keys().any(|kind| self.cut.age(*kind, now) > STALE);
        self.parts.health.round(self.cut.synced() && !stale);
    }

    fn forget(&mut self, item: &Item) {
        self.queue.forget(item);
        self.expectations.forget(item);
        self.waiting.remove(item);
        self.replies.forget(item);
        self.written.remove(item);
        self.own_versions.remove(item);
    }
}

/// Starts the watches; each kind comes with what asks its watch for a fresh list.
fn watch_all<S>(kinds: &[KindEntry], parts: &Parts<S>, to: &mpsc::Sender<News>) -> BTreeMap<KindInfo, Arc<Notify>> {
    let watched = kinds.iter().filter_map(|kind| Some((kind.info, kind.watch?)));
    let start = |(info, start): (KindInfo, crate::store::watch::Start)| {
        let relist = Arc::new(Notify::new());
        let context = Context {
            client: parts.writer.client.clone(),
            to: to.clone(),
            relist: Arc::clone(&relist),
            namespaces: parts.namespaces.get(&info).cloned().unwrap_or_default(),
        };
        tokio::spawn(start(context));
        (info, relist)
    };
    watched.map(start).collect()
}
