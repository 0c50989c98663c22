//! What is predicted of a node is told in an event on it.

use kentroller_runtime::{Failure, Kind, Outcome, Reconcile, World, controller};

use crate::api::foreign::Node;
use crate::api::marks;

/// Tells on each spot node when it is predicted to be taken away, and why.
#[controller(
    of = Node,
    feature = "spot_interruption_prediction",
    events(warning(
        SpotInterruptionPredicted = "The provider is expected to take this spot node away; it is labelled, and replaced."
    )),
)]
pub struct SpotNodes;

impl Reconcile for SpotNodes {
    fn reconcile(node: &Node, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(node);
        if let Some(at) = node.annotation(marks::PREDICTED_AT) {
            let because = node.annotation(marks::PREDICTED_BECAUSE).unwrap_or_default();
            out.event(SpotNodes::SpotInterruptionPredicted, format!("at {at}: {because}"));
        }
        Ok(out)
    }

    /// Nothing is predicted.
    fn disabled(node: &Node, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(node))
    }
}
