//! Few pods move, and the first moves save most.

use std::cell::Cell;

use kentroller_planner::generate::{Recipe, generate};
use kentroller_planner::{Catalog, Kept, KeptReason, Mode, Money, Options, Percent, Plan, Resting, Rule, Steps, plan};

fn drifted(seed: u64) -> (kentroller_planner::Snapshot, Catalog) {
    let catalog = Catalog::embedded();
    (generate(Recipe { nodes: 40, seed, constrained: seed % 2 == 1, held: false }, &catalog), catalog)
}

#[test]
fn fewer_pods_move_where_that_costs_no_more_than_is_tolerated() {
    let (mut fewer, mut told) = (0, 0);
    for seed in 0..6 {
        let (snapshot, catalog) = drifted(seed);
        let found = |percent: i64| {
            let options = Options { tolerance: Percent::whole(percent), ..Options::default() };
            plan(&snapshot, &catalog, &options, &mut Steps(4000)).expect("sound")
        };
        let (cheapest, calm) = (found(0), found(10));
        assert_eq!(cheapest.cheapest, None, "seed {seed}: nothing is tolerated, so nothing was given up");
        fewer += i32::from(calm.moves() * 10 < cheapest.moves() * 9);
        let least = calm.cheapest.map_or(calm.cost_after, |cheapest| cheapest.hourly);
        assert!(calm.cost_after <= least + least / 10, "seed {seed}: {} for {least}", calm.cost_after);
        if let Some(cheapest) = calm.cheapest {
            assert!(cheapest.moves > calm.moves() && cheapest.hourly <= calm.cost_after, "seed {seed}: {cheapest}");
            told += 1;
        }
    }
    assert!(fewer >= 4 && told >= 4, "of six plans {fewer} move far fewer pods, {told} tell what they gave up");
}

#[test]
fn what_does_not_choose_among_plans_tolerates_nothing() {
    let (snapshot, catalog) = drifted(0);
    for options in
        [Options { mode: Mode::DrainOnly, ..Options::default() }, Options { roll: true, ..Options::default() }]
    {
        let asked = |tolerance: Percent| {
            plan(&snapshot, &catalog, &Options { tolerance, ..options.clone() }, &mut Steps(500)).expect("sound")
        };
        assert_eq!(asked(Percent::whole(50)), asked(Percent::whole(0)));
    }
}

/// What a plan has saved when it is stopped after the last wave that keeps to a share of its moves, as a share of all that it saves.
fn earned(plan: &Plan, share: Percent) -> Percent {
    let most = share.of_count(plan.moves());
    let moves = Cell::new(0);
    let made = plan.waves.iter().take_while(|wave| {
        moves.set(moves.get() + wave.moves.len());
        moves.get() <= most
    });
    let after = made.last().map_or(plan.cost_before, |wave| wave.hourly_after);
    (plan.cost_before - after).percent_of(plan.cost_before - plan.cost_after)
}

#[test]
fn a_plan_that_is_stopped_early_has_earned_most_of_its_saving() {
    let mut sum = Money::ZERO;
    for seed in 0..6 {
        let (snapshot, catalog) = drifted(seed);
        let found = plan(&snapshot, &catalog, &Options::default(), &mut Steps(2000)).expect("sound");
        let earned = earned(&found, Percent::whole(33));
        assert!(earned >= Percent::whole(40), "seed {seed}: a third of the moves earns {earned} %");
        sum += Money::micros(earned.parts());
    }
    let mean = Percent::from_parts((sum / 6).as_micros());
    assert!(mean >= Percent::whole(55), "on average a third of the moves earns {mean} %");
}

#[test]
fn what_rests_is_left_alone_and_told_and_the_rest_is_planned() {
    let (snapshot, catalog) = drifted(0);
    let found = |options: &Options| plan(&snapshot, &catalog, options, &mut Steps(4000)).expect("sound");
    let first = found(&Options { continuous: true, ..Options::default() });
    let node = first.removed().next().expect("a node that goes").to_owned();
    let others = first.waves.iter().flat_map(|wave| &wave.moves).filter(|step| step.from != node);
    let moved = others.map(|step| step.pod.clone()).next().expect("a pod that moves");
    let bought = first.waves.iter().flat_map(|wave| &wave.add).next().expect("a node that is bought");
    let offering = (bought.instance_type.clone(), bought.zone.clone(), bought.capacity_type.clone());
    let resting = Resting {
        nodes: [(node.clone(), "kept at noon".to_owned())].into(),
        pods: [(moved.clone(), "plan-a".to_owned())].into(),
        offerings: [offering.clone()].into(),
    };
    let second = found(&Options { continuous: true, resting, ..Options::default() });
    assert!(second.moves() > 0, "the rest is planned");
    let kept = second.kept.iter().find(|kept| kept.node == node).expect("it stays");
    assert_eq!((kept.reason, kept.detail.as_str()), (KeptReason::Resting, "kept at noon"));
    assert!(second.waves.iter().flat_map(|wave| &wave.moves).all(|step| step.pod != moved));
    let holds = |kept: &Kept| kept.blockers.iter().any(|one| one.pod == moved && one.rule == Rule::JustMoved);
    assert!(second.kept.iter().any(holds), "its node is told to be held by it");
    let sold = second.waves.iter().flat_map(|wave| &wave.add).flat_map(|new| {
        let planned = (new.instance_type.clone(), new.zone.clone(), new.capacity_type.clone());
        let later =
            new.alternatives.iter().map(|one| (one.instance_type.clone(), one.zone.clone(), one.capacity_type.clone()));
        std::iter::once(planned).chain(later).collect::<Vec<_>>()
    });
    assert!(sold.into_iter().all(|one| one != offering), "{offering:?} rests");
}

#[test]
fn a_search_ends_at_its_limit_of_steps_whatever_the_budget() {
    let (snapshot, catalog) = drifted(1);
    let limited = Options { max_steps: Some(300), ..Options::default() };
    let by_limit = plan(&snapshot, &catalog, &limited, &mut |_: u64| 0).expect("sound");
    let by_budget = plan(&snapshot, &catalog, &Options::default(), &mut Steps(300)).expect("sound");
    assert_eq!(by_limit, by_budget, "the tighter of both ends it");
    let both = plan(&snapshot, &catalog, &limited, &mut Steps(100)).expect("sound");
    assert_eq!(both, plan(&snapshot, &catalog, &Options::default(), &mut Steps(100)).expect("sound"));
}
