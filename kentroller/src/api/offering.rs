//! An unavailable offering: what could not be bought lately, and until when it is not tried.

use jiff::Timestamp;
use kentroller_runtime::{resource, words};

#[resource(
    group = "autoscaling.cast.ai",
    version = "v1alpha",
    kind = "UnavailableOffering",
    shortname = "uo",
    category = "kentroller",
    column("Instance Type", string, ".spec.instanceType"),
    column("Zone ID", string, ".spec.zoneId"),
    column("Capacity", string, ".spec.capacityType"),
    column("Reason", string, ".spec.reason"),
    column("Expires", string, ".spec.expiresAt"),
    column("Attempts", integer, ".spec.attempts"),
    column("Age", date, ".metadata.creationTimestamp")
)]
/// An instance type in a zone that could not be bought lately; it is not tried again before it expires.
///
/// ```yaml
/// apiVersion: autoscaling.cast.ai/v1alpha
/// kind: UnavailableOffering
/// metadata: {name: m6i.large-euc1-az1-spot}
/// spec:
///   instanceType: m6i.large
///   zoneId: euc1-az1
///   capacityType: spot
///   reason: InsufficientCapacityError
///   expiresAt: "2026-11-22T10:15:00Z"
///   attempts: 2
/// ```
pub struct UnavailableOfferingSpec {
    /// How often it could not be bought; each time lengthens the wait.
    pub attempts: Option<i64>,
    /// Whether it was to be bought as spot or on demand.
    pub capacity_type: OfferingCapacity,
    /// When this object may be deleted; until then further attempts add up.
    pub cleanup_after: Option<Timestamp>,
    /// When the offering may be tried again.
    pub expires_at: Timestamp,
    /// The instance type.
    pub instance_type: String,
    /// Why it could not be bought.
    pub reason: OfferingReason,
    /// The provider's id of the zone.
    pub zone_id: String,
}

words! {
    /// How a machine is bought.
    pub enum OfferingCapacity {
        /// At the price of the moment; it may be taken away.
        Spot = "spot",
        /// At the list price.
        OnDemand = "on-demand",
    }
}

words! {
    /// Why an offering is not available.
    pub enum OfferingReason {
        /// The provider had none left.
        InsufficientCapacityError,
        /// An interruption is predicted.
        SpotInterruptionPredicted,
        /// A machine was taken away.
        SpotInterruptionObserved,
    }
}
