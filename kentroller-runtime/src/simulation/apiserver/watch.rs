//! A watch: the changes of one kind from a version on, as lines of JSON that never end by themselves.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep, sleep_until};

use super::ApiServer;
use super::object::{self, Key};
use super::refusal;
use super::selector::{FieldSelector, LabelSelector};
use super::store::{Change, Stored, Table, tail_of};

/// How often a quiet watch tells its version, once anything of its kind has changed.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);
/// And how long before its end once more.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// Which objects of a kind a list or watch is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub(super) namespace: Option<String>,
    pub(super) labels: LabelSelector,
    pub(super) fields: FieldSelector,
}

impl Selection {
    /// Whether nothing but the namespace selects.
    pub(super) fn takes_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn takes(&self, object: &Value) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| object::text(object, "namespace") == namespace)
            && self.labels.matches(object)
            && self.fields.matches(object)
    }
}

/// What a watch is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) selection: Selection,
    /// Changes after this version; `None` starts with all objects there are, as additions.
    pub(super) since: Option<u64>,
    pub(super) lasting: Duration,
    pub(super) bookmarks: bool,
}

/// The body of a watch response.
pub(super) struct Watch {
    server: ApiServer,
    table: usize,
    epoch: u64,
    selection: Selection,
    /// The version up to which everything was told.
    told: u64,
    frames: VecDeque<Bytes>,
    end: Pin<Box<Sleep>>,
    /// When the next bookmark is due; `None` if none are wanted.
    bookmark: Option<Pin<Box<Sleep>>>,
    held: Option<Pin<Box<Sleep>>>,
    over: bool,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("table", &self.table).field("told", &self.told).finish_non_exhaustive()
    }
}

fn next_bookmark(now: Instant, end: Instant) -> Instant {
    let last = end.checked_sub(LAST_BOOKMARK).filter(|last| *last > now);
    last.map_or(now + BOOKMARK_PERIOD, |last| last.min(now + BOOKMARK_PERIOD))
}

fn prefix(word: &str, table: &Table) -> Bytes {
    format!("{{\"type\":\"{word}\",\"object\":{{{}", table.head).into()
}

impl Watch {
    /// Opens a watch on a table of the server.
    pub(super) fn new(server: ApiServer, table: &Table, at: usize, revision: u64, wanted: Wanted) -> Self {
        let Wanted { selection, since, lasting, bookmarks } = wanted;
        let now = Instant::now();
        let mut watch = Self {
            server,
            table: at,
            epoch: table.epoch,
            told: since.unwrap_or(revision),
            frames: VecDeque::new(),
            end: Box::pin(sleep_until(now + lasting)),
            bookmark: bookmarks.then(|| Box::pin(sleep_until(next_bookmark(now, now + lasting)))),
            held: None,
            over: false,
            selection,
        };
        if since.is_none() {
            let present: Vec<(&Key, &Arc<Stored>)> = table.range(watch.selection.namespace.as_deref()).collect();
            for (_, stored) in present {
                if watch.selection.takes(&stored.object) {
                    watch.tell(prefix("ADDED", table), stored.tail.clone());
                }
            }
        }
        watch
    }

    fn tell(&mut self, prefix: Bytes, tail: Bytes) {
        self.frames.extend([prefix, tail, Bytes::from_static(b"}\n")]);
    }

    fn tell_change(&mut self, table: &Table, change: &Change) {
        let was = change.before.as_ref().is_some_and(|stored| self.selection.takes(&stored.object));
        let is = !change.deleted && self.selection.takes(&change.now.object);
        match (was, is) {
            (false, true) => self.tell(prefix("ADDED", table), change.now.tail.clone()),
            (true, true) => self.tell(prefix("MODIFIED", table), change.now.tail.clone()),
            (true, false) if change.deleted => self.tell(prefix("DELETED", table), change.now.tail.clone()),
            (true, false) => {
                // It left the selection: the last state that was in it, with the version of the change.
                if let Some(before) = &change.before {
                    let mut last = (*before.object).clone();
                    object::set_meta(&mut last, "resourceVersion", json!(change.revision.to_string()));
                    self.tell(prefix("DELETED", table), tail_of(&last));
                }
            }
            (false, false) => {}
        }
    }

    /// As a real server's watch cache: none until something of the kind has changed.
    fn tell_bookmark(&mut self, table: &Table) {
        if table.log.is_empty() {
            return;
        }
        let tail = format!("\"metadata\":{{\"resourceVersion\":\"{}\",\"creationTimestamp\":null}}}}", self.told);
        self.tell(prefix("BOOKMARK", table), tail.into());
    }

    /// Reads on in the log. Errors break the connection.
    fn read(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let server = self.server.clone();
        let mut state = server.lock();
        if state.tables[self.table].epoch != self.epoch {
            self.over = true;
            return if state.faults.is_away() { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) };
        }
        if let Some(until) = state.faults.held_until(self.table) {
            let sleep = self.held.get_or_insert_with(|| Box::pin(sleep_until(until)));
            sleep.as_mut().reset(until);
            if sleep.as_mut().poll(context).is_pending() {
                state.tables[self.table].wake_at_change(context.waker());
                return Ok(());
            }
        }
        let revision = state.revision;
        let table = &mut state.tables[self.table];
        if self.told < table.oldest {
            let gone = refusal::body(&refusal::expired(self.told, table.oldest));
            self.frames.push_back(format!("{{\"type\":\"ERROR\",\"object\":{gone}}}\n").into());
            self.over = true;
            return Ok(());
        }
        let from = table.log.partition_point(|change| change.revision <= self.told);
        for change in table.log.range(from..) {
            self.tell_change(table, change);
        }
        self.told = self.told.max(revision);
        if let Some(due) = &mut self.bookmark
            && due.as_mut().poll(context).is_ready()
        {
            due.as_mut().reset(next_bookmark(Instant::now(), self.end.deadline()));
            // Polled once more so that the timer knows whom to wake.
            let _ = due.as_mut().poll(context);
            self.tell_bookmark(table);
        }
        if self.frames.is_empty() {
            table.wake_at_change(context.waker());
        }
        Ok(())
    }
}

impl Body for Watch {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.frames.is_empty() && !self.over {
            if let Err(broken) = self.read(context) {
                return Poll::Ready(Some(Err(broken)));
            }
            // Nothing comes through a watch that is held, not even its end.
            let held = self.held.as_ref().is_some_and(|held| !held.is_elapsed());
            if self.frames.is_empty() && !self.over && !held && self.end.as_mut().poll(context).is_ready() {
                self.over = true;
            }
        }
        match self.frames.pop_front() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
