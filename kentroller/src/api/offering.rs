//! An unavailable offering: what could not be bought lately, and until when it is not tried.

use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::{resource, words};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// The provider's id of the zone; its name where no node tells the id.
    pub zone_id: String,
}

impl UnavailableOfferingSpec {
    /// How long it is not tried: what Karpenter itself waits after one failure, twice as long after each further one, and at most an hour.
    /// After an interruption it begins with a quarter of an hour.
    pub fn wait(&self) -> Duration {
        let first = match self.reason {
            OfferingReason::SpotInterruptionPredicted | OfferingReason::SpotInterruptionObserved => {
                Duration::from_secs(15 * 60)
            }
            OfferingReason::InsufficientCapacityError | OfferingReason::Unknown(_) => Duration::from_secs(3 * 60),
        };
        let doublings = self.attempts.unwrap_or(1).saturating_sub(1).clamp(0, 10);
        first.saturating_mul(1_u32 << doublings).min(HOUR)
    }

    /// How long it is kept after it has expired. What was taken away tells for a day how safe its pool is.
    pub fn memory(&self) -> Duration {
        if self.reason == OfferingReason::SpotInterruptionObserved { DAY } else { HOUR }
    }

    /// When it failed last.
    pub fn failed_at(&self) -> Timestamp {
        self.expires_at.saturating_sub(self.wait()).unwrap_or(Timestamp::MIN)
    }

    /// Whether it is kept at this time.
    pub fn is_kept(&self, now: Timestamp) -> bool {
        self.cleanup_after.is_none_or(|end| now < end)
    }

    /// Whether it is about this offering, of a zone with this name and, as far as it is known, this id.
    pub fn is_of(&self, instance_type: &str, zone: &str, zone_id: Option<&str>, capacity_type: &str) -> bool {
        let is_there = self.zone_id == zone || Some(self.zone_id.as_str()) == zone_id;
        is_there && self.instance_type == instance_type && self.capacity_type.as_str() == capacity_type
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_failure_doubles_the_wait_up_to_an_hour_and_tells_when_it_was() {
        let expires_at: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let spec = |reason: OfferingReason, attempts: Option<i64>| UnavailableOfferingSpec {
            attempts,
            capacity_type: OfferingCapacity::Spot,
            cleanup_after: None,
            expires_at,
            instance_type: "m5.large".to_owned(),
            reason,
            zone_id: "use1-az1".to_owned(),
        };
        let (short, lost) = (OfferingReason::InsufficientCapacityError, OfferingReason::SpotInterruptionObserved);
        for (reason, attempts, minutes) in [
            (&short, None, 3),
            (&short, Some(1), 3),
            (&short, Some(2), 6),
            (&short, Some(5), 48),
            (&short, Some(6), 60),
            (&short, Some(i64::MAX), 60),
            (&short, Some(-7), 3),
            (&lost, Some(1), 15),
            (&lost, Some(3), 60),
        ] {
            let spec = spec(reason.clone(), attempts);
            assert_eq!(spec.wait(), Duration::from_secs(minutes * 60), "{reason:?} {attempts:?}");
            assert_eq!(spec.failed_at() + spec.wait(), expires_at);
        }
        let of = spec(short, None);
        assert!(of.is_of("m5.large", "us-east-1a", Some("use1-az1"), "spot"));
        assert!(of.is_of("m5.large", "use1-az1", None, "spot"));
        assert!(!of.is_of("m5.large", "us-east-1a", None, "spot"));
        assert!(!of.is_of("m5.large", "us-east-1a", Some("use1-az1"), "on-demand"));
    }
}
