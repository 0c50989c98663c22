//! What comes out of the annotations, as the runtime reads it.

use garde::Validate;
use kentroller_runtime::generate::{mistakes, unused};
use kentroller_runtime::{
    Change, Condition, ConditionType as _, Conditions, Controller, Cut, Declaration, Failure, Kind, Meta, ObjectKey,
    Outcome, Reason as _, Reconcile, Verb, World, controller, resource, words,
};

/// What switches these controllers.
mod settings {
    #[derive(Debug)]
    pub struct Settings {
        pub light: bool,
    }

    impl kentroller_runtime::Switches for Settings {}
}

#[resource(
    group = "example.com",
    version = "v1",
    kind = "Lamp",
    status = LampStatus,
    conditions = LampCondition,
    column("Colour", string, ".spec.colour")
)]
/// A lamp.
#[derive(Default)]
pub struct LampSpec {
    /// The colour of its light.
    #[garde(length(chars, min = 1, max = 10))]
    pub colour: String,
    /// Where it hangs.
    pub places: Vec<Place>,
    /// Where it must hang.
    #[required]
    pub needed: Vec<Place>,
}

#[resource(part)]
/// Where a lamp hangs.
#[rule("!(has(self.room) && has(self.garden))", message = "in a room or in a garden")]
pub struct Place {
    /// A room.
    #[garde(length(chars, min = 2))]
    pub room: Option<String>,
    /// A garden.
    pub garden: bool,
}

#[resource(status)]
/// What became of a lamp.
pub struct LampStatus {
    /// What it is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// The generation that this status judges.
    pub observed_generation: Option<i64>,
}

#[derive(Clone, Copy, Conditions)]
#[conditions(summary(Idle = "Nobody asks for light.", words(Colour)))]
pub enum LampCondition {
    /// It gives light.
    #[reasons(Switched = "Somebody switched it.")]
    Lit,
}

#[resource(
    group = "example.com",
    version = "v1",
    kind = "Row",
    status = RowStatus,
    scale(spec = ".spec.lamps", status = ".status.lamps")
)]
/// As many lamps as wanted.
pub struct RowSpec {
    /// How many.
    pub lamps: i32,
}

#[resource(status)]
/// What became of a row.
pub struct RowStatus {
    /// How many there are.
    pub lamps: Option<i32>,
    /// What it is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// The generation that this status judges.
    pub observed_generation: Option<i64>,
}

words! {
    /// Why a lamp cannot be.
    pub open enum Colour {
        /// It hurts the eye.
        Pink,
    }
}

#[resource(group = "example.com", version = "v1", kind = "Socket", namespaced)]
/// A socket, which has no status.
pub struct SocketSpec {
    /// How many lamps it feeds.
    #[garde(range(min = 0, max = 4))]
    pub lamps: i32,
}

#[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", namespaced, index = Pod::node)]
pub struct Pod {
    pub metadata: Meta,
    pub node_name: Option<String>,
}

impl Pod {
    fn node(&self) -> Option<&str> {
        self.node_name.as_deref()
    }
}

/// Lights lamps. And more.
#[controller(
    of = Lamp,
    feature = "light",
    owns(Socket: create + delete),
    watches(Pod => every_lamp),
    writes(Pod: evict),
    events(LampLit = "A lamp was lit.", warning(LampBroken = "A lamp is broken."))
)]
pub struct StreetLamps;

impl Reconcile for StreetLamps {
    fn reconcile(lamp: &Lamp, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(lamp);
        match lamp.spec.places.is_empty() {
            true => out.event(Self::LampBroken, "it hangs nowhere"),
            false => out.event(Self::LampLit, "it gives light"),
        }
        Ok(out)
    }
}

fn every_lamp(_: &Change<'_, Pod>, cut: &Cut) -> Vec<ObjectKey> {
    cut.store::<Lamp>().into_iter().flat_map(|store| store.all()).map(Kind::key).collect()
}

/// Counts sockets.
#[controller(of = Socket, finalizes)]
pub struct Sockets;

