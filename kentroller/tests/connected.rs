//! A build with feature `connected`: the operator has its plans made by a backend, over a real socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kentroller::backend::{Backend, Effort, Fleet, KeyFolder, measured};
use kentroller::simulation::Operated;
use kentroller_rpc::v1::Question;
use kentroller_rpc::{Client, Endpoint, Limits, NoPlan, Pace, Serving, Tls, serve};
use kentroller_runtime::Clock;
use kentroller_world::{Drift, Setup};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

const CLUSTER: &str = "prod-eu";
const KEY: &str = "canary-5f1d";
const LIMITS: Limits =
    Limits { questions: 4, workers: 2, message_bytes: 64 << 20, keep_alive: Duration::from_millis(200) };

fn runtime(paused: bool) -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(paused).build().expect("a runtime")
}

/// A folder with the key of the cluster.
fn keys(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("kentroller-keys-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(CLUSTER), format!("{KEY}\n")).expect("a key");
    folder
}

/// A backend in a thread of its own, which ends when the sender goes.
fn fleet(keys: PathBuf) -> (SocketAddr, Arc<Fleet>, oneshot::Sender<()>) {
    let runtime = runtime(false);
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let fleet = Arc::new(Fleet::new(Effort::Steps(2_000), Clock::system()));
    let planner = Arc::clone(&fleet);
    let serving = Serving { keys: Arc::new(KeyFolder(keys)), planner, limits: LIMITS, identity: None };
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                served = serve(serving, listener, std::future::pending()) => served.expect("it serves"),
                _ = stopped => {}
            }
        });
    });
    (address, fleet, stop)
}

fn client(address: &str, key: &'static str) -> Client {
    let endpoint = Endpoint {
        address: address.to_owned(),
        tls: Tls::Off,
        cluster_id: CLUSTER.to_owned(),
        key: Arc::new(move || Ok(key.to_owned())),
        instance: "kentroller-0".to_owned(),
        version: "0.1.0".to_owned(),
    };
    let ms = Duration::from_millis;
    let pace = Pace { first: ms(10), most: ms(50), refused: ms(100), connect: ms(500), grace: ms(60_000) };
    Client::start(endpoint, pace).expect("a thread")
}

/// A claim that executes its plan, once it has ended.
async fn claimed(operated: &Operated, name: &str) -> Value {
    let claim = json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlanClaim", "metadata": {"name": name},
        "spec": {"autoExecute": true}});
    operated.server.create(claim).map_err(|refusal| refusal.message).expect("the claim is accepted");
    for _ in 0..3 * 720 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let claim = operated.server.get("RebalancePlanClaim", None, name).expect("the claim");
        if ["Completed", "Failed", "Skipped", "Canceled"].iter().any(|end| claim["status"]["state"] == *end) {
            return (*claim).clone();
        }
    }
    panic!("claim {name} has not ended within three hours")
}

#[test]
fn an_operator_has_its_plan_made_by_a_backend_and_says_so_when_that_is_away() {
    let (address, fleet, stop) = fleet(keys("story"));
    let backend = Arc::new(Backend::new(client(&address.to_string(), KEY)));
    runtime(true).block_on(async {
        let start = "2026-11-22T01:58:00Z".parse().expect("a time");
        let setup = Setup { seed: 1, ..Setup::default() };
        let mut operated = Operated::start(Drift { nodes: 12, seed: 1 }, setup, start).expect("the cluster is built");
        operated.backend = Some(Arc::clone(&backend));
        operated.restart().await;
        let before = operated.world.price_per_hour();
        let claim = claimed(&operated, "now").await;
        assert_eq!(claim["status"]["state"], "Completed", "{claim}");
        assert!(operated.world.price_per_hour() < before);
        assert_eq!(operated.world.pods_not_running(), [""; 0]);
        let told = fleet.told(measured::ANSWERS.name)();
        assert!(told.iter().any(|(labels, count)| *labels == [CLUSTER, "plan"] && *count >= 1.0), "{told:?}");

        drop(stop);
        let claim = claimed(&operated, "later").await;
        let text = claim.to_string();
        assert_eq!(claim["status"]["state"], "Failed", "{text}");
        assert!(text.contains("no connection with") && text.contains("FailureReasonTimeout"), "{text}");
        assert!(operated.is_running() && !text.contains(KEY));
    });
    let dropped = backend.told(measured::DROPPED.name)();
    assert!(dropped.iter().all(|(_, count)| *count == 0.0), "{dropped:?}");
}

/// `kentroller serve-plans` as a process.
struct Served {
    child: Child,
    address: String,
    rest: BufReader<std::process::ChildStderr>,
}

impl Served {
    fn start(keys: &PathBuf, metrics: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kentroller"))
            .args([
                "serve-plans",
                "--disable-tls",
                "--listen",
                "127.0.0.1:0",
                "--metrics-bind-address",
                metrics,
                "--keys",
            ])
            .arg(keys)
            .env("RUST_LOG", "info,kentroller=debug,kentroller_rpc=debug")
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo has built the program");
        let mut rest = BufReader::new(child.stderr.take().expect("its log"));
        let mut line = String::new();
        while !line.contains("plans are served") {
            line.clear();
            assert!(rest.read_line(&mut line).expect("a line") > 0, "it ended");
        }
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        let address = line["fields"]["address"].as_str().expect("an address").to_owned();
        Self { child, address, rest }
    }

    /// What it has logged until it was told to stop, and that it ended well.
    fn stop(mut self) -> String {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        assert!(told.success());
        let mut log = String::new();
        self.rest.read_to_string(&mut log).expect("its log");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0), "{log}");
        log
    }
}

fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("metrics");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("asked");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn serve_plans_answers_whoever_has_a_key_and_tells_what_it_did_without_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let served = Served::start(&keys("process"), &free.to_string());
    let question = || Question { question_id: "a".to_owned(), time_limit_ms: 1_000, ..Question::default() };
    let known = client(&served.address, KEY);
    let Err(NoPlan::Refused { reason, message }) = known.ask(question(), &|| false) else {
        panic!("it holds no cluster")
    };
    assert_eq!(reason, "QuestionInvalid", "{message}");
    let stranger = client(&served.address, "canary-of-a-stranger");
    let Err(NoPlan::Away(why)) = stranger.ask(question(), &|| false) else { panic!("it has no key") };
    assert!(why.contains("refuses the cluster's key"), "{why}");
    let told = metrics(&free.to_string());
    for line in [
        "kentroller_fleet_answers_total{cluster=\"prod-eu\",result=\"refused\"} 1",
        "kentroller_fleet_streams{cluster=\"prod-eu\"} 1",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let log = served.stop();
    assert!(log.contains("a cluster has registered") && !log.contains("canary") && !why.contains("canary"), "{log}");
}

#[test]
fn an_operator_whose_backend_is_away_starts_all_the_same() {
    let ran = Command::new(env!("CARGO_BIN_EXE_kentroller"))
        .arg("run")
        .env_clear()
        .envs([
            ("CLUSTER_ID", CLUSTER),
            ("API_KEY", KEY),
            ("API_URL", "https://api.example.com"),
            ("GRPC_URL", "127.0.0.1:1"),
        ])
        .envs([("HOME", "/nonexistent"), ("KUBECONFIG", "/nonexistent")])
        .output()
        .expect("cargo has built the program");
    let told = String::from_utf8_lossy(&ran.stderr);
    // What it lacks here is a cluster, not a backend.
    assert!(ran.status.code() == Some(1) && told.contains("no cluster") && !told.contains(KEY), "{told}");
}
