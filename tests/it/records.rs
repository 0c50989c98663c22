//! A reconcile that acted can be saved, and decides the same again elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use kentroller::backend::{Checks, Effort, Embedded, Plans, Prices};
use kentroller::controllers;
use kentroller_runtime::engine::ports::Ports;
use kentroller_runtime::engine::record::Record;
use kentroller_tests::Stage;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn whatever_was_decided_is_decided_again_from_its_record() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("records");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut stage = Stage::drifted(6, 1);
    stage.operated.records = Some(folder.clone());
    stage.operated.restart().await;
    stage.claim("now", json!({"minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 2}}));
    assert!(stage.until(Duration::from_secs(3 * 3600), |stage| stage.is_over("now")).await);

    // Nothing is asked anew: there are no prices here.
    let nothing = Embedded { prices: Prices::Fixed(Default::default()), effort: Effort::Steps(0) };
    let ports = Ports::default().with(Plans::new(nothing.clone())).with(Checks(nothing));
    let (mut decided, mut by, mut others) = (Vec::new(), std::collections::BTreeSet::new(), 0);
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let mut record: Record = serde_json::from_str(&text).expect("a record");
        assert_eq!(record.replay(&controllers::all(), &ports).expect("it replays"), record.outcome);
        by.insert(record.controller.clone());
        decided.push(record.outcome.clone());
        // A replay decides anew: at another time something else may come out.
        record.now += Duration::from_secs(3600);
        others += usize::from(record.replay(&controllers::all(), &ports).expect("it replays") != record.outcome);
    }
    assert!(others > 0);
    assert_eq!(by.into_iter().collect::<Vec<_>>(), ["claims", "rebalance-plans"]);
    let evicts = |outcome: &&String| outcome.contains("evict  Pod");
    assert!(decided.iter().filter(evicts).count() > 3, "a story worth keeping");
}
