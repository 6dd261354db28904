//! Two Organizations in the cluster for one server and organization: the older acts, the younger says so and changes
//! nothing, and neither takes anything from the other's people.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::{Options, OrganizationSeed, Simulator};
use serde_json::{Value, json};
use stage::{Stage, condition};

/// Two namespaces with a token each, and these members. The operator is not started yet.
async fn set(members: &[(&str, &str)]) -> (Stage, String, String) {
    let (mut stage, [other, _]) = Stage::set_teams(Options::default(), "watch.namespaces").await;
    for (email, role) in members {
        stage.simulator.add_member(email, role);
    }
    let home = stage.namespace.clone();
    for namespace in [&home, &other] {
        let token = stage.simulator.legacy_token();
        stage.at(namespace).secret(&token).await;
    }
    stage.at(&home);
    (stage, home, other)
}

/// The Organization `acme`, in a second of its own.
async fn organize(stage: &Stage) {
    stage.apply(&stage.organization(json!({}))).await;
    let born = stage.get("organization/acme").await["metadata"]["creationTimestamp"].as_str().unwrap().to_owned();
    let born: jiff::Timestamp = born.parse().unwrap();
    stage.until("the next second", async || jiff::Timestamp::now().as_second() > born.as_second()).await;
}

async fn finalizers(stage: &Stage) -> Value {
    stage.get("userinvite/people").await["metadata"]["finalizers"].clone()
}

fn role(stage: &Stage, email: &str) -> String {
    stage.simulator.member(email).map_or("gone".to_owned(), |member| member.role)
}

