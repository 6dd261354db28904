//! What the operator shows to the cluster: `/metrics` as `docs/metrics.md` says, `/readyz` that names what is missing.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_chart;

use label_studio_harness::{ControlPlane, OperatorProcess, checkout, eventually};
use label_studio_simulator::{Fault, FaultKind, Options};
use serde_json::json;
use stage::{SOON, Stage};
use stage_chart::metrics::documented;
use std::collections::{BTreeMap, BTreeSet};

const ADDRESSES: [(&str, &str); 2] =
    [("LABEL_STUDIO_OPERATOR_HEALTH_ADDRESS", "127.0.0.1:0"), ("LABEL_STUDIO_OPERATOR_METRICS_ADDRESS", "127.0.0.1:0")];

async fn page(operator: &OperatorProcess, pages: &str, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", operator.address_of(pages, SOON).await.unwrap());
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The page of metrics once it says all of this, with `NS` for the stage's namespace. The operator tells what its cache holds,
/// which may come after what the API server tells us.
async fn figures(stage: &Stage, expected: &[&str]) -> String {
    let expected: Vec<String> = expected
        .iter()
        .map(|expected| format!("label_studio_operator_{}", expected.replace("NS", &stage.namespace)))
        .collect();
    let told = eventually("the figures", SOON, async || {
        let (status, text) = page(stage.operator(), "Figures", "/metrics").await;
        assert_eq!(status, 200);
        for expected in &expected {
            anyhow::ensure!(text.contains(expected), "{expected} is missing in\n{text}");
        }
        Ok(Some(text))
    });
    told.await.unwrap_or_else(|error| panic!("{error:#}"))
}

/// Metrics and their labels, as the page has them.
fn metrics(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let kinds: BTreeMap<&str, &str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let name = if kinds.get(family) == Some(&"histogram") { family } else { name };
        let labels = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
        let labels = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        found.entry(name.to_owned()).or_default().extend(labels.filter(|label| label != "le"));
    }
    found
}

