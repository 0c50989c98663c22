//! A chart as Helm renders it.

use std::fs;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use kentroller_tests::helm::{chart, helm};
use serde_json::Value;

/// The objects that a chart of ours makes of these values.
///
/// # Errors
/// What Helm says when it refuses.
pub fn rendered(name: &str, values: &Value) -> Result<Vec<Value>, String> {
    rendered_at(&chart(name), values)
}

/// The same of a chart in any folder.
///
/// # Errors
/// What Helm says when it refuses.
pub fn rendered_at(folder: &str, values: &Value) -> Result<Vec<Value>, String> {
    let file = scratch("values.json");
    fs::write(&file, values.to_string()).expect("a file");
    let name = ["template", "castai-kentroller", folder, "--namespace", "castai-agent", "--kube-version", "1.35.0"];
    let said = helm(&[&name[..], &["--values", &file]].concat())?;
    let objects = said.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).expect("YAML"));
    Ok(objects.filter(|object| !object.is_null()).collect())
}

/// A path of its own for each caller, below the target folder.
pub fn scratch(name: &str) -> String {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("charts/{}-{made}", process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder.join(name).to_str().expect("UTF-8").to_owned()
}

/// The only object of a kind whose name ends so.
pub fn only<'a>(objects: &'a [Value], kind: &str, end: &str) -> &'a Value {
    let is = |object: &&Value| {
        object["kind"] == kind && object["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(end))
    };
    let found: Vec<&Value> = objects.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{kind} …{end}");
    found[0]
}

/// How many objects of a kind there are.
pub fn count(objects: &[Value], kind: &str) -> usize {
    objects.iter().filter(|object| object["kind"] == kind).count()
}

/// Sets a value by its path.
pub fn put(root: &mut Value, path: &[String], value: Value) {
    let (name, parents) = path.split_last().expect("a path has a name");
    let parent = parents.iter().fold(root, |parent, step| {
        if !parent[step.as_str()].is_object() {
            parent[step.as_str()] = Value::Object(serde_json::Map::new());
        }
        &mut parent[step.as_str()]
    });
    parent[name.as_str()] = value;
}
