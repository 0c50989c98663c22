//! The chart, installed by Helm into a fresh cluster; and beside it an account that may only read.

use std::fs;
use std::path::PathBuf;

use kentroller::api::foreign::ConfigMap;
use kentroller::controllers;
use kentroller_runtime::generate::rbac::{Names, Rights};
use kentroller_runtime::{Declaration, Kind as _};
use kentroller_tests::helm::{chart, helm};
use kentroller_tests::rest::{Api, JSON};
use kube::config::{Kubeconfig, NamedAuthInfo};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::wait::{SHORT, until};

pub const NAMESPACE: &str = "castai-agent";
/// Has exactly the rights that the chart gives it.
pub const OPERATOR: &str = "castai-kentroller";
/// Has of these rights those to read.
pub const READER: &str = "castai-kentroller-reader";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Installs into a fresh cluster; the API server must not warn of anything of ours.
pub async fn everything(cluster: &Cluster, admin: &Api) {
    let karpenter = admin.find(&format!("{CRDS}/kwoknodeclasses.karpenter.kwok.sh")).await;
    assert!(karpenter.is_some(), "the cluster has no KWOKNodeClass: the suite needs Karpenter with its kwok provider");
    let used = admin.find(&format!("/api/v1/namespaces/{NAMESPACE}")).await;
    assert!(used.is_none(), "namespace {NAMESPACE} is there already: the suite needs a fresh cluster");
    // Pods that do not pass the restricted standard are refused here.
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    admin.create("/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE, "labels": labels}})).await;
    released(cluster, &[]);
    served(admin).await;
    reader(admin).await;
    assert_eq!(admin.warnings(), [""; 0], "the API server warns of what we install");
}

/// Installs the chart with further arguments of Helm, or changes what is installed. No pods: fake machines run no program,
/// and a test runs it instead.
pub fn released(cluster: &Cluster, arguments: &[&str]) {
    let (chart, kubeconfig) = (chart(OPERATOR), cluster.kubeconfig.to_str().expect("UTF-8"));
    let install = ["upgrade", "--install", OPERATOR, &chart, "--namespace", NAMESPACE, "--set", "replicaCount=0"];
    let said = helm(&[&install[..], &["--kubeconfig", kubeconfig], arguments].concat());
    assert!(said.as_ref().is_ok_and(|said| said.contains("rollout status deployment/castai-kentroller")), "{said:?}");
}

/// Takes the release off, and tells what of it is left, but for the CRDs that stay.
pub async fn uninstalled(cluster: &Cluster, admin: &Api) -> Vec<String> {
    let kubeconfig = cluster.kubeconfig.to_str().expect("UTF-8");
    let said = helm(&["uninstall", OPERATOR, "--namespace", NAMESPACE, "--wait", "--kubeconfig", kubeconfig]);
    said.expect("helm uninstalls");
    let (core, admission) = (format!("/api/v1/namespaces/{NAMESPACE}"), "/apis/admissionregistration.k8s.io/v1");
    let mut left = Vec::new();
    for path in [
        format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments"),
        format!("/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets"),
        format!("{core}/configmaps"),
        format!("{core}/secrets"),
        format!("{core}/serviceaccounts"),
        format!("{core}/services"),
        format!("{RBAC}/clusterroles"),
        format!("{RBAC}/clusterrolebindings"),
        format!("{RBAC}/namespaces/{NAMESPACE}/roles"),
        format!("{RBAC}/namespaces/{NAMESPACE}/rolebindings"),
        format!("{admission}/validatingadmissionpolicies"),
        format!("{admission}/validatingadmissionpolicybindings"),
    ] {
        let all = admin.list(&path).await.into_iter();
        let of_release =
            all.filter(|object| object["metadata"]["annotations"]["meta.helm.sh/release-name"] == OPERATOR);
        left.extend(of_release.map(|object| format!("{path}/{}", object["metadata"]["name"])));
    }
    left
}

/// The CRDs of the chart are served.
async fn served(admin: &Api) {
    for kind in controllers::kinds() {
        let path = format!("{CRDS}/{}.{}", kind.info.plural, kind.info.group);
        until(SHORT, async || {
            let conditions = admin.get(&path).await["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let is = |kind: &str| conditions.iter().any(|one| one["type"] == kind && one["status"] == "True");
            assert!(!is("NonStructuralSchema"), "{path}: {conditions:?}");
            is("Established").then_some(()).ok_or_else(|| format!("{path} is not served"))
        })
        .await;
    }
}

/// An account with the reading verbs of the generated roles.
async fn reader(admin: &Api) {
    let accounts = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts");
    admin.create(&accounts, &json!({"metadata": {"name": READER}})).await;
    let declarations: Vec<Declaration> = controllers::all().iter().map(|controller| controller.declaration()).collect();
    let rights = Rights::of(&declarations, &[ConfigMap::INFO]);
    let texts = rights.manifests(&Names::of(READER, NAMESPACE)).expect("YAML");
    for document in [texts.always, texts.act].iter().flat_map(|text| text.split("\n---\n")) {
        let mut object: Value = serde_saphyr::from_str(document).expect("YAML");
        if let Some(rules) = object.get_mut("rules").and_then(Value::as_array_mut) {
            for rule in rules.iter_mut() {
                let verbs = rule["verbs"].as_array_mut().expect("verbs");
                verbs.retain(|verb| matches!(verb.as_str(), Some("get" | "list" | "watch")));
            }
            rules.retain(|rule| rule["verbs"] != json!([]));
        }
        let place = object["metadata"]["namespace"].as_str().map(|name| format!("/namespaces/{name}"));
        let kind = object["kind"].as_str().expect("a kind").to_lowercase();
        admin.create(&format!("{RBAC}{}/{kind}s", place.unwrap_or_default()), &object).await;
    }
}

/// Writes a kubeconfig with nothing in it but the cluster's address and a token of the ServiceAccount.
pub async fn kubeconfig(cluster: &Cluster, admin: &Api, account: &str) -> PathBuf {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token");
    let answer = admin.ask("POST", &path, JSON, &json!({"spec": {"expirationSeconds": 7200}})).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
    let mut config = Kubeconfig::read_from(&cluster.kubeconfig).expect("a kubeconfig");
    let current = config.current_context.clone().expect("a current context");
    config.contexts.retain(|context| context.name == current);
    let user: NamedAuthInfo =
        serde_json::from_value(json!({"name": account, "user": {"token": answer.body["status"]["token"]}}))
            .expect("a user");
    config.auth_infos = vec![user];
    config
        .contexts
        .iter_mut()
        .filter_map(|context| context.context.as_mut())
        .for_each(|context| context.user = Some(account.to_owned()));
    let file = cluster.folder.join(format!("{account}.kubeconfig"));
    fs::write(&file, serde_json::to_string(&config).expect("JSON is YAML")).expect("a file");
    file
}
