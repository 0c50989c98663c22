//! `kentroller plan --as karpenter`: where Karpenter's own rule settles, beside the plan.

use clap::Parser;
use serde_json::Value;

use super::cases::Program;
use super::wrong::cluster;

/// What is printed for the cluster of two nodes of which one could go.
fn printed(name: &str, more: &[&str]) -> String {
    let file = std::env::temp_dir().join(format!("kentroller-as-{}-{name}.json", std::process::id()));
    std::fs::write(&file, cluster(|_| {})).expect("a file");
    let path = file.display().to_string();
    let words = ["plan", "-f", &path, "--steps", "200"].into_iter().chain(more.iter().copied());
    let text = Program::try_parse_from(words).expect("sound arguments").plan.text(std::time::Instant::now());
    std::fs::remove_file(&file).expect("the file is ours");
    text.expect("a plan")
}

#[test]
fn where_karpenter_would_settle_is_told_beside_the_plan_under_each_policy() {
    for (policy, hourly, commands) in
        [("WhenEmpty", "0.1920", 0), ("WhenEmptyOrUnderutilized", "0.0960", 1), ("Balanced", "0.0960", 1)]
    {
        let text = printed(policy, &["--as", "karpenter", "--policy", policy, "-o", "json"]);
        let report: Value = serde_json::from_str(&text).expect("JSON");
        let karpenter = &report["karpenter"];
        assert_eq!((&karpenter["policy"], &karpenter["hourly"]), (&policy.into(), &hourly.into()), "{karpenter}");
        assert_eq!(karpenter["commands"].as_array().map(Vec::len), Some(commands), "{karpenter}");
        assert_eq!(karpenter["isSettled"], true);
        let table = printed(policy, &["--as", "karpenter", "--policy", policy, "-o", "wide"]);
        let row = |name: &str| {
            let line = table.lines().find(|line| line.trim_start().starts_with(name)).expect(name);
            line.split_whitespace().map(str::to_owned).collect::<Vec<String>>()
        };
        assert_eq!(row("Karpenter ")[1], hourly, "{table}");
        assert_eq!(row("Kentroller ")[1], "0.0960", "{table}");
        assert!(table.contains(&format!("policy {policy} in every NodePool")), "{table}");
    }
    let own: Value = serde_json::from_str(&printed("own", &["--as", "karpenter", "-o", "json"])).expect("JSON");
    assert_eq!((&own["karpenter"]["policy"], &own["karpenter"]["hourly"]), (&"as-configured".into(), &"0.0960".into()));
    let alone: Value = serde_json::from_str(&printed("alone", &["-o", "json"])).expect("JSON");
    assert!(alone.get("karpenter").is_none(), "nobody asked for it");
    assert!(Program::try_parse_from(["plan", "--policy", "Balanced"]).is_err(), "a policy of nobody");
}

#[test]
fn what_is_explained_of_a_node_is_told_as_json_and_yaml_too() {
    let text = printed("explained", &["--explain", "a", "--explain", "b", "-o", "json"]);
    let told: Value = serde_json::from_str(&text).expect("JSON");
    let courses: Vec<&str> =
        told["nodes"].as_array().expect("nodes").iter().filter_map(|node| node["course"].as_str()).collect();
    assert_eq!(courses.len(), 2);
    assert!(courses.contains(&"goes") && courses.contains(&"stays"), "{text}");
    for node in told["nodes"].as_array().expect("nodes") {
        assert_eq!(node["moves"][0]["wave"], 1, "{text}");
    }
    let yaml: Value = serde_saphyr::from_str(&printed("yaml", &["--explain", "a", "-o", "yaml"])).expect("YAML");
    assert_eq!(yaml["nodes"][0], told["nodes"][0]);
}
