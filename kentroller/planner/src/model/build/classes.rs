//! Classes: pods that no rule can tell apart.

use std::collections::{BTreeMap, BTreeSet};

use typed_index_collections::TiVec;

use super::asked::Asked;
use super::companions::Company;
use super::preferences::{ZoneAffinities, wanted};
use super::templates::Template;
use super::wide::{AllowedDomains, Broken, Wide};
use crate::manifest::marks::HOSTNAME;
use crate::manifest::{NodeSelectorTerm, RequiredNodeTerms};
use crate::model::preferences::{DEFAULT_SKEW, PodPreference, PreferredCompany};
use crate::model::{Class, ClassId, Numbers, Vector};
use crate::rules::placement::{FULL_WEIGHT, Needs};
use crate::rules::replicas;
use crate::rules::terms::{Demand, Term};
use crate::value::Rule;

/// The numbers of host ports, by protocol and port.
pub(super) type Ports = BTreeMap<(String, i32), usize>;

/// The classes of a cluster's pods.
pub(super) struct Classes {
    pub(super) all: TiVec<ClassId, Class>,
    /// By pod: its class, and the rule of topology or volumes that holds it where it runs.
    pub(super) of_pods: Vec<(ClassId, Option<Rule>)>,
    pub(super) ports: Ports,
    /// By term of a node's own domain: what pods prefer about it.
    pub(super) beside: Vec<Option<PodPreference>>,
}

/// A term of a node's own domain, or a host port, which works like one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Local {
    Term(Term),
    Port(String, i32),
    /// By the uid of its controller.
    Service(String),
    /// A soft term, what it wants, and its weight.
    Preference(Term, PreferredCompany, i64),
}

impl Classes {
    /// `needs`: those of the templates. Needs that topology adds are appended.
    pub(super) fn of(
        asked: &Asked<'_>,
        wide: &Wide<'_>,
        broken: &Broken<'_>,
        companies: &[Company],
        zone_affinity: &ZoneAffinities<'_>,
        needs: &mut Numbers<Needs>,
    ) -> Self {
        let mut locals: Numbers<Local> = Numbers::new();
        let mut all: Numbers<Class> = Numbers::new();
        let mut known: BTreeMap<(usize, AllowedDomains, Vector), ClassId> = BTreeMap::new();
        let mut of_pods = Vec::with_capacity(asked.pods.len());
        let owners = owners(asked);
        // Services that the scheduler spreads over nodes by itself.
        let mut spread: BTreeSet<usize> = BTreeSet::new();
        let replicas = replicas(asked.pods.iter().map(|one| one.pod));
        for one in &asked.pods {
            let (template, company) = (&asked.templates[one.template], &companies[one.template]);
            let (allowed, rule) = match one.node {
                Some(node) => wide.keeps(node, template, broken),
                // Whose company cannot be told, or whose terms cannot be read, is given no room that it may not be able to use.
                None if *company == Company::Nowhere || template.rule == Some(Rule::UnknownConstraint) => {
                    (AllowedDomains::nowhere(), None)
                }
                None => (wide.may_join(template), None),
            };
            let rule = if *company == Company::Nowhere { Some(Rule::AffinityElsewhere) } else { rule };
            let key = (one.template, allowed, one.request);
            let class = *known.entry(key).or_insert_with_key(|(_, allowed, request)| {
                let itself = |term: &usize| i64::from(template.selected.contains(term));
                let mut class = of_node(template, &asked.of.terms, &mut locals);
                add_preferences(&mut class, template, &asked.of.preferences, &owners, &mut locals);
                let owner = one.pod.metadata.controller().filter(|owner| owner.kind != "DaemonSet");
                if let Some((owner, count)) = owner.and_then(|owner| replicas.get_key_value(owner.uid.as_str()))
                    && *count > 1
                {
                    let number = locals.number(Local::Service((*owner).to_owned()));
                    class.counted.push(number);
                    class.share = Some((number, i64::from(count.div_ceil(2))));
                    if template.by_default {
                        class.affected_terms.push(number);
                        spread.insert(number);
                    }
                }
                let class = all.number(Class {
                    request: *request,
                    needs: needs.number(tied(&asked.of.needs[template.needs], allowed, company)),
                    spreads: allowed.loose.iter().map(|term| (broken.numbers[term], itself(term))).collect(),
                    preferred_nodes: template.preferred_nodes,
                    zone_affinity: zone_affinity.of_pod(template, &asked.of.preferences),
                    ..class
                });
                class.into()
            });
            of_pods.push((class, template.rule.or(rule)));
        }
        let (ports, beside) = told(locals.into_values(), &spread);
        Self { all: all.into_values().into(), of_pods, ports, beside }
    }
}

