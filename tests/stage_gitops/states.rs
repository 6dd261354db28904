//! Objects of both kinds in every state that they can be in, as the operator left them: harvested from the real API server once
//! it has ended, so that they stay as they are.

#![allow(clippy::needless_pass_by_value)] // `json!` values are handed over, not lent.

use crate::stage::{Stage, person};
use label_studio_simulator::{Edition, Fault, FaultKind, Options, OrganizationSeed, Simulator};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// What it is called tells the state; the last word is what kstatus has to say of it.
const STATES: [(&str, &str, &str); 31] = [
    ("organization/unseen", "", "InProgress"),
    ("organization/reconciled", "Reconciled", "Current"),
    ("organization/observing", "Observing", "Current"),
    ("organization/suspended", "Suspended", "Current"),
    ("organization/no-secret", "SecretMissing", "InProgress"),
    ("organization/unreachable", "Unreachable", "InProgress"),
    ("organization/unauthorized", "Unauthorized", "Failed"),
    ("organization/younger", "Conflict", "Failed"),
    ("organization/upgraded", "TargetChanged", "Failed"),
    ("organization/rolling-out", "RollingOut", "InProgress"),
    ("organization/secret-taken", "SecretNotOurs", "Failed"),
    ("organization/departing", "Progressing", "InProgress"),
    ("organization/departures-held", "DeparturesHeld", "Failed"),
    ("organization/edited", "Reconciled", "InProgress"),
    ("organization/deleted", "Reconciled", "Terminating"),
    ("userinvite/unseen", "", "InProgress"),
    // One of its people has not accepted yet: nobody waits for that.
    ("userinvite/invited", "Reconciled", "Current"),
    ("userinvite/somebody-left", "Held", "Current"),
    ("userinvite/guarded", "RemovalGuard", "Failed"),
    ("userinvite/same-wish", "Held", "Current"),
    ("userinvite/other-wish", "Conflict", "Failed"),
    ("userinvite/unsure", "IncompleteRoster", "InProgress"),
    ("userinvite/observed", "ObserveOnly", "Failed"),
    ("userinvite/before-suspension", "Reconciled", "Current"),
    ("userinvite/after-suspension", "OrganizationSuspended", "Failed"),
    ("userinvite/waiting", "OrganizationNotReady", "InProgress"),
    ("userinvite/orphan", "OrganizationNotFound", "InProgress"),
    ("userinvite/of-another-edition", "TargetChanged", "Failed"),
    ("userinvite/not-granted", "NotGranted", "Failed"),
    ("userinvite/crowd", "Progressing", "InProgress"),
    ("userinvite/deleted", "Reconciled", "Terminating"),
];

#[derive(Clone, Debug)]
pub struct State {
    /// `organization/suspended`
    pub name: String,
    /// What kstatus has to say of it.
    pub wanted: &'static str,
    /// As the API server has it.
    pub object: Value,
}

/// All of them, for all tests of this process.
pub async fn every_state() -> &'static [State] {
    static STATES: OnceCell<Vec<State>> = OnceCell::const_new();
    STATES.get_or_init(play).await
}

