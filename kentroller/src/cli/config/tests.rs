use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

fn container(env: Value) -> Value {
    json!({"args": ["run", "--leader-elect", "--health-probe-bind-address=:8081"], "env": env,
        "envFrom": [{"configMapRef": {"name": "more"}}, {"secretRef": {"name": "key"}}]})
}

fn maps() -> BTreeMap<String, BTreeMap<String, String>> {
    let texts =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    [("more".to_owned(), texts(&[("PLAN_TIME_LIMIT", "20s"), ("MODE", "observe")]))].into()
}

fn dynamic(data: Value) -> ConfigMap {
    serde_json::from_value(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic", "namespace": "agent"},
        "data": data}),
    )
    .expect("a ConfigMap")
}

fn given() -> Value {
    json!([
        {"name": "MODE", "value": "approve"},
        {"name": "REBALANCER_ENABLED", "value": ""},
        {"name": "DYNAMIC_CONFIG_MAP_NAME", "value": "dynamic"},
        {"name": "CATALOG_CONFIG_MAP_NAME", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "prices"}}},
        {"name": "CONTINUOUS_REBALANCING_MODE", "value": "drain-only"},
        {"name": "API_KEY", "value": "top secret"},
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ])
}

fn config(env: Value, map: Option<&ConfigMap>) -> Config {
    Config::of("Deployment agent/kentroller", &Environment::told(&container(env), &maps()), map)
}

/// The value of a setting and where it came from, by its environment variable or its key.
fn of(config: &Config, name: &str) -> (Option<String>, Origin, Option<String>) {
    let row = config.settings.iter().find(|row| row.env == Some(name) || row.key == Some(name));
    let row = row.unwrap_or_else(|| panic!("no row {name}"));
    (row.value.clone(), row.from, row.object.clone())
}

#[test]
fn every_setting_is_told_with_its_value_and_where_it_came_from() {
    let text = "continuousRebalancing:\n  mode: full\n  cycleIntervalSeconds: 90\n  evictionConfig: []\n";
    let map = dynamic(json!({"config.yaml": text, "paused": "true"}));
    let config = config(given(), Some(&map));
    assert_eq!(config.settings.len(), Settings::FIELDS.len());
    let some = |text: &str| Some(text.to_owned());
    for (name, value, from, object) in [
        ("REBALANCER_ENABLED", some("true"), Origin::Default, None),
        ("SCHEDULE_STARTING_DEADLINE", None, Origin::Default, None),
        ("MODE", some("approve"), Origin::Environment, None),
        ("PLAN_TIME_LIMIT", some("20s"), Origin::Environment, some("ConfigMap more")),
        ("CATALOG_CONFIG_MAP_NAME", None, Origin::Secret, some("Secret hidden, key prices")),
        ("CONTINUOUS_REBALANCING_MODE", some("full"), Origin::DynamicConfigMap, some("agent/dynamic")),
        ("continuousRebalancing.cycleIntervalSeconds", some("90"), Origin::DynamicConfigMap, some("agent/dynamic")),
        ("paused", some("true"), Origin::DynamicConfigMap, some("agent/dynamic")),
    ] {
        assert_eq!(of(&config, name), (value, from, object), "{name}");
    }
    let flag = |name: &str, value: &str| Flag { name: name.to_owned(), value: value.to_owned() };
    assert_eq!(config.flags, [flag("--leader-elect", "true"), flag("--health-probe-bind-address", ":8081")]);
    assert_eq!(config.unread, ["Secret key may set more (envFrom); it is not read"]);
    assert_eq!(config.mistakes, [""; 0]);
    let told = config.told();
    let rows: BTreeSet<&str> = told.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(rows.contains("--leader-elect") && told.contains("(masked)") && told.contains("(unset)"), "{told}");
    assert!(told.lines().all(|line| line.trim_end().chars().count() <= 80), "{told}");
    assert!(!told.contains("top secret") && !serde_json::to_string(&config).expect("JSON").contains("top secret"));
}

#[test]
fn a_dynamic_config_map_with_a_mistake_counts_for_nothing_and_the_mistake_is_told() {
    let map = dynamic(json!({"config.yaml": "mode: observe\nrebalancer: {enabled: perhaps}\n"}));
    let told = config(given(), Some(&map));
    assert_eq!(of(&told, "MODE"), (Some("approve".to_owned()), Origin::Environment, None));
    assert!(told.mistakes.iter().any(|one| one.starts_with("rebalancer.enabled is `perhaps`")), "{:?}", told.mistakes);
    let missing = config(given(), None);
    assert!(missing.mistakes.iter().any(|one| one.contains("there is no such ConfigMap")), "{:?}", missing.mistakes);
    let wrong = config(json!([{"name": "MODE", "value": "maybe"}]), None);
    assert!(wrong.mistakes.iter().any(|one| one.starts_with("MODE is `maybe`")), "{:?}", wrong.mistakes);
}

#[test]
fn what_is_told_to_be_in_force_is_what_the_operator_reads() {
    let text = "mode: observe\ncontinuousRebalancing: {enabled: true, minNodeAgeSeconds: 60}\n";
    let map = dynamic(json!({"config.yaml": text}));
    let environment = Environment::told(&container(given()), &maps());
    let in_force = Settings::from_env(&|name| environment.text(name)).expect("it is right");
    let in_force = in_force.overlaid_by(&map).expect("it says something").expect("it is right");
    // Whoever starts an operator with what is told gets the same settings.
    let config = Config::of("", &environment, Some(&map));
    let mut written = serde_json::Map::new();
    let from_env = Settings::from_env(&|name| {
        let row = config.settings.iter().find(|row| row.env == Some(name))?;
        row.value.clone().filter(|_| row.from == Origin::Environment)
    });
    for row in config.settings.iter().filter(|row| row.from == Origin::DynamicConfigMap) {
        let value = row.value.clone().expect("a value");
        let value: Value = serde_json::from_str(&value).unwrap_or(Value::String(value));
        let (group, key) = row.key.expect("a key").split_once('.').unwrap_or((row.key.expect("a key"), ""));
        if key.is_empty() {
            written.insert(group.to_owned(), value);
        } else {
            written.entry(group).or_insert_with(|| json!({}))[key] = value;
        }
    }
    let mut told = from_env.expect("it is right");
    told.apply_config(&Value::Object(written)).expect("it is right");
    // A key is told nowhere.
    assert_eq!(told, Settings { api_key: None, ..in_force });
}
