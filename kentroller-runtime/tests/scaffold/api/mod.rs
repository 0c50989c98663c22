//! The kinds.

mod widget;

pub use self::widget::{Widget, WidgetCondition, WidgetSpec, WidgetStatus};
