//! Filling one bin with what is worth most for the room it takes.
use crate::{
    cluster::{DIMS, Model, Tie, Vector},
    state::{Counts, company, give, put, share_left},
};

/// Pods of a class that a bin could be given.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub class: usize,
    pub left: i64,
    /// What one is worth, in millionths an hour; drives the choice, and may be coloured by chance.
    pub key: f64,
    service: Option<usize>,
    /// How many more pods of its service the bin may be given.
    share: i64,
    /// [`Class::has_rules`](crate::cluster::Class::has_rules), at hand.
    has_rules: bool,
    request: [f64; DIMS],
}

impl Candidate {
    /// `bias` above 0 prefers large pods: their worth counts by that power of their size.
    pub(crate) fn of(model: &Model, class: usize, left: i64, worth: f64, capacity: &Vector, bias: f64) -> Self {
        let of = &model.classes[class];
        let request = of.request.map(|request| request as f64);
        let mut size = 0.0f64;
        for (request, capacity) in request.iter().zip(capacity) {
            if *request > 0.0 && *capacity > 0 {
                size = size.max(request / *capacity as f64);
            }
        }
        let key = if bias > 0.0 { worth * size.powf(bias) } else { worth };
        let service = of.share.map(|(service, _)| service);
        Self { class, left, key, service, share: i64::MAX, has_rules: of.has_rules(), request }
    }
}

/// Fills a bin greedily: the most worth for the scarcest room first. Candidates that no longer fit are dropped.
pub(crate) fn fill(model: &Model, free: &mut Vector, ties: &mut Vec<Tie>, candidates: &mut Vec<Candidate>) -> Counts {
    let mut content = Counts::new();
    for candidate in candidates.iter_mut() {
        candidate.share = share_left(&model.classes[candidate.class], ties);
    }
    while !candidates.is_empty() {
        // No amount is above 2^45: they stand in floating point as they are.
        let room = free.map(|free| free as f64);
        let scarcity = room.map(|room| 1.0 / room.max(1.0));
        let mut best: Option<(f64, usize)> = None;
        let mut at = 0;
        while at < candidates.len() {
            let candidate = &candidates[at];
            let (mut lacks, mut taken) = (false, 0.0);
            for dim in 0..DIMS {
                let request = candidate.request[dim];
                lacks |= request > room[dim] && request > 0.0;
                taken += request * scarcity[dim];
            }
            let full = lacks || candidate.left.min(candidate.share) <= 0;
            if full || (candidate.has_rules && company(&model.classes[candidate.class], ties) <= 0) {
                candidates.swap_remove(at);
                continue;
            }
            let score = candidate.key / taken.max(1e-12);
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, at));
            }
            at += 1;
        }
        let Some((_, at)) = best else { break };
        let (class, service) = (candidates[at].class, candidates[at].service);
        put(model, class, 1, free, ties);
        candidates[at].left -= 1;
        if service.is_some() {
            candidates.iter_mut().filter(|other| other.service == service).for_each(|other| other.share -= 1);
        }
        give(&mut content, class, 1);
    }
    content
}
