//! The planner of this process behind the ports that controllers ask.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kentroller_planner::check::Fault;
use kentroller_planner::{Catalog, Money, Nothing, Options, Percent, Plan, PreviousPlan, Snapshot, Steps, plan_again};
use kentroller_runtime::{Cancelled, Failure, ObjectKey, Port, Seen};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::savings::savings;
use super::size;
use super::snapshot::{Observed, snapshot};
use super::stability::stability;
use super::translate;
use super::unavailable::without;
use crate::api::foreign::{ConfigMap, Node, zone_ids};
use crate::api::{
    ConsolidationStability, RebalancePlanSpec, Savings, SkippedNode, SkippedReason, UnavailableOffering, failures,
};
use crate::prices::Refreshed;

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
    /// Read again and again beside us.
    Refreshed(Arc<Refreshed>),
}

/// How long the planner searches.
#[derive(Clone, Copy, Debug)]
pub enum Effort {
    /// As long as the question says.
    Time,
    /// The same plan for the same snapshot, on any machine.
    Steps(u64),
}

/// Answers with plans, whoever computes them.
#[derive(Debug)]
pub struct Plans {
    embedded: Embedded,
    by: By,
}

/// Who computes plans.
#[derive(Debug)]
enum By {
    /// This process.
    Here(Box<Planner>),
    /// A backend, whose answers are judged here.
    #[cfg(feature = "connected")]
    Backend(Arc<super::Backend>),
}

impl Plans {
    /// Plans of this process.
    pub fn new(embedded: Embedded) -> Self {
        let by = By::Here(Box::new(Planner::new(embedded.effort)));
        Self { embedded, by }
    }

    /// Plans of a backend, judged and priced as those of this process are.
    #[cfg(feature = "connected")]
    pub const fn of_backend(embedded: Embedded, backend: Arc<super::Backend>) -> Self {
        Self { embedded, by: By::Backend(backend) }
    }
}

/// Computes plans.
#[derive(Debug)]
pub(super) struct Planner {
    effort: Effort,
    /// The last plan: the answer to the next question too, where nothing has changed.
    former: Mutex<Option<PreviousPlan>>,
}

impl Planner {
    /// One that knows no former plan.
    pub(super) const fn new(effort: Effort) -> Self {
        Self { effort, former: Mutex::new(None) }
    }

    fn remembered(&self) -> MutexGuard<'_, Option<PreviousPlan>> {
        self.former.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The best plan that was found, no larger than an object may be.
    fn searched(
        &self,
        ask: &PlanAsk,
        snapshot: &Snapshot,
        catalog: &Catalog,
        cancelled: &Cancelled,
    ) -> Result<(PreviousPlan, RebalancePlanSpec), Failure> {
        let mut former = self.remembered().take();
        let mut options = ask.options.clone();
        loop {
            let found = match self.effort {
                Effort::Steps(steps) => plan_again(snapshot, catalog, &options, &mut Steps(steps), former),
                Effort::Time => {
                    let started = Instant::now();
                    let mut budget = |_: u64| {
                        let used = started.elapsed().as_millis() * 1000 / ask.time_limit.as_millis().max(1);
                        if cancelled.is_set() { u32::MAX } else { u32::try_from(used).unwrap_or(u32::MAX) }
                    };
                    plan_again(snapshot, catalog, &options, &mut budget, former)
                }
            };
            let found = found.map_err(|error| failures::INPUT_INVALID.because(error))?;
            let spec = translate::to_spec(&found.plan, snapshot, &ask.seed)
                .map_err(|why| failures::PLAN_INVALID.because(why))?;
            match size::smaller(&options, &spec) {
                Some(fewer) => options = fewer,
                None => return Ok((found, spec)),
            }
            former = Some(found);
        }
    }

