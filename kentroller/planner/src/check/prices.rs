//! What a node costs, by the catalogue and the NodeOverlays.

use super::board::{Host, Origin};
use super::selectors::{Known, satisfies};
use crate::manifest::{NodeOverlay, marks};
use crate::value::{CapacityType, Catalog, Money, Snapshot};

/// The prices of one region as Karpenter believes them.
#[derive(Debug)]
pub(super) struct Prices<'a> {
    pub(super) catalog: &'a Catalog,
    /// The region of nodes that do not name one.
    pub(super) region: &'a str,
    /// Those that change prices, the strongest first.
    overlays: Vec<&'a NodeOverlay>,
}

/// A price, and whether it could be a little different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) amount: Money,
    /// Whether an overlay's percentage was rounded. The last millionth may then differ.
    pub(super) rounded: bool,
}

impl Price {
    pub(super) fn is(self, stated: Money) -> bool {
        let apart = i128::from(self.amount.as_micros()) - i128::from(stated.as_micros());
        apart == 0 || (self.rounded && apart.abs() == 1)
    }
}

impl<'a> Prices<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, catalog: &'a Catalog, region: &'a str) -> Self {
        let changes = |overlay: &&NodeOverlay| overlay.spec.price.is_some() || overlay.spec.price_adjustment.is_some();
        let mut overlays: Vec<&NodeOverlay> = snapshot.node_overlays.iter().filter(changes).collect();
        overlays.sort_by_key(|overlay| (std::cmp::Reverse(overlay.spec.weight), &*overlay.metadata.name));
        Self { catalog, region, overlays }
    }

    /// What a live node costs; `None` when that is not known. Reserved capacity is paid for already.
    pub(super) fn of_live(&self, host: &Host<'_>) -> Option<Price> {
        let (of, zone, region) = match host.origin {
            Origin::Live { node, .. } => (node.instance_type(), node.zone(), node.region()),
            Origin::Planned { planned, .. } => (Some(&*planned.instance_type), Some(&*planned.zone), None),
        };
        let capacity = match (host.labels.get(marks::CAPACITY_TYPE), host.origin) {
            (Some(word), _) => CapacityType::of(word),
            // Nodes of others say nothing; so do on-demand nodes of a managed group.
            (None, Origin::Live { claim: None, pool: None, .. }) => CapacityType::OnDemand,
            (None, _) => return None,
        };
        if capacity == CapacityType::Reserved {
            return Some(Price { amount: Money::ZERO, rounded: false });
        }
        let (of, zone) = (of.unwrap_or_default(), zone.unwrap_or_default());
        let base = self.catalog.price(region.unwrap_or(self.region), of, zone, &capacity)?;
        self.overlaid(base, &|key| host.label(key))
    }

    /// A catalogue price as the overlays change it; `None` when it cannot be told whether one applies.
    pub(super) fn overlaid<'l>(&self, base: Money, label: &impl Fn(&str) -> Known<'l>) -> Option<Price> {
        for overlay in &self.overlays {
            let mut applies = Some(true);
            for requirement in &overlay.spec.requirements {
                applies = super::selectors::and(
                    applies,
                    satisfies(&requirement.operator, &requirement.values, label(&requirement.key)),
                );
            }
            if applies? {
                return adjusted(overlay, base);
            }
        }
        Some(Price { amount: base, rounded: false })
    }
}

fn adjusted(overlay: &NodeOverlay, base: Money) -> Option<Price> {
    if let Some(price) = &overlay.spec.price {
        let amount = Money::parse(price).filter(|price| *price >= Money::ZERO)?;
        return Some(Price { amount, rounded: false });
    }
    let text = overlay.spec.price_adjustment.as_deref()?;
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1, size),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (by, rounded) = match size.strip_suffix('%') {
        None => (i128::from(Money::parse(size)?.as_micros()), false),
        Some(percent) => {
            let parts = i128::from(Money::parse(percent)?.as_micros());
            ((i128::from(base.as_micros()) * parts + 50_000_000) / 100_000_000, true)
        }
    };
    let amount = (i128::from(base.as_micros()) + sign * by).max(0);
    Some(Price { amount: Money::micros(i64::try_from(amount).ok()?), rounded })
}
