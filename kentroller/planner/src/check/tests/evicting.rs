//! Which pods may be made to move.

use std::sync::Arc;

use serde_json::json;

use super::scene::{labels, step, zone_term};
use super::{Scene, judged};
use crate::manifest::{LabelSelector, Moment};
use crate::value::{EvictionRule, EvictionTarget, Strictness};

#[test]
fn a_pod_moves_only_when_it_may() {
    judged(&[
        ("bare", |s| s.pod("a1").metadata.owner_references = Arc::default(), &["bare-pod"]),
        (
            "bare, ignored",
            |s| {
                s.pod("a1").metadata.owner_references = Arc::default();
                s.options.aggressive.ignore_problem_pods_without_controller = true;
            },
            &[],
        ),
        (
            "bare, ignored, goes without a place",
            |s| {
                s.pod("a1").metadata.owner_references = Arc::default();
                s.options.aggressive.ignore_problem_pods_without_controller = true;
                s.wave(1).moves.clear();
            },
            &[],
        ),
        (
            "of a Job",
            |s| Arc::make_mut(&mut s.pod("a1").metadata.owner_references)[0].kind = "Job".into(),
            &["job-pod"],
        ),
        (
            "of a Job, ignored",
            |s| {
                Arc::make_mut(&mut s.pod("a1").metadata.owner_references)[0].kind = "Job".into();
                s.options.aggressive.ignore_problem_job_pods = true;
            },
            &[],
        ),
        (
            "removal-disabled by label",
            |s| s.label_pod("a1", "autoscaling.cast.ai/removal-disabled", "true"),
            &["removal-disabled"],
        ),
        (
            "removal-disabled by annotation",
            |s| s.annotate_pod("a1", "autoscaling.cast.ai/removal-disabled", "true"),
            &["removal-disabled"],
        ),
        (
            "removal-disabled, ignored",
            |s| {
                s.annotate_pod("a1", "autoscaling.cast.ai/removal-disabled", "true");
                s.options.aggressive.ignore_problem_removal_disabled_pods = true;
            },
            &[],
        ),
        ("do-not-disrupt", |s| s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "true"), &["do-not-disrupt"]),
        (
            "do-not-disrupt, ignored",
            |s| {
                s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "true");
                s.options.aggressive.ignore_problem_removal_disabled_pods = true;
            },
            &[],
        ),
        (
            "do-not-disrupt for a time that runs",
            |s| s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "2h"),
            &["do-not-disrupt"],
        ),
        ("do-not-disrupt for a time that is over", |s| s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "1h"), &[]),
        (
            "do-not-disrupt for a time since nobody knows when",
            |s| {
                s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "1h");
                s.pod("a1").status.start_time = None;
            },
            &["do-not-disrupt"],
        ),
        (
            "do-not-disrupt of a word that is none",
            |s| s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "please"),
            &[],
        ),
        (
            "do-not-disrupt on a DaemonSet's pod",
            |s| s.annotate_pod("agent-a", "karpenter.sh/do-not-disrupt", "true"),
            &["do-not-disrupt"],
        ),
        (
            "do-not-disrupt on a finished pod",
            |s| {
                s.add_pod("a2", "a", "ReplicaSet", json!({}));
                s.annotate_pod("a2", "karpenter.sh/do-not-disrupt", "true");
                s.pod("a2").status.phase = "Failed".into();
            },
            &[],
        ),
        (
            "safe-to-evict false",
            |s| s.annotate_pod("a1", "cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
            &["safe-to-evict-false"],
        ),
        ("safe-to-evict true", |s| s.annotate_pod("a1", "cluster-autoscaler.kubernetes.io/safe-to-evict", "true"), &[]),
        ("of another scheduler", |s| s.shape("a1").scheduler_name = "batch".into(), &["foreign-scheduler"]),
        ("with resource claims", |s| s.shape("a1").resource_claims = 1, &["resource-claims"]),
        ("with scheduling gates", |s| s.shape("a1").gates = 1, &["gated"]),
        ("for Windows", |s| s.shape("a1").os = "windows".into(), &["not-linux"]),
        ("being deleted", |s| s.pod("a1").metadata.deletion_timestamp = Some(Moment(1)), &["terminating"]),
        ("a budget that allows one", |s| s.guard("web", "default", 1), &[]),
        ("a budget that allows none", |s| s.guard("web", "default", 0), &["pdb-allows-none"]),
        ("a budget that allows none in another namespace", |s| s.guard("web", "other", 0), &[]),
        (
            "a budget without a status",
            |s| {
                s.guard("web", "default", 1);
                s.snapshot.pdbs[0].status = None;
            },
            &["pdb-allows-none"],
        ),
        (
            "a budget that allows none, ignored",
            |s| {
                s.guard("web", "default", 0);
                s.options.aggressive.ignore_blocking_pdb = true;
            },
            &[],
        ),
        (
            "two budgets",
            |s| {
                s.guard("web", "default", 1);
                s.guard("all", "default", 1);
            },
            &["several-pdbs"],
        ),
        (
            "a budget without a selector",
            |s| {
                s.guard("web", "default", 0);
                s.snapshot.pdbs[0].spec.selector = None;
            },
            &[],
        ),
        (
            "an empty selector guards everything, DaemonSets too",
            |s| {
                s.guard("web", "default", 0);
                s.snapshot.pdbs[0].spec.selector = Some(LabelSelector::default());
            },
            &["pdb-allows-none"],
        ),
        (
            "AlwaysAllow and not ready",
            |s| {
                s.guard("web", "default", 0);
                s.snapshot.pdbs[0].spec.unhealthy_pod_eviction_policy = "AlwaysAllow".into();
                for pod in ["a1", "d1"] {
                    s.pod(pod).status.conditions = Arc::default();
                }
            },
            &[],
        ),
        (
            "AlwaysAllow and ready",
            |s| {
                s.guard("web", "default", 0);
                s.snapshot.pdbs[0].spec.unhealthy_pod_eviction_policy = "AlwaysAllow".into();
            },
            &["pdb-allows-none"],
        ),
        ("continuous, several replicas run", |s| s.options.continuous = true, &[]),
        (
            "continuous, a single replica",
            |s| {
                s.options.continuous = true;
                replicas(s, 1);
            },
            &["single-replica"],
        ),
        (
            "continuous, two replicas",
            |s| {
                s.options.continuous = true;
                replicas(s, 2);
            },
            &[],
        ),
        (
            "continuous, a single replica that evictionConfig frees",
            |s| {
                s.options.continuous = true;
                replicas(s, 1);
                rule(s, Strictness::Aggressive);
            },
            &[],
        ),
        ("a claim moves single replicas", |s| replicas(s, 1), &[]),
        ("evictionConfig protects", |s| rule(s, Strictness::RemovalDisabled), &["removal-disabled"]),
        (
            "the strictest entry wins",
            |s| {
                s.options.continuous = true;
                rule(s, Strictness::Disposable);
                rule(s, Strictness::RemovalDisabled);
            },
            &["removal-disabled"],
        ),
        (
            "disposable lifts the guards, in continuous mode",
            |s| {
                s.options.continuous = true;
                s.guard("web", "default", 0);
                s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "true");
                rule(s, Strictness::Disposable);
            },
            &[],
        ),
        (
            "disposable says nothing to a claim",
            |s| {
                s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "true");
                rule(s, Strictness::Disposable);
            },
            &["do-not-disrupt"],
        ),
        (
            "evictionConfig protects a node",
            |s| {
                s.options.eviction.push(EvictionRule {
                    place: 0,
                    selects: EvictionTarget::Nodes(vec![zone_term("r1a")]),
                    strictness: Strictness::RemovalDisabled,
                })
            },
            &["removal-disabled"],
        ),
        (
            "from a node that stays",
            |s| {
                s.wave(1).moves.push(step("c1", "c", "d"));
                s.wave(2).moves.push(step("c1", "d", "c"));
            },
            &[],
        ),
        (
            "from a node that stays and is protected",
            |s| {
                s.label_node("c", "autoscaling.cast.ai/removal-disabled", "true");
                s.wave(1).moves.push(step("c1", "c", "d"));
                s.wave(2).moves.push(step("c1", "d", "c"));
            },
            &["removal-disabled"],
        ),
    ]);
}

fn replicas(scene: &mut Scene, count: u32) {
    let owner = ("default".to_owned(), "ReplicaSet".to_owned(), "web-1".to_owned());
    scene.snapshot.replicas.insert(owner, count);
}

fn rule(scene: &mut Scene, strictness: Strictness) {
    let selects = EvictionTarget::Pods {
        namespaces: vec!["default".to_owned()],
        labels: LabelSelector { match_labels: labels(&[("app", "web")]), match_expressions: Vec::new() },
        kind: "ReplicaSet".to_owned(),
        min_replicas: None,
        max_replicas: None,
    };
    scene.options.eviction.push(EvictionRule { place: 0, selects, strictness });
}
