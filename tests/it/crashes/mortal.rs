//! A client whose process ends at a write.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request};
use kentroller::simulation::USER;
use kentroller_runtime::simulation::apiserver::ApiServer;
use kube::client::Body;

/// Where in a write the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// It does not arrive.
    Before,
    /// It is done, and nobody hears of it.
    After,
}

/// The life of a process, as its writes show it; leases and events left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub(super) writes: usize,
    /// The write at which it ended.
    pub(super) last: String,
    pub(super) is_dead: bool,
}

/// What is known of a process from outside.
#[derive(Clone, Default)]
pub(super) struct Process(Arc<Mutex<Life>>);

impl Process {
    pub(super) fn life(&self) -> MutexGuard<'_, Life> {
        self.0.lock().expect("one thread")
    }
}

/// A client whose process ends at the write with this number: from then on nothing that it sends arrives, and no answer
/// reaches it.
pub(super) fn mortal(server: &ApiServer, crash: Option<(usize, When)>) -> (Process, kube::Client) {
    let process = Process::default();
    let (shared, inner) = (process.clone(), server.client(USER));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (process, inner) = (shared.clone(), inner.clone());
        async move {
            let now = die(&mut process.life(), &request, crash);
            if now == Some(When::Before) {
                std::future::pending::<Infallible>().await;
            }
            let answer = inner.send(request).await;
            if now == Some(When::After) || process.life().is_dead {
                std::future::pending::<Infallible>().await;
            }
            answer
        }
    });
    (process, kube::Client::new(service, "default"))
}

/// Counts the request if it writes; says whether the process ends with it.
fn die(life: &mut Life, request: &Request<Body>, crash: Option<(usize, When)>) -> Option<When> {
    if life.is_dead {
        return Some(When::Before);
    }
    let path = request.uri().path();
    if request.method() == Method::GET || path.contains("/leases") || path.contains("/events") {
        return None;
    }
    let number = life.writes;
    life.writes += 1;
    let (_, when) = crash.filter(|(at, _)| *at == number)?;
    life.is_dead = true;
    life.last = format!("{} {path}", request.method());
    Some(when)
}
