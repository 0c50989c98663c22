//! What a NodePool may launch: the labels of an offering, and whether the pool's requirements admit it.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::marks::{
    ARCH, AWS, AWS_TOPOLOGY, CAPACITY_TYPE, HOSTNAME, INSTANCE_TYPE, KARPENTER, KWOK, NODE_POOL, OS, TOPOLOGY, ZONE,
};
use crate::manifest::{Expression, Labels, NodePool, Operator};
use crate::value::CapacityType;
use crate::value::labels::is_untold;

/// Label keys under these domains are facts of the cloud: a value that is not known is never assumed.
const FACTS: [&str; 5] = [AWS, KWOK, AWS_TOPOLOGY, TOPOLOGY, KARPENTER];

/// More sets of labels of one pool are not told apart.
const MOST_SETS: usize = 24;

/// The labels of a pool's nodes before the offering is chosen: its template's, and those that its requirements make.
///
/// A requirement on a label of the user's own gives nodes that label. Karpenter takes the value that the pods of the node ask
/// for, so each that is asked for makes a set; so does the first that all requirements on it admit, for pods that ask for none.
/// `wanted`: the values that pods ask for, by key.
pub(crate) fn pool_labels(pool: &NodePool, wanted: &BTreeMap<&str, BTreeSet<String>>) -> Vec<Labels> {
    let mut labels = pool.spec.template.metadata.labels.clone();
    labels.insert(NODE_POOL.to_owned(), (*pool.metadata.name).to_owned());
    let class = &pool.spec.template.spec.node_class_ref;
    if !class.kind.is_empty() {
        labels.insert(format!("{}/{}", class.group, class.kind.to_lowercase()), class.name.clone());
    }
    let mut sets = vec![labels];
    let requirements = &pool.spec.template.spec.requirements;
    for requirement in requirements.iter().filter(|requirement| !is_fact(&requirement.key)) {
        let key = requirement.key.as_str();
        if sets[0].contains_key(key) {
            continue;
        }
        let of_key: Vec<Expression> =
            requirements.iter().filter(|one| one.key == key).map(|one| one.expression()).collect();
        let all = |value: &String| of_key.iter().all(|expression| expression.admits(Some(value)) == Some(true));
        let first = of_key.iter().flat_map(values_of).find(all);
        let asked = wanted.get(key).into_iter().flatten().filter(|value| all(value));
        let others = asked.filter(|value| Some(*value) != first.as_ref()).cloned();
        let values: Vec<String> = first.iter().cloned().chain(others).take((MOST_SETS / sets.len()).max(1)).collect();
        if !values.is_empty() {
            let with = |value: &String| {
                let mut sets = sets.clone();
                sets.iter_mut().for_each(|set| drop(set.insert(key.to_owned(), value.clone())));
                sets
            };
            sets = values.iter().flat_map(with).collect();
        }
    }
    sets
}

/// Values that a comparison admits.
pub(crate) fn values_of(expression: &Expression) -> Vec<String> {
    let beside = |by: i64| {
        let bound = expression.values.first().and_then(|text| text.parse::<i64>().ok());
        bound.and_then(|bound| bound.checked_add(by)).map(|value| value.to_string()).into_iter().collect()
    };
    match expression.operator {
        Operator::In => expression.values.clone(),
        Operator::Exists | Operator::NotIn => vec!["any".to_owned()],
        Operator::Gt => beside(1),
        Operator::Lt => beside(-1),
        Operator::Gte | Operator::Lte => beside(0),
        Operator::DoesNotExist | Operator::Unknown(_) => Vec::new(),
    }
}

/// Whether a label's value is the cloud's to say, not the user's.
pub(crate) fn is_fact(key: &str) -> bool {
    matches!(key, ARCH | OS | INSTANCE_TYPE | HOSTNAME) || FACTS.iter().any(|domain| key.starts_with(domain))
}

/// A pool's requirements, merged by key.
pub(crate) struct Requirements(BTreeMap<String, Vec<Expression>>);

impl Requirements {
    /// `None` when an operator is not known. `relaxed`: what is asked of instances themselves is left out.
    pub(crate) fn of(pool: &NodePool, relaxed: bool) -> Option<Self> {
        let mut by_key: BTreeMap<String, Vec<Expression>> = BTreeMap::new();
        let of_instance = |key: &str| key.rsplit('/').next().is_some_and(|name| name.starts_with("instance-"));
        let requirements = &pool.spec.template.spec.requirements;
        for requirement in requirements.iter().filter(|one| !(relaxed && of_instance(&one.key))) {
            let expression = requirement.expression();
            expression.admits(Some("0"))?;
            by_key.entry(expression.key.clone()).or_default().push(expression);
        }
        for (key, value) in &pool.spec.template.metadata.labels {
            by_key.entry(key.clone()).or_default().push(Expression {
                key: key.clone(),
                operator: Operator::In,
                values: vec![value.clone()],
            });
        }
        Some(Self(by_key))
    }

