//! Objects that are not as they should be: they are refused or planned around so that the plan holds, and nothing ever panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kentroller_planner::check::check;
use kentroller_planner::generate::{Recipe, generate};
use kentroller_planner::manifest::{LabelSelector, NodeOverlay, NodeSelectorTerm};
use kentroller_planner::{Catalog, Moment, Options, Quantity, Snapshot, Steps, parse_span, plan};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Chance that the seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % count.max(1) as u64).unwrap_or(0)
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// What is put in the place of a value: mostly something of its own kind.
fn strange(was: &Value, dice: &mut Dice) -> Value {
    let texts = [
        "",
        "0",
        "-1",
        "-9223372036854775808",
        "9223372036854775807",
        "9E",
        "8Ei",
        "1e400",
        "NaN",
        "true",
        "0.0000000001",
        "%",
        "-5%",
        "1000000h",
        "Never",
        "* * * * *",
        "9999-12-31T23:59:59Z",
        "-009999-01-02T00:00:00Z",
        "\u{0}é🦀",
        "us-east-1a",
        "karpenter",
        "In",
        "Gt",
        "Exists",
        "DoNotSchedule",
        "NoExecute",
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "spot",
        "reserved",
        "general",
        "m5.large",
        "arm64",
        "100%",
        "1",
        "2h",
    ];
    let numbers = [
        json!(0),
        json!(-1),
        json!(1),
        json!(i32::MAX),
        json!(i32::MIN),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(1.5e300),
    ];
    let others = [
        json!(null),
        json!([]),
        json!({}),
        json!(false),
        json!([[], {}, null]),
        json!({"cpu": "1", "memory": "9E", "pods": "-1"}),
        json!([{"key": "team", "operator": "Gt", "values": ["x"]}]),
        json!([{"topologyKey": "", "maxSkew": -1}]),
    ];
    let amounts = ["0", "-1", "9E", "8Ei", "-8Ei", "1e400", "0.0000000001", "100m", "1", "9223372036854775807", "64Gi"];
    let times = ["9999-12-31T23:59:59Z", "-009999-01-02T00:00:00Z", "1970-01-01T00:00:00Z"];
    match was {
        Value::String(was) if Quantity::parse(was).is_ok() && dice.below(20) > 0 => json!(*dice.one_of(&amounts)),
        Value::String(was) if Moment::parse(was).is_some() && dice.below(20) > 0 => json!(*dice.one_of(&times)),
        Value::String(_) if dice.below(20) > 0 => json!(*dice.one_of(&texts)),
        Value::Number(_) if dice.below(20) > 0 => dice.one_of(&numbers).clone(),
        Value::Bool(was) if dice.below(20) > 0 => json!(!was),
        Value::Array(_) if dice.below(20) > 0 => json!([]),
        Value::Object(_) if dice.below(20) > 0 => json!({}),
        Value::Null if dice.below(20) > 0 => json!(null),
        _ => match dice.below(3) {
            0 => json!(*dice.one_of(&texts)),
            1 => dice.one_of(&numbers).clone(),
            _ => dice.one_of(&others).clone(),
        },
    }
}

/// Replaces, copies or takes away one value somewhere inside.
fn mutate(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Object(fields) if !fields.is_empty() && dice.below(40) > 0 => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = dice.one_of(&keys).clone();
            match dice.below(24) {
                0 => {
                    fields.remove(&key);
                }
                1 => {
                    let other = dice.one_of(&keys).clone();
                    let copy = fields[&other].clone();
                    fields.insert(key, copy);
                }
                _ => mutate(fields.get_mut(&key).expect("a key of it"), dice),
            }
        }
        Value::Array(items) if !items.is_empty() && dice.below(40) > 0 => {
            let at = dice.below(items.len());
            match dice.below(12) {
                0 => {
                    items.remove(at);
                }
                1 => items.push(items[at].clone()),
                _ => mutate(&mut items[at], dice),
            }
        }
        other => *other = strange(other, dice),
    }
}

/// Mutates one of several objects; `false` when what came of it is refused.
fn mutate_one<T: Serialize + DeserializeOwned>(all: &mut [T], dice: &mut Dice) -> bool {
    if all.is_empty() {
        return true;
    }
    let at = dice.below(all.len());
    let mut value = serde_json::to_value(&all[at]).expect("an object");
    for _ in 0..=dice.below(3) {
        mutate(&mut value, dice);
    }
    match serde_json::from_value(value) {
        Ok(object) => {
            all[at] = object;
            true
        }
        Err(_) => false,
    }
}

