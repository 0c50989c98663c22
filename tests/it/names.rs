//! What pages name exists: settings, values of the chart, fields, reasons, metrics, labels.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use kentroller_tests::pages::{inline, pages, root, shell};
use serde_json::Value;

/// Names of Kubernetes, Karpenter, AWS and others that pages speak of and nothing of ours declares.
const OTHERS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_PRICING",
    "AWS_PROFILE",
    "AWS_REGION",
    "CRON_TZ",
    "DescribeAvailabilityZones",
    "DescribeInstanceTypeOfferings",
    "DescribeInstanceTypes",
    "DescribeSpotPriceHistory",
    "FailedScheduling",
    "GetProducts",
    "HTTPS_PROXY",
    "NO_PROXY",
    "RUST_LOG",
    "SpotInterrupted",
    "SpotRebalanceRecommendation",
    "consolidateAfter",
    "emptyDir",
    "involvedObject",
    "lastTimestamp",
    "secretRef",
];

#[test]
fn every_name_on_a_page_is_declared_or_of_others() {
    let (mut known, mut wrong) = (BTreeSet::new(), Vec::new());
    for file in generated() {
        known.extend(divided(&fs::read_to_string(&file).expect("a generated file")));
    }
    let others: BTreeSet<&str> = OTHERS.iter().copied().collect();
    let mut met = BTreeSet::new();
    for page in written() {
        let text = fs::read_to_string(&page).expect("a page is text");
        for name in names(&text) {
            if others.contains(&*name) {
                met.insert(name);
            } else if !known.contains(&name) {
                wrong.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    let unmet: Vec<&&str> = others.iter().filter(|name| !met.contains(**name)).collect();
    assert_eq!(unmet, Vec::<&&str>::new(), "no page names these any more, or they are ours");
}

#[test]
fn every_value_that_a_page_sets_is_one_of_a_chart() {
    let schemas = ["castai-kentroller", "castai-umbrella"].map(|chart| {
        let file = root().join("charts").join(chart).join("values.schema.json");
        serde_json::from_str::<Value>(&fs::read_to_string(file).expect("the schema")).expect("JSON")
    });
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in written() {
        let text = fs::read_to_string(&page).expect("a page is text");
        for set in text.split("--set ").skip(1).filter_map(|rest| rest.split('=').next()) {
            count += 1;
            if !schemas.iter().any(|schema| has(schema, set)) {
                wrong.push(format!("{}: {set}", page.display()));
            }
        }
    }
    assert!(count > 10, "{count}");
    assert_eq!(wrong, [""; 0]);
    assert!(!has(&schemas[0], "castai.moode") && has(&schemas[0], "additionalEnv.ANY"));
}

#[test]
fn names_are_told_by_their_shape() {
    let text = "`spec.minAge=5` of `RebalancePlan`, `PLAN_TIME_LIMIT`, `a.cast.ai/b-c`, `kubectl get`, minAge\n```sh\n# kentroller_age\n```";
    assert_eq!(
        Vec::from_iter(names(text)),
        ["PLAN_TIME_LIMIT", "RebalancePlan", "a.cast.ai/b-c", "kentroller_age", "minAge"]
    );
}

/// What is made from the declarations.
fn generated() -> Vec<PathBuf> {
    let reference = pages(&root().join("kentroller/docs/reference")).into_iter();
    let mut all: Vec<PathBuf> = reference.filter(|page| !page.ends_with("features.md")).collect();
    all.extend(
        ["castai-kentroller/README.md", "castai-umbrella/values.yaml"].map(|file| root().join("charts").join(file)),
    );
    all
}

/// What people wrote for people. Decisions and the tutorial speak of what is in the source.
fn written() -> Vec<PathBuf> {
    let docs = root().join("kentroller/docs");
    let mut all = pages(&docs);
    all.retain(|page| {
        page.parent() == Some(&docs) && !page.ends_with("tutorial.md") && !page.ends_with("framework.md")
    });
    all.push(root().join("README.md"));
    all
}

/// What looks like a name in the code of a page.
fn names(text: &str) -> BTreeSet<String> {
    let code: String = inline(text).chain(shell(text)).flat_map(|code| [code, "\n"]).collect();
    divided(&code).into_iter().filter(|word| is_name(word)).collect()
}

/// Words, and keys of labels as a whole.
fn divided(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_./-".contains(letter)));
    let parts = words.flat_map(|word| {
        let word = word.trim_matches('.');
        let splits = |letter: char| !is_key(word) && "./-".contains(letter);
        word.split(splits).map(str::to_owned).collect::<Vec<_>>()
    });
    parts.collect()
}

fn is_key(word: &str) -> bool {
    ["cast.ai/", "karpenter.sh/"].iter().any(|domain| word.contains(domain))
}

/// Constants, metrics, keys of labels, and words with a hump.
fn is_name(word: &str) -> bool {
    let is_constant =
        word.contains('_') && word.chars().all(|one| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '_');
    let has_hump =
        word.chars().zip(word.chars().skip(1)).any(|(one, next)| one.is_ascii_lowercase() && next.is_ascii_uppercase());
    is_constant || word.starts_with("kentroller_") || is_key(word) || (has_hump && !word.contains('_'))
}

/// Whether a schema knows the value of this path; below a map it knows any.
fn has(schema: &Value, path: &str) -> bool {
    let mut place = schema;
    for part in path.split('.') {
        let Some(properties) = place["properties"].as_object() else { return true };
        let Some(next) = properties.get(part) else { return false };
        place = next;
    }
    true
}
