//! ConfigMaps: configuration, feature gates and prices come from them.

use std::collections::BTreeMap;

use kentroller_runtime::{Meta, resource};

#[resource(foreign, group = "", version = "v1", kind = "ConfigMap", plural = "configmaps", namespaced)]
/// Texts by key.
pub struct ConfigMap {
    #[serde(default)]
    pub metadata: Meta,
    #[serde(default)]
    pub data: BTreeMap<String, String>,
}
