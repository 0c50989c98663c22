use kentroller_planner::generate::{Recipe, generate};
use kentroller_planner::{Catalog, Options, Snapshot};
use kentroller_rpc::v1::Question;
use kentroller_runtime::Cancelled;

use super::answer::judged;
use super::question::{packed, unpacked};
use crate::backend::embedded::{Effort, PlanAsk, Planned, Planner};
use crate::backend::snapshot::as_operators_see;

fn cluster() -> (PlanAsk, Snapshot, Catalog) {
    let catalog = Catalog::embedded();
    let recipe = Recipe { nodes: 24, seed: 3, constrained: true, held: true };
    let ask = PlanAsk {
        seed: "uid-1/1".to_owned(),
        options: Options::default(),
        time_limit: std::time::Duration::from_secs(10),
        tried: None,
    };
    (ask, as_operators_see(generate(recipe, &catalog)), catalog)
}

fn planned(ask: &PlanAsk, snapshot: &Snapshot, catalog: &Catalog) -> Planned {
    Planner::new(Effort::Steps(2_000)).plan(ask, snapshot, catalog, &Cancelled::default()).expect("a plan")
}

#[test]
fn a_backend_reads_the_cluster_the_prices_and_the_options_as_the_operator_has_them() {
    let (mut ask, snapshot, mut catalog) = cluster();
    ask.options.max_nodes = Some(3);
    ask.options.reserved_nodes.insert("a".to_owned());
    ask.options.resting.pods.insert(snapshot.pods[0].metadata.key(), "a plan".to_owned());
    catalog.set_unavailable("us-east-1", "m5.large", Some("us-east-1a"), &kentroller_planner::CapacityType::OnDemand);
    let question = packed(&ask, &snapshot, &catalog, 7).expect("it is written");
    let read = unpacked(&question).expect("it reads");
    assert_eq!(read.snapshot, snapshot);
    assert_eq!((read.ask.options, read.ask.seed), (ask.options, ask.seed));
    assert_eq!(read.catalog.to_csv(), catalog.to_csv());
    assert!(question.question_id.starts_with("7-"));
}

#[test]
fn what_a_backend_does_not_know_it_does_not_overlook() {
    let (ask, snapshot, catalog) = cluster();
    let question = packed(&ask, &snapshot, &catalog, 0).expect("it is written");
    let text = String::from_utf8(question.options_json.clone()).expect("JSON");
    let newer = text.replacen('{', "{\"neverOnMondays\":true,", 1);
    for (field, broken) in [
        ("neverOnMondays", Question { options_json: newer.into_bytes(), ..question.clone() }),
        ("snapshot_json_gz", Question { snapshot_json_gz: b"no gzip".to_vec(), ..question.clone() }),
        ("prices_csv_gz", Question { prices_csv_gz: question.prices_csv_gz[..100].to_vec(), ..question.clone() }),
    ] {
        let why = unpacked(&broken).expect_err("it does not read");
        assert!(why.contains(field), "{why}");
    }
}

#[test]
fn a_plan_of_a_backend_comes_to_what_our_own_would_have_come_to() {
    let (ask, snapshot, catalog) = cluster();
    let own = planned(&ask, &snapshot, &catalog);
    assert!(own.removed.len() > 1 && !own.spec.node_claims_to_add.is_empty(), "{:?}", own.removed);
    let answer = serde_json::to_vec(&own).expect("JSON");
    let read = judged(&answer, &ask, &snapshot, &catalog).expect("it holds");
    let figures = |planned: &Planned| {
        let savings = planned.savings.clone();
        (savings.projected_savings_cost_monthly, savings.projected_cluster_monthly_cost, savings.blue_nodes)
    };
    assert_eq!(figures(&read), figures(&own));
    assert_eq!((read.savings_percent, &read.removed), (own.savings_percent, &own.removed));
    assert_eq!((read.transition, read.kept.len()), (own.transition, own.kept.len()));
    let names = |planned: &Planned| {
        let all = planned.spec.node_claims_to_add.iter().map(|add| add.metadata.name.clone());
        all.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names(&read).len(), names(&own).len());
    assert!(names(&read).is_disjoint(&names(&own)), "a backend chooses no names");
}

