//! The verbs, with the rules that hold for everybody: requests over HTTP and the simulated world alike.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Served;
use super::builtin;
use super::gc::{FOREGROUND, ORPHAN};
use super::metadata;
use super::object::{self, Key};
use super::refusal::{self, FieldMistake, Refusal};
use super::store::{By, State, Stored};

/// Which half of an object a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Main,
    Status,
}

/// How to delete; the default is background propagation without preconditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Delete only the object with this uid.
    pub uid: Option<String>,
    /// Delete only this version of the object.
    pub resource_version: Option<String>,
    /// Seconds a pod gets to end; `None` for what its spec says.
    pub grace_period_seconds: Option<i64>,
    /// `Background`, `Foreground` or `Orphan`.
    pub propagation: Option<String>,
}

/// What a delete came to.
#[derive(Clone, Debug)]
pub(super) enum Removed {
    /// It is gone; its last state.
    Gone(Arc<Stored>),
    /// It is leaving: finalizers or a grace period hold it.
    Leaving(Arc<Stored>),
}

/// The metadata that only the server writes, so that a request cannot.
const SERVER_OWNED: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "generateName",
];

/// `metav1.Time`: RFC 3339 in whole seconds.
pub(super) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl State {
    /// Creates an object. `seeded` keeps the status of the request, and the uid and age that it tells: for worlds that begin
    /// in the middle of a life.
    pub(super) fn create(
        &mut self,
        table: usize,
        namespace: &str,
        mut object: Value,
        seeded: bool,
        by: &By,
    ) -> Result<Arc<Stored>, Refusal> {
        let served = self.tables[table].served.clone();
        metadata::check_type(&served, &mut object)?;
        if served.namespaced {
            match object::text(&object, "namespace") {
                "" => object::set_meta(&mut object, "namespace", json!(namespace)),
                same if same == namespace => {}
                _ => {
                    return Err(refusal::bad_request(
                        "the namespace of the provided object does not match the namespace sent on the request",
                    ));
                }
            }
        } else {
            object::meta_mut(&mut object).remove("namespace");
        }
        if !object::text(&object, "resourceVersion").is_empty() {
            return Err(refusal::internal("resourceVersion should not be set on objects to be created"));
        }
        let stem = object::text(&object, "generateName").to_owned();
        if object::text(&object, "name").is_empty() && !stem.is_empty() {
            let name = format!("{stem}{}", self.next_suffix());
            object::set_meta(&mut object, "name", json!(name));
        }
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink", "generation"] {
            object::meta_mut(&mut object).remove(field);
        }
        let (uid, now) = (self.next_uid(), seconds(self.now));
        for (field, new) in [("uid", uid), ("creationTimestamp", now)] {
            if !seeded || object::text(&object, field).is_empty() {
                object::set_meta(&mut object, field, json!(new));
            }
        }
        if builtin::has_generation(&served) {
            object::set_meta(&mut object, "generation", json!(1));
        }
        if served.status_subresource && !seeded && !builtin::keeps_status_on_create(&served) {
            object::fields_mut(&mut object).remove("status");
        }
        builtin::complete(&served, &mut object, seeded);
        metadata::tidy(&mut object);
        let name = object::text(&object, "name").to_owned();
        let mut mistakes = metadata::mistakes(&object);
        if let Some(schema) = &self.tables[table].schema {
            schema.complete(&mut object);
            mistakes.extend(schema.mistakes(&object, None));
        }
        if !mistakes.is_empty() {
            return Err(refusal::invalid(&served, &name, mistakes));
        }
        let key = (object::text(&object, "namespace").to_owned(), name);
        if self.tables[table].objects.contains_key(&key) {
            return Err(refusal::already_exists(&served, &key.1));
        }
        self.put(table, key, object, by)
    }

    /// Changes the main part or the status of an object.
    ///
    /// `make` gives the wanted state from the current one, and whether it must be written although nothing visible
    /// differs (ownership of applied fields is not visible here). A state equal to the current one is not written.
    pub(super) fn change(
        &mut self,
        table: usize,
        key: &Key,
        part: Part,
        by: &By,
        make: impl FnOnce(&Value) -> Result<(Value, bool), Refusal>,
    ) -> Result<Arc<Stored>, Refusal> {
        let current = self.find(table, key)?.clone();
        let old = current.object.clone();
        let served = self.tables[table].served.clone();
        let (new, touched) = make(&old)?;
        let (version, uid) = (object::text(&new, "resourceVersion"), object::text(&new, "uid"));
        if !version.is_empty() && version != object::text(&old, "resourceVersion") {
            return Err(refusal::modified(&served, &key.1));
        }
        if !uid.is_empty() && uid != object::text(&old, "uid") {
            let mistake = FieldMistake::invalid("metadata.uid", &json!(uid), "field is immutable");
            return Err(refusal::invalid(&served, &key.1, vec![mistake]));
        }
        let mut new = of_part(part, &served, &old, new);
        builtin::normalize(&served, &mut new);
        metadata::tidy(&mut new);
        if let Some(schema) = &self.tables[table].schema {
            schema.complete(&mut new);
        }
        if *old == new && !touched {
            return Ok(current);
        }
        let mut mistakes = metadata::mistakes(&new);
        mistakes.extend(metadata::new_finalizers(&old, &new));
        if let Some(schema) = &self.tables[table].schema {
            mistakes.extend(schema.mistakes(&new, Some(&old)));
        }
        if !mistakes.is_empty() {
            return Err(refusal::invalid(&served, &key.1, mistakes));
        }
        let emptied = object::is_leaving(&new)
            && object::finalizers(&new).is_empty()
            && object::number(&new, "deletionGracePeriodSeconds").unwrap_or_default() == 0;
        if emptied {
            // As the real server does: the last finalizer goes with the object, not in a write of its own.
            self.remove(table, key, by);
            let tail = super::store::tail_of(&new);
            return Ok(Arc::new(Stored { object: Arc::new(new), tail, revision: self.revision }));
        }
        let aside: &[&str] = if served.status_subresource { &["metadata", "status"] } else { &["metadata"] };
        if builtin::has_generation(&served) && object::differs_beyond(&old, &new, aside) {
            raise_generation(&mut new);
        }
        if let Some(ownership) = self.tables[table].applied.get_mut(key) {
            ownership.written(&old, &new);
        }
        self.put(table, key.clone(), new, by)
    }

    /// Deletes an object, or marks it as leaving where finalizers or a grace period hold it.
    pub(super) fn delete(
        &mut self,
        table: usize,
        key: &Key,
        options: &DeleteOptions,
        by: &By,
    ) -> Result<Removed, Refusal> {
        let current = self.find(table, key)?.clone();
        let served = self.tables[table].served.clone();
        for (what, asked, field, why) in [
            ("UID", &options.uid, "uid", "deleted and then recreated"),
            ("ResourceVersion", &options.resource_version, "resourceVersion", "modified"),
        ] {
            let found = object::text(&current.object, field);
            if let Some(asked) = asked
                && asked != found
            {
                return Err(refusal::precondition(&served, &key.1, what, asked, found, why));
            }
        }
        let mut object = (*current.object).clone();
        set_propagation(&mut object, options.propagation.as_deref());
        let held = !object::finalizers(&object).is_empty();
        let leaving = object::is_leaving(&object);
        let left = object::number(&object, "deletionGracePeriodSeconds").unwrap_or_default();
        let asked = options.grace_period_seconds.map(|grace| if grace < 0 { 1 } else { grace });
        let grace = match (served.kind.as_str() == "Pod", leaving) {
            (false, _) => None,
            (true, false) => Some(builtin::grace(&object, asked)),
            (true, true) if left == 0 => None,
            (true, true) => match asked {
                Some(shorter) if shorter < left => Some(shorter),
                _ => return Ok(Removed::Leaving(current)),
            },
        };
        if grace.is_none() && !held {
            return Ok(self.take_away(table, key, by, current));
        }
        let period = grace.unwrap_or_default();
        if leaving {
            if grace.is_some() {
                shorten(&mut object, left - period);
            }
        } else {
            object::set_meta(
                &mut object,
                "deletionTimestamp",
                json!(seconds(self.now + SignedDuration::from_secs(period))),
            );
            if object::number(&object, "generation").is_some() {
                raise_generation(&mut object);
            }
        }
        object::set_meta(&mut object, "deletionGracePeriodSeconds", json!(period));
        let marked = if object == *current.object { current } else { self.put(table, key.clone(), object, by)? };
        if period == 0 && !held { Ok(self.take_away(table, key, by, marked)) } else { Ok(Removed::Leaving(marked)) }
    }

    fn take_away(&mut self, table: usize, key: &Key, by: &By, last: Arc<Stored>) -> Removed {
        Removed::Gone(self.remove(table, key, by).unwrap_or(last))
    }
}

