//! The report: a public interface, whose fields scripts depend on. Money and percentages are decimal texts.

use std::collections::BTreeMap;

use kentroller_planner::manifest::{Resources, marks};
use kentroller_planner::{Catalog, Money, Percent, Plan, Snapshot};
use serde::Serialize;

use super::karpenter::Karpenter;
use super::patch::PatchOf;

/// What a plan says, in the words and units of the public report.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub schema_version: u32,
    pub snapshot: SnapshotPart,
    pub catalog: CatalogPart,
    pub cost: Cost,
    pub moves: Moves,
    /// The cheapest plan found, where another one was chosen since it moves fewer pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cheapest: Option<Cheapest>,
    pub waves: Vec<Wave>,
    pub kept: Vec<Kept>,
    pub curve: Vec<Point>,
    pub advice: Vec<Advice>,
    /// Where Karpenter's own rule would settle, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub karpenter: Option<Karpenter>,
    pub timing: Timing,
    /// Why there is no wave; not part of the JSON.
    #[serde(skip)]
    pub nothing: Option<String>,
}

/// What was read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotPart {
    pub nodes: usize,
    pub pods: usize,
    pub daemon_pods: usize,
    pub digest: String,
    pub warnings: Vec<String>,
}

/// Whose prices count.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogPart {
    pub source: String,
    pub as_of: String,
    pub region: String,
    pub types: usize,
}

/// What is paid, what could be, and what no plan can beat.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    pub currency: &'static str,
    pub before: Amount,
    pub after: Amount,
    pub lower_bound: Option<Bound>,
    /// How far the cost after the plan is above the bound, in percent of the bound; absent where nodes have no price.
    pub gap_percent: Option<String>,
    /// Relative to the whole cluster; absent where nodes have no price, since the whole is not known.
    pub savings_percent: Option<String>,
    /// Nodes whose price is not known. They are left out of every amount.
    pub unpriced: Vec<String>,
    /// What running old and new nodes side by side costs once.
    pub transition: String,
    /// Hours until the saving has paid for that; absent without a saving.
    pub payback_hours: Option<String>,
}

/// An amount an hour and a month.
#[derive(Clone, Debug, Serialize)]
pub struct Amount {
    pub hourly: String,
    pub monthly: String,
}

/// The lower bound and how it was found.
#[derive(Clone, Debug, Serialize)]
pub struct Bound {
    pub hourly: String,
    pub method: String,
}

/// Pods that move.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moves {
    pub pods: usize,
    /// Of all pods but those of DaemonSets.
    pub percent: String,
    /// Those whose new node is in another zone; absent where places are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_changes: Option<usize>,
}

/// A plan that was found and not chosen.
#[derive(Clone, Debug, Serialize)]
pub struct Cheapest {
    pub hourly: String,
    pub moves: usize,
}

/// One step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wave {
    pub index: usize,
    pub add: Vec<NewNode>,
    pub remove: Vec<String>,
    pub moves: Vec<Move>,
    pub hourly_after: String,
    pub reason: String,
    /// What each of its moves saves an hour; empty where none moves. Not part of the JSON.
    #[serde(skip)]
    pub saves_per_move: String,
}

/// A node to buy.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewNode {
    pub name: String,
    pub node_pool: String,
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: String,
    pub price_hourly: String,
    pub alternatives: Vec<Offering>,
    /// What its pods ask for; not part of the JSON.
    #[serde(skip)]
    pub requests: Resources,
}

/// Another way to buy it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offering {
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: String,
    pub price_hourly: String,
}

/// A pod's way.
#[derive(Clone, Debug, Serialize)]
pub struct Move {
    pub pod: String,
    pub from: String,
    pub to: String,
}

/// A node that stays.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub node: String,
    pub reason: String,
    pub detail: String,
    pub blockers: Vec<Blocker>,
    pub would_save_hourly: String,
}

/// A pod that holds its node.
#[derive(Clone, Debug, Serialize)]
pub struct Blocker {
    pub pod: String,
    pub rule: String,
}

/// The best plan within a share of moved pods.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    pub moved_percent: String,
    pub hourly: String,
    pub waves: usize,
}

