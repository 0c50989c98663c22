//! What is the same for all pods of one shape, namespace, labels and volumes.
use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Rule, Snapshot,
    cluster::{Numbers, PODS, Vector, vector},
    eligibility::Kind,
    kinds::host_ports,
    manifest::{Labels, Pod, PodShape, RequiredNodeTerms},
    requests,
    rules::{
        placement::Needs,
        terms::{self, Term},
    },
};

/// What is the same for all pods of one shape, namespace, labels and volumes.
pub(super) struct Template {
    pub(super) needs: usize,
    /// Terms that the pod owns, by number.
    pub(super) owned: Vec<usize>,
    /// Terms that select the pod, by number.
    pub(super) selected: Vec<usize>,
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
    pub(super) fn of(pod: &'a Pod, kind: Kind, held_by: (Vec<RequiredNodeTerms>, Option<Rule>)) -> Self {
        Self {
            shape: Arc::as_ptr(&pod.spec.shape) as usize,
            namespace: &pod.metadata.namespace,
            labels: Arc::as_ptr(&pod.metadata.labels) as usize,
            volumes: held_by.0,
            rule: held_by.1,
            is_resident: kind == Kind::Daemon,
        }
    }
}

/// The templates of pods that stand for all of their key, with all terms and needs that they have numbers of.
pub(super) fn templates(
    pods: &[&Pod],
    keys: &[Key<'_>],
    snapshot: &Snapshot,
    dims: &[String],
) -> (Vec<Template>, Vec<Term>, Vec<Needs>) {
    let namespaces: Option<BTreeMap<String, Labels>> = snapshot
        .namespaces
        .as_ref()
        .map(|list| list.iter().map(|one| (one.metadata.name.clone(), one.metadata.labels.as_ref().clone())).collect());
    let nowhere = PodShape::default();
    let mut needs: Numbers<Needs> = Numbers::new();
    let mut numbered: Numbers<Term> = Numbers::new();
    let template = |(pod, key): (&&Pod, &Key<'_>)| {
        let shape = &*pod.spec.shape;
        // Each pod of a DaemonSet names its node, and none of them looks for another.
        let looked_for = if key.is_resident { &nowhere } else { shape };
        let own = needs.number(Needs::of(looked_for, key.volumes.clone()));
        // Where volumes are is no part of what the pod itself says: every domain of a spread counts for it.
        let tied = !key.volumes.is_empty();
        let said = if tied { needs.number(Needs::of(shape, Vec::new())) } else { own };
        let said = u32::try_from(said).unwrap_or(u32::MAX);
        let owned = terms::of_pod(shape, key.namespace, &pod.metadata.labels, said, namespaces.as_ref());
        let (mut request, unknown) = vector(&requests::of_shape(shape), dims);
        request[PODS] = 1;
        let is_known = owned.is_ok() && unknown.is_empty();
        Template {
            needs: own,
            owned: owned.unwrap_or_default().into_iter().map(|term| numbered.number(term)).collect(),
            selected: Vec::new(),
            ports: host_ports(shape),
            request,
            rule: if is_known { key.rule } else { Some(Rule::UnknownConstraint) },
            tied,
        }
    };
    let mut templates: Vec<Template> = pods.iter().zip(keys).map(template).collect();
    let terms = numbered.into_values();
    select(&mut templates, pods, &terms);
    (templates, terms, needs.into_values())
}

/// Finds for each template the terms that select it.
fn select(templates: &mut [Template], pods: &[&Pod], all_terms: &[Term]) {
    // Most selectors name a label and its value; only those whose first pair the pod has are tried.
    let mut by_pair: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    let mut others = Vec::new();
    for (number, term) in all_terms.iter().enumerate() {
        match term.selector.match_labels.iter().next() {
            Some((key, value)) => by_pair.entry((key, value)).or_default().push(number),
            None => others.push(number),
        }
    }
    for (template, pod) in templates.iter_mut().zip(pods) {
        let (namespace, labels) = (&pod.metadata.namespace, &pod.metadata.labels);
        let pairs = labels.iter().filter_map(|(key, value)| by_pair.get(&(key.as_str(), value.as_str())));
        let tried = pairs.flatten().chain(&others);
        template.selected = tried.copied().filter(|term| all_terms[*term].selects(namespace, labels)).collect();
        template.selected.sort_unstable();
    }
}
