//! The other side: our planner for many clusters, each as if it were alone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kentroller_planner::Money;
use kentroller_rpc::v1::{Question, Resync};
use kentroller_rpc::{Keys, Planner, Refused};
use kentroller_runtime::Clock;

use super::{Told, question};
use crate::backend::embedded::{Effort, Findings, Planner as Ours};
use crate::backend::measured;

/// A folder with a file for each cluster, named by the cluster's id, that holds its key: a Secret as it is mounted. A file that comes, goes or
/// changes counts from the next connection on.
#[derive(Clone, Debug)]
pub struct KeyFolder(pub PathBuf);

impl Keys for KeyFolder {
    fn key_of(&self, cluster: &str) -> Option<String> {
        let file = self.0.join(cluster);
        match std::fs::read_to_string(&file) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) => {
                // Whoever asks for a cluster that is not there learns nothing; who runs this does.
                tracing::debug!(file = %file.display(), "no key: {error}");
                None
            }
        }
    }
}

/// Plans for every cluster that asks. Nothing is kept of a cluster but what is measured: any replica answers any question.
pub struct Fleet {
    effort: Effort,
    clock: Clock,
    clusters: Mutex<BTreeMap<String, Measured>>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fleet({:?}, {} clusters)", self.effort, self.clusters().len())
    }
}

/// What is measured of a cluster.
#[derive(Clone, Debug, Default)]
struct Measured {
    streams: usize,
    answers: BTreeMap<&'static str, u64>,
    /// Seconds since 1970.
    last_answer: Option<i64>,
    findings: Option<Findings>,
    schedules: usize,
    open_claims: usize,
}

impl Fleet {
    /// One that plans with this effort.
    pub const fn new(effort: Effort, clock: Clock) -> Self {
        Self { effort, clock, clusters: Mutex::new(BTreeMap::new()) }
    }

    fn clusters(&self) -> MutexGuard<'_, BTreeMap<String, Measured>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, cluster: &str, note: impl FnOnce(&mut Measured)) {
        note(self.clusters().entry(cluster.to_owned()).or_default());
    }

    /// What is told of the metrics of a fleet, by name.
    pub fn told(self: &Arc<Self>, name: &'static str) -> impl Fn() -> Told + Send + use<> {
        let fleet = Arc::clone(self);
        move || {
            let clusters = fleet.clusters();
            clusters.iter().flat_map(|(cluster, measured)| measured.told(cluster, name)).collect()
        }
    }

    fn made(&self, question: &Question, cancelled: &Arc<AtomicBool>) -> Result<(Vec<u8>, Findings, bool), Refused> {
        let asked = question::unpacked(question).map_err(|why| Refused::because("QuestionInvalid", why))?;
        let planned =
            Ours::new(self.effort).plan(&asked.ask, &asked.snapshot, &asked.catalog, &Arc::clone(cancelled).into());
        let planned = planned.map_err(|failure| Refused::because(&failure.reason, &failure.message))?;
        let answer = serde_json::to_vec(&planned).map_err(|error| Refused::because("PlanInvalid", error))?;
        Ok((answer, planned.findings, planned.removed.is_empty()))
    }
}

impl Planner for Fleet {
    fn plan(&self, cluster: &str, question: &Question, cancelled: &Arc<AtomicBool>) -> Result<Vec<u8>, Refused> {
        let made = self.made(question, cancelled);
        let now = self.clock.now().as_second();
        let result = match &made {
            Ok((_, _, false)) => "plan",
            Ok((_, _, true)) => "nothing",
            Err(_) => "refused",
        };
        tracing::info!(cluster, question = question.question_id, result, "a question was answered");
        self.note(cluster, |measured| {
            *measured.answers.entry(result).or_default() += 1;
            measured.last_answer = Some(now);
            if let Ok((_, findings, _)) = &made {
                measured.findings = Some(findings.clone());
            }
        });
        made.map(|(answer, _, _)| answer)
    }

    fn stands(&self, cluster: &str, standing: &Resync) {
        self.note(cluster, |measured| {
            (measured.schedules, measured.open_claims) = (standing.schedules.len(), standing.open_claims.len());
        });
    }

    fn streams(&self, cluster: &str, streams: usize) {
        self.note(cluster, |measured| measured.streams = streams);
    }
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "a metric")]
    fn told(&self, cluster: &str, name: &str) -> Told {
        let told = |labels: &[&str], value: f64| {
            let all = std::iter::once(cluster).chain(labels.iter().copied());
            (all.map(str::to_owned).collect(), value)
        };
        let dollars = |money: Money| money.exact().parse().unwrap_or(f64::NAN);
        match name {
            _ if name == measured::STREAMS.name => vec![told(&[], self.streams as f64)],
            _ if name == measured::ANSWERS.name => {
                self.answers.iter().map(|(result, count)| told(&[result], *count as f64)).collect()
            }
            _ if name == measured::LAST_ANSWER.name => {
                self.last_answer.iter().map(|at| told(&[], *at as f64)).collect()
            }
            _ if name == measured::OBJECTS.name => {
                vec![told(&["schedule"], self.schedules as f64), told(&["open-claim"], self.open_claims as f64)]
            }
            _ => self
                .findings
                .iter()
                .flat_map(|found| {
                    let bound = found.bound.map(|bound| told(&["bound"], dollars(bound)));
                    [told(&["now"], dollars(found.cost)), told(&["best"], dollars(found.best))].into_iter().chain(bound)
                })
                .collect(),
        }
    }
}
