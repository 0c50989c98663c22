//! What may be done with each node once its pods are on it: whether it may go, and whether it may be given more.

use typed_index_collections::TiSlice;

use super::nodes::KnownNode;
use crate::model::{CPU, MEMORY, NodeBin, NodeId, VOLUMES};
use crate::value::{KeptReason, Options, Snapshot, Warning};

/// Notes what holds each node. Warns of nodes whose pods ask for more than there is.
pub(super) fn hold(
    nodes: &mut TiSlice<NodeId, NodeBin>,
    known: &TiSlice<NodeId, KnownNode<'_>>,
    dims: &[String],
    region: &str,
    snapshot: &Snapshot,
    options: &Options,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let now = snapshot.now;
    let zoned = nodes.iter().any(|node| !node.zone.is_empty());
    for (bin, known) in nodes.iter_mut().zip(known) {
        // Volumes that are attached already are no reason to leave a node alone.
        let over =
            (0..dims.len()).find(|dim| bin.used[*dim] > bin.allocatable[*dim] && !dims[*dim].starts_with(VOLUMES));
        let is_empty = bin.pods.is_empty();
        bin.held = known
            .observed
            .holds(now, options, is_empty, zoned)
            .or_else(|| snapshot.pods_unknown.then(pods_unknown))
            .or_else(|| Some((KeptReason::OverAllocatable, excess(bin, dims, over?))))
            .or_else(|| unpriced(bin, region))
            .or_else(|| blocked(bin));
        if let Some((KeptReason::OverAllocatable, detail)) = &bin.held {
            let object = format!("Node {}", bin.name);
            warnings.push(Warning { object, message: format!("{detail}; it is left alone") });
        }
        bin.is_open = !known.observed.node.spec.unschedulable && !known.observed.is_deleting();
        bin.receives = over.is_none() && known.observed.receives(now, options);
        bin.utilization = utilization(bin);
    }
    warnings
}

fn pods_unknown() -> (KeptReason, String) {
    let detail =
        "the input has no pods at all, so nothing tells what runs on it; give a dump with the pods of all namespaces";
    (KeptReason::PodsUnknown, detail.to_owned())
}

fn excess(bin: &NodeBin, dims: &[String], dim: usize) -> String {
    let amount = |of: i64| match dim {
        CPU => format!("{of}m"),
        MEMORY => format!("{} MiB", of >> 20),
        _ => of.to_string(),
    };
    format!("its pods ask for {} of {}, it has {}", amount(bin.used[dim]), dims[dim], amount(bin.allocatable[dim]))
}

fn unpriced(bin: &NodeBin, region: &str) -> Option<(KeptReason, String)> {
    let detail = || format!("no price for {} in zone `{}` of region `{region}`", bin.instance_type, bin.zone);
    bin.price.is_none().then(|| (KeptReason::PriceUnknown, detail()))
}

fn blocked(bin: &NodeBin) -> Option<(KeptReason, String)> {
    let first = bin.blockers.first()?;
    let others = match bin.blockers.len() - 1 {
        0 => String::new(),
        n => format!(", and {n} more"),
    };
    Some((KeptReason::BlockedByPods, format!("pod {}: {}{others}", first.pod, first.rule)))
}

/// Of cpu or memory, whichever is used more. Unit: thousandths.
fn utilization(bin: &NodeBin) -> i64 {
    let of = |dim: usize| if bin.allocatable[dim] > 0 { bin.used[dim] * 1000 / bin.allocatable[dim] } else { 1000 };
    of(CPU).max(of(MEMORY))
}
