//! Conditions as users and `kubectl wait` read them: the kind's own, and the kstatus summary that every kind has.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One condition of an object, with the limits of `metav1.Condition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// When `status` last changed.
    #[schemars(extend("format" = "date-time"), with = "String")]
    pub last_transition_time: Timestamp,
    /// What it means for this object, for people.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// The generation of the object that this condition judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    pub observed_generation: Option<i64>,
    /// A PascalCase word for machines.
    #[schemars(length(min = 1, max = 1024), pattern("^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"))]
    pub reason: String,
    /// True, False or Unknown.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// The condition's name.
    #[serde(rename = "type")]
    #[schemars(
        length(max = 316),
        pattern(
            r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
        )
    )]
    pub type_: String,
}

/// The condition types of a kind besides the summary. Implemented by `#[derive(Conditions)]`.
pub trait ConditionType: Copy + 'static {
    /// Why one of them, or the summary, may be as it is.
    type Reason: Reason;
    /// All of them, for the reference page.
    const SET: ConditionSet;

    /// As it stands in the object.
    fn as_str(self) -> &'static str;
}

/// A PascalCase word for machines that says why a condition is as it is.
pub trait Reason {
    /// As it stands in the object.
    fn word(&self) -> &str;
}

/// Of kinds that list no reasons.
impl Reason for &'static str {
    fn word(&self) -> &str {
        self
    }
}

/// Words with their meanings, in several lists.
pub type Reasons = &'static [&'static [(&'static str, &'static str)]];

/// The conditions of a kind.
#[derive(Clone, Copy, Debug)]
pub struct ConditionSet {
    /// The reasons of `Ready`, `Reconciling` and `Stalled`.
    pub summary: Reasons,
    /// The conditions besides the summary.
    pub own: &'static [ConditionInfo],
}

impl ConditionSet {
    /// Whether the reason is listed for other conditions only. A word that is listed nowhere was read from an object that
    /// another version wrote.
    pub fn is_misplaced(&self, condition: &str, reason: &str) -> bool {
        let lists = |reasons: Reasons| reasons.iter().flat_map(|list| *list).any(|(word, _)| *word == reason);
        let own = self.own.iter().find(|info| info.name == condition);
        let elsewhere = lists(self.summary) || self.own.iter().any(|info| lists(info.reasons));
        elsewhere && !lists(own.map_or(self.summary, |info| info.reasons))
    }
}

/// A condition of a kind.
#[derive(Clone, Copy, Debug)]
pub struct ConditionInfo {
    /// Its type, in PascalCase.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Why it may be as it is.
    pub reasons: Reasons,
}

/// For kinds that have the summary only.
#[derive(Clone, Copy, Debug)]
pub enum SummaryOnly {}

impl ConditionType for SummaryOnly {
    type Reason = &'static str;
    const SET: ConditionSet = ConditionSet { summary: &[], own: &[] };

    fn as_str(self) -> &'static str {
        match self {}
    }
}

/// The summary that every kind has, after kstatus: what `kubectl wait` and GitOps tools read.
pub const SUMMARY: [(&str, &str); 3] = [
    ("Ready", "The object is as its spec asks; False or Unknown says why not."),
    ("Reconciling", "Present and True while the controller is still working towards the spec."),
    ("Stalled", "Present and True when nothing will happen until somebody changes something."),
];

/// What a reconcile says of one condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// In PascalCase.
    #[serde(rename = "type")]
    pub type_: String,
    /// `None` is `Unknown`.
    pub status: Option<bool>,
    /// In PascalCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

fn word(status: Option<bool>) -> &'static str {
    match status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    }
}

/// The conditions after a reconcile: `before` with `marks` applied. The transition time moves only when a status
/// changes; `Reconciling` and `Stalled` are gone unless marked True, as kstatus asks; an object never lacks `Ready`.
pub fn merge(before: &[Condition], marks: &[Mark], generation: i64, now: Timestamp) -> Vec<Condition> {
    let mut after: Vec<Condition> = before
        .iter()
        .filter(|old| !matches!(old.type_.as_str(), "Reconciling" | "Stalled"))
        .filter(|old| marks.iter().all(|mark| mark.type_ != old.type_))
        .cloned()
        .collect();
    for mark in marks {
        if matches!(mark.type_.as_str(), "Reconciling" | "Stalled") && mark.status != Some(true) {
            continue;
        }
        let status = word(mark.status);
        let unchanged = before.iter().find(|old| old.type_ == mark.type_ && old.status == status);
        after.push(Condition {
            last_transition_time: unchanged.map_or(seconds(now), |old| old.last_transition_time),
            message: mark.message.chars().take(32768).collect(),
            observed_generation: Some(generation),
            reason: mark.reason.clone(),
            status: status.to_owned(),
            type_: mark.type_.clone(),
        });
    }
    if after.iter().all(|condition| condition.type_ != "Ready") {
        after.push(Condition {
            last_transition_time: seconds(now),
            message: "Not judged so far.".to_owned(),
            observed_generation: Some(generation),
            reason: "Pending".to_owned(),
            status: "Unknown".to_owned(),
            type_: "Ready".to_owned(),
        });
    }
    after.sort_by(|a, b| a.type_.cmp(&b.type_));
    after
}

/// The conditions in a stored status; what does not decode counts as absent and is written anew.
pub fn read(status: &Value) -> Vec<Condition> {
    let listed = status.get("conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    listed.iter().filter_map(|condition| serde_json::from_value(condition.clone()).ok()).collect()
}

/// Since when a condition has been True, or False; `None` if it is not.
pub fn in_status_since(conditions: &[Condition], condition: impl ConditionType, status: bool) -> Option<Timestamp> {
    let known = conditions.iter().find(|one| one.type_ == condition.as_str() && one.status == word(Some(status)));
    known.map(|one| one.last_transition_time)
}

/// Whole seconds: the API server keeps no fraction in `metav1.Time`.
pub fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn mark(type_: &str, status: bool, reason: &str) -> Mark {
        Mark { type_: type_.into(), status: Some(status), reason: reason.into(), message: String::new() }
    }

    fn show(conditions: &[Condition]) -> Vec<String> {
        let line =
            |c: &Condition| format!("{}={} {} @{}", c.type_, c.status, c.reason, c.last_transition_time.as_second());
        conditions.iter().map(line).collect()
    }

    #[test]
    fn the_transition_time_moves_with_the_status_only() {
        let first = merge(&[], &[mark("Ready", false, "A")], 1, at(10));
        let second = merge(&first, &[mark("Ready", false, "B")], 2, at(20));
        let third = merge(&second, &[mark("Ready", true, "C")], 2, at(30));
        assert_eq!(show(&second), ["Ready=False B @10"]);
        assert_eq!(show(&third), ["Ready=True C @30"]);
    }

    #[test]
    fn reconciling_and_stalled_are_there_only_while_true_and_ready_always() {
        let first = merge(&[], &[mark("Reconciling", true, "Working"), mark("Stalled", false, "No")], 1, at(10));
        assert_eq!(show(&first), ["Ready=Unknown Pending @10", "Reconciling=True Working @10"]);
        let second = merge(&first, &[mark("Ready", true, "Done")], 1, at(20));
        assert_eq!(show(&second), ["Ready=True Done @20"]);
    }
}
