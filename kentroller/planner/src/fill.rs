//! Filling one bin with what is worth most for the room it takes.
use crate::{
    cluster::{DIMS, Model, Tie, Vector, fits},
    state::{Counts, give, may_join, put},
};

/// Pods of a class that a bin could be given.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub class: usize,
    pub left: i64,
    /// What one is worth, in millionths an hour; drives the choice, and may be coloured by chance.
    pub key: f64,
    request: [f64; DIMS],
}

impl Candidate {
    /// `bias` above 0 prefers large pods: their worth counts by that power of their size.
    pub(crate) fn of(model: &Model, class: usize, left: i64, worth: f64, capacity: &Vector, bias: f64) -> Self {
        let of = &model.classes[class].request;
        let mut request = [0.0; DIMS];
        let mut size = 0.0f64;
        for dim in 0..model.dims.len() {
            request[dim] = of[dim] as f64;
            if of[dim] > 0 && capacity[dim] > 0 {
                size = size.max(of[dim] as f64 / capacity[dim] as f64);
            }
        }
        let key = if bias > 0.0 { worth * size.powf(bias) } else { worth };
        Self { class, left, key, request }
    }
}

/// Fills a bin greedily: the most worth for the scarcest room first. Candidates that no longer fit are dropped.
pub(crate) fn fill(model: &Model, free: &mut Vector, ties: &mut Vec<Tie>, candidates: &mut Vec<Candidate>) -> Counts {
    let dims = model.dims.len();
    let mut content = Counts::new();
    while !candidates.is_empty() {
        let mut scarcity = [0.0; DIMS];
        for dim in 0..dims {
            scarcity[dim] = 1.0 / free[dim].max(1) as f64;
        }
        let mut best: Option<(f64, usize)> = None;
        let mut at = 0;
        while at < candidates.len() {
            let candidate = &candidates[at];
            let class = &model.classes[candidate.class];
            let ok = candidate.left > 0 && fits(&class.request, free) && may_join(class, ties);
            if !ok {
                candidates.swap_remove(at);
                continue;
            }
            let taken: f64 =
                candidate.request[..dims].iter().zip(&scarcity).map(|(request, scarcity)| request * scarcity).sum();
            let score = candidate.key / taken.max(1e-12);
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, at));
            }
            at += 1;
        }
        let Some((_, at)) = best else { break };
        let class = candidates[at].class;
        put(model, class, 1, free, ties);
        candidates[at].left -= 1;
        give(&mut content, class, 1);
    }
    content
}
