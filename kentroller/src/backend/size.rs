//! How large a RebalancePlan may be: etcd keeps nothing above 1.5 MiB, and the status of a plan grows while it runs.

use kentroller_planner::Options;

use crate::api::RebalancePlanSpec;

/// Nodes that one plan takes away at most.
pub const MOST_NODES: usize = 100;
/// Bytes of a plan's spec and of all that its status may come to.
pub const MOST: usize = 900 * 1024;
/// Bytes that the status keeps for each node that comes or goes: ten events or attempts, a price and two savings.
const STATUS_OF_NODE: usize = 3 * 1024;

/// The bytes of a plan with this spec, its status at its largest included.
pub fn of(spec: &RebalancePlanSpec) -> usize {
    let text = serde_json::to_string(spec).map_or(usize::MAX / 2, |text| text.len());
    text + STATUS_OF_NODE * (spec.node_claims_to_add.len() + spec.node_claims_to_delete.len())
}

/// Whether the plan may be one that was made smaller to fit: what [`smaller`] asks for comes to no less than this, for the bytes of
/// a node differ by less than a quarter from the mean of all.
pub fn is_shrunk(spec: &RebalancePlanSpec) -> bool {
    of(spec) >= MOST / 10 * 6
}

/// The options of a smaller plan, if the one with this spec is too large.
pub fn smaller(options: &Options, spec: &RebalancePlanSpec) -> Option<Options> {
    let (bytes, nodes) = (of(spec), spec.node_claims_to_delete.len());
    (bytes > MOST && nodes > 1).then(|| {
        // A little less than its share, and always less: an hour of shrinking helps nobody.
        let fewer = (nodes * MOST / bytes * 9 / 10).clamp(1, nodes - 1);
        Options { max_nodes: Some(fewer), ..options.clone() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{NodeClaimToDelete, PodToMigrate};

    #[test]
    fn a_plan_that_is_too_large_is_asked_for_with_fewer_nodes_until_it_fits() {
        let spec = |nodes: usize, pods: usize| RebalancePlanSpec {
            node_claims_to_delete: (0..nodes)
                .map(|node| NodeClaimToDelete { node_claim_name: format!("general-{node:05}"), wave: 0 })
                .collect(),
            pods_to_migrate: (0..nodes * pods)
                .map(|pod| PodToMigrate {
                    dst_node_claim_name: "general-0123456789".to_owned(),
                    name: format!("a-deployment-with-a-name-7d9f8b6c5d-{pod:05}"),
                    namespace: "a-namespace".to_owned(),
                    policy: crate::api::MigrationPolicy::Optional,
                    src_node: "ip-10-0-140-216.ec2.internal".to_owned(),
                    wave: 0,
                })
                .collect(),
            ..RebalancePlanSpec::default()
        };
        let options = Options::default();
        assert_eq!(smaller(&options, &spec(100, 10)).map(|options| options.max_nodes), None);
        let mut nodes = 100;
        let mut tries = 0;
        while let Some(less) = smaller(&options, &spec(nodes, 110)) {
            nodes = less.max_nodes.expect("a limit");
            tries += 1;
        }
        assert!(of(&spec(nodes, 110)) <= MOST);
        assert!(nodes > 20 && tries <= 2, "{nodes} nodes after {tries} tries");
    }
}
