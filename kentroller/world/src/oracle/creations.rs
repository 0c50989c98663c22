//! S11: no more new nodes than planned. S23: not too many at once, and within the limits of their pool.

use serde_json::Value;

use super::plans::{PLAN, Plan};
use super::{Found, State};
use crate::catalogue::INSTANCE_TYPE;
use crate::karpenter::NODE_POOL;
use crate::readings::shares;
use crate::room::Amounts;
use crate::seen::{Known, key_of};

/// Of the nodes, so many may be there that no node has gone for, nor was given up; never fewer than the second, nor than the
/// plan has in one wave, which cannot be split.
const SURGE: (&str, usize) = ("10%", 5);
/// Of a pool's limits, in percent.
const USABLE: i64 = 95;

impl State {
    pub(super) fn judge_creation(&mut self, raw: &Value) -> Found {
        let name = key_of(raw).name;
        let plan = raw["metadata"]["labels"][PLAN].as_str().and_then(|uid| self.plans.get(uid));
        let Some(plan) = plan else {
            return vec![("S11", format!("claim {name} was made for a plan that is not there"))];
        };
        let Some(green) = plan.green(&name) else {
            return vec![("S11", format!("claim {name} was made, which plan {} does not list", plan.name()))];
        };
        let mut found = Vec::new();
        if !plan.is_running() {
            found.push(("S11", format!("claim {name} was made by plan {}, which is {}", plan.name(), plan.state())));
        }
        if green.attempt >= green.offerings() {
            let text = format!("claim {name} is attempt {} of {} offerings", green.attempt, green.offerings());
            found.push(("S11", text));
        }
        if self.created.contains(&*name) {
            found.push(("S11", format!("claim {name} was made a second time")));
        }
        // One that was left to other people's pods is the plan's no more.
        let others = self.seen.claims.iter().filter(|(other, claim)| {
            plan.made(&claim.raw)
                && claim.raw["metadata"]["labels"][PLAN].is_string()
                && !claim.is_leaving()
                && plan.green(other).is_some_and(|one| one.name == green.name)
        });
        found.extend(
            others.map(|(other, _)| ("S11", format!("claim {name} was made beside {other}, for the same new node"))),
        );
        found.extend(self.judge_surge(plan, &name).map(|text| ("S23", text)));
        found.extend(self.judge_limits(raw, &name).map(|text| ("S23", text)));
        self.created.insert(name);
        found
    }

    fn judge_surge(&self, plan: Plan<'_>, name: &str) -> Option<String> {
        let is_there = |name: &str| self.seen.claims.get(name).is_some_and(|claim| !claim.is_leaving());
        let made = self.seen.claims.values().filter(|claim| plan.made(&claim.raw) && !claim.is_leaving()).count() + 1;
        let removed = plan.blues().filter(|blue| !is_there(blue)).count() + plan.kept();
        let of_wave = plan.green(name).map_or(0, |green| plan.greens_of(green.wave()).count());
        let most = shares::of(SURGE.0, self.seen.nodes.len()).unwrap_or(0).max(SURGE.1).max(of_wave);
        (made > removed + most).then(|| {
            format!("claim {name} is new node {made} while {removed} are removed; at most {most} more may be there")
        })
    }

    fn judge_limits(&self, raw: &Value, name: &str) -> Option<String> {
        let pool = self.seen.pools.get(raw["metadata"]["labels"][NODE_POOL].as_str()?)?;
        let requirements = raw["spec"]["requirements"].as_array()?;
        let types = requirements.iter().find(|one| one["key"] == INSTANCE_TYPE)?["values"].as_array()?;
        let sold = types.iter().filter_map(|one| self.catalogue.get(one.as_str()?));
        let largest = sold.fold(Amounts::default(), |most, one| most.max_of_each(one.capacity()));
        let of_pool = |claim: &&Known<_>| claim.raw["metadata"]["labels"][NODE_POOL] == *pool.object.metadata.name;
        let held = self.seen.claims.values().filter(of_pool).fold(largest, |sum, claim| {
            sum.plus(Amounts::of_node(
                &serde_json::from_value(claim.raw["status"]["capacity"].clone()).unwrap_or_default(),
            ))
        });
        let limits = &pool.object.spec.limits;
        let over = |resource: &str, held: i64, limit: i64| {
            (i128::from(held) * 100 > i128::from(limit) * i128::from(USABLE))
                .then(|| format!("claim {name} leaves less than 5 % of the {resource} that its pool may hold"))
        };
        let cpu = limits.get("cpu").and_then(|limit| over("cpu", held.cpu_milli, limit.milli()));
        cpu.or_else(|| limits.get("memory").and_then(|limit| over("memory", held.memory, limit.units())))
    }
}
