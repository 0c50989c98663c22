//! Which nodes a pod may run on by what the node *is*: taints, selectors, node affinity, volumes, operating system.

use super::pool::values_of;
use crate::manifest::{
    Effect, Labels, Node, Operator, PodShape, PreferredNodeTerm, RequiredNodeTerms, Taint, Toleration, marks,
};
use crate::value::labels::is_untold;

/// The weight of a soft spread and of the zone. Other preferences have weights of their own, from 1 to 100.
pub(crate) const FULL_WEIGHT: i64 = 100;

/// What a pod asks of a node's labels and taints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Needs {
    pub tolerations: Vec<Toleration>,
    pub node_selector: Labels,
    /// The pod's own required affinity and those of its volumes. One term of each list must hold.
    pub terms: Vec<RequiredNodeTerms>,
    pub os: String,
}

/// What a pod would rather have in a node's labels and taints.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodePreferences {
    pub preferred: Vec<PreferredNodeTerm>,
    /// What it tolerates of soft taints. `None`: no node has any.
    pub tolerations: Option<Vec<Toleration>>,
}

impl NodePreferences {
    /// The weight that a place leaves unmet, at most a full one. What is not known is not met.
    pub(crate) fn unmet(&self, place: &Place) -> i64 {
        let missed =
            self.preferred.iter().filter(|one| one.preference.matches(&place.name, &place.labels) != Some(true));
        let missed: i64 = missed.map(|one| i64::from(one.weight).max(0)).sum();
        let bears = |taint: &Taint| self.tolerations.iter().flatten().any(|toleration| toleration.tolerates(taint));
        let soft = place.taints.iter().filter(|taint| taint.effect == Effect::PreferNoSchedule);
        let disliked = if self.tolerations.is_some() && !soft.clone().all(bears) { FULL_WEIGHT } else { 0 };
        (missed + disliked).min(FULL_WEIGHT)
    }

    /// Every label key that an answer can depend on.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let expressions = self.preferred.iter().flat_map(|one| &one.preference.match_expressions);
        expressions.map(|expression| expression.key.as_str())
    }
}

/// A node, existing or new, as selectors see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub name: String,
    pub labels: Labels,
    pub taints: Vec<Taint>,
    /// A cordoned node takes nothing but DaemonSet pods.
    pub unschedulable: bool,
    /// Whether it is still to be bought. Such a node may carry labels that nobody can tell yet.
    pub is_new: bool,
}

impl Place {
    /// A node that exists, with some of its labels.
    pub(crate) fn of(node: &Node, labels: Labels) -> Self {
        Self {
            name: (*node.metadata.name).to_owned(),
            labels,
            taints: node.spec.taints.clone(),
            unschedulable: node.spec.unschedulable,
            is_new: false,
        }
    }
}

impl Needs {
    pub(crate) fn of(shape: &PodShape, volumes: Vec<RequiredNodeTerms>) -> Self {
        let own = shape.affinity.node_affinity.required.clone();
        let mut tolerations = shape.tolerations.clone();
        tolerations.sort();
        tolerations.dedup();
        Self {
            tolerations,
            node_selector: shape.node_selector.clone(),
            terms: own.into_iter().chain(volumes).collect(),
            os: shape.os.clone(),
        }
    }

    /// Whether the place may take the pod; `None` when a selector says something that this build does not know.
    pub(crate) fn admits(&self, place: &Place) -> Option<bool> {
        Some(self.tolerates_all(place) && self.selects(place)?)
    }

    /// The selector half: node selector, required affinity, volumes, operating system.
    pub(crate) fn selects(&self, place: &Place) -> Option<bool> {
        if !self.node_selector.iter().all(|(key, value)| place.labels.get(key) == Some(value)) {
            return Some(false);
        }
        if place.is_new && self.keys().any(|key| !place.labels.contains_key(key) && is_untold(key)) {
            return None;
        }
        let os = place.labels.get(marks::OS).map_or("linux", String::as_str);
        if !self.os.is_empty() && self.os != os {
            return Some(false);
        }
        for list in &self.terms {
            // A term that cannot be read decides nothing where another one holds.
            let answers = list.node_selector_terms.iter().map(|term| term.matches(&place.name, &place.labels));
            let answers: Vec<Option<bool>> = answers.collect();
            if !answers.contains(&Some(true)) {
                return if answers.contains(&None) { None } else { Some(false) };
            }
        }
        Some(true)
    }

    /// The taint half.
    pub(crate) fn tolerates_all(&self, place: &Place) -> bool {
        let cordon = Taint { key: marks::UNSCHEDULABLE.to_owned(), effect: Effect::NoSchedule, ..Taint::default() };
        place.taints.iter().chain(place.unschedulable.then_some(&cordon)).all(|taint| self.tolerates(taint))
    }

