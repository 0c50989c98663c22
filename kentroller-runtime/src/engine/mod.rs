//! Out: runs controllers on cuts of the stores and carries out what they decide. One task holds all state; pure parts
//! beside it decide, and [`writer::Writer`] write.
//!
//! kube-runtime's Controller is not used: a panic ends it, and it has no time-outs, no reset of backoff, no priorities,
//! no reading of its own writes, and no way to run a reconcile without a client.

mod controller;
mod events;
mod execution;
mod expect;
pub mod ports;
mod queue;
pub mod record;
mod status;
pub mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, watch};

pub use self::controller::{AnyController, reconciler};
use self::execution::{Executed, Execution, Latest};
use self::ports::{Ports, Put};
use self::queue::{Item, Priority, Queue};
use self::record::Record;
use self::writer::Writer;
use crate::condition::Mark;
use crate::declaration::{Declaration, KindEntry};
use crate::failure::{Class, Failure};
use crate::kind::{Cluster, KindInfo};
use crate::metrics::Metrics;
use crate::outcome::Decided;
use crate::store::watch::{Body, News};
use crate::store::{Changed, Cut};
use crate::switches::Switches;
use crate::world::{Replies, Reply};

/// When an object that waits for something outside is looked at again, in seconds.
const WAITING: i64 = 30;
/// A status that differs in the wording of its conditions only is written again after this long: a plan that moves a
/// thousand pods has as many things to say.
const WORDING: SignedDuration = SignedDuration::from_secs(10);
/// Steps of watches that are applied before ready objects are looked at.
const BATCH: usize = 1_000;
/// How long an answer of a port is kept after it was given.
const ANSWER_MEMORY: i64 = 900;

/// Everything an engine is made of.
pub struct Parts<S> {
    pub controllers: Vec<Box<dyn AnyController<S>>>,
    pub writer: Writer,
    pub ports: Ports,
    pub settings: watch::Receiver<Arc<S>>,
    pub metrics: Metrics,
    /// Who emits the events: the pod's name.
    pub instance: String,
    /// Where the operator lives.
    pub namespace: String,
    /// Kinds of the core group that are read in this namespace only.
    pub own_namespace: BTreeMap<KindInfo, String>,
    /// Where reconciles that acted are written, one file each.
    pub records: Option<PathBuf>,
}

/// Runs the controllers.
pub struct Engine<S> {
    parts: Parts<S>,
    declarations: Vec<Declaration>,
    cut: Cut,
    queue: Queue,
    expectations: expect::Expectations,
    /// Items that wait for the sight of their own writes.
    waiting: BTreeSet<Item>,
    replies: BTreeMap<Item, Replies>,
    /// When the status was written last.
    written: BTreeMap<Item, Timestamp>,
    answered: BTreeMap<Arc<str>, Timestamp>,
    said: events::Said,
    told: u64,
    news: mpsc::Receiver<News>,
    relist: BTreeMap<KindInfo, Arc<Notify>>,
    troubled: BTreeMap<KindInfo, String>,
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
    let mut kinds: BTreeMap<KindInfo, KindEntry> = BTreeMap::new();
    for declaration in declarations {
        let wakes = declaration.wakes.iter().map(|wake| wake.kind);
        let reads = declaration.access.iter().filter(|access| access.verbs.contains(&crate::declaration::Verb::Read));
        for kind in std::iter::once(declaration.of).chain(wakes).chain(reads.map(|access| access.kind)) {
            kinds.insert(kind.info, kind);
        }
    }
    kinds.into_values().collect()
}

