//! Filling one bin with what is worth most for the room it takes.

use crate::model::{ClassId, Counts, DIMS, Model, TermCount, Vector, company, give, put, share_left, times};

/// Pods of a class that a bin could be given.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub class: ClassId,
    pub left: i64,
    /// What one is worth, in millionths an hour. A search may add some noise to it.
    pub key: f64,
    service: Option<usize>,
    /// How many more pods of its service the bin may be given.
    share: i64,
    /// As [`Class::has_rules`](crate::model::Class::has_rules), looked up once.
    has_rules: bool,
    request: [f64; DIMS],
}

impl Candidate {
    /// `bias` above 0 prefers large pods: their worth counts by that power of their size.
    pub(crate) fn of(model: &Model, class: ClassId, left: i64, worth: f64, capacity: &Vector, bias: f64) -> Self {
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

/// Of the pods of a class that would fit, one in so many is given at once, and at least one.
const AT_ONCE: i64 = 16;

/// Fills a bin greedily: the most worth for the scarcest room first. Candidates that no longer fit are dropped.
pub(crate) fn fill(
    model: &Model,
    free: &mut Vector,
    term_counts: &mut Vec<TermCount>,
    candidates: &mut Vec<Candidate>,
) -> Counts {
    let mut content = Counts::new();
    for candidate in candidates.iter_mut() {
        candidate.share = share_left(&model.classes[candidate.class], term_counts);
    }
    while !candidates.is_empty() {
        // No amount is above 2^45, so floating point holds it exactly.
        let room = free.map(|free| free as f64);
        let scarcity = room.map(|room| 1.0 / room.max(1.0));
        // Worth and room of the best so far. Comparing products is cheaper than comparing quotients, and gives the same order.
        let (mut best, mut key, mut room_taken) = (None, f64::NEG_INFINITY, 1.0);
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
            if full || (candidate.has_rules && company(&model.classes[candidate.class], term_counts) <= 0) {
                candidates.swap_remove(at);
                continue;
            }
            let taken = taken.max(1e-12);
            if candidate.key * room_taken > key * taken {
                (best, key, room_taken) = (Some(at), candidate.key, taken);
            }
            at += 1;
        }
        let Some(at) = best else { break };
        let Candidate { class, service, left, share, has_rules, .. } = candidates[at];
        let of = &model.classes[class];
        let mut count = (times(&of.request, free) / AT_ONCE).min(left).min(share);
        if count > 1 && has_rules {
            count = count.min(company(of, term_counts));
        }
        let count = count.max(1);
        put(model, class, count, free, term_counts);
        candidates[at].left -= count;
        if service.is_some() {
            candidates.iter_mut().filter(|other| other.service == service).for_each(|other| other.share -= count);
        }
        give(&mut content, class, count);
    }
    content
}