/// An object as it becomes by a write of one part: the other part, and what only the server writes, stay.
fn of_part(part: Part, served: &Served, old: &Value, mut new: Value) -> Value {
    if part == Part::Status {
        let mut kept = old.clone();
        object::keep(&mut kept, &new, "status");
        return kept;
    }
    for field in SERVER_OWNED {
        object::keep_meta(&mut new, old, field);
    }
    for field in ["apiVersion", "kind"] {
        object::keep(&mut new, old, field);
    }
    if served.status_subresource {
        object::keep(&mut new, old, "status");
    }
    object::meta_mut(&mut new).remove("managedFields");
    new
}

fn raise_generation(object: &mut Value) {
    let generation = object::number(object, "generation").unwrap_or_default() + 1;
    object::set_meta(object, "generation", json!(generation));
}

/// Moves the end of a grace period to an earlier second.
fn shorten(object: &mut Value, by_seconds: i64) {
    if let Ok(at) = object::text(object, "deletionTimestamp").parse::<Timestamp>() {
        object::set_meta(object, "deletionTimestamp", json!(seconds(at - SignedDuration::from_secs(by_seconds))));
    }
}

/// Puts the finalizer of the propagation policy on, and takes that of another policy off.
fn set_propagation(object: &mut Value, policy: Option<&str>) {
    let Some(policy) = policy else { return };
    let wanted = match policy {
        "Foreground" => Some(FOREGROUND),
        "Orphan" => Some(ORPHAN),
        _ => None,
    };
    let mut all: Vec<String> = object::finalizers(object).into_iter().map(str::to_owned).collect();
    all.retain(|one| (one != FOREGROUND && one != ORPHAN) || Some(one.as_str()) == wanted);
    if let Some(wanted) = wanted
        && !all.iter().any(|one| one == wanted)
    {
        all.push(wanted.to_owned());
    }
    if all.is_empty() {
        object::meta_mut(object).remove("finalizers");
    } else {
        object::set_meta(object, "finalizers", json!(all));
    }
}
