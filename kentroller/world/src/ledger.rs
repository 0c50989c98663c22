//! What a run costs, minute by minute, and what its pods suffer: kept from committed writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_runtime::Clock;
use kentroller_runtime::simulation::apiserver::{ApiServer, Commit};
use serde_json::Value;

use crate::catalogue::Catalogue;
use crate::conditions;
use crate::hands::text;
use crate::seen::{is_leaving, key_of, uid};

/// What was written down of a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What all machines cost an hour, from each of these moments on.
    pub prices: Vec<(Timestamp, Money)>,
    /// What they have cost since the beginning.
    pub spent: Money,
    /// When pods were evicted, and by whom.
    pub evictions: Vec<(Timestamp, String)>,
    /// For each pod that should serve and does not, the time in which it did not; daemons and what was not Ready at the start
    /// are left out. Unit: milliseconds.
    pub not_ready_millis: i64,
    /// How many pods of these there are now, and were at most.
    pub not_ready: usize,
    pub most_not_ready: usize,
}

impl Tally {
    /// What all machines cost an hour at the beginning.
    pub fn price_before(&self) -> Money {
        self.prices.first().map_or(Money::ZERO, |(_, price)| *price)
    }

    /// What they cost an hour now.
    pub fn price(&self) -> Money {
        self.prices.last().map_or(Money::ZERO, |(_, price)| *price)
    }
}

/// Watches a server for as long as it is kept.
#[derive(Debug)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
    clock: Clock,
}

#[derive(Debug)]
struct Book {
    catalogue: Arc<Catalogue>,
    /// By kind and name: the machine, and its price.
    machines: BTreeMap<(bool, String), (String, Option<Money>)>,
    /// Uids of pods that were not Ready at the start.
    let_off: BTreeSet<String>,
    not_ready: BTreeSet<String>,
    at: Timestamp,
    tally: Tally,
}

impl Ledger {
    /// Opens it on the cluster as it is now.
    pub fn open(server: &ApiServer, clock: &Clock, catalogue: Arc<Catalogue>) -> Self {
        let mut book = Book {
            catalogue,
            machines: BTreeMap::new(),
            let_off: BTreeSet::new(),
            not_ready: BTreeSet::new(),
            at: clock.now(),
            tally: Tally::default(),
        };
        for kind in ["NodeClaim", "Node"] {
            for object in server.list(kind) {
                book.note_machine(kind, &object, true);
            }
        }
        book.price();
        let pods = server.list("Pod");
        book.let_off = pods.iter().filter(|pod| lacks(pod)).map(|pod| uid(pod).to_owned()).collect();
        let book = Arc::new(Mutex::new(book));
        // Weak: the server keeps its observers for ever.
        let (kept, told) = (Arc::downgrade(&book), clock.clone());
        server.on_commit(move |commit| {
            if let Some(book) = kept.upgrade() {
                lock(&book).take(commit, told.now());
            }
        });
        Self { book, clock: clock.clone() }
    }

