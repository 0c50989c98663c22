//! What a copy does not know or does not play: told with every rehearsal.

use std::collections::{BTreeMap, BTreeSet};

use kentroller_planner::manifest::Pod;
use serde_json::Value;

use super::Dumped;
use super::owners::controller;
use crate::catalogue::{Catalogue, TOLD};
use crate::conditions;
use crate::hands::text;
use crate::karpenter::is_known_provider;
use crate::seen::is_leaving;

/// What is true of every copy.
const ALWAYS: [&str; 4] = [
    "load, rollouts and autoscalers: every owner keeps the number of pods that it has",
    "successors of pods: each one starts, and takes as long as its siblings took",
    "drift that begins later, expiry, repair, interruptions and shortages of capacity",
    "prices: they stay as they are",
];

impl Dumped {
    /// One line for each thing that differs from the cluster.
    pub fn gaps(&self, catalogue: &Catalogue) -> Vec<String> {
        let mut gaps: Vec<String> = ALWAYS.map(str::to_owned).into();
        self.of_nodes(catalogue, &mut gaps);
        self.of_pools(&mut gaps);
        self.of_pods(&mut gaps);
        self.of_rules(&mut gaps);
        gaps
    }

    fn of_nodes(&self, catalogue: &Catalogue, gaps: &mut Vec<String>) {
        let nodes = self.of_kind("Node");
        let price = |node: &Value| {
            let labels = serde_json::from_value(node["metadata"]["labels"].clone()).unwrap_or_default();
            catalogue.price_of(&labels)
        };
        let unpriced = nodes.iter().filter(|node| price(node).is_none());
        tell(gaps, unpriced, "nodes without a known price: no amount counts them");
        let unready = nodes.iter().filter(|node| says_no(node, "Ready"));
        tell(gaps, unready, "nodes that are not Ready: they stay so");
    }

    fn of_pools(&self, gaps: &mut Vec<String>) {
        for pool in self.of_kind("NodePool") {
            let name = text(&pool["metadata"]["name"]);
            let spec = &pool["spec"]["template"]["spec"];
            let asked = spec["requirements"].as_array().into_iter().flatten().filter_map(|one| one["key"].as_str());
            let untold: BTreeSet<&str> =
                asked.filter(|key| key.starts_with("karpenter.k8s.aws/") && !TOLD.contains(key)).collect();
            if !untold.is_empty() {
                let keys = untold.into_iter().collect::<Vec<_>>().join(", ");
                gaps.push(format!("NodePool {name}: every instance type is taken to satisfy {keys}"));
            }
            let group = spec["nodeClassRef"]["group"].as_str().unwrap_or("karpenter.k8s.aws");
            if !is_known_provider(group) {
                gaps.push(format!(
                    "NodePool {name}: nobody plays the provider of {group}; its nodes neither come nor end"
                ));
            }
            if !pool["spec"]["replicas"].is_null() {
                gaps.push(format!("NodePool {name}: it is static, and nobody keeps its number of nodes"));
            }
        }
        let overlays = self.of_kind("NodeOverlay").iter();
        tell(gaps, overlays, "NodeOverlays: Karpenter here buys at list prices");
    }

