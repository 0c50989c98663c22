//! A cluster on which nothing is wanted is left alone.

use std::collections::BTreeSet;

use kentroller_tests::Stage;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn an_idle_hour_on_two_hundred_nodes_brings_lease_renewals_only() {
    let stage = Stage::drifted(200, 1);
    stage.schedule("later", "0 5 * * *", json!({}));
    stage.pass(60).await;
    let since = stage.operated.server.revision();
    stage.pass(3600).await;
    let writes = stage.operated.server.writes(since);
    let kinds: BTreeSet<(String, String)> =
        writes.iter().map(|write| (write.user.to_string(), write.kind.to_string())).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [("kentroller".to_owned(), "Lease".to_owned())]);
    assert!(stage.operated.is_running());
    assert_eq!(stage.list("Node").len(), 200);
}
