//! Every value of the public chart: accepted under its name, and refused in words that help where it is wrong.

use std::fs;

use kentroller_tests::helm::{chart, helm};
use serde_json::{Value, json};

use crate::contract::{Row, rows, sample};
use crate::render::{put, rendered, scratch};

const NAME: &str = "castai-kentroller";

/// Defaults that differ from the public chart's, each with its reason.
const OTHER: &[(&str, &str)] = &[
    ("image.repository", "the image is ours"),
    ("deploymentMode", "an install without any value is a standalone one"),
    (
        "castai.continuousRebalancing.deleteEmptyCycleIntervalSeconds",
        "cycleIntervalSeconds counts unless a mode has its own",
    ),
    ("castai.continuousRebalancing.drainOnlyCycleIntervalSeconds", "the same"),
    ("castai.continuousRebalancing.fullModeCycleIntervalSeconds", "the same"),
    (
        "castai.continuousRebalancing.savingsThresholdPercent",
        "it is of the whole cluster; savingsThresholdPercentage is of what is replaced",
    ),
    ("castai.commitmentBudgets.drainMode", "an unquoted `off` is the boolean false, and means off"),
];

#[test]
fn every_value_is_accepted_under_its_name_and_has_its_default() {
    let mut values = json!({});
    let ours = defaults();
    let mut differing = Vec::new();
    for row in rows("chart") {
        put(&mut values, &row.path, sample(&row));
        let here = row.path.iter().try_fold(&ours, |value, step| value.get(step));
        if row.default.is_some() && here != row.default.as_ref() {
            differing.push(row.path.join("."));
        }
    }
    differing.sort();
    let mut other: Vec<&str> = OTHER.iter().map(|(path, _)| *path).collect();
    other.sort_unstable();
    assert_eq!(differing, other);
    rendered(NAME, &values).expect("all are accepted");
}

#[test]
fn a_value_of_a_wrong_type_is_refused_with_its_path() {
    // No value of ours is a list of lists. What stands within an object of Kubernetes is judged by the API server.
    let mut values = json!({});
    let declared: Vec<Row> = rows("chart").into_iter().filter(|row| is_declared(&row.path)).collect();
    for row in &declared {
        put(&mut values, &row.path, json!([[]]));
    }
    let said = rendered(NAME, &values).expect_err("all are wrong");
    assert!(declared.len() > 75, "{}", declared.len());
    for row in declared {
        let at = format!("at '/{}", row.path.join("/"));
        assert!(said.contains(&at), "{at} is not told of:\n{said}");
    }
    let said =
        rendered(NAME, &json!({"castai": {"continuousRebalancing": {"mode": "ful"}}})).expect_err("no such word");
    assert!(said.contains("'delete-empty', 'drain-only', 'full'"), "{said}");
}

#[test]
fn a_misspelt_value_is_refused_with_the_nearest_name() {
    // A letter too much in the middle of the last name; every mistake is told in one run.
    let misspelt = |row: &Row| {
        let mut path = row.path.clone();
        let name = path.pop().expect("a name");
        let middle = name.len() / 2;
        path.push(format!("{}{}{}", &name[..middle], &name[middle - 1..middle], &name[middle..]));
        path
    };
    // Names below `global` may be other charts'.
    let declared = rows("chart").into_iter().filter(|row| is_declared(&row.path) && row.path[0] != "global");
    let mut values = json!({});
    let mut told = Vec::new();
    for row in declared {
        let path = misspelt(&row);
        put(&mut values, &path, sample(&row));
        told.push(format!("{} is no value of this chart; did you mean {}?", path.join("."), row.path.join(".")));
    }
    let said = rendered(NAME, &values).expect_err("all are wrong");
    let missing: Vec<String> = told.into_iter().filter(|line| !said.contains(line)).collect();
    assert_eq!(missing, [""; 0], "{said}");
}

#[test]
fn mistakes_that_people_make_are_told() {
    let check = |values: Value, want: &str| {
        let said = rendered(NAME, &values).expect_err(want);
        assert!(said.contains(want), "{want}:\n{said}");
    };
    check(json!({"castai": {"continousRebalancing": {"enabled": true}}}), "did you mean castai.continuousRebalancing?");
    check(json!({"replicas": 3}), "did you mean replicaCount?");
    check(
        json!({"castai": {"apiKey": "key", "apiKeySecretRef": "secret"}}),
        "castai.apiKey and castai.apiKeySecretRef are both set",
    );
    check(json!({"deploymentMode": "offline"}), "'connected', 'standalone'");
    check(
        json!({"metrics": {"enabled": false}, "serviceMonitor": {"enabled": true}}),
        "serviceMonitor.enabled needs metrics.enabled",
    );
}

#[test]
fn a_values_file_that_is_no_yaml_is_refused_with_its_line() {
    let file = scratch("values.yaml");
    fs::write(&file, "castai:\n\tmode: act\n").expect("a file");
    let said = helm(&["template", &chart(NAME), "--values", &file]).expect_err("a tab is no indent");
    assert!(said.contains("line 2: found character that cannot start any token"), "{said}");
}

/// Whether the schema knows the path itself, and not only an object that it lies within.
fn is_declared(path: &[String]) -> bool {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    path.iter().try_fold(&schema, |schema, step| schema["properties"].get(step)).is_some()
}

fn defaults() -> Value {
    serde_saphyr::from_str(&read("values.yaml")).expect("YAML")
}

fn read(file: &str) -> String {
    fs::read_to_string(format!("{}/{file}", chart(NAME))).expect("a file of the chart")
}
