//! The planner of this process behind the ports that controllers ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kentroller_planner::{Catalog, Nothing, Options, Percent, Steps, plan};
use kentroller_runtime::{Cancelled, Cut, Failure, ObjectKey, Port};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::savings::savings;
use super::snapshot::snapshot;
use super::translate;
use crate::api::foreign::ConfigMap;
use crate::api::{RebalancePlanSpec, Savings, SkippedNode, SkippedReason};

/// What both ports share.
#[derive(Clone, Debug)]
pub struct Embedded {
    pub prices: Prices,
    pub effort: Effort,
}

/// Where prices come from.
#[derive(Clone, Debug)]
pub enum Prices {
    Fixed(Arc<Catalog>),
    /// Key `catalog.csv` of this ConfigMap, read anew for each plan.
    ConfigMap(ObjectKey),
}

/// How long the planner searches.
#[derive(Clone, Copy, Debug)]
pub enum Effort {
    Time(Duration),
    /// The same plan for the same snapshot, on any machine.
    Steps(u64),
}

/// Computes plans.
#[derive(Clone, Debug)]
pub struct Plans(pub Embedded);

/// Judges plans, whoever made them.
#[derive(Clone, Debug)]
pub struct Judgements(pub Embedded);

/// A question for a plan.
#[derive(Clone, Debug)]
pub struct PlanAsk {
    /// The name that the plan will have; the names of its NodeClaims follow from it.
    pub plan: String,
    pub options: Options,
}

/// A computed plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    /// What the RebalancePlan will say; `execute` is left to the claim.
    pub spec: RebalancePlanSpec,
    /// The first twelve digits of the plan's digest.
    pub id: String,
    pub savings: Savings,
    /// The saving relative to the nodes that go.
    pub savings_percent: Percent,
    /// The net saving of the best plan relative to the nodes that would go, if it is less than what was asked for; the
    /// plan is empty then.
    pub held_back: Option<Percent>,
    /// Nodes that go, by name.
    pub removed: Vec<String>,
    /// Nodes that stay, each with its reason.
    pub kept: Vec<SkippedNode>,
    pub warnings: Vec<String>,
    /// Why there is nothing to do, if there is not.
    pub nothing: Option<(SkippedReason, String)>,
}

/// A plan to judge.
#[derive(Clone, Debug)]
pub struct JudgeAsk {
    pub spec: RebalancePlanSpec,
    pub options: Options,
}

/// What was found out about a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Judged {
    pub savings: Savings,
    /// Why the plan must not be executed; empty if it may.
    pub violations: Vec<String>,
}

impl Port for Plans {
    const NAME: &'static str = "plans";
    const TIME_LIMIT: Duration = Duration::from_secs(300);
    type Ask = PlanAsk;
    type Answer = Planned;

    fn fill(&self, ask: &PlanAsk, cut: &Cut, now: Timestamp, cancelled: &Cancelled) -> Result<Planned, Failure> {
        let catalog = self.0.catalog(cut)?;
        let snapshot = snapshot(cut, now);
        let made = match self.0.effort {
            Effort::Steps(steps) => plan(&snapshot, &catalog, &ask.options, &mut Steps(steps)),
            Effort::Time(limit) => {
                let started = Instant::now();
                let mut budget = |_: u64| {
                    let used = started.elapsed().as_millis() * 1000 / limit.as_millis().max(1);
                    if cancelled.is_set() { u32::MAX } else { u32::try_from(used).unwrap_or(u32::MAX) }
                };
                plan(&snapshot, &catalog, &ask.options, &mut budget)
            }
        };
        let made = made.map_err(|error| Failure::waiting("InputInvalid", error))?;
        let spec =
            translate::to_spec(&made, &snapshot, &ask.plan).map_err(|why| Failure::transient("PlanInvalid", why))?;
        let costs = savings(&made, &snapshot, &catalog);
        let text = serde_json::to_string(&spec).unwrap_or_default();
        let digest = Sha256::digest(text.as_bytes());
        Ok(Planned {
            id: digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect(),
            spec,
            savings_percent: costs.saved.percent_of(costs.blue),
            savings: costs.savings,
            held_back: made.held_back,
            removed: made.removed().map(str::to_owned).collect(),
            warnings: made
                .warnings
                .iter()
                .map(|warning| format!("{} {}", warning.object, warning.message).trim().to_owned())
                .collect(),
            kept: made.kept.iter().map(skipped).collect(),
            nothing: made.nothing.map(nothing),
        })
    }
}

impl Port for Judgements {
    const NAME: &'static str = "judgements";
    const TIME_LIMIT: Duration = Duration::from_secs(60);
    type Ask = JudgeAsk;
    type Answer = Judged;

    fn fill(&self, ask: &JudgeAsk, cut: &Cut, now: Timestamp, _: &Cancelled) -> Result<Judged, Failure> {
        let catalog = self.0.catalog(cut)?;
        let snapshot = snapshot(cut, now);
        let read = translate::from_spec(&ask.spec, &snapshot, &catalog);
        let (plan, mut violations) = match read {
            Ok(plan) => (plan, Vec::new()),
            Err(mistakes) => return Ok(Judged { savings: Savings::default(), violations: mistakes }),
        };
        if let Err(found) = kentroller_planner::check::check(&snapshot, &catalog, &ask.options, &plan) {
            violations.extend(found.iter().map(ToString::to_string));
        }
        Ok(Judged { savings: savings(&plan, &snapshot, &catalog).savings, violations })
    }
}

fn skipped(kept: &kentroller_planner::Kept) -> SkippedNode {
    SkippedNode { name: kept.node.clone(), reasons: vec![format!("{}: {}", kept.reason.word(), kept.detail)] }
}

fn nothing(why: Nothing) -> (SkippedReason, String) {
    let (reason, message) = match why {
        Nothing::NothingInScope => (SkippedReason::NothingInScope, "no node matches the scope and the constraints"),
        Nothing::NoSaving => (SkippedReason::NoSaving, "nothing cheaper holds the pods"),
        Nothing::MinClusterSize => {
            (SkippedReason::MinClusterSize, "the cluster would have fewer nodes than minClusterSize")
        }
    };
    (reason, message.to_owned())
}

impl Embedded {
    fn catalog(&self, cut: &Cut) -> Result<Arc<Catalog>, Failure> {
        let key = match &self.prices {
            Prices::Fixed(catalog) => return Ok(Arc::clone(catalog)),
            Prices::ConfigMap(key) => key,
        };
        let missing = || {
            Failure::waiting("PricesMissing", format!("ConfigMap {key} has no key catalog.csv with prices; write one"))
        };
        let stored = cut.shelf::<ConfigMap>().and_then(|shelf| shelf.lookup(key).present()).ok_or_else(missing)?;
        let text = stored.data.get("catalog.csv").ok_or_else(missing)?;
        let as_of = stored.metadata.created.to_string();
        let read = Catalog::from_csv(text, &format!("ConfigMap {key}"), &as_of);
        read.map(Arc::new)
            .map_err(|error| Failure::waiting("PricesInvalid", format!("ConfigMap {key}, catalog.csv: {error}")))
    }
}
