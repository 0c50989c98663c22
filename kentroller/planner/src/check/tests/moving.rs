//! Where pods may go: each rule of the scheduler, kept and broken.
use serde_json::json;

use super::{
    judged,
    scene::{patch, read, step},
};

#[test]
fn a_pod_goes_only_where_its_requests_fit() {
    judged(&[
        ("cpu that just fits, without a reserve", |s| { s.request("a1", "cpu", "1330m"); s.options.reserve = crate::Percent::whole(0); }, &[]),
        ("cpu that just fits leaves no reserve", |s| s.request("a1", "cpu", "1330m"), &["reserve"]),
        ("a milli-cpu too much", |s| { s.request("a1", "cpu", "1331m"); s.options.reserve = crate::Percent::whole(0); }, &["no-room", "reserve"]),
        ("memory", |s| s.request("a1", "memory", "6300Mi"), &["no-room", "reserve"]),
        ("an extended resource that the node lacks", |s| s.request("a1", "example.com/fpga", "1"), &["no-room"]),
        ("an extended resource that the node has", |s| {
            s.request("a1", "example.com/fpga", "1");
            for node in ["a", "b"] { s.node(node).status.allocatable.insert("example.com/fpga".into(), read(json!("1"))); }
        }, &[]),
        ("pods count", |s| { s.node("b").status.allocatable.insert("pods".into(), read(json!("2"))); }, &["no-room"]),
        ("an init container that needs more than the rest", |s| {
            patch(&mut s.pod("a1").spec, json!({"initContainers": [{"name": "i", "resources": {"requests": {"cpu": "1400m"}}}]}));
        }, &["no-room", "reserve"]),
        ("an init container that needs less than the rest", |s| {
            patch(&mut s.pod("a1").spec, json!({"initContainers": [{"name": "i", "resources": {"requests": {"cpu": "400m"}}}]}));
        }, &[]),
        ("a sidecar adds to the rest", |s| {
            patch(&mut s.pod("a1").spec, json!({"initContainers": [
                {"name": "i", "restartPolicy": "Always", "resources": {"requests": {"cpu": "900m"}}}]}));
        }, &["no-room", "reserve"]),
        ("an init container runs beside the sidecars before it", |s| {
            patch(&mut s.pod("a1").spec, json!({"initContainers": [
                {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "300m"}}},
                {"name": "i", "resources": {"requests": {"cpu": "1100m"}}}]}));
        }, &["no-room", "reserve"]),
        ("an init container before the sidecars runs alone", |s| {
            patch(&mut s.pod("a1").spec, json!({"initContainers": [
                {"name": "i", "resources": {"requests": {"cpu": "1100m"}}},
                {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "300m"}}}]}));
        }, &[]),
        ("overhead", |s| patch(&mut s.pod("a1").spec, json!({"overhead": {"cpu": "900m"}})), &["no-room", "reserve"]),
        ("pod-level resources replace the sum of the containers", |s| {
            patch(&mut s.pod("a1").spec, json!({"resources": {"requests": {"cpu": "1400m"}}}));
        }, &["no-room", "reserve"]),
        ("a smaller pod-level request", |s| {
            s.request("a1", "cpu", "1400m");
            patch(&mut s.pod("a1").spec, json!({"resources": {"requests": {"cpu": "500m"}}}));
        }, &[]),
        ("a limit stands in for a request", |s| {
            patch(&mut s.pod("a1").spec, json!({"containers": [{"name": "main", "resources": {"limits": {"cpu": "1400m"}}}]}));
        }, &["no-room", "reserve"]),
        ("what a pod holds after an in-place resize counts", |s| {
            patch(&mut s.pod("b1").status, json!({"containerStatuses": [{"name": "main", "resources": {"requests": {"cpu": "1400m"}}}]}));
        }, &["no-room", "reserve"]),
        ("the pod that moves into the room of one that left before it", |s| {
            s.request("b1", "cpu", "1500m");
            s.wave(1).moves.insert(0, step("b1", "b", "c"));
        }, &[]),
        ("the order of moves counts", |s| {
            s.request("b1", "cpu", "1500m");
            s.wave(1).moves.push(step("b1", "b", "c"));
        }, &["no-room"]),
        ("finished pods take no room", |s| { s.add_pod("b2", "b", "ReplicaSet", json!({"containers": [
            {"name": "main", "resources": {"requests": {"cpu": "1300m"}}}]})); s.pod("b2").status.phase = "Succeeded".into(); }, &[]),
    ]);
}

