//! The chart on a real API server: what it renders is accepted, what it starts runs, and what must never be done is refused.

use std::net::TcpStream;

use kentroller_tests::helm::{chart, helm};
use kentroller_tests::rest::{Api, JSON, MERGE};
use serde_json::{Value, json};

use crate::cluster::{Cluster, on_the_cluster};
use crate::install::{NAMESPACE, OPERATOR, kubeconfig, released};
use crate::look::{CLAIMS, NODE_CLAIMS, NODES, PLANS, WORKLOADS, name, object, text};
use crate::operator::{CATALOG, Operator};
use crate::wait::{LONG, SHORT, until};

#[test]
fn every_object_of_the_chart_is_accepted_whole_and_without_a_warning() {
    on_the_cluster(|_, admin| async move {
        let all_on = "networkPolicy.enabled=true,dashboard.enabled=true,enableTopologySpreadConstraints=true,fullnameOverride=tried,crds.enabled=false";
        let rendered = helm(&[
            "template",
            "tried",
            &chart(OPERATOR),
            "-n",
            NAMESPACE,
            "--set",
            all_on,
            "--kube-version",
            "1.35.0",
        ]);
        let rendered = rendered.expect("it renders");
        let objects = rendered.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).expect("YAML"));
        let mut kinds = Vec::new();
        for object in objects.filter(|object| !object.is_null()) {
            admin.create(&format!("{}?dryRun=All&fieldValidation=Strict", path(&object)), &object).await;
            if object["kind"] == "Deployment" {
                let mut pod = object["spec"]["template"].clone();
                pod["metadata"]["name"] = json!("tried");
                // The other account is not there.
                pod["spec"]["serviceAccountName"] = json!(OPERATOR);
                admin
                    .create(&format!("/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All&fieldValidation=Strict"), &pod)
                    .await;
            }
            kinds.push(text(&object, "/kind").to_owned());
        }
        assert!(kinds.len() > 17 && kinds.iter().any(|kind| kind == "ValidatingAdmissionPolicy"), "{kinds:?}");
        assert_eq!(admin.warnings(), [""; 0]);
    });
}

#[test]
fn the_program_runs_with_exactly_what_the_chart_renders_and_replaces_a_node() {
    on_the_cluster(|cluster, admin| async move {
        // The machines of this cluster have prices of their own.
        let maps = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
        let prices = std::fs::read_to_string(CATALOG).expect("prices");
        admin.create(&maps, &json!({"metadata": {"name": "prices"}, "data": {"catalog.csv": prices}})).await;
        released(cluster, &["--set", "additionalEnv.CATALOG_CONFIG_MAP_NAME=prices"]);
        let operator = deployed(cluster, &admin).await;

        let spec = json!({"autoExecute": true, "minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 1}});
        admin.create(CLAIMS, &object("RebalancePlanClaim", "installed", spec)).await;
        let claim = until(LONG, async || {
            let claim = admin.get(&format!("{CLAIMS}/installed")).await;
            let over = ["Completed", "Failed", "Skipped"].contains(&text(&claim, "/status/state"));
            if over { Ok(claim) } else { Err(format!("the claim is not over: {}", claim["status"])) }
        })
        .await;
        assert_eq!(text(&claim, "/status/state"), "Completed", "{}", claim["status"]);
        let plan = admin.get(&format!("{PLANS}/{}", text(&claim, "/status/rebalanceName"))).await;
        assert_eq!(text(&plan, "/status/state"), "Done", "{}", plan["status"]);

        // The ConfigMap that the chart names is the one that is read.
        let config = format!("{maps}/{OPERATOR}-dynamic-config");
        let right = admin.get(&config).await["data"].clone();
        admin.patch(&config, &json!({"data": {"config.yaml": "mode: sometimes"}})).await;
        until(SHORT, async || {
            let events = admin.list(&format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")).await;
            let told = events.iter().any(|event| event["reason"] == "ConfigRejected");
            told.then_some(()).ok_or("no event tells that the ConfigMap is wrong")
        })
        .await;
        admin.patch(&config, &json!({ "data": right })).await;
        operator.stop().assert_clean();
        admin.delete(&format!("{CLAIMS}/installed")).await;
        released(cluster, &[]);
        admin.delete(&format!("{maps}/prices")).await;
    });
}

#[test]
fn the_api_server_holds_our_account_back_whatever_it_was_granted() {
    on_the_cluster(|cluster, admin| async move {
        let user = format!("system:serviceaccount:{NAMESPACE}:{OPERATOR}");
        let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        let too_much = json!({
            "metadata": {"name": "too-much"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "namespace": NAMESPACE, "name": OPERATOR}],
        });
        admin.create(bindings, &too_much).await;
        let ours = Api::impersonating(&cluster.kubeconfig, Some(&user)).await;
        let first = async |path: &str| admin.list(path).await.first().cloned().expect("there is one");
        let (claim, node) = (first(NODE_CLAIMS).await, first(NODES).await);
        let pod = first(&format!("/api/v1/namespaces/{WORKLOADS}/pods")).await;
        let one = |path: &str, object: &Value| format!("{path}/{}?dryRun=All", name(object));
        let (claim, node_path) = (one(NODE_CLAIMS, &claim), one(NODES, &node));
        let pods = format!("/api/v1/namespaces/{WORKLOADS}/pods");
        let (pod_path, eviction) = (one(&pods, &pod), format!("{pods}/{}/eviction?dryRun=All", name(&pod)));
        let evicts = |uid: Value| {
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name(&pod), "namespace": WORKLOADS},
                "deleteOptions": {"preconditions": {"uid": uid}}})
        };
        let mark = |key: &str| json!({ key: "a-plan" });
        let cordon = json!({"metadata": {"annotations": mark("rebalancing.cast.ai/cordoned-by")}, "spec": {"unschedulable": true}});
        let taint = json!([{"key": "theirs", "effect": "NoExecute"}]);
        let refused = [
            ("DELETE", &claim, Value::Null, "it deletes NodeClaims that bear the mark of its plan only"),
            ("PATCH", &claim, json!({"metadata": {"labels": {"team": "ours"}}}), "it changes its own labels only"),
            ("PATCH", &claim, json!({"metadata": {"finalizers": null}}), "it changes neither finalizers nor owners"),
            ("DELETE", &node_path, Value::Null, "it neither makes nor deletes nodes"),
            (
                "PATCH",
                &node_path,
                json!({"metadata": {"annotations": {"team": "ours"}}}),
                "it changes its own annotations only",
            ),
            (
                "PATCH",
                &node_path,
                json!({"metadata": {"labels": {"topology.kubernetes.io/zone": null}}}),
                "it changes its own labels only",
            ),
            ("PATCH", &node_path, json!({"spec": {"unschedulable": true}}), "it cordons a node with its mark only"),
            ("PATCH", &node_path, json!({"spec": {"taints": taint}}), "it changes its own taint only"),
            ("DELETE", &pod_path, Value::Null, "it ends pods by eviction only"),
            ("POST", &eviction, evicts(Value::Null), "it evicts one pod by its uid"),
        ];
        for (method, path, body, says) in refused {
            // A policy counts some moments after it was made.
            until(SHORT, async || {
                let content = if method == "PATCH" { MERGE } else { JSON };
                let answer = ours.ask(method, path, content, &body).await;
                let told = answer.code == 422 && text(&answer.body, "/message").contains(says);
                told.then_some(())
                    .ok_or_else(|| format!("{method} {path} was answered {}: {}", answer.code, answer.body))
            })
            .await;
        }
        let accepted = [
            ("PATCH", &node_path, cordon, 200),
            ("PATCH", &node_path, json!({"metadata": {"labels": mark("rebalancing.cast.ai/plan")}}), 200),
            ("POST", &eviction, evicts(pod["metadata"]["uid"].clone()), 201),
        ];
        for (method, path, body, code) in accepted {
            let content = if method == "PATCH" { MERGE } else { JSON };
            let answer = ours.ask(method, path, content, &body).await;
            assert_eq!(answer.code, code, "{method} {path}: {}", answer.body);
        }
        // A node that was kept is opened again when its time has come; one that somebody else cordoned is not.
        let (plain, uncordon) = (format!("{NODES}/{}", name(&node)), json!({"spec": {"unschedulable": null}}));
        for (until, code) in [(json!("2026-11-22T02:00:00Z"), 200), (Value::Null, 422)] {
            let mark = json!({"rebalancing.cast.ai/uncordon-after": until});
            admin.patch(&plain, &json!({"metadata": {"annotations": mark}, "spec": {"unschedulable": true}})).await;
            let answer = ours.ask("PATCH", &node_path, MERGE, &uncordon).await;
            assert_eq!(answer.code, code, "{until}: {}", answer.body);
        }
        admin.patch(&plain, &uncordon).await;
        admin.delete(&format!("{bindings}/too-much")).await;
    });
}

