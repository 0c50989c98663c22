//! A catalogue in a file: what a process begins with before anybody has answered it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use kentroller_planner::Catalog;

/// The first line. A change of what follows changes the number; files of other numbers are not read.
const FORMAT: &str = "# kentroller catalogue 1";
/// A file that unpacks to more is none of ours.
const LARGEST: u64 = 64 << 20;

/// Reads a file that [`write()`] has written; `None` if there is none yet.
///
/// # Errors
/// A file that cannot be read, or that another version wrote, by its name.
pub(super) fn read(file: &Path) -> Result<Option<Catalog>, String> {
    let named = |what: String| format!("{}: {what}", file.display());
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(error.to_string())),
    };
    let mut text = String::new();
    GzDecoder::new(opened).take(LARGEST).read_to_string(&mut text).map_err(|error| named(error.to_string()))?;
    let mut lines = text.lines();
    if lines.next() != Some(FORMAT) {
        return Err(named("another version wrote it".to_owned()));
    }
    let mut told = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let (source, as_of) = (told("# source: "), told("# as of: "));
    Catalog::from_csv(&text, &source, &as_of).map(Some).map_err(|error| named(error.to_string()))
}

/// Writes a catalogue; a process that dies meanwhile leaves the file before as it was.
///
/// # Errors
/// A file that cannot be written, by its name.
pub(super) fn write(file: &Path, catalog: &Catalog) -> Result<(), String> {
    let beside = file.with_extension("new");
    let text = format!("{FORMAT}\n# source: {}\n# as of: {}\n{}", catalog.source, catalog.as_of, catalog.to_csv());
    let written = File::create(&beside).and_then(|created| {
        let mut packed = GzEncoder::new(created, Compression::default());
        packed.write_all(text.as_bytes())?;
        packed.finish()?.sync_all()?;
        std::fs::rename(&beside, file)
    });
    written.map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_anything_else_is_named() {
        let file = std::env::temp_dir().join(format!("kentroller-cache-{}", std::process::id()));
        assert_eq!(read(&file), Ok(None));
        let catalog = Catalog::embedded();
        write(&file, &catalog).expect("written");
        assert_eq!(read(&file), Ok(Some(catalog)));
        let packed = |text: &str| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::default());
            packed.write_all(text.as_bytes()).expect("packed");
            packed.finish().expect("packed")
        };
        for (bytes, wanted) in [
            (b"region,instance_type\n".to_vec(), "invalid gzip header"),
            (packed("# kentroller catalogue 2\n# source: \n# as of: \n"), "another version wrote it"),
            (packed("# kentroller catalogue 1\n# source: a\n# as of: b\nvcpu\n2\n"), "no column `instance_type`"),
        ] {
            std::fs::write(&file, bytes).expect("written");
            let wrong = read(&file).expect_err("it is none");
            assert!(wrong.starts_with(&file.display().to_string()) && wrong.contains(wanted), "{wrong}");
        }
        std::fs::remove_file(&file).expect("it is there");
        assert!(write(Path::new("/nonexistent/file"), &Catalog::embedded()).is_err());
    }
}