impl<S: Switches + Serialize> Engine<S> {
    /// An engine whose watches are running; it does nothing before [`Engine::run`].
    pub fn new(parts: Parts<S>) -> Self {
        let declarations: Vec<Declaration> = parts.controllers.iter().map(|one| one.declaration()).collect();
        let wrong = crate::generate::mistakes::of_controllers(&declarations);
        assert!(wrong.is_empty(), "these controllers cannot run together: {}", wrong.join("; "));
        let kinds = kinds(&declarations);
        let (to, news) = mpsc::channel(BATCH);
        let mut relist = BTreeMap::new();
        for kind in &kinds {
            let Some(start) = kind.watch else { continue };
            let again = Arc::new(Notify::new());
            relist.insert(kind.info, Arc::clone(&again));
            let namespace = parts.own_namespace.get(&kind.info).cloned().unwrap_or_default();
            let context = crate::store::watch::Context {
                client: parts.writer.client.clone(),
                to: to.clone(),
                relist: again,
                namespace,
            };
            tokio::spawn(start(context));
        }
        let cut = Cut::empty(&kinds).of_operator_in(&parts.namespace);
        let in_force = Arc::clone(&parts.settings.borrow());
        let latest = Latest { cut: cut.clone(), settings: 0, mode: in_force.mode() };
        Self {
            parts,
            declarations,
            cut,
            queue: Queue::new(in_force.workers()),
            expectations: expect::Expectations::default(),
            waiting: BTreeSet::new(),
            replies: BTreeMap::new(),
            written: BTreeMap::new(),
            answered: BTreeMap::new(),
            said: events::Said::default(),
            told: 0,
            news,
            relist,
            troubled: BTreeMap::new(),
            executions: FuturesUnordered::new(),
            answers: FuturesUnordered::new(),
            posts: FuturesUnordered::new(),
            latest: Arc::new(ArcSwap::from_pointee(latest)),
            in_force,
            settings_version: 0,
        }
    }

