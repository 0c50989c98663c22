//! What is read of objects before any rule is: what new nodes will have, what volumes and DaemonSets take, where nodes are.

use kentroller_planner::manifest::{CsiNode, DaemonSet, Ec2NodeClass, PersistentVolume};
use kentroller_planner::{Moment, Money};
use serde_json::{Value, json};

use crate::scene::Must::{Buy, InOrder, Keep, Remove, RemoveSome, Warn};
use crate::scene::{Must, Scene, read, shown};

const NOTHING: &[Must] = &[Remove(&[]), Buy(&[])];

/// Two nodes that are too large, with six small pods each.
fn crowd() -> Scene {
    let of_two_cores = json!({"spec": {"template": {"spec": {"requirements": [
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
        {"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gte", "values": ["2"]}]}}}});
    let nodes = Scene::new().node("a", "m5.2xlarge").node("b", "m5.2xlarge").with("NodePool", "general", of_two_cores);
    (0..12).fold(nodes, |scene, at| {
        let name: &'static str = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11"][at];
        scene.pod(name, if at < 6 { "a" } else { "b" }, "100m")
    })
}

fn with_class(mut scene: Scene, spec: Value, status: Value) -> Scene {
    let class: Ec2NodeClass = read(json!({"metadata": {"name": "default"}, "spec": spec, "status": status}));
    scene.snapshot.ec2_node_classes.push(class);
    scene
}

#[test]
fn a_node_class_says_what_its_new_nodes_hold() {
    let class = |spec: Value| with_class(crowd(), spec, json!({}));
    let found = |status: Value| with_class(crowd(), json!({"amiFamily": "AL2023"}), status);
    let of_another = |mut scene: Scene| {
        scene.snapshot.ec2_node_classes[0].metadata.name = "other".into();
        scene
    };
    shown(vec![
        ("as the type is", class(json!({"amiFamily": "AL2023"})), &[RemoveSome(2), Buy(&["m5.large"])]),
        ("pods for one node only", class(json!({"kubelet": {"maxPods": 12}})), &[RemoveSome(2), Buy(&["m5.large"])]),
        ("too few pods", class(json!({"kubelet": {"maxPods": 11}})), &[Buy(&["m5.large", "m5.large"])]),
        (
            "too few pods of a core",
            class(json!({"amiFamily": "AL2", "kubelet": {"podsPerCore": 5}})),
            &[Buy(&["c5.xlarge"])],
        ),
        (
            "which Bottlerocket does not know",
            class(json!({"amiFamily": "Bottlerocket", "kubelet": {"podsPerCore": 5}})),
            &[Buy(&["m5.large"])],
        ),
        ("cpu for the system", class(json!({"kubelet": {"systemReserved": {"cpu": "800m"}}})), &[Buy(&["c5.xlarge"])]),
        (
            "memory for the kubelet",
            class(json!({"kubelet": {"kubeReserved": {"memory": "6900Mi"}}})),
            &[Buy(&["m5.xlarge"])],
        ),
        (
            "memory before evictions",
            class(json!({"kubelet": {"evictionHard": {"memory.available": "85%"}}})),
            &[Buy(&["m5.xlarge"])],
        ),
        (
            "an expression",
            class(json!({"kubelet": {"maxPods": "vcpus * 10"}})),
            &[Buy(&[]), Warn("NodePool general", "kubelet.maxPods of its EC2NodeClass is an expression")],
        ),
        ("a class of another name", of_another(class(json!({"kubelet": {"maxPods": 11}}))), &[Buy(&["m5.large"])]),
        ("no subnet in the zone", found(json!({"subnets": [{"zone": "r1x"}]})), &[Buy(&[])]),
        ("a subnet in the zone", found(json!({"subnets": [{"zone": "r1x"}, {"zone": "r1a"}]})), &[Buy(&["m5.large"])]),
        (
            "no image for the machine",
            found(
                json!({"amis": [{"requirements": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]}]}),
            ),
            &[Buy(&[])],
        ),
        (
            "an image for machines without accelerators",
            found(json!({"amis": [{"requirements": [
            {"key": "beta.kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
            {"key": "karpenter.k8s.aws/instance-accelerator-count", "operator": "DoesNotExist"}]}]})),
            &[Buy(&["m5.large"])],
        ),
    ]);
}

