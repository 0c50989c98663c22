//! Advice: each is a patch, and with the patch a plan comes to the price that was told.

use clap::Parser;
use serde_json::{Value, json};

use super::Trouble;
use super::cases::Program;
use super::wrong::cluster;
use crate::report::Report;

const PRICES: &str = "\
instance_type,region,vcpu,memory_mib,arch,max_pods,gpu_count,gpu_name,price_usd_hour,zone,capacity_type
m5.large,us-east-1,2,8192,amd64,29,0,,0.096,,
m5.large,us-east-1,2,8192,amd64,29,0,,0.035,us-east-1a,spot
m6g.large,us-east-1,2,8192,arm64,29,0,,0.077,,
m5.4xlarge,us-east-1,16,65536,amd64,234,0,,0.768,,
";

/// What `kentroller plan --advice` makes of a dump.
fn planned(name: &str, dump: &[u8], more: &[&str]) -> Result<Report, Trouble> {
    let file =
        std::env::temp_dir().join(format!("kentroller-advice-{}-{}.json", std::process::id(), name.replace(' ', "-")));
    std::fs::write(&file, dump).expect("a file");
    let (path, prices) = (file.display().to_string(), file.with_extension("csv"));
    std::fs::write(&prices, PRICES).expect("a file");
    let prices = prices.display().to_string();
    let words = ["plan", "-f", &path, "--steps", "2000", "--tolerance", "0", "--catalog", &prices]
        .into_iter()
        .chain(more.iter().copied());
    let made = Program::try_parse_from(words).expect("sound arguments").plan.made(std::time::Instant::now());
    for file in [&path, &prices] {
        std::fs::remove_file(file).expect("the file is ours");
    }
    made.map(|(report, _, _)| report)
}

fn merge(whole: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        whole.clone_from(patch);
        return;
    };
    if !whole.is_object() {
        *whole = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            whole.as_object_mut().expect("an object").remove(key);
        } else {
            merge(&mut whole[key], value);
        }
    }
}

/// The dump once an advice is applied, and Kubernetes has counted its disruption budgets anew.
fn applied(dump: &[u8], advice: &crate::report::document::Advice) -> Vec<u8> {
    let mut list: Value = serde_json::from_slice(dump).expect("JSON");
    for patch in &advice.patches {
        let items = list["items"].as_array_mut().expect("items");
        let is_it = |item: &&mut Value| {
            let metadata = &item["metadata"];
            item["kind"] == patch.kind
                && metadata["name"] == patch.name.as_str()
                && metadata["namespace"].as_str().unwrap_or_default() == patch.namespace
        };
        let item = items.iter_mut().find(is_it).expect("the object is in the dump");
        merge(item, &patch.patch);
        if patch.kind == "PodDisruptionBudget" {
            item["status"]["disruptionsAllowed"] = json!(1);
        }
        assert!(patch.command.starts_with("kubectl patch "), "{}", patch.command);
    }
    list.to_string().into_bytes()
}