    fn of_pods(&self, gaps: &mut Vec<String>) {
        let pods = self.of_kind("Pod");
        let leaving = pods.iter().filter(|pod| is_leaving(pod));
        tell(gaps, leaving, "pods that were being deleted: they are gone");
        let present = || pods.iter().filter(|pod| !is_leaving(pod));
        let mut played: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for owner in present().filter_map(controller) {
            let kind = text(&owner["kind"]);
            if !matches!(kind.as_str(), "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Node" | "Job") {
                played.entry(kind).or_default().insert(text(&owner["uid"]));
            }
        }
        for (kind, owners) in played {
            gaps.push(format!("{} of kind {kind}: each is played by a ReplicaSet", owners.len()));
        }
        let owned_by = |pod: &&Value, kind: &str| controller(pod).is_some_and(|owner| owner["kind"] == kind);
        tell(gaps, present().filter(|pod| owned_by(pod, "Job")), "pods of Jobs: they run to the end of the rehearsal");
        let bare = present().filter(|pod| controller(pod).is_none());
        tell(gaps, bare, "pods without a controller: they run to the end of the rehearsal");
        let unready = present().filter(|pod| pod["status"]["phase"] == "Running" && says_no(pod, "Ready"));
        tell(gaps, unready, "pods that run and are not Ready: they stay so, until a successor takes their place");
        let starting =
            present().filter(|pod| pod["status"]["phase"] == "Pending" && pod["spec"]["nodeName"].is_string());
        tell(gaps, starting, "pods that have a node and do not run yet: they start");
        let others = present().filter(|pod| {
            let scheduler = pod["spec"]["schedulerName"].as_str().unwrap_or("default-scheduler");
            scheduler != "default-scheduler"
        });
        tell(gaps, others, "pods of other schedulers: the default one places their successors");
        let gated =
            present().filter(|pod| pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()));
        tell(gaps, gated, "pods behind scheduling gates: they wait to the end of the rehearsal");
    }

    /// Rules of placement that the simulated scheduler does not know.
    fn of_rules(&self, gaps: &mut Vec<String>) {
        let pods = || self.of_kind("Pod").iter().filter(|pod| !is_leaving(pod));
        let ports = pods().filter(|pod| {
            let mut containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            let is_daemon = controller(pod).is_some_and(|owner| owner["kind"] == "DaemonSet");
            !is_daemon && containers.any(|one| one["ports"].to_string().contains("hostPort"))
        });
        tell(gaps, ports, "pods with ports of their host: the scheduler here does not keep them apart");
        let by_label = pods().filter(|pod| {
            pod["spec"]["affinity"]
                .to_string()
                .split("\"namespaceSelector\":{")
                .skip(1)
                .any(|rest| !rest.starts_with('}'))
        });
        tell(
            gaps,
            by_label,
            "pods whose affinity asks for namespaces by label: the scheduler here reads no labels of namespaces, and keeps these pods neither apart nor together",
        );
        let attached = pods().filter(|pod| pod["spec"]["volumes"].to_string().contains("persistentVolumeClaim"));
        tell(gaps, attached, "pods with volumes: their zones are kept, the number that a node attaches is not");
        let mut asked: BTreeMap<String, usize> = BTreeMap::new();
        for pod in pods().filter_map(|pod| serde_json::from_value::<Pod>(pod.clone()).ok()) {
            let names = pod.spec.shape.containers.iter().flat_map(|one| one.resources.requests.keys());
            let others: BTreeSet<&str> =
                names.map(|name| &**name).filter(|name| !matches!(*name, "cpu" | "memory")).collect();
            for name in others {
                *asked.entry(name.to_owned()).or_default() += 1;
            }
        }
        for (name, count) in asked {
            gaps.push(format!("{count} pods ask for {name}: the scheduler here counts cpu, memory and pods only"));
        }
    }
}

fn says_no(object: &Value, kind: &str) -> bool {
    conditions::get(object, kind).is_some_and(|(truth, _, _)| truth != "True")
        || object["status"]["conditions"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["type"] == kind && one["status"] != "True"))
}

/// Names the first three.
fn tell<'a>(gaps: &mut Vec<String>, objects: impl Iterator<Item = &'a Value>, what: &str) {
    let names: Vec<String> = objects
        .map(|object| {
            let place = |field: &str| object["metadata"][field].as_str();
            [place("namespace"), place("name")].into_iter().flatten().collect::<Vec<_>>().join("/")
        })
        .collect();
    if !names.is_empty() {
        let first = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let more = if names.len() > 3 { ", …" } else { "" };
        gaps.push(format!("{} {what} ({first}{more})", names.len()));
    }
}
