//! What a pod takes of a node, as the scheduler counts it.

use crate::manifest::{Container, ContainerState, Pod, PodShape, Quantity, ResourceList, Resources};

/// Requests of a running pod. During a resize in place the larger of what is asked and what is in force counts.
pub fn of_pod(pod: &Pod) -> Resources {
    in_force(&pod.spec.shape, &pod.status.container_statuses)
}

/// Requests of a pod that does not run yet.
pub fn of_shape(shape: &PodShape) -> Resources {
    in_force(shape, &[])
}

/// As [`of_pod`], from its parts.
pub fn in_force(shape: &PodShape, states: &[ContainerState]) -> Resources {
    let mut running = Resources::new();
    for container in &shape.containers {
        add(&mut running, &asked(container, states));
    }
    let mut sidecars = Resources::new();
    let mut starting = Resources::new();
    for container in &shape.init_containers {
        let own = asked(container, states);
        if container.restart_policy == "Always" {
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
    // Pod-level resources replace the sum of the containers, for the resources that they name.
    for (name, quantity) in effective(&shape.resources) {
        running.insert(name, quantity);
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

fn asked(container: &Container, states: &[ContainerState]) -> Resources {
    let mut requests = effective(&container.resources);
    if let Some(state) = states.iter().find(|state| state.name == container.name) {
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
        check(spec(serde_json::json!({"containers": [{"resources": cpu("100m")}], "resources": cpu("700m")})), "700m");
        check(
            serde_json::json!({"spec": {"containers": [{"name": "a", "resources": cpu("100m")}]},
                "status": {"containerStatuses": [{"name": "a", "allocatedResources": {"cpu": "400m"}}]}}),
            "400m",
        );
    }
}