    /// The best plan that was found, as the controllers read it.
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
        let (found, spec) = self.searched(ask, snapshot, catalog, cancelled)?;
        let made = &found.plan;
        let costs = savings(made, snapshot, catalog);
        let planned = Planned {
            seed: ask.seed.clone(),
            id: id(&spec),
            spec,
            savings_percent: costs.saved.percent_of(costs.blue),
            savings: costs.savings,
            held_back: made.held_back,
            proposed: (!made.refused.is_empty()).then(|| {
                let refused = Plan { waves: made.refused.clone(), ..made.clone() };
                let removed = refused.removed().map(str::to_owned).collect();
                (savings(&refused, snapshot, catalog).savings, removed)
            }),
            removed: made.removed().map(str::to_owned).collect(),
            warnings: made
                .warnings
                .iter()
                .map(|warning| format!("{} {}", warning.object, warning.message).trim().to_owned())
                .chain(made.cheapest.map(|cheapest| cheapest.to_string()))
                .collect(),
            kept: made.kept.iter().map(skipped).collect(),
            nothing: made.nothing.map(nothing),
            transition: made.transition,
            findings: findings(made, snapshot.nodes.len()),
            tried: None,
        };
        // What was cut short is no answer to another question.
        if !cancelled.is_set() {
            *self.remembered() = Some(found);
        }
        Ok(planned)
    }
}

/// The first twelve digits of the digest of a plan.
pub(super) fn id(spec: &RebalancePlanSpec) -> String {
    let text = serde_json::to_string(spec).expect("a spec is plain JSON");
    Sha256::digest(text.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Checks plans, whoever made them.
#[derive(Clone, Debug)]
pub struct Checks(pub Embedded);

/// A question for a plan.
#[derive(Clone, Debug)]
pub struct PlanAsk {
    /// The names of the plan's NodeClaims follow from it; no other plan may have it.
    pub seed: String,
    pub options: Options,
    /// How long is searched, where time is what ends a search.
    pub time_limit: Duration,
    /// What was tried before in the same cycle; handed back with the answer.
    pub tried: Option<Tried>,
}

/// What a question came to before a simpler one was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Of the first question.
    pub findings: Findings,
    /// Why nothing came of them, in words.
    pub why: String,
}

/// What a look at the whole cluster found, whatever is made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The nodes of the cluster.
    pub nodes: usize,
    /// Those that nothing kept out of the search.
    pub candidates: usize,
    /// The others, counted by the fixed word of why.
    pub excluded: BTreeMap<String, usize>,
    /// What the nodes of known price cost an hour.
    pub cost: Money,
    /// What no plan is below, if that is told.
    pub bound: Option<Money>,
    /// What they would cost after the best plan that was found, made or not.
    pub best: Money,
}

/// A computed plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Planned {
    /// What the RebalancePlan will say; `execute` is left to the claim.
    pub spec: RebalancePlanSpec,
    /// That of the question.
    pub seed: String,
    /// The first twelve digits of the plan's digest.
    pub id: String,
    pub savings: Savings,
    /// The saving relative to the nodes that go.
    pub savings_percent: Percent,
    /// The net saving of the best plan relative to the nodes that would go, if it is less than what was asked for; the
    /// plan is empty then.
    pub held_back: Option<Percent>,
    /// The best plan that was found and refused, as savings and nodes that would have gone.
    pub proposed: Option<(Savings, Vec<String>)>,
    /// Nodes that go, by name.
    pub removed: Vec<String>,
    /// Nodes that stay, each with its reason.
    pub kept: Vec<SkippedNode>,
    pub warnings: Vec<String>,
    /// Why there is nothing to do, if there is not.
    pub nothing: Option<(SkippedReason, String)>,
    /// What running old and new nodes side by side costs, once.
    #[serde(default)]
    pub transition: Money,
    #[serde(default)]
    pub findings: Findings,
    /// That of the question.
    #[serde(default)]
    pub tried: Option<Tried>,
}

impl Planned {
    /// What the first look of its cycle found.
    pub fn first_findings(&self) -> &Findings {
        self.tried.as_ref().map_or(&self.findings, |tried| &tried.findings)
    }
}

/// A plan to check.
#[derive(Clone, Debug)]
pub struct CheckAsk {
    pub spec: RebalancePlanSpec,
    pub options: Options,
}

/// A plan stands while at most a tenth of the pods that it moves, and in any case five, have come, gone or moved since it was made.
const CHURN_SHARE: usize = 10;
const LEAST_CHURN: usize = 5;

/// Whether a plan that moves so many pods stands although so many have come or gone.
fn is_few(churned: usize, moves: usize) -> bool {
    churned <= (moves / CHURN_SHARE).max(LEAST_CHURN)
}

