//! A store without its type: what the engine needs of a kind that it does not know.

use std::any::Any;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::watch::Unreadable;
use crate::kind::{Kind, KindInfo, Metadata, ObjectKey, Owner};

/// One object without its type.
pub trait AnyObject: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn key(&self) -> ObjectKey;
    fn uid(&self) -> &str;
    fn resource_version(&self) -> &str;
    fn generation(&self) -> i64;
    fn owners(&self) -> Vec<Owner>;
    fn to_json(&self) -> Value;
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
    pub kind: KindInfo,
    pub key: ObjectKey,
    pub old: Option<Arc<dyn AnyObject>>,
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
    Present { version: u64, deleting: bool },
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
    fn as_any(&self) -> &dyn Any;
    fn kind(&self) -> KindInfo;
    /// How many objects it holds.
    fn count(&self) -> usize;
    fn synced(&self) -> bool;
    /// The newest resourceVersion that its watch has delivered.
    fn revision(&self) -> u64;
    fn fork(&self) -> Arc<dyn AnyKindStore>;
    fn apply(&mut self, body: Box<dyn Any + Send>, now: Timestamp) -> Vec<Changed>;
    /// Its watch has proved to be up to date.
    fn prove(&mut self, now: Timestamp);
    /// When its watch last proved to be up to date; `None` of a store that nothing was watched for.
    fn proven(&self) -> Option<Timestamp>;
    /// What is there in a state that does not decode.
    fn unreadable(&self) -> Vec<&Unreadable>;
    fn object(&self, key: &ObjectKey) -> Option<Arc<dyn AnyObject>>;
    fn keys(&self) -> Vec<ObjectKey>;
    fn sighting(&self, key: &ObjectKey, uid: &str) -> Sighting;
}
