//! How many pods of a class fit beside those that a bin holds already.

use super::{Class, ClassId, Model, Vector, add, times};

/// Pods by class.
pub(crate) type Counts = Vec<(ClassId, i64)>;

/// Counts of one term on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TermCount {
    pub term: usize,
    pub selected: i64,
    pub owned: i64,
}

/// How many pods of a class fit into free room beside what the terms count.
#[inline]
pub(crate) fn room(model: &Model, class: ClassId, free: &Vector, term_counts: &[TermCount]) -> i64 {
    let of = &model.classes[class];
    match times(&of.request, free) {
        0 => 0,
        most => most.min(company(of, term_counts)),
    }
}

/// As [`room`], within our own limit on a service's pods of one node.
#[inline]
pub(crate) fn shared_room(model: &Model, class: ClassId, free: &Vector, term_counts: &[TermCount]) -> i64 {
    room(model, class, free, term_counts).min(share_left(&model.classes[class], term_counts))
}

/// How many pods of a class the terms between pods allow on a node. Whether there is room for them is another question.
#[inline]
pub(crate) fn company(of: &Class, term_counts: &[TermCount]) -> i64 {
    let mut most = i64::MAX;
    if !of.has_rules() {
        return most;
    }
    let counted = |term: usize| count_of_term(term_counts, term);
    for term in &of.apart {
        if counted(*term).selected > 0 {
            return 0;
        }
        if of.selected.contains(term) {
            most = most.min(1);
        }
    }
    for term in &of.selected {
        if counted(*term).owned > 0 {
            return 0;
        }
    }
    for (term, cap) in &of.caps {
        let itself = of.selected.contains(term);
        let left = cap - counted(*term).selected;
        if itself {
            most = most.min(left.max(0));
        } else if left < 0 {
            return 0;
        }
    }
    most
}

/// What our own limit on a service's pods of one node leaves.
#[inline]
pub(crate) fn share_left(of: &Class, term_counts: &[TermCount]) -> i64 {
    of.share.map_or(i64::MAX, |(service, share)| (share - count_of_term(term_counts, service).selected).max(0))
}

#[inline]
pub(crate) fn count_of_term(term_counts: &[TermCount], term: usize) -> TermCount {
    term_counts.iter().find(|counted| counted.term == term).copied().unwrap_or_default()
}

/// Takes room for pods of a class, and counts them in all terms that concern them.
pub(crate) fn put(model: &Model, class: ClassId, count: i64, free: &mut Vector, term_counts: &mut Vec<TermCount>) {
    let of = &model.classes[class];
    add(free, &of.request, -count);
    for term in &of.counted {
        count_of_term_mut(term_counts, *term).selected += count;
    }
    for term in of.apart.iter().chain(&of.preferred_pods) {
        count_of_term_mut(term_counts, *term).owned += count;
    }
}

fn count_of_term_mut(term_counts: &mut Vec<TermCount>, term: usize) -> &mut TermCount {
    let at = term_counts.iter().position(|counted| counted.term == term).unwrap_or_else(|| {
        term_counts.push(TermCount { term, ..TermCount::default() });
        term_counts.len() - 1
    });
    &mut term_counts[at]
}

/// Adds to a count of a class; a count of zero is left out.
pub(crate) fn give(counts: &mut Counts, class: ClassId, count: i64) {
    match counts.iter().position(|(of, _)| *of == class) {
        Some(at) => {
            counts[at].1 += count;
            if counts[at].1 == 0 {
                counts.swap_remove(at);
            }
        }
        None if count != 0 => counts.push((class, count)),
        None => {}
    }
}
