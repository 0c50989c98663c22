//! The world's reading beside the planner's, on the vectors of apimachinery and on cases made by lot.

use std::fs;
use std::path::Path;

use kentroller_planner::manifest::{LabelSelector, Labels, NodeSelectorTerm, PodShape};
use kentroller_planner::{Catalog, Percent, Quantity};
use serde_json::{Value, json};

use super::{requests, selectors, shares, spans};
use crate::catalogue::{CSV, Catalogue, REGION, ZONES};
use crate::entropy::Entropy;

const CASES: usize = 3_000;

fn one<'a, T>(list: &'a [T], luck: &mut Entropy) -> &'a T {
    &list[luck.below(list.len())]
}

/// Quantities that the real parser takes, and the API server as a request.
fn quantities() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/quantity.jsonl");
    let text = fs::read_to_string(path).expect("the vectors");
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a vector"));
    let small = |row: &Value| row["milli"].as_i64().is_some_and(|milli| (0..1_000_000_000_000).contains(&milli));
    let texts = rows.filter(small).map(|row| row["text"].as_str().expect("a text").to_owned());
    texts.filter(|text| !text.starts_with('-')).collect()
}

/// Requests or limits of some resources, or none.
fn list(quantities: &[String], fields: &[&str], luck: &mut Entropy) -> Value {
    let mut list = json!({});
    for field in fields {
        for resource in ["cpu", "memory"] {
            if luck.chance(40) {
                list[field][resource] = json!(one(quantities, luck));
            }
        }
    }
    list
}

#[test]
fn both_count_the_same_requests() {
    let mut luck = Entropy::seeded(1);
    let quantities = quantities();
    assert!(quantities.len() > 1_000);
    for _ in 0..CASES {
        let both = ["requests", "limits"];
        let container = |restarts: bool, luck: &mut Entropy| {
            let mut container = json!({"name": "a", "resources": list(&quantities, &both, luck)});
            if restarts && luck.chance(50) {
                container["restartPolicy"] = json!("Always");
            }
            container
        };
        let containers: Vec<Value> = (0..=luck.below(3)).map(|_| container(false, &mut luck)).collect();
        let inits: Vec<Value> = (0..luck.below(4)).map(|_| container(true, &mut luck)).collect();
        // Pod-level limits without requests are read differently, see below.
        let whole = if luck.chance(20) { list(&quantities, &["requests"], &mut luck) } else { json!({}) };
        let overhead = if luck.chance(20) { json!({"cpu": one(&quantities, &mut luck)}) } else { json!({}) };
        let spec = json!({"containers": containers, "initContainers": inits, "resources": whole, "overhead": overhead});
        let shape: PodShape = serde_json::from_value(spec.clone()).expect("a pod");
        let theirs = kentroller_planner::rules::requests::of_shape(&shape);
        for resource in ["cpu", "memory"] {
            let theirs = theirs.get(resource).copied().unwrap_or_default();
            assert_eq!(requests::of(&shape, resource), theirs, "{resource} of {spec}");
        }
    }
}

/// What the API server fills into a pod with a pod-level limit only: the containers' requests if there are any. The planner
/// sees pods after that; of a template that no pod was made from yet it takes the limit.
#[test]
fn a_limit_of_the_whole_pod_is_a_request_only_where_no_container_has_one() {
    let of = |container: Value| {
        let spec = json!({"containers": [{"resources": container}], "resources": {"limits": {"cpu": "2"}}});
        requests::of(&serde_json::from_value(spec).expect("a pod"), "cpu")
    };
    assert_eq!(of(json!({})), Quantity::whole(2));
    assert_eq!(of(json!({"requests": {"cpu": "100m"}})), Quantity::thousandths(100));
}

