//! What a reconcile sees: one cut of everything its controller declared, the time, the settings, and what became of its
//! own effects.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::capability::{Asks, Reads};
use crate::declaration::{Controller, Reconcile};
use crate::kind::{Kind, KindInfo, Metadata as _, ObjectKey};
use crate::outcome::Outcome;
use crate::port::{Answer, Port};
use crate::store::{Cut, KindStore, Lookup, Objects};

/// What became of an effect the last time it was tried. Kept in memory: after a restart there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// The API server took it.
    Accepted {
        /// When.
        at: Timestamp,
    },
    /// Refused by the API server, a guard or the engine itself.
    Refused {
        /// HTTP code; 0 when no answer came or the engine refused.
        code: u16,
        /// In PascalCase, as the API server says it.
        reason: String,
        /// What it says for people.
        message: String,
        /// Since when it has been refused without interruption.
        since: Timestamp,
        /// How often in a row.
        count: u32,
        /// Before, the engine does not send it again, unless its object or the reconciled one's spec has changed. Doubles from
        /// a second to five minutes; to ten seconds where no more than time has to pass (an eviction, a guard).
        #[serde(default)]
        retry_at: Timestamp,
    },
}

impl Reply {
    /// When the effect may be sent again; `None` when it was accepted.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::Accepted { .. } => None,
            Self::Refused { retry_at, .. } => Some(*retry_at),
        }
    }
}

/// Replies by effect key.
pub type Replies = OrdMap<String, Reply>;

/// One cut of everything that controller `C` declared.
#[derive(Debug)]
pub struct World<C: Controller> {
    cut: Cut,
    now: Timestamp,
    settings: Arc<C::Settings>,
    replies: Replies,
    read: RefCell<ReadSet>,
    controller: PhantomData<fn() -> C>,
}

/// What a reconcile looked at: with its result it makes a record that can be replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSet {
    /// The kinds of which anything was read.
    pub kinds: BTreeSet<KindInfo>,
    /// Questions by the name of their port and their key.
    pub answers: BTreeSet<(&'static str, String)>,
}

impl<C: Controller> World<C> {
    /// Made by the engine, and by [`crate::testing`].
    pub fn new(cut: Cut, now: Timestamp, settings: Arc<C::Settings>, replies: Replies) -> Self {
        Self { cut, now, settings, replies, read: RefCell::default(), controller: PhantomData }
    }

    pub(crate) fn into_read(self) -> ReadSet {
        self.read.into_inner()
    }

    /// Whether the feature that the controller declared is on: false in [`Reconcile::disabled`] alone.
    pub fn enabled(&self) -> bool {
        C::enabled(&self.settings)
    }

    /// The time of this reconcile.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The settings in force.
    pub fn settings(&self) -> &C::Settings {
        &self.settings
    }

    /// The namespace that the operator lives in: where its own objects belong.
    pub fn namespace(&self) -> &str {
        self.cut.namespace()
    }

    /// All objects of a kind, ordered by namespace and name.
    pub fn all<K: Kind>(&self) -> Objects<'_, K>
    where
        C: Reads<K>,
    {
        self.store::<K>().map(KindStore::all).unwrap_or_default()
    }

    /// What is known of one object; tells "gone" from "never seen".
    pub fn lookup<K: Kind>(&self, key: &ObjectKey) -> Lookup<'_, K>
    where
        C: Reads<K>,
    {
        self.store::<K>().map_or(Lookup::NeverSeen, |store| store.lookup(key))
    }

    /// One cluster-scoped object by name.
    pub fn named<K: Kind>(&self, name: &str) -> Option<&K>
    where
        C: Reads<K>,
    {
        self.lookup(&ObjectKey::cluster(name)).present()
    }

    /// The objects that name `owner` among their owners, by uid.
    pub fn owned<K: Kind>(&self, owner: &impl Kind) -> Vec<&K>
    where
        C: Reads<K>,
    {
        self.owned_by(owner.uid())
    }

    /// The objects whose [`Kind::index_key`] is `index`.
    pub fn indexed<K: Kind>(&self, index: &str) -> Vec<&K>
    where
        C: Reads<K>,
    {
        self.store::<K>().into_iter().flat_map(|store| store.indexed_under(index)).collect()
    }

    /// The objects that name the owner with this uid.
    pub fn owned_by<K: Kind>(&self, uid: &str) -> Vec<&K>
    where
        C: Reads<K>,
    {
        self.store::<K>().into_iter().flat_map(|store| store.owned_by(uid)).collect()
    }

    /// What is computed from all objects of a kind.
    pub fn view<K: Kind>(&self) -> K::View
    where
        C: Reads<K>,
    {
        self.store::<K>().map(|store| store.view().clone()).unwrap_or_default()
    }

    /// How long ago the watch of a kind last proved to be up to date: by a list, an event, a bookmark or its end in time, of which a
    /// watch that is well brings one every 40 s. Past 60 s of any kind that the controller declared the engine refuses to delete or evict.
    pub fn age<K: Kind>(&self) -> Duration
    where
        C: Reads<K>,
    {
        self.read.borrow_mut().kinds.insert(K::INFO);
        self.cut.age(K::INFO, self.now)
    }

    /// What became of the effect with this key when it was last tried.
    pub fn reply(&self, effect: &str) -> Option<&Reply> {
        self.replies.get(effect)
    }

    /// What became of the question that was asked about this object as it stands; `None` if it was not asked, or an edit
    /// of the object came since.
    pub fn answer<P: Port>(&self, object: &C::Of) -> Option<&Answer<P>>
    where
        C: Asks<P>,
    {
        let key = crate::port::question_key(C::Of::INFO, object.uid(), object.meta().generation());
        let answer = self.cut.answer::<P>(&key);
        self.read.borrow_mut().answers.insert((P::NAME, key));
        answer
    }

    fn store<K: Kind>(&self) -> Option<&KindStore<K>> {
        self.read.borrow_mut().kinds.insert(K::INFO);
        self.cut.store::<K>()
    }
}

impl<C: Reconcile> World<C> {
    /// An empty outcome for the object.
    pub fn outcome(&self, object: &C::Of) -> Outcome<C> {
        Outcome::of(object, self.now)
    }
}
