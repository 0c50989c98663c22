//! What the judge must allow and what it must refuse.

mod buying;
mod company;
mod evicting;
mod mistakes;
mod moving;
mod places;
mod planned;
mod removing;
mod room;
mod scene;
mod slips;
mod verdicts;
mod waiting;

use std::collections::BTreeSet;

use scene::Scene;

/// A claim, what is changed in the scene, and the faults that this must give; none: the plan still holds.
type Case = (&'static str, fn(&mut Scene), &'static [&'static str]);

/// Applies each change to a fresh scene, whose plan holds, and compares the faults.
fn judged(cases: &[Case]) {
    judged_from(Scene::new, cases);
}

fn judged_from(fresh: fn() -> Scene, cases: &[Case]) {
    let mut wrong = Vec::new();
    for (claim, change, expected) in cases {
        let mut scene = fresh();
        change(&mut scene);
        let violations = scene.check().err().unwrap_or_default();
        let found: BTreeSet<&str> = violations.iter().map(|violation| violation.fault.word()).collect();
        if found != expected.iter().copied().collect() {
            let told: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
            wrong.push(format!("{claim}: expected {expected:?}, found\n    {}", told.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_plans_of_the_scenes_hold() {
    assert_eq!(Scene::new().check(), Ok(()));
    assert_eq!(Scene::rich().check(), Ok(()));
}
