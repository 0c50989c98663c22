//! What continuous mode leaves alone for a while.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::CapacityType;
use crate::manifest::ObjectName;

/// What was changed or tried a short time ago, so that continuous mode does not change or try it again. Nothing rests by default.
///
/// A plan that takes no notice of it is right all the same, only restless: the judge of plans does not know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resting {
    /// Nodes that are not removed, by name, each with the reason for people.
    pub nodes: BTreeMap<String, String>,
    /// Pods that are not moved, each with the plan that moved it here.
    pub pods: BTreeMap<ObjectName, String>,
    /// What is not bought: instance type, zone, capacity type.
    pub offerings: BTreeSet<(String, String, CapacityType)>,
}
