//! The waves of a plan follow each other and overlap: while one is drained, the nodes of the next ones come, and Karpenter
//! ends the machines of the last ones.

use std::time::Duration;

use kentroller_runtime::Kind;
use kentroller_runtime::condition::seconds;

use super::{PlanStep, Progress, RebalancePlans};
use crate::api::foreign::NodeClaim;
use crate::api::{DeletionPhase, FailurePhase, NodeClaimToAdd, WavePhase, WaveStatus};

/// So many waves may have their nodes made before it is their turn to be drained.
const MOST_AHEAD: usize = 3;
/// Of the waits that are told, so many; the others are counted.
const MOST_TOLD: usize = 4;

/// How one wave stands after a look.
enum Stand {
    Done,
    /// Nothing of it moves now; these things are waited for.
    Lingers(Vec<String>),
    /// It is not through so far.
    Open(Progress),
}

impl<'a> PlanStep<'a> {
    /// One look at every wave that is under way; how the first one stands whose pods still move. It alone can fail the plan:
    /// what goes wrong with those behind it has time until it is their turn.
    pub(super) fn advance(&mut self) -> Progress {
        let (mut first, mut before, mut lingering) = (None, 0, Vec::new());
        for index in 0..=self.last_wave() {
            match self.advance_wave(index, before) {
                Stand::Done => {}
                Stand::Lingers(what) => lingering.extend(what),
                Stand::Open(progress) => {
                    before += 1;
                    first.get_or_insert((index, progress));
                }
            }
            if before > MOST_AHEAD {
                break;
            }
        }
        let head = first.as_ref().map_or(self.last_wave(), |(index, _)| *index);
        self.status.wave = Some(head);
        if !self.status.waves.iter().any(|wave| wave.phase == WavePhase::Draining) {
            self.open_all();
        }
        match first {
            Some((_, progress)) => progress,
            None if lingering.is_empty() => Progress::Done,
            None => Progress::Lingers(lingering),
        }
    }

    /// Brings one wave as far as it goes now; so many waves before it still move pods.
    fn advance_wave(&mut self, index: u32, before: usize) -> Stand {
        let waits = |what: String| Stand::Open(Progress::Waits(what));
        if self.closes.is_some() && self.wave(index).is_none() {
            return waits("its end".to_owned());
        }
        loop {
            let next = match self.wave(index).map(|wave| wave.phase.clone()) {
                None if self.is_settled_already(index) => WavePhase::Done,
                None => match self.waits_to_begin(index, before) {
                    Some(what) => return waits(what),
                    None => WavePhase::Creating,
                },
                // What is made for waves that do not come is given back.
                Some(WavePhase::Creating | WavePhase::Gating | WavePhase::Waiting) if self.closes.is_some() => {
                    return waits("its end".to_owned());
                }
                Some(WavePhase::Gating | WavePhase::Waiting) if self.greens(index).any(|add| self.is_lost(add)) => {
                    WavePhase::Creating
                }
                Some(WavePhase::Creating) => match self.create_nodes(index, before > 0) {
                    Progress::Done => WavePhase::Gating,
                    progress => return Stand::Open(progress),
                },
                Some(WavePhase::Gating) => match self.pass_gate(index) {
                    Progress::Done => WavePhase::Waiting,
                    progress => return Stand::Open(progress),
                },
                Some(WavePhase::Waiting) if before > 0 => return waits("the waves before it".to_owned()),
                Some(WavePhase::Waiting) => WavePhase::Draining,
                Some(WavePhase::Draining) => match self.remove_nodes(index, before == 0) {
                    Progress::Done => WavePhase::Ending,
                    Progress::Lingers(what) => return Stand::Lingers(what),
                    progress => return Stand::Open(progress),
                },
                Some(WavePhase::Ending) => match self.ending(index) {
                    nodes if nodes.is_empty() => WavePhase::Done,
                    nodes => return Stand::Lingers(nodes.iter().map(|node| ending(node)).collect()),
                },
                Some(WavePhase::Done) => return Stand::Done,
                // A word of another version: left alone.
                Some(WavePhase::Unknown(word)) => return waits(format!("phase {word}, which is not known")),
            };
            self.enter(index, next);
        }
    }

