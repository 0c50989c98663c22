//! A kind of our own, a foreign one, and a controller that does what the test says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::{
    Cancelled, Change, Condition, Cut, Edges, Event, Failure, HasStatus, Kind, KindInfo, Meta, ObjectKey, Outcome,
    Port, Reconcile, Seen, SummaryOnly, Switches, World, controller, resource,
};
use serde::{Deserialize, Serialize};

#[resource(foreign, group = "", version = "v1", kind = "ConfigMap", plural = "configmaps", namespaced)]
/// What a test reads of a ConfigMap.
#[derive(Default)]
pub struct ConfigMap {
    pub metadata: Meta,
    #[serde(default)]
    pub data: BTreeMap<String, String>,
}

/// A kind without an annotation: with all that `#[resource]` writes of one with a status.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Widget {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: Spec,
    pub status: Option<Status>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    pub size: i64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    pub seen: i64,
    pub observed_generation: Option<i64>,
    pub conditions: Vec<Condition>,
}

impl Kind for Widget {
    const INFO: KindInfo = KindInfo {
        group: "test.example",
        version: "v1",
        kind: "Widget",
        plural: "widgets",
        namespaced: false,
        crd: None,
    };
    const STATES: Edges = &[("New", &["Asked"]), ("Asked", &["Done"]), ("Done", &[])];
    type Meta = Meta;
    type View = ();

    fn meta(&self) -> &Meta {
        &self.metadata
    }
    fn status_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.status).expect("a status is JSON")
    }
}

impl HasStatus for Widget {
    type Status = Status;
    type Condition = SummaryOnly;

    fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }
}

type Does = dyn Fn(&Widget, &World<Widgets>, &mut Outcome<Widgets>) -> Result<(), Failure> + Send + Sync;

/// What the controller does, as settings.
pub struct Script(Arc<Does>);

impl Serialize for Script {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl Switches for Script {}

/// A controller that does this with each widget.
pub fn script(
    does: impl Fn(&Widget, &World<Widgets>, &mut Outcome<Widgets>) -> Result<(), Failure> + Send + Sync + 'static,
) -> Script {
    Script(Arc::new(does))
}

/// Reconciles widgets; a ConfigMap that changes wakes the widget that its label names.
#[controller(
    of = Widget, settings = Script, finalizes, asks(Doubles),
    watches(ConfigMap => named), writes(ConfigMap: create + patch + delete),
    events(Changed = "Something changed."),
)]
pub struct Widgets;

pub const CHANGED: Event<Widgets> = Widgets::Changed;

fn named(change: &Change<'_, ConfigMap>, _: &Cut) -> Vec<ObjectKey> {
    let named = change.new.or(change.old).and_then(|map| map.label("widget"));
    named.map(ObjectKey::cluster).into_iter().collect()
}

impl Reconcile for Widgets {
    fn reconcile(widget: &Widget, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(widget);
        (world.settings().0)(widget, world, &mut out)?;
        Ok(out)
    }
}

/// A port that doubles a number.
pub struct Doubles;

impl Port for Doubles {
    const NAME: &'static str = "doubles";
    const TIME_LIMIT: Duration = Duration::from_secs(1);
    type Reads = ();
    type Ask = i64;
    type Answer = i64;

    fn fill(&self, ask: &i64, _: &Seen<()>, _: Timestamp, _: &Cancelled) -> Result<i64, Failure> {
        Ok(2 * ask)
    }
}

/// The key of a ConfigMap.
pub fn map(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

/// A ConfigMap to create.
pub fn config_map(name: &str) -> ConfigMap {
    let key = map(name);
    ConfigMap { metadata: Meta { name: key.name, namespace: key.namespace, ..Meta::default() }, ..ConfigMap::default() }
}
