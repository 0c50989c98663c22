//! A cluster on spot machines, and what the provider says of them.

use std::sync::Arc;

use kentroller::backend::Prices;
use kentroller::simulation::sold;
use kentroller_planner::{CapacityType, Catalog, Offer, Percent};
use kentroller_runtime::simulation::apiserver::ApiServer;
use kentroller_world::{CSV, REGION, Setup, ZONES};
use serde_json::{Value, json};

use crate::{Stage, text};

/// What a spot machine costs of the list price.
const SHARE: i64 = 40;

/// The shipped catalogue with a spot price of every type in every zone.
fn catalog() -> Catalog {
    let mut catalog = Catalog::from_csv(CSV, "the simulated cloud", "").expect("the shipped catalogue reads");
    let all: Vec<_> = catalog.types(REGION).cloned().collect();
    for mut priced in all {
        let list = priced.offers.first().expect("a price").price;
        priced.offers.extend(ZONES.map(|zone| Offer {
            zone: Some(zone.to_owned()),
            capacity_type: CapacityType::Spot,
            price: Percent::whole(SHARE).of_money(list),
            available: true,
        }));
        catalog.insert(REGION, priced);
    }
    catalog
}

/// What such a cloud sells and asks for.
pub(crate) fn cloud(seed: u64) -> (Setup, Prices) {
    let catalog = catalog();
    let zones = ZONES.map(str::to_owned).into();
    let setup = Setup { seed, catalogue: Arc::new(sold(&catalog, REGION, &zones)), ..Setup::default() };
    (setup, Prices::Fixed(Arc::new(catalog)))
}

/// Makes every node of a cluster that has just been built a spot node, in a pool that allows both.
pub(crate) fn on_spot(server: &ApiServer) {
    let edit = |kind: &str, change: fn(&mut Value)| {
        for object in server.list(kind) {
            let name = text(&object["metadata"]["name"]);
            server.update(kind, None, &name, change).expect("the edit is accepted");
        }
    };
    edit("NodePool", |pool| {
        for one in pool["spec"]["template"]["spec"]["requirements"].as_array_mut().into_iter().flatten() {
            if one["key"] == "karpenter.sh/capacity-type" {
                one["values"] = json!(["on-demand", "spot"]);
            }
        }
    });
    edit("Node", as_spot);
    edit("NodeClaim", as_spot);
}

fn as_spot(object: &mut Value) {
    object["metadata"]["labels"]["karpenter.sh/capacity-type"] = json!("spot");
}

impl Stage {
    /// What Karpenter says of a NodeClaim, in an event.
    pub fn says(&self, claim: &str, reason: &str) {
        let at = self.operated.clock.now();
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"name": format!("{claim}.{:x}", at.as_millisecond()), "namespace": "default"},
            "type": "Normal", "reason": reason, "note": reason, "action": reason, "eventTime": format!("{at:.6}"),
            "reportingController": "karpenter", "reportingInstance": "karpenter",
            "regarding": {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": claim},
        });
        self.operated.server.create(event).expect("the event");
    }

    /// Takes a spot machine away as the provider does: Karpenter says so, and its NodeClaim goes.
    pub fn interrupt(&self, claim: &str) {
        self.says(claim, "SpotInterrupted");
        self.delete("NodeClaim", claim);
    }
}
