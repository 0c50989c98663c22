//! Waves of ids become waves of names, with all that is needed to buy the new nodes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::draft::Draft;
use crate::model::{BinId, BinRef, OfferingId, add, resources};
use crate::solution::State;
use crate::value::{Money, Move, NewNode, Wave};

/// Waves as plain values: nodes and pods by name.
pub(crate) fn name(state: &State<'_>, drafts: Vec<Draft>, before: Money) -> Vec<Wave> {
    let model = state.model;
    let mut names: BTreeMap<BinId, String> = BTreeMap::new();
    let mut hourly = before;
    let mut waves = Vec::new();
    for draft in drafts {
        let mut wave = Wave::default();
        for bin in &draft.open {
            let name = format!("new-{}", names.len() + 1);
            if let BinRef::New(offering) = state.bins[*bin].bin_ref {
                wave.add.push(new_node(state, *bin, offering, name.clone()));
            }
            names.insert(*bin, name);
        }
        wave.remove = draft.close.iter().map(|node| model.nodes[*node].name.clone()).collect();
        // Receiver by receiver, the largest pods first.
        let mut moves: Vec<(usize, BinId)> = draft.moves;
        moves.retain(|(pod, _)| model.pods[*pod].node.is_some() && !model.pods[*pod].not_running);
        // Moves of pods with a broken spread come first, in the order in which each was allowed.
        let in_order = |pod: usize| !model.classes[model.pods[pod].class].spreads.is_empty();
        let count = moves.len();
        let ranks: BTreeMap<usize, usize> = moves
            .iter()
            .enumerate()
            .map(|(rank, (pod, _))| (*pod, if in_order(*pod) { rank } else { count }))
            .collect();
        moves.sort_by_key(|(pod, bin)| {
            let request = &model.classes[model.pods[*pod].class].request;
            (ranks[pod], *bin, Reverse((request[0], request[1])), *pod)
        });
        for (pod, bin) in moves {
            let unit = &model.pods[pod];
            let to = match state.bins[bin].bin_ref {
                BinRef::Node(node) => model.nodes[node].name.clone(),
                BinRef::New(_) => names.get(&bin).cloned().unwrap_or_default(),
            };
            let from = unit.node.map(|node| model.nodes[node].name.clone()).unwrap_or_default();
            wave.moves.push(Move { pod: unit.name.clone(), from, to });
        }
        hourly += draft.delta;
        wave.hourly_after = hourly;
        wave.reason = reason(&wave, -draft.delta);
        waves.push(wave);
    }
    waves
}

fn reason(wave: &Wave, saved: Money) -> String {
    let nodes = |count: usize| if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
    let summary = match (wave.remove.len(), wave.add.len(), wave.moves.len()) {
        (gone, 0, 0) => format!("{} without pods", nodes(gone)),
        (gone, 0, moves) => format!("{moves} pods of {} fit on others", nodes(gone)),
        (gone, new, moves) => format!("{} replaced by {new} new, {moves} pods move", nodes(gone)),
    };
    format!("{summary}: saves {saved} USD/h")
}

fn new_node(state: &State<'_>, bin: BinId, offering: OfferingId, name: String) -> NewNode {
    let model = state.model;
    let of = &model.offerings[offering];
    let mut requests = of.daemons;
    for (class, count) in &state.bins[bin].given {
        add(&mut requests, &model.classes[*class].request, *count);
    }
    NewNode {
        name,
        node_pool: of.pool_name.clone(),
        instance_type: of.instance_type.clone(),
        zone: of.zone.clone(),
        capacity_type: of.capacity_type.clone(),
        price: of.price,
        alternatives: model.price_list.alternatives(model, offering, &state.bins[bin].given, state.reserve),
        requests: resources(&requests, &model.dims),
        labels: of.place.labels.clone(),
        taints: of.place.taints.clone(),
    }
}
