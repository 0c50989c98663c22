//! Claims 15 to 43: what must not be touched, and how much at once.

use serde_json::json;

use super::Held::{Elsewhere, Plan};
use super::Row;
use crate::scene::Must::{Keep, Remove};
use crate::scene::Scene;

const PROTECTED: &str = "karpenter.sh/do-not-disrupt";
const COUNTED: &str = "how many nodes may go at once is counted before each step that is carried out, with Karpenter's rule; \
                       a plan only leaves alone what may not go at all";
const WATCHED: &str = "what happens after planning is the business of whoever carries a plan out: each wave is judged again \
                       before its first step, and what changed stops it";

pub(super) const ROWS: &[Row] = &[
    (
        15,
        "a protected node stays",
        Plan(|| Scene::alone().annotate("Node", "a", PROTECTED, "true"), &[Keep("a", "do-not-disrupt")]),
    ),
    (15, "one that is not goes", Plan(Scene::pair, &[Remove(&["a"])])),
    (
        16,
        "a protected pod holds its node",
        Plan(|| Scene::pair().annotate("Pod", "p", PROTECTED, "true"), &[Keep("a", "blocked-by-pods")]),
    ),
    (
        17,
        "a pod protected for two hours holds its node after one",
        Plan(|| Scene::pair().annotate("Pod", "p", PROTECTED, "2h"), &[Keep("a", "blocked-by-pods")]),
    ),
    (
        17,
        "a pod protected for half an hour lets go after one",
        Plan(|| Scene::pair().annotate("Pod", "p", PROTECTED, "30m"), &[Remove(&["a"])]),
    ),
    (
        17,
        "a pod that has not started is protected all the while",
        Plan(
            || {
                Scene::pair().annotate("Pod", "p", PROTECTED, "30m").with(
                    "Pod",
                    "p",
                    json!({"status": {"startTime": null}}),
                )
            },
            &[Keep("a", "blocked-by-pods")],
        ),
    ),
    (
        18,
        "of several spans the longest counts",
        Plan(
            || {
                Scene::pair()
                    .pod("p2", "a", "100m")
                    .annotate("Pod", "p", PROTECTED, "30m")
                    .annotate("Pod", "p2", PROTECTED, "2h")
            },
            &[Keep("a", "blocked-by-pods")],
        ),
    ),
    (
        19,
        "a span that cannot be read protects nobody",
        Plan(|| Scene::pair().annotate("Pod", "p", PROTECTED, "soon"), &[Remove(&["a"])]),
    ),
    (
        19,
        "nor does one below nothing",
        Plan(|| Scene::pair().annotate("Pod", "p", PROTECTED, "-2h"), &[Remove(&["a"])]),
    ),
    (20, "`false` protects no pod", Plan(|| Scene::pair().annotate("Pod", "p", PROTECTED, "false"), &[Remove(&["a"])])),
    (
        20,
        "`false` protects no node",
        Plan(|| Scene::pair().annotate("Node", "a", PROTECTED, "false"), &[Remove(&["a"])]),
    ),
    (
        21,
        "a protected DaemonSet pod holds its node",
        Plan(|| resident("DaemonSet").annotate("Pod", "d", PROTECTED, "true"), &[Keep("a", "blocked-by-pods")]),
    ),
    (
        21,
        "a protected static pod holds its node",
        Plan(|| resident("Node").annotate("Pod", "d", PROTECTED, "true"), &[Keep("a", "blocked-by-pods")]),
    ),
    (
        21,
        "a protected DaemonSet pod that is going does not",
        Plan(
            || {
                resident("DaemonSet").annotate("Pod", "d", PROTECTED, "true").with(
                    "Pod",
                    "d",
                    json!({"metadata": {"deletionTimestamp": "2026-11-24T11:59:00Z"}}),
                )
            },
            &[Remove(&["a"])],
        ),
    ),
    (
        21,
        "a protected pod that has ended does not",
        Plan(
            || {
                Scene::pair().pod("d", "a", "100m").annotate("Pod", "d", PROTECTED, "true").with(
                    "Pod",
                    "d",
                    json!({"status": {"phase": "Succeeded"}}),
                )
            },
            &[Remove(&["a"])],
        ),
    ),
    (
        22,
        "a budget that allows no eviction holds the node",
        Plan(|| Scene::pair().pdb("one", "apps", "p", json!({})), &[Keep("a", "blocked-by-pods")]),
    ),
    (
        22,
        "one that allows some does not",
        Plan(|| Scene::pair().pdb("one", "apps", "p", json!({"status": {"disruptionsAllowed": 1}})), &[Remove(&["a"])]),
    ),
    (
        23,
        "a budget of another namespace says nothing",
        Plan(|| Scene::pair().pdb("one", "other", "p", json!({})), &[Remove(&["a"])]),
    ),
    (
        24,
        "AlwaysAllow lets a pod go that is not ready",
        Plan(
            || {
                Scene::pair()
                    .pdb("one", "apps", "p", json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}))
                    .with("Pod", "p", json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}))
            },
            &[Remove(&["a"])],
        ),
    ),
    (
        24,
        "AlwaysAllow keeps a pod that is ready",
        Plan(
            || Scene::pair().pdb("one", "apps", "p", json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}})),
            &[Keep("a", "blocked-by-pods")],
        ),
    ),
    (
        25,
        "two budgets over one pod hold it, whatever they allow",
        Plan(
            || {
                let some = || json!({"status": {"disruptionsAllowed": 1}});
                Scene::pair().pdb("one", "apps", "p", some()).pdb("two", "apps", "p", some())
            },
            &[Keep("a", "blocked-by-pods")],
        ),
    ),
    (
        26,
        "a budget over a DaemonSet pod holds the node",
        Plan(|| resident("DaemonSet").pdb("one", "apps", "d", json!({})), &[Keep("a", "blocked-by-pods")]),
    ),
    (
        26,
        "a budget over a static pod does not",
        Plan(|| resident("Node").pdb("one", "apps", "d", json!({})), &[Remove(&["a"])]),
    ),
    (
        26,
        "a budget over a pod that has ended does not",
        Plan(
            || {
                Scene::pair().pod("d", "a", "100m").pdb("one", "apps", "d", json!({})).with(
                    "Pod",
                    "d",
                    json!({"status": {"phase": "Failed"}}),
                )
            },
            &[Remove(&["a"])],
        ),
    ),
    (
        27,
        "a terminationGracePeriod unlocks nothing",
        Plan(
            || {
                Scene::pair().pdb("one", "apps", "p", json!({})).with(
                    "NodePool",
                    "general",
                    json!({"spec": {"template": {"spec": {"terminationGracePeriod": "1m"}}}}),
                )
            },
            &[Keep("a", "blocked-by-pods")],
        ),
    ),
    (
        28,
        "a node without a NodeClaim stays",
        Plan(
            || Scene::pair().with("NodeClaim", "a", json!({"status": {"nodeName": "gone"}})),
            &[Keep("a", "not-karpenter")],
        ),
    ),
    (
        28,
        "a node that is not initialized stays",
        Plan(
            || Scene::pair().with("NodeClaim", "a", json!({"status": {"conditions": []}})),
            &[Keep("a", "not-initialized")],
        ),
    ),
    (
        28,
        "a node that is being deleted is not removed again",
        Plan(
            || Scene::pair().with("NodeClaim", "a", json!({"metadata": {"deletionTimestamp": "2026-11-24T11:59:00Z"}})),
            &[Keep("a", "deleting")],
        ),
    ),
    (
        28,
        "a node that Karpenter is about to remove is left to it",
        Plan(
            || {
                Scene::pair().with(
                    "Node",
                    "a",
                    json!({"spec": {"taints": [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]}}),
                )
            },
            &[Keep("a", "in-use")],
        ),
    ),
    (
        28,
        "so is one of its queue",
        Plan(
            || {
                let conditions = json!([{"type": "Initialized", "status": "True"}, {"type": "Consolidatable", "status": "True"},
                    {"type": "DisruptionReason", "status": "True"}]);
                Scene::pair().with("NodeClaim", "a", json!({"status": {"conditions": conditions}}))
            },
            &[Keep("a", "in-use")],
        ),
    ),
    (
        28,
        "a node of a NodePool that is not there stays",
        Plan(|| Scene::pair().label("Node", "a", "karpenter.sh/nodepool", "gone"), &[Keep("a", "not-karpenter")]),
    ),
    (
        28,
        "a node of no NodePool stays",
        Plan(|| Scene::pair().unlabel("a", "karpenter.sh/nodepool"), &[Keep("a", "not-karpenter")]),
    ),
    (
        29,
        "a node without a capacity type has no price",
        Plan(|| Scene::pair().unlabel("a", "karpenter.sh/capacity-type"), &[Keep("a", "price-unknown")]),
    ),
    (
        29,
        "nor has one without a type",
        Plan(|| Scene::pair().unlabel("a", "node.kubernetes.io/instance-type"), &[Keep("a", "price-unknown")]),
    ),
    (
        29,
        "nor has one without a zone where others have one",
        Plan(|| Scene::pair().unlabel("a", "topology.kubernetes.io/zone"), &[Keep("a", "price-unknown")]),
    ),
    (30, "a budget in nodes caps how many go", Elsewhere(COUNTED)),
    (31, "a budget in percent is rounded up", Elsewhere(COUNTED)),
    (32, "a budget of nothing keeps the node", Plan(|| budgets(json!([{"nodes": "0"}])), &[Keep("a", "budget-zero")])),
    (32, "a budget of all frees it", Plan(|| budgets(json!([{"nodes": "100%"}])), &[Remove(&["a"])])),
    (
        32,
        "a budget that cannot be read keeps it",
        Plan(|| budgets(json!([{"nodes": "few"}])), &[Keep("a", "budget-zero")]),
    ),
    (
        32,
        "a budget for empty nodes is none for others",
        Plan(|| budgets(json!([{"nodes": "0", "reasons": ["Empty"]}])), &[Remove(&["a"])]),
    ),
    (
        32,
        "a budget whose window is open counts",
        Plan(
            || budgets(json!([{"nodes": "0", "schedule": "0 9 * * *", "duration": "8h"}])),
            &[Keep("a", "budget-zero")],
        ),
    ),
    (
        32,
        "a budget whose window is shut does not",
        Plan(|| budgets(json!([{"nodes": "0", "schedule": "0 13 * * *", "duration": "8h"}])), &[Remove(&["a"])]),
    ),
    (
        33,
        "the budget of another NodePool says nothing",
        Plan(|| Scene::pair().pool("other", json!({"disruption": {"budgets": [{"nodes": "0"}]}})), &[Remove(&["a"])]),
    ),
    (
        34,
        "of several budgets the strictest counts",
        Plan(|| budgets(json!([{"nodes": "50%"}, {"nodes": "0"}])), &[Keep("a", "budget-zero")]),
    ),
    (35, "nodes that are NotReady or go use the budget up", Elsewhere(COUNTED)),
    (36, "a budget is never below nothing", Elsewhere(COUNTED)),
    (37, "nodes that are not Karpenter's, not initialized or ending are not counted", Elsewhere(COUNTED)),
    (38, "work under way uses the budget up", Elsewhere(COUNTED)),
    (39, "what a budget held up is tried again", Elsewhere(COUNTED)),
    (40, "pods that come and go before the first step cancel it", Elsewhere(WATCHED)),
    (41, "so does a pod that may not be moved", Elsewhere(WATCHED)),
    (42, "so does another best type", Elsewhere(WATCHED)),
    (43, "when a large move fails a small one is still made", Elsewhere(WATCHED)),
];

fn resident(owner: &str) -> Scene {
    Scene::pair().pod_of(owner, "d", "a", "100m")
}

fn budgets(budgets: serde_json::Value) -> Scene {
    Scene::pair().with("NodePool", "general", json!({"spec": {"disruption": {"budgets": budgets}}}))
}
