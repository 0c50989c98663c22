//! What decides over a pod, and what was looked at: for people who ask why.

use crate::manifest::{Pod, PodDisruptionBudget};
use crate::value::{EvictionRule, Rule};

/// What the rules say of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The rule that holds the pod, or by which it holds its node; `None`: it may be evicted.
    pub rule: Option<Rule>,
    /// What that rule saw.
    pub fact: Option<Fact>,
    /// The entry of `evictionConfig` that decides over it, if one matches.
    pub entry: Option<&'a EvictionRule>,
    /// The rule that would hold it without that entry.
    pub lifted: Option<Rule>,
}

/// A value in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Kind, namespace and name.
    pub object: String,
    /// The path of the field.
    pub field: String,
    /// Its value; in words where it has none.
    pub value: String,
}

/// A rule that holds a pod, and what it looked at.
pub(super) struct Held<'a> {
    pub(super) rule: Rule,
    pub(super) sign: Sign<'a>,
}

/// What a rule looked at.
pub(super) enum Sign<'a> {
    Entry(&'a EvictionRule),
    /// A label or an annotation of the pod.
    Mark(&'static str),
    Owner,
    Scheduler,
    ResourceClaims,
    Deletion,
    Replicas(Option<u32>),
    /// The plan that moved the pod here.
    MovedBy(&'a str),
    /// What a budget allows.
    Allowed(&'a PodDisruptionBudget),
    /// A selector that cannot be read.
    Selector(&'a PodDisruptionBudget),
    Several(Vec<&'a PodDisruptionBudget>),
}

impl Held<'_> {
    /// The same in words.
    pub(super) fn fact(&self, pod: &Pod) -> Fact {
        let of_pod = |field: &str, value: String| Fact {
            object: format!("Pod {}", pod.metadata.key()),
            field: field.to_owned(),
            value,
        };
        let of_budget = |pdb: &PodDisruptionBudget, field: &str, value: String| Fact {
            object: format!("PodDisruptionBudget {}", pdb.metadata.key()),
            field: field.to_owned(),
            value,
        };
        let owner = pod.metadata.controller();
        let owner_in_words =
            || owner.map_or("no controller".to_owned(), |owner| format!("{} {}", owner.kind, owner.name));
        match &self.sign {
            Sign::Entry(entry) => Fact {
                object: "evictionConfig".to_owned(),
                field: format!("[{}].settings.removalDisabled.enabled", entry.place),
                value: "true".to_owned(),
            },
            Sign::Mark(key) => {
                let place = if pod.metadata.annotations.contains_key(*key) { "annotations" } else { "labels" };
                of_pod(&format!("metadata.{place}[{key}]"), pod.metadata.mark(key).unwrap_or_default().to_owned())
            }
            Sign::Owner => of_pod("metadata.ownerReferences", owner_in_words()),
            Sign::Scheduler => of_pod("spec.schedulerName", pod.spec.shape.scheduler_name.clone()),
            Sign::ResourceClaims => {
                of_pod("spec.resourceClaims", format!("{} of them", pod.spec.shape.resource_claims))
            }
            Sign::Deletion => {
                let due = pod.metadata.deletion_timestamp.map_or("absent".to_owned(), |due| due.to_string());
                of_pod("metadata.deletionTimestamp", due)
            }
            Sign::Replicas(count) => {
                let count = count.map_or("not known".to_owned(), |count| count.to_string());
                of_pod("metadata.ownerReferences", format!("{}, replicas: {count}", owner_in_words()))
            }
            Sign::MovedBy(plan) => of_pod("metadata.creationTimestamp", format!("RebalancePlan {plan} moved it then")),
            Sign::Allowed(pdb) => {
                let status = pdb.status.as_ref();
                let allowed = status.map_or("absent".to_owned(), |status| status.disruptions_allowed.to_string());
                of_budget(pdb, "status.disruptionsAllowed", allowed)
            }
            Sign::Selector(pdb) => of_budget(pdb, "spec.selector", "an operator that is not known".to_owned()),
            Sign::Several(pdbs) => {
                let names: Vec<String> = pdbs.iter().map(|pdb| pdb.metadata.key().to_string()).collect();
                Fact {
                    object: format!("PodDisruptionBudgets {}", names.join(" and ")),
                    field: "spec.selector".to_owned(),
                    value: "each selects the pod".to_owned(),
                }
            }
        }
    }
}
