//! What is told of NodeClaims in events.

use jiff::Timestamp;
use kentroller_runtime::{Meta, resource};
use serde::{Deserialize, Serialize};

#[resource(
    foreign,
    group = "events.k8s.io",
    version = "v1",
    kind = "Event",
    plural = "events",
    namespaced,
    only = "regarding.kind=NodeClaim",
    index = NodeClaimEvent::node_claim
)]
/// What Karpenter says of a NodeClaim; the API server keeps it for an hour. Indexed by the name of the NodeClaim. Other events are
/// not read: a large cluster has tens of thousands.
#[serde(default)]
#[derive(Default)]
pub struct NodeClaimEvent {
    pub metadata: Meta,
    /// In PascalCase.
    pub reason: String,
    /// The NodeClaim.
    pub regarding: Regarding,
    /// When it happened, as the newer API tells it.
    pub event_time: Option<Timestamp>,
    /// When it happened last, as the newer API tells it of one that happened again.
    pub series: Option<Series>,
    /// When it happened last, as the older API tells it: Karpenter's.
    pub deprecated_last_timestamp: Option<Timestamp>,
}

/// Whom an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Regarding {
    pub name: String,
}

/// How an event happened again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    pub last_observed_time: Timestamp,
}

impl NodeClaimEvent {
    /// EC2 says that the machine is at an elevated risk of being taken away.
    pub const REBALANCE_RECOMMENDED: &str = "SpotRebalanceRecommendation";
    /// EC2 takes the machine away, in two minutes.
    pub const INTERRUPTED: &str = "SpotInterrupted";
    /// None of the offerings that the NodeClaim allows could be bought.
    pub const NO_CAPACITY: &str = "InsufficientCapacityError";

    /// When it happened last.
    pub fn at(&self) -> Timestamp {
        let again = self.series.as_ref().map(|series| series.last_observed_time);
        again.or(self.deprecated_last_timestamp).or(self.event_time).unwrap_or(self.metadata.created)
    }

    /// The NodeClaim that it is about.
    pub fn node_claim(&self) -> Option<&str> {
        Some(&*self.regarding.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_apis_of_events_tell_when_it_happened_last() {
        let made = json!({"name": "a", "creationTimestamp": "2026-11-22T10:00:00Z"});
        let cases = [
            (json!({"eventTime": "2026-11-22T10:00:01.5Z"}), "2026-11-22T10:00:01.5Z"),
            (
                json!({"eventTime": "2026-11-22T10:00:01Z", "series": {"count": 2, "lastObservedTime": "2026-11-22T10:07:00Z"}}),
                "2026-11-22T10:07:00Z",
            ),
            (json!({"eventTime": null, "deprecatedLastTimestamp": "2026-11-22T10:05:00Z"}), "2026-11-22T10:05:00Z"),
            (json!({}), "2026-11-22T10:00:00Z"),
        ];
        for (mut event, wanted) in cases {
            event["metadata"] = made.clone();
            let read: NodeClaimEvent = serde_json::from_value(event.clone()).expect("an event");
            assert_eq!(read.at().to_string(), wanted, "{event}");
        }
    }
}
