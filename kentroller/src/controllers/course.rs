//! The course of a node that goes, whoever takes it away: cordoned, emptied, given back; or kept.

use std::time::Duration;

use jiff::Timestamp;

use super::after;
use crate::api::{DeletionPhase, DeletionStatus, NodeDeletion};

/// How long something may forbid that a node goes, or its pods may find no room, before it is kept.
pub(super) const PATIENCE: Duration = Duration::from_secs(3 * 60);

/// What is known of the node in one look.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) now: Timestamp,
    /// Since when its NodeClaim is being deleted, by whomever.
    pub(super) ending_since: Option<Timestamp>,
    pub(super) cordon: Cordon,
    /// What forbids that it goes.
    pub(super) held: Option<String>,
    pub(super) has_pods: bool,
    /// What has to be before it is begun with: a slot of its pool's budget, or that what was moved before is well.
    pub(super) waits_for: Option<String>,
    /// How long its drain may take.
    pub(super) drain_timeout: Duration,
    /// Whether the drain is forced to its end then.
    pub(super) forces: bool,
}

/// Who cordoned the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cordon {
    /// Nobody of us.
    None,
    /// It was for us.
    Ours,
    /// We did, and somebody made it schedulable again.
    Lifted,
}

/// What is to be done with the node next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Nothing: it is kept.
    Nothing,
    /// Nothing: Karpenter ends it.
    End,
    /// Nothing, while its pods leave that somebody else has ended.
    Leave,
    /// Wait, and say that this forbids it.
    Block(String),
    /// Wait for this until it may be begun with.
    Wait(String),
    Cordon,
    /// Move its pods away.
    Drain,
    /// Delete its NodeClaim: it is empty.
    Delete,
    /// Delete its NodeClaim with a time at which Karpenter ends what is left on it.
    Force,
    /// Give it up, for this reason.
    Keep(DeletionStatus, String),
    /// Give it up: its drain took too long. It takes no pods for a while, so that another try finds no more of them.
    Late,
}

