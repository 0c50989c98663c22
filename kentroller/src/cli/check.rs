//! `kentroller check -f DUMP -f PLAN`: judges a plan, whoever made it. Reads only.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::ExitCode;

use clap::Args;
use kentroller_planner::check::{Fault, Violation, check};
use kentroller_planner::{Flag, Plan};
use kentroller_runtime::Kind as _;
use serde::Serialize;
use serde_json::Value;

use super::output::Output;
use super::plan::{Trouble, ask};
use super::source::{Looked, Source};
use crate::api::RebalancePlan;
use crate::backend;

/// A larger file is a dump: the API server takes no object of this size.
const LARGEST_PLAN: u64 = 8 << 20;
/// So many broken rules are told to people.
const SHOWN: usize = 50;

/// Arguments of `kentroller check`.
///
/// It ends with 0 where the plan holds, 1 where it breaks a rule, 2 for wrong usage, 3 for input that cannot be read, 4 where
/// the cluster cannot be reached or does not allow it.
#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    /// Of the files one is a plan: a RebalancePlan, such as `kentroller plan -o rebalanceplan` prints.
    #[command(flatten)]
    source: Source,
    /// Blocks that the plan may lift, by the names that a claim's aggressiveModeConfig has.
    #[arg(long, value_name = "FLAG", value_delimiter = ',', value_parser = ask::flag)]
    aggressive: Vec<Flag>,
    /// How the answer is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Output,
}

/// The answer. A public interface, whose fields scripts depend on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    schema_version: u32,
    /// The name of the plan.
    plan: String,
    holds: bool,
    nodes_removed: usize,
    nodes_added: usize,
    pods_moved: usize,
    hourly_before: String,
    hourly_after: String,
    violations: Vec<Broken>,
}

/// A rule that the plan breaks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Broken {
    /// Counted from 1; absent for the plan as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<usize>,
    /// A fixed word.
    rule: &'static str,
    /// What that means.
    meaning: &'static str,
    /// The pod, node or pool.
    object: String,
    /// Field and value, and what they were compared with.
    text: String,
    /// What to do next.
    remedy: &'static str,
}

impl CheckArguments {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let output = self.output;
        let done = self.answer().and_then(|answer| {
            output.print(&answer, Answer::told).map_err(Trouble::Input)?;
            Ok(if answer.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        });
        Ok(done.unwrap_or_else(Trouble::end))
    }

    fn answer(mut self) -> Result<Answer, Trouble> {
        let (file, plan) = plan_of(self.source.files_mut())?;
        let looked = self.source.read()?;
        looked.warn();
        let mut options = looked.of_claims()?;
        self.aggressive.iter().for_each(|set| set(&mut options.aggressive));
        let read = read(&file, &plan, &looked)?;
        let found = check(&looked.snapshot, &looked.catalog, &options, &read).err().unwrap_or_default();
        Ok(Answer {
            schema_version: 1,
            plan: plan.name().to_owned(),
            holds: found.is_empty(),
            nodes_removed: read.removed().count(),
            nodes_added: read.added().len(),
            pods_moved: read.moves(),
            hourly_before: read.cost_before.hourly(),
            hourly_after: read.cost_after.hourly(),
            violations: found.iter().map(Broken::of).collect(),
        })
    }
}

/// Takes the one plan out of the files, with the name of its file.
fn plan_of(files: &mut Vec<String>) -> Result<(String, RebalancePlan), Trouble> {
    let mut found: Option<(String, RebalancePlan)> = None;
    let mut dumps = Vec::new();
    for file in std::mem::take(files) {
        let Some(object) = object(&file) else {
            dumps.push(file);
            continue;
        };
        let told = |why: String| Trouble::Input(format!("{file}: {why}"));
        if object.get("schemaVersion").is_some() && object.get("waves").is_some() {
            let why = "is a report of a plan, which tells too little of its new nodes to be judged; give the plan itself, \
                       which `kentroller plan -o rebalanceplan` prints";
            return Err(told(why.to_owned()));
        }
        if object["kind"] != RebalancePlan::INFO.kind {
            dumps.push(file);
            continue;
        }
        if object.pointer("/spec").is_none_or(Value::is_null) {
            return Err(told("RebalancePlan, field spec: is absent, so there is no plan to judge".to_owned()));
        }
        let text = object.to_string();
        let mut reader = serde_json::Deserializer::from_str(&text);
        let plan = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| told(format!("RebalancePlan, field {}: {}", error.path(), error.inner())))?;
        if let Some((other, _)) = &found {
            return Err(Trouble::Usage(format!("{other} and {file} are plans; one is judged at a time")));
        }
        found = Some((file, plan));
    }
    *files = dumps;
    found.ok_or_else(|| {
        Trouble::Usage(format!(
            "none of the files is a plan: give a file of kind {} beside the dump, such as `kentroller plan -o rebalanceplan` prints",
            RebalancePlan::INFO.kind
        ))
    })
}

/// The one object of a file; `None` where it is larger than a plan, or no single object: the dump reader says what is wrong.
fn object(file: &str) -> Option<Value> {
    let opened = std::fs::File::open(file).ok()?;
    let mut text = String::new();
    opened.take(LARGEST_PLAN + 1).read_to_string(&mut text).ok()?;
    if text.len() as u64 > LARGEST_PLAN {
        return None;
    }
    serde_json::from_str(&text).ok().or_else(|| serde_saphyr::from_str(&text).ok()).filter(Value::is_object)
}