/// A change of settings with which the plan costs less.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    pub text: String,
    /// What the cluster costs after the plan that was found with it.
    pub hourly: String,
    /// How much less that is than after this plan.
    pub saves_hourly: String,
    /// What is to be changed; empty where it is an option of a claim.
    pub patches: Vec<PatchOf>,
}

/// How long it took; zeros when the search was counted in steps, so that reports can be compared.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    pub read_millis: u64,
    pub plan_millis: u64,
    pub steps: u64,
    pub peak_rss_bytes: u64,
}

impl Cost {
    fn of(plan: &Plan) -> Self {
        let amount = |money: Money| Amount { hourly: money.hourly(), monthly: money.monthly() };
        let saved = plan.cost_before - plan.cost_after;
        let payback = (saved > Money::ZERO).then(|| {
            // Both are amounts of dollars, one of them an hour: the share in percent, over a hundred, is hours.
            let hours = plan.transition.percent_of(saved).parts() / 10_000;
            format!("{}.{:02}", hours / 100, hours % 100)
        });
        let bound = plan.lower_bound.as_ref();
        let is_whole = plan.unpriced.is_empty();
        let gap = bound
            .filter(|_| is_whole)
            .map(|bound| (plan.cost_after - bound.hourly).percent_of(bound.hourly).to_string());
        Self {
            currency: "USD",
            before: amount(plan.cost_before),
            after: amount(plan.cost_after),
            lower_bound: bound.map(|bound| Bound { hourly: bound.hourly.hourly(), method: bound.method.to_owned() }),
            gap_percent: gap,
            savings_percent: is_whole.then(|| saved.percent_of(plan.cost_before).to_string()),
            unpriced: plan.unpriced.clone(),
            transition: plan.transition.hourly(),
            payback_hours: payback,
        }
    }
}

impl Cost {
    /// How much less is paid, as far as it can be told.
    pub fn less(&self) -> String {
        match (&self.savings_percent, self.unpriced.len()) {
            (Some(percent), _) => format!("{} for the whole cluster", less(percent)),
            (None, unpriced) => format!("and {unpriced} nodes without a known price"),
        }
    }
}

impl Report {
    /// The report of a plan.
    pub fn of(
        plan: &Plan,
        snapshot: &Snapshot,
        catalog: &Catalog,
        digest: String,
        warnings: Vec<String>,
        timing: Timing,
    ) -> Self {
        let told = plan.warnings.iter().map(|warning| match warning.object.as_str() {
            "" => warning.message.clone(),
            object => format!("{object}: {}", warning.message),
        });
        Self {
            schema_version: 1,
            snapshot: SnapshotPart {
                nodes: snapshot.nodes.len(),
                pods: plan.workload_pods,
                daemon_pods: plan.daemon_pods,
                digest,
                warnings: warnings.into_iter().chain(told).collect(),
            },
            catalog: CatalogPart {
                source: catalog.source.clone(),
                as_of: catalog.as_of.clone(),
                region: plan.region.clone(),
                types: catalog.types(&plan.region).count(),
            },
            cost: Cost::of(plan),
            moves: Moves {
                pods: plan.moves(),
                percent: share(plan.moves(), plan.workload_pods).to_string(),
                zone_changes: Some(zone_changes(plan, snapshot)),
            },
            cheapest: plan
                .cheapest
                .map(|cheapest| Cheapest { hourly: cheapest.hourly.hourly(), moves: cheapest.moves }),
            waves: waves(plan),
            kept: plan.kept.iter().map(Kept::of).collect(),
            curve: plan
                .curve
                .iter()
                .map(|point| Point {
                    moved_percent: point.moved.to_string(),
                    hourly: point.hourly.hourly(),
                    waves: point.waves,
                })
                .collect(),
            advice: plan
                .advice
                .iter()
                .map(|advice| Advice {
                    text: advice.text.clone(),
                    hourly: advice.hourly.hourly(),
                    saves_hourly: advice.saves.hourly(),
                    patches: advice.patches.iter().map(PatchOf::of).collect(),
                })
                .collect(),
            karpenter: None,
            timing,
            nothing: plan.nothing.map(|nothing| nothing.word().to_owned()),
        }
    }

