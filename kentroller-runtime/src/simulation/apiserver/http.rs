//! From a request to an answer. What is not served here panics: nothing in this project may ask it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use serde_json::{Value, json};
use tower::BoxError;

use super::apply::Ownership;
use super::asked::{APPLY_PATCH, Asked, delete_options, read};
use super::faults::Trouble;
use super::list::Continue;
use super::merge::merge;
use super::object;
use super::operate::{DeleteOptions, Part, Removed};
use super::refusal::{self, FieldMistake, Refusal};
use super::store::{State, Stored};
use super::watch::{Wanted, Watch};
use super::{ApiServer, Served};

/// The body of an answer.
pub(super) enum Answer {
    Whole(Option<Bytes>),
    Watch(Box<Watch>),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(_) => f.write_str("Whole"),
            Self::Watch(watch) => watch.fmt(f),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Watch(watch) => Pin::new(watch).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Watch(_) => SizeHint::default(),
        }
    }
}

/// What a request came to: code and whole body, or a stream.
type Outcome = Result<(StatusCode, Answer), Refusal>;

impl ApiServer {
    /// Answers one request.
    ///
    /// # Errors
    /// A broken connection, where a fault says so.
    pub(super) async fn serve(
        self,
        user: Arc<str>,
        request: http::Request<kube::client::Body>,
    ) -> Result<Response<Answer>, BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let asked = {
            let mut state = self.lock();
            match read(&state, user, &parts, body) {
                Some(asked) => asked,
                None => {
                    let told = format!("{} {}", parts.method, parts.uri);
                    state.unserved.push(told.clone());
                    drop(state);
                    panic!("the embedded API server does not serve {told}");
                }
            }
        };
        *self.lock().requests.entry(asked.request.clone()).or_default() += 1;
        let trouble = self.lock().faults.trouble(&asked.request, &asked.name);
        let mut at = None;
        let broken = || Err(BoxError::from(io::Error::from(io::ErrorKind::ConnectionReset)));
        match trouble {
            Some(Trouble::Disconnect) => return broken(),
            Some(Trouble::Hang) => std::future::pending().await,
            Some(Trouble::Delay(time)) => tokio::time::sleep(time).await,
            Some(Trouble::Refuse(refusal)) => return Ok(respond(Err(refusal))),
            Some(Trouble::LoseReply) => {
                drop(self.transact(|state| state.perform(&self, &asked, None)));
                return broken();
            }
            Some(Trouble::Stale(revision)) => at = Some(revision),
            None => {}
        }
        Ok(respond(self.transact(|state| state.perform(&self, &asked, at))))
    }
}

