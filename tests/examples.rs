//! Every example works as it stands: applied by folder to the real API server, with the operator at work.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_harness::{Authority, RunFolder, TlsFront, checkout};
use label_studio_simulator::{Options, OrganizationSeed};
use serde_json::Value;
use stage::{Stage, condition, person};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where the examples say that Label Studio is.
const URLS: [&str; 3] = ["http://127.0.0.1:8089", "https://app.humansignal.com", "https://label-studio.corp.example"];

const EXAMPLES: [&str; 12] = [
    "quickstart",
    "observe",
    "take-over",
    "onboarding",
    "contractors",
    "offboarding",
    "approval",
    "teams",
    "on-prem",
    "open-source",
    "cloud",
    "air-gapped",
];

#[tokio::test]
async fn every_example_is_applied_and_becomes_ready() {
    let mut folders = BTreeMap::new();
    find(&checkout().join("examples"), &mut folders);
    let names: BTreeSet<&str> = folders.keys().map(|folder| folder.file_name().unwrap().to_str().unwrap()).collect();
    for known in EXAMPLES {
        assert!(names.contains(known), "examples/{known} is gone from {names:?}");
    }
    for (folder, files) in folders {
        println!("{}", folder.display());
        let texts: BTreeMap<String, String> = files
            .iter()
            .map(|file| {
                (file.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(file).unwrap())
            })
            .collect();
        for (file, text) in &texts {
            assert!(text.starts_with("# "), "{}/{file} does not say what it shows", folder.display());
        }
        play(folder.file_name().unwrap().to_str().unwrap(), &texts).await;
    }
}

/// Files of Kubernetes below the folder, by the folder in which they are.
fn find(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<PathBuf>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // A chart is no set of manifests: tests/example_chart.rs plays it.
        if path.join("Chart.yaml").exists() {
            continue;
        }
        // Most of their kinds are of other people: tests/gitops.rs plays ours.
        if path.ends_with("examples/argo-cd") || path.ends_with("examples/flux") {
            continue;
        }
        // Pipelines: tests/pipelines.rs runs them.
        if path.ends_with("examples/ci") {
            continue;
        }
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json") {
            found.entry(folder.to_owned()).or_default().push(path);
        }
    }
}

/// The server that an example is about, and the switches of the chart that it takes.
fn server(example: &str) -> (Options, &'static [&'static str]) {
    match example {
        "on-prem" => {
            (Options { empty: true, ..Options::default() }, &["bootstrap.enabled=true", "inviteLink.enabled=true"])
        }
        "open-source" => (Options { signup_closed: true, ..Options::community() }, &["inviteLink.enabled=true"]),
        "cloud" => {
            let organization = OrganizationSeed { id: 4711, ..OrganizationSeed::default() };
            (Options { organization, ..Options::default() }, &[])
        }
        _ => (Options::default(), &[]),
    }
}

/// Status and reason of Ready, of each UserInvite and of the Organization.
fn ends(example: &str) -> ((&'static str, &'static str), &'static str) {
    match example {
        "observe" => (("False", "ObserveOnly"), "Observing"),
        // One of the two has not signed up.
        "open-source" => (("True", "Held"), "Reconciled"),
        "approval" => (("False", "RemovalGuard"), "Reconciled"),
        _ => (("True", "Reconciled"), "Reconciled"),
    }
}

/// `kubectl apply -f FOLDER`, as a reader of the examples does it, but for the address of Label Studio.
async fn play(example: &str, texts: &BTreeMap<String, String>) {
    let (options, switches) = server(example);
    let empty = options.empty;
    // One folder names its namespaces, which have other names here.
    let mut renamed = Vec::new();
    let mut stage = if example == "teams" {
        let (stage, [vision, speech]) = Stage::set_teams(options, "watch.inviteNamespaces").await;
        renamed =
            vec![("annotation-platform", stage.namespace.clone()), ("team-vision", vision), ("team-speech", speech)];
        stage
    } else {
        Stage::set_with(options, switches).await
    };
    stage.start_operator();
    if !empty {
        stage.secret(&stage.simulator.personal_access_token()).await;
        // Who is there before the manifests are.
        stage.simulator.add_workspace("Speech");
        stage.simulator.add_member("charles@example.com", "RE");
        stage.simulator.add_member("ada@example.com", "AN");
        stage.simulator.add_member("zoe@example.com", "MA");
    }
    let (url, _front) = if example == "air-gapped" { behind_tls(&stage).await } else { (stage.simulator.url(), None) };
    let copies = RunFolder::new("examples").unwrap();
    for (file, text) in texts {
        let text = URLS.iter().fold(text.clone(), |text, expected| text.replace(expected, &url));
        let text = renamed.iter().fold(text, |text, (name, here)| text.replace(name, here));
        std::fs::write(copies.file(file), text).unwrap();
    }
    let copies = copies.path().to_str().unwrap();
    let mut arguments = vec!["apply", "-o", "json", "-f", copies];
    if renamed.is_empty() {
        arguments.extend(["--namespace", &stage.namespace]);
    }
    let applied = stage.plane.kubectl().run(&arguments, "").await.unwrap();
    assert!(applied.code == 0 && applied.stderr.is_empty(), "{example}: {}", applied.stderr);

    let applied: Value = serde_json::from_str(&applied.stdout).unwrap();
    let (organizations, invites) = (names(&applied, "Organization"), names(&applied, "UserInvite"));
    assert!(!organizations.is_empty() && (empty || !invites.is_empty()), "{example} shows nothing");
    let secrets = names(&applied, "Secret").len();
    assert_eq!(objects(&applied).count(), organizations.len() + invites.len() + secrets, "{applied:#}");
    let ((status, of_people), of_organization) = ends(example);
    for (namespace, name) in &invites {
        stage.at(namespace).ready(&format!("userinvite/{name}"), status, of_people).await;
    }
    for (namespace, name) in &organizations {
        stage.at(namespace).ready(&format!("organization/{name}"), "True", of_organization).await;
    }
    let home = stage.watched[0].clone();
    look(example, stage.at(&home)).await;
}

