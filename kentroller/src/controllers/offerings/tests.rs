use kentroller_runtime::Controller as _;
use kentroller_runtime::generate::rbac::Rights;
use kentroller_runtime::testing::{Given, given, object};
use serde_json::{Value, json};

use super::*;

fn event(claim: &str, reason: &str, at: &str) -> NodeClaimEvent {
    object(json!({"apiVersion": "", "kind": "", "metadata": {"name": format!("{claim}-{at}"), "namespace": "default"},
        "reason": reason, "regarding": {"name": claim}, "deprecatedLastTimestamp": format!("2026-11-22T{at}Z")}))
}

/// A NodeClaim that allows these types as spot in one zone; it was launched as the first one.
fn claim(name: &str, types: &[&str]) -> NodeClaim {
    let one = |key: &str, values: &[&str]| json!({"key": key, "operator": "In", "values": values});
    let requirements = [
        one("node.kubernetes.io/instance-type", types),
        one("topology.kubernetes.io/zone", &["us-east-1a"]),
        one("karpenter.sh/capacity-type", &["spot"]),
    ];
    object(json!({"apiVersion": "", "kind": "", "metadata": {"name": name, "labels": {
        "node.kubernetes.io/instance-type": types.first(), "topology.kubernetes.io/zone": "us-east-1a",
        "karpenter.sh/capacity-type": "spot"}}, "spec": {"requirements": requirements}, "status": {"nodeName": name}}))
}

/// A node in the zone, which tells its id.
fn node(name: &str, annotations: Value) -> Node {
    object(
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": annotations, "labels": {
        "topology.kubernetes.io/zone": "us-east-1a", "topology.k8s.aws/zone-id": "use1-az1"}}}),
    )
}

fn given_at(time: &str, claims: Vec<NodeClaim>, events: Vec<NodeClaimEvent>) -> Given<Offerings> {
    let given = given::<Offerings>().at(&format!("2026-11-22T{time}Z")).with(node("n", json!({})));
    given.with_all(claims).with_all(events)
}

/// What is written, as name and spec; and what the log says.
fn written(given: &Given<Offerings>) -> (Vec<String>, Vec<String>) {
    let decided = given.decide(&Cluster::default()).expect("a decision");
    (decided.effects().map(|effect| format!("{effect} {effect:?}")).collect(), decided.lines)
}

fn stored(name: &str, attempts: i64, expires: &str, cleanup: &str) -> UnavailableOffering {
    object(json!({"apiVersion": "", "kind": "", "metadata": {"name": name, "uid": name}, "spec": {
        "instanceType": "m5.large", "zoneId": "use1-az1", "capacityType": "spot", "reason": "InsufficientCapacityError",
        "attempts": attempts, "expiresAt": format!("2026-11-22T{expires}Z"), "cleanupAfter": format!("2026-11-22T{cleanup}Z")}}))
}

#[test]
fn every_offering_that_could_not_be_had_is_remembered_by_the_id_of_its_zone() {
    let short = event("c", "InsufficientCapacityError", "10:00:00");
    let (effects, _) =
        written(&given_at("10:00:01", vec![claim("c", &["m5.large", "m5.xlarge"])], vec![short.clone()]));
    assert_eq!(effects.len(), 2, "{effects:?}");
    for (effect, name) in effects.iter().zip(["m5.large-use1-az1-spot", "m5.xlarge-use1-az1-spot"]) {
        assert!(effect.starts_with("create") && effect.contains(name), "{effect}");
        assert!(effect.contains("2026-11-22T10:03:00Z") && effect.contains("InsufficientCapacityError"), "{effect}");
    }
    let many: Vec<String> = (0..61).map(|number| format!("t{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (effects, _) = written(&given_at("10:00:01", vec![claim("c", &many)], vec![short.clone()]));
    assert_eq!(effects.len(), 0, "which of them were asked for is not known");
    let (effects, _) = written(&given_at("10:00:01", vec![], vec![short.clone()]));
    assert_eq!(effects.len(), 0, "nothing is known of the NodeClaim");
    let (effects, _) = written(&given_at("12:00:00", vec![claim("c", &["m5.large"])], vec![short]));
    assert_eq!(effects.len(), 0, "it is too long ago");
}

#[test]
fn a_further_failure_lengthens_the_wait_and_one_that_is_known_changes_nothing() {
    let check = |at: &str, wanted: Option<&str>| {
        let known = stored("m5.large-use1-az1-spot", 1, "10:03:00", "11:03:00");
        let short = event("c", "InsufficientCapacityError", at);
        let (effects, _) = written(&given_at("10:05:01", vec![claim("c", &["m5.large"])], vec![short]).with(known));
        assert_eq!(effects.len(), usize::from(wanted.is_some()), "{effects:?}");
        if let Some(wanted) = wanted {
            assert!(effects[0].starts_with("patch") && effects[0].contains(wanted), "{effects:?}");
        }
    };
    check("10:00:00", None);
    check("10:05:00", Some("2026-11-22T10:11:00Z"));
}

#[test]
fn of_a_machine_that_was_taken_away_is_told_how_long_before_it_was_predicted() {
    let check = |predicted: Option<&str>, wanted: &str| {
        let at = predicted.map(|at| format!("2026-11-22T{at}Z"));
        let node = node("c", json!({"rebalancing.cast.ai/predicted-at": at.unwrap_or_default()}));
        let lost = event("c", "SpotInterrupted", "10:00:00");
        let given = given_at("10:00:01", vec![claim("c", &["m5.large", "m5.xlarge"])], vec![lost]).with(node);
        let decided = given.decide(&Cluster::default()).expect("a decision");
        let effects: Vec<_> = decided.effects().collect();
        assert_eq!(effects.len(), 1, "only what it was bought as");
        assert!(effects[0].to_string().contains("m5.large-use1-az1-spot-interrupted"), "{}", effects[0]);
        assert_eq!(effects[0].counts.len(), 1);
        assert_eq!(decided.lines, [format!("a spot machine m5.large in use1-az1 was taken away; predicted: {wanted}")]);
    };
    check(None, "never");
    check(Some("09:58:01"), "under_2m");
    check(Some("09:58:00"), "under_10m");
    check(Some("09:50:00"), "over_10m");
}

#[test]
fn what_is_over_goes_and_what_a_person_wrote_without_an_end_stays() {
    let over = stored("a", 1, "08:00:00", "09:00:00");
    let kept = stored("b", 1, "08:00:00", "09:00:01");
    let mut by_hand = stored("c", 1, "08:00:00", "09:00:00");
    by_hand.spec.cleanup_after = None;
    let given = given_at("09:00:00", vec![], vec![]).with_all([over, kept, by_hand]);
    let decided = given.decide(&Cluster::default()).expect("a decision");
    let effects: Vec<String> = decided.effects().map(ToString::to_string).collect();
    assert!(effects.len() == 1 && effects[0].starts_with("delete") && effects[0].contains(" a"), "{effects:?}");
}

#[test]
fn its_rights_are_to_read_events_and_to_keep_offerings() {
    assert_eq!(
        Rights::of_one(&Offerings::declaration(), &[]).lines(),
        [
            "everywhere: get, list, watch nodes",
            "everywhere: create, delete, get, list, patch, watch unavailableofferings",
            "everywhere: get, list, watch events",
            "everywhere: get, list, watch nodeclaims"
        ]
    );
}
