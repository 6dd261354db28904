//! kubectl apply an Organization and its people, and Label Studio agrees.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::{Edition, Options, SearchEmail};
use serde_json::{Value, json};
use stage::{Stage, condition, person};
use std::time::Duration;

#[tokio::test]
async fn an_organization_and_its_people_become_what_the_manifests_say() {
    let stage = Stage::set(Options::default()).await;
    let simulator = &stage.simulator;
    simulator.add_member("ada@example.com", "NO");
    simulator.add_member("alan@example.com", "MA");
    simulator.add_member("grace@example.com", "DI");
    simulator.add_member("stranger@example.com", "RE");
    let mut stage = stage;
    // The filter that somebody takes who wants to see more.
    let log =
        [("LABEL_STUDIO_OPERATOR_LOG_FORMAT", "json"), ("LABEL_STUDIO_OPERATOR_LOG", "label_studio_operator=debug")];
    stage.start_operator_with(&log);
    stage.secret(&stage.simulator.personal_access_token()).await;
    stage.apply(&stage.organization(json!({"title": " Acme Labels "}))).await;
    let emails = ["Ada@Example.com", "alan@example.com", "grace@example.com", "edsger@example.com"];
    stage.apply(&Stage::invite("annotators", "Annotator", &emails)).await;

    let invite = stage.ready("userinvite/annotators", "True", "Reconciled").await;
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(person(&invite, "Ada@Example.com")["state"], "Active");
    assert_eq!(person(&invite, "alan@example.com")["state"], "Active");
    assert_eq!(person(&invite, "grace@example.com")["state"], "Active");
    assert_eq!(person(&invite, "edsger@example.com")["state"], "Invited");
    assert_eq!(condition(&invite, "Accepted")["status"], "False");
    assert_eq!(invite["status"]["counts"], json!({"total": 4, "active": 3, "invited": 1, "held": 0}));
    assert_eq!(organization["status"]["title"], "Acme Labels");
    assert_eq!(organization["status"]["edition"], "Enterprise");
    assert_eq!(organization["status"]["owner"], "owner@example.com");
    assert_eq!(organization["status"]["seats"]["used"].as_u64(), Some(stage.simulator.seats_used() as u64));
    assert_eq!(organization["status"]["invitationsVisible"], true);
    assert_eq!(condition(&organization, "Authenticated")["status"], "True");
    assert_eq!(condition(&organization, "MembersSynced")["status"], "True");
    assert!(organization["status"]["inFlight"].is_null());
    assert_eq!(stage.simulator.title(), "Acme Labels");
    assert_eq!(stage.simulator.mails_to("edsger@example.com"), 1);
    assert_eq!(stage.simulator.mails().len(), 1);
    assert_eq!(stage.simulator.member("stranger@example.com").unwrap().role, "RE");

    // The person accepts; the next reading sees it.
    stage.simulator.accept_invitation("edsger@example.com").unwrap();
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage
        .until("Edsger is active", async || {
            let invite = stage.get("userinvite/annotators").await;
            condition(&invite, "Accepted")["status"] == "True"
                && person(&invite, "edsger@example.com")["state"] == "Active"
        })
        .await;
    let organization = stage.get("organization/acme").await;
    assert_eq!(organization["status"]["lastHandledReconcileAt"], "1");
    let lines: Vec<Value> = stage.operator().log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let audit: Vec<_> = lines.iter().filter(|line| line["target"] == "label_studio_operator::audit").collect();
    let role = audit.iter().find(|line| line["fields"]["change"] == "ada@example.com: Pending → Annotator").unwrap();
    assert_eq!(role["fields"]["manifest"], "annotators");
    assert_eq!(role["span"]["organization"], format!("{}/acme", stage.namespace));
    // The title, three roles and a mail.
    assert_eq!(audit.len(), 5, "{audit:#?}");
}

#[tokio::test]
async fn in_sync_means_no_write_to_either_server_and_few_reads() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.seed_members(250, "AN");
    for n in 0..20 {
        let emails: Vec<String> = (0..10).map(|m| format!("person{:05}@example.com", n * 10 + m)).collect();
        let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
        stage.apply(&Stage::invite(&format!("team-{n}"), "Annotator", &emails)).await;
    }
    for n in 0..20 {
        stage.ready(&format!("userinvite/team-{n}"), "True", "Reconciled").await;
    }
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage
        .until("the pass is over", async || {
            stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1"
        })
        .await;
    let before = stage.kubectl(&["get", "userinvites", "-o", "json"], "").await;
    stage.simulator.clear_journal();
    stage.kubectl(&["annotate", "--overwrite", "organization/acme", "labelstudio.rs/reconcile=2"], "").await;
    stage
        .until("the second pass is over", async || {
            stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "2"
        })
        .await;
    assert_eq!(before, stage.kubectl(&["get", "userinvites", "-o", "json"], "").await);
    let journal = stage.simulator.journal();
    assert_eq!(journal.writes().len(), 0, "{:?}", journal.writes());
    // Owner, operator and 250 people: three pages.
    assert!(journal.len() <= 3 + 4, "{journal:#?}");
}

