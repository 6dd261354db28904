//! The pipelines in `examples/ci` do what they say: their own lines run in a shell, on manifests, against a Label Studio. Only what
//! asks GitHub or GitLab is left out.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_shell;

use label_studio_harness::{Authority, checkout};
use label_studio_operator::manifest::{Node, Value};
use label_studio_simulator::Options;
use serde_json::json;
use stage_shell::{BINARY, Ran, Shell, ended};
use std::process::{Command, Stdio};

/// Asks GitHub.
const ELSEWHERE: &str = "gh pr comment ";

fn pipeline(file: &str) -> Node {
    let text = std::fs::read_to_string(checkout().join("examples/ci").join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The scripts of a job of GitHub's, step by step.
fn github(job: &str) -> Vec<String> {
    let workflow = pipeline("github-actions.yaml");
    let steps = workflow.get("jobs").and_then(|jobs| jobs.get(job)).and_then(|job| job.get("steps")).unwrap().items();
    steps.iter().filter_map(|step| step.get("run")?.text().map(ToOwned::to_owned)).collect()
}

fn gitlab(job: &str) -> Vec<String> {
    let script = pipeline("gitlab.yaml").get(job).and_then(|job| job.get("script")).unwrap().clone();
    let lines: Vec<&str> = script.items().iter().map(|line| line.text().unwrap()).collect();
    vec![lines.join("\n")]
}

/// As both do it: the first line that fails ends it.
async fn run(shell: &Shell, script: &str, url: &str) -> Ran {
    let programs = std::path::Path::new(BINARY).parent().unwrap();
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).current_dir(shell.folder.path()).stdin(Stdio::null());
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    command.env("GITHUB_STEP_SUMMARY", shell.folder.file("summary.md"));
    command.env("LABEL_STUDIO_URL", url).env("LABEL_STUDIO_API_KEY", shell.token.as_ref().unwrap());
    ended(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

async fn shell() -> Shell {
    let shell = Shell::open(Options::default()).await;
    let url = shell.simulator.url();
    for file in ["organization.yaml", "people.yaml"] {
        let text = std::fs::read_to_string(checkout().join("examples/quickstart").join(file)).unwrap();
        shell.write(&format!("people/{file}"), &text.replace("http://127.0.0.1:8089", &url));
    }
    shell
}

#[tokio::test]
async fn a_pull_request_is_judged_and_told_and_the_merge_applied() {
    for (name, plan, apply) in [
        ("GitHub", github("plan"), github("apply")),
        ("GitLab", [gitlab("validate"), gitlab("plan")].concat(), gitlab("apply")),
    ] {
        let shell = shell().await;
        let url = shell.simulator.url();
        for script in &plan {
            let ran = run(&shell, script, &url).await;
            assert_eq!(ran.code, 0, "{name}: {script}: {ran:#?}");
        }
        assert!(shell.read("plan.md").starts_with("### Label Studio: "), "{name}");
        assert_eq!(shell.writes(), 0, "{name}");
        for script in &apply {
            let ran = run(&shell, script, &url).await;
            assert_eq!(ran.code, 0, "{name}: {script}: {ran:#?}");
        }
        assert!(!shell.simulator.mails().is_empty(), "{name}");
        // In sync, the plan is an answer as well.
        assert_eq!(run(&shell, plan.last().unwrap(), &url).await.code, 0, "{name}");
        assert!(shell.read("plan.md").starts_with("### Label Studio: as declared"), "{name}");
    }
    assert_eq!(github("comment"), [format!("{ELSEWHERE}\"$NUMBER\" --edit-last --create-if-none --body-file plan.md")]);
}

#[tokio::test]
async fn what_is_wrong_in_a_pull_request_ends_its_pipeline_and_no_token_leaves() {
    for plan in [github("plan"), [gitlab("validate"), gitlab("plan")].concat()] {
        let shell = shell().await;
        let url = shell.simulator.url();
        let people = shell.read("people/people.yaml");
        shell.write("people/people.yaml", &people.replace("role: Annotator", "role: Anotator"));
        for script in &plan {
            assert_ne!(run(&shell, script, &url).await.code, 0, "{script}");
        }
        shell.write("people/people.yaml", &people);
        // A manifest that names a server of somebody else's.
        let other = Shell::open(Options::default()).await;
        let organization = shell.read("people/organization.yaml").replace(&url, &other.simulator.url());
        shell.write("people/organization.yaml", &organization);
        let ran = run(&shell, plan.last().unwrap(), &url).await;
        assert_ne!(ran.code, 0, "{ran:#?}");
        assert!(ran.err.contains("it is sent to no other server"), "{ran:#?}");
        // A variable that nobody has defined is empty.
        let ran = run(&shell, plan.last().unwrap(), "").await;
        assert!(ran.code != 0 && ran.err.contains("names the server that the token is for"), "{ran:#?}");
        assert!(other.simulator.journal().is_empty());
    }
}

#[test]
fn a_pull_request_has_no_more_rights_than_it_needs() {
    let workflow = pipeline("github-actions.yaml");
    let Value::Map(jobs) = &workflow.get("jobs").unwrap().value else { panic!("no jobs") };
    for (name, job) in jobs {
        let permissions = job.get("permissions").unwrap().json();
        let secrets = job.get("env").is_some_and(|env| env.json().to_string().contains("secrets."));
        let writes = permissions.to_string().contains("write");
        // Who has the token may write nothing at GitHub, and who comments does not have it.
        assert!(!(secrets && writes), "{}: {permissions}", name.name);
    }
    assert!(workflow.get("on").unwrap().get("pull_request_target").is_none());
}

#[tokio::test]
async fn every_example_can_be_planned_from_its_files_alone() {
    let examples = checkout().join("examples");
    let mut planned = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        // Charts, and objects that are mostly of other people.
        if !folder.is_dir() || ["helm", "argo-cd", "flux", "ci"].contains(&name.as_str()) {
            continue;
        }
        let mut options = if name == "open-source" { Options::community() } else { Options::default() };
        options.organization.id = if name == "cloud" { 4711 } else { 1 };
        let shell = Shell::open(options).await;
        for file in std::fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            let mut text = std::fs::read_to_string(&file).unwrap();
            for url in ["http://127.0.0.1:8089", "https://app.humansignal.com", "https://label-studio.corp.example"] {
                text = text.replace(url, &shell.simulator.url());
            }
            shell.write(&format!("people/{}", file.file_name().unwrap().to_str().unwrap()), &text);
        }
        if name == "air-gapped" {
            let pem = Authority::new().unwrap().pem().to_owned();
            let authority = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "corporate-ca"}, "data": {"ca.crt": pem}
            });
            let ran = shell.run(&["plan", "people"]).await;
            assert!(
                ran.err.contains("spec.tls.caBundle: ConfigMap \"corporate-ca\" is not among the files"),
                "{ran:#?}"
            );
            shell.write("people/authority.json", &authority.to_string());
        }
        let ran = shell.run(&["plan", "people"]).await;
        assert!([0, 2, 3].contains(&ran.code), "{name}: {ran:#?}");
        assert_eq!(shell.writes(), 0, "{name}");
        planned += 1;
    }
    assert!(planned >= 12, "{planned}");
}
