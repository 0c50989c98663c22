//! What a request asks: path, verb, query and body, taken apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use hyper::body::Bytes;
use serde_json::Value;

use super::Served;
use super::access::Request;
use super::object::Key;
use super::operate::{DeleteOptions, Part};
use super::refusal::{self, Refusal};
use super::selector::{FieldSelector, LabelSelector};
use super::store::{By, Preconditions, State};
use super::watch::Selection;

/// The largest body that the server reads.
const LARGEST_REQUEST: usize = 3 * 1024 * 1024;

const MERGE_PATCH: &str = "application/merge-patch+json";
pub(super) const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// The query words that are understood, or rightly make no difference here.
const KNOWN_WORDS: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldManager",
    "fieldSelector",
    "fieldValidation",
    "force",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
    "watch",
];

/// A request, taken apart.
pub(super) struct Asked {
    pub(super) table: usize,
    pub(super) request: Request,
    pub(super) namespace: Option<String>,
    /// Empty for collections.
    pub(super) name: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

/// Takes a request apart; `None` for what is not served.
pub(super) fn read(state: &State, user: Arc<str>, parts: &http::request::Parts, body: Bytes) -> Option<Asked> {
    let mut steps = parts.uri.path().split('/').filter(|step| !step.is_empty());
    let (group, version) = match steps.next()? {
        "api" => ("", steps.next()?),
        "apis" => (steps.next()?, steps.next()?),
        _ => return None,
    };
    let rest: Vec<&str> = steps.collect();
    let (namespace, rest) = match rest.as_slice() {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
        rest => (None, rest),
    };
    let (resource, name, subresource) = match rest {
        [resource] => (*resource, "", ""),
        [resource, name] => (*resource, *name, ""),
        [resource, name, subresource] => (*resource, *name, *subresource),
        _ => return None,
    };
    let is_meant = |served: &Served| {
        served.group == group
            && served.version == version
            && served.plural == resource
            && (namespace.is_none() || served.namespaced)
    };
    let table = state.tables.iter().position(|table| is_meant(&table.served))?;
    let served = &state.tables[table].served;
    // One object of a namespaced kind always has its namespace in the path.
    if served.namespaced && namespace.is_none() && (!name.is_empty() || parts.method == Method::POST) {
        return None;
    }
    let query: BTreeMap<String, String> = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .map(|(word, value)| (word.into_owned(), value.into_owned()))
        .collect();
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_understood = query.keys().all(|word| KNOWN_WORDS.contains(&word.as_str()))
        && query.get("resourceVersionMatch").is_none_or(|word| word == "NotOlderThan")
        && query.get("fieldValidation").is_none_or(|word| word != "Strict")
        && !header(http::header::ACCEPT).contains("as=");
    let is_watch = query.get("watch").is_some_and(|word| word == "true" || word == "1");
    let verb = match (&parts.method, name, subresource) {
        (&Method::GET, "", "") if is_watch => "watch",
        (&Method::GET, "", "") => "list",
        (&Method::GET, _, "") => "get",
        (&Method::POST, "", "") => "create",
        (&Method::POST, _, "eviction") if served.kind == "Pod" => "create",
        (&Method::PUT, _, "" | "status") if !name.is_empty() => "update",
        (&Method::PATCH, _, "" | "status") if !name.is_empty() => "patch",
        (&Method::DELETE, _, "") if !name.is_empty() => "delete",
        _ => return None,
    };
    let content_type = header(http::header::CONTENT_TYPE).to_owned();
    let is_known_patch = verb != "patch" || [MERGE_PATCH, APPLY_PATCH].contains(&content_type.as_str());
    let has_status = subresource != "status" || served.status_subresource;
    (is_understood && is_known_patch && has_status).then(|| Asked {
        table,
        request: Request {
            user,
            verb,
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
        },
        namespace,
        name: name.to_owned(),
        query,
        content_type,
        body,
    })
}

impl Asked {
    pub(super) fn word(&self, word: &str) -> &str {
        self.query.get(word).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn key(&self) -> Key {
        (self.namespace.clone().unwrap_or_default(), self.name.clone())
    }

    pub(super) fn part(&self) -> Part {
        if self.request.subresource == "status" { Part::Status } else { Part::Main }
    }

    pub(super) fn by(&self) -> By {
        let subresource = match self.request.subresource.as_str() {
            "status" => "status",
            "eviction" => "eviction",
            _ => "",
        };
        let body = self.json().unwrap_or_default();
        let places = [&body["metadata"], &body["preconditions"], &body["deleteOptions"]["preconditions"]];
        let told = |field: &str| places.iter().any(|place| place[field].is_string());
        let preconditions = Preconditions { uid: told("uid"), resource_version: told("resourceVersion") };
        By { user: self.request.user.clone(), verb: self.request.verb, subresource, preconditions }
    }

    pub(super) fn json(&self) -> Result<Value, Refusal> {
        if self.body.len() > LARGEST_REQUEST {
            return Err(refusal::too_large_request(LARGEST_REQUEST));
        }
        let value: Value = serde_json::from_slice(&self.body)
            .map_err(|broken| refusal::bad_request(format!("the object provided is unrecognized: {broken}")))?;
        if value.is_object() { Ok(value) } else { Err(refusal::bad_request("the object provided is unrecognized")) }
    }

    /// The version a list or watch asks for; `None` for "any" and "none said".
    pub(super) fn version(&self) -> Result<Option<u64>, Refusal> {
        match self.word("resourceVersion") {
            "" | "0" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                refusal::bad_request(format!(
                    "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
                ))
            }),
        }
    }

    pub(super) fn selection(&self, served: &Served) -> Result<Selection, Refusal> {
        Ok(Selection {
            namespace: self.namespace.clone(),
            labels: LabelSelector::parse(self.word("labelSelector"))?,
            fields: FieldSelector::parse(self.word("fieldSelector"), &served.kind)?,
        })
    }
}

/// Reads `metav1.DeleteOptions`.
///
/// # Panics
/// On a dry run, which is not served.
pub(super) fn delete_options(options: &Value) -> DeleteOptions {
    assert!(options.get("dryRun").is_none(), "the embedded API server does not serve dry runs");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    DeleteOptions {
        uid: text(&options["preconditions"]["uid"]),
        resource_version: text(&options["preconditions"]["resourceVersion"]),
        grace_period_seconds: options["gracePeriodSeconds"].as_i64(),
        propagation: text(&options["propagationPolicy"]),
    }
}
