//! The simulated world as one task: every actor looks at the same state, writes, and sleeps until something happens.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_planner::manifest::KINDS;
use kentroller_planner::manifest::Labels;
use kentroller_runtime::Clock;
use kentroller_runtime::simulation::apiserver::{ApiServer, Served};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::actor::{Actor, Weather};
use crate::catalogue::Catalogue;
use crate::entropy::Entropy;
use crate::hands::{Hands, sooner};
use crate::karpenter::Karpenter;
use crate::kubelet::Kubelets;
use crate::scheduler::Scheduler;
use crate::seen::{Inbox, Seen, is_leaving};
use crate::timings::{Faults, Timings};
use crate::workloads::{Budgets, Daemons, Deployments, ReplicaSets, StatefulSets};

/// How a world is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// All chance comes from here.
    pub seed: u64,
    pub timings: Timings,
    pub faults: Faults,
    /// What the cloud sells.
    pub catalogue: Arc<Catalogue>,
}

/// A running world. It ends when this is dropped.
#[derive(Debug)]
pub struct World {
    server: ApiServer,
    catalogue: Arc<Catalogue>,
    weather: Weather,
    task: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// Starts all actors on the server as it is now.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(server: &ApiServer, clock: &Clock, setup: Setup) -> Self {
        let Setup { seed, timings, faults, catalogue } = setup;
        let weather = Weather::of(faults);
        let actors = actors(&catalogue, &timings, &weather, seed);
        let inbox = Inbox::of(server);
        let task = tokio::spawn(turn(server.clone(), clock.clone(), inbox, actors, timings.reaction));
        Self { server: server.clone(), catalogue, weather, task }
    }

    /// What all machines cost an hour now.
    pub fn price_per_hour(&self) -> Money {
        price_per_hour(&self.server, &self.catalogue)
    }

    /// Namespace/name and phase of the pods that should run and are not ready; pods that are ending are left out.
    pub fn pods_not_running(&self) -> Vec<String> {
        pods_not_running(&self.server)
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.weather.now());
    }

    /// Whether the world's task is alive: it ends early only by a panic.
    pub fn is_turning(&self) -> bool {
        !self.task.is_finished()
    }
}

/// All who act, in the order in which they act.
fn actors(catalogue: &Arc<Catalogue>, timings: &Timings, weather: &Weather, seed: u64) -> Vec<Box<dyn Actor>> {
    let mut entropy = Entropy::seeded(seed);
    vec![
        Box::new(Deployments),
        Box::new(ReplicaSets::new(entropy.fork("replicas"))),
        Box::new(StatefulSets::default()),
        Box::new(Daemons::new(entropy.fork("daemons"))),
        Box::new(Budgets),
        Box::new(Scheduler::new(entropy.fork("scheduler"))),
        Box::new(Kubelets::new(timings.clone(), weather.clone(), entropy.fork("kubelet"))),
        Box::new(Karpenter::new(catalogue.clone(), timings.clone(), weather.clone(), entropy.fork("karpenter"))),
    ]
}

/// Lets all actors write what they have to say about a cluster that was just put on the server, at one moment.
///
/// # Panics
/// When they never come to rest: what was put there needs time to settle.
pub(crate) fn settle(server: &ApiServer, now: Timestamp, seed: u64) {
    let mut actors = actors(&Arc::new(Catalogue::shipped()), &Timings::default(), &Weather::default(), seed);
    let inbox = Inbox::of(server);
    let mut seen = Seen::default();
    let mut news = seen.read(server);
    for _ in 0..10 {
        let hands = Hands { server: server.clone(), now };
        for actor in &mut actors {
            actor.act(&seen, &news, &hands);
        }
        let commits = inbox.take();
        if commits.is_empty() {
            return;
        }
        news = seen.take(commits);
    }
    panic!("the cluster does not come to rest: {news:?}");
}

/// What all machines cost an hour: one for each NodeClaim with an instance, and for each Node without a NodeClaim.
pub fn price_per_hour(server: &ApiServer, catalogue: &Catalogue) -> Money {
    let labels =
        |object: &Value| -> Labels { serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default() };
    let machines = server.list("NodeClaim").into_iter().filter(|claim| claim["status"]["providerID"].is_string());
    let provided: std::collections::BTreeSet<String> =
        machines.clone().filter_map(|claim| claim["status"]["providerID"].as_str().map(str::to_owned)).collect();
    let strangers = server
        .list("Node")
        .into_iter()
        .filter(|node| node["spec"]["providerID"].as_str().is_none_or(|provider| !provided.contains(provider)));
    machines.chain(strangers).filter_map(|machine| catalogue.price_of(&labels(&machine))).sum()
}

/// Namespace/name and phase of the pods that should run and are not ready; pods that are ending or have ended are left out.
pub fn pods_not_running(server: &ApiServer) -> Vec<String> {
    let pods = server.list("Pod").into_iter().filter(|pod| !is_leaving(pod));
    let idle = pods.filter(|pod| {
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        let serves = phase == "Running" && crate::conditions::is_true(pod, "Ready");
        !serves && !matches!(phase, "Succeeded" | "Failed")
    });
    let told = |field: &Value| field.as_str().unwrap_or_default().to_owned();
    idle.map(|pod| {
        format!(
            "{}/{} {}",
            told(&pod["metadata"]["namespace"]),
            told(&pod["metadata"]["name"]),
            told(&pod["status"]["phase"])
        )
    })
    .collect()
}

/// The kinds that planning reads, and what the world needs besides. Karpenter's kinds are served without their CRDs.
pub fn kinds() -> Vec<Served> {
    let read = KINDS.iter().map(|kind| {
        let has_status = !["CSINode", "PodTemplate"].contains(&kind.kind);
        Served::built_in(kind.group, kind.version, kind.kind, kind.plural, kind.namespaced, has_status)
    });
    let besides = [
        Served::built_in("apps", "v1", "Deployment", "deployments", true, true),
        Served::built_in("apps", "v1", "ReplicaSet", "replicasets", true, true),
        Served::built_in("apps", "v1", "StatefulSet", "statefulsets", true, true),
        Served::built_in("events.k8s.io", "v1", "Event", "events", true, false),
    ];
    read.chain(besides).collect()
}

/// Rounds of acting. A write of anybody is seen one reaction time later, by all actors at once.
async fn turn(server: ApiServer, clock: Clock, inbox: Inbox, mut actors: Vec<Box<dyn Actor>>, reaction: Duration) {
    let mut seen = Seen::default();
    let mut news = seen.read(&server);
    inbox.take();
    loop {
        let hands = Hands { server: server.clone(), now: clock.now() };
        let mut next = None;
        for actor in &mut actors {
            next = sooner(next, actor.act(&seen, &news, &hands));
        }
        let wait = next.map(|at| Duration::try_from(at.duration_since(hands.now)).unwrap_or_default().max(reaction));
        tokio::select! {
            biased;
            () = inbox.filled() => tokio::time::sleep(reaction).await,
            () = sleep(wait) => {}
        }
        news = seen.take(inbox.take());
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
