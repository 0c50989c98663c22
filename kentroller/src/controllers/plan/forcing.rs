//! Pods that are deleted because their eviction is refused for too long, where the claim asks for it and the cluster allows it.

use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::{Kind, Reply};

use super::PlanStep;
use super::steering::eviction;
use crate::api::AggressiveMode;
use crate::api::foreign::Pod;
use crate::controllers::{after, duration};
use crate::settings::Settings;

/// How long a pod is evicted in the usual way where nothing is said about it, from the cordon of its node.
const FORCED_AFTER: Duration = Duration::from_secs(10 * 60);

/// What a plan asks for in vain, as long as nobody allows it.
pub(super) fn not_allowed(mode: &AggressiveMode, settings: &Settings) -> Option<String> {
    let asks = mode.ignore_blocking_pdb || mode.ignore_problem_removal_disabled_pods;
    (asks && !settings.force_eviction).then(|| {
        "ForceEvictionNotAllowed: pods whose eviction is refused stay, and so do their nodes; set FORCE_EVICTION_ENABLED \
         (chart value rbac.forceEviction) to have them deleted"
            .to_owned()
    })
}

impl PlanStep<'_> {
    /// Whether the pod, whose eviction is refused, is deleted now. Before its time it is looked at again then.
    pub(super) fn is_forced(&mut self, pod: &Pod) -> bool {
        let is_refused = matches!(self.world.reply(&eviction(pod)), Some(Reply::Refused { code: 429, .. }));
        // Refused itself: the right to it is missing, or the pod has changed.
        let is_tried = matches!(self.world.reply(&force(pod)), Some(Reply::Refused { retry_at, .. }) if *retry_at > self.world.now());
        if !is_refused || is_tried || !self.world.settings().force_eviction {
            return false;
        }
        let Some(since) = self.forced_since(pod) else { return false };
        if since > self.world.now() {
            self.out.look_at(since);
        }
        since <= self.world.now()
    }

    /// From when on the pod may be forced, if at all.
    fn forced_since(&self, pod: &Pod) -> Option<Timestamp> {
        let mode = self.plan.spec.aggressive_mode.as_ref()?;
        let cordoned = self.status.nodes_deletion.get(&*pod.spec.node_name)?.cordon_time?;
        let end = |timeout: &Option<String>| after(cordoned, duration(timeout.as_deref(), FORCED_AFTER));
        let by_budget = mode.ignore_blocking_pdb.then(|| end(&mode.ignore_blocking_pdb_timeout));
        let by_mark = (self.protection.is_marked(pod) && mode.ignore_problem_removal_disabled_pods)
            .then(|| end(&mode.ignore_problem_removal_disabled_pods_timeout));
        by_budget.into_iter().chain(by_mark).min()
    }
}

/// The key of the effect that deletes a pod.
pub(super) fn force(pod: &Pod) -> String {
    format!("force {}", pod.uid())
}
