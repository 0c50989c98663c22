//! Mistakes seeded into plans of our own planner: every one must be found.

use super::scene::read;
use crate::check::check;
use crate::generate::{Recipe, generate};
use crate::manifest::Quantity;
use crate::value::{CapacityType, Catalog, Money, Options, Plan, Snapshot, Steps, Wave};

/// A mistake in any plan; `None` where the plan gives no occasion for it.
type Slip = fn(&mut Plan, &Snapshot) -> Option<()>;

const SLIPS: &[(&str, Slip)] = &[
    ("a move is forgotten", |plan, _| first(plan, |wave| wave.moves.pop().map(drop))),
    ("a move is written twice", |plan, _| {
        first(plan, |wave| {
            let again = wave.moves.first()?.clone();
            wave.moves.push(again);
            Some(())
        })
    }),
    ("a move goes nowhere", |plan, _| {
        first(plan, |wave| {
            wave.moves.first_mut()?.to = "nowhere".into();
            Some(())
        })
    }),
    ("a move goes back", |plan, _| {
        first(plan, |wave| {
            let step = wave.moves.first_mut()?;
            step.to.clone_from(&step.from);
            Some(())
        })
    }),
    ("a move goes to the removed node", |plan, _| {
        first(plan, |wave| {
            let gone = wave.remove.first()?.clone();
            wave.moves.first_mut()?.to = gone;
            Some(())
        })
    }),
    ("a move comes from elsewhere", |plan, _| {
        first(plan, |wave| {
            let step = wave.moves.first_mut()?;
            step.from = format!("not-{}", step.from);
            Some(())
        })
    }),
    ("a pod that does not exist moves", |plan, _| {
        first(plan, |wave| {
            wave.moves.first_mut()?.pod.name = "nobody".into();
            Some(())
        })
    }),
    ("a DaemonSet's pod moves", |plan, snapshot| {
        let daemon = snapshot
            .pods
            .iter()
            .find(|pod| pod.metadata.controller().is_some_and(|owner| owner.kind == "DaemonSet"))?;
        first(plan, |wave| {
            wave.moves.first_mut()?.pod = daemon.metadata.key();
            Some(())
        })
    }),
    ("all pods go to one node", |plan, _| {
        let busiest = plan.waves.iter_mut().max_by_key(|wave| wave.moves.len()).filter(|wave| wave.moves.len() > 1)?;
        let from = busiest.moves[0].from.clone();
        busiest.moves.iter_mut().for_each(|step| step.to.clone_from(&from));
        Some(())
    }),
    ("a node that does not exist goes", |plan, _| {
        first(plan, |wave| {
            wave.remove.push("nowhere".into());
            Some(())
        })
    }),
    ("a node goes twice", |plan, _| {
        first(plan, |wave| {
            let again = wave.remove.first()?.clone();
            wave.remove.push(again);
            Some(())
        })
    }),
    ("a kept node with pods goes", |plan, snapshot| {
        let receivers: Vec<String> =
            plan.waves.iter().flat_map(|wave| &wave.moves).map(|step| step.to.clone()).collect();
        let kept = plan.kept.iter().find(|kept| {
            receivers.contains(&kept.node) && snapshot.nodes.iter().any(|n| *n.metadata.name == *kept.node)
        })?;
        let name = kept.node.clone();
        plan.waves.last_mut()?.remove.push(name);
        Some(())
    }),
    ("a removal is forgotten", |plan, _| first(plan, |wave| wave.remove.pop().map(drop))),
    ("a new node costs less", |plan, _| {
        bought(plan, |new| {
            new.price -= Money::micros(1);
            Some(())
        })
    }),
    ("a new node costs nothing", |plan, _| {
        bought(plan, |new| {
            new.price = Money::ZERO;
            Some(())
        })
    }),
    ("a new node is of no type", |plan, _| {
        bought(plan, |new| {
            new.instance_type.push('x');
            Some(())
        })
    }),
    ("a new node is in no zone", |plan, _| {
        bought(plan, |new| {
            new.zone.push('x');
            Some(())
        })
    }),
    ("a new node is of no pool", |plan, _| {
        bought(plan, |new| {
            new.node_pool.push('x');
            Some(())
        })
    }),
    ("a new node is reserved", |plan, _| {
        bought(plan, |new| {
            new.capacity_type = CapacityType::Reserved;
            Some(())
        })
    }),
    ("a new node has a live name", |plan, snapshot| {
        bought(plan, |new| {
            new.name = (*snapshot.nodes.first()?.metadata.name).to_owned();
            Some(())
        })
    }),
    ("a new node asks for nothing", |plan, _| {
        bought(plan, |new| {
            new.requests.clear();
            Some(())
        })
    }),
    ("a new node asks for too much", |plan, _| {
        bought(plan, |new| {
            new.requests.insert("cpu".into(), Quantity::whole(100_000));
            Some(())
        })
    }),
    ("a new node gets a label of its own", |plan, _| {
        bought(plan, |new| {
            new.labels.insert("example.com/x".into(), "y".into());
            Some(())
        })
    }),
    ("a new node gets a taint of its own", |plan, _| {
        bought(plan, |new| {
            new.taints.push(read(serde_json::json!({"key": "x"})));
            Some(())
        })
    }),
    ("a new node is forgotten", |plan, _| first(plan, |wave| wave.add.pop().map(drop))),
    ("an alternative costs less", |plan, _| {
        bought(plan, |new| {
            new.alternatives.first_mut()?.price -= Money::micros(1);
            Some(())
        })
    }),
    ("an alternative is named twice", |plan, _| {
        bought(plan, |new| {
            let again = new.alternatives.first()?.clone();
            new.alternatives.insert(0, again);
            Some(())
        })
    }),
    ("hourlyAfter is off", |plan, _| {
        first(plan, |wave| {
            wave.hourly_after += Money::micros(1);
            Some(())
        })
    }),
    ("cost.before is off", |plan, _| {
        plan.waves.first()?;
        plan.cost_before += Money::micros(1_000_000_000);
        Some(())
    }),
    ("cost.after is off", |plan, _| {
        plan.waves.first()?;
        plan.cost_after -= Money::micros(1);
        Some(())
    }),
    ("the first wave is forgotten", |plan, _| (plan.waves.len() > 1).then(|| plan.waves.remove(0)).map(drop)),
    ("the waves are in reverse", |plan, _| (plan.waves.len() > 1).then(|| plan.waves.reverse())),
    ("a wave is played twice", |plan, _| {
        let again = plan.waves.first()?.clone();
        plan.waves.insert(0, again);
        Some(())
    }),
    ("the region is another", |plan, _| {
        plan.waves.first()?;
        plan.region = "eu-central-9".into();
        Some(())
    }),
];

