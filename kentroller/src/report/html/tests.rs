//! What pages promise.

use kentroller_planner::{Catalog, Options, Snapshot, Steps};
use maud::html;
use serde_json::json;

use super::page::{bars, page, table};
use crate::report::{Report, Timing};

#[test]
fn names_from_a_cluster_are_never_markup() {
    let rows = html! { tr { td { ("<b a=\"1\">&") } } };
    let page = page("a <title>", &table("<i>", &["<u>"], true, &rows));
    assert!(!page.contains("<b a") && !page.contains("<i>") && !page.contains("<u>") && !page.contains("a <title>"));
    assert!(page.contains("&lt;b a=&quot;1&quot;&gt;&amp;"), "{page}");
}

#[test]
fn nothing_of_a_page_comes_from_elsewhere() {
    let page = page("a plan", &bars("cost", &[("now", "2.0000", String::new()), ("after", "1.0000", String::new())]));
    for foreign in ["http://", "https://", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("width:70.0%") && page.contains("width:35.0%"), "half the amount is half the bar: {page}");
}

#[test]
fn a_page_of_five_thousand_nodes_stays_below_eight_megabytes() {
    let node = |number: usize| json!({"kind": "Node", "metadata": {"name": format!("ip-10-0-{}-{}.ec2.internal", number / 250, number % 250)}});
    let snapshot = Snapshot {
        nodes: (0..5_000).map(|number| serde_json::from_value(node(number)).expect("a node")).collect(),
        ..Snapshot::default()
    };
    let (catalog, options) = (Catalog::embedded(), Options::default());
    let made = kentroller_planner::plan(&snapshot, &catalog, &options, &mut Steps(1)).expect("a plan");
    let fills = super::fills(&made, &snapshot);
    assert_eq!(fills.len(), 5_000);
    let report = Report::of(&made, &snapshot, &catalog, String::new(), Vec::new(), Timing::default());
    let page = super::plan(&report, &fills);
    assert!(page.matches("<tr>").count() >= 10_000, "every node is in both tables");
    assert!(page.len() < 8 << 20, "{} bytes", page.len());
    assert_eq!(report.kept.len(), 5_000);
}