#[test]
fn a_pod_goes_only_where_taints_and_selectors_allow() {
    judged(&[
        ("a cordoned node", |s| s.node("b").spec.unschedulable = true, &["taint"]),
        ("a cordoned node that the pod tolerates", |s| {
            s.node("b").spec.unschedulable = true;
            patch(&mut s.pod("a1").spec, json!({"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]}));
        }, &[]),
        ("a taint", |s| s.node("b").spec.taints.push(read(json!({"key": "k", "value": "v", "effect": "NoSchedule"}))), &["taint"]),
        ("a NoExecute taint", |s| s.node("b").spec.taints.push(read(json!({"key": "k", "effect": "NoExecute"}))), &["taint"]),
        ("a taint of an unknown effect", |s| {
            s.node("b").spec.taints.push(read(json!({"key": "k", "effect": "NoWay"})));
            patch(&mut s.pod("a1").spec, json!({"tolerations": [{"operator": "Exists"}]}));
        }, &["taint"]),
        ("a soft taint", |s| s.node("b").spec.taints.push(read(json!({"key": "k", "effect": "PreferNoSchedule"}))), &[]),
        ("a taint tolerated by value", |s| {
            s.node("b").spec.taints.push(read(json!({"key": "k", "value": "v", "effect": "NoSchedule"})));
            patch(&mut s.pod("a1").spec, json!({"tolerations": [{"key": "k", "value": "v"}]}));
        }, &[]),
        ("a taint of another value", |s| {
            s.node("b").spec.taints.push(read(json!({"key": "k", "value": "v", "effect": "NoSchedule"})));
            patch(&mut s.pod("a1").spec, json!({"tolerations": [{"key": "k", "value": "w"}]}));
        }, &["taint"]),
        ("a nodeSelector that holds", |s| patch(&mut s.pod("a1").spec, json!({"nodeSelector": {"team": "web"}})), &[]),
        ("a nodeSelector that does not", |s| patch(&mut s.pod("a1").spec, json!({"nodeSelector": {"kubernetes.io/hostname": "a"}})), &["node-selector"]),
        ("a required term that holds", |s| patch(&mut s.pod("a1").spec, affinity(json!([
            {"matchExpressions": [{"key": "gone", "operator": "Exists"}]},
            {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["r1b"]}]}]))), &[]),
        ("a required term that does not", |s| patch(&mut s.pod("a1").spec, affinity(json!([
            {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["r1b"]}]}]))), &["node-selector"]),
        ("a term without anything matches no node", |s| patch(&mut s.pod("a1").spec, affinity(json!([{}]))), &["node-selector"]),
        ("a field that names the node", |s| patch(&mut s.pod("a1").spec, affinity(json!([
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]))), &[]),
        ("an operator that nobody knows", |s| patch(&mut s.pod("a1").spec, affinity(json!([
            {"matchExpressions": [{"key": "team", "operator": "Near", "values": ["x"]}]}]))), &["constraint-unknown"]),
        ("Gt on a label of the type", |s| patch(&mut s.pod("d1").spec, affinity(json!([
            {"matchExpressions": [{"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["3"]}]}]))), &[]),
        ("Gt that the new node does not reach", |s| patch(&mut s.pod("d1").spec, affinity(json!([
            {"matchExpressions": [{"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["4"]}]}]))), &["node-selector"]),
        ("a label of the new node that cannot be told", |s| patch(&mut s.pod("d1").spec, affinity(json!([
            {"matchExpressions": [{"key": "karpenter.k8s.aws/instance-local-nvme", "operator": "DoesNotExist"}]}]))),
            &["constraint-unknown", "node-selector"]),
        ("a host port that is free", |s| { port("a1", s, 80); port("c1", s, 80); }, &[]),
        ("a host port that is taken", |s| { port("a1", s, 80); port("b1", s, 80); }, &["host-port"]),
        ("a host port of the new node's DaemonSet", |s| {
            port("d1", s, 9100);
            patch(&mut s.snapshot.daemon_sets.as_mut().unwrap()[0].spec.template.spec, json!({"containers": [
                {"name": "agent", "ports": [{"hostPort": 9100}], "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}]}));
        }, &["host-port"]),
    ]);
}

fn port(pod: &str, scene: &mut super::Scene, port: i32) {
    scene.shape(pod).containers[0].ports.push(read(json!({"hostPort": port})));
}

fn affinity(terms: serde_json::Value) -> serde_json::Value {
    json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
}

fn pods(kind: &str, key: &str, app: &str) -> serde_json::Value {
    json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}]}}})
}

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

#[test]
fn a_pod_goes_only_where_other_pods_allow() {
    judged(&[
        ("anti-affinity to a pod that is there", |s| patch(&mut s.pod("a1").spec, pods("podAntiAffinity", HOST, "web")), &["pod-anti-affinity"]),
        ("anti-affinity to a pod elsewhere", |s| {
            s.label_pod("c1", "app", "db");
            patch(&mut s.pod("a1").spec, pods("podAntiAffinity", ZONE, "db"));
        }, &[]),
        ("anti-affinity to a pod in the zone", |s| {
            s.label_pod("b1", "app", "db");
            patch(&mut s.pod("a1").spec, pods("podAntiAffinity", ZONE, "db"));
        }, &["pod-anti-affinity"]),
        ("anti-affinity of a pod that is there already", |s| patch(&mut s.pod("b1").spec, pods("podAntiAffinity", HOST, "web")), &["pod-anti-affinity"]),
        ("anti-affinity of a pod of another namespace", |s| {
            s.pod("b1").metadata.namespace = "other".into();
            patch(&mut s.pod("b1").spec, pods("podAntiAffinity", HOST, "web"));
        }, &[]),
        ("anti-affinity of a pod that leaves first", |s| {
            patch(&mut s.pod("b1").spec, pods("podAntiAffinity", HOST, "web"));
            s.wave(1).moves.insert(0, step("b1", "b", "d"));
            s.request("b1", "cpu", "100m");
            s.wave(2).moves.insert(0, step("b1", "d", "c"));
        }, &["pod-anti-affinity"]),
        ("affinity to a pod that is there", |s| {
            s.label_pod("b1", "app", "db");
            patch(&mut s.pod("a1").spec, pods("podAffinity", HOST, "db"));
        }, &[]),
        ("affinity to a pod elsewhere", |s| {
            s.label_pod("c1", "app", "db");
            patch(&mut s.pod("a1").spec, pods("podAffinity", HOST, "db"));
        }, &["pod-affinity"]),
        ("affinity to itself, the last of its kind", |s| {
            s.label_pod("a1", "app", "solo");
            patch(&mut s.pod("a1").spec, pods("podAffinity", HOST, "solo"));
        }, &[]),
        ("affinity to nobody", |s| patch(&mut s.pod("a1").spec, pods("podAffinity", HOST, "ghost")), &["pod-affinity"]),
        ("affinity over a key that the node lacks", |s| patch(&mut s.pod("a1").spec, pods("podAffinity", "rack", "web")), &["pod-affinity"]),
        ("a namespaceSelector without the namespaces", |s| {
            s.snapshot.namespaces = None;
            patch(&mut s.pod("a1").spec, json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "db"}},
                 "namespaceSelector": {"matchLabels": {"x": "y"}}}]}}}));
        }, &["constraint-unknown"]),
        ("one of a pod that is there", |s| {
            s.snapshot.namespaces = None;
            patch(&mut s.pod("b1").spec, json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "db"}},
                 "namespaceSelector": {"matchLabels": {"x": "y"}}}]}}}));
        }, &["pod-anti-affinity"]),
        ("mismatchLabelKeys: pods of the same value are left alone", |s| {
            patch(&mut s.pod("a1").spec, json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": HOST, "labelSelector": {}, "mismatchLabelKeys": ["tenant"]}]}}}));
            for pod in ["a1", "b1", "agent-b"] { s.label_pod(pod, "tenant", "t1"); }
        }, &[]),
        ("mismatchLabelKeys: pods of another value repel", |s| {
            patch(&mut s.pod("a1").spec, json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": HOST, "labelSelector": {}, "mismatchLabelKeys": ["tenant"]}]}}}));
            for pod in ["a1", "agent-b"] { s.label_pod(pod, "tenant", "t1"); }
            s.label_pod("b1", "tenant", "t2");
        }, &["pod-anti-affinity"]),
    ]);
}

