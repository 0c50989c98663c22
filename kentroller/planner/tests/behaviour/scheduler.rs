//! The scheduler's rules, each as scenes in which it lets a pod move or does not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::scene::Must::{Buy, Keep, Move, Remove};
use crate::scene::{Must, Scene, read, shown};

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
const MOVES: &[Must] = &[Remove(&["a"]), Move("p", "b")];
const STAYS: &[Must] = &[Remove(&[])];
const HELD: &[Must] = &[Keep("a", "blocked-by-pods")];

fn pod(spec: Value) -> Scene {
    Scene::pair().with("Pod", "p", json!({ "spec": spec }))
}

#[test]
fn taints_keep_out_who_does_not_tolerate_them() {
    let tainted = |effect: &str| {
        Scene::pair().with("Node", "b", json!({"spec": {"taints": [{"key": "team", "value": "x", "effect": effect}]}}))
    };
    let tolerating =
        |toleration: Value| tainted("NoSchedule").with("Pod", "p", json!({"spec": {"tolerations": [toleration]}}));
    let pool = |kind: &str| {
        let taint = json!([{"key": "team", "value": "x", "effect": "NoSchedule"}]);
        Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m").with(
            "NodePool",
            "general",
            json!({"spec": {"template": {"spec": {kind: taint}}}}),
        )
    };
    shown(vec![
        ("no taint", Scene::pair(), MOVES),
        ("NoSchedule", tainted("NoSchedule"), STAYS),
        ("NoExecute", tainted("NoExecute"), STAYS),
        ("PreferNoSchedule", tainted("PreferNoSchedule"), MOVES),
        ("an effect that nobody knows", tainted("NoWay"), STAYS),
        ("Equal, the same value", tolerating(json!({"key": "team", "value": "x"})), MOVES),
        ("Equal, another value", tolerating(json!({"key": "team", "value": "y"})), STAYS),
        ("Exists of the key", tolerating(json!({"key": "team", "operator": "Exists"})), MOVES),
        ("Exists of all", tolerating(json!({"operator": "Exists"})), MOVES),
        ("of another effect", tolerating(json!({"key": "team", "operator": "Exists", "effect": "NoExecute"})), STAYS),
        ("a cordon", Scene::pair().with("Node", "b", json!({"spec": {"unschedulable": true}})), STAYS),
        ("a NodePool's taints keep out", pool("taints"), &[Remove(&[])]),
        ("its startup taints are gone in time", pool("startupTaints"), &[Buy(&["m5.large"])]),
    ]);
}

#[test]
fn a_pod_goes_where_its_selector_and_affinity_say() {
    let labelled = || Scene::pair().label("Node", "b", "disk", "ssd").label("Node", "b", "size", "8");
    let selecting = |value: &str| labelled().with("Pod", "p", json!({"spec": {"nodeSelector": {"disk": value}}}));
    let terms = |terms: Value| {
        let required = json!({"nodeSelectorTerms": terms});
        labelled().with(
            "Pod",
            "p",
            json!({"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}}),
        )
    };
    let one = |key: &str, operator: &str, values: Value| {
        terms(json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]))
    };
    let field = |operator: &str, name: &str| {
        terms(json!([{"matchFields": [{"key": "metadata.name", "operator": operator, "values": [name]}]}]))
    };
    let template = Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m").with(
        "NodePool",
        "general",
        json!({"spec": {"template": {"metadata": {"labels": {"disk": "ssd"}}}}}),
    );
    shown(vec![
        ("nodeSelector", selecting("ssd"), MOVES),
        ("nodeSelector of another value", selecting("hdd"), STAYS),
        (
            "nodeSelector of the pool's labels",
            template.with("Pod", "p", json!({"spec": {"nodeSelector": {"disk": "ssd"}}})),
            &[Buy(&["m5.large"])],
        ),
        ("In", one("disk", "In", json!(["hdd", "ssd"])), MOVES),
        ("In others", one("disk", "In", json!(["hdd"])), STAYS),
        ("NotIn", one("disk", "NotIn", json!(["hdd"])), MOVES),
        ("NotIn its own", one("disk", "NotIn", json!(["ssd"])), STAYS),
        ("NotIn without the label", one("none", "NotIn", json!(["x"])), MOVES),
        ("Exists", one("disk", "Exists", json!([])), MOVES),
        ("Exists without the label", one("none", "Exists", json!([])), STAYS),
        ("DoesNotExist", one("none", "DoesNotExist", json!([])), MOVES),
        ("DoesNotExist with the label", one("disk", "DoesNotExist", json!([])), STAYS),
        ("Gt", one("size", "Gt", json!(["7"])), MOVES),
        ("Gt its own", one("size", "Gt", json!(["8"])), STAYS),
        ("Lt", one("size", "Lt", json!(["9"])), MOVES),
        ("Lt its own", one("size", "Lt", json!(["8"])), STAYS),
        ("an operator that nobody knows", one("disk", "Near", json!(["ssd"])), STAYS),
        (
            "one of two terms",
            terms(
                json!([{"matchExpressions": [{"key": "none", "operator": "Exists"}]}, {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]),
            ),
            MOVES,
        ),
        ("a term of nothing", terms(json!([{}])), STAYS),
        ("a field", field("In", "b"), MOVES),
        ("a field that names another", field("In", "c"), STAYS),
        ("a field that excludes", field("NotIn", "b"), STAYS),
    ]);
}

