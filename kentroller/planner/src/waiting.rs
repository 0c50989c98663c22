//! Pods that wait come first: each is given the room that it would take, before anything is planned.
use crate::{
    KeptReason, Rule, Warning,
    build::HEADROOM,
    cluster::{Model, PodUnit, add, fits},
    state,
};

/// Seats pods that wait for a node, and those whose node is going, on nodes that have the room.
///
/// A seated pod counts as its node's own. One that fits nowhere does not hold up a plan.
pub(crate) fn seat(model: &mut Model) {
    let leaving: Vec<usize> = (0..model.nodes.len())
        .filter(|node| matches!(model.nodes[*node].held, Some((KeptReason::Deleting, _))))
        .flat_map(|node| model.nodes[node].pods.clone())
        .collect();
    let mut seats: Vec<usize> = (0..model.pods.len()).filter(|pod| model.pods[*pod].node.is_none()).collect();
    for pod in leaving {
        let successor =
            PodUnit { name: model.pods[pod].name.clone(), class: model.pods[pod].class, node: None, ghost: true };
        model.pods.push(successor);
        seats.push(model.pods.len() - 1);
    }
    // The largest first, as they have the fewest places.
    seats.sort_by_key(|pod| {
        let request = &model.classes[model.pods[*pod].class].request;
        (std::cmp::Reverse((request[0], request[1])), *pod)
    });
    let mut unseated = 0;
    for pod in seats {
        let class = model.pods[pod].class;
        let place = (0..model.nodes.len())
            .filter(|node| {
                let node = &model.nodes[*node];
                let mut free = node.allocatable;
                add(&mut free, &node.used, -1);
                node.receives
                    && fits(&model.classes[class].request, &free)
                    && model.admits.get(model.classes[class].needs, node.signature)
                    && state::room(model, class, &free, &node.ties) > 0
            })
            // Nodes that stay anyway first, then the fullest.
            .min_by_key(|node| {
                let of = &model.nodes[*node];
                (of.held.is_none(), std::cmp::Reverse(of.utilization), *node)
            });
        let Some(node) = place else {
            unseated += usize::from(model.pods[pod].name.namespace != HEADROOM);
            continue;
        };
        let mut ties = std::mem::take(&mut model.nodes[node].ties);
        let mut free = [0; crate::cluster::DIMS];
        state::put(model, class, 1, &mut free, &mut ties);
        model.nodes[node].ties = ties;
        let request = model.classes[class].request;
        add(&mut model.nodes[node].used, &request, 1);
        model.nodes[node].pods.push(pod);
        model.pods[pod].ghost = true;
    }
    if unseated > 0 {
        let message = format!("{unseated} pods wait for a node and fit on none that exists ({})", Rule::FitsNowhere);
        model.warnings.push(Warning { object: String::new(), message });
    }
}
