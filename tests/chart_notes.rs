//! What an installation tells people to type works as it stands, and it says plainly which Secrets the operator can read.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_chart;

use label_studio_harness::ControlPlane;
use stage_chart::node::{Node, operator_of};
use stage_chart::{NAME, chart, get};

/// A command of the notes, and what it reads.
#[derive(Debug)]
struct Line {
    words: Vec<String>,
    stdin: String,
}

/// What is set apart by five blanks; `<<END` as a shell reads it.
fn commands(notes: &str) -> Vec<Line> {
    let mut found: Vec<Line> = Vec::new();
    let mut lines = notes.lines().filter_map(|line| line.strip_prefix("     "));
    while let Some(line) = lines.next() {
        let (command, stdin) = match line.split_once(" <<END") {
            Some((command, _)) => {
                (command, lines.by_ref().take_while(|line| *line != "END").collect::<Vec<_>>().join("\n"))
            }
            None => (line, String::new()),
        };
        found.push(Line { words: command.split_whitespace().map(ToOwned::to_owned).collect(), stdin });
    }
    found
}

#[tokio::test]
async fn every_command_of_the_notes_does_what_it_says() {
    let plane = ControlPlane::shared().await;
    plane.install_crds().await.unwrap();
    for (values, says) in [
        ("watch.allNamespaces=false", "It can read every Secret in NS, and none elsewhere."),
        ("watch.allNamespaces=true", "It can read EVERY SECRET OF THE CLUSTER: watch.allNamespaces is true."),
        (
            "grantPolicy.enabled=false",
            "Whoever may write a UserInvite may make Administrators: grantPolicy.enabled is false.",
        ),
    ] {
        let namespace = plane.namespace("notes").await.unwrap();
        let values = format!("crds.install=false,{values}");
        let install = ["install", NAME, &chart(), "--namespace", &namespace, "--set", &values];
        let notes = plane.helm().answer(&install).await.unwrap();
        let notes = notes.split("NOTES:\n").nth(1).unwrap();
        assert!(notes.contains(&says.replace("NS", &namespace)), "{values}: {notes}");
        let (_operator, health) = operator_of(plane, &namespace).await;
        let node = Node { plane, namespace: &namespace, health: Some(&health) };
        let mut done = Vec::new();
        for Line { words, stdin } in commands(notes) {
            let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            let tool = match &*words[0] {
                "kubectl" => plane.kubectl(),
                "helm" => plane.helm(),
                // For after the uninstall: tests/detach.rs runs it. Here: whether it knows these words.
                NAME => {
                    let binary = env!("CARGO_BIN_EXE_label-studio-operator");
                    let known = std::process::Command::new(binary).args(&arguments).arg("--help").output().unwrap();
                    assert!(known.status.success(), "{words:?}");
                    continue;
                }
                other => panic!("what is {other}?"),
            };
            assert_eq!(arguments[..2], ["--namespace", &namespace], "whoever types it may be elsewhere");
            node.during(tool.run(&arguments, &stdin)).await.unwrap().ok().unwrap();
            done.push(format!("{} {}", words[3], words.get(4).map_or("", String::as_str)));
        }
        let first = ["create secret", "apply -f", "get organizations,userinvites", "test label-studio-operator"];
        let others = if values.contains("grantPolicy") { &[][..] } else { &["create rolebinding"] };
        assert_eq!(done, [&first[..], others].concat());
        assert_eq!(get(plane, &namespace, "organization/my-organization").await["spec"]["mode"], "Observe");
    }
}
