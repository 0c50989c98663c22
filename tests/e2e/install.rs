//! What a chart would install: CRDs, the namespace, ServiceAccounts, and the generated rights bound to them.

use std::fs;
use std::path::{Path, PathBuf};

use kentroller::api::foreign::ConfigMap;
use kentroller::controllers;
use kentroller_runtime::generate::rbac::{Names, Rights};
use kentroller_runtime::{Declaration, Kind as _};
use kentroller_tests::rest::{Api, JSON};
use kube::config::{Kubeconfig, NamedAuthInfo};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::wait::{SHORT, until};

pub const NAMESPACE: &str = "castai-agent";
/// Has exactly the generated rights, whose manifests make it.
pub const OPERATOR: &str = "castai-kentroller";
/// Has of the generated rights those to read.
pub const READER: &str = "castai-kentroller-reader";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Installs into a fresh cluster; the API server must not warn of anything of ours.
pub async fn everything(admin: &Api) {
    let karpenter = admin.find(&format!("{CRDS}/kwoknodeclasses.karpenter.kwok.sh")).await;
    assert!(karpenter.is_some(), "the cluster has no KWOKNodeClass: the suite needs Karpenter with its kwok provider");
    let used = admin.find(&format!("/api/v1/namespaces/{NAMESPACE}")).await;
    assert!(used.is_none(), "namespace {NAMESPACE} is there already: the suite needs a fresh cluster");
    crds(admin).await;
    admin.create("/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE}})).await;
    let accounts = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts");
    admin.create(&accounts, &json!({"metadata": {"name": READER}})).await;
    rights(admin).await;
    assert_eq!(admin.warnings(), [""; 0], "the API server warns of what we install");
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

async fn crds(admin: &Api) {
    let mut names = Vec::new();
    for entry in fs::read_dir(file("crds")).expect("crds/, which `cargo run --bin crdgen` writes") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a CRD");
        let crd: Value = serde_saphyr::from_str(&text).expect("YAML");
        let made = admin.create(CRDS, &crd).await;
        names.push(made["metadata"]["name"].as_str().expect("a name").to_owned());
    }
    assert_eq!(names.len(), controllers::kinds().len(), "{names:?}");
    for name in names {
        let path = format!("{CRDS}/{name}");
        until(SHORT, async || {
            let conditions = admin.get(&path).await["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let is = |kind: &str| conditions.iter().any(|one| one["type"] == kind && one["status"] == "True");
            assert!(!is("NonStructuralSchema"), "{path}: {conditions:?}");
            is("Established").then_some(()).ok_or_else(|| format!("{path} is not served"))
        })
        .await;
    }
}

/// Creates the generated rights as they are; and of each role one with its reading verbs, bound to the reader.
async fn rights(admin: &Api) {
    let declarations: Vec<Declaration> = controllers::all().iter().map(|controller| controller.declaration()).collect();
    let rights = Rights::of(&declarations, &[ConfigMap::INFO]);
    let texts = rights.manifests(&Names::of(OPERATOR, NAMESPACE)).expect("YAML");
    for document in [texts.account, texts.always, texts.act].iter().flat_map(|text| text.split("\n---\n")) {
        let mut object: Value = serde_saphyr::from_str(document).expect("YAML");
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        let place = object["metadata"]["namespace"].as_str().map(|name| format!("/namespaces/{name}"));
        let core = if kind == "ServiceAccount" { "/api/v1" } else { RBAC };
        let base = format!("{core}{}", place.unwrap_or_default());
        admin.create(&format!("{base}/{}s", kind.to_lowercase()), &object).await;
        if !kind.ends_with("Role") {
            continue;
        }
        let name = format!("{}-reader", object["metadata"]["name"].as_str().expect("a name"));
        object["metadata"]["name"] = json!(name);
        let rules = object["rules"].as_array_mut().expect("rules");
        for rule in rules.iter_mut() {
            let verbs = rule["verbs"].as_array_mut().expect("verbs");
            verbs.retain(|verb| matches!(verb.as_str(), Some("get" | "list" | "watch")));
        }
        rules.retain(|rule| rule["verbs"] != json!([]));
        admin.create(&format!("{base}/{}s", kind.to_lowercase()), &object).await;
        admin.create(&format!("{base}/{}bindings", kind.to_lowercase()), &binding(&kind, &name, READER)).await;
    }
}

fn binding(kind: &str, role: &str, account: &str) -> Value {
    json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": NAMESPACE, "name": account}],
    })
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