/// The numbers of host ports, and what pods prefer about each term. `spread`: services that the scheduler spreads by itself.
fn told(locals: Vec<Local>, spread: &BTreeSet<usize>) -> (Ports, Vec<Option<PodPreference>>) {
    let mut ports = Ports::new();
    let mut beside = Vec::new();
    for (number, local) in locals.into_iter().enumerate() {
        let default = || PodPreference { wanted: PreferredCompany::AtMost(DEFAULT_SKEW), weight: FULL_WEIGHT };
        beside.push(match local {
            Local::Preference(_, wanted, weight) => Some(PodPreference { wanted, weight }),
            Local::Service(_) => spread.contains(&number).then(default),
            Local::Port(protocol, port) => {
                ports.insert((protocol, port), number);
                None
            }
            Local::Term(_) => None,
        });
    }
    (ports, beside)
}

/// By soft term: the preferences that pods have about it.
type Owners = BTreeMap<usize, BTreeSet<(PreferredCompany, i64)>>;

fn owners(asked: &Asked<'_>) -> Owners {
    let mut owners = Owners::new();
    for template in &asked.templates {
        for (term, weight) in &template.preferences {
            let wanted = wanted(&asked.of.preferences[*term], template.preferred_by.contains(term));
            owners.entry(*term).or_default().insert((wanted, *weight));
        }
    }
    owners
}

/// Adds what a pod prefers about other pods of its node, and what those prefer about it.
fn add_preferences(
    class: &mut Class,
    template: &Template,
    preferences: &[Term],
    owners: &Owners,
    locals: &mut Numbers<Local>,
) {
    let mut number = |term: usize, wanted: PreferredCompany, weight: i64| {
        (preferences[term].key == HOSTNAME)
            .then(|| locals.number(Local::Preference(preferences[term].clone(), wanted, weight)))
    };
    for (term, weight) in &template.preferences {
        let wanted = wanted(&preferences[*term], template.preferred_by.contains(term));
        class.preferred_pods.extend(number(*term, wanted, *weight));
    }
    for term in &template.preferred_by {
        for (wanted, weight) in owners.get(term).into_iter().flatten() {
            class.counted.extend(number(*term, *wanted, *weight));
        }
    }
    class.affected_terms = class.preferred_pods.iter().chain(&class.counted[class.selected.len()..]).copied().collect();
    for list in [&mut class.preferred_pods, &mut class.affected_terms] {
        list.sort_unstable();
        list.dedup();
    }
}

/// What a pod needs that topology ties to some places.
fn tied(needs: &Needs, allowed: &AllowedDomains, company: &Company) -> Needs {
    let mut tied = needs.clone();
    if !allowed.expressions.is_empty() {
        let term = NodeSelectorTerm { match_expressions: allowed.expressions.clone(), match_fields: Vec::new() };
        tied.terms.push(RequiredNodeTerms { node_selector_terms: vec![term] });
    }
    if let Company::Beside(hosts) = company {
        tied.terms.push(hosts.clone());
    }
    tied
}

/// The terms of a class between pods of one node. The rest of the class stays empty.
fn of_node(template: &Template, all_terms: &[Term], locals: &mut Numbers<Local>) -> Class {
    let mut class = Class::default();
    for term in template.owned.iter().map(|term| &all_terms[*term]).filter(|term| term.key == HOSTNAME) {
        let number = locals.number(Local::Term(term.clone()));
        match term.demand {
            Demand::Apart => class.apart.push(number),
            Demand::Spread { max_skew, .. } => class.caps.push((number, max_skew)),
            Demand::Together => {}
        }
    }
    for term in template.selected.iter().map(|term| &all_terms[*term]).filter(|term| term.key == HOSTNAME) {
        class.selected.push(locals.number(Local::Term(term.clone())));
    }
    for (protocol, port) in &template.ports {
        let number = locals.number(Local::Port(protocol.clone(), *port));
        class.apart.push(number);
        class.selected.push(number);
    }
    for list in [&mut class.apart, &mut class.selected] {
        list.sort_unstable();
        list.dedup();
    }
    class.caps.sort_unstable();
    class.counted.clone_from(&class.selected);
    class
}
