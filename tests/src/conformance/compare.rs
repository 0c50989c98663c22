//! What the embedded server answers otherwise than the real one, in the fields that matter.

use std::fmt;

use serde_json::Value;

use super::Told;

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `step /pointer`.
    pub at: String,
    real: String,
    embedded: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    real:     {}\n    embedded: {}", self.at, self.real, self.embedded)
    }
}

/// Compares two plays of the script. Defaults that the real server adds to kinds of Kubernetes do not count, outside of
/// `metadata`: nothing of ours reads them.
pub fn differences(real: &[Told], embedded: &[Told]) -> Vec<Difference> {
    assert_eq!(real.len(), embedded.len(), "the script has changed; record it anew");
    let mut found = Vec::new();
    for (real, embedded) in real.iter().zip(embedded) {
        let asked = |told: &Told| (told.name.clone(), told.request.clone(), told.body.clone());
        assert_eq!(asked(real), asked(embedded), "the script has changed; record it anew");
        let mut step = Step { name: &real.name, found: &mut found };
        step.compare("/code", &Value::from(real.code), &Value::from(embedded.code), true);
        step.compare("", &real.answer, &embedded.answer, true);
    }
    found
}

struct Step<'a> {
    name: &'a str,
    found: &'a mut Vec<Difference>,
}

impl Step<'_> {
    /// `whole`: a field that only the real one has counts too.
    fn compare(&mut self, pointer: &str, real: &Value, embedded: &Value, whole: bool) {
        match (real, embedded) {
            (Value::Object(left), Value::Object(right)) => {
                let whole = match right.get("apiVersion").and_then(Value::as_str) {
                    Some(version) => is_whole(version, right.get("kind")),
                    None => whole,
                };
                let below = |key: &str| whole || (pointer_is_metadata(pointer) || key == "metadata");
                for (key, field) in left {
                    let at = format!("{pointer}/{key}");
                    match right.get(key) {
                        Some(other) => self.compare(&at, field, other, below(key)),
                        None if below(key) => self.compare(&at, field, &Value::Null, true),
                        None => {}
                    }
                }
                for (key, field) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                    self.compare(&format!("{pointer}/{key}"), &Value::Null, field, true);
                }
            }
            (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
                for (index, (left, right)) in left.iter().zip(right).enumerate() {
                    self.compare(&format!("{pointer}/{index}"), left, right, whole);
                }
            }
            (left, right) if left == right => {}
            (left, right) => self.found.push(Difference {
                at: format!("{} {pointer}", self.name),
                real: left.to_string(),
                embedded: right.to_string(),
            }),
        }
    }
}

fn pointer_is_metadata(pointer: &str) -> bool {
    pointer.ends_with("/metadata") || pointer.contains("/metadata/")
}

/// Our kinds and refusals are compared in every field.
fn is_whole(api_version: &str, kind: Option<&Value>) -> bool {
    api_version.starts_with("autoscaling.cast.ai/") || kind.is_some_and(|kind| kind == "Status" || kind == "Lease")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_that_matters_is_compared_and_defaults_of_others_are_not() {
        let check = |real: Value, embedded: Value, wanted: &[&str]| {
            let told = |answer: Value| {
                vec![Told { name: "s".into(), request: "r".into(), body: Value::Null, code: 200, answer }]
            };
            let found = differences(&told(real), &told(embedded));
            assert_eq!(found.iter().map(|one| one.at.as_str()).collect::<Vec<_>>(), wanted);
        };
        let pod = |spec: Value, metadata: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
        check(pod(json!({"a": 1, "dnsPolicy": "x"}), json!({})), pod(json!({"a": 1}), json!({})), &[]);
        check(pod(json!({"a": 1}), json!({})), pod(json!({"a": 2, "b": 1}), json!({})), &["s /spec/a", "s /spec/b"]);
        check(pod(json!({}), json!({"labels": {"a": "b"}})), pod(json!({}), json!({})), &["s /metadata/labels"]);
        let ours = |spec: Value| json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "X", "spec": spec});
        check(ours(json!({"deep": {"a": 1}})), ours(json!({"deep": {}})), &["s /spec/deep/a"]);
        check(json!([1, 2]), json!([1]), &["s "]);
    }
}
