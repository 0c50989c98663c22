//! The examples that stand in the doc comments of kinds: what an API server says of them.

use jiff::Timestamp;
use serde_json::Value;

use super::OwnKind;
use crate::simulation::apiserver::{ApiServer, Served};

/// What is wrong with the example of a kind; `None` if an API server takes it and keeps each of its fields.
pub(super) fn mistake(kind: &OwnKind) -> Option<String> {
    let wrong = |why: &str| format!("{}: the example in the doc comment of its spec {why}", kind.info.kind);
    let sample: Value = match serde_saphyr::from_str(kind.sample?) {
        Ok(sample) => sample,
        Err(error) => return Some(wrong(&format!("is no YAML: {error}"))),
    };
    let (version, name) = (kind.info.api_version(), kind.info.kind);
    if (sample["apiVersion"].as_str(), sample["kind"].as_str()) != (Some(version.as_str()), Some(name)) {
        return Some(wrong(&format!("begins with `apiVersion: {version}` and `kind: {name}`")));
    }
    let crd = serde_json::to_value(kind.crd()).ok()?;
    let server = ApiServer::new(|| Timestamp::UNIX_EPOCH, vec![Served::custom(crd)]);
    match server.create(sample.clone()) {
        Err(refusal) => Some(wrong(&format!("is refused: {}", refusal.message))),
        Ok(stored) => {
            let lost = lost("spec", &sample["spec"], &stored["spec"])?;
            Some(wrong(&format!("has `{lost}`, and there is no such field")))
        }
    }
}

/// The first field that was written and is not stored.
fn lost(path: &str, written: &Value, stored: &Value) -> Option<String> {
    match (written, stored) {
        (_, Value::Null) if !written.is_null() => Some(path.to_owned()),
        (Value::Object(fields), _) => {
            fields.iter().find_map(|(name, value)| lost(&format!("{path}.{name}"), value, &stored[name]))
        }
        (Value::Array(items), _) => {
            items.iter().zip(0..).find_map(|(item, place)| lost(&format!("{path}[{place}]"), item, &stored[place]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::mistakes;
    use crate::prelude::*;

    #[resource(crate = crate, group = "example.org", version = "v1", kind = "Lamp", namespaced)]
    /// A lamp.
    ///
    /// ```yaml
    /// apiVersion: example.org/v1
    /// kind: Lamp
    /// metadata: {name: hall}
    /// spec: {watts: 40, rooms: [{name: hall}]}
    /// ```
    pub struct LampSpec {
        /// How bright it is.
        #[garde(range(max = 100))]
        pub watts: u32,
        /// Where it hangs.
        pub rooms: Vec<Room>,
    }

    #[resource(crate = crate, part)]
    /// Where it hangs.
    pub struct Room {
        /// What people call it.
        pub name: String,
    }

    #[test]
    fn the_example_of_a_doc_comment_is_what_an_api_server_takes() {
        let lamp = OwnKind::of::<Lamp>().expect("it is ours");
        let check = |sample: &'static str, want: &str| {
            let found = mistakes::all(&[OwnKind { sample: Some(sample), ..lamp }], &[], &[]);
            let want = (!want.is_empty()).then(|| format!("Lamp: the example in the doc comment of its spec {want}"));
            assert_eq!(found, Vec::from_iter(want), "{sample}");
        };
        let spec = |kind: &str, spec: &str| -> &'static str {
            format!("apiVersion: example.org/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n").leak()
        };
        check(lamp.sample.expect("it has one"), "");
        assert_eq!(
            lamp.crd().spec.versions[0]
                .schema
                .as_ref()
                .and_then(|s| s.open_api_v3_schema.as_ref()?.properties.as_ref()?["spec"].description.clone())
                .as_deref(),
            Some("A lamp.")
        );
        check(spec("Light", "{watts: 1}"), "begins with `apiVersion: example.org/v1` and `kind: Lamp`");
        check(
            spec("Lamp", "{watts: 1, rooms: [{name: a, size: 2}]}"),
            "has `spec.rooms[0].size`, and there is no such field",
        );
        check(
            spec("Lamp", "{watts: 101}"),
            "is refused: Lamp.example.org \"a\" is invalid: spec.watts: Invalid value: 101: spec.watts in body should be less than or equal to 100",
        );
    }
}
