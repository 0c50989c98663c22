//! How each node stands before anything is planned: what holds it, and whether it takes pods. For people who ask why.

use super::NodeBin;
use super::build::model;
use crate::value::{Blocker, Catalog, InputError, KeptReason, Options, Snapshot};

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub node: String,
    /// Why it may not be removed, as a word and for people; `None`: it may, if that pays.
    pub held: Option<(KeptReason, String)>,
    /// The pods that hold it, whatever else does.
    pub blockers: Vec<Blocker>,
    /// Whether it may be given pods.
    pub receives: bool,
    /// Pods on it that would need another place.
    pub pods: usize,
}

/// How the nodes of a cluster stand, as the planner has it before it searches; in the order of the snapshot.
///
/// # Errors
/// Input that contradicts itself, such as two nodes of one name.
pub fn standings(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Result<Vec<Standing>, InputError> {
    let model = model(snapshot, catalog, options)?;
    let standing = |node: NodeBin| Standing {
        node: node.name,
        held: node.held,
        blockers: node.blockers,
        receives: node.is_open && node.receives,
        pods: node.pods.len(),
    };
    Ok(model.nodes.into_iter().map(standing).collect())
}
