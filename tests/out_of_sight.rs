//! Namespaces that the operator cannot list, or does not look into for everything: what refers there is told so, blocks no
//! deletion and changes nobody's access.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

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
    let (mut stage, [team, _]) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
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

async fn is_finalized(stage: &Stage, name: &str) -> bool {
    stage.get(&format!("userinvite/{name}")).await["metadata"]["finalizers"].is_array()
}

#[tokio::test]
async fn what_refers_to_a_namespace_that_cannot_be_listed_is_told_so_and_can_be_deleted() {
    let (mut stage, home, team) = play().await;
    for name in ["ada", "grace"] {
        stage.until("the finalizer", async || is_finalized(&stage, name).await).await;
    }
    let (name, binding) = stage.at(&home).binding().await;
    stage.kubectl(&["delete", "rolebinding", &name], "").await;
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