    /// Whether a node is of the input or the plan.
    pub fn knows(&self, node: &str) -> bool {
        let goes_or_comes =
            |wave: &Wave| wave.remove.iter().any(|name| name == node) || wave.add.iter().any(|new| new.name == node);
        self.kept.iter().any(|kept| kept.node == node) || self.waves.iter().any(goes_or_comes)
    }

    /// The report as JSON, with a line end.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report is plain texts and numbers");
        text.push('\n');
        text
    }

    /// The report as YAML.
    ///
    /// # Errors
    /// None that is known: the writer's own.
    pub fn yaml(&self) -> Result<String, String> {
        serde_saphyr::to_string(self).map_err(|error| error.to_string())
    }
}

fn waves(plan: &Plan) -> Vec<Wave> {
    let before = [plan.cost_before].into_iter().chain(plan.waves.iter().map(|wave| wave.hourly_after));
    plan.waves.iter().zip(before).enumerate().map(|(at, (wave, before))| Wave::of(at + 1, wave, before)).collect()
}

/// How many pods come to another zone than theirs, as far as zones are known.
fn zone_changes(plan: &Plan, snapshot: &Snapshot) -> usize {
    let existing = snapshot
        .nodes
        .iter()
        .filter_map(|node| Some((&*node.metadata.name, node.metadata.labels.get(marks::ZONE)?.as_ref())));
    let new = plan.waves.iter().flat_map(|wave| &wave.add).map(|node| (node.name.as_str(), node.zone.as_str()));
    let zones: BTreeMap<&str, &str> = existing.chain(new).filter(|(_, zone)| !zone.is_empty()).collect();
    let zone = |node: &str| zones.get(node);
    let moves = plan.waves.iter().flat_map(|wave| &wave.moves);
    moves.filter(|step| zone(&step.from).zip(zone(&step.to)).is_some_and(|(from, to)| from != to)).count()
}

/// A saving in percent, in words.
pub(super) fn less(percent: &str) -> String {
    percent.strip_prefix('-').map_or_else(|| format!("{percent} % less"), |more| format!("{more} % more"))
}

pub(super) fn share(part: usize, whole: usize) -> Percent {
    let micros = |count: usize| Money::micros(i64::try_from(count).unwrap_or(i64::MAX));
    micros(part).percent_of(micros(whole))
}

impl Wave {
    fn of(index: usize, wave: &kentroller_planner::Wave, before: Money) -> Self {
        let moves = i64::try_from(wave.moves.len()).unwrap_or(i64::MAX);
        Self {
            index,
            add: wave
                .add
                .iter()
                .map(|node| NewNode {
                    name: node.name.clone(),
                    node_pool: node.node_pool.clone(),
                    instance_type: node.instance_type.clone(),
                    zone: node.zone.clone(),
                    capacity_type: node.capacity_type.as_str().to_owned(),
                    price_hourly: node.price.hourly(),
                    alternatives: node
                        .alternatives
                        .iter()
                        .map(|other| Offering {
                            instance_type: other.instance_type.clone(),
                            zone: other.zone.clone(),
                            capacity_type: other.capacity_type.as_str().to_owned(),
                            price_hourly: other.price.hourly(),
                        })
                        .collect(),
                    requests: node.requests.clone(),
                })
                .collect(),
            remove: wave.remove.clone(),
            moves: wave
                .moves
                .iter()
                .map(|step| Move { pod: step.pod.to_string(), from: step.from.clone(), to: step.to.clone() })
                .collect(),
            hourly_after: wave.hourly_after.hourly(),
            reason: wave.reason.clone(),
            saves_per_move: if moves == 0 { String::new() } else { ((before - wave.hourly_after) / moves).hourly() },
        }
    }
}

impl Kept {
    fn of(kept: &kentroller_planner::Kept) -> Self {
        Self {
            node: kept.node.clone(),
            reason: kept.reason.word().to_owned(),
            detail: kept.detail.clone(),
            blockers: kept
                .blockers
                .iter()
                .map(|blocker| Blocker { pod: blocker.pod.to_string(), rule: blocker.rule.word().to_owned() })
                .collect(),
            would_save_hourly: kept.would_save.hourly(),
        }
    }
}