#[tokio::test]
async fn every_metric_stands_in_the_documentation_with_its_labels_and_names_nobody() {
    let mut stage = Stage::set(Options { seat_limit: Some(50), ..Options::default() }).await;
    stage.start_operator_with(&ADDRESSES);
    stage.secret(&stage.simulator.personal_access_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    let people = ["ada@example.com", "operator@example.com"];
    stage.apply(&Stage::invite("annotators", "Annotator", &people)).await;
    // The second is the operator's own account.
    stage.ready("userinvite/annotators", "False", "Self").await;
    stage.until("its condition", async || page(stage.operator(), "Figures", "/metrics").await.1.contains("Self")).await;
    stage.apply(&stage.organization(json!({"mode": "Observe"}))).await;
    stage.apply(&Stage::invite("later", "Annotator", &["grace@example.com"])).await;
    stage.ready("userinvite/later", "False", "ObserveOnly").await;
    let mut astray = Stage::invite("astray", "Annotator", &["alan@example.com"]);
    astray["spec"]["organizationRef"] = json!({"name": "alan.at.example", "namespace": "invented"});
    stage.apply(&astray).await;
    stage.ready("userinvite/astray", "False", "OrganizationNotFound").await;
    let expected = [
        r#"members{namespace="NS",organization="acme",state="invited"} 1"#,
        r#"held{namespace="NS",organization="acme",reason="Self"} 1"#,
        r#"user_invites{namespace="NS",organization="acme",ready="False",reason="Self"} 1"#,
        r#"user_invites{namespace="NS",organization="",ready="False",reason="OrganizationNotFound"} 1"#,
        r#"seats{namespace="NS",organization="acme",kind="limit"} 50"#,
        r#"api_request_duration_seconds_count{operation="POST /api/invite/send-email",answer="ok"} 1"#,
        r#"steps_total{namespace="NS",organization="acme",kind="invite",result="done"} 1"#,
        r#"steps_left{namespace="NS",organization="acme",kind="invite"} 1"#,
        "leader 1",
    ];
    let text = figures(&stage, &expected).await;
    assert_eq!(metrics(&text), documented());
    assert!(text.ends_with("# EOF\n"), "OpenMetrics ends like this");
    let url = stage.simulator.url();
    for secret in [
        "ada@",
        "operator@example",
        "alan",
        "invented",
        url.trim_start_matches("http://"),
        &*stage.simulator.personal_access_token(),
    ] {
        assert!(!text.contains(secret), "{secret} stands on the page");
    }
    // What is gone is not told of any more.
    stage.delete("userinvite/annotators").await;
    stage.delete("userinvite/later").await;
    stage.delete("organization/acme").await;
    let acme = async || page(stage.operator(), "Figures", "/metrics").await.1.contains("acme");
    stage.until("no word of it", async || !acme().await).await;
}

#[tokio::test]
async fn an_organization_that_is_gone_keeps_no_budget_for_whoever_still_refers_to_it() {
    let mut stage = Stage::set(Options::default()).await;
    stage.start_operator_with(&ADDRESSES);
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("annotators", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/annotators", "True", "Reconciled").await;
    let figures = async || page(stage.operator(), "Figures", "/metrics").await.1;
    let budget = format!("api_budget_left{{namespace=\"{}\",organization=\"acme\"}}", stage.namespace);
    stage.until("its budget", async || figures().await.contains(&budget)).await;
    stage.delete("organization/acme").await;
    stage.ready("userinvite/annotators", "False", "OrganizationNotFound").await;
    stage.until("no budget", async || !figures().await.contains(&budget)).await;
}

#[tokio::test]
async fn steps_are_counted_by_what_came_of_them() {
    let mut stage = Stage::set(Options::default()).await;
    stage.start_operator_with(&ADDRESSES);
    stage.simulator.add_member("ada@example.com", "AN");
    stage.simulator.fault(Fault::on("POST", "/api/invite/send-email", FaultKind::Forbidden403).always());
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("people", "Reviewer", &["ada@example.com", "grace@example.com"])).await;
    stage.ready("userinvite/people", "False", "Forbidden").await;
    let counted = [
        r#"steps_total{namespace="NS",organization="acme",kind="set_role",result="done"} 1"#,
        r#"steps_total{namespace="NS",organization="acme",kind="invite",result="failed"} 1"#,
    ];
    figures(&stage, &counted).await;
}

#[tokio::test]
async fn it_is_alive_at_once_and_ready_when_the_kinds_are_there_as_this_version_writes_them() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await.unwrap()));
    let mut stage = Stage::set_on(plane, Options::default(), &[]).await;
    stage.start_operator_with(&ADDRESSES);
    let operator = stage.operator();
    assert_eq!(page(operator, "Health", "/livez").await.0, 200);
    assert_eq!(page(operator, "Health", "/metrics").await.0, 404);
    let readyz = async || page(operator, "Health", "/readyz").await;
    stage
        .until("both kinds named", async || {
            readyz().await.1.contains("Organization is not served, UserInvite is not served")
        })
        .await;
    assert_eq!(readyz().await.0, 503);
    let address = operator.address_of("Health", SOON).await.unwrap();
    let url = format!("http://{address}/readyz");
    let (status, said) = probed(&url);
    assert_eq!(status, Some(1));
    assert!(said.starts_with(&format!("error: {url} answers 503 Service Unavailable: the API server")), "{said}");
    assert!(said.contains("Organization is not served"), "{said}");
    stage.kubectl(&["apply", "--server-side", "-f", "-"], &older_definitions()).await;
    stage.until("the field named", async || readyz().await.1.contains("Organization lacks status.inFlight;")).await;
    assert_eq!(readyz().await.0, 503);
    plane.install_crds().await.unwrap();
    stage.until("ready", async || readyz().await == (200, "ready\n".to_owned())).await;
    assert_eq!(probed(&url), (Some(0), "ready\n".to_owned()));
}

/// The definitions of an older version, which lack something that is remembered.
fn older_definitions() -> String {
    let files = std::fs::read_dir(checkout().join("crds")).unwrap();
    let old = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    old.map(|text| text.replace("  inFlight:", "  inFlightOnce:")).collect::<Vec<_>>().join("\n---\n")
}

/// What `label-studio-operator probe` ends with, and says on either stream.
fn probed(url: &str) -> (Option<i32>, String) {
    let binary = env!("CARGO_BIN_EXE_label-studio-operator");
    let answer = std::process::Command::new(binary).args(["probe", url]).output().unwrap();
    (answer.status.code(), String::from_utf8([answer.stdout, answer.stderr].concat()).unwrap())
}