#[tokio::test]
async fn drift_made_by_hand_is_mended_and_an_edit_takes_effect_at_once() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.add_member("ada@example.com", "AN");
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.set_role_by_hand("ada@example.com", "MA").unwrap();
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage.until("drift is mended", async || stage.simulator.member("ada@example.com").unwrap().role == "AN").await;
    stage.apply(&Stage::invite("people", "Reviewer", &["ada@example.com"])).await;
    stage.until("the edit is done", async || stage.simulator.member("ada@example.com").unwrap().role == "RE").await;
    stage.apply(&Stage::invite("people", "Deactivated", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(stage.simulator.member("ada@example.com").unwrap().role, "DI");
    assert_eq!(stage.simulator.mails().len(), 0);
    let log = stage.operator().log();
    let audit: Vec<_> = log.iter().filter(|line| line.contains("label_studio_operator::audit")).collect();
    assert_eq!(audit.len(), 3, "{audit:#?}");
    let acme = format!("organization={}/acme", stage.namespace);
    assert!(audit.iter().all(|line| line.contains(&acme) && line.contains("manifest=\"people\"")), "{audit:#?}");
}

#[tokio::test]
async fn before_access_is_taken_by_an_old_roster_the_person_is_looked_at() {
    let mut stage = Stage::set(Options::default()).await;
    stage.simulator.seed_members(250, "AN");
    stage.start_operator_with(&[("LABEL_STUDIO_OPERATOR_ROSTER_FRESH_MS", "0")]);
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["person00007@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.clear_journal();
    stage.apply(&Stage::invite("people", "Deactivated", &["person00007@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(stage.simulator.member("person00007@example.com").unwrap().role, "DI");
    let journal = stage.simulator.journal();
    assert_eq!(journal.count("GET", "/api/organizations/*/memberships"), 1, "{journal:#?}");
    assert_eq!(journal.len(), 2, "one look and one write: {journal:#?}");

    // Somebody who has signed up by the link since the roster was read needs a role and no mail.
    stage.simulator.sign_up_by_link("walkin@example.com").unwrap();
    stage.apply(&Stage::invite("newcomers", "Reviewer", &["walkin@example.com", "new@example.com"])).await;
    stage.ready("userinvite/newcomers", "True", "Reconciled").await;
    assert_eq!(stage.simulator.member("walkin@example.com").unwrap().role, "RE");
    assert_eq!(stage.simulator.mails_to("walkin@example.com"), 0);
    assert_eq!(stage.simulator.mails_to("new@example.com"), 1);

    // Where `search` does not look at addresses, the whole roster is read.
    stage.simulator.set_switches(|switches| switches.search_email = SearchEmail::NotAtAll);
    stage.simulator.clear_journal();
    stage.apply(&Stage::invite("others", "Deactivated", &["person00008@example.com"])).await;
    stage.ready("userinvite/others", "True", "Reconciled").await;
    assert_eq!(stage.simulator.member("person00008@example.com").unwrap().role, "DI");
    assert!(stage.simulator.journal().count("GET", "/api/organizations/*/memberships") > 3);
}

#[tokio::test]
async fn a_rotated_token_is_used_at_once() {
    let stage = Stage::play(Options::default()).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage.simulator.revoke_token();
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage.ready("organization/acme", "False", "Unauthorized").await;
    stage.secret(&stage.simulator.personal_access_token()).await;
    // Without the watch of the Secret it would take until the next resync, ten minutes later.
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn observe_shows_the_plan_and_writes_nothing() {
    let stage = Stage::set(Options::default()).await;
    stage.simulator.add_member("ada@example.com", "AN");
    let mut stage = stage;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({"mode": "Observe", "title": "Other"}))).await;
    stage.apply(&Stage::invite("people", "Reviewer", &["ada@example.com", "new@example.com"])).await;
    let invite = stage.ready("userinvite/people", "False", "ObserveOnly").await;
    assert!(invite["metadata"]["finalizers"].is_null());
    let organization = stage.ready("organization/acme", "True", "Observing").await;
    let steps = organization["status"]["plan"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 3, "{steps:?}");
    assert_eq!(stage.simulator.journal().writes().len(), 0);
    stage.apply(&stage.organization(json!({"mode": "Enforce", "title": "Other"}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(stage.simulator.title(), "Other");
}

#[tokio::test]
async fn suspend_stops_all_traffic_and_nobody_waits_for_ever() {
    let stage = Stage::play(Options::default()).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.apply(&stage.organization(json!({"suspend": true}))).await;
    stage.ready("organization/acme", "True", "Suspended").await;
    stage.simulator.clear_journal();
    stage.apply(&Stage::invite("people", "Reviewer", &["ada@example.com", "new@example.com"])).await;
    stage.ready("userinvite/people", "False", "OrganizationSuspended").await;
    assert_eq!(stage.simulator.journal().len(), 0);
    stage.apply(&stage.organization(json!({"suspend": false}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails_to("new@example.com"), 1);
}

#[tokio::test]
async fn the_open_source_edition_of_the_simulator_holds_what_it_cannot_do() {
    let stage = Stage::play(Options { edition: Edition::Community, ..Options::default() }).await;
    stage.simulator.add_member("ada@example.com", "");
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "new@example.com"])).await;
    let invite = stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(person(&invite, "ada@example.com")["state"], "Active");
    assert_eq!(person(&invite, "new@example.com")["reason"], "UnsupportedByEdition");
    assert_eq!(stage.get("organization/acme").await["status"]["edition"], "Community");
}

#[tokio::test]
async fn sigterm_ends_it_in_time_and_starts_nothing_new() {
    let mut stage = Stage::set(Options { latency: Duration::from_millis(100), ..Options::default() }).await;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    let emails: Vec<String> = (0..300).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    stage.apply(&Stage::invite("crowd", "Annotator", &emails)).await;
    stage.until("mails are on their way", async || stage.simulator.mails().len() > 1).await;
    let ended = stage.operator().terminate().await.unwrap();
    assert!(ended.status.success(), "{ended:?}\n{}", stage.log());
    assert_eq!(stage.log_lines("a pass did not end in time"), 0, "it was cut off: {ended:?}");
    let sent = stage.simulator.journal().len();
    stage.start_operator();
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    assert!(stage.simulator.journal().len() > sent);
    assert_eq!(stage.simulator.mails().len(), 300);
}

#[tokio::test]
async fn the_default_role_is_set_and_kept_and_nothing_beside_it_is_touched() {
    let stage = Stage::play(Options::default()).await;
    let before = stage.simulator.read(|state| state.organization.title.clone());
    stage.apply(&stage.organization(json!({"defaultRole": "Annotator"}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let journal = stage.simulator.journal();
    let writes: Vec<String> = journal.writes().iter().map(|entry| entry.kind()).collect();
    assert_eq!(writes, ["PATCH /api/organizations/{id}/set-default-role"]);
    assert_eq!(stage.simulator.read(|state| state.organization.title.clone()), before);
    stage.simulator.clear_journal();
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage
        .until("a look", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    assert!(stage.simulator.journal().writes().is_empty(), "in sync");

    let stage =
        Stage::play(Options { edition: label_studio_simulator::Edition::Community, ..Options::default() }).await;
    stage.apply(&stage.organization(json!({"defaultRole": "Annotator"}))).await;
    stage.ready("organization/acme", "True", "Held").await;
}

/// From one valid token to another in the middle of a mass change.
#[tokio::test]
async fn a_token_rotated_under_load_costs_no_request_and_no_mail() {
    let stage = Stage::play(Options::default()).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage.simulator.set_latency(Duration::from_millis(20));
    let emails: Vec<String> = (0..400).map(|n| format!("many{n:03}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    stage.apply(&stage.organization(json!({"rateLimit": {"requestsPerSecond": 4, "burst": 1}}))).await;
    stage.apply(&Stage::invite("crowd", "Annotator", &emails)).await;
    stage.until("the mails are on their way", async || !stage.simulator.mails().is_empty()).await;
    stage.secret(&stage.simulator.personal_access_token()).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    let journal = stage.simulator.journal();
    let failed: Vec<_> = journal.entries().filter(|entry| entry.status.is_none_or(|status| status >= 400)).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(journal.count("POST", "/api/token/refresh/") > 0, "the new token was used");
    assert_eq!(stage.simulator.mails().len(), 400);
}
