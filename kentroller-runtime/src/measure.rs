//! Metrics of a controller's own: declared in its annotation, written through its Outcome, exported by the engine.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use crate::metrics::{MetricInfo, MetricType};

/// What only grows: `out.count`, and `counts` on an effect.
#[derive(Clone, Copy, Debug)]
pub enum Counter {}

/// What is so now: `out.set`.
#[derive(Clone, Copy, Debug)]
pub enum Gauge {}

/// What is told in shares of all: `out.observe`.
#[derive(Clone, Copy, Debug)]
pub enum Histogram {}

/// A metric that controller `C` declared, of type `T` ([`Counter`], [`Gauge`] or [`Histogram`]), with `N` labels. Typed by
/// its controller, so that nobody else can write it.
pub struct Metric<C, T, const N: usize> {
    /// How it is scraped.
    pub info: MetricInfo,
    of: PhantomData<fn() -> (C, T)>,
}

impl<C, T, const N: usize> Metric<C, T, N> {
    /// Written by `#[controller]`.
    pub const fn new(info: MetricInfo) -> Self {
        Self { info, of: PhantomData }
    }

    pub(crate) fn measured(&self, labels: [&str; N], value: f64) -> Measured {
        Measured { metric: self.info, labels: labels.map(str::to_owned).to_vec(), value }
    }
}

impl<C, T, const N: usize> Clone for Metric<C, T, N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C, T, const N: usize> Copy for Metric<C, T, N> {}

impl<C, T, const N: usize> fmt::Debug for Metric<C, T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info.name)
    }
}

/// A value for one series of a metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The metric.
    #[serde(serialize_with = "name")]
    pub metric: MetricInfo,
    /// A value for each of its labels, in their order.
    pub labels: Vec<String>,
    /// What is added, set or observed.
    pub value: f64,
}

fn name<S: serde::Serializer>(metric: &MetricInfo, serializer: S) -> Result<S::Ok, S::Error> {
    metric.name.serialize(serializer)
}

/// As a line of a decision: `count  reaped{reason="idle"} 1`.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.metric.type_ {
            MetricType::Counter => "count",
            MetricType::Gauge => "set",
            MetricType::Histogram => "observe",
        };
        write!(f, "{verb:<6} {}", self.metric.name)?;
        let pairs = self.metric.labels.iter().zip(&self.labels);
        let pairs: Vec<String> = pairs.map(|(label, value)| format!("{label}={value:?}")).collect();
        if !pairs.is_empty() {
            write!(f, "{{{}}}", pairs.join(","))?;
        }
        write!(f, " {}", self.value)
    }
}
