//! Whether a pod has a place on a node beside the pods that are there.

use std::collections::BTreeSet;
use std::fmt;

use super::placement::{Needs, Place};
use super::ports::host_ports;
use super::requests;
use super::volumes::Volumes;
use crate::manifest::{Node, Pod, Quantity, Resources};
use crate::value::{Options, Rule};

/// Why a pod has no place on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A taint of the node, or its cordon, that the pod does not tolerate.
    Taint,
    /// The node selector, the required node affinity or the operating system of the pod.
    Selector,
    /// A selector that this version cannot read.
    UnknownConstraint,
    /// A volume of the pod is elsewhere.
    VolumePlace,
    /// A volume of the pod is not known.
    VolumeUnknown,
    /// The node would attach more volumes of a driver than it can.
    Attachments,
    /// A pod of the node has the host port: protocol and port.
    HostPort(String, i32),
    /// Less of a resource is left than the pod asks for.
    Resource(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taint => f.write_str("it does not tolerate a taint of the node"),
            Self::Selector => f.write_str("its node selector or node affinity does not select the node"),
            Self::UnknownConstraint => f.write_str("its node affinity cannot be read"),
            Self::VolumePlace => f.write_str("a volume of it is elsewhere"),
            Self::VolumeUnknown => f.write_str("a volume of it is not known"),
            Self::Attachments => f.write_str("the node can attach no more volumes"),
            Self::HostPort(protocol, port) => write!(f, "host port {port}/{protocol} is taken"),
            Self::Resource(name) => write!(f, "there is not enough {name} left"),
        }
    }
}

/// Whether a pod has a place on a node beside the pods that run there (`others`, DaemonSet pods included).
///
/// Requests, taints, selectors, places and attachments of volumes, and host ports. Not looked at: terms between pods,
/// which depend on the whole cluster, and whether the node may be given pods at all
/// ([`ObservedNode::receives`](super::ObservedNode::receives)).
///
/// # Errors
/// The first reason found.
///
/// ```
/// use kentroller_planner::manifest::{Node, Pod};
/// use kentroller_planner::rules::{Misfit, Volumes, fits};
/// use kentroller_planner::{Options, Snapshot};
/// use serde_json::{from_value, json};
///
/// let node: Node = from_value(json!({"status": {"allocatable": {"cpu": "2", "memory": "8Gi", "pods": "29"}}})).unwrap();
/// let pod = |cpu: &str| -> Pod {
///     from_value(json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}})).unwrap()
/// };
/// let cluster = Snapshot::default();
/// let (volumes, options) = (Volumes::of(&cluster), Options::default());
/// assert_eq!(fits(&pod("500m"), &node, [&pod("1500m")], &volumes, &options), Ok(()));
/// assert_eq!(fits(&pod("501m"), &node, [&pod("1500m")], &volumes, &options), Err(Misfit::Resource("cpu".into())));
/// ```
pub fn fits<'p>(
    pod: &Pod,
    node: &Node,
    others: impl IntoIterator<Item = &'p Pod>,
    volumes: &Volumes<'_>,
    options: &Options,
) -> Result<(), Misfit> {
    let place = Place::of(node, node.metadata.labels.as_ref().clone());
    let (places, rule) = volumes.of_pod(pod, options);
    selected(&Needs::of(&pod.spec.shape, Vec::new()), &place)?;
    if rule == Some(Rule::VolumeUnknown) {
        return Err(Misfit::VolumeUnknown);
    }
    if Needs::of(&pod.spec.shape, places).selects(&place) != Some(true) {
        return Err(Misfit::VolumePlace);
    }
    let ports = host_ports(&pod.spec.shape);
    let mut used = requests::of_pod(pod);
    let mut pods = 1;
    let own = volumes.attached(pod);
    let mut attached = BTreeSet::new();
    for other in others {
        if let Some((protocol, port)) = host_ports(&other.spec.shape).into_iter().find(|port| ports.contains(port)) {
            return Err(Misfit::HostPort(protocol, port));
        }
        for (name, quantity) in requests::of_pod(other) {
            used.entry(name).and_modify(|sum| *sum = sum.plus(quantity)).or_insert(quantity);
        }
        pods += 1;
        attached.extend(volumes.attached(other));
    }
    // What is attached already is no more for it, even on a node that has too many: kube-scheduler's plugin NodeVolumeLimits.
    let all = &own | &attached;
    for (driver, _) in own.difference(&attached) {
        let count = all.iter().filter(|(of, _)| of == driver).count();
        let limit = volumes.limit(&node.metadata.name, driver);
        if limit.is_some_and(|limit| i64::try_from(count).is_ok_and(|count| count > limit)) {
            return Err(Misfit::Attachments);
        }
    }
    used.insert("pods".to_owned(), Quantity::whole(pods));
    lacking(&requests::of_pod(pod), &used, &node.status.allocatable).map_or(Ok(()), |name| Err(Misfit::Resource(name)))
}

fn selected(needs: &Needs, place: &Place) -> Result<(), Misfit> {
    if !needs.tolerates_all(place) {
        return Err(Misfit::Taint);
    }
    match needs.selects(place) {
        Some(true) => Ok(()),
        Some(false) => Err(Misfit::Selector),
        None => Err(Misfit::UnknownConstraint),
    }
}

