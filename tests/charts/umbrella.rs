//! The umbrella's profile `kent`, in which the values of our chart are nested.

use serde_json::{Value, json};

use crate::contract::{rows, sample};
use crate::render::{count, only, put, rendered};

const NAME: &str = "castai-umbrella";

#[test]
fn nothing_is_installed_before_a_profile_is_on() {
    assert_eq!(rendered(NAME, &json!({})), Ok(Vec::new()));
    let on = json!({"kent": {"enabled": true}});
    let objects = rendered(NAME, &on).expect("it renders");
    assert_eq!(count(&objects, "Deployment"), 1);
    assert_eq!(count(&objects, "CustomResourceDefinition"), kentroller::controllers::kinds().len());
    let off = json!({"kent": {"enabled": true, "castai-kentroller": {"enabled": false}}});
    assert_eq!(rendered(NAME, &off), Ok(Vec::new()));
}

#[test]
fn every_value_is_accepted_and_reaches_the_chart_below_from_either_place() {
    let mut values = json!({"kent": {"enabled": true}});
    for row in rows("umbrella") {
        put(&mut values, &row.path, sample(&row));
    }
    values["kent"]["enabled"] = json!(true);
    rendered(NAME, &values).expect("all are accepted");

    let config = |values: Value| {
        let objects = rendered(NAME, &values).expect("it renders");
        let text = only(&objects, "ConfigMap", "-dynamic-config")["data"]["config.yaml"].clone();
        serde_saphyr::from_str::<Value>(text.as_str().expect("a text")).expect("YAML")["mode"].clone()
    };
    let (observe, approve) = (json!({"castai": {"mode": "observe"}}), json!({"castai": {"mode": "approve"}}));
    assert_eq!(config(json!({"kent": {"enabled": true, "castai-kentroller": observe}})), "observe");
    assert_eq!(config(json!({"kent": {"enabled": true}, "castai-kentroller": observe})), "observe");
    assert_eq!(
        config(json!({"kent": {"enabled": true, "castai-kentroller": observe}, "castai-kentroller": approve})),
        "approve"
    );
}

#[test]
fn what_is_wrong_is_told_at_every_depth() {
    let check = |mut values: Value, want: &str| {
        values["kent"]["enabled"] = json!(true);
        let said = rendered(NAME, &values).expect_err(want);
        assert!(said.contains(want), "{want}:\n{said}");
    };
    check(json!({"kent": {"castai-kentroler": {}}}), "did you mean kent.castai-kentroller?");
    check(json!({"kent": {"castai-kentroller": {"castai": {"modus": "act"}}}}), "did you mean castai.mode?");
    check(json!({"castai-kentroller": {"castai": {"modus": "act"}}}), "did you mean castai.mode?");
    check(json!({"castai-kentroller": {"castai": {"mode": "slow"}}}), "'act', 'approve', 'observe'");
}
