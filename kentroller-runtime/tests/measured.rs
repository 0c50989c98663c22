//! A controller's own metrics, from its annotation to what is scraped.

use std::time::Duration;

use kentroller_runtime::generate::{mistakes, reference};
use kentroller_runtime::prelude::*;
use kentroller_runtime::simulation::apiserver::{Fault, Matching, Trouble, refusal_of_code};
use kentroller_runtime::testing::{given, object, play};
use kentroller_runtime::{Declaration, KindEntry, MetricInfo, MetricType, reconciler};
use serde_json::{Value, json};

mod settings {
    #[derive(Clone, Debug, serde::Serialize, kentroller_runtime::Settings)]
    pub struct Settings {
        /// Whether it lights.
        #[setting(env = "LIGHTS", default = true)]
        pub lights: bool,
    }

    impl kentroller_runtime::Switches for Settings {}
}

#[resource(group = "example.org", version = "v1", kind = "Lamp")]
/// A lamp.
pub struct LampSpec {
    /// Where it hangs.
    pub room: String,
    /// How bright it is.
    pub watts: u32,
    /// Whether nothing can be said of it.
    pub broken: bool,
}

/// Gives each lamp a label.
#[controller(
    of = Lamp, finalizes,
    counters(looks = "Looks at lamps", labelled(room) = "Lamps that got their label"),
    gauges(watts(room) = "Power of all lamps"),
    histograms(size_watts in [10, 40.5] = "Power of a lamp, in watts"),
)]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(lamp: &Lamp, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        if lamp.spec.broken {
            return Err(Failure::transient("Broken", "it is dark"));
        }
        let (mut out, room) = (world.outcome(lamp), lamp.spec.room.as_str());
        out.label(lamp, "room", room).counts(Self::LABELLED, [room]);
        out.count(Self::LOOKS, [], 1);
        out.set(Self::WATTS, [room], f64::from(lamp.spec.watts));
        out.observe(Self::SIZE_WATTS, [], f64::from(lamp.spec.watts));
        Ok(out)
    }
}

fn lamp(name: &str, room: &str, watts: u32) -> Value {
    json!({"apiVersion": "example.org/v1", "kind": "Lamp", "metadata": {"name": name}, "spec": {"room": room, "watts": watts}})
}

#[test]
fn what_is_measured_is_a_part_of_the_decision() {
    given::<Lamps>().check(
        &object(lamp("a", "hall", 40)),
        r#"patch  Lamp a {"metadata":{"labels":{"room":"hall"}}}
           count  looks 1
           set    watts{room="hall"} 40
           observe size_watts 40"#,
    );
}

#[tokio::test(start_paused = true)]
async fn gauges_are_added_up_over_the_objects_that_are_there() {
    let played = play(vec![reconciler::<Lamps>()]);
    let edit = |name: &str, field: &str, value: Value| {
        played.server.update("Lamp", None, name, |lamp| lamp["spec"][field] = value).expect("edited");
    };
    for lamp in [lamp("a", "hall", 40), lamp("b", "hall", 2), lamp("c", "attic", 5)] {
        played.create(lamp);
    }
    played.pass(Duration::from_secs(5)).await;
    assert_eq!(played.metrics("watts{"), [r#"watts{room="attic"} 5.0"#, r#"watts{room="hall"} 42.0"#]);
    // The last word of each object counts, and of one that is gone none; a failure says nothing.
    edit("a", "watts", json!(50));
    edit("b", "broken", json!(true));
    played.server.delete("Lamp", None, "c", &Default::default()).expect("deleted");
    played.pass(Duration::from_secs(5)).await;
    assert_eq!(played.metrics("watts{"), [r#"watts{room="hall"} 52.0"#]);
}

#[tokio::test(start_paused = true)]
async fn an_effect_is_counted_when_it_was_accepted_and_not_when_it_was_refused() {
    let played = play(vec![reconciler::<Lamps>()]);
    let patches = Matching { verb: Some("patch".into()), ..Matching::default() };
    let trouble = Trouble::Refuse(refusal_of_code(500));
    played.server.inject(Fault::Requests { matching: patches, after: 0, times: 1, trouble });
    played.create(lamp("a", "hall", 40));
    played.pass(Duration::from_millis(500)).await;
    assert_eq!(played.metrics("labelled_total"), [""; 0]);
    assert_eq!(played.metrics("looks_total"), ["looks_total 1.0"]);
    played.pass(Duration::from_secs(30)).await;
    assert_eq!(played.metrics("labelled_total"), [r#"labelled_total{room="hall"} 1.0"#]);
    let buckets = played.metrics("size_watts_bucket");
    assert!(buckets[0].starts_with(r#"size_watts_bucket{le="10.0"} 0"#), "{buckets:?}");
    assert!(!buckets[1].ends_with(" 0") && buckets[1].starts_with(r#"size_watts_bucket{le="40.5"}"#), "{buckets:?}");
}

#[test]
fn the_page_names_each_metric_as_it_is_scraped() {
    let page = reference::metrics("hive", &[Lamps::declaration()], &[]);
    for line in [
        "## Controller lamps",
        "| `hive_labelled_total` | counter | room | Lamps that got their label |",
        "| `hive_size_watts` | histogram |  | Power of a lamp, in watts |",
    ] {
        assert!(page.lines().any(|one| one == line), "{line} in {page}");
    }
}

#[test]
fn one_name_has_one_meaning() {
    let metric = |name| MetricInfo { name, type_: MetricType::Gauge, labels: &[], doc: "", buckets: &[] };
    let taken: &[MetricInfo] = Box::leak(Box::new([metric("watts"), metric("workqueue_depth")]));
    let other = Declaration { name: "others", of: KindEntry::of::<Cluster>(), metrics: taken, ..Lamps::declaration() };
    assert_eq!(
        mistakes::of_controllers(&[Lamps::declaration(), other]),
        [
            "metric `watts` is declared by lamps and by others; give one of them another name",
            "metric `workqueue_depth` is declared by the engine and by others; give one of them another name",
        ]
    );
}