/// The planner's plan that the object says.
fn read(file: &str, plan: &RebalancePlan, looked: &Looked) -> Result<Plan, Trouble> {
    let spec = &plan.spec;
    let told = |why: String| Trouble::Input(format!("{file}: RebalancePlan {}: {why}", plan.name()));
    if spec.compressed_data.is_some() {
        return Err(told("field spec.compressedData: compressed plans are not read; give the three lists".to_owned()));
    }
    let claims: Vec<&str> = looked.snapshot.node_claims.iter().map(|claim| &*claim.metadata.name).collect();
    let gone = &spec.node_claims_to_delete;
    if !gone.is_empty() && !gone.iter().any(|gone| claims.contains(&gone.node_claim_name.as_str())) {
        return Err(told(format!(
            "is a plan for another cluster: none of its {} nodeClaimsToDelete, such as {}, is among the {} NodeClaims of the input",
            gone.len(),
            gone[0].node_claim_name,
            claims.len()
        )));
    }
    backend::from_spec(spec, &looked.snapshot, &looked.catalog).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(|one| format!("  {one}")).collect();
        Trouble::Input(format!(
            "{file}: RebalancePlan {} names what the input does not have, or what cannot be read; plan anew, or correct these:\n{}",
            plan.name(),
            told.join("\n")
        ))
    })
}

impl Broken {
    fn of(found: &Violation) -> Self {
        Self {
            wave: found.wave,
            rule: found.fault.word(),
            meaning: found.fault.meaning(),
            object: found.object.clone(),
            text: found.text.clone(),
            remedy: remedy(found.fault),
        }
    }
}

impl Answer {
    fn told(&self) -> String {
        let mut out = format!(
            "Plan {}: {} nodes go, {} come, {} pods move; {} -> {} USD/h.\n",
            self.plan, self.nodes_removed, self.nodes_added, self.pods_moved, self.hourly_before, self.hourly_after
        );
        if self.holds {
            out.push_str("It holds: no rule is broken.\n");
            return out;
        }
        let _ = writeln!(out, "It breaks {} rules:", self.violations.len());
        for broken in self.violations.iter().take(SHOWN) {
            let wave = broken.wave.map_or("plan".to_owned(), |wave| format!("wave {wave}"));
            let of = if broken.object.is_empty() { String::new() } else { format!(" {}", broken.object) };
            let _ = writeln!(out, "{wave}:{of}: {}: {}", broken.rule, broken.text);
            let _ = writeln!(out, "  {} {}", broken.meaning, broken.remedy);
        }
        let more = self.violations.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(out, "and {more} more (-o json)");
        }
        out
    }
}

/// What to do about a fault.
fn remedy(fault: Fault) -> &'static str {
    match fault {
        _ if fault.holds() => "Leave its node out of the plan, lift what holds it, or allow that with --aggressive.",
        Fault::UnknownName | Fault::WrongOrigin | Fault::NotMovable | Fault::NotEmpty | Fault::InUse => {
            "The cluster is not what the plan was made for: plan anew."
        }
        Fault::AmbiguousName | Fault::Duplicate => "Name each object once.",
        Fault::Receiver
        | Fault::Room
        | Fault::Reserve
        | Fault::Taint
        | Fault::NodeSelector
        | Fault::PodAffinity
        | Fault::PodAntiAffinity
        | Fault::Spread
        | Fault::HostPort
        | Fault::VolumePlace
        | Fault::AttachLimit
        | Fault::PendingRoom
        | Fault::Headroom => "Move the pod to another node, or leave it where it is.",
        Fault::ConstraintUnknown
        | Fault::VolumeUnknown
        | Fault::ForeignScheduler
        | Fault::ResourceClaims
        | Fault::Gated
        | Fault::NotKarpenter
        | Fault::NotInitialized
        | Fault::NotLinux
        | Fault::OverAllocatable
        | Fault::PodsUnknown
        | Fault::Committed
        | Fault::StaticPool => "Leave the node out of the plan.",
        Fault::PriceUnknown | Fault::NotOffered | Fault::NotAvailable | Fault::Price => {
            "Plan anew with these prices, or give the prices that it was made with (--catalog)."
        }
        Fault::TooYoung
        | Fault::OutOfScope
        | Fault::MinClusterSize
        | Fault::MaxNodes
        | Fault::MaxCpu
        | Fault::MaxMoves
        | Fault::Mode
        | Fault::Savings => "Take waves out of the plan until it keeps to what was asked for.",
        Fault::PoolUnusable | Fault::Requirement | Fault::PoolLimit | Fault::MinValues => {
            "Buy what its NodePool may launch, or change the NodePool."
        }
        Fault::Labels | Fault::Requests => "Correct the NodeClaim of nodeClaimsToAdd.",
        Fault::BoughtUnused | Fault::LikeForLike | Fault::Dearer | Fault::Sum | Fault::Bound => {
            "Leave the purchase out of the plan, or plan anew."
        }
        _ => "Plan anew.",
    }
}

#[cfg(test)]
mod tests;
