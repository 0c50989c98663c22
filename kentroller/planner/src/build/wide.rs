//! Terms over domains wider than a node: where they let a pod be, and which spreads are broken.
use std::collections::{BTreeMap, BTreeSet};

use super::{Seen, templates::Template};
use crate::{
    Rule,
    cluster::{BrokenSpread, KeyDomains},
    eligibility::Kind,
    kinds,
    manifest::{Expression, Operator},
    rules::{
        placement::{Needs, Place},
        terms::{Demand, HOSTNAME, Term},
    },
};

/// Where wide terms let a pod be, beside what it asks of a node itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tether {
    pub(super) expressions: Vec<Expression>,
    /// Broken spreads that it does not settle: see [`BrokenSpread`].
    pub(super) loose: Vec<usize>,
}

/// A label with its values and where they are.
pub(super) type Key<'a> = (&'a str, Vec<&'a str>, KeyDomains);

/// Terms over domains wider than a node: counts per domain.
pub(super) struct Wide<'a> {
    /// By term: for each domain how many pods it selects and how many own it.
    counts: BTreeMap<usize, BTreeMap<&'a str, (i64, i64)>>,
    /// By term: the value of its key on each node, where the node counts.
    values: BTreeMap<&'a str, Vec<Option<&'a str>>>,
    /// Terms of pods that wait for a node: where those may go must not change under them.
    awaited: BTreeSet<usize>,
}

