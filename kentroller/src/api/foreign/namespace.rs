//! Namespaces: rules about neighbours may name them by label.

use kentroller_runtime::{Meta, resource};

#[resource(foreign, group = "", version = "v1", kind = "Namespace", plural = "namespaces")]
/// A namespace and its labels.
pub struct Namespace {
    pub metadata: Meta,
}
