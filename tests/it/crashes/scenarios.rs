//! Stories of a claim that a crash must not change.

use kentroller_tests::{Stage, text};
use kentroller_world::Offering;
use serde_json::{Value, json};

/// A story: what is asked for, what happens meanwhile, and how it ends.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) claim: &'static str,
    /// States of the claim and of its plan at the end.
    pub(super) end: (&'static str, &'static str),
    /// Whether nodes come and go in the end.
    pub(super) changes: bool,
    /// Whether a node is kept, and says so.
    pub(super) keeps: bool,
    /// Whether it is stopped: how many nodes have come by then, which it gives back, is a matter of the moment.
    pub(super) is_stopped: bool,
    pub(super) ask: fn(&Stage),
    /// Called every two seconds until it says that it is done.
    pub(super) meddle: fn(&Stage) -> bool,
}

/// 3 nodes each, made of the same seed.
pub(super) const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "success",
        claim: "now",
        end: ("Completed", "Done"),
        changes: true,
        keeps: false,
        is_stopped: false,
        ask: |stage| stage.claim("now", json!({"nodeConstraints": {"maxNodes": 1}})),
        meddle: |_| true,
    },
    Scenario {
        name: "by schedule",
        claim: "nightly-1795312800",
        end: ("Completed", "Done"),
        changes: true,
        keeps: false,
        is_stopped: false,
        ask: |stage| {
            let spec = json!({"autoExecute": true, "nodeConstraints": {"maxNodes": 1}});
            let template = json!({"metadata": {}, "spec": spec});
            stage.schedule("nightly", "0 2 22 11 *", json!({"rebalancePlanClaimTemplate": template}));
        },
        meddle: |_| true,
    },
    Scenario {
        name: "next offering",
        claim: "now",
        end: ("Completed", "Done"),
        changes: true,
        keeps: false,
        is_stopped: false,
        ask: roll,
        meddle: |stage| {
            let Some(plan) = approvable(stage) else { return false };
            let first = offering(&plan["spec"]["nodeClaimsToAdd"][0]["alternatives"][0]);
            stage.operated.world.set_faults(|faults| {
                faults.exhausted.insert(first);
            });
            execute(stage, true);
            true
        },
    },
    Scenario {
        name: "cancelled while nodes come",
        claim: "now",
        end: ("Canceled", "Canceled"),
        changes: false,
        keeps: false,
        is_stopped: true,
        ask: roll,
        meddle: |stage| {
            if approvable(stage).is_some() {
                execute(stage, true);
            }
            let has_made = made(stage) > 0;
            if has_made {
                execute(stage, false);
            }
            has_made
        },
    },
    Scenario {
        name: "time-out while nodes come",
        claim: "now",
        end: ("Failed", "Failed"),
        changes: false,
        keeps: false,
        is_stopped: false,
        ask: roll,
        meddle: |stage| {
            if approvable(stage).is_none() {
                return false;
            }
            stage.operated.world.set_faults(|faults| faults.lost_percent = 100);
            execute(stage, true);
            true
        },
    },
    Scenario {
        name: "time-out while nodes go",
        claim: "now",
        end: ("Failed", "Failed"),
        changes: true,
        keeps: false,
        is_stopped: false,
        ask: roll,
        meddle: |stage| {
            if approvable(stage).is_none() {
                return false;
            }
            forbid_evictions(stage);
            execute(stage, true);
            true
        },
    },
    Scenario {
        name: "a node that is kept",
        claim: "now",
        end: ("Failed", "Failed"),
        changes: false,
        keeps: true,
        is_stopped: false,
        ask: |stage| {
            stage.claim("now", json!({"autoExecute": false, "nodeConstraints": {"maxNodes": 1}}));
        },
        meddle: |stage| {
            if approvable(stage).is_none() {
                return false;
            }
            forbid_evictions(stage);
            execute(stage, true);
            true
        },
    },
];

/// Every node is replaced, once somebody approves, within two minutes.
fn roll(stage: &Stage) {
    let timeouts = json!({"rebalanceExecutionTimeout": "600s"});
    stage.claim("now", json!({"autoExecute": false, "minSavingsPercentage": 0, "timeouts": timeouts}));
}

/// The plan, if it waits for somebody to approve it.
fn approvable(stage: &Stage) -> Option<std::sync::Arc<Value>> {
    let plan = stage.get("RebalancePlan", "now")?;
    (plan["status"]["state"] == "Created" && plan["spec"]["execute"] != true).then_some(plan)
}

fn execute(stage: &Stage, whether: bool) {
    stage.edit("RebalancePlan", "now", |plan| plan["spec"]["execute"] = json!(whether));
}

/// How many NodeClaims the operator has made.
fn made(stage: &Stage) -> usize {
    let is_made = |claim: &Value| claim["metadata"]["annotations"]["rebalancing.cast.ai/made-by"].is_string();
    stage.list("NodeClaim").iter().filter(|claim| is_made(claim)).count()
}

fn offering(alternative: &Value) -> Offering {
    let value = |key: &str| {
        let all = alternative["requirements"].as_array().into_iter().flatten();
        all.filter(|one| one["key"] == key).map(|one| text(&one["values"][0])).next().unwrap_or_default()
    };
    Offering {
        instance_type: value("node.kubernetes.io/instance-type"),
        zone: value("topology.kubernetes.io/zone"),
        capacity_type: value("karpenter.sh/capacity-type"),
    }
}

/// One budget for each namespace that allows nothing, in place of those that are there.
fn forbid_evictions(stage: &Stage) {
    let mut namespaces: Vec<String> = stage.list("Pod").iter().map(|pod| text(&pod["metadata"]["namespace"])).collect();
    namespaces.sort();
    namespaces.dedup();
    let server = &stage.operated.server;
    for budget in stage.list("PodDisruptionBudget") {
        let (namespace, name) = (text(&budget["metadata"]["namespace"]), text(&budget["metadata"]["name"]));
        server.delete("PodDisruptionBudget", Some(&namespace), &name, &Default::default()).expect("it is deleted");
    }
    for namespace in namespaces {
        let metadata = json!({"name": "nobody-leaves", "namespace": namespace});
        let spec = json!({"selector": {}, "maxUnavailable": 0});
        let budget =
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec});
        server.create(budget).expect("the budget");
    }
}
