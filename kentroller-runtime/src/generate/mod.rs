//! Types to bytes: CRDs, RBAC, schemas and reference pages are read from the declarations. Nothing here touches a disk.

pub mod crd;
pub mod outline;
pub mod rbac;
pub mod reference;
pub mod schema;
pub mod widening;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::condition::ConditionType;
use crate::kind::{HasStatus, Kind, KindInfo};

/// A kind of this project, as the generated files tell of it.
#[derive(Clone, Copy, Debug)]
pub struct OwnKind {
    pub info: KindInfo,
    crd: fn() -> CustomResourceDefinition,
    /// Its condition types besides the summary, with their meanings; `None` for a kind without a status.
    pub conditions: Option<&'static [(&'static str, &'static str)]>,
}

impl OwnKind {
    /// A kind whose status our controllers write.
    pub fn of<K: HasStatus + CustomResourceExt>() -> Self {
        Self { conditions: Some(K::Condition::ALL), ..Self::without_status::<K>() }
    }

    /// A kind that is only a record.
    pub fn without_status<K: Kind + CustomResourceExt>() -> Self {
        Self { info: K::INFO, crd: || crd::finished(K::crd()), conditions: None }
    }

    /// The CRD, as it is applied.
    pub fn crd(&self) -> CustomResourceDefinition {
        (self.crd)()
    }
}
