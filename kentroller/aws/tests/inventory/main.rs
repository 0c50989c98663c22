//! The inventory as a process of its own reads it: from moto, and from a server that answers as recorded, or badly.

mod credentials;
mod faults;
mod moto;
mod region;
mod stub;
mod whole;

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a process has printed, or how it has failed.
#[derive(Debug)]
pub struct Ran {
    pub is_right: bool,
    pub out: String,
    pub told: String,
}

/// Keys that nobody checks.
pub const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret")];

/// Reads a region in a process that has these variables and no others.
pub fn inventory(region: &str, variables: &[(&str, &str)]) -> Ran {
    let ran = Command::new(env!("CARGO_BIN_EXE_aws-inventory"))
        .arg(region)
        .env_clear()
        // Nobody is asked but on loopback.
        .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")])
        .envs(variables.iter().copied())
        .output()
        .expect("cargo has built the program");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { is_right: ran.status.success(), out: text(ran.stdout), told: text(ran.stderr) }
}

/// Reads `us-east-1` from this server.
pub fn read(address: &str) -> Ran {
    inventory("us-east-1", &[&KEYS[..], &[("AWS_ENDPOINT_URL", address)]].concat())
}

/// The folder of the profile in which this test was built, such as `target/debug`.
pub fn built() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    test.parent().and_then(Path::parent).expect("tests are in target/debug/deps").to_owned()
}
