//! Nodes to buy, what they cost, and what a plan says about money.

use serde_json::json;

use super::scene::{labels, patch, read, step};
use super::{Scene, judged};
use crate::manifest::Quantity;
use crate::value::{CapacityType, Money, Offering, Percent};

#[test]
fn a_new_node_is_one_that_its_pool_may_launch() {
    judged(&[
        ("no such pool", |s| s.bought().node_pool = "gone".into(), &["unknown-name", "not-empty"]),
        (
            "a pool that is being deleted",
            |s| s.pool().metadata.deletion_timestamp = Some(crate::manifest::Moment(1)),
            &["pool-unusable"],
        ),
        (
            "a pool that is not ready",
            |s| patch(&mut s.pool().status, json!({"conditions": [{"type": "Ready", "status": "False"}]})),
            &["pool-unusable"],
        ),
        (
            "a capacity type that the pool excludes",
            |s| require(s, json!({"key": "karpenter.sh/capacity-type", "operator": "NotIn", "values": ["on-demand"]})),
            &["requirement"],
        ),
        (
            "a category that the pool excludes",
            |s| require(s, json!({"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["m"]})),
            &["requirement"],
        ),
        (
            "a category that the pool names",
            |s| {
                require(
                    s,
                    json!({"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m"]}),
                )
            },
            &[],
        ),
        (
            "Lt on cpu",
            |s| require(s, json!({"key": "karpenter.k8s.aws/instance-cpu", "operator": "Lt", "values": ["4"]})),
            &["requirement"],
        ),
        (
            "Lte on cpu",
            |s| require(s, json!({"key": "karpenter.k8s.aws/instance-cpu", "operator": "Lte", "values": ["4"]})),
            &[],
        ),
        (
            "Gte on memory",
            |s| require(s, json!({"key": "karpenter.k8s.aws/instance-memory", "operator": "Gte", "values": ["8192"]})),
            &[],
        ),
        (
            "a hypervisor",
            |s| {
                require(
                    s,
                    json!({"key": "karpenter.k8s.aws/instance-hypervisor", "operator": "In", "values": ["nitro"]}),
                )
            },
            &[],
        ),
        (
            "a maker of processors",
            |s| {
                require(
                    s,
                    json!({"key": "karpenter.k8s.aws/instance-cpu-manufacturer", "operator": "NotIn", "values": ["intel"]}),
                )
            },
            &["requirement"],
        ),
        (
            "a property that nobody can tell",
            |s| require(s, json!({"key": "karpenter.k8s.aws/instance-local-nvme", "operator": "Exists"})),
            &["requirement"],
        ),
        (
            "instance criteria, ignored",
            |s| {
                require(s, json!({"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["x"]}));
                s.options.aggressive.ignore_instance_criteria = true;
                s.pool().metadata.annotations =
                    labels(&[("kentroller.cast.ai/ignore-instance-criteria", "allow")]).into();
            },
            &[],
        ),
        (
            "instance criteria, ignored without the pool's leave",
            |s| {
                require(s, json!({"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["x"]}));
                s.options.aggressive.ignore_instance_criteria = true;
            },
            &["requirement"],
        ),
        (
            "an operator that nobody knows",
            |s| require(s, json!({"key": "kubernetes.io/arch", "operator": "Near", "values": ["amd64"]})),
            &["requirement"],
        ),
        (
            "a label of the pool's own with one value",
            |s| {
                require(s, json!({"key": "tier", "operator": "In", "values": ["gold"]}));
                patch(&mut s.pod("d1").spec, json!({"nodeSelector": {"tier": "gold"}}));
            },
            &[],
        ),
        (
            "a label of the pool's own whose value the plan chooses",
            |s| {
                require(s, json!({"key": "tier", "operator": "In", "values": ["gold", "iron"]}));
                s.bought().labels.insert("tier".into(), "iron".into());
                patch(&mut s.pod("d1").spec, json!({"nodeSelector": {"tier": "iron"}}));
            },
            &[],
        ),
        (
            "a label of the pool's own whose value nobody chose",
            |s| {
                require(s, json!({"key": "tier", "operator": "In", "values": ["gold", "iron"]}));
                patch(&mut s.pod("d1").spec, json!({"nodeSelector": {"tier": "iron"}}));
            },
            &["constraint-unknown", "node-selector"],
        ),
        (
            "enough values for minValues",
            |s| require(s, json!({"key": "node.kubernetes.io/instance-type", "operator": "Exists", "minValues": 2})),
            &[],
        ),
        (
            "too few values for minValues",
            |s| require(s, json!({"key": "node.kubernetes.io/instance-type", "operator": "Exists", "minValues": 3})),
            &["min-values"],
        ),
        (
            "the pool's taint, tolerated and stated",
            |s| {
                taint(s);
                tolerate(s);
                s.bought().taints = s.pool().spec.template.spec.taints.clone();
            },
            &[],
        ),
        (
            "the pool's taint, not stated",
            |s| {
                taint(s);
                tolerate(s);
            },
            &["labels"],
        ),
        (
            "the pool's taint, not tolerated",
            |s| {
                taint(s);
                s.bought().taints = s.pool().spec.template.spec.taints.clone();
            },
            &["taint"],
        ),
        ("limits that leave room for old and new", |s| limit(s, "cpu", "20"), &[]),
        ("limits without room for old and new", |s| limit(s, "cpu", "16"), &["pool-limit"]),
        ("limits on nodes", |s| limit(s, "nodes", "3"), &["pool-limit"]),
        (
            "limits that only an alternative breaks",
            |s| {
                limit(s, "memory", "56Gi");
            },
            &["pool-limit"],
        ),
        (
            "limits that nodes under way use up",
            |s| {
                limit(s, "cpu", "20");
                s.pool().status.resources.insert("cpu".into(), Quantity::whole(19));
            },
            &["pool-limit"],
        ),
        ("DaemonSets take room on it", |s| daemon(s, "2400m", json!({})), &["no-room", "requests", "reserve"]),
        (
            "a later wave moves more there than its requests say",
            |s| {
                s.plan.waves.push(crate::value::Wave {
                    moves: vec![step("c1", "c", "new-1")],
                    hourly_after: Money::micros(458_000),
                    ..crate::value::Wave::default()
                });
                tolerate(s);
            },
            &["requests"],
        ),
        (
            "DaemonSets that do not run there take none",
            |s| daemon(s, "2400m", json!({"nodeSelector": {"kubernetes.io/arch": "arm64"}})),
            &[],
        ),
        (
            "DaemonSets as their pods tell them",
            |s| {
                s.snapshot.daemon_sets = None;
                s.request("agent-b", "cpu", "300m");
            },
            &["requests"],
        ),
        (
            "live nodes of the type have less",
            |s| {
                s.add_node("e", "c5.xlarge", "r1b", json!({"cpu": "1500m", "memory": "6Gi", "pods": "58"}));
                s.plan.cost_before = Money::micros(938_000);
                s.wave(1).hourly_after = Money::micros(842_000);
                s.wave(2).hourly_after = Money::micros(628_000);
                s.plan.cost_after = Money::micros(628_000);
            },
            &["no-room", "requests", "reserve"],
        ),
        (
            "another architecture",
            |s| {
                require(s, json!({"key": "a", "operator": "DoesNotExist"}));
                s.pool().spec.template.spec.requirements.retain(|one| one.key != "kubernetes.io/arch");
                s.bought().alternatives = vec![offering("m6g.xlarge", 154_000)];
                patch(&mut s.pod("d1").spec, json!({"nodeSelector": {"kubernetes.io/arch": "amd64"}}));
            },
            &["node-selector"],
        ),
    ]);
}

#[test]
fn a_new_node_costs_what_the_catalogue_says() {
    judged(&[
        ("a type that does not exist", |s| s.bought().instance_type = "m5.mega".into(), &["not-offered", "not-empty"]),
        ("a zone that does not exist", |s| s.bought().zone = "r1z".into(), &["labels", "not-offered"]),
        ("spot where there is none", |s| s.bought().capacity_type = CapacityType::Spot, &["not-offered"]),
        ("reserved capacity", |s| s.bought().capacity_type = CapacityType::Reserved, &["not-offered", "requirement"]),
        (
            "a type that is not to be had",
            |s| s.catalog.set_unavailable("r1", "c5.xlarge", None, &CapacityType::OnDemand),
            &["not-available"],
        ),
        (
            "a type that is not to be had in another zone",
            |s| s.catalog.set_unavailable("r1", "c5.xlarge", Some("r1b"), &CapacityType::OnDemand),
            &[],
        ),
        (
            "a price that is too low",
            |s| {
                s.bought().price = Money::micros(160_000);
                total(s, 448_000);
            },
            &["price"],
        ),
        (
            "a price that a NodeOverlay sets",
            |s| {
                overlay(s, json!({"price": "0.15"}));
                s.bought().price = Money::micros(150_000);
                total(s, 438_000);
            },
            &[],
        ),
        (
            "a price that a NodeOverlay adjusts",
            |s| {
                overlay(s, json!({"priceAdjustment": "-10%"}));
                s.bought().price = Money::micros(153_000);
                total(s, 441_000);
            },
            &[],
        ),
        ("a price without its NodeOverlay", |s| overlay(s, json!({"priceAdjustment": "+0.01"})), &["price"]),
        ("an alternative of another price", |s| s.bought().alternatives[0].price = Money::micros(190_000), &["price"]),
        (
            "a small alternative that holds the pods",
            |s| s.bought().alternatives = vec![offering("m5.large", 96_000)],
            &[],
        ),
        (
            "an alternative that is too small",
            |s| {
                s.request("d1", "cpu", "1900m");
                s.bought().requests.insert("cpu".into(), Quantity::whole(2));
                s.bought().alternatives = vec![offering("m5.large", 96_000)];
            },
            &["no-room"],
        ),
        (
            "an alternative that is not to be had",
            |s| s.bought().alternatives.push(offering("c5.2xlarge", 340_000)),
            &["not-available"],
        ),
        (
            "an alternative named twice",
            |s| {
                let one = s.bought().alternatives[0].clone();
                s.bought().alternatives.push(one);
            },
            &["duplicate"],
        ),
        (
            "the node itself as its alternative",
            |s| s.bought().alternatives.insert(0, offering("c5.xlarge", 170_000)),
            &["duplicate"],
        ),
        (
            "alternatives out of order",
            |s| s.bought().alternatives.insert(0, offering("m5.2xlarge", 384_000)),
            &["price"],
        ),
        (
            "an alternative in another zone, with a volume",
            |s| {
                s.mount("d1", "data", "r1a");
                s.bought().alternatives[0].zone = "r1b".into();
            },
            &["volume-place"],
        ),
        (
            "an alternative in another zone, with a hard spread",
            |s| {
                patch(
                    &mut s.pod("d1").spec,
                    json!({"topologySpreadConstraints": [{"maxSkew": 5, "whenUnsatisfiable": "DoNotSchedule",
                "topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "web"}}}]}),
                );
                s.bought().alternatives[0].zone = "r1b".into();
            },
            &["spread"],
        ),
        (
            "an alternative where others repel the pod",
            |s| {
                patch(
                    &mut s.pod("c1").spec,
                    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "big"}}}]}}}),
                );
                s.label_pod("d1", "app", "big");
                s.bought().alternatives[0].zone = "r1b".into();
            },
            &["pod-anti-affinity"],
        ),
    ]);
}

#[test]
fn what_a_plan_says_of_money_adds_up() {
    judged(&[
        ("cost before", |s| s.plan.cost_before = Money::micros(700_000), &["sum"]),
        ("cost after", |s| s.plan.cost_after = Money::micros(457_999), &["sum"]),
        ("hourly after a wave", |s| s.wave(1).hourly_after = Money::micros(671_999), &["sum"]),
        ("a bound below", |s| bound(s, 458_000), &[]),
        ("a bound above the cost", |s| bound(s, 458_001), &["bound"]),
        ("a negative bound", |s| bound(s, -1), &["bound"]),
        ("negative transition", |s| s.plan.transition = Money::micros(-1), &["sum"]),
        ("a transition that eats the saving", |s| s.plan.transition = Money::micros(300_000_000), &["savings"]),
        ("enough savings", |s| s.options.min_savings = Some(Percent::whole(64)), &[]),
        ("too little savings", |s| s.options.min_savings = Some(Percent::whole(65)), &["savings"]),
        (
            "the region of no node",
            |s| {
                s.plan.region = "r2".into();
            },
            &["unknown-name", "not-offered", "not-empty"],
        ),
    ]);
}

#[test]
fn rolling_replaces_like_by_like() {
    judged(&[
        ("like for like", like_for_like, &["like-for-like", "savings"]),
        (
            "like for like, rolling",
            |s| {
                like_for_like(s);
                s.options.roll = true;
            },
            &[],
        ),
        (
            "like for like, with an explicit floor of zero",
            |s| {
                like_for_like(s);
                s.options.min_savings = Some(Percent::whole(0));
            },
            &[],
        ),
        ("dearer", dearer, &["dearer", "savings"]),
        (
            "dearer, rolling",
            |s| {
                dearer(s);
                s.options.roll = true;
            },
            &[],
        ),
    ]);
}

/// Wave 2 alone, with another type for the new node.
fn replace_by(scene: &mut Scene, of: &str, price: i64) {
    scene.plan.waves.remove(0);
    let new = &mut scene.plan.waves[0].add[0];
    of.clone_into(&mut new.instance_type);
    new.price = Money::micros(price);
    new.alternatives.clear();
    scene.plan.waves[0].hourly_after = Money::micros(768_000 - 384_000 + price);
    scene.plan.cost_after = scene.plan.waves[0].hourly_after;
}

fn like_for_like(scene: &mut Scene) {
    replace_by(scene, "m5.2xlarge", 384_000);
}

fn dearer(scene: &mut Scene) {
    replace_by(scene, "m5.4xlarge", 768_000);
}

fn require(scene: &mut Scene, requirement: serde_json::Value) {
    scene.pool().spec.template.spec.requirements.push(read(requirement));
}

fn taint(scene: &mut Scene) {
    scene
        .pool()
        .spec
        .template
        .spec
        .taints
        .push(read(json!({"key": "dedicated", "value": "x", "effect": "NoSchedule"})));
}

fn tolerate(scene: &mut Scene) {
    patch(&mut scene.pod("d1").spec, json!({"tolerations": [{"key": "dedicated", "operator": "Exists"}]}));
}

fn limit(scene: &mut Scene, resource: &str, amount: &str) {
    scene.pool().spec.limits.insert(resource.to_owned(), Quantity::parse(amount).unwrap());
}

fn daemon(scene: &mut Scene, cpu: &str, more: serde_json::Value) {
    let set = &mut scene.snapshot.daemon_sets.as_mut().unwrap()[0];
    let mut second = set.clone();
    second.metadata.name = "second".into();
    patch(
        &mut second.spec.template.spec,
        json!({"containers": [{"name": "agent", "resources": {"requests": {"cpu": cpu}}}]}),
    );
    patch(&mut second.spec.template.spec, more);
    scene.snapshot.daemon_sets.as_mut().unwrap().push(second);
}

fn overlay(scene: &mut Scene, spec: serde_json::Value) {
    let mut overlay: crate::manifest::NodeOverlay = read(json!({"metadata": {"name": "o"}, "spec": {"requirements": [
        {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["c5.xlarge"]}]}}));
    patch(&mut overlay.spec, spec);
    scene.snapshot.node_overlays.push(overlay);
}

fn total(scene: &mut Scene, micros: i64) {
    scene.wave(2).hourly_after = Money::micros(micros);
    scene.plan.cost_after = Money::micros(micros);
}

fn bound(scene: &mut Scene, micros: i64) {
    scene.plan.lower_bound = Some(crate::value::LowerBound { hourly: Money::micros(micros), method: "lp-dual" });
}

fn offering(of: &str, price: i64) -> Offering {
    Offering {
        instance_type: of.to_owned(),
        zone: "r1a".to_owned(),
        capacity_type: CapacityType::OnDemand,
        price: Money::micros(price),
    }
}
