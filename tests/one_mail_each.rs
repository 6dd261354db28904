//! No mail leaves without a mark: whatever is killed, cut or lost, nobody gets a second one.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::{Fault, FaultKind, Options, Switches};
use serde_json::json;
use stage::{Stage, condition, person};
use std::time::Duration;

fn crowd(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("p{n:03}@example.com")).collect()
}

async fn invite(stage: &Stage, emails: &[String]) {
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    stage.apply(&Stage::invite("crowd", "Annotator", &emails)).await;
}

fn most_mails(stage: &Stage, emails: &[String]) -> usize {
    emails.iter().map(|email| stage.simulator.mails_to(email)).max().unwrap_or(0)
}

#[tokio::test]
async fn killed_twenty_times_in_the_middle_of_300_invitations_exactly_300_mails() {
    let mut stage = Stage::set(Options { latency: Duration::from_millis(30), ..Options::default() }).await;
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    let emails = crowd(300);
    invite(&stage, &emails).await;
    for round in 0..20_u64 {
        stage.start_operator();
        let before = stage.simulator.journal().len();
        // Somewhere in the middle: after a few more requests, at another point each time.
        stage
            .until("a few more requests", async || {
                let done = stage.simulator.mails().len() == 300;
                done || stage.simulator.journal().len() > before + 4 + usize::try_from(round % 5).unwrap()
            })
            .await;
        tokio::time::sleep(Duration::from_millis(round * 7 % 40)).await; // the point of the kill, not a wait
        stage.operator().kill_hard().unwrap();
    }
    stage.start_operator();
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails().len(), 300);
    assert_eq!(most_mails(&stage, &emails), 1);
}

/// Each life that was killed in a mail is waited for so long.
const SHORT: [(&str, &str); 1] = [("LABEL_STUDIO_OPERATOR_MAIL_TIMEOUT_MS", "2000")];

/// Nobody but the operator knows of a mail there: whom it cannot tell of any more is held, and nobody is mailed twice.
#[tokio::test]
async fn killed_twenty_times_where_invitations_are_hidden_at_most_one_mail_each_and_the_rest_held() {
    let mut stage = Stage::set(Options { latency: Duration::from_millis(30), ..hidden() }).await;
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    let emails = crowd(80);
    invite(&stage, &emails).await;
    for round in 0..20_u64 {
        stage.start_operator_with(&SHORT);
        let before = stage.simulator.journal().len();
        let few = 4 + usize::try_from(round % 5).unwrap();
        stage.until("a few more requests", async || stage.simulator.journal().len() > before + few).await;
        tokio::time::sleep(Duration::from_millis(round * 7 % 40)).await; // the point of the kill, not a wait
        stage.operator().kill_hard().unwrap();
    }
    assert!(stage.simulator.mails().len() < emails.len(), "killed too late to prove anything");
    stage.start_operator_with(&SHORT);
    let mut invite = json!(null);
    stage
        .until("an outcome for everybody", async || {
            invite = stage.get("userinvite/crowd").await;
            let known =
                |email: &String| person(&invite, email)["state"] != "Inviting" && !person(&invite, email).is_null();
            let marked = !stage.get("organization/acme").await["status"]["inFlight"].is_null();
            !marked && emails.iter().all(known)
        })
        .await;
    for email in &emails {
        let (mails, entry) = (stage.simulator.mails_to(email), person(&invite, email));
        let held = entry["reason"] == "InviteUnconfirmed";
        assert!(held || entry["state"] == "Invited", "{entry:#}");
        assert!(mails <= 1 && (mails == 1 || held), "{mails} mails: {entry:#}");
    }
    let unconfirmed = emails.iter().filter(|email| person(&invite, email)["reason"] == "InviteUnconfirmed").count();
    assert!(unconfirmed <= 20, "at most one with each kill: {unconfirmed}");
}

#[tokio::test]
async fn an_answer_lost_after_the_mail_was_sent_sends_no_second_one() {
    let stage = Stage::play(Options::default()).await;
    invite(&stage, &crowd(1)).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    stage.simulator.fault(Fault::on("POST", "/api/invite/send-email", FaultKind::CutAfter));
    let emails = crowd(60);
    invite(&stage, &emails).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails().len(), 60);
    assert_eq!(most_mails(&stage, &emails), 1);
}

#[tokio::test]
async fn a_request_cut_before_it_took_effect_is_sent_again_where_invitations_show() {
    let stage = Stage::play(Options::default()).await;
    invite(&stage, &crowd(1)).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    stage.simulator.fault(Fault::on("POST", "/api/invite/send-email", FaultKind::CutBefore));
    let emails = crowd(60);
    invite(&stage, &emails).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails().len(), 60);
    assert_eq!(most_mails(&stage, &emails), 1);
}

fn hidden() -> Options {
    Options { switches: Switches { open_invitations_listed: false, ..Switches::default() }, ..Options::default() }
}

