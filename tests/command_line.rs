//! What holds for every command of the built binary: its help, its completions, its manual page, and what the program says of
//! itself. The commands are those that `help` lists, so that a new one is among them by itself.

#![allow(clippy::unwrap_used)] // A test says what went wrong by failing.

use label_studio_harness::{RunFolder, say_skipped};
use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};

const NAME: &str = "label-studio-operator";
const BINARY: &str = env!("CARGO_BIN_EXE_label-studio-operator");

/// What a program prints that must have nothing to complain about.
fn says(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(status.success() && complaint.is_empty(), "{command:?}: {status}: {complaint}");
    String::from_utf8(stdout).unwrap()
}

fn answer(arguments: &[&str]) -> String {
    says(Command::new(BINARY).args(arguments))
}

/// Every command below the program, a word for each level, with its help.
fn commands() -> Vec<(Vec<String>, String)> {
    let mut found = vec![(Vec::new(), answer(&["help"]))];
    let mut seen = 0;
    while let Some((above, help)) = found.get(seen).cloned() {
        seen += 1;
        let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        // What goes on in the next line stands further to the right.
        let names = list.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty());
        for name in names.filter(|name| *name != "help") {
            let words: Vec<String> = above.iter().cloned().chain([name.to_owned()]).collect();
            let asked: Vec<&str> = ["help"].into_iter().chain(words.iter().map(String::as_str)).collect();
            let help = answer(&asked);
            found.push((words, help));
        }
    }
    found.remove(0);
    assert!(found.len() >= 7, "{found:?}");
    found
}

/// The lines below a title, up to an empty one.
fn paragraph<'a>(help: &'a str, title: &str) -> Vec<&'a str> {
    help.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.is_empty()).collect()
}

#[test]
fn every_command_says_what_its_exit_codes_mean() {
    for (words, help) in commands() {
        let codes = paragraph(&help, "Exit codes:");
        let told: BTreeSet<&str> = codes.iter().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(told.contains("0") && told.contains("1"), "{words:?} does not say what 0 and 1 mean:\n{help}");
    }
}

#[test]
fn every_command_has_an_example_and_takes_it() {
    for (words, help) in commands() {
        let own = format!("{NAME} {}", words.join(" "));
        let mut examples = 0;
        for line in paragraph(&help, "Example:") {
            let Some(from) = line.find(&own) else { continue };
            // Up to where the shell goes on with something else.
            let ours = line[from..].split(['|', '&', ')', '>', '#']).next().unwrap();
            let taken: Vec<&str> = ours.split_whitespace().skip(1).chain(["--help"]).collect();
            // Help is the last word, so whatever stands before it has been understood.
            answer(&taken);
            examples += 1;
        }
        assert!(examples > 0, "the help of {words:?} has no example that begins with {own}:\n{help}");
    }
}

#[test]
fn the_program_says_which_version_of_which_revision_it_is() {
    let revision = label_studio_operator::revision::REVISION;
    let told = answer(&["--version"]);
    assert_eq!(told, format!("{NAME} {} ({revision})\n", env!("CARGO_PKG_VERSION")));
}

/// What bash offers for the last of these words.
fn bash_offers(words: &str) -> Vec<String> {
    // As bash does when the tab key is pressed.
    let script = format!(
        r#"source <("$0" completions bash)
           COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
           [[ $(complete -p {NAME}) =~ -F\ ([^ ]+) ]] || exit 1
           "${{BASH_REMATCH[1]}}" {NAME} "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
           printf '%s\n' "${{COMPREPLY[@]}}""#
    );
    says(Command::new("bash").args(["-c", &script, BINARY])).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(bash_offers(&format!("{NAME} vali")), ["validate"]);
    let offered: BTreeSet<String> = bash_offers(&format!("{NAME} ''")).into_iter().collect();
    for (words, _) in commands() {
        assert!(offered.contains(&words[0]), "{words:?} is not among {offered:?}");
    }
    assert_eq!(bash_offers(&format!("{NAME} crds --out")), ["--output"]);
    assert_eq!(bash_offers(&format!("{NAME} validate --output ''")), ["text", "json"]);
    assert_eq!(bash_offers(&format!("{NAME} completions z")), ["zsh"]);
    // Hidden in the help, since it is for tests: not offered.
    assert_eq!(bash_offers(&format!("{NAME} run --lease")), ["--lease-name"]);
}

#[test]
fn zsh_and_fish_take_their_completions() {
    let folder = RunFolder::new("completions").unwrap();
    for shell in ["zsh", "fish"] {
        let script = answer(&["completions", shell]);
        assert!(script.contains("validate"), "{script}");
        let file = folder.file(shell);
        std::fs::write(&file, script).unwrap();
        if Command::new(shell).arg("--version").output().is_err() {
            say_skipped(&format!("completions for {shell}"), "it is not installed");
            continue;
        }
        says(Command::new(shell).arg("-n").arg(&file));
    }
}

#[test]
fn every_command_has_a_manual_page_that_man_shows() {
    let folder = RunFolder::new("man").unwrap();
    assert_eq!(answer(&["man", "--output", folder.path().to_str().unwrap()]), "");
    let mut pages = vec![NAME.to_owned()];
    pages.extend(commands().iter().map(|(words, _)| format!("{NAME}-{}", words.join("-"))));
    for name in &pages {
        let page = std::fs::read_to_string(folder.file(format!("{name}.1"))).unwrap();
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT CODES", "EXAMPLE"] {
            let heading = [format!(".SH {section}\n"), format!(".SH \"{section}\"\n")];
            assert!(heading.iter().any(|heading| page.contains(heading)), "{name} has no {section}:\n{page}");
        }
    }
    let there = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(there.filter(|path| path.extension().is_some_and(|end| end == "1")).count(), pages.len());
    assert_eq!(answer(&["man"]), std::fs::read_to_string(folder.file(format!("{NAME}.1"))).unwrap());

    if !Command::new("man").arg("--version").output().is_ok_and(|told| told.status.success()) {
        return say_skipped("showing the manual pages", "man-db is not installed");
    }
    for name in &pages {
        let mut man = Command::new("man");
        man.args(["--warnings", "--local-file"]).arg(folder.file(format!("{name}.1")));
        let shown = says(man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8").env_remove("MANPAGER").env("PAGER", "cat"));
        let first = shown.lines().next().unwrap();
        assert!(first.starts_with(&format!("{name}(1) ")) && first.ends_with(&format!(" {name}(1)")), "{shown}");
        let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&format!("SYNOPSIS {} [", name.replacen("operator-", "operator ", 1))), "{shown}");
    }
}

#[test]
fn a_reader_who_has_gone_is_no_error() {
    for arguments in [&["completions", "bash"][..], &["man"], &["crds"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = Command::new(BINARY).args(arguments).stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{arguments:?}");
        assert!(ended.status.success(), "{arguments:?}: {}", ended.status);
    }
}
