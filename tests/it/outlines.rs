//! The CRDs against the contract, and against what they were before.

use std::collections::BTreeMap;
use std::path::PathBuf;

use garde::Validate;
use kentroller::{api, controllers};
use kentroller_runtime::Kind;
use kentroller_runtime::generate::outline::Outline;
use kentroller_runtime::generate::widening::{self, narrowings};
use kentroller_runtime::generate::{OwnKind, crd};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is narrower and not accepted, over all kinds, in comparison to the outlines that `before` finds.
fn unaccepted(before: impl Fn(&str) -> Outline) -> Vec<String> {
    let accepted = widening::accepted(&read("contract/accepted-changes.txt")).expect("every line has a reason");
    let all = public().into_iter().flat_map(|kind| narrowings(&before(kind.info.plural), &Outline::of(&kind.crd())));
    all.map(|one| one.to_string()).filter(|one| !accepted.contains_key(one)).collect()
}

/// The kinds that are public: those with an outline. Another may become what its author finds best.
fn public() -> Vec<OwnKind> {
    let mut all = controllers::kinds();
    all.retain(|kind| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("contract/{}.txt", kind.info.plural)).exists()
    });
    assert_eq!(all.len(), 6, "every outline has its kind");
    all
}

fn contract(plural: &str) -> Outline {
    Outline::parse(&read(&format!("contract/{plural}.txt"))).expect("an outline")
}

#[test]
fn every_crd_takes_what_the_public_one_takes_and_gives_what_it_gives() {
    assert_eq!(unaccepted(contract), Vec::<String>::new());
}

#[test]
fn the_contract_is_read_whole() {
    // What is not read cannot fail: every line below the header is a field or a column.
    for kind in public() {
        let text = read(&format!("contract/{}.txt", kind.info.plural));
        let outline = contract(kind.info.plural);
        let elements = outline.fields.keys().filter(|path| path.ends_with("[]") || path.ends_with("{}")).count();
        assert_eq!(
            outline.fields.len() - elements + outline.columns.len() + 2,
            text.lines().count(),
            "{:?}",
            kind.info
        );
    }
}

#[test]
fn no_crd_is_narrower_than_it_was_unless_that_is_listed_with_a_reason() {
    let before = |plural: &str| {
        Outline::of(&crd::read(&read(&format!("../crds/{plural}.yaml"))).expect("a CRD as crdgen writes it"))
    };
    assert_eq!(
        unaccepted(before),
        Vec::<String>::new(),
        "list it in tests/contract/accepted-changes.txt, or take it back"
    );
}

/// Every schema is one that an API server stores as it is, without a warning.
#[test]
fn every_schema_is_structural() {
    fn walk(schema: &Value, place: &str, mistakes: &mut Vec<String>) {
        let has = |word: &str| schema.get(word).is_some();
        let mut no = |what: &str| mistakes.push(format!("{place}: {what}"));
        for word in ["$ref", "$schema", "definitions", "$defs", "nullable", "oneOf", "allOf", "const", "title"] {
            if has(word) {
                no(&format!("has {word}"));
            }
        }
        if has("properties") && has("additionalProperties") {
            no("has fields and is a map");
        }
        if !has("type") && schema["x-kubernetes-int-or-string"] != json!(true) {
            no("has no type");
        }
        if !has("description") && !place.ends_with(['*', ']']) {
            no("has no description");
        }
        if !["Null", "\"int32\"", "\"int64\"", "\"date-time\"", "\"byte\"", "null"]
            .contains(&schema["format"].to_string().as_str())
        {
            no("has a format that the API server does not know");
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(field, &format!("{place}.{name}"), mistakes);
        }
        for (word, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
            if has(word) {
                walk(&schema[word], &format!("{place}{suffix}"), mistakes);
            }
        }
    }
    let mut mistakes = Vec::new();
    for kind in controllers::kinds() {
        let crd = serde_json::to_value(kind.crd()).expect("JSON");
        walk(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], kind.info.kind, &mut mistakes);
    }
    assert_eq!(mistakes, Vec::<String>::new());
}

/// A value that satisfies the schema, with every field that the schema names.
fn example(schema: &Value) -> Value {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    if schema["x-kubernetes-int-or-string"] == json!(true) {
        return json!("1500m");
    }
    match schema["type"].as_str() {
        Some("object") if schema.get("additionalProperties").is_some() => {
            json!({ "some": example(&schema["additionalProperties"]) })
        }
        Some("object") if schema.get("properties").is_none() => json!({ "labels": { "some": "text" } }),
        Some("object") => schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, field)| (name.clone(), example(field)))
            .collect(),
        Some("array") => json!([example(&schema["items"])]),
        // Not 0: some fields leave that out.
        Some("integer") => json!(schema["minimum"].as_f64().unwrap_or(1.0).max(1.0) as i64),
        Some("boolean") => json!(true),
        Some("string") if schema["format"] == "date-time" => json!("2026-01-02T03:04:05Z"),
        // Satisfies the patterns of the kinds: durations, and names without a slash.
        Some("string") => json!("30m"),
        other => panic!("no example of type {other:?}"),
    }
}

