//! A last look before a destructive write: reads that bypass every cache, and a pure predicate over what they found.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::Value;

use crate::capability::Reads;
use crate::declaration::Controller;
use crate::kind::{Kind, KindInfo, ObjectKey};

/// One read that the engine does right before the write.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// One object.
    Get(KindInfo, ObjectKey),
    /// All objects of the kind whose field has the value, over all namespaces.
    List(KindInfo, String),
}

type Check = dyn Fn(&Fresh) -> Result<(), String> + Send + Sync;

/// What must still hold right before a write, checked on fresh reads. An error of a read refuses the write.
///
/// ```
/// # use kentroller_runtime::prelude::*;
/// # mod settings { #[derive(Debug)] pub struct Settings; impl kentroller_runtime::Switches for Settings {} }
/// # #[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
/// # pub struct Node { pub metadata: Meta }
/// # #[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", namespaced)]
/// # pub struct Pod { pub metadata: Meta }
/// # /// Deletes empty nodes.
/// # #[controller(of = Node, reads(Pod), writes(Node: delete))]
/// # pub struct Empty;
/// # impl Reconcile for Empty {
/// fn reconcile(node: &Node, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
///     let mut out = world.outcome(node);
///     let empty = Guard::that(|fresh| match fresh.all::<Pod>()?.len() {
///         0 => Ok(()),
///         some => Err(format!("{some} pods came")),
///     });
///     out.delete(node).only_if(empty.list::<Pod>(format!("spec.nodeName={}", node.name())));
///     Ok(out)
/// }
/// # }
/// # fn main() {}
/// ```
pub struct Guard<C> {
    plain: PlainGuard,
    controller: PhantomData<fn() -> C>,
}

impl<C> fmt::Debug for Guard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plain.fmt(f)
    }
}

impl<C: Controller> Guard<C> {
    /// A guard with this predicate; its error text becomes the reason of the refusal.
    pub fn that(check: impl Fn(&Fresh) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { plain: PlainGuard { reads: Vec::new(), check: Arc::new(check) }, controller: PhantomData }
    }

    /// Reads one object afresh.
    pub fn get<K: Kind>(mut self, key: ObjectKey) -> Self
    where
        C: Reads<K>,
    {
        self.plain.reads.push(Read::Get(K::INFO, key));
        self
    }

    /// Reads afresh all objects that a field selector (`spec.nodeName=a`) names.
    pub fn list<K: Kind>(mut self, field_selector: impl Into<String>) -> Self
    where
        C: Reads<K>,
    {
        self.plain.reads.push(Read::List(K::INFO, field_selector.into()));
        self
    }

    pub(crate) fn into_plain(self) -> PlainGuard {
        self.plain
    }
}

/// A guard whose controller was checked.
#[derive(Clone)]
pub struct PlainGuard {
    /// What is read afresh.
    pub reads: Vec<Read>,
    /// What must hold then.
    pub check: Arc<Check>,
}

impl fmt::Debug for PlainGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("reads", &self.reads).finish_non_exhaustive()
    }
}

/// What the fresh reads found.
#[derive(Clone, Debug, Default)]
pub struct Fresh {
    found: Vec<(KindInfo, Vec<Value>)>,
}

impl Fresh {
    /// Adds what one read found.
    pub fn add(&mut self, kind: KindInfo, objects: Vec<Value>) {
        self.found.push((kind, objects));
    }

    /// All objects of a kind that the reads found.
    ///
    /// # Errors
    /// An object that does not decode: it cannot be judged, so the guard must refuse.
    pub fn all<K: Kind>(&self) -> Result<Vec<K>, String> {
        let of_kind = self.found.iter().filter(|(kind, _)| *kind == K::INFO);
        of_kind
            .flat_map(|(_, objects)| objects)
            .map(|object| {
                serde_json::from_value(object.clone())
                    .map_err(|error| format!("{} does not decode: {error}", K::INFO.kind))
            })
            .collect()
    }

    /// One object that was read by name; `None` when the API server said that it does not exist.
    ///
    /// # Errors
    /// As [`Fresh::all`].
    pub fn get<K: Kind>(&self, key: &ObjectKey) -> Result<Option<K>, String> {
        Ok(self.all::<K>()?.into_iter().find(|object| object.key() == *key))
    }
}
