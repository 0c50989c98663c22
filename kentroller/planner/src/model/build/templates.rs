//! What is the same for all pods of one shape, namespace, labels and volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::{Effect, Labels, Pod, PodShape, RequiredNodeTerms, Taint};
use crate::model::{Numbers, PODS, Vector, vector};
use crate::rules::PodRole;
use crate::rules::placement::{Needs, NodePreferences};
use crate::rules::ports::host_ports;
use crate::rules::terms::Term;
use crate::rules::{requests, terms};
use crate::value::{Rule, Snapshot};

/// What is the same for all pods of one shape, namespace, labels and volumes.
pub(super) struct Template {
    pub(super) needs: usize,
    /// Terms that the pod owns, by number.
    pub(super) owned: Vec<usize>,
    /// Terms that select the pod, by number.
    pub(super) selected: Vec<usize>,
    /// Soft terms that the pod owns, by number, with their weights.
    pub(super) preferences: Vec<(usize, i64)>,
    /// Soft terms that select the pod, by number.
    pub(super) preferred_by: Vec<usize>,
    /// Its preferences among nodes, by number.
    pub(super) preferred_nodes: usize,
    /// Whether the scheduler's default spread is for it: it names none.
    pub(super) by_default: bool,
    pub(super) ports: Vec<(String, i32)>,
    pub(super) request: Vector,
    pub(super) rule: Option<Rule>,
    /// Whether volumes tie it to a place.
    pub(super) tied: bool,
}

/// What tells templates apart: shape and labels by address, and what volumes ask for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a> {
    shape: usize,
    namespace: &'a str,
    labels: usize,
    volumes: Vec<RequiredNodeTerms>,
    rule: Option<Rule>,
    is_resident: bool,
}

impl<'a> Key<'a> {
    /// `held_by`: where the pod's volumes are, and the rule by which they hold it.
    pub(super) fn of(pod: &'a Pod, role: PodRole, held_by: (Vec<RequiredNodeTerms>, Option<Rule>)) -> Self {
        Self {
            shape: Arc::as_ptr(&pod.spec.shape) as usize,
            namespace: &pod.metadata.namespace,
            labels: Arc::as_ptr(&pod.metadata.labels) as usize,
            volumes: held_by.0,
            rule: held_by.1,
            is_resident: role == PodRole::Daemon,
        }
    }
}

/// What templates have numbers of.
#[derive(Default)]
pub(super) struct Numbered {
    pub(super) terms: Vec<Term>,
    pub(super) preferences: Vec<Term>,
    pub(super) needs: Vec<Needs>,
    pub(super) preferred_nodes: Vec<NodePreferences>,
}

/// The templates of pods that stand for all of their key, with all that they have numbers of.
pub(super) fn templates(
    pods: &[&Pod],
    keys: &[Key<'_>],
    snapshot: &Snapshot,
    dims: &[String],
) -> (Vec<Template>, Numbered) {
    let namespaces: Option<BTreeMap<String, Labels>> = snapshot.namespaces.as_ref().map(|list| {
        list.iter().map(|one| ((*one.metadata.name).to_owned(), one.metadata.labels.as_ref().clone())).collect()
    });
    let nowhere = PodShape::default();
    let is_soft = |taint: &Taint| taint.effect == Effect::PreferNoSchedule;
    let has_soft_taints = snapshot.nodes.iter().flat_map(|node| &node.spec.taints).any(is_soft)
        || snapshot.node_pools.iter().flat_map(|pool| &pool.spec.template.spec.taints).any(is_soft);
    let mut needs: Numbers<Needs> = Numbers::new();
    let mut terms: Numbers<Term> = Numbers::new();
    let mut preferences: Numbers<Term> = Numbers::new();
    let mut preferred_nodes: Numbers<NodePreferences> = Numbers::of(&[NodePreferences::default()]);
    let template = |(pod, key): (&&Pod, &Key<'_>)| {
        let shape = &*pod.spec.shape;
        let (namespace, labels) = (key.namespace, &pod.metadata.labels);
        // Each pod of a DaemonSet names its node, and none of them looks for another.
        let looked_for = if key.is_resident { &nowhere } else { shape };
        let own = needs.number(Needs::of(looked_for, key.volumes.clone()));
        // The places of volumes are no part of the pod's own selectors. A spread counts all domains for it.
        let tied = !key.volumes.is_empty();
        let said = if tied { needs.number(Needs::of(shape, Vec::new())) } else { own };
        let said = u32::try_from(said).unwrap_or(u32::MAX);
        let owned = terms::of_pod(shape, namespace, labels, said, namespaces.as_ref());
        let preferred_by = terms::preferred_terms(looked_for, namespace, labels, namespaces.as_ref());
        let preferred = NodePreferences {
            preferred: looked_for.affinity.node_affinity.preferred.clone(),
            tolerations: has_soft_taints.then(|| looked_for.tolerations.clone()),
        };
        let (mut request, unknown) = vector(&requests::of_shape(shape), dims);
        request[PODS] = 1;
        let is_known = owned.is_ok() && unknown.is_empty() && !shape.asks_below_nothing();
        Template {
            needs: own,
            owned: owned.unwrap_or_default().into_iter().map(|term| terms.number(term)).collect(),
            selected: Vec::new(),
            preferences: preferred_by.into_iter().map(|(term, weight)| (preferences.number(term), weight)).collect(),
            preferred_by: Vec::new(),
            preferred_nodes: preferred_nodes.number(preferred),
            by_default: looked_for.topology_spread_constraints.is_empty(),
            ports: host_ports(shape),
            request,
            rule: if is_known { key.rule } else { Some(Rule::UnknownConstraint) },
            tied,
        }
    };
    let mut templates: Vec<Template> = pods.iter().zip(keys).map(template).collect();
    let numbered = Numbered {
        terms: terms.into_values(),
        preferences: preferences.into_values(),
        needs: needs.into_values(),
        preferred_nodes: preferred_nodes.into_values(),
    };
    let (selected, preferred_by) = (selecting(pods, &numbered.terms), selecting(pods, &numbered.preferences));
    for (template, (selected, preferred_by)) in templates.iter_mut().zip(selected.into_iter().zip(preferred_by)) {
        (template.selected, template.preferred_by) = (selected, preferred_by);
    }
    (templates, numbered)
}

/// By pod: the terms that select it.
fn selecting(pods: &[&Pod], all_terms: &[Term]) -> Vec<Vec<usize>> {
    if all_terms.is_empty() {
        return vec![Vec::new(); pods.len()];
    }
    // Most selectors name a label and its value; only those whose first pair the pod has are tried.
    let mut by_pair: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    let mut others = Vec::new();
    for (number, term) in all_terms.iter().enumerate() {
        match term.selector.match_labels.iter().next() {
            Some((key, value)) => by_pair.entry((key, value)).or_default().push(number),
            None => others.push(number),
        }
    }
    let of_pod = |pod: &&Pod| {
        let (namespace, labels) = (&pod.metadata.namespace, &pod.metadata.labels);
        let pairs = labels.iter().filter_map(|(key, value)| by_pair.get(&(key.as_str(), value.as_str())));
        let tried = pairs.flatten().chain(&others);
        let mut selecting: Vec<usize> =
            tried.copied().filter(|term| all_terms[*term].selects(namespace, labels)).collect();
        selecting.sort_unstable();
        selecting
    };
    pods.iter().map(of_pod).collect()
}
