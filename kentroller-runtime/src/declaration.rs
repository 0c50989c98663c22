//! What a controller declares. `#[controller]` writes it; watches, the types of World and Outcome, RBAC, metrics and
//! the reference pages are all read from here.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::failure::Failure;
use crate::kind::{Cluster, Kind, KindInfo, ObjectKey};
use crate::metrics::MetricInfo;
use crate::outcome::{Decided, Outcome};
use crate::port::{Kinds as _, Port};
use crate::store::{AnyKindStore, AnyObject, Cut, KindStore};
use crate::switches::Switches;
use crate::words::{Edges, Words};
use crate::world::World;

/// A controller: what it reconciles and what it declared. Implemented by `#[controller]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no controller",
    note = "declare it: `#[controller(of = Kind, …)] pub struct {Self};`"
)]
pub trait Controller: Sized + Send + Sync + 'static {
    /// The kind that is reconciled; [`Cluster`] for a controller without one.
    type Of: Kind;
    /// The type of `world.settings()`.
    type Settings: Switches;

    /// All that the controller declared.
    fn declaration() -> Declaration;

    /// Whether the feature that it declared is on; a controller without one always is.
    fn enabled(_settings: &Self::Settings) -> bool {
        true
    }
}

/// The function that the author of a controller writes.
#[diagnostic::on_unimplemented(
    message = "controller `{Self}` decides nothing",
    note = "write `impl Reconcile for {Self}` with `fn reconcile(object: &Kind, world: &World<Self>) -> Result<Outcome<Self>, Failure>`"
)]
pub trait Reconcile: Controller {
    /// Decides what to do about one object, from one cut of everything declared.
    ///
    /// # Errors
    /// A [`Failure`] says why nothing could be decided, and what the engine does next.
    fn reconcile(object: &Self::Of, world: &World<Self>) -> Result<Outcome<Self>, Failure>;

    /// Decides while the feature of the controller is off: by default nothing, and `Ready` is False with reason
    /// `FeatureDisabled`. A controller that brings what it began to its end says here how.
    ///
    /// # Errors
    /// As [`Reconcile::reconcile`].
    fn disabled(object: &Self::Of, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(object);
        out.disabled();
        Ok(out)
    }
}

/// What a controller decides about an object with its feature as it is, if the API server will take it.
pub(crate) fn decide<C: Reconcile>(object: &C::Of, world: &World<C>) -> Result<Decided, Failure> {
    let decided = if world.enabled() { C::reconcile(object, world) } else { C::disabled(object, world) };
    decided.and_then(Outcome::finished).map_err(Failure::checked)
}

/// What the engine may do to objects of a kind. `Status` concerns the reconciled kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// List, watch, and get for guards.
    Read,
    /// Make new ones.
    Create,
    /// Merge into what is there.
    Patch,
    /// Delete, with uid and version as conditions.
    Delete,
    /// Ask the eviction API.
    Evict,
    /// Delete what the eviction API refuses to end; the rights to it stand in a role of their own.
    Force,
    /// Merge into the status.
    Status,
}

/// Verbs on one kind.
#[derive(Clone, Debug)]
pub struct Access {
    /// The kind.
    pub kind: KindEntry,
    /// What may be done to its objects.
    pub verbs: Vec<Verb>,
}

impl Access {
    /// These verbs on a kind.
    pub fn to<K: Kind>(verbs: &[Verb]) -> Self {
        Self { kind: KindEntry::of::<K>(), verbs: verbs.to_vec() }
    }

    /// To the reconciled kind: its status too, if it has one. To [`Cluster`] there is none.
    pub fn own<K: Kind>(verbs: &[Verb]) -> Self {
        let status = K::CONDITIONS.is_some().then_some(Verb::Status);
        let verbs = verbs.iter().copied().chain(status);
        Self { verbs: verbs.filter(|_| !K::INFO.is_cluster()).collect(), ..Self::to::<K>(&[]) }
    }

    /// What the filler of a port reads.
    pub fn of_port<P: Port>() -> impl Iterator<Item = Self> {
        P::Reads::kinds().into_iter().map(|kind| Self { kind, verbs: vec![Verb::Read] })
    }

    /// One entry for each kind, by whatever names it was declared; without those of which nothing is wanted.
    pub fn merged(all: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for access in all.into_iter().filter(|access| !access.verbs.is_empty()) {
            match merged.iter_mut().find(|known| (known.kind.type_id)() == (access.kind.type_id)()) {
                Some(known) => {
                    known.verbs.extend(access.verbs);
                    known.verbs.sort();
                    known.verbs.dedup();
                }
                None => merged.push(access),
            }
        }
        merged
    }
}

/// A change of one object, as a wake-up map sees it.
#[derive(Debug)]
pub struct Change<'a, K> {
    /// `None` when it was created.
    pub old: Option<&'a K>,
    /// `None` when it is gone.
    pub new: Option<&'a K>,
}

type WakeMap = dyn Fn(Option<&dyn AnyObject>, Option<&dyn AnyObject>, &Cut) -> Vec<ObjectKey> + Send + Sync;

