//! What is measured of the connection with a backend, and of a backend by its own operators.

use kentroller_runtime::{MetricInfo, MetricType};

/// Of the operator.
pub const CONNECTED: MetricInfo = MetricInfo {
    name: "backend_connected",
    type_: MetricType::Gauge,
    labels: &[],
    doc: "Whether the backend has confirmed this cluster on a stream that stands; told in connected mode",
    buckets: &[],
};
/// Of the operator.
pub const BREAKS: MetricInfo = MetricInfo {
    name: "backend_breaks",
    type_: MetricType::Counter,
    labels: &[],
    doc: "Connections to the backend that failed, and streams that broke; told in connected mode",
    buckets: &[],
};
/// Of the operator.
pub const DROPPED: MetricInfo = MetricInfo {
    name: "backend_dropped_messages",
    type_: MetricType::Counter,
    labels: &["reason"],
    doc: "Messages of the backend that changed nothing: no_such_question (late, twice, of another cluster), out_of_order, too_large, \
          unexpected, and plan_invalid (a plan that the checker refuses, or none at all); told in connected mode",
    buckets: &[],
};
/// Of the backend.
pub const STREAMS: MetricInfo = MetricInfo {
    name: "fleet_streams",
    type_: MetricType::Gauge,
    labels: &["cluster"],
    doc: "Streams of a cluster, one for each replica of its operator; told by serve-plans",
    buckets: &[],
};
/// Of the backend.
pub const ANSWERS: MetricInfo = MetricInfo {
    name: "fleet_answers",
    type_: MetricType::Counter,
    labels: &["cluster", "result"],
    doc: "Answers to the questions of a cluster: plan, nothing (a plan that changes nothing), refused; told by serve-plans",
    buckets: &[],
};
/// Of the backend.
pub const COST: MetricInfo = MetricInfo {
    name: "fleet_cost_dollars_per_hour",
    type_: MetricType::Gauge,
    labels: &["cluster", "of"],
    doc: "What a cluster costs now, what no plan is below (bound), and what it would cost after the best plan, as its last question had it; \
          told by serve-plans",
    buckets: &[],
};
/// Of the backend.
pub const LAST_ANSWER: MetricInfo = MetricInfo {
    name: "fleet_last_answer_timestamp_seconds",
    type_: MetricType::Gauge,
    labels: &["cluster"],
    doc: "When the last question of a cluster was answered, in seconds since 1970; told by serve-plans",
    buckets: &[],
};
/// Of the backend.
pub const OBJECTS: MetricInfo = MetricInfo {
    name: "fleet_objects",
    type_: MetricType::Gauge,
    labels: &["cluster", "kind"],
    doc: "Schedules, and claims that have not ended, as a cluster told when it connected last; told by serve-plans",
    buckets: &[],
};

/// All of them.
pub const ALL: [MetricInfo; 8] = [CONNECTED, BREAKS, DROPPED, STREAMS, ANSWERS, COST, LAST_ANSWER, OBJECTS];
