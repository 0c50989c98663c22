//! Says what the controller of Widget does: replace this line.

use kentroller_runtime::prelude::*;

use crate::api::{Widget, WidgetCondition};

/// Looks after each Widget.
#[controller(of = Widget, events(WidgetSeen = "It was seen for the first time."))]
pub struct Widgets;

impl Reconcile for Widgets {
    fn reconcile(object: &Widget, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(object);
        if object.status().is_none() {
            out.event(Self::WidgetSeen, object.spec.purpose.clone());
        }
        out.condition(WidgetCondition::Seen, true, "Seen", "");
        out.ready(true, "Seen", "There is nothing else to do yet.");
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::generate::rbac::Rights;
    use kentroller_runtime::testing::{given, stored};

    use super::*;

    #[test]
    fn a_new_one_is_told_once() {
        let mut one = stored::<Widget>();
        given::<Widgets>().check(&one, "event  Normal WidgetSeen: to be seen");
        one.status = Some(Default::default());
        given::<Widgets>().check(&one, "");
    }

    #[test]
    fn its_rights_are_what_it_needs() {
        assert_eq!(
            Rights::of_one(&Widgets::declaration(), &[]).lines(),
            [
                "everywhere: get, list, watch widgets",
                "everywhere: patch widgets/status",
                "in namespace default: create events"
            ]
        );
    }
}
