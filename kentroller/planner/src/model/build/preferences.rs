//! The preferences of a cluster's pods by number: among nodes, about the pods beside them, and for the zone that they are in.

use std::collections::BTreeSet;

use super::asked::Asked;
use super::templates::Template;
use crate::manifest::Node;
use crate::manifest::marks::{self, HOSTNAME};
use crate::model::preferences::{PreferredCompany, ZoneAffinity};
use crate::model::{KeyDomains, NewNodeOption};
use crate::rules::placement::{FULL_WEIGHT, NodePreferences, Place};
use crate::rules::terms::{Demand, Term};

/// Labels whose value pods would keep: the zone, and those of preferences about wider domains.
pub(super) struct ZoneAffinities<'a> {
    keys: Vec<&'a str>,
}

impl<'a> ZoneAffinities<'a> {
    pub(super) fn of(asked: &'a Asked<'_>) -> Self {
        let wide = asked.of.preferences.iter().map(|term| term.key.as_str());
        let others: BTreeSet<&str> = wide.filter(|key| ![HOSTNAME, marks::ZONE].contains(key)).collect();
        Self { keys: [marks::ZONE].into_iter().chain(others).collect() }
    }

    /// The labels that a pod would keep, by number, and what leaving them weighs.
    pub(super) fn of_pod(&self, template: &Template, preferences: &[Term]) -> Vec<(usize, i64)> {
        let weight = |key: &str| {
            let own = template.preferences.iter().filter(|(term, _)| preferences[*term].key == key);
            own.map(|(_, weight)| weight).sum::<i64>() + if key == marks::ZONE { FULL_WEIGHT } else { 0 }
        };
        let weighed = self.keys.iter().map(|key| weight(key)).enumerate();
        weighed.filter(|(_, weight)| *weight > 0).collect()
    }

    /// Their domains.
    pub(super) fn domains(&self, nodes: &[Node], offerings: &[NewNodeOption]) -> Vec<ZoneAffinity> {
        let domains = |key: &&str| {
            let of_nodes = || nodes.iter().map(|node| node.metadata.labels.get(*key));
            let of_offerings = || offerings.iter().map(|offering| offering.place.labels.get(*key));
            let values: BTreeSet<&String> = of_nodes().chain(of_offerings()).flatten().collect();
            let values: Vec<&String> = values.into_iter().collect();
            let number = |value: Option<&String>| value.and_then(|value| values.binary_search(&value).ok());
            let domains = KeyDomains {
                of_node: of_nodes().map(number).collect(),
                of_offering: of_offerings().map(number).collect(),
            };
            ZoneAffinity { domains, count: values.len() }
        };
        self.keys.iter().map(domains).collect()
    }
}

/// What a soft term wants of the other pods of its node; `itself`: whether it selects its owner.
pub(super) fn wanted(term: &Term, itself: bool) -> PreferredCompany {
    match term.demand {
        Demand::Apart => PreferredCompany::Nobody { itself },
        Demand::Together => PreferredCompany::Somebody { itself },
        Demand::Spread { max_skew, .. } => PreferredCompany::AtMost(max_skew),
    }
}

/// By set of preferences and by signature: the weight that is left unmet; nothing for the set that is empty.
pub(super) fn unmet(preferred_nodes: &[NodePreferences], places: &[Place]) -> Vec<Vec<i64>> {
    let of_set = |preferred_nodes: &NodePreferences| match *preferred_nodes == NodePreferences::default() {
        true => Vec::new(),
        false => places.iter().map(|place| preferred_nodes.unmet(place)).collect(),
    };
    preferred_nodes.iter().map(of_set).collect()
}
