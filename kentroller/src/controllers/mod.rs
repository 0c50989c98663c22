//! The controllers: one line each.

mod claim;
mod configuration;
mod plan;
mod schedule;

use kentroller_runtime::{AnyController, reconciler};

use crate::settings::Settings;

/// All controllers of the operator.
pub fn all() -> Vec<Box<dyn AnyController<Settings>>> {
    vec![
        reconciler::<schedule::Schedules>(),
        reconciler::<claim::Claims>(),
        reconciler::<plan::RebalancePlans>(),
        reconciler::<configuration::Configuration>(),
    ]
}
