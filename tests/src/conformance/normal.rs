//! Answers without what differs between any two servers: identities, versions and times become words.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What is known of the objects of one play.
#[derive(Default)]
pub(super) struct Normal {
    /// By uid: what stands in its place.
    names: BTreeMap<String, String>,
    /// By name: how many objects have had it.
    counts: BTreeMap<String, u32>,
    /// By uid: the version seen last.
    versions: BTreeMap<String, String>,
}

impl Normal {
    /// The answer in words that can be compared.
    pub(super) fn of(&mut self, answer: &Value) -> Value {
        self.learn(answer);
        self.value("", answer)
    }

    fn learn(&mut self, value: &Value) {
        if let (Some(uid), Some(name)) = (value["metadata"]["uid"].as_str(), value["metadata"]["name"].as_str())
            && !self.names.contains_key(uid)
        {
            let count = self.counts.entry(name.to_owned()).or_default();
            *count += 1;
            self.names.insert(uid.to_owned(), format!("<uid {count} of {name}>"));
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.learn(field)),
            _ => {}
        }
    }

    fn value(&mut self, key: &str, value: &Value) -> Value {
        match value {
            // Controllers put them on and take them off at their own time.
            Value::Array(items) if key == "taints" => {
                let others = items
                    .iter()
                    .filter(|one| !one["key"].as_str().is_some_and(|key| key.starts_with("node.kubernetes.io/")));
                others.map(|item| self.value("", item)).collect()
            }
            Value::Array(items) => items.iter().map(|item| self.value("", item)).collect(),
            Value::Object(fields) if key == "metadata" => self.metadata(fields),
            Value::Object(fields) => {
                let all = fields.iter().map(|(key, field)| (key.clone(), self.value(key, field)));
                all.filter(|(key, field)| key != "taints" || *field != json!([])).collect()
            }
            Value::String(text) => json!(self.text(text)),
            other => other.clone(),
        }
    }

    fn metadata(&mut self, fields: &Map<String, Value>) -> Value {
        let uid = fields.get("uid").and_then(Value::as_str);
        let mut all = Map::new();
        for (key, field) in fields.iter().filter(|(key, _)| *key != "managedFields") {
            let normal = match (key.as_str(), uid, field.as_str()) {
                ("resourceVersion", Some(uid), Some(version)) => {
                    let before = self.versions.insert(uid.to_owned(), version.to_owned());
                    json!(if before.as_deref() == Some(version) { "<the same version>" } else { "<another version>" })
                }
                ("resourceVersion", None, Some(version)) if !version.is_empty() => json!("<version>"),
                ("continue", _, Some(token)) if !token.is_empty() => json!("<more>"),
                _ => self.value(key, field),
            };
            all.insert(key.clone(), normal);
        }
        Value::Object(all)
    }

    fn text(&self, text: &str) -> String {
        let is_time = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && text.ends_with('Z');
        if is_time {
            return "<time>".to_owned();
        }
        let named = self.names.iter().fold(text.to_owned(), |text, (uid, name)| text.replace(uid, name));
        without_versions(&named)
    }
}

/// Messages have versions in parentheses.
fn without_versions(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('(') {
        out.push_str(before);
        out.push('(');
        let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        rest = after;
        if digits > 0 && after[digits..].starts_with(')') {
            out.push_str("<version>");
            rest = &after[digits..];
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_versions_and_times_become_words_and_the_rest_stays() {
        let mut normal = Normal::default();
        let object = |version: &str| {
            json!({"metadata": {"name": "a", "uid": "u-1", "resourceVersion": version, "creationTimestamp": "2026-01-01T00:00:00Z",
                "managedFields": []}, "spec": {"of": "u-1", "size": 3}})
        };
        let words = |version: &str| {
            json!({"metadata": {"name": "a", "uid": "<uid 1 of a>", "resourceVersion": version, "creationTimestamp": "<time>"},
                "spec": {"of": "<uid 1 of a>", "size": 3}})
        };
        assert_eq!(normal.of(&object("7")), words("<another version>"));
        assert_eq!(normal.of(&object("7")), words("<the same version>"));
        assert_eq!(
            normal.of(&json!({"message": "u-1 (8) is not (x) or (9"})),
            json!({"message": "<uid 1 of a> (<version>) is not (x) or (9"})
        );
    }
}