/// The server of examples/air-gapped, whose authority stands in the ConfigMap that its comment tells how to make.
async fn behind_tls(stage: &Stage) -> (String, Option<TlsFront>) {
    let authority = Authority::new().unwrap();
    let identity = authority.identity("localhost").unwrap();
    let front = TlsFront::start(stage.simulator.address(), identity).await.unwrap();
    let literal = format!("--from-literal=ca.crt={}", authority.pem());
    stage.kubectl(&["create", "configmap", "corporate-ca", &literal], "").await;
    (front.url(), Some(front))
}

/// What the example is there to show.
async fn look(example: &str, stage: &Stage) {
    let link =
        async || stage.get("secret/invite-link").await["data"]["url"].as_str().is_some_and(|url| !url.is_empty());
    match example {
        "observe" => assert_eq!(stage.simulator.journal().writes().len(), 0),
        "on-prem" => assert!(stage.simulator.members().len() == 1 && link().await),
        "offboarding" => assert_eq!(stage.simulator.member("charles@example.com").unwrap().role, "DI"),
        "open-source" => {
            let organization = stage.get("organization/studio").await;
            assert_eq!(condition(&organization, "SignupRestricted")["status"], "True", "{organization:#}");
            let invite = stage.get("userinvite/annotators").await;
            assert_eq!(person(&invite, "ada@example.com")["state"], "Active");
            assert_eq!(person(&invite, "alan@example.com")["reason"], "UnsupportedByEdition");
            assert!(link().await && stage.simulator.mails().is_empty());
        }
        "cloud" => {
            assert_eq!(stage.get("organization/acme").await["status"]["target"]["organizationId"], 4711);
            assert_eq!((stage.simulator.mails_to("grace@example.com"), stage.simulator.mails().len()), (1, 2));
        }
        "air-gapped" => {
            let organization = stage.get("organization/studio").await;
            let authenticated = &condition(&organization, "Authenticated")["message"];
            assert_eq!(authenticated, "the server accepts the token", "not over plain http");
        }
        // Two teams, each with its own, and two of the platform.
        "teams" => assert!(stage.simulator.mails().len() > 3),
        "onboarding" => {
            let speech = stage.simulator.workspace(1).unwrap();
            assert_eq!((speech.title.as_str(), stage.simulator.mails().len()), ("Speech", 3));
            stage.simulator.accept_invitation("mary@example.com").unwrap();
            let mary = stage.simulator.member("mary@example.com").unwrap();
            assert!(stage.simulator.workspace(1).unwrap().members.contains(&mary.user_id));
        }
        "contractors" => {
            let invite = stage.get("userinvite/contractors-of-2090").await;
            assert_eq!(person(&invite, "mary@example.com")["state"], "Invited");
        }
        "take-over" => {
            assert_eq!((stage.simulator.journal().writes().len(), stage.simulator.mails().len()), (0, 0));
            let unmanaged = stage.get("organization/acme").await["status"]["unmanaged"].clone();
            assert_eq!(unmanaged, serde_json::json!([{"email": "zoe@example.com", "role": "Manager"}]));
        }
        "approval" => {
            let organization = stage.get("organization/acme").await;
            let message = condition(&organization, "MembersSynced")["message"].as_str().unwrap().to_owned();
            let command = message.split("kubectl ").nth(1).unwrap();
            let words: Vec<&str> = command.split_whitespace().collect();
            assert_eq!(stage.simulator.member("ada@example.com").unwrap().role, "AN");
            stage.plane.kubectl().run(&words, "").await.unwrap().ok().unwrap();
            stage.ready("userinvite/closed-department", "True", "Reconciled").await;
            for email in ["ada@example.com", "charles@example.com"] {
                assert_eq!(stage.simulator.member(email).unwrap().role, "DI");
            }
        }
        "quickstart" => assert_eq!(stage.simulator.mails().len(), 3),
        other => panic!("nobody looks at what examples/{other} shows"),
    }
}

/// What was applied: one object, or a list of them.
fn objects(applied: &Value) -> impl Iterator<Item = &Value> {
    let list = applied["items"].as_array();
    list.into_iter().flatten().chain(std::iter::once(applied).filter(move |_| list.is_none()))
}

/// With their namespaces.
fn names(applied: &Value, kind: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_kind = objects(applied).filter(|object| object["kind"] == kind);
    of_kind.map(|object| (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))).collect()
}
