//! `kentroller completions` and `kentroller man`: what a shell and `man` know of the commands, made of their declaration.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Arguments;

/// Arguments of `kentroller completions`.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell that is to complete.
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `kentroller man`.
#[derive(Args, Debug)]
pub(super) struct Man {}

impl Completions {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        super::print(&self.text())?;
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self) -> String {
        let (mut command, mut text) = (Arguments::command(), Vec::new());
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Man {
    pub(super) fn execute() -> anyhow::Result<ExitCode> {
        super::print(&Self::text()?)?;
        Ok(ExitCode::SUCCESS)
    }

    /// One page: the program, and each command after it.
    fn text() -> anyhow::Result<String> {
        let mut program = Arguments::command();
        program.build();
        let mut text = Vec::new();
        clap_mangen::Man::new(program.clone()).render(&mut text)?;
        for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
            let page = clap_mangen::Man::new(command.clone());
            // The head of a page of its own is left out: the command is a section of this one.
            text.extend_from_slice(format!(".SH {}\n", command.get_name().to_uppercase()).as_bytes());
            page.render_synopsis_section(&mut text)?;
            page.render_description_section(&mut text)?;
            page.render_options_section(&mut text)?;
            page.render_extra_section(&mut text)?;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_and_the_manual_know_every_command_and_its_options() {
        let commands = Arguments::command();
        let names: Vec<&str> = commands.get_subcommands().map(clap::Command::get_name).collect();
        let pages =
            Shell::value_variants().iter().map(|shell| (shell.to_string(), Completions { shell: *shell }.text()));
        for (page, text) in pages.chain([("man".to_owned(), Man::text().expect("a manual"))]) {
            for name in &names {
                assert!(text.contains(name) || text.contains(&name.to_uppercase()), "{page}: no {name}");
            }
            let text = text.replace('\\', "");
            assert!(text.contains("max-moves") && text.contains("rebalanceplan"), "{page}");
        }
    }

    #[test]
    fn every_command_tells_its_exit_codes() {
        for mut command in Arguments::command().get_subcommands().cloned() {
            let help = command.render_help().to_string();
            assert!(help.contains("Exit codes: 0 "), "{}: {help}", command.get_name());
        }
    }
}
