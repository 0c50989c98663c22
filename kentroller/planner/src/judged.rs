//! A plan that the judge lets pass: what it objects to is taken out and planned again.

use std::collections::BTreeMap;

use crate::check::{Violation, check};
use crate::planner::plan;
use crate::value::{Budget, Catalog, InputError, Options, Plan, Snapshot, Warning};

/// How often what the judge objects to is taken out.
const TRIES: usize = 3;

/// A plan, and what the judge still objects to in it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The last plan that was made. It tells as warnings what was taken out.
    pub plan: Plan,
    /// Empty: the plan is sound. Otherwise nobody may carry it out.
    pub objections: Vec<Violation>,
}

/// Finds a plan as [`plan`](crate::plan()) does, and has it judged.
///
/// An object that planner and judge read differently costs itself, not the plan: the node, or the offering, that the judge
/// objects to is left out, and a plan is made without it, at most three times.
///
/// # Errors
/// Input that contradicts itself, such as two nodes of one name.
pub fn plan_judged(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    budget: &mut dyn Budget,
) -> Result<Judged, InputError> {
    let mut asked = options.clone();
    let mut told: Vec<Warning> = Vec::new();
    let mut tries = 0;
    loop {
        let mut plan = plan(snapshot, catalog, &asked, budget)?;
        let objections = check(snapshot, catalog, options, &plan).err().unwrap_or_default();
        let left_out = if objections.is_empty() || tries == TRIES {
            Vec::new()
        } else {
            take_out(&mut asked, &plan, &objections, tries > 0)
        };
        if left_out.is_empty() {
            plan.warnings.extend(told);
            return Ok(Judged { plan, objections });
        }
        told.extend(left_out);
        tries += 1;
    }
}

/// Takes out of what may be planned whatever is objected to; what that is. `again`: it was not enough the last time, so
/// whole NodePools are taken out.
fn take_out(asked: &mut Options, plan: &Plan, objections: &[Violation], again: bool) -> Vec<Warning> {
    let bought: BTreeMap<&str, _> = plan.waves.iter().flat_map(|wave| &wave.add).map(|new| (&*new.name, new)).collect();
    let mut told = Vec::new();
    for one in objections {
        let mut tell = |object: String| {
            told.push(Warning { object, message: format!("is left out of the plan, since its judge objects: {one}") });
        };
        if let Some(new) = bought.get(one.object.as_str()) {
            let others = new.alternatives.iter().map(|other| &other.instance_type);
            let mut is_new = false;
            for instance_type in others.chain([&new.instance_type]) {
                is_new |= asked.objected_offerings.insert((new.node_pool.clone(), instance_type.clone()));
            }
            is_new |= again && asked.objected_offerings.insert((new.node_pool.clone(), String::new()));
            if is_new {
                tell(format!("NodePool {}, {}", new.node_pool, new.instance_type));
            }
            continue;
        }
        for node in nodes_of(plan, one) {
            if asked.objected_nodes.insert(node.to_owned()) {
                tell(format!("Node {node}"));
            }
        }
    }
    told
}

/// The nodes that go because of which something is objected to: itself, that of the pod, else all of the wave.
fn nodes_of<'p>(plan: &'p Plan, objection: &Violation) -> Vec<&'p str> {
    let waves = || plan.waves.iter().enumerate().filter(|(at, _)| objection.wave.is_none_or(|wave| wave == at + 1));
    let named = waves().flat_map(|(_, wave)| &wave.remove).find(|name| **name == objection.object);
    let moves = || waves().flat_map(|(_, wave)| &wave.moves);
    // A receiver is named by the pods that it gets.
    let of_pod = moves().filter(|step| step.pod.to_string() == objection.object || step.to == objection.object);
    let mut nodes: Vec<&str> = named.into_iter().map(String::as_str).chain(of_pod.map(|step| &*step.from)).collect();
    if nodes.is_empty() {
        nodes = waves().flat_map(|(_, wave)| &wave.remove).map(String::as_str).collect();
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Fault;
    use crate::manifest::ObjectName;
    use crate::value::{CapacityType, Money, Move, NewNode, Offering, Wave};

    fn made() -> Plan {
        let step = |pod: &str, from: &str, to: &str| Move {
            pod: ObjectName { namespace: "apps".into(), name: pod.into() },
            from: from.into(),
            to: to.into(),
        };
        let offering = |instance_type: &str| Offering {
            instance_type: instance_type.into(),
            zone: "us-east-1a".into(),
            capacity_type: CapacityType::OnDemand,
            price: Money::micros(1),
        };
        let new = NewNode {
            name: "green".into(),
            node_pool: "general".into(),
            instance_type: "m5.large".into(),
            zone: "us-east-1a".into(),
            capacity_type: CapacityType::OnDemand,
            price: Money::micros(1),
            labels: crate::manifest::Labels::new(),
            taints: Vec::new(),
            requests: crate::manifest::Resources::new(),
            alternatives: vec![offering("m5.xlarge")],
        };
        let wave = |add: Vec<NewNode>, remove: &[&str], moves: Vec<Move>| Wave {
            add,
            remove: remove.iter().map(|name| (*name).to_owned()).collect(),
            moves,
            hourly_after: Money::ZERO,
            reason: String::new(),
        };
        Plan {
            waves: vec![
                wave(vec![new], &["a", "b"], vec![step("p", "a", "green"), step("q", "b", "kept")]),
                wave(Vec::new(), &["c"], vec![step("r", "c", "kept")]),
            ],
            ..Plan::default()
        }
    }

    #[test]
    fn what_is_objected_to_is_taken_out_and_nothing_else() {
        for (claim, wave, object, nodes, offerings) in [
            ("a node that goes", Some(1), "b", vec!["b"], vec![]),
            ("a pod holds the node that it leaves", Some(1), "apps/p", vec!["a"], vec![]),
            ("a receiver those from which pods come", None, "kept", vec!["b", "c"], vec![]),
            ("in one wave", Some(2), "kept", vec!["c"], vec![]),
            (
                "a new node its offering, and what may come instead",
                Some(1),
                "green",
                vec![],
                vec!["m5.large", "m5.xlarge"],
            ),
            ("a wave", Some(1), "", vec!["a", "b"], vec![]),
            ("the whole plan", None, "", vec!["a", "b", "c"], vec![]),
            ("a stranger in a wave", Some(2), "apps/x", vec!["c"], vec![]),
        ] {
            let (mut asked, plan) = (Options::default(), made());
            let one = Violation { wave, fault: Fault::Room, object: object.into(), text: "x".into() };
            let told = take_out(&mut asked, &plan, std::slice::from_ref(&one), false);
            assert_eq!(asked.objected_nodes.iter().map(String::as_str).collect::<Vec<_>>(), nodes, "{claim}");
            let taken: Vec<&str> = asked.objected_offerings.iter().map(|(_, name)| name.as_str()).collect();
            assert_eq!(taken, offerings, "{claim}");
            assert!(!told.is_empty() && told[0].message.contains("no-room"), "{claim}: {told:?}");
            // The same again is nothing new, but for the pool of what is bought.
            assert_eq!(take_out(&mut asked, &plan, &[one], true).is_empty(), offerings.is_empty(), "{claim}");
        }
    }
}
