//! The sources of this crate as text, for tests that hold what stands where.

use std::fs;
use std::path::{Path, PathBuf};

/// File and text of each line of code below these folders of `src`: no comments, no tests, nothing of the simulation.
pub(crate) fn code_of(folders: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut lines = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            if path.is_dir() && name != "simulation" {
                open.push(path);
            } else if name.ends_with(".rs") && !["tests.rs", "wrong.rs", "sources.rs"].contains(&name.as_str()) {
                let text = fs::read_to_string(&path).expect("a source file");
                let code = text.lines().take_while(|line| *line != "mod tests {");
                let code = code.filter(|line| !line.trim_start().starts_with("//"));
                lines.extend(code.map(|line| (path.display().to_string(), line.to_owned())));
            }
        }
    }
    assert!(lines.len() > 1000, "the sources were found");
    lines
}