/// A resource that the pod asks for (or its slot) and of which all together use more than there is.
fn lacking(own: &Resources, used: &Resources, allocatable: &Resources) -> Option<String> {
    let zero = Quantity::whole(0);
    let asks = |name: &str| name == "pods" || own.get(name).is_some_and(|own| *own > zero);
    let exceeds = |name: &str, sum: &Quantity| sum > allocatable.get(name).unwrap_or(&zero);
    used.iter().find(|(name, sum)| asks(name) && exceeds(name, sum)).map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::generate::verdicts::{Agreement, is_allocated_only, vectors};
    use crate::generate::{Recipe, generate};
    use crate::model::build::model;
    use crate::rules::PodRole;
    use crate::solution::State;
    use crate::value::{Catalog, Percent};

    #[test]
    fn what_the_planner_lets_stand_together_fits_by_the_rules() {
        let (catalog, options) = (Catalog::embedded(), Options::default());
        let (mut fitting, mut others) = (0, 0);
        for seed in 0..6 {
            let constrained = seed % 2 == 0;
            let snapshot = generate(Recipe { nodes: 12, seed, constrained, held: false }, &catalog);
            let model = model(&snapshot, &catalog, &options).expect("sound");
            let mut state = State::of(&model, Percent::whole(0));
            // Our own limit on a service's pods of one node is no rule.
            state.shares = false;
            let volumes = Volumes::of(&snapshot);
            let counts = |pod: &&Pod| !matches!(PodRole::of(pod), PodRole::Finished | PodRole::Gated);
            let mut on_node: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
            for pod in snapshot.pods.iter().filter(counts) {
                on_node.entry(&*pod.spec.node_name).or_default().push(pod);
            }
            let by_name: BTreeMap<_, &Pod> = snapshot.pods.iter().map(|pod| (pod.metadata.key(), pod)).collect();
            for unit in model.pods.iter().filter(|unit| unit.node.is_some()) {
                let pod = by_name[&unit.name];
                for (at, node) in model.nodes.keys().zip(&snapshot.nodes) {
                    if unit.node == Some(at) || !model.nodes[at].receives {
                        continue;
                    }
                    let here = on_node.get(&*node.metadata.name).into_iter().flatten().copied();
                    let ours = fits(pod, node, here, &volumes, &options);
                    let room = state.room(at.bin(), unit.class) > 0;
                    // Terms between pods forbid more.
                    let agree = if constrained { !room || ours.is_ok() } else { room == ours.is_ok() };
                    assert!(
                        agree,
                        "seed {seed}: {} on {}: {ours:?}, the planner: {room}",
                        unit.name, node.metadata.name
                    );
                    *(if ours.is_ok() { &mut fitting } else { &mut others }) += 1;
                }
            }
        }
        assert!(fitting > 500 && others > 500, "{fitting} fit, {others} do not");
    }

    /// Why we may refuse what the plugins let in.
    fn stricter(pod: &Pod, node: &Node, beside: &[&Pod], misfit: &Misfit) -> Option<&'static str> {
        match misfit {
            Misfit::Taint => {
                let for_a_while = |taint: &crate::manifest::Taint| {
                    let bearing = |one: &&crate::manifest::Toleration| one.tolerates(taint);
                    pod.spec.shape.tolerations.iter().find(bearing).is_some_and(|one| one.is_for_a_while(taint))
                };
                node.spec.taints.iter().any(for_a_while).then_some("it would be evicted again after tolerationSeconds")
            }
            Misfit::UnknownConstraint => Some("a comparison with what is no integer is never relied on"),
            Misfit::HostPort(..) => Some("addresses of host ports are not looked at"),
            Misfit::Resource(_) if beside.iter().any(|other| is_allocated_only(other)) => {
                Some("what is allocated counts although it is not told what is in force")
            }
            _ => None,
        }
    }

    #[test]
    fn a_pod_fits_where_the_schedulers_own_plugins_let_it() {
        let options = Options::default();
        let mut agreement = Agreement::default();
        let (all, counted) = vectors("rules");
        for of in &all {
            let volumes = Volumes::of(&of.snapshot);
            for (asking, words) in &of.words {
                let pod = &of.snapshot.pods[*asking];
                for (node, word) in of.snapshot.nodes.iter().zip(words) {
                    let others = of.snapshot.pods.iter().enumerate().filter(|(at, other)| {
                        at != asking && other.spec.node_name == node.metadata.name && !other.status.is_finished()
                    });
                    let beside: Vec<&Pod> = others.map(|(_, other)| other).collect();
                    let ours = fits(pod, node, beside.iter().copied(), &volumes, &options);
                    // Terms between pods are not asked here.
                    let refused = word.contains(['U', 'T', 'A', 'P', 'R', 'B', 'Z', 'L']);
                    let about =
                        || format!("{} on {}: plugins {word}, {ours:?}", pod.metadata.key(), node.metadata.name);
                    agreement.note(
                        about,
                        refused,
                        ours.clone().map_err(|misfit| stricter(pod, node, &beside, &misfit)),
                    );
                }
            }
        }
        assert_eq!(agreement.holds(counted.as_ref()), Ok(()));
    }
}
