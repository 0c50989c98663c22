//! A copy of a cluster: what a dump tells of it, put on a server so that the world goes on from there.
//!
//! Data flow: `Dumped` (objects by kind) → `nodes` (pools, claims and nodes that fit each other) and `owners` (somebody who makes
//! each pod again) → the server. `times` reads from the same objects how long things take, `gaps` says what they do not tell.

mod gaps;
mod nodes;
mod owners;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kentroller_runtime::simulation::apiserver::{ApiServer, DeleteOptions};
use serde_json::{Value, json};

use crate::catalogue::{Catalogue, INSTANCE_TYPE, ZONE};
use crate::hands::text;
use crate::room::Amounts;
use crate::seen::is_leaving;

pub use times::Measured;

/// A cluster as its objects tell it.
#[derive(Clone, Debug, Default)]
pub struct Dumped {
    by_kind: BTreeMap<String, Vec<Value>>,
}

/// An object that cannot be copied, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncopied {
    pub object: String,
    pub why: String,
}

impl fmt::Display for Uncopied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.why)
    }
}

impl std::error::Error for Uncopied {}

/// Kinds that are put on the server as they are, in this order.
const PLAIN: [&str; 8] = [
    "Namespace",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CSINode",
    "PodTemplate",
    "CapacityBuffer",
    "NodeOverlay",
    "PodDisruptionBudget",
];

impl Dumped {
    /// The cluster of these objects, each of which names its kind.
    pub fn of(objects: impl IntoIterator<Item = Value>) -> Self {
        let mut by_kind: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for mut object in objects {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                for field in ["resourceVersion", "managedFields", "selfLink", "generateName"] {
                    metadata.remove(field);
                }
            }
            by_kind.entry(text(&object["kind"])).or_default().push(object);
        }
        Self { by_kind }
    }

    pub fn count(&self, kind: &str) -> usize {
        self.of_kind(kind).len()
    }

    pub(crate) fn of_kind(&self, kind: &str) -> &[Value] {
        self.by_kind.get(kind).map(Vec::as_slice).unwrap_or_default()
    }

    /// Zones in which nodes are, or that node classes have subnets in.
    pub fn zones(&self) -> BTreeSet<String> {
        let of_nodes = self.of_kind("Node").iter().filter_map(|node| node["metadata"]["labels"][ZONE].as_str());
        let classes = self.of_kind("EC2NodeClass").iter();
        let subnets = classes.filter_map(|class| class["status"]["subnets"].as_array()).flatten();
        of_nodes.chain(subnets.filter_map(|subnet| subnet["zone"].as_str())).map(str::to_owned).collect()
    }

    /// Puts the cluster on an empty server, and teaches the catalogue what its machines have.
    ///
    /// # Errors
    /// The first object that the server refuses.
    pub fn build(&self, server: &ApiServer, catalogue: &mut Catalogue) -> Result<(), Uncopied> {
        for node in self.of_kind("Node") {
            let amounts = |field: &str| amounts(&node["status"][field]);
            if let (Some(name), true) = (node["metadata"]["labels"][INSTANCE_TYPE].as_str(), node["status"].is_object())
            {
                catalogue.measure(name, amounts("capacity"), amounts("allocatable"));
            }
        }
        for object in PLAIN.iter().flat_map(|kind| self.of_kind(kind)) {
            seed(server, object.clone())?;
        }
        let uids = nodes::put(self, server)?;
        owners::put(self, server, &uids)?;
        for kind in ["NodeClaim", "Node"] {
            for leaving in self.of_kind(kind).iter().filter(|object| is_leaving(object)) {
                let name = text(&leaving["metadata"]["name"]);
                let told = server.delete(kind, None, &name, &DeleteOptions::default());
                told.map_err(|refusal| Uncopied { object: format!("{kind} {name}"), why: refusal.message })?;
            }
        }
        Ok(())
    }
}

fn amounts(list: &Value) -> Amounts {
    Amounts::of_node(&serde_json::from_value(list.clone()).unwrap_or_default())
}

/// Puts an object on the server; its uid is returned.
fn seed(server: &ApiServer, object: Value) -> Result<String, Uncopied> {
    let place = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
    let name = [place("namespace"), place("name")].into_iter().flatten().collect::<Vec<_>>().join("/");
    let told = format!("{} {name}", text(&object["kind"]));
    match server.seed(object) {
        Ok(seeded) => Ok(text(&seeded["metadata"]["uid"])),
        Err(refusal) => Err(Uncopied { object: told, why: refusal.message }),
    }
}

/// Sets a field that is not there.
fn fill(object: &mut Value, field: &str, value: Value) {
    if object[field].is_null() {
        object[field] = value;
    }
}

/// Adds a finalizer unless it is there.
fn hold(object: &mut Value, finalizer: &str) {
    fill(&mut object["metadata"], "finalizers", json!([]));
    if let Some(all) = object["metadata"]["finalizers"].as_array_mut()
        && !all.iter().any(|one| one == finalizer)
    {
        all.push(json!(finalizer));
    }
}
