//! The embedded API server held to the real one: one script of requests, what the real server answered to it, and what
//! the embedded one answers.
//!
//! `cargo e2e` plays the script on a real server and compares with the recording; with `KENTROLLER_E2E_RECORD=1` it
//! writes the recording anew. `cargo test` plays it on the embedded server.

mod compare;
mod normal;
mod play;
mod script;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::compare::{Difference, differences};
pub use self::play::{Surroundings, play};
use self::script::script;
pub use self::script::{NAMESPACE, NODE};

/// A request and what it was answered, without what differs between any two servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub name: String,
    /// As the script has it: `$step:/pointer$` stands for a field of an earlier answer.
    pub request: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
    pub code: u16,
    /// The body of the answer, or the list of a watch's events.
    pub answer: Value,
}

fn recorded(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/recorded").join(file)
}

/// What the real server answered.
pub fn recording() -> Vec<Told> {
    let text = fs::read_to_string(recorded("answers.json"))
        .expect("the recording; `KENTROLLER_E2E_RECORD=1 cargo e2e` makes it");
    serde_json::from_str(&text).expect("the recording is JSON of this form")
}

/// Puts another recording in the place of the last one.
pub fn record(told: &[Told]) {
    let text = serde_json::to_string_pretty(told).expect("JSON");
    fs::write(recorded("answers.json"), text + "\n").expect("the recording is written");
}

/// Differences that nobody explained, and explanations of what does not differ any more.
pub fn unexplained(found: &[Difference]) -> Vec<String> {
    let explained = explained();
    let covers =
        |known: &str, at: &str| known == at || known.strip_suffix('*').is_some_and(|start| at.starts_with(start));
    let news = found.iter().filter(|one| !explained.keys().any(|known| covers(known, &one.at)));
    let stale = explained.keys().filter(|known| !found.iter().any(|one| covers(known, &one.at)));
    news.map(ToString::to_string).chain(stale.map(|known| format!("{known} does not differ any more"))).collect()
}

/// Known differences with the reason for each: `step /pointer: reason` a line, `#` before remarks. A `*` at the end of a
/// pointer stands for everything below.
fn explained() -> BTreeMap<String, String> {
    let text = fs::read_to_string(recorded("explained.txt")).expect("the list of known differences");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = |line: &str| {
        let (difference, reason) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} gives no reason"));
        (difference.to_owned(), reason.to_owned())
    };
    lines.map(split).collect()
}