fn spread(key: &str, skew: i32, more: serde_json::Value) -> serde_json::Value {
    let mut one = json!({"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}});
    for (name, value) in more.as_object().unwrap() {
        one[name] = value.clone();
    }
    json!({"topologySpreadConstraints": [one]})
}

#[test]
fn a_pod_goes_only_where_its_spread_allows() {
    // Pods of app web: a1, b1 and d1 in zone r1a, c1 in r1b; one on each node.
    judged(&[
        ("by zone, within the skew", |s| patch(&mut s.pod("a1").spec, spread(ZONE, 2, json!({}))), &[]),
        ("by zone, broken already: staying in the crowded zone is refused", |s| patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({}))), &["spread"]),
        ("by zone, broken already: going to the other zone", |s| {
            patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({})));
            s.wave(1).moves[0].to = "c".into();
        }, &[]),
        ("ScheduleAnyway", |s| patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({"whenUnsatisfiable": "ScheduleAnyway"}))), &[]),
        ("a word that nobody knows", |s| patch(&mut s.pod("a1").spec, spread(ZONE, 9, json!({"whenUnsatisfiable": "Maybe"}))), &["constraint-unknown"]),
        ("minDomains above the domains there are: the least counts 0", |s| patch(&mut s.pod("a1").spec, spread(ZONE, 2, json!({"minDomains": 3}))), &["spread"]),
        ("a key that the node lacks", |s| patch(&mut s.pod("a1").spec, spread("rack", 9, json!({}))), &["spread"]),
        ("by host: the emptied node is a domain with none", |s| patch(&mut s.pod("a1").spec, spread(HOST, 1, json!({}))), &["spread"]),
        ("by host, skew 2", |s| patch(&mut s.pod("a1").spec, spread(HOST, 2, json!({}))), &[]),
        ("nodes that its selector excludes are no domains", |s| {
            patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({})));
            patch(&mut s.pod("a1").spec, json!({"nodeSelector": {ZONE: "r1a"}}));
        }, &[]),
        ("unless the policy ignores the selector", |s| {
            patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({"nodeAffinityPolicy": "Ignore"})));
            patch(&mut s.pod("a1").spec, json!({"nodeSelector": {ZONE: "r1a"}}));
        }, &["spread"]),
        ("tainted nodes count unless the policy honours taints", |s| {
            patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({})));
            s.node("c").spec.taints.push(read(json!({"key": "k", "effect": "NoSchedule"})));
        }, &["spread"]),
        ("with Honor they do not", |s| {
            patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({"nodeTaintsPolicy": "Honor"})));
            s.node("c").spec.taints.push(read(json!({"key": "k", "effect": "NoSchedule"})));
        }, &[]),
        ("matchLabelKeys narrow what counts", |s| {
            patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({"matchLabelKeys": ["version"]})));
            s.label_pod("a1", "version", "2");
        }, &[]),
        ("pods that are being deleted do not count", |s| {
            patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({})));
            s.pod("b1").metadata.deletion_timestamp = Some(crate::Moment(1));
        }, &[]),
        ("a new node in an emptier domain", |s| {
            patch(&mut s.pod("d1").spec, spread(HOST, 1, json!({})));
            s.bought().alternatives.clear();
        }, &[]),
    ]);
}

