//! Which nodes may go and which pods may be made to move.
use serde_json::json;

use super::{
    Scene, judged,
    scene::{labels, patch, read, step},
};
use crate::{
    CapacityType, EvictionRule, EvictionTarget, Headroom, Mode, Moment, MoveLimit, Percent, Scope, Strictness,
    manifest::{LabelSelector, NodeSelectorTerm},
};

#[test]
fn a_node_goes_only_when_karpenter_and_the_options_let_it() {
    judged(&[
        ("no NodeClaim", |s| s.snapshot.node_claims.retain(|claim| claim.status.node_name != "a"), &["not-karpenter"]),
        ("no NodePool of its name", |s| s.label_node("a", "karpenter.sh/nodepool", "gone"), &["not-karpenter"]),
        ("not initialized", |s| {
            std::sync::Arc::make_mut(&mut s.node("a").metadata.labels).remove("karpenter.sh/initialized");
            patch(&mut s.claim("a").status, json!({"conditions": [{"type": "Consolidatable", "status": "True"}]}));
        }, &["not-initialized"]),
        ("being deleted", |s| s.claim("a").metadata.deletion_timestamp = Some(Moment(1)), &["deleting"]),
        ("not Linux", |s| s.label_node("a", "kubernetes.io/os", "windows"), &["not-linux"]),
        ("of a type without a price", |s| {
            s.label_node("a", "node.kubernetes.io/instance-type", "m9.huge");
            s.plan.cost_before = crate::Money::micros(672_000);
        }, &["price-unknown"]),
        ("reserved", |s| s.label_node("a", "karpenter.sh/capacity-type", "reserved"), &["committed", "sum"]),
        ("of an unknown capacity type", |s| s.label_node("a", "karpenter.sh/capacity-type", "leased"), &["committed", "price-unknown", "sum"]),
        ("of a static pool", |s| s.pool().spec.replicas = Some(3), &["static-pool"]),
        ("consolidateAfter Never", |s| s.pool().spec.disruption.consolidate_after = "Never".into(), &["consolidation-off"]),
        ("consolidateAfter Never, handed over", |s| { s.pool().spec.disruption.consolidate_after = "Never".into(); hand_over(s); }, &[]),
        ("WhenEmpty, and it runs pods", |s| s.pool().spec.disruption.consolidation_policy = "WhenEmpty".into(), &["consolidation-off"]),
        ("WhenEmpty, handed over", |s| { s.pool().spec.disruption.consolidation_policy = "WhenEmpty".into(); hand_over(s); }, &[]),
        ("Balanced", |s| s.pool().spec.disruption.consolidation_policy = "Balanced".into(), &[]),
        ("a policy that nobody knows", |s| s.pool().spec.disruption.consolidation_policy = "Often".into(), &["consolidation-off"]),
        ("excluded by annotation", |s| { s.pool().metadata.annotations = labels(&[("kentroller.cast.ai/consolidation", "exclude")]); }, &["consolidation-off"]),
        ("a budget of 0", |s| budget(s, json!([{"nodes": "0"}])), &["budget-zero"]),
        ("a budget of 0 for drift", |s| budget(s, json!([{"nodes": "0%", "reasons": ["Drifted"]}])), &[]),
        ("a budget of 0 for Underutilized", |s| budget(s, json!([{"nodes": "10%"}, {"nodes": "0%", "reasons": ["Underutilized"]}])), &["budget-zero"]),
        ("a budget of 0, handed over", |s| { budget(s, json!([{"nodes": "0"}])); hand_over(s); }, &[]),
        ("our own budget of 0", |s| {
            hand_over(s);
            s.pool().metadata.annotations.insert("kentroller.cast.ai/budget".into(), "0".into());
        }, &["budget-zero"]),
        ("a budget of 0, ignored", |s| {
            budget(s, json!([{"nodes": "0"}]));
            s.options.aggressive.ignore_zero_node_pool_disruption_budgets = true;
        }, &[]),
        ("a budget of 0 whose window is open", |s| budget(s, json!([{"nodes": "0", "schedule": "0 9 * * *", "duration": "8h"}])), &["budget-zero"]),
        ("a budget of 0 whose window is shut", |s| budget(s, json!([{"nodes": "0", "schedule": "0 18 * * *", "duration": "8h"}])), &[]),
        ("a budget with a schedule that cannot be read", |s| budget(s, json!([{"nodes": "10", "schedule": "often", "duration": "8h"}])), &["budget-zero"]),
        ("not Consolidatable", |s| unconsolidatable(s), &["not-consolidatable"]),
        ("not Consolidatable, ignored", |s| { unconsolidatable(s); s.options.aggressive.ignore_consolidatable = true; }, &[]),
        ("not Consolidatable, handed over", |s| { unconsolidatable(s); hand_over(s); }, &[]),
        ("do-not-disrupt", |s| { s.node("a").metadata.annotations = labels(&[("karpenter.sh/do-not-disrupt", "true")]); }, &["do-not-disrupt"]),
        ("do-not-disrupt false", |s| { s.node("a").metadata.annotations = labels(&[("karpenter.sh/do-not-disrupt", "false")]); }, &[]),
        ("removal-disabled", |s| s.label_node("a", "autoscaling.cast.ai/removal-disabled", "true"), &["removal-disabled"]),
        ("both, ignored", |s| {
            s.label_node("a", "autoscaling.cast.ai/removal-disabled", "true");
            s.node("a").metadata.annotations = labels(&[("karpenter.sh/do-not-disrupt", "true")]);
            s.options.aggressive.ignore_problem_removal_disabled_nodes = true;
        }, &[]),
        ("old enough", |s| s.options.min_age = 4 * 86_400, &[]),
        ("too young", |s| s.options.min_age = 4 * 86_400 + 1, &["too-young"]),
        ("of an age that nobody knows", |s| { s.options.min_age = 1; s.node("a").metadata.creation_timestamp = None; }, &["too-young"]),
        ("in scope by name", |s| s.options.scope = Scope::Nodes(["a".to_owned(), "d".to_owned()].into()), &[]),
        ("out of scope by name", |s| s.options.scope = Scope::Nodes(["d".to_owned()].into()), &["out-of-scope"]),
        ("an empty scope holds nothing", |s| s.options.scope = Scope::Nodes([].into()), &["out-of-scope"]),
        ("in scope by term", |s| s.options.scope = Scope::Terms(vec![zone_term("r1a")]), &[]),
        ("out of scope by term", |s| s.options.scope = Scope::Terms(vec![zone_term("r1b")]), &["out-of-scope"]),
        ("the wanted capacity type", |s| s.options.capacity_type = Some(CapacityType::OnDemand), &[]),
        ("another capacity type", |s| s.options.capacity_type = Some(CapacityType::Spot), &["out-of-scope"]),
        ("held by other work", |s| { s.options.reserved_nodes.insert("a".into()); }, &["in-use"]),
        ("being disrupted by Karpenter", |s| s.node("a").spec.taints.push(read(json!({"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}))), &["in-use"]),
        ("over its allocatable", |s| { s.node("a").status.allocatable.insert("cpu".into(), read(json!("550m"))); }, &["over-allocatable"]),
        ("as many nodes as asked for", |s| s.options.max_nodes = Some(2), &[]),
        ("a node too many", |s| s.options.max_nodes = Some(1), &["max-nodes"]),
        ("as large a cluster as asked for", |s| s.options.min_cluster_size = 3, &[]),
        ("a cluster too small", |s| s.options.min_cluster_size = 4, &["min-cluster-size"]),
        ("as many moves as asked for", |s| s.options.max_moves = Some(MoveLimit::Pods(2)), &[]),
        ("a move too many", |s| s.options.max_moves = Some(MoveLimit::Pods(1)), &["max-moves"]),
        ("a share of moves", |s| s.options.max_moves = Some(MoveLimit::Share(Percent::whole(25))), &["max-moves"]),
        ("a pod is left on it", |s| s.wave(1).moves.clear(), &["not-empty"]),
        ("drain-only buys nothing", |s| s.options.mode = Mode::DrainOnly, &["mode"]),
        ("drain-only drains", |s| { s.options.mode = Mode::DrainOnly; first_wave_only(s); }, &[]),
        ("delete-empty moves nothing", |s| { s.options.mode = Mode::DeleteEmpty; first_wave_only(s); }, &["mode"]),
        ("delete-empty deletes an empty node", |s| {
            s.options.mode = Mode::DeleteEmpty;
            s.pool().spec.disruption.consolidation_policy = "WhenEmpty".into();
            s.snapshot.pods.retain(|pod| pod.metadata.name != "a1");
            first_wave_only(s);
            s.wave(1).moves.clear();
        }, &[]),
        ("a budget of 0 for Empty, and it is empty", |s| {
            budget(s, json!([{"nodes": "0", "reasons": ["Empty"]}]));
            s.snapshot.pods.retain(|pod| pod.metadata.name != "a1");
            first_wave_only(s);
            s.wave(1).moves.clear();
        }, &["budget-zero"]),
    ]);
}

fn hand_over(scene: &mut Scene) {
    scene.pool().metadata.annotations = labels(&[("kentroller.cast.ai/consolidation", "include")]);
}

fn budget(scene: &mut Scene, budgets: serde_json::Value) {
    scene.pool().spec.disruption.budgets = Some(read(budgets));
}

fn unconsolidatable(scene: &mut Scene) {
    patch(&mut scene.claim("a").status, json!({"conditions": [{"type": "Initialized", "status": "True"}]}));
}

fn zone_term(zone: &str) -> NodeSelectorTerm {
    read(json!({"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]}))
}

fn first_wave_only(scene: &mut Scene) {
    scene.plan.waves.truncate(1);
    scene.plan.cost_after = scene.plan.waves[0].hourly_after;
}

#[test]
fn a_pod_moves_only_when_it_may() {
    judged(&[
        ("bare", |s| s.pod("a1").metadata.owner_references.clear(), &["bare-pod"]),
        ("bare, ignored", |s| {
            s.pod("a1").metadata.owner_references.clear();
            s.options.aggressive.ignore_problem_pods_without_controller = true;
        }, &[]),
        ("bare, ignored, goes without a place", |s| {
            s.pod("a1").metadata.owner_references.clear();
            s.options.aggressive.ignore_problem_pods_without_controller = true;
            s.wave(1).moves.clear();
        }, &[]),
        ("of a Job", |s| s.pod("a1").metadata.owner_references[0].kind = "Job".into(), &["job-pod"]),
        ("of a Job, ignored", |s| {
            s.pod("a1").metadata.owner_references[0].kind = "Job".into();
            s.options.aggressive.ignore_problem_job_pods = true;
        }, &[]),
        ("removal-disabled by label", |s| s.label_pod("a1", "autoscaling.cast.ai/removal-disabled", "true"), &["removal-disabled"]),
        ("removal-disabled by annotation", |s| s.annotate_pod("a1", "autoscaling.cast.ai/removal-disabled", "true"), &["removal-disabled"]),
        ("removal-disabled, ignored", |s| {
            s.annotate_pod("a1", "autoscaling.cast.ai/removal-disabled", "true");
            s.options.aggressive.ignore_problem_removal_disabled_pods = true;
        }, &[]),
        ("do-not-disrupt", |s| s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "true"), &["do-not-disrupt"]),
        ("do-not-disrupt for a time that runs", |s| s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "2h"), &["do-not-disrupt"]),
        ("do-not-disrupt for a time that is over", |s| s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "1h"), &[]),
        ("do-not-disrupt for a time since nobody knows when", |s| {
            s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "1h");
            s.pod("a1").status.start_time = None;
        }, &["do-not-disrupt"]),
        ("do-not-disrupt of a word that is none", |s| s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "please"), &[]),
        ("do-not-disrupt on a DaemonSet's pod", |s| s.annotate_pod("agent-a", "karpenter.sh/do-not-disrupt", "true"), &["do-not-disrupt"]),
        ("do-not-disrupt on a finished pod", |s| {
            s.add_pod("a2", "a", "ReplicaSet", json!({}));
            s.annotate_pod("a2", "karpenter.sh/do-not-disrupt", "true");
            s.pod("a2").status.phase = "Failed".into();
        }, &[]),
        ("safe-to-evict false", |s| s.annotate_pod("a1", "cluster-autoscaler.kubernetes.io/safe-to-evict", "false"), &["safe-to-evict-false"]),
        ("safe-to-evict true", |s| s.annotate_pod("a1", "cluster-autoscaler.kubernetes.io/safe-to-evict", "true"), &[]),
        ("of another scheduler", |s| s.shape("a1").scheduler_name = "batch".into(), &["foreign-scheduler"]),
        ("with resource claims", |s| s.shape("a1").resource_claims = 1, &["resource-claims"]),
        ("with scheduling gates", |s| s.shape("a1").gates = 1, &["gated"]),
        ("for Windows", |s| s.shape("a1").os = "windows".into(), &["not-linux"]),
        ("being deleted", |s| s.pod("a1").metadata.deletion_timestamp = Some(Moment(1)), &["terminating"]),
        ("a budget that allows one", |s| s.guard("web", "default", 1), &[]),
        ("a budget that allows none", |s| s.guard("web", "default", 0), &["pdb-allows-none"]),
        ("a budget that allows none in another namespace", |s| s.guard("web", "other", 0), &[]),
        ("a budget without a status", |s| { s.guard("web", "default", 1); s.snapshot.pdbs[0].status = None; }, &["pdb-allows-none"]),
        ("a budget that allows none, ignored", |s| { s.guard("web", "default", 0); s.options.aggressive.ignore_blocking_pdb = true; }, &[]),
        ("two budgets", |s| { s.guard("web", "default", 1); s.guard("all", "default", 1); }, &["several-pdbs"]),
        ("a budget without a selector", |s| { s.guard("web", "default", 0); s.snapshot.pdbs[0].spec.selector = None; }, &[]),
        ("an empty selector guards everything, DaemonSets too", |s| {
            s.guard("web", "default", 0);
            s.snapshot.pdbs[0].spec.selector = Some(LabelSelector::default());
        }, &["pdb-allows-none"]),
        ("AlwaysAllow and not ready", |s| {
            s.guard("web", "default", 0);
            s.snapshot.pdbs[0].spec.unhealthy_pod_eviction_policy = "AlwaysAllow".into();
            for pod in ["a1", "d1"] { s.pod(pod).status.conditions.clear(); }
        }, &[]),
        ("AlwaysAllow and ready", |s| {
            s.guard("web", "default", 0);
            s.snapshot.pdbs[0].spec.unhealthy_pod_eviction_policy = "AlwaysAllow".into();
        }, &["pdb-allows-none"]),
        ("continuous, several replicas run", |s| s.options.continuous = true, &[]),
        ("continuous, a single replica", |s| { s.options.continuous = true; replicas(s, 1); }, &["single-replica"]),
        ("continuous, two replicas", |s| { s.options.continuous = true; replicas(s, 2); }, &[]),
        ("continuous, a single replica that evictionConfig frees", |s| {
            s.options.continuous = true;
            replicas(s, 1);
            rule(s, Strictness::Aggressive);
        }, &[]),
        ("a claim moves single replicas", |s| replicas(s, 1), &[]),
        ("evictionConfig protects", |s| rule(s, Strictness::RemovalDisabled), &["removal-disabled"]),
        ("the strictest entry wins", |s| {
            s.options.continuous = true;
            rule(s, Strictness::Disposable);
            rule(s, Strictness::RemovalDisabled);
        }, &["removal-disabled"]),
        ("disposable lifts the guards, in continuous mode", |s| {
            s.options.continuous = true;
            s.guard("web", "default", 0);
            s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "true");
            rule(s, Strictness::Disposable);
        }, &[]),
        ("disposable says nothing to a claim", |s| {
            s.annotate_pod("a1", "karpenter.sh/do-not-disrupt", "true");
            rule(s, Strictness::Disposable);
        }, &["do-not-disrupt"]),
        ("evictionConfig protects a node", |s| s.options.eviction.push(EvictionRule {
            selects: EvictionTarget::Nodes(vec![zone_term("r1a")]), strictness: Strictness::RemovalDisabled }), &["removal-disabled"]),
        ("from a node that stays", |s| { s.wave(1).moves.push(step("c1", "c", "d")); s.wave(2).moves.push(step("c1", "d", "c")); }, &[]),
        ("from a node that stays and is protected", |s| {
            s.label_node("c", "autoscaling.cast.ai/removal-disabled", "true");
            s.wave(1).moves.push(step("c1", "c", "d"));
            s.wave(2).moves.push(step("c1", "d", "c"));
        }, &["removal-disabled"]),
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
    scene.options.eviction.push(EvictionRule { selects, strictness });
}

#[test]
fn pods_that_wait_and_headroom_keep_their_room() {
    judged(&[
        ("a pod waits and keeps its room", |s| wait(s, "1"), &[]),
        ("a pod waits for the room that the plan takes", |s| wait(s, "6"), &["pending-room"]),
        ("a pod waits that had no room before", |s| wait(s, "9"), &[]),
        ("a gated pod waits for something else", |s| { wait(s, "6"); s.shape("w").gates = 1; }, &[]),
        ("two pods wait and share what is left", |s| { wait(s, "2"); wait(s, "2"); s.snapshot.pods.last_mut().unwrap().metadata.name = "w2".into(); }, &[]),
        ("many pods wait: together they had room and have none", |s| for at in 0..6 {
            wait(s, "1500m");
            s.snapshot.pods.last_mut().unwrap().metadata.name = format!("w{at}");
        }, &["pending-room"]),
        ("headroom that is left", |s| headroom(s, 4_000), &[]),
        ("headroom that the plan takes", |s| headroom(s, 9_000), &["headroom"]),
    ]);
}

fn wait(scene: &mut Scene, cpu: &str) {
    scene.add_pod("w", "", "ReplicaSet", json!({
        "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]}));
}

fn headroom(scene: &mut Scene, milli_cpu: i64) {
    scene.options.headroom.insert("general".to_owned(), Headroom { milli_cpu, bytes: 0 });
}
