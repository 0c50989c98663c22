//! What a cluster looks like at one moment.

use kentroller_planner::Money;
use kentroller_tests::rest::Api;
use serde_json::{Value, json};

pub const SCHEDULES: &str = "/apis/autoscaling.cast.ai/v1alpha/rebalanceplanschedules";
pub const CLAIMS: &str = "/apis/autoscaling.cast.ai/v1alpha/rebalanceplanclaims";
pub const PLANS: &str = "/apis/autoscaling.cast.ai/v1alpha/rebalanceplans";
pub const NODES: &str = "/api/v1/nodes";
pub const NODE_POOLS: &str = "/apis/karpenter.sh/v1/nodepools";
pub const NODE_CLAIMS: &str = "/apis/karpenter.sh/v1/nodeclaims";
/// Where `drift` puts its workloads.
pub const WORKLOADS: &str = "drifted";

/// An object of ours.
pub fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A field as text; empty when it is not there.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Whether a condition of the object is True.
pub fn is(object: &Value, condition: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|one| one["type"] == condition && one["status"] == "True")
}

/// A key of a map, which may hold slashes.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

/// What all nodes cost an hour, by the price that the provider puts on each.
pub async fn price(admin: &Api) -> Money {
    let nodes = admin.list(NODES).await;
    let price = |node: &Value| {
        let text =
            label(node, "eks-node-viewer/instance-price").unwrap_or_else(|| panic!("{} has no price", name(node)));
        Money::parse(text).unwrap_or_else(|| panic!("{}: {text}", name(node)))
    };
    nodes.iter().map(price).sum()
}

/// Pods that do not run, with what is the matter.
pub async fn pods_not_running(admin: &Api) -> Vec<String> {
    let pods = admin.list(&format!("/api/v1/namespaces/{WORKLOADS}/pods")).await;
    let idle = pods.iter().filter(|pod| text(pod, "/status/phase") != "Running" || !is(pod, "Ready"));
    idle.map(|pod| format!("{} is {}", name(pod), text(pod, "/status/phase"))).collect()
}

/// Deployments that lack a pod.
pub async fn deployments_not_whole(admin: &Api) -> Vec<String> {
    let all = admin.list(&format!("/apis/apps/v1/namespaces/{WORKLOADS}/deployments")).await;
    assert!(!all.is_empty(), "there are no workloads");
    let count = |one: &Value, pointer: &str| one.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let short = all.iter().filter(|one| count(one, "/status/readyReplicas") != count(one, "/spec/replicas"));
    short
        .map(|one| {
            format!("{}: {} ready of {}", name(one), count(one, "/status/readyReplicas"), one["spec"]["replicas"])
        })
        .collect()
}

/// Whatever a plan put on nodes and NodeClaims, and on itself.
pub async fn marks(admin: &Api) -> Vec<String> {
    let mut found = Vec::new();
    for path in [NODES, NODE_CLAIMS, PLANS] {
        for object in admin.list(path).await {
            let mut marked = |what: &str| found.push(format!("{} {what}", name(&object)));
            let metadata = &object["metadata"];
            for at in ["labels", "annotations", "finalizers"] {
                let written = metadata[at].to_string();
                // Which plan made a node is known for good; all else is for the time of the plan.
                let marks = [
                    "rebalancing.cast.ai/plan",
                    "rebalancing.cast.ai/cordoned-by",
                    "rebalancing.cast.ai/status",
                    "karpenter.sh/do-not-disrupt",
                ];
                if marks.iter().any(|mark| written.contains(mark)) {
                    marked(&written);
                }
            }
            if object["spec"]["unschedulable"] == true {
                marked("is cordoned");
            }
            // A NodeClaim goes on telling with which taints its node came.
            if path == NODES && object["spec"]["taints"].to_string().contains("rebalancing.cast.ai/") {
                marked("is tainted");
            }
        }
    }
    found
}
