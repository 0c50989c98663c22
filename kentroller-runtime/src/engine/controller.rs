//! A controller without its type, and its reconcile with the panic kept in.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;

use crate::declaration::{Controller, Declaration, Reconcile, decide};
use crate::failure::{Failure, RECONCILE_PANICKED};
use crate::kind::ObjectKey;
use crate::outcome::Decided;
use crate::store::Cut;
use crate::switches::Switches;
use crate::world::{ReadSet, Replies, World};

/// A controller as the engine runs it. Made by [`reconciler`].
pub trait AnyController<S>: Send + Sync {
    /// All that it declared.
    fn declaration(&self) -> Declaration;

    /// Reconciles one object, and says what it read; `None` if it is not there any more.
    fn decide(
        &self,
        key: &ObjectKey,
        cut: &Cut,
        now: Timestamp,
        settings: &Arc<S>,
        replies: Replies,
    ) -> Option<(Result<Decided, Failure>, ReadSet)>;
}

impl<S> std::fmt::Debug for dyn AnyController<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.declaration().name)
    }
}

/// One line of the list of all controllers.
pub fn reconciler<C: Reconcile>() -> Box<dyn AnyController<<C as Controller>::Settings>> {
    Box::new(Typed::<C>(PhantomData))
}

struct Typed<C>(PhantomData<fn() -> C>);

impl<C: Reconcile<Settings = S>, S: Switches> AnyController<S> for Typed<C> {
    fn declaration(&self) -> Declaration {
        C::declaration()
    }

    fn decide(
        &self,
        key: &ObjectKey,
        cut: &Cut,
        now: Timestamp,
        settings: &Arc<S>,
        replies: Replies,
    ) -> Option<(Result<Decided, Failure>, ReadSet)> {
        let object = cut.store::<C::Of>()?.lookup(key).present()?;
        let world = World::<C>::new(cut.clone(), now, Arc::clone(settings), replies);
        // A pure function leaves nothing half done behind when it panics.
        let decided = catch_unwind(AssertUnwindSafe(|| decide(object, &world)));
        let decided =
            decided.unwrap_or_else(|panic| Err(RECONCILE_PANICKED.because(format_args!("a bug: {}", said(&*panic)))));
        Some((decided, world.into_read()))
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