async fn play() -> Vec<State> {
    let mut stage = Stage::set(Options::default()).await;
    let plane = stage.plane;
    let (home, team, unwatched) = (
        plane.namespace("operator").await.unwrap(),
        plane.namespace("team").await.unwrap(),
        plane.namespace("unwatched").await.unwrap(),
    );
    let watched = [format!("watch.namespaces={{{}}}", stage.namespace), format!("watch.inviteNamespaces={{{team}}}")];
    let values = [&watched[0], &watched[1], "inviteLink.enabled=true", "signupLock.enabled=true"];
    stage.kubeconfig = plane.operator_kubeconfig_with(&home, &values).await.unwrap();
    stage.invite_only.push(team.clone());
    let here = stage.namespace.clone();

    stage.at(&unwatched);
    stage.apply(&organization("unseen", "http://127.0.0.1:1", json!({}))).await;
    stage.apply(&invite("unseen", "unseen", "Annotator", &["ada@example.com"])).await;
    stage.at(&here);
    stage.start_operator();
    let mut servers = of_organizations(&stage).await;
    servers.extend(of_people(&mut stage, &here, &team).await);
    servers.extend(of_departures(&stage).await);
    wait_for_all(&mut stage, &here, &team).await;

    // What passes by itself is caught in the middle: the operator ends.
    let slow = server(&stage, 20, "slow", json!({"rateLimit": {"requestsPerSecond": 1, "burst": 1}})).await;
    slow.seed_members(200, "AN");
    let crowd: Vec<String> = (0..200).map(|n| format!("person{n:05}@example.com")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    stage.apply(&invite("crowd", "slow", "Reviewer", &crowd)).await;
    stage.ready("userinvite/crowd", "False", "Progressing").await;
    stage.delete("userinvite/departing").await;
    stage.ready("organization/departing", "False", "Progressing").await;
    let ended = stage.operator().terminate().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    stage.kubectl(&["patch", "organization/edited", "--type=merge", "-p", r#"{"spec":{"title":"Another"}}"#], "").await;
    for deleted in ["organization/deleted", "userinvite/deleted"] {
        stage.kubectl(&["delete", deleted, "--wait=false"], "").await;
    }

    let mut states = Vec::new();
    for (name, reason, wanted) in STATES {
        let namespace = where_is(name, &here, &team, &unwatched);
        let object = stage.at(namespace).get(name).await;
        let ready = crate::stage::condition(&object, "Ready");
        assert_eq!(ready["reason"].as_str().unwrap_or_default(), reason, "{name}: {:#}", object["status"]);
        states.push(State { name: name.to_owned(), wanted, object });
    }
    states
}

fn where_is<'a>(name: &str, here: &'a str, team: &'a str, unwatched: &'a str) -> &'a str {
    match name.split('/').nth(1).unwrap() {
        "unseen" => unwatched,
        "not-granted" => team,
        _ => here,
    }
}

/// Until each of them is what its name says, but for those whose time comes later.
async fn wait_for_all(stage: &mut Stage, here: &str, team: &str) {
    for (name, reason, wanted) in STATES {
        if ["unseen", "crowd", "departing"].iter().any(|later| name.ends_with(later)) {
            continue;
        }
        let was_ready = wanted == "Current" || reason == "Reconciled";
        let status = if was_ready { "True" } else { "False" };
        stage.at(where_is(name, here, team, here)).ready(name, status, reason).await;
    }
    stage.at(here);
}

fn organization(name: &str, url: &str, more: Value) -> Value {
    let mut spec = json!({
        "url": url, "credentials": {"secretRef": {"name": name}}, "rateLimit": {"requestsPerSecond": 200, "burst": 50}
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "labelstudio.rs/v1alpha1", "kind": "Organization", "metadata": {"name": name}, "spec": spec})
}

fn invite(name: &str, organization: &str, role: &str, emails: &[&str]) -> Value {
    let mut invite = Stage::invite(name, role, emails);
    invite["spec"]["organizationRef"]["name"] = organization.into();
    invite
}

async fn secret(stage: &Stage, name: &str, token: &str) {
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"token": token}});
    stage.apply(&secret).await;
}

/// A server of its own with another organization than all others, a Secret for it and an Organization.
async fn server(stage: &Stage, id: u64, name: &str, more: Value) -> Simulator {
    let options =
        Options { organization: OrganizationSeed { id, ..OrganizationSeed::default() }, ..Options::default() };
    server_with(stage, options, name, more).await
}

async fn server_with(stage: &Stage, options: Options, name: &str, more: Value) -> Simulator {
    let simulator = Simulator::start(options).await.unwrap();
    secret(stage, name, &simulator.legacy_token()).await;
    stage.apply(&organization(name, &simulator.url(), more)).await;
    simulator
}

async fn reconcile(stage: &Stage, organization: &str) {
    let organization = format!("organization/{organization}");
    stage.kubectl(&["annotate", &organization, "labelstudio.rs/reconcile=1"], "").await;
}

/// Organizations that are in a state for reasons of their own.
async fn of_organizations(stage: &Stage) -> Vec<Simulator> {
    stage.apply(&organization("no-secret", "http://127.0.0.1:1", json!({}))).await;
    stage.apply(&invite("waiting", "no-secret", "Annotator", &["ada@example.com"])).await;
    secret(stage, "unreachable", "0123456789abcdef0123456789abcdef01234567").await;
    stage.apply(&organization("unreachable", "http://127.0.0.1:1", json!({}))).await;
    stage.apply(&invite("orphan", "nowhere", "Annotator", &["ada@example.com"])).await;

    let unauthorized = server(stage, 2, "unauthorized", json!({})).await;
    secret(stage, "unauthorized", "0123456789abcdef0123456789abcdef01234567").await;
    let observing = server(stage, 3, "observing", json!({"mode": "Observe"})).await;
    stage.apply(&invite("observed", "observing", "Annotator", &["ada@example.com"])).await;

    let studio = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "studio"},
        "spec": {
            "selector": {"matchLabels": {"app": "studio"}},
            "template": {
                "metadata": {"labels": {"app": "studio"}}, "spec": {"containers": [{"name": "app", "image": "studio"}]}
            }
        }
    });
    stage.apply(&studio).await;
    let workloads = json!([{"kind": "Deployment", "name": "studio", "container": "app"}]);
    // There is no node: its Pods never come.
    let lock = json!({"signup": {"requireInvite": true, "workloads": workloads}});
    let rolling_out = server(stage, 4, "rolling-out", lock).await;
    secret(stage, "taken", "of somebody else").await;
    let taken = server(stage, 5, "secret-taken", json!({"inviteLink": {"secretName": "taken"}})).await;

    let edited = server(stage, 6, "edited", json!({})).await;
    let deleted = server(stage, 7, "deleted", json!({})).await;
    let kept = r#"{"metadata":{"finalizers":["example.com/kept"]}}"#;
    stage.kubectl(&["patch", "organization/deleted", "--type=merge", "-p", kept], "").await;
    vec![unauthorized, observing, rolling_out, taken, edited, deleted]
}

