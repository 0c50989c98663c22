//! Custom kinds: defaults, pruning, validation and rules from the CRD.

use super::*;

const WIDGETS: &str = "/apis/example.com/v1/widgets";

fn with(spec: Value) -> Value {
    let mut widget = widget("w");
    merge::merge(&mut widget["spec"], &spec);
    widget
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_go_and_defaults_come() {
    let client = server().client("tester");
    let mut sent = with(json!({
        "colour": "blue", "limits": [{"name": "a", "extra": 1}]
    }));
    sent["spec"]["free"] = json!({"any": {"thing": null}});
    sent["spec"]["note"] = Value::Null;
    sent["spec"]["code"] = Value::Null;
    sent["extra"] = json!(1);
    check(
        &client,
        ("POST", WIDGETS, JSON),
        sent,
        201,
        &[
            (
                "/spec",
                json!({
                    "size": 3, "color": "red", "note": null, "free": {"any": {"thing": null}},
                    "limits": [{"name": "a", "unit": "m"}]
                }),
            ),
            ("/extra", json!(null)),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_violation_is_named_with_its_field() {
    let client = server().client("tester");
    for (spec, field, reason, message) in [
        (
            json!({"size": "big"}),
            "spec.size",
            "FieldValueTypeInvalid",
            "Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
        ),
        (
            json!({"size": 0}),
            "spec.size",
            "FieldValueInvalid",
            "Invalid value: 0: spec.size in body should be greater than or equal to 1",
        ),
        (
            json!({"size": 11}),
            "spec.size",
            "FieldValueInvalid",
            "Invalid value: 11: spec.size in body should be less than or equal to 10",
        ),
        (
            json!({"color": "blue"}),
            "spec.color",
            "FieldValueNotSupported",
            "Unsupported value: \"blue\": supported values: \"red\", \"green\"",
        ),
        (
            json!({"code": "A"}),
            "spec.code",
            "FieldValueInvalid",
            "Invalid value: \"A\": spec.code in body should match '^[a-z]+$'",
        ),
        (json!({"code": "abcdef"}), "spec.code", "FieldValueTooLong", "Too long: may not be more than 5 bytes"),
        (
            json!({"share": 1.5}),
            "spec.share",
            "FieldValueTypeInvalid",
            "Invalid value: \"number\": spec.share in body must be of type integer,string: \"number\"",
        ),
        (json!({"limits": [{"max": 1}]}), "spec.limits[0].name", "FieldValueRequired", "Required value"),
        (
            json!({"limits": [{"name": "a"}, {"name": "a"}]}),
            "spec.limits[1]",
            "FieldValueDuplicate",
            "Duplicate value: {\"name\":\"a\"}",
        ),
        (
            json!({"low": 5, "high": 4}),
            "spec",
            "FieldValueInvalid",
            "Invalid value: \"object\": low must not exceed high",
        ),
    ] {
        check(
            &client,
            ("POST", WIDGETS, JSON),
            with(spec),
            422,
            &[
                ("/reason", json!("Invalid")),
                ("/details/kind", json!("Widget")),
                ("/details/group", json!("example.com")),
                ("/details/causes/0", json!({"reason": reason, "message": message, "field": field})),
            ],
        )
        .await;
    }
    for spec in [json!({"share": "50%"}), json!({"share": 3}), json!({"low": 4, "high": 4})] {
        check(&client, ("POST", WIDGETS, JSON), with(spec), 201, &[]).await;
        check(&client, ("DELETE", &format!("{WIDGETS}/w"), JSON), json!({}), 200, &[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_field_hides_the_rules_and_says_so() {
    let client = server().client("tester");
    check(&client, ("POST", WIDGETS, JSON), json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"low": 5, "high": 4}
    }), 422, &[(
        "/message",
        json!(
            "Widget.example.com \"w\" is invalid: [spec.size: Required value, <nil>: Invalid value: null: some validation \
             rules were not checked because the object was invalid; correct the existing errors to complete validation]"
        ),
    )])
    .await;
    check(&client, ("POST", WIDGETS, JSON), json!({"metadata": {"name": "w"}}), 400, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn rules_compare_with_the_state_before() {
    let api = server();
    let client = api.client("tester");
    api.create(with(json!({"fixed": "a"}))).unwrap();
    let path = format!("{WIDGETS}/w");
    check(
        &client,
        ("PATCH", &path, MERGE),
        json!({"spec": {"fixed": "b"}}),
        422,
        &[
            ("/details/causes/0/field", json!("spec.fixed")),
            ("/details/causes/0/message", json!("Invalid value: \"string\": fixed is immutable")),
        ],
    )
    .await;
    check(&client, ("PATCH", &path, MERGE), json!({"spec": {"size": 5}}), 200, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn the_status_is_validated_too() {
    let api = server();
    let client = api.client("tester");
    api.create(widget("w")).unwrap();
    let path = format!("{WIDGETS}/w/status");
    for (status, field) in [
        (json!({"state": "Asleep"}), "status.state"),
        (json!({"conditions": [{"type": "A"}, {"type": "A"}]}), "status.conditions[1]"),
        (
            json!({"conditions": [{"type": "A", "lastTransitionTime": "yesterday"}]}),
            "status.conditions[0].lastTransitionTime",
        ),
    ] {
        check(
            &client,
            ("PATCH", &path, MERGE),
            json!({"status": status}),
            422,
            &[("/details/causes/0/field", json!(field))],
        )
        .await;
    }
    check(
        &client,
        ("PATCH", &path, MERGE),
        json!({"status": {"state": "Idle", "odd": 1}}),
        200,
        &[("/status", json!({"state": "Idle"}))],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_wrong_before_and_did_not_change_is_let_through() {
    let mut found = schema::Schema::of(&Served::custom(widget_crd()), &widget_crd());
    let schema = &mut found;
    let (old, mut new) = (with(json!({"color": "blue"})), with(json!({"color": "blue", "size": 4})));
    assert_eq!(schema.mistakes(&new, Some(&old)), []);
    new["spec"]["color"] = json!("black");
    assert_eq!(schema.mistakes(&new, Some(&old)).len(), 1);
    assert_eq!(schema.mistakes(&old, None).len(), 1);
}
