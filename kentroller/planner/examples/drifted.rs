//! Prints a generated cluster as `kubectl get -A -o json` would: `-- NODES SEED [hard] [wire]`.
//!
//! `wire`: with all that an API server sends; without: what is read.

use std::io;
use std::io::Write;

use kentroller_planner::Catalog;
use kentroller_planner::generate::{Recipe, generate, wire};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|word| word.parse().ok());
    let says = |word: &str| arguments.iter().any(|argument| argument == word);
    let hard = says("hard");
    let recipe =
        Recipe { nodes: number(0).unwrap_or(100), seed: number(1).unwrap_or(0) as u64, constrained: hard, held: hard };
    let snapshot = generate(recipe, &Catalog::embedded());
    let mut out = io::BufWriter::new(io::stdout().lock());
    out.write_all(b"{\"apiVersion\":\"v1\",\"items\":[")?;
    for (number, item) in wire::items(&snapshot, says("wire")).enumerate() {
        out.write_all(if number == 0 { b"" } else { b",\n" })?;
        out.write_all(item.as_bytes())?;
    }
    out.write_all(b"],\"kind\":\"List\",\"metadata\":{}}\n")?;
    out.flush()
}