/// `p` must be near (or not near) pods of an app.
fn company(kind: &str, key: &str, app: &str, more: Value) -> Value {
    let mut term = json!({"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}});
    for (key, value) in more.as_object().expect("an object") {
        term[key] = value.clone();
    }
    json!({"spec": {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}})
}

#[test]
fn pods_keep_to_whom_they_need_and_from_whom_they_avoid() {
    let near = |key: &str, app: &str| Scene::pair().with("Pod", "p", company("podAffinity", key, app, json!({})));
    let far = |key: &str, app: &str| Scene::pair().with("Pod", "p", company("podAntiAffinity", key, app, json!({})));
    let racks = |of_b: &str| far("rack", "q").label("Node", "a", "rack", "1").label("Node", "b", "rack", of_b);
    let elsewhere = |more: Value| {
        let scene = Scene::pair().with("Pod", "q", json!({"metadata": {"namespace": "other"}}));
        scene.with("Pod", "p", company("podAntiAffinity", HOSTNAME, "q", more))
    };
    let versions = |of_q: &str| {
        let scene = Scene::pair().label("Pod", "p", "version", "1").label("Pod", "q", "version", of_q);
        scene.with("Pod", "p", company("podAntiAffinity", HOSTNAME, "q", json!({"matchLabelKeys": ["version"]})))
    };
    shown(vec![
        ("a companion in the zone", near(ZONE, "q"), MOVES),
        (
            "a companion in the zone, and none elsewhere",
            near(ZONE, "q").with("Node", "b", json!({"metadata": {"labels": {ZONE: "r1b"}}})),
            STAYS,
        ),
        ("a companion on a node that stays", near(HOSTNAME, "q"), MOVES),
        ("a companion that is its like, alone of its kind", near(HOSTNAME, "p"), MOVES),
        ("a companion on its own node only", near(HOSTNAME, "r").pod("r", "a", "100m"), HELD),
        ("a companion that is not there", near(HOSTNAME, "ghost"), HELD),
        (
            "companions of two kinds, which must be one pod",
            near(ZONE, "q")
                .with(
                    "Pod",
                    "p",
                    json!({"spec": {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "q"}}},
            {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "r"}}}]}}}}),
                )
                .pod("r", "b", "100m"),
            HELD,
        ),
        ("nobody of an app in the zone", far(ZONE, "q"), STAYS),
        ("nobody of an app that is not there", far(ZONE, "ghost"), MOVES),
        ("nobody of an app on the node", far(HOSTNAME, "q"), STAYS),
        ("nobody of an app in the rack", racks("2"), STAYS),
        (
            "it stays in a rack that it may be in",
            racks("1").with("Pod", "q", json!({"metadata": {"labels": {"app": "s"}}})),
            MOVES,
        ),
        (
            "a pod that is there avoids it",
            Scene::pair().with("Pod", "q", company("podAntiAffinity", HOSTNAME, "p", json!({}))),
            STAYS,
        ),
        ("of another namespace", elsewhere(json!({})), MOVES),
        ("of a namespace that is named", elsewhere(json!({"namespaces": ["other"]})), STAYS),
        ("of every namespace", elsewhere(json!({"namespaceSelector": {}})), STAYS),
        ("matchLabelKeys, the same", versions("1"), STAYS),
        ("matchLabelKeys, another", versions("2"), MOVES),
        (
            "an operator that nobody knows",
            pod(json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": HOSTNAME, "labelSelector": {"matchExpressions": [{"key": "app", "operator": "Near"}]}}]}}})),
            HELD,
        ),
    ]);
}

