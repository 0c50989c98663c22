//! From a NodeClaim to an initialized Node: instance, registration, readiness, and what a failure looks like.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::manifest::{Labels, NodeClaim, ObjectName, Operator, Requirement};
use kentroller_runtime::simulation::apiserver::DeleteOptions;
use serde_json::{Value, json};

use super::{FINALIZER, Karpenter, NODE_CLASS, class_is_ready, resources};
use crate::catalogue::{Catalogue, HOSTNAME, Offer, Offering, SPOT, Sold, TOLD};
use crate::entropy::Entropy;
use crate::hands::{Hands, after, wide};
use crate::readings::selectors;
use crate::room::Amounts;
use crate::seen::{Known, Seen, time, uid};
use crate::timings::Faults;
use crate::{conditions, kubelet};

/// How long a claim may take to register.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long a launch may be tried.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// How long the provider does not ask again for an offering without capacity.
const SHORTAGE: Duration = Duration::from_secs(3 * 60);

const UNREGISTERED: &str = "karpenter.sh/unregistered";

impl Karpenter {
    /// Takes a claim one step further.
    pub(super) fn bring_up(&mut self, claim: &Known<NodeClaim>, seen: &Seen, hands: &Hands) -> Option<Timestamp> {
        let key = wide(&claim.object.metadata.name);
        let born = time(&claim.raw, "creationTimestamp").unwrap_or(hands.now);
        if !has_finalizer(&claim.raw) {
            hands.edit("NodeClaim", &key, add_finalizer);
            hands.edit_status("NodeClaim", &key, |status| {
                for kind in ["Launched", "Registered", "Initialized", "Ready"] {
                    conditions::set(
                        status,
                        kind,
                        "Unknown",
                        "AwaitingReconciliation",
                        "object is awaiting reconciliation",
                        hands.now,
                    );
                }
            });
            return None;
        }
        if claim.object.status.provider_id.is_empty() {
            return self.launch(claim, &key, born, seen, hands);
        }
        if !claim.object.status.is("Registered") {
            return self.join(claim, &key, born, seen, hands);
        }
        if !claim.object.status.is("Initialized") {
            initialize(claim, &key, seen, hands);
        }
        None
    }

    fn launch(
        &mut self,
        claim: &Known<NodeClaim>,
        key: &ObjectName,
        born: Timestamp,
        seen: &Seen,
        hands: &Hands,
    ) -> Option<Timestamp> {
        if !class_is_ready(&claim.object.spec.node_class_ref, seen) {
            give_up(key, hands);
            return None;
        }
        let faults = self.weather.now().clone();
        let slow = self.luck(claim).chance(faults.slow_percent);
        let at = after(born, if slow { faults.slow_launch } else { self.timings.launch });
        let timeout = after(born, LAUNCH_TIMEOUT);
        if hands.now >= timeout {
            give_up(key, hands);
            return None;
        }
        if hands.now < at {
            return Some(at.min(timeout));
        }
        let mut luck = self.luck(claim);
        self.short.retain(|_, until| *until > hands.now);
        let catalogue = Arc::clone(&self.catalogue);
        let (bought, missed) = buy(&catalogue, claim, &faults, &mut luck);
        self.short.extend(missed.into_iter().map(|offering| (offering, after(hands.now, SHORTAGE))));
        match bought {
            Some((sold, offer)) => {
                let mut labels = single_values(&claim.object.spec.requirements);
                labels.extend(offer.labels.clone());
                let zone = &offer.zone;
                let class = &claim.object.spec.node_class_ref.name;
                hands.edit("NodeClaim", key, |object| {
                    put_all(&mut object["metadata"]["labels"], &labels);
                    object["metadata"]["labels"][NODE_CLASS] = json!(class);
                });
                let provider = format!("aws:///{zone}/i-0{}", luck.hex(16));
                hands.edit_status("NodeClaim", key, |status| launched_status(status, sold, &provider, hands.now));
            }
            None => {
                let note = format!(
                    "NodeClaim {} event: creating instance, insufficient capacity, all requested instance types were unavailable during launch",
                    key.name
                );
                hands.event(&claim.raw, "Warning", "InsufficientCapacityError", &note);
                give_up(key, hands);
            }
        }
        None
    }

