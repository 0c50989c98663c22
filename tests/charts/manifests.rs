//! What an install makes: objects, rights, and what the program is started with.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::rbac::v1::PolicyRule;
use kentroller::api::foreign::ConfigMap;
use kentroller::controllers;
use kentroller::settings::{OperatorMode, Settings};
use kentroller_runtime::generate::rbac::Rights;
use kentroller_runtime::settings::{Decimal, Settings as _};
use kentroller_runtime::{Declaration, Kind as _};
use kentroller_tests::helm::{chart, helm};
use serde_json::{Value, json};

use crate::render::{count, only, rendered};

const NAME: &str = "castai-kentroller";

#[test]
fn both_charts_pass_helms_own_linter() {
    for name in [NAME, "castai-umbrella"] {
        let said = helm(&["lint", "--strict", &chart(name)]).expect("it passes");
        assert!(said.contains("0 chart(s) failed"), "{said}");
    }
}

#[test]
fn an_install_without_a_value_makes_these_objects_and_no_others() {
    let objects = rendered(NAME, &json!({})).expect("it renders");
    let mut kinds: Vec<(&str, &str)> = objects
        .iter()
        .filter(|object| object["kind"] != "CustomResourceDefinition")
        .map(|object| (object["kind"].as_str().expect("a kind"), object["metadata"]["name"].as_str().expect("a name")))
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            ("ClusterRole", "castai-kentroller-act"),
            ("ClusterRole", "castai-kentroller-observe"),
            ("ClusterRoleBinding", "castai-kentroller-act"),
            ("ClusterRoleBinding", "castai-kentroller-observe"),
            ("ConfigMap", "castai-kentroller-dynamic-config"),
            ("Deployment", "castai-kentroller"),
            ("PodDisruptionBudget", "castai-kentroller"),
            ("Role", "castai-kentroller-events"),
            ("Role", "castai-kentroller-own-namespace"),
            ("RoleBinding", "castai-kentroller-events"),
            ("RoleBinding", "castai-kentroller-own-namespace"),
            ("Service", "castai-kentroller-metric-svc"),
            ("ServiceAccount", "castai-kentroller"),
            ("ValidatingAdmissionPolicy", "castai-kentroller-nodeclaims"),
            ("ValidatingAdmissionPolicy", "castai-kentroller-nodes"),
            ("ValidatingAdmissionPolicy", "castai-kentroller-pods"),
            ("ValidatingAdmissionPolicyBinding", "castai-kentroller-nodeclaims"),
            ("ValidatingAdmissionPolicyBinding", "castai-kentroller-nodes"),
            ("ValidatingAdmissionPolicyBinding", "castai-kentroller-pods"),
        ]
    );
    assert_eq!(count(&objects, "CustomResourceDefinition"), controllers::kinds().len());
    let kept = objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition");
    assert!(kept.into_iter().all(|crd| crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"));
    let without = rendered(NAME, &json!({"crds": {"enabled": false}})).expect("it renders");
    assert_eq!(count(&without, "CustomResourceDefinition"), 0);
    assert_eq!(without.len(), kinds.len());
}

#[test]
fn what_is_off_by_default_can_be_switched_on() {
    let on = json!({
        "serviceMonitor": {"enabled": true, "labels": {"release": "prometheus"}}, "prometheusRule": {"enabled": true},
        "networkPolicy": {"enabled": true}, "dashboard": {"enabled": true},
    });
    let objects = rendered(NAME, &on).expect("it renders");
    let monitor = only(&objects, "ServiceMonitor", NAME);
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    let service = only(&objects, "Service", "-metric-svc");
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels") {
        assert_eq!(&service["metadata"]["labels"][label], value, "the monitor does not find the Service");
    }
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    only(&objects, "NetworkPolicy", NAME);
    let board = only(&objects, "ConfigMap", "-dashboard");
    assert_eq!(board["metadata"]["labels"]["grafana_dashboard"], "1");
    let board: Value = serde_json::from_str(board["data"]["kentroller.json"].as_str().expect("a text")).expect("JSON");
    assert_eq!(board["title"], "Kentroller");
    let rule = only(&objects, "PrometheusRule", NAME);
    let runbooks = include_str!("../../kentroller/docs/reference/alerts.md");
    let alerts = rule["spec"]["groups"][0]["rules"].as_array().expect("rules");
    assert_eq!(alerts.len(), controllers::alerts::alerts().len());
    for alert in alerts {
        let name = alert["alert"].as_str().expect("a name");
        assert!(runbooks.contains(&format!("\n## {name}\n")), "{name} has no runbook");
        let page = format!("kentroller/docs/reference/alerts.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook"], page);
    }
    // What Prometheus fills in is left for it.
    assert!(rule.to_string().contains("{{ $labels.plan }}"), "{rule}");
    let rule = rule.to_string();
    let page = include_str!("../../kentroller/docs/reference/metrics.md");
    let named: BTreeSet<&str> = rule
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("kentroller_"))
        .collect();
    assert!(named.len() > 3, "{rule}");
    let unknown: Vec<&&str> = named.iter().filter(|metric| !page.contains(&format!("`{metric}`"))).collect();
    assert_eq!(unknown, Vec::<&&str>::new(), "alerts look at metrics that nobody counts");
}

