//! An outcome without its controller's type: what the engine carries out, tests compare and records keep.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Effect;
use crate::condition::Mark;
use crate::declaration::EventInfo;
use crate::engine::ports::Asked;
use crate::kind::{KindInfo, ObjectKey};
use crate::measure::Measured;
use crate::port::Port;
use crate::store::AnyObject;

/// An event to emit about the reconciled object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// In PascalCase.
    pub reason: &'static str,
    /// Whether it is a Warning.
    pub warning: bool,
    /// What happened, for people.
    pub note: String,
    /// How many groups of effects must have been accepted before it is true.
    #[serde(skip)]
    pub after: usize,
}

impl Note {
    pub(super) fn new(event: EventInfo, note: impl Into<String>) -> Self {
        Self { reason: event.reason, warning: event.warning, note: note.into(), after: 0 }
    }
}

/// A question to a port.
#[derive(Clone)]
pub struct Question {
    /// The name of the port.
    pub port: &'static str,
    /// Kind, uid and generation of the object that it is about.
    pub key: Arc<str>,
    pub(crate) ask: Arc<dyn Asked>,
}

impl Question {
    pub(super) fn new<P: Port>(key: String, ask: P::Ask) -> Self {
        Self { port: P::NAME, key: key.into(), ask: Arc::new(crate::engine::ports::Typed::<P>(ask)) }
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.port, self.key)
    }
}

/// Everything a reconcile decided about one object.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The kind of the object.
    pub kind: KindInfo,
    /// The object that it is about.
    pub object: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// The version that was judged.
    pub resource_version: String,
    /// The generation that was judged.
    pub generation: i64,
    /// When.
    pub now: Timestamp,
    /// Groups in order: a group starts when all of the one before were accepted.
    pub groups: Vec<Vec<Effect>>,
    /// The status as it should be, without conditions; `None` leaves it.
    pub status: Option<Value>,
    /// Conditions.
    pub marks: Vec<Mark>,
    /// Events that tell of no effect, or of whole groups of them.
    pub events: Vec<Note>,
    /// Lines for the log.
    pub lines: Vec<String>,
    /// What is measured, beside what its effects count; `None` if nothing was decided, and what was set before stands.
    pub measured: Option<Vec<Measured>>,
    /// Questions to ports.
    pub questions: Vec<Question>,
    /// When to look again, if nothing wakes it before.
    pub look_at: Option<Timestamp>,
}

impl Decided {
    pub(crate) fn about(kind: KindInfo, object: &dyn AnyObject, now: Timestamp) -> Self {
        Self {
            kind,
            object: object.key(),
            uid: object.uid().to_owned(),
            resource_version: object.resource_version().to_owned(),
            generation: object.generation(),
            now,
            groups: vec![Vec::new()],
            status: None,
            marks: Vec::new(),
            events: Vec::new(),
            lines: Vec::new(),
            measured: None,
            questions: Vec::new(),
            look_at: None,
        }
    }

    pub(super) fn push(&mut self, effect: Effect) -> &mut Effect {
        if self.groups.is_empty() {
            self.groups.push(Vec::new());
        }
        let last = self.groups.len() - 1;
        self.groups[last].push(effect);
        let index = self.groups[last].len() - 1;
        &mut self.groups[last][index]
    }

    pub(super) fn barrier(&mut self) {
        if self.groups.last().is_some_and(|group| !group.is_empty()) {
            self.groups.push(Vec::new());
        }
    }

    pub(super) fn event(&mut self, note: Note) {
        let after = self.groups.len().saturating_sub(1);
        self.events.push(Note { after, ..note });
    }

    /// All effects in their order.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.groups.iter().flatten()
    }
}

/// One line each: effects in order, marks, events, lines for the log, metrics, questions, when to look again. Tests compare this text.
impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.groups.iter().filter(|group| !group.is_empty()).enumerate() {
            if index > 0 {
                writeln!(f, "then")?;
            }
            for effect in group {
                writeln!(f, "{effect}")?;
            }
        }
        for mark in &self.marks {
            let status = mark.status.map_or("Unknown", |status| if status { "True" } else { "False" });
            writeln!(f, "mark   {}={status} {}: {}", mark.type_, mark.reason, mark.message)?;
        }
        for event in &self.events {
            let class = if event.warning { "Warning" } else { "Normal" };
            let after = if event.after == 0 { String::new() } else { format!(" (after {} groups)", event.after) };
            writeln!(f, "event  {class} {}: {}{after}", event.reason, event.note)?;
        }
        for line in &self.lines {
            writeln!(f, "log    {line}")?;
        }
        for measured in self.measured.iter().flatten() {
            writeln!(f, "{measured}")?;
        }
        for question in &self.questions {
            writeln!(f, "ask    {question:?}")?;
        }
        if let Some(at) = self.look_at {
            writeln!(f, "look   {at}")?;
        }
        Ok(())
    }
}
