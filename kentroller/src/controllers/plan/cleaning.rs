//! After the end of a plan: every mark is taken back, and what came to nothing is given back.

use std::collections::BTreeSet;
use std::time::Duration;

use kentroller_runtime::{Guard, Kind};

use super::deletion::still_empty;
use super::{PlanStep, outcome};
use crate::api::foreign::{Node, NodeClaim, Pod};
use crate::api::marks::{PLAN, PLAN_FINALIZER};
use crate::controllers::{marking, turn};

/// While marks are left, they are looked at again after this long.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(5);

impl PlanStep<'_> {
    /// After the end: takes back every mark, then the finalizer. The new nodes of waves that came to nothing are given back,
    /// unless pods run there.
    pub(super) fn clean_up(&mut self) {
        if !turn::is_marked(self.plan) {
            return;
        }
        let uid = self.plan.uid();
        let useless = self.useless();
        let mut clean = true;
        for node in self.world.all::<Node>().filter(|node| node.label(PLAN) == Some(uid)) {
            clean = false;
            self.out.merge(node, marking::release(node, uid));
        }
        for claim in self.world.all::<NodeClaim>().filter(|claim| claim.label(PLAN) == Some(uid)) {
            clean = false;
            if useless.contains(claim.name()) && !self.is_used(claim) && claim.deleting().is_none() {
                self.take_back(claim);
            } else {
                self.out.merge(claim, marking::release_claim(claim));
            }
        }
        if clean {
            self.out.remove_finalizer(self.plan, PLAN_FINALIZER);
        } else {
            self.out.look_in(CLEAN_UP_EVERY);
        }
    }

    /// Whether pods run on the node of a NodeClaim of ours.
    pub(super) fn is_used(&self, claim: &NodeClaim) -> bool {
        let node = claim.status.node_name.as_str();
        !node.is_empty() && self.world.indexed::<Pod>(node).into_iter().any(Pod::is_workload)
    }

    /// Deletes a NodeClaim that the plan made in vain, if a last look finds no pods there.
    pub(super) fn take_back(&mut self, claim: &NodeClaim) {
        let node = claim.status.node_name.clone();
        let deletion = self.out.delete(claim);
        if !node.is_empty() {
            let selector = format!("spec.nodeName={node}");
            deletion.only_if(Guard::that(move |fresh| still_empty(&fresh.all::<Pod>()?, &node)).list::<Pod>(selector));
        }
    }

    /// NodeClaims of the waves that came to nothing.
    fn useless(&self) -> BTreeSet<String> {
        let adds = self
            .plan
            .spec
            .node_claims_to_add
            .iter()
            .filter(|add| outcome::is_in_vain(self.plan, &self.status, add.wave));
        adds.filter_map(|add| self.status.nodes_creation.get(&add.metadata.name))
            .flat_map(|creation| creation.attempts.iter().map(|attempt| attempt.node_claim_name.clone()))
            .collect()
    }
}