    /// Whether every node that the wave replaces is gone or kept: what it would buy is of no use.
    fn is_settled_already(&self, index: u32) -> bool {
        let goes = self.plan.spec.node_claims_to_delete.iter().any(|one| one.wave == index);
        let mut open = self.blues(index).filter(|claim| claim.deleting().is_none());
        goes && open.all(|claim| self.phase(&claim.status.node_name) == Some(DeletionPhase::Kept))
    }

    fn enter(&mut self, index: u32, phase: WavePhase) {
        if phase == WavePhase::Ending {
            self.out.event(RebalancePlans::WaveDone, format!("wave {} is finished", index + 1));
        }
        let since = seconds(self.world.now());
        match self.wave_mut(index) {
            Some(wave) => (wave.phase, wave.since) = (phase, since),
            None => self.status.waves.push(WaveStatus {
                measured: None,
                index,
                phase,
                achieved_savings_percent: None,
                since,
                touched: false,
            }),
        }
        self.out.look_in(Duration::from_secs(1));
    }

    pub(super) fn wave(&self, index: u32) -> Option<&WaveStatus> {
        self.status.waves.iter().find(|wave| wave.index == index)
    }

    pub(super) fn wave_mut(&mut self, index: u32) -> Option<&mut WaveStatus> {
        self.status.waves.iter_mut().find(|wave| wave.index == index)
    }

    /// The NodeClaims that the wave removes, as far as they are there.
    pub(super) fn blues(&self, index: u32) -> impl Iterator<Item = &'a NodeClaim> + use<'a> {
        let (plan, world) = (self.plan, self.world);
        let of_wave = plan.spec.node_claims_to_delete.iter().filter(move |one| one.wave == index);
        of_wave.filter_map(|one| world.named::<NodeClaim>(&one.node_claim_name))
    }

    /// What the wave adds.
    pub(super) fn greens(&self, index: u32) -> impl Iterator<Item = &'a NodeClaimToAdd> + use<'a> {
        self.plan.spec.node_claims_to_add.iter().filter(move |add| add.wave == index)
    }

    /// Nodes of the wave whose machines are not gone so far.
    fn ending(&self, index: u32) -> Vec<String> {
        self.blues(index)
            .filter(|claim| claim.deleting().is_some())
            .map(|claim| claim.status.node_name.clone())
            .collect()
    }

    /// The phase in which the wave stands: until it has touched a node that goes, all of it can be taken back.
    pub(super) fn failure_phase(&self) -> FailurePhase {
        let head = self.status.wave.and_then(|index| self.wave(index));
        if head.is_some_and(|wave| wave.touched) { FailurePhase::Deletion } else { FailurePhase::Creation }
    }

    pub(super) fn last_wave(&self) -> u32 {
        let spec = &self.plan.spec;
        let adds = spec.node_claims_to_add.iter().map(|one| one.wave);
        let moves = spec.pods_to_migrate.iter().map(|one| one.wave);
        adds.chain(spec.node_claims_to_delete.iter().map(|one| one.wave)).chain(moves).max().unwrap_or(0)
    }
}

/// What is waited for once a node is empty.
pub(super) fn ending(node: &str) -> String {
    format!("Karpenter to end node {node}")
}

/// The first few of what is waited for, and how many more there are.
pub(super) fn told(waits: impl IntoIterator<Item = String>) -> String {
    let mut waits: Vec<String> = waits.into_iter().collect();
    let more = waits.len().saturating_sub(MOST_TOLD);
    waits.truncate(MOST_TOLD);
    waits.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}
