//! The terminal that is printed to.

use std::io::IsTerminal;

/// Narrower ones are not printed for.
const LEAST: u16 = 20;

/// How many columns there are: what COLUMNS says, else what the terminal tells. `None`: no terminal, and nobody says.
pub(super) fn width() -> Option<u16> {
    let told =
        std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse::<u16>().ok()).filter(|width| *width > 0);
    let of_terminal = || {
        let out = std::io::stdout();
        out.is_terminal().then(|| terminal_size::terminal_size_of(out)).flatten().map(|(width, _)| width.0)
    };
    told.or_else(of_terminal).map(|width| width.max(LEAST))
}
