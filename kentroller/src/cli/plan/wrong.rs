//! Input that is wrong: it is refused with file, object and field, or planned around; it never panics.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kentroller_planner::check::check;
use kentroller_planner::{Catalog, Options, Plan, Steps};
use serde_json::{Value, json};

use super::dump::Dump;
use super::mutated::Mistakes;

/// What a command makes of a dump: a refusal, or a plan that the judge let pass, with all warnings.
fn outcome(bytes: &[u8]) -> Result<(Plan, Vec<String>), String> {
    let mut dump = Dump::default();
    dump.take("dump", bytes)?;
    let dump = dump.finish()?;
    let (catalog, options) = (Catalog::embedded(), Options::default());
    let plan = kentroller_planner::plan(&dump.snapshot, &catalog, &options, &mut Steps(20))
        .map_err(|error| error.to_string())?;
    check(&dump.snapshot, &catalog, &options, &plan).map_err(|violations| format!("the judge: {violations:?}"))?;
    let told = plan.warnings.iter().map(|warning| format!("{}: {}", warning.object, warning.message));
    let warnings = dump.warnings.iter().cloned().chain(told).collect();
    Ok((plan, warnings))
}

/// What must come of wrong input.
enum Must {
    /// Refused; the message holds all these words.
    Refuse(&'static [&'static str]),
    /// Planned; a warning holds these words, and node `a` stays for the reason with this word.
    Warn(&'static str, &'static str),
}

