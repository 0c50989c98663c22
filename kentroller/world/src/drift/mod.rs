//! A cluster that has drifted: grown in waves, spread by the scheduler, then shrunk, so that its nodes are half empty.
//!
//! Data flow: `services` (workload shapes of a real cluster) → `grow` (which pod ends on which node, in memory, with the same
//! scheduler and the same Karpenter that act later) → `objects` (everything on the server, with its status).

mod grow;
mod objects;
mod services;

use jiff::Timestamp;
use kentroller_runtime::simulation::apiserver::{ApiServer, Refusal};

use crate::catalogue::Catalogue;
use crate::entropy::Entropy;
use crate::world;

/// How large the cluster is. Same values, same cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    pub nodes: usize,
    pub seed: u64,
}

/// What was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drifted {
    pub nodes: usize,
    /// Without those of DaemonSets.
    pub pods: usize,
    pub services: usize,
}

impl Drift {
    /// Puts the cluster on an empty server. Its objects are as old as `now`.
    ///
    /// # Errors
    /// What the server refused: it lacks a kind of [`super::kinds`], or is not empty.
    pub fn build(self, server: &ApiServer, now: Timestamp) -> Result<Drifted, Refusal> {
        let mut entropy = Entropy::seeded(self.seed).fork("drift");
        let catalogue = Catalogue::shipped();
        let services = services::drawn(self.nodes, &mut entropy);
        let pool = objects::pool(self.nodes);
        let grown = grow::grow(self.nodes, &services, &pool, &catalogue, &mut entropy);
        let built = objects::write(server, now, &pool, &services, &grown, &catalogue, &mut entropy)?;
        world::settle(server, now, self.seed);
        Ok(built)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::world::{kinds, pods_not_running, price_per_hour};

    const NOW: &str = "2026-03-02T08:00:00Z";

    fn built(nodes: usize, seed: u64) -> (ApiServer, Drifted) {
        let now: Timestamp = NOW.parse().unwrap();
        let server = ApiServer::new(move || now, kinds());
        let drifted = Drift { nodes, seed }.build(&server, now).unwrap();
        (server, drifted)
    }

    #[test]
    fn the_drifted_cluster_runs_and_is_half_empty() {
        let (server, drifted) = built(100, 1);
        assert_eq!(server.list("Node").len(), 100);
        assert_eq!(server.list("NodeClaim").len(), 100);
        assert!((500..=1_500).contains(&drifted.pods), "{drifted:?}");
        assert_eq!(pods_not_running(&server), Vec::<String>::new());
        let mut seen = crate::seen::Seen::default();
        seen.read(&server);
        let rooms = seen.rooms();
        let (mut used, mut whole) = (0, 0);
        for room in &rooms.list {
            assert!(room.used.fits(room.allocatable), "{} is overfull", room.name);
            (used, whole) = (used + room.used.memory, whole + room.allocatable.memory);
        }
        let percent = used * 100 / whole;
        assert!((30..=60).contains(&percent), "{percent} % of memory is requested");
        let mut types: BTreeMap<String, usize> = BTreeMap::new();
        for node in seen.nodes.values() {
            *types.entry(node.object.metadata.labels["node.kubernetes.io/instance-type"].clone()).or_default() += 1;
        }
        assert!(types.len() >= 5, "{types:?}");
        assert!(price_per_hour(&server, &Catalogue::shipped()) > kentroller_planner::Money::micros(20_000_000));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let bytes = |seed| {
            let (server, _) = built(12, seed);
            let all = kinds().into_iter().flat_map(|kind| server.list(&kind.kind));
            all.map(|object| object.to_string()).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(bytes(5), bytes(5));
        assert_ne!(bytes(5), bytes(6));
    }
}
