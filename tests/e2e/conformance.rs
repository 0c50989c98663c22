//! The recording of what the real server answers, by which `cargo test` holds the embedded one to it.

use kentroller_tests::conformance::{NAMESPACE, NODE, Surroundings, differences, play, record, recording};
use kentroller_tests::rest::Api;
use serde_json::json;

use crate::cluster::on_the_cluster;
use crate::look::{WORKLOADS, name};
use crate::wait::{SHORT, until};

/// Set to 1, it has the recording written anew.
const RECORD: &str = "KENTROLLER_E2E_RECORD";

#[test]
fn the_real_api_server_answers_as_it_was_recorded() {
    on_the_cluster(|cluster, admin| async move {
        admin.create("/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE}})).await;
        let account = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default");
        until(SHORT, async || admin.find(&account).await.ok_or("the namespace has no ServiceAccount")).await;
        // Another connection: the script provokes warnings.
        let asking = Api::of(&cluster.kubeconfig).await;
        let nobody = Api::impersonating(&cluster.kubeconfig, Some("nobody")).await;
        let told = play(&asking, &nobody, Surroundings::Alive).await;
        admin.delete(&format!("/api/v1/namespaces/{NAMESPACE}")).await;
        // Its DaemonSet's pod outlives a node on which it never found room.
        let daemons = format!("/api/v1/namespaces/{WORKLOADS}/pods");
        for pod in admin.list(&daemons).await.iter().filter(|pod| pod["spec"]["affinity"].to_string().contains(NODE)) {
            admin.delete(&format!("{daemons}/{}?gracePeriodSeconds=0", name(pod))).await;
        }
        println!(
            "{} requests answered, {} of them refused",
            told.len(),
            told.iter().filter(|one| one.code >= 400).count()
        );
        if std::env::var_os(RECORD).is_some_and(|value| value == "1") {
            record(&told);
        }
        let found: Vec<String> = differences(&recording(), &told).iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "not as recorded; `{RECORD}=1 cargo e2e` records anew:\n{}", found.join("\n"));
    });
}
