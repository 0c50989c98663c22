use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use kentroller_planner::manifest::Pod;
use serde_json::{Value, json};

use super::*;
use crate::cli::plan::{Effort, searched};
use crate::cli::{Arguments, Command};

/// A situation of two nodes with a pod of one workload on each.
fn two_nodes() -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(case("why-not-two-replicas")).expect("a case")).expect("YAML")
}

fn case(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("planner/tests/cases/{name}/case.yaml"))
}

/// A file of this text, and what the command says of it.
struct Asking(PathBuf);

impl Asking {
    fn of(name: &str, dump: &Value) -> Self {
        let path = std::env::temp_dir().join(format!("kentroller-explain-{}-{name}", std::process::id()));
        std::fs::write(&path, dump.to_string()).expect("a file");
        Self(path)
    }

    fn command(&self, arguments: &[&str]) -> Explain {
        let file = self.0.display().to_string();
        let all = [&["kentroller", "explain"], arguments, &["-f", &file]].concat();
        let Command::Explain(explain) = Arguments::try_parse_from(all).expect("sound arguments").command else {
            panic!("not `explain`")
        };
        explain
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::to_value(self.command(arguments).answer().expect("an answer")).expect("JSON")
    }

    fn text(&self, arguments: &[&str]) -> String {
        self.command(arguments).answer().expect("an answer").told()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn find<'a>(dump: &'a mut Value, kind: &str, name: &str) -> &'a mut Value {
    let items = dump["items"].as_array_mut().expect("items");
    items.iter_mut().find(|one| one["kind"] == kind && one["metadata"]["name"] == name).expect("it is there")
}

fn budget(allowed: u32) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}}, "status": {"disruptionsAllowed": allowed}})
}

#[test]
fn a_pod_is_told_the_rule_that_holds_it_with_object_field_and_value_and_what_follows_for_its_node() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str, &str); 7] = [
        (
            "budget",
            |dump| dump["items"].as_array_mut().expect("items").push(budget(0)),
            "pdb-allows-none",
            "PodDisruptionBudget shop/web, field status.disruptionsAllowed: 0",
        ),
        (
            "budgets",
            |dump| {
                let mut other = budget(1);
                other["metadata"]["name"] = json!("other");
                dump["items"].as_array_mut().expect("items").extend([budget(1), other]);
            },
            "several-pdbs",
            "field spec.selector: each selects the pod",
        ),
        (
            "shield",
            |dump| {
                find(dump, "Pod", "web-1")["metadata"]["annotations"] = json!({"karpenter.sh/do-not-disrupt": "true"})
            },
            "do-not-disrupt",
            "Pod shop/web-1, field metadata.annotations[karpenter.sh/do-not-disrupt]: true",
        ),
        (
            "label",
            |dump| {
                find(dump, "Pod", "web-1")["metadata"]["labels"]["autoscaling.cast.ai/removal-disabled"] = json!("true")
            },
            "removal-disabled",
            "Pod shop/web-1, field metadata.labels[autoscaling.cast.ai/removal-disabled]: true",
        ),
        (
            "bare",
            |dump| find(dump, "Pod", "web-1")["metadata"]["ownerReferences"] = json!([]),
            "bare-pod",
            "Pod shop/web-1, field metadata.ownerReferences: no controller",
        ),
        (
            "scheduler",
            |dump| find(dump, "Pod", "web-1")["spec"]["schedulerName"] = json!("volcano"),
            "foreign-scheduler",
            "Pod shop/web-1, field spec.schedulerName: volcano",
        ),
        (
            "disk",
            |dump| {
                find(dump, "Pod", "web-1")["spec"]["volumes"] =
                    json!([{"name": "d", "persistentVolumeClaim": {"claimName": "gone"}}])
            },
            "volume-unknown",
            "Pod shop/web-1, field spec.volumes: It has a volume whose place cannot be told.",
        ),
    ];
    for (name, change, rule, fact) in cases {
        let mut dump = two_nodes();
        change(&mut dump);
        let asking = Asking::of(name, &dump);
        let answer = asking.json(&["pod", "shop/web-1"]);
        assert_eq!(answer["claims"]["pod"]["rule"], rule, "{name}: {answer:#}");
        assert_eq!(answer["claims"]["pod"]["mayBeEvicted"], false, "{name}");
        assert_eq!(answer["claims"]["node"]["reason"], "blocked-by-pods", "{name}");
        assert_eq!(answer["claims"]["node"]["blockers"][0]["rule"], rule, "{name}");
        let text = asking.text(&["pod", "shop/web-1"]);
        assert!(text.contains(fact) && text.contains("its node n-a:"), "{name}: {text}");
        let node = asking.text(&["node", "n-a"]);
        assert!(node.contains(fact) && node.contains(&format!("shop/web-1 holds it by {rule}")), "{name}: {node}");
    }
    let free = Asking::of("free", &two_nodes());
    let answer = free.json(&["pod", "shop/web-1"]);
    assert_eq!(
        (&answer["claims"]["pod"]["mayBeEvicted"], &answer["claims"]["node"]["mayGo"]),
        (&json!(true), &json!(true))
    );
    assert!(free.text(&["pod", "shop/web-1"]).contains("it may go where that pays; 1 of its pods"));
}

