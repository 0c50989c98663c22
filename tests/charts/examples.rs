//! The examples of the public documents, and releases whose values are those of another chart.

use std::fs;
use std::process::Command;
use std::time::Duration;

use kentroller::settings::{CycleMode, Settings};
use kentroller_runtime::settings::{Decimal, Settings as _};
use kentroller_tests::helm::chart;
use serde_json::{Value, json};

use crate::contract::rows;
use crate::render::{only, put, rendered, rendered_at, scratch};

#[test]
fn the_documented_examples_render_and_reach_the_program() {
    for (text, switches_on) in [(CONTINUOUS, true), (PROTECTED_AND_DISPOSABLE, true), (AGGRESSIVE, false)] {
        let values: Value = serde_saphyr::from_str(text).expect("YAML");
        let nested = json!({"kent": {"enabled": true}, "castai-kentroller": values});
        for (chart, values) in [("castai-kentroller", &values), ("castai-umbrella", &nested)] {
            let settings = configured(&rendered(chart, values).expect(text));
            assert_eq!(settings.continuous_rebalancing, switches_on, "{chart}: {text}");
            assert_eq!(settings.continuous_mode, CycleMode::Full, "{chart}: {text}");
        }
    }
}

/// What the program makes of the rendered ConfigMap.
fn configured(objects: &[Value]) -> Settings {
    let text = &only(objects, "ConfigMap", "-dynamic-config")["data"]["config.yaml"];
    let bare = Settings::from_env(&|_| None).expect("the defaults are right");
    bare.overlaid(text.as_str().expect("a text")).expect("the text is right")
}

/// `--reuse-values` puts the values of the release before, with all its chart's defaults, in place of this chart's own.
#[test]
fn values_of_charts_0_1_199_and_0_22_0_are_reused() {
    let table = rows("chart").into_iter();
    let (newer, older): (Vec<_>, Vec<_>) = table.partition(|row| row.note.starts_with("new"));
    let mut values = json!({});
    let defaults = older.iter().chain(&newer);
    for (count, row) in defaults.enumerate() {
        if count == older.len() {
            let mut old = values.clone();
            old["provider"] = json!("aws");
            old["castai"]["otelMetrics"]["endpoint"] = json!("");
            old["image"]["repository"] = json!("registry.example/castai/kentroller");
            reused(&old);
        }
        if let Some(default) = &row.default {
            put(&mut values, &row.path, default.clone());
        }
    }
    reused(&values);
    // Somebody's choices are in it as well.
    values["castai"]["apiKeySecretRef"] = json!("castai-credentials");
    values["castai"]["commitmentBudgets"]["drainMode"] = json!(false);
    reused(&values);
}

#[test]
fn what_comes_next_is_told_and_what_is_set_and_read_by_nothing() {
    // Helm renders notes on an install only; here they are the text of an object.
    let copy = copied();
    fs::rename(format!("{copy}/templates/NOTES.txt"), format!("{copy}/notes")).expect("the notes");
    let notes = "{kind: Notes, metadata: {name: notes}, text: {{ tpl (.Files.Get \"notes\") . | toJson }}}";
    fs::write(format!("{copy}/templates/notes.yaml"), notes).expect("a file");
    let told = |values: Value| {
        let objects = rendered_at(&copy, &values).expect("it renders");
        only(&objects, "Notes", "notes")["text"].as_str().expect("a text").to_owned()
    };
    let bare = told(json!({"castai": {"commitmentBudgets": {"drainMode": false}}}));
    for command in ["rollout status deployment/castai-kentroller", "kubectl apply -f -", "kubectl get rps,rpc,rp"] {
        assert!(bare.contains(command), "{bare}");
    }
    assert!(!bare.contains("read by nothing"), "an off that YAML made a false is the default:\n{bare}");
    let set = told(
        json!({"apiKey": "key", "castai": {"mode": "observe", "clm": {"enabled": true}, "audit": {"enabled": true}}}),
    );
    let listed = set.split("read by nothing in this version:").nth(1).expect("a list");
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), ["apiKey", "castai.clm.enabled"]);
}

/// A copy of our chart that may be changed.
fn copied() -> String {
    let copy = scratch("castai-kentroller");
    let copied = Command::new("cp").args(["-r", &chart("castai-kentroller"), &copy]).status();
    assert!(copied.expect("cp runs").success());
    copy
}

/// Renders our chart with these in place of its own values; what the program is told is right.
fn reused(values: &Value) {
    let copy = copied();
    fs::write(format!("{copy}/values.yaml"), values.to_string()).expect("JSON is YAML");
    let objects = rendered_at(&copy, &json!({"castai": {"rebalance": {"enabled": false}}})).expect("it renders");
    let settings = configured(&objects);
    let bare = Settings::from_env(&|_| None).expect("the defaults are right");
    let (minute, percent) = (Some(Duration::from_secs(60)), Decimal::from_millionths(15_000_000));
    let expected = Settings {
        rebalancer: false,
        cycle_interval: minute,
        full_interval: Some(Duration::from_secs(1800)),
        drain_only_interval: minute,
        delete_empty_interval: minute,
        savings_threshold: percent,
        cluster_savings_threshold: Some(percent),
        ..bare
    };
    assert_eq!(settings, expected);
    only(&objects, "ClusterRole", "-act");
}

const CONTINUOUS: &str = "
castai:
  continuousRebalancing:
    enabled: true
    mode: full
";

const PROTECTED_AND_DISPOSABLE: &str = "
castai:
  continuousRebalancing:
    enabled: true
    mode: full
    evictionConfig:
      - nodeSelector:
          labelSelector:
            matchLabels:
              dedicated: gpu
        settings:
          removalDisabled:
            enabled: true
      - podSelector:
          kind: Job
          namespace: batch
        settings:
          disposable:
            enabled: true
";

const AGGRESSIVE: &str = "
castai:
  continuousRebalancing:
    evictionConfig:
      - podSelector:
          kind: Deployment
          replicasMin: 3
          labelSelector:
            matchExpressions:
              - key: environment
                operator: NotIn
                values:
                  - production
        settings:
          aggressive:
            enabled: true
";
