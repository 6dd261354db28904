//! Namespaces that the operator cannot list, or does not look into for everything: what refers there is told so, blocks no
//! deletion and changes nobody's access.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_harness::Relay;
use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{Stage, condition};

/// A UserInvite for the Organization `acme` in another namespace.
fn invite(home: &str, name: &str, emails: &[&str]) -> Value {
    let mut invite = Stage::invite(name, "Annotator", emails);
    invite["spec"]["organizationRef"]["namespace"] = home.into();
    invite
}

fn role(stage: &Stage, email: &str) -> String {
    stage.simulator.member(email).map_or("gone".to_owned(), |member| member.role)
}

/// With Ada and Grace, each in a UserInvite of the first team.
async fn play() -> (Stage, String, String) {
    let (stage, [team, _]) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
    play_on(stage, team).await
}

async fn play_on(mut stage: Stage, team: String) -> (Stage, String, String) {
    let home = stage.namespace.clone();
    for email in ["ada@example.com", "grace@example.com"] {
        stage.simulator.add_member(email, "AN");
    }
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({"grants": [{"namespaces": [team], "maxRole": "Annotator"}]}))).await;
    for name in ["ada", "grace"] {
        let email = format!("{name}@example.com");
        stage.at(&team).apply(&invite(&home, name, &[&email])).await;
        stage.ready(&format!("userinvite/{name}"), "True", "Reconciled").await;
    }
    (stage, home, team)
}

/// Whose watches end when it hangs up.
async fn over_a_relay() -> (Stage, Relay, String) {
    let (mut stage, [team, _]) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
    let way = Relay::start(stage.plane.address().unwrap()).await.unwrap();
    stage.kubeconfig = stage.plane.kubeconfig_over(&stage.kubeconfig, way.address()).unwrap();
    (stage, way, team)
}

async fn is_told(stage: &Stage, reason: &str, what: &str) -> bool {
    let events = stage.get("events.events.k8s.io").await;
    let fits = |event: &Value| event["reason"] == reason && event["note"].as_str().is_some_and(|n| n.contains(what));
    events["items"].as_array().unwrap().iter().any(fits)
}

async fn is_finalized(stage: &Stage, name: &str) -> bool {
    stage.get(&format!("userinvite/{name}")).await["metadata"]["finalizers"].is_array()
}

#[tokio::test]
async fn what_refers_to_a_namespace_that_cannot_be_listed_is_told_so_and_can_be_deleted() {
    let (mut stage, home, team) = play().await;
    for name in ["ada", "grace"] {
        stage.until("the finalizer", async || is_finalized(&stage, name).await).await;
    }
    let binding = stage.at(&home).take_the_right("list").await;
    assert_eq!(stage.operator().terminate().await.unwrap().status.code(), Some(0));
    stage.start_operator();

    let grace = stage.at(&team).ready("userinvite/grace", "False", "OrganizationNotFound").await;
    let message = condition(&grace, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&home) && message.contains("cannot be listed"), "{message}");
    assert!(is_finalized(&stage, "grace").await, "what was done for it is not undone by a right that is missing");
    stage.delete("userinvite/ada").await;

    stage.at(&home).apply(&binding).await;
    stage.at(&team).ready("userinvite/grace", "True", "Reconciled").await;
    stage.at(&home).ready("organization/acme", "True", "Reconciled").await;
    assert!(stage.get("organization/acme").await["status"]["departures"].is_null());
    assert_eq!((role(&stage, "ada@example.com").as_str(), role(&stage, "grace@example.com").as_str()), ("AN", "AN"));
    assert!(stage.simulator.journal().writes().is_empty(), "{:?}", stage.simulator.journal().writes());
}

