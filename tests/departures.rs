//! People leave: dropped from a list, their UserInvite deleted, everything deleted at once. Deleting is never blocked,
//! and no access survives or ends by accident.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::{Fault, FaultKind, MemberState, Options};
use serde_json::json;
use stage::{Stage, condition, person};
use std::time::Duration;

async fn with_people(names: &[&str]) -> Stage {
    people(Stage::play(Options::default()).await, names).await
}

async fn people(stage: Stage, names: &[&str]) -> Stage {
    let emails: Vec<String> = names.iter().map(|name| format!("{name}@example.com")).collect();
    for email in &emails {
        stage.simulator.add_member(email, "AN");
    }
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    stage.apply(&Stage::invite("people", "Annotator", &emails)).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage
}

fn role(stage: &Stage, name: &str) -> String {
    stage.simulator.member(&format!("{name}@example.com")).map_or("gone".to_owned(), |member| member.role)
}

#[tokio::test]
async fn a_dropped_address_is_deactivated_after_the_grace() {
    let stage = with_people(&["ada", "alan"]).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage
        .until("Alan is leaving", async || {
            person(&stage.get("userinvite/people").await, "alan@example.com")["state"] == "Leaving"
        })
        .await;
    assert_eq!(role(&stage, "alan"), "AN");
    stage.until("Alan has left", async || role(&stage, "alan") == "DI").await;
    let invite = stage.ready("userinvite/people", "True", "Reconciled").await;
    assert!(person(&invite, "alan@example.com").is_null());
    assert_eq!(role(&stage, "ada"), "AN");
}

#[tokio::test]
async fn whoever_is_withdrawn_while_the_roster_is_read_is_not_mailed() {
    let mut stage = Stage::set(Options::default()).await;
    let roster = "/api/organizations/*/memberships";
    stage.simulator.fault(Fault::on("GET", roster, FaultKind::Slow { milliseconds: 20_000 }));
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("team", "Annotator", &["new@example.com"])).await;
    stage.apply(&Stage::invite("others", "Annotator", &["other@example.com"])).await;
    stage.start_operator();
    stage.until("the roster is read", async || stage.simulator.journal().count("GET", roster) > 0).await;
    stage.kubectl(&["delete", "userinvite/team", "--wait=false"], "").await;
    stage.ready("userinvite/others", "True", "Reconciled").await;
    assert_eq!((stage.simulator.mails_to("new@example.com"), stage.simulator.mails_to("other@example.com")), (0, 1));
}