/// Runs what the Deployment on the API server says, as its ServiceAccount.
async fn deployed(cluster: &Cluster, admin: &Api) -> Operator {
    let deployment = admin.get(&format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{OPERATOR}")).await;
    let pod = &deployment["spec"]["template"]["spec"];
    let account = kubeconfig(cluster, admin, text(pod, "/serviceAccountName")).await;
    let container = &pod["containers"][0];
    let arguments: Vec<&str> = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let value = |one: &Value| match text(one, "/valueFrom/fieldRef/fieldPath") {
        "" => text(one, "/value").to_owned(),
        "metadata.name" => format!("{OPERATOR}-0"),
        "metadata.namespace" => NAMESPACE.to_owned(),
        other => panic!("the kubelet's part is not played for {other}"),
    };
    let environment = container["env"].as_array().into_iter().flatten();
    let environment: Vec<(String, String)> =
        environment.map(|one| (text(one, "/name").to_owned(), value(one))).collect();
    let port = container["ports"][0]["containerPort"].as_u64().and_then(|port| port.try_into().ok()).expect("a port");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "port {port} is taken");
    let mut operator = Operator::deployed(cluster, &account, &arguments, &environment, port);
    until(SHORT, async || {
        assert!(operator.is_running(), "{}", operator.log().0);
        let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
        let ready =
            listens && operator.ask(text(container, "/readinessProbe/httpGet/path")).starts_with("HTTP/1.1 200");
        ready.then_some(()).ok_or("it is not ready")
    })
    .await;
    assert!(operator.ask(text(container, "/livenessProbe/httpGet/path")).starts_with("HTTP/1.1 200"));
    operator
}

/// Where objects of its kind are created.
fn path(object: &Value) -> String {
    let version = text(object, "/apiVersion");
    let base = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
    let place =
        object["metadata"]["namespace"].as_str().map_or_else(String::new, |place| format!("/namespaces/{place}"));
    let kind = text(object, "/kind").to_lowercase();
    let plural = kind.strip_suffix('y').map_or_else(|| format!("{kind}s"), |stem| format!("{stem}ies"));
    format!("{base}{place}/{plural}")
}
