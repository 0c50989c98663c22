use kentroller_runtime::Controller as _;
use kentroller_runtime::generate::rbac::Rights;
use kentroller_runtime::settings::Settings as _;
use kentroller_runtime::testing::{Given, given, object};
use serde_json::{Value, json};

use super::*;
use crate::backend::Risk;

const NOW: &str = "2026-11-22T10:00:00Z";

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::from_env(&|_| None).expect("the defaults are right");
    settings.prediction_model = Some("local".to_owned());
    settings.interruption_threshold = Some(Decimal::from_millionths(400_000));
    change(&mut settings);
    settings
}

/// A spot node that was made at this time, and its NodeClaim.
fn machine(name: &str, created: &str, annotations: Value) -> (Node, NodeClaim) {
    let labels = json!({"karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "spot",
        "node.kubernetes.io/instance-type": "m5.large", "topology.kubernetes.io/zone": "us-east-1a"});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": format!("{name} {created}"),
        "creationTimestamp": created, "labels": labels, "annotations": annotations}});
    let claim = json!({"apiVersion": "", "kind": "", "metadata": {"name": format!("claim-{name}")}, "status": {"nodeName": name}});
    (object(node), object(claim))
}

/// A claim that was made for this node, and how it ended.
fn claim(name: &str, node: &str, created: &str, ended: Option<&str>) -> RebalancePlanClaim {
    let state = if ended.is_some() { "Skipped" } else { "Executing" };
    object(json!({"apiVersion": "", "kind": "", "metadata": {"name": name, "uid": name, "creationTimestamp": created,
        "labels": {"rebalancing.cast.ai/predicts": "interruption"}},
        "spec": {"autoExecute": true, "scope": {"nodeNames": [node]}},
        "status": {"state": state, "completionTime": ended, "conditions": []}}))
}

/// These nodes, each with its probability in percent.
fn given_with(nodes: Vec<(Node, NodeClaim)>, percents: &[(&str, i64)]) -> Given<SpotInterruption> {
    let of = |(name, percent): &(&str, i64)| {
        let probability = Decimal::from_millionths(percent * 10_000);
        ((*name).to_owned(), Risk { probability, why: "it is told".to_owned() })
    };
    let answer = Predicted { risks: percents.iter().map(of).collect() };
    nodes
        .into_iter()
        .fold(given::<SpotInterruption>().at(NOW).set(|known| *known = settings(|_| ())), |given, (node, claim)| {
            given.with(node).with(claim)
        })
        .answered::<Predictions>(
            &Cluster::default(),
            Answer::Given { at: NOW.parse().expect("a time"), answer: answer.into() },
        )
}

fn old(name: &str) -> (Node, NodeClaim) {
    machine(name, "2026-11-22T08:00:00Z", json!({}))
}

/// What it does, one line each.
fn does(given: &Given<SpotInterruption>) -> Vec<String> {
    given.decide(&Cluster::default()).expect("a decision").effects().map(ToString::to_string).collect()
}

fn replaced(given: &Given<SpotInterruption>) -> bool {
    does(given).iter().any(|line| line.contains("RebalancePlanClaim") && line.starts_with("create"))
}

#[test]
fn above_the_threshold_a_node_is_at_risk_and_at_it_it_is_not() {
    for (percent, at_risk) in [(0, false), (40, false), (41, true), (100, true)] {
        let given = given_with(vec![old("a")], &[("a", percent)]);
        assert_eq!((does(&given).len(), replaced(&given)), (if at_risk { 3 } else { 0 }, at_risk), "{percent}");
    }
}

#[test]
fn one_claim_is_made_for_all_nodes_at_risk() {
    let given = given_with(vec![old("a"), old("b"), old("c")], &[("a", 80), ("b", 80), ("c", 10)]);
    let lines = does(&given);
    let made: Vec<_> = lines.iter().filter(|line| line.starts_with("create")).collect();
    // Two labels, the pool that both are of, and the claim after it.
    assert_eq!((made.len(), lines.len()), (2, 4), "{lines:?}");
    assert!(made[0].contains("m5.large-us-east-1a-spot-at-risk"), "{made:?}");
    assert!(made[1].contains("spot-prediction-20261122100000"), "{made:?}");
}