/// `p` is spread over a key with the pods that carry a label `set`.
fn spread(scene: Scene, key: &str, more: Value) -> Scene {
    let mut constraint = json!({"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"set": "s"}}});
    for (key, value) in more.as_object().expect("an object") {
        constraint[key] = value.clone();
    }
    let scene = scene.label("Pod", "p", "set", "s").label("Pod", "q", "set", "s");
    scene.with("Pod", "p", json!({"spec": {"topologySpreadConstraints": [constraint]}}))
}

#[test]
fn pods_stay_spread() {
    let two_zones = || Scene::pair().with("Node", "b", json!({"metadata": {"labels": {ZONE: "r1b"}}}));
    let third = |scene: Scene| {
        scene.node_in("c", "m5.large", "r1c").pod("z", "c", "1500m").annotate(
            "Node",
            "c",
            "karpenter.sh/do-not-disrupt",
            "true",
        )
    };
    let versions = |of_q: &str| {
        let scene = Scene::pair().label("Pod", "p", "version", "1").label("Pod", "q", "version", of_q);
        spread(third(scene), HOSTNAME, json!({"matchLabelKeys": ["version"]}))
    };
    shown(vec![
        ("within a zone", spread(Scene::pair(), ZONE, json!({})), MOVES),
        ("over zones", spread(two_zones(), ZONE, json!({})), STAYS),
        ("over zones, only a wish", spread(two_zones(), ZONE, json!({"whenUnsatisfiable": "ScheduleAnyway"})), MOVES),
        ("over nodes", spread(Scene::pair(), HOSTNAME, json!({})), STAYS),
        ("a word that nobody knows", spread(Scene::pair(), ZONE, json!({"whenUnsatisfiable": "Perhaps"})), HELD),
        (
            "minDomains that there are",
            spread(third(Scene::pair()), ZONE, json!({"maxSkew": 2, "minDomains": 2})),
            MOVES,
        ),
        ("minDomains beyond those that there are", spread(Scene::pair(), ZONE, json!({"minDomains": 5})), STAYS),
        ("a key that no node has", spread(Scene::pair(), "rack", json!({})), HELD),
        ("a policy that nobody knows", spread(Scene::pair(), ZONE, json!({"nodeTaintsPolicy": "Sometimes"})), HELD),
        ("matchLabelKeys, the same", versions("1"), STAYS),
        ("matchLabelKeys, another", versions("2"), MOVES),
    ]);
}

#[test]
fn a_node_takes_no_more_than_it_has() {
    let card = |scene: Scene| {
        scene.with(
            "Pod",
            "p",
            json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1", "example.com/card": "1"}}}]}}),
        )
    };
    let has = |node: &str, cards: &str| json!({"status": {"allocatable": {"example.com/card": cards}}, "metadata": {"name": node}});
    let carded = |of_b: &str| card(Scene::pair()).with("Node", "a", has("a", "1")).with("Node", "b", has("b", of_b));
    let port = |of_p: Value, of_q: Value| {
        let ports = |port: Value| json!({"spec": {"containers": [{"ports": [port], "resources": {"requests": {"cpu": "600m"}}}]}});
        Scene::pair().with("Pod", "p", ports(of_p)).with("Pod", "q", ports(of_q)).with(
            "NodePool",
            "general",
            json!({"spec": {"limits": {"nodes": "2"}}}),
        )
    };
    let disk = |zone: &str| {
        json!({"csi": {"driver": "ebs.csi.aws.com"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}]}}})
    };
    let attaching = |count: i64| {
        let mut scene = Scene::pair().volume("p", disk("r1a")).volume("q", disk("r1a"));
        scene.snapshot.csi_nodes.push(read(json!({"metadata": {"name": "b"}, "spec": {"drivers": [
            {"name": "ebs.csi.aws.com", "allocatable": {"count": count}}]}})));
        scene
    };
    let b_elsewhere = |scene: Scene| scene.with("Node", "b", json!({"metadata": {"labels": {ZONE: "r1b"}}}));
    shown(vec![
        ("cores", Scene::pair().pod("r", "b", "400m"), STAYS),
        ("memory", Scene::pair().asking("p", json!({"cpu": "1", "memory": "6900Mi"})), STAYS),
        ("pods", Scene::pair().with("Node", "b", json!({"status": {"allocatable": {"pods": "1"}}})), STAYS),
        (
            "what an init container asks for",
            pod(json!({"initContainers": [{"resources": {"requests": {"cpu": "1900m"}}}]})),
            STAYS,
        ),
        ("what the runtime takes", pod(json!({"overhead": {"cpu": "900m"}})), STAYS),
        ("an extended resource that is there", carded("1"), MOVES),
        ("an extended resource that is not", carded("0"), STAYS),
        ("a host port that is free", port(json!({"hostPort": 80}), json!({"hostPort": 81})), MOVES),
        ("a host port that is taken", port(json!({"hostPort": 80}), json!({"hostPort": 80})), STAYS),
        (
            "a host port of another protocol",
            port(json!({"hostPort": 80}), json!({"hostPort": 80, "protocol": "UDP"})),
            MOVES,
        ),
        ("a disk of the zone", Scene::pair().volume("p", disk("r1a")), MOVES),
        ("a disk of another zone", b_elsewhere(Scene::pair().volume("p", disk("r1a"))), STAYS),
        ("disks that can be attached", attaching(2), MOVES),
        ("more disks than can be attached", attaching(1), STAYS),
        (
            "a claim that nobody knows",
            pod(json!({"volumes": [{"persistentVolumeClaim": {"claimName": "gone"}}]})),
            HELD,
        ),
        (
            "a node that is not ready",
            Scene::pair().with(
                "Node",
                "b",
                json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}),
            ),
            STAYS,
        ),
        (
            "a pod with gates takes no room",
            Scene::pair().pod("w", "", "1200m").with(
                "Pod",
                "w",
                json!({"spec": {"schedulingGates": [{"name": "later"}]}}),
            ),
            MOVES,
        ),
        ("a pod that waits takes room before", Scene::pair().pod("w", "", "1200m"), STAYS),
        (
            "of pods that wait the most important takes room first",
            {
                let on_b = json!({"kubernetes.io/hostname": "b"});
                Scene::pair()
                    .pod("large", "", "1200m")
                    .with("Pod", "large", json!({"spec": {"nodeSelector": on_b}}))
                    .pod("important", "", "300m")
                    .with("Pod", "important", json!({"spec": {"nodeSelector": on_b, "priority": 1000}}))
            },
            MOVES,
        ),
        ("another scheduler's pod", pod(json!({"schedulerName": "batch"})), HELD),
    ]);
}