#[test]
fn a_pod_goes_only_where_its_volumes_are() {
    judged(&[
        ("the zone of its volume", |s| s.mount("a1", "data", "r1a"), &[]),
        ("another zone", |s| { s.mount("a1", "data", "r1a"); s.wave(1).moves[0].to = "c".into(); }, &["volume-place"]),
        ("a new node in the zone of its volume", |s| s.mount("d1", "data", "r1a"), &[]),
        ("a new node in another zone", |s| s.mount("d1", "data", "r1b"), &["volume-place"]),
        ("a claim that is not in the dump", |s| { s.mount("a1", "data", "r1a"); s.snapshot.persistent_volume_claims.clear(); }, &["volume-unknown"]),
        ("a claim whose volume is not in the dump", |s| { s.mount("a1", "data", "r1a"); s.snapshot.persistent_volumes.clear(); }, &["volume-unknown"]),
        ("a local volume", |s| {
            s.mount("a1", "data", "r1a");
            patch(&mut s.snapshot.persistent_volumes[0].spec, json!({"local": {"path": "/x"}}));
        }, &["local-volume"]),
        ("a local volume that may be lost", |s| {
            s.mount("a1", "data", "r1a");
            patch(&mut s.snapshot.persistent_volumes[0].spec, json!({"hostPath": {"path": "/x"}}));
            s.options.aggressive.ignore_local_persistent_volumes = true;
        }, &[]),
        ("with the flag the pod may also go without a place", |s| {
            s.mount("a1", "data", "r1a");
            patch(&mut s.snapshot.persistent_volumes[0].spec, json!({"local": {"path": "/x"}}));
            s.options.aggressive.ignore_local_persistent_volumes = true;
            s.wave(1).moves.clear();
        }, &[]),
        ("as many volumes as the node attaches", |s| {
            s.mount("a1", "data", "r1a");
            s.snapshot.csi_nodes.push(csi("b", 1));
        }, &[]),
        ("a volume too many", |s| {
            s.mount("a1", "data", "r1a");
            s.mount("b1", "logs", "r1a");
            s.snapshot.csi_nodes.push(csi("b", 1));
        }, &["attach-limit"]),
        ("a new node attaches what live nodes of any type do at least", |s| {
            s.mount("d1", "data", "r1a");
            s.mount("d1", "logs", "r1a");
            s.snapshot.csi_nodes.push(csi("c", 1));
        }, &["attach-limit"]),
    ]);
}