/// Which keys of the controller's kind a change of another kind concerns.
#[derive(Clone)]
pub struct Wake {
    /// The kind.
    pub kind: KindEntry,
    /// Whether the reconciled kind owns the objects.
    pub owned: bool,
    /// From a change to the keys of the reconciled kind.
    pub map: Arc<WakeMap>,
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wake({:?})", self.kind)
    }
}

impl Wake {
    /// `watches(K => map)`: the map names the keys.
    pub fn by<K: Kind>(map: fn(&Change<'_, K>, &Cut) -> Vec<ObjectKey>) -> Self {
        let map = move |old: Option<&dyn AnyObject>, new: Option<&dyn AnyObject>, cut: &Cut| {
            let typed = Change {
                old: old.and_then(|object| object.as_any().downcast_ref::<K>()),
                new: new.and_then(|object| object.as_any().downcast_ref::<K>()),
            };
            map(&typed, cut)
        };
        Self { kind: KindEntry::of::<K>(), owned: false, map: Arc::new(map) }
    }

    /// `owns(K)`: the owner of kind `O` that the object names as its controller.
    pub fn owner<O: Kind, K: Kind>() -> Self {
        let map = move |old: Option<&dyn AnyObject>, new: Option<&dyn AnyObject>, cut: &Cut| {
            let owners = [old, new].into_iter().flatten().flat_map(|object| object.owners());
            let mut keys: Vec<ObjectKey> = owners
                .filter(|owner| owner.controller && owner.kind == O::INFO.kind)
                .filter_map(|owner| cut.store::<O>()?.by_uid(&owner.uid).map(|object| object.key()))
                .collect();
            keys.dedup();
            keys
        };
        Self { kind: KindEntry::of::<K>(), owned: true, map: Arc::new(map) }
    }
}

/// An event that a controller may emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventInfo {
    /// PascalCase, what users grep for.
    pub reason: &'static str,
    /// Whether it is a Warning; otherwise it is Normal.
    pub warning: bool,
    /// What it means, for the reference page.
    pub doc: &'static str,
}

/// All that a controller declared.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Kebab case; in logs, metrics, RBAC and the field manager.
    pub name: &'static str,
    /// The first sentence of the controller's documentation.
    pub doc: &'static str,
    /// The feature gate that switches it; `None` is always on.
    pub feature: Option<&'static str>,
    /// The reconciled kind.
    pub of: KindEntry,
    /// All that it may read and write, each kind once.
    pub access: Vec<Access>,
    /// The other kinds whose changes wake it.
    pub wakes: Vec<Wake>,
    /// The events that it may emit.
    pub events: &'static [EventInfo],
    /// Its own metrics.
    pub metrics: &'static [MetricInfo],
    /// Names of the ports that it asks.
    pub ports: &'static [&'static str],
    /// An object is not looked at again before this long after its last look for what others do, or for what its own look
    /// has changed. Edits of the object, answers and replies are not delayed. [`LEAST_INTERVAL`] unless said otherwise.
    pub least_interval: Duration,
}

/// The least interval of a controller that does not say one.
pub const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// A kind as the engine sees it: its facts, and how to make an empty store and watch for it.
#[derive(Clone, Copy)]
pub struct KindEntry {
    /// Where the API server keeps it.
    pub info: KindInfo,
    /// As [`Kind::CONDITIONS`].
    pub conditions: Option<crate::condition::ConditionSet>,
    /// As [`Kind::STATES`].
    pub states: Edges,
    /// As [`Kind::SAMPLE`].
    pub sample: Option<&'static str>,
    /// As [`Kind::words`].
    pub words: fn() -> Vec<Words>,
    /// Tells the type from others of one name.
    pub type_id: fn() -> TypeId,
    /// Makes an empty store.
    pub empty: fn() -> Arc<dyn AnyKindStore>,
    /// Starts its watch; `None` for [`Cluster`].
    pub watch: Option<crate::store::watch::Start>,
    /// Puts an object into its store, from JSON: for replays.
    pub restore: fn(Cut, Value) -> Result<Cut, serde_json::Error>,
}

impl KindEntry {
    /// The kind `K`.
    pub fn of<K: Kind>() -> Self {
        Self {
            info: K::INFO,
            conditions: K::CONDITIONS,
            states: K::STATES,
            sample: K::SAMPLE,
            words: K::words,
            type_id: TypeId::of::<K>,
            empty: || Arc::new(KindStore::<K>::default()),
            restore: |cut, object| Ok(cut.with(serde_json::from_value::<K>(object)?)),
            watch: (TypeId::of::<K>() != TypeId::of::<Cluster>()).then_some(crate::store::watch::start::<K>),
        }
    }
}

impl fmt::Debug for KindEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

/// An event constant, typed by its controller so that nobody else can say it.
pub struct Event<C> {
    /// What it says.
    pub info: EventInfo,
    controller: std::marker::PhantomData<fn() -> C>,
}

impl<C> Event<C> {
    /// Written by `#[controller]`.
    pub const fn new(info: EventInfo) -> Self {
        Self { info, controller: std::marker::PhantomData }
    }
}

impl<C> Clone for Event<C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for Event<C> {}

impl<C> fmt::Debug for Event<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info.reason)
    }
}