#[test]
fn the_program_is_started_with_what_it_reads() {
    let values = json!({"castai": {"mode": "observe", "rebalance": {"enabled": false}}, "additionalEnv": {"PLAN_TIME_LIMIT": "30s"}});
    let objects = rendered(NAME, &values).expect("it renders");
    let container = container(&objects);
    let environment = container["env"].as_array().expect("a list");
    let of_run = ["POD_NAME", "POD_NAMESPACE"];
    let names: Vec<&str> = environment.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    let read: BTreeSet<&str> = Settings::FIELDS.iter().filter_map(|field| field.env).chain(of_run).collect();
    assert_eq!(names.iter().filter(|name| !read.contains(**name)).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert!(of_run.iter().all(|name| names.contains(name)), "{names:?}");

    let get = |name: &str| environment.iter().find(|one| one["name"] == name)?["value"].as_str().map(str::to_owned);
    let given = Settings::from_env(&get).expect("the environment is right");
    assert_eq!(given.plan_time_limit.as_secs(), 30);
    let config = only(&objects, "ConfigMap", given.dynamic_config_map_name.as_deref().expect("it is named"));
    let text = config["data"]["config.yaml"].as_str().expect("a text");
    let settings = given.overlaid(text).expect("the text is right");
    assert_eq!(settings.mode, OperatorMode::Observe);
    assert!(!settings.rebalancer, "a false in the values counts");

    // The defaults of the chart are those of the program, but for calmer cycles.
    let objects = rendered(NAME, &json!({})).expect("it renders");
    let text = only(&objects, "ConfigMap", "-dynamic-config")["data"]["config.yaml"].as_str().expect("a text");
    let bare = Settings::from_env(&|_| None).expect("the defaults are right");
    let calmer = Settings {
        cycle_interval: Some(Duration::from_secs(60)),
        savings_threshold: Decimal::from_millionths(15_000_000),
        ..bare.clone()
    };
    assert_eq!(bare.overlaid(text).expect("the text is right"), calmer);
}

#[test]
fn the_pods_pass_the_restricted_standard_and_probes_find_their_port() {
    let objects = rendered(NAME, &json!({})).expect("it renders");
    let container = container(&objects);
    let security = &container["securityContext"];
    assert_eq!(
        *security,
        json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"},
        })
    );
    assert!(container["args"].to_string().contains(":8081"), "{}", container["args"]);
    assert_eq!(container["ports"][0]["containerPort"], 8081);
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], container["ports"][0]["name"], "{probe}");
    }
    let deployment = only(&objects, "Deployment", NAME);
    assert_eq!(deployment["spec"]["replicas"], 2);
    // What the documented `kubectl logs -l` selects by.
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"]["app"], NAME);
    let budget = only(&objects, "PodDisruptionBudget", NAME);
    assert_eq!(budget["spec"]["selector"], deployment["spec"]["selector"]);
}

#[test]
fn pods_keep_apart_or_spread_as_the_values_say() {
    let pod = |values: Value| {
        let objects = rendered(NAME, &values).expect("it renders");
        only(&objects, "Deployment", NAME)["spec"]["template"]["spec"].clone()
    };
    let apart = pod(json!({}));
    assert!(
        apart["affinity"]["podAntiAffinity"].is_object() && apart["topologySpreadConstraints"].is_null(),
        "{apart}"
    );
    let spread = pod(json!({"enableTopologySpreadConstraints": true, "affinity": {"nodeAffinity": {}}}));
    assert_eq!(spread["affinity"], json!({"nodeAffinity": {}}));
    assert_eq!(spread["topologySpreadConstraints"][0]["maxSkew"], 1);
    // Who deletes an object of the values means that there is none.
    assert!(pod(json!({"affinity": null}))["affinity"].is_null());
    let joined = pod(json!({"global": {"tolerations": [{"key": "a"}]}, "tolerations": [{"key": "b"}]}));
    assert_eq!(joined["tolerations"], json!([{"key": "a"}, {"key": "b"}]));
}

#[test]
fn the_rights_are_those_of_the_declarations_and_mode_observe_lacks_those_to_act() {
    let declarations: Vec<Declaration> = controllers::all().iter().map(|controller| controller.declaration()).collect();
    let rights = Rights::of(&declarations, &[ConfigMap::INFO]);
    let objects =
        rendered(NAME, &json!({"fullnameOverride": "k", "serviceAccount": {"name": "me"}})).expect("it renders");
    let check = |kind: &str, name: &str, want: &[PolicyRule]| {
        let role = only(&objects, kind, name);
        assert_eq!(role["rules"], serde_json::to_value(want).expect("JSON"), "{name}");
        let binding = only(&objects, &format!("{kind}Binding"), name);
        assert_eq!(binding["roleRef"]["name"], name);
        assert_eq!(
            binding["subjects"][0],
            json!({"kind": "ServiceAccount", "name": "me", "namespace": "castai-agent"})
        );
    };
    check("ClusterRole", "k-observe", &rights.observe);
    check("ClusterRole", "k-act", &rights.act);
    check("Role", "k-own-namespace", &rights.own_namespace);
    check("Role", "k-events", &rights.default_namespace);
    only(&objects, "ServiceAccount", "me");
    let observes = rendered(NAME, &json!({"castai": {"mode": "observe"}})).expect("it renders");
    assert!(
        !observes.iter().any(|object| object["metadata"]["name"].as_str().is_some_and(|name| name.contains("-act")))
    );
    let given = rendered(NAME, &json!({"serviceAccount": {"create": false}})).expect("it renders");
    assert_eq!(count(&given, "ServiceAccount"), 0);
    assert_eq!(only(&given, "ClusterRoleBinding", "-observe")["subjects"][0]["name"], "default");
}

fn container(objects: &[Value]) -> Value {
    only(objects, "Deployment", NAME)["spec"]["template"]["spec"]["containers"][0].clone()
}
