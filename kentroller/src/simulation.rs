//! A simulated cluster with our operator in it: what the demo shows and the tests drive.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::{CapacityType, Catalog};
use kentroller_runtime::Clock;
use kentroller_runtime::engine::ports::Ports;
use kentroller_runtime::operator::{Ended, Operator};
use kentroller_runtime::settings::Settings as _;
use kentroller_runtime::simulation::apiserver::{ApiServer, Refusal, Served};
use kentroller_world::{CSV, Catalogue, Drift, Row, Setup, World};
use kube::client::Body;
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[cfg(feature = "connected")]
use crate::backend::Backend;
use crate::backend::{Checks, Effort, Embedded, Plans, Predictions, Prices};
use crate::controllers;
use crate::settings::Settings;

/// The namespace of the operator.
pub const NAMESPACE: &str = "castai-agent";
/// The user as which the operator asks the API server.
pub const USER: &str = "kentroller";
/// What the planner may do for one plan: the same on every machine.
const STEPS: u64 = 5_000;

/// A running simulation. Dropping it ends the world, not the operator's task: that ends with its runtime.
pub struct Operated {
    pub server: ApiServer,
    pub clock: Clock,
    pub world: World,
    /// Where the next operator has its prices from; see [`Operated::restart`].
    pub prices: Prices,
    /// Whom the next operator asks for plans; `None`: itself.
    #[cfg(feature = "connected")]
    pub backend: Option<Arc<Backend>>,
    /// Where the next operator writes the records of what it decided.
    pub records: Option<PathBuf>,
    /// The name of the next operator among its replicas: with another one it waits until the lease has run out.
    pub instance: String,
    settings: watch::Sender<Arc<Settings>>,
    stop: watch::Sender<bool>,
    operator: JoinHandle<Ended>,
    line: Line,
}

/// Every kind that the operator and the world around it ask for.
pub fn served() -> Vec<Served> {
    let mut kinds = kentroller_world::kinds();
    kinds.push(Served::built_in("", "v1", "ConfigMap", "configmaps", true, false));
    kinds.push(Served::built_in("coordination.k8s.io", "v1", "Lease", "leases", true, false));
    kinds.extend(
        controllers::kinds().iter().map(|kind| Served::custom(serde_json::to_value(kind.crd()).unwrap_or_default())),
    );
    kinds
}

impl Operated {
    /// Builds a drifted cluster, starts the world around it, and our operator.
    ///
    /// # Errors
    /// What the API server refused.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(drift: Drift, setup: Setup, start: Timestamp) -> Result<Self, Refusal> {
        let (server, clock) = empty(start);
        drift.build(&server, start)?;
        Ok(Self::on(server, clock, setup, prices()))
    }

    /// Starts the world around the cluster that is on a server, and our operator.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn on(server: ApiServer, clock: Clock, setup: Setup, prices: Prices) -> Self {
        let world = World::start(&server, &clock, setup);
        let defaults =
            Settings::from_env(&|_| None).unwrap_or_else(|_| unreachable!("every default is valid, as a test shows"));
        let (settings, current) = watch::channel(Arc::new(defaults));
        let (stop, stopped) = watch::channel(false);
        let instance = "kentroller-0".to_owned();
        let (line, client) = Line::to(server.client(USER));
        let embedded = Embedded { prices: prices.clone(), effort: Effort::Steps(STEPS) };
        let operator = operator(current, Plans::new(embedded.clone()), embedded, None, &instance);
        let operator = tokio::spawn(operator.run_until(client, clock.clone(), stopped));
        Self {
            server,
            clock,
            world,
            prices,
            #[cfg(feature = "connected")]
            backend: None,
            records: None,
            instance,
            settings,
            stop,
            operator,
            line,
        }
    }

    /// Changes the operator's settings, as a new text in its ConfigMap would.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.settings.send_modify(|settings| change(Arc::make_mut(settings)));
    }

    /// Kills the operator and starts another one in its place: nothing that was under way is finished, and all that it
    /// knew in memory is gone.
    pub async fn restart(&mut self) {
        self.stop_for(Duration::ZERO).await;
    }

    /// As [`Operated::restart`], with some time in between in which there is no operator.
    pub async fn stop_for(&mut self, time: Duration) {
        self.end().await;
        tokio::time::sleep(time).await;
        self.begin(self.server.client(USER), false);
    }

    /// As [`Operated::restart`], with a client that does what a test wants of it, and perhaps as a shadow.
    pub async fn replace(&mut self, client: kube::Client, shadow: bool) {
        self.end().await;
        self.begin(client, shadow);
    }

    /// Kills the operator and starts none. What the process had sent has arrived; what it was about to send never does, and it
    /// hears no answer.
    pub async fn end(&mut self) {
        self.line.cut();
        self.operator.abort();
        let _ = (&mut self.operator).await;
    }

    fn begin(&mut self, client: kube::Client, shadow: bool) {
        let (line, client) = Line::to(client);
        let embedded = Embedded { prices: self.prices.clone(), effort: Effort::Steps(STEPS) };
        let plans = self.plans(&embedded);
        let operator = operator(self.settings.subscribe(), plans, embedded, self.records.clone(), &self.instance);
        self.line = line;
        self.operator =
            tokio::spawn(operator.shadow(shadow).run_until(client, self.clock.clone(), self.stop.subscribe()));
    }

    #[cfg(feature = "connected")]
    fn plans(&self, embedded: &Embedded) -> Plans {
        let backend = self.backend.as_ref().map(Arc::clone);
        backend.map_or_else(|| Plans::new(embedded.clone()), |backend| Plans::of_backend(embedded.clone(), backend))
    }

    #[cfg(not(feature = "connected"))]
    #[expect(clippy::unused_self, reason = "in other builds it depends")]
    fn plans(&self, embedded: &Embedded) -> Plans {
        Plans::new(embedded.clone())
    }

    /// Nodes that Karpenter bought since a revision, for pods that found no place; ours are planned.
    pub fn unplanned(&self, since: u64) -> Vec<String> {
        let writes = self.server.writes(since).into_iter();
        let bought =
            writes.filter(|write| &*write.kind == "NodeClaim" && write.verb == "create" && &*write.user != USER);
        bought.map(|write| write.name).collect()
    }

    /// Whether the operator's task is alive.
    pub fn is_running(&self) -> bool {
        !self.operator.is_finished()
    }
}

