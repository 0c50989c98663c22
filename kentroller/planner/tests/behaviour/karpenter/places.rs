//! Claims 44 to 63 and 66: where pods may end up, and what else stands around.

use serde_json::json;

use super::Held::{Elsewhere, Plan};
use super::Row;
use crate::scene::Must::{Buy, Keep, Move, Remove, Warn};
use crate::scene::Scene;

const HOSTNAME: &str = "kubernetes.io/hostname";
const CARRIED_OUT: &str = "cordons, replacements that come up, and what a restart leaves behind are the business of whoever \
                           carries a plan out";

pub(super) const ROWS: &[Row] = &[
    (
        44,
        "no pod is left without a place",
        Plan(
            || {
                let two =
                    Scene::new().node("a", "m5.large").node("b", "m5.large").pod("p", "a", "1").pod("q", "b", "1");
                let much = json!({"cpu": "1500m", "memory": "5Gi"});
                two.asking("p", much.clone()).asking("q", much)
            },
            &[Remove(&[])],
        ),
    ),
    (
        45,
        "a pod that waits for ever holds nothing up",
        Plan(|| Scene::pair().pod("w", "", "100"), &[Remove(&["a"]), Warn("", "fit on none")]),
    ),
    (
        46,
        "pods that wait get their room first",
        Plan(|| Scene::pair().pod("w", "", "1200m"), &[Remove(&[]), Keep("a", "no-cheaper-place")]),
    ),
    (
        46,
        "no node is bought twice over for a pod that waits",
        Plan(
            || {
                let two = Scene::alone().node("b", "m5.xlarge").pod("q", "b", "600m").pod("w", "", "1700m");
                two.asking("q", json!({"cpu": "600m", "memory": "8Gi"}))
            },
            &[Remove(&["a"]), Buy(&[])],
        ),
    ),
    (
        47,
        "a node that is not Karpenter's takes pods",
        Plan(
            || {
                let three =
                    Scene::alone().node("x", "m5.large").with("NodeClaim", "x", json!({"status": {"nodeName": ""}}));
                three.unlabel("x", "karpenter.sh/nodepool").unlabel("x", "karpenter.sh/capacity-type")
            },
            &[Remove(&["a"]), Move("p", "x"), Keep("x", "not-karpenter")],
        ),
    ),
    (
        47,
        "a node of another autoscaler takes none",
        Plan(
            || {
                let three =
                    Scene::alone().node("x", "m5.large").with("NodeClaim", "x", json!({"status": {"nodeName": ""}}));
                let three = three.unlabel("x", "karpenter.sh/nodepool").unlabel("x", "karpenter.sh/capacity-type");
                three.label("Node", "x", "eks.amazonaws.com/nodegroup", "core")
            },
            &[Remove(&[])],
        ),
    ),
    (48, "a node that is not initialized takes no pods", Plan(|| receiver(json!({"conditions": []})), &[Remove(&[])])),
    (48, "nor does one that has drifted", Plan(|| receiver(with_condition("Drifted")), &[Remove(&[])])),
    (
        48,
        "nor does one that Karpenter is about to disrupt",
        Plan(|| receiver(with_condition("DisruptionReason")), &[Remove(&[])]),
    ),
    (
        48,
        "nor does one that expires tomorrow",
        Plan(|| Scene::pair().with("NodeClaim", "b", json!({"spec": {"expireAfter": "120h"}})), &[Remove(&[])]),
    ),
    (
        48,
        "nor does one that is being deleted",
        Plan(
            || Scene::pair().with("NodeClaim", "b", json!({"metadata": {"deletionTimestamp": "2026-11-24T11:59:00Z"}})),
            &[Remove(&[])],
        ),
    ),
    (
        48,
        "nor does one whose interruption is predicted",
        Plan(
            || Scene::pair().annotate("Node", "b", "autoscaling.cast.ai/predicted-interruption", "true"),
            &[Remove(&[])],
        ),
    ),
    (
        49,
        "an empty node that pods of a leaving node need stays",
        Plan(
            || {
                let two = Scene::alone().node("b", "m5.large");
                two.with("NodeClaim", "a", json!({"metadata": {"deletionTimestamp": "2026-11-24T11:59:00Z"}}))
            },
            &[Remove(&[]), Keep("b", "no-cheaper-place")],
        ),
    ),
    (50, "a node that Karpenter still lets settle takes no pods", Plan(|| settling("5m"), &[Remove(&[])])),
    (50, "one that never settles does", Plan(|| settling("Never"), &[Remove(&["a"]), Move("p", "b")])),
    (
        51,
        "a cheaper node is bought while others settle",
        Plan(
            || {
                let two = Scene::new()
                    .node("a", "m5.2xlarge")
                    .pod("p", "a", "1")
                    .pool("other", json!({"disruption": {"consolidateAfter": "5m"}}));
                unsettled(two.node("b", "m5.large"))
            },
            &[Remove(&["a"]), Buy(&["m5.large"])],
        ),
    ),
    (
        52,
        "a spread over zones is kept",
        Plan(|| spread(Scene::new().node("a", "m5.large").node_in("b", "m5.large", "r1b")), &[Remove(&[])]),
    ),
    (
        52,
        "a pod of a spread moves within its zone",
        Plan(
            || {
                let three = Scene::new().node("a", "m5.large").node_in("b", "m5.large", "r1b").node("c", "m5.large");
                spread(three.pod("r", "c", "600m").annotate("Node", "c", "karpenter.sh/do-not-disrupt", "true"))
            },
            &[Remove(&["a"]), Move("p", "c")],
        ),
    ),
    (53, "required anti-affinity is kept", Plan(|| Scene::pair().with("Pod", "p", repels("q")), &[Remove(&[])])),
    (53, "so is that of a pod that is there", Plan(|| Scene::pair().with("Pod", "q", repels("p")), &[Remove(&[])])),
    (
        54,
        "what is only preferred holds nothing back, as under Karpenter's policy Ignore",
        Plan(
            || {
                let term = json!({"weight": 100, "podAffinityTerm": {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": {"app": "q"}}}});
                Scene::pair().with("Pod", "p", json!({"spec": {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}}}))
            },
            &[Remove(&["a"])],
        ),
    ),
    (55, "a disk of the node holds its pod", Plan(local_disk, &[Keep("a", "blocked-by-pods")])),
    (
        55,
        "unless such disks are given up",
        Plan(
            || local_disk().ask(|options| options.aggressive.ignore_local_persistent_volumes = true),
            &[Remove(&["a"])],
        ),
    ),
    (
        56,
        "a NodePool that no type satisfies stops no other",
        Plan(
            || {
                let none = json!([{"key": "kubernetes.io/arch", "operator": "In", "values": ["riscv64"]}]);
                Scene::pair().pool("odd", json!({"template": {"spec": {"requirements": none}}}))
            },
            &[Remove(&["a"]), Warn("NodePool odd", "nothing is bought in it")],
        ),
    ),
    (
        56,
        "nor does one with an operator that nobody knows",
        Plan(
            || {
                let none = json!([{"key": "kubernetes.io/arch", "operator": "Near", "values": ["amd64"]}]);
                Scene::pair().pool("odd", json!({"template": {"spec": {"requirements": none}}}))
            },
            &[Remove(&["a"]), Warn("NodePool odd", "nothing is bought in it")],
        ),
    ),
    (
        56,
        "nor does one whose types its DaemonSets fill",
        Plan(
            || {
                let small =
                    json!([{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m5.small"]}]);
                let scene = Scene::pair().pool("odd", json!({"template": {"spec": {"requirements": small}}}));
                scene
                    .pod_of("DaemonSet", "d", "a", "100m")
                    .asking("d", json!({"memory": "4Gi"}))
                    .change(|snapshot| snapshot.daemon_sets = None)
            },
            &[Remove(&["a"]), Warn("NodePool odd", "no offering has room for more than its DaemonSets; nothing is")],
        ),
    ),
    (
        56,
        "nor does one that asks for more types than there are",
        Plan(
            || {
                let many =
                    json!([{"key": "node.kubernetes.io/instance-type", "operator": "Exists", "minValues": 4000}]);
                Scene::pair().pool("odd", json!({"template": {"spec": {"requirements": many}}}))
            },
            &[Remove(&["a"]), Warn("NodePool odd", "to choose from as its minValues ask for; nothing is bought in it")],
        ),
    ),
    (57, "a pod that nobody would bring back holds its node", Plan(bare, &[Keep("a", "blocked-by-pods")])),
    (
        57,
        "unless that is asked for",
        Plan(
            || bare().ask(|options| options.aggressive.ignore_problem_pods_without_controller = true),
            &[Remove(&["a"])],
        ),
    ),
    (
        58,
        "reserved capacity takes pods and stays",
        Plan(
            || Scene::alone().node("r", "m5.large").label("Node", "r", "karpenter.sh/capacity-type", "reserved"),
            &[Remove(&["a"]), Move("p", "r"), Keep("r", "committed")],
        ),
    ),
    (
        59,
        "a static NodePool is left alone",
        Plan(
            || Scene::pair().with("NodePool", "general", json!({"spec": {"replicas": 2}})),
            &[Keep("a", "static-pool")],
        ),
    ),
    (
        60,
        "a node with DaemonSet pods only is empty",
        Plan(
            || {
                Scene::new().node("a", "m5.large").pod_of("DaemonSet", "d", "a", "100m").with(
                    "NodePool",
                    "general",
                    json!({"spec": {"disruption": {"consolidationPolicy": "WhenEmpty"}}}),
                )
            },
            &[Remove(&["a"])],
        ),
    ),
    (
        60,
        "a node with others is not",
        Plan(
            || {
                Scene::pair().with(
                    "NodePool",
                    "general",
                    json!({"spec": {"disruption": {"consolidationPolicy": "WhenEmpty"}}}),
                )
            },
            &[Keep("a", "consolidation-off")],
        ),
    ),
    (
        60,
        "a pod that is going holds its node until it is gone, whoever owns it",
        Plan(
            || {
                Scene::new().node("a", "m5.large").pod("p", "a", "1").with(
                    "Pod",
                    "p",
                    json!({"metadata": {"deletionTimestamp": "2026-11-24T11:59:00Z"}}),
                )
            },
            &[Keep("a", "blocked-by-pods")],
        ),
    ),
    (
        61,
        "an empty node that a buffer needs stays",
        Plan(|| Scene::new().node("a", "m5.large").buffer(1), &[Keep("a", "no-cheaper-place")]),
    ),
    (61, "it goes when the buffer does", Plan(|| Scene::new().node("a", "m5.large").buffer(0), &[Remove(&["a"])])),
    (62, "old nodes stay, cordoned, until all new ones are there", Elsewhere(CARRIED_OUT)),
    (63, "what a restart left behind is taken back", Elsewhere(CARRIED_OUT)),
    (
        66,
        "a pod with a claim on a device holds its node: where it could run cannot be told",
        Plan(
            || Scene::pair().with("Pod", "p", json!({"spec": {"resourceClaims": [{"name": "card"}]}})),
            &[Keep("a", "blocked-by-pods")],
        ),
    ),
];

/// `b` with another status of its NodeClaim.
fn receiver(status: serde_json::Value) -> Scene {
    Scene::pair().with("NodeClaim", "b", json!({ "status": status }))
}

fn with_condition(kind: &str) -> serde_json::Value {
    json!({"conditions": [{"type": "Initialized", "status": "True"}, {"type": "Consolidatable", "status": "True"}, {"type": kind, "status": "True"}]})
}

/// `b` of a NodePool with this consolidateAfter, which has not passed.
fn settling(after: &str) -> Scene {
    unsettled(Scene::pair().pool("other", json!({"disruption": {"consolidateAfter": after}})))
}

fn unsettled(scene: Scene) -> Scene {
    scene.label("Node", "b", "karpenter.sh/nodepool", "other").with(
        "NodeClaim",
        "b",
        json!({"status": {"conditions": [{"type": "Initialized", "status": "True"}]}}),
    )
}

/// `p` on `a` and `q` on `b`, at most one more in one zone than in the other.
fn spread(scene: Scene) -> Scene {
    let constraint = json!({"spec": {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"set": "s"}}}]}});
    let mut scene = scene.pod("p", "a", "1").pod("q", "b", "1");
    for pod in ["p", "q"] {
        scene = scene.label("Pod", pod, "set", "s").with("Pod", pod, constraint.clone());
    }
    scene
}

fn repels(app: &str) -> serde_json::Value {
    json!({"spec": {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": {"app": app}}}]}}}})
}

fn local_disk() -> Scene {
    Scene::pair().volume(
        "p",
        json!({"local": {"path": "/disk"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": ["a"]}]}]}}}),
    )
}

fn bare() -> Scene {
    Scene::pair().with("Pod", "p", json!({"metadata": {"ownerReferences": []}}))
}
