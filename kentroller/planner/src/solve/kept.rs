//! Why nodes stay.

use std::collections::{BTreeMap, BTreeSet};

use super::binding::Binding;
use crate::model::{Model, NodeId};
use crate::value::{Kept, KeptReason, Money, Wave};

pub(super) fn kept(
    model: &Model,
    waves: &[Wave],
    cut: bool,
    limit: Option<i64>,
    held_back: Option<Money>,
    bindings: &BTreeMap<NodeId, Binding>,
) -> Vec<Kept> {
    let gone: BTreeSet<&str> = waves.iter().flat_map(|wave| wave.remove.iter().map(String::as_str)).collect();
    let mut kept: Vec<Kept> = model
        .nodes
        .iter_enumerated()
        .filter(|(_, node)| !gone.contains(node.name.as_str()))
        .map(|(id, node)| {
            let (reason, detail) = match (&node.held, held_back) {
                (Some((reason, detail)), _) => (*reason, detail.clone()),
                (None, Some(saved)) if saved > Money::ZERO => {
                    (KeptReason::SavingTooSmall, format!("the best plan saves {saved} USD/h, less than asked for"))
                }
                (None, _) if cut => (KeptReason::MinClusterSize, "the cluster would get too small".to_owned()),
                (None, _) if limit.is_some() => {
                    (KeptReason::MaxMoves, "moving its pods pays less than the moves that were made".to_owned())
                }
                (None, _) => bindings
                    .get(&id)
                    .cloned()
                    .unwrap_or_else(|| (KeptReason::NoCheaperPlace, "nothing cheaper holds its pods".to_owned())),
            };
            Kept {
                node: node.name.clone(),
                reason,
                detail,
                blockers: node.blockers.clone(),
                would_save: if node.held.is_some() { node.price.unwrap_or_default() } else { Money::ZERO },
            }
        })
        .collect();
    kept.sort_by(|a, b| a.node.cmp(&b.node));
    kept
}
