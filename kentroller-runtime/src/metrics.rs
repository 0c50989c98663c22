//! What the engine counts, in the names and labels that users of controller-runtime know.
//!
//! Ages and spans are computed when they are scraped, so that they grow even while the engine is stuck.

mod alerts;
mod declared;
mod names;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

pub use self::alerts::{ALERTS, AlertInfo};
use self::declared::Declared;
pub use self::names::{ALL, MetricInfo, MetricType};
use self::names::{
    BUCKETS, DEPTH, LEADER, LONGEST, OLDEST, RECONCILES, RUNNING, TIMES, UNDECODABLE, UNFINISHED, WATCH_AGE, WRITES,
};
use crate::declaration::Declaration;
use crate::kind::ObjectKey;
use crate::measure::Measured;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciled {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfController {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Written {
    verb: &'static str,
    kind: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Unread {
    kind: &'static str,
    field: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    name: String,
}

/// The metrics of one engine. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    reconciles: Family<Reconciled, Counter>,
    times: Family<OfController, Histogram, fn() -> Histogram>,
    writes: Family<Written, Counter>,
    state: Arc<Mutex<State>>,
    declared: Declared,
}

/// What is computed when it is scraped.
#[derive(Debug, Default)]
struct State {
    depth: usize,
    oldest: Option<Instant>,
    /// When each reconcile that is under way began.
    running: Vec<Instant>,
    leader: Option<(String, bool)>,
    /// When each watch proved to be up to date.
    watches: BTreeMap<&'static str, Instant>,
    unread: BTreeMap<Unread, usize>,
}

impl Default for Metrics {
    fn default() -> Self {
        let times = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self {
            reconciles: Family::default(),
            times,
            writes: Family::default(),
            state: Arc::default(),
            declared: Declared::default(),
        }
    }
}

impl Metrics {
    /// Registers everything under a prefix.
    pub fn register(&self, prefix: &str) -> Registry {
        let mut registry = Registry::with_prefix(prefix);
        registry.register(RECONCILES.name, RECONCILES.doc, self.reconciles.clone());
        registry.register(TIMES.name, TIMES.doc, self.times.clone());
        registry.register(WRITES.name, WRITES.doc, self.writes.clone());
        registry.register_collector(Box::new(AtScrape(Arc::clone(&self.state))));
        registry.register_collector(Box::new(self.declared.clone()));
        registry
    }

    /// Registers what is told, and nothing of an engine, under a prefix: for a process that is no operator.
    pub fn register_told(&self, prefix: &str) -> Registry {
        let mut registry = Registry::with_prefix(prefix);
        registry.register_collector(Box::new(self.declared.clone()));
        registry
    }

    /// A gauge or a counter of what runs beside the controllers: `told` is asked at each scrape, and tells each value under the
    /// values of the labels, in their order.
    pub fn tell(&self, info: MetricInfo, told: impl Fn() -> Vec<(Vec<String>, f64)> + Send + 'static) {
        self.declared.tell(info, Box::new(told));
    }

    pub(crate) fn reconciled(&self, controller: &'static str, result: &'static str) {
        self.reconciles.get_or_create(&Reconciled { controller, result }).inc();
    }

    pub(crate) fn took(&self, controller: &'static str, time: Duration) {
        self.times.get_or_create(&OfController { controller }).observe(time.as_secs_f64());
    }

    pub(crate) fn wrote(&self, verb: &'static str, kind: &'static str, code: u16) {
        self.writes.get_or_create(&Written { verb, kind, code }).inc();
    }

    pub(crate) fn queue(&self, depth: usize, oldest: Option<Duration>) {
        let mut state = self.lock();
        state.depth = depth;
        state.oldest = oldest.and_then(|oldest| Instant::now().checked_sub(oldest));
    }

    pub(crate) fn running(&self, since: impl Iterator<Item = Instant>) {
        let mut state = self.lock();
        state.running.clear();
        state.running.extend(since);
    }

    pub(crate) fn leads(&self, lease: &str, leads: bool) {
        self.lock().leader = Some((lease.to_owned(), leads));
    }

    pub(crate) fn proved(&self, kind: &'static str) {
        self.lock().watches.insert(kind, Instant::now());
    }

    pub(crate) fn undecodable(&self, kind: &'static str, fields: impl Iterator<Item = String>) {
        let mut state = self.lock();
        state.unread.retain(|unread, _| unread.kind != kind);
        for field in fields {
            *state.unread.entry(Unread { kind, field }).or_default() += 1;
        }
    }

    /// What these controllers declared is scraped from now on.
    pub(crate) fn declare(&self, declarations: &[Declaration]) {
        self.declared.add(declarations.iter().flat_map(|one| one.metrics).copied());
    }

    /// Adds to a counter or a histogram that a controller declared.
    pub(crate) fn count(&self, measured: &Measured) {
        self.declared.count(measured);
    }

    /// What an object's Outcome sets, instead of what the one before did.
    pub(crate) fn set(&self, controller: &'static str, object: &ObjectKey, gauges: Vec<Measured>) {
        self.declared.set(controller, object, gauges);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct AtScrape(Arc<Mutex<State>>);

impl Collector for AtScrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = |began: &Instant| now.saturating_duration_since(*began).as_secs_f64();
        let mut one = |info: MetricInfo, value: f64| {
            let encoder = encoder.encode_descriptor(info.name, info.doc, None, info.type_.in_openmetrics())?;
            ConstGauge::new(value).encode(encoder)
        };
        one(DEPTH, count(state.depth))?;
        one(RUNNING, count(state.running.len()))?;
        one(OLDEST, state.oldest.as_ref().map_or(0.0, since))?;
        one(UNFINISHED, state.running.iter().map(since).sum())?;
        one(LONGEST, state.running.iter().map(since).fold(0.0, f64::max))?;
        let leader = state.leader.iter().map(|(name, leads)| (Named { name: name.clone() }, f64::from(*leads)));
        family(&mut encoder, LEADER, leader)?;
        family(&mut encoder, WATCH_AGE, state.watches.iter().map(|(kind, at)| (OfKind { kind }, since(at))))?;
        family(
            &mut encoder,
            UNDECODABLE,
            state.unread.iter().map(|(unread, objects)| (unread.clone(), count(*objects))),
        )
    }
}

fn family<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    info: MetricInfo,
    values: impl Iterator<Item = (L, f64)>,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(info.name, info.doc, None, info.type_.in_openmetrics())?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn count(of: usize) -> f64 {
    u32::try_from(of).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(metrics: &Metrics) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.register("hive")).expect("it is encoded");
        text
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_scraped_is_what_the_page_says() {
        let metrics = Metrics::default();
        metrics.reconciled("claims", "success");
        metrics.took("claims", Duration::from_millis(3));
        metrics.wrote("create", "Pod", 201);
        metrics.leads("hive", true);
        metrics.proved("Pod");
        metrics.undecodable("Pod", ["spec.nodeName".to_owned()].into_iter());
        let text = scrape(&metrics);
        let told: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert_eq!(told, ALL.map(|info| format!("hive_{} {}", info.name, info.type_.as_str())));
        for info in ALL {
            assert!(text.contains(&format!("# HELP hive_{} {}", info.name, info.doc)), "{text}");
            let labelled = |label: &&str| text.contains(&format!("{label}=\""));
            assert!(info.labels.iter().all(labelled), "{:?} in {text}", info.labels);
        }
    }

    #[test]
    fn what_runs_beside_the_controllers_is_asked_at_each_scrape() {
        let (metrics, asked) = (Metrics::default(), std::sync::atomic::AtomicU8::new(0));
        let info =
            MetricInfo { name: "honey", type_: MetricType::Gauge, labels: &["comb"], doc: "How much", buckets: &[] };
        metrics.tell(info, move || {
            let times = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            vec![(vec!["first".to_owned()], f64::from(times))]
        });
        for wanted in ["hive_honey{comb=\"first\"} 0.0", "hive_honey{comb=\"first\"} 1.0"] {
            let text = scrape(&metrics);
            assert!(text.lines().any(|line| line == wanted), "{wanted} in {text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ages_grow_while_the_engine_is_stuck() {
        let metrics = Metrics::default();
        metrics.queue(2, Some(Duration::from_secs(3)));
        tokio::time::sleep(Duration::from_secs(5)).await;
        metrics.running([Instant::now()].into_iter());
        metrics.proved("Pod");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let text = scrape(&metrics);
        for line in [
            "hive_workqueue_depth 2.0",
            "hive_workqueue_longest_running_processor_seconds 2.0",
            "hive_workqueue_unfinished_work_seconds 2.0",
            "hive_watch_age_seconds{kind=\"Pod\"} 2.0",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
