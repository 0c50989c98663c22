//! What pods ask for: in which dimensions, what is the same for many of them, and the terms between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::index_of;
use super::templates::{Key, Numbered, Template, templates};
use crate::manifest::marks::{self, HOSTNAME};
use crate::manifest::{Pod, PodShape};
use crate::model::{DIMS, NodeId, Numbers, PODS, VOLUMES, Vector, vector};
use crate::rules::PodRole;
use crate::rules::Volumes;
use crate::rules::placement::{Needs, NodePreferences};
use crate::rules::requests;
use crate::value::{InputError, Options, Rule, Snapshot, Warning};

/// A pod with what was found out about it.
pub(super) struct ObservedPod<'a> {
    pub(super) pod: &'a Pod,
    pub(super) role: PodRole,
    pub(super) node: Option<NodeId>,
    pub(super) template: usize,
    pub(super) request: Vector,
}

/// What the pods of a cluster ask for.
pub(super) struct Asked<'a> {
    /// Neither those that have ended nor those that nobody looks for a node for yet.
    pub(super) pods: Vec<ObservedPod<'a>>,
    pub(super) templates: Vec<Template>,
    /// By number: hard and soft terms, needs and preferences among nodes.
    pub(super) of: Numbered,
}

impl<'a> Asked<'a> {
    pub(super) fn of(
        snapshot: &'a Snapshot,
        options: &Options,
        dims: &[String],
        volumes: &Volumes<'_>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, InputError> {
        told_apart(&snapshot.pods)?;
        let nodes = index_of(snapshot.nodes.iter().map(|node| &node.metadata.name), "Node")?;
        let mut keys: Numbers<Key<'_>> = Numbers::new();
        // By template: one pod to stand for all.
        let mut firsts: Vec<&Pod> = Vec::new();
        let mut pods = Vec::with_capacity(snapshot.pods.len());
        let limited = volumes.limited();
        for pod in &snapshot.pods {
            let role = PodRole::of(pod);
            if matches!(role, PodRole::Finished | PodRole::Gated) {
                continue;
            }
            let name = &*pod.spec.node_name;
            let node = nodes.get(name).filter(|_| !name.is_empty()).map(|at| NodeId::from(*at));
            if node.is_none() && !name.is_empty() {
                let message = format!("runs on node {name}, which is not known; it is left out");
                warnings.push(Warning { object: format!("Pod {}", pod.metadata.key()), message });
                continue;
            }
            let (places, mut rule) = volumes.of_pod(pod, options);
            let is_uncounted = |driver: &str| limited.contains(driver) && dim_of(dims, driver).is_none();
            if !pod.spec.shape.volumes.is_empty() && volumes.attached(pod).iter().any(|(of, _)| is_uncounted(of)) {
                rule = rule.or(Some(Rule::UnknownConstraint));
            }
            let template = keys.number(Key::of(pod, role, (places, rule)));
            if template == firsts.len() {
                firsts.push(pod);
            }
            pods.push(ObservedPod { pod, role, node, template, request: [0; DIMS] });
        }
        let (templates, of) = templates(&firsts, &keys.into_values(), snapshot, dims);
        for one in &mut pods {
            one.request = request(one.pod, &templates[one.template], dims, volumes);
        }
        Ok(Self { pods, templates, of })
    }

    /// The labels whose values are the domains of terms wider than a node.
    pub(super) fn domain_keys(&self) -> BTreeSet<String> {
        self.of.terms.iter().filter(|term| term.key != HOSTNAME).map(|term| term.key.clone()).collect()
    }

    /// The labels of nodes that anything here can depend on.
    pub(super) fn keys(&self) -> BTreeSet<&str> {
        let of_terms = self.of.terms.iter().map(|term| term.key.as_str());
        let fixed = [marks::OS, HOSTNAME, marks::NODE_POOL];
        let preferred_nodes = self.of.preferred_nodes.iter().flat_map(NodePreferences::keys);
        self.of.needs.iter().flat_map(Needs::keys).chain(preferred_nodes).chain(of_terms).chain(fixed).collect()
    }
}

/// Refuses two pods of one name.
fn told_apart(pods: &[Pod]) -> Result<(), InputError> {
    fn name(pod: &Pod) -> (&str, &str) {
        (&pod.metadata.namespace, &pod.metadata.name)
    }
    // Most often they come in this order.
    if pods.is_sorted_by(|one, next| name(one) < name(next)) {
        return Ok(());
    }
    let mut names: Vec<(&str, &str)> = pods.iter().map(name).collect();
    names.sort();
    match names.windows(2).find(|two| two[0] == two[1]) {
        None => Ok(()),
        Some(two) => Err(InputError {
            object: format!("Pod {}/{}", two[0].0, two[0].1),
            field: "metadata.name".to_owned(),
            message: "there are two pods of this name; was the same dump given twice?".to_owned(),
        }),
    }
}

fn request(pod: &Pod, template: &Template, dims: &[String], volumes: &Volumes<'_>) -> Vector {
    let mut request = template.request;
    if !pod.status.container_statuses.is_empty() {
        request = vector(&requests::of_pod(pod), dims).0;
        request[PODS] = 1;
    }
    if !pod.spec.shape.volumes.is_empty() {
        for (driver, _) in volumes.attached(pod) {
            if let Some(dim) = dim_of(dims, driver) {
                request[dim] += 1;
            }
        }
    }
    request
}

/// More drivers with limits than this are not counted. What attaches their volumes stays where it is.
const DRIVERS: usize = 3;

/// The dimension of a driver's volumes, where it has one.
fn dim_of(dims: &[String], driver: &str) -> Option<usize> {
    dims.iter().position(|dim| dim.strip_prefix(VOLUMES) == Some(driver))
}

/// The driver of each dimension that counts volumes.
pub(super) fn drivers(dims: &[String]) -> impl Iterator<Item = (usize, &str)> {
    dims.iter().enumerate().filter_map(|(dim, name)| Some((dim, name.strip_prefix(VOLUMES)?)))
}

/// The resource of each dimension; what there is none left for is not counted.
pub(super) fn dims(snapshot: &Snapshot, volumes: &Volumes<'_>) -> Vec<String> {
    let shapes: BTreeMap<usize, &PodShape> =
        snapshot.pods.iter().map(|pod| (Arc::as_ptr(&pod.spec.shape) as usize, &*pod.spec.shape)).collect();
    let containers = shapes.values().flat_map(|shape| shape.containers.iter().chain(&shape.init_containers));
    let lists = containers.flat_map(|one| [&one.resources.requests, &one.resources.limits]);
    let asked: BTreeSet<&str> = lists.flat_map(|list| list.keys().map(String::as_str)).collect();
    let with_volumes = snapshot.pods.iter().filter(|pod| !pod.spec.shape.volumes.is_empty());
    let limited = volumes.limited();
    let attached: BTreeSet<&str> =
        with_volumes.flat_map(|pod| volumes.attached(pod)).map(|(driver, _)| driver).collect();
    let drivers: Vec<&str> = attached.into_iter().filter(|driver| limited.contains(driver)).take(DRIVERS).collect();
    let mut dims = vec!["cpu".to_owned(), "memory".to_owned(), "pods".to_owned()];
    let others = asked.into_iter().filter(|name| !matches!(*name, "cpu" | "memory" | "pods"));
    dims.extend(others.take(DIMS - drivers.len() - dims.len()).map(str::to_owned));
    dims.extend(drivers.into_iter().map(|driver| format!("{VOLUMES}{driver}")));
    dims
}
