//! The wishes of a cluster's pods by number: what they like in a node, whom they want beside them, what they would keep.

use std::collections::BTreeSet;

use super::asked::Asked;
use super::templates::Template;
use crate::manifest::Node;
use crate::model::preferences::{Home, Wanted};
use crate::model::{KeyDomains, NewKind};
use crate::rules::placement::{FULL, Likes, Place};
use crate::rules::pool;
use crate::rules::terms::{Demand, HOSTNAME, Term};

/// Labels whose value pods would keep: the zone, and those of wishes about wider domains.
pub(super) struct Homes<'a> {
    keys: Vec<&'a str>,
}

impl<'a> Homes<'a> {
    pub(super) fn of(asked: &'a Asked<'_>) -> Self {
        let wide = asked.of.wishes.iter().map(|term| term.key.as_str());
        let others: BTreeSet<&str> = wide.filter(|key| ![HOSTNAME, pool::ZONE].contains(key)).collect();
        Self { keys: [pool::ZONE].into_iter().chain(others).collect() }
    }

    /// The labels that a pod would keep, by number, and what leaving them weighs.
    pub(super) fn of_pod(&self, template: &Template, wishes: &[Term]) -> Vec<(usize, i64)> {
        let weight = |key: &str| {
            let own = template.wishes.iter().filter(|(term, _)| wishes[*term].key == key);
            own.map(|(_, weight)| weight).sum::<i64>() + if key == pool::ZONE { FULL } else { 0 }
        };
        let weighed = self.keys.iter().map(|key| weight(key)).enumerate();
        weighed.filter(|(_, weight)| *weight > 0).collect()
    }

    /// Their domains.
    pub(super) fn domains(&self, nodes: &[Node], kinds: &[NewKind]) -> Vec<Home> {
        let domains = |key: &&str| {
            let of_nodes = || nodes.iter().map(|node| node.metadata.labels.get(*key));
            let of_kinds = || kinds.iter().map(|kind| kind.place.labels.get(*key));
            let values: BTreeSet<&String> = of_nodes().chain(of_kinds()).flatten().collect();
            let values: Vec<&String> = values.into_iter().collect();
            let number = |value: Option<&String>| value.and_then(|value| values.binary_search(&value).ok());
            let domains =
                KeyDomains { of_node: of_nodes().map(number).collect(), of_kind: of_kinds().map(number).collect() };
            Home { domains, count: values.len() }
        };
        self.keys.iter().map(domains).collect()
    }
}

/// What a soft term wants of the other pods of its node; `itself`: whether it selects its owner.
pub(super) fn wanted(term: &Term, itself: bool) -> Wanted {
    match term.demand {
        Demand::Apart => Wanted::Nobody { itself },
        Demand::Together => Wanted::Somebody { itself },
        Demand::Spread { max_skew, .. } => Wanted::AtMost(max_skew),
    }
}

/// By set of likes and by signature: the weight that is left unmet; nothing for the set that is empty.
pub(super) fn unmet(likes: &[Likes], places: &[Place]) -> Vec<Vec<i64>> {
    let of_set = |likes: &Likes| match *likes == Likes::default() {
        true => Vec::new(),
        false => places.iter().map(|place| likes.unmet(place)).collect(),
    };
    likes.iter().map(of_set).collect()
}
