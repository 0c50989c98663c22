//! Leader election with a fence.
//!
//! Written here because no crate for kube 5 has one, and none fences: a leader that stalls past its lease must not write.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::wire;

/// How long a lease holds without renewal; client-go's default.
pub const DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for this long stops writing, and ends.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two tries.
pub const RETRY: Duration = Duration::from_secs(2);
/// The longest that one write may take, and one try to renew: below the gap between the renew deadline and the end of a
/// lease, so that no write of an old leader can arrive after a new one has begun.
pub const WRITE_LIMIT: Duration = Duration::from_secs(3);
const _: () = assert!(RENEW_DEADLINE.as_millis() + WRITE_LIMIT.as_millis() < DURATION.as_millis());

/// Whether this process may write, by a clock that nobody can set back.
#[derive(Clone, Debug)]
pub struct Fence {
    origin: Instant,
    /// Milliseconds after `origin`; `i64::MAX` without leader election.
    until: Arc<AtomicI64>,
}

impl Fence {
    /// Always open: for a single replica without leader election.
    pub fn open() -> Self {
        Self { origin: Instant::now(), until: Arc::new(AtomicI64::new(i64::MAX)) }
    }

    /// Closed until a lease was won.
    pub fn closed() -> Self {
        Self { origin: Instant::now(), until: Arc::new(AtomicI64::new(0)) }
    }

    /// Whether a write may begin: the lease was renewed less than its renew deadline ago.
    pub fn holds(&self) -> bool {
        self.millis(Instant::now()) < self.until.load(Ordering::Acquire)
    }

    fn hold_until(&self, instant: Instant) {
        self.until.store(self.millis(instant), Ordering::Release);
    }

    fn close(&self) {
        self.until.store(0, Ordering::Release);
    }

    fn millis(&self, instant: Instant) -> i64 {
        i64::try_from(instant.duration_since(self.origin).as_millis()).unwrap_or(i64::MAX)
    }
}

/// What this process has seen of the lease, and when it saw it change by its own clock: the clocks of two replicas need
/// not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Who holds it; empty if nobody does.
    pub holder: String,
    /// When its holder renewed it, as he wrote it: by his clock.
    pub renewed: String,
    /// When that changed last, by our clock.
    pub at: Instant,
}

/// What to do about the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Ours, or free, or left to expire: write it.
    Take,
    /// Somebody else's, and alive.
    Wait,
}

/// Decides from what was seen. Pure.
pub fn evaluate(observed: &Observed, me: &str, now: Instant) -> Decision {
    let expired = now.duration_since(observed.at) >= DURATION;
    if observed.holder == me || observed.holder.is_empty() || expired { Decision::Take } else { Decision::Wait }
}

/// What a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Another one leads, or nobody knows.
    StandsBy,
    /// It holds the lease: it decides and writes.
    Leads,
    /// It led, and could not renew: it must end.
    Lost,
}

/// Which lease, and who wants it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Where the lease is.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The replica.
    pub me: String,
}

/// One replica's claim to a lease.
pub struct Election {
    client: kube::Client,
    clock: Clock,
    namespace: String,
    name: String,
    me: String,
    fence: Fence,
    observed: Option<Observed>,
}

impl Election {
    /// A claim that opens `fence` as long as it holds the lease.
    pub fn new(client: kube::Client, clock: Clock, seat: Seat, fence: Fence) -> Self {
        let Seat { namespace, name, me } = seat;
        Self { client, clock, namespace, name, me, fence, observed: None }
    }

    /// Takes the lease when it can be had, renews it, tells what this replica is, and gives it back when `end` turns true.
    /// Without a word when whoever would say so is gone: then this process is as good as dead.
    pub async fn lead(mut self, role: watch::Sender<Role>, mut end: watch::Receiver<bool>) {
        tokio::select! {
            biased;
            _ = end.wait_for(|end| *end) => return,
            () = self.win() => {}
        }
        tracing::info!(lease = self.name, "leading");
        role.send_replace(Role::Leads);
        tokio::select! {
            biased;
            ended = end.wait_for(|end| *end) => if ended.is_err() { return },
            () = self.keep() => {
                role.send_replace(Role::Lost);
                return;
            }
        }
        self.release().await;
    }

