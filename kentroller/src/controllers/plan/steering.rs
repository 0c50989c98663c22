//! One receiver at a time: every other node that takes pods carries a soft taint, so that what is evicted lands where the
//! plan wants it. Measured on a real control plane, this and the check of room before each eviction make a plan come
//! true; either alone does not.

use std::collections::BTreeMap;

use kentroller_runtime::Kind;

use super::room::{Room, is_open};
use super::{PlanStep, marking};
use crate::api::foreign::{Node, Pod};

/// A pod that has to leave, and the node that the plan has for it.
pub(super) struct MovingPod<'a> {
    pub(super) pod: &'a Pod,
    pub(super) planned: Option<String>,
}

impl<'a> PlanStep<'a> {
    /// The node that takes pods now: the only open one without our taint.
    pub(super) fn receiver(&self) -> Option<String> {
        let mut open = self.world.all::<Node>().filter(|node| is_open(node) && !marking::is_tainted(node));
        let first = open.next().map(|node| node.name().to_owned());
        first.filter(|_| open.next().is_none())
    }

    /// Moves what can be moved to one receiver; says what is waited for.
    ///
    /// Pods go where the plan has them. A pod whose place is still taken is put off while others move: that may free it.
    /// Only when nothing else moves does it go elsewhere.
    pub(super) fn steer(&mut self, pods: Vec<MovingPod<'a>>, room: &mut Room<'a>) -> Vec<String> {
        let mut waits = Vec::new();
        let mut by_receiver: BTreeMap<String, Vec<&'a Pod>> = BTreeMap::new();
        let mut put_off = Vec::new();
        for MovingPod { pod, planned } in by_size(pods) {
            if pod.deleting().is_some() {
                waits.push(format!("{} to end", pod.key()));
                continue;
            }
            match (room.may_end(pod), planned.filter(|planned| room.takes(pod, planned))) {
                (Err(what), _) => waits.push(what),
                (Ok(()), Some(planned)) => by_receiver.entry(planned).or_default().push(pod),
                (Ok(()), None) => put_off.push(pod),
            }
        }
        let at_rest = waits.is_empty() && by_receiver.is_empty() && room.is_settled();
        for pod in put_off {
            match room.best(pod).filter(|_| at_rest) {
                Some(other) => by_receiver.entry(other).or_default().push(pod),
                None => waits.push(format!("room for {}", pod.key())),
            }
        }
        if at_rest {
            self.note_stuck(by_receiver.is_empty());
        }
        let stays = self.receiver().filter(|now| by_receiver.contains_key(now) || !room.is_settled());
        let fullest = || by_receiver.iter().max_by_key(|(_, pods)| pods.len()).map(|(name, _)| name.clone());
        let Some(receiver) = stays.or_else(fullest) else { return waits };
        if !self.turn_to(&receiver) {
            waits.insert(0, format!("nodes to prefer {receiver}"));
            return waits;
        }
        for pod in by_receiver.remove(&receiver).unwrap_or_default() {
            // What was moved before in this look may have taken the room, or the owner's share.
            match room.may_end(pod) {
                Ok(()) if room.takes(pod, &receiver) => {
                    room.move_out(pod, &receiver);
                    self.out.evict(pod).only_if(self.protection.guard_of(pod));
                    waits.push(format!("{} to move to {receiver}", pod.key()));
                }
                Ok(()) => waits.push(format!("room for {}", pod.key())),
                Err(what) => waits.push(what),
            }
        }
        let others: usize = by_receiver.values().map(Vec::len).sum();
        if others > 0 {
            waits.push(format!("{others} pods that go elsewhere"));
        }
        waits
    }

    /// Makes the receiver the only open node without our soft taint; says whether it is.
    fn turn_to(&mut self, receiver: &str) -> bool {
        let uid = self.plan.uid();
        let mut turned = true;
        for node in self.world.all::<Node>().filter(|node| is_open(node)) {
            let wanted = node.name() != receiver;
            if wanted != marking::is_tainted(node) {
                turned = false;
                self.out.merge(node, if wanted { marking::taint(node, uid) } else { marking::untaint(node) });
            }
        }
        turned
    }
}

/// The largest first: they find it hardest to get a place.
fn by_size(mut pods: Vec<MovingPod<'_>>) -> Vec<MovingPod<'_>> {
    let size = |pod: &Pod| {
        let wanted = kentroller_planner::rules::requests::of_shape(&pod.spec.shape);
        wanted.get("cpu").map_or(0, |cpu| cpu.milli())
    };
    pods.sort_by_key(|moving| (std::cmp::Reverse(size(moving.pod)), moving.pod.key()));
    pods
}
