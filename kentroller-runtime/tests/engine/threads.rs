//! The one test with the machine's clock and with threads: what a simulation on one thread cannot show. It waits for what
//! must happen, and says nothing of how long it takes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kentroller_runtime::operator::Operator;
use kentroller_runtime::simulation::apiserver::ApiServer;
use kentroller_runtime::{Clock, reconciler};
use kube::client::Body;
use serde_json::json;
use tower::BoxError;

use crate::kinds::{Script, Widgets, script};
use crate::stage::served;

/// Serves the API over HTTP, on a thread of its own.
fn serve(server: ApiServer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it does not block");
    let address = listener.local_addr().expect("an address");
    on_a_thread(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let client = server.client("one");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let client = client.clone();
            let answer = service_fn(move |request: http::Request<Incoming>| {
                let client = client.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let bytes = body.collect().await?.to_bytes().to_vec();
                    client.send(http::Request::from_parts(parts, Body::from(bytes))).await.map_err(BoxError::from)
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    address
}

fn on_a_thread(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::spawn(move || runtime.block_on(work));
}

/// A reconcile that does not return before it may.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<(bool, bool)>, Condvar)>);

impl Gate {
    fn script(&self) -> Script {
        let gate = self.clone();
        script(move |_, _, _| {
            let (state, changed) = &*gate.0;
            let mut state = state.lock().expect("not poisoned");
            state.0 = true;
            changed.notify_all();
            drop(changed.wait_while(state, |(_, open)| !*open).expect("not poisoned"));
            Ok(())
        })
    }

    fn wait_until_reconciling(&self) {
        let (state, changed) = &*self.0;
        let state = state.lock().expect("not poisoned");
        let waited = changed.wait_timeout_while(state, LIMIT, |(began, _)| !*began).expect("not poisoned");
        assert!(!waited.1.timed_out(), "nothing is reconciled");
    }

    fn open(&self) {
        self.0.0.lock().expect("not poisoned").1 = true;
        self.0.1.notify_all();
    }
}

/// Long after everything must have happened.
const LIMIT: Duration = Duration::from_secs(60);

fn probe(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the probes are served");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

#[test]
fn a_reconcile_that_does_not_return_holds_up_neither_the_lease_nor_the_probes() {
    let clock = Clock::system();
    let server = ApiServer::new(move || clock.now(), served());
    let widget =
        json!({"apiVersion": "test.example/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 1}});
    server.create(widget).expect("created");
    let api = serve(server.clone());
    // A port that was free a moment ago.
    let probes = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let gate = Gate::default();
    let operator = Operator::of(vec![reconciler::<Widgets>()]).settings(gate.script()).probes(probes);
    on_a_thread(async move {
        let config = kube::Config::new(format!("http://{api}").parse().expect("a URL"));
        let ended = operator.run(config).await;
        panic!("it ended: {ended:?}");
    });
    gate.wait_until_reconciling();
    let renewed = || {
        let lease = server.get("Lease", Some("default"), "operator").expect("a lease");
        lease["spec"]["renewTime"].as_str().map(str::to_owned)
    };
    let mut last = renewed();
    for _ in 0..2 {
        let mut tries = (0..600).map(|_| std::thread::sleep(LIMIT / 600));
        assert!(tries.any(|()| renewed() != last), "the lease is not renewed while a reconcile runs");
        last = renewed();
    }
    assert!(probe(probes, "/livez").starts_with("HTTP/1.1 200"));
    let scraped = probe(probes, "/metrics");
    let line = scraped.lines().find(|line| line.starts_with("operator_workqueue_longest_running_processor_seconds "));
    let seconds = line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds > 0.0), "the stuck reconcile is seen: {line:?}");
    gate.open();
}
