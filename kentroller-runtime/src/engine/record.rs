//! A reconcile that acted, as a file: audit, bug report and replay are one thing.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ports::Ports;
use super::{AnyController, kinds};
use crate::declaration::Declaration;
use crate::failure::Failure;
use crate::kind::ObjectKey;
use crate::outcome::Decided;
use crate::store::Cut;
use crate::switches::Switches;
use crate::world::{ReadSet, Replies, Reply};

/// Everything that one reconcile saw, and what it decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Whose reconcile it was.
    pub controller: String,
    /// The reconciled object.
    pub object: ObjectKey,
    /// The time that it was told.
    pub now: Timestamp,
    /// The namespace of the operator.
    #[serde(default)]
    pub namespace: String,
    /// The settings that it was told.
    pub settings: Value,
    /// What had become of its effects, by their keys.
    pub replies: Vec<(String, Reply)>,
    /// All objects of every kind that it read, by kind.
    pub objects: Vec<(String, Vec<Value>)>,
    /// When the watch of each kind last proved to be up to date.
    #[serde(default)]
    pub proven: Vec<(String, Timestamp)>,
    /// Answers that it read: port, key and answer.
    pub answers: Vec<(String, String, Value)>,
    /// What was decided, one line each.
    pub outcome: String,
}

/// Why a record cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The controller was renamed, or the record is of another operator.
    #[error("this version has no controller {0}")]
    NoController(String),
    /// Another version wrote the record, or somebody changed it.
    #[error("the record's {what} does not decode: {source}")]
    Undecodable {
        /// Which part of it.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// What was decided about is not in it.
    #[error("the record does not hold its own object {0}")]
    NoObject(ObjectKey),
}

impl Record {
    pub(super) fn of<S: Serialize>(
        declaration: &Declaration,
        object: &ObjectKey,
        now: Timestamp,
        settings: &S,
        replies: &Replies,
        (cut, read): (&Cut, &ReadSet),
        outcome: String,
    ) -> Self {
        let kinds = read.kinds.iter().chain([&declaration.of.info]);
        let proven = kinds.clone().filter_map(|kind| Some((format!("{kind:?}"), cut.any_store(*kind)?.proven()?)));
        let mut objects: Vec<(String, Vec<Value>)> = kinds
            .filter_map(|kind| cut.any_store(*kind))
            .map(|store| {
                let all =
                    store.keys().iter().filter_map(|key| store.object(key)).map(|object| object.to_json()).collect();
                (format!("{:?}", store.kind()), all)
            })
            .collect();
        objects.sort_by(|a, b| a.0.cmp(&b.0));
        objects.dedup_by(|a, b| a.0 == b.0);
        let answers = read
            .answers
            .iter()
            .filter_map(|(port, key)| Some(((*port).to_owned(), key.clone(), cut.answer_json(port, key)?)));
        Self {
            controller: declaration.name.to_owned(),
            object: object.clone(),
            now,
            namespace: cut.namespace().to_owned(),
            settings: serde_json::to_value(settings).expect("settings are made of JSON"),
            replies: replies.iter().map(|(key, reply)| (key.clone(), reply.clone())).collect(),
            objects,
            proven: proven.collect(),
            answers: answers.collect(),
            outcome,
        }
    }

    /// A file in `folder`, named by time, controller and object.
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        let object = self.object.to_string().replace('/', ".");
        folder.join(format!("{}-{}-{object}.json", self.now.strftime("%Y%m%dT%H%M%S%3fZ"), self.controller))
    }

    /// Repeats the reconcile; says what it decides now, as [`Record::outcome`] says what it decided then.
    ///
    /// # Errors
    /// [`ReplayError`]; the record is of another version, or damaged.
    pub fn replay<S: Switches + DeserializeOwned>(
        &self,
        controllers: &[Box<dyn AnyController<S>>],
        ports: &Ports,
    ) -> Result<String, ReplayError> {
        let undecodable = |what: &str| {
            let what = what.to_owned();
            move |source| ReplayError::Undecodable { what, source }
        };
        let declarations: Vec<Declaration> = controllers.iter().map(|one| one.declaration()).collect();
        let place = declarations.iter().position(|declaration| declaration.name == self.controller);
        let place = place.ok_or_else(|| ReplayError::NoController(self.controller.clone()))?;
        let all = kinds(&declarations);
        let mut cut = Cut::empty(&all).of_operator_in(&self.namespace);
        for (name, objects) in &self.objects {
            let Some(kind) = all.iter().find(|kind| format!("{kind:?}") == *name) else { continue };
            for object in objects {
                cut = (kind.restore)(cut, object.clone()).map_err(undecodable(name))?;
            }
        }
        for (name, at) in &self.proven {
            if let Some(kind) = all.iter().find(|kind| format!("{kind:?}") == *name) {
                cut.prove((kind.type_id)(), *at);
            }
        }
        for (port, key, answer) in &self.answers {
            ports.restore(&mut cut, port, key, answer.clone()).map_err(undecodable(port))?;
        }
        let settings = serde_json::from_value(self.settings.clone()).map_err(undecodable("settings"))?;
        let settings = std::sync::Arc::new(settings);
        let replies: Replies = self.replies.iter().cloned().collect();
        let decided = controllers[place].decide(&self.object, &cut, self.now, &settings, replies);
        let (decided, _) = decided.ok_or_else(|| ReplayError::NoObject(self.object.clone()))?;
        Ok(told(&decided))
    }
}

/// A decision as text: what records keep and replays compare.
pub(super) fn told(decided: &Result<Decided, Failure>) -> String {
    match decided {
        Ok(decided) => match &decided.status {
            Some(status) => format!("{decided}status {status}\n"),
            None => decided.to_string(),
        },
        Err(failure) => format!("failed {}: {failure}\n", failure.class.as_str()),
    }
}
