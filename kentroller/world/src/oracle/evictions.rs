//! S4: pods are deleted only where a claim has them forced. S20: protected pods stay. S21: never too many pods of an owner, or of all, without a ready successor.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Found, REMOVAL_DISABLED, State};
use crate::karpenter::is_kept;
use crate::seen::{Kind, KnownPod, key_of, uid};

/// Of all pods that moved, so many may be without a ready successor at once.
const MOST_MOVING: usize = 20;

/// Whether the pod's own mark forbids its move.
fn is_protected(pod: &KnownPod, now: Timestamp) -> bool {
    is_kept(pod, now) || pod.object.metadata.mark(REMOVAL_DISABLED) == Some("true")
}

impl State {
    pub(super) fn judge_eviction(&mut self, raw: &Value, now: Timestamp) -> Found {
        self.moving.get_or_insert(now);
        let key = key_of(raw);
        let Some(pod) = self.seen.pods.get(&key) else { return Found::new() };
        let mut found = Found::new();
        let is_lifted = self.plans.lifts("ignoreProblemRemovalDisabledPods");
        if is_protected(pod, now) && !is_lifted {
            found.push(("S20", format!("pod {key} was evicted, which its own mark forbids")));
        }
        if matches!(pod.owner_kind(), "DaemonSet" | "Node") {
            found.push(("S20", format!("pod {key} of a {} was evicted", pod.owner_kind())));
        }
        let unique = match pod.owner_kind() {
            "" => Some("ignoreProblemPodsWithoutController"),
            "Job" => Some("ignoreProblemJobPods"),
            _ => None,
        };
        if let Some(flag) = unique.filter(|flag| !self.plans.lifts(flag)) {
            found.push(("S20", format!("pod {key} was evicted, which nobody makes again, without {flag}")));
        }
        let lacking = self.lacking();
        let owner = pod.owner_uid();
        let (wanted, missing) = lacking.get(owner).copied().unwrap_or((1, 0));
        let missing = missing + usize::from(pod.is_active() && pod.object.status.is_ready());
        if missing > (wanted / 4).max(1) {
            found.push((
                "S21",
                format!("the eviction of {key} leaves {missing} of the {wanted} pods of its owner not ready"),
            ));
        }
        let moved = lacking.iter().filter(|(owner, _)| self.moved.contains(*owner));
        let all: usize = moved.map(|(_, (_, missing))| missing).sum();
        if all >= MOST_MOVING {
            found.push(("S21", format!("{all} pods were without a ready successor when {key} was evicted")));
        }
        let owner = owner.to_owned();
        self.moved.insert(owner);
        found
    }

    /// A pod is deleted only where a claim asks for it, and its node was cordoned for as long as the claim says.
    pub(super) fn judge_force(&self, raw: &Value, now: Timestamp) -> Option<(&'static str, String)> {
        let pod = self.seen.pods.get(&key_of(raw))?;
        let is_marked = is_protected(pod, now);
        let flags = [("ignoreBlockingPDB", true), ("ignoreProblemRemovalDisabledPods", is_marked)];
        let asked = flags.into_iter().filter(|(_, counts)| *counts);
        let after = asked.filter_map(|(flag, _)| self.plans.forces_after(flag)).min();
        let node = raw["spec"]["nodeName"].as_str().unwrap_or_default();
        let since = self.cordons.get(node).map(|(_, since)| now.duration_since(*since));
        // The operator notes times in whole seconds.
        let is_late = after.zip(since).is_some_and(|(after, since)| since + SignedDuration::from_secs(1) >= after);
        (!is_late).then(|| ("S4", format!("pod {} was deleted, not evicted", key_of(raw))))
    }

    /// By uid of a ReplicaSet: how many pods it wants, and how many of them are not ready.
    fn lacking(&self) -> BTreeMap<String, (usize, usize)> {
        let sets = self.seen.plain(Kind::ReplicaSet);
        sets.map(|(_, set)| {
            let wanted = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
            let serves = |pod: &KnownPod| pod.is_active() && pod.object.status.is_ready();
            let ready = self.seen.of_owner(uid(set)).filter(|(_, pod)| serves(pod)).count();
            (uid(set).to_owned(), (wanted, wanted.saturating_sub(ready)))
        })
        .collect()
    }
}
