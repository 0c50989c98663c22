//! What is measured: the names, labels and meanings of metrics, and those of the engine.

/// What a metric's values are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// They only grow. Its name ends in `_total` when it is scraped.
    Counter,
    /// Each stands for itself.
    Gauge,
    /// They are counted by size.
    Histogram,
}

impl MetricType {
    /// As OpenMetrics spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    pub(super) const fn in_openmetrics(self) -> prometheus_client::metrics::MetricType {
        match self {
            Self::Counter => prometheus_client::metrics::MetricType::Counter,
            Self::Gauge => prometheus_client::metrics::MetricType::Gauge,
            Self::Histogram => prometheus_client::metrics::MetricType::Histogram,
        }
    }
}

/// A metric as it is scraped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricInfo {
    /// After the operator's prefix and `_`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub type_: MetricType,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts, in which unit.
    pub doc: &'static str,
    /// Upper bounds of a histogram's buckets, in rising order; of others none.
    pub buckets: &'static [f64],
}

impl MetricInfo {
    const fn engine(name: &'static str, type_: MetricType, labels: &'static [&'static str], doc: &'static str) -> Self {
        let buckets: &[f64] = if matches!(type_, MetricType::Histogram) { &BUCKETS } else { &[] };
        Self { name, type_, labels, doc, buckets }
    }
}

pub(super) const RECONCILES: MetricInfo = MetricInfo::engine(
    "controller_runtime_reconcile",
    MetricType::Counter,
    &["controller", "result"],
    "Reconciles; the result is success, transient, waiting or terminal",
);
pub(super) const TIMES: MetricInfo = MetricInfo::engine(
    "controller_runtime_reconcile_time_seconds",
    MetricType::Histogram,
    &["controller"],
    "From the beginning of a reconcile to the last answer to its writes",
);
pub(super) const WRITES: MetricInfo = MetricInfo::engine(
    "api_writes",
    MetricType::Counter,
    &["verb", "kind", "code"],
    "Writes to the API server; the code is that of HTTP, 0 without an answer or when the engine refused",
);
pub(super) const DEPTH: MetricInfo =
    MetricInfo::engine("workqueue_depth", MetricType::Gauge, &[], "Objects that wait to be reconciled");
pub(super) const RUNNING: MetricInfo =
    MetricInfo::engine("workqueue_running", MetricType::Gauge, &[], "Objects whose Outcome is being carried out");
pub(super) const OLDEST: MetricInfo = MetricInfo::engine(
    "workqueue_oldest_waiting_seconds",
    MetricType::Gauge,
    &[],
    "How long the object that has waited longest to be reconciled has waited",
);
pub(super) const UNFINISHED: MetricInfo = MetricInfo::engine(
    "workqueue_unfinished_work_seconds",
    MetricType::Gauge,
    &[],
    "How long all reconciles that are under way have been so, together",
);
pub(super) const LONGEST: MetricInfo = MetricInfo::engine(
    "workqueue_longest_running_processor_seconds",
    MetricType::Gauge,
    &[],
    "How long the longest reconcile that is under way has been so",
);
pub(super) const LEADER: MetricInfo = MetricInfo::engine(
    "leader_election_master_status",
    MetricType::Gauge,
    &["name"],
    "1 on the replica that holds the lease with this name, 0 on one that stands by",
);
pub(super) const WATCH_AGE: MetricInfo = MetricInfo::engine(
    "watch_age_seconds",
    MetricType::Gauge,
    &["kind"],
    "How long ago the watch of a kind last proved to be up to date; past 60 nothing is deleted or evicted",
);
pub(super) const UNDECODABLE: MetricInfo = MetricInfo::engine(
    "undecodable_objects",
    MetricType::Gauge,
    &["kind", "field"],
    "Objects that do not decode, by the field that is wrong; the log names them. Their last state counts",
);

/// Every metric of the engine.
pub const ALL: [MetricInfo; 11] =
    [RECONCILES, TIMES, WRITES, DEPTH, RUNNING, OLDEST, UNFINISHED, LONGEST, LEADER, WATCH_AGE, UNDECODABLE];

/// Upper bounds of controller-runtime's buckets, in seconds.
pub(super) const BUCKETS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0];