#[test]
fn no_answer_is_carried_out_that_the_checker_would_refuse() {
    let (ask, snapshot, catalog) = cluster();
    let own = planned(&ask, &snapshot, &catalog);
    let check = |what: &str, wanted: &str, change: &dyn Fn(&mut Planned)| {
        let mut changed = own.clone();
        change(&mut changed);
        let answer = serde_json::to_vec(&changed).expect("JSON");
        let why = judged(&answer, &ask, &snapshot, &catalog).expect_err(what);
        assert!(why.contains(wanted), "{what}: {why}");
        assert!(why.len() < 4_000, "{what}");
    };
    check("another question", "another question", &|plan| plan.seed = "uid-2/1".to_owned());
    check("a node that is gone", "no such NodeClaim", &|plan| {
        plan.spec.node_claims_to_delete[0].node_claim_name = "gone".to_owned();
    });
    check("half of the new nodes", "", &|plan| plan.spec.node_claims_to_add.clear());
    check("a price that is not ours", "price", &|plan| {
        plan.spec.node_claims_to_add[0].alternatives[0].price_hourly = Some("0.0001".to_owned());
    });
    check("the same node twice", "", &|plan| {
        let twice = plan.spec.node_claims_to_delete[0].clone();
        plan.spec.node_claims_to_delete.push(twice);
    });
    check("a new node twice", "", &|plan| {
        let twice = plan.spec.node_claims_to_add[0].clone();
        plan.spec.node_claims_to_add.push(twice);
    });
    check("pods that stay on a node that goes", "", &|plan| plan.spec.pods_to_migrate.clear());
    check("a wave of the year 2100", "waves", &|plan| plan.spec.node_claims_to_delete[0].wave = u32::MAX);
    check("a negative price of the change", "", &|plan| plan.transition = kentroller_planner::Money::micros(-1));
    check("all nodes at once", "", &|plan| {
        let all = snapshot
            .node_claims
            .iter()
            .map(|claim| crate::api::NodeClaimToDelete { node_claim_name: claim.metadata.name.to_string(), wave: 0 });
        plan.spec.node_claims_to_delete = all.collect();
    });
    check("a plan of nothing", "does not say why", &|plan| plan.spec = crate::api::RebalancePlanSpec::default());
    check("a reason that is none", "a reason that is none", &|plan| {
        plan.nothing = Some((crate::api::SkippedReason::Unknown("Whatever".to_owned()), String::new()));
    });
    check("more than a plan may hold", "too large", &|plan| {
        let one = plan.spec.node_claims_to_delete[0].clone();
        plan.spec.node_claims_to_delete = vec![one; 101];
    });
    for text in ["", "<html>", "{}", "[1", "{\"seed\": 5}"] {
        assert!(
            judged(text.as_bytes(), &ask, &snapshot, &catalog).expect_err(text).contains("cannot be read"),
            "{text}"
        );
    }
}

#[test]
fn what_a_backend_says_for_people_is_cut_and_names_no_node_that_is_not_there() {
    let (ask, snapshot, catalog) = cluster();
    let mut own = planned(&ask, &snapshot, &catalog);
    own.spec.execute = true;
    own.spec.node_claims_to_add[0]
        .metadata
        .annotations
        .insert("karpenter.sh/do-not-disrupt".to_owned(), "true".to_owned());
    own.spec.node_claims_to_add[0].spec.node_class_ref.name = "of-somebody-else".to_owned();
    own.warnings = vec!["\u{1b}[31m".to_owned() + &"x".repeat(100_000); 10_000];
    own.kept = vec![crate::api::SkippedNode { name: "nowhere".to_owned(), reasons: vec![] }; 5];
    own.findings.candidates = usize::MAX;
    let read = judged(&serde_json::to_vec(&own).expect("JSON"), &ask, &snapshot, &catalog).expect("it holds");
    assert!(!read.spec.execute);
    let first = &read.spec.node_claims_to_add[0];
    assert!(!first.metadata.annotations.contains_key("karpenter.sh/do-not-disrupt"));
    assert_ne!(first.spec.node_class_ref.name, "of-somebody-else");
    assert!(read.warnings.len() == 200 && read.warnings[0].len() <= 1000 && !read.warnings[0].contains('\u{1b}'));
    assert_eq!((read.kept.len(), read.findings.candidates), (0, snapshot.nodes.len()));
}
