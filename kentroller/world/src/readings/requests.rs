//! What a pod requests of a node.
//!
//! After "Resource Management for Pods and Containers", "Sidecar Containers" (sharing within containers) and KEP-2837
//! (pod-level resources). Absent: resizes in place, which nothing in the world does.

use kentroller_planner::Quantity;
use kentroller_planner::manifest::{Container, PodShape, ResourceList};

/// What a pod requests of one resource; nothing if it names it nowhere.
pub(crate) fn of(shape: &PodShape, resource: &str) -> Quantity {
    let of_containers = at_any_time(shape, resource);
    let containers = || shape.containers.iter().chain(&shape.init_containers);
    let whole = match (shape.resources.requests.get(resource), shape.resources.limits.get(resource)) {
        (Some(request), _) => *request,
        // The API server fills in what is missing: what the containers request, and the limit if they request nothing.
        (None, Some(limit)) if !containers().any(|one| asked(&one.resources, resource).is_some()) => *limit,
        (None, _) => of_containers,
    };
    whole.plus(shape.overhead.get(resource).copied().unwrap_or_default())
}

/// The most that the containers request together, from the first init container on.
fn at_any_time(shape: &PodShape, resource: &str) -> Quantity {
    let of_one = |container: &Container| asked(&container.resources, resource).unwrap_or_default();
    let mut most = Quantity::default();
    // Sidecars that have started by now; they stay.
    let mut beside = Quantity::default();
    for init in &shape.init_containers {
        let while_it_starts = beside.plus(of_one(init));
        most = most.max(while_it_starts);
        if init.restart_policy == "Always" {
            beside = while_it_starts;
        }
    }
    let running = shape.containers.iter().fold(beside, |sum, container| sum.plus(of_one(container)));
    most.max(running)
}

/// A limit stands for a request that is not given.
fn asked(list: &ResourceList, resource: &str) -> Option<Quantity> {
    list.requests.get(resource).or_else(|| list.limits.get(resource)).copied()
}