fn csi(node: &str, count: i64) -> crate::manifest::CsiNode {
    read(json!({"metadata": {"name": node}, "spec": {"drivers": [{"name": "ebs.csi.aws.com", "allocatable": {"count": count}}]}}))
}

#[test]
fn pods_go_only_to_nodes_that_stay_and_serve() {
    judged(&[
        ("a node that is being deleted", |s| s.node("b").metadata.deletion_timestamp = Some(crate::Moment(1)), &["receiver"]),
        ("a node whose claim is being deleted", |s| s.claim("b").metadata.deletion_timestamp = Some(crate::Moment(1)), &["receiver"]),
        ("a drifted node", |s| patch(&mut s.claim("b").status, json!({"conditions": [
            {"type": "Initialized", "status": "True"}, {"type": "Drifted", "status": "True"}]})), &["receiver"]),
        ("a node that expires within two days", |s| s.claim("b").spec.expire_after = Some("100h".into()), &["receiver"]),
        ("a node that never expires", |s| s.claim("b").spec.expire_after = Some("Never".into()), &[]),
        ("a node that is not ready", |s| patch(&mut s.node("b").status, json!({"conditions": [{"type": "Ready", "status": "False"}]})), &["receiver"]),
        ("a node that is not initialized", |s| {
            std::sync::Arc::make_mut(&mut s.node("b").metadata.labels).remove("karpenter.sh/initialized");
            s.claim("b").status.conditions.clear();
        }, &["receiver"]),
        ("a node of nobody", |s| {
            let labels = std::sync::Arc::make_mut(&mut s.node("b").metadata.labels);
            labels.retain(|key, _| !key.starts_with("karpenter"));
            s.snapshot.node_claims.retain(|claim| claim.status.node_name != "b");
        }, &[]),
        ("a node of another autoscaler", |s| {
            let labels = std::sync::Arc::make_mut(&mut s.node("b").metadata.labels);
            labels.retain(|key, _| !key.starts_with("karpenter"));
            s.snapshot.node_claims.retain(|claim| claim.status.node_name != "b");
            s.node("b").metadata.annotations.insert("cluster-autoscaler.kubernetes.io/scale-down-disabled".into(), "true".into());
        }, &["receiver"]),
        ("a node at risk", |s| s.label_node("b", "autoscaling.cast.ai/predicted-interruption", "true"), &["receiver"]),
        ("a Windows node", |s| s.label_node("b", "kubernetes.io/os", "windows"), &["receiver"]),
        ("a node that other work holds", |s| { s.options.reserved_nodes.insert("b".into()); }, &["receiver"]),
        ("a node that this wave removes", |s| {
            s.wave(1).moves = vec![step("a1", "a", "d")];
            s.wave(1).remove.push("d".into());
        }, &["bought-unused", "duplicate", "not-empty", "not-movable", "receiver", "sum", "taint"]),
    ]);
}
