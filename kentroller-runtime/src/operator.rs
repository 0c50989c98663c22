//! One running operator: its watches, its engine, its lease and its probes, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::engine::ports::Ports;
use crate::engine::writer::Writer;
use crate::engine::{AnyController, Engine, Parts};
use crate::kind::KindInfo;
use crate::lease::{Election, Fence, Role};
use crate::metrics::Metrics;
use crate::switches::Switches;
use crate::{serve, wire};

/// An engine that has not come round for this long is stuck, and its process must be started anew.
const STUCK: Duration = Duration::from_secs(120);

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

/// How an operator goes, as probes tell it.
#[derive(Clone, Debug)]
pub struct Health(Arc<Rounds>);

#[derive(Debug)]
struct Rounds {
    ready: AtomicBool,
    /// When the engine came round last.
    last: Mutex<Instant>,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Rounds { ready: AtomicBool::new(false), last: Mutex::new(Instant::now()) }))
    }
}

impl Health {
    /// Whether every store holds a whole list and its watch is up to date. True of a replica that stands by as well: it
    /// takes over without reading anything again.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed)
    }

    /// Whether the engine comes round.
    pub fn is_alive(&self) -> bool {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < STUCK
    }

    pub(crate) fn round(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Relaxed);
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// Why an operator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// Another replica may act now: the process must end.
    LeaseLost,
}

/// Why an operator does not run, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client can be made of the kubeconfig.
    #[error("the kubeconfig cannot be used: {0}")]
    Client(#[from] kube::Error),
    /// The address is taken, or not ours.
    #[error("probes cannot be served at {address}: {source}")]
    Probes {
        /// Where probes were to answer.
        address: SocketAddr,
        /// Why they cannot.
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("no thread for lease and probes: {0}")]
    Thread(std::io::Error),
    /// It could not renew its lease in time.
    #[error("the lease is lost: another replica may act; this one ends")]
    LeaseLost,
}

impl<S: Switches + Serialize> Operator<S> {
    /// Runs against a cluster until the process is told to stop by SIGTERM or SIGINT, or the lease is lost.
    ///
    /// Lease and probes have a thread and a client of their own: neither a long reconcile nor a crowd of requests keeps them
    /// from being in time.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::LeaseLost`] the process must end.
    pub async fn run(self, config: kube::Config) -> Result<(), Error> {
        let agent = format!("{}/{}", self.name, self.version);
        let client = wire::client(config.clone(), &agent)?;
        let probes = match self.probes {
            Some(address) => Some(bind(address).map_err(|source| Error::Probes { address, source })?),
            None => None,
        };
        let registry = Arc::new(self.metrics.register(self.metrics_prefix.as_deref().unwrap_or(&self.name)));
        let fence = self.fence();
        let (role, roles) = watch::channel(self.first_role());
        let (end, ends) = watch::channel(false);
        let (elected, seat, health) = (self.elected(), self.seat(), self.health());
        let mut until_stopped = ends.clone();
        let held = fence.clone();
        let beside = move || async move {
            if let Some(listener) = probes {
                // Bound before; a listener that is bound is taken over.
                let listener = TcpListener::from_std(listener).expect("a bound listener that does not block");
                tokio::spawn(async move {
                    if let Err(error) = serve::serve(listener, health, registry).await {
                        tracing::error!(%error, "probes and metrics are not served any more");
                    }
                });
            }
            if elected {
                let client = wire::client(config, &agent)?;
                Election::new(client, Clock::system(), seat, held).lead(role, ends).await;
            } else {
                let _ = until_stopped.wait_for(|end| *end).await;
            }
            Ok(())
        };
        let (done, beside_is_done) = tokio::sync::oneshot::channel();
        on_a_thread("lease and probes", beside, done).map_err(Error::Thread)?;
        let ended = self.operate(client, Clock::system(), fence, roles, told_to_stop()).await;
        if ended == Ended::Stopped {
            let _ = end.send(true);
        }
        let beside = beside_is_done.await;
        match (ended, beside) {
            (_, Ok(Err(error))) => Err(Error::Client(error)),
            (Ended::LeaseLost, _) => Err(Error::LeaseLost),
            (Ended::Stopped, _) => Ok(()),
        }
    }

