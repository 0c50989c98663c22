//! The answer to `kentroller explain`: which rule or entry decides over a pod or a node, and what follows.

use std::fmt::Write;

use kentroller_planner::rules::{Fact, Verdict};
use kentroller_planner::{EvictionRule, EvictionTarget, Rule, Standing, Strictness};
use serde::Serialize;

/// Blockers of a node that are told to people.
const SHOWN: usize = 10;

/// All that is told of a pod or a node. A public interface, whose fields scripts depend on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub schema_version: u32,
    /// Such as `Pod shop/web`.
    pub object: String,
    /// What the pod is to the cluster; absent for a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// The node, or the pod's; absent where it has none.
    pub node: Option<String>,
    /// What binds claims, and plans made by hand.
    pub claims: View,
    /// What binds cycles of continuous rebalancing.
    pub cycles: View,
}

/// What is so under the rules that bind somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<OfPod>,
    pub node: Option<OfNode>,
}

/// What decides over a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfPod {
    pub may_be_evicted: bool,
    /// Whether its node stays because of it.
    pub holds_its_node: bool,
    #[serde(flatten)]
    pub because: Because,
    /// The entry of `evictionConfig` that decides, if one matches.
    pub entry: Option<Entry>,
    /// The rule that holds it without that entry.
    pub lifted: Option<&'static str>,
}

/// A rule, and what it saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Because {
    pub rule: Option<&'static str>,
    pub meaning: Option<&'static str>,
    pub object: Option<String>,
    pub field: Option<String>,
    pub value: Option<String>,
}

/// An entry of `evictionConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its place in the list, from 0.
    pub place: usize,
    /// `podSelector` or `nodeSelector`.
    pub selects: &'static str,
    pub says: &'static str,
}

/// What decides over a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfNode {
    pub may_go: bool,
    pub reason: Option<&'static str>,
    pub detail: Option<String>,
    pub entry: Option<Entry>,
    /// Pods that hold it, whatever else does.
    pub blockers: Vec<Blocker>,
    /// Pods that would need another place.
    pub pods: usize,
    pub takes_pods: bool,
}

/// A pod that holds its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocker {
    pub pod: String,
    #[serde(flatten)]
    pub because: Because,
}

impl From<&EvictionRule> for Entry {
    fn from(rule: &EvictionRule) -> Self {
        Self {
            place: rule.place,
            selects: match rule.selects {
                EvictionTarget::Pods { .. } => "podSelector",
                EvictionTarget::Nodes(_) => "nodeSelector",
            },
            says: match rule.strictness {
                Strictness::RemovalDisabled => "removalDisabled",
                Strictness::Disposable => "disposable",
                Strictness::Aggressive => "aggressive",
            },
        }
    }
}

impl Because {
    /// `of_place`: the rule of topology or volumes that holds the pod where no other does.
    pub fn of(pod: &str, verdict: &Verdict<'_>, of_place: Option<Rule>) -> Self {
        let by_place = |rule: Rule| Fact {
            object: format!("Pod {pod}"),
            field: seen(rule).to_owned(),
            value: rule.meaning().to_owned(),
        };
        let rule = verdict.rule.or(of_place);
        let fact = verdict.fact.clone().or_else(|| of_place.map(by_place));
        let (object, field, value) = match fact {
            Some(fact) => (Some(fact.object), Some(fact.field), Some(fact.value)),
            None => (None, None, None),
        };
        Self { rule: rule.map(Rule::word), meaning: rule.map(Rule::meaning), object, field, value }
    }

    fn told(&self) -> String {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        format!("{}, field {}: {}", text(&self.object), text(&self.field), text(&self.value))
    }
}

/// The field of a pod that a rule of its place reads.
fn seen(rule: Rule) -> &'static str {
    match rule {
        Rule::LocalVolume | Rule::VolumeUnknown => "spec.volumes",
        Rule::SpreadBroken => "spec.topologySpreadConstraints",
        Rule::AffinityElsewhere => "spec.affinity",
        _ => "spec",
    }
}