#[test]
fn the_entry_that_decides_is_told_with_its_place_and_what_it_lifts_for_whom_it_binds() {
    let mut dump = two_nodes();
    find(&mut dump, "Pod", "web-1")["metadata"]["annotations"] = json!({"karpenter.sh/do-not-disrupt": "true"});
    let asking = Asking::of("entries", &dump);
    let check = |entries: Value, rule: [Value; 2], entry: [Value; 2], lifted: Value| {
        let file = std::env::temp_dir().join(format!("kentroller-explain-{}-config", std::process::id()));
        std::fs::write(&file, entries.to_string()).expect("a file");
        let answer = asking.json(&["pod", "shop/web-1", "--eviction-config", &file.display().to_string()]);
        let told = |whom: &str| answer[whom]["pod"].clone();
        assert_eq!(["claims", "cycles"].map(|whom| told(whom)["rule"].clone()), rule, "{entries}: {answer:#}");
        assert_eq!(["claims", "cycles"].map(|whom| told(whom)["entry"].clone()), entry, "{entries}");
        assert_eq!(told("cycles")["lifted"], lifted, "{entries}");
        let _ = std::fs::remove_file(file);
    };
    let pods = |says: &str| json!({"podSelector": {"namespace": "shop"}, "settings": {says: {"enabled": true}}});
    let nodes = |says: &str, zone: &str| json!({"nodeSelector": {"matchLabels": {"topology.kubernetes.io/zone": zone}}, "settings": {says: {"enabled": true}}});
    let silent = || json!({"podSelector": {}, "settings": {}});
    let told = |place: usize, selects: &str, says: &str| json!({"place": place, "selects": selects, "says": says});
    let (held, none) = (|| json!("do-not-disrupt"), || Value::Null);
    check(json!([]), [held(), held()], [none(), none()], none());
    // What lifts a rule binds cycles only; an entry that says nothing has its place nevertheless.
    check(
        json!([silent(), pods("disposable")]),
        [held(), none()],
        [none(), told(1, "podSelector", "disposable")],
        held(),
    );
    check(json!([pods("aggressive")]), [held(), held()], [none(), told(0, "podSelector", "aggressive")], none());
    // The most restrictive decides, whichever stands first; the node's counts for its pods.
    let disabled = || json!("removal-disabled");
    let by_node = || told(1, "nodeSelector", "removalDisabled");
    check(
        json!([pods("disposable"), nodes("removalDisabled", "us-east-1a")]),
        [disabled(), disabled()],
        [by_node(), by_node()],
        none(),
    );
    check(json!([nodes("removalDisabled", "us-east-1z")]), [held(), held()], [none(), none()], none());
}

