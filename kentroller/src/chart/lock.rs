//! The second lock: admission policies by which the API server itself refuses what our account must never do, also where
//! somebody has granted it more than it asks for. They are made of the declared marks.

use kentroller_planner::manifest::Mark;
use serde_json::{Value, json};

use crate::api::marks::{self, CORDONED_BY, LATER, PLAN, RESERVED_BY, UNCORDON_AFTER};

/// Who is held to it, as the API server names an account.
const ACCOUNT: &str = "request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:{{ include `castai-kentroller.account` . }}'";
const NAME: &str = "{{ include `castai-kentroller.fullname` . }}";

/// Whether pods may be ended whose eviction is refused, in the words of the chart.
pub const FORCES: &str = "{{ $values.rbac.forceEviction }}";

/// Each of these annotations says that the cordon of its node is ours.
const CORDONS: [&str; 3] = [CORDONED_BY, RESERVED_BY, UNCORDON_AFTER];

/// A policy and its binding for each kind that the operator writes and does not own.
pub fn policies() -> Vec<Value> {
    [
        policy("nodes", &rule("", &["nodes"], &["CREATE", "UPDATE", "DELETE"]), &of_nodes()),
        policy("nodeclaims", &rule("karpenter.sh", &["nodeclaims"], &["CREATE", "UPDATE", "DELETE"]), &of_claims()),
        policy("pods", &rule("", &["pods", "pods/eviction"], &["CREATE", "UPDATE", "DELETE"]), &of_pods()),
    ]
    .concat()
}