#[tokio::test]
async fn a_deleted_manifest_hands_its_people_over_at_once_even_if_the_server_is_dead() {
    let stage = with_people(&["ada", "alan"]).await;
    stage.simulator.pause_listening().await;
    stage.delete("userinvite/people").await;
    let organization = stage.get("organization/acme").await;
    assert_eq!(organization["status"]["departures"][0]["users"].as_array().unwrap().len(), 2, "{organization:#}");
    stage.simulator.resume_listening().await.unwrap();
    stage.until("both have left", async || role(&stage, "ada") == "DI" && role(&stage, "alan") == "DI").await;
    stage
        .until("the list is empty", async || stage.get("organization/acme").await["status"]["departures"].is_null())
        .await;
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn a_manifest_is_deleted_while_suspended_or_without_a_secret_and_nothing_is_lost() {
    let stage = with_people(&["ada"]).await;
    stage.apply(&stage.organization(json!({"suspend": true}))).await;
    stage.ready("organization/acme", "True", "Suspended").await;
    stage.kubectl(&["delete", "secret", "label-studio"], "").await;
    stage.delete("userinvite/people").await;
    let organization = stage.get("organization/acme").await;
    assert_eq!(organization["status"]["departures"][0]["from"], "people");
    stage.apply(&stage.organization(json!({"suspend": false}))).await;
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.until("Ada has left", async || role(&stage, "ada") == "DI").await;
}

#[tokio::test]
async fn another_manifest_takes_a_departure_back_without_a_mail() {
    let stage = with_people(&["ada"]).await;
    stage.delete("userinvite/people").await;
    stage.apply(&Stage::invite("again", "Reviewer", &["ada@example.com"])).await;
    stage.ready("userinvite/again", "True", "Reconciled").await;
    stage
        .until("the list is empty", async || stage.get("organization/acme").await["status"]["departures"].is_null())
        .await;
    assert_eq!(role(&stage, "ada"), "RE");
    assert_eq!(stage.simulator.mails().len(), 0);
    let changes = stage.simulator.journal().writes().len();
    assert_eq!(changes, 1, "{:?}", stage.simulator.journal().writes());
}

#[tokio::test]
async fn an_open_invitation_is_revoked_on_departure() {
    let stage = Stage::play(Options::default()).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.delete("userinvite/people").await;
    stage
        .until("the invitation is revoked", async || {
            stage.simulator.member("ada@example.com").is_none_or(|m| m.state != MemberState::Invited)
        })
        .await;
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn deleting_the_organization_first_removes_nobody() {
    let stage = with_people(&["ada", "alan"]).await;
    stage.delete("organization/acme").await;
    let invite = stage.ready("userinvite/people", "False", "OrganizationNotFound").await;
    stage
        .until("the finalizer is gone", async || {
            stage.get("userinvite/people").await["metadata"]["finalizers"].is_null()
        })
        .await;
    assert_eq!(person(&invite, "ada@example.com")["state"], "Active");
    stage.delete("userinvite/people").await;
    assert_eq!(stage.simulator.journal().writes().len(), 0);
}

#[tokio::test]
async fn deleting_the_organization_with_departures_pending_tells_how_many_end_undone() {
    let stage = with_people(&["ada", "alan", "grace", "joan"]).await;
    stage.delete("userinvite/people").await;
    stage.delete("organization/acme").await;
    let told = async || {
        let events = stage.get("events.events.k8s.io").await;
        let undone = events["items"].as_array().unwrap().iter().filter(|e| e["reason"] == "DeparturesUndone");
        undone.map(|event| event["note"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    stage.until("it is told", async || !told().await.is_empty()).await;
    let [note] = &told().await[..] else { panic!("told once") };
    assert!(note.contains("4 departures") && note.contains("ada@example.com") && note.contains("1 more"), "{note}");
    assert_eq!(role(&stage, "ada"), "AN");
    assert!(stage.simulator.journal().writes().is_empty());
}

/// A GitOps tool that prunes deletes the manifests of people as well, and mostly first.
#[tokio::test]
async fn everything_pruned_at_once_removes_nobody_and_ends() {
    let stage = with_people(&["ada", "alan"]).await;
    stage.apply(&Stage::invite("more", "Annotator", &["grace@example.com"])).await;
    stage.ready("userinvite/more", "True", "Reconciled").await;
    stage.simulator.clear_journal();
    stage.kubectl(&["delete", "userinvites", "--all", "--wait=false"], "").await;
    stage.kubectl(&["delete", "organizations", "--all", "--wait=false"], "").await;
    for kind in ["userinvites", "organizations"] {
        stage.until("all is gone", async || stage.get(kind).await["items"] == json!([])).await;
    }
    let asked = stage.simulator.journal().len();
    tokio::time::sleep(Duration::from_secs(35)).await; // nothing is awaited: the grace of 30 s has to pass without anything
    assert_eq!((role(&stage, "ada"), role(&stage, "alan")), ("AN".to_owned(), "AN".to_owned()));
    let journal = stage.simulator.journal();
    assert_eq!((journal.writes().len(), journal.len()), (0, asked), "{journal:#?}");
    assert_eq!(stage.simulator.mails_to("grace@example.com"), 1);
}

#[tokio::test]
async fn deleting_the_whole_namespace_removes_nobody_and_ends() {
    // In a namespace of its own: rights that are deleted with the namespace could not end it.
    let mut stage = Stage::set_apart(Options::default()).await;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    let stage = people(stage, &["ada", "alan"]).await;
    let namespace = format!("namespace/{}", stage.namespace);
    stage.kubectl(&["delete", &namespace, "--timeout=60s"], "").await;
    assert_eq!(role(&stage, "ada"), "AN");
    assert_eq!(stage.simulator.journal().writes().len(), 0);
}

#[tokio::test]
async fn too_many_removals_are_held_and_deleting_is_not_blocked_by_that() {
    let names: Vec<String> = (0..12).map(|n| format!("p{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = with_people(&names).await;
    stage.apply(&Stage::invite("people", "Deactivated", &names.map_to_emails())).await;
    let invite = stage.ready("userinvite/people", "False", "RemovalGuard").await;
    assert!(condition(&invite, "Ready")["message"].as_str().unwrap().contains("12 people would lose access"));
    stage.delete("userinvite/people").await;
    stage.ready("organization/acme", "False", "DeparturesHeld").await;
    assert_eq!(stage.simulator.journal().writes().len(), 0);
    stage.apply(&stage.organization(json!({"guards": {"maxRemovals": 12}}))).await;
    stage.until("all have left", async || (0..12).all(|n| role(&stage, &format!("p{n:02}")) == "DI")).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn killed_at_any_point_of_the_hand_over_nobody_is_forgotten() {
    let mut stage = Stage::set(Options::default()).await;
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({"guards": {"maxRemovals": 100}}))).await;
    let emails: Vec<String> = (0..12).map(|n| format!("p{n:02}@example.com")).collect();
    for email in &emails {
        stage.simulator.add_member(email, "AN");
    }
    stage.start_operator();
    for (n, email) in emails.iter().enumerate() {
        stage.apply(&Stage::invite(&format!("one-{n:02}"), "Annotator", &[email])).await;
    }
    for n in 0..12 {
        stage.ready(&format!("userinvite/one-{n:02}"), "True", "Reconciled").await;
    }
    for n in 0..12_u64 {
        stage.kubectl(&["delete", &format!("userinvite/one-{n:02}"), "--wait=false"], "").await;
        // The point of the kill, not a wait: from before the event to after the finalizer.
        tokio::time::sleep(Duration::from_millis(n * 20)).await;
        stage.operator().kill_hard().unwrap();
        stage.start_operator();
        stage.operator().wait_for_line("caches in sync", stage::SOON).await.unwrap();
    }
    stage.until("every manifest is gone", async || stage.get("userinvites").await["items"] == json!([])).await;
    stage.until("all have left", async || (0..12).all(|n| role(&stage, &format!("p{n:02}")) == "DI")).await;
    let changes = stage.simulator.journal().writes().len();
    assert_eq!(changes, 12, "{:?}", stage.simulator.journal().writes());
}

/// One removal of 300, split into thirty with a restart between any two: it gets no further than the window lets one.
#[tokio::test]
async fn thirty_small_commits_get_no_further_than_one_big_one() {
    let names: Vec<String> = (0..300).map(|n| format!("p{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stage = with_people(&names).await;
    let emails = names.map_to_emails();
    let off = |stage: &Stage| names.iter().filter(|name| role(stage, name) == "DI").count();
    for commit in 1..=30 {
        // What was removed is counted in status, and not in a process.
        stage.operator().kill_hard().unwrap();
        stage.start_operator();
        stage.apply(&Stage::invite("off", "Deactivated", &emails[..commit * 10])).await;
        let rest = &emails[commit * 10..];
        if rest.is_empty() {
            stage.kubectl(&["delete", "userinvite/people", "--wait=false"], "").await;
        } else {
            stage.apply(&Stage::invite("people", "Annotator", rest)).await;
        }
        // Three hundred people and the operator's own account have access besides the Owner: a quarter is 75.
        let (ready, reason) = if commit <= 7 { ("True", "Reconciled") } else { ("False", "RemovalGuard") };
        stage.ready("userinvite/off", ready, reason).await;
        assert_eq!(off(&stage), 10 * commit.min(7), "after {commit}");
    }
    stage
        .until("all of the others are held", async || {
            let plan = stage.get("organization/acme").await["status"]["plan"].take();
            let held = plan["held"].as_array().into_iter().flatten().filter(|held| held["reason"] == "RemovalGuard");
            held.map(|held| held["count"].as_i64().unwrap()).sum::<i64>() == 230
        })
        .await;
    assert_eq!(off(&stage), 70);
}

trait Emails {
    fn map_to_emails(&self) -> Vec<&'static str>;
}

impl Emails for Vec<&str> {
    fn map_to_emails(&self) -> Vec<&'static str> {
        self.iter().map(|name| &*Box::leak(format!("{name}@example.com").into_boxed_str())).collect()
    }
}
