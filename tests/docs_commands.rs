//! Every command in README and `docs/` is run as it stands, in a shell, on a cluster where README's own command has installed the
//! chart. Each has a row here that says how; a command that no row knows fails the test, and so does a row without a command.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_harness::{ControlPlane, RunFolder, checkout};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a command is played.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// Before all others: they stand on it.
    First,
    /// In the order of the pages.
    Runs,
    /// The same; it says no by its exit code.
    Answers,
    /// After all others: it takes away what they stand on.
    Last,
    /// By make, which has to know the target.
    Made,
    /// Not here; why.
    Unplayed(&'static str),
}

/// The beginning of a command, and how it is played. The longest that fits counts.
const ROWS: [(&str, How); 46] = [
    ("cargo run ", How::Unplayed("it builds; the simulator and the operator are played by every other test")),
    ("cat ", How::Unplayed(COMMAND_LINE)),
    ("curl ", How::Unplayed("the simulator listens elsewhere here")),
    ("echo ", How::Unplayed(COMMAND_LINE)),
    ("export ", How::Unplayed(COMMAND_LINE)),
    ("grep ", How::Runs),
    ("helm --namespace label-studio test ", How::Unplayed("it takes a node: tests/real_node.rs runs it")),
    ("helm install label-studio-operator ", How::First),
    ("helm install shard-b ", How::Runs),
    ("helm uninstall ", How::Last),
    ("helm upgrade label-studio-operator ", How::Runs),
    ("kubectl --namespace label-studio annotate ", How::Runs),
    ("kubectl --namespace label-studio auth can-i ", How::Answers),
    ("kubectl --namespace label-studio create ", How::Runs),
    ("kubectl --namespace label-studio describe ", How::Runs),
    ("kubectl --namespace label-studio exec ", How::Unplayed(NODE)),
    ("kubectl --namespace label-studio get ", How::Runs),
    ("kubectl --namespace label-studio get lease ", How::Unplayed(NODE)),
    ("kubectl --namespace label-studio label ", How::Runs),
    ("kubectl --namespace label-studio logs ", How::Unplayed(NODE)),
    ("kubectl --namespace label-studio patch ", How::Runs),
    ("kubectl --namespace label-studio scale ", How::Runs),
    ("kubectl --namespace team-vision create ", How::Runs),
    ("kubectl -n argocd patch ", How::Runs),
    ("kubectl -n label-studio apply ", How::Runs),
    ("kubectl -n label-studio create ", How::Runs),
    ("kubectl -n label-studio wait ", How::Unplayed("it takes an operator at work: tests/kstatus.rs waits")),
    ("kubectl -n try ", How::Runs),
    ("kubectl apply --server-side --force-conflicts --filename=restored.yaml", How::Runs),
    ("kubectl apply --server-side -f crds/", How::Runs),
    ("kubectl apply -f crds/", How::Runs),
    ("kubectl apply -f people.yaml", How::Runs),
    ("kubectl create clusterrole ", How::Runs),
    ("kubectl create namespace try", How::Runs),
    ("kubectl delete crd ", How::Last),
    ("kubectl get ", How::Runs),
    ("kubectl patch crd ", How::Unplayed("it is for a version that is to come: tests/upgrade.rs plays it")),
    ("kubectl replace --subresource=status --filename=restored.yaml", How::Runs),
    ("label-studio-operator apply ", How::Unplayed(COMMAND_LINE)),
    ("label-studio-operator detach", How::Last),
    ("label-studio-operator doctor ", How::Unplayed(COMMAND_LINE)),
    ("label-studio-operator export ", How::Unplayed(COMMAND_LINE)),
    ("label-studio-operator plan ", How::Unplayed(COMMAND_LINE)),
    ("label-studio-operator validate ", How::Unplayed(COMMAND_LINE)),
    ("make ", How::Made),
    ("skopeo ", How::Unplayed("it takes a registry: tests/real_node.rs loads the archive without one")),
];

const COMMAND_LINE: &str = "tests/command_line_page.rs runs it and compares what it prints";
const NODE: &str = "it takes a Pod that runs: tests/real_node.rs has one";

/// README, every page in `docs/`, and that of the examples.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(checkout().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|end| end == "md"));
    pages.sort();
    pages.insert(0, checkout().join("README.md"));
    pages.push(checkout().join("examples/README.md"));
    pages
}

/// The blocks of this language, each with the number of the line before it.
fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut block, line.trim()) {
            (None, line) if line == fence => block = Some((number + 1, String::new())),
            (Some(_), "```") => found.extend(block.take()),
            (Some((_, text)), _) => text.extend([line, "\n"]),
            (None, _) => {}
        }
    }
    found
}

