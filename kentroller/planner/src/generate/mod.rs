//! Drifted clusters for tests, benchmarks and the demo: grown in bursts, spread by the scheduler, then shrunk.
//!
//! Shapes of the larger pods come from `shapes/serving.csv` (public trace, named there), scaled down to sixteenths; small
//! web pods are drawn. Everything follows from the seed.

mod grow;
mod objects;
pub mod verdicts;
pub mod wire;
mod workloads;

use self::grow::{Offered, grow};
use self::objects::{pools, snapshot};
use self::workloads::groups;
use crate::value::{Catalog, Rng, Snapshot};

/// What cluster to make.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// About this many nodes.
    pub nodes: usize,
    /// The same seed makes the same cluster.
    pub seed: u64,
    /// Whether pods carry constraints: spread, (anti-)affinity, volumes, host ports.
    pub constrained: bool,
    /// Whether some nodes are held: disruption budgets that allow none, do-not-disrupt, bare pods and jobs.
    pub held: bool,
}

const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];
const REGION: &str = "us-east-1";

/// Makes a cluster. The catalogue needs region `us-east-1`.
pub fn generate(recipe: Recipe, catalog: &Catalog) -> Snapshot {
    let mut rng = Rng::new(recipe.seed.wrapping_mul(0x1234_5678_9ABC_DEF1) ^ 7);
    let pools = pools();
    let groups = groups(recipe, &mut rng);
    let nodes = grow(&groups, &Offered::of(&pools, catalog), &mut rng);
    snapshot(recipe, &groups, &nodes, pools, &mut rng)
}