#[tokio::test]
async fn the_younger_changes_nothing_until_the_older_is_deleted_and_then_acts() {
    let (mut stage, home, other) = set(&[("ada@example.com", "AN"), ("grace@example.com", "AN")]).await;
    stage.start_operator();
    organize(&stage).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.clear_journal();

    stage.at(&other);
    organize(&stage).await;
    stage.apply(&Stage::invite("people", "Reviewer", &["grace@example.com"])).await;
    let younger = stage.ready("organization/acme", "False", "Conflict").await;
    assert_eq!(condition(&younger, "Stalled")["status"], "True");
    assert!(condition(&younger, "Ready")["message"].as_str().unwrap().contains(&format!("{home}/acme")));
    stage.ready("userinvite/people", "False", "OrganizationNotReady").await;
    assert!(finalizers(&stage).await.is_null());
    assert!(stage.simulator.journal().writes().is_empty(), "{:?}", stage.simulator.journal().writes());

    // The older says so too, and goes on.
    stage.at(&home);
    stage
        .until("the older says so", async || {
            let events = stage.kubectl(&["get", "events.events.k8s.io", "-o", "json"], "").await;
            let events: Value = serde_json::from_str(&events).unwrap();
            events["items"].as_array().unwrap().iter().any(|event| {
                event["reason"] == "Conflict"
                    && event["regarding"]["kind"] == "Organization"
                    && event["note"].as_str().is_some_and(|note| note.contains(&format!("{other}/acme")))
            })
        })
        .await;
    stage.apply(&Stage::invite("people", "Manager", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(role(&stage, "ada@example.com"), "MA");
    stage.ready("organization/acme", "True", "Reconciled").await;

    // Whom the older has mailed since the younger looked is not mailed again.
    let many: Vec<String> = (0..15).map(|n| format!("many{n:02}@example.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    stage.at(&other).apply(&Stage::invite("more", "Annotator", &many)).await;
    stage.ready("userinvite/more", "False", "OrganizationNotReady").await;
    stage.at(&home).apply(&Stage::invite("more", "Annotator", &many)).await;
    stage.ready("userinvite/more", "True", "Reconciled").await;
    stage.delete("organization/acme").await;
    stage.at(&other).ready("userinvite/more", "True", "Reconciled").await;
    assert!(many.iter().all(|email| stage.simulator.mails_to(email) == 1), "{:?}", stage.simulator.mails());
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!((role(&stage, "ada@example.com").as_str(), role(&stage, "grace@example.com").as_str()), ("MA", "RE"));
    assert!(!finalizers(&stage).await.is_null());
}

#[tokio::test]
async fn of_two_new_ones_the_younger_does_not_begin() {
    let (mut stage, home, other) = set(&[]).await;
    // The one whose namespace sorts first is the younger.
    let (older, younger) = if home < other { (other, home) } else { (home, other) };
    for (namespace, email) in [(&older, "old@example.com"), (&younger, "young@example.com")] {
        stage.at(namespace);
        organize(&stage).await;
        stage.apply(&Stage::invite("people", "Annotator", &[email])).await;
    }
    stage.start_operator();
    stage.ready("organization/acme", "False", "Conflict").await;
    stage.ready("userinvite/people", "False", "OrganizationNotReady").await;
    assert!(finalizers(&stage).await.is_null());
    stage.at(&older).ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails_to("old@example.com"), 1);
    assert_eq!(stage.simulator.mails_to("young@example.com"), 0);
}

#[tokio::test]
async fn an_older_one_that_can_act_at_last_takes_over_and_nobody_leaves() {
    let (mut stage, home, other) = set(&[("ada@example.com", "AN"), ("grace@example.com", "AN")]).await;
    stage.start_operator();
    stage.kubectl(&["delete", "secret", "label-studio"], "").await;
    organize(&stage).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("organization/acme", "False", "SecretMissing").await;
    stage.at(&other);
    organize(&stage).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "grace@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;

    let token = stage.simulator.legacy_token();
    stage.at(&home).secret(&token).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.at(&other).ready("organization/acme", "False", "Conflict").await;

    // The older gives up somebody whom the younger has too: nobody leaves.
    stage.at(&home).delete("userinvite/people").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage
        .until("the list is empty", async || stage.get("organization/acme").await["status"]["departures"].is_null())
        .await;
    // The younger one's people are recorded, and nobody leaves while it gives way, whoever starts anew.
    stage.at(&other).delete("userinvite/people").await;
    assert_eq!(stage.operator().terminate().await.unwrap().status.code(), Some(0));
    stage.start_operator();
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage.at(&home).kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage
        .until("a pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    stage.at(&other);
    let younger = stage.get("organization/acme").await;
    assert_eq!(condition(&younger, "Ready")["reason"], "Conflict");
    assert_eq!(younger["status"]["departures"][0]["users"].as_array().unwrap().len(), 2);
    assert!(stage.simulator.journal().writes().is_empty(), "{:?}", stage.simulator.journal().writes());
}

/// Staging was restored from production's backup: both servers tell the same id and the same birthday.
#[tokio::test]
async fn two_servers_of_which_one_is_the_others_copy_are_told_apart_by_a_person() {
    let (mut stage, home, other) = set(&[("ada@example.com", "AN")]).await;
    let copy = Simulator::start(Options { legacy_token: Some(stage.simulator.legacy_token()), ..Options::default() })
        .await
        .unwrap();
    copy.add_member("ada@example.com", "AN");
    stage.start_operator();
    organize(&stage).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.at(&other);
    stage.apply(&stage.organization(json!({"url": copy.url()}))).await;
    stage.apply(&Stage::invite("people", "Reviewer", &["ada@example.com"])).await;
    let younger = stage.ready("organization/acme", "False", "Conflict").await;
    let message = condition(&younger, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&copy.url()) && message.contains(&stage.simulator.url()), "{message}");
    assert!(copy.journal().writes().is_empty());

    let words: Vec<&str> = message.split("kubectl ").nth(1).unwrap().split_whitespace().collect();
    stage.plane.kubectl().run(&words, "").await.unwrap().ok().unwrap();
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(copy.member("ada@example.com").unwrap().role, "RE");
    assert_eq!(role(&stage, "ada@example.com"), "AN");
    stage.at(&home).ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn when_the_older_turns_to_another_server_the_younger_has_the_old_one_to_itself() {
    let (mut stage, home, other) = set(&[("ada@example.com", "AN")]).await;
    let elsewhere = OrganizationSeed { id: 2, ..OrganizationSeed::default() };
    let token = Some(stage.simulator.legacy_token());
    let elsewhere = Options { legacy_token: token, organization: elsewhere, ..Options::default() };
    let elsewhere = Simulator::start(elsewhere).await.unwrap();
    stage.start_operator();
    organize(&stage).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage.at(&other);
    organize(&stage).await;
    stage.apply(&Stage::invite("people", "Reviewer", &["ada@example.com"])).await;
    stage.ready("organization/acme", "False", "Conflict").await;

    // The edit wakes the younger, too, but before anybody knows what the new server is.
    elsewhere.pause_listening().await;
    stage.at(&home);
    stage.apply(&stage.organization(json!({"url": elsewhere.url()}))).await;
    stage.ready("organization/acme", "False", "Unreachable").await;
    assert_eq!(role(&stage, "ada@example.com"), "AN");
    elsewhere.resume_listening().await.unwrap();
    stage.at(&other).ready("userinvite/people", "True", "Reconciled").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(role(&stage, "ada@example.com"), "RE");
}

#[tokio::test]
async fn one_that_never_signed_in_keeps_nobodys_access_alive() {
    let (mut stage, home, other) = set(&[("ada@example.com", "AN"), ("grace@example.com", "AN")]).await;
    stage.start_operator();
    organize(&stage).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "grace@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.at(&other).kubectl(&["delete", "secret", "label-studio"], "").await;
    organize(&stage).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("organization/acme", "False", "SecretMissing").await;

    stage.at(&home).apply(&Stage::invite("people", "Annotator", &["grace@example.com"])).await;
    stage.until("Ada has left", async || role(&stage, "ada@example.com") == "DI").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(role(&stage, "grace@example.com"), "AN");
}
