//! What the author of a controller tests with: one decision as a pure function ([`given`], [`check`](Given::check)), and,
//! with feature `simulation`, a whole operator against an API server in the process ([`play()`]).

mod objects;
#[cfg(feature = "simulation")]
mod played;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

pub use self::objects::{Manifest, deleting, held, object, sample, stored};
#[cfg(feature = "simulation")]
pub use self::played::{Played, play};
use crate::capability::Asks;
use crate::declaration::{Controller, Reconcile, decide};
use crate::engine;
use crate::failure::Failure;
use crate::kind::{Kind, Metadata as _};
use crate::outcome::Decided;
use crate::port::{Answer, Port, question_key};
use crate::settings::Settings;
use crate::store::Cut;
use crate::world::{Replies, Reply, World};

/// Lines of a decision that a test may be silent about, by their sort.
const ASIDE: [&[&str]; 2] = [&["mark "], &["count ", "set ", "observe "]];

/// An empty World of controller `C` with the defaults of its settings, at the beginning of 1970.
///
/// # Panics
/// When a default of the settings is wrong.
#[allow(clippy::panic, reason = "a test that cannot begin says why")]
pub fn given<C: Reconcile>() -> Given<C>
where
    C::Settings: Settings,
{
    match C::Settings::from_env(&|_| None) {
        Ok(settings) => Given::with_settings(settings),
        Err(mistakes) => panic!("the defaults of the settings are wrong: {mistakes:?}"),
    }
}

/// What a controller sees in a test.
///
/// ```
/// use kentroller_runtime::prelude::*;
/// use kentroller_runtime::testing::{given, object};
/// # #[resource(foreign, group = "", version = "v1", kind = "ConfigMap", plural = "configmaps", namespaced)]
/// # pub struct ConfigMap { pub metadata: Meta }
/// # mod settings {
/// #     /// What can be set.
/// #     #[derive(Clone, Debug, kentroller_runtime::Settings)]
/// #     pub struct Settings {
/// #         /// Whether anything is swept.
/// #         #[setting(env = "SWEEPS", default = true)]
/// #         pub sweeps: bool,
/// #     }
/// #     impl kentroller_runtime::Switches for Settings {}
/// # }
///
/// /// Sweeps ConfigMaps that say so.
/// #[controller(of = ConfigMap, feature = "sweeps", writes(ConfigMap: delete), events(Swept = "A ConfigMap is gone."))]
/// pub struct Sweeper;
///
/// impl Reconcile for Sweeper {
///     fn reconcile(map: &ConfigMap, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
///         let mut out = world.outcome(map);
///         if map.label("sweep") == Some("yes") {
///             out.delete(map).says(Self::Swept, "it asked for it");
///         }
///         Ok(out)
///     }
/// }
///
/// # fn main() {
/// let map: ConfigMap = object(serde_json::json!({"metadata": {"name": "a", "namespace": "b", "labels": {"sweep": "yes"}}}));
/// given::<Sweeper>().at("2026-11-22T10:00:00Z").with(map.clone()).check(&map, "delete ConfigMap b/a");
/// # }
/// ```
#[derive(Debug)]
pub struct Given<C: Controller> {
    cut: Cut,
    now: Timestamp,
    settings: Arc<C::Settings>,
    replies: Replies,
}

impl<C: Reconcile> Given<C> {
    /// An empty World with these settings.
    pub fn with_settings(settings: C::Settings) -> Self {
        let cut = Cut::empty(&engine::kinds(&[C::declaration()]));
        Self { cut, now: Timestamp::UNIX_EPOCH, settings: Arc::new(settings), replies: Replies::new() }
    }

    /// With other settings: `.set(|settings| settings.reaping = false)`.
    #[must_use]
    pub fn set(mut self, change: impl FnOnce(&mut C::Settings)) -> Self {
        // Nobody else has them yet.
        Arc::get_mut(&mut self.settings).map(change);
        self
    }

    /// At this time, such as `2026-11-22T10:00:00Z`.
    ///
    /// # Panics
    /// When it is no time.
    #[allow(clippy::panic, reason = "a test that cannot begin says why")]
    #[must_use]
    pub fn at(mut self, time: &str) -> Self {
        self.now = time.parse().unwrap_or_else(|error| panic!("{time} is no time: {error}"));
        self
    }

    /// As seen by an operator in this namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.cut = self.cut.of_operator_in(namespace);
        self
    }

    /// With an object in its store. The reconciled object is there by itself.
    #[must_use]
    pub fn with<K: Kind>(mut self, object: K) -> Self {
        self.cut = self.cut.with(object);
        self
    }

    /// With several objects of a kind.
    #[must_use]
    pub fn with_all<K: Kind>(self, objects: impl IntoIterator<Item = K>) -> Self {
        objects.into_iter().fold(self, Self::with)
    }

    /// With an object that the other one owns as its controller.
    #[must_use]
    pub fn with_owned<K: Kind>(self, owner: &impl Kind, object: &K) -> Self {
        let mut tree = serde_json::to_value(object).expect("a kind is made of JSON, and of maps with text for keys");
        tree["metadata"]["ownerReferences"] = json!([owner.owner_reference()]);
        self.with(self::object::<K>(tree))
    }

    /// After this became of an effect.
    #[must_use]
    pub fn after(mut self, effect: &str, reply: Reply) -> Self {
        self.replies.insert(effect.to_owned(), reply);
        self
    }

    /// After a question about the object as it stands became this.
    #[must_use]
    pub fn answered<P: Port>(mut self, object: &C::Of, answer: Answer<P>) -> Self
    where
        C: Asks<P>,
    {
        let key = question_key(C::Of::INFO, object.uid(), object.meta().generation());
        self.cut.set_answer::<P>(key.into(), answer);
        self
    }

    /// What the controller decides about the object.
    ///
    /// # Errors
    /// The failure that it returned, or that the API server would refuse what it decided.
    pub fn decide(&self, object: &C::Of) -> Result<Decided, Failure> {
        let cut = self.cut.clone().with(object.clone());
        let world = World::<C>::new(cut, self.now, Arc::clone(&self.settings), self.replies.clone());
        decide(object, &world)
    }

    /// Checks the decision against lines such as `delete ConfigMap b/a`, `event  Normal Swept: it asked for it` or
    /// `look   2026-11-22T12:00:00Z`. Lines of conditions (`mark …`) count if at least one of them is expected, and so do
    /// lines of metrics (`count …`, `set …`, `observe …`).
    ///
    /// # Panics
    /// When it is another decision, or none.
    #[allow(clippy::panic, reason = "that is how a test fails")]
    #[track_caller]
    pub fn check(&self, object: &C::Of, want: &str) {
        let decided = match self.decide(object) {
            Ok(decided) => decided.to_string(),
            Err(failure) => format!("fails  {failure}"),
        };
        let want: Vec<&str> = want.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let has = |sorts: &[&str], line: &str| sorts.iter().any(|sort| line.starts_with(sort));
        let left_out = ASIDE.iter().filter(|sorts| !want.iter().any(|line| has(sorts, line)));
        let left_out: Vec<_> = left_out.collect();
        let found = decided.lines().filter(|line| !left_out.iter().any(|sorts| has(sorts, line)));
        let found: Vec<&str> = found.collect();
        assert_eq!(found, want, "found on the left, wanted on the right");
    }
}
