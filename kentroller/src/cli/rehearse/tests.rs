//! What rehearsals promise, on dumps that lie in the tree and on dumps of simulated clusters.

use std::path::{Path, PathBuf};

use clap::Parser;
use jiff::Timestamp;
use kentroller_planner::manifest::KINDS;
use kentroller_world::{CSV, Drift};
use serde_json::{Value, json};

use super::*;
use crate::simulation::empty;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    rehearse: RehearseArguments,
}

/// What comes of a command line; the story is told to nobody.
fn rehearsed(arguments: &[&str]) -> Result<Rehearsal, String> {
    let all = ["rehearse", "-o", "json"].iter().chain(arguments);
    let asked = Program::try_parse_from(all).map_err(|error| error.to_string())?;
    Ok(asked.rehearse.rehearsing()?.play()?.document)
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("planner/tests/cases")
}

/// A file with this text, whose name no other test uses.
fn file(name: &str, text: &str) -> String {
    let path = std::env::temp_dir().join(format!("kentroller-rehearse-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("the folder of temporary files can be written");
    path.display().to_string()
}

/// What `kubectl get -o json` prints of a generated cluster: owners of pods that planning does not read are left out.
fn dump(drift: Drift, starts: &str) -> String {
    let starts: Timestamp = starts.parse().expect("a time");
    let (server, _) = empty(starts);
    drift.build(&server, starts).expect("the cluster is built");
    let items: Vec<Value> =
        KINDS.iter().flat_map(|kind| server.list(kind.kind)).map(|object| (*object).clone()).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn every_case_in_the_tree_is_rehearsed_without_a_broken_invariant_or_refused_in_clear_words() {
    let mut wrong = Vec::new();
    let (mut played, mut refused, mut saved) = (0, 0, 0);
    let folders = std::fs::read_dir(cases()).expect("cases").flatten().filter(|one| one.path().is_dir());
    for one in folders.flat_map(|one| std::fs::read_dir(one.path()).expect("a case").flatten()) {
        let name = one.path().display().to_string();
        let told = std::panic::catch_unwind(|| rehearsed(&["-f", &name]));
        match told {
            Err(_) => wrong.push(format!("{name} panics")),
            Ok(Err(message)) if message.contains(&name) => refused += 1,
            Ok(Err(message)) => wrong.push(format!("{name} is refused without its name: {message}")),
            Ok(Ok(document)) => {
                played += 1;
                saved += usize::from(document.operator.hourly_after != document.operator.hourly_before);
                wrong.extend(document.broken.iter().map(|text| format!("{name}: {text}")));
                let run = &document.operator;
                if !run.outcome.starts_with("Skipped") && !run.outcome.starts_with("Completed") {
                    wrong.push(format!("{name}: {}", run.outcome));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} things:\n{}", wrong.len(), wrong.join("\n"));
    assert!(played > 30 && refused > 5 && saved > 10, "{played} played, {refused} refused, {saved} with a saving");
}

const STARTS: &str = "2026-11-22T01:58:00Z";

/// A rehearsal of a dumped cluster at the prices of the simulated cloud.
fn of_dump(name: &str, text: &str, more: &[&str]) -> Result<Rehearsal, String> {
    let (dump, prices) = (file(&format!("{name}.json"), text), file(&format!("{name}.csv"), CSV));
    let arguments: Vec<&str> = ["-f", &dump, "--catalog", &prices].into_iter().chain(more.iter().copied()).collect();
    let told = rehearsed(&arguments);
    [dump, prices].iter().for_each(|path| std::fs::remove_file(path).expect("it is there"));
    told
}

#[test]
fn the_rehearsal_of_a_dump_comes_to_the_price_of_the_cluster_that_was_dumped_and_always_tells_the_same() {
    let drift = Drift { nodes: 12, seed: 1 };
    let starts = STARTS.parse().expect("a time");
    let ask = Ask::Object(whole(json!({"metadata": {"name": "rehearsal"}, "spec": {}})));
    let (cluster, longest) = (Cluster::generated(drift, starts), Duration::from_secs(4 * 3600));
    let demo = Rehearsing { cluster, ask, seed: 1, longest, beside: false, told: false };
    let demo = demo.play().expect("it is played").document.operator;
    let text = dump(drift, STARTS);
    let copy = of_dump("price", &text, &[]).expect("it is played");
    assert_eq!(copy.broken, [""; 0]);
    assert_eq!(copy.operator.not_running, [""; 0]);
    assert!(
        demo.outcome == "Completed" && copy.operator.outcome == "Completed",
        "{} {}",
        demo.outcome,
        copy.operator.outcome
    );
    assert_eq!([&copy.operator.hourly_before, &copy.operator.hourly_after], [&demo.hourly_before, &demo.hourly_after]);
    let number = |text: &str| text.parse::<f64>().expect("an amount");
    assert!(
        number(&demo.hourly_after) < number(&demo.hourly_before) && !copy.waves.is_empty(),
        "there was something to save"
    );
    let again = of_dump("price", &text, &[]).expect("it is played");
    assert_eq!(again.json(), copy.json(), "the same seed tells the same bytes");
}

/// The objects of a dump after a change.
fn changed(text: &str, change: impl Fn(&mut Vec<Value>)) -> String {
    let mut list: Value = serde_json::from_str(text).expect("JSON");
    change(list["items"].as_array_mut().expect("items"));
    list.to_string()
}

#[test]
fn what_no_rehearsal_can_begin_with_is_refused_with_file_object_and_remedy() {
    let text = dump(Drift { nodes: 3, seed: 1 }, STARTS);
    let without = |kind: &'static str| changed(&text, |items| items.retain(|item| item["kind"] != kind));
    let unpriced = changed(&text, |items| {
        for item in items.iter_mut().filter(|item| item["kind"] == "Node") {
            item["metadata"]["labels"]["node.kubernetes.io/instance-type"] = json!("x9.huge");
        }
    });
    let misnamed = changed(&text, |items| {
        let pod = items.iter_mut().find(|item| item["kind"] == "Pod").expect("a pod");
        pod["metadata"]["labels"]["app"] = json!("not a label value");
    });
    for (text, words) in [
        (without("Pod"), ["no Pod in the dump", "kubectl get pods"]),
        (without("NodePool"), ["no NodePool in the dump", "kubectl get nodepools.karpenter.sh"]),
        (without("NodeClaim"), ["no NodeClaim in the dump", "kubectl get nodeclaims.karpenter.sh"]),
        (without("Node"), ["no Node in the input", "kubectl get nodes"]),
        (unpriced, ["no Node has a price", "--catalog FILE.csv"]),
        (misnamed, ["Pod kube-system/", "metadata.labels"]),
    ] {
        let told = of_dump("wrong", &text, &[]).expect_err(words[0]);
        assert!(words.iter().all(|word| told.contains(word)) && told.contains("wrong.json"), "{words:?}: {told}");
    }
    let head = "apiVersion: autoscaling.cast.ai/v1alpha\nkind: RebalancePlanClaim\nmetadata: {name: a}\n";
    for (claim, words) in [
        ("kind: Pod\napiVersion: v1\n".to_owned(), ["kind", "RebalancePlanClaim"]),
        (head.to_owned(), ["field spec", "spec: {}"]),
        (format!("{head}spec: {{minSavingsPercentage: much}}\n"), ["the claim is refused", "minSavingsPercentage"]),
        (": :".to_owned(), ["claim.yaml", ""]),
    ] {
        let path = file("claim.yaml", &claim);
        let told = of_dump("claimed", &text, &["--claim", &path]).expect_err(&claim);
        assert!(words.iter().all(|word| told.contains(word)), "{claim}: {told}");
    }
}

#[test]
fn what_a_copy_plays_otherwise_is_told_and_nothing_is_lost() {
    let text = changed(&dump(Drift { nodes: 6, seed: 2 }, STARTS), |items| {
        let owned = |item: &Value| item["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet";
        let mut owners: Vec<String> = Vec::new();
        for item in items.iter_mut().filter(|item| item["kind"] == "Pod" && owned(item)) {
            let owner = item["metadata"]["ownerReferences"][0]["name"].as_str().expect("a name").to_owned();
            if !owners.contains(&owner) {
                owners.push(owner.clone());
            }
            match owners.iter().position(|one| *one == owner) {
                Some(0) => item["metadata"]["ownerReferences"][0]["kind"] = json!("Rollout"),
                Some(1) => item["metadata"]["ownerReferences"][0]["kind"] = json!("Job"),
                Some(2) => drop(item["metadata"].as_object_mut().expect("metadata").remove("ownerReferences")),
                Some(3) => item["metadata"]["ownerReferences"][0]["kind"] = json!("StatefulSet"),
                Some(4) => {
                    item["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!([
                        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "nobody"}},
                            "namespaceSelector": {"matchLabels": {"team": "blue"}}}]);
                }
                _ => {}
            }
        }
    });
    let document = of_dump("played", &text, &["--beside", "karpenter"]).expect("it is played");
    assert_eq!(document.broken, [""; 0]);
    assert_eq!(document.operator.not_running, [""; 0]);
    let told = document.not_known.join("\n");
    for words in [
        "of kind Rollout: each is played by a ReplicaSet",
        "pods of Jobs",
        "pods without a controller",
        "pods whose affinity asks for namespaces by label",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(document.karpenter.is_some_and(|run| run.seconds == document.operator.seconds), "the same time");
}