/// What was found out about a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checked {
    pub savings: Savings,
    /// Why the plan must not be executed.
    pub violations: Vec<String>,
    /// Which pods and nodes of the plan have to stay where they are now; and which pods have come, gone or moved since it was
    /// made, if they are few.
    pub held: Vec<String>,
    /// How its new nodes stand with Karpenter's consolidation; `None` where none are bought.
    pub stability: Option<ConsolidationStability>,
}

impl Port for Plans {
    const NAME: &'static str = "plans";
    /// Longer than any `planTimeLimit`.
    const TIME_LIMIT: Duration = Duration::from_secs(11 * 60);
    type Reads = Observed;
    type Ask = PlanAsk;
    type Answer = Planned;

    fn fill(
        &self,
        ask: &PlanAsk,
        seen: &Seen<Observed>,
        now: Timestamp,
        cancelled: &Cancelled,
    ) -> Result<Planned, Failure> {
        let catalog = self.embedded.to_buy(seen, now)?;
        let (snapshot, unknown) = snapshot(seen, now);
        let mut planned = match &self.by {
            By::Here(planner) => planner.plan(ask, &snapshot, &catalog, cancelled),
            #[cfg(feature = "connected")]
            By::Backend(backend) => {
                backend.tell(seen);
                backend.plan(ask, &snapshot, &catalog, cancelled)
            }
        }?;
        planned.warnings.extend(unknown);
        planned.warnings.extend(self.embedded.of_when(&catalog));
        planned.tried.clone_from(&ask.tried);
        Ok(planned)
    }
}

impl Port for Checks {
    const NAME: &'static str = "checks";
    const TIME_LIMIT: Duration = Duration::from_secs(60);
    type Reads = Observed;
    type Ask = CheckAsk;
    type Answer = Checked;

    fn fill(&self, ask: &CheckAsk, seen: &Seen<Observed>, now: Timestamp, _: &Cancelled) -> Result<Checked, Failure> {
        let catalog = self.0.catalog(seen, now)?;
        let (snapshot, _) = snapshot(seen, now);
        let read = translate::from_spec(&ask.spec, &snapshot, &catalog);
        let (plan, mut violations) = match read {
            Ok(plan) => (plan, Vec::new()),
            Err(mistakes) => {
                return Ok(Checked {
                    savings: Savings::default(),
                    violations: mistakes,
                    held: Vec::new(),
                    stability: None,
                });
            }
        };
        let mut held = Vec::new();
        if let Err(found) = kentroller_planner::check::check(&snapshot, &catalog, &ask.options, &plan) {
            // A pod that was replaced is gone, and its successor may have come to a node that goes.
            let (came, gone): (Vec<_>, Vec<_>) =
                found.iter().filter(|one| one.is_churn()).partition(|one| one.fault == Fault::NotEmpty);
            // Where the successors of others came to decides what a spread or a reserve allows: both are asked again before each eviction.
            let is_displaced = |fault: Fault| matches!(fault, Fault::Spread | Fault::Reserve);
            let displaced = found.iter().filter(|one| is_displaced(one.fault)).count();
            let few = is_few(came.len().max(gone.len()).max(displaced), ask.spec.pods_to_migrate.len());
            let is_held = |fault: Fault, churn: bool| fault.holds() || (few && (churn || is_displaced(fault)));
            let (holding, wrong): (Vec<_>, Vec<_>) = found.iter().partition(|one| is_held(one.fault, one.is_churn()));
            violations.extend(wrong.into_iter().map(ToString::to_string));
            held.extend(holding.into_iter().map(ToString::to_string));
        }
        let stability = stability(&snapshot, &catalog, &ask.options, &plan);
        Ok(Checked { savings: savings(&plan, &snapshot, &catalog).savings, violations, held, stability })
    }
}

