//! What a plan has really saved, long after its end, against what the machines of the cluster have cost.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_tests::{Stage, text};
use kentroller_world::{Catalogue, Ledger, price_per_hour};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);
const DAY: u64 = 24 * 3600;

/// A cluster whose plan is done, the ledger of what its machines cost, and what they would have cost in an hour.
async fn rebalanced() -> (Stage, Ledger, Money) {
    let stage = Stage::drifted(12, 1);
    let before = price_per_hour(&stage.operated.server, &Catalogue::shipped());
    stage.pass(5).await;
    let ledger = Ledger::open(&stage.operated.server, &stage.operated.clock, Arc::new(Catalogue::shipped()));
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    assert_eq!(stage.state("RebalancePlan", "now"), "Done");
    stage.pass(60).await;
    (stage, ledger, before)
}

fn measured(stage: &Stage) -> Value {
    stage.get("RebalancePlan", "now").expect("the plan")["status"]["measuredSavings"].clone()
}

fn amount(field: &Value) -> Money {
    Money::parse(&text(field)).expect("an amount")
}

#[tokio::test(start_paused = true)]
async fn what_was_really_saved_is_measured_at_the_end_and_after_a_day() {
    let (stage, ledger, before) = rebalanced().await;
    let first = measured(&stage);
    // Old and new nodes ran side by side, and nothing was earned so far.
    assert!(amount(&first["saved"]) < amount(&first["promised"]), "{first}");
    stage.pass(DAY).await;
    let now = measured(&stage);
    assert_ne!(now["until"], first["until"]);
    // The ledger has every machine from its first second to its last: the plan has NodeClaims, and names what went.
    let until = text(&now["until"]).parse().expect("a time");
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    let began: Timestamp = text(&plan["status"]["startTime"]).parse().expect("a time");
    let since = stage.operated.clock.now().duration_since(until).as_secs();
    let spent = ledger.tally().spent - price_per_hour(&stage.operated.server, &Catalogue::shipped()) * since / 3600;
    let saved = before * until.duration_since(began).as_secs() / 3600 - spent;
    let differs = (saved - amount(&now["saved"])).percent_of(saved);
    assert!(differs.parts().abs() < 10_000, "{now}: the machines say {saved}, {differs} % more");
    let share: f64 = text(&now["savedPercentage"]).parse().expect("a percentage");
    assert!((95.0..=100.0).contains(&share), "{share}");
}

#[tokio::test(start_paused = true)]
async fn from_when_a_new_node_goes_its_wave_saves_nothing_more() {
    let (stage, _, _) = rebalanced().await;
    stage.pass(3600).await;
    let plan = || stage.get("RebalancePlan", "now").expect("the plan");
    let made = plan()["status"]["nodesCreation"].as_object().expect("new nodes").values().next().cloned();
    let claim = text(&made.expect("one")["attempts"][0]["nodeClaimName"]);
    let wave = plan()["spec"]["nodeClaimsToAdd"].as_array().expect("those that come")[0]["wave"].clone();
    let of_wave = || {
        let plan = plan();
        let waves = plan["status"]["waves"].as_array().expect("waves").clone();
        waves.into_iter().find(|one| one["index"] == wave).expect("its wave")["measured"].clone()
    };
    let before = of_wave();
    let now = stage.operated.clock.now();
    stage.delete("NodeClaim", &claim);
    stage.pass(10).await;
    let closed = of_wave();
    let until: Timestamp = text(&closed["until"]).parse().expect("a time");
    assert!(until.duration_since(now).as_secs().abs() <= 1, "{closed}, deleted at {now}");
    assert!(amount(&closed["saved"]) > amount(&before["saved"]), "{closed} {before}");
    stage.pass(DAY).await;
    assert_eq!(of_wave(), closed);
    assert!(text(&measured(&stage)["until"]) > text(&closed["until"]), "the other waves are measured on");
}