impl OfPod {
    /// `moves`: it is one that could be given another place. `of_place`: as for [`Because::of`].
    pub fn of(pod: &str, verdict: &Verdict<'_>, of_place: Option<Rule>, moves: bool) -> Self {
        let because = Because::of(pod, verdict, of_place);
        Self {
            may_be_evicted: moves && because.rule.is_none(),
            holds_its_node: because.rule.is_some(),
            because,
            entry: verdict.entry.map(Into::into),
            lifted: verdict.lifted.map(Rule::word),
        }
    }

    fn told(&self, out: &mut String) {
        let what = match (&self.because.rule, self.may_be_evicted) {
            (Some(rule), _) => format!("it may not be evicted, and its node stays: {rule}"),
            (None, true) => "it may be evicted".to_owned(),
            (None, false) => "nothing of it holds its node".to_owned(),
        };
        let _ = writeln!(out, "    {what}");
        if let Some(meaning) = self.because.meaning {
            let _ = writeln!(out, "      {meaning}");
            let _ = writeln!(out, "      {}", self.because.told());
        }
        if let Some(entry) = &self.entry {
            let lifts = self.lifted.map_or(String::new(), |rule| format!("; it lifts {rule}"));
            let _ = writeln!(out, "      {} decides{lifts}", entry.told());
        }
    }
}

impl Entry {
    fn told(&self) -> String {
        format!("evictionConfig[{}] ({}: {})", self.place, self.selects, self.says)
    }
}

impl OfNode {
    /// `cordoned`: by somebody else, so that no plan touches it.
    pub fn of(standing: &Standing, entry: Option<&EvictionRule>, blockers: Vec<Blocker>, cordoned: bool) -> Self {
        let by_a_person = || ("cordoned", "somebody else cordoned it: field spec.unschedulable is true".to_owned());
        let held = standing.held.clone().map(|(reason, detail)| (reason.word(), detail));
        let held = held.or_else(|| cordoned.then(by_a_person));
        let (reason, detail) = held.unzip();
        Self {
            may_go: reason.is_none(),
            reason,
            detail,
            entry: entry.map(Into::into),
            blockers,
            pods: standing.pods,
            takes_pods: standing.receives,
        }
    }

    fn told(&self, out: &mut String) {
        let _ = match (self.reason, &self.detail) {
            (Some(reason), Some(detail)) => writeln!(out, "    it stays: {reason}\n      {detail}"),
            _ => writeln!(out, "    it may go where that pays; {} of its pods would need another place", self.pods),
        };
        for blocker in self.blockers.iter().take(SHOWN) {
            let rule = blocker.because.rule.unwrap_or_default();
            let _ = writeln!(out, "      {} holds it by {rule}\n        {}", blocker.pod, blocker.because.told());
        }
        if self.blockers.len() > SHOWN {
            let _ = writeln!(out, "      and {} more pods (-o json)", self.blockers.len() - SHOWN);
        }
        if let Some(entry) = &self.entry {
            let _ = writeln!(out, "      {} decides over it and its pods", entry.told());
        }
        let _ = writeln!(out, "      it {} pods", if self.takes_pods { "may be given" } else { "is given no" });
    }
}

impl Answer {
    /// For people.
    pub fn told(&self) -> String {
        let mut out = String::new();
        let place = match (&self.role, &self.node) {
            (Some(role), Some(node)) => format!(", on node {node}: it {role}"),
            (Some(role), None) => format!(": it {role}"),
            (None, _) => String::new(),
        };
        let _ = writeln!(out, "{}{place}", self.object);
        if self.claims == self.cycles {
            self.claims.told("claims and cycles alike", self.node.as_deref(), &mut out);
        } else {
            self.claims.told("claims", self.node.as_deref(), &mut out);
            self.cycles.told("cycles of continuous rebalancing", self.node.as_deref(), &mut out);
        }
        out
    }
}

impl View {
    fn told(&self, whom: &str, node: Option<&str>, out: &mut String) {
        let _ = writeln!(out, "  for {whom}:");
        if let Some(pod) = &self.pod {
            pod.told(out);
        }
        if let Some(of_node) = &self.node {
            if self.pod.is_some() {
                let _ = writeln!(out, "    its node {}:", node.unwrap_or_default());
            }
            of_node.told(out);
        }
    }
}
