//! What the runtime must know of a type to watch, store and write it.

mod meta;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::meta::{Meta, Metadata, Owner};
use crate::store::View;
use crate::store::share::Pool;
use crate::words::{Edges, Words};

/// The static facts of a kind: where the API server keeps it, and whether it is one of ours.
#[derive(Clone, Copy)]
pub struct KindInfo {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Such as `v1`.
    pub version: &'static str,
    /// In PascalCase.
    pub kind: &'static str,
    /// Lower-case plural, as in URLs and RBAC.
    pub plural: &'static str,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
    /// Makes the CRD; `None` for kinds that other people define.
    pub crd: Option<fn() -> CustomResourceDefinition>,
}

impl KindInfo {
    /// Whether this project defines the kind. Mode `observe` writes to no other.
    pub fn ours(&self) -> bool {
        self.crd.is_some()
    }

    /// Whether it is [`Cluster`], which no API server keeps. A kind of that name in somebody's group is not.
    pub const fn is_cluster(&self) -> bool {
        self.plural.is_empty()
    }

    /// `v1` or `group/version`, as in manifests.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of the collection, or of one object of it.
    pub fn path(&self, namespace: &str, name: Option<&str>) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if self.namespaced && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(&crate::wire::escape(namespace));
        }
        path.push('/');
        path.push_str(self.plural);
        if let Some(name) = name {
            path.push('/');
            path.push_str(&crate::wire::escape(name));
        }
        path
    }
}

impl fmt::Debug for KindInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.kind)
    }
}

impl PartialEq for KindInfo {
    fn eq(&self, other: &Self) -> bool {
        (self.group, self.kind) == (other.group, other.kind)
    }
}
impl Eq for KindInfo {}
impl PartialOrd for KindInfo {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for KindInfo {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.group, self.kind).cmp(&(other.group, other.kind))
    }
}

/// Names one object of a kind. Orders by namespace, then name; the namespace of a cluster-scoped object is empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Empty for a cluster-scoped object.
    pub namespace: Arc<str>,
    /// Unique in its namespace.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of a cluster-scoped object.
    pub fn cluster(name: impl Into<Arc<str>>) -> Self {
        Self { namespace: Arc::from(""), name: name.into() }
    }

    /// The key of an object in a namespace.
    pub fn namespaced(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A kind that the runtime can watch, store and write. Implemented by `#[resource]`.
pub trait Kind: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Where the API server keeps it.
    const INFO: KindInfo;
    /// The conditions of a kind of ours, with their reasons; `None` without a status.
    const CONDITIONS: Option<crate::condition::ConditionSet> = None;
    /// Which `status.state` may follow which; empty for a kind without states.
    const STATES: Edges = &[];
    /// An example in YAML: the one in the doc comment of the spec of a kind of ours.
    const SAMPLE: Option<&'static str> = None;
    /// Whether a cluster may do without the kind: where the API server does not serve it, there is none. Where it was
    /// served before, what was read stands.
    const OPTIONAL: bool = false;
    /// A field selector: of the objects of the kind only those are read that it selects. Empty for all.
    const ONLY: &'static str = "";
    /// Its metadata, whole or projected.
    type Meta: Metadata;
    /// What is computed from all objects of this kind; `()` for nothing.
    type View: View<Self>;

    /// Its metadata.
    fn meta(&self) -> &Self::Meta;

    /// The words that fields of a kind of ours may hold, each with the field's place.
    fn words() -> Vec<Words> {
        Vec::new()
    }

    /// The status in JSON; `Null` of a kind without one.
    fn status_json(&self) -> Value {
        Value::Null
    }

    /// A second key under which [`crate::World::indexed`] finds objects of this kind: the node of a pod, say.
    fn index_key(&self) -> Option<&str> {
        None
    }

    /// Replaces parts that equal a part seen before by that part, so that a store keeps it once.
    fn share(&mut self, _pool: &mut Pool) {}

    /// What names it.
    fn key(&self) -> ObjectKey {
        ObjectKey { namespace: self.meta().namespace_arc(), name: self.meta().name_arc() }
    }
    /// Its name.
    fn name(&self) -> &str {
        self.meta().name()
    }
    /// What tells it from others of its name, before and after it.
    fn uid(&self) -> &str {
        self.meta().uid()
    }
    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str> {
        self.meta().labels().get(key).map(String::as_str)
    }
    /// The value of an annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.meta().annotations().get(key).map(String::as_str)
    }
    /// The reference by which this object owns another as its controller.
    fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: Self::INFO.api_version(),
            kind: Self::INFO.kind.to_owned(),
            name: self.name().to_owned(),
            uid: self.uid().to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
    /// When deletion was asked for, while finalizers or a grace period still hold the object.
    fn deleting(&self) -> Option<Timestamp> {
        self.meta().deleting()
    }
    /// When it was made.
    fn created(&self) -> Timestamp {
        self.meta().created()
    }
}

/// A kind with a status that one of our controllers owns. Implemented by `#[resource]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no status of ours: there is no place for a status or a condition",
    note = "a kind of ours: add `status = …` to its #[resource(…)]; somebody else's: tell it with `out.event(…)`"
)]
pub trait HasStatus: Kind {
    /// What its controller says of it.
    type Status: Clone + Default + Serialize + DeserializeOwned + fmt::Debug;
    /// The condition types besides `Ready`, `Reconciling` and `Stalled`.
    type Condition: crate::condition::ConditionType;

    /// What was said last.
    fn status(&self) -> Option<&Self::Status>;
}

/// The one object that a controller without a kind reconciles: it is always there and has no status.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name is [`Cluster::NAME`].
    pub metadata: Meta,
}

impl Cluster {
    /// The name of the only object of this kind.
    pub const NAME: &'static str = "cluster";
}

impl Kind for Cluster {
    const INFO: KindInfo =
        KindInfo { group: "", version: "", kind: "Cluster", plural: "", namespaced: false, crd: None };
    type Meta = Meta;
    type View = ();

    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: KindInfo =
        KindInfo { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true, crd: None };
    const CLAIM: KindInfo = KindInfo {
        group: "karpenter.sh",
        version: "v1",
        kind: "NodeClaim",
        plural: "nodeclaims",
        namespaced: false,
        crd: None,
    };

    #[test]
    fn paths_are_those_of_the_api_server() {
        assert_eq!(POD.path("", None), "/api/v1/pods");
        assert_eq!(POD.path("shop", Some("cart-1")), "/api/v1/namespaces/shop/pods/cart-1");
        assert_eq!(CLAIM.path("", Some("a")), "/apis/karpenter.sh/v1/nodeclaims/a");
    }
}
