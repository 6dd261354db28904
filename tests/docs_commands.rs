//! What the pages tell people to type does what it says: every command of their console blocks is run, in the order of the pages, on
//! a cluster that was set up by the README's own `helm install`, with the operator at work. What cannot be run here stands in a
//! list, with the reason; a command that is neither is an error.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_harness::{ControlPlane, OperatorProcess, RunFolder, checkout, control_plane_folder, eventually};
use label_studio_simulator::{Options, Simulator};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Begins with; why it is not run.
const NOT_HERE: [(&str, &str); 4] = [
    ("docker ", "takes a registry to push to"),
    ("make ", "builds or tests everything: that there is such a target is looked at"),
    ("cargo run --package label-studio-simulator", "the simulator is started by the test, as a library"),
    ("curl http://127.0.0.1:8089/", "the simulator listens elsewhere here"),
];

/// A line that begins with `$`, and what the page shows below it.
struct Typed {
    page: String,
    command: String,
    shown: Vec<String>,
}

fn typed() -> Vec<Typed> {
    let mut pages = vec![checkout().join("README.md"), checkout().join("examples/README.md")];
    pages.extend(std::fs::read_dir(checkout().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    pages[2..].sort();
    let mut found: Vec<Typed> = Vec::new();
    for path in pages {
        let page = path.strip_prefix(checkout()).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap().replace("\\\n", " ");
        for block in text.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            for line in block.lines() {
                match (line.strip_prefix("$ "), found.last_mut()) {
                    (Some(command), _) => {
                        let command = command.split("    #").next().unwrap().trim().to_owned();
                        found.push(Typed { page: page.clone(), command, shown: Vec::new() });
                    }
                    (None, Some(last)) if last.page == page => last.shown.push(line.to_owned()),
                    _ => panic!("{page}: {line:?} is no command and follows none"),
                }
            }
        }
    }
    found
}

/// The YAML block of the README that has this kind.
fn manifest(kind: &str) -> String {
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    let mut blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(&format!("kind: {kind}"))).unwrap().to_owned()
}

/// As somebody types it at the top of the checkout, with their kubeconfig.
struct Shell {
    path: String,
    home: PathBuf,
    kubeconfig: PathBuf,
    /// What the pages write, and what it is here.
    words: Vec<(&'static str, String)>,
}

impl Shell {
    async fn run(&self, command: &str) -> Output {
        let command = self.words.iter().fold(command.to_owned(), |text, (word, here)| text.replace(word, here));
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(checkout()).env("PATH", &self.path).env("HOME", &self.home);
        shell.env("KUBECONFIG", &self.kubeconfig);
        tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap()
    }

    async fn must(&self, command: &str) -> String {
        let output = self.run(command).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{command}\n{}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }
}

async fn shell(plane: &ControlPlane, folder: &RunFolder, simulator: &Simulator) -> Shell {
    let binaries = control_plane_folder().await.unwrap();
    // Where the operator is installed is where people work.
    let kubeconfig = std::fs::read_to_string(plane.admin_kubeconfig()).unwrap();
    let there = kubeconfig.replace(r#""namespace":"default""#, r#""namespace":"label-studio""#);
    assert_ne!(there, kubeconfig);
    let kubeconfig = folder.file("kubeconfig");
    std::fs::write(&kubeconfig, there).unwrap();
    let file = |name: &str, kind: &str| {
        let path = folder.file(name);
        std::fs::write(&path, manifest(kind).replace("https://label-studio.example.com", &simulator.url())).unwrap();
        path.to_str().unwrap().to_owned()
    };
    Shell {
        path: format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap()),
        home: folder.path().to_owned(),
        kubeconfig,
        words: vec![
            (" organization.yaml", format!(" {}", file("organization.yaml", "Organization"))),
            (" people.yaml", format!(" {}", file("people.yaml", "UserInvite"))),
            ("<token of an Owner or Administrator>", simulator.legacy_token()),
        ],
    }
}

#[tokio::test]
async fn every_command_in_the_pages_can_be_typed_as_it_stands() {
    let plane = ControlPlane::shared().await;
    let folder = RunFolder::new("pages").unwrap();
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let shell = shell(plane, &folder, &simulator).await;
    let typed = typed();
    let (install, others): (Vec<&Typed>, Vec<&Typed>) =
        typed.iter().partition(|typed| typed.command.starts_with("helm install "));
    assert_eq!(install.len(), 1);
    shell.must(&install[0].command).await;
    // What the pages take as given.
    for given in ["create namespace team-vision", "create namespace argocd", "-n argocd create configmap argocd-cm"] {
        shell.must(&format!("kubectl {given}")).await;
    }
    eventually("the kinds are served", Duration::from_secs(60), async || {
        Ok(shell.run("kubectl get organizations,userinvites").await.status.success().then_some(()))
    })
    .await
    .unwrap();
    let account = plane.account_kubeconfig("label-studio", "label-studio-operator").await.unwrap();
    let binary = env!("CARGO_BIN_EXE_label-studio-operator");
    let _operator = OperatorProcess::start(binary, &account, "label-studio", &[], &[]).unwrap();

    let mut run = 0;
    for Typed { page, command, shown } in others {
        println!("{page}: {command}");
        if let Some(arguments) = command.strip_prefix("cargo run --bin label-studio-operator -- ") {
            // Whether it knows these arguments.
            shell.must(&format!("{binary} {arguments} --help")).await;
        } else if let Some((_, why)) = NOT_HERE.iter().find(|(begin, _)| command.starts_with(begin)) {
            println!("    not here: {why}");
            if command.starts_with("make ") {
                shell.must(&command.replace("make ", "make --dry-run ")).await;
            }
        } else {
            let program = command.split(' ').next().unwrap();
            assert!(["kubectl", "helm"].contains(&program), "{page}: nobody knows how to play `{command}`");
            if shown.first().is_some_and(|line| line == "no") {
                // The answer of a question, with an exit code of its own.
                let answer = shell.run(command).await;
                assert_eq!((answer.status.code(), &answer.stdout[..]), (Some(1), &b"no\n"[..]), "{page}: `{command}`");
                run += 1;
                continue;
            }
            let answer = shell.must(command).await;
            let words = |line: &str| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
            if let Some(header) = shown.first().filter(|line| line.starts_with("NAME ")) {
                assert_eq!(
                    words(answer.lines().next().unwrap()),
                    words(header),
                    "{page}: `{command}` shows another table"
                );
            }
            run += 1;
        }
    }
    assert!(run >= 16, "only {run} commands were run");
    assert!(simulator.mails().len() == 2 && Path::new(&folder.file("people.yaml")).exists(), "{:?}", simulator.mails());
}