fn mutated(snapshot: &Snapshot, dice: &mut Dice) -> Option<Snapshot> {
    let mut snapshot = snapshot.clone();
    for _ in 0..=dice.below(4) {
        let read = match dice.below(10) {
            0 | 1 => mutate_one(&mut snapshot.nodes, dice),
            2..=4 => mutate_one(&mut snapshot.pods, dice),
            5 => mutate_one(&mut snapshot.node_pools, dice),
            6 => mutate_one(&mut snapshot.node_claims, dice),
            7 => mutate_one(&mut snapshot.pdbs, dice),
            8 => mutate_one(snapshot.daemon_sets.as_deref_mut().unwrap_or_default(), dice),
            _ => {
                mutate_one(&mut snapshot.persistent_volumes, dice)
                    && mutate_one(&mut snapshot.node_overlays, dice)
                    && mutate_one(&mut snapshot.persistent_volume_claims, dice)
            }
        };
        if !read {
            return None;
        }
    }
    Some(snapshot)
}

fn catalog() -> Catalog {
    let wanted = |line: &&str| {
        line.starts_with("instance_type")
            || (["m5.", "m6g.", "c5.", "r5."].iter().any(|family| line.starts_with(family))
                && line.contains(",us-east-1,"))
    };
    let lines: Vec<&str> = include_str!("../catalog/ec2.csv").lines().filter(wanted).collect();
    Catalog::from_csv(&lines.join("\n"), "test", "").expect("a catalogue")
}

#[test]
fn whatever_objects_say_nothing_panics_and_every_plan_holds() {
    let catalog = catalog();
    let mut fresh: Vec<Snapshot> = (0..4)
        .map(|seed| {
            generate(Recipe { nodes: 2 + seed as usize / 2, seed, constrained: true, held: seed % 2 == 0 }, &catalog)
        })
        .collect();
    for snapshot in &mut fresh {
        let overlay = json!({"metadata": {"name": "o"}, "spec": {"price": "0.05", "weight": 3, "requirements": [
            {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m5"]}]}});
        snapshot.node_overlays.push(serde_json::from_value::<NodeOverlay>(overlay).expect("an overlay"));
    }
    let (mut refused, mut impossible, mut planned) = (0, 0, 0);
    let mut wrong = Vec::new();
    for seed in 1..=4_000u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let Some(snapshot) = mutated(dice.one_of(&fresh), &mut dice) else {
            refused += 1;
            continue;
        };
        let run = || {
            let options = Options { continuous: seed % 5 == 0, ..Options::default() };
            let found = plan(&snapshot, &catalog, &options, &mut Steps(2))?;
            let violations = check(&snapshot, &catalog, &options, &found).err().unwrap_or_default();
            Ok::<_, kentroller_planner::InputError>(violations.first().map(ToString::to_string))
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(None)) => planned += 1,
            Ok(Ok(Some(violation))) => wrong.push(format!("seed {seed}: {violation}")),
            Ok(Err(_)) => impossible += 1,
            Err(_) => wrong.push(format!("seed {seed}: panics")),
        }
    }
    assert!(wrong.is_empty(), "{} plans are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        refused > 200 && planned > 1_000 && impossible > 0,
        "{refused} refused, {impossible} impossible, {planned} planned"
    );
}

#[test]
fn whatever_texts_say_they_are_read_or_refused() {
    let seeds = [
        "1.5Gi",
        "-100m",
        "+1e3",
        "00012",
        "0.0000000001",
        "9223372036854775808k",
        "1e99999999999",
        "1h30m",
        "-2h",
        "1.5ms",
        r#"{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"k","operator":"In","values":["a"]}]}"#,
        r#"{"matchExpressions":[{"key":"k","operator":"Gt","values":["4"]}],"matchFields":[{"key":"metadata.name","operator":"In","values":["n"]}]}"#,
    ];
    let mut dice = Dice(0x5EED);
    let mut read = [0; 4];
    for _ in 0..20_000 {
        let mut bytes = dice.one_of(&seeds).as_bytes().to_vec();
        for _ in 0..dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(4) {
                _ if bytes.is_empty() => {}
                0 => {
                    bytes.remove(at);
                }
                1 => bytes.insert(at, *dice.one_of(b"0123456789.eE+-mkKMGTPniu \"{}[],:\xff")),
                2 => bytes[at] = *dice.one_of(b"0123456789.eE+-mkKMGTPniu \"{}[],:\0"),
                _ => bytes.truncate(at),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(quantity) = Quantity::parse(&text) {
            assert_eq!(Quantity::parse(&quantity.to_string()), Ok(quantity), "{text}");
            let _ = (quantity.milli(), quantity.units(), quantity.plus(quantity));
            read[0] += 1;
        }
        read[1] += usize::from(parse_span(&text).is_some());
        if let Ok(selector) = serde_json::from_str::<LabelSelector>(&text) {
            let _ = selector.matches(&[("k".to_owned(), "a".to_owned())].into());
            read[2] += 1;
        }
        if let Ok(term) = serde_json::from_str::<NodeSelectorTerm>(&text) {
            let _ = term.matches("n", &[("k".to_owned(), "9".to_owned())].into());
            read[3] += 1;
        }
    }
    assert!(read.iter().all(|count| *count > 500), "{read:?} were read");
}
