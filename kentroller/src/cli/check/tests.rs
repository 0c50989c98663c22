//! A plan of ours holds; one that was changed breaks a rule, which is told with object, field and value, and what to do.

use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::cli::plan::wrong::cluster;
use crate::cli::{Arguments, Command};

/// Files that are gone afterwards.
struct Files(Vec<std::path::PathBuf>);

impl Files {
    fn of(name: &str, all: &[&[u8]]) -> Self {
        let path = |number: usize| {
            std::env::temp_dir().join(format!("kentroller-check-{}-{name}-{number}", std::process::id()))
        };
        let written = all.iter().enumerate().map(|(number, bytes)| {
            std::fs::write(path(number), bytes).expect("a file");
            path(number)
        });
        Self(written.collect())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for file in &self.0 {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// What `kentroller check -f … -f …` answers.
fn checked(name: &str, files: &[&[u8]], more: &[&str]) -> Result<Answer, Trouble> {
    let files = Files::of(name, files);
    let mut words = vec!["kentroller".to_owned(), "check".to_owned()];
    for file in &files.0 {
        words.extend(["-f".to_owned(), file.display().to_string()]);
    }
    words.extend(more.iter().map(|word| (*word).to_owned()));
    let Command::Check(check) = Arguments::try_parse_from(words).expect("sound arguments").command else {
        panic!("another command");
    };
    check.answer()
}

/// A dump, and the RebalancePlan that `kentroller plan -o rebalanceplan` prints for it.
fn planned() -> (Vec<u8>, Value) {
    let dump = cluster(|_| {});
    let files = Files::of("planned", &[&dump]);
    let path = files.0[0].display().to_string();
    let words = ["kentroller", "plan", "-f", &path, "--steps", "100", "-o", "rebalanceplan"];
    let Command::Plan(plan) = Arguments::try_parse_from(words).expect("sound arguments").command else {
        panic!("another command");
    };
    let text = plan.text(std::time::Instant::now()).expect("a plan");
    (dump, serde_saphyr::from_str(&text).expect("YAML"))
}

#[test]
fn a_plan_of_ours_holds_and_one_that_was_changed_names_each_rule_that_it_breaks() {
    let (dump, plan) = planned();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut plan = plan.clone();
        change(&mut plan);
        plan.to_string().into_bytes()
    };
    let answer = checked("holds", &[&dump, &changed(&|_| {})], &[]).expect("an answer");
    assert!(answer.holds && answer.nodes_removed == 1 && answer.pods_moved == 1, "{answer:?}");
    assert!(answer.told().ends_with("It holds: no rule is broken.\n"), "{}", answer.told());
    let left = changed(&|plan| plan["spec"]["podsToMigrate"] = json!([]));
    // The plan may stand before the dump.
    let answer = checked("left", &[&left, &dump], &[]).expect("an answer");
    let [broken] = answer.violations.as_slice() else { panic!("{answer:?}") };
    assert_eq!((answer.holds, broken.rule, broken.wave), (false, "not-empty", Some(1)));
    let told = answer.told();
    assert!(told.contains(&format!("wave 1: {}: not-empty: ", broken.object)), "{told}");
    assert!(told.contains("plan anew"), "{told}");
    let nowhere = changed(&|plan| plan["spec"]["podsToMigrate"][0]["dstNodeClaimName"] = json!("nowhere"));
    let answer = checked("nowhere", &[&dump, &nowhere], &[]).expect("an answer");
    assert!(
        answer.violations.iter().any(|one| one.rule == "unknown-name" && one.text.contains("nowhere")),
        "{answer:?}"
    );
    let mut bare: Value = serde_json::from_slice(&dump).expect("JSON");
    for item in bare["items"].as_array_mut().expect("items") {
        if item["kind"] == "Pod" {
            item["metadata"]["ownerReferences"] = json!([]);
        }
    }
    let (bare, plan) = (bare.to_string().into_bytes(), changed(&|_| {}));
    let answer = checked("bare", &[&bare, &plan], &[]).expect("an answer");
    assert_eq!(answer.violations.iter().map(|one| one.rule).collect::<Vec<_>>(), ["bare-pod"]);
    let lifted = ["--aggressive", "ignoreProblemPodsWithoutController"];
    assert!(checked("lifted", &[&bare, &plan], &lifted).expect("an answer").holds);
}

#[test]
fn what_is_no_plan_for_this_cluster_is_told_with_file_object_and_field() {
    let (dump, plan) = planned();
    let changed = |pointer: &str, value: Value| {
        let mut plan = plan.clone();
        *plan.pointer_mut(pointer).expect(pointer) = value;
        plan.to_string().into_bytes()
    };
    let gone = || json!([{"nodeClaimName": "of-another-cluster"}]);
    let two = json!([{"nodeClaimName": "a"}, {"nodeClaimName": "lost"}]);
    let cases: [(&str, Vec<u8>, &str, u8); 8] = [
        ("another cluster", changed("/spec/nodeClaimsToDelete", gone()), "is a plan for another cluster", 3),
        ("unknown", changed("/spec/nodeClaimsToDelete", two), "nodeClaimsToDelete lost: no such NodeClaim", 3),
        ("wrong type", changed("/spec/podsToMigrate", json!("all")), "RebalancePlan, field spec.podsToMigrate", 3),
        ("no spec", changed("/spec", Value::Null), "RebalancePlan, field spec", 3),
        ("a report", br#"{"schemaVersion": 1, "waves": []}"#.to_vec(), "-o rebalanceplan", 3),
        ("no plan", br#"{"kind": "Service", "metadata": {"name": "s"}}"#.to_vec(), "none of the files is a plan", 2),
        ("no text", vec![0, 1, 2], "none of the files is a plan", 2),
        ("two plans", Vec::new(), "one is judged at a time", 2),
    ];
    for (name, file, told, code) in cases {
        let sound = plan.to_string().into_bytes();
        let files: Vec<&[u8]> = if file.is_empty() { vec![&dump, &sound, &sound] } else { vec![&dump, &file] };
        let (message, is) = match checked(&name.replace(' ', "-"), &files, &[]) {
            Err(Trouble::Usage(message)) => (message, 2),
            Err(Trouble::Input(message)) => (message, 3),
            other => panic!("{name}: {other:?}"),
        };
        assert!(message.contains(told) && is == code, "{name}: {is}: {message}");
    }
}
