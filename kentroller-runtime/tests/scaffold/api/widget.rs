//! Says what a Widget is for: replace this line.

use kentroller_runtime::prelude::*;

#[resource(
    group = "example.org",
    version = "v1",
    kind = "Widget",
    status = WidgetStatus,
    conditions = WidgetCondition,
    column("Ready", string, ".status.conditions[?(@.type=='Ready')].status"),
    column("Age", date, ".metadata.creationTimestamp")
)]
/// What a Widget wants.
///
/// ```yaml
/// apiVersion: example.org/v1
/// kind: Widget
/// metadata: {name: first}
/// spec: {purpose: to be seen}
/// ```
#[derive(Default)]
pub struct WidgetSpec {
    /// What it is for.
    #[garde(length(chars, min = 1, max = 200))]
    pub purpose: String,
}

#[resource(status)]
/// What became of a Widget.
pub struct WidgetStatus {
    /// What it is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// The generation that this status judges.
    pub observed_generation: Option<i64>,
}

/// What a Widget is besides ready.
#[derive(Clone, Copy, Debug, Conditions)]
pub enum WidgetCondition {
    /// It was seen.
    Seen,
}
