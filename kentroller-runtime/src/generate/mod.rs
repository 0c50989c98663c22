//! Types to bytes: CRDs, RBAC, schemas and reference pages are read from the declarations. Nothing here touches a disk.

pub mod alerts;
#[cfg(feature = "simulation")]
mod cel;
pub mod chart;
pub mod crd;
pub mod dashboard;
pub mod mistakes;
pub mod outline;
pub mod rbac;
pub mod reference;
#[cfg(feature = "simulation")]
mod samples;
pub mod scaffold;
pub mod schema;
pub mod unused;
pub mod widening;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::declaration::KindEntry;
use crate::kind::{Kind, KindInfo};
use crate::words::{Edges, Words};

/// A kind of this project, as the generated files tell of it.
#[derive(Clone, Copy, Debug)]
pub struct OwnKind {
    /// Where the API server keeps it.
    pub info: KindInfo,
    crd: fn() -> CustomResourceDefinition,
    /// Its conditions, with their reasons; `None` for a kind without a status.
    pub conditions: Option<crate::condition::ConditionSet>,
    /// Which `status.state` may follow which.
    pub states: Edges,
    /// An example in YAML.
    pub sample: Option<&'static str>,
    /// The words that its fields may hold.
    pub words: fn() -> Vec<Words>,
}

impl OwnKind {
    /// A kind of this project; `None` for one of others.
    pub fn of<K: Kind>() -> Option<Self> {
        Self::declared(&KindEntry::of::<K>())
    }

    /// The kind that a controller reconciles; `None` for one of others.
    pub fn declared(kind: &KindEntry) -> Option<Self> {
        let KindEntry { info, conditions, states, sample, words, .. } = *kind;
        Some(Self { info, crd: info.crd?, conditions, states, sample, words })
    }

    /// The CRD, as it is applied.
    pub fn crd(&self) -> CustomResourceDefinition {
        (self.crd)()
    }
}
