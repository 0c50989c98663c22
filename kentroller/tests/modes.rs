//! Standalone or connected: how the program starts.

use std::process::{Command, Output};

const WHOLE: [(&str, &str); 4] = [
    ("CLUSTER_ID", "prod-eu"),
    ("API_KEY", "canary-5f1d"),
    ("API_URL", "https://api.example.com"),
    ("GRPC_URL", "127.0.0.1:1"),
];

fn run(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Command::new(env!("CARGO_BIN_EXE_kentroller"))
        .arg("run")
        .env_clear()
        .envs(variables.iter().copied())
        .envs([("HOME", "/nonexistent"), ("KUBECONFIG", "/nonexistent")])
        .output()
        .expect("cargo has built the program");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn connected_mode_names_everything_that_is_missing_at_once_and_never_starts_standalone() {
    let (code, told) = run(&WHOLE[1..2]);
    assert_eq!(code, Some(78), "{told}");
    for name in ["CLUSTER_ID", "API_URL", "GRPC_URL"] {
        assert!(told.contains(&format!("{name} is not set")), "{told}");
    }
    assert!(!told.contains("canary") && told.lines().count() == 1, "{told}");
    let (code, told) = run(&[("DEPLOYMENT_MODE", "conected")]);
    assert!(code == Some(1) && told.contains("DEPLOYMENT_MODE") && told.contains("connected"), "{told}");
}

#[test]
fn standalone_needs_none_of_it() {
    for variables in [&[][..], &[("DEPLOYMENT_MODE", "standalone"), ("API_KEY", "not-used-in-standalone")]] {
        let (code, told) = run(variables);
        // What it lacks here is a cluster.
        assert!(code == Some(1) && told.contains("no cluster"), "{told}");
    }
}

#[cfg(not(feature = "connected"))]
#[test]
fn a_build_that_speaks_with_no_backend_says_so_and_names_the_one_that_does() {
    let (code, told) = run(&WHOLE);
    assert!(code == Some(78) && told.contains("--features connected") && !told.contains("canary"), "{told}");
}
