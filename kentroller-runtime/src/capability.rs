//! What a controller may do: one trait for each verb, implemented by `#[controller]` for what was declared. What is not declared
//! does not compile, and is told here which word to add.

/// Implemented by `#[controller]` and [`reads!`](crate::reads) for what may be read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has not declared that it reads `{K}`",
    note = "a controller: add `reads({K})` to its #[controller(…)]; `watches` and `owns` include it",
    note = "the reads of a port: add `{K}` to its `reads!` list"
)]
pub trait Reads<K> {}

/// Implemented by `#[controller]` for what may be created.
#[diagnostic::on_unimplemented(
    message = "controller `{Self}` has not declared that it creates `{K}`",
    note = "add `create` to `owns({K}: …)` or `writes({K}: …)` in its #[controller(…)]"
)]
pub trait Creates<K> {}

/// Implemented by `#[controller]` for what may be patched.
#[diagnostic::on_unimplemented(
    message = "controller `{Self}` has not declared that it patches `{K}`",
    note = "add `patch` to `owns({K}: …)` or `writes({K}: …)` in its #[controller(…)]",
    note = "for finalizers of the kind that it reconciles, add `finalizes`"
)]
pub trait Patches<K> {}

/// Implemented by `#[controller]` for what may be deleted.
#[diagnostic::on_unimplemented(
    message = "controller `{Self}` has not declared that it deletes `{K}`",
    note = "add `delete` to `owns({K}: …)` or `writes({K}: …)` in its #[controller(…)]"
)]
pub trait Deletes<K> {}

/// Implemented by `#[controller]` for what may be evicted.
#[diagnostic::on_unimplemented(
    message = "controller `{Self}` has not declared that it evicts `{K}`",
    note = "add `evict` to `writes({K}: …)` in its #[controller(…)]"
)]
pub trait Evicts<K> {}

/// Implemented by `#[controller]` for what may be ended although its eviction is refused.
#[diagnostic::on_unimplemented(
    message = "controller `{Self}` has not declared that it forces `{K}`",
    note = "add `force` to `writes({K}: …)` in its #[controller(…)]"
)]
pub trait Forces<K> {}

/// Implemented by `#[controller]` for the ports that may be asked.
#[diagnostic::on_unimplemented(
    message = "controller `{Self}` has not declared that it asks `{P}`",
    note = "add `asks({P})` to its #[controller(…)]"
)]
pub trait Asks<P> {}

/// A condition type of the kind `K`. `#[resource(…, conditions = …)]` makes it one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the condition type of `{K}`",
    note = "add `conditions = {Self}` to the #[resource(…)] of `{K}`; `Ready`, `Reconciling` and `Stalled` are set by `out.ready`, `out.reconciling` and `out.stalled`"
)]
pub trait ConditionOf<K> {}
