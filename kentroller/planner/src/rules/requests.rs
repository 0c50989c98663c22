//! What a pod takes of a node, as the scheduler counts it.

use crate::manifest::{Container, ContainerState, Pod, PodShape, Quantity, ResourceList, Resources};

/// Requests of a running pod. During a resize in place the larger of what is asked and what is in force counts; of a resize
/// that its node can never grant what is in force counts alone.
pub fn of_pod(pod: &Pod) -> Resources {
    in_force(&pod.spec.shape, &pod.status.container_statuses, pod.status.is_resize_infeasible())
}

/// Requests of a pod that does not run yet.
pub fn of_shape(shape: &PodShape) -> Resources {
    in_force(shape, &[], false)
}

/// As [`of_pod`], from its parts.
pub fn in_force(shape: &PodShape, states: &[ContainerState], is_infeasible: bool) -> Resources {
    let mut running = Resources::new();
    for container in &shape.containers {
        add(&mut running, &asked(container, states, is_infeasible));
    }
    let mut sidecars = Resources::new();
    let mut starting = Resources::new();
    for container in &shape.init_containers {
        // Of those that end nothing is in force any more: `AggregateContainerRequests` of component-helpers.
        let is_sidecar = container.restart_policy == "Always";
        let own = asked(container, if is_sidecar { states } else { &[] }, is_infeasible);
        if is_sidecar {
            add(&mut running, &own);
            add(&mut sidecars, &own);
            raise(&mut starting, &sidecars);
        } else {
            let mut beside = own;
            add(&mut beside, &sidecars);
            raise(&mut starting, &beside);
        }
    }
    raise(&mut running, &starting);
    // Requests of the pod itself replace the sum of its containers. Its limits do where no container asks for the resource.
    let of_pod_itself = |name: &str| matches!(name, "cpu" | "memory") || name.starts_with("hugepages-");
    for (name, limit) in shape.resources.limits.iter().filter(|(name, _)| of_pod_itself(name)) {
        running.entry(name.clone()).or_insert(*limit);
    }
    for (name, request) in shape.resources.requests.iter().filter(|(name, _)| of_pod_itself(name)) {
        running.insert(name.clone(), *request);
    }
    add(&mut running, &shape.overhead);
    running
}

/// A limit without a request is a request of the same size.
fn effective(list: &ResourceList) -> Resources {
    let mut requests = list.limits.clone();
    requests.extend(list.requests.iter().map(|(name, quantity)| (name.clone(), *quantity)));
    requests
}

fn asked(container: &Container, states: &[ContainerState], is_infeasible: bool) -> Resources {
    let mut requests = effective(&container.resources);
    if let Some(state) = states.iter().find(|state| state.name == container.name) {
        // Where it is not told what is in force, what is asked for counts all the same.
        if is_infeasible && !state.resources.requests.is_empty() {
            requests.values_mut().for_each(|quantity| *quantity = Quantity::whole(0));
        }
        raise(&mut requests, &state.allocated_resources);
        raise(&mut requests, &state.resources.requests);
    }
    requests
}

fn add(to: &mut Resources, more: &Resources) {
    for (name, quantity) in more {
        let sum = to.entry(name.clone()).or_default();
        *sum = sum.plus(*quantity);
    }
}

fn raise(to: &mut Resources, floor: &Resources) {
    for (name, quantity) in floor {
        let at_least = to.entry(name.clone()).or_insert(Quantity::whole(0));
        *at_least = (*at_least).max(*quantity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: serde_json::Value, cpu: &str) {
        let pod: Pod = serde_json::from_value(spec.clone()).expect("a pod");
        let wanted = Quantity::parse(cpu).expect(cpu);
        assert_eq!(of_pod(&pod).get("cpu").copied().unwrap_or_default(), wanted, "{spec}");
    }

    #[test]
    fn requests_are_counted_as_the_scheduler_counts_them() {
        let cpu = |amount: &str| serde_json::json!({"requests": {"cpu": amount}});
        let spec = |spec: serde_json::Value| serde_json::json!({ "spec": spec });
        check(
            spec(serde_json::json!({"containers": [{"resources": cpu("100m")}, {"resources": cpu("200m")}]})),
            "300m",
        );
        // The largest init container counts when it asks for more than all that runs later.
        check(
            spec(
                serde_json::json!({"containers": [{"resources": cpu("100m")}], "initContainers": [{"resources": cpu("1")}]}),
            ),
            "1",
        );
        // A sidecar counts beside the containers, and beside the init containers that come after it.
        check(
            spec(serde_json::json!({"containers": [{"resources": cpu("100m")}], "initContainers": [
                {"resources": cpu("300m"), "restartPolicy": "Always"}, {"resources": cpu("1")}]})),
            "1300m",
        );
        check(
            spec(serde_json::json!({"containers": [{"resources": cpu("1")}], "initContainers": [
                {"resources": cpu("1200m")}, {"resources": cpu("300m"), "restartPolicy": "Always"}]})),
            "1300m",
        );
        check(
            spec(serde_json::json!({"containers": [{"resources": cpu("100m")}], "overhead": {"cpu": "50m"}})),
            "150m",
        );
        check(spec(serde_json::json!({"containers": [{"resources": {"limits": {"cpu": "2"}}}]})), "2");
        // What is asked for the pod as a whole takes the place of the sum; a limit does only where there is no sum.
        check(spec(serde_json::json!({"containers": [{"resources": cpu("100m")}], "resources": cpu("700m")})), "700m");
        check(spec(serde_json::json!({"containers": [{"resources": cpu("900m")}], "resources": cpu("700m")})), "700m");
        let limits = serde_json::json!({"limits": {"cpu": "2", "example.com/card": "1"}});
        check(spec(serde_json::json!({"containers": [{"resources": cpu("100m")}], "resources": limits})), "100m");
        check(spec(serde_json::json!({"containers": [{}], "resources": limits})), "2");
        check(
            serde_json::json!({"spec": {"containers": [{"name": "a", "resources": cpu("100m")}]},
                "status": {"containerStatuses": [{"name": "a", "allocatedResources": {"cpu": "400m"}}]}}),
            "400m",
        );
        let resizing = |reason: &str| {
            serde_json::json!({"spec": {"containers": [{"name": "a", "resources": cpu("8")}]},
                "status": {"conditions": [{"type": "PodResizePending", "status": "True", "reason": reason}],
                    "containerStatuses": [{"name": "a", "allocatedResources": {"cpu": "400m"}, "resources": cpu("500m")}]}})
        };
        check(resizing("Deferred"), "8");
        check(resizing("Infeasible"), "500m");
    }
}
