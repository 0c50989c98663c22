//! How many pods of a class fit beside those that a bin holds already.

use super::{Class, Model, Vector, add, times};

/// Pods by class.
pub(crate) type Counts = Vec<(usize, i64)>;

/// Counts of one term on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tie {
    pub term: usize,
    pub selected: i64,
    pub owned: i64,
}

/// How many pods of a class fit into free room beside what the ties count.
pub(crate) fn room(model: &Model, class: usize, free: &Vector, ties: &[Tie]) -> i64 {
    let of = &model.classes[class];
    match times(&of.request, free) {
        0 => 0,
        most => most.min(company(of, ties)),
    }
}

/// The same, and no more than leaves the service to several nodes.
pub(crate) fn shared_room(model: &Model, class: usize, free: &Vector, ties: &[Tie]) -> i64 {
    room(model, class, free, ties).min(share_left(&model.classes[class], ties))
}

/// How many pods of a class the scheduler lets stand beside what the ties count; whether they fit is another question.
pub(crate) fn company(of: &Class, ties: &[Tie]) -> i64 {
    let mut most = i64::MAX;
    if !of.has_rules() {
        return most;
    }
    let tie = |term: usize| tie_of(ties, term);
    for term in &of.apart {
        if tie(*term).selected > 0 {
            return 0;
        }
        if of.selected.contains(term) {
            most = most.min(1);
        }
    }
    for term in &of.selected {
        if tie(*term).owned > 0 {
            return 0;
        }
    }
    for (term, cap) in &of.caps {
        let itself = of.selected.contains(term);
        let left = cap - tie(*term).selected;
        if itself {
            most = most.min(left.max(0));
        } else if left < 0 {
            return 0;
        }
    }
    most
}

/// How many more pods of its service leave that to several nodes.
pub(crate) fn share_left(of: &Class, ties: &[Tie]) -> i64 {
    of.share.map_or(i64::MAX, |(service, share)| (share - tie_of(ties, service).selected).max(0))
}

pub(crate) fn tie_of(ties: &[Tie], term: usize) -> Tie {
    ties.iter().find(|tie| tie.term == term).copied().unwrap_or_default()
}

/// Takes room for pods of a class and counts them in the ties.
pub(crate) fn put(model: &Model, class: usize, count: i64, free: &mut Vector, ties: &mut Vec<Tie>) {
    let of = &model.classes[class];
    add(free, &of.request, -count);
    for term in &of.counted {
        tie_to(ties, *term).selected += count;
    }
    for term in of.apart.iter().chain(&of.hopes) {
        tie_to(ties, *term).owned += count;
    }
}

fn tie_to(ties: &mut Vec<Tie>, term: usize) -> &mut Tie {
    let at = ties.iter().position(|tie| tie.term == term).unwrap_or_else(|| {
        ties.push(Tie { term, ..Tie::default() });
        ties.len() - 1
    });
    &mut ties[at]
}

/// Adds to a count of a class; a count of zero is left out.
pub(crate) fn give(counts: &mut Counts, class: usize, count: i64) {
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