    pub fn tally(&self) -> Tally {
        let mut book = lock(&self.book);
        book.pass(self.clock.now());
        book.tally.clone()
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    fn take(&mut self, commit: &Commit, now: Timestamp) {
        let object = commit.after.as_ref().or(commit.before.as_ref());
        match (&*commit.write.kind, object) {
            ("Pod", _) if commit.write.subresource == "eviction" => {
                self.tally.evictions.push((now, (*commit.write.user).to_owned()));
                self.take_pod(commit, now);
            }
            ("Pod", _) => self.take_pod(commit, now),
            (kind @ ("NodeClaim" | "Node"), Some(object)) => {
                let is_news = self.note_machine(kind, object, commit.after.is_some());
                if is_news {
                    self.pass(now);
                    self.price();
                }
            }
            _ => {}
        }
    }

    fn take_pod(&mut self, commit: &Commit, now: Timestamp) {
        let Some(id) = commit.after.as_ref().or(commit.before.as_ref()).map(|pod| uid(pod).to_owned()) else { return };
        let lacks = commit.after.as_deref().is_some_and(lacks);
        if !lacks {
            self.let_off.remove(&id);
        }
        if lacks != self.not_ready.contains(&id) && !self.let_off.contains(&id) {
            self.pass(now);
            if lacks {
                self.not_ready.insert(id)
            } else {
                self.not_ready.remove(&id)
            };
            self.tally.not_ready = self.not_ready.len();
            self.tally.most_not_ready = self.tally.most_not_ready.max(self.not_ready.len());
        }
    }

    /// Counts the time until now.
    fn pass(&mut self, now: Timestamp) {
        let millis = i64::try_from(now.duration_since(self.at).as_millis()).unwrap_or(0).max(0);
        self.at = now;
        self.tally.not_ready_millis += millis * i64::try_from(self.not_ready.len()).unwrap_or(0);
        let spent = i128::from(self.tally.price().as_micros()) * i128::from(millis) / 3_600_000;
        self.tally.spent += Money::micros(i64::try_from(spent).unwrap_or(0));
    }

    /// Notes a machine; whether that changes what is paid.
    fn note_machine(&mut self, kind: &str, object: &Value, is_there: bool) -> bool {
        let key = (kind == "NodeClaim", (*key_of(object).name).to_owned());
        let part = if key.0 { "status" } else { "spec" };
        let id = text(&object[part]["providerID"]);
        if !is_there || (key.0 && id.is_empty()) {
            return self.machines.remove(&key).is_some();
        }
        let labels = serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default();
        let noted = (id, self.catalogue.price_of(&labels));
        self.machines.insert(key, noted.clone()) != Some(noted)
    }

    fn price(&mut self) {
        let of_claims: BTreeSet<&str> =
            self.machines.iter().filter(|((is_claim, _), _)| *is_claim).map(|(_, (id, _))| id.as_str()).collect();
        let counts = |is_claim: bool, id: &str| is_claim || id.is_empty() || !of_claims.contains(id);
        let counted = self.machines.iter().filter(|((is_claim, _), (id, _))| counts(*is_claim, id));
        let price = counted.filter_map(|(_, (_, price))| *price).sum();
        match self.tally.prices.last_mut() {
            Some((_, last)) if *last == price => {}
            Some((at, last)) if *at == self.at => *last = price,
            _ => self.tally.prices.push((self.at, price)),
        }
    }
}

/// Whether a pod should serve and does not.
fn lacks(pod: &Value) -> bool {
    let owners = pod["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let belongs = owners.iter().any(|owner| owner["kind"] == "DaemonSet" || owner["kind"] == "Node");
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    !belongs && !ended && !is_leaving(pod) && !conditions::is_true(pod, "Ready")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kentroller_runtime::simulation::apiserver::DeleteOptions;

    use super::*;
    use crate::stage::drifted;
    use crate::world::Setup;

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_ends_lowers_the_price_and_its_pods_are_missed_until_they_serve_again() {
        let (server, clock, world) = drifted(20, Setup::default()).await;
        let ledger = Ledger::open(&server, &clock, Arc::new(Catalogue::shipped()));
        let before = world.price_per_hour();
        assert_eq!(ledger.tally().prices, [(clock.now(), before)]);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(ledger.tally().spent, before, "an hour costs what it says");
        let claim = server.list("NodeClaim")[0].clone();
        server
            .delete("NodeClaim", None, claim["metadata"]["name"].as_str().unwrap(), &DeleteOptions::default())
            .unwrap();
        tokio::time::sleep(Duration::from_secs(1800)).await;
        let tally = ledger.tally();
        assert_eq!(tally.prices.last().unwrap().1, world.price_per_hour());
        let evicted = tally.evictions.iter().filter(|(_, user)| user == "world").count();
        assert!(evicted > 0 && tally.most_not_ready > 0, "{tally:?}");
        assert!(tally.not_ready_millis >= 2_000 * i64::try_from(tally.most_not_ready).unwrap(), "{tally:?}");
    }
}