    /// Runs on this thread, by this clock and with this client, until `stop` turns true or the lease is lost: for
    /// simulations, where there is one thread and one order.
    pub async fn run_until(self, client: kube::Client, clock: Clock, mut stop: watch::Receiver<bool>) -> Ended {
        let fence = self.fence();
        let (role, roles) = watch::channel(self.first_role());
        let (end, ends) = watch::channel(false);
        let election = self.elected().then(|| Election::new(client.clone(), clock.clone(), self.seat(), fence.clone()));
        let election = election.map(|election| tokio::spawn(election.lead(role, ends)));
        let stop = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let ended = self.operate(client, clock, fence, roles, stop).await;
        if let Some(election) = election
            && ended == Ended::Stopped
        {
            let _ = end.send(true);
            let _ = election.await;
        }
        ended
    }

    /// The engine runs from the start: a replica that stands by keeps its stores.
    async fn operate(
        self,
        client: kube::Client,
        clock: Clock,
        fence: Fence,
        mut roles: watch::Receiver<Role>,
        stop: impl Future<Output = ()>,
    ) -> Ended {
        let (elected, lease, metrics) = (self.elected(), self.lease_name().to_owned(), self.metrics.clone());
        let (halt, halted) = watch::channel(false);
        let own_namespace = self.own_namespace.iter().map(|kind| (*kind, self.namespace.clone())).collect();
        let instance = self.instance.unwrap_or_else(|| self.name.clone());
        let engine = Engine::new(Parts {
            controllers: self.controllers,
            writer: Writer { client, clock, fence, shadow: self.shadow },
            ports: self.ports,
            settings: self.settings.0,
            metrics: metrics.clone(),
            name: self.name,
            instance,
            namespace: self.namespace,
            own_namespace,
            records: self.records,
            leads: roles.clone(),
            health: self.health,
        });
        let mut engine = pin!(engine.run(halted));
        let lost = async {
            loop {
                let role = *roles.borrow_and_update();
                if elected {
                    metrics.leads(&lease, role == Role::Leads);
                }
                // Who elects is gone without a word: it does not renew any more.
                let gone = roles.changed().await.is_err() && elected;
                if role == Role::Lost || gone {
                    return;
                }
                if !elected {
                    std::future::pending::<()>().await;
                }
            }
        };
        let ended = tokio::select! {
            biased;
            () = stop => Ended::Stopped,
            () = lost => Ended::LeaseLost,
            () = &mut engine => return Ended::Stopped,
        };
        let _ = halt.send(true);
        engine.await;
        ended
    }

    fn elected(&self) -> bool {
        self.elect && !self.shadow
    }

    fn fence(&self) -> Fence {
        if self.elected() { Fence::closed() } else { Fence::open() }
    }

    fn first_role(&self) -> Role {
        if self.elected() { Role::StandsBy } else { Role::Leads }
    }

    fn lease_name(&self) -> &str {
        self.lease.as_deref().unwrap_or(&self.name)
    }

    fn seat(&self) -> crate::lease::Seat {
        let me = self.instance.as_deref().unwrap_or(&self.name).to_owned();
        crate::lease::Seat { namespace: self.namespace.clone(), name: self.lease_name().to_owned(), me }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Runs a future on a thread of its own, and sends what comes of it.
fn on_a_thread<F>(
    name: &str,
    make: impl FnOnce() -> F + Send + 'static,
    done: tokio::sync::oneshot::Sender<F::Output>,
) -> std::io::Result<()>
where
    F: Future<Output: Send + 'static>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let output = runtime.block_on(async { make().await });
        let _ = done.send(output);
    })?;
    Ok(())
}

async fn told_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} },
        Err(_) => drop(interrupt.await),
    }
}
