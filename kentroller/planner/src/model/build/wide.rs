//! Terms over domains wider than a node: where they let a pod be, and which spreads are broken.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use typed_index_collections::TiVec;

use super::asked::Asked;
use super::templates::Template;
use crate::manifest::marks::HOSTNAME;
use crate::manifest::{Expression, Operator};
use crate::model::{BrokenSpread, KeyDomains, NewNodeOption, NodeId};
use crate::rules::PodRole;
use crate::rules::placement::{Needs, Place};
use crate::rules::terms::{Demand, Term};
use crate::value::Rule;

/// Where wide terms let a pod be, beside what it asks of a node itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AllowedDomains {
    pub(super) expressions: Vec<Expression>,
    /// Broken spreads that it does not settle: see [`BrokenSpread`].
    pub(super) loose: Vec<usize>,
}

/// Hard spreads that do not hold now.
pub(super) struct Broken<'a> {
    /// Their numbers, by term.
    pub(super) numbers: BTreeMap<usize, usize>,
    spreads: Vec<BrokenSpread>,
    /// Labels with their values and where they are.
    keys: Vec<(&'a str, Vec<&'a str>, KeyDomains)>,
}

/// Terms over domains wider than a node: counts per domain.
pub(super) struct Wide<'a> {
    terms: &'a [Term],
    needs: &'a [Needs],
    /// By term: for each domain how many pods it selects and how many own it.
    counts: BTreeMap<usize, BTreeMap<&'a str, (i64, i64)>>,
    /// By spread: which nodes count for it.
    seen: BTreeMap<usize, Rc<TiVec<NodeId, bool>>>,
    /// By key: its value on each node.
    values: BTreeMap<&'a str, TiVec<NodeId, Option<&'a str>>>,
    /// Terms of pods that wait for a node. Moves must not change where those may go.
    awaited: BTreeSet<usize>,
}

impl<'a> Wide<'a> {
    pub(super) fn of(asked: &'a Asked<'_>, places: &'a [Place]) -> Self {
        let (terms, needs) = (asked.of.terms.as_slice(), asked.of.needs.as_slice());
        let mut values: BTreeMap<&str, TiVec<NodeId, Option<&str>>> = BTreeMap::new();
        let mut counts: BTreeMap<usize, BTreeMap<&str, (i64, i64)>> = BTreeMap::new();
        let mut eligible: BTreeMap<&Demand, Rc<TiVec<NodeId, bool>>> = BTreeMap::new();
        let mut seen: BTreeMap<usize, Rc<TiVec<NodeId, bool>>> = BTreeMap::new();
        for term in (0..terms.len()).filter(|term| terms[*term].key != HOSTNAME) {
            let key = terms[term].key.as_str();
            let of_key = values
                .entry(key)
                .or_insert_with(|| places.iter().map(|place| place.labels.get(key).map(String::as_str)).collect());
            let domains = counts.entry(term).or_default();
            if let spread @ Demand::Spread { .. } = &terms[term].demand {
                let counted = eligible
                    .entry(spread)
                    .or_insert_with(|| Rc::new(places.iter().map(|place| counts_for(spread, needs, place)).collect()));
                seen.insert(term, Rc::clone(counted));
                for (value, counted) in of_key.iter().zip(counted.iter()) {
                    if let (Some(value), true) = (value, *counted) {
                        domains.entry(*value).or_default();
                    }
                }
            }
        }
        let mut awaited = BTreeSet::new();
        for one in &asked.pods {
            let template = &asked.templates[one.template];
            let Some(node) = one.node else {
                awaited.extend(&template.owned);
                continue;
            };
            for (term, owns) in wide_terms(template, terms) {
                let Some(value) = values[terms[term].key.as_str()][node] else { continue };
                let Some(domains) = counts.get_mut(&term) else { continue };
                let is_spread = matches!(terms[term].demand, Demand::Spread { .. });
                // A pod on a node that a spread does not count is not counted.
                if seen.get(&term).is_some_and(|seen| !seen[node]) {
                    continue;
                }
                let count = if is_spread { domains.get_mut(value) } else { Some(domains.entry(value).or_default()) };
                match count {
                    Some((_, owners)) if owns => *owners += 1,
                    Some((selected, _)) if !is_spread || one.role != PodRole::Terminating => *selected += 1,
                    _ => {}
                }
            }
        }
        Self { terms, needs, counts, seen, values, awaited }
    }

