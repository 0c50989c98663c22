//! Which pods may be made to move.

use std::collections::BTreeMap;

use super::board::{Board, Role};
use super::selectors::{any_term, selects, untolerated};
use super::violation::{Fault, Faults};
use super::volumes::Volumes;
use crate::manifest::marks::{DISRUPTED, DO_NOT_DISRUPT, REMOVAL_DISABLED, SAFE_TO_EVICT};
use crate::manifest::{Effect, Meta, Pod, PodDisruptionBudget, PodShape, Taint, parse_span};
use crate::value::{EvictionRule, EvictionTarget, Options, Strictness};

/// What bears on evictions, by kind of pod and by owner.
#[derive(Debug)]
pub(super) struct Evictions<'a> {
    options: &'a Options,
    pdbs: BTreeMap<&'a str, Vec<&'a PodDisruptionBudget>>,
    /// By kind: the budgets that select it; `None` where one cannot be read.
    guarding: BTreeMap<usize, Option<Vec<&'a PodDisruptionBudget>>>,
    /// Running pods by the uid of their controller.
    siblings: BTreeMap<&'a str, usize>,
}

impl<'a> Evictions<'a> {
    pub(super) fn new(board: &Board<'a>, options: &'a Options) -> Self {
        let mut all = Self { options, pdbs: BTreeMap::new(), guarding: BTreeMap::new(), siblings: BTreeMap::new() };
        for pdb in &board.snapshot.pdbs {
            all.pdbs.entry(&pdb.metadata.namespace).or_default().push(pdb);
        }
        for body in board.bodies.iter().filter(|body| body.role == Role::Workload) {
            if let Some(owner) = body.pod.metadata.controller() {
                *all.siblings.entry(&owner.uid).or_default() += 1;
            }
        }
        all
    }

    /// What forbids to evict a workload pod from where it runs.
    pub(super) fn faults(&mut self, board: &Board<'a>, volumes: &Volumes<'a>, body: usize) -> Faults {
        let pod = board.bodies[body].pod;
        let shape = board.class_of(body).shape;
        let aggressive = self.options.aggressive;
        let mut faults = without_a_place(pod, shape);
        let mut refuse = |wrong: bool, fault: Fault, text: &str| {
            if wrong {
                faults.push((fault, text.to_owned()));
            }
        };
        let strictness = self.strictness(board, body);
        refuse(
            strictness == Some(Strictness::RemovalDisabled),
            Fault::RemovalDisabled,
            "an entry of evictionConfig with removalDisabled matches",
        );
        if strictness != Some(Strictness::Disposable) {
            let owner = pod.metadata.controller();
            refuse(
                owner.is_none() && !aggressive.ignore_problem_pods_without_controller,
                Fault::BarePod,
                "metadata.ownerReferences names no controller: nothing would bring it back",
            );
            refuse(
                owner.is_some_and(|owner| owner.kind == "Job") && !aggressive.ignore_problem_job_pods,
                Fault::JobPod,
                "its controller is a Job",
            );
            refuse(
                pod.metadata.mark(REMOVAL_DISABLED) == Some("true") && !aggressive.ignore_problem_removal_disabled_pods,
                Fault::RemovalDisabled,
                &format!("{REMOVAL_DISABLED} is \"true\""),
            );
            refuse(
                is_protected(board, body) && !aggressive.ignore_problem_removal_disabled_pods,
                Fault::DoNotDisrupt,
                &format!("{DO_NOT_DISRUPT} holds"),
            );
            refuse(
                pod.metadata.annotations.get(SAFE_TO_EVICT).is_some_and(|v| v == "false"),
                Fault::NotSafeToEvict,
                &format!("{SAFE_TO_EVICT} is \"false\""),
            );
            let of_service = owner.is_some_and(|owner| owner.kind != "Job");
            if self.options.continuous && of_service && strictness != Some(Strictness::Aggressive) {
                let replicas = self.replicas(board, body);
                refuse(replicas < 2, Fault::SingleReplica, "it has no second replica");
            }
            if strictness != Some(Strictness::Aggressive) {
                faults.extend(self.budget_faults(board, body));
            }
        }
        faults.extend(volumes.pod_faults(board, body));
        faults
    }

