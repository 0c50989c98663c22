//! The cluster under test: a control plane of processes that all tests share, or the cluster that a kubeconfig names.

use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use kentroller_tests::rest::Api;

use crate::wait::{SHORT, until};
use crate::{install, look};

/// Names the kubeconfig of a cluster to use instead of an own one. It needs Karpenter with its kwok provider, and must
/// be empty: the suite fills it, and leaves what it made.
const KUBECONFIG: &str = "KENTROLLER_E2E_KUBECONFIG";
/// How many nodes the cluster grows to before it is left half empty; default 30.
const NODES: &str = "KENTROLLER_E2E_NODES";
/// Names the folder of the built control plane; default: `kentroller/controlplane` in the user's cache folder.
const TOOLS: &str = "KENTROLLER_CONTROLPLANE_DIR";

pub struct Cluster {
    pub kubeconfig: PathBuf,
    /// `kubectl`, `drift` and the rest.
    tools: PathBuf,
    /// For what the suite writes down.
    pub folder: PathBuf,
    /// Ours ends when this process does: the launcher reads from the pipe.
    _launcher: Option<Child>,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Runs one test on the cluster; they take turns, so that none sees what another one does.
pub fn on_the_cluster<F: Future<Output = ()>>(test: impl FnOnce(&'static Cluster, Api) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let _turn = TURN.lock().await;
        let first = CLUSTER.get().is_none();
        let cluster = CLUSTER.get_or_init(Cluster::start);
        let admin = Api::of(&cluster.kubeconfig).await;
        if first {
            install::everything(cluster, &admin).await;
            let nodes = std::env::var(NODES).unwrap_or_else(|_| "30".to_owned());
            println!("{}", cluster.tool("drift", &["--nodes", &nodes, "--seed", "1"]).trim());
        }
        // What another test left may take its time to end.
        let at_rest = async || {
            let idle = look::pods_not_running(&admin).await;
            if idle.is_empty() { Ok(()) } else { Err(idle.join("\n")) }
        };
        until(SHORT, at_rest).await;
        test(cluster, admin).await;
    });
}

impl Cluster {
    fn start() -> Self {
        let started = Instant::now();
        let tools = built();
        println!("control plane built in {} s", started.elapsed().as_secs());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
        fs::create_dir_all(&folder).expect("a folder");
        if let Some(given) = std::env::var_os(KUBECONFIG) {
            return Self { kubeconfig: given.into(), tools, folder, _launcher: None };
        }
        let started = Instant::now();
        let dir = folder.join("cluster");
        let mut launcher = Command::new(tools.join("controlplane"))
            .args(["run", "--stdin", "--dir"])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the launcher starts");
        let mut line = String::new();
        let stdout = launcher.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the launcher speaks");
        assert_eq!(line.trim(), "ready", "the control plane did not start; see {}", dir.join("logs").display());
        println!("control plane ready after {:.1} s", started.elapsed().as_secs_f64());
        Self { kubeconfig: dir.join("admin.kubeconfig"), tools, folder, _launcher: Some(launcher) }
    }

    /// Runs one of the control plane's programs as the administrator; what it prints.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let ran =
            Command::new(self.tools.join(name)).arg("--kubeconfig").arg(&self.kubeconfig).args(arguments).output();
        let ran = ran.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(ran.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }
}

/// The folder of the control plane's programs, built if they are not.
fn built() -> PathBuf {
    let cache = || {
        let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
        std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("kentroller/controlplane")
    };
    let out = std::env::var_os(TOOLS).map_or_else(cache, PathBuf::from);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/build.sh");
    let built = Command::new(script).arg(&out).status().expect("build.sh runs");
    assert!(built.success(), "the control plane was not built; it needs Go 1.26");
    out
}
