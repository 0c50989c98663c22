//! `kentroller savings`: what the executed plans promised, what their real new nodes promised, and what was saved.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use kentroller_planner::Money;
use kentroller_runtime::{HasStatus, Kind};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::history::{achieved, promised};
use super::output::Output;
use super::plan::Trouble;
use super::remote::{Remote, runtime};
use crate::api::{PlanState, RebalancePlan};

/// Arguments of `kentroller savings`.
#[derive(Args, Debug)]
pub(super) struct SavingsArguments {
    /// What `kubectl get rebalanceplans -o json` (or yaml) printed, alone or among other objects. Without: the current cluster.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    files: Vec<String>,
    /// How the answer is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Output,
}

/// The answer. A public interface, whose fields scripts depend on. Amounts are US dollars an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    schema_version: u32,
    currency: &'static str,
    /// The oldest first.
    plans: Vec<OfPlan>,
    /// Of the plans of which it is known.
    total: Amounts,
    /// Of the plans that were measured.
    measured: Option<Measured>,
}

/// What one plan saves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfPlan {
    plan: String,
    began: String,
    state: String,
    #[serde(flatten)]
    amounts: Amounts,
    /// What was saved until the last measurement; absent before the end of the plan.
    measured: Option<Measured>,
}

/// Dollars in all, not by the hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Measured {
    #[serde(serialize_with = "in_four_digits")]
    promised: Money,
    #[serde(serialize_with = "in_four_digits")]
    saved: Money,
}

fn in_four_digits<S: Serializer>(amount: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

/// A saving at three times; absent where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "BTreeMap<&'static str, Option<String>>")]
struct Amounts {
    /// As planned.
    promised_hourly: Option<Money>,
    /// With the real new nodes, before old ones were drained; of the last wave for which that was asked for.
    validated_hourly: Option<Money>,
    /// With the nodes that really came and went.
    achieved_hourly: Option<Money>,
}

impl From<Amounts> for BTreeMap<&'static str, Option<String>> {
    fn from(of: Amounts) -> Self {
        [
            ("promisedHourly", of.promised_hourly),
            ("validatedHourly", of.validated_hourly),
            ("achievedHourly", of.achieved_hourly),
        ]
        .map(|(name, amount)| (name, amount.map(Money::hourly)))
        .into()
    }
}

impl SavingsArguments {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let done = self
            .plans()
            .and_then(|plans| self.output.print(&Account::of(plans), Account::told).map_err(Trouble::Input));
        Ok(done.map_or_else(Trouble::end, |()| ExitCode::SUCCESS))
    }

    fn plans(&self) -> Result<Vec<RebalancePlan>, Trouble> {
        if self.files.is_empty() {
            let listed = runtime()
                .map_err(anyhow::Error::from)
                .and_then(|runtime| runtime.block_on(async { Remote::connect().await?.list::<RebalancePlan>().await }));
            return listed.map_err(|error| Trouble::Cluster(format!("{error:#}")));
        }
        let mut plans = Vec::new();
        for file in &self.files {
            let text = std::fs::read_to_string(file).map_err(|error| Trouble::Input(format!("{file}: {error}")))?;
            let documents = documents(&text).map_err(|error| Trouble::Input(format!("{file}: {error}")))?;
            for document in documents {
                gather(file, document, &mut plans)?;
            }
        }
        Ok(plans)
    }
}

/// The documents of a file, be it JSON or YAML.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    if text.trim_start().starts_with('{') {
        let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
        return values.map_err(|error| format!("is no JSON of Kubernetes objects: {error}"));
    }
    serde_saphyr::from_multiple(text).map_err(|error| format!("is no YAML of Kubernetes objects: {error}"))
}

/// Takes the plans out of an object and what it lists.
fn gather(file: &str, mut object: Value, plans: &mut Vec<RebalancePlan>) -> Result<(), Trouble> {
    if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut) {
        for item in std::mem::take(items) {
            gather(file, item, plans)?;
        }
        return Ok(());
    }
    if object["kind"] != RebalancePlan::INFO.kind {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let plan = serde_path_to_error::deserialize(object).map_err(|error| {
        Trouble::Input(format!("{file}: RebalancePlan {name}, field {}: {}", error.path(), error.inner()))
    })?;
    plans.push(plan);
    Ok(())
}

impl Account {
    /// The account of the plans that have begun.
    fn of(mut plans: Vec<RebalancePlan>) -> Self {
        plans.sort_by_key(|plan| plan.status().and_then(|status| status.start_time));
        let mut account =
            Self { schema_version: 1, currency: "USD", plans: Vec::new(), total: Amounts::default(), measured: None };
        for plan in &plans {
            let Some((status, began)) = plan.status().and_then(|status| Some((status, status.start_time?))) else {
                continue;
            };
            let amounts = Amounts {
                promised_hourly: promised(status.savings.as_ref()),
                validated_hourly: promised(status.validated_savings.as_ref()),
                achieved_hourly: achieved(status),
            };
            let total = &mut account.total;
            add(&mut total.promised_hourly, amounts.promised_hourly);
            add(&mut total.validated_hourly, amounts.validated_hourly);
            add(&mut total.achieved_hourly, amounts.achieved_hourly);
            let measured = status.measured_savings.as_ref().and_then(|measured| {
                Some(Measured { promised: Money::parse(&measured.promised)?, saved: Money::parse(&measured.saved)? })
            });
            if let Some(one) = &measured {
                let all = account.measured.get_or_insert(Measured { promised: Money::ZERO, saved: Money::ZERO });
                all.promised += one.promised;
                all.saved += one.saved;
            }
            account.plans.push(OfPlan {
                measured,
                plan: plan.name().to_owned(),
                began: began.to_string(),
                state: status.state.as_ref().map_or("", PlanState::as_str).to_owned(),
                amounts,
            });
        }
        account
    }