/// Values at and just beyond the bounds of a schema.
fn boundaries(schema: &Value) -> Vec<Value> {
    let mut values = Vec::new();
    for bound in ["minimum", "maximum"] {
        if let Some(bound) = schema[bound].as_f64() {
            values.extend([-1, 0, 1].map(|step| json!(bound as i64 + step)));
        }
    }
    if schema["type"] == "string" && schema.get("format").is_none() {
        values.extend([json!(""), json!("x"), json!("Never"), json!("1/2"), json!("720h30m"), json!(7)]);
    }
    for word in schema["enum"].as_array().into_iter().flatten() {
        values.push(word.clone());
        values.push(json!(word.as_str().unwrap_or_default().to_lowercase()));
    }
    if let Some(most) = schema["maxItems"].as_u64() {
        for count in [most, most + 1] {
            values.push(vec![example(&schema["items"]); count as usize].into());
        }
    }
    if schema["type"] == "boolean" {
        values.extend([json!(false), json!("yes")]);
    }
    values
}

/// Every value of a whole spec that differs from the example in one boundary, and those that lack one field.
fn variants(schema: &Value, at: &str, spec: &Value, found: &mut BTreeMap<String, Value>) {
    let mut put = |what: String, value: Value| {
        let mut variant = spec.clone();
        *variant.pointer_mut(at).expect("the example has every field") = value;
        found.insert(format!("{at} = {what}"), variant);
    };
    for value in boundaries(schema) {
        put(value.to_string(), value);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if let Some((parent, mut object)) = spec.pointer(at).map(|object| (at, object.clone())) {
            object.as_object_mut().expect("an object").remove(name);
            let mut variant = spec.clone();
            *variant.pointer_mut(parent).expect("there") = object;
            found.insert(format!("{at} without {name}"), variant);
        }
        variants(field, &format!("{at}/{name}"), spec, found);
    }
    if schema["type"] == "array" {
        variants(&schema["items"], &format!("{at}/0"), spec, found);
    }
    if let Some(values) = schema.get("additionalProperties") {
        variants(values, &format!("{at}/some"), spec, found);
    }
}

/// How many boundary values were tried.
fn check<S: DeserializeOwned + Validate<Context = ()>>(plural: &str) -> usize {
    let kind = controllers::kinds().into_iter().find(|kind| kind.info.plural == plural).expect("one of ours");
    let crd = serde_json::to_value(kind.crd()).expect("JSON");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let validator = jsonschema::validator_for(schema).expect("a schema");
    let spec = example(schema);
    let mut tried = BTreeMap::from([("the example".to_owned(), spec.clone())]);
    variants(schema, "", &spec, &mut tried);
    for (what, value) in &tried {
        let outside = validator.is_valid(value);
        let inside = serde_json::from_value::<S>(value.clone()).is_ok_and(|spec| spec.validate().is_ok());
        assert_eq!(outside, inside, "{plural}: the CRD and the process disagree about {what}");
    }
    tried.len()
}

#[test]
fn the_crd_and_the_process_give_the_same_verdict_at_every_boundary() {
    let tried = [
        check::<api::RebalancePlanScheduleSpec>("rebalanceplanschedules"),
        check::<api::RebalancePlanClaimSpec>("rebalanceplanclaims"),
        check::<api::RebalancePlanSpec>("rebalanceplans"),
        check::<api::RebalanceMigrationPlanSpec>("rebalancemigrationplans"),
        check::<api::CommitmentBudgetSpec>("commitmentbudgets"),
        check::<api::UnavailableOfferingSpec>("unavailableofferings"),
    ];
    assert!(tried.iter().all(|tried| *tried > 20), "{tried:?}");
}

/// Puts a word that nobody knows wherever the schema lists words; says how many there are.
fn estrange(schema: &Value, value: &mut Value) -> usize {
    if schema.get("enum").is_some() {
        *value = json!("Nonsense");
        return 1;
    }
    let mut found = 0;
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        found += estrange(field, &mut value[name]);
    }
    if schema["type"] == "array" {
        found += estrange(&schema["items"], &mut value[0]);
    }
    if let Some(values) = schema.get("additionalProperties") {
        found += estrange(values, &mut value["some"]);
    }
    found
}

/// Reads an object with every field, and one with unknown words, and wants both back as they were.
fn check_kept<K: Kind>() {
    let kind = controllers::kinds().into_iter().find(|kind| kind.info == K::INFO).expect("one of ours");
    let crd = serde_json::to_value(kind.crd()).expect("JSON");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut object = example(schema);
    object["apiVersion"] = json!(K::INFO.api_version());
    object["kind"] = json!(K::INFO.kind);
    object["metadata"] = json!({ "name": "some" });
    for words in ["known", "unknown"] {
        let read: K =
            serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{}: {error}", K::INFO.kind));
        assert_eq!(serde_json::to_value(&read).expect("JSON"), object, "{} with {words} words", K::INFO.kind);
        estrange(schema, &mut object);
    }
}

#[test]
fn every_field_and_every_unknown_word_of_a_stored_object_is_kept() {
    check_kept::<api::RebalancePlanSchedule>();
    check_kept::<api::RebalancePlanClaim>();
    check_kept::<api::RebalancePlan>();
    check_kept::<api::RebalanceMigrationPlan>();
    check_kept::<api::CommitmentBudget>();
    check_kept::<api::UnavailableOffering>();
}
