//! Lists: pages of the objects of one kind, all of one version.
//!
//! A page that does not reach the end names the version and the last object; the next page is of that version too,
//! whatever was written since. The log of changes, walked backwards, gives the older state.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::json;

use super::Served;
use super::object::Key;
use super::refusal::{self, Refusal};
use super::store::{Stored, Table};
use super::watch::Selection;

/// Where the page before ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Continue {
    pub(super) revision: u64,
    after: Key,
}

impl Continue {
    /// Reads a token; `None` for one that no page has given.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let (revision, key) = token.split_once('.')?;
        let (namespace, name) = key.split_once('/')?;
        Some(Self { revision: revision.parse().ok()?, after: (namespace.to_owned(), name.to_owned()) })
    }

    fn token(revision: u64, (namespace, name): &Key) -> String {
        format!("{revision}.{namespace}/{name}")
    }
}

impl Table {
    /// The objects of a namespace, or of all, as they were at a version.
    ///
    /// # Errors
    /// 410 when the log does not go back that far.
    pub(super) fn range_at(
        &self,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<BTreeMap<Key, Arc<Stored>>, Refusal> {
        if revision < self.oldest {
            return Err(refusal::expired_list());
        }
        let mut objects: BTreeMap<Key, Arc<Stored>> =
            self.range(namespace).map(|(key, stored)| (key.clone(), stored.clone())).collect();
        let from = self.log.partition_point(|change| change.revision <= revision);
        for change in self.log.range(from..).rev() {
            let key = change.now.key();
            if namespace.is_some_and(|namespace| key.0 != namespace) {
                continue;
            }
            match &change.before {
                Some(before) => drop(objects.insert(key, before.clone())),
                None => drop(objects.remove(&key)),
            }
        }
        Ok(objects)
    }

    /// The body of a list as of a version; `limit` of `None` is all at once.
    ///
    /// # Errors
    /// 410 when the version is no longer kept.
    pub(super) fn page(
        &self,
        served: &Served,
        selection: &Selection,
        revision: u64,
        now: u64,
        after: Option<&Continue>,
        limit: Option<usize>,
    ) -> Result<Bytes, Refusal> {
        let namespace = selection.namespace.as_deref();
        if revision >= self.log.back().map_or(now, |last| last.revision) {
            Ok(self.encode(served, selection, revision, after, limit, self.range(namespace)))
        } else {
            let older = self.range_at(namespace, revision)?;
            Ok(self.encode(served, selection, revision, after, limit, older.iter()))
        }
    }

    fn encode<'a>(
        &self,
        served: &Served,
        selection: &Selection,
        revision: u64,
        after: Option<&Continue>,
        limit: Option<usize>,
        objects: impl Iterator<Item = (&'a Key, &'a Arc<Stored>)>,
    ) -> Bytes {
        let mut items = objects
            .filter(|(key, _)| after.is_none_or(|after| **key > after.after))
            .filter(|(_, stored)| selection.takes(&stored.object));
        let (mut body, mut last) = (Vec::new(), None);
        for (at, (key, stored)) in items.by_ref().take(limit.unwrap_or(usize::MAX)).enumerate() {
            body.extend_from_slice(if at == 0 { b"{" } else { b",{" });
            if served.crd.is_some() {
                body.extend_from_slice(self.head.as_bytes());
            }
            body.extend_from_slice(&stored.tail);
            last = Some(key);
        }
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        let left = items.count();
        if let Some(last) = last
            && left > 0
        {
            metadata["continue"] = json!(Continue::token(revision, last));
            if selection.takes_all() {
                metadata["remainingItemCount"] = json!(left);
            }
        }
        let (kind, version) = (&served.kind, served.api_version());
        let head =
            format!("{{\"kind\":\"{kind}List\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":[");
        let mut whole = Vec::with_capacity(head.len() + body.len() + 2);
        whole.extend_from_slice(head.as_bytes());
        whole.append(&mut body);
        whole.extend_from_slice(b"]}");
        whole.into()
    }
}