/// What must be true, and what is said where it is not.
type Rule = (String, &'static str);

fn of_nodes() -> Vec<Rule> {
    let bears = |object: &str| {
        let has = |key: &&str| format!("'{key}' in {}", or(&format!("{object}.metadata.annotations"), "{}"));
        format!("({})", CORDONS.iter().map(has).collect::<Vec<_>>().join(" || "))
    };
    let cordoned =
        |object: &str| format!("(has({object}.spec) && {})", or(&format!("{object}.spec.unschedulable"), "false"));
    let others = |object: &str| {
        let taints = format!("(has({object}.spec) ? {} : [])", or(&format!("{object}.spec.taints"), "[]"));
        format!("{taints}.filter(taint, taint.key != '{LATER}')")
    };
    let mut rules = vec![("request.operation == 'UPDATE'".to_owned(), "it neither makes nor deletes nodes")];
    rules.extend(changes("Node"));
    rules.extend([
        (
            format!("{} || !{} || {}", cordoned("oldObject"), cordoned("object"), bears("object")),
            "it cordons a node with its mark only",
        ),
        (
            format!("!{} || {} || {}", cordoned("oldObject"), cordoned("object"), bears("oldObject")),
            "it lifts its own cordons only",
        ),
        (format!("{} == {}", others("object"), others("oldObject")), "it changes its own taint only"),
    ]);
    guarded(rules, "UPDATE")
}

fn of_claims() -> Vec<Rule> {
    let bears = |object: &str| format!("'{PLAN}' in {}", or(&format!("{object}.metadata.labels"), "{}"));
    let mut rules = vec![
        (format!("request.operation != 'CREATE' || {}", bears("object")), "it makes NodeClaims for a plan only"),
        (
            format!("request.operation != 'DELETE' || {}", bears("oldObject")),
            "it deletes NodeClaims that bear the mark of its plan only",
        ),
    ];
    rules.extend(guarded(changes("NodeClaim"), "UPDATE"));
    rules
}

fn of_pods() -> Vec<Rule> {
    let evicts = "request.?subResource.orValue('') == 'eviction'".to_owned();
    let uid = "object.?deleteOptions.?preconditions.?uid.orValue('') != ''".to_owned();
    let of_one = "request.operation != 'DELETE' || request.?options.?preconditions.?uid.orValue('') != ''".to_owned();
    vec![
        (
            format!("{evicts} || ({FORCES} && request.operation == 'DELETE')"),
            "it ends pods by eviction only, which PodDisruptionBudgets can refuse (value rbac.forceEviction)",
        ),
        (of_one, "it ends one pod by its uid, and never another one of that name"),
        (
            format!("request.operation == 'DELETE' || !({evicts}) || {uid}"),
            "it evicts one pod by its uid, and never another one of that name",
        ),
    ]
}

/// Of labels and annotations its own may change; of what keeps an object and whose it is, nothing.
fn changes(kind: &str) -> Vec<Rule> {
    let of = |field: &str, place: &str| {
        let keys: Vec<String> =
            marks::all().filter(|mark| is_ours(mark, place, kind)).map(|mark| mark.key.to_owned()).collect();
        let (ours, new, old) = (
            json!(keys).to_string().replace('"', "'"),
            or(&format!("object.metadata.{field}"), "{}"),
            or(&format!("oldObject.metadata.{field}"), "{}"),
        );
        format!(
            "{new}.all(key, key in {ours} || (key in {old} && {old}[key] == {new}[key])) && {old}.all(key, key in {ours} || key in {new})"
        )
    };
    let same = |field: &str| {
        let of = |object: &str| or(&format!("{object}.metadata.{field}"), "[]");
        format!("{} == {}", of("object"), of("oldObject"))
    };
    vec![
        (of("labels", "label"), "it changes its own labels only"),
        (of("annotations", "annotation"), "it changes its own annotations only"),
        (format!("{} && {}", same("finalizers"), same("ownerReferences")), "it changes neither finalizers nor owners"),
    ]
}

/// A field, or this where it is absent.
fn or(field: &str, absent: &str) -> String {
    format!("(has({field}) ? {field} : {absent})")
}

/// Whether the operator sets this label, annotation or taint on objects of a kind.
fn is_ours(mark: &Mark, place: &str, kind: &str) -> bool {
    let mut words = mark.place.split(|letter: char| !letter.is_alphanumeric());
    mark.set_by.contains("Kentroller") && words.next() == Some(place) && words.any(|word| word == kind)
}

/// Rules for one operation: in another there is no object, or no former one.
fn guarded(rules: Vec<Rule>, operation: &str) -> Vec<Rule> {
    let guard = |(must, says): Rule| match must.starts_with("request.operation") {
        true => (must, says),
        false => (format!("request.operation != '{operation}' || ({must})"), says),
    };
    rules.into_iter().map(guard).collect()
}

fn rule(group: &str, resources: &[&str], operations: &[&str]) -> Value {
    json!({"apiGroups": [group], "apiVersions": ["*"], "resources": resources, "operations": operations})
}

fn policy(name: &str, matched: &Value, rules: &[Rule]) -> Vec<Value> {
    let name = format!("{NAME}-{name}");
    let metadata = json!({"name": name, "labels": {"app": "{{ include `castai-kentroller.name` . }}"}});
    let validations: Vec<Value> = rules
        .iter()
        .map(|(must, says)| json!({"expression": must, "message": format!("Kentroller is held back: {says}")}))
        .collect();
    vec![
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": metadata,
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [matched]},
                "matchConditions": [{"name": "by-kentroller", "expression": ACCOUNT}],
                "validations": validations,
            },
        }),
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata,
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_may_change_are_those_that_the_operator_sets() {
        let ours = |place, kind| -> Vec<&str> {
            marks::all().filter(|mark| is_ours(mark, place, kind)).map(|mark| mark.key).collect()
        };
        assert_eq!(ours("label", "Node"), [PLAN, marks::PREDICTED_INTERRUPTION]);
        assert_eq!(ours("taint", "Node"), [LATER]);
        assert_eq!(ours("label", "NodeClaim"), [PLAN]);
        let annotations = ours("annotation", "Node");
        for key in [CORDONED_BY, RESERVED_BY, marks::FORMER_SHIELD, marks::STATUS, marks::DO_NOT_DISRUPT] {
            assert!(annotations.contains(&key), "{key} is refused");
        }
        assert!(!annotations.contains(&"autoscaling.cast.ai/removal-disabled"), "{annotations:?}");
    }
}