#[tokio::test]
async fn whoever_stands_by_is_ready_and_says_so() {
    let mut stage = Stage::set(Options::default()).await;
    let elect = [ADDRESSES.as_slice(), &[("LABEL_STUDIO_OPERATOR_LEADER_ELECT", "true")]].concat();
    stage.start_operator_with(&elect);
    let leader = stage.operator.take().unwrap();
    leader.wait_for_line("this replica leads", SOON).await.unwrap();
    stage.start_operator_with(&elect);
    let readyz = async || page(stage.operator(), "Health", "/readyz").await;
    let standing_by = (200, "standing by: another replica leads\n".to_owned());
    stage.until("standing by", async || readyz().await == standing_by).await;
    assert!(page(stage.operator(), "Figures", "/metrics").await.1.contains("label_studio_operator_leader 0"));
    assert!(page(&leader, "Figures", "/metrics").await.1.contains("label_studio_operator_leader 1"));
}

#[tokio::test]
async fn whoever_could_not_lead_is_not_ready_to_follow() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await.unwrap()));
    let mut stage = Stage::set_on(plane, Options::default(), &[]).await;
    plane.install_crds().await.unwrap();
    let elect = [ADDRESSES.as_slice(), &[("LABEL_STUDIO_OPERATOR_LEADER_ELECT", "true")]].concat();
    stage.start_operator_with(&elect);
    let leader = stage.operator.take().unwrap();
    leader.wait_for_line("this replica leads", SOON).await.unwrap();
    // As when a new version comes with its definitions left behind.
    stage.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &older_definitions()).await;
    let published = ["get", "--raw", "/openapi/v3/apis/labelstudio.rs/v1alpha1"];
    stage.until("them published", async || stage.kubectl(&published, "").await.contains("inFlightOnce")).await;
    stage.start_operator_with(&elect);
    let readyz = async || page(stage.operator(), "Health", "/readyz").await;
    stage.until("the field named", async || readyz().await.1.contains("Organization lacks status.inFlight;")).await;
    assert_eq!(readyz().await.0, 503);
    let holder = async || stage.get("lease/label-studio-operator").await["spec"]["holderIdentity"].take();
    let led = holder().await;
    assert!(leader.terminate().await.unwrap().status.success());
    // Given back, or left to end by itself where the API server was slow to answer; not taken by the other one.
    let left = holder().await;
    assert!(left.is_null() || left == led, "it took what it could do nothing with: {left}");
    assert_eq!(stage.log_lines("this replica leads"), 0);
    let crds = checkout().join("crds");
    stage.kubectl(&["apply", "--server-side", "-f", crds.to_str().unwrap()], "").await;
    stage.operator().wait_for_line("this replica leads", SOON).await.unwrap();
    stage.until("ready", async || readyz().await == (200, "ready\n".to_owned())).await;
}

#[tokio::test]
async fn a_namespace_that_cannot_be_listed_is_named_and_keeps_nobody_from_being_ready() {
    let (mut stage, [team, _]) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
    let home = stage.namespace.clone();
    let (name, binding) = stage.at(&team).binding().await;
    stage.delete(&format!("rolebinding/{name}")).await;
    stage.at(&home);
    stage.start_operator_with(&ADDRESSES);
    let readyz = async || page(stage.operator(), "Health", "/readyz").await;
    let named = format!("namespace {team:?}: cannot be listed, it does not exist or the right is missing\nready\n");
    stage.until("the namespace named", async || readyz().await == (200, named.clone())).await;
    let left_out = async || page(stage.operator(), "Figures", "/metrics").await.1;
    assert!(left_out().await.contains("label_studio_operator_namespaces_left_out 1\n"));
    let back = ["--namespace", &team, "apply", "-f", "-"];
    stage.plane.kubectl().run(&back, &binding.to_string()).await.unwrap().ok().unwrap();
    stage.until("ready", async || readyz().await == (200, "ready\n".to_owned())).await;
    assert!(left_out().await.contains("label_studio_operator_namespaces_left_out 0\n"));
}
