//! Our own program, run as a user runs it: the built binary with a kubeconfig.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::install::NAMESPACE;

/// What the control plane's instance types are made from.
pub const CATALOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/controlplane/internal/ec2types/ec2-types.csv");

/// A running operator; dropping it kills it.
pub struct Operator {
    process: Child,
    log: PathBuf,
    /// Where it answers probes and scrapes.
    address: String,
}

impl Operator {
    /// Starts `kentroller run` with further arguments; its log is named after `name`.
    pub fn start(cluster: &Cluster, kubeconfig: &Path, name: &str, arguments: &[&str]) -> Self {
        Self::reading(cluster, kubeconfig, name, arguments, "")
    }

    /// As [`Operator::start`], with the ConfigMap of its settings; none if it has no name.
    pub fn reading(cluster: &Cluster, kubeconfig: &Path, name: &str, arguments: &[&str], config_map: &str) -> Self {
        let log = cluster.folder.join(format!("{name}.log"));
        // A port that was free a moment ago.
        let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = listener.expect("a port").to_string();
        let process = Command::new(binary())
            .args(["run", "--catalog", CATALOG, "--health-probe-bind-address", &address])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", name)
            .env("POD_NAMESPACE", NAMESPACE)
            .env("DYNAMIC_CONFIG_MAP_NAME", config_map)
            .env("RUST_LOG", "info")
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the operator starts");
        Self { process, log, address }
    }

    /// Starts the program with exactly these arguments and this environment; it must answer at a port of this machine.
    pub fn deployed(
        cluster: &Cluster,
        kubeconfig: &Path,
        arguments: &[&str],
        environment: &[(String, String)],
        port: u16,
    ) -> Self {
        let log = cluster.folder.join("deployed.log");
        let process = Command::new(binary())
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("KUBECONFIG", kubeconfig)
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the operator starts");
        Self { process, log, address: format!("127.0.0.1:{port}") }
    }

    /// Its whole answer to a probe or a scrape.
    pub fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: kentroller\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// Asks it to end, as a kubelet does, and waits until it has; it must end well and soon.
    pub fn stop(mut self) -> Log {
        let asked = Command::new("kill").arg(self.process.id().to_string()).status();
        assert!(asked.expect("kill runs").success());
        let started = Instant::now();
        let ended = loop {
            if let Some(ended) = self.process.try_wait().expect("our own child") {
                break ended;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "it does not end; see {}", self.log.display());
            std::thread::sleep(Duration::from_millis(50));
        };
        let log = self.log();
        assert!(ended.success(), "{ended}: {}", log.0);
        log
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("our own child").is_none()
    }

    pub fn log(&self) -> Log {
        Log(fs::read_to_string(&self.log).expect("a log"))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What it logged: a JSON object a line.
pub struct Log(pub String);

impl Log {
    /// The lines that say something.
    pub fn with(&self, words: &str) -> Vec<&str> {
        self.0.lines().filter(|line| line.contains(words)).collect()
    }

    /// The lines of a level.
    pub fn of_level(&self, level: &str) -> Vec<&str> {
        let is = |line: &&str| serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"] == level);
        self.0.lines().filter(is).collect()
    }

    /// Neither a missing right nor a warning of the API server.
    pub fn assert_clean(&self) {
        for words in ["Forbidden", "forbidden", "cannot read", "the API server warns", "panicked"] {
            assert_eq!(self.with(words), [""; 0], "{words} in the log");
        }
        assert_eq!(self.of_level("ERROR"), [""; 0]);
    }
}

/// What `kentroller approve PLAN` says to whom the kubeconfig stands for.
///
/// # Errors
/// What it says when it refuses.
pub fn approve(kubeconfig: &Path, plan: &str) -> Result<String, String> {
    command(kubeconfig, &["approve", plan])
}

/// What `kentroller` says with these arguments to whom the kubeconfig stands for.
///
/// # Errors
/// What it says when it refuses.
pub fn command(kubeconfig: &Path, arguments: &[&str]) -> Result<String, String> {
    let told = Command::new(binary()).args(arguments).env("KUBECONFIG", kubeconfig).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if told.status.success() { Ok(text(&told.stdout)) } else { Err(text(&told.stderr)) }
}

/// What the program says that does not start with this environment.
pub fn refused(environment: &[(&str, &str)]) -> String {
    let told = Command::new(binary()).arg("run").envs(environment.iter().copied()).output().expect("it runs");
    assert!(!told.status.success(), "it started");
    String::from_utf8_lossy(&told.stderr).into_owned()
}

/// What `kentroller replay` says of records in a folder; each must be decided again as it was.
pub fn replayed(folder: &Path) -> Vec<String> {
    let mut records: Vec<PathBuf> =
        fs::read_dir(folder).expect("records").map(|entry| entry.expect("a record").path()).collect();
    records.sort();
    let some = records.iter().step_by(records.len() / 8 + 1);
    some.map(|record| {
        let told = Command::new(binary()).arg("replay").arg(record).output().expect("it runs");
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.status.success(), "{}: {text}{}", record.display(), String::from_utf8_lossy(&told.stderr));
        text
    })
    .collect()
}

/// The operator's program as the image holds it: optimised, and without the simulation. Built now.
fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // target/PROFILE/deps/e2e-HASH
        let test = std::env::current_exe().expect("our own path");
        let target = test.ancestors().nth(3).expect("a target folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--release", "--no-default-features"]);
        cargo.args(["--package", "kentroller", "--bin", "kentroller", "--target-dir"]).arg(target);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(cargo.status().expect("cargo runs").success(), "the operator is not built");
        target.join("release/kentroller")
    })
}
