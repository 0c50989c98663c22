//! Text that fits a terminal.

use comfy_table::{ContentArrangement, Table, presets};

/// How many columns there are; `None`: as many as the text wants.
pub type Width = Option<u16>;

/// A table without lines. Where it is wider than there are columns, its cells are folded.
pub(super) fn plain(head: &[&str], width: Width) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}

/// Longer lines are folded at blanks, and go on below their first word. A word that is longer than a line stays whole.
pub fn folded(text: &str, width: Width) -> String {
    let Some(width) = width.map(usize::from) else { return text.to_owned() };
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let line = if line.chars().count() > width { line.trim_end() } else { line };
        let indent = line.len() - line.trim_start().len();
        let (mut rest, mut hang) = (line, 0);
        while rest.chars().count() + hang > width {
            let most = rest.char_indices().nth(width - hang.min(width - 1)).map_or(rest.len(), |(at, _)| at);
            let begins = rest.len() - rest.trim_start().len();
            let blank = rest[..most]
                .rfind(' ')
                .filter(|at| *at > begins)
                .or_else(|| rest[most..].find(' ').map(|at| at + most));
            let Some(blank) = blank else { break };
            out.push_str(&" ".repeat(hang));
            out.push_str(rest[..blank].trim_end());
            out.push('\n');
            rest = rest[blank..].trim_start();
            hang = (indent + 2).min(width / 2);
        }
        out.push_str(&" ".repeat(hang));
        out.push_str(rest);
        out.push_str(end);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_too_long_are_folded_at_blanks_and_no_word_is_lost() {
        let text = "short\n\n  a line that is much longer than it may be\nahttps://a.word.that.is.longer and more\n";
        assert_eq!(folded(text, None), text);
        for width in [1, 7, 12, 20, 40] {
            let told = folded(text, Some(width));
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&told), words(text), "{width}");
            let long = |line: &&str| line.chars().count() > usize::from(width) && line.trim().contains(' ');
            if width >= 12 {
                assert_eq!(told.lines().find(long), None, "{width}: {told}");
            }
        }
        let folded = folded("  a line that is longer\n", Some(12));
        assert_eq!(folded, "  a line\n    that is\n    longer\n");
    }
}