    /// Whether the labels of an instance type (and of the pool itself) satisfy all but zone and capacity type.
    pub(crate) fn admit_type<'v>(&self, label: &dyn Fn(&str) -> Option<&'v str>) -> bool {
        self.0.iter().filter(|(key, _)| !matches!(key.as_str(), ZONE | CAPACITY_TYPE)).all(|(key, expressions)| {
            let value = label(key);
            (value.is_some() || !is_untold(key)) && Self::all(expressions, value)
        })
    }

    /// Whether a zone is admitted; the empty zone stands for a cluster that names none.
    pub(crate) fn admit_zone(&self, zone: &str) -> bool {
        self.0.get(ZONE).is_none_or(|expressions| Self::all(expressions, Some(zone).filter(|zone| !zone.is_empty())))
    }

    /// Whether a capacity type is admitted; without a requirement Karpenter buys on-demand only.
    pub(crate) fn admit_capacity_type(&self, capacity_type: &CapacityType) -> bool {
        match self.0.get(CAPACITY_TYPE) {
            None => *capacity_type == CapacityType::OnDemand,
            Some(expressions) => Self::all(expressions, Some(capacity_type.as_str())),
        }
    }

    /// The zones that the requirements name.
    pub(crate) fn named_zones(&self) -> impl Iterator<Item = &str> {
        let zones = self.0.get(ZONE).into_iter().flatten().filter(|expression| expression.operator == Operator::In);
        zones.flat_map(|expression| expression.values.iter().map(String::as_str))
    }

    fn all(expressions: &[Expression], value: Option<&str>) -> bool {
        expressions.iter().all(|expression| expression.admits(value) == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::InstanceType;
    use crate::value::labels::of_type;

    fn instance(name: &str, arch: &str) -> InstanceType {
        InstanceType {
            name: name.into(),
            vcpu: 4,
            memory_mib: 16384,
            arch: arch.into(),
            max_pods: 58,
            ..InstanceType::default()
        }
    }

    #[test]
    fn a_requirement_on_a_fact_that_is_not_known_admits_nothing() {
        let pool = |requirements: serde_json::Value| -> NodePool {
            serde_json::from_value(serde_json::json!({"metadata": {"name": "p"}, "spec": {"template": {"spec": {"requirements": requirements}}}}))
                .expect("a pool")
        };
        for (requirements, admitted) in [
            (serde_json::json!([]), true),
            (
                serde_json::json!([{"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m5", "m6i"]}]),
                true,
            ),
            (serde_json::json!([{"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["4"]}]), false),
            (serde_json::json!([{"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gte", "values": ["4"]}]), true),
            (
                serde_json::json!([{"key": "karpenter.k8s.aws/instance-network-bandwidth", "operator": "Gt", "values": ["1"]}]),
                false,
            ),
            (serde_json::json!([{"key": "karpenter.k8s.aws/instance-local-nvme", "operator": "DoesNotExist"}]), false),
            (serde_json::json!([{"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "DoesNotExist"}]), true),
            (serde_json::json!([{"key": "team", "operator": "In", "values": ["blue"]}]), true),
            (serde_json::json!([{"key": "team", "operator": "Exists"}]), true),
            (
                serde_json::json!([{"key": "tier", "operator": "Gt", "values": ["4"]}, {"key": "tier", "operator": "Lt", "values": ["6"]}]),
                true,
            ),
            (
                serde_json::json!([{"key": "tier", "operator": "Gt", "values": ["4"]}, {"key": "tier", "operator": "Lt", "values": ["5"]}]),
                false,
            ),
            (
                serde_json::json!([{"key": "team", "operator": "In", "values": ["a", "b"]}, {"key": "team", "operator": "NotIn", "values": ["a"]}]),
                true,
            ),
            (serde_json::json!([{"key": "team", "operator": "DoesNotExist"}]), true),
            (serde_json::json!([{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]), false),
            (
                serde_json::json!([{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                    {"key": "kubernetes.io/arch", "operator": "NotIn", "values": ["amd64"]}]),
                false,
            ),
        ] {
            let pool = pool(requirements.clone());
            let mut labels = pool_labels(&pool, &BTreeMap::new()).remove(0);
            labels.extend(of_type(&instance("m5.xlarge", "amd64"), "us-east-1"));
            let requirements_read = Requirements::of(&pool, false).expect("known operators");
            assert_eq!(
                requirements_read.admit_type(&|key| labels.get(key).map(String::as_str)),
                admitted,
                "{requirements}"
            );
            assert!(requirements_read.admit_capacity_type(&CapacityType::OnDemand));
            assert!(!requirements_read.admit_capacity_type(&CapacityType::Spot));
        }
    }
}
