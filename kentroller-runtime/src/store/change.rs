//! A store without its type: what the engine needs of a kind that it does not know.

use std::any::Any;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::watch::Unreadable;
use crate::kind::{Kind, KindInfo, Metadata, ObjectKey, Owner};

/// One object without its type.
pub trait AnyObject: Send + Sync {
    /// To get the type back.
    fn as_any(&self) -> &dyn Any;
    /// What names it.
    fn key(&self) -> ObjectKey;
    /// What tells it from others of its name.
    fn uid(&self) -> &str;
    /// The version that was read.
    fn resource_version(&self) -> &str;
    /// Counts the edits of its spec.
    fn generation(&self) -> i64;
    /// All owners.
    fn owners(&self) -> Vec<Owner>;
    /// All of it that is kept.
    fn to_json(&self) -> Value;
    /// As [`Kind::status_json`].
    fn status_json(&self) -> Value;
}

impl<K: Kind> AnyObject for K {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn key(&self) -> ObjectKey {
        Kind::key(self)
    }
    fn uid(&self) -> &str {
        self.meta().uid()
    }
    fn resource_version(&self) -> &str {
        self.meta().resource_version()
    }
    fn generation(&self) -> i64 {
        self.meta().generation()
    }
    fn owners(&self) -> Vec<Owner> {
        self.meta().owners()
    }
    fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("a kind is made of JSON, and of maps with text for keys")
    }
    fn status_json(&self) -> Value {
        Kind::status_json(self)
    }
}

/// One change that a store went through.
pub struct Changed {
    /// The kind of the object.
    pub kind: KindInfo,
    /// The object.
    pub key: ObjectKey,
    /// `None` when it was created.
    pub old: Option<Arc<dyn AnyObject>>,
    /// `None` when it is gone.
    pub new: Option<Arc<dyn AnyObject>>,
}

impl std::fmt::Debug for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match (&self.old, &self.new) {
            (None, Some(_)) => "added",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "gone",
            (None, None) => "nothing",
        };
        write!(f, "{:?} {} {what}", self.kind, self.key)
    }
}

/// What a store knows of one object, by uid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It is there, at this version.
    Present {
        /// Its resourceVersion as a number; 0 if it is none.
        version: u64,
        /// Whether its deletion was asked for.
        deleting: bool,
    },
    /// It was there and is gone.
    Gone,
    /// Not there, and never seen.
    NeverSeen,
    /// It is there in a state that does not decode: nothing can be said of it.
    Unreadable,
    /// No controller reads this kind.
    Unwatched,
}

/// A store without its type.
pub trait AnyKindStore: Send + Sync {
    /// To get the type back.
    fn as_any(&self) -> &dyn Any;
    /// The kind of its objects.
    fn kind(&self) -> KindInfo;
    /// How many objects it holds.
    fn count(&self) -> usize;
    /// Whether it was listed.
    fn synced(&self) -> bool;
    /// The newest resourceVersion that its watch has delivered.
    fn revision(&self) -> u64;
    /// The same store, to be changed: what both hold is shared.
    fn fork(&self) -> Arc<dyn AnyKindStore>;
    /// Takes in what its watch read, and says what changed.
    fn apply(&mut self, body: Box<dyn Any + Send>, now: Timestamp) -> Vec<Changed>;
    /// Its watch has proved to be up to date.
    fn prove(&mut self, now: Timestamp);
    /// When its watch last proved to be up to date; `None` of a store that nothing was watched for.
    fn proven(&self) -> Option<Timestamp>;
    /// What is there in a state that does not decode.
    fn unreadable(&self) -> Vec<&Unreadable>;
    /// One object, if it is there.
    fn object(&self, key: &ObjectKey) -> Option<Arc<dyn AnyObject>>;
    /// The keys of all objects, in order.
    fn keys(&self) -> Vec<ObjectKey>;
    /// What is known of the object of this key and uid.
    fn sighting(&self, key: &ObjectKey, uid: &str) -> Sighting;
}
