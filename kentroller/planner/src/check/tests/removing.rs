//! Which nodes may go and which pods may be made to move.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::scene::{labels, patch, read, zone_term};
use super::{Scene, judged};
use crate::manifest::Moment;
use crate::value::{CapacityType, Mode, MoveLimit, Percent, Scope};

#[test]
fn a_node_goes_only_when_karpenter_and_the_options_let_it() {
    judged(&[
        ("no NodeClaim", |s| s.snapshot.node_claims.retain(|claim| claim.status.node_name != "a"), &["not-karpenter"]),
        ("no NodePool of its name", |s| s.label_node("a", "karpenter.sh/nodepool", "gone"), &["not-karpenter"]),
        (
            "not initialized",
            |s| {
                Arc::make_mut(&mut s.node("a").metadata.labels).remove("karpenter.sh/initialized");
                patch(&mut s.claim("a").status, json!({"conditions": [{"type": "Consolidatable", "status": "True"}]}));
            },
            &["not-initialized"],
        ),
        ("being deleted", |s| s.claim("a").metadata.deletion_timestamp = Some(Moment(1)), &["deleting"]),
        ("not Linux", |s| s.label_node("a", "kubernetes.io/os", "windows"), &["not-linux"]),
        (
            "of a type without a price",
            |s| {
                s.label_node("a", "node.kubernetes.io/instance-type", "m9.huge");
                s.plan.cost_before = crate::value::Money::micros(672_000);
            },
            &["price-unknown"],
        ),
        ("reserved", |s| s.label_node("a", "karpenter.sh/capacity-type", "reserved"), &["committed", "sum"]),
        (
            "of an unknown capacity type",
            |s| s.label_node("a", "karpenter.sh/capacity-type", "leased"),
            &["committed", "price-unknown", "sum"],
        ),
        ("of a static pool", |s| s.pool().spec.replicas = Some(3), &["static-pool"]),
        (
            "consolidateAfter Never",
            |s| s.pool().spec.disruption.consolidate_after = "Never".into(),
            &["consolidation-off"],
        ),
        (
            "consolidateAfter Never, handed over",
            |s| {
                s.pool().spec.disruption.consolidate_after = "Never".into();
                hand_over(s);
            },
            &[],
        ),
        (
            "WhenEmpty, and it runs pods",
            |s| s.pool().spec.disruption.consolidation_policy = "WhenEmpty".into(),
            &["consolidation-off"],
        ),
        (
            "WhenEmpty, handed over",
            |s| {
                s.pool().spec.disruption.consolidation_policy = "WhenEmpty".into();
                hand_over(s);
            },
            &[],
        ),
        ("Balanced", |s| s.pool().spec.disruption.consolidation_policy = "Balanced".into(), &[]),
        (
            "a policy that nobody knows",
            |s| s.pool().spec.disruption.consolidation_policy = "Often".into(),
            &["consolidation-off"],
        ),
        (
            "excluded by annotation",
            |s| {
                s.pool().metadata.annotations = labels(&[("kentroller.cast.ai/consolidation", "exclude")]).into();
            },
            &["consolidation-off"],
        ),
        ("nobody let its pool take part", |s| s.options.pools_opt_in = true, &["consolidation-off"]),
        (
            "somebody let its pool take part",
            |s| {
                hand_over(s);
                s.options.pools_opt_in = true;
            },
            &[],
        ),
        ("a budget of 0", |s| budget(s, json!([{"nodes": "0"}])), &["budget-zero"]),
        ("a budget of 0 for drift", |s| budget(s, json!([{"nodes": "0%", "reasons": ["Drifted"]}])), &[]),
        (
            "a budget of 0 for Underutilized",
            |s| budget(s, json!([{"nodes": "10%"}, {"nodes": "0%", "reasons": ["Underutilized"]}])),
            &["budget-zero"],
        ),
        (
            "a budget of 0, handed over",
            |s| {
                budget(s, json!([{"nodes": "0"}]));
                hand_over(s);
            },
            &[],
        ),
        (
            "our own budget of 0",
            |s| {
                hand_over(s);
                Arc::make_mut(&mut s.pool().metadata.annotations)
                    .insert("kentroller.cast.ai/budget".into(), "0".into());
            },
            &["budget-zero"],
        ),
        (
            "a budget of 0, ignored",
            |s| {
                budget(s, json!([{"nodes": "0"}]));
                s.options.aggressive.ignore_zero_node_pool_disruption_budgets = true;
            },
            &[],
        ),
        (
            "a budget of 0 whose window is open",
            |s| budget(s, json!([{"nodes": "0", "schedule": "0 9 * * *", "duration": "8h"}])),
            &["budget-zero"],
        ),
        (
            "a budget of 0 whose window is shut",
            |s| budget(s, json!([{"nodes": "0", "schedule": "0 18 * * *", "duration": "8h"}])),
            &[],
        ),
        (
            "a budget with a schedule that cannot be read",
            |s| budget(s, json!([{"nodes": "10", "schedule": "often", "duration": "8h"}])),
            &["budget-zero"],
        ),
        ("not Consolidatable", |s| unconsolidatable(s), &["not-consolidatable"]),
        (
            "not Consolidatable, ignored",
            |s| {
                unconsolidatable(s);
                s.options.aggressive.ignore_consolidatable = true;
            },
            &[],
        ),
        (
            "not Consolidatable, handed over",
            |s| {
                unconsolidatable(s);
                hand_over(s);
            },
            &[],
        ),
        (
            "do-not-disrupt",
            |s| {
                s.node("a").metadata.annotations = labels(&[("karpenter.sh/do-not-disrupt", "true")]).into();
            },
            &["do-not-disrupt"],
        ),
        (
            "do-not-disrupt false",
            |s| {
                s.node("a").metadata.annotations = labels(&[("karpenter.sh/do-not-disrupt", "false")]).into();
            },
            &[],
        ),
        (
            "removal-disabled",
            |s| s.label_node("a", "autoscaling.cast.ai/removal-disabled", "true"),
            &["removal-disabled"],
        ),
        (
            "both, ignored",
            |s| {
                s.label_node("a", "autoscaling.cast.ai/removal-disabled", "true");
                s.node("a").metadata.annotations = labels(&[("karpenter.sh/do-not-disrupt", "true")]).into();
                s.options.aggressive.ignore_problem_removal_disabled_nodes = true;
            },
            &[],
        ),
        ("old enough", |s| s.options.min_age = Duration::from_secs(4 * 86_400), &[]),
        ("too young", |s| s.options.min_age = Duration::from_secs(4 * 86_400 + 1), &["too-young"]),
        (
            "of an age that nobody knows",
            |s| {
                s.options.min_age = Duration::from_secs(1);
                s.node("a").metadata.creation_timestamp = None;
            },
            &["too-young"],
        ),
        ("in scope by name", |s| s.options.scope = Scope::Nodes(["a".to_owned(), "d".to_owned()].into()), &[]),
        ("out of scope by name", |s| s.options.scope = Scope::Nodes(["d".to_owned()].into()), &["out-of-scope"]),
        ("an empty scope holds nothing", |s| s.options.scope = Scope::Nodes([].into()), &["out-of-scope"]),
        ("in scope by term", |s| s.options.scope = Scope::Terms(vec![zone_term("r1a")]), &[]),
        ("out of scope by term", |s| s.options.scope = Scope::Terms(vec![zone_term("r1b")]), &["out-of-scope"]),
        ("the wanted capacity type", |s| s.options.capacity_type = Some(CapacityType::OnDemand), &[]),
        ("another capacity type", |s| s.options.capacity_type = Some(CapacityType::Spot), &["out-of-scope"]),
        (
            "held by other work",
            |s| {
                s.options.reserved_nodes.insert("a".into());
            },
            &["in-use"],
        ),
        (
            "being disrupted by Karpenter",
            |s| s.node("a").spec.taints.push(read(json!({"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}))),
            &["in-use"],
        ),
        (
            "over its allocatable",
            |s| {
                Arc::make_mut(&mut s.node("a").status).allocatable.insert("cpu".into(), read(json!("550m")));
            },
            &["over-allocatable"],
        ),
        ("as many nodes as asked for", |s| s.options.max_nodes = Some(2), &[]),
        ("a node too many", |s| s.options.max_nodes = Some(1), &["max-nodes"]),
        ("as much cpu as asked for", |s| s.options.max_cpu = Some(read(json!("9840m"))), &[]),
        ("too much cpu", |s| s.options.max_cpu = Some(read(json!("9839m"))), &["max-cpu"]),
        ("as large a cluster as asked for", |s| s.options.min_cluster_size = 3, &[]),
        ("a cluster too small", |s| s.options.min_cluster_size = 4, &["min-cluster-size"]),
        ("as many moves as asked for", |s| s.options.max_moves = Some(MoveLimit::Pods(2)), &[]),
        ("a move too many", |s| s.options.max_moves = Some(MoveLimit::Pods(1)), &["max-moves"]),
        ("a share of moves", |s| s.options.max_moves = Some(MoveLimit::Share(Percent::whole(25))), &["max-moves"]),
        ("a pod is left on it", |s| s.wave(1).moves.clear(), &["not-empty"]),
        ("drain-only buys nothing", |s| s.options.mode = Mode::DrainOnly, &["mode"]),
        (
            "drain-only drains",
            |s| {
                s.options.mode = Mode::DrainOnly;
                first_wave_only(s);
            },
            &[],
        ),
        (
            "delete-empty moves nothing",
            |s| {
                s.options.mode = Mode::DeleteEmpty;
                first_wave_only(s);
            },
            &["mode"],
        ),
        (
            "delete-empty deletes an empty node",
            |s| {
                s.options.mode = Mode::DeleteEmpty;
                s.pool().spec.disruption.consolidation_policy = "WhenEmpty".into();
                s.snapshot.pods.retain(|pod| &*pod.metadata.name != "a1");
                first_wave_only(s);
                s.wave(1).moves.clear();
            },
            &[],
        ),
        (
            "a budget of 0 for Empty, and it is empty",
            |s| {
                budget(s, json!([{"nodes": "0", "reasons": ["Empty"]}]));
                s.snapshot.pods.retain(|pod| &*pod.metadata.name != "a1");
                first_wave_only(s);
                s.wave(1).moves.clear();
            },
            &["budget-zero"],
        ),
    ]);
}

fn hand_over(scene: &mut Scene) {
    scene.pool().metadata.annotations = labels(&[("kentroller.cast.ai/consolidation", "include")]).into();
}

fn budget(scene: &mut Scene, budgets: serde_json::Value) {
    scene.pool().spec.disruption.budgets = Some(read(budgets));
}

fn unconsolidatable(scene: &mut Scene) {
    patch(&mut scene.claim("a").status, json!({"conditions": [{"type": "Initialized", "status": "True"}]}));
}

fn first_wave_only(scene: &mut Scene) {
    scene.plan.waves.truncate(1);
    scene.plan.cost_after = scene.plan.waves[0].hourly_after;
}