    /// Waits until the lease is ours. One that another replica held is ours when it has seen no renewal for its whole
    /// duration: by then the former leader's fence has been closed for longer than a write may take.
    async fn win(&mut self) {
        loop {
            match self.try_in_time().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, lease = self.name, "the lease cannot be read or written"),
            }
            let expires =
                self.observed.as_ref().map(|seen| (seen.at + DURATION).saturating_duration_since(Instant::now()));
            let wait = expires.filter(|left| !left.is_zero()).map_or(RETRY, |left| left.min(RETRY));
            tokio::time::sleep(wait).await;
        }
    }

    /// Renews until that fails for the renew deadline. The fence is closed when this returns.
    async fn keep(&mut self) {
        while self.fence.holds() {
            tokio::time::sleep(RETRY).await;
            match self.try_in_time().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => tracing::warn!(%error, lease = self.name, "the lease was not renewed"),
            }
        }
        self.fence.close();
    }

    /// Gives the lease back, so that another replica need not wait for it to expire.
    async fn release(&mut self) {
        self.fence.close();
        let given_back = async {
            let Some(mut lease) = self.read().await? else { return Ok(()) };
            if lease["spec"]["holderIdentity"].as_str() == Some(&self.me) {
                lease["spec"]["holderIdentity"] = json!("");
                self.client.request::<Value>(wire::put(&self.path(true), &lease)).await?;
            }
            Ok(())
        };
        if let Err(error) = in_time(given_back).await {
            tracing::warn!(%error, "the lease was not given back; it expires by itself");
        }
    }

    async fn try_in_time(&mut self) -> Result<bool, kube::Error> {
        in_time(self.try_once()).await
    }

    /// Reads the lease and takes or renews it if that is right; says whether it is ours.
    async fn try_once(&mut self) -> Result<bool, kube::Error> {
        let started = Instant::now();
        let stored = self.read().await?;
        let spec = stored.as_ref().map(|lease| lease["spec"].clone()).unwrap_or_default();
        let word = |name: &str| spec[name].as_str().unwrap_or_default().to_owned();
        let (holder, renewed) = (word("holderIdentity"), word("renewTime"));
        let known = self.observed.as_ref().is_some_and(|seen| seen.holder == holder && seen.renewed == renewed);
        if !known {
            self.observed = Some(Observed { holder: holder.clone(), renewed, at: Instant::now() });
        }
        let observed = self.observed.as_ref().filter(|seen| evaluate(seen, &self.me, Instant::now()) == Decision::Take);
        if observed.is_none() {
            return Ok(false);
        }
        let now = micro(self.clock.now());
        let same = holder == self.me;
        let transitions = spec["leaseTransitions"].as_i64().unwrap_or(0) + i64::from(!same && stored.is_some());
        let acquired = if same { spec["acquireTime"].clone() } else { json!(now) };
        let mut lease = stored.clone().unwrap_or_else(|| {
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": self.name, "namespace": self.namespace}})
        });
        lease["spec"] = json!({"holderIdentity": self.me, "leaseDurationSeconds": DURATION.as_secs(), "acquireTime": acquired,
            "renewTime": now, "leaseTransitions": transitions});
        let path = self.path(stored.is_some());
        let request = if stored.is_some() { wire::put(&path, &lease) } else { wire::post(&path, &lease) };
        match self.client.request::<Value>(request).await {
            Ok(_) => {}
            // Another replica was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(false),
            Err(error) => return Err(error),
        }
        // Counted from before the request: it may have been stored at any moment since.
        self.fence.hold_until(started + RENEW_DEADLINE);
        self.observed = Some(Observed { holder: self.me.clone(), renewed: now, at: Instant::now() });
        Ok(true)
    }

    async fn read(&self) -> Result<Option<Value>, kube::Error> {
        match self.client.request(wire::get(&self.path(true), &[])).await {
            Ok(lease) => Ok(Some(lease)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path(&self, one: bool) -> String {
        let all = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", wire::escape(&self.namespace));
        if one { format!("{all}/{}", wire::escape(&self.name)) } else { all }
    }
}

/// No call waits longer than a write may take: a connection may be dead without anybody having said so.
async fn in_time<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late = |_| kube::Error::Service(format!("no answer within {} s", WRITE_LIMIT.as_secs()).into());
    tokio::time::timeout(WRITE_LIMIT, call).await.map_err(late)?
}

/// `MicroTime` as the API server wants it.
fn micro(at: Timestamp) -> String {
    format!("{at:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_taken_when_free_ours_or_left_to_expire() {
        let start = Instant::now();
        let check = |holder: &str, age: u64, want: Decision| {
            let seen = Observed { holder: holder.to_owned(), renewed: String::new(), at: start };
            assert_eq!(evaluate(&seen, "me", start + Duration::from_secs(age)), want, "{holder} after {age} s");
        };
        check("", 0, Decision::Take);
        check("me", 0, Decision::Take);
        check("other", 14, Decision::Wait);
        check("other", 15, Decision::Take);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fence_closes_by_itself() {
        let fence = Fence::closed();
        assert!(!fence.holds());
        fence.hold_until(Instant::now() + RENEW_DEADLINE);
        assert!(fence.holds());
        tokio::time::sleep(RENEW_DEADLINE).await;
        assert!(!fence.holds());
    }
}
