//! One receiver at a time: the other nodes that could take what is evicted carry a soft taint meanwhile, so that it lands where
//! the plan wants it. Measured on a real control plane, this and the check of room before each eviction make a plan come true;
//! either alone does not.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kentroller_runtime::Kind;

use super::PlanStep;
use super::room::{Room, is_open};
use crate::api::foreign::{Node, Pod};
use crate::api::marks::PLAN;
use crate::controllers::marking;

/// A pod that has to leave, and the node that the plan has for it.
pub(super) struct MovingPod<'a> {
    pub(super) pod: &'a Pod,
    pub(super) planned: Option<String>,
}

impl<'a> PlanStep<'a> {
    /// Moves what can be moved to one receiver; says what is waited for, and which evictions are refused.
    ///
    /// Pods go where the plan has them. A pod whose place is still taken is put off while others move: that may free it.
    /// Only when nothing else moves does it go elsewhere. A pod that the API server refuses to evict holds up no other.
    /// Without `evicts` all is made ready for the first of them, and none is moved.
    pub(super) fn steer(
        &mut self,
        pods: Vec<MovingPod<'a>>,
        evicts: bool,
        room: &mut Room<'a, '_>,
    ) -> (Vec<String>, Vec<String>) {
        let all: Vec<&'a Pod> = pods.iter().map(|moving| moving.pod).collect();
        let (mut waits, mut refused) = (Vec::new(), Vec::new());
        let mut by_receiver: BTreeMap<String, Vec<&'a Pod>> = BTreeMap::new();
        let mut put_off = Vec::new();
        for MovingPod { pod, planned } in by_size(pods) {
            if pod.deleting().is_some() {
                waits.push(format!("{} to end", pod.key()));
            } else if let Some(until) = self.refused_until(pod) {
                refused.push(format!("{}, whose eviction is refused", pod.key()));
                self.out.look_at(until);
            } else {
                match (room.may_end(pod), planned.filter(|planned| room.takes(pod, planned))) {
                    (Err(what), _) => waits.push(what),
                    (Ok(()), Some(planned)) => by_receiver.entry(planned).or_default().push(pod),
                    (Ok(()), None) => put_off.push(pod),
                }
            }
        }
        // What has moved nothing for a while holds up no other.
        let at_rest = by_receiver.is_empty() && room.is_settled() && (waits.is_empty() || !room.is_moving());
        for pod in put_off {
            match room.best(pod).filter(|_| at_rest) {
                Some(other) => by_receiver.entry(other).or_default().push(pod),
                None => waits.push(format!("room for {}", pod.key())),
            }
        }
        if at_rest {
            self.note_stuck(by_receiver.is_empty() && refused.is_empty());
        }
        // What was moved to the receiver, by whichever wave, is still to find its place there.
        let stays = self.status.receiver.clone().filter(|now| by_receiver.contains_key(now) || !room.is_settled());
        let fullest = || by_receiver.iter().max_by_key(|(_, pods)| pods.len()).map(|(name, _)| name.clone());
        let Some(receiver) = stays.or_else(fullest) else { return (waits, refused) };
        self.status.receiver = Some(receiver.clone());
        let is_turned = self.turn_to(&receiver, &room.rivals(all.into_iter(), &receiver));
        if !is_turned || !evicts {
            waits.insert(0, format!("nodes to prefer {receiver}"));
            return (waits, refused);
        }
        for pod in by_receiver.remove(&receiver).unwrap_or_default() {
            // What was moved before in this look may have taken the room, or the owner's share.
            match room.may_end(pod) {
                Ok(()) if room.takes(pod, &receiver) => {
                    room.move_out(pod, &receiver);
                    self.note_moved(pod);
                    let guard = self.protection.guard_of(pod, self.beside(pod));
                    self.out.evict(pod).keyed(eviction(pod)).only_if(guard);
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
        (waits, refused)
    }

    /// Until when the eviction of a pod is not tried again, because it was refused.
    fn refused_until(&self, pod: &Pod) -> Option<Timestamp> {
        let until = self.world.reply(&eviction(pod))?.retry_at()?;
        (until > self.world.now()).then_some(until)
    }

    /// Gives every rival of the receiver our soft taint, and takes it off the receiver; says whether all of it is so.
    fn turn_to(&mut self, receiver: &str, rivals: &BTreeSet<&str>) -> bool {
        let uid = self.plan.uid();
        let mut turned = true;
        for node in self.world.all::<Node>() {
            let is_tainted = marking::is_tainted(node);
            if node.name() == receiver && is_tainted {
                turned = false;
                self.out.merge(node, marking::untaint(node));
            } else if rivals.contains(node.name()) && !is_tainted {
                turned = false;
                // One that is being opened takes no pods so far, and no second write in one look.
                if is_open(node) {
                    self.out.merge(node, marking::taint(node, uid));
                }
            }
        }
        turned
    }

    /// While no pods move, any node is as good as another.
    pub(super) fn open_all(&mut self) {
        let uid = self.plan.uid();
        let ours =
            |node: &&Node| marking::is_tainted(node) && node.label(PLAN) == Some(uid) && node.deleting().is_none();
        for node in self.world.all::<Node>().filter(ours) {
            self.out.merge(node, marking::untaint(node));
        }
    }
}

/// The key of the effect that evicts a pod.
fn eviction(pod: &Pod) -> String {
    format!("evict {}", pod.uid())
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