/// Two nodes of which one could go, and what a change makes of that.
pub(in crate::cli) fn cluster(change: impl Fn(&mut Vec<Value>)) -> Vec<u8> {
    let node = |name: &str| {
        json!({"kind": "Node", "metadata": {"name": name, "creationTimestamp": "2026-11-20T12:00:00Z", "labels": {
            "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand", "kubernetes.io/hostname": name,
            "node.kubernetes.io/instance-type": "m5.large", "topology.kubernetes.io/zone": "us-east-1a",
            "topology.kubernetes.io/region": "us-east-1"}},
            "status": {"allocatable": {"cpu": "1930m", "memory": "6903Mi", "pods": "29"}, "conditions": [{"type": "Ready", "status": "True"}]}})
    };
    let claim = |name: &str| {
        json!({"kind": "NodeClaim", "metadata": {"name": name}, "status": {"nodeName": name, "conditions": [
            {"type": "Initialized", "status": "True"}, {"type": "Consolidatable", "status": "True"}]}})
    };
    let pod = |name: &str, node: &str| {
        json!({"kind": "Pod", "metadata": {"name": name, "namespace": "apps", "ownerReferences": [
            {"kind": "ReplicaSet", "name": name, "uid": name, "controller": true}]},
            "spec": {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": "500m", "memory": "512Mi"}}}]},
            "status": {"phase": "Running"}})
    };
    let pool = json!({"kind": "NodePool", "metadata": {"name": "general"}, "spec": {"template": {"spec": {"requirements": [
        {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m5"]}]}}}});
    let mut items = vec![node("a"), node("b"), claim("a"), claim("b"), pod("p", "a"), pod("q", "b"), pool];
    change(&mut items);
    json!({"kind": "List", "items": items}).to_string().into_bytes()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("packs");
    packed.finish().expect("packs")
}

#[test]
fn wrong_input_is_refused_or_planned_around() {
    let sound = cluster(|_| {});
    let (plan, _) = outcome(&sound).expect("a plan");
    assert_eq!(plan.removed().count(), 1, "the cluster of this test has something to save: {plan:?}");
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let requirements = |requirements: Value| {
        cluster(move |items| items[6]["spec"]["template"]["spec"]["requirements"] = requirements.clone())
    };
    let cases: Vec<(&str, Vec<u8>, Must)> = vec![
        (
            "a pod on a node that is not there",
            cluster(|items| items[4]["spec"]["nodeName"] = json!("gone")),
            Must::Warn("Pod apps/p: runs on node gone, which is not known", ""),
        ),
        (
            "a node over its allocatable",
            cluster(|items| items[0]["status"]["allocatable"]["cpu"] = json!("100m")),
            Must::Warn("Node a: its pods ask for 500m of cpu, it has 100m", "over-allocatable"),
        ),
        (
            "two nodes of one name",
            cluster(|items| items.push(items[0].clone())),
            Must::Refuse(&["dump, item 8", "Node a", "metadata.name", "twice"]),
        ),
        (
            "two pods of one name",
            cluster(|items| items.push(items[4].clone())),
            Must::Refuse(&["dump, item 8", "Pod apps/p", "metadata.name", "twice"]),
        ),
        (
            "a quantity that is none",
            cluster(|items| items[4]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("much")),
            Must::Refuse(&["dump, item 5", "Pod apps/p", "spec.containers[0].resources.requests.cpu", "`much`"]),
        ),
        (
            "a time that is none",
            cluster(|items| items[0]["metadata"]["creationTimestamp"] = json!("yesterday")),
            Must::Refuse(&["dump, item 1", "Node a", "metadata.creationTimestamp", "`yesterday`"]),
        ),
        (
            "a field of another kind",
            cluster(|items| items[0]["spec"] = json!({"taints": "none"})),
            Must::Refuse(&["dump, item 1", "Node a", "spec.taints"]),
        ),
        (
            "requirements that exclude each other",
            requirements(json!([{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}])),
            Must::Warn("NodePool general: no offering of the catalogue satisfies its requirements", ""),
        ),
        (
            "a requirement with an operator that nobody knows",
            requirements(json!([{"key": "kubernetes.io/arch", "operator": "Near", "values": ["amd64"]}])),
            Must::Warn(
                "NodePool general: has a requirement with an operator or bound that is not known: kubernetes.io/arch Near amd64",
                "",
            ),
        ),
        ("no NodePool", cluster(|items| items.truncate(6)), Must::Warn("no NodePool in the input", "not-karpenter")),
        (
            "no Pod",
            cluster(|items| items.retain(|item| item["kind"] != "Pod")),
            Must::Warn("no Pod in the input: nothing tells what runs on a node, so no node may go", "pods-unknown"),
        ),
        (
            "no NodeClaim",
            cluster(|items| {
                items.remove(2);
                items.remove(2);
            }),
            Must::Warn("no NodeClaim in the input", "not-karpenter"),
        ),
        (
            "a region without prices",
            cluster(|items| {
                for node in &mut items[..2] {
                    node["metadata"]["labels"]["topology.kubernetes.io/region"] = json!("mars-1");
                }
            }),
            Must::Warn("no prices for region `mars-1`", "price-unknown"),
        ),
        ("nothing", Vec::new(), Must::Refuse(&["dump", "is empty"])),
        ("blanks", b" \n \n".to_vec(), Must::Refuse(&["no Node"])),
        ("no objects", b"{\"kind\":\"List\",\"items\":[]}".to_vec(), Must::Refuse(&["no Node"])),
        ("an object of something else", b"{\"a\": 1}".to_vec(), Must::Refuse(&["dump, item 1", "kind"])),
        ("a list of something else", b"[1, 2, 3]".to_vec(), Must::Refuse(&["dump", "is a JSON array"])),
        ("a long text", "every good boy does fine\n".repeat(100_000).into_bytes(), Must::Refuse(&["dump"])),
        (
            "a long log",
            "2026-11-24T12:00:00Z level=info msg=\"a: b: c\"\n".repeat(50_000).into_bytes(),
            Must::Refuse(&["dump"]),
        ),
        ("a table", "name,price\nm5.large,0.096\n".repeat(50_000).into_bytes(), Must::Refuse(&["dump"])),
        ("deep brackets", b"{\"items\":[".repeat(100_000), Must::Refuse(&["dump"])),
        (
            "deep lists",
            [b"{\"items\":[{\"kind\":\"Pod\",\"x\":".to_vec(), b"[".repeat(100_000)].concat(),
            Must::Refuse(&["dump"]),
        ),
        ("a picture", (0..200_000u32).map(|n| (n * 7 % 251) as u8).collect(), Must::Refuse(&["dump"])),
        ("half a dump", half(&sound), Must::Refuse(&["dump", "ends in the middle of item"])),
        ("half a gzip", half(&packed(&sound)), Must::Refuse(&["dump", "item"])),
        ("a gzip of nothing", packed(b""), Must::Refuse(&["dump", "is empty"])),
        ("a gzip of a gzip", packed(&packed(&sound)), Must::Refuse(&["dump", "neither JSON nor YAML"])),
        ("something after the list", [sound.clone(), b"}".to_vec()].concat(), Must::Refuse(&["dump", "too many"])),
    ];
    let mut wrong = Vec::new();
    for (claim, bytes, must) in cases {
        let told = match (catch_unwind(|| outcome(&bytes)), must) {
            (Err(_), _) => Some("panics".to_owned()),
            (Ok(Err(error)), Must::Refuse(words)) => {
                let missing = words.iter().find(|word| !error.contains(**word));
                missing.map(|word| format!("`{word}` is not in: {}", error.chars().take(300).collect::<String>()))
            }
            (Ok(Err(error)), Must::Warn(..)) => Some(format!("refused: {error}")),
            (Ok(Ok((plan, _))), Must::Refuse(_)) => Some(format!("planned: {} waves", plan.waves.len())),
            (Ok(Ok((plan, warnings))), Must::Warn(words, reason)) => {
                let kept = plan.kept.iter().find(|kept| kept.node == "a").map_or("", |kept| kept.reason.word());
                let told = warnings.iter().any(|warning| warning.contains(words));
                (!told || (!reason.is_empty() && kept != reason)).then(|| format!("a is {kept}, warnings {warnings:?}"))
            }
        };
        wrong.extend(told.map(|told| format!("{claim}: {told}")));
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn whatever_bytes_come_nothing_panics() {
    let sound = cluster(|_| {});
    let yaml = b"kind: Node\nmetadata: {name: a, labels: {x: z}}\n---\nkind: Pod\nmetadata: {name: p, namespace: apps}\nspec: {nodeName: a}\n";
    let kinds = [sound.clone(), packed(&sound), yaml.to_vec()];
    let mut mistakes = Mistakes::new(0x5EED);
    let (mut refused, mut planned) = (0, 0);
    for round in 0..4_000 {
        let bytes = &kinds[mistakes.below(kinds.len())];
        let bytes = mistakes.made(bytes, b"{}[]\",:0-e\\ \n");
        match catch_unwind(AssertUnwindSafe(|| outcome(&bytes))) {
            Ok(Ok(_)) => planned += 1,
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("round {round}: {}", String::from_utf8_lossy(&bytes)),
        }
    }
    assert!(refused > 1_000 && planned > 100, "{refused} refused, {planned} planned");
}