impl Reconcile for Sockets {
    fn reconcile(socket: &Socket, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(socket))
    }
}

/// Kinds of other people that have the runtime's name for none.
mod elsewhere {
    use kentroller_runtime::{Meta, resource};

    #[resource(foreign, group = "cluster.x-k8s.io", version = "v1beta1", kind = "Cluster", plural = "clusters")]
    pub struct Cluster {
        pub metadata: Meta,
    }
}

/// Looks after somebody's clusters, of two names in two places, one of which is written twice. Its event has the reason
/// of another's.
#[controller(
    of = elsewhere::Cluster,
    finalizes,
    owns(Pod: create),
    writes(self::Pod: evict),
    events(LampLit = "A lamp was lit in a cluster.")
)]
pub struct Clusters;

impl Reconcile for Clusters {
    fn reconcile(cluster: &elsewhere::Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        out.event(Self::LampLit, "somewhere in it");
        Ok(out)
    }
}

/// Has no kind.
#[controller(of = kentroller_runtime::Cluster, reads(elsewhere::Cluster))]
pub struct Sweeper;

impl Reconcile for Sweeper {
    fn reconcile(cluster: &kentroller_runtime::Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn access<C: Controller>() -> Vec<(&'static str, Vec<Verb>)> {
    C::declaration().access.into_iter().map(|access| (access.kind.info.kind, access.verbs)).collect()
}

#[test]
fn a_controller_has_the_access_that_it_declared_and_no_other() {
    use Verb::{Create, Delete, Evict, Patch, Read, Status};
    assert_eq!(
        access::<StreetLamps>(),
        [("Lamp", vec![Read, Status]), ("Socket", vec![Read, Create, Delete]), ("Pod", vec![Read, Evict])]
    );
    assert_eq!(access::<Sockets>(), [("Socket", vec![Read, Patch])]);
}

#[test]
fn a_kind_is_told_by_its_type_not_by_the_name_that_it_is_written_with() {
    use Verb::{Create, Evict, Patch, Read};
    assert_eq!(access::<Clusters>(), [("Cluster", vec![Read, Patch]), ("Pod", vec![Read, Create, Evict])]);
    assert_eq!(access::<Sweeper>(), [("Cluster", vec![Read])]);
    assert_eq!(Sweeper::declaration().access[0].kind.info.group, "cluster.x-k8s.io");
}

#[test]
fn a_feature_is_a_field_of_the_settings() {
    let on = |light| StreetLamps::enabled(&settings::Settings { light });
    assert_eq!((on(true), on(false), Sockets::enabled(&settings::Settings { light: false })), (true, false, true));
}

#[test]
fn a_declaration_says_name_meaning_wake_ups_and_events() {
    let declaration = StreetLamps::declaration();
    assert_eq!((declaration.name, declaration.doc), ("street-lamps", "Lights lamps."));
    assert_eq!(declaration.feature, Some("light"));
    let woken_by: Vec<_> = declaration.wakes.iter().map(|wake| wake.kind.info.kind).collect();
    assert_eq!(woken_by, ["Socket", "Pod"]);
    let events: Vec<_> = declaration.events.iter().map(|event| (event.reason, event.warning)).collect();
    assert_eq!(events, [("LampLit", false), ("LampBroken", true)]);
    assert_eq!(StreetLamps::LampBroken.info.doc, "A lamp is broken.");
}

#[test]
fn conditions_know_their_reasons() {
    let set = LampCondition::SET;
    assert_eq!(set.own.iter().map(|info| info.name).collect::<Vec<_>>(), ["Lit"]);
    let words = |reasons: &[&[(&'static str, &str)]]| -> Vec<&str> {
        reasons.iter().flat_map(|list| list.iter()).map(|(word, _)| *word).collect()
    };
    assert_eq!((words(set.summary), words(set.own[0].reasons)), (vec!["Idle", "Pink"], vec!["Switched"]));
    let pink = LampReason::from(Colour::Pink);
    assert_eq!(
        [LampReason::Idle, LampReason::Switched, pink].map(|reason| reason.word().to_owned()),
        ["Idle", "Switched", "Pink"]
    );
    // Of another condition; of this one; of another version.
    assert_eq!(["Idle", "Switched", "Green"].map(|word| set.is_misplaced("Lit", word)), [true, false, false]);
    assert!(set.is_misplaced("Ready", "Switched") && !set.is_misplaced("Ready", "Pink"));
}

#[test]
fn the_crd_and_the_process_know_the_same_rules() {
    let crd = (Lamp::INFO.crd.expect("it is ours"))();
    let crd = serde_json::to_value(crd).expect("it is JSON");
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    assert_eq!(spec["required"], serde_json::json!(["colour", "needed"]));
    assert_eq!(spec["properties"]["colour"]["maxLength"], 10);
    let place = &spec["properties"]["places"]["items"];
    assert_eq!(place["properties"]["room"]["minLength"], 2);
    assert_eq!(place["x-kubernetes-validations"][0]["message"], "in a room or in a garden");
    let conditions =
        &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["conditions"];
    assert_eq!(conditions["x-kubernetes-list-map-keys"], serde_json::json!(["type"]));

    let wrong = LampSpec {
        colour: "much too colourful".to_owned(),
        places: vec![Place { room: Some("x".to_owned()), garden: false }],
        needed: Vec::new(),
    };
    let report = wrong.validate().expect_err("two rules are broken").to_string();
    assert!(report.contains("colour: ") && report.contains("places[0].room: "), "{report}");
}

#[test]
fn a_kind_that_scales_serves_the_scale_of_its_fields() {
    let crd = serde_json::to_value((Row::INFO.crd.expect("it is ours"))()).expect("it is JSON");
    let scale = &crd["spec"]["versions"][0]["subresources"]["scale"];
    assert_eq!(*scale, serde_json::json!({"specReplicasPath": ".spec.lamps", "statusReplicasPath": ".status.lamps"}));
}

#[test]
fn absent_fields_stay_absent_and_a_required_list_does_not() {
    let lamp = Lamp::new("hall", LampSpec { colour: "red".to_owned(), ..LampSpec::default() });
    let spec = serde_json::to_value(&lamp).expect("it is JSON")["spec"].clone();
    assert_eq!(spec, serde_json::json!({"colour": "red", "needed": []}));
    let without: Result<LampSpec, _> = serde_json::from_value(serde_json::json!({"colour": "red"}));
    assert!(without.expect_err("a list is missing").to_string().contains("needed"));
}

#[test]
fn a_projection_is_found_under_its_index() {
    let pod = Pod { metadata: Meta::default(), node_name: Some("a".to_owned()) };
    assert_eq!((pod.index_key(), Pod::INFO.ours()), (Some("a"), false));
}

#[test]
fn two_controllers_that_write_one_status_are_told() {
    let other = Declaration { name: "others", ..StreetLamps::declaration() };
    assert_eq!(
        mistakes::of_controllers(&[StreetLamps::declaration(), other]),
        [
            "controllers street-lamps and others both write the status of Lamp, and would undo each other's without end; let \
          one of them decide, or reconcile another kind and `watches(Lamp)`"
        ]
    );
    let twice = mistakes::of_controllers(&[StreetLamps::declaration(), StreetLamps::declaration()]);
    assert_eq!(twice, ["two controllers are named street-lamps: events and rights could not tell them apart"]);
}

#[test]
fn a_condition_that_no_controller_sets_is_told() {
    let check = |sources: &str, want: &[&str]| {
        assert_eq!(unused::conditions(&[StreetLamps::declaration()], sources), want);
    };
    check("fn look() {\n    out.condition(LampCondition::Lit, true, LampReason::Switched, \"\");\n}", &[]);
    let never =
        "Lamp declares condition Lit and no controller ever sets it; say it with `out.condition(…)`, or leave it out";
    check("use crate::api::LampCondition::Lit;\n// Not Lit yet.\nfn look() {}", &[never]);
}
