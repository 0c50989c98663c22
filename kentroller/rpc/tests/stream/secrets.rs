//! Keys: whose they are, how they change, and that nobody reads them.

use std::io;
use std::sync::{Arc, Mutex};

use kentroller_rpc::{Client, Endpoint, NoPlan};
use tracing_subscriber::fmt::MakeWriter;

use crate::scene::{Backend, CLUSTER, KEY, LIMITS, QUICK, ask, endpoint, ms, until};

/// The log, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn with_key(backend: &Backend, cluster: &str, key: &str) -> Endpoint {
    let key = key.to_owned();
    Endpoint {
        cluster_id: cluster.to_owned(),
        key: Arc::new(move || Ok(key.clone())),
        ..endpoint(&backend.address.to_string())
    }
}

#[test]
fn a_key_opens_its_own_cluster_only_and_stands_in_no_log_and_no_error() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    subscriber.try_init().expect("the only one of this program");
    let backend = Backend::start(LIMITS, None);
    backend.keys.0.lock().expect("nobody panicked").insert("other".to_owned(), "canary-of-other".to_owned());
    backend.keys.0.lock().expect("nobody panicked").insert("keyless".to_owned(), String::new());
    let mut pace = QUICK;
    pace.connect = ms(500);
    let mut told = String::new();
    for (cluster, key, wanted) in [
        (CLUSTER, KEY, true),
        (CLUSTER, "canary-of-other", false),
        ("other", KEY, false),
        ("unknown", KEY, false),
        ("../keys", KEY, false),
        ("keyless", "", false),
        (CLUSTER, "canary\nwith a line", false),
    ] {
        let endpoint = with_key(&backend, cluster, key);
        told.push_str(&format!("{endpoint:?}"));
        let client = Client::start(endpoint, pace).expect("a thread");
        match ask(&client, "a") {
            Ok(_) => assert!(wanted, "{cluster} with {key}"),
            Err(NoPlan::Away(why)) => {
                assert!(!wanted, "{cluster} with {key}: {why}");
                assert!(why.contains("key"), "{why}");
                told.push_str(&why);
            }
            Err(other) => panic!("{other}"),
        }
    }
    told.push_str(&String::from_utf8_lossy(&log.0.lock().expect("nobody panicked")));
    assert!(told.contains("the backend refuses the cluster's key") && told.contains("a cluster has registered"));
    assert!(
        !told.contains("canary"),
        "the key stands here: {}",
        &told[told.find("canary").unwrap_or(0).saturating_sub(200)..][..260]
    );
}

#[test]
fn a_refused_key_is_not_tried_again_at_once() {
    let backend = Backend::start(LIMITS, None);
    let mut pace = QUICK;
    (pace.refused, pace.connect) = (ms(60_000), ms(500));
    let client = Client::start(with_key(&backend, CLUSTER, "wrong"), pace).expect("a thread");
    assert!(ask(&client, "a").is_err());
    assert_eq!(client.counts().broken, 1);
}

#[test]
fn a_key_that_changes_is_used_without_a_restart() {
    let backend = Backend::start(LIMITS, None);
    let key = Arc::new(Mutex::new(KEY.to_owned()));
    let mut endpoint = endpoint(&backend.address.to_string());
    let read = Arc::clone(&key);
    endpoint.key = Arc::new(move || Ok(read.lock().expect("nobody panicked").clone()));
    let client = Client::start(endpoint, QUICK).expect("a thread");
    assert_eq!(ask(&client, "a"), Ok("a".to_owned()));
    backend.keys.0.lock().expect("nobody panicked").insert(CLUSTER.to_owned(), "next".to_owned());
    assert_eq!(ask(&client, "b"), Ok("b".to_owned()), "a stream that stands is not asked again");
    *key.lock().expect("nobody panicked") = "next".to_owned();
    until("it has connected anew", || client.counts().confirmed == 2);
    assert_eq!(ask(&client, "c"), Ok("c".to_owned()));
}
