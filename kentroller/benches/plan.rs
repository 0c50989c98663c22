//! What `kentroller plan -f` keeps of its time and memory, and what its plans are worth by then.
//!
//! Clusters of the planner's generator as an API server sends them: 100, 1,000 and 5,800 nodes or somewhat more, the
//! last some 200 MB of JSON. For each the time within which a first good plan is wanted (0.1, 1 and 5 s) and a longer
//! one: the wall time from start to last byte (bar: 1.05 of it + 0.1 s), cost over the lower bound (bar of a first
//! plan: 1.25), and peak memory (bar: 700 MiB). Run with `cargo bench -p kentroller --bench plan [-- SEED]`.
#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use kentroller_planner::Catalog;
use kentroller_planner::generate::{Recipe, generate, wire};
use serde_json::Value;

/// What the generator is asked for, and the seconds that a plan may take: a first one, and a good one.
const CASES: [(usize, [f64; 2]); 3] = [(60, [0.1, 1.0]), (600, [1.0, 10.0]), (3_400, [5.0, 30.0])];
const FIRST: f64 = 1.25;
const PEAK: u64 = 700 << 20;

fn main() -> ExitCode {
    let seed = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1);
    let mut good = true;
    for (nodes, limits) in CASES {
        for constrained in [false, true] {
            let (file, about) = dump(nodes, seed, constrained);
            println!("{about}");
            for (limit, bar) in limits.into_iter().zip([FIRST, f64::INFINITY]) {
                good &= told(&file, limit, bar);
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn dump(nodes: usize, seed: u64, constrained: bool) -> (PathBuf, String) {
    let snapshot = generate(Recipe { nodes, seed, constrained, held: constrained }, &Catalog::embedded());
    let mut text = String::from("{\"apiVersion\":\"v1\",\"items\":[\n");
    for (number, item) in wire::items(&snapshot, true).enumerate() {
        let _ = write!(text, "{}{item}", if number == 0 { "" } else { ",\n" });
    }
    text.push_str("],\"kind\":\"List\",\"metadata\":{}}\n");
    let kind = if constrained { "with constraints" } else { "free to move" };
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("plan-{nodes}-{constrained}.json"));
    std::fs::write(&file, &text).expect("the target folder can be written");
    let (nodes, pods) = (snapshot.nodes.len(), snapshot.pods.len());
    (file, format!("{nodes} nodes, {pods} pods, {} MB, {kind}, seed {seed}", text.len() / 1_000_000))
}

/// Runs the command once and says what came of it; whether it kept its bars.
fn told(file: &PathBuf, limit: f64, bar: f64) -> bool {
    let start = Instant::now();
    let run = Command::new(env!("CARGO_BIN_EXE_kentroller"))
        .args(["plan", "-o", "json", "--time-limit", &format!("{limit}s"), "-f"])
        .arg(file)
        .output()
        .expect("the command starts");
    let wall = start.elapsed().as_secs_f64();
    let Ok(report) = serde_json::from_slice::<Value>(&run.stdout) else {
        println!("  in {limit} s: no report, but {}", String::from_utf8_lossy(&run.stderr));
        return false;
    };
    let usd = |field: &Value| field["hourly"].as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let cost = &report["cost"];
    let (before, after, bound) = (usd(&cost["before"]), usd(&cost["after"]), usd(&cost["lowerBound"]));
    let timing = &report["timing"];
    let peak = timing["peakRssBytes"].as_u64().unwrap_or(0);
    let (in_time, worth, small) = (wall <= 1.05 * limit + 0.1, after <= bar * bound, peak <= PEAK);
    let mark = |kept: bool| if kept { "" } else { " (missed)" };
    println!(
        "  in {limit} s: wall {wall:.2} s{}, read {} ms, planned {} ms; cost {:.3} of the bound{}, {:.3} before; peak {} MiB{}",
        mark(in_time),
        timing["readMillis"],
        timing["planMillis"],
        after / bound,
        mark(worth),
        before / bound,
        peak >> 20,
        mark(small),
    );
    in_time && worth && small
}
