//! What could not be bought lately is remembered, per instance type, zone and capacity type, until it may be had again: what Karpenter
//! says of NodeClaims, ours or its own, that it could launch nothing for, and of spot machines that were taken away.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use kentroller_planner::manifest::Operator;
use kentroller_runtime::condition::seconds;
use kentroller_runtime::{Cluster, Failure, Kind, Lookup, ObjectKey, Outcome, Reconcile, World, controller};

use super::{after, at_any_change};
use crate::api::foreign::{Node, NodeClaim, NodeClaimEvent, Zones, zone_ids};
use crate::api::{OfferingCapacity, OfferingReason, UnavailableOffering, UnavailableOfferingSpec, marks};

/// A NodeClaim that allows more offerings tells nothing of each: Karpenter asks for the cheapest sixty types.
const MOST_OFFERINGS: usize = 60;

/// Remembers which offerings cannot be had for now, and which spot machines were taken away.
#[controller(
    of = Cluster,
    reads(Node, NodeClaim, UnavailableOffering),
    writes(UnavailableOffering: create + patch + delete),
    watches(NodeClaimEvent => at_any_change),
    counters(spot_interruptions(predicted) = "Spot machines that were taken away, by how long before it was predicted: never, under_2m, under_10m, over_10m"),
)]
pub struct Offerings;

impl Reconcile for Offerings {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut look = Look { world, zones: zone_ids(world.all()), out: world.outcome(cluster) };
        look.remember();
        look.forget();
        Ok(look.out)
    }
}

/// What cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offering {
    instance_type: String,
    zone_id: String,
    capacity_type: OfferingCapacity,
}

/// That it could not be had, or was taken away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Failed {
    at: Timestamp,
    offering: Offering,
    reason: OfferingReason,
    /// Of a machine that was taken away: how long before it was predicted.
    predicted: Option<&'static str>,
}

/// One look.
struct Look<'a> {
    world: &'a World<Offerings>,
    zones: Zones<'a>,
    out: Outcome<Offerings>,
}