    /// Whether a pod is so long overdue to end that Karpenter does not wait for it, and nothing waits for its end to begin.
    pub(super) fn is_stuck(board: &Board<'_>, body: usize) -> bool {
        let metadata = &board.bodies[body].pod.metadata;
        let stateful = metadata.controller().is_some_and(|owner| owner.kind == "StatefulSet");
        let late = metadata.deletion_timestamp.map_or(0, |due| board.snapshot.now.0.saturating_sub(due.0));
        late > 60 && !stateful
    }

    /// What forbids to remove the node of a DaemonSet's or static pod.
    pub(super) fn resident_faults(&mut self, board: &Board<'a>, body: usize) -> Faults {
        let mut faults = Faults::new();
        if board.bodies[body].pod.metadata.deletion_timestamp.is_some() {
            return faults;
        }
        if is_protected(board, body) && !self.options.aggressive.ignore_problem_removal_disabled_nodes {
            faults.push((Fault::DoNotDisrupt, format!("{DO_NOT_DISRUPT} holds")));
        }
        // Karpenter leaves those alone that tolerate its taint: nobody asks their budgets.
        let taint = Taint { key: DISRUPTED.to_owned(), effect: Effect::NoSchedule, ..Taint::default() };
        let is_evicted = untolerated(&board.class_of(body).shape.tolerations, [&taint]).is_some();
        if board.bodies[body].role == Role::Daemon && is_evicted {
            faults.extend(self.budget_faults(board, body));
        }
        faults
    }

    /// Whether a pod that may be evicted needs no new place: nothing brings it back, or its disk ends with the node.
    pub(super) fn may_vanish(&self, board: &Board<'a>, volumes: &Volumes<'a>, body: usize) -> bool {
        let bare = board.bodies[body].pod.metadata.controller().is_none();
        bare || (self.options.aggressive.ignore_local_persistent_volumes && volumes.has_local(board, body))
    }

    fn budget_faults(&mut self, board: &Board<'a>, body: usize) -> Faults {
        let class = board.bodies[body].class;
        let (namespace, labels) = (board.classes[class].namespace, board.classes[class].labels);
        let pdbs = &self.pdbs;
        let guarding = self.guarding.entry(class).or_insert_with(|| {
            let mut found = Vec::new();
            for pdb in pdbs.get(namespace).into_iter().flatten() {
                if let Some(selector) = &pdb.spec.selector
                    && selects(selector, labels)?
                {
                    found.push(*pdb);
                }
            }
            Some(found)
        });
        match guarding.as_deref() {
            None => vec![(Fault::PdbAllowsNone, "a PodDisruptionBudget of its namespace cannot be read".to_owned())],
            Some([]) => Vec::new(),
            Some([pdb]) => {
                let ready = board.bodies[body].pod.status.is_ready();
                let unready_may_go = pdb.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" && !ready;
                let allowed = pdb.status.as_ref().map_or(0, |status| status.disruptions_allowed);
                if allowed > 0 || unready_may_go || self.options.aggressive.ignore_blocking_pdb {
                    return Vec::new();
                }
                let text = format!("PodDisruptionBudget {} allows {allowed} disruptions", pdb.metadata.name);
                vec![(Fault::PdbAllowsNone, text)]
            }
            Some(several) => {
                let names: Vec<&str> = several.iter().map(|pdb| &*pdb.metadata.name).collect();
                let text = format!("the PodDisruptionBudgets {} select it: no eviction is possible", names.join(", "));
                vec![(Fault::SeveralPdbs, text)]
            }
        }
    }

    /// Replicas of the pod's controller: as known, else as they run.
    fn replicas(&self, board: &Board<'a>, body: usize) -> usize {
        let Some(owner) = board.bodies[body].pod.metadata.controller() else { return 1 };
        known_replicas(board, &board.bodies[body].pod.metadata)
            .map_or_else(|| self.siblings.get(owner.uid.as_str()).copied().unwrap_or(1), |known| known as usize)
    }