/// Applies a change to the first wave that it can be applied to.
fn first(plan: &mut Plan, change: impl Fn(&mut Wave) -> Option<()>) -> Option<()> {
    plan.waves.iter_mut().find_map(change)
}

fn bought(plan: &mut Plan, change: impl Fn(&mut crate::value::NewNode) -> Option<()>) -> Option<()> {
    plan.waves.iter_mut().flat_map(|wave| &mut wave.add).find_map(change)
}

#[test]
fn every_slip_in_a_plan_of_the_planner_is_found() {
    let catalog = Catalog::from_csv(include_str!("../../../catalog/ec2.csv"), "test", "2026-11").unwrap();
    let options = Options::default();
    let mut occasions = vec![0; SLIPS.len()];
    for seed in 100..108 {
        let snapshot = generate(Recipe { nodes: 8, seed, constrained: true, held: true }, &catalog);
        let plan = crate::plan(&snapshot, &catalog, &options, &mut Steps(40)).unwrap();
        if check(&snapshot, &catalog, &options, &plan).is_err() {
            continue; // The other test tells of it.
        }
        for (at, (name, slip)) in SLIPS.iter().enumerate() {
            let mut slipped = plan.clone();
            if slip(&mut slipped, &snapshot).is_some() {
                occasions[at] += 1;
                assert!(check(&snapshot, &catalog, &options, &slipped).is_err(), "seed {seed}: {name} was not found");
            }
        }
    }
    for (occasions, (name, _)) in occasions.iter().zip(SLIPS) {
        assert!(*occasions > 0, "{name}: no plan gave occasion");
    }
}
