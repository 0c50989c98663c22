//! The list.

mod widget;

use kentroller_runtime::{AnyController, reconciler};

use crate::settings::Settings;

/// All controllers.
pub fn all() -> Vec<Box<dyn AnyController<Settings>>> {
    vec![
        // One line each.
        reconciler::<widget::Widgets>(),
    ]
}