#[test]
fn a_node_rests_for_the_cooldown_from_the_end_of_its_claim_and_a_new_one_of_its_name_for_its_own_youth() {
    let check = |created: &str, claims: Vec<RebalancePlanClaim>, leaves: bool| {
        let told = format!("{created} {claims:?}");
        let given = given_with(vec![machine("a", created, json!({}))], &[("a", 80)]).with_all(claims);
        assert_eq!(replaced(&given), leaves, "{told}");
    };
    let ended = |end: &str| vec![claim("one", "a", "2026-11-22T09:00:00Z", Some(end))];
    check("2026-11-22T08:00:00Z", vec![], true);
    check("2026-11-22T08:00:00Z", ended("2026-11-22T09:45:01Z"), false);
    check("2026-11-22T08:00:00Z", ended("2026-11-22T09:45:00Z"), true);
    // The name was given to another machine after the claim.
    check("2026-11-22T09:30:00Z", ended("2026-11-22T09:59:00Z"), true);
    check("2026-11-22T09:45:01Z", vec![], false);
    check("2026-11-22T09:45:00Z", vec![], true);
    // Another node of the claim that runs: what is new waits for its end.
    check("2026-11-22T08:00:00Z", vec![claim("one", "b", "2026-11-22T09:59:00Z", None)], false);
}

#[test]
fn our_label_goes_where_the_risk_is_known_to_be_gone_and_nowhere_else() {
    let ours = json!({"rebalancing.cast.ai/predicted-at": "2026-11-22T09:50:00Z"});
    let labelled = || machine("a", "2026-11-22T08:00:00Z", ours.clone());
    assert_eq!(does(&given_with(vec![labelled()], &[("a", 40)])).len(), 1);
    assert_eq!(does(&given_with(vec![labelled()], &[])).len(), 0, "nothing is known of it");
    assert_eq!(does(&given_with(vec![old("a")], &[("a", 40)])).len(), 0, "it is not ours");
    let off = given_with(vec![labelled()], &[("a", 80)]).set(|known| known.spot_interruption_prediction = false);
    assert_eq!(does(&off).len(), 1, "nobody looks after it any more");
}

#[test]
fn an_old_prediction_is_asked_for_anew_and_nothing_is_done_for_it() {
    let given = given_with(vec![old("a")], &[("a", 80)]).at("2026-11-22T10:01:00Z");
    let decided = given.decide(&Cluster::default()).expect("a decision");
    assert_eq!((decided.effects().count(), decided.questions.len()), (0, 1));
}

#[test]
fn what_is_not_set_right_is_told_with_what_to_set() {
    let check = |change: fn(&mut Settings), is_mistake: bool, told: &str| {
        let idle = threshold(&settings(change)).expect_err("nothing is predicted");
        assert_eq!((idle.is_mistake, idle.why.contains(told)), (is_mistake, true), "{}", idle.why);
    };
    let nothing: fn(&mut Settings) = |known| {
        known.prediction_model = None;
        known.interruption_threshold = None;
    };
    check(nothing, false, "SPOT_INTERRUPTION_PREDICTION_MODEL_NAME is not set; set it to local");
    check(|known| known.prediction_model = None, true, "MODEL_NAME is not set");
    check(|known| known.interruption_threshold = None, true, "INTERRUPTION_THRESHOLD is not set");
    check(|known| known.prediction_model = Some("v7".to_owned()), true, "is \"v7\", and there is no endpoint");
    for (text, is_right) in [("1.5", false), ("-0.1", false), ("0", true), ("0.85", true), ("1", true), ("half", false)]
    {
        let name = "SPOT_INTERRUPTION_PREDICTION_INTERRUPTION_THRESHOLD";
        let read = Settings::from_env(&|asked| (asked == name).then(|| text.to_owned()));
        assert_eq!(read.is_ok(), is_right, "{text}");
        if let Err(mistakes) = read {
            assert!(mistakes[0].to_string().contains(name), "{mistakes:?}");
        }
    }
}

#[test]
fn of_claims_whose_cooldown_is_over_the_last_ten_are_kept() {
    let ended = |number: usize, hour: usize| {
        let at = format!("2026-11-22T{hour:02}:{number:02}:00Z");
        claim(&format!("c{hour}-{number:02}"), "x", &at, Some(&at))
    };
    let claims = (0..12).map(|number| ended(number, 8)).chain((50..59).map(|number| ended(number, 9)));
    let given = given_with(vec![], &[]).with_all(claims);
    let deleted: Vec<String> = does(&given);
    assert_eq!(deleted.len(), 2, "{deleted:?}");
}

#[test]
fn its_rights_are_to_label_nodes_and_to_make_claims() {
    let lines = Rights::of_one(&SpotInterruption::declaration(), &[]).lines();
    let writes: Vec<&String> = lines.iter().filter(|line| !line.contains(": get, list, watch ")).collect();
    assert_eq!(
        writes,
        [
            "everywhere: create, delete, get, list, watch rebalanceplanclaims",
            "everywhere: create, get, list, patch, watch unavailableofferings",
            "everywhere, not in mode observe: patch nodes"
        ]
    );
    let lines = Rights::of_one(&told::SpotNodes::declaration(), &[]).lines();
    assert_eq!(lines, ["everywhere: get, list, watch nodes", "in namespace default: create events"]);
}