    fn told(&self) -> String {
        if self.plans.is_empty() {
            return "No plan has been executed so far.\n".to_owned();
        }
        let text = |amount: Option<Money>| amount.map_or("-".to_owned(), Money::hourly);
        let measured = |of: Option<&Measured>| {
            of.map_or("-".to_owned(), |of| format!("{} of {}", of.saved.hourly(), of.promised.hourly()))
        };
        let row = |name: &str, began: &str, state: &str, amounts: &Amounts, all: Option<&Measured>| {
            [
                name.to_owned(),
                began.to_owned(),
                state.to_owned(),
                text(amounts.promised_hourly),
                text(amounts.validated_hourly),
                text(amounts.achieved_hourly),
                measured(all),
            ]
        };
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header([
            "PLAN",
            "BEGAN",
            "STATE",
            "PROMISED",
            "VALIDATED",
            "ACHIEVED",
            "MEASURED",
        ]);
        for plan in &self.plans {
            table.add_row(row(&plan.plan, &plan.began, &plan.state, &plan.amounts, plan.measured.as_ref()));
        }
        table.add_row(row("total", "", "", &self.total, self.measured.as_ref()));
        let mut out = format!("{table}\n");
        let a_month = self.total.achieved_hourly.map_or("-".to_owned(), Money::monthly);
        let _ = writeln!(
            out,
            "\nUSD an hour; achieved on the nodes that really came and went: {a_month} USD a month. Validated is what the last \
             wave promised on its real nodes, where an executionPolicy asked. Measured is what was saved in US dollars, of what \
             was promised for that time, as long as the new nodes lived; measured at a plan's end, a day and a week later."
        );
        out
    }
}

fn add(total: &mut Option<Money>, amount: Option<Money>) {
    if let Some(amount) = amount {
        *total = Some(total.unwrap_or(Money::ZERO) + amount);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(text: &str) -> Result<Account, String> {
        let mut plans = Vec::new();
        for document in documents(text)? {
            gather("file", document, &mut plans).map_err(|trouble| format!("{trouble:?}"))?;
        }
        Ok(Account::of(plans))
    }

    #[test]
    fn what_was_promised_validated_and_achieved_is_told_for_each_plan_and_in_all() {
        let plan = |name: &str, began: Value, savings: Value| {
            let spec = json!({"execute": true, "nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []});
            let mut status = json!({"state": "Done", "startTime": began, "conditions": []});
            for (key, value) in savings.as_object().expect("fields") {
                status[key] = value.clone();
            }
            json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlan", "metadata": {"name": name}, "spec": spec, "status": status})
        };
        let saved = |amount: &str| json!({"projectedSavingsCostHourly": amount});
        let second = plan("second", json!("2026-11-22T12:00:00Z"), json!({"savings": saved("1.0000")}));
        let first = plan(
            "first",
            json!("2026-11-22T10:00:00Z"),
            json!({"savings": saved("2.0000"), "validatedSavings": saved("1.9000"), "achievedOutcome": {"diff": {"priceHourly": "1.5000"}},
                "measuredSavings": {"currency": "USD", "promised": "48.0000", "saved": "35.5000", "until": "2026-11-23T11:00:00Z"}}),
        );
        let waits = plan("waits", Value::Null, json!({"savings": saved("9.0000")}));
        let list =
            json!({"kind": "List", "items": [second, {"kind": "Node", "metadata": {"name": "n"}}, first, waits]});
        let told = account(&list.to_string()).expect("an account");
        let names: Vec<&str> = told.plans.iter().map(|plan| plan.plan.as_str()).collect();
        assert_eq!(names, ["first", "second"]);
        let json = serde_json::to_value(&told).expect("JSON");
        assert_eq!(json["total"]["promisedHourly"], "3.0000", "{json}");
        assert_eq!(told.total.validated_hourly, Money::parse("1.9"));
        assert_eq!(
            (told.total.achieved_hourly, json["plans"][1]["achievedHourly"].clone()),
            (Money::parse("1.5"), Value::Null)
        );
        let text = told.told();
        let row: Vec<&str> = text.lines().nth(3).expect("the total").split_whitespace().collect();
        assert_eq!(row, ["total", "3.0000", "1.9000", "1.5000", "35.5000", "of", "48.0000"], "{text}");
        assert_eq!(json["plans"][0]["measured"], json!({"promised": "48.0000", "saved": "35.5000"}));
        let yaml = serde_saphyr::to_string(&list).expect("YAML");
        assert_eq!(account(&yaml).expect("an account"), told);
        assert_eq!(
            account("{\"kind\":\"List\",\"items\":[]}").expect("none").told(),
            "No plan has been executed so far.\n"
        );
        let wrong = list.to_string().replace("\"nodeClaimsToAdd\":[]", "\"nodeClaimsToAdd\":7");
        let error = account(&wrong).expect_err("wrong");
        assert!(error.contains("RebalancePlan second, field spec.nodeClaimsToAdd"), "{error}");
    }
}
