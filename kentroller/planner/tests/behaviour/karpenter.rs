//! The behaviours that Karpenter's own disruption tests hold it to, in 66 claims, and what Kentroller's planner makes of each.
//!
//! Claims in our words, after `pkg/controllers/disruption/*_test.go` of kubernetes-sigs/karpenter v1.14.1. The judge looks at
//! every plan. What is no matter of planning says where it is one.

mod guards;
mod places;
mod savings;

use std::collections::BTreeSet;

use crate::scene::{Must, Scene};

/// What becomes of a claim.
pub(crate) enum Held {
    /// A plan for the scene does all this.
    Plan(fn() -> Scene, &'static [Must]),
    /// Why no plan can show it.
    Elsewhere(&'static str),
}

/// A claim of Karpenter's by number, in our words.
pub(crate) type Row = (u8, &'static str, Held);

#[test]
fn a_plan_does_what_karpenter_is_held_to() {
    let rows: Vec<&Row> = savings::ROWS.iter().chain(guards::ROWS).chain(places::ROWS).collect();
    let mut wrong = Vec::new();
    for (number, claim, held) in &rows {
        let Held::Plan(scene, musts) = held else { continue };
        assert!(!musts.is_empty(), "{number}. {claim}: shows nothing");
        match scene().plan() {
            Err(error) => wrong.push(format!("{number}. {claim}: {error}")),
            Ok(plan) => {
                wrong.extend(
                    musts
                        .iter()
                        .filter_map(|must| must.broken_by(&plan))
                        .map(|why| format!("{number}. {claim}: {why}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{} claims do not hold:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_one_of_the_66_claims_is_answered() {
    let rows = || savings::ROWS.iter().chain(guards::ROWS).chain(places::ROWS);
    let answered: BTreeSet<u8> = rows().map(|(number, _, _)| *number).collect();
    assert_eq!(answered, (1..=66).collect::<BTreeSet<u8>>());
    let shown: BTreeSet<u8> =
        rows().filter(|(_, _, held)| matches!(held, Held::Plan(..))).map(|(number, _, _)| *number).collect();
    for (number, claim, held) in rows() {
        if let Held::Elsewhere(why) = held {
            assert!(!shown.contains(number), "{number}. {claim}: is shown and said to be elsewhere");
            assert!(why.len() > 40, "{number}. {claim}: no reason");
        }
    }
    assert!(shown.len() >= 48, "only {} claims are shown by plans", shown.len());
}
