//! What is known not to be had at the moment, taken out of what there is to buy.

use std::sync::Arc;

use jiff::Timestamp;
use kentroller_planner::{CapacityType, Catalog};

use crate::api::foreign::Zones;
use crate::api::{OfferingCapacity, UnavailableOffering};

/// The catalogue in which these offerings are not to be bought, as far as they have not expired.
pub(super) fn without<'a>(
    catalog: Arc<Catalog>,
    unavailable: impl Iterator<Item = &'a UnavailableOffering>,
    zones: &Zones<'_>,
    now: Timestamp,
) -> Arc<Catalog> {
    let open: Vec<_> = unavailable.map(|one| &one.spec).filter(|spec| now < spec.expires_at).collect();
    if open.is_empty() {
        return catalog;
    }
    let regions: Vec<String> = catalog.regions().map(str::to_owned).collect();
    let mut left = Catalog::clone(&catalog);
    for spec in open {
        let capacity_type = match spec.capacity_type {
            OfferingCapacity::Spot => CapacityType::Spot,
            OfferingCapacity::OnDemand => CapacityType::OnDemand,
            OfferingCapacity::Unknown(_) => continue,
        };
        let named = zones.iter().find(|(_, id)| **id == spec.zone_id).map(|(name, _)| *name);
        let zone = named.unwrap_or(&spec.zone_id);
        for region in regions.iter().filter(|region| zone.starts_with(region.as_str())) {
            left.set_unavailable(region, &spec.instance_type, Some(zone), &capacity_type);
        }
    }
    left.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_not_expired_is_not_to_be_bought_in_its_zone_and_keeps_its_price() {
        let csv = "instance_type,region,vcpu,memory_mib,arch,max_pods,gpu_count,gpu_name,on_demand_usd_hour,zone,capacity_type\n\
            m5.large,us-east-1,2,8192,amd64,29,0,,0.096,,\n\
            m5.large,us-east-1,2,8192,amd64,29,0,,0.03,us-east-1a,spot\n\
            m5.large,us-east-1,2,8192,amd64,29,0,,0.03,us-east-1b,spot\n";
        let catalog = Arc::new(Catalog::from_csv(csv, "a test", "").expect("it reads"));
        let zones: Zones<'_> = [("us-east-1a", "use1-az4")].into();
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().expect("a time");
        let available = |zone_id: &str, capacity: &str, expires: &str| {
            let one: UnavailableOffering =
                serde_json::from_value(json!({"apiVersion": "", "kind": "", "metadata": {"name": "a"},
                "spec": {"instanceType": "m5.large", "zoneId": zone_id, "capacityType": capacity,
                    "reason": "InsufficientCapacityError", "expiresAt": expires}}))
                .expect("an offering");
            let left = without(Arc::clone(&catalog), [&one].into_iter(), &zones, now);
            let priced = left.instance_type("us-east-1", "m5.large").expect("the type");
            let of = |zone: &str, capacity_type: CapacityType| {
                let offer = priced.offer(zone, &capacity_type).expect("an offer");
                assert!(offer.price > kentroller_planner::Money::ZERO);
                offer.available
            };
            [
                of("us-east-1a", CapacityType::Spot),
                of("us-east-1b", CapacityType::Spot),
                of("us-east-1a", CapacityType::OnDemand),
                of("us-east-1b", CapacityType::OnDemand),
            ]
        };
        let (later, now) = ("2026-11-22T10:00:01Z", "2026-11-22T10:00:00Z");
        assert_eq!(available("use1-az4", "spot", later), [false, true, true, true]);
        assert_eq!(available("us-east-1b", "spot", later), [true, false, true, true]);
        assert_eq!(available("use1-az4", "on-demand", later), [true, true, false, true]);
        assert_eq!(available("use1-az4", "spot", now), [true; 4], "it has expired");
        assert_eq!(available("use1-az9", "spot", later), [true; 4], "no node tells where that is");
        assert_eq!(available("use1-az4", "reserved", later), [true; 4], "a word of another version");
    }
}
