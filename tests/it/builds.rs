//! The commands of an author ask for the same features of every dependency: a test, a run and a single crate share one build
//! of Kubernetes' client.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The arguments of `cargo tree` that show what a command builds.
const COMMANDS: [(&str, &[&str]); 6] = [
    ("cargo build", &["--edges", "normal,build"]),
    ("cargo test -p kentroller", &["--package", "kentroller"]),
    ("cargo build -p kentroller", &["--package", "kentroller", "--edges", "normal,build"]),
    ("cargo test -p kentroller-runtime", &["--package", "kentroller-runtime"]),
    ("cargo test -p kentroller-tests", &["--package", "kentroller-tests"]),
    ("cargo test -p idle-reaper", &["--package", "idle-reaper"]),
];

/// The features of every package; several sets, where it is built for macros as well.
fn built(arguments: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p}|{f}"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let mut built = BTreeMap::<_, BTreeSet<_>>::new();
    for line in String::from_utf8_lossy(&tree.stdout).lines() {
        let Some((package, features)) = line.split_once('|') else { continue };
        // A crate whose tests depend on itself comes twice, the second time marked so.
        built.entry(package.to_owned()).or_default().insert(features.trim_end_matches(" (*)").to_owned());
    }
    built
}

#[test]
fn no_command_of_an_author_builds_a_dependency_once_more_with_other_features() {
    let all = built(&[]);
    assert!(all.keys().any(|package| package.starts_with("kube-client ")), "{all:#?}");
    let mut differing = Vec::new();
    for (command, arguments) in COMMANDS {
        for (package, features) in built(arguments) {
            if all.get(&package) != Some(&features) {
                differing.push(format!("{command}: {package} with {features:?}, cargo test: {:?}", all.get(&package)));
            }
        }
    }
    assert!(differing.is_empty(), "ask for the features in Cargo.toml of the workspace:\n{}", differing.join("\n"));
}

#[test]
fn what_speaks_with_aws_is_built_only_where_it_is_asked_for_and_brings_no_second_tls() {
    let is_of_aws = |package: &&String| package.starts_with("aws-") || package.starts_with("kentroller-aws ");
    for (command, arguments) in [("cargo test", &[][..]), ("cargo build -p kentroller", &["--package", "kentroller"])] {
        let all = built(arguments);
        assert_eq!(all.keys().filter(is_of_aws).collect::<Vec<_>>(), [""; 0], "{command}");
    }
    let all = built(&["--package", "kentroller", "--features", "aws", "--edges", "normal,build"]);
    let named = |name: &str| all.keys().any(|package| package.starts_with(&format!("{name} ")));
    assert!(named("kentroller-aws") && named("aws-config") && named("rustls") && named("ring"), "{all:#?}");
    for other in ["aws-lc-rs", "aws-lc-sys", "openssl", "native-tls", "aws-sdk-ec2"] {
        assert!(!named(other), "{other} is in the build with feature aws");
    }
}
