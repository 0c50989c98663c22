//! Whether a node, as it is, may run a pod: taints, selectors, room, host ports.

use super::board::Board;
use super::requests;
use super::requests::ports_clash;
use super::selectors::{node_wanted, untolerated};
use super::violation::{Fault, Faults};

/// What the scheduler checks of a node alone, without looking at other pods.
pub(super) fn node_faults(board: &Board<'_>, class: usize, host: usize) -> Faults {
    let (shape, host) = (board.classes[class].shape, &board.hosts[host]);
    let mut faults = Vec::new();
    if let Some(taint) = untolerated(&shape.tolerations, &host.taints) {
        let text = format!(
            "node {} has the taint {}={}:{:?}, which is not tolerated",
            host.name, taint.key, taint.value, taint.effect
        );
        faults.push((Fault::Taint, text));
    }
    match node_wanted(shape, host.name, &|key| host.label(key)) {
        Some(true) => {}
        Some(false) => {
            let text = format!("node {} does not satisfy nodeSelector or required node affinity", host.name);
            faults.push((Fault::NodeSelector, text));
        }
        None => {
            let text =
                format!("whether node {} satisfies nodeSelector or required node affinity cannot be told", host.name);
            faults.push((Fault::ConstraintUnknown, text));
        }
    }
    faults
}

/// Resources and host ports that are taken by others.
pub(super) fn room_faults(board: &Board<'_>, body: usize, at: usize) -> Faults {
    let host = &board.hosts[at];
    let mut faults = Vec::new();
    for (resource, needed) in board.needs(body) {
        let free = host.free(resource);
        if *needed > 0 && *needed > free {
            let text = format!("node {} has {free} of {resource} left, the pod asks for {needed}", host.name);
            faults.push((Fault::Room, text));
        }
    }
    let wanted = requests::host_ports(board.class_of(body).shape);
    if !wanted.is_empty() {
        let present = host.pods.iter().map(|other| board.class_of(*other).shape).chain(host.daemons.iter().copied());
        let taken: Vec<_> = present.flat_map(requests::host_ports).collect();
        for port in wanted.iter().filter(|port| taken.iter().any(|other| ports_clash(port, other))) {
            faults.push((Fault::HostPort, format!("host port {}/{} of node {} is taken", port.2, port.0, host.name)));
        }
    }
    faults
}
