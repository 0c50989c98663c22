//! The story of a rehearsal: what `kubectl get` and `kubectl describe` would tell, as it happens.

use std::io::Write;
use std::time::Duration;

use kentroller_planner::Money;
use kentroller_runtime::simulation::apiserver::ApiServer;
use kentroller_world::Tally;
use serde_json::Value;

use crate::report::rehearsal::{Line, Wait};
use crate::simulation::USER;

/// How long a line that is rewritten in place stands, in real time.
const FRAME: Duration = Duration::from_millis(25);
/// Where lines are not rewritten, how the cluster stands is told so often at most. Unit: seconds of virtual time.
const PACE: i64 = 30;
/// Terminal codes: to the start of an emptied line.
const CLEAR: &str = "\r\x1b[2K";

/// What was told so far, and where it is told.
pub(super) struct Story<'w> {
    /// Nobody listens: lines are kept only.
    pub(super) out: Option<&'w mut dyn Write>,
    /// Whether the last line says how the cluster stands and is rewritten in place; else that is told when it changes.
    pub(super) live: bool,
    pub(super) lines: Vec<Line>,
    revision: u64,
    last: String,
    stood: i64,
    waits: Waits,
}

/// What is waited for now, and what was waited for longest.
#[derive(Default)]
struct Waits {
    what: String,
    since: i64,
    longest: Option<Wait>,
}

impl<'w> Story<'w> {
    pub(super) fn from(revision: u64, out: Option<&'w mut dyn Write>, live: bool) -> Self {
        let (lines, last, stood) = (Vec::new(), String::new(), i64::MIN);
        Self { out, live, lines, revision, last, stood, waits: Waits::default() }
    }

    pub(super) fn longest_wait(self) -> Option<Wait> {
        self.waits.longest
    }

    /// Tells the events that are new, and how the cluster stands if that changed. `seconds`: since the start.
    pub(super) fn look(&mut self, server: &ApiServer, tally: &Tally, now: &str, seconds: i64) -> std::io::Result<()> {
        let news = self.news(server);
        let waits = waiting(server);
        self.waits.hear(waits.as_deref().unwrap_or_default(), seconds);
        let stands = stands(server, tally, waits.as_deref());
        let changed = stands != self.last;
        let told = !news.is_empty();
        self.lines.extend(news.iter().cloned());
        let due = seconds >= self.stood.saturating_add(PACE) || told;
        if let Some(out) = &mut self.out {
            if self.live {
                write!(out, "{CLEAR}")?;
            }
            for line in &news {
                writeln!(out, "{}  {}", line.time, line.text)?;
            }
            if self.live {
                write!(out, "{now}  {}  {stands}", bar(tally.price(), tally.price_before()))?;
                out.flush()?;
                if changed {
                    // Virtual time costs nothing: slow enough to be read.
                    std::thread::sleep(FRAME);
                }
            } else if changed && due {
                writeln!(out, "{now}  {stands}")?;
            }
        }
        if changed && due {
            self.lines.push(Line { time: now.to_owned(), text: stands.clone() });
            self.stood = seconds;
            self.last = stands;
        }
        Ok(())
    }

    /// A line for each event of the operator that was not told so far.
    fn news(&mut self, server: &ApiServer) -> Vec<Line> {
        let writes = server.writes(self.revision);
        self.revision = writes.last().map_or(self.revision, |write| write.revision);
        let made =
            writes.iter().filter(|write| &*write.kind == "Event" && write.verb == "create" && &*write.user == USER);
        let events = made.filter_map(|write| server.get("Event", Some(&write.namespace), &write.name));
        events
            .map(|event| {
                let word = |field: &Value| field.as_str().unwrap_or_default().to_owned();
                let time = event["eventTime"].as_str().and_then(|time| time.get(11..19)).unwrap_or_default();
                let text = format!("{:<17} {}", word(&event["reason"]), word(&event["note"]));
                Line { time: time.to_owned(), text }
            })
            .collect()
    }
}

impl Waits {
    /// Numbers in a text change while the same thing is waited for.
    fn hear(&mut self, text: &str, seconds: i64) {
        let same = |one: &str, other: &str| {
            let letters = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
            letters(one) == letters(other)
        };
        if !same(text, &self.what) {
            self.since = seconds;
        }
        text.clone_into(&mut self.what);
        let took = seconds - self.since;
        if !text.is_empty() && took > self.longest.as_ref().map_or(0, |wait| wait.seconds) {
            self.longest = Some(Wait { seconds: took, what: text.to_owned() });
        }
    }
}

/// What the plan that runs waits for, in its own words.
fn waiting(server: &ApiServer) -> Option<String> {
    server.list("RebalancePlan").iter().find_map(|plan| {
        let conditions = plan["status"]["conditions"].as_array()?;
        let reconciling = conditions.iter().find(|one| one["type"] == "Reconciling" && one["status"] == "True")?;
        Some(reconciling["message"].as_str()?.chars().take(140).collect::<String>())
    })
}

fn stands(server: &ApiServer, tally: &Tally, waits: Option<&str>) -> String {
    let moved = tally.evictions.iter().filter(|(_, user)| user == USER).count();
    let mut text = format!("{} nodes, {} USD/h, {moved} pods moved", server.list("Node").len(), tally.price().hourly());
    if tally.not_ready > 0 {
        text.push_str(&format!(", {} starting", tally.not_ready));
    }
    if let Some(waits) = waits {
        text.push_str(&format!(". {waits}"));
    }
    text
}

/// The price of the cluster as a share of what it was.
fn bar(price: Money, before: Money) -> String {
    let tenths = price.as_micros().saturating_mul(10) / before.as_micros().max(1);
    let full = usize::try_from(tenths).unwrap_or(0).min(10);
    format!("{}{}", "█".repeat(full), "░".repeat(10 - full))
}
