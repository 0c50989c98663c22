//! S5: one plan at a time, one claim of a schedule. L1: a plan ends in time. L3: an ended plan leaves nothing behind.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::plans::Plan;
use super::{Found, State, cordons};
use crate::readings::spans;
use crate::seen::{is_leaving, key_of};

/// How long a plan may take unless its spec says otherwise.
const LIMIT: SignedDuration = SignedDuration::from_hours(1);
/// How much later than its limit a plan may end.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// How long after its end the last mark may be there.
const TIDY: SignedDuration = SignedDuration::from_secs(120);

/// How far a plan is, in the time that the operator has led.
#[derive(Debug, Default)]
pub(super) struct Course {
    name: String,
    began: Option<SignedDuration>,
    ended: Option<SignedDuration>,
    is_late: bool,
    /// What it owed after its end was looked at.
    is_closed: bool,
}

impl State {
    /// A plan is about to change; the others are as they were.
    pub(super) fn judge_plan(&mut self, before: Option<&Value>, after: &Value) -> Found {
        let plan = Plan::of(after);
        if plan.is_running() || plan.has_ended() {
            let course = self.courses.entry(plan.uid().to_owned()).or_default();
            course.name = plan.name();
            let moment = if plan.is_running() { &mut course.began } else { &mut course.ended };
            moment.get_or_insert(self.lead.total);
        }
        let starts = plan.is_running() && !before.is_some_and(|before| Plan::of(before).is_running());
        let others = self.plans.all().filter(|other| other.uid() != plan.uid());
        let busy = others.filter(|other| starts && (other.is_running() || other.is_marked()));
        busy.map(|other| ("S5", format!("plan {} began beside plan {}", plan.name(), other.name()))).collect()
    }

    pub(super) fn judge_claim(&self, claim: &Value) -> Found {
        let siblings = self.plans.open_siblings(claim);
        let name = key_of(claim);
        siblings
            .map(|other| ("S5", format!("claim {name} was made beside {} of its schedule", key_of(other))))
            .collect()
    }

    /// What plans owe by now.
    pub(super) fn look_at_ends(&mut self, now: Timestamp) {
        let mut courses = std::mem::take(&mut self.courses);
        let found: Found = courses.iter_mut().flat_map(|(uid, course)| self.judge_course(uid, course)).collect();
        self.courses = courses;
        self.note(found, now);
    }

    fn judge_course(&self, uid: &str, course: &mut Course) -> Found {
        if course.is_closed {
            return Found::new();
        }
        let (plan, total) = (self.plans.get(uid), self.lead.total);
        if plan.is_none() {
            // It was deleted, which ends it.
            course.ended.get_or_insert(total);
        }
        if course.ended.is_some_and(|ended| total - ended > TIDY) {
            course.is_closed = true;
            return self.left_over(uid, &course.name).into_iter().map(|text| ("L3", text)).collect();
        }
        let limit = plan.and_then(Plan::limit).and_then(spans::seconds).map_or(LIMIT, SignedDuration::from_secs);
        let runs = course.began.filter(|_| course.ended.is_none()).map(|began| total - began);
        match runs.filter(|runs| *runs > limit + GRACE && !course.is_late) {
            Some(runs) => {
                course.is_late = true;
                vec![(
                    "L1",
                    format!("plan {} runs for {} s, and may for {}", course.name, runs.as_secs(), limit.as_secs()),
                )]
            }
            None => Found::new(),
        }
    }

    /// What is there of an ended plan that should not be.
    fn left_over(&self, uid: &str, name: &str) -> Vec<String> {
        let mut left = Vec::new();
        let nodes = self.seen.nodes.values().map(|node| ("node", &node.raw));
        let claims = self.seen.claims.values().map(|claim| ("claim", &claim.raw));
        for (kind, object) in nodes.chain(claims).filter(|(_, object)| !is_leaving(object)) {
            let marks = cordons::marks(object, uid);
            left.extend(
                marks.iter().map(|mark| format!("{kind} {} bears {mark} of ended plan {name}", key_of(object).name)),
            );
        }
        // A node whose drain took too long says until when it stays cordoned.
        let is_kept = |node: &Arc<str>| {
            let node = self.seen.nodes.get(node);
            node.is_some_and(|node| !node.raw["metadata"]["annotations"][cordons::UNCORDON_AFTER].is_null())
        };
        for (node, _) in self.cordons.iter().filter(|(node, (plan, _))| *plan == uid && !is_kept(node)) {
            left.push(format!("node {node} is still cordoned by ended plan {name}"));
        }
        let Some(plan) = self.plans.get(uid) else { return left };
        left.extend(self.shields_of(plan).iter().map(|of| format!("{of} is still shielded by ended plan {name}")));
        if plan.is_marked() {
            left.push(format!("ended plan {name} still has its finalizer"));
        }
        for (claim, known) in self.seen.claims.iter().filter(|(_, known)| !known.is_leaving()) {
            if plan.made(&known.raw) && plan.must_give_back(claim, &self.touched) && self.others(known).next().is_none()
            {
                left.push(format!("claim {claim}, which plan {name} failed to make, was not given back"));
            }
            if plan.state() == "Done" && plan.removes(claim).is_some() {
                left.push(format!("claim {claim} is there, which plan {name} says it removed"));
            }
        }
        left
    }
}
