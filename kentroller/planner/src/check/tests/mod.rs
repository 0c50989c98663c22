//! What the judge must allow and what it must refuse.
mod buying;

mod moving;
mod planned;
mod removing;
mod scene;

use std::collections::BTreeSet;

use scene::Scene;

/// A claim, what is changed in the scene, and the faults that this must give; none: the plan still holds.
type Case = (&'static str, fn(&mut Scene), &'static [&'static str]);

/// Applies each change to a fresh scene, whose plan holds, and compares the faults.
fn judged(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (claim, change, expected) in cases {
        let mut scene = Scene::new();
        change(&mut scene);
        let violations = scene.check().err().unwrap_or_default();
        let found: BTreeSet<&str> = violations.iter().map(|violation| violation.fault.word()).collect();
        if found != expected.iter().copied().collect() {
            let told: Vec<String> = violations.iter().map(ToString::to_string).collect();
            wrong.push(format!("{claim}: expected {expected:?}, found\n    {}", told.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_plan_of_the_scene_holds() {
    let scene = Scene::new();
    assert_eq!(scene.check(), Ok(()));
}
