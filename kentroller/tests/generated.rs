//! What is generated: a file that is not as the declarations say is named, and made anew.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// What crdgen reads and writes.
const FOLDERS: [&str; 6] = ["charts", "crds", "samples", "tests/contract", "kentroller/src", "kentroller/docs"];

#[test]
fn a_file_that_is_not_as_the_declarations_say_is_named_by_a_check_and_written_without_one() {
    let copy = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("generated");
    let _ = fs::remove_dir_all(&copy);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    for folder in FOLDERS {
        copied(&root.join(folder), &copy.join(folder)).expect("a copy");
    }
    assert_eq!(crdgen(&copy, &["--check"]), (true, Vec::new()), "the committed files are what the declarations say");

    // One of each sort: one with more in it, one with less, one that is missing.
    let longer = "crds/rebalanceplans.yaml";
    let shorter = "kentroller/docs/reference/events.md";
    let missing = "charts/castai-kentroller/templates/rbac-act.generated.yaml";
    fs::write(copy.join(longer), fs::read_to_string(root.join(longer)).expect("text") + "# by hand\n")
        .expect("written");
    fs::write(copy.join(shorter), "").expect("written");
    fs::remove_file(copy.join(missing)).expect("it was there");
    let (holds, told) = crdgen(&copy, &["--check"]);
    assert!(!holds);
    for file in [longer, shorter, missing] {
        assert_eq!(told.iter().filter(|line| line.starts_with(file)).count(), 1, "{file}: {told:?}");
    }
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(!copy.join(missing).exists(), "a check writes nothing");

    let (holds, told) = crdgen(&copy, &[]);
    assert!(holds && told.len() == 3, "{told:?}");
    for file in [longer, shorter, missing] {
        let read = |root: &Path| fs::read_to_string(root.join(file)).expect("text");
        assert!(read(&copy) == read(root), "{file} is not as it was");
    }
}

/// Whether it ended well, and what it printed.
fn crdgen(copy: &Path, arguments: &[&str]) -> (bool, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crdgen"));
    let output = command.args(arguments).env("CARGO_MANIFEST_DIR", copy.join("kentroller")).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    (output.status.success(), told.lines().map(str::to_owned).collect())
}

fn copied(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = (entry?, to.to_owned());
        let target = target.join(entry.file_name());
        // One folder of the charts is a link to another.
        if entry.path().is_dir() {
            copied(&entry.path(), &target)?
        } else {
            fs::copy(entry.path(), target).map(drop)?
        }
    }
    Ok(())
}