fn findings(made: &Plan, nodes: usize) -> Findings {
    let mut excluded: BTreeMap<String, usize> = BTreeMap::new();
    for kept in made.kept.iter().filter(|kept| kept.reason.excludes()) {
        *excluded.entry(kept.reason.word().to_owned()).or_default() += 1;
    }
    Findings {
        nodes,
        candidates: nodes.saturating_sub(excluded.values().sum()),
        excluded,
        cost: made.cost_before,
        bound: made.lower_bound.as_ref().map(|bound| bound.hourly),
        best: made.refused.last().map_or(made.cost_after, |wave| wave.hourly_after),
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
    /// Whose prices a plan is made with and when they were read, where that changes.
    fn of_when(&self, catalog: &Catalog) -> Option<String> {
        let is_refreshed = matches!(self.prices, Prices::Refreshed(_));
        is_refreshed.then(|| format!("prices: {}, of {}", catalog.source, catalog.as_of))
    }

    /// What there is to buy for a plan that is made now.
    fn to_buy(&self, seen: &Seen<Observed>, now: Timestamp) -> Result<Arc<Catalog>, Failure> {
        let nodes = seen.store::<Node>().into_iter().flat_map(|store| store.all());
        let unavailable = seen.store::<UnavailableOffering>().into_iter().flat_map(|store| store.all());
        Ok(without(self.catalog(seen, now)?, unavailable, &zone_ids(nodes), now))
    }

    fn catalog(&self, seen: &Seen<Observed>, now: Timestamp) -> Result<Arc<Catalog>, Failure> {
        let key = match &self.prices {
            Prices::Fixed(catalog) => return Ok(Arc::clone(catalog)),
            Prices::Refreshed(kept) => return kept.catalog(now).map_err(|why| failures::PRICES_TOO_OLD.because(why)),
            Prices::ConfigMap(key) => key,
        };
        let missing = || {
            failures::PRICES_MISSING
                .because(format_args!("ConfigMap {key} has no key catalog.csv with prices; write one"))
        };
        let stored = seen.store::<ConfigMap>().and_then(|store| store.lookup(key).present()).ok_or_else(missing)?;
        let text = stored.data.get("catalog.csv").ok_or_else(missing)?;
        let as_of = stored.metadata.created.to_string();
        let read = Catalog::from_csv(text, &format!("ConfigMap {key}"), &as_of);
        read.map(Arc::new)
            .map_err(|error| failures::PRICES_INVALID.because(format_args!("ConfigMap {key}, catalog.csv: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use kentroller_planner::Warning;
    use kentroller_runtime::{Cut, KindEntry};
    use serde_json::{Value, json};

    use super::*;
    use crate::api::foreign::{NodeClaim, NodePool, Pod};

    #[test]
    fn a_tenth_of_the_pods_may_have_come_or_gone_and_five_in_any_case() {
        for (churned, moves, wanted) in [(5, 1, true), (6, 1, false), (16, 161, true), (17, 161, false)] {
            assert_eq!(is_few(churned, moves), wanted, "{churned} of {moves}");
        }
    }

    /// Two nodes of which one could go.
    fn cluster() -> Cut {
        fn read<K: serde::de::DeserializeOwned>(object: Value) -> K {
            serde_json::from_value(object).expect("an object")
        }
        let kinds = [
            KindEntry::of::<Node>(),
            KindEntry::of::<NodeClaim>(),
            KindEntry::of::<NodePool>(),
            KindEntry::of::<Pod>(),
        ];
        let cut = Cut::empty(&kinds)
            .with(read::<NodePool>(json!({"metadata": {"name": "general"}, "spec": {"template": {"spec": {
            "requirements": [{"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m5"]}]}}}})));
        ["a", "b"].iter().fold(cut, |cut, name| {
            let node = json!({"metadata": {"name": name, "creationTimestamp": "2026-11-20T12:00:00Z", "labels": {
                "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand", "kubernetes.io/hostname": name,
                "node.kubernetes.io/instance-type": "m5.large", "topology.kubernetes.io/zone": "us-east-1a",
                "topology.kubernetes.io/region": "us-east-1"}},
                "status": {"allocatable": {"cpu": "1930m", "memory": "6903Mi", "pods": "29"}, "conditions": [{"type": "Ready", "status": "True"}]}});
            let claim = json!({"metadata": {"name": name}, "status": {"nodeName": name, "conditions": [
                {"type": "Initialized", "status": "True"}, {"type": "Consolidatable", "status": "True"}]}});
            cut.with(read::<Node>(node)).with(read::<NodeClaim>(claim)).with(pod(name, "500m"))
        })
    }

    fn pod(node: &str, cpu: &str) -> Pod {
        serde_json::from_value(
            json!({"metadata": {"name": format!("p-{node}"), "namespace": "apps", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": node, "uid": node, "controller": true}]},
            "spec": {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": cpu, "memory": "512Mi"}}}]},
            "status": {"phase": "Running"}}),
        )
        .expect("a pod")
    }

    #[test]
    fn with_prices_that_are_too_old_nothing_is_planned_and_no_plan_passes() {
        let kept =
            |hours| Prices::Refreshed(Arc::new(Refreshed::new(Catalog::embedded(), Duration::from_hours(hours))));
        let now: Timestamp = "2026-10-28T12:00:00Z".parse().expect("a time");
        let ask = question(Duration::ZERO);
        let cut = cluster();
        let seen = Seen::of(&cut);
        let check = |hours: u64, wanted: Option<&str>| {
            let embedded = Embedded { prices: kept(hours), effort: Effort::Steps(100) };
            let fresh = Embedded { prices: kept(48), effort: Effort::Steps(100) };
            let made = Plans::new(fresh).fill(&ask, &seen, now, &Cancelled::default()).expect("a plan");
            assert!(made.warnings.contains(&"prices: embedded EC2 on-demand list prices, of 2026-10-27".to_owned()));
            let planned = Plans::new(embedded.clone()).fill(&ask, &seen, now, &Cancelled::default());
            let to_check = CheckAsk { spec: made.spec, options: Options::default() };
            let checked = Checks(embedded).fill(&to_check, &seen, now, &Cancelled::default());
            let reasons =
                [planned.err(), checked.err()].map(|failure| failure.map(|failure| failure.reason.to_string()));
            assert_eq!(reasons, [wanted.map(str::to_owned), wanted.map(str::to_owned)], "{hours} hours");
        };
        check(36, None);
        check(35, Some("PricesTooOld"));
    }

    fn question(time_limit: Duration) -> PlanAsk {
        PlanAsk { seed: "now".to_owned(), options: Options::default(), time_limit, tried: None }
    }

    #[test]
    fn a_search_takes_the_time_that_the_question_gives_it() {
        let steps = |limit: Duration| {
            let planner = Planner::new(Effort::Time);
            let cut = cluster();
            let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
            let (snapshot, _) = snapshot(&Seen::of(&cut), now);
            let found = planner.searched(&question(limit), &snapshot, &Catalog::embedded(), &Cancelled::default());
            found.expect("a plan").0.plan.steps
        };
        let (none, some) = (steps(Duration::ZERO), steps(Duration::from_millis(500)));
        assert!(some > 10 * none, "{some} steps in half a second, {none} in none");
    }

    #[test]
    fn an_unchanged_cluster_has_its_former_plan_and_a_plan_that_was_cut_short_is_nobody_s() {
        let planner = Planner::new(Effort::Steps(100));
        let (ask, catalog) = (question(Duration::ZERO), Catalog::embedded());
        let begin: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        let asked = |cut: &Cut, minutes: u64, cancelled: &Cancelled| {
            let (snapshot, _) = snapshot(&Seen::of(cut), begin + Duration::from_secs(60 * minutes));
            planner.plan(&ask, &snapshot, &catalog, cancelled).expect("a plan")
        };
        let (over, going_on) = (Cancelled::default(), Cancelled::default());
        over.set();
        asked(&cluster(), 0, &over);
        assert!(planner.former.lock().expect("nobody panicked").is_none());
        let first = asked(&cluster(), 0, &going_on);
        assert_eq!(first.removed.len(), 1);
        // A former plan is known again by a word that no search would say.
        let told_again = Warning { object: String::new(), message: "told again".to_owned() };
        planner.former.lock().expect("nobody panicked").as_mut().expect("a former plan").plan.warnings.push(told_again);
        let again = asked(&cluster(), 5, &going_on);
        assert_eq!((again.id, again.removed), (first.id, first.removed));
        assert!(again.warnings.contains(&"told again".to_owned()));
        let changed = asked(&cluster().with(pod("a", "1800m")), 10, &going_on);
        assert!(!changed.warnings.contains(&"told again".to_owned()));
        assert_eq!(changed.removed, [""; 0], "the pods of both nodes fill more than one");
    }
}
