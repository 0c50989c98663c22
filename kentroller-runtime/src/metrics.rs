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

/// The metrics of one engine.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    reconciles: Family<Reconciled, Counter>,
    writes: Family<Written, Counter>,
    depth: Gauge<i64, AtomicI64>,
    running: Gauge<i64, AtomicI64>,
}

impl Metrics {
    /// Registers everything under the prefix `kentroller`.
    pub fn register(&self) -> Arc<Registry> {
        let mut registry = Registry::with_prefix("kentroller");
        registry.register(
            "controller_runtime_reconcile",
            "Reconciles, by controller and result",
            self.reconciles.clone(),
        );
        registry.register(
            "api_writes",
            "Writes to the API server, by verb, kind and HTTP code (0: no answer or refused by the engine)",
            self.writes.clone(),
        );
        registry.register("workqueue_depth", "Objects that wait to be reconciled", self.depth.clone());
        registry.register("workqueue_running", "Objects whose Outcome is being carried out", self.running.clone());
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
