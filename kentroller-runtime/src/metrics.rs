//! What the engine counts, in the names that users of controller-runtime know.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciled {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Written {
    verb: String,
    kind: String,
    code: u16,
}

/// A metric as it is scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricInfo {
    /// After [`PREFIX`] and `_`.
    pub name: &'static str,
    /// `counter` (its name ends in `_total` when it is scraped) or `gauge`.
    pub type_: &'static str,
    pub labels: &'static [&'static str],
    pub doc: &'static str,
}

/// Before the name of every metric.
pub const PREFIX: &str = "kentroller";

const RECONCILES: MetricInfo = MetricInfo {
    name: "controller_runtime_reconcile",
    type_: "counter",
    labels: &["controller", "result"],
    doc: "Reconciles; the result is success, transient, waiting or terminal",
};
const WRITES: MetricInfo = MetricInfo {
    name: "api_writes",
    type_: "counter",
    labels: &["verb", "kind", "code"],
    doc: "Writes to the API server; the code is that of HTTP, 0 without an answer or when the engine refused",
};
const DEPTH: MetricInfo =
    MetricInfo { name: "workqueue_depth", type_: "gauge", labels: &[], doc: "Objects that wait to be reconciled" };
const RUNNING: MetricInfo = MetricInfo {
    name: "workqueue_running",
    type_: "gauge",
    labels: &[],
    doc: "Objects whose Outcome is being carried out",
};

/// Every metric, for the reference page.
pub const ALL: [MetricInfo; 4] = [RECONCILES, WRITES, DEPTH, RUNNING];

/// The metrics of one engine.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    reconciles: Family<Reconciled, Counter>,
    writes: Family<Written, Counter>,
    depth: Gauge<i64, AtomicI64>,
    running: Gauge<i64, AtomicI64>,
}

impl Metrics {
    /// Registers everything.
    pub fn register(&self) -> Arc<Registry> {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(RECONCILES.name, RECONCILES.doc, self.reconciles.clone());
        registry.register(WRITES.name, WRITES.doc, self.writes.clone());
        registry.register(DEPTH.name, DEPTH.doc, self.depth.clone());
        registry.register(RUNNING.name, RUNNING.doc, self.running.clone());
        Arc::new(registry)
    }

    pub(crate) fn reconciled(&self, controller: &'static str, result: &'static str) {
        self.reconciles.get_or_create(&Reconciled { controller, result }).inc();
    }

    /// `effect` is an effect's key: verb and kind are its first two words.
    pub(crate) fn wrote(&self, effect: &str, code: u16) {
        let mut words = effect.split(' ').map(str::to_owned);
        let (verb, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        self.writes.get_or_create(&Written { verb, kind, code }).inc();
    }

    pub(crate) fn queue(&self, depth: usize, running: usize) {
        self.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        self.running.set(i64::try_from(running).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scraped_is_what_the_page_says() {
        let metrics = Metrics::default();
        metrics.reconciled("claims", "success");
        metrics.wrote("create Pod shop/cart", 201);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.register()).expect("it is encoded");
        let told: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert_eq!(told, ALL.map(|info| format!("{PREFIX}_{} {}", info.name, info.type_)));
        for info in ALL {
            assert!(text.contains(&format!("# HELP {PREFIX}_{} {}", info.name, info.doc)), "{text}");
            let labelled = |label: &&str| text.contains(&format!("{label}=\""));
            assert!(info.labels.iter().all(labelled), "{:?} in {text}", info.labels);
        }
    }
}
