//! Pods that wait come first: each is given the room that it would take, before anything is planned.
//!
//! Headroom comes after them. It is held by pods that are not there, so that a plan has to find them a place as well.

use std::cmp::Reverse;

use super::{
    CPU, Class, ClassId, DIMS, KeptFree, MEMORY, Model, NodeBin, NodeId, PodUnit, Vector, add, fits, put, room,
};
use crate::manifest::ObjectName;
use crate::value::{KeptReason, Rule, Warning};

/// Reserves room for pods that wait for a node and for those whose node is going, then for headroom.
///
/// Such a pod counts as its node's own. One that fits nowhere does not hold up a plan.
pub(crate) fn reserve_room(model: &mut Model) {
    let is_leaving = |node: &&NodeBin| matches!(node.held, Some((KeptReason::Deleting, _)));
    let leaving: Vec<usize> = model.nodes.iter().filter(is_leaving).flat_map(|node| node.pods.clone()).collect();
    let mut waiting: Vec<usize> = (0..model.pods.len()).filter(|pod| model.pods[*pod].node.is_none()).collect();
    for pod in leaving {
        // It is counted nowhere yet, so no spread counts it.
        let class = Class { spreads: Vec::new(), ..model.classes[model.pods[pod].class].clone() };
        let class =
            model.classes.position(|one| *one == class).unwrap_or_else(|| model.classes.push_and_get_key(class));
        let PodUnit { name, priority, .. } = &model.pods[pod];
        let (name, priority) = (name.clone(), *priority);
        model.pods.push(PodUnit {
            name,
            class,
            priority,
            node: None,
            home: None,
            not_running: true,
            is_successor: true,
        });
        waiting.push(model.pods.len() - 1);
    }
    // The scheduler's order: who matters most first. Of equals the largest, as they have the fewest places.
    waiting.sort_by_key(|pod| {
        let PodUnit { priority, class, .. } = &model.pods[*pod];
        let request = &model.classes[*class].request;
        (Reverse((*priority, request[CPU], request[MEMORY])), *pod)
    });
    let mut without_room = 0;
    for pod in waiting {
        let class = model.pods[pod].class;
        match place(model, class) {
            Some(node) => reserve_on(model, pod, node),
            None => without_room += 1,
        }
    }
    if without_room > 0 {
        let message =
            format!("{without_room} pods wait for a node and fit on none that exists ({})", Rule::FitsNowhere);
        model.warnings.push(Warning { object: String::new(), message });
    }
    for kept in model.headroom.clone() {
        keep_free(model, &kept);
    }
}

/// Cpu and memory of one piece of headroom: about what a pod takes.
const PIECE: (i64, i64) = (1000, 4 << 30);

/// Reserves a pool's headroom: first in pieces of about a core, then the rest in whatever room is free.
fn keep_free(model: &mut Model, kept: &KeptFree) {
    let pieces = (kept.milli_cpu / PIECE.0).max(kept.bytes / PIECE.1).clamp(1, 500);
    let mut request = [0; DIMS];
    request[CPU] = (kept.milli_cpu + pieces - 1) / pieces;
    request[MEMORY] = (kept.bytes + pieces - 1) / pieces;
    let (mut milli_cpu, mut bytes) = (kept.milli_cpu, kept.bytes);
    let class = class_of(model, kept, request);
    for _ in 0..pieces {
        let Some(node) = place(model, class) else { break };
        hold(model, kept, class, node);
        milli_cpu -= request[CPU];
        bytes -= request[MEMORY];
    }
    for node in model.nodes.keys() {
        let of = &model.nodes[node];
        if (milli_cpu <= 0 && bytes <= 0) || !of.is_open || !model.admits.get(kept.needs, of.signature) {
            continue;
        }
        let mut request = [0; DIMS];
        request[CPU] = milli_cpu.min(of.allocatable[CPU] - of.used[CPU]).max(0);
        request[MEMORY] = bytes.min(of.allocatable[MEMORY] - of.used[MEMORY]).max(0);
        milli_cpu -= request[CPU];
        bytes -= request[MEMORY];
        let class = class_of(model, kept, request);
        hold(model, kept, class, node);
    }
}

fn class_of(model: &mut Model, kept: &KeptFree, request: Vector) -> ClassId {
    model.classes.push_and_get_key(Class { request, needs: kept.needs, ..Class::default() })
}

fn hold(model: &mut Model, kept: &KeptFree, class: ClassId, node: NodeId) {
    let name = ObjectName { namespace: "(headroom)".into(), name: kept.pool.as_str().into() };
    model.pods.push(PodUnit {
        name,
        class,
        priority: 0,
        node: None,
        home: None,
        not_running: true,
        is_successor: false,
    });
    reserve_on(model, model.pods.len() - 1, node);
}

/// The node on which room is reserved for a pod that waits.
fn place(model: &Model, class: ClassId) -> Option<NodeId> {
    let nodes = model.nodes.iter_enumerated();
    nodes
        .filter(|(_, node)| {
            let mut free = node.allocatable;
            add(&mut free, &node.used, -1);
            node.is_open
                && fits(&model.classes[class].request, &free)
                && model.admits.get(model.classes[class].needs, node.signature)
                && room(model, class, &free, &node.term_counts) > 0
        })
        // Nodes that stay anyway first, then the fullest.
        .min_by_key(|(id, node)| (node.held.is_none(), Reverse(node.utilization), *id))
        .map(|(id, _)| id)
}

fn reserve_on(model: &mut Model, pod: usize, node: NodeId) {
    let class = model.pods[pod].class;
    let mut term_counts = std::mem::take(&mut model.nodes[node].term_counts);
    put(model, class, 1, &mut [0; DIMS], &mut term_counts);
    model.nodes[node].term_counts = term_counts;
    let request = model.classes[class].request;
    add(&mut model.nodes[node].used, &request, 1);
    model.nodes[node].pods.push(pod);
    model.pods[pod].home = Some(node);
    model.pods[pod].not_running = true;
}
