//! Host ports.

use crate::manifest::PodShape;

/// Host ports as protocol and port. Addresses are left out: two pods that share a port never share a node here.
pub(crate) fn host_ports(shape: &PodShape) -> Vec<(String, i32)> {
    let containers =
        shape.containers.iter().chain(shape.init_containers.iter().filter(|c| c.restart_policy == "Always"));
    let mut ports: Vec<(String, i32)> = containers
        .flat_map(|container| shape.host_ports(container))
        .map(|(port, number)| (if port.protocol.is_empty() { "TCP".to_owned() } else { port.protocol.clone() }, number))
        .collect();
    ports.sort();
    ports.dedup();
    ports
}