    /// The domains that a pod keeps when it moves, or the rule that holds it.
    ///
    /// A pod that owns a wide term, or is selected by one, stays in its domain. So no count changes, and what holds still holds.
    pub(super) fn keeps(
        &self,
        node: NodeId,
        template: &Template,
        broken: &Broken<'_>,
    ) -> (AllowedDomains, Option<Rule>) {
        let mut pins: Vec<(usize, Option<&str>)> = Vec::new();
        let mut rule = None;
        let mut loose = Vec::new();
        for (term, owns) in wide_terms(template, self.terms) {
            let of = &self.terms[term];
            let Some(value) = self.values[of.key.as_str()][node] else {
                match of.demand {
                    Demand::Apart => pins.push((term, None)),
                    _ if owns => rule = Some(Rule::AffinityElsewhere),
                    _ => pins.push((term, None)),
                }
                continue;
            };
            pins.push((term, Some(value)));
            if self.seen.get(&term).is_some_and(|seen| !seen[node]) {
                // It is not counted here, and would be elsewhere.
                rule = Some(Rule::SpreadBroken);
                continue;
            }
            match self.binds(term, owns, value, template, broken) {
                Binding::Keeps => {}
                Binding::Loose => loose.push(term),
                Binding::Holds(by) => rule = Some(by),
            }
        }
        loose.sort_unstable();
        let pins = pins.iter().filter(|(term, _)| !loose.contains(term));
        let expressions = pins.map(|(term, value)| {
            let operator = if value.is_some() { Operator::In } else { Operator::DoesNotExist };
            of_domains(&self.terms[*term], operator, *value)
        });
        (AllowedDomains::new(expressions.collect(), loose), rule)
    }

    /// How a wide term binds a pod that is in a domain of it.
    fn binds(&self, term: usize, owns: bool, value: &str, template: &Template, broken: &Broken<'_>) -> Binding {
        let counts = &self.counts[&term];
        let (here, owners) = counts.get(value).copied().unwrap_or_default();
        let itself = i64::from(template.selected.contains(&term));
        match self.terms[term].demand {
            Demand::Apart => {
                let own = i64::from(template.owned.contains(&term));
                let is_broken = (owns && here - itself > 0) || (!owns && owners - own > 0);
                if is_broken { Binding::Holds(Rule::AffinityElsewhere) } else { Binding::Keeps }
            }
            Demand::Together if owns => {
                let anywhere: i64 = counts.values().map(|(selected, _)| selected).sum();
                let alone_and_first = itself == 1 && anywhere == 1;
                // Only a pod that satisfies all such terms is company. Here each term is counted by itself.
                let owned = template.owned.iter();
                let several = owned.filter(|term| self.terms[**term].demand == Demand::Together).count() > 1;
                let is_broken = several || (here - itself < 1 && !alone_and_first);
                if is_broken { Binding::Holds(Rule::AffinityElsewhere) } else { Binding::Keeps }
            }
            Demand::Spread { max_skew, min_domains, .. } if owns => {
                let known = i64::try_from(counts.len()).unwrap_or(i64::MAX);
                let others = counts.iter().filter(|(domain, _)| **domain != value).map(|(_, (n, _))| *n).min();
                let least = if known < min_domains { 0 } else { others.unwrap_or(i64::MAX).min(here - itself) };
                let too_many = here - least > max_skew;
                let fixed = template.tied || self.awaited.contains(&term) || !broken.numbers.contains_key(&term);
                if !counts.contains_key(value) || (too_many && fixed) {
                    Binding::Holds(Rule::SpreadBroken)
                } else if too_many {
                    // It may not come back, and where it may go changes with every move. See `BrokenSpread`.
                    Binding::Loose
                } else {
                    Binding::Keeps
                }
            }
            Demand::Together | Demand::Spread { .. } => Binding::Keeps,
        }
    }

