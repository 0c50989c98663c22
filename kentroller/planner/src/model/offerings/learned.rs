//! What existing nodes tell of types and zones that the catalogue does not.

use std::collections::BTreeMap;

use crate::manifest::{Labels, marks};
use crate::rules::pool;
use crate::value::{CapacityType, InstanceType, Snapshot};

/// What existing nodes tell of types and zones that the catalogue does not.
pub(super) struct Learned<'a> {
    by_type: BTreeMap<&'a str, Vec<(&'a String, &'a String)>>,
    zone_ids: BTreeMap<&'a str, &'a String>,
}

impl<'a> Learned<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let mut learned = Self { by_type: BTreeMap::new(), zone_ids: BTreeMap::new() };
        for labels in snapshot.nodes.iter().map(|node| &node.metadata.labels) {
            if let Some(of) = labels.get(marks::INSTANCE_TYPE) {
                let told = labels.iter().filter(|(key, _)| {
                    [marks::AWS_INSTANCE, marks::KWOK_INSTANCE].iter().any(|of| key.starts_with(of))
                });
                // A label whose value differs between nodes of one type says nothing of the type.
                let known = learned.by_type.entry(of).or_insert_with(|| told.collect());
                known.retain(|(key, value)| labels.get(*key) == Some(*value));
            }
            if let (Some(zone), Some(id)) = (labels.get(marks::ZONE), labels.get(marks::ZONE_ID)) {
                learned.zone_ids.insert(zone, id);
            }
        }
        learned
    }

    pub(super) fn type_labels(&self, it: &InstanceType, region: &str) -> Labels {
        let mut labels = pool::type_labels(it, region);
        for (key, value) in self.by_type.get(it.name.as_str()).into_iter().flatten() {
            labels.entry((*key).clone()).or_insert_with(|| (*value).clone());
        }
        labels
    }

    pub(super) fn place_labels(&self, zone: &str, capacity_type: &CapacityType) -> Labels {
        let mut labels = Labels::from([(marks::CAPACITY_TYPE.to_owned(), capacity_type.as_str().to_owned())]);
        if !zone.is_empty() {
            for key in [marks::ZONE, marks::OLD_ZONE, marks::EBS_ZONE] {
                labels.insert(key.to_owned(), zone.to_owned());
            }
            if let Some(id) = self.zone_ids.get(zone) {
                labels.insert(marks::ZONE_ID.to_owned(), (*id).clone());
            }
        }
        labels
    }
}
