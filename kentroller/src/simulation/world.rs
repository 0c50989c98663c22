//! The simulated world as one task: every actor looks at the same state, writes, and sleeps until something happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_planner::manifest::Labels;
use kentroller_runtime::Clock;
use kentroller_runtime::simulation::apiserver::{ApiServer, Served};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::catalogue::Catalogue;
use super::entropy::Entropy;
use super::hands::{Hands, sooner};
use super::karpenter::Karpenter;
use super::kubelet::Kubelets;
use super::scheduler::Scheduler;
use super::seen::{Inbox, News, Seen, is_leaving};
use super::timings::{Faults, Timings};
use super::workloads::{Budgets, Daemons, Deployments, ReplicaSets};

/// One of those who act on the cluster.
pub(crate) trait Actor: Send {
    /// Does what is due at this moment; answers when to act again should nothing change until then.
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp>;
}

/// What is shared between the world and whoever plays with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather(Arc<Mutex<Faults>>);

impl Weather {
    pub(crate) fn now(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a world is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// All chance comes from here.
    pub seed: u64,
    pub timings: Timings,
    pub faults: Faults,
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
        let Setup { seed, timings, faults } = setup;
        let catalogue = Arc::new(Catalogue::shipped());
        let weather = Weather(Arc::new(Mutex::new(faults)));
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
        Box::new(Daemons::new(entropy.fork("daemons"))),
        Box::new(Budgets),
        Box::new(Scheduler::new(entropy.fork("scheduler"))),
        Box::new(Kubelets::new(timings.clone(), entropy.fork("kubelet"))),
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
        !matches!(phase, "Succeeded" | "Failed") && !(phase == "Running" && super::conditions::is_true(pod, "Ready"))
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

/// The kinds that the world needs on the server. Karpenter's kinds are served without their CRDs.
pub fn kinds() -> Vec<Served> {
    [
        ("", "v1", "Pod", "pods", true, true),
        ("", "v1", "Node", "nodes", false, true),
        ("", "v1", "Namespace", "namespaces", false, true),
        ("apps", "v1", "Deployment", "deployments", true, true),
        ("apps", "v1", "ReplicaSet", "replicasets", true, true),
        ("apps", "v1", "DaemonSet", "daemonsets", true, true),
        ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true, true),
        ("karpenter.sh", "v1", "NodePool", "nodepools", false, true),
        ("karpenter.sh", "v1", "NodeClaim", "nodeclaims", false, true),
        ("karpenter.k8s.aws", "v1", "EC2NodeClass", "ec2nodeclasses", false, true),
        ("events.k8s.io", "v1", "Event", "events", true, false),
    ]
    .map(|(group, version, kind, plural, namespaced, status)| {
        Served::built_in(group, version, kind, plural, namespaced, status)
    })
    .into()
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
mod tests {
    use std::time::Duration;

    use kentroller_runtime::simulation::apiserver::{DeleteOptions, Write};
    use serde_json::json;

    use super::*;
    use crate::simulation::conditions;
    use crate::simulation::drift::Drift;

    /// A drifted cluster of some nodes with its world turning, at a virtual time.
    async fn drifted(nodes: usize, setup: Setup) -> (ApiServer, Clock, World) {
        let clock = Clock::starting_at("2026-03-02T08:00:00Z".parse().unwrap());
        let told = clock.clone();
        let server = ApiServer::new(move || told.now(), kinds());
        Drift { nodes, seed: setup.seed }.build(&server, clock.now()).unwrap();
        let world = World::start(&server, &clock, setup);
        (server, clock, world)
    }

    fn names(server: &ApiServer, kind: &str) -> Vec<String> {
        server.list(kind).iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The name, namespace and node of a pod that is not a daemon's and may be evicted.
    fn movable(server: &ApiServer) -> (String, String, String) {
        let guarded = |pod: &Value| {
            let label = &pod["metadata"]["labels"]["app"];
            server
                .list("PodDisruptionBudget")
                .iter()
                .any(|budget| budget["spec"]["selector"]["matchLabels"]["app"] == *label)
        };
        let pods = server.list("Pod");
        let free =
            pods.iter().find(|pod| pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet" && !guarded(pod));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pod = free.unwrap();
        (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]), text(&pod["spec"]["nodeName"]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_drifted_cluster_stands_still_for_an_hour() {
        let (server, _, world) = drifted(20, Setup::default()).await;
        let before = server.revision();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(server.writes(before), Vec::<Write>::new());
        assert!(world.is_turning());
    }

    #[tokio::test(start_paused = true)]
    async fn an_evicted_pod_comes_back_elsewhere() {
        let (server, _, world) = drifted(20, Setup::default()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (namespace, name, node) = movable(&server);
        let count = names(&server, "Pod").len();
        server.update("Node", None, &node, |node| node["spec"]["unschedulable"] = json!(true)).unwrap();
        let before = server.revision();
        server.evict(&namespace, &name, &DeleteOptions::default()).unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(server.get("Pod", Some(&namespace), &name).is_none());
        assert_eq!(names(&server, "Pod").len(), count);
        assert_eq!(world.pods_not_running(), Vec::<String>::new());
        let created = server
            .writes(before)
            .into_iter()
            .find(|write| write.verb == "create" && &*write.kind == "Pod" && write.subresource.is_empty())
            .unwrap();
        let pod = server.get("Pod", Some(&created.namespace), &created.name).unwrap();
        assert_ne!(pod["spec"]["nodeName"], node.as_str());
    }

    /// Asks for a pod that no node of the cluster holds, and answers its name.
    fn ask_for_room(server: &ApiServer) -> String {
        let container =
            json!({"name": "app", "image": "a:1", "resources": {"requests": {"cpu": "30", "memory": "100Gi"}}});
        let labels = json!({"app": "big"});
        let set = server.create(json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "big", "namespace": "default"},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
        }));
        set.unwrap()["metadata"]["name"].as_str().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_without_room_makes_karpenter_launch() {
        let (server, _, world) = drifted(5, Setup::default()).await;
        let (claims, price) = (names(&server, "NodeClaim"), world.price_per_hour());
        ask_for_room(&server);
        tokio::time::sleep(Duration::from_secs(6)).await;
        let launched = server
            .list("NodeClaim")
            .into_iter()
            .find(|claim| !claims.iter().any(|name| claim["metadata"]["name"] == name.as_str()))
            .unwrap();
        assert!(!conditions::is_true(&launched, "Registered"), "a launch takes its time");
        assert_eq!(world.pods_not_running().len(), 1);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.pods_not_running(), Vec::<String>::new());
        let name = launched["metadata"]["name"].as_str().unwrap();
        let claim = server.get("NodeClaim", None, name).unwrap();
        let node = server.get("Node", None, claim["status"]["nodeName"].as_str().unwrap()).unwrap();
        for condition in ["Launched", "Registered", "Initialized", "Ready"] {
            assert!(conditions::is_true(&claim, condition), "{condition}: {claim}");
        }
        assert_eq!(node["metadata"]["labels"]["karpenter.sh/nodepool"], "general");
        assert_eq!(node["metadata"]["labels"]["karpenter.sh/initialized"], "true");
        assert_eq!(node["spec"]["taints"], Value::Null);
        let bought = Catalogue::shipped()
            .get(node["metadata"]["labels"]["node.kubernetes.io/instance-type"].as_str().unwrap())
            .unwrap()
            .price;
        assert_eq!(world.price_per_hour(), price + bought);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_claim_drains_its_node_and_ends_it() {
        let (server, _, world) = drifted(20, Setup::default()).await;
        let (_, _, node) = movable(&server);
        let node_object = server.get("Node", None, &node).unwrap();
        let claim = node_object["metadata"]["ownerReferences"][0]["name"].as_str().unwrap().to_owned();
        let price = world.price_per_hour();
        // Pods that must not be moved would hold the drain for ever.
        for pod in server.list("Pod").iter().filter(|pod| pod["spec"]["nodeName"] == node.as_str()) {
            let (namespace, name) = (pod["metadata"]["namespace"].as_str(), pod["metadata"]["name"].as_str().unwrap());
            server
                .update("Pod", namespace, name, |pod| {
                    drop(pod["metadata"].as_object_mut().unwrap().remove("annotations"))
                })
                .unwrap();
        }
        for budget in server.list("PodDisruptionBudget") {
            let (namespace, name) =
                (budget["metadata"]["namespace"].as_str(), budget["metadata"]["name"].as_str().unwrap());
            server
                .update("PodDisruptionBudget", namespace, name, |budget| {
                    budget["spec"] = json!({"selector": budget["spec"]["selector"], "maxUnavailable": 1})
                })
                .unwrap();
        }
        server.delete("NodeClaim", None, &claim, &DeleteOptions::default()).unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let leaving = server.get("Node", None, &node).unwrap();
        assert_eq!(leaving["spec"]["taints"][0]["key"], "karpenter.sh/disrupted", "{leaving}");
        tokio::time::sleep(Duration::from_secs(180)).await;
        assert!(server.get("NodeClaim", None, &claim).is_none());
        assert!(server.get("Node", None, &node).is_none());
        assert_eq!(world.pods_not_running(), Vec::<String>::new());
        assert!(server.list("Pod").iter().all(|pod| pod["spec"]["nodeName"] != node.as_str()));
        assert!(world.price_per_hour() < price);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_without_capacity_is_deleted_at_once_and_another_type_is_taken_next() {
        let (server, _, world) = drifted(5, Setup::default()).await;
        let holds = |sold: &&crate::simulation::Sold| sold.allocatable().cpu_milli >= 30_000;
        let cheapest = Catalogue::shipped().cheapest_first().iter().find(holds).unwrap().name().to_owned();
        world.set_faults(|faults| {
            for sold in Catalogue::shipped().cheapest_first() {
                for zone in crate::simulation::ZONES {
                    faults.exhausted.insert(crate::simulation::Offering {
                        instance_type: sold.name().into(),
                        zone: zone.into(),
                        capacity_type: "on-demand".into(),
                    });
                }
            }
        });
        let claims = names(&server, "NodeClaim");
        let before = server.revision();
        ask_for_room(&server);
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert_eq!(names(&server, "NodeClaim"), claims);
        let event = server.list("Event").into_iter().find(|event| event["reason"] == "InsufficientCapacityError");
        assert!(event.is_some(), "{:?}", server.writes(before));
        world.set_faults(|faults| faults.exhausted.retain(|offering| offering.instance_type == cheapest));
        tokio::time::sleep(Duration::from_secs(400)).await;
        assert_eq!(world.pods_not_running(), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_never_joins_is_given_up_after_a_quarter_of_an_hour() {
        let (server, _, world) =
            drifted(5, Setup { faults: Faults { lost_percent: 100, ..Faults::default() }, ..Setup::default() }).await;
        ask_for_room(&server);
        tokio::time::sleep(Duration::from_secs(890)).await;
        let lost = names(&server, "NodeClaim");
        assert_eq!((lost.len(), world.pods_not_running().len()), (6, 1));
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_ne!(names(&server, "NodeClaim"), lost);
        world.set_faults(|faults| faults.lost_percent = 0);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(world.pods_not_running(), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unlaunched_claim_stalls_all_provisioning() {
        let (server, _, _world) = drifted(
            5,
            Setup {
                faults: Faults { slow_percent: 100, slow_launch: Duration::from_secs(120), ..Faults::default() },
                ..Setup::default()
            },
        )
        .await;
        let pool = server.get("NodePool", None, "general").unwrap();
        let mut entropy = Entropy::seeded(9);
        let claim = crate::simulation::karpenter::claim_of_pool(
            &pool,
            vec!["m5.large".into()],
            vec!["us-east-1a".into()],
            Default::default(),
            &mut entropy,
        );
        server.create(claim).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        ask_for_room(&server);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(names(&server, "NodeClaim").len(), 6, "nothing is bought while a claim has no instance");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(names(&server, "NodeClaim").len(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn empty_nodes_go_where_a_pool_lets_karpenter_consolidate() {
        let (server, _, _world) = drifted(20, Setup::default()).await;
        for deployment in server.list("Deployment") {
            let (namespace, name) =
                (deployment["metadata"]["namespace"].as_str(), deployment["metadata"]["name"].as_str().unwrap());
            server.update("Deployment", namespace, name, |object| object["spec"]["replicas"] = json!(0)).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(names(&server, "Node").len(), 20, "consolidateAfter is Never");
        let shielded = names(&server, "Node")[0].clone();
        server
            .update("Node", None, &shielded, |node| {
                node["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] = json!("true")
            })
            .unwrap();
        server
            .update("NodePool", None, "general", |pool| pool["spec"]["disruption"]["consolidateAfter"] = json!("30s"))
            .unwrap();
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert!(names(&server, "Node").len() >= 18, "the budget is 10 %");
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(names(&server, "Node"), [shielded]);
    }

    #[test]
    fn the_same_seed_gives_the_same_writes() {
        let run = |seed| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let (server, _, _world) = drifted(8, Setup { seed, ..Setup::default() }).await;
                ask_for_room(&server);
                let (namespace, name, _) = movable(&server);
                server.evict(&namespace, &name, &DeleteOptions::default()).unwrap();
                tokio::time::sleep(Duration::from_secs(120)).await;
                let objects = kinds().into_iter().flat_map(|kind| server.list(&kind.kind));
                let bytes: Vec<String> = objects.map(|object| object.to_string()).collect();
                (bytes, server.writes(0))
            })
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3).0, run(4).0);
    }
}