    /// Runs until `stop` says so; then takes nothing new in, and waits for what is under way.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let cluster = Cluster { metadata: crate::kind::Meta { name: Cluster::NAME.into(), ..Default::default() } };
        let body = Body::Listed(vec![cluster], "0".to_owned());
        self.hear(News::Message(crate::store::watch::WatchMessage {
            of: std::any::TypeId::of::<Cluster>(),
            body: Box::new(body),
        }));
        self.follow_settings();
        while !*stop.borrow() {
            self.start_ready();
            let next = self.next_due();
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                Ok(()) = self.parts.settings.changed() => self.follow_settings(),
                Some(executed) = self.executions.next() => self.finish(executed),
                Some((item, key, put)) = self.answers.next() => self.answer(item, key, put),
                Some(()) = self.posts.next() => {}
                Some(news) = self.news.recv() => self.hear_all(news),
                () = self.parts.writer.clock.sleep_until(next) => self.tick(),
            }
        }
        while self.executions.next().await.is_some() {}
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
        for kind in self.expectations.overdue(now) {
            tracing::warn!(
                kind = kind.kind,
                "an own write is not visible after {:?}: listing afresh",
                expect::PATIENCE
            );
            if let Some(relist) = self.relist.get(&kind) {
                relist.notify_one();
            }
        }
        let old: Vec<Arc<str>> = self
            .answered
            .iter()
            .filter(|(_, at)| now.duration_since(**at).as_secs() > ANSWER_MEMORY)
            .map(|(key, _)| Arc::clone(key))
            .collect();
        if !old.is_empty() {
            self.cut.drop_answers(|key| old.iter().all(|old| **old != *key));
            self.answered.retain(|key, _| !old.contains(key));
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
        self.wake_all();
        self.publish();
    }

    fn wake_all(&mut self) {
        for (controller, declaration) in self.declarations.iter().enumerate() {
            let store = self.cut.any_store(declaration.of.info);
            for key in store.into_iter().flat_map(crate::store::AnyKindStore::keys) {
                self.queue.add(Item { controller, key }, Priority::Start);
            }
        }
    }

    fn publish(&self) {
        let mode = self.in_force.mode();
        self.latest.store(Arc::new(Latest { cut: self.cut.clone(), settings: self.settings_version, mode }));
    }

    fn hear_all(&mut self, first: News) {
        let mut settings = self.settings_version == 0;
        settings |= self.hear(first);
        for _ in 1..BATCH {
            let Ok(news) = self.news.try_recv() else { break };
            settings |= self.hear(news);
        }
        if settings {
            self.follow_settings();
        }
        self.publish();
        let waiting: Vec<Item> = self.waiting.iter().cloned().collect();
        for item in waiting {
            if self.expectations.met(&item, &self.cut) {
                self.waiting.remove(&item);
                self.queue.add(item, Priority::Change);
            }
        }
    }

    /// Takes one piece of news in; says whether an object that may hold settings changed.
    fn hear(&mut self, news: News) -> bool {
        let mut settings = false;
        match news {
            News::Message(message) => {
                let now = self.now();
                let kind = self.cut.kind(message.of);
                for change in self.cut.apply(message, now) {
                    settings |= S::kept_in().contains(&change.kind);
                    self.wake(&change);
                }
                if let Some(kind) = kind
                    && self.troubled.remove(&kind).is_some()
                {
                    tracing::info!(kind = kind.kind, "it can be read again");
                    self.wake_all();
                }
            }
            News::Trouble(kind, said) => {
                let known = self.troubled.insert(kind, said.clone());
                if known.as_ref() != Some(&said) {
                    tracing::warn!(kind = kind.kind, "{said}");
                    self.wake_all();
                }
            }
        }
        settings
    }

    fn wake(&mut self, change: &Changed) {
        let declarations = std::mem::take(&mut self.declarations);
        for (controller, declaration) in declarations.iter().enumerate() {
            if declaration.of.info == change.kind {
                let item = Item { controller, key: change.key.clone() };
                if change.new.is_none() {
                    self.forget(&item);
                } else {
                    self.queue.add(item, Priority::Change);
                }
            }
            for wake in declaration.wakes.iter().filter(|wake| wake.kind.info == change.kind) {
                for key in (wake.map)(change.old.as_deref(), change.new.as_deref(), &self.cut) {
                    self.queue.add(Item { controller, key }, Priority::Change);
                }
            }
        }
        self.declarations = declarations;
    }

    fn forget(&mut self, item: &Item) {
        self.queue.forget(item);
        self.expectations.forget(item);
        self.waiting.remove(item);
        self.replies.remove(item);
        self.written.remove(item);
    }

    fn start_ready(&mut self) {
        let missing: Vec<Option<KindInfo>> = self.declarations.iter().map(|one| self.missing(one)).collect();
        let told = |kind: &KindInfo| self.troubled.get(kind).cloned();
        let blocked: Vec<Option<String>> = missing.iter().map(|kind| kind.as_ref().and_then(told)).collect();
        while let Some(item) =
            self.queue.pop(|item| missing[item.controller].is_none() || blocked[item.controller].is_some())
        {
            if let Some(said) = &blocked[item.controller] {
                self.block(item, said);
            } else if self.expectations.met(&item, &self.cut) {
                self.start(item);
            } else {
                self.queue.done(&item);
                self.waiting.insert(item);
            }
        }
        self.parts.metrics.queue(self.queue.depth(), self.queue.running());
    }

    /// A kind that was not listed yet: before, the controller decides nothing.
    fn missing(&self, declaration: &Declaration) -> Option<KindInfo> {
        let access = declaration.access.iter().map(|access| access.kind.info);
        let wakes = declaration.wakes.iter().map(|wake| wake.kind.info);
        let all = S::kept_in().iter().copied().chain([declaration.of.info]).chain(access).chain(wakes);
        let mut missing = all.filter(|kind| !self.listed(*kind));
        let first = missing.next()?;
        // One of which is known why it cannot be listed, if there is one.
        Some(std::iter::once(first).chain(missing).find(|kind| self.troubled.contains_key(kind)).unwrap_or(first))
    }

    /// Tells on the object why its controller cannot decide anything.
    fn block(&mut self, item: Item, said: &str) {
        let name = self.declarations[item.controller].name;
        let before = self.stored_status(&item);
        match self.record_failure(&item, name, &Failure::waiting("NotReadable", said)) {
            Some(decided) => self.carry_out(item, decided, before.as_ref()),
            None => self.queue.done(&item),
        }
    }

    fn listed(&self, kind: KindInfo) -> bool {
        self.cut.any_store(kind).is_none_or(crate::store::AnyKindStore::synced)
    }

    fn start(&mut self, item: Item) {
        let now = self.now();
        let name = self.declarations[item.controller].name;
        let settings = Arc::clone(&self.in_force);
        let replies = self.replies.get(&item).cloned().unwrap_or_default();
        let decided =
            self.parts.controllers[item.controller].decide(&item.key, &self.cut, now, &settings, replies.clone());
        let Some((decided, read)) = decided else {
            self.queue.done(&item);
            return;
        };
        if let Some(folder) = &self.parts.records
            && decided.as_ref().map_or(true, |decided| decided.effects().next().is_some())
        {
            let (declaration, text) = (&self.declarations[item.controller], record::told(&decided));
            let record = Record::of(declaration, &item.key, now, &*settings, &replies, (&self.cut, &read), text);
            write_record(&record, folder);
        }
        let before = self.stored_status(&item);
        let states = self.declarations[item.controller].of.states;
        let in_order = |decided: &Decided| {
            before.as_ref().map_or(Ok(()), |before| status::check_transition(before, decided, states))
        };
        let decided = match decided.and_then(|decided| in_order(&decided).map(|()| decided)) {
            Ok(decided) => {
                self.parts.metrics.reconciled(name, "success");
                decided
            }
            Err(failure) => match self.record_failure(&item, name, &failure) {
                Some(decided) => decided,
                None => {
                    self.queue.done(&item);
                    return;
                }
            },
        };
        self.ask(&item, &decided, now);
        self.carry_out(item, decided, before.as_ref());
    }

    /// The status of the reconciled object as the store has it; `None` if the object is not there.
    fn stored_status(&self, item: &Item) -> Option<Value> {
        let store = self.cut.any_store(self.declarations[item.controller].of.info)?;
        Some(store.object(&item.key)?.status_json())
    }

    /// The patch of the status. One of no more than wording waits until the last one is old enough.
    fn status(&mut self, item: &Item, before: &Value, decided: &mut Decided) -> Option<Value> {
        let patch = status::patch(before, decided)?;
        let now = self.now();
        let next = self.written.get(item).and_then(|last| last.saturating_add(WORDING).ok()).filter(|next| *next > now);
        if let Some(next) = next
            && status::is_wording(before, &patch)
        {
            decided.look_at = Some(decided.look_at.map_or(next, |at| at.min(next)));
            return None;
        }
        self.written.insert(item.clone(), now);
        Some(patch)
    }

    /// Sends what was decided on its way, if there is anything to write.
    fn carry_out(&mut self, item: Item, mut decided: Decided, before: Option<&Value>) {
        let status = before.and_then(|before| self.status(&item, before, &mut decided));
        let nothing = status.is_none() && decided.effects().next().is_none();
        if nothing {
            let notes = decided.events.clone();
            self.tell(&item, &decided, notes);
            self.settle(&item, &decided, true);
            return;
        }
        let execution = Execution {
            item,
            decided,
            status,
            settings: self.settings_version,
            writer: Arc::new(self.parts.writer.clone()),
            latest: Arc::clone(&self.latest),
        };
        self.executions.push(Box::pin(execution.run()));
    }

    /// What a failure comes to: a condition, and another look in time.
    fn record_failure(&mut self, item: &Item, name: &'static str, failure: &Failure) -> Option<Decided> {
        self.parts.metrics.reconciled(name, failure.class.as_str());
        tracing::warn!(controller = name, object = %item.key, reason = %failure.reason, class = failure.class.as_str(), "{}", failure.message);
        let kind = self.declarations[item.controller].of.info;
        let object = self.cut.any_store(kind)?.object(&item.key)?;
        let now = self.now();
        let mut decided = Decided::about(kind, &*object, now);
        if kind.ours() {
            let mark = |type_: &str, status: bool| Mark {
                type_: type_.to_owned(),
                status: Some(status),
                reason: failure.reason.to_string(),
                message: failure.message.clone(),
            };
            decided.marks.push(mark("Ready", false));
            decided.marks.push(mark("Stalled", failure.class != Class::Transient));
        }
        let delay = self.queue.record_failure(item);
        decided.look_at = match failure.class {
            Class::Transient => now.saturating_add(delay).ok(),
            Class::Waiting => Timestamp::from_second(now.as_second() + WAITING).ok(),
            Class::Terminal => None,
        };
        Some(decided)
    }

    fn ask(&mut self, item: &Item, decided: &Decided, now: Timestamp) {
        for question in &decided.questions {
            let cut = self.cut.clone();
            if question.ask.note(&question.key, &mut self.cut, now) {
                let (item, key) = (item.clone(), Arc::clone(&question.key));
                let filled = question.ask.run(Arc::clone(&key), &self.parts.ports, cut, &self.parts.writer.clock);
                self.answers.push(Box::pin(async move { (item, key, filled.await) }));
            }
        }
    }

    fn answer(&mut self, item: Item, key: Arc<str>, put: Put) {
        let now = self.now();
        put(&mut self.cut, now);
        self.answered.insert(key, now);
        self.publish();
        self.queue.add(item, Priority::Change);
    }

    fn finish(&mut self, executed: Executed) {
        let now = self.now();
        let Executed { item, decided, replies, expected, notes, dropped } = executed;
        let mut accepted = !dropped;
        for (key, result) in replies {
            self.parts.metrics.wrote(&key, result.as_ref().map_or_else(|refused| refused.code, |()| 200));
            if let Err(refused) = &result {
                accepted = false;
                tracing::debug!(object = %item.key, effect = key, code = refused.code, reason = refused.reason, "{}", refused.message);
            }
            let known = self.replies.entry(item.clone()).or_default();
            let reply = reply(known.get(&key), result, now);
            known.insert(key, reply);
        }
        self.expectations.add(item.clone(), expected, now);
        self.tell(&item, &decided, notes);
        if dropped {
            self.queue.done(&item);
            self.queue.add(item, Priority::Change);
        } else {
            self.settle(&item, &decided, accepted);
        }
    }

    /// The item is done for now; when is it looked at again?
    fn settle(&mut self, item: &Item, decided: &Decided, accepted: bool) {
        let mut next = decided.look_at;
        if accepted {
            self.queue.succeeded(item);
        } else {
            let retry = self.now().saturating_add(self.queue.record_failure(item)).unwrap_or(Timestamp::MAX);
            next = Some(next.map_or(retry, |at| at.min(retry)));
        }
        if let Some(at) = next {
            self.queue.add_at(item.clone(), at);
        }
        self.queue.done(item);
    }

    fn tell(&mut self, item: &Item, decided: &Decided, notes: Vec<crate::outcome::Note>) {
        let regarding = events::Regarding::from(decided);
        let now = self.now();
        for note in notes {
            if !self.said.is_news(&regarding.uid, &note) {
                continue;
            }
            self.told += 1;
            let name = self.declarations[item.controller].name;
            let (kind, object) = (regarding.kind.kind, &regarding.object);
            if note.warning {
                tracing::warn!(controller = name, kind, %object, reason = note.reason, "{}", note.note);
            } else {
                tracing::info!(controller = name, kind, %object, reason = note.reason, "{}", note.note);
            }
            let event = events::event(&regarding, &note, name, &self.parts.instance, self.told, now);
            let writer = self.parts.writer.clone();
            self.posts.push(Box::pin(async move { writer.tell(&event).await }));
        }
    }
}

/// A record is a courtesy: one that cannot be written is told and changes nothing.
fn write_record(record: &Record, folder: &Path) {
    let path = record.path(folder);
    let written = serde_json::to_vec(record).map_err(std::io::Error::from).and_then(|text| std::fs::write(&path, text));
    if let Err(error) = written {
        tracing::warn!(%error, path = %path.display(), "a record was not written");
    }
}

fn reply(before: Option<&Reply>, result: Result<(), writer::Refused>, now: Timestamp) -> Reply {
    let Err(refused) = result else { return Reply::Accepted { at: now } };
    let (since, count) = match before {
        Some(Reply::Refused { since, count, .. }) => (*since, count + 1),
        _ => (now, 1),
    };
    Reply::Refused { code: refused.code, reason: refused.reason, message: refused.message, since, count }
}
