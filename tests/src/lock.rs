//! The chart's admission policies, judged as an API server would, at every write of the operator in every story: they must
//! refuse none of them.

use std::sync::{Arc, Mutex, PoisonError};

use kentroller::chart;
use kentroller_runtime::simulation::apiserver::{ApiServer, Commit};
use kube_cel::cel::parser::{Expression, Parser};
use kube_cel::cel::{Context, Value as Found};
use serde_json::{Value, json};

/// What the policies refuse so far.
#[derive(Clone, Debug, Default)]
pub struct Lock(Arc<Mutex<Vec<String>>>);

/// What must be true of a write to a kind, and what is said where it is not.
struct Rule {
    plural: String,
    must: Expression,
    says: String,
}

impl Lock {
    /// Judges what this user writes on a server.
    pub fn watch(server: &ApiServer, user: &'static str) -> Self {
        let (lock, rules) = (Self::default(), rules());
        let refused = lock.clone();
        server.on_commit(move |commit| {
            if &*commit.write.user == user && commit.write.subresource.is_empty() {
                refused.0.lock().unwrap_or_else(PoisonError::into_inner).extend(judged(&rules, commit));
            }
        });
        lock
    }

    /// The writes that an API server with the policies would have refused, and why.
    pub fn refused(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for policy in chart::policies() {
        let plural = &policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"][0];
        for validation in policy["spec"]["validations"].as_array().into_iter().flatten() {
            let text = validation["expression"].as_str().expect("a text");
            // Whether pods may be forced is the claim's word in a story, and the oracle's to judge.
            let text = text.replace(chart::FORCES, "true");
            let must = Parser::new().enable_optional_syntax(true).parse(&text).expect(&text);
            let says = validation["message"].as_str().expect("a text").to_owned();
            rules.push(Rule { plural: plural.as_str().expect("a text").to_owned(), must, says });
        }
    }
    assert!(rules.len() > 10, "{}", rules.len());
    rules
}

fn judged(rules: &[Rule], commit: &Commit) -> Vec<String> {
    let write = &commit.write;
    let operation = match write.verb {
        "create" => "CREATE",
        "delete" => "DELETE",
        _ => "UPDATE",
    };
    let plural = format!("{}s", write.kind.to_lowercase());
    let side = |object: &Option<Arc<Value>>| object.as_deref().cloned().unwrap_or_default();
    let told = |is_told: bool| if is_told { json!("told") } else { Value::Null };
    let options = json!({"preconditions": {"uid": told(write.preconditions.uid)}});
    let mut context = Context::default();
    for (name, value) in [
        ("request", json!({"operation": operation, "options": options})),
        ("object", if operation == "DELETE" { Value::Null } else { side(&commit.after) }),
        ("oldObject", side(&commit.before)),
    ] {
        context.add_variable(name, value).expect("JSON is CEL");
    }
    let broken =
        rules.iter().filter(|rule| rule.plural == plural).filter_map(|rule| match context.resolve(&rule.must) {
            Ok(Found::Bool(true)) => None,
            other => Some(format!("{} {} {}: {} ({other:?})", write.verb, write.kind, write.name, rule.says)),
        });
    broken.collect()
}
