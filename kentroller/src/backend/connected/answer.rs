//! What a backend answers is a proposal of a stranger: read as one, judged as any plan, and written anew in our own words.

use std::collections::BTreeSet;

use kentroller_planner::{Catalog, Plan, Snapshot};
use kentroller_rpc::tame;

use crate::api::{RebalancePlanSpec, Savings, SkippedReason};
use crate::backend::embedded::{Findings, PlanAsk, Planned, id};
use crate::backend::savings::savings;
use crate::backend::{MOST_NODES, size, translate};

/// Of texts that people read.
const MOST_TEXTS: usize = 200;
/// Unit: bytes.
const LONGEST_TEXT: usize = 1000;
/// Savings that are told and were not computed here. Unit: bytes of JSON.
const LARGEST_SAVINGS: usize = 64 << 10;
/// Words by which nodes are counted.
const MOST_WORDS: usize = 64;
/// Broken rules that are told.
const MOST_RULES: usize = 3;

/// The plan of an answer. Whatever follows from what comes, what goes and what moves is computed here; the rest is for people, and cut.
///
/// # Errors
/// Why it is no plan that may be carried out.
pub(super) fn judged(answer: &[u8], ask: &PlanAsk, snapshot: &Snapshot, catalog: &Catalog) -> Result<Planned, String> {
    let told: Planned = serde_json::from_slice(answer).map_err(|error| format!("it cannot be read: {error}"))?;
    if told.seed != ask.seed {
        return Err(format!("it answers another question: {:?}", cut(&told.seed)));
    }
    let proposed = RebalancePlanSpec {
        node_claims_to_add: told.spec.node_claims_to_add,
        node_claims_to_delete: told.spec.node_claims_to_delete,
        pods_to_migrate: told.spec.pods_to_migrate,
        ..RebalancePlanSpec::default()
    };
    if proposed.node_claims_to_delete.len() > MOST_NODES || size::of(&proposed) > size::MOST {
        return Err(format!(
            "it is too large: at most {MOST_NODES} nodes go and a plan has at most {} bytes",
            size::MOST
        ));
    }
    if let Some((SkippedReason::Unknown(word), _)) = &told.nothing {
        return Err(format!("it changes nothing for a reason that is none: {:?}", cut(word)));
    }
    let read = |spec: &RebalancePlanSpec| {
        translate::from_spec(spec, snapshot, catalog).map_err(|mistakes| named(mistakes.iter()))
    };
    let mut plan = read(&proposed)?;
    plan.waves.retain(|wave| !(wave.add.is_empty() && wave.remove.is_empty() && wave.moves.is_empty()));
    if plan.waves.is_empty() && told.nothing.is_none() && told.held_back.is_none() {
        return Err("it changes nothing and does not say why".to_owned());
    }
    // Names, classes, annotations, taints: ours, of the pools as they are. What is judged is what will be written.
    let spec = translate::to_spec(&plan, snapshot, &ask.seed)?;
    let plan = Plan { transition: told.transition, ..read(&spec)? };
    kentroller_planner::check::check(snapshot, catalog, &ask.options, &plan).map_err(|broken| named(broken.iter()))?;
    let costs = savings(&plan, snapshot, catalog);
    let nodes: BTreeSet<&str> = snapshot.nodes.iter().map(|node| &*node.metadata.name).collect();
    let known = |names: Vec<String>| names.into_iter().filter(|name| nodes.contains(name.as_str())).collect();
    Ok(Planned {
        seed: told.seed,
        id: id(&spec),
        spec,
        savings_percent: costs.saved.percent_of(costs.blue),
        savings: costs.savings,
        held_back: told.held_back,
        proposed: told
            .proposed
            .filter(|(savings, _)| is_short(savings))
            .map(|(savings, names)| (savings, known(names))),
        removed: plan.removed().map(str::to_owned).collect(),
        warnings: told.warnings.iter().take(MOST_TEXTS).map(|text| cut(text)).collect(),
        kept: told
            .kept
            .into_iter()
            .filter(|kept| nodes.contains(kept.name.as_str()))
            .map(short)
            .take(nodes.len())
            .collect(),
        nothing: told.nothing.map(|(reason, text)| (reason, cut(&text))),
        transition: plan.transition,
        findings: Findings {
            nodes: snapshot.nodes.len(),
            candidates: told.findings.candidates.min(snapshot.nodes.len()),
            excluded: told
                .findings
                .excluded
                .into_iter()
                .take(MOST_WORDS)
                .map(|(word, count)| (cut(&word), count))
                .collect(),
            cost: plan.cost_before,
            ..told.findings
        },
        tried: None,
    })
}

/// Whether the savings of a plan that was refused, which are for people, may stand in a status.
fn is_short(savings: &Savings) -> bool {
    serde_json::to_vec(savings).is_ok_and(|text| text.len() <= LARGEST_SAVINGS)
}

/// The first of what is wrong, and how much more there is.
fn named(wrong: impl ExactSizeIterator<Item: ToString>) -> String {
    let count = wrong.len();
    let first: Vec<String> = wrong.take(MOST_RULES).map(|one| cut(&one.to_string())).collect();
    let more = count - first.len();
    if more == 0 { first.join("; ") } else { format!("{}; and {more} more", first.join("; ")) }
}

fn short(mut kept: crate::api::SkippedNode) -> crate::api::SkippedNode {
    kept.reasons.truncate(8);
    kept.reasons.iter_mut().for_each(|reason| *reason = cut(reason));
    kept
}

/// A text for people, no longer than one reads.
fn cut(text: &str) -> String {
    tame(text, LONGEST_TEXT)
}
