//! Where the planner would put a pod, beside where kube-scheduler's own plugins let it.

#[cfg(test)]
mod tests {
    use crate::generate::verdicts::{Agreement, Verdicts, is_allocated_only, upstream_fault, vectors};
    use crate::manifest::{Pod, SpreadConstraint, marks};
    use crate::model::build::model;
    use crate::model::{BinRef, ClassId, Model, NodeId, company};
    use crate::rules::Volumes;
    use crate::rules::placement::{Needs, Place};
    use crate::rules::ports::host_ports;
    use crate::solution::State;
    use crate::value::{Catalog, Options, Percent, Rule, Snapshot};

    /// Whether the planner would give a node the pod, or why it does not.
    fn answer(
        state: &State<'_>,
        snapshot: &Snapshot,
        pod: &Pod,
        class: ClassId,
        at: NodeId,
    ) -> Result<(), Option<&'static str>> {
        let (model, of) = (state.model, &state.model.classes[class]);
        let (bin, node) = (&model.nodes[at], &snapshot.nodes[usize::from(at)]);
        if let Some(blocker) =
            model.nodes.iter().flat_map(|node| &node.blockers).find(|one| one.pod == pod.metadata.key())
        {
            return Err(match blocker.rule {
                Rule::UnknownConstraint => Some("it stays: a term of it cannot be read"),
                Rule::AffinityElsewhere => Some("it stays: its company is elsewhere or may leave"),
                Rule::SpreadBroken => Some("it stays: its spread does not hold now"),
                Rule::LocalVolume => Some("it stays: a disk of its node is its volume"),
                _ => None,
            });
        }
        if state.room(at.bin(), class) > 0 {
            return Ok(());
        }
        if !bin.receives {
            let is_over = bin.used.iter().zip(&bin.allocatable).any(|(used, has)| used > has);
            return Err(match (node.spec.unschedulable, is_over) {
                (true, _) => Some("a cordoned node is given nothing"),
                (_, true) => Some("a node whose pods ask for more than it has is given nothing"),
                _ => None,
            });
        }
        let place = Place::of(node, node.metadata.labels.as_ref().clone());
        let own = Needs::of(&pod.spec.shape, Vec::new());
        if !own.tolerates_all(&place) {
            return Err(Some("it would be evicted again after tolerationSeconds"));
        }
        if own.selects(&place) != Some(true) {
            return Err(None);
        }
        if !model.admits.get(of.needs, bin.signature) {
            return Err(by_terms(pod));
        }
        if state.spread_room(BinRef::Node(at), class) <= 0 {
            return Err(Some("a spread that does not hold now takes only what evens it out"));
        }
        if company(of, &bin.term_counts) == 0 {
            return Err(beside(pod));
        }
        let is_here = |other: &&Pod| other.spec.node_name == node.metadata.name;
        let is_allocated_only = snapshot.pods.iter().filter(is_here).any(is_allocated_only);
        if !pod.spec.shape.volumes.is_empty() {
            return Err(Some("a volume that is attached there already counts once more"));
        }
        Err(is_allocated_only.then_some("what is allocated counts although it is not told what is in force"))
    }

    /// Needs that topology adds: domains that it keeps or may join, and nodes where its company stays.
    fn by_terms(pod: &Pod) -> Option<&'static str> {
        let company = &pod.spec.shape.affinity.pod_affinity.required;
        if company.len() > 1 || company.iter().any(|term| term.topology_key == marks::HOSTNAME) {
            return Some("company on its node, and company by several terms, is sought only where it certainly stays");
        }
        if !pod.spec.node_name.is_empty() {
            return Some("a pod that moves keeps the domains of its terms");
        }
        let mut spreads = pod.spec.shape.topology_spread_constraints.iter().filter(|one| is_hard(one));
        spreads
            .any(|one| one.topology_key != marks::HOSTNAME)
            .then_some("a domain that a spread does not count is not used")
    }

    fn is_hard(constraint: &SpreadConstraint) -> bool {
        constraint.when_unsatisfiable == "DoNotSchedule"
    }

    fn beside(pod: &Pod) -> Option<&'static str> {
        let mut spreads = pod.spec.shape.topology_spread_constraints.iter().filter(|one| is_hard(one));
        if spreads.any(|one| one.topology_key == marks::HOSTNAME) {
            return Some("a spread over nodes is counted as if one node had none");
        }
        let has_ports = !host_ports(&pod.spec.shape).is_empty();
        has_ports.then_some("addresses of host ports are not looked at")
    }

    fn ask(of: &Verdicts, asking: usize, agreement: &mut Agreement) {
        let (catalog, mut options) = (Catalog::default(), Options::default());
        options.aggressive.ignore_problem_pods_without_controller = true;
        let snapshot = of.with_waiting(asking);
        let model: Model = model(&snapshot, &catalog, &options).expect("sound");
        let mut state = State::of(&model, Percent::whole(0));
        state.shares = false;
        let pod = &of.snapshot.pods[asking];
        let unit = model.pods.iter().find(|unit| unit.name == pod.metadata.key()).expect("the pod");
        let (_, volume) = Volumes::of(&snapshot).of_pod(pod, &options);
        for (at, word) in model.nodes.keys().zip(&of.words[&asking]) {
            // Where it runs it stays unless the node goes; where room is reserved for it that counts against itself.
            if unit.node == Some(at) {
                continue;
            }
            if pod.spec.node_name.is_empty() && volume == Some(Rule::VolumeUnknown) && word.contains('B') {
                agreement.explain("room is kept for a pod that waits for its volume");
                continue;
            }
            let ours = if unit.home == Some(at) { Ok(()) } else { answer(&state, &snapshot, pod, unit.class, at) };
            let about = || format!("{} on {}: plugins {word}, {ours:?}", pod.metadata.key(), model.nodes[at].name);
            match upstream_fault(pod).filter(|_| (word == "I" && ours.is_ok()) || (word == "-" && ours.is_err())) {
                Some(fault) => agreement.explain(fault),
                None => agreement.note(about, word != "-", ours),
            }
        }
    }

    #[test]
    fn a_pod_is_planned_where_the_schedulers_own_plugins_let_it() {
        let mut agreement = Agreement::default();
        let (all, counted) = vectors("planner");
        for of in &all {
            for asking in of.words.keys() {
                ask(of, *asking, &mut agreement);
            }
        }
        assert_eq!(agreement.holds(counted.as_ref()), Ok(()));
    }
}
