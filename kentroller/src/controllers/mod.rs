//! The controllers: one line each.

mod claim;
mod configuration;
mod plan;
mod schedule;

use kentroller_runtime::generate::OwnKind;
use kentroller_runtime::{AnyController, reconciler};

use crate::api;
use crate::settings::Settings;

/// A question that failed is asked again after this long, in seconds.
const AGAIN: i64 = 30;

/// All controllers of the operator.
pub fn all() -> Vec<Box<dyn AnyController<Settings>>> {
    vec![
        reconciler::<schedule::Schedules>(),
        reconciler::<claim::Claims>(),
        reconciler::<plan::RebalancePlans>(),
        reconciler::<configuration::Configuration>(),
    ]
}

/// All kinds of this project: those that the controllers reconcile, and those that nobody does.
pub fn kinds() -> Vec<OwnKind> {
    let reconciled = all().into_iter().filter_map(|controller| OwnKind::declared(&controller.declaration().of));
    reconciled.chain(api::without_controller()).collect()
}