#[tokio::test]
async fn an_organization_where_only_invites_are_looked_for_is_not_acted_for_and_what_refers_to_it_is_told() {
    let (mut stage, [team, _]) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
    let home = stage.namespace.clone();
    stage.start_operator();
    stage.simulator.add_member("ada@example.com", "MA");
    let token = stage.simulator.legacy_token();
    stage.at(&team).secret(&token).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    let people = stage.ready("userinvite/people", "False", "OrganizationNotFound").await;
    let message = condition(&people, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&team) && message.contains("watch.namespaces"), "{message}");
    assert!(!is_finalized(&stage, "people").await);

    // It is in nobody's way, though it is for the same place and came first.
    stage.at(&home).secret(&token).await;
    stage.apply(&stage.organization(json!({"grants": [{"namespaces": [team], "maxRole": "Annotator"}]}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage.at(&team).apply(&invite(&home, "more", &["new@example.com"])).await;
    stage.ready("userinvite/more", "True", "Reconciled").await;
    assert_eq!(
        stage.get("organization/acme").await["status"],
        json!({"observedGeneration": -1}),
        "as it is by default"
    );
    assert_eq!(role(&stage, "ada@example.com"), "MA");
    stage.delete("userinvite/people").await;
}

/// Nobody tells the operator that its right is gone: it finds out when a watch ends and it may not begin another.
#[tokio::test]
async fn a_right_that_is_lost_while_it_runs_stops_what_stands_on_it_until_it_is_back() {
    let (stage, way, team) = over_a_relay().await;
    let (mut stage, home, team) = play_on(stage, team).await;
    let binding = stage.at(&team).take_the_right("list").await;
    way.hang_up();
    stage.at(&home);
    stage.until("it is told", async || is_told(&stage, "NamespaceLeftOut", &team).await).await;

    // What is declared meanwhile it does not see, and what it knows is old.
    let mut ada = invite(&home, "ada", &["ada@example.com"]);
    ada["spec"]["role"] = json!("Deactivated");
    stage.at(&team).apply(&ada).await;
    for email in ["ada@example.com", "grace@example.com"] {
        stage.simulator.set_role_by_hand(email, "DI").unwrap();
    }
    stage.at(&home).apply(&Stage::invite("own", "Annotator", &["own@example.com"])).await;
    stage.ready("userinvite/own", "True", "Reconciled").await;
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage
        .until("a pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    assert_eq!((role(&stage, "ada@example.com").as_str(), role(&stage, "grace@example.com").as_str()), ("DI", "DI"));

    stage.at(&team).apply(&binding).await;
    stage.ready("userinvite/ada", "True", "Reconciled").await;
    stage.until("what is declared", async || role(&stage, "grace@example.com") == "AN").await;
    assert_eq!(role(&stage, "ada@example.com"), "DI");
    let changes = stage.simulator.journal().count("PATCH", "/api/organizations/1/memberships");
    assert_eq!(changes, 1, "Ada was never given back what her team had taken away");
}

/// The Organization's own namespace: what is declared there nobody knows, so it does not act at all.
#[tokio::test]
async fn an_organization_whose_namespace_cannot_be_listed_any_more_does_not_act() {
    let (stage, way, team) = over_a_relay().await;
    let (mut stage, home, team) = play_on(stage, team).await;
    let binding = stage.at(&home).take_the_right("list").await;
    stage.simulator.set_role_by_hand("grace@example.com", "DI").unwrap();
    way.hang_up();
    let grace = stage.at(&team).ready("userinvite/grace", "False", "OrganizationNotFound").await;
    assert!(condition(&grace, "Ready")["message"].as_str().unwrap().contains("cannot be listed"), "{grace:#}");
    assert!(is_finalized(&stage, "grace").await);
    stage.apply(&invite(&home, "more", &["new@example.com"])).await;
    stage.ready("userinvite/more", "False", "OrganizationNotFound").await;
    assert!(stage.simulator.journal().writes().is_empty(), "{:?}", stage.simulator.journal().writes());

    stage.at(&home).apply(&binding).await;
    stage.at(&team).ready("userinvite/more", "True", "Reconciled").await;
    stage.ready("userinvite/grace", "True", "Reconciled").await;
}
