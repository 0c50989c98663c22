//! A server with a planner that answers at once, and clients of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kentroller_rpc::v1::{Question, Resync};
use kentroller_rpc::{Client, Endpoint, Identity, Keys, Limits, NoPlan, Pace, Planner, Refused, Serving, Tls, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub const CLUSTER: &str = "prod-eu";
pub const KEY: &str = "canary-5f1d";

/// So many milliseconds.
pub const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// A pace that tests have time for.
pub const QUICK: Pace = Pace { first: ms(5), most: ms(50), refused: ms(200), connect: ms(1_000), grace: ms(20_000) };

pub const LIMITS: Limits = Limits { questions: 4, workers: 4, message_bytes: 1 << 20, keep_alive: ms(100) };

/// Answers with the question's seed; a seed that begins with `slow` takes until it is cancelled, one with `no` is refused.
#[derive(Default)]
pub struct Echo {
    pub stands: Mutex<BTreeMap<String, Resync>>,
    pub streams: Mutex<BTreeMap<String, usize>>,
    pub asked: Mutex<Vec<String>>,
    pub cancelled: AtomicBool,
}

impl Planner for Echo {
    fn plan(&self, cluster: &str, question: &Question, cancelled: &Arc<AtomicBool>) -> Result<Vec<u8>, Refused> {
        self.asked.lock().expect("nobody panicked").push(format!("{cluster}/{}", question.question_id));
        let deadline = Instant::now() + Duration::from_millis(question.time_limit_ms.into());
        while question.seed.starts_with("slow") && Instant::now() < deadline {
            if cancelled.load(Ordering::Relaxed) {
                self.cancelled.store(true, Ordering::Relaxed);
                break;
            }
            std::thread::sleep(ms(5));
        }
        if question.seed.starts_with("no") {
            return Err(Refused::because("InputInvalid", "Node a: cpu is absurd"));
        }
        assert!(!question.seed.starts_with("panic"), "as the test wants it");
        Ok(question.seed.clone().into_bytes())
    }

    fn stands(&self, cluster: &str, standing: &Resync) {
        self.stands.lock().expect("nobody panicked").insert(cluster.to_owned(), standing.clone());
    }

    fn streams(&self, cluster: &str, streams: usize) {
        self.streams.lock().expect("nobody panicked").insert(cluster.to_owned(), streams);
    }
}

/// Keys by cluster.
pub struct Known(pub Mutex<BTreeMap<String, String>>);

impl Keys for Known {
    fn key_of(&self, cluster: &str) -> Option<String> {
        self.0.lock().expect("nobody panicked").get(cluster).cloned()
    }
}

/// A server that runs as long as this lives, in a thread of its own.
pub struct Backend {
    pub address: SocketAddr,
    pub echo: Arc<Echo>,
    pub keys: Arc<Known>,
    stop: Option<oneshot::Sender<()>>,
}

impl Backend {
    pub fn start(limits: Limits, identity: Option<Identity>) -> Self {
        Self::start_at("127.0.0.1:0", limits, identity)
    }

    pub fn start_at(address: &str, limits: Limits, identity: Option<Identity>) -> Self {
        let (echo, keys) = (Arc::new(Echo::default()), Arc::new(Known(Mutex::default())));
        keys.0.lock().expect("nobody panicked").insert(CLUSTER.to_owned(), KEY.to_owned());
        let serving = Serving { keys: keys.clone(), planner: echo.clone(), limits, identity };
        let (stop, stopped) = oneshot::channel();
        let address = spawn(address, async move |listener| {
            tokio::select! {
                served = serve(serving, listener, std::future::pending()) => served.expect("it serves"),
                _ = stopped => {}
            }
        });
        Self { address, echo, keys, stop: Some(stop) }
    }

    pub fn streams(&self) -> usize {
        self.echo.streams.lock().expect("nobody panicked").get(CLUSTER).copied().unwrap_or(0)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// Listens, and serves in a thread of its own, whose connections end with it.
pub fn spawn<F: Future<Output = ()>>(
    address: &str,
    serve: impl FnOnce(TcpListener) -> F + Send + 'static,
) -> SocketAddr {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind(address)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        runtime.block_on(serve(listener));
        runtime.shutdown_background();
    });
    address
}

pub fn endpoint(address: &str) -> Endpoint {
    Endpoint {
        address: address.to_owned(),
        tls: Tls::Off,
        cluster_id: CLUSTER.to_owned(),
        key: Arc::new(|| Ok(KEY.to_owned())),
        instance: "kentroller-0".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

pub fn client(address: SocketAddr) -> Client {
    Client::start(endpoint(&address.to_string()), QUICK).expect("a thread")
}

pub fn question(id: &str) -> Question {
    Question { question_id: id.to_owned(), seed: id.to_owned(), time_limit_ms: 10_000, ..Question::default() }
}

/// Asks, and waits as long as it takes.
pub fn ask(client: &Client, id: &str) -> Result<String, NoPlan> {
    let answer = client.ask(question(id), &|| false)?;
    Ok(String::from_utf8(answer).expect("a seed"))
}

/// Waits until something holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(ms(5));
    }
}