/// What follows a `$` in the console blocks, lines that are continued as one.
fn commands(page: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for (first, block) in blocks(page, "console") {
        let mut goes_on = false;
        for (number, line) in block.lines().enumerate() {
            if let Some(command) = line.strip_prefix("$ ") {
                found.push((first + number + 1, command.to_owned()));
            } else if goes_on {
                found.last_mut().unwrap().1.extend(["\n", line]);
            }
            goes_on = line.ends_with('\\') && (goes_on || line.starts_with("$ "));
        }
    }
    found
}

fn row_of(command: &str) -> Option<&'static (&'static str, How)> {
    ROWS.iter().filter(|(begins, _)| command.starts_with(begins)).max_by_key(|(begins, _)| begins.len())
}

#[test]
fn every_command_in_the_pages_has_a_row_and_every_row_a_command() {
    let mut used = BTreeSet::new();
    for page in pages() {
        for (line, command) in commands(&std::fs::read_to_string(&page).unwrap()) {
            let row = row_of(&command);
            assert!(row.is_some(), "{}:{line}: no row says how to play: {command}", page.display());
            used.extend(row.map(|(begins, _)| *begins));
        }
    }
    let unused: Vec<&str> = ROWS.iter().map(|(begins, _)| *begins).filter(|begins| !used.contains(begins)).collect();
    assert!(unused.is_empty(), "rows without a command: {unused:?}");
}

#[tokio::test]
async fn the_commands_in_the_pages_are_taken_as_they_stand() {
    // Of its own: the chart's kinds are part of the release, and are deleted at the end.
    let plane = ControlPlane::start().await.unwrap();
    let folder = RunFolder::new("pages").unwrap();
    for there in ["charts", "crds", "examples"] {
        std::os::unix::fs::symlink(checkout().join(there), folder.file(there)).unwrap();
    }
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    for (file, kind) in [("people.yaml", "kind: UserInvite"), ("organization.yaml", "kind: Organization")] {
        let (_, manifest) = blocks(&readme, "yaml").into_iter().find(|(_, block)| block.contains(kind)).unwrap();
        std::fs::write(folder.file(file), manifest).unwrap();
    }
    let mut all = Vec::new();
    for page in pages() {
        for (line, command) in commands(&std::fs::read_to_string(&page).unwrap()) {
            let at = format!("{}:{line}", page.file_name().unwrap().display());
            if !all.iter().any(|(_, known)| *known == command) {
                all.push((at, command));
            }
        }
    }
    let how = |command: &str| row_of(command).map_or(How::Unplayed("the other test says so"), |(_, how)| *how);
    let of = |wanted: &[How]| {
        let fits = |(_, command): &&(String, String)| wanted.contains(&how(command));
        all.iter().filter(fits).cloned().collect::<Vec<_>>()
    };
    for (at, command) in of(&[How::First]) {
        play(&plane, folder.path(), &at, &command, &[0]).await;
    }
    // What the pages take to be there: teams and Argo CD have a namespace, and who reads on has applied README's Organization.
    for namespace in ["team-vision", "argocd"] {
        plane.kubectl().answer(&["create", "namespace", namespace]).await.unwrap();
    }
    plane.kubectl().answer(&["create", "configmap", "argocd-cm", "--namespace", "argocd"]).await.unwrap();
    let crds = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
    plane.kubectl().answer(&crds).await.unwrap();
    let organization = folder.file("organization.yaml");
    plane.kubectl().answer(&["apply", "-f", organization.to_str().unwrap()]).await.unwrap();
    for (at, command) in of(&[How::Runs, How::Answers]) {
        let codes: &[i32] = if how(&command) == How::Answers { &[0, 1] } else { &[0] };
        play(&plane, folder.path(), &at, &command, codes).await;
        for role in command.split_whitespace().filter_map(|word| word.strip_prefix("--clusterrole=")) {
            plane.kubectl().answer(&["get", "clusterrole", role]).await.unwrap();
        }
    }
    for (at, command) in of(&[How::Last]) {
        play(&plane, folder.path(), &at, &command, &[0]).await;
    }
    for (at, command) in of(&[How::Made]) {
        let target = command.split_whitespace().nth(1).unwrap();
        let made = Command::new("make").args(["--dry-run", target]).current_dir(checkout()).output().unwrap();
        assert!(made.status.success(), "{at}: {command}: {made:?}");
    }
}

/// In a shell that finds kubectl, helm and our own binary.
async fn play(plane: &ControlPlane, folder: &Path, at: &str, command: &str, codes: &[i32]) {
    let own = Path::new(env!("CARGO_BIN_EXE_label-studio-operator")).parent().unwrap();
    let path = format!("{}:{}:{}", plane.binaries().display(), own.display(), std::env::var("PATH").unwrap());
    let played = tokio::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", command])
        .current_dir(folder)
        .env("PATH", path)
        .env("KUBECONFIG", plane.admin_kubeconfig())
        .env("HOME", folder)
        .env_remove("HELM_NAMESPACE")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        codes.contains(&played.status.code().unwrap_or(-1)),
        "{at}: $ {command}\n{}{}{}",
        played.status,
        said(&played.stdout),
        said(&played.stderr)
    );
}
