//! Prints a generated cluster as `kubectl get -A -o json` would: `-- NODES SEED [hard]`.
use std::io::{self, Write};

use kentroller_planner::{
    Catalog,
    generate::{Recipe, generate},
};
use serde::Serialize;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|word| word.parse().ok());
    let hard = arguments.iter().any(|word| word == "hard");
    let recipe =
        Recipe { nodes: number(0).unwrap_or(100), seed: number(1).unwrap_or(0) as u64, constrained: hard, held: hard };
    let snapshot = generate(recipe, &Catalog::embedded());
    let mut out = io::BufWriter::new(io::stdout().lock());
    out.write_all(b"{\"apiVersion\":\"v1\",\"items\":[")?;
    let mut first = true;
    list(&mut out, &mut first, "Node", &snapshot.nodes)?;
    list(&mut out, &mut first, "Pod", &snapshot.pods)?;
    list(&mut out, &mut first, "NodePool", &snapshot.node_pools)?;
    list(&mut out, &mut first, "NodeClaim", &snapshot.node_claims)?;
    list(&mut out, &mut first, "PodDisruptionBudget", &snapshot.pdbs)?;
    list(&mut out, &mut first, "DaemonSet", snapshot.daemon_sets.as_deref().unwrap_or_default())?;
    list(&mut out, &mut first, "PersistentVolume", &snapshot.persistent_volumes)?;
    list(&mut out, &mut first, "PersistentVolumeClaim", &snapshot.persistent_volume_claims)?;
    out.write_all(b"],\"kind\":\"List\",\"metadata\":{}}\n")?;
    out.flush()
}

fn list<T: Serialize>(out: &mut impl Write, first: &mut bool, kind: &str, objects: &[T]) -> io::Result<()> {
    for object in objects {
        if !std::mem::take(first) {
            out.write_all(b",\n")?;
        }
        let mut value = serde_json::to_value(object)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("kind".to_owned(), kind.into());
        }
        serde_json::to_writer(&mut *out, &value)?;
    }
    Ok(())
}