/// Two nodes of which one could go, or go for a cheaper one, if something did not hold them.
fn held(change: impl Fn(&mut Vec<Value>)) -> Vec<u8> {
    cluster(|items| {
        for item in items.iter_mut().filter(|item| item["kind"] == "Pod") {
            item["metadata"]["labels"] = json!({"app": "web"});
            item["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        }
        change(items);
    })
}

fn of_pool(path: &str, value: Value) -> Vec<u8> {
    held(|items| {
        *items[6].pointer_mut("/spec").expect("a spec") = {
            let mut spec = items[6]["spec"].clone();
            merge(&mut spec, &json!({path: value}));
            spec
        }
    })
}

fn marked(kind: &str, place: &str, key: &str, value: &str) -> Vec<u8> {
    held(|items| {
        for item in items.iter_mut().filter(|item| item["kind"] == kind) {
            item["metadata"][place][key] = json!(value);
        }
    })
}

#[test]
fn each_advice_is_a_patch_with_which_a_plan_comes_to_the_price_that_was_told() {
    let one_large = |more: Value| {
        held(move |items| {
            for node in &mut items[..2] {
                node["metadata"]["labels"]["node.kubernetes.io/instance-type"] = json!("m5.4xlarge");
            }
            merge(&mut items[6]["spec"], &more);
        })
    };
    let requirements = |key: &str, values: Value| json!({"template": {"spec": {"requirements": [{"key": key, "operator": "In", "values": values}]}}});
    let budget = json!({"kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "apps"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2}});
    let cases = [
        (
            "a requirement",
            one_large(requirements("karpenter.k8s.aws/instance-family", json!(["m5d"]))),
            "NodePool general without its requirement",
        ),
        (
            "spot",
            one_large(requirements("karpenter.sh/capacity-type", json!(["on-demand"]))),
            "NodePool general with spot",
        ),
        (
            "an architecture",
            one_large(requirements("kubernetes.io/arch", json!(["amd64"]))),
            "NodePool general with arm64",
        ),
        ("a limit", one_large(json!({"limits": {"cpu": "4"}})), "NodePool general with limits of cpu "),
        (
            "a disruption budget",
            of_pool("disruption", json!({"budgets": [{"nodes": "0"}]})),
            "NodePool general with disruption budgets",
        ),
        (
            "a policy",
            of_pool("disruption", json!({"consolidationPolicy": "WhenEmpty"})),
            "NodePool general with consolidationPolicy",
        ),
        (
            "a policy of never",
            of_pool("disruption", json!({"consolidateAfter": "Never"})),
            "NodePool general with consolidateAfter",
        ),
        (
            "a PodDisruptionBudget",
            held(|items| items.push(budget.clone())),
            "PodDisruptionBudget apps/web with maxUnavailable 1",
        ),
        (
            "a pod",
            marked("Pod", "annotations", "karpenter.sh/do-not-disrupt", "true"),
            "1 pod without karpenter.sh/do-not-disrupt of ReplicaSet apps/",
        ),
        (
            "a pod that is not safe to evict",
            marked("Pod", "annotations", "cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
            "1 pod without",
        ),
        ("a label of a pod", marked("Pod", "labels", "autoscaling.cast.ai/removal-disabled", "true"), "1 pod without"),
        (
            "nodes",
            marked("Node", "annotations", "karpenter.sh/do-not-disrupt", "true"),
            "2 nodes of NodePool general without",
        ),
    ];
    for (name, dump, wanted) in cases {
        let report = planned(name, &dump, &["--advice"]).expect(name);
        let told: Vec<&String> = report.advice.iter().map(|advice| &advice.text).collect();
        let advice = report.advice.iter().find(|advice| advice.text.starts_with(wanted));
        let advice = advice.unwrap_or_else(|| panic!("{name}: no `{wanted}` in {told:?}"));
        let number = |text: &str| text.parse::<f64>().expect("an amount");
        let (before, after) = (number(&report.cost.after.hourly), number(&advice.hourly));
        assert!((before - after - number(&advice.saves_hourly)).abs() < 2e-4, "{name}: {advice:?} of {before}");
        let file = format!("{name} applied");
        let reached = planned(&file, &applied(&dump, advice), &[]).expect(name).cost.after.hourly;
        assert!(number(&reached) <= after * 1.01, "{name}: {reached} in place of {advice:?}");
        assert!(after < before * 0.99, "{name}: {advice:?} of {before}");
        let documents = crate::report::patch::patches(&report).expect(name);
        assert!(documents.contains(&format!("# {}", advice.patches[0].command)), "{name}: {documents}");
        for document in documents.split("---\n") {
            let object: Value = serde_saphyr::from_str(document).expect("YAML");
            assert!(object["kind"].is_string() && object["metadata"]["name"].is_string(), "{name}: {document}");
        }
    }
}

#[test]
fn where_nothing_is_in_the_way_nothing_is_advised() {
    let report = planned("free", &cluster(|items| items[6]["spec"] = json!({})), &["--advice"]).expect("a plan");
    let told: Vec<&String> = report.advice.iter().map(|advice| &advice.text).collect();
    assert!(report.advice.iter().all(|advice| advice.text.contains("spot")), "{told:?}");
    let none = Report { advice: Vec::new(), ..report };
    let told = crate::report::patch::patches(&none).expect("text");
    assert!(told.starts_with("# No change of settings was found"), "{told}");
}