#[test]
fn ephemeral_storage_of_a_new_node_is_its_root_volume_or_its_own_disks() {
    let catalog = |scene: Scene| {
        // Own disks: 75 GB; none; not known.
        let rows = ["m5d.large,r1,2,8192,amd64,29,0,,0.08,,,75,3", "m5e.large,r1,2,8192,amd64,29,0,,0.07,,,0,3"];
        scene.selling_with("disk_gb,interfaces", rows.into_iter().map(str::to_owned))
    };
    let scene = |storage: &str, spec: Value, known: bool| {
        let scene = Scene::new()
            .node("a", "m5.2xlarge")
            .pod("p", "a", "1")
            .asking("p", json!({"cpu": "1", "memory": "64Mi", "ephemeral-storage": storage}));
        let scene = scene.with("Node", "a", json!({"status": {"allocatable": {"ephemeral-storage": "300Gi"}}}));
        let scene = catalog(scene);
        if known { with_class(scene, spec, json!({})) } else { scene }
    };
    let raid = || json!({"amiFamily": "AL2023", "instanceStorePolicy": "RAID0"});
    let large = || json!({"amiFamily": "AL2023", "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "200Gi"}}]});
    shown(vec![
        ("less than the usual root volume", scene("10Gi", json!({}), false), &[Buy(&["m5e.large"])]),
        ("joined disks", scene("60G", raid(), true), &[Buy(&["m5d.large"])]),
        ("more than the joined disks", scene("100G", raid(), true), &[Buy(&[])]),
        ("disks that nobody joins", scene("60G", json!({"amiFamily": "AL2023"}), true), &[Buy(&[])]),
        ("a larger root volume", scene("150Gi", large(), true), &[Buy(&["m5e.large"])]),
    ]);
}

#[test]
fn requirements_and_nodes_speak_under_old_names_too() {
    let too_large = || Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m");
    let asking =
        |key: &str, value: &str| too_large().require(json!([{"key": key, "operator": "In", "values": [value]}]));
    let elsewhere = |key: &str| too_large().require(json!([{"key": key, "operator": "NotIn", "values": ["r1a"]}]));
    let old = |mut scene: Scene, new: &str, old: &str| {
        let labels = std::sync::Arc::make_mut(&mut scene.snapshot.nodes[0].metadata.labels);
        let value = labels.remove(new).expect("a label");
        labels.insert(old.to_owned(), value);
        scene
    };
    let regionless = |mut scene: Scene| {
        for node in &mut scene.snapshot.nodes {
            std::sync::Arc::make_mut(&mut node.metadata.labels).remove("topology.kubernetes.io/region");
        }
        scene
    };
    shown(vec![
        ("the zone of before", elsewhere("failure-domain.beta.kubernetes.io/zone"), NOTHING),
        ("the zone of the EBS driver", elsewhere("topology.ebs.csi.aws.com/zone"), NOTHING),
        ("the same, here", asking("topology.ebs.csi.aws.com/zone", "r1a"), &[Buy(&["m5.large"])]),
        ("the type of before", asking("beta.kubernetes.io/instance-type", "c5.xlarge"), &[Buy(&["c5.xlarge"])]),
        ("the architecture of before", asking("beta.kubernetes.io/arch", "arm64"), NOTHING),
        (
            "a node's type",
            old(too_large(), "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"),
            &[Buy(&["m5.large"])],
        ),
        (
            "a node's zone",
            old(too_large(), "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
            &[Buy(&["m5.large"])],
        ),
        (
            "a node's region",
            old(too_large(), "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
            &[Buy(&["m5.large"])],
        ),
        (
            "no region, and a zone that tells none: the only one of the catalogue",
            regionless(too_large()),
            &[Buy(&["m5.large"])],
        ),
        (
            "a provider that nobody knows",
            asking("karpenter.azure.com/sku-family", "D"),
            &[Buy(&[]), Warn("NodePool general", "karpenter.azure.com/sku-family")],
        ),
        (
            "EKS Auto Mode",
            asking("eks.amazonaws.com/instance-family", "m5"),
            &[Buy(&[]), Warn("NodePool general", "of a provider that is not known here")],
        ),
    ]);
}

#[test]
fn a_zone_with_a_price_list_of_its_own_has_no_price_of_another() {
    let local = Scene::new().node_in("a", "m5.2xlarge", "us-west-2-lax-1a").pod("p", "a", "1500m");
    shown(vec![
        ("a local zone", local, &[Keep("a", "price-unknown"), Buy(&[]), Warn("", "1 of 1 nodes have no known price")]),
        (
            "a usual zone",
            Scene::new().node_in("a", "m5.2xlarge", "us-west-2a").pod("p", "a", "1500m"),
            &[Buy(&["m5.large"])],
        ),
    ]);
}

/// A pod with a volume on each of two nodes, which could do with one.
fn attached(source: Value, limits: &[(&str, &str, Option<i64>)]) -> Scene {
    let scene = Scene::new().node("a", "m5.large").node("b", "m5.large").pod("p", "a", "935m").pod("q", "b", "935m");
    let mut scene = scene.volume("p", source.clone()).volume("q", source);
    for (node, driver, count) in limits {
        let allocatable = count.map_or(json!({}), |count| json!({"count": count}));
        let one: CsiNode = read(
            json!({"metadata": {"name": node}, "spec": {"drivers": [{"name": driver, "allocatable": allocatable}]}}),
        );
        scene.snapshot.csi_nodes.push(one);
    }
    scene
}

#[test]
fn volumes_are_counted_as_their_drivers_count_them() {
    const ONE: &[Must] = &[RemoveSome(1), Buy(&[])];
    let csi = |driver: &str| json!({"csi": {"driver": driver}});
    let both = |driver: &'static str, count| [("a", driver, count), ("b", driver, count)];
    let shared = |mut scene: Scene| {
        scene.snapshot.persistent_volume_claims[1].spec.volume_name = "volume-p".into();
        scene
    };
    let inline = |source: &str| {
        let mut volume = json!({"name": "v"});
        volume[source] = json!({});
        Scene::pair().with("Pod", "p", json!({"spec": {"volumes": [volume]}})).with(
            "Node",
            "b",
            json!({"metadata": {"annotations": null}}),
        )
    };
    let zoned = |zone: &str| {
        let mut scene = attached(csi("ebs.csi.aws.com"), &both("ebs.csi.aws.com", Some(9)));
        for volume in &mut scene.snapshot.persistent_volumes {
            *volume = read::<PersistentVolume>(json!({"metadata": {"name": &volume.metadata.name,
                "labels": {"failure-domain.beta.kubernetes.io/zone": zone}}, "spec": {"awsElasticBlockStore": {}}}));
        }
        scene
    };
    shown(vec![
        ("within the limit", attached(csi("ebs.csi.aws.com"), &both("ebs.csi.aws.com", Some(2))), ONE),
        ("beyond it", attached(csi("ebs.csi.aws.com"), &both("ebs.csi.aws.com", Some(1))), NOTHING),
        ("beyond another driver's", attached(csi("disk.example.com"), &both("disk.example.com", Some(1))), NOTHING),
        ("of a driver without a limit", attached(csi("disk.example.com"), &both("disk.example.com", None)), ONE),
        (
            "beyond the limit of another driver",
            attached(csi("disk.example.com"), &both("ebs.csi.aws.com", Some(0))),
            ONE,
        ),
        (
            "moved to its driver",
            attached(json!({"awsElasticBlockStore": {"volumeID": "v"}}), &both("ebs.csi.aws.com", Some(1))),
            NOTHING,
        ),
        (
            "moved to that of Azure",
            attached(json!({"azureDisk": {"diskName": "v"}}), &both("disk.csi.azure.com", Some(1))),
            NOTHING,
        ),
        (
            "moved to that of Google",
            attached(json!({"gcePersistentDisk": {"pdName": "v"}}), &both("pd.csi.storage.gke.io", Some(1))),
            NOTHING,
        ),
        ("one that has no driver", attached(json!({"nfs": {"server": "s"}}), &both("ebs.csi.aws.com", Some(0))), ONE),
        (
            "no CSINode on one node",
            attached(csi("disk.example.com"), &[("a", "disk.example.com", Some(1))]),
            &[Remove(&["a"])],
        ),
        ("no CSINode at all", attached(csi("ebs.csi.aws.com"), &[]), ONE),
        // Each counts its own where it comes to; where both are, it is one.
        ("one that two pods share", shared(attached(csi("disk.example.com"), &both("disk.example.com", Some(2)))), ONE),
        ("labels of its zone", zoned("r1a__r1b"), ONE),
        ("labels of another zone", zoned("r1c"), NOTHING),
        ("a disk that the pod names itself", inline("awsElasticBlockStore"), &[Keep("a", "blocked-by-pods")]),
        ("a directory of the node", inline("hostPath"), ONE),
    ]);
}

#[test]
fn a_volume_that_pods_of_a_node_share_is_attached_once() {
    // Three pods of one volume on `b`, of a driver that attaches two.
    let mut scene = attached(
        json!({"csi": {"driver": "disk.example.com"}}),
        &[("a", "disk.example.com", Some(2)), ("b", "disk.example.com", Some(2))],
    );
    for name in ["r", "s"] {
        scene = scene.pod(name, "b", "10m").with(
            "Pod",
            name,
            json!({"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "claim-q"}}]}}),
        );
    }
    let scene = scene.annotate("Node", "b", "karpenter.sh/do-not-disrupt", "true");
    shown(vec![("there is room for one more", scene, &[Remove(&["a"])])]);
}

#[test]
fn a_daemon_set_takes_what_its_pods_take() {
    let set = |mut scene: Scene, template: Value| {
        let one: DaemonSet =
            read(json!({"metadata": {"name": "agent", "namespace": "apps"}, "spec": {"template": {"spec": template}}}));
        scene.snapshot.daemon_sets = Some(vec![one]);
        scene
    };
    let scene = |template: &str, running: &str| {
        let scene =
            Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m").pod_of("DaemonSet", "agent", "a", running);
        set(scene, json!({"containers": [{"resources": {"requests": {"cpu": template}}}]}))
    };
    let ports = |template: Value| {
        let scene = Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m");
        let port = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1500m"}}, "ports": [{"containerPort": 9100, "hostPort": 9100}]}]}});
        set(scene.with("Pod", "p", port), template)
    };
    let network = |on: bool| json!({"hostNetwork": on, "containers": [{"ports": [{"containerPort": 9100}]}]});
    shown(vec![
        ("both little", scene("100m", "100m"), &[Buy(&["m5.large"])]),
        ("its pods more than its template", scene("0", "600m"), &[Buy(&["c5.xlarge"])]),
        ("its template more than its pods", scene("600m", "100m"), &[Buy(&["c5.xlarge"])]),
        ("a port of the node's own network", ports(network(true)), NOTHING),
        ("a port of its own network", ports(network(false)), &[Buy(&["m5.large"])]),
    ]);
}

#[test]
fn a_label_that_a_pool_leaves_open_is_what_pods_select() {
    let scene = |requirement: Value, teams: [Value; 2]| {
        let [p, q] = teams;
        let scene =
            Scene::new().node("a", "m5.2xlarge").node("b", "m5.2xlarge").pod("p", "a", "1500m").pod("q", "b", "1500m");
        let scene =
            scene.label("Node", "a", "team", "blue").label("Node", "b", "team", "red").require(json!([requirement]));
        scene.with("Pod", "p", json!({"spec": p})).with("Pod", "q", json!({"spec": q}))
    };
    let of = |team: &str| json!({"nodeSelector": {"team": team}});
    let not = |team: &str| {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": [team]}]}]}}}})
    };
    let exists = || json!({"key": "team", "operator": "Exists"});
    let listed = |values: Value| json!({"key": "team", "operator": "In", "values": values});
    const TWO: &[Must] = &[RemoveSome(2), Buy(&["m5.large", "m5.large"])];
    shown(vec![
        ("two of two values", scene(exists(), [of("blue"), of("red")]), TWO),
        ("a list", scene(listed(json!(["green", "red", "blue"])), [of("blue"), of("red")]), TWO),
        (
            "a list without one of them",
            scene(listed(json!(["green", "red"])), [of("blue"), of("red")]),
            &[Remove(&["b"]), Buy(&["m5.large"])],
        ),
        (
            "not the one that is excluded",
            scene(json!({"key": "team", "operator": "NotIn", "values": ["blue"]}), [of("blue"), of("red")]),
            &[Remove(&["b"])],
        ),
        ("any but one", scene(exists(), [not("red"), not("blue")]), &[RemoveSome(2)]),
        ("none that asks", scene(exists(), [json!({}), json!({})]), &[RemoveSome(2)]),
    ]);
}

#[test]
fn what_is_on_its_way_out_or_cannot_be_granted_holds_no_node() {
    let going = |owner: &str, due: &str| {
        Scene::new()
            .node("a", "m5.large")
            .node("b", "m5.large")
            .pod("q", "b", "500m")
            .pod_of(owner, "p", "a", "500m")
            .with("Pod", "p", json!({"metadata": {"deletionTimestamp": due}}))
            .annotate("Node", "b", "karpenter.sh/do-not-disrupt", "true")
    };
    let resizing = |reason: &str| {
        Scene::new().node("a", "m5.large").node("b", "m5.large").pod("p", "a", "1").pod("q", "b", "100m").with(
            "Pod",
            "p",
            json!({
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "16", "memory": "64Mi"}}}]},
            "status": {"conditions": [{"type": "PodResizePending", "status": "True", "reason": reason}],
                "containerStatuses": [{"name": "c", "allocatedResources": {"cpu": "500m", "memory": "64Mi"},
                    "resources": {"requests": {"cpu": "500m", "memory": "64Mi"}}}]}}),
        )
    };
    let bearing = |seconds: Value, effect: &str| {
        let scene =
            Scene::new().node("a", "m5.large").node("b", "m5.large").pod("p", "a", "1500m").pod("q", "b", "1500m");
        let scene = scene.with(
            "Pod",
            "p",
            json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "300m"}}}],
            "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": seconds}]}}),
        );
        let scene = scene.with("Pod", "q", json!({"spec": {"tolerations": [{"key": "k", "operator": "Exists"}]}}));
        scene.with("Node", "b", json!({"spec": {"taints": [{"key": "k", "effect": effect}]}})).annotate(
            "Node",
            "b",
            "karpenter.sh/do-not-disrupt",
            "true",
        )
    };
    let guarded = |tolerations: Value| {
        let scene =
            Scene::new().node("a", "m5.large").node("b", "m5.large").pod("p", "a", "500m").pod("q", "b", "500m");
        let scene = scene.pod_of("DaemonSet", "agent", "a", "100m").with(
            "Pod",
            "agent",
            json!({"spec": {"tolerations": tolerations}}),
        );
        scene.pdb("agents", "apps", "agent", json!({})).annotate("Node", "b", "karpenter.sh/do-not-disrupt", "true")
    };
    const GOES: &[Must] = &[Remove(&["a"])];
    const HELD: &[Must] = &[Keep("a", "blocked-by-pods")];
    shown(vec![
        ("ending in time", going("ReplicaSet", "2026-11-24T11:59:30Z"), HELD),
        ("stuck", going("ReplicaSet", "2026-11-24T11:58:00Z"), GOES),
        ("stuck and stateful: its successor waits for it", going("StatefulSet", "2026-11-24T11:58:00Z"), HELD),
        ("a resize that waits", resizing("Deferred"), &[Keep("a", "over-allocatable")]),
        ("a resize that the node can never grant", resizing("Infeasible"), &[RemoveSome(2), Buy(&["m5.small"])]),
        ("a taint that is borne for a while", bearing(json!(300), "NoExecute"), &[Buy(&["m5.small"])]),
        ("a taint that is borne for good", bearing(json!(null), "NoExecute"), &[Remove(&["a"]), Buy(&[])]),
        ("seconds say nothing of another effect", bearing(json!(300), "NoSchedule"), GOES),
        ("a budget of pods that Karpenter evicts", guarded(json!([])), HELD),
        ("a budget of pods that tolerate everything", guarded(json!([{"operator": "Exists"}])), GOES),
        (
            "a budget of pods that tolerate its taint",
            guarded(json!([{"key": "karpenter.sh/disrupted", "operator": "Exists"}])),
            GOES,
        ),
        (
            "a budget of pods that tolerate another effect of it",
            guarded(json!([{"operator": "Exists", "effect": "NoExecute"}])),
            HELD,
        ),
    ]);
    assert!(Moment::parse("2026-11-24T11:58:00Z").is_some());
}

