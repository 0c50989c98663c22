//! Logs: JSON in a cluster, plain on a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to stderr at the level that `RUST_LOG` names, `info` by default.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Where nobody reads the log any more, a word about that would end the process.
    let logs = logs.log_internal_errors(false);
    // A second start in one process (tests) keeps the first.
    let _ = if std::io::stderr().is_terminal() { logs.compact().try_init() } else { logs.json().try_init() };
}
