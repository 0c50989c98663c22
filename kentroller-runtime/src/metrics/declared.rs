//! The metrics that controllers declare for themselves: what their Outcomes came to, kept until it is scraped. And gauges of what
//! runs beside the controllers, which are asked when they are scraped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;

use super::{MetricInfo, MetricType};
use crate::kind::ObjectKey;
use crate::measure::Measured;

/// The values of a metric's labels, in their order.
type Labels = Vec<String>;
/// One series each.
type Series<T> = BTreeMap<&'static str, BTreeMap<Labels, T>>;

/// Tells the values of a gauge or a counter, each under the values of its labels.
type Told = Box<dyn Fn() -> Vec<(Labels, f64)> + Send>;

/// Clones count together.
#[derive(Clone, Default)]
pub(super) struct Declared(Arc<Mutex<State>>);

impl std::fmt::Debug for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Declared").field("metrics", &self.lock().metrics).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    metrics: Vec<MetricInfo>,
    counters: Series<f64>,
    histograms: Series<Histogram>,
    /// What the last Outcome of each object set, by its controller.
    gauges: BTreeMap<(&'static str, ObjectKey), Vec<Measured>>,
    told: Vec<(MetricInfo, Told)>,
}

impl Declared {
    /// Metrics that are scraped from now on, with or without a value.
    pub(super) fn add(&self, metrics: impl Iterator<Item = MetricInfo>) {
        self.lock().metrics.extend(metrics);
    }

    /// A gauge or a counter that is asked for its values when it is scraped.
    pub(super) fn tell(&self, info: MetricInfo, told: Told) {
        self.lock().told.push((info, told));
    }

    /// Adds to counters and histograms.
    pub(super) fn count(&self, measured: &Measured) {
        let (name, labels, mut state) = (measured.metric.name, measured.labels.clone(), self.lock());
        match measured.metric.type_ {
            MetricType::Counter => {
                *state.counters.entry(name).or_default().entry(labels).or_default() += measured.value;
            }
            MetricType::Histogram => {
                let bounds = || Histogram::new(measured.metric.buckets.iter().copied());
                state.histograms.entry(name).or_default().entry(labels).or_insert_with(bounds).observe(measured.value);
            }
            MetricType::Gauge => {}
        }
    }

    /// What an object's Outcome set stands for as long as the object does, or until its next Outcome.
    pub(super) fn set(&self, controller: &'static str, object: &ObjectKey, gauges: Vec<Measured>) {
        let (about, mut state) = ((controller, object.clone()), self.lock());
        if gauges.is_empty() {
            state.gauges.remove(&about);
        } else {
            state.gauges.insert(about, gauges);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gauges of one name and the same labels are added up over all objects; of one object the last counts.
    fn gauge(&self, name: &str) -> BTreeMap<&Labels, f64> {
        let mut sums = BTreeMap::new();
        for measured in self.gauges.values() {
            let of_object = measured.iter().filter(|one| one.metric.name == name);
            let last: BTreeMap<&Labels, f64> = of_object.map(|one| (&one.labels, one.value)).collect();
            for (labels, value) in last {
                *sums.entry(labels).or_default() += value;
            }
        }
        sums
    }
}

impl Collector for Declared {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let state = self.lock();
        for info in &state.metrics {
            match info.type_ {
                MetricType::Counter => {
                    let series = state.counters.get(info.name).into_iter().flatten();
                    encode(&mut encoder, info, series.map(|(labels, value)| (labels, ConstCounter::new(*value))))?;
                }
                MetricType::Histogram => {
                    let series = state.histograms.get(info.name).into_iter().flatten();
                    encode(&mut encoder, info, series.map(|(labels, histogram)| (labels, histogram.clone())))?;
                }
                MetricType::Gauge => {
                    let series = state.gauge(info.name).into_iter();
                    encode(&mut encoder, info, series.map(|(labels, value)| (labels, ConstGauge::new(value))))?;
                }
            }
        }
        for (info, told) in &state.told {
            let values = told();
            let values = values.iter().map(|(labels, value)| (labels, *value));
            match info.type_ {
                MetricType::Counter => {
                    encode(&mut encoder, info, values.map(|(labels, value)| (labels, ConstCounter::new(value))))?;
                }
                MetricType::Gauge | MetricType::Histogram => {
                    encode(&mut encoder, info, values.map(|(labels, value)| (labels, ConstGauge::new(value))))?;
                }
            }
        }
        Ok(())
    }
}

fn encode<'a, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    info: &MetricInfo,
    series: impl Iterator<Item = (&'a Labels, M)>,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(info.name, info.doc, None, info.type_.in_openmetrics())?;
    for (labels, metric) in series {
        let pairs: Vec<(&str, &str)> = info.labels.iter().copied().zip(labels.iter().map(String::as_str)).collect();
        metric.encode(family.encode_family(&pairs)?)?;
    }
    Ok(())
}