#[test]
fn what_asks_for_less_than_nothing_stays_where_it_is() {
    shown(vec![
        (
            "a request",
            Scene::pair()
                .with("Node", "b", json!({"metadata": {"annotations": null}}))
                .asking("p", json!({"cpu": "-500m"})),
            &[Keep("a", "blocked-by-pods"), Remove(&["b"])],
        ),
        (
            "a sound one",
            Scene::pair()
                .with("Node", "b", json!({"metadata": {"annotations": null}}))
                .asking("p", json!({"cpu": "500m"})),
            &[RemoveSome(1)],
        ),
    ]);
}

#[test]
fn a_node_that_nothing_holds_tells_the_one_constraint_that_keeps_it() {
    let replicas = || {
        let scene =
            Scene::new().node("a", "m5.small").node("b", "m5.small").pod("p", "a", "300m").pod("q", "b", "300m");
        ["p", "q"].iter().fold(scene, |scene, pod| {
            scene.with("Pod", pod, json!({"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "name": "s", "uid": "s", "controller": true}]}}))
        })
    };
    let full =
        Scene::new().node("a", "m5.large").node("b", "m5.large").pod("p", "a", "935m").pod("q", "b", "995m").with(
            "NodePool",
            "general",
            json!({"spec": {"template": {"spec": {"requirements": [
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m5.large"]}]}}}}),
        );
    let limited = Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m").with(
        "NodePool",
        "general",
        json!({"spec": {"limits": {"cpu": "8"}}}),
    );
    let pinned = Scene::new()
        .node("a", "m5.large")
        .node("b", "m5.large")
        .pod("p", "a", "500m")
        .pod("q", "b", "1800m")
        .with("Pod", "p", json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": "a"}}}));
    shown(vec![
        ("replicas that would be together", replicas(), &[Remove(&[]), Keep("a", "replicas-together")]),
        ("the reserve", full, &[Remove(&[]), Keep("a", "reserve")]),
        ("the limit of a pool", limited, &[Remove(&[]), Keep("a", "pool-limit")]),
        ("a pod of this node only", pinned, &[Remove(&[]), Keep("a", "only-place")]),
    ]);
}

#[test]
fn a_node_that_karpenter_boots_again_neither_goes_nor_is_given_pods() {
    let scene = || Scene::new().node("a", "m5.large").node("b", "m5.large").pod("p", "a", "935m").pod("q", "b", "935m");
    let key = "karpenter.sh/reboot-pre-boot-id";
    const STAY: &[Must] = &[Remove(&[]), Keep("a", "in-use")];
    // Repair has a budget of its own reason, which binds nobody else.
    let budgets = json!({"spec": {"disruption": {"budgets": [{"nodes": "0", "reasons": ["Unhealthy"]}]}}});
    shown(vec![
        ("neither of them", scene(), &[RemoveSome(1)]),
        ("by its Node", scene().annotate("Node", "a", key, "x"), STAY),
        ("by its NodeClaim", scene().annotate("NodeClaim", "a", key, "x"), STAY),
        ("a budget against repair", scene().with("NodePool", "general", budgets), &[RemoveSome(1)]),
    ]);
}

#[test]
fn the_bound_counts_moves_off_nodes_that_other_pods_hold() {
    // Of two nodes for pods that want their disk, one is held by a bare pod. If `m` left it for a cheaper node, `x` could come.
    let scene = |pod_that_could_leave: Value| {
        let scene = ["a", "k"]
            .iter()
            .fold(Scene::new(), |scene, node| scene.node(node, "m5.xlarge").label("Node", node, "disk", "ssd"));
        let scene = scene.pod("x", "a", "3700m").pod("m", "k", "3700m").pod("bare", "k", "50m");
        let scene = scene.with("Pod", "x", json!({"spec": {"nodeSelector": {"disk": "ssd"}}}));
        scene.with("Pod", "bare", json!({"metadata": {"ownerReferences": null}})).with("Pod", "m", pod_that_could_leave)
    };
    let bound = |pod: Value| scene(pod).plan().expect("a plan").lower_bound.expect("a bound").hourly;
    // What `k` and a c5.xlarge for `m` cost.
    let with_room_made = Money::parse("0.362").expect("an amount");
    assert!(bound(json!({})) <= with_room_made);
    let held = json!({"metadata": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}});
    assert!(bound(held) > with_room_made, "no room can be made");
}

#[test]
fn moves_that_save_most_come_first() {
    // `few` has one pod, and a smaller node would do; the pods of `many` fit on `kept`.
    let kept = |scene: Scene| {
        scene.node("kept", "m5.xlarge").pod("k", "kept", "1").annotate(
            "Node",
            "kept",
            "karpenter.sh/do-not-disrupt",
            "true",
        )
    };
    let many = |scene: Scene, pods: usize| {
        let scene = scene.node("many", "m5.large");
        (0..pods).fold(scene, |scene, at| scene.pod(&format!("small-{at}"), "many", "300m"))
    };
    let few = |scene: Scene, of: &str| scene.node("few", of).pod("p", "few", "3");
    shown(vec![
        (
            "one move that buys and saves much",
            few(many(kept(Scene::new()), 6), "m5.2xlarge"),
            &[InOrder(&["few", "many"])],
        ),
        (
            "moves that buy nothing and save more each",
            few(many(kept(Scene::new()), 1), "m5.xlarge"),
            &[InOrder(&["many", "few"])],
        ),
        (
            "nodes without pods before all others",
            few(many(kept(Scene::new()), 6), "m5.2xlarge").node("void", "m5.small"),
            &[InOrder(&["void", "few", "many"])],
        ),
    ]);
}