    /// Waits for the instance to join, then copies the claim to its Node, once.
    fn join(
        &self,
        claim: &Known<NodeClaim>,
        key: &ObjectName,
        born: Timestamp,
        seen: &Seen,
        hands: &Hands,
    ) -> Option<Timestamp> {
        let timeout = after(born, REGISTRATION_TIMEOUT);
        if let Some(node) = seen.node_of(&claim.object) {
            let name = &node.object.metadata.name;
            hands.edit("Node", &wide(name), |object| register(object, &claim.raw));
            hands.edit_status("NodeClaim", key, |status| {
                status["nodeName"] = json!(name);
                conditions::set(status, "Registered", "True", "Registered", "", hands.now);
            });
            return None;
        }
        if hands.now >= timeout {
            give_up(key, hands);
            return None;
        }
        let mut luck = self.luck(claim).fork("join");
        if luck.chance(self.weather.now().lost_percent) {
            return Some(timeout);
        }
        let launched = conditions::true_since(&claim.raw, "Launched").unwrap_or(born);
        let at = after(launched, self.timings.boot);
        if hands.now < at {
            return Some(at.min(timeout));
        }
        let name = loop {
            let name = node_name(&mut luck);
            if !seen.nodes.contains_key(name.as_str()) {
                break name;
            }
        };
        let beyond = Sold::memory_beyond(&mut luck.fork("memory"));
        hands.create(node_of_claim(&claim.raw, &name, beyond, hands.now));
        conditions::get(&claim.raw, "Registered").filter(|(_, why, _)| *why != "NodeNotFound").map(|_| timeout)
    }
}

/// The cheapest offering that the claim allows, that fits its requests and that is to be had, spot before the others, in a
/// zone drawn by lot where several ask the same; and the offerings that were asked for in vain.
fn buy<'c>(
    catalogue: &'c Catalogue,
    claim: &Known<NodeClaim>,
    faults: &Faults,
    luck: &mut Entropy,
) -> (Option<(&'c Sold, &'c Offer)>, Vec<Offering>) {
    let asked = requests(&claim.raw);
    let fitting = catalogue.cheapest_first().iter().filter(|sold| asked.fits(sold.allocatable()));
    let all = fitting.flat_map(|sold| sold.offers.iter().map(move |offer| (sold, offer)));
    let mut allowed: Vec<(&Sold, &Offer)> =
        all.filter(|(_, offer)| admits(&claim.object.spec.requirements, &offer.labels)).collect();
    let rank = |(sold, offer): &(&Sold, &Offer)| (offer.capacity_type != SPOT, offer.price, sold.name().to_owned());
    allowed.sort_by_cached_key(rank);
    let mut missed = Vec::new();
    for alike in allowed.chunk_by(|one, other| rank(one) == rank(other)) {
        let offering = |(sold, offer): &(&Sold, &Offer)| Offering {
            instance_type: sold.name().to_owned(),
            zone: offer.zone.clone(),
            capacity_type: offer.capacity_type.clone(),
        };
        let (none, some): (Vec<_>, Vec<_>) =
            alike.iter().copied().partition(|one| faults.exhausted.contains(&offering(one)));
        missed.extend(none.iter().map(offering));
        if !some.is_empty() {
            return (Some(some[luck.below(some.len())]), missed);
        }
    }
    (None, missed)
}

/// A name as EC2 gives it.
pub(crate) fn node_name(luck: &mut Entropy) -> String {
    format!("ip-10-0-{}-{}.ec2.internal", luck.below(256), luck.between(4, 254))
}

fn give_up(key: &ObjectName, hands: &Hands) {
    hands.delete("NodeClaim", key, &DeleteOptions::default());
}

pub(super) fn has_finalizer(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|one| one == FINALIZER))
}

fn add_finalizer(object: &mut Value) {
    if !object["metadata"]["finalizers"].is_array() {
        object["metadata"]["finalizers"] = json!([]);
    }
    if let Some(all) = object["metadata"]["finalizers"].as_array_mut()
        && !all.iter().any(|one| one == FINALIZER)
    {
        all.push(json!(FINALIZER));
    }
}

fn put_all(target: &mut Value, labels: &Labels) {
    for (key, value) in labels {
        target[key] = json!(value);
    }
}

/// What a claim requests.
pub(super) fn requests(claim: &Value) -> Amounts {
    amounts(&claim["spec"]["resources"]["requests"])
}

fn amounts(list: &Value) -> Amounts {
    Amounts::of_node(&serde_json::from_value(list.clone()).unwrap_or_default())
}

/// The labels that a claim's requirements leave no choice of.
fn single_values(requirements: &[Requirement]) -> Labels {
    let single = requirements.iter().filter(|one| one.operator == Operator::In && one.values.len() == 1);
    single.map(|one| (one.key.clone(), one.values[0].clone())).collect()
}

