//! Label and field selectors: as text in a query, as an object in a disruption budget.

use serde_json::Value;

use super::object;
use super::refusal::{Refusal, bad_request};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

/// Requirements on labels, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LabelSelector(Vec<(String, Test)>);

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut requirements = Vec::new();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            requirements.push(requirement(part).ok_or_else(|| {
                bad_request(format!("unable to parse requirement: found '{part}', expected: label selector"))
            })?);
        }
        Ok(Self(requirements))
    }

    /// The `metav1.LabelSelector` of a disruption budget. `None` for one that is absent or not understood: such a budget
    /// guards nothing. An empty one guards all pods of the namespace (policy/v1).
    pub(super) fn of_budget(selector: &Value) -> Option<Self> {
        selector.as_object()?;
        let mut requirements = Vec::new();
        for (label, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            requirements.push((label.clone(), Test::In(vec![value.as_str()?.to_owned()])));
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let values = || {
                let list = expression["values"].as_array().map(Vec::as_slice).unwrap_or_default();
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let test = match expression["operator"].as_str()? {
                "In" => Test::In(values()),
                "NotIn" => Test::NotIn(values()),
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Absent,
                _ => return None,
            };
            requirements.push((expression["key"].as_str()?.to_owned(), test));
        }
        Some(Self(requirements))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = object::meta(object, "labels");
        self.0.iter().all(|(label, test)| {
            let value = labels.and_then(|labels| labels.get(label)).and_then(Value::as_str);
            match test {
                Test::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
                Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::Above(bound) => value.and_then(|value| value.parse::<i64>().ok()).is_some_and(|n| n > *bound),
                Test::Below(bound) => value.and_then(|value| value.parse::<i64>().ok()).is_some_and(|n| n < *bound),
            }
        })
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn requirement(part: &str) -> Option<(String, Test)> {
    if let Some(label) = part.strip_prefix('!') {
        return Some((key(label)?, Test::Absent));
    }
    if let Some(list) = part.strip_suffix(')') {
        let (head, values) = list.split_once('(')?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (label, word) = head.trim().rsplit_once(' ')?;
        return match word {
            "in" => Some((key(label)?, Test::In(values))),
            "notin" => Some((key(label)?, Test::NotIn(values))),
            _ => None,
        };
    }
    for (sign, negated) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((label, value)) = part.split_once(sign) {
            let values = vec![value.trim().to_owned()];
            return Some((key(label)?, if negated { Test::NotIn(values) } else { Test::In(values) }));
        }
    }
    if let Some((label, bound)) = part.split_once('>') {
        return Some((key(label)?, Test::Above(bound.trim().parse().ok()?)));
    }
    if let Some((label, bound)) = part.split_once('<') {
        return Some((key(label)?, Test::Below(bound.trim().parse().ok()?)));
    }
    Some((key(part)?, Test::Exists))
}

fn key(text: &str) -> Option<String> {
    let text = text.trim();
    let known = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    (!text.is_empty() && text.chars().all(known)).then(|| text.to_owned())
}

/// The fields that the API server can select by, for the kinds that are served here; those of every kind under no name.
const SELECTABLE: &[(&str, &str, &[&str])] = &[
    ("", "metadata.name", &["metadata", "name"]),
    ("", "metadata.namespace", &["metadata", "namespace"]),
    ("Pod", "spec.nodeName", &["spec", "nodeName"]),
    ("Pod", "status.phase", &["status", "phase"]),
    ("Event", "regarding.kind", &["regarding", "kind"]),
    ("Event", "reason", &["reason"]),
];

/// Requirements on fields, all of which must hold: path, wanted value, and whether it must differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSelector(Vec<(&'static [&'static str], String, bool)>);

impl FieldSelector {
    /// Reads `metadata.name=a,status.phase!=Failed`.
    ///
    /// # Errors
    /// 400 for a field that the kind cannot be selected by.
    pub(super) fn parse(text: &str, kind: &str) -> Result<Self, Refusal> {
        let mut requirements = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let split = [("!=", true), ("==", false), ("=", false)]
                .into_iter()
                .find_map(|(sign, negated)| part.split_once(sign).map(|(field, value)| (field, value, negated)));
            let Some((field, value, negated)) = split else {
                return Err(bad_request(format!("invalid selector: '{part}'; can't understand '{part}'")));
            };
            let is_it = |(of, name): (&str, &str)| (of.is_empty() || of == kind) && name == field.trim();
            let Some((_, _, path)) = SELECTABLE.iter().find(|(of, name, _)| is_it((of, name))) else {
                return Err(bad_request(format!("field label not supported: {field}")));
            };
            requirements.push((*path, value.trim().to_owned(), negated));
        }
        Ok(Self(requirements))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(path, wanted, negated)| {
            let mut at = Some(object);
            for step in *path {
                at = at.and_then(|value| value.get(step));
            }
            let found = at.and_then(Value::as_str).unwrap_or_default();
            (found == wanted) != *negated
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_label_selector_is_understood() {
        let pod = json!({"metadata": {"labels": {"app": "shop", "tier": "web", "size": "5"}}});
        for (text, holds) in [
            ("", true),
            ("app=shop", true),
            ("app==shop,tier!=db", true),
            ("app!=shop", false),
            ("missing!=x", true),
            ("app in (shop, blog)", true),
            ("app notin (shop,blog)", false),
            ("missing notin (x),tier", true),
            ("!app", false),
            ("!missing", true),
            ("size>4,size<6", true),
            ("size>5", false),
            ("example.com/a-b_c", false),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&pod), holds, "{text}");
        }
        assert_eq!(LabelSelector::parse("app like (x)").unwrap_err().code, 400);
    }

    #[test]
    fn a_budget_without_a_selector_guards_nothing_and_an_empty_one_everything() {
        let pod = json!({"metadata": {"labels": {"app": "shop"}}});
        assert!(LabelSelector::of_budget(&json!({})).unwrap().matches(&pod));
        assert_eq!(LabelSelector::of_budget(&Value::Null), None);
        let odd = json!({"matchExpressions": [{"key": "app", "operator": "Near", "values": ["shop"]}]});
        assert_eq!(LabelSelector::of_budget(&odd), None);
        let exact =
            json!({"matchLabels": {"app": "shop"}, "matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]});
        assert!(LabelSelector::of_budget(&exact).unwrap().matches(&pod));
    }

    #[test]
    fn fields_select_pods_by_node_and_phase_events_by_kind_and_reason_and_nothing_else() {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}});
        let selects = |text: &str| FieldSelector::parse(text, "Pod").map(|selector| selector.matches(&pod));
        assert!(selects("spec.nodeName=n1,status.phase!=Failed,metadata.name==a").unwrap());
        assert!(!selects("spec.nodeName=").unwrap());
        assert_eq!(selects("spec.hostname=x").unwrap_err().message, "field label not supported: spec.hostname");
        assert_eq!(FieldSelector::parse("status.phase=x", "NodeClaim").unwrap_err().code, 400);
        let event = json!({"metadata": {"name": "a"}, "regarding": {"kind": "Node"}});
        for (text, holds) in [("regarding.kind=Node", true), ("regarding.kind=Pod", false)] {
            assert_eq!(FieldSelector::parse(text, "Event").unwrap().matches(&event), holds, "{text}");
        }
    }
}
