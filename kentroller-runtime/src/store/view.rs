//! Views: what is computed from all objects of a kind, kept up change by change instead of anew in every reconcile.

use crate::declaration::Change;

/// A view of the store of kind `K`; `#[resource(…, view = …)]` names it, and [`crate::World::view`] shows it.
///
/// A held cut keeps its own copy, so it is made of what clones cheaply (`imbl`). What it has become must depend on the
/// objects alone and not on the order of their changes: a test holds it against one that is made anew.
pub trait View<K>: Clone + Default + Send + Sync + 'static {
    /// Takes in one change.
    fn change(&mut self, change: &Change<'_, K>);

    /// The view of these objects.
    fn of<'a>(objects: impl IntoIterator<Item = &'a K>) -> Self
    where
        K: 'a,
    {
        let mut view = Self::default();
        objects.into_iter().for_each(|object| view.change(&Change { old: None, new: Some(object) }));
        view
    }
}

/// No view.
impl<K> View<K> for () {
    fn change(&mut self, _: &Change<'_, K>) {}
}
