//! The terminal while a line is rewritten in place: it is given back whole, also when somebody presses Ctrl-C.

use std::io::{Write, stdout};

/// Terminal codes: cut longer lines off; fold them again.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
/// 128 and the number of SIGINT, as shells tell it.
const INTERRUPTED: i32 = 130;

/// Gives the terminal back when it is dropped.
pub(super) struct Terminal {
    live: bool,
}

impl Terminal {
    /// `live`: a line that is rewritten must not be longer than the terminal is wide.
    pub(super) fn open(live: bool) -> Self {
        if live {
            write(NO_WRAP);
        }
        // A thread of its own: planning a large cluster keeps the other one busy for seconds.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let heard = runtime.map(|runtime| runtime.block_on(tokio::signal::ctrl_c()));
            if matches!(heard, Ok(Ok(()))) {
                if live {
                    write(&format!("{WRAP}\n"));
                }
                std::process::exit(INTERRUPTED);
            }
        });
        Self { live }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.live {
            write(&format!("{WRAP}\n"));
        }
    }
}

fn write(text: &str) {
    let mut out = stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