#[test]
fn pods_of_one_service_do_not_end_on_one_node_where_others_do_as_well() {
    let owned = |service: &str| {
        json!({"metadata": {"ownerReferences": [
            {"kind": "ReplicaSet", "name": service, "uid": service, "controller": true}]}})
    };
    // Each has room for two more.
    let stays = |scene: Scene, node: &str| {
        let scene = scene.node(node, "m5.large").pod(&format!("on-{node}"), node, "900m");
        scene.annotate("Node", node, "karpenter.sh/do-not-disrupt", "true")
    };
    let goes = |scene: Scene, node: &str, service: &str| {
        [1, 2].iter().fold(scene.node(node, "m5.large"), |scene, number| {
            let pod = format!("{service}{number}");
            scene.pod(&pod, node, "500m").with("Pod", &pod, owned(service))
        })
    };
    let scene = ["c", "d"].into_iter().fold(Scene::new(), stays);
    let plan = goes(goes(scene, "a", "p"), "b", "q").plan().expect("a sound plan");
    let moves: Vec<_> = plan.waves.iter().flat_map(|wave| &wave.moves).collect();
    assert_eq!(moves.len(), 4, "{moves:?}");
    for service in ["p", "q"] {
        let of = moves.iter().filter(|step| step.pod.name.starts_with(service));
        let hosts: BTreeSet<&str> = of.map(|step| step.to.as_str()).collect();
        assert_eq!(hosts.len(), 2, "{moves:?}");
    }
}
