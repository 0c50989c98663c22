//! What a pool lets go: its consolidation policy and its disruption budgets.

use super::window;
use crate::manifest::marks::{BUDGET, CONSOLIDATION};
use crate::manifest::{DisruptionBudget, Moment, NodePool};

/// Why a node is disrupted, as the budgets of its pool name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisruptionReason {
    /// No pod runs on it that has to go elsewhere.
    Empty,
    /// Its pods fit elsewhere for less.
    Underutilized,
    /// It is not what its pool or its class asks for any more.
    Drifted,
}

impl DisruptionReason {
    const fn word(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Underutilized => "Underutilized",
            Self::Drifted => "Drifted",
        }
    }
}

/// How many nodes of a pool may be disrupted at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Those that are being disrupted already count against it. `u32::MAX`: no budget binds.
    pub nodes: u32,
    /// The budget that allows the fewest.
    pub because: Option<String>,
}

/// What the disruption budgets of a pool of so many nodes allow for a reason at a moment.
///
/// The least of all budgets counts that name the reason, or none, and whose window is open (UTC). A percentage is rounded
/// up, as Karpenter rounds it. A budget that cannot be read allows nothing. In a pool that was handed over to us
/// (`kentroller.cast.ai/consolidation: include`) budgets against `Underutilized` bind Karpenter only, and
/// `kentroller.cast.ai/budget` binds us.
///
/// ```
/// use kentroller_planner::Moment;
/// use kentroller_planner::manifest::NodePool;
/// use kentroller_planner::rules::{DisruptionReason, budget};
///
/// let pool: NodePool = serde_json::from_value(serde_json::json!({"spec": {"disruption": {"budgets": [
///     {"nodes": "10%"},
///     {"nodes": "0", "schedule": "0 9 * * mon-fri", "duration": "8h", "reasons": ["Underutilized"]},
/// ]}}})).unwrap();
/// let tuesday = |time: &str| Moment::parse(&format!("2026-11-24T{time}:00Z")).unwrap();
/// assert_eq!(budget(&pool, DisruptionReason::Underutilized, 25, tuesday("08:59")).nodes, 3);
/// assert_eq!(budget(&pool, DisruptionReason::Underutilized, 25, tuesday("09:00")).nodes, 0);
/// assert_eq!(budget(&pool, DisruptionReason::Empty, 25, tuesday("09:00")).nodes, 3);
/// ```
pub fn budget(pool: &NodePool, reason: DisruptionReason, nodes: u32, now: Moment) -> Allowance {
    let handed_over = is_handed_over(pool);
    let own = pool.metadata.annotations.get(BUDGET).filter(|_| handed_over);
    let own = own.map(|own| (amount(own, nodes), format!("its NodePool is annotated {BUDGET}: {own}")));
    let budgets =
        pool.spec.disruption.budgets.iter().flatten().filter(|budget| {
            covers(budget, reason) && !(handed_over && covers(budget, DisruptionReason::Underutilized))
        });
    let open = budgets.filter_map(|budget| {
        match window::is_open(budget.schedule.as_deref(), budget.duration.as_deref(), now) {
            None => Some((
                0,
                "a disruption budget of its NodePool has a schedule or duration that cannot be read".to_owned(),
            )),
            Some(true) => {
                let why = format!("its NodePool has a disruption budget of {} now", budget.nodes);
                Some((amount(&budget.nodes, nodes), why))
            }
            Some(false) => None,
        }
    });
    match own.into_iter().chain(open).min_by_key(|(nodes, _)| *nodes) {
        Some((nodes, why)) => Allowance { nodes, because: Some(why) },
        None => Allowance { nodes: u32::MAX, because: None },
    }
}

/// A count, or a percentage of so many nodes; nothing where it cannot be read.
fn amount(text: &str, nodes: u32) -> u32 {
    let Ok(amount) = text.trim_end_matches('%').parse::<u32>() else { return 0 };
    let share = || (u64::from(amount) * u64::from(nodes)).div_ceil(100);
    if text.ends_with('%') { u32::try_from(share()).unwrap_or(u32::MAX) } else { amount }
}

/// Whether a budget binds disruptions for a reason; without reasons it binds all.
fn covers(budget: &DisruptionBudget, reason: DisruptionReason) -> bool {
    budget.reasons.as_ref().is_none_or(|reasons| reasons.iter().any(|one| one == reason.word()))
}

/// Whether a pool is ours to consolidate, whatever its own settings say to Karpenter.
pub(super) fn is_handed_over(pool: &NodePool) -> bool {
    pool.metadata.annotations.get(CONSOLIDATION).is_some_and(|word| word == "include")
}

/// Whether Karpenter removes nodes of a pool for what that saves, at one time or another.
pub(crate) fn is_consolidated(pool: &NodePool) -> bool {
    let disruption = &pool.spec.disruption;
    let is_shut = |budget: &DisruptionBudget| {
        budget.schedule.is_none()
            && matches!(budget.nodes.as_str(), "0" | "0%")
            && covers(budget, DisruptionReason::Underutilized)
    };
    pool.spec.replicas.is_none()
        && disruption.consolidate_after != "Never"
        && disruption.consolidation_policy != "WhenEmpty"
        && !disruption.budgets.iter().flatten().any(is_shut)
}