    /// The most restrictive entry of `evictionConfig` that matches.
    pub(super) fn strictness(&self, board: &Board<'a>, body: usize) -> Option<Strictness> {
        let applies = |rule: &&EvictionRule| {
            let protective = rule.strictness == Strictness::RemovalDisabled;
            // The lenient entries bind continuous rebalancing only.
            (protective || self.options.continuous) && rule_matches(rule, board, body).unwrap_or(protective)
        };
        self.options.eviction.iter().filter(applies).map(|rule| rule.strictness).max()
    }
}

/// Whether an entry speaks of a pod; `None` when that is not known.
fn rule_matches(rule: &EvictionRule, board: &Board<'_>, body: usize) -> Option<bool> {
    let (class, metadata) = (board.class_of(body), &board.bodies[body].pod.metadata);
    match &rule.selects {
        EvictionTarget::Nodes(terms) => {
            let host = &board.hosts[board.bodies[body].host?];
            any_term(terms, host.name, &|key| host.label(key))
        }
        EvictionTarget::Pods { namespaces, labels, kind: wanted, min_replicas, max_replicas } => {
            if !(namespaces.is_empty() || namespaces.iter().any(|namespace| namespace == class.namespace)) {
                return Some(false);
            }
            if !selects(labels, class.labels)? {
                return Some(false);
            }
            if !wanted.is_empty() {
                let owner = metadata.controller().map_or("", |owner| owner.kind.as_str());
                let matched = match (owner, wanted.as_str()) {
                    (owner, wanted) if owner == wanted => Some(true),
                    ("ReplicaSet", "Deployment") => class.labels.contains_key("pod-template-hash").then_some(true),
                    // The pod does not tell whose Job it is.
                    ("Job", "CronJob") => None,
                    // Owners further up may be of any kind.
                    ("", _) | ("ReplicaSet" | "StatefulSet" | "DaemonSet" | "ReplicationController", _) => Some(false),
                    _ => None,
                };
                if !matched? {
                    return Some(false);
                }
            }
            if min_replicas.is_none() && max_replicas.is_none() {
                return Some(true);
            }
            let replicas = known_replicas(board, metadata)?;
            Some(min_replicas.is_none_or(|least| replicas >= least) && max_replicas.is_none_or(|most| replicas <= most))
        }
    }
}

/// What no setting lifts, as nobody can tell where such a pod would run.
fn without_a_place(pod: &Pod, shape: &PodShape) -> Faults {
    let scheduler = shape.scheduler_name.as_str();
    let all = [
        (
            pod.metadata.deletion_timestamp.is_some(),
            Fault::Terminating,
            "metadata.deletionTimestamp is set: it ends by itself".to_owned(),
        ),
        (shape.asks_below_nothing(), Fault::ConstraintUnknown, "it asks for less than nothing".to_owned()),
        (shape.gates > 0, Fault::Gated, "spec.schedulingGates is not empty".to_owned()),
        (shape.resource_claims > 0, Fault::ResourceClaims, "spec.resourceClaims is not empty".to_owned()),
        (
            !matches!(scheduler, "" | "default-scheduler"),
            Fault::ForeignScheduler,
            format!("spec.schedulerName is {scheduler:?}"),
        ),
        (!matches!(shape.os.as_str(), "" | "linux"), Fault::NotLinux, format!("spec.os.name is {:?}", shape.os)),
    ];
    all.into_iter().filter(|(wrong, ..)| *wrong).map(|(_, fault, text)| (fault, text)).collect()
}

fn known_replicas(board: &Board<'_>, metadata: &Meta) -> Option<u32> {
    let owner = metadata.controller()?;
    board.snapshot.replicas.get(&((*metadata.namespace).to_owned(), owner.kind.clone(), owner.name.clone())).copied()
}

/// Karpenter's rule for pods: `true`, or a positive duration since the start that has not passed; anything else is ignored.
fn is_protected(board: &Board<'_>, body: usize) -> bool {
    let pod = board.bodies[body].pod;
    let Some(word) = pod.metadata.annotations.get(DO_NOT_DISRUPT) else { return false };
    if word == "true" {
        return true;
    }
    let Some(span) = parse_span(word).filter(|span| *span > 0) else { return false };
    pod.status.start_time.is_none_or(|start| board.snapshot.now.0 < start.0.saturating_add(span))
}
