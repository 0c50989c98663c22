//! Wrong on purpose: who made the mistake is told, where it was made, and everything else runs on.

use kentroller_tests::rest::{Api, JSON};
use serde_json::{Value, json};

use crate::cluster::on_the_cluster;
use crate::install::{OPERATOR, kubeconfig};
use crate::look::{CLAIMS, SCHEDULES, is, name, object, text};
use crate::operator::{Operator, refused};
use crate::wait::{SHORT, until};

#[test]
fn an_invalid_cron_is_told_on_its_schedule_and_the_others_run_on() {
    on_the_cluster(|cluster, admin| async move {
        let account = kubeconfig(cluster, &admin, OPERATOR).await;
        let operator = Operator::start(cluster, &account, "kentroller-1", &["--leader-elect"]);
        // No node has that name: the claims of the right one have nothing to do.
        let template = json!({"spec": {"scope": {"nodeNames": ["no-such-node"]}}});
        for (name, schedule) in [("wrong", "61 * * * *"), ("right", "*/1 * * * *")] {
            let spec = json!({"schedule": schedule, "rebalancePlanClaimTemplate": template});
            admin.create(SCHEDULES, &object("RebalancePlanSchedule", name, spec)).await;
        }
        let wrong = until(SHORT, async || {
            let wrong = admin.get(&format!("{SCHEDULES}/wrong")).await;
            if is(&wrong, "Stalled") {
                Ok(wrong)
            } else {
                Err(format!("schedule wrong is not Stalled: {}", wrong["status"]))
            }
        })
        .await;
        assert!(!is(&wrong, "Ready"), "{}", wrong["status"]);
        assert!(!is(&wrong, "Scheduled"), "{}", wrong["status"]);
        assert!(wrong["status"]["conditions"].to_string().contains("61"), "{}", wrong["status"]);
        let told =
            until(SHORT, async || event(&admin, "wrong", "ScheduleInvalid").await.ok_or("no event ScheduleInvalid"))
                .await;
        assert_eq!(told["type"], "Warning");
        let claim = until(SHORT * 2, async || {
            let all = admin.list(CLAIMS).await;
            let of = |claim: &&Value| text(claim, "/metadata/ownerReferences/0/name") == "right";
            all.iter()
                .filter(of)
                .find(|claim| text(claim, "/status/state") == "Skipped")
                .cloned()
                .ok_or("no claim of schedule right was skipped")
        })
        .await;
        println!("{} was skipped: {}", name(&claim), text(&claim, "/status/skippedMessage"));
        assert!(
            admin.list(CLAIMS).await.iter().all(|claim| text(claim, "/metadata/ownerReferences/0/name") != "wrong")
        );
        for name in ["wrong", "right"] {
            admin.delete(&format!("{SCHEDULES}/{name}")).await;
        }
        operator.stop().assert_clean();
    });
}

async fn event(admin: &Api, of: &str, reason: &str) -> Option<Value> {
    let all = admin.list("/apis/events.k8s.io/v1/namespaces/default/events").await;
    all.into_iter().find(|event| text(event, "/regarding/name") == of && event["reason"] == reason)
}

#[test]
fn the_api_server_refuses_what_the_crds_rule_out() {
    on_the_cluster(|_, admin| async move {
        let check = async |what: &str, path: &str, object: Value, message: &str| {
            let answer = admin.ask("POST", path, JSON, &object).await;
            assert_eq!(answer.code, 422, "{what}: {}", answer.body);
            assert!(text(&answer.body, "/message").contains(message), "{what}: {}", answer.body);
        };
        let claim = |spec: Value| object("RebalancePlanClaim", "refused", spec);
        let selector = json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]});
        let both = claim(json!({"scope": {"nodeNames": ["a"], "nodeSelector": selector}}));
        check("both selectors", CLAIMS, both, "nodeNames and nodeSelector are mutually exclusive").await;
        let negative = claim(json!({"minSavingsPercentage": -1}));
        check("a negative percentage", CLAIMS, negative, "spec.minSavingsPercentage").await;
        let mode = json!({"schedule": "@daily", "rebalancePlanClaimTemplate": {"spec": {"mode": "Random"}}});
        let mode = object("RebalancePlanSchedule", "refused", mode);
        check("an unknown mode", SCHEDULES, mode, "spec.rebalancePlanClaimTemplate.spec.mode").await;
        check("an unknown mode", CLAIMS, claim(json!({"mode": "Random"})), "spec.mode").await;
        let bare = object("RebalancePlanSchedule", "refused", json!({"schedule": "@daily"}));
        check("no template", SCHEDULES, bare, "spec.rebalancePlanClaimTemplate: Required value").await;
    });
}

#[test]
fn settings_that_do_not_parse_are_refused_at_the_start_each_by_name() {
    let said = refused(&[("MODE", "sometimes"), ("PLAN_TIME_LIMIT", "soon"), ("KUBECONFIG", "/dev/null")]);
    for line in [
        "the environment cannot be used",
        "MODE is `sometimes`; one of act, approve, observe is expected",
        "PLAN_TIME_LIMIT is `soon`; a duration such as 30s or 1h30m from 1s to 10m is expected",
    ] {
        assert!(said.contains(line), "{said}");
    }
}