impl<'a> Wide<'a> {
    pub(super) fn of(
        seen: &[Seen<'_>],
        templates: &[Template],
        all_terms: &'a [Term],
        places: &'a [Place],
        needs: &[Needs],
    ) -> Self {
        let wide: Vec<usize> = (0..all_terms.len()).filter(|term| all_terms[*term].key != HOSTNAME).collect();
        let mut values: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
        let mut counts: BTreeMap<usize, BTreeMap<&str, (i64, i64)>> = BTreeMap::new();
        let mut eligible: BTreeMap<(u32, bool, bool, &str), Vec<bool>> = BTreeMap::new();
        for term in wide {
            let key = all_terms[term].key.as_str();
            let of_key = values
                .entry(key)
                .or_insert_with(|| places.iter().map(|place| place.labels.get(key).map(String::as_str)).collect());
            let domains = counts.entry(term).or_default();
            if let Demand::Spread { honor_affinity, honor_taints, needs: owner, .. } = all_terms[term].demand {
                let counted = eligible.entry((owner, honor_affinity, honor_taints, key)).or_insert_with(|| {
                    let owner = needs.get(owner as usize);
                    places.iter().map(|place| counts_for(owner, honor_affinity, honor_taints, place)).collect()
                });
                for (value, counted) in of_key.iter().zip(counted.iter()) {
                    if let (Some(value), true) = (value, *counted) {
                        domains.entry(*value).or_default();
                    }
                }
            }
        }
        let mut awaited = BTreeSet::new();
        for one in seen {
            let template = &templates[one.template];
            let Some(node) = one.node else {
                awaited.extend(&template.owned);
                continue;
            };
            for term in template.selected.iter().filter(|term| all_terms[**term].key != HOSTNAME) {
                let spread = matches!(all_terms[*term].demand, Demand::Spread { .. });
                let Some(value) = values[all_terms[*term].key.as_str()][node] else { continue };
                let Some(domains) = counts.get_mut(term) else { continue };
                if !spread {
                    domains.entry(value).or_default().0 += 1;
                } else if one.kind != Kind::Terminating {
                    // A pod outside the domains that count is not counted.
                    if let Some(count) = domains.get_mut(value) {
                        count.0 += 1;
                    }
                }
            }
            for term in template.owned.iter().filter(|term| all_terms[**term].key != HOSTNAME) {
                let Some(value) = values[all_terms[*term].key.as_str()][node] else { continue };
                if let Some(domains) = counts.get_mut(term) {
                    if matches!(all_terms[*term].demand, Demand::Spread { .. }) {
                        if let Some(count) = domains.get_mut(value) {
                            count.1 += 1;
                        }
                    } else {
                        domains.entry(value).or_default().1 += 1;
                    }
                }
            }
        }
        Self { counts, values, awaited }
    }

    /// The domains that a pod keeps when it moves, or the rule that holds it.
    ///
    /// Whoever owns or is selected by a wide term stays in its domain: no count changes, so that nothing that holds breaks.
    pub(super) fn keeps(
        &self,
        node: usize,
        template: &Template,
        all_terms: &[Term],
        broken: &BTreeMap<usize, usize>,
    ) -> (Tether, Option<Rule>) {
        let mut pins: Vec<(usize, Option<&str>)> = Vec::new();
        let mut rule = None;
        let mut loose = Vec::new();
        let owned = template.owned.iter().map(|term| (*term, true));
        let selected = template.selected.iter().map(|term| (*term, false));
        for (term, owns) in owned.chain(selected) {
            let of = &all_terms[term];
            if of.key == HOSTNAME {
                continue;
            }
            let Some(value) = self.values[of.key.as_str()][node] else {
                match of.demand {
                    Demand::Apart => pins.push((term, None)),
                    _ if owns => rule = Some(Rule::AffinityElsewhere),
                    _ => pins.push((term, None)),
                }
                continue;
            };
            pins.push((term, Some(value)));
            let counts = &self.counts[&term];
            let (here, owners) = counts.get(value).copied().unwrap_or_default();
            let itself = i64::from(template.selected.contains(&term));
            match of.demand {
                Demand::Apart => {
                    let own = i64::from(template.owned.contains(&term));
                    if (owns && here - itself > 0) || (!owns && owners - own > 0) {
                        rule = Some(Rule::AffinityElsewhere);
                    }
                }
                Demand::Together if owns => {
                    let anywhere: i64 = counts.values().map(|(selected, _)| selected).sum();
                    let alone_and_first = itself == 1 && anywhere == 1;
                    // Company is who satisfies all such terms of the pod; here each is counted by itself.
                    let owned = template.owned.iter();
                    let several = owned.filter(|term| all_terms[**term].demand == Demand::Together).count() > 1;
                    if several || (here - itself < 1 && !alone_and_first) {
                        rule = Some(Rule::AffinityElsewhere);
                    }
                }
                Demand::Together => {}
                Demand::Spread { max_skew, min_domains, .. } if owns => {
                    let known = i64::try_from(counts.len()).unwrap_or(i64::MAX);
                    let others = counts.iter().filter(|(domain, _)| **domain != value).map(|(_, (n, _))| *n).min();
                    let least = if known < min_domains { 0 } else { others.unwrap_or(i64::MAX).min(here - itself) };
                    let too_many = here - least > max_skew;
                    let fixed = template.tied || self.awaited.contains(&term) || !broken.contains_key(&term);
                    if !counts.contains_key(value) || (too_many && fixed) {
                        rule = Some(Rule::SpreadBroken);
                    } else if too_many {
                        // It may not come back, and where it may go changes with every move: see `BrokenSpread`.
                        loose.push(term);
                    }
                }
                Demand::Spread { .. } => {}
            }
        }
        loose.sort_unstable();
        let pins = pins.iter().filter(|(term, _)| !loose.contains(term));
        let expressions = pins.map(|(term, value)| {
            let operator = if value.is_some() { Operator::In } else { Operator::DoesNotExist };
            of_domains(&all_terms[*term], operator, *value)
        });
        (Tether::new(expressions.collect(), loose), rule)
    }

    /// The domains that a pod which runs nowhere may be given a place in.
    pub(super) fn may_join(&self, template: &Template, all_terms: &[Term]) -> Tether {
        let mut expressions = Vec::new();
        let owned = template.owned.iter().map(|term| (*term, true));
        let selected = template.selected.iter().map(|term| (*term, false));
        for (term, owns) in owned.chain(selected).filter(|(term, _)| all_terms[*term].key != HOSTNAME) {
            let of = &all_terms[term];
            let counts = &self.counts[&term];
            let itself = i64::from(template.selected.contains(&term));
            let values = |is_in: &dyn Fn(i64, i64) -> bool| {
                let list = counts.iter().filter(|(_, (selected, owners))| is_in(*selected, *owners));
                list.map(|(value, _)| *value).collect::<Vec<_>>()
            };
            let none_yet = counts.values().all(|(selected, _)| *selected == 0);
            expressions.push(match of.demand {
                Demand::Apart if owns => of_domains(of, Operator::NotIn, values(&|selected, _| selected > 0)),
                Demand::Apart => of_domains(of, Operator::NotIn, values(&|_, owners| owners > 0)),
                Demand::Together if owns && none_yet && itself == 1 => of_domains(of, Operator::Exists, None),
                Demand::Together if owns => of_domains(of, Operator::In, values(&|selected, _| selected > 0)),
                Demand::Spread { max_skew, min_domains, .. } if owns => {
                    let known = i64::try_from(counts.len()).unwrap_or(i64::MAX);
                    let least = counts.values().map(|(selected, _)| *selected).min().unwrap_or(0);
                    let least = if known < min_domains { 0 } else { least };
                    of_domains(of, Operator::In, values(&|selected, _| selected + itself - least <= max_skew))
                }
                Demand::Together | Demand::Spread { .. } => continue,
            });
        }
        expressions.retain(|of| of.operator != Operator::NotIn || !of.values.is_empty());
        Tether::new(expressions, Vec::new())
    }

    /// Hard spreads that do not hold now: their numbers by term, the values of their keys, and their counts.
    pub(super) fn broken(&self, all_terms: &[Term]) -> (BTreeMap<usize, usize>, Vec<Key<'a>>, Vec<BrokenSpread>) {
        let mut numbers = BTreeMap::new();
        let mut keys: Vec<Key<'a>> = Vec::new();
        let mut broken = Vec::new();
        for (term, domains) in &self.counts {
            let Demand::Spread { max_skew, min_domains, .. } = all_terms[*term].demand else { continue };
            let known = i64::try_from(domains.len()).unwrap_or(i64::MAX);
            let least =
                if known < min_domains { 0 } else { domains.values().map(|(count, _)| *count).min().unwrap_or(0) };
            let most = domains.values().map(|(count, _)| *count).max().unwrap_or(0);
            if most - least <= max_skew {
                continue;
            }
            let name = self.values.keys().find(|key| **key == all_terms[*term].key).copied().unwrap_or_default();
            let key = keys.iter().position(|(key, _, _)| *key == name).unwrap_or_else(|| {
                let mut values: Vec<&str> = self.values[name].iter().flatten().copied().collect();
                values.sort_unstable();
                values.dedup();
                let number = |value: &Option<&str>| value.and_then(|value| values.binary_search(&value).ok());
                let of_node = self.values[name].iter().map(number).collect();
                keys.push((name, values, KeyDomains { of_node, of_kind: Vec::new() }));
                keys.len() - 1
            });
            numbers.insert(*term, broken.len());
            let counts = keys[key].1.iter().map(|value| domains.get(value).map(|(count, _)| *count)).collect();
            broken.push(BrokenSpread { key, max_skew, min_domains, counts });
        }
        (numbers, keys, broken)
    }

    /// Whether a new node would open a domain of a spread that has none of its pods: the least count would fall to nothing.
    pub(super) fn brings_a_domain(&self, kind: &kinds::NewKind, needs: &[Needs], all_terms: &[Term]) -> bool {
        let mut told: BTreeMap<(u32, bool, bool), bool> = BTreeMap::new();
        self.counts.iter().any(|(term, domains)| {
            let Demand::Spread { honor_affinity, honor_taints, needs: owner, .. } = all_terms[*term].demand else {
                return false;
            };
            let Some(value) = kind.place.labels.get(&all_terms[*term].key) else { return false };
            if domains.contains_key(value.as_str()) || domains.values().all(|(selected, _)| *selected == 0) {
                return false;
            }
            *told
                .entry((owner, honor_affinity, honor_taints))
                .or_insert_with(|| counts_for(needs.get(owner as usize), honor_affinity, honor_taints, &kind.place))
        })
    }
}

impl Tether {
    pub(super) fn new(mut expressions: Vec<Expression>, loose: Vec<usize>) -> Self {
        expressions.sort();
        expressions.dedup();
        Self { expressions, loose }
    }
}

pub(super) fn of_domains<'a>(term: &Term, operator: Operator, values: impl IntoIterator<Item = &'a str>) -> Expression {
    let values = values.into_iter().map(str::to_owned).collect();
    Expression { key: term.key.clone(), operator, values }
}

/// Whether a node is in a domain of a spread, by the policies of the constraint.
pub(super) fn counts_for(owner: Option<&Needs>, honor_affinity: bool, honor_taints: bool, place: &Place) -> bool {
    let Some(owner) = owner else { return true };
    (!honor_affinity || owner.selects(place) != Some(false)) && (!honor_taints || owner.tolerates_all(place))
}