/// The next step of a node, from how far it has come and what is known of it.
pub(super) fn next(course: &NodeDeletion, facts: &Facts) -> Want {
    let is_over = |since: Option<Timestamp>, limit| since.is_some_and(|since| facts.now >= after(since, limit));
    if course.phase() == Some(DeletionPhase::Kept) {
        return Want::Nothing;
    }
    if facts.ending_since.is_some() {
        return match facts.has_pods && is_over(facts.ending_since, facts.drain_timeout) {
            true => Want::Keep(
                DeletionStatus::Failed,
                "its NodeClaim is being deleted, and its pods do not leave".to_owned(),
            ),
            false if facts.has_pods => Want::Leave,
            false => Want::End,
        };
    }
    if facts.cordon == Cordon::Lifted && course.phase() == Some(DeletionPhase::Draining) {
        return Want::Keep(DeletionStatus::NodeUncordoned, "somebody made it schedulable again".to_owned());
    }
    if let Some(why) = &facts.held {
        return match is_over(course.blocked_since, PATIENCE) {
            true => Want::Keep(DeletionStatus::Failed, why.clone()),
            false => Want::Block(why.clone()),
        };
    }
    match facts.cordon {
        Cordon::Ours if !facts.has_pods => Want::Delete,
        Cordon::Ours if is_over(course.cordon_time, facts.drain_timeout) => {
            if facts.forces {
                Want::Force
            } else {
                Want::Late
            }
        }
        Cordon::Ours if is_over(course.stuck_since, PATIENCE) && !facts.forces => {
            Want::Keep(DeletionStatus::Failed, "no other node has room for its pods".to_owned())
        }
        Cordon::Ours => Want::Drain,
        _ => facts.waits_for.clone().map_or(Want::Cordon, Want::Wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    /// At second 10,000, with a drain of at most 20 minutes.
    fn facts() -> Facts {
        Facts {
            now: at(10_000),
            ending_since: None,
            cordon: Cordon::None,
            held: None,
            has_pods: true,
            waits_for: None,
            drain_timeout: Duration::from_secs(1_200),
            forces: false,
        }
    }

    fn course(phase: Option<DeletionPhase>) -> NodeDeletion {
        NodeDeletion { phase, ..NodeDeletion::default() }
    }

    #[test]
    fn a_node_is_cordoned_drained_deleted_and_ended() {
        let draining = || course(Some(DeletionPhase::Draining));
        let ours = || Facts { cordon: Cordon::Ours, ..facts() };
        assert_eq!(next(&course(None), &facts()), Want::Cordon);
        assert_eq!(
            next(&course(None), &Facts { waits_for: Some("a slot".to_owned()), ..facts() }),
            Want::Wait("a slot".to_owned())
        );
        assert_eq!(next(&draining(), &ours()), Want::Drain);
        assert_eq!(
            next(&draining(), &Facts { waits_for: Some("a slot".to_owned()), ..ours() }),
            Want::Drain,
            "it holds its slot"
        );
        assert_eq!(next(&draining(), &Facts { has_pods: false, ..ours() }), Want::Delete);
        assert_eq!(next(&draining(), &Facts { ending_since: Some(at(1)), has_pods: false, ..ours() }), Want::End);
        assert_eq!(next(&draining(), &Facts { ending_since: Some(at(8_801)), ..ours() }), Want::Leave);
        assert_eq!(next(&course(Some(DeletionPhase::Kept)), &Facts { has_pods: false, ..ours() }), Want::Nothing);
    }

    #[test]
    fn it_is_kept_when_somebody_forbids_it_uncordons_it_or_its_time_is_over() {
        let draining = |change: fn(&mut NodeDeletion)| {
            let mut course = course(Some(DeletionPhase::Draining));
            change(&mut course);
            course
        };
        let ours = || Facts { cordon: Cordon::Ours, ..facts() };
        let kept = |why: &str| Want::Keep(DeletionStatus::Failed, why.to_owned());
        let forced = || Facts { forces: true, ..ours() };
        let cases = [
            (draining(|one| one.cordon_time = Some(at(8_801))), ours(), Want::Drain),
            (draining(|one| one.cordon_time = Some(at(8_800))), ours(), Want::Late),
            (draining(|one| one.cordon_time = Some(at(8_801))), forced(), Want::Drain),
            (draining(|one| one.cordon_time = Some(at(8_800))), forced(), Want::Force),
            (
                draining(|one| one.cordon_time = Some(at(8_800))),
                Facts { held: Some("x".to_owned()), ..forced() },
                Want::Block("x".to_owned()),
            ),
            (
                draining(|_| ()),
                Facts { ending_since: Some(at(8_800)), ..ours() },
                kept("its NodeClaim is being deleted, and its pods do not leave"),
            ),
            (draining(|one| one.stuck_since = Some(at(9_821))), ours(), Want::Drain),
            (draining(|one| one.stuck_since = Some(at(9_820))), ours(), kept("no other node has room for its pods")),
            (draining(|one| one.stuck_since = Some(at(9_820))), forced(), Want::Drain),
            (draining(|_| ()), Facts { held: Some("x".to_owned()), ..ours() }, Want::Block("x".to_owned())),
            (
                draining(|one| one.blocked_since = Some(at(9_820))),
                Facts { held: Some("x".to_owned()), ..ours() },
                kept("x"),
            ),
            (draining(|one| one.blocked_since = Some(at(9_820))), ours(), Want::Drain),
            (
                draining(|_| ()),
                Facts { cordon: Cordon::Lifted, held: Some("x".to_owned()), ..facts() },
                Want::Keep(DeletionStatus::NodeUncordoned, "somebody made it schedulable again".to_owned()),
            ),
            (course(None), Facts { cordon: Cordon::Lifted, ..facts() }, Want::Cordon),
        ];
        for (course, facts, wanted) in cases {
            assert_eq!(next(&course, &facts), wanted, "{course:?} {facts:?}");
        }
    }
}
