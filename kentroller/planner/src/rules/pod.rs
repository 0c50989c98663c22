//! What a pod is to the cluster, and which rule holds it where it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pdb::Pdbs;
use super::strictness::{of_node, of_pod, stricter};
use super::verdict::{Held, Sign, Verdict};
use crate::manifest::marks::{DISRUPTED, DO_NOT_DISRUPT, REMOVAL_DISABLED, SAFE_TO_EVICT};
use crate::manifest::{
    Effect, Moment, Node, Owner, Pod, PodDisruptionBudget, Taint, belongs_to_node, is_static, parse_span,
};
use crate::value::{Aggressive, EvictionRule, Options, Rule, Snapshot, Strictness};

/// What a pod is to the cluster: it decides whether the pod needs a new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodRole {
    /// Runs and must run on.
    Workload,
    /// Belongs to its node: DaemonSet and static pods.
    Daemon,
    /// Waits for a node.
    Pending,
    /// Has gates: nobody looks for a node for it yet.
    Gated,
    /// Has ended, and takes nothing.
    Finished,
    /// Is going, yet takes its room until it is gone.
    Terminating,
}

impl PodRole {
    /// The role of a pod, by its owner, its status and its node.
    pub fn of(pod: &Pod) -> Self {
        let owner = pod.metadata.controller().map(|owner| &*owner.kind);
        if pod.status.is_finished() {
            Self::Finished
        } else if belongs_to_node(owner, &pod.metadata.annotations) {
            Self::Daemon
        } else if pod.metadata.deletion_timestamp.is_some() {
            Self::Terminating
        } else if pod.spec.node_name.is_empty() {
            if pod.spec.shape.gates > 0 { Self::Gated } else { Self::Pending }
        } else {
            Self::Workload
        }
    }
}

/// What Karpenter puts on a node that it drains.
fn disrupted() -> Taint {
    Taint { key: DISRUPTED.to_owned(), effect: Effect::NoSchedule, ..Taint::default() }
}

/// Pods by the uid of their controller.
pub(crate) fn replicas<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> BTreeMap<&'a str, u32> {
    // Pods of a set often share one list of owners. Counting by list first saves comparing texts.
    let mut lists: BTreeMap<*const Vec<Owner>, (&str, u32)> = BTreeMap::new();
    for pod in pods {
        if let Some(owner) = pod.metadata.controller() {
            lists.entry(Arc::as_ptr(&pod.metadata.owner_references)).or_insert((&owner.uid, 0)).1 += 1;
        }
    }
    let mut replicas = BTreeMap::new();
    for (uid, count) in lists.into_values() {
        *replicas.entry(uid).or_default() += count;
    }
    replicas
}

/// What the rules of pods look at besides the pod.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The moment that durations of do-not-disrupt are counted to.
    pub now: Moment,
    /// Disruption budgets of all namespaces.
    pub pdbs: &'a [PodDisruptionBudget],
    /// Those of which an entry of `evictionConfig` may speak.
    pub nodes: &'a [Node],
    /// Replicas by (namespace, kind, name) of the controller, where known.
    pub replicas: &'a BTreeMap<(String, String, String), u32>,
}

impl<'a> From<&'a Snapshot> for Surroundings<'a> {
    fn from(of: &'a Snapshot) -> Self {
        Self { now: of.now, pdbs: &of.pdbs, nodes: &of.nodes, replicas: &of.replicas }
    }
}

/// Answers which rule holds a pod.
///
/// ```
/// use kentroller_planner::manifest::Pod;
/// use kentroller_planner::rules::{PodRules, Surroundings};
/// use kentroller_planner::{Options, Rule, Snapshot};
///
/// let pod: Pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "a", "annotations": {"karpenter.sh/do-not-disrupt": "true"}},
///     "spec": {"nodeName": "n1"},
/// })).unwrap();
/// let (cluster, options) = (Snapshot::default(), Options::default());
/// let rules = PodRules::of(Surroundings::from(&cluster), &options, [&pod]);
/// assert_eq!(rules.holds(&pod), Some(Rule::DoNotDisrupt));
/// ```
#[derive(Debug)]
pub struct PodRules<'a> {
    now: Moment,
    options: &'a Options,
    pdbs: Pdbs<'a>,
    /// Running pods by the uid of their controller.
    replicas: BTreeMap<&'a str, u32>,
    /// By node: the entry that decides over all its pods, of those that name nodes.
    nodes: BTreeMap<&'a str, &'a EvictionRule>,
    known_replicas: &'a BTreeMap<(String, String, String), u32>,
}

