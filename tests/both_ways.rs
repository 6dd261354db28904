//! The same files, applied by the controller to one server and by the command line to another that is its twin: the same plan
//! before, the same server after, the same mails.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_shell;

use label_studio_operator::engine::ledger::Kept;
use label_studio_operator::manifest::{manifests, read};
use label_studio_operator::standalone::{Environment, Objects, connect, look};
use label_studio_simulator::{Options, Simulator};
use serde_json::{Value, json};
use stage::Stage;
use stage_shell::Shell;

/// Somebody of each kind that the files below say something about, and some of whom they say nothing.
fn people(simulator: &Simulator) {
    for (email, role) in [
        ("admin@example.com", "AD"),
        ("second-admin@example.com", "AD"),
        ("up@example.com", "AN"),
        ("down@example.com", "RE"),
        ("leaves@example.com", "AN"),
        ("ended@example.com", "MA"),
        ("back@example.com", "DI"),
        ("saml@example.com", "RE"),
        ("both@example.com", "AN"),
        ("stranger@example.com", "RE"),
        ("stays@example.com", "AN"),
    ] {
        simulator.add_member(email, role);
    }
    simulator.seed_members(12, "AN");
    simulator.set_role_source("saml@example.com", "saml").unwrap();
    simulator.sign_up_by_link("pending@example.com").unwrap();
    // So that both know that this server shows them, and plan for more than one.
    simulator.invite_by_hand("open@example.com", "AN");
    simulator.invite_by_hand("taken-back@example.com", "AN");
    simulator.add_workspace("Cats");
}

fn files(namespace: &str) -> Vec<Value> {
    let invite = |name: &str, role: &str, emails: &[&str], more: Value| {
        let mut invite = Stage::invite(name, role, emails);
        invite["metadata"]["namespace"] = json!(namespace);
        for (field, value) in more.as_object().unwrap() {
            invite["spec"][field] = value.clone();
        }
        invite
    };
    vec![
        invite("a-reviewers", "Reviewer", &["up@example.com", "Back@Example.com", "new1@example.com"], json!({})),
        invite(
            "annotators",
            "Annotator",
            &[
                "down@example.com",
                "pending@example.com",
                "open@example.com",
                "stays@example.com",
                "saml@example.com",
                "new2@bücher.example",
                "owner@example.com",
            ],
            json!({}),
        ),
        invite("cats", "Annotator", &["both@example.com", "new3@example.com"], json!({"workspaces": ["Cats"]})),
        invite("dogs", "Annotator", &["new4@example.com", "stays@example.com"], json!({"workspaces": ["Cast"]})),
        invite("ended", "Manager", &["ended@example.com"], json!({"expiresAt": "2026-01-01T00:00:00Z"})),
        invite(
            "gone",
            "Deactivated",
            &["leaves@example.com", "taken-back@example.com", "never-there@example.com"],
            json!({}),
        ),
        invite("too-many-admins-gone", "Reviewer", &["admin@example.com", "second-admin@example.com"], json!({})),
    ]
}

#[tokio::test]
async fn both_plan_the_same_and_end_in_the_same_place() {
    let mut stage = Stage::set(Options::default()).await;
    let shell = Shell::open(Options::default()).await;
    people(&stage.simulator);
    people(&shell.simulator);
    let spec = json!({"title": "Acme Vision", "defaultRole": "Annotator", "mode": "Observe"});
    let organization = |url: &str, mode: &str| {
        let mut organization = stage.organization(spec.clone());
        organization["spec"]["url"] = json!(url);
        organization["spec"]["mode"] = json!(mode);
        organization["metadata"]["namespace"] = json!(stage.namespace);
        organization
    };
    let watched = |mode: &str| organization(&stage.simulator.url(), mode);
    let on_file = |mode: &str| organization(&shell.simulator.url(), mode).to_string();
    let invites = files(&stage.namespace);
    shell.write("people.json", &json!({"apiVersion": "v1", "kind": "List", "items": invites}).to_string());
    shell.write("organization.json", &on_file("Observe"));
    let observed = watched("Observe");
    let enforced = watched("Enforce");
    let enforced_on_file = on_file("Enforce");

    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    for invite in &invites {
        stage.apply(invite).await;
    }
    stage.apply(&observed).await;
    let seen = stage.ready("organization/acme", "True", "Observing").await;
    let planned: Vec<String> = serde_json::from_value(seen["status"]["plan"]["steps"].clone()).unwrap();
    assert_eq!(steps(&shell).await, planned, "{seen:#}");
    assert!(planned.len() >= 10, "{planned:#?}");

    stage.apply(&enforced).await;
    for (name, status, reason) in [
        ("a-reviewers", "True", "Reconciled"),
        ("annotators", "False", "Owner"),
        ("cats", "True", "Reconciled"),
        ("dogs", "False", "UnknownWorkspace"),
        ("ended", "True", "Reconciled"),
        ("gone", "True", "Reconciled"),
        ("too-many-admins-gone", "False", "LastAdministrator"),
    ] {
        stage.ready(&format!("userinvite/{name}"), status, reason).await;
    }
    stage.ready("organization/acme", "True", "Reconciled").await;
    shell.write("organization.json", &enforced_on_file);
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 3, "{ran:#?}");

    assert_eq!(ending(&shell.simulator), ending(&stage.simulator));
    // And each agrees that nothing is left.
    let ran = shell.plan().await;
    assert_eq!(ran.code, 3, "{ran:#?}");
    assert!(ran.out.contains("Plan: 5 held; "), "{}", ran.out);
}

/// By the library that the command line is made of, in the words of the controller's status.
async fn steps(shell: &Shell) -> Vec<String> {
    let objects = Objects::of(&manifests(&read(&[shell.folder.path().to_owned()]).unwrap())).unwrap();
    let group = &objects.groups[0];
    let api_key = Some(shell.simulator.legacy_token().into());
    let (client, _) = connect(&objects, group, &Environment { api_key, url: None }).unwrap();
    let look = look(&client, group, Kept::ForOneRun { first_invitation: false }, &[]).await.unwrap();
    look.plan.steps.iter().map(|step| step.action.to_string()).collect()
}

/// Title, everybody's role, state and places, and to whom mails went.
fn ending(simulator: &Simulator) -> (String, Vec<String>, Vec<String>) {
    let mut people: Vec<String> = simulator
        .members()
        .into_iter()
        .map(|member| format!("{} {} {:?} {:?}", member.email, member.role, member.state, member.workspaces))
        .collect();
    people.sort();
    let mut mails: Vec<String> = simulator
        .mails()
        .into_iter()
        .map(|mail| format!("{} {:?} {:?}", mail.to, mail.role, mail.workspaces))
        .collect();
    mails.sort();
    (simulator.title(), people, mails)
}