/// Whether labels satisfy all requirements; keys that an instance type knows nothing of are no obstacle.
pub(crate) fn admits(requirements: &[Requirement], labels: &Labels) -> bool {
    requirements.iter().all(|Requirement { key, operator, values, .. }| {
        let value = labels.get(key).map(String::as_str);
        let is_unknown = value.is_none() && !TOLD.contains(&key.as_str());
        is_unknown || selectors::holds(operator, values, value)
    })
}

/// The status of a claim whose instance exists.
pub(crate) fn launched_status(status: &mut Value, sold: &Sold, provider: &str, now: Timestamp) {
    status["providerID"] = json!(provider);
    status["imageID"] = json!("ami-0a1b2c3d4e5f67890");
    status["capacity"] = resources(sold.capacity());
    status["allocatable"] = resources(sold.allocatable());
    conditions::set(status, "Launched", "True", "Launched", "", now);
    for kind in ["Registered", "Initialized", "Ready"] {
        conditions::set(
            status,
            kind,
            "Unknown",
            if kind == "Registered" { "NodeNotFound" } else { "UnhealthyDependents" },
            "",
            now,
        );
    }
}

/// The Node that a booted instance brings: labels and taints come with it, readiness does not. It has so many bytes of
/// memory `beyond` what its claim promises.
pub(crate) fn node_of_claim(claim: &Value, name: &str, beyond: i64, now: Timestamp) -> Value {
    let mut labels = claim["metadata"]["labels"].clone();
    labels[HOSTNAME] = json!(name);
    let listed = |field: &str| claim["spec"][field].as_array().cloned().unwrap_or_default();
    let mut taints = listed("taints");
    taints.extend(listed("startupTaints"));
    taints.push(json!({"key": UNREGISTERED, "effect": "NoExecute"}));
    taints.push(json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}));
    let has = |field: &str| {
        let promised = amounts(&claim["status"][field]);
        resources(Amounts { memory: promised.memory + beyond, ..promised })
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": claim["status"]["providerID"], "taints": taints},
        "status": {
            "capacity": has("capacity"), "allocatable": has("allocatable"),
            "conditions": kubelet::joined(now),
            "addresses": [{"type": "Hostname", "address": name}],
            "nodeInfo": {
                "architecture": labels["kubernetes.io/arch"], "operatingSystem": "linux", "kubeletVersion": "v1.35.8",
                "osImage": "Amazon Linux 2023", "containerRuntimeVersion": "containerd://2.1.5", "kernelVersion": "6.12.46",
                "kubeProxyVersion": "", "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    })
}

/// Registration: what the claim says is copied to the Node once; later edits of the claim do not reach it.
pub(crate) fn register(node: &mut Value, claim: &Value) {
    for field in ["labels", "annotations"] {
        for (key, value) in claim["metadata"][field].as_object().into_iter().flatten() {
            node["metadata"][field][key] = value.clone();
        }
    }
    node["metadata"]["labels"]["karpenter.sh/registered"] = json!("true");
    node["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": claim["metadata"]["name"], "uid": uid(claim),
        "blockOwnerDeletion": true,
    }]);
    add_finalizer(node);
    if let Some(taints) = node["spec"]["taints"].as_array_mut() {
        taints.retain(|taint| taint["key"] != UNREGISTERED);
    }
}

/// A registered node is initialized once it is ready, has lost its start-up taints and reports what was asked for.
fn initialize(claim: &Known<NodeClaim>, key: &ObjectName, seen: &Seen, hands: &Hands) {
    let Some(node) = seen.node_of(&claim.object) else { return };
    let startup = claim.raw["spec"]["startupTaints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let waits_for = |taint: &Value| {
        let name = taint["key"].as_str().unwrap_or_default();
        matches!(name, "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable" | UNREGISTERED)
            || name.starts_with("readiness.k8s.io/")
            || startup.iter().any(|own| own["key"] == taint["key"] && own["effect"] == taint["effect"])
    };
    let taints = node.raw["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let reports = requests(&claim.raw).fits(Amounts::of_node(&node.object.status.allocatable));
    if !node.object.status.is_ready() || taints.iter().any(waits_for) || !reports {
        return;
    }
    hands.edit("Node", &wide(&node.object.metadata.name), |object| {
        object["metadata"]["labels"]["karpenter.sh/initialized"] = json!("true");
    });
    hands.edit_status("NodeClaim", key, |status| {
        for kind in ["Initialized", "Ready"] {
            conditions::set(status, kind, "True", kind, "", hands.now);
        }
    });
}