    /// The domains that a pod which runs nowhere may be given a place in.
    pub(super) fn may_join(&self, template: &Template) -> AllowedDomains {
        let mut expressions = Vec::new();
        for (term, owns) in wide_terms(template, self.terms) {
            let of = &self.terms[term];
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
        AllowedDomains::new(expressions, Vec::new())
    }

    /// The hard spreads that do not hold now.
    pub(super) fn broken(&self) -> Broken<'a> {
        let mut broken = Broken { numbers: BTreeMap::new(), spreads: Vec::new(), keys: Vec::new() };
        for (term, domains) in &self.counts {
            let Demand::Spread { max_skew, min_domains, .. } = self.terms[*term].demand else { continue };
            let known = i64::try_from(domains.len()).unwrap_or(i64::MAX);
            let least =
                if known < min_domains { 0 } else { domains.values().map(|(count, _)| *count).min().unwrap_or(0) };
            let most = domains.values().map(|(count, _)| *count).max().unwrap_or(0);
            if most - least <= max_skew {
                continue;
            }
            let name = self.terms[*term].key.as_str();
            let key = broken.keys.iter().position(|(key, _, _)| *key == name).unwrap_or_else(|| {
                let mut values: Vec<&str> = self.values[name].iter().flatten().copied().collect();
                values.sort_unstable();
                values.dedup();
                let number = |value: &Option<&str>| value.and_then(|value| values.binary_search(&value).ok());
                let of_node = self.values[name].iter().map(number).collect();
                broken.keys.push((name, values, KeyDomains { of_node, of_offering: TiVec::new() }));
                broken.keys.len() - 1
            });
            broken.numbers.insert(*term, broken.spreads.len());
            let counts = broken.keys[key].1.iter().map(|value| domains.get(value).map(|(count, _)| *count)).collect();
            broken.spreads.push(BrokenSpread { key, max_skew, min_domains, counts });
        }
        broken
    }

    /// Whether a new node would open an empty domain of a spread. The least count would fall to nothing.
    pub(super) fn brings_a_domain(&self, offering: &NewNodeOption) -> bool {
        let mut told: BTreeMap<&Demand, bool> = BTreeMap::new();
        self.counts.iter().any(|(term, domains)| {
            let spread @ Demand::Spread { .. } = &self.terms[*term].demand else { return false };
            let Some(value) = offering.place.labels.get(&self.terms[*term].key) else { return false };
            if domains.contains_key(value.as_str()) || domains.values().all(|(selected, _)| *selected == 0) {
                return false;
            }
            *told.entry(spread).or_insert_with(|| counts_for(spread, self.needs, &offering.place))
        })
    }
}

impl Broken<'_> {
    /// Themselves and their domains, once it is known what can be bought.
    pub(super) fn with_offerings(self, offerings: &[NewNodeOption]) -> (Vec<BrokenSpread>, Vec<KeyDomains>) {
        let keys = self.keys.into_iter().map(|(name, values, domains)| {
            let value =
                |offering: &NewNodeOption| values.binary_search(&offering.place.labels.get(name)?.as_str()).ok();
            KeyDomains { of_offering: offerings.iter().map(value).collect(), ..domains }
        });
        (self.spreads, keys.collect())
    }
}

/// How a wide term binds a pod.
enum Binding {
    /// The pod stays in its domain.
    Keeps,
    /// The spread is broken, and moves of the pod are counted one by one.
    Loose,
    /// The pod stays where it is.
    Holds(Rule),
}

impl AllowedDomains {
    /// No place at all.
    pub(super) fn nowhere() -> Self {
        let expressions = vec![Expression { key: HOSTNAME.to_owned(), ..Expression::default() }];
        Self { expressions, loose: Vec::new() }
    }

    fn new(mut expressions: Vec<Expression>, loose: Vec<usize>) -> Self {
        expressions.sort();
        expressions.dedup();
        Self { expressions, loose }
    }
}

/// The wide terms of a pod, and whether it owns them or they select it.
fn wide_terms(template: &Template, terms: &[Term]) -> impl Iterator<Item = (usize, bool)> {
    let owned = template.owned.iter().map(|term| (*term, true));
    let selected = template.selected.iter().map(|term| (*term, false));
    owned.chain(selected).filter(|(term, _)| terms[*term].key != HOSTNAME)
}

fn of_domains<'a>(term: &Term, operator: Operator, values: impl IntoIterator<Item = &'a str>) -> Expression {
    let values = values.into_iter().map(str::to_owned).collect();
    Expression { key: term.key.clone(), operator, values }
}

/// Whether a node is in a domain of a spread, by the policies of the constraint and the labels of its owner's other spreads.
fn counts_for(spread: &Demand, needs: &[Needs], place: &Place) -> bool {
    let Demand::Spread { honor_affinity, honor_taints, needs: owner, keys, .. } = spread else { return true };
    if !keys.iter().all(|key| place.labels.contains_key(key)) {
        return false;
    }
    let Some(owner) = needs.get(*owner as usize) else { return true };
    (!honor_affinity || owner.selects(place) != Some(false)) && (!honor_taints || owner.tolerates_all(place))
}
