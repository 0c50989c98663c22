//! An operator: its controllers, and under which names they run.

mod health;
mod run;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

pub use self::health::Health;
pub use self::run::{Ended, Error};
use crate::engine::AnyController;
use crate::engine::ports::Ports;
use crate::kind::KindInfo;
use crate::metrics::Metrics;
use crate::switches::Switches;

/// What an operator runs, and under which names.
///
/// ```no_run
/// # async fn f(controllers: Vec<Box<dyn kentroller_runtime::AnyController<()>>>) -> Result<(), Box<dyn std::error::Error>> {
/// use kentroller_runtime::operator::Operator;
///
/// let config = kube::Config::infer().await?;
/// Operator::of(controllers).settings(()).name("hive").run(config).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an operator does nothing until it is run"]
pub struct Operator<S, G = Source<S>> {
    controllers: Vec<Box<dyn AnyController<S>>>,
    settings: G,
    ports: Ports,
    name: String,
    version: String,
    lease: Option<String>,
    metrics_prefix: Option<String>,
    instance: Option<String>,
    namespace: String,
    own_namespace: Vec<KindInfo>,
    also_read_in: Vec<String>,
    shadow: bool,
    elect: bool,
    records: Option<PathBuf>,
    probes: Option<SocketAddr>,
    metrics: Metrics,
    health: Health,
}

impl<S, G> std::fmt::Debug for Operator<S, G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator")
            .field("name", &self.name)
            .field("controllers", &self.controllers)
            .finish_non_exhaustive()
    }
}

/// Where settings come from: a value that stays, or a channel of values.
pub struct Source<S>(watch::Receiver<Arc<S>>);

impl<S: Switches> From<S> for Source<S> {
    fn from(settings: S) -> Self {
        // Without a sender the value stays.
        Self(watch::channel(Arc::new(settings)).1)
    }
}

impl<S> From<watch::Receiver<Arc<S>>> for Source<S> {
    fn from(settings: watch::Receiver<Arc<S>>) -> Self {
        Self(settings)
    }
}

impl<S> Operator<S, ()> {
    /// An operator of these controllers. It needs [`Operator::settings`], and has a default for everything else.
    pub fn of(controllers: Vec<Box<dyn AnyController<S>>>) -> Self {
        Self {
            controllers,
            settings: (),
            ports: Ports::default(),
            name: "operator".to_owned(),
            version: "0".to_owned(),
            lease: None,
            metrics_prefix: None,
            instance: None,
            namespace: "default".to_owned(),
            own_namespace: Vec::new(),
            also_read_in: Vec::new(),
            shadow: false,
            elect: true,
            records: None,
            probes: None,
            metrics: Metrics::default(),
            health: Health::default(),
        }
    }

    /// What `world.settings()` is: one value, or a channel of values.
    pub fn settings(self, settings: impl Into<Source<S>>) -> Operator<S> {
        Operator {
            controllers: self.controllers,
            settings: settings.into(),
            ports: self.ports,
            name: self.name,
            version: self.version,
            lease: self.lease,
            metrics_prefix: self.metrics_prefix,
            instance: self.instance,
            namespace: self.namespace,
            own_namespace: self.own_namespace,
            also_read_in: self.also_read_in,
            shadow: self.shadow,
            elect: self.elect,
            records: self.records,
            probes: self.probes,
            metrics: self.metrics,
            health: self.health,
        }
    }
}

impl<S, G> Operator<S, G> {
    /// The operator's name: before the controller's in events, before the version as field manager and user agent; and
    /// that of the lease and the prefix of the metrics, unless they have their own. `operator` by default.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The operator's version, for its user agent. `0` by default.
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The name of the lease; the operator's by default.
    pub fn lease(mut self, lease: &str) -> Self {
        self.lease = Some(lease.to_owned());
        self
    }

    /// What stands before `_` and the name of every metric; the operator's name by default.
    pub fn metrics_prefix(mut self, prefix: &str) -> Self {
        self.metrics_prefix = Some(prefix.to_owned());
        self
    }

    /// The name of this replica, usually the pod's: holder of the lease and reporter of events. The operator's by default,
    /// which is right for one replica only.
    pub fn instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }

    /// Where the lease is, and what [`Operator::own_namespace`] names. `default` by default.
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// Kinds that are read in the operator's namespace only.
    pub fn own_namespace(mut self, kinds: impl IntoIterator<Item = KindInfo>) -> Self {
        self.own_namespace = kinds.into_iter().collect();
        self
    }

    /// Namespaces besides the operator's in which the kinds of [`Operator::own_namespace`] are read. None by default; the rights for it
    /// are not among those that are generated.
    pub fn also_read_in(mut self, namespaces: impl IntoIterator<Item = String>) -> Self {
        self.also_read_in = namespaces.into_iter().collect();
        self
    }

    /// The doors to what is slow; none by default.
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Computes everything and writes nothing at all, not even a lease. Off by default.
    pub fn shadow(mut self, shadow: bool) -> Self {
        self.shadow = shadow;
        self
    }

    /// Whether it waits for a lease before it acts. On by default; off is right for a single replica only.
    pub fn elect(mut self, elect: bool) -> Self {
        self.elect = elect;
        self
    }

    /// Where reconciles that acted are written, one file each, to be replayed. Nowhere by default.
    pub fn records(mut self, folder: Option<PathBuf>) -> Self {
        self.records = folder;
        self
    }

    /// Where `/livez`, `/readyz` and `/metrics` answer. Nowhere by default.
    pub fn probes(mut self, address: SocketAddr) -> Self {
        self.probes = Some(address);
        self
    }

    /// What it counts while it runs.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// How it goes while it runs: what the probes answer from.
    pub fn health(&self) -> Health {
        self.health.clone()
    }
}