    /// A pod that bears a taint for a while only is let on the node, and evicted again.
    fn tolerates(&self, taint: &Taint) -> bool {
        taint.effect == Effect::PreferNoSchedule
            || self.tolerations.iter().any(|one| one.tolerates(taint) && !one.is_for_a_while(taint))
    }

    /// Every label key that an answer can depend on.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let terms = self.terms.iter().flat_map(|list| &list.node_selector_terms);
        self.node_selector
            .keys()
            .map(String::as_str)
            .chain(terms.flat_map(|term| term.match_expressions.iter().map(|expression| expression.key.as_str())))
    }

    /// The labels that are asked for, each with values that would do; comparisons that any value meets have none.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        let terms = self.terms.iter().flat_map(|list| &list.node_selector_terms);
        let compared = terms.flat_map(|term| &term.match_expressions).map(|expression| {
            let any = matches!(expression.operator, Operator::Exists | Operator::NotIn);
            (expression.key.as_str(), if any { Vec::new() } else { values_of(expression) })
        });
        self.node_selector.iter().map(|(key, value)| (key.as_str(), vec![value.clone()])).chain(compared)
    }

    /// Whether an answer can depend on the node's name.
    pub(crate) fn asks_for_names(&self) -> bool {
        self.terms.iter().flat_map(|list| &list.node_selector_terms).any(|term| !term.match_fields.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: serde_json::Value, labels: &[(&str, &str)], taints: serde_json::Value, admitted: Option<bool>) {
        let pod: crate::manifest::Pod = serde_json::from_value(serde_json::json!({"spec": spec})).expect("a pod");
        let place = Place {
            name: "n1".into(),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            taints: serde_json::from_value(taints.clone()).expect("taints"),
            unschedulable: false,
            is_new: false,
        };
        assert_eq!(Needs::of(&pod.spec.shape, Vec::new()).admits(&place), admitted, "{spec} {labels:?} {taints}");
    }

    #[test]
    fn a_pod_goes_where_taints_and_selectors_let_it() {
        let none = || serde_json::json!([]);
        let gpu = || serde_json::json!([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]);
        let tolerating = |t: serde_json::Value| serde_json::json!({"tolerations": [t]});
        check(serde_json::json!({}), &[], none(), Some(true));
        check(serde_json::json!({}), &[], gpu(), Some(false));
        check(
            serde_json::json!({}),
            &[],
            serde_json::json!([{"key": "gpu", "effect": "PreferNoSchedule"}]),
            Some(true),
        );
        check(tolerating(serde_json::json!({"operator": "Exists"})), &[], gpu(), Some(true));
        check(
            tolerating(serde_json::json!({"key": "gpu", "operator": "Exists", "effect": "NoExecute"})),
            &[],
            gpu(),
            Some(false),
        );
        check(tolerating(serde_json::json!({"key": "gpu", "value": "yes"})), &[], gpu(), Some(true));
        let leaving = || serde_json::json!([{"key": "maintenance", "effect": "NoExecute"}]);
        let bearing = |seconds: serde_json::Value| {
            tolerating(serde_json::json!({"key": "maintenance", "operator": "Exists", "tolerationSeconds": seconds}))
        };
        check(bearing(serde_json::json!(null)), &[], leaving(), Some(true));
        check(bearing(serde_json::json!(300)), &[], leaving(), Some(false));
        // Of another effect the seconds say nothing.
        let closed = || serde_json::json!([{"key": "maintenance", "effect": "NoSchedule"}]);
        check(bearing(serde_json::json!(300)), &[], closed(), Some(true));
        check(tolerating(serde_json::json!({"key": "gpu", "value": "no"})), &[], gpu(), Some(false));
        check(tolerating(serde_json::json!({"value": "yes"})), &[], gpu(), Some(false));
        check(tolerating(serde_json::json!({"key": "gpu", "operator": "Near"})), &[], gpu(), Some(false));
        check(serde_json::json!({"nodeSelector": {"disk": "ssd"}}), &[("disk", "ssd")], none(), Some(true));
        check(serde_json::json!({"nodeSelector": {"disk": "ssd"}}), &[], none(), Some(false));
        let terms = |terms: serde_json::Value| serde_json::json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}});
        let either = serde_json::json!([
            {"matchExpressions": [{"key": "cpu", "operator": "Gt", "values": ["4"]}]},
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]);
        check(terms(either.clone()), &[], none(), Some(true));
        check(terms(serde_json::json!([{}])), &[], none(), Some(false));
        check(terms(serde_json::json!([])), &[], none(), Some(false));
        check(terms(serde_json::json!([{"matchExpressions": [{"key": "a", "operator": "Near"}]}])), &[], none(), None);
        check(serde_json::json!({"os": {"name": "windows"}}), &[("kubernetes.io/os", "linux")], none(), Some(false));
    }
}