impl<'a> PodRules<'a> {
    /// The rules under some options. `running`: the workload's pods on known nodes, whose replicas are counted.
    pub fn of(around: Surroundings<'a>, options: &'a Options, running: impl IntoIterator<Item = &'a Pod>) -> Self {
        let replicas = replicas(running);
        let nodes = around.nodes.iter();
        let nodes = nodes.filter_map(|node| Some((&*node.metadata.name, of_node(node, options)?))).collect();
        let pdbs = Pdbs::of(around.pdbs);
        Self { now: around.now, options, pdbs, replicas, nodes, known_replicas: around.replicas }
    }

    /// The rule that holds a running pod, if one does. Rules of topology and volumes are judged elsewhere.
    pub fn holds(&self, pod: &Pod) -> Option<Rule> {
        Some(self.held(pod, self.entry(pod)).0?.rule)
    }

    /// What decides over a pod of this role, and what it looked at. The same judgement as of [`Self::holds`] and its like.
    pub fn verdict(&self, pod: &Pod, role: PodRole) -> Verdict<'a> {
        let by_itself = |rule: Option<Rule>, sign: Sign<'a>| rule.map(|rule| Held { rule, sign });
        let (held, lifted, entry) = match role {
            PodRole::Workload | PodRole::Pending => {
                let entry = self.entry(pod);
                let (held, lifted) = self.held(pod, entry);
                (held, lifted, entry)
            }
            PodRole::Daemon => (self.resident(pod), None, None),
            PodRole::Terminating => (by_itself(self.holds_going(pod), Sign::Deletion), None, None),
            PodRole::Finished | PodRole::Gated => (None, None, None),
        };
        Verdict { rule: held.as_ref().map(|held| held.rule), fact: held.map(|held| held.fact(pod)), entry, lifted }
    }

    /// What holds a pod, and the rule that its entry lifts.
    fn held(&self, pod: &Pod, entry: Option<&'a EvictionRule>) -> (Option<Held<'a>>, Option<Rule>) {
        let Some(held) = self.rule(pod, entry, &self.options.aggressive) else { return (None, None) };
        let rule = held.rule;
        // `disposable` lifts every rule but those that no eviction could meet; `aggressive` lifts few.
        let is_lifted = match entry.map(|entry| entry.strictness) {
            Some(Strictness::Disposable) => !matches!(
                rule,
                Rule::UnknownConstraint | Rule::ForeignScheduler | Rule::ResourceClaims | Rule::Terminating
            ),
            Some(Strictness::Aggressive) => {
                matches!(rule, Rule::SingleReplica | Rule::PdbAllowsNone | Rule::SeveralPdbs)
            }
            _ => false,
        };
        match is_lifted {
            false => (Some(held), None),
            true if self.options.breaks_pdbs => (None, Some(rule)),
            true => (self.pdb(pod), Some(rule)),
        }
    }

    /// The rule by which a pod that is going holds its node, if it does.
    ///
    /// Karpenter waits for it until a minute after its end was due; one that is still there then is stuck. A stateful one is
    /// waited for: its successor comes only after it, and needs a place.
    pub fn holds_going(&self, pod: &Pod) -> Option<Rule> {
        let is_stateful = pod.metadata.controller().is_some_and(|owner| owner.kind == "StatefulSet");
        let is_stuck = pod.metadata.deletion_timestamp.is_some_and(|due| self.now.0.saturating_sub(due.0) > 60);
        (!is_stuck || is_stateful).then_some(Rule::Terminating)
    }

    /// The rule by which a DaemonSet's or static pod holds its node, if one does.
    ///
    /// Karpenter evicts such pods when it drains, but for those that tolerate its taint. So whatever forbids their eviction
    /// also holds the node.
    pub fn holds_resident(&self, pod: &Pod) -> Option<Rule> {
        Some(self.resident(pod)?.rule)
    }

    fn resident(&self, pod: &Pod) -> Option<Held<'a>> {
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        if pod.metadata.annotations.get(DO_NOT_DISRUPT).is_some_and(|value| self.do_not_disrupt(pod, value)) {
            return held(Rule::DoNotDisrupt, Sign::Mark(DO_NOT_DISRUPT));
        }
        let owner = pod.metadata.controller().map(|owner| &*owner.kind);
        let stays = pod.spec.shape.tolerations.iter().any(|toleration| toleration.tolerates(&disrupted()));
        if stays || is_static(owner, &pod.metadata.annotations) { None } else { self.pdb(pod) }
    }

    fn rule(&self, pod: &Pod, entry: Option<&'a EvictionRule>, lifted: &Aggressive) -> Option<Held<'a>> {
        let owner = pod.metadata.controller();
        if let Some(entry) = entry.filter(|entry| entry.strictness == Strictness::RemovalDisabled) {
            return held(Rule::RemovalDisabled, Sign::Entry(entry));
        }
        if !lifted.ignore_problem_removal_disabled_pods {
            if pod.metadata.mark(REMOVAL_DISABLED) == Some("true") {
                return held(Rule::RemovalDisabled, Sign::Mark(REMOVAL_DISABLED));
            }
            if pod.metadata.annotations.get(DO_NOT_DISRUPT).is_some_and(|value| self.do_not_disrupt(pod, value)) {
                return held(Rule::DoNotDisrupt, Sign::Mark(DO_NOT_DISRUPT));
            }
        }
        if pod.metadata.annotations.get(SAFE_TO_EVICT).is_some_and(|value| value == "false") {
            return held(Rule::NotSafeToEvict, Sign::Mark(SAFE_TO_EVICT));
        }
        match owner.map(|owner| owner.kind.as_str()) {
            None if !lifted.ignore_problem_pods_without_controller => return held(Rule::Bare, Sign::Owner),
            Some("Job") if !lifted.ignore_problem_job_pods => return held(Rule::Job, Sign::Owner),
            _ => {}
        }
        if !matches!(pod.spec.shape.scheduler_name.as_str(), "" | "default-scheduler") {
            return held(Rule::ForeignScheduler, Sign::Scheduler);
        }
        if pod.spec.shape.resource_claims > 0 {
            return held(Rule::ResourceClaims, Sign::ResourceClaims);
        }
        if let Some(held) = self.pdb(pod) {
            return Some(held);
        }
        let replicas = self.replicas_of(pod);
        // Bare pods and those of Jobs have no second replica ever: what lifts them lifts this.
        let has_replicas = !matches!(owner.map(|owner| owner.kind.as_str()), None | Some("Job"));
        if self.options.continuous && has_replicas && replicas.is_none_or(|replicas| replicas < 2) {
            return held(Rule::SingleReplica, Sign::Replicas(replicas));
        }
        let resting = &self.options.resting.pods;
        let moved_by = if resting.is_empty() { None } else { resting.get(&pod.metadata.key()) };
        moved_by.and_then(|plan| held(Rule::JustMoved, Sign::MovedBy(plan)))
    }

    /// It counts as `true`, or as a positive Go duration since the pod's start. Anything else protects nobody.
    fn do_not_disrupt(&self, pod: &Pod, value: &str) -> bool {
        if value == "true" {
            return true;
        }
        match parse_span(value) {
            Some(span) if span > 0 => {
                pod.status.start_time.is_none_or(|start| start.0.saturating_add(span) > self.now.0)
            }
            _ => false,
        }
    }

    fn pdb(&self, pod: &Pod) -> Option<Held<'a>> {
        let mut matching = Vec::new();
        for pdb in self.pdbs.near(pod) {
            match pdb.spec.selector.as_ref().map_or(Some(false), |selector| selector.matches(&pod.metadata.labels)) {
                Some(true) => matching.push(pdb),
                Some(false) => {}
                None => return held(Rule::PdbUnknown, Sign::Selector(pdb)),
            }
        }
        let lifted = self.options.aggressive.ignore_blocking_pdb;
        match matching.as_slice() {
            [] => None,
            [pdb] => {
                let Some(status) = &pdb.status else { return held(Rule::PdbUnknown, Sign::Allowed(pdb)) };
                let free = pdb.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" && !pod.status.is_ready();
                let holds = status.disruptions_allowed <= 0 && !free && !lifted;
                if holds { held(Rule::PdbAllowsNone, Sign::Allowed(pdb)) } else { None }
            }
            // The eviction API refuses a pod of two budgets, whatever they allow.
            _ => held(Rule::SeveralPdbs, Sign::Several(matching)),
        }
    }

    /// Replicas of the pod's controller: as told, else those that run.
    fn replicas_of(&self, pod: &Pod) -> Option<u32> {
        let owner = pod.metadata.controller()?;
        self.known_replicas_of(pod).or_else(|| self.replicas.get(owner.uid.as_str()).copied())
    }

    fn known_replicas_of(&self, pod: &Pod) -> Option<u32> {
        let owner = pod.metadata.controller()?;
        let told = ((*pod.metadata.namespace).to_owned(), owner.kind.clone(), owner.name.clone());
        self.known_replicas.get(&told).copied()
    }

    /// The entry of `evictionConfig` that decides over the pod, be it of those that name pods or nodes.
    fn entry(&self, pod: &Pod) -> Option<&'a EvictionRule> {
        let of_node = self.nodes.get(&*pod.spec.node_name).copied();
        let of_pod = of_pod(pod, || self.known_replicas_of(pod), self.options);
        of_pod.into_iter().chain(of_node).reduce(stricter)
    }
}

fn held(rule: Rule, sign: Sign<'_>) -> Option<Held<'_>> {
    Some(Held { rule, sign })
}
