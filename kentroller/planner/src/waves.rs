//! From a solution to waves: named pods move, and every prefix is a place to stop.
use std::collections::BTreeMap;

use crate::{
    Money, Move, NewNode, Offering, Wave,
    cluster::{Model, add, fits, resources},
    state::{Counts, State, What, give},
};

/// A wave by indices: bins to open, nodes to close, and (pod, bin).
#[derive(Debug, Default)]
struct Draft {
    open: Vec<usize>,
    close: Vec<usize>,
    moves: Vec<(usize, usize)>,
    delta: i64,
}

/// The waves of a solution, cheapest way first.
pub(crate) fn waves(state: &State<'_>, before: Money) -> Vec<Wave> {
    let drafts = draft(state);
    name(state, drafts, before)
}

/// Orders removals so that each wave pays for itself.
///
/// Room on existing nodes is there from the start. New bins open one after another, each chosen for the closed node that
/// lacks least; a wave ends as soon as what it removed outweighs what it bought.
fn draft(state: &State<'_>) -> Vec<Draft> {
    let model = state.model;
    // Free slots by class: bins that are open already, newest last, each with a count.
    let mut slots: BTreeMap<usize, Vec<(usize, i64)>> = BTreeMap::new();
    let mut open: BTreeMap<usize, i64> = BTreeMap::new();
    let mut unopened: Vec<usize> = Vec::new();
    for (at, bin) in state.bins.iter().enumerate().filter(|(_, bin)| bin.open) {
        match bin.what {
            What::Node(_) => {
                for (class, count) in &bin.given {
                    slots.entry(*class).or_default().push((at, *count));
                    *open.entry(*class).or_default() += count;
                }
            }
            What::New(_) => unopened.push(at),
        }
    }
    let mut by_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in &unopened {
        for (class, _) in &state.bins[*at].given {
            by_class.entry(*class).or_default().push(*at);
        }
    }
    let mut is_open = vec![false; state.bins.len()];
    let mut waiting: Vec<usize> = (0..model.nodes.len()).filter(|node| !state.bins[*node].open).collect();
    let mut drafts = Vec::new();
    let mut current = Draft::default();
    let lacks = |node: usize, open: &BTreeMap<usize, i64>| -> Counts {
        let own = &state.own[node];
        own.iter()
            .filter_map(|(class, count)| {
                let missing = count - open.get(class).copied().unwrap_or(0);
                (missing > 0).then_some((*class, missing))
            })
            .collect()
    };
    while !waiting.is_empty() {
        // Whoever lacks nothing goes now, the dearest per pod first.
        let mut best: Option<(i64, i64, usize)> = None;
        for (at, node) in waiting.iter().enumerate() {
            let missing: i64 = lacks(*node, &open).iter().map(|(_, count)| count).sum();
            let price = state.bins[*node].price;
            let key = (missing, -price, at);
            if best.is_none_or(|best| key < best) {
                best = Some(key);
            }
        }
        let Some((missing, _, at)) = best else { break };
        let node = waiting[at];
        if missing > 0 {
            for (class, count) in lacks(node, &open) {
                let mut still = count - (open.get(&class).copied().unwrap_or(0) - open.get(&class).copied().unwrap_or(0));
                while still > 0 {
                    let wanted = by_class.get(&class).into_iter().flatten().copied().filter(|bin| !is_open[*bin]);
                    let chosen = wanted.max_by_key(|bin| {
                        let given = &state.bins[*bin].given;
                        let useful: i64 = state.own[node]
                            .iter()
                            .filter_map(|(class, count)| given.iter().find(|(c, _)| c == class).map(|(_, n)| *n.min(count)))
                            .sum();
                        (useful, std::cmp::Reverse(state.bins[*bin].price), std::cmp::Reverse(*bin))
                    });
                    let Some(bin) = chosen else { break };
                    is_open[bin] = true;
                    current.open.push(bin);
                    current.delta += state.bins[bin].price;
                    for (class, count) in &state.bins[bin].given {
                        slots.entry(*class).or_default().push((bin, *count));
                        *open.entry(*class).or_default() += count;
                    }
                    let own = state.own[node].iter().find(|(of, _)| *of == class).map_or(0, |(_, count)| *count);
                    still = own - open.get(&class).copied().unwrap_or(0);
                }
            }
            if !lacks(node, &open).is_empty() {
                // The solution holds every pod, so this cannot come to pass; the node then simply stays.
                waiting.swap_remove(at);
            }
            continue;
        }
        waiting.swap_remove(at);
        current.close.push(node);
        current.delta -= state.bins[node].price;
        for pod in &model.nodes[node].pods {
            let class = model.pods[*pod].class;
            let Some(list) = slots.get_mut(&class) else { continue };
            let Some((bin, left)) = list.last_mut() else { continue };
            current.moves.push((*pod, *bin));
            *left -= 1;
            *open.entry(class).or_default() -= 1;
            if *left == 0 {
                list.pop();
            }
        }
        if current.delta < 0 || (current.delta == 0 && current.open.is_empty()) {
            drafts.push(std::mem::take(&mut current));
        }
    }
    if !current.close.is_empty() {
        drafts.push(current);
    }
    // A last wave that does not pay for itself belongs to the one before.
    while drafts.len() > 1 && drafts.last().is_some_and(|last| last.delta > 0) {
        let Some(last) = drafts.pop() else { break };
        if let Some(before) = drafts.last_mut() {
            before.open.extend(last.open);
            before.close.extend(last.close);
            before.moves.extend(last.moves);
            before.delta += last.delta;
        }
    }
    drafts
}

