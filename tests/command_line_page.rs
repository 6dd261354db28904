//! What docs/command-line.md shows is what the program does: every command of its blocks runs, in order, and prints the same.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_harness::{RunFolder, checkout};
use std::process::{Command, Stdio};

struct Shown {
    line: usize,
    command: String,
    output: String,
}

/// The commands in the console blocks, each with what stands below it.
fn commands(page: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            found.push(Shown { line: number + 1, command: command.to_owned(), output: String::new() });
        } else if inside {
            found.last_mut().unwrap().output.extend([line, "\n"]);
        }
    }
    found
}

#[test]
fn every_command_of_the_page_prints_what_stands_there() {
    let folder = RunFolder::new("page").unwrap();
    let page = std::fs::read_to_string(checkout().join("docs/command-line.md")).unwrap();
    let binary = env!("CARGO_BIN_EXE_label-studio-operator");
    let (mut code, mut ran) = (0, 0);
    for Shown { line, command, output } in commands(&page) {
        let words: Vec<&str> = command.split(' ').collect();
        match words.as_slice() {
            // What a file holds is shown before it is used.
            ["cat", file] => std::fs::write(folder.file(file), output).unwrap(),
            ["echo", "$?"] => assert_eq!(output, format!("{code}\n"), "line {line}"),
            ["label-studio-operator", arguments @ ..] => {
                let ran_as =
                    Command::new(binary).args(arguments).current_dir(folder.path()).stdin(Stdio::null()).output();
                let ended = ran_as.unwrap();
                assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "line {line}: {command}");
                assert_eq!(String::from_utf8_lossy(&ended.stdout), output, "line {line}: {command}");
                code = ended.status.code().unwrap();
                ran += 1;
            }
            _ => panic!("line {line}: nobody knows how to run {command}"),
        }
    }
    assert!(ran >= 2, "{ran} commands");
}
