//! The waves of plans as they went, from what the plans said of themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use kentroller_runtime::simulation::apiserver::ApiServer;
use serde_json::Value;

use crate::report::rehearsal::Wave;

/// Keeps them from the writes of a server.
#[derive(Debug)]
pub(super) struct Waves(Arc<Mutex<Told>>);

/// By the age of the plan, its name and the number of the wave.
type Told = BTreeMap<(i64, String, u64), Wave>;

impl Waves {
    pub(super) fn watch(server: &ApiServer, starts: Timestamp) -> Self {
        let waves = Self(Arc::default());
        let kept = Arc::downgrade(&waves.0);
        server.on_commit(move |commit| {
            if let (Some(waves), "RebalancePlan", Some(plan)) = (kept.upgrade(), &*commit.write.kind, &commit.after) {
                hear(&mut waves.lock().unwrap_or_else(PoisonError::into_inner), plan, starts);
            }
        });
        waves
    }

    /// In the order in which plans began.
    pub(super) fn told(&self) -> Vec<Wave> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

fn hear(waves: &mut Told, plan: &Value, starts: Timestamp) {
    let since = |field: &Value| -> Option<i64> {
        let at: Timestamp = field.as_str()?.parse().ok()?;
        Some(at.duration_since(starts).as_secs())
    };
    let name = plan["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let born = since(&plan["metadata"]["creationTimestamp"]).unwrap_or_default();
    for told in plan["status"]["waves"].as_array().into_iter().flatten() {
        let (Some(index), Some(at)) = (told["index"].as_u64(), since(&told["since"])) else { continue };
        let count = |field: &str| {
            let entries = plan["spec"][field].as_array().into_iter().flatten();
            entries.filter(|entry| entry["wave"].as_u64().unwrap_or_default() == index).count()
        };
        let wave = waves.entry((born, name.clone(), index)).or_insert_with(|| Wave {
            plan: name.clone(),
            index: u32::try_from(index + 1).unwrap_or(u32::MAX),
            add: count("nodeClaimsToAdd"),
            remove: count("nodeClaimsToDelete"),
            pods: count("podsToMigrate"),
            began: at,
            drained: None,
            ended: None,
            phase: String::new(),
        });
        wave.phase = told["phase"].as_str().unwrap_or_default().to_owned();
        match wave.phase.as_str() {
            "Draining" => wave.drained = wave.drained.or(Some(at)),
            "Done" => wave.ended = wave.ended.or(Some(at)),
            _ => {}
        }
    }
}