fn name(state: &State<'_>, drafts: Vec<Draft>, before: Money) -> Vec<Wave> {
    let model = state.model;
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    let mut hourly = before;
    let mut waves = Vec::new();
    for draft in drafts {
        let mut wave = Wave::default();
        for bin in &draft.open {
            let name = format!("new-{}", names.len() + 1);
            if let What::New(kind) = state.bins[*bin].what {
                wave.add.push(new_node(state, *bin, kind, name.clone()));
            }
            names.insert(*bin, name);
        }
        wave.remove = draft.close.iter().map(|node| model.nodes[*node].name.clone()).collect();
        // Receiver by receiver, the largest pods first.
        let mut moves: Vec<(usize, usize)> = draft.moves;
        moves.retain(|(pod, _)| model.pods[*pod].node.is_some() && !model.pods[*pod].ghost);
        moves.sort_by_key(|(pod, bin)| {
            let request = &model.classes[model.pods[*pod].class].request;
            (*bin, std::cmp::Reverse((request[0], request[1])), *pod)
        });
        for (pod, bin) in moves {
            let unit = &model.pods[pod];
            let to = match state.bins[bin].what {
                What::Node(node) => model.nodes[node].name.clone(),
                What::New(_) => names.get(&bin).cloned().unwrap_or_default(),
            };
            let from = unit.node.map(|node| model.nodes[node].name.clone()).unwrap_or_default();
            wave.moves.push(Move { pod: unit.name.clone(), from, to });
        }
        hourly = hourly + Money::micros(draft.delta);
        wave.hourly_after = hourly;
        wave.reason = reason(&wave, Money::micros(-draft.delta));
        waves.push(wave);
    }
    waves
}

fn reason(wave: &Wave, saved: Money) -> String {
    let nodes = |count: usize| if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
    let what = match (wave.remove.len(), wave.add.len(), wave.moves.len()) {
        (gone, 0, 0) => format!("{} without pods", nodes(gone)),
        (gone, 0, moves) => format!("{moves} pods of {} fit on others", nodes(gone)),
        (gone, new, moves) => format!("{} replaced by {new} new, {moves} pods move", nodes(gone)),
    };
    format!("{what}: saves {saved} USD/h")
}

fn new_node(state: &State<'_>, bin: usize, kind: usize, name: String) -> NewNode {
    let model = state.model;
    let of = &model.kinds[kind];
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
        alternatives: alternatives(model, kind, &requests, &state.bins[bin].given),
        requests: resources(&requests, &model.dims),
        labels: of.place.labels.clone(),
        taints: of.place.taints.clone(),
    }
}

/// At most this many offerings are listed besides the planned one.
const ALTERNATIVES: usize = 8;

/// Other offerings of the pool and zone that hold the same pods, not dearer than 1.2 times the planned one.
fn alternatives(model: &Model, kind: usize, requests: &crate::cluster::Vector, given: &Counts) -> Vec<Offering> {
    let of = &model.kinds[kind];
    let limit = of.price.as_micros() * 12 / 10;
    let mut found: Vec<Offering> = model
        .kinds
        .iter()
        .filter(|other| {
            other.pool == of.pool
                && other.zone == of.zone
                && other.capacity_type == of.capacity_type
                && other.instance_type != of.instance_type
                && other.price.as_micros() <= limit
                && given.iter().all(|(class, _)| model.admits.get(model.classes[*class].needs, other.signature))
                && fits(requests, &other.allocatable)
        })
        .map(|other| Offering {
            instance_type: other.instance_type.clone(),
            zone: other.zone.clone(),
            capacity_type: other.capacity_type.clone(),
            price: other.price,
        })
        .collect();
    found.sort_by(|a, b| (a.price, a).cmp(&(b.price, b)));
    found.truncate(ALTERNATIVES);
    found
}

/// Pods given to bins, by class: what the closed nodes' pods must add up to.
pub(crate) fn given(state: &State<'_>) -> Counts {
    let mut counts = Counts::new();
    for bin in state.bins.iter().filter(|bin| bin.open) {
        for (class, count) in &bin.given {
            give(&mut counts, *class, *count);
        }
    }
    counts
}