/// The connection of one process: it is cut when the process is killed, for its tasks may outlive it here.
#[derive(Debug, Default)]
struct Line(Arc<AtomicBool>);

impl Line {
    /// A client that goes through the line.
    fn to(client: kube::Client) -> (Self, kube::Client) {
        let line = Self::default();
        let is_cut = Arc::clone(&line.0);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (is_cut, client) = (Arc::clone(&is_cut), client.clone());
            async move {
                until_cut(&is_cut).await;
                let answer = client.send(request).await;
                until_cut(&is_cut).await;
                answer
            }
        });
        (line, kube::Client::new(service, "default"))
    }

    fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Goes on at once, or never when the line is cut.
async fn until_cut(is_cut: &AtomicBool) {
    if is_cut.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// A server with nothing on it, and the clock that it goes by.
pub fn empty(start: Timestamp) -> (ApiServer, Clock) {
    let clock = Clock::starting_at(start);
    let now = clock.clone();
    (ApiServer::new(move || now.now(), served()), clock)
}

/// What the simulated cloud sells where these prices hold; a zone without a name stands for the only one.
pub fn sold(catalog: &Catalog, region: &str, zones: &BTreeSet<String>) -> Catalogue {
    let capacity_types = [CapacityType::OnDemand, CapacityType::Spot, CapacityType::Reserved];
    let places: Vec<(&String, &CapacityType)> =
        zones.iter().flat_map(|zone| capacity_types.iter().map(move |one| (zone, one))).collect();
    let rows = catalog.types(region).map(|priced| {
        let it = &priced.instance_type;
        let price = |(zone, capacity_type): &(&String, &CapacityType)| {
            let offer = priced.offer(zone, capacity_type).filter(|offer| offer.available)?;
            Some(((*zone).clone(), capacity_type.as_str().to_owned(), offer.price))
        };
        Row {
            instance_type: it.name.clone(),
            cores: it.vcpu,
            memory_mib: it.memory_mib,
            arch: it.arch.clone(),
            most_pods: it.max_pods,
            gpus: (it.gpu_count, it.gpu_name.clone()),
            prices: places.iter().filter_map(price).collect(),
        }
    });
    Catalogue::of(region, rows.collect())
}

/// What the simulated cloud asks for.
pub fn prices() -> Prices {
    let catalog = Catalog::from_csv(CSV, "the simulated cloud", "").map(Arc::new);
    Prices::Fixed(catalog.unwrap_or_else(|_| unreachable!("the shipped catalogue reads, as a test shows")))
}

fn operator(
    settings: watch::Receiver<Arc<Settings>>,
    plans: Plans,
    embedded: Embedded,
    records: Option<PathBuf>,
    instance: &str,
) -> Operator<Settings> {
    let also_read_in = settings.borrow().features_watch_namespaces.clone();
    controllers::operator()
        .settings(settings)
        .ports(Ports::default().with(plans).with(Checks(embedded)).with(Predictions))
        .instance(instance)
        .namespace(NAMESPACE)
        .also_read_in(also_read_in)
        .records(records)
}
