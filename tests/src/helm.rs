//! A real Helm, built from its Go module.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What Helm prints.
///
/// # Errors
/// What it says when it fails.
pub fn helm(arguments: &[&str]) -> Result<String, String> {
    let ran = Command::new(program()).args(arguments).output().expect("helm runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if ran.status.success() { Ok(text(&ran.stdout)) } else { Err(text(&ran.stderr)) }
}

/// The folder of one of our charts.
pub fn chart(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts").join(name);
    folder.to_str().expect("UTF-8").to_owned()
}

/// Some minutes with nothing cached, a second when it is there.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
        let program = cache.join("kentroller/helm/helm");
        let built = Command::new("go")
            .args(["build", "-trimpath", "-ldflags=-s -w", "-buildvcs=false", "-o"])
            .arg(&program)
            .arg("helm.sh/helm/v3/cmd/helm")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("helm"))
            .status();
        assert!(built.expect("Go 1.26 is needed to build helm").success(), "helm is not built");
        program
    })
}
