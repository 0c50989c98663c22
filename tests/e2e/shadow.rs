//! `kentroller run --shadow`: everything is computed and told, nothing is written.

use std::collections::BTreeSet;

use kentroller_tests::rest::Api;
use serde_json::json;

use crate::cluster::on_the_cluster;
use crate::install::{NAMESPACE, READER, kubeconfig};
use crate::look::{CLAIMS, NODE_CLAIMS, NODES, PLANS, SCHEDULES, object};
use crate::operator::Operator;
use crate::wait::{SHORT, until};

#[test]
fn in_shadow_mode_a_reader_is_enough_and_nothing_is_written() {
    on_the_cluster(|cluster, admin| async move {
        let account = kubeconfig(cluster, &admin, READER).await;
        let schedule =
            json!({"schedule": "*/1 * * * *", "rebalancePlanClaimTemplate": {"spec": {"autoExecute": true}}});
        admin.create(SCHEDULES, &object("RebalancePlanSchedule", "watched", schedule)).await;
        // Made here, as the operator's own claims stay thoughts: a plan is computed for it.
        admin.create(CLAIMS, &object("RebalancePlanClaim", "watched", json!({"autoExecute": true}))).await;
        let before = ours(&admin).await;
        let operator = Operator::start(cluster, &account, "kentroller-2", &["--shadow"]);
        let wanted = ["create RebalancePlanClaim watched-", "status RebalancePlanSchedule watched"];
        // Whether the cluster was rebalanced before or not: a plan was computed.
        let either = ["create RebalancePlan watched", "NoSaving"];
        until(SHORT * 2, async || {
            let told = operator.log().with("would do").join("\n");
            let all = wanted.iter().all(|one| told.contains(one)) && either.iter().any(|one| told.contains(one));
            all.then_some(()).ok_or_else(|| format!("it told of only some of {wanted:?} and {either:?}:\n{told}"))
        })
        .await;
        let log = operator.stop();
        log.assert_clean();
        println!("in shadow mode: {} effects told", log.with("would do").len());
        assert_eq!(ours(&admin).await, before);
        for path in [format!("{SCHEDULES}/watched"), format!("{CLAIMS}/watched")] {
            admin.delete(&path).await;
        }
    });
}

/// Every object that the operator might write, with its version; of nodes, which write their own status, the rest.
async fn ours(admin: &Api) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases");
    for path in [SCHEDULES, CLAIMS, PLANS, NODE_CLAIMS, &leases] {
        all.extend(
            admin
                .list(path)
                .await
                .iter()
                .map(|one| format!("{path} {} {}", one["metadata"]["name"], one["metadata"]["resourceVersion"])),
        );
    }
    for node in admin.list(NODES).await {
        all.insert(format!("{} {} {}", node["metadata"]["name"], node["metadata"]["labels"], node["spec"]));
    }
    all
}
