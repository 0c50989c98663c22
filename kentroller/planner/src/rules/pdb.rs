//! Disruption budgets by the pods that they select.

use std::collections::BTreeMap;

use crate::manifest::{Pod, PodDisruptionBudget};

/// Disruption budgets, to be found without trying all: most of them name a label and its value.
#[derive(Debug)]
pub(super) struct Pdbs<'a> {
    /// By namespace and the first label that is asked for.
    by_label: BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a PodDisruptionBudget>>,
    /// All others, by namespace.
    others: BTreeMap<&'a str, Vec<&'a PodDisruptionBudget>>,
}

impl<'a> Pdbs<'a> {
    pub(super) fn of(all: &'a [PodDisruptionBudget]) -> Self {
        let (mut by_label, mut others) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for pdb in all {
            let namespace = &*pdb.metadata.namespace;
            // An expression may be one that cannot be judged: that concerns every pod of the namespace.
            let plain = pdb.spec.selector.as_ref().filter(|selector| selector.match_expressions.is_empty());
            match plain.and_then(|selector| selector.match_labels.iter().next()) {
                Some((key, value)) => by_label.entry((namespace, key.as_str(), value.as_str())).or_default().push(pdb),
                None => others.entry(namespace).or_default().push(pdb),
            }
        }
        Self { by_label, others }
    }

    /// Those that may select a pod.
    pub(super) fn near<'s>(&'s self, pod: &'s Pod) -> impl Iterator<Item = &'a PodDisruptionBudget> + use<'s, 'a> {
        let namespace = &*pod.metadata.namespace;
        let labels = pod.metadata.labels.iter();
        let named =
            labels.filter_map(move |(key, value)| self.by_label.get(&(namespace, key.as_str(), value.as_str())));
        named.chain(self.others.get(namespace)).flatten().copied()
    }
}