impl Look<'_> {
    fn remember(&mut self) {
        let mut failed: Vec<Failed> = self.world.all::<NodeClaimEvent>().flat_map(|event| self.told(event)).collect();
        failed.sort();
        // Several failures of one offering are one write.
        let mut known: BTreeMap<String, (UnavailableOfferingSpec, Vec<&'static str>)> = BTreeMap::new();
        for one in &failed {
            let name = name(one);
            let stored = self.world.named::<UnavailableOffering>(&name).map(|stored| &stored.spec);
            let before = known.get(&name).map(|(spec, _)| spec).or(stored);
            if let Some(spec) = remembered(before, one).filter(|spec| spec.is_kept(self.world.now())) {
                let (kept, leads) = known.entry(name).or_insert_with(|| (spec.clone(), Vec::new()));
                *kept = spec;
                leads.extend(one.predicted);
            }
        }
        for (name, (spec, leads)) in known {
            let told = format!("{} in {}", spec.instance_type, spec.zone_id);
            for lead in &leads {
                self.out.log(format!("a spot machine {told} was taken away; predicted: {lead}"));
            }
            let added = match self.world.named::<UnavailableOffering>(&name) {
                Some(stored) => self.out.patch(stored, |stored| stored.spec = spec),
                None => self.out.create(&UnavailableOffering::new(&name, spec)),
            };
            leads.into_iter().fold(added, |added, lead| added.counts(Offerings::SPOT_INTERRUPTIONS, [lead]));
        }
    }

    /// What is over goes. What somebody wrote without an end of its own stays.
    fn forget(&mut self) {
        let now = self.world.now();
        for stored in self.world.all::<UnavailableOffering>().filter(|stored| stored.deleting().is_none()) {
            let Some(end) = stored.spec.cleanup_after else { continue };
            self.out.look_at(end);
            if now >= end {
                self.out.delete(stored);
            }
        }
    }

    /// What an event tells of offerings.
    fn told(&self, event: &NodeClaimEvent) -> Vec<Failed> {
        let claim = match self.world.lookup::<NodeClaim>(&ObjectKey::cluster(&*event.regarding.name)) {
            Lookup::Present(claim) => claim,
            Lookup::Gone(gone) => &gone.last,
            Lookup::NeverSeen => return Vec::new(),
        };
        let failed = |reason: OfferingReason, predicted| {
            move |offering| Failed { at: event.at(), offering, reason: reason.clone(), predicted }
        };
        match event.reason.as_str() {
            NodeClaimEvent::NO_CAPACITY => {
                self.asked_for(claim).into_iter().map(failed(OfferingReason::InsufficientCapacityError, None)).collect()
            }
            NodeClaimEvent::INTERRUPTED => {
                let lead = self.lead(claim, event.at());
                let of = bought(claim, &self.zones).into_iter();
                of.map(failed(OfferingReason::SpotInterruptionObserved, Some(lead))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Every offering that the NodeClaim allows; none if it does not name them.
    fn asked_for(&self, claim: &NodeClaim) -> Vec<Offering> {
        let values = |key: &str| -> &[String] {
            let named = claim.spec.requirements.iter().find(|one| one.key == key && one.operator == Operator::In);
            named.map_or(&[], |one| &one.values)
        };
        let (types, zones, capacity) =
            (values(marks::INSTANCE_TYPE), values(marks::ZONE), values(marks::CAPACITY_TYPE));
        if types.len() * zones.len() * capacity.len() > MOST_OFFERINGS {
            return Vec::new();
        }
        let all = types.iter().flat_map(|of| zones.iter().map(move |zone| (of, zone)));
        let all = all.flat_map(|(of, zone)| capacity.iter().map(move |capacity| (of, zone, capacity)));
        all.filter_map(|(of, zone, capacity)| offering(of, zone, capacity, &self.zones)).collect()
    }

    /// How long before its end it was predicted that the machine is taken away.
    fn lead(&self, claim: &NodeClaim, at: Timestamp) -> &'static str {
        let node = match self.world.lookup::<Node>(&ObjectKey::cluster(&*claim.status.node_name)) {
            Lookup::Present(node) => Some(node),
            Lookup::Gone(gone) => Some(&*gone.last),
            Lookup::NeverSeen => None,
        };
        let predicted = node.and_then(|node| node.annotation(marks::PREDICTED_AT)?.parse::<Timestamp>().ok());
        match predicted.map(|predicted| at.duration_since(predicted).as_secs()) {
            None => "never",
            Some(..120) => "under_2m",
            Some(120..600) => "under_10m",
            Some(600..) => "over_10m",
        }
    }
}

/// That the pool of a node is predicted to be taken away: it is not bought anew. None of a machine of which nothing is told.
pub(super) fn at_risk(node: &Node, zones: &Zones<'_>, now: Timestamp) -> Option<UnavailableOffering> {
    let reason = OfferingReason::SpotInterruptionPredicted;
    let failed = Failed { at: now, offering: bought(node, zones)?, reason, predicted: None };
    Some(UnavailableOffering::new(&name(&failed), remembered(None, &failed)?))
}

/// The offering that a machine was bought as.
fn bought<K: Kind>(object: &K, zones: &Zones<'_>) -> Option<Offering> {
    let label = |key: &str| object.label(key);
    offering(label(marks::INSTANCE_TYPE)?, label(marks::ZONE)?, label(marks::CAPACITY_TYPE)?, zones)
}

/// None of reserved capacity: it is nobody else's.
fn offering(of: &str, zone: &str, capacity: &str, zones: &Zones<'_>) -> Option<Offering> {
    let capacity_type = OfferingCapacity::from(capacity);
    let is_known = !matches!(capacity_type, OfferingCapacity::Unknown(_));
    let zone_id = zones.get(zone).copied().unwrap_or(zone).to_owned();
    is_known.then(|| Offering { instance_type: of.to_owned(), zone_id, capacity_type })
}

/// As `m6i.large-euc1-az1-spot`, and why if it is not that there was none left.
fn name(failed: &Failed) -> String {
    let Offering { instance_type, zone_id, capacity_type } = &failed.offering;
    let why = match failed.reason {
        OfferingReason::SpotInterruptionObserved => "-interrupted",
        OfferingReason::SpotInterruptionPredicted => "-at-risk",
        _ => "",
    };
    format!("{instance_type}-{zone_id}-{}{why}", capacity_type.as_str())
}

/// What is remembered after one more failure; `None` if it is known already.
fn remembered(before: Option<&UnavailableOfferingSpec>, failed: &Failed) -> Option<UnavailableOfferingSpec> {
    let at = seconds(failed.at);
    if before.is_some_and(|before| before.failed_at() >= at) {
        return None;
    }
    let counts = before.filter(|before| before.is_kept(at));
    let attempts = counts.and_then(|before| before.attempts).unwrap_or(0).saturating_add(1);
    let Offering { instance_type, zone_id, capacity_type } = failed.offering.clone();
    let mut spec = UnavailableOfferingSpec {
        attempts: Some(attempts),
        capacity_type,
        cleanup_after: None,
        expires_at: at,
        instance_type,
        reason: failed.reason.clone(),
        zone_id,
    };
    spec.expires_at = after(at, spec.wait());
    spec.cleanup_after = Some(after(spec.expires_at, spec.memory()));
    Some(spec)
}