#[test]
fn both_select_the_same_objects() {
    let mut luck = Entropy::seeded(2);
    let words = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Gte", "Lte", "Near"];
    let values = ["a", "b", "3", "10", "-1", "", "3.5"];
    let keys = ["x", "y"];
    let mut seen = [[0, 0]; 2];
    for _ in 0..CASES {
        let mut labels = Labels::new();
        for key in keys {
            if luck.chance(60) {
                labels.insert(key.to_owned(), (*one(&values, &mut luck)).to_owned());
            }
        }
        let expressions = |keys: &[&str], luck: &mut Entropy| -> Vec<Value> {
            let expression = |luck: &mut Entropy| {
                let wanted: Vec<&str> = (0..luck.below(3)).map(|_| *one(&values, luck)).collect();
                json!({"key": one(keys, luck), "operator": one(&words, luck), "values": wanted})
            };
            (0..luck.below(3)).map(|_| expression(luck)).collect()
        };
        let equal = if luck.chance(30) { json!({"x": one(&values, &mut luck)}) } else { json!({}) };
        let selector = json!({"matchLabels": equal, "matchExpressions": expressions(&keys, &mut luck)});
        let decoded: LabelSelector = serde_json::from_value(selector.clone()).expect("a selector");
        let ours = selectors::selects(&decoded, &labels);
        assert_eq!(ours, decoded.matches(&labels) == Some(true), "{selector} {labels:?}");
        seen[0][usize::from(ours)] += 1;
        let fields = if luck.chance(30) { expressions(&["metadata.name"], &mut luck) } else { Vec::new() };
        let term = json!({"matchExpressions": expressions(&keys, &mut luck), "matchFields": fields});
        let decoded: NodeSelectorTerm = serde_json::from_value(term.clone()).expect("a term");
        let ours = selectors::term_selects(&decoded, "a", &labels);
        assert_eq!(ours, decoded.matches("a", &labels) == Some(true), "{term} {labels:?}");
        seen[1][usize::from(ours)] += 1;
    }
    assert!(seen.iter().flatten().all(|count| *count > CASES / 20), "each answer is given often: {seen:?}");
}

#[test]
fn both_read_the_same_spans() {
    let mut luck = Entropy::seeded(3);
    let parts = ["1", "h", "30", "m", "s", ".", "5", "ms", "µs", "us", "ns", "0", "d", " ", "Never", "720h"];
    let mut read = 0;
    for _ in 0..10 * CASES {
        let sign = one(&["", "", "", "-"], &mut luck);
        let text: String =
            (0..luck.below(6)).map(|_| *one(&parts, &mut luck)).fold((*sign).to_owned(), |all, one| all + one);
        let ours = spans::seconds(&text);
        // Go has no span beyond 292 years, the planner has.
        let theirs = kentroller_planner::parse_span(&text).filter(|seconds| seconds.abs() <= i64::MAX / 1_000_000_000);
        assert_eq!(ours, theirs, "{text:?}");
        read += usize::from(ours.is_some());
    }
    assert!(read > CASES / 2, "{read} of them are spans");
    for (text, seconds) in [("1h30m", 5_400), ("0.5h", 1_800), ("1500ms", 1), ("1.5h", 5_400), ("+3s", 3)] {
        assert_eq!(spans::seconds(text), Some(seconds), "{text}");
    }
    assert_eq!(spans::seconds("2562048h"), None);
}

#[test]
fn both_take_the_same_share() {
    for whole in 0..300 {
        for percent in 0..=100 {
            let text = format!("{percent}%");
            let theirs = Percent::parse(&text).expect("a share").of(i64::try_from(whole).expect("small"));
            assert_eq!(
                shares::of(&text, whole).and_then(|ours| i64::try_from(ours).ok()),
                Some(theirs),
                "{text} of {whole}"
            );
        }
    }
    assert_eq!([shares::of("3", 9), shares::of("three", 9), shares::of("%", 9)], [Some(3), None, None]);
}

#[test]
fn both_read_the_same_catalogue() {
    let theirs = Catalog::from_csv(CSV, "catalogue.csv", "2026-07").expect("the shipped rows");
    let ours = Catalogue::shipped();
    let mut compared = 0;
    for priced in theirs.types(REGION) {
        let it = &priced.instance_type;
        let sold = ours.get(&it.name).expect("it is sold");
        let room = sold.allocatable();
        assert_eq!(
            (room.cpu_milli, room.memory, room.pods),
            (it.allocatable_milli_cpu(), it.allocatable_bytes(), it.max_pods),
            "{}",
            it.name
        );
        let price = priced.price(ZONES[0], &kentroller_planner::CapacityType::OnDemand);
        assert_eq!(Some(sold.price), price, "{}", it.name);
        compared += 1;
    }
    assert_eq!(compared, ours.cheapest_first().len());
}