#[tokio::test]
async fn a_server_that_hides_invitations_is_lived_with() {
    let stage = Stage::play(hidden()).await;
    let emails = crowd(5);
    invite(&stage, &emails).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    let organization = stage.get("organization/acme").await;
    assert_eq!(organization["status"]["invitationsVisible"], false);
    assert_eq!(stage.simulator.mails().len(), 5);
    // One address per request there.
    let requests = stage.simulator.journal().count("POST", "/api/invite/send-email");
    assert_eq!(requests, 5);
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage
        .until("another pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    assert_eq!(stage.simulator.mails().len(), 5);
}

#[tokio::test]
async fn an_unconfirmed_mail_is_held_stops_nobody_else_and_is_released_by_annotation() {
    let stage = Stage::play(hidden()).await;
    invite(&stage, &crowd(1)).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    stage.simulator.fault(Fault::on("POST", "/api/invite/send-email", FaultKind::CutBefore));
    let emails = crowd(4);
    invite(&stage, &emails).await;
    let invite = stage.ready("userinvite/crowd", "False", "InviteUnconfirmed").await;
    assert_eq!(person(&invite, "p001@example.com")["reason"], "InviteUnconfirmed");
    assert!(condition(&invite, "Ready")["message"].as_str().unwrap().contains("labelstudio.rs/reinvite"));
    assert_eq!(stage.simulator.mails().len(), 3);
    assert!(stage.get("organization/acme").await["status"]["inFlight"].is_null());
    stage.kubectl(&["annotate", "userinvite/crowd", "labelstudio.rs/reinvite=p001@example.com"], "").await;
    let invite = stage.ready("userinvite/crowd", "True", "Reconciled").await;
    assert_eq!(invite["status"]["lastHandledReinvite"], "p001@example.com");
    assert_eq!(stage.simulator.mails_to("p001@example.com"), 1);
    assert_eq!(most_mails(&stage, &emails), 1);
}

#[tokio::test]
async fn a_status_cleared_by_hand_mails_nobody_twice() {
    let mut stage = Stage::play(hidden()).await;
    let emails = crowd(3);
    invite(&stage, &emails).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    stage.operator().kill_hard().unwrap();
    let cleared = json!({"status": null}).to_string();
    stage.kubectl(&["patch", "userinvite/crowd", "--subresource=status", "--type=merge", "-p", &cleared], "").await;
    stage.kubectl(&["patch", "organization/acme", "--subresource=status", "--type=merge", "-p", &cleared], "").await;
    stage.start_operator();
    stage.ready("userinvite/crowd", "False", "InviteUnconfirmed").await;
    assert_eq!(stage.simulator.mails().len(), 3);
}

#[tokio::test]
async fn a_lowered_role_of_an_open_invitation_is_revoked_and_sent_anew_once() {
    let stage = Stage::play(Options::default()).await;
    stage.apply(&Stage::invite("people", "Manager", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    let invite = stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(person(&invite, "ada@example.com")["role"], "Annotator");
    assert_eq!(stage.simulator.mails_to("ada@example.com"), 2);
    stage.apply(&Stage::invite("people", "Administrator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails_to("ada@example.com"), 2);
    stage.simulator.accept_invitation("ada@example.com").unwrap();
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage.until("the role is set", async || stage.simulator.member("ada@example.com").unwrap().role == "AD").await;
}

#[tokio::test]
async fn another_server_behind_the_same_manifest_is_not_written_to_until_approved() {
    let stage = Stage::play(Options::default()).await;
    let emails = crowd(3);
    invite(&stage, &emails).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    let mut other = Options::default();
    other.organization.id = 77;
    let other = label_studio_simulator::Simulator::start(other).await.unwrap();
    stage.secret(&other.legacy_token()).await;
    stage.apply(&stage.organization(json!({"url": other.url()}))).await;
    let organization = stage.ready("organization/acme", "False", "TargetChanged").await;
    stage.ready("userinvite/crowd", "False", "TargetChanged").await;
    assert_eq!(other.journal().writes().len(), 0);
    let message = condition(&organization, "Ready")["message"].as_str().unwrap().to_owned();
    let approve = message.split("labelstudio.rs/approve=").nth(1).unwrap().trim();
    stage.kubectl(&["annotate", "organization/acme", &format!("labelstudio.rs/approve={approve}")], "").await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    assert_eq!(other.mails().len(), 3);
    assert_eq!(stage.simulator.mails().len(), 3);
}

#[tokio::test]
async fn an_organization_created_anew_for_another_server_waits_for_approval() {
    let stage = Stage::play(Options::default()).await;
    invite(&stage, &crowd(2)).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    stage.delete("organization/acme").await;
    let mut other = Options::default();
    other.organization.id = 78;
    let other = label_studio_simulator::Simulator::start(other).await.unwrap();
    stage.secret(&other.legacy_token()).await;
    stage.apply(&stage.organization(json!({"url": other.url()}))).await;
    stage.ready("organization/acme", "False", "TargetChanged").await;
    assert_eq!(other.journal().writes().len(), 0);
}

#[tokio::test]
async fn an_incomplete_or_empty_roster_removes_and_invites_nobody() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.add_member("ada@example.com", "AN");
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.fault(Fault::on("GET", "/api/organizations/*/memberships", FaultKind::EmptyRoster).always());
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "new@example.com"])).await;
    stage.ready("userinvite/people", "False", "IncompleteRoster").await;
    assert_eq!(stage.simulator.journal().writes().len(), 0);
    stage.simulator.clear_faults();
    stage.kubectl(&["annotate", "--overwrite", "organization/acme", "labelstudio.rs/reconcile=2"], "").await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails_to("new@example.com"), 1);
}