fn respond(outcome: Outcome) -> Response<Answer> {
    let (code, answer, wait) = match outcome {
        Ok((code, answer)) => (code, answer, 0),
        Err(refusal) => {
            let code = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let wait = refusal.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            (code, whole(&refusal::body(&refusal)), wait)
        }
    };
    let mut response = Response::new(answer);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if wait > 0 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

fn whole(value: &Value) -> Answer {
    Answer::Whole(Some(value.to_string().into()))
}

impl State {
    /// Does what was asked; reads are of version `at`, where a fault says so.
    fn perform(&mut self, server: &ApiServer, asked: &Asked, at: Option<u64>) -> Outcome {
        let served = self.tables[asked.table].served.clone();
        self.authorize(&asked.request, &served, asked.namespace.as_deref(), &asked.name)?;
        match (asked.request.verb, asked.request.subresource.as_str()) {
            ("get", _) => self.answer_get(asked, at),
            ("list", _) => self.answer_list(asked, &served, at),
            ("watch", _) => self.answer_watch(server, asked, &served),
            ("create", "eviction") => self.answer_eviction(asked),
            ("create", _) => {
                let namespace = asked.namespace.as_deref().unwrap_or_default();
                let stored = self.create(asked.table, namespace, asked.json()?, false, &asked.by())?;
                Ok(self.show(StatusCode::CREATED, asked.table, &stored))
            }
            ("update", _) => self.answer_update(asked, &served),
            ("patch", _) if asked.content_type == APPLY_PATCH => self.answer_apply(asked, &served),
            ("patch", _) => {
                let patch = asked.json()?;
                let stored = self.change(asked.table, &asked.key(), asked.part(), &asked.by(), |current| {
                    let mut object = current.clone();
                    // The patched object carries a version only if the patch does.
                    object::meta_mut(&mut object).remove("resourceVersion");
                    merge(&mut object, &patch);
                    Ok((object, false))
                })?;
                Ok(self.show(StatusCode::OK, asked.table, &stored))
            }
            ("delete", _) => self.answer_delete(asked, &served),
            (verb, sub) => unreachable!("{verb} {sub} is not read from any request"),
        }
    }

    fn show(&self, code: StatusCode, table: usize, stored: &Stored) -> (StatusCode, Answer) {
        (code, Answer::Whole(Some(self.tables[table].bytes(stored))))
    }

    fn answer_list(&self, asked: &Asked, served: &Served, at: Option<u64>) -> Outcome {
        if let Some(version) = asked.version()?
            && version > self.revision
        {
            return Err(refusal::too_large_version(version, self.revision));
        }
        let selection = asked.selection(served)?;
        let after = match asked.word("continue") {
            "" => None,
            token => Some(Continue::parse(token).ok_or_else(|| refusal::bad_request("continue key is not valid"))?),
        };
        let limit = asked.word("limit").parse().ok().filter(|limit| *limit > 0);
        let revision = after.as_ref().map(|after| after.revision).or(at).unwrap_or(self.revision);
        let table = &self.tables[asked.table];
        let bytes = table.page(served, &selection, revision, self.revision, after.as_ref(), limit)?;
        Ok((StatusCode::OK, Answer::Whole(Some(bytes))))
    }

    fn answer_get(&self, asked: &Asked, at: Option<u64>) -> Outcome {
        let key = asked.key();
        let stored = match at {
            Some(revision) => {
                let table = &self.tables[asked.table];
                let older = table.range_at(asked.namespace.as_deref(), revision)?.remove(&key);
                older.ok_or_else(|| refusal::not_found(&table.served, &key.1))?
            }
            None => self.find(asked.table, &key)?.clone(),
        };
        Ok(self.show(StatusCode::OK, asked.table, &stored))
    }

    fn answer_watch(&self, server: &ApiServer, asked: &Asked, served: &Served) -> Outcome {
        let selection = asked.selection(served)?;
        let since = asked.version()?;
        if let Some(since) = since
            && since > self.revision
        {
            return Err(refusal::too_large_version(since, self.revision));
        }
        // Without a time the real server picks one between 30 and 60 minutes.
        let lasting = Duration::from_secs(asked.word("timeoutSeconds").parse().unwrap_or(2700));
        let bookmarks = asked.word("allowWatchBookmarks") == "true";
        let table = &self.tables[asked.table];
        let wanted = Wanted { selection, since, lasting, bookmarks };
        let watch = Watch::new(server.clone(), table, asked.table, self.revision, wanted);
        Ok((StatusCode::OK, Answer::Watch(Box::new(watch))))
    }

    fn answer_update(&mut self, asked: &Asked, served: &Served) -> Outcome {
        let wanted = asked.json()?;
        let name = asked.name.as_str();
        if object::text(&wanted, "name") != name {
            let told = object::text(&wanted, "name");
            return Err(refusal::bad_request(format!(
                "the name of the object ({told}) does not match the name on the URL ({name})"
            )));
        }
        let key = asked.key();
        let current = self.find(asked.table, &key)?;
        let (told, found) = (object::text(&wanted, "uid"), object::text(&current.object, "uid"));
        if !told.is_empty() && told != found {
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{}/{}{name}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: UID in precondition: {told}, UID in object meta: {found}",
                served.registry(),
                asked.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default()
            );
            return Err(refusal::conflict(served, name, &why));
        }
        if object::text(&wanted, "resourceVersion").is_empty() && served.needs_version() {
            let mistake =
                FieldMistake::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(refusal::invalid(served, name, vec![mistake]));
        }
        let stored = self.change(asked.table, &key, asked.part(), &asked.by(), |_| Ok((wanted, false)))?;
        Ok(self.show(StatusCode::OK, asked.table, &stored))
    }

    fn answer_apply(&mut self, asked: &Asked, served: &Served) -> Outcome {
        let wanted = asked.json()?;
        let applier = asked.word("fieldManager");
        if applier.is_empty() {
            let mistake = FieldMistake::required("fieldManager", "is required for apply patch");
            let options = Served { group: "meta.k8s.io".into(), kind: "PatchOptions".into(), ..served.clone() };
            return Err(refusal::invalid(&options, "", vec![mistake]));
        }
        let (table, key) = (asked.table, asked.key());
        let splits = served.status_subresource;
        if !self.tables[table].objects.contains_key(&key) && asked.part() == Part::Main {
            return self.create_by_apply(asked, served, wanted, applier);
        }
        let before = self.tables[table].applied.get(&key).cloned().unwrap_or_default();
        let schema = self.tables[table].schema.as_ref().map(|schema| schema.structural().clone());
        let mut after = before.clone();
        let stored = self.change(table, &key, asked.part(), &asked.by(), |current| {
            let applied = before.apply(schema.as_ref(), current, &wanted, splits, applier, &asked.request.subresource);
            if !applied.conflicts.is_empty() && asked.word("force") != "true" {
                return Err(refusal::apply_conflict(&applied.conflicts, &served.api_version()));
            }
            let touched = applied.ownership != before;
            after = applied.ownership;
            let mut object = applied.object;
            for field in ["uid", "resourceVersion"] {
                object::keep_meta(&mut object, &wanted, field);
            }
            Ok((object, touched))
        })?;
        if self.tables[table].objects.contains_key(&key) {
            self.tables[table].applied.insert(key, after);
        }
        Ok(self.show(StatusCode::OK, table, &stored))
    }

    fn create_by_apply(&mut self, asked: &Asked, served: &Served, wanted: Value, applier: &str) -> Outcome {
        let uid = object::text(&wanted, "uid");
        if !uid.is_empty() {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(refusal::conflict(served, &asked.name, &why));
        }
        let schema = self.tables[asked.table].schema.as_ref().map(|schema| schema.structural().clone());
        let ownership = Ownership::of_creation(schema.as_ref(), &wanted, served.status_subresource, applier);
        let mut object = wanted;
        object::set_meta(&mut object, "name", json!(asked.name));
        object::meta_mut(&mut object).remove("resourceVersion");
        let namespace = asked.namespace.as_deref().unwrap_or_default();
        let stored = self.create(asked.table, namespace, object, false, &asked.by())?;
        self.tables[asked.table].applied.insert(asked.key(), ownership);
        Ok(self.show(StatusCode::CREATED, asked.table, &stored))
    }

    fn answer_delete(&mut self, asked: &Asked, served: &Served) -> Outcome {
        let options = if asked.body.is_empty() { DeleteOptions::default() } else { delete_options(&asked.json()?) };
        let removed = self.delete(asked.table, &asked.key(), &options, &asked.by())?;
        match removed {
            Removed::Gone(last) if served.kind != "Pod" => {
                let uid = object::text(&last.object, "uid");
                let mut details = json!({"name": asked.name, "kind": served.plural, "uid": uid});
                if !served.group.is_empty() {
                    details["group"] = json!(served.group);
                }
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details
                });
                Ok((StatusCode::OK, whole(&status)))
            }
            Removed::Gone(stored) | Removed::Leaving(stored) => Ok(self.show(StatusCode::OK, asked.table, &stored)),
        }
    }

    fn answer_eviction(&mut self, asked: &Asked) -> Outcome {
        let body = asked.json()?;
        if object::text(&body, "name") != asked.name {
            return Err(refusal::bad_request("name in URL does not match name in Eviction object"));
        }
        // kube's `Api::evict` writes `delete_options`, which the real server does not know: preconditions would be lost.
        let lost =
            ["preconditions", "gracePeriodSeconds"].iter().any(|word| body["delete_options"].get(word).is_some());
        assert!(!lost, "an eviction with `delete_options`: the API server reads `deleteOptions` only");
        let options = delete_options(&body["deleteOptions"]);
        self.evict(asked.table, &asked.key(), &options, &asked.by())?;
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        Ok((StatusCode::CREATED, whole(&status)))
    }
}
