//! Everything that may go wrong between a client and the server, on command.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::access::Request;
use super::refusal::Refusal;
use super::store::State;

/// Which requests a fault is about; a field left out matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// Who asks; anybody, if absent.
    pub user: Option<String>,
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    pub verb: Option<String>,
    /// Plural.
    pub resource: Option<String>,
    /// `status`, `eviction`, or empty for the main resource.
    pub subresource: Option<String>,
    /// Of one object; any, if absent.
    pub name: Option<String>,
    /// Only requests that write.
    pub writes_only: bool,
}

impl Matching {
    fn matches(&self, request: &Request, name: &str) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        same(&self.user, &request.user)
            && same(&self.verb, request.verb)
            && same(&self.resource, &request.resource)
            && same(&self.subresource, &request.subresource)
            && same(&self.name, name)
            && !(self.writes_only && matches!(request.verb, "get" | "list" | "watch"))
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// It is answered with this, and nothing is done.
    Refuse(Refusal),
    /// It is done, and the answer is lost: the client sees a broken connection.
    LoseReply,
    /// It is neither done nor answered.
    Hang,
    /// It is done and answered this much later.
    Delay(Duration),
    /// It does not arrive: the client sees a broken connection.
    Disconnect,
    /// It reads how things were at an older version; a write is not touched.
    Stale(u64),
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant says what its fields do")]
pub enum Fault {
    /// Lets `after` matching requests pass, then brings trouble to the next `times`.
    Requests { matching: Matching, after: u32, times: u32, trouble: Trouble },
    /// Ends the watches of a kind, or of all, as a proxy does.
    DropWatches { kind: Option<String> },
    /// Keeps the events of a kind, or of all, back for a while: a watch that lags, or with a long time has silently
    /// stalled. Lists stay exact.
    HoldWatches { kind: Option<String>, lasting: Duration },
    /// Forgets the history of a kind, or of all: watches from before get 410.
    ExpireHistory { kind: Option<String> },
    /// Cuts all connections and takes no new ones for a while.
    Unreachable { lasting: Duration },
}

#[derive(Debug)]
struct Waiting {
    matching: Matching,
    after: u32,
    times: u32,
    trouble: Trouble,
}

/// The faults that are on.
#[derive(Debug, Default)]
pub(super) struct Faults {
    waiting: Vec<Waiting>,
    away_until: Option<Instant>,
    held: BTreeMap<usize, Instant>,
}

impl Faults {
    pub(super) fn is_away(&self) -> bool {
        self.away_until.is_some_and(|until| Instant::now() < until)
    }

    /// Until when the events of a kind are kept back.
    pub(super) fn held_until(&self, table: usize) -> Option<Instant> {
        self.held.get(&table).copied().filter(|until| Instant::now() < *until)
    }

    /// The trouble that waits for this request. The first fault that matches takes it.
    pub(super) fn trouble(&mut self, request: &Request, name: &str) -> Option<Trouble> {
        if self.is_away() {
            return Some(Trouble::Disconnect);
        }
        let at = self.waiting.iter().position(|one| one.matching.matches(request, name))?;
        let one = &mut self.waiting[at];
        if one.after > 0 {
            one.after -= 1;
            return None;
        }
        let trouble = one.trouble.clone();
        one.times -= 1;
        if one.times == 0 {
            self.waiting.remove(at);
        }
        Some(trouble)
    }
}

impl State {
    pub(super) fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::Requests { matching, after, times, trouble } => {
                if times > 0 {
                    self.faults.waiting.push(Waiting { matching, after, times, trouble });
                }
            }
            Fault::DropWatches { kind } => self.end_streams(kind.as_deref()),
            Fault::HoldWatches { kind, lasting } => {
                let until = Instant::now() + lasting;
                for table in self.meant(kind.as_deref()) {
                    self.faults.held.insert(table, until);
                }
            }
            Fault::ExpireHistory { kind } => {
                for table in self.meant(kind.as_deref()) {
                    let revision = self.revision;
                    let place = &mut self.tables[table];
                    place.log.clear();
                    place.oldest = revision;
                    self.wake_streams(Some(table));
                }
            }
            Fault::Unreachable { lasting } => {
                self.faults.away_until = Some(Instant::now() + lasting);
                self.end_streams(None);
            }
        }
    }

    fn meant(&self, kind: Option<&str>) -> Vec<usize> {
        kind.map_or_else(|| (0..self.tables.len()).collect(), |kind| vec![self.table(kind)])
    }

    fn end_streams(&mut self, kind: Option<&str>) {
        for table in self.meant(kind) {
            self.tables[table].epoch += 1;
            self.wake_streams(Some(table));
        }
    }
}