#[test]
fn a_node_that_somebody_cordoned_stays_and_one_that_a_plan_cordoned_or_shields_is_no_exception() {
    let asked = |name: &str, annotations: Value, unschedulable: bool| {
        let mut dump = two_nodes();
        let node = find(&mut dump, "Node", "n-a");
        node["metadata"]["annotations"] = annotations;
        node["spec"]["unschedulable"] = json!(unschedulable);
        Asking::of(name, &dump).json(&["node", "n-a"])["claims"]["node"].clone()
    };
    let by_a_person = asked("cordon", json!({}), true);
    assert_eq!((&by_a_person["reason"], &by_a_person["takesPods"]), (&json!("cordoned"), &json!(false)));
    let by_a_plan = json!({"rebalancing.cast.ai/cordoned-by": "u"});
    assert_eq!(asked("drain", by_a_plan, true)["mayGo"], true);
    let shield = |former: &str| json!({"karpenter.sh/do-not-disrupt": "true", "rebalancing.cast.ai/former-do-not-disrupt": former});
    assert_eq!(asked("ours", shield("absent"), false)["mayGo"], true, "our own shield stops nobody of us");
    assert_eq!(asked("theirs", shield("true"), false)["reason"], "do-not-disrupt");
}

#[test]
fn explain_says_of_every_pod_and_node_what_the_planner_says() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("planner/tests/cases");
    let files = std::fs::read_dir(folder).expect("cases").flatten().map(|one| one.path().join("case.yaml"));
    let (mut holding, mut free, mut reasons) = (0, 0, BTreeMap::new());
    for file in files.filter(|file| file.exists()) {
        let name = file.display().to_string();
        let asked = ["kentroller", "explain", "node", "x", "-f", &name];
        let Command::Explain(explain) = Arguments::try_parse_from(asked).expect("sound").command else { panic!() };
        let What::Node { asked, .. } = explain.what else { panic!() };
        let looked = asked.source.read().expect(&name);
        let options = looked.of_claims().expect("options");
        let effort = Effort { steps: Some(1), until: Instant::now(), advice: None };
        let planned = searched(&looked.snapshot, &looked.catalog, &options, effort).expect(&name);
        for kept in &planned.plan.kept {
            let on_node = |pod: &&Pod| *pod.spec.node_name == *kept.node;
            for pod in looked.snapshot.pods.iter().filter(on_node) {
                let key = pod.metadata.key();
                let told =
                    of_pod(&looked, &PodName(key.namespace.to_string(), key.name.to_string())).expect("an answer");
                let told = told.claims.pod.expect("a pod");
                let blocker = kept.blockers.iter().find(|blocker| blocker.pod == key);
                assert_eq!(told.because.rule, blocker.map(|blocker| blocker.rule.word()), "{name}: {key}");
                assert_eq!(told.holds_its_node, told.because.object.is_some(), "{name}: {key} tells no object");
                if blocker.is_some() { holding += 1 } else { free += 1 }
            }
            let told = of_node(&looked, &kept.node).expect("an answer").claims.node.expect("a node");
            if let Some(reason) = told.reason.filter(|reason| *reason != "cordoned") {
                assert_eq!((reason, told.detail.as_deref()), (kept.reason.word(), Some(&*kept.detail)), "{name}");
                *reasons.entry(reason).or_insert(0) += 1;
            }
        }
    }
    assert!(holding >= 4 && free >= 20 && reasons.len() >= 5, "{holding} hold, {free} do not, {reasons:?}");
}

#[test]
fn a_name_that_is_not_there_is_wrong_usage_and_says_which_are() {
    let asking = Asking::of("names", &two_nodes());
    for (arguments, wanted) in [
        (["pod", "shop/web-3"], "in namespace shop, pod web-3 is not there; there are 2: web-1, web-2"),
        (["pod", "other/web-1"], "in namespace other, pod web-1 is not there; there is none at all"),
        (["node", "n-c"], "node n-c is not there; there are 2: n-a, n-b"),
    ] {
        match asking.command(&arguments).answer() {
            Err(Trouble::Usage(told)) => assert_eq!(told, wanted),
            other => panic!("{arguments:?}: {other:?}"),
        }
    }
    let wrong = Arguments::try_parse_from(["kentroller", "explain", "pod", "web-1"]).expect_err("no namespace");
    assert!(wrong.to_string().contains("write NAMESPACE/NAME"), "{wrong}");
}

#[test]
fn no_line_of_an_answer_is_told_wider_than_a_terminal_but_for_long_names() {
    let mut dump = two_nodes();
    dump["items"].as_array_mut().expect("items").push(budget(0));
    let text = Asking::of("wide", &dump).text(&["pod", "shop/web-1"]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
