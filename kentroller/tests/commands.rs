//! Every command of the program that a page names is one: it is run, in a folder with the files that pages name, and without a
//! cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "../../tests/src/pages.rs"]
mod pages;

use pages::{inline, root, shell};

/// How many commands run at once.
const AT_ONCE: usize = 4;
/// What a reader puts in place of a word in capitals that is no name.
const READ_AS: [(&str, &str); 2] = [("SHELL", "bash"), ("NAMESPACE/NAME", "default/a")];

#[test]
fn every_command_on_a_page_is_run_and_those_that_need_no_cluster_come_to_their_end() {
    let folder = Folder::with_files();
    let (mut wrong, mut done) = (Vec::new(), 0);
    let all = documented();
    // A plan is looked for some seconds, and in the order of words there are several, one after the other.
    let ran = |first: usize| {
        let some = all.iter().skip(first).step_by(AT_ONCE);
        some.map(|(command, page)| (command, page, folder.run(&words(command)))).collect::<Vec<_>>()
    };
    let answers = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..AT_ONCE).map(|first| scope.spawn(move || ran(first))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("no panic")).collect::<Vec<_>>()
    });
    for (command, page, (code, told)) in answers {
        let arguments = words(command);
        // Without a cluster, or in another build, there is nothing more to see.
        let elsewhere = ["no cluster: ", "are not in this build", "FOLDER/FILE"].iter().any(|why| told.contains(why));
        match code {
            Some(0) => done += 1,
            Some(_) if elsewhere && !is_offline(&arguments) => {}
            code => wrong.push(format!("{page}: `{command}` ends with {code:?}: {told}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(done >= 20, "only {done} commands came to their end");
}

#[test]
fn commands_are_found_where_pages_have_them() {
    let page = "`kentroller why [NODE]` and `kentroller config -o json|yaml`, not `kentroller/src`.\n```sh\n\
                kentroller plan -f dump.json   # a plan\nkentroller man | man -l -\nx && kentroller status\nsource <(kentroller completions bash)\n\
                kentroller pause \\\n  -n a\ncargo run --release -- demo --nodes 12\necho '{\"kentroller \": 1}' >kentroller.yaml\n```\n```yaml\nkentroller: 1\n```\n";
    let expected = [
        "why --help",
        "config -o json",
        "plan -f dump.json",
        "man",
        "status",
        "completions bash",
        "pause -n a",
        "demo --nodes 12",
    ];
    assert_eq!(commands(page), expected);
    assert_eq!(words("plan --selector 'a in (b, c)' \"d e\""), ["plan", "--selector", "a in (b, c)", "d e"]);
}

/// The commands of all pages but the changelog, whose history stays as it was, each with the first page that has it.
fn documented() -> BTreeMap<String, String> {
    let all = pages::pages(&root().join("kentroller/docs")).into_iter().chain([root().join("README.md")]);
    let mut found = BTreeMap::new();
    for path in all {
        let text = fs::read_to_string(&path).expect("a page is text");
        let page = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        for command in commands(&text) {
            found.entry(command).or_insert_with(|| page.clone());
        }
    }
    found
}

/// What follows the name of the program in the commands of a page.
fn commands(text: &str) -> Vec<String> {
    let lines = shell(text).flat_map(|block| {
        let block = block.replace("\\\n", " ");
        block.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let prose = inline(text).filter(|code| code.starts_with("kentroller ")).map(|code| code.replace('\n', " "));
    // A sentence names a command without what it needs.
    let named = |command: String| if command.contains(' ') { command } else { format!("{command} --help") };
    let prose = prose.flat_map(|code| of_line(&code)).map(named);
    prose.chain(lines.flat_map(|line| of_line(&line))).collect()
}

fn of_line(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let parts = line.split(" && ").flat_map(|part| part.split(" | ")).flat_map(|part| part.split("<("));
    let named = parts.filter_map(|part| {
        let part = part.trim();
        let rest = part.strip_prefix("kentroller ").or_else(|| part.strip_prefix("cargo run --release -- "))?;
        // What may be left out is; of words to choose from the first counts.
        let rest =
            rest.split('[').map(|part| part.split_once(']').map_or(part, |(_, after)| after)).collect::<String>();
        let rest = rest.split(" >").next().unwrap_or_default().trim_end_matches(')').replace('…', "");
        let rest: Vec<&str> = rest.split_whitespace().map(|word| word.split('|').next().unwrap_or_default()).collect();
        Some(rest.join(" "))
    });
    named.collect()
}

/// As a shell divides them.
fn words(command: &str) -> Vec<String> {
    let (mut all, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in command.chars() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ' ') => all.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    all.push(word);
    all.retain(|word| !word.is_empty());
    all
}

/// Whether a command answers from files, or from what is in the program.
fn is_offline(arguments: &[String]) -> bool {
    let has = |flag: &str| arguments.iter().any(|one| one == flag);
    ["rehearse", "demo", "check", "completions", "man"].contains(&arguments[0].as_str())
        || has("-f")
        || (arguments[0] == "prices" && !has("aws"))
}

/// A folder with what the pages speak of; it goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn with_files() -> Self {
        let folder = Self(std::env::temp_dir().join(format!("kentroller-commands-{}", std::process::id())));
        fs::create_dir_all(&folder.0).expect("a folder");
        let dump = root().join("kentroller/planner/tests/cases/custom-label-by-pod");
        let dump = fs::read_dir(dump).expect("the case").next().expect("a file").expect("an entry").path();
        fs::copy(dump, folder.0.join("dump.json")).expect("a dump");
        let plan = folder.output(&["plan", "-f", "dump.json", "-o", "rebalanceplan"]);
        for name in ["plan.yaml", "plans.yaml"] {
            fs::write(folder.0.join(name), &plan.stdout).expect("a plan");
        }
        folder
    }

    /// The exit code, and what is said of mistakes. What takes long or never ends is only asked whether it would begin.
    fn run(&self, arguments: &[String]) -> (Option<i32>, String) {
        let mut arguments: Vec<&str> = arguments.iter().map(|word| read_as(word)).collect();
        if arguments[0] == "demo" {
            arguments.push("--help");
        }
        let ran = self.output(&arguments);
        (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kentroller"));
        command.args(arguments).current_dir(&self.0).env_clear().env("HOME", &self.0);
        command.output().expect("the program can be started")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

fn read_as(word: &str) -> &str {
    READ_AS.iter().find(|(from, _)| *from == word).map_or(word, |(_, to)| to)
}
