//! What a person sees at a terminal: the question, colour, progress; and what a pipe or `NO_COLOR` takes away.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_shell;

use label_studio_simulator::{Deed, Options};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use stage_shell::{Ran, Shell};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tokio::sync::Notify;

/// Runs the command on a terminal of its own: types `answer` once `question` is there, and reads until it ends.
fn on_a_terminal(command: Command, question: &str, answer: &'static str) -> Ran {
    on_a_terminal_once(command, question, || answer)
}

/// The same with an answer that is thought of when the question is there.
fn on_a_terminal_once(mut command: Command, question: &str, answer: impl FnOnce() -> &'static str) -> Ran {
    let mut answer = Some(answer);
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let side = || Stdio::from(terminal.try_clone().unwrap());
    command.stdin(side()).stdout(side()).stderr(side()).env("TERM", "xterm-256color").env_remove("CLICOLOR");
    let mut child = command.spawn().unwrap();
    // Else nobody would ever see its end.
    drop((command, terminal));
    let mut person = File::from(person);
    let mut seen = Vec::new();
    let mut asked = question.is_empty();
    let mut piece = [0; 4096];
    // With the last who writes there, a terminal ends with an error.
    while let Ok(read @ 1..) = person.read(&mut piece) {
        seen.extend_from_slice(&piece[..read]);
        if !asked && String::from_utf8_lossy(&seen).contains(question) {
            asked = true;
            let typed = answer.take().unwrap()();
            person.write_all(typed.as_bytes()).unwrap();
        }
    }
    let code = child.wait().unwrap().code().unwrap();
    Ran { code, out: String::from_utf8_lossy(&seen).replace("\r\n", "\n"), err: String::new() }
}

async fn run(shell: &Shell, arguments: &[&str], environment: &[(&str, &str)], answer: &'static str) -> Ran {
    let mut command = shell.command(arguments);
    command.envs(environment.iter().copied());
    let question = if answer.is_empty() { "" } else { "? [y/N] " };
    tokio::task::spawn_blocking(move || on_a_terminal(command, question, answer)).await.unwrap()
}

async fn shell(people: usize, latency: Duration) -> Shell {
    let shell = Shell::open(Options { latency, ..Options::default() }).await;
    let names: Vec<String> = (0..people).map(|number| format!("person{number}@example.com")).collect();
    for email in &names {
        shell.simulator.add_member(email, "AN");
    }
    shell.write_organization("");
    shell.write_invite("reviewers", "Reviewer", &names.iter().map(String::as_str).collect::<Vec<_>>());
    shell
}

#[tokio::test]
async fn the_question_is_answered_with_yes_and_with_nothing_else() {
    let shell = shell(2, Duration::ZERO).await;
    for no in ["n\n", "\n", "yess\n", "\u{4}"] {
        let ran = run(&shell, &["apply", "."], &[], no).await;
        assert_eq!(ran.code, 1, "{no:?} {ran:#?}");
        assert!(ran.out.contains("Make these 2 changes? [y/N] "), "{ran:#?}");
        assert!(ran.out.ends_with("error: nothing was changed\n"), "{ran:#?}");
    }
    assert_eq!(shell.writes(), 0);
    let ran = run(&shell, &["apply", "."], &[], "Y\n").await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(shell.writes(), 2);
    // Where nothing is to be done nobody is asked.
    let ran = run(&shell, &["apply", "."], &[], "").await;
    assert!(ran.code == 0 && !ran.out.contains("[y/N]"), "{ran:#?}");
}

#[tokio::test]
async fn signs_are_in_colour_on_a_terminal_alone_and_never_with_no_color() {
    let shell = shell(1, Duration::ZERO).await;
    let ran = run(&shell, &["plan", "."], &[], "").await;
    assert!(ran.code == 2 && ran.out.contains("\u{1b}[36m~\u{1b}[0m person0@example.com: "), "{ran:#?}");
    let ran = run(&shell, &["plan", "."], &[("NO_COLOR", "1")], "").await;
    assert!(ran.code == 2 && ran.out.contains("  ~ person0@example.com: "), "{ran:#?}");
    assert!(!ran.out.contains('\u{1b}'), "{ran:#?}");
    let ran = shell.plan().await;
    assert!(ran.code == 2 && !ran.out.contains('\u{1b}'), "{ran:#?}");
}

#[tokio::test]
async fn progress_counts_and_says_how_long_and_is_gone_at_the_end() {
    let shell = shell(60, Duration::from_millis(30)).await;
    let ran = run(&shell, &["apply", ".", "--yes"], &[("NO_COLOR", "1")], "").await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.contains("] 0 of 60 about "), "{ran:#?}");
    let counts = (1..60).filter(|done| ran.out.contains(&format!("] {done} of 60 about "))).count();
    assert!(counts > 0, "{ran:#?}");
    assert!(ran.out.contains(" left"), "{ran:#?}");
    assert!(ran.out.ends_with("\nDone: 60, held: 0, not done: 0.\n"), "{ran:#?}");
    // Into a pipe nothing of it goes.
    let shell = self::shell(3, Duration::ZERO).await;
    let ran = shell.apply(&[]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:#?}");
}

/// Asked, somebody does something, and then answers with yes.
async fn answered_after(shell: &Shell, meanwhile: impl AsyncFnOnce()) -> Ran {
    let command = shell.command(&["apply", "."]);
    let (asked, done) = (Arc::new(Notify::new()), Arc::new(Barrier::new(2)));
    let (tell, wait) = (asked.clone(), done.clone());
    let late = tokio::task::spawn_blocking(move || {
        on_a_terminal_once(command, "? [y/N] ", || {
            tell.notify_one();
            wait.wait();
            "y\n"
        })
    });
    asked.notified().await;
    meanwhile().await;
    tokio::task::spawn_blocking(move || done.wait()).await.unwrap();
    late.await.unwrap()
}

#[tokio::test]
async fn whoever_answers_late_mails_nobody_whom_somebody_else_has_mailed_meanwhile() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &["ann@example.com", "bea@example.com"]);
    let ran = answered_after(&shell, async || assert_eq!(shell.apply(&[]).await.code, 0)).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.out.contains("what would be done is not what it was when you were asked"), "{ran:#?}");
    assert_eq!(shell.simulator.mails().len(), 2);
}

#[tokio::test]
async fn an_agreement_about_one_organization_is_none_about_another() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &["ann@example.com"]);
    let replace = Deed::ReplaceOrganization {
        id: 77,
        title: "Somebody else".to_owned(),
        created_at: "2026-02-02T00:00:00Z".parse().unwrap(),
    };
    let ran = answered_after(&shell, async || shell.simulator.perform(replace).unwrap()).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.out.contains("about organization 1, and by now the token belongs to organization 77"), "{ran:#?}");
    assert!(shell.simulator.mails().is_empty());
}
