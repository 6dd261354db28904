//! Every example works as it stands: applied by folder to the real API server, with the operator at work.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_harness::{RunFolder, checkout};
use label_studio_simulator::Options;
use serde_json::Value;
use stage::Stage;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where the examples expect Label Studio: the simulator's usual address.
const EXAMPLE_URL: &str = "http://127.0.0.1:8089";

#[tokio::test]
async fn every_example_is_applied_and_becomes_ready() {
    let mut folders = BTreeMap::new();
    find(&checkout().join("examples"), &mut folders);
    let names: BTreeSet<&str> = folders.keys().map(|folder| folder.file_name().unwrap().to_str().unwrap()).collect();
    for known in ["quickstart", "observe", "offboarding", "on-prem"] {
        assert!(names.contains(known), "examples/{known} is gone from {names:?}");
    }
    for (folder, files) in folders {
        println!("{}", folder.display());
        play(&folder, &files).await;
    }
}

/// Files of Kubernetes below the folder, by the folder in which they are.
fn find(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<PathBuf>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json") {
            found.entry(folder.to_owned()).or_default().push(path);
        }
    }
}

/// `kubectl apply -f FOLDER`, as a reader of the examples does it, but for the address of Label Studio.
async fn play(folder: &Path, files: &[PathBuf]) {
    let empty = folder.ends_with("examples/on-prem");
    let switches = ["bootstrap.enabled=true", "inviteLink.enabled=true"];
    let switches = if empty { switches.as_slice() } else { &[] };
    let mut stage = Stage::set_with(Options { empty, ..Options::default() }, switches).await;
    stage.start_operator();
    if !empty {
        // Who leaves in examples/offboarding was there.
        stage.simulator.add_member("charles@example.com", "RE");
        stage.secret(&stage.simulator.legacy_token()).await;
    }
    let copies = RunFolder::new("examples").unwrap();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap().replace(EXAMPLE_URL, &stage.simulator.url());
        std::fs::write(copies.file(file.file_name().unwrap()), text).unwrap();
    }
    let copies = copies.path().to_str().unwrap();
    let arguments = ["--namespace", &stage.namespace, "apply", "-o", "name", "-f", copies];
    let applied = stage.plane.kubectl().run(&arguments, "").await.unwrap();
    assert!(applied.code == 0 && applied.stderr.is_empty(), "{}: {}", folder.display(), applied.stderr);

    let observe = folder.ends_with("examples/observe");
    let (organizations, invites) = (names(&stage, "organizations").await, names(&stage, "userinvites").await);
    assert!(!organizations.is_empty() && (empty || !invites.is_empty()), "{} shows nothing", folder.display());
    let secrets = applied.stdout.lines().filter(|line| line.starts_with("secret/")).count();
    assert_eq!(applied.stdout.lines().count(), organizations.len() + invites.len() + secrets, "{}", applied.stdout);
    for name in &invites {
        let (status, reason) = if observe { ("False", "ObserveOnly") } else { ("True", "Reconciled") };
        stage.ready(&format!("userinvite/{name}"), status, reason).await;
    }
    for name in &organizations {
        let reason = if observe { "Observing" } else { "Reconciled" };
        stage.ready(&format!("organization/{name}"), "True", reason).await;
    }
    if observe {
        assert_eq!(stage.simulator.journal().writes().len(), 0);
    }
    if empty {
        assert_eq!(stage.simulator.members().len(), 1);
        let link = stage.get("secret/invite-link").await;
        assert!(link["data"]["url"].as_str().is_some_and(|url| !url.is_empty()));
    }
    if folder.ends_with("examples/offboarding") {
        assert_eq!(stage.simulator.member("charles@example.com").unwrap().role, "DI");
    }
}

async fn names(stage: &Stage, kind: &str) -> Vec<String> {
    let list = stage.get(kind).await;
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}
