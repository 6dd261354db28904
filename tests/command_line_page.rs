//! What docs/command-line.md shows is what the program does: every command of its blocks runs in a shell, in order, and prints
//! the same. Each part of the page (`## `) has a shell, an empty folder and a Label Studio of its own.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_harness::{RunFolder, checkout};
use label_studio_simulator::{Options, Simulator};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output, Stdio};

/// Where the page has Label Studio; here it listens elsewhere.
const URL: &str = "http://127.0.0.1:8089";
/// What stands in `LABEL_STUDIO_API_KEY`, unless the page exports something else.
const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

struct Shown {
    line: usize,
    command: String,
    output: String,
}

/// The commands in the console blocks of each part, each with what stands below it.
fn parts(page: &str) -> Vec<Vec<Shown>> {
    let mut parts = vec![Vec::new()];
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        let part = parts.last_mut().unwrap();
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            part.push(Shown { line: number + 1, command: command.to_owned(), output: String::new() });
        } else if inside {
            part.last_mut().unwrap().output.extend([line, "\n"]);
        } else if line.starts_with("## ") {
            parts.push(Vec::new());
        }
    }
    parts
}

/// A shell that remembers what was exported, and how the last command ended.
struct Shell {
    folder: RunFolder,
    server: Simulator,
    exported: BTreeMap<String, String>,
    /// Files that the page shows before they are used; every other one a command has made.
    given: BTreeSet<String>,
    code: i32,
    ran: usize,
}

impl Shell {
    async fn new() -> Self {
        let folder = RunFolder::new("page").unwrap();
        let program = env!("CARGO_BIN_EXE_label-studio-operator");
        std::fs::create_dir(folder.file(".bin")).unwrap();
        std::os::unix::fs::symlink(program, folder.file(".bin/label-studio-operator")).unwrap();
        let options = Options { legacy_token: Some(TOKEN.to_owned()), seat_limit: Some(50), ..Options::enterprise() };
        let server = Simulator::start(options).await.unwrap();
        for (email, role) in [("ann@example.com", "AN"), ("bob@example.com", "RE"), ("carol@example.com", "MA")] {
            server.add_member(email, role);
        }
        let exported = BTreeMap::from([("LABEL_STUDIO_API_KEY".to_owned(), TOKEN.to_owned())]);
        Self { folder, server, exported, given: BTreeSet::new(), code: 0, ran: 0 }
    }

    fn play(&mut self, Shown { line, command, output }: &Shown) {
        let words: Vec<&str> = command.split(' ').collect();
        match words.as_slice() {
            // What a file holds is shown before it is used, unless a command made it.
            ["cat", file] if self.given.contains(*file) || !self.folder.file(file).exists() => {
                std::fs::write(self.folder.file(file), self.here(output)).unwrap();
                self.given.insert((*file).to_owned());
            }
            ["echo", "$?"] => assert_eq!(*output, format!("{}\n", self.code), "line {line}"),
            ["export", set] => {
                let (name, value) = set.split_once('=').unwrap();
                let value = self.here(value);
                self.exported.insert(name.to_owned(), value);
            }
            _ => {
                let ended = self.run(command);
                let [out, err] = [&ended.stdout, &ended.stderr].map(|text| self.on_the_page(text));
                let said = |part: &str| if part.is_empty() { String::new() } else { format!("{part}---\n") };
                // Standard error counts where the page shows it: nobody shows progress.
                let shown = [out.clone(), format!("{err}{out}"), format!("{out}{err}")].contains(output);
                assert!(shown, "line {line}: {command}\n{}{}the page:\n{output}", said(&out), said(&err));
                self.code = ended.status.code().unwrap();
                self.ran += usize::from(command.contains("label-studio-operator "));
            }
        }
    }

    fn run(&self, command: &str) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.folder.file(".bin").display());
        let mut shell = Command::new("sh");
        shell.args(["-c", &self.here(command)]).current_dir(self.folder.path()).stdin(Stdio::null());
        shell.env_clear().env("PATH", path).envs(&self.exported).output().unwrap()
    }

    fn here(&self, text: &str) -> String {
        text.replace(URL, &self.server.url())
    }

    fn on_the_page(&self, printed: &[u8]) -> String {
        String::from_utf8_lossy(printed).replace(&self.server.url(), URL)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_page_prints_what_stands_there() {
    let page = std::fs::read_to_string(checkout().join("docs/command-line.md")).unwrap();
    let mut ran = 0;
    for part in parts(&page) {
        if part.is_empty() {
            continue;
        }
        let mut shell = Shell::new().await;
        for shown in &part {
            shell.play(shown);
        }
        ran += shell.ran;
    }
    assert!(ran >= 2, "{ran} commands");
}
