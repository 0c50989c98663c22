//! Garbage collection: what an owner leaves behind goes with it, or is set free.
//!
//! It runs at the end of the write that calls for it, in the order of kinds, namespaces and names. The real collector
//! does the same a little later and in no particular order.

use std::sync::Arc;

use serde_json::{Value, json};

use super::object::{self, Key};
use super::operate::{DeleteOptions, Part};
use super::store::{By, Preconditions, State, Stored};

/// Holds an owner until its blocking dependents are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Holds an owner until its dependents are set free.
pub(super) const ORPHAN: &str = "orphan";

/// Something for the collector to look at.
#[derive(Debug)]
pub(super) enum Chore {
    /// An owner is gone: look at what it owned.
    Gone(String),
    /// An owner is leaving and waits for the collector.
    Leaving(usize, Key),
}

fn collector() -> By {
    let user = "system:serviceaccount:kube-system:generic-garbage-collector".into();
    By { user, verb: "delete", subresource: "", preconditions: Preconditions::default() }
}

impl State {
    /// Keeps the indexes by owner and by uid, and notes what the collector must look at.
    pub(super) fn note_owners(&mut self, table: usize, key: &Key, before: Option<&Stored>, after: Option<&Stored>) {
        let owned_by = |stored: Option<&Stored>| -> Vec<String> {
            stored.into_iter().flat_map(|stored| object::owners(&stored.object)).map(str::to_owned).collect()
        };
        let (had, has) = (owned_by(before), owned_by(after));
        if had != has {
            for owner in &had {
                if let Some(all) = self.dependents.get_mut(owner) {
                    all.remove(&(table, key.clone()));
                    if all.is_empty() {
                        self.dependents.remove(owner);
                    }
                }
            }
            for owner in &has {
                self.dependents.entry(owner.clone()).or_default().insert((table, key.clone()));
                if self.gone.contains(owner) {
                    self.chores.push_back(Chore::Gone(owner.clone()));
                }
            }
            for owner in had.iter().filter(|owner| !has.contains(owner)) {
                if let Some((table, key)) = self.places.get(owner) {
                    self.chores.push_back(Chore::Leaving(*table, key.clone()));
                }
            }
        }
        match (before, after) {
            (None, Some(stored)) => {
                self.places.insert(object::text(&stored.object, "uid").to_owned(), (table, key.clone()));
            }
            (Some(stored), None) => {
                let uid = object::text(&stored.object, "uid").to_owned();
                self.places.remove(&uid);
                self.gone.insert(uid.clone());
                self.chores.push_back(Chore::Gone(uid));
            }
            (_, Some(stored)) => {
                let held = |name: &&str| *name == FOREGROUND || *name == ORPHAN;
                if object::is_leaving(&stored.object) && object::finalizers(&stored.object).iter().any(held) {
                    self.chores.push_back(Chore::Leaving(table, key.clone()));
                }
            }
            (None, None) => {}
        }
    }

    /// Works off all chores, those included that the work itself makes.
    pub(super) fn collect_garbage(&mut self) {
        while let Some(chore) = self.chores.pop_front() {
            match chore {
                Chore::Gone(owner) => self.owner_gone(&owner),
                Chore::Leaving(table, key) => self.owner_leaving(table, &key),
            }
        }
    }

    fn dependents_of(&self, owner: &str) -> Vec<(usize, Key, Arc<Value>)> {
        let all = self.dependents.get(owner).into_iter().flatten();
        let found = all.filter_map(|(table, key)| {
            let stored = self.tables[*table].objects.get(key)?;
            Some((*table, key.clone(), stored.object.clone()))
        });
        found.collect()
    }

    fn owner_gone(&mut self, owner: &str) {
        for (table, key, dependent) in self.dependents_of(owner) {
            if object::owners(&dependent).all(|uid| self.gone.contains(uid)) {
                self.delete_dependent(table, &key, &dependent, "Background");
            } else {
                self.set_free(table, &key, owner);
            }
        }
    }

    fn owner_leaving(&mut self, table: usize, key: &Key) {
        let Some(stored) = self.tables[table].objects.get(key) else { return };
        let object = stored.object.clone();
        if !object::is_leaving(&object) {
            return;
        }
        let uid = object::text(&object, "uid");
        let held = object::finalizers(&object);
        if held.contains(&ORPHAN) {
            for (table, key, _) in self.dependents_of(uid) {
                self.set_free(table, &key, uid);
            }
            self.lift(table, key, ORPHAN);
        } else if held.contains(&FOREGROUND) {
            for (table, key, dependent) in self.dependents_of(uid) {
                if object::owners(&dependent).any(|owner| self.is_solid(owner)) {
                    self.set_free(table, &key, uid);
                } else if !object::is_leaving(&dependent) {
                    let has_dependents = self.dependents.contains_key(object::text(&dependent, "uid"));
                    let policy = if has_dependents { "Foreground" } else { "Background" };
                    self.delete_dependent(table, &key, &dependent, policy);
                }
            }
            let blocks = |(_, _, dependent): &(usize, Key, Arc<Value>)| {
                let list = object::meta(dependent, "ownerReferences").and_then(Value::as_array);
                list.into_iter().flatten().any(|one| one["uid"] == uid && one["blockOwnerDeletion"] == true)
            };
            if !self.dependents_of(uid).iter().any(blocks) {
                self.lift(table, key, FOREGROUND);
            }
        }
    }

    /// Whether an owner stays: neither gone nor waiting for its dependents to go. One of a kind not served here stays.
    fn is_solid(&self, owner: &str) -> bool {
        let waits = self.places.get(owner).is_some_and(|(table, key)| {
            let stored = self.tables[*table].objects.get(key);
            stored.is_some_and(|stored| {
                object::is_leaving(&stored.object) && object::finalizers(&stored.object).contains(&FOREGROUND)
            })
        });
        !waits && !self.gone.contains(owner)
    }

    fn delete_dependent(&mut self, table: usize, key: &Key, dependent: &Value, policy: &str) {
        let options = DeleteOptions {
            uid: Some(object::text(dependent, "uid").to_owned()),
            propagation: Some(policy.to_owned()),
            ..DeleteOptions::default()
        };
        // Its own uid always holds, and a missing object is what was wanted.
        drop(self.delete(table, key, &options, &collector()));
    }

    /// Takes one owner out of an object.
    fn set_free(&mut self, table: usize, key: &Key, owner: &str) {
        self.amend(table, key, |object| {
            if let Some(Value::Array(list)) = object::meta_mut(object).get_mut("ownerReferences") {
                list.retain(|one| one["uid"] != owner);
            }
        });
    }

    fn lift(&mut self, table: usize, key: &Key, finalizer: &str) {
        self.amend(table, key, |object| {
            if let Some(Value::Array(list)) = object::meta_mut(object).get_mut("finalizers") {
                list.retain(|one| *one != json!(finalizer));
            }
        });
    }

    fn amend(&mut self, table: usize, key: &Key, amend: impl FnOnce(&mut Value)) {
        let by = By { verb: "patch", ..collector() };
        let changed = self.change(table, key, Part::Main, &by, |current| {
            let mut object = current.clone();
            amend(&mut object);
            Ok((object, false))
        });
        // A refusal leaves the object as it is; the next chore about it tries again.
        drop(changed);
    }
}