/// UserInvites, and what follows from them.
async fn of_people(stage: &mut Stage, here: &str, team: &str) -> Vec<Simulator> {
    secret(stage, "reconciled", &stage.simulator.legacy_token()).await;
    stage.apply(&organization("reconciled", &stage.simulator.url(), json!({}))).await;
    stage.simulator.add_member("ada@example.com", "AN");
    stage.simulator.add_member("zoe@example.com", "AN");
    stage.simulator.seed_members(6, "AN");
    // By its name it wins where all three are made within one second.
    stage.apply(&invite("invited", "reconciled", "Annotator", &["ada@example.com", "new@example.com"])).await;
    stage.apply(&invite("somebody-left", "reconciled", "Annotator", &["zoe@example.com"])).await;
    stage.ready("userinvite/invited", "True", "Reconciled").await;
    stage.ready("userinvite/somebody-left", "True", "Reconciled").await;
    stage.apply(&invite("same-wish", "reconciled", "Annotator", &["ada@example.com"])).await;
    stage.apply(&invite("other-wish", "reconciled", "Reviewer", &["ada@example.com"])).await;
    let many: Vec<String> = (0..6).map(|n| format!("person{n:05}@example.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    stage.apply(&invite("guarded", "reconciled", "Deactivated", &many)).await;
    stage.simulator.leave("zoe@example.com").unwrap();
    reconcile(stage, "reconciled").await;
    secret(stage, "younger", &stage.simulator.legacy_token()).await;
    stage.apply(&organization("younger", &stage.simulator.url(), json!({}))).await;
    let mut foreign = invite("not-granted", "reconciled", "Annotator", &["mary@example.com"]);
    foreign["spec"]["organizationRef"]["namespace"] = here.into();
    stage.at(team).apply(&foreign).await;
    stage.at(here);

    let suspended = server(stage, 8, "suspended", json!({})).await;
    stage.apply(&invite("before-suspension", "suspended", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/before-suspension", "True", "Reconciled").await;
    stage.apply(&organization("suspended", &suspended.url(), json!({"suspend": true}))).await;
    stage.ready("organization/suspended", "True", "Suspended").await;
    stage.apply(&invite("after-suspension", "suspended", "Annotator", &["alan@example.com"])).await;

    let community = Options { edition: Edition::Community, ..Options::default() };
    let seed = OrganizationSeed { id: 9, ..OrganizationSeed::default() };
    let upgraded = server_with(stage, Options { organization: seed, ..community }, "upgraded", json!({})).await;
    stage.apply(&invite("of-another-edition", "upgraded", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/of-another-edition", "True", "Held").await;
    upgraded.set_edition(Edition::Enterprise);
    reconcile(stage, "upgraded").await;

    let unsure = server(stage, 10, "unsure", json!({})).await;
    stage.ready("organization/unsure", "True", "Reconciled").await;
    unsure.fault(Fault::on("GET", "/api/organizations/*/memberships", FaultKind::EmptyRoster).always());
    reconcile(stage, "unsure").await;
    stage.apply(&invite("unsure", "unsure", "Annotator", &["ada@example.com"])).await;

    let mut deleted = invite("deleted", "unsure-too", "Annotator", &["ada@example.com"]);
    deleted["metadata"]["finalizers"] = json!(["example.com/kept"]);
    let unsure_too = server(stage, 11, "unsure-too", json!({})).await;
    stage.apply(&deleted).await;
    vec![suspended, upgraded, unsure, unsure_too]
}

/// UserInvites that are gone, of people who still have access.
async fn of_departures(stage: &Stage) -> [Simulator; 2] {
    let servers =
        [server(stage, 12, "departures-held", json!({})).await, server(stage, 13, "departing", json!({})).await];
    for simulator in &servers {
        simulator.seed_members(6, "AN");
    }
    let many: Vec<String> = (0..6).map(|n| format!("person{n:05}@example.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    stage.apply(&invite("gone", "departures-held", "Annotator", &many)).await;
    stage.apply(&invite("departing", "departing", "Annotator", &many[..1])).await;
    for name in ["gone", "departing"] {
        let invite = stage.ready(&format!("userinvite/{name}"), "True", "Reconciled").await;
        assert_eq!(person(&invite, many[0])["state"], "Active");
    }
    stage.delete("userinvite/gone").await;
    servers
}
