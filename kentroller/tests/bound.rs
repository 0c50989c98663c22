//! With every plan stands what no plan costs less than, and how far from that it is.

use std::path::Path;
use std::process::Command;

use kentroller_planner::{Money, Percent};
use serde_json::Value;

const CASES: [&str; 4] = ["yaml-of-700-pods", "custom-label-by-pod", "budget-for-empty-only", "why-not-two-replicas"];

#[test]
fn every_plan_states_a_bound_that_no_other_plan_of_the_cluster_is_below_and_its_gap() {
    let mut gaps = 0;
    for case in CASES {
        let calm = planned(case, &["-o", "json"]);
        let amount = |report: &Value, of: &str| {
            let text = report["cost"][of]["hourly"].as_str().unwrap_or_else(|| panic!("{case}: {}", report["cost"]));
            Money::parse(text).expect("an amount")
        };
        // The cheapest that is found, and one that may move little, are plans of the same cluster.
        for arguments in [&["-o", "json", "--tolerance", "0%"][..], &["-o", "json", "--max-moves", "10%"]] {
            let other = planned(case, arguments);
            assert!(amount(&other, "after") >= amount(&calm, "lowerBound"), "{case} {arguments:?}");
        }
        let (after, bound) = (amount(&calm, "after"), amount(&calm, "lowerBound"));
        assert!(bound > Money::ZERO && after >= bound, "{case}: {after} below {bound}");
        // Amounts are printed with four digits, the gap with one.
        let gap = Percent::parse(calm["cost"]["gapPercent"].as_str().expect("a gap")).expect("a percentage").parts();
        let [low, high] =
            [50, -50].map(|digit| bound + Money::micros(digit)).map(|bound| (after - bound).percent_of(bound).parts());
        assert!(gap + 500 >= low && gap - 500 <= high, "{case}: {after} is not {gap} above {bound}");
        assert!(!calm["cost"]["lowerBound"]["method"].as_str().unwrap_or_default().is_empty(), "{case}");
        gaps += usize::from(after > bound);
        let told = run(case, &[]);
        let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&format!("no plan is below {bound} USD/h")), "{case}: {told}");
    }
    assert!(gaps > 0, "each plan is at its bound: nothing is shown by that");
}

fn planned(case: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(case, arguments)).expect("JSON")
}

fn run(case: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("planner/tests/cases").join(case);
    let file = std::fs::read_dir(folder).expect("the case").next().expect("a file").expect("an entry").path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kentroller"));
    let output = command.args(["plan", "--steps", "2000", "-f"]).arg(file).args(arguments).output();
    String::from_utf8(output.expect("it runs").stdout).expect("text")
}
