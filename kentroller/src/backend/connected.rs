//! The planner of a backend, behind the same port as that of this process.

mod answer;
mod fleet;
mod question;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kentroller_planner::{Catalog, Snapshot};
use kentroller_rpc::v1::Standing;
use kentroller_rpc::{Client, NoPlan};
use kentroller_runtime::{Cancelled, Failure, HasStatus as _, Kind as _, Seen};

pub use self::fleet::{Fleet, KeyFolder};
use super::embedded::{PlanAsk, Planned};
use super::measured;
use super::snapshot::Observed;
use crate::api::{ClaimState, RebalancePlanClaim, RebalancePlanSchedule, failures};

/// As many objects of a kind are told of at most.
const MOST_TOLD: usize = 1000;

/// What is told of a metric: the values of its labels, and its own.
pub type Told = Vec<(Vec<String>, f64)>;

/// A backend that is asked for plans, and not believed.
#[derive(Debug)]
pub struct Backend {
    client: Client,
    /// Answers that were no plan to carry out.
    invalid: AtomicU64,
    /// Of the questions so far.
    asked: AtomicU64,
}

impl Backend {
    /// One that this client asks.
    pub const fn new(client: Client) -> Self {
        Self { client, invalid: AtomicU64::new(0), asked: AtomicU64::new(0) }
    }

    /// Notes what the backend is to know when it connects: every schedule, and every claim that has not ended.
    pub(super) fn tell(&self, seen: &Seen<Observed>) {
        let schedules = seen.store::<RebalancePlanSchedule>().into_iter().flat_map(|store| store.all());
        let schedules = schedules.map(|one| standing(one.name(), &one.spec.schedule));
        let claims = seen.store::<RebalancePlanClaim>().into_iter().flat_map(|store| store.all());
        let open = claims.filter_map(|claim| {
            let state = claim.status().and_then(|status| status.state.as_ref()).unwrap_or(&ClaimState::Pending);
            (!state.is_final()).then(|| standing(claim.name(), state.as_str()))
        });
        self.client.stands(schedules.take(MOST_TOLD).collect(), open.take(MOST_TOLD).collect());
    }

    /// The backend's plan, if it is one that this process might have made itself.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn plan(
        &self,
        ask: &PlanAsk,
        snapshot: &Snapshot,
        catalog: &Catalog,
        cancelled: &Cancelled,
    ) -> Result<Planned, Failure> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let question = question::packed(ask, snapshot, catalog, number);
        let question = question.map_err(|why| failures::BACKEND_REFUSES.because(why))?;
        let answer = self.client.ask(question, &|| cancelled.is_set()).map_err(|why| failure(&why))?;
        answer::judged(&answer, ask, snapshot, catalog).map_err(|why| {
            self.invalid.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("the backend's plan is refused: {why}");
            failures::BACKEND_PLAN_INVALID.because(why)
        })
    }

    /// What is told of the metrics of the connection, by name.
    pub fn told(self: &Arc<Self>, name: &'static str) -> impl Fn() -> Told + Send + use<> {
        let backend = Arc::clone(self);
        move || backend.measured(name)
    }

    #[expect(clippy::cast_precision_loss, reason = "a metric")]
    fn measured(&self, name: &str) -> Told {
        let counts = self.client.counts();
        if name == measured::CONNECTED.name {
            return vec![(Vec::new(), if counts.connected { 1.0 } else { 0.0 })];
        }
        if name == measured::BREAKS.name {
            return vec![(Vec::new(), counts.broken as f64)];
        }
        let invalid = ("plan_invalid", self.invalid.load(Ordering::Relaxed));
        let all = counts.dropped.into_iter().chain([invalid]);
        all.map(|(reason, count)| (vec![reason.to_owned()], count as f64)).collect()
    }
}

fn standing(name: &str, state: &str) -> Standing {
    Standing { name: name.to_owned(), state: state.to_owned() }
}

fn failure(why: &NoPlan) -> Failure {
    match why {
        NoPlan::Away(_) | NoPlan::Late(_) | NoPlan::Cancelled => failures::BACKEND_AWAY.because(why),
        NoPlan::Refused { .. } | NoPlan::TooLarge { .. } => failures::BACKEND_REFUSES.because(why),
    }
}
