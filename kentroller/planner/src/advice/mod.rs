//! What other settings would save, and the patches that make them.
//!
//! Each change is made to a copy of the cluster. By how much its lower bound falls tells the most that the change could save;
//! for those with which it falls most a plan is found and judged, and what that plan comes to is what is told.

mod change;
mod patch;

use serde_json::{Map, Value, json};

use self::change::{Change, changes};
use self::patch::patched;
use crate::bound::bound;
use crate::check::check;
use crate::judged::{Judged, plan_judged};
use crate::model::build::model;
use crate::solution::State;
use crate::value::{Advice, Budget, Catalog, InputError, Money, Options, Pace, Percent, Plan, Snapshot};

/// A change that saves a smaller share of the bill is not told: searches end about as far from each other. Unit: percent.
const LEAST: i64 = 1;
/// Thousandths of the budget that the first look at a change is thought to take.
const FIRST: u32 = 200;
/// For at most so many a plan is found.
const MOST: usize = 5;

/// Finds a plan as [`plan_judged`] does, and tells what other settings would save.
///
/// `share` of the budget is kept for that. What the search leaves of the rest is used too.
///
/// # Errors
/// Input that contradicts itself, such as two nodes of one name.
pub fn plan_advised(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    budget: &mut dyn Budget,
    share: Percent,
) -> Result<Judged, InputError> {
    let until = 1000 - u32::try_from(share.of(1000)).unwrap_or(0).min(999);
    let mut asked = Asked { snapshot, catalog, options, budget, steps: 0, longest: None };
    let mut judged = asked.planned(snapshot, options, (0, until))?;
    if !options.roll && judged.objections.is_empty() {
        judged.plan.advice = asked.advice(&judged.plan);
    }
    Ok(judged)
}

/// The cluster as it is, and what is left to look at others.
struct Asked<'a> {
    snapshot: &'a Snapshot,
    catalog: &'a Catalog,
    options: &'a Options,
    budget: &'a mut dyn Budget,
    /// Those of all searches so far.
    steps: u64,
    /// The longest look at a change so far, in thousandths of the budget: so much must be left for another.
    longest: Option<u32>,
}

