//! NodeOverlays: what Karpenter believes an offering costs, where that is not what the catalogue says.

use std::cmp::Reverse;

use crate::manifest::{Expression, NodeOverlay};
use crate::value::{Money, Percent, Snapshot};

/// The overlays that change prices, the strongest first. Of two with the same weight the first by name.
pub(crate) struct Overlays<'a>(Vec<(Vec<Expression>, &'a NodeOverlay)>);

impl<'a> Overlays<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot) -> Self {
        let changes = |overlay: &&NodeOverlay| overlay.spec.price.is_some() || overlay.spec.price_adjustment.is_some();
        let mut all: Vec<&NodeOverlay> = snapshot.node_overlays.iter().filter(changes).collect();
        all.sort_by_key(|overlay| (Reverse(overlay.spec.weight), &overlay.metadata.name));
        let requirements =
            |overlay: &NodeOverlay| overlay.spec.requirements.iter().map(|one| one.expression()).collect();
        Self(all.into_iter().map(|overlay| (requirements(overlay), overlay)).collect())
    }

    /// A price as the strongest overlay that applies changes it, never below nothing.
    ///
    /// `admits` answers whether a requirement holds. `None`: it cannot be told whether an overlay applies, or what it says.
    pub(crate) fn price(&self, listed: Money, admits: &dyn Fn(&Expression) -> Option<bool>) -> Option<Money> {
        for (requirements, overlay) in &self.0 {
            let mut applies = Some(true);
            for requirement in requirements {
                match admits(requirement) {
                    Some(true) => {}
                    // One requirement that certainly does not hold decides it, even if others cannot be told.
                    Some(false) => {
                        applies = Some(false);
                        break;
                    }
                    None => applies = None,
                }
            }
            if applies? {
                return changed(listed, overlay);
            }
        }
        Some(listed)
    }
}

fn changed(listed: Money, overlay: &NodeOverlay) -> Option<Money> {
    if let Some(price) = &overlay.spec.price {
        return Money::parse(price).filter(|price| *price >= Money::ZERO);
    }
    let text = overlay.spec.price_adjustment.as_deref()?;
    let (less, size) = text.strip_prefix('-').map_or((false, text.trim_start_matches('+')), |size| (true, size));
    let by = match size.strip_suffix('%') {
        Some(percent) => share(listed, Percent::parse(percent)?),
        None => Money::parse(size)?,
    };
    Some((if less { listed - by } else { listed + by }).max(Money::ZERO))
}

/// To the nearest millionth.
fn share(of: Money, percent: Percent) -> Money {
    let share = (i128::from(of.as_micros()) * i128::from(percent.parts()) + 500_000) / 1_000_000;
    Money::micros(i64::try_from(share).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_overlay_that_applies_makes_the_price() {
        let overlay = |name: &str, spec: serde_json::Value| -> NodeOverlay {
            serde_json::from_value(serde_json::json!({"metadata": {"name": name}, "spec": spec})).expect("an overlay")
        };
        let on = |family: &str, more: serde_json::Value| {
            let mut spec =
                serde_json::json!({"requirements": [{"key": "family", "operator": "In", "values": [family]}]});
            for (key, value) in more.as_object().expect("an object") {
                spec[key] = value.clone();
            }
            spec
        };
        for (claim, overlays, price) in [
            ("none: the list", vec![], Some(100_000)),
            ("a price", vec![on("m5", serde_json::json!({"price": "0.07"}))], Some(70_000)),
            ("of another family", vec![on("c5", serde_json::json!({"price": "0.07"}))], Some(100_000)),
            ("ten percent off", vec![on("m5", serde_json::json!({"priceAdjustment": "-10%"}))], Some(90_000)),
            ("a third more", vec![on("m5", serde_json::json!({"priceAdjustment": "+33.3333%"}))], Some(133_333)),
            ("an amount more", vec![on("m5", serde_json::json!({"priceAdjustment": "+0.05"}))], Some(150_000)),
            ("more than all off", vec![on("m5", serde_json::json!({"priceAdjustment": "-3"}))], Some(0)),
            (
                "the heavier wins",
                vec![
                    on("m5", serde_json::json!({"price": "0.07", "weight": 3})),
                    on("m5", serde_json::json!({"price": "0.05", "weight": 10})),
                ],
                Some(50_000),
            ),
            (
                "the first name wins a tie",
                vec![on("m5", serde_json::json!({"price": "0.05"})), on("m5", serde_json::json!({"price": "0.07"}))],
                Some(50_000),
            ),
            ("no number", vec![on("m5", serde_json::json!({"price": "NaN"}))], None),
            ("below nothing", vec![on("m5", serde_json::json!({"price": "-1"}))], None),
            (
                "an operator that nobody knows",
                vec![serde_json::json!({"requirements": [{"key": "family", "operator": "Near"}], "price": "1"})],
                None,
            ),
            (
                "capacity only",
                vec![serde_json::json!({"requirements": [], "capacity": {"example.com/card": "1"}})],
                Some(100_000),
            ),
        ] {
            let node_overlays =
                overlays.into_iter().enumerate().map(|(at, spec)| overlay(&format!("o{at}"), spec)).collect();
            let snapshot = Snapshot { node_overlays, ..Snapshot::default() };
            let told = Overlays::of(&snapshot).price(Money::micros(100_000), &|one| one.admits(Some("m5")));
            assert_eq!(told, price.map(Money::micros), "{claim}");
        }
    }
}