impl Asked<'_> {
    fn used(&mut self) -> u32 {
        self.budget.used(self.steps)
    }

    /// Whether there is no time for another look.
    fn is_late(&mut self) -> bool {
        self.used().saturating_add(self.longest.unwrap_or(FIRST)) >= 1000
    }

    /// A plan that is searched within a part of the budget, given by its ends in thousandths.
    fn planned(&mut self, snapshot: &Snapshot, options: &Options, part: (u32, u32)) -> Result<Judged, InputError> {
        let (before, budget) = (self.steps, &mut *self.budget);
        let (from, wide) = (part.0, part.1.saturating_sub(part.0).max(1));
        let mut part = |steps| budget.used(before + steps).saturating_sub(from).saturating_mul(1000) / wide;
        let judged = plan_judged(snapshot, self.catalog, options, &mut part)?;
        self.steps += judged.plan.steps;
        Ok(judged)
    }

    /// The changes that save most, the best first.
    fn advice(&mut self, plan: &Plan) -> Vec<Advice> {
        let likely = self.likely(plan);
        let mut found = Vec::new();
        let mut left = u32::try_from(likely.len()).unwrap_or(u32::MAX);
        for change in likely {
            if self.is_late() {
                break;
            }
            let used = self.used();
            found.extend(self.priced(change, plan, (used, used + (1000 - used) / left)));
            left -= 1;
        }
        found.sort_by(|a, b| b.saves.cmp(&a.saves).then_with(|| a.text.cmp(&b.text)));
        found
    }

    /// The changes with which the lower bound falls most.
    fn likely(&mut self, plan: &Plan) -> Vec<Change> {
        let Some(lowest) = plan.lower_bound.as_ref().map(|bound| bound.hourly) else { return Vec::new() };
        let until = u32::midpoint(self.used(), 1000);
        let mut likely = Vec::new();
        for change in changes(self.snapshot, self.catalog, plan) {
            let began = self.used();
            if began >= until || self.is_late() {
                break;
            }
            let falls = self.changed(&change).and_then(|(snapshot, options)| {
                let model = model(&snapshot, self.catalog, &options).ok()?;
                // The bound knows no limits: what they cost is in the plan only.
                let from = if change.lifts_limits_of.is_some() { plan.cost_after } else { lowest };
                Some(from - bound(&State::of(&model, options.reserve), &mut Pace::of(&mut |_| 0)).hourly)
            });
            let took = self.used().saturating_sub(began);
            self.longest = self.longest.max(Some(took));
            likely.extend(falls.filter(|falls| *falls >= least(lowest)).map(|falls| (falls, change)));
        }
        likely.sort_by_key(|(falls, _)| std::cmp::Reverse(*falls));
        likely.truncate(MOST);
        likely.into_iter().map(|(_, change)| change).collect()
    }

    /// Cluster and options with a change.
    fn changed(&self, change: &Change) -> Option<(Snapshot, Options)> {
        let mut options = self.options.clone();
        if let Some(set) = change.flag {
            set(&mut options.aggressive);
        }
        Some((patched(self.snapshot, &change.patches)?, options))
    }

    /// What a change saves, if the judge of plans lets pass what is found with it.
    fn priced(&mut self, mut change: Change, plan: &Plan, part: (u32, u32)) -> Option<Advice> {
        let (snapshot, options) = self.changed(&change)?;
        let Judged { plan: other, objections } = self.planned(&snapshot, &options, part).ok()?;
        let saves = plan.cost_after - other.cost_after;
        if !objections.is_empty() || saves < least(plan.cost_after) {
            return None;
        }
        if let Some(pool) = change.lifts_limits_of {
            self.limit_anew(&mut change, pool, &other);
        }
        Some(Advice { text: change.text, hourly: other.cost_after, saves, patches: change.patches })
    }

    /// Limits as high as a plan needs them, in place of none.
    fn limit_anew(&self, change: &mut Change, pool: usize, plan: &Plan) {
        let of = &self.snapshot.node_pools[pool];
        let name = &*of.metadata.name;
        let bought = plan.waves.iter().flat_map(|wave| &wave.add).filter(|new| *new.node_pool == *name);
        let types = bought.filter_map(|new| self.catalog.instance_type(&plan.region, &new.instance_type));
        let (mut nodes, mut cpu, mut memory_mib) = (0, 0, 0);
        for priced in types {
            nodes += 1;
            cpu += priced.instance_type.vcpu;
            memory_mib += priced.instance_type.memory_mib;
        }
        let mut limits = Map::new();
        for (key, limit) in &of.spec.limits {
            let most = match key.as_str() {
                "cpu" => json!((limit.milli() + cpu * 1000 + 999) / 1000),
                "memory" => json!(format!("{}Gi", (limit.units() + (memory_mib << 20) + (1 << 30) - 1) >> 30)),
                "nodes" => json!(limit.units() + nodes),
                _ => Value::Null,
            };
            limits.insert(key.clone(), most);
        }
        let mut patches = change.patches.clone();
        for patch in &mut patches {
            patch.body = json!({"spec": {"limits": limits}});
        }
        let stands = patched(self.snapshot, &patches)
            .is_some_and(|snapshot| check(&snapshot, self.catalog, self.options, plan).is_ok());
        if stands {
            let told: Vec<String> =
                limits.iter().filter(|(_, most)| !most.is_null()).map(|(key, most)| format!("{key} {most}")).collect();
            change.text = format!("NodePool {name} with limits of {}", told.join(", ").replace('"', ""));
            change.patches = patches;
        }
    }
}

/// What a saving must come to so that it is told.
fn least(of: Money) -> Money {
    Percent::whole(LEAST).of_money(of).max(Money::micros(1))
}
