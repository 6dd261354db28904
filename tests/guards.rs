//! What makes a mistake survivable, on the real API server: too much at once is held and says how a person overrules it, an
//! approval lets exactly those pass, seats are not promised twice, and who is managed elsewhere is left alone.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::{Options, Simulator};
use serde_json::{Value, json};
use stage::{Stage, condition, person};
use std::time::Duration;

fn emails(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("p{n:03}@example.com")).collect()
}

fn people(role: &str, emails: &[String]) -> Value {
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    Stage::invite("people", role, &emails)
}

/// So many Annotators, in sync.
async fn in_sync(count: usize, more: Value) -> (Stage, Vec<String>) {
    let stage = Stage::play(Options::default()).await;
    stage.apply(&stage.organization(more)).await;
    let emails = emails(count);
    for email in &emails {
        stage.simulator.add_member(email, "AN");
    }
    stage.apply(&people("Annotator", &emails)).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.clear_journal();
    (stage, emails)
}

fn with_role(stage: &Stage, role: &str) -> usize {
    stage.simulator.members().iter().filter(|member| member.role == role && member.email.starts_with('p')).count()
}

async fn message(stage: &Stage) -> String {
    let organization = stage.get("organization/acme").await;
    condition(&organization, "MembersSynced")["message"].as_str().unwrap_or_default().to_owned()
}

async fn reconcile(stage: &Stage, value: &str) {
    let annotation = format!("labelstudio.rs/reconcile={value}");
    stage.kubectl(&["annotate", "--overwrite", "organization/acme", &annotation], "").await;
    stage
        .until("a pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == value)
        .await;
}

/// Notes of the Events of this reason.
async fn events(stage: &Stage, reason: &str) -> Vec<String> {
    let events = stage.get("events.events.k8s.io").await;
    let items = events["items"].as_array().unwrap().iter().filter(|event| event["reason"] == reason);
    items.map(|event| event["note"].as_str().unwrap().to_owned()).collect()
}

/// Does what the message says, word by word.
async fn approve_as_told(stage: &Stage) -> String {
    let message = message(stage).await;
    let line = message.split("kubectl ").nth(1).unwrap().split(';').next().unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    stage.plane.kubectl().run(&words, "").await.unwrap().ok().unwrap();
    line.rsplit('=').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_guard_that_trips_tells_how_many_and_whom_and_the_line_that_overrules_it() {
    let (stage, emails) = in_sync(12, json!({})).await;
    stage.apply(&people("Deactivated", &emails)).await;
    stage.ready("userinvite/people", "False", "RemovalGuard").await;
    stage.until("it to be told", async || message(&stage).await.contains("RemovalGuard holds 12")).await;
    let told = message(&stage).await;
    assert!(told.contains("p000@example.com, p001@example.com, p002@example.com and 9 more"), "{told}");
    let held = stage.get("organization/acme").await["status"]["plan"]["held"][0].clone();
    assert_eq!((&held["count"], held["who"].as_array().unwrap().len()), (&json!(12), 10), "{held:#}");
    assert!(told.contains(held["digest"].as_str().unwrap()), "{told}");

    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/approve=0123456789ab"], "").await;
    stage.until("the typo is told", async || message(&stage).await.contains("\"0123456789ab\", which is none")).await;
    assert_eq!(stage.simulator.journal().writes().len(), 0);

    let digest = approve_as_told(&stage).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(with_role(&stage, "DI"), 12);
    let (tripped, approved) = (events(&stage, "RemovalGuard").await, events(&stage, "Approved").await);
    assert!(tripped.iter().any(|note| note.contains(&digest)), "{tripped:?}");
    assert_eq!(approved, [format!("approval {digest} is used: 12 people lose access or rank by it")]);

    // The annotation stands for ever; it is used.
    stage.apply(&people("Annotator", &emails)).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.apply(&people("Deactivated", &emails)).await;
    stage.ready("userinvite/people", "False", "RemovalGuard").await;
    stage.until("it is told", async || message(&stage).await.contains("was used already")).await;
    assert_eq!(with_role(&stage, "AN"), 12);
}

#[tokio::test]
async fn killed_in_the_middle_of_an_approval_the_others_go_without_a_new_one_and_nobody_else_does() {
    let rate = json!({"rateLimit": {"requestsPerSecond": 100, "burst": 5}});
    let (mut stage, mut emails) = in_sync(303, rate).await;
    let stays = emails.split_off(300);
    let list: Vec<&str> = stays.iter().map(String::as_str).collect();
    stage.apply(&Stage::invite("others", "Annotator", &list)).await;
    stage.apply(&people("Deactivated", &emails)).await;
    stage.ready("userinvite/people", "False", "RemovalGuard").await;
    stage.ready("userinvite/others", "True", "Reconciled").await;
    stage.until("it to be told", async || message(&stage).await.contains("holds 300")).await;
    stage.simulator.set_latency(Duration::from_millis(20));
    approve_as_told(&stage).await;
    stage.until("half of them", async || with_role(&stage, "DI") >= 150).await;
    stage.operator().kill_hard().unwrap();
    let done = with_role(&stage, "DI");
    assert!(done < 300, "killed too late to prove anything: {done}");
    // Three more are to go, whom nobody approved; without any room in the window.
    let none = json!({"guards": {"maxRemovals": 0}, "rateLimit": {"requestsPerSecond": 100, "burst": 5}});
    stage.apply(&stage.organization(none)).await;
    stage.apply(&Stage::invite("others", "Deactivated", &list)).await;
    stage.start_operator();
    stage.ready("userinvite/people", "True", "Reconciled").await;
    let others = stage.ready("userinvite/others", "False", "RemovalGuard").await;
    assert_eq!(person(&others, &stays[0])["state"], "Held");
    assert_eq!((with_role(&stage, "DI"), with_role(&stage, "AN")), (300, 3));
    let changes = stage.simulator.journal().writes().len();
    // What was under way when it was killed, at most four, may be asked for twice.
    assert!((300..=304).contains(&changes), "{changes}");
}

/// The server was replaced, and everybody is there as declared: nothing is done by the approval, and it is used all the same.
#[tokio::test]
async fn an_approval_by_which_nothing_is_left_to_do_is_told_too() {
    let (stage, emails) = in_sync(2, json!({})).await;
    let mut other = Options { legacy_token: Some(stage.simulator.legacy_token()), ..Options::default() };
    other.organization.id = 77;
    let other = Simulator::start(other).await.unwrap();
    for email in &emails {
        other.add_member(email, "AN");
    }
    stage.apply(&stage.organization(json!({"url": other.url()}))).await;
    let organization = stage.ready("organization/acme", "False", "TargetChanged").await;
    let message = condition(&organization, "Ready")["message"].as_str().unwrap().to_owned();
    let digest = message.split("labelstudio.rs/approve=").nth(1).unwrap().trim();
    let approve = format!("labelstudio.rs/approve={digest}");
    stage.kubectl(&["annotate", "organization/acme", &approve], "").await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.until("it is told", async || !events(&stage, "Approved").await.is_empty()).await;
    assert_eq!(events(&stage, "Approved").await, [format!("approval {digest} is used")]);
    assert!(other.journal().writes().is_empty(), "{:?}", other.journal().writes());
}

#[tokio::test]
async fn seats_are_freed_before_they_are_taken_and_nobody_is_promised_one_that_is_not_there() {
    let (stage, emails) = in_sync(4, json!({})).await;
    stage.simulator.set_role_by_hand(&emails[3], "DI").unwrap();
    let used = u64::try_from(stage.simulator.seats_used()).unwrap();
    stage.simulator.set_seat_limit(Some(used));
    stage.simulator.clear_journal();
    reconcile(&stage, "1").await;
    stage.apply(&Stage::invite("others", "Annotator", &["new1@example.com", "new2@example.com"])).await;
    let invite = stage.ready("userinvite/others", "False", "SeatLimit").await;
    assert!(condition(&invite, "Ready")["message"].as_str().unwrap().contains("free one, or buy one"));
    let invite = stage.ready("userinvite/people", "False", "SeatLimit").await;
    assert_eq!(person(&invite, &emails[3])["state"], "Held", "coming back takes a seat, too");
    assert_eq!((stage.simulator.journal().writes().len(), stage.simulator.mails().len()), (0, 0));

    // One goes, and makes room for the first of those who wait.
    let mut fewer = people("Annotator", &emails[1..]);
    fewer["spec"]["deletionPolicy"] = json!("Deactivate");
    stage.apply(&fewer).await;
    stage.until("somebody has the seat", async || stage.simulator.mails().len() + with_role(&stage, "AN") >= 3).await;
    stage.ready("userinvite/others", "False", "SeatLimit").await;
    let (mails, active) = (stage.simulator.mails().len(), with_role(&stage, "AN"));
    assert_eq!((mails + active, with_role(&stage, "DI") >= 1), (3, true), "{mails} mails, {active} active");
    stage.simulator.set_seat_limit(None);
    reconcile(&stage, "2").await;
    stage.ready("userinvite/others", "True", "Reconciled").await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
}

#[tokio::test]
async fn a_seat_is_kept_as_long_as_declared_and_one_that_is_freed_early_is_told_of() {
    let (stage, emails) = in_sync(2, json!({"guards": {"minSeatTime": "168h"}})).await;
    // They lose their seats by hand and get them back by the operator: so it knows since when they have them.
    for email in &emails {
        stage.simulator.set_role_by_hand(email, "DI").unwrap();
    }
    reconcile(&stage, "1").await;
    stage.until("both have a seat", async || with_role(&stage, "AN") == 2).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.clear_journal();
    stage.apply(&people("Deactivated", &emails)).await;
    let invite = stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(person(&invite, &emails[0])["reason"], "MinSeatTime");
    assert_eq!(stage.simulator.journal().writes().len(), 0);
    // A person may decide otherwise.
    stage.until("it to be told", async || message(&stage).await.contains("MinSeatTime holds 2")).await;
    approve_as_told(&stage).await;
    stage.until("both have left", async || with_role(&stage, "DI") == 2).await;
    stage.until("it is told", async || !events(&stage, "SeatFreedEarly").await.is_empty()).await;
    let told = events(&stage, "SeatFreedEarly").await;
    assert!(told[0].contains("less than seven days"), "{told:?}");
}

#[tokio::test]
async fn whom_an_identity_provider_manages_is_left_alone_unless_that_is_overruled() {
    let (stage, emails) = in_sync(2, json!({})).await;
    stage.simulator.set_role_by_hand(&emails[0], "RE").unwrap();
    stage.simulator.set_role_source(&emails[0], "scim").unwrap();
    reconcile(&stage, "1").await;
    let invite = stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(person(&invite, &emails[0])["reason"], "ManagedByIdentityProvider");
    assert_eq!(stage.simulator.journal().writes().len(), 0);
    stage.apply(&stage.organization(json!({"guards": {"identityProvider": "Override"}}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(with_role(&stage, "AN"), 2);
}

/// The switch is seen before the first write: no role is tried, and that is no error.
#[tokio::test]
async fn where_the_organization_forbids_roles_by_hand_no_role_is_tried() {
    let mut stage = Stage::set(Options::default()).await;
    stage.simulator.change(|state| state.organization.manual_role_management = false);
    let emails = emails(2);
    for (email, role) in emails.iter().zip(["AN", "RE"]) {
        stage.simulator.add_member(email, role);
    }
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&people("Annotator", &emails)).await;
    stage.start_operator();
    let invite = stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(person(&invite, &emails[0])["state"], "Active");
    assert_eq!(person(&invite, &emails[1])["reason"], "ManagedByIdentityProvider");
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(stage.simulator.journal().writes().is_empty(), "{:?}", stage.simulator.journal().writes());

    stage.simulator.change(|state| state.organization.manual_role_management = true);
    reconcile(&stage, "1").await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(with_role(&stage, "AN"), 2);
}

#[tokio::test]
async fn somebody_who_changes_a_role_back_again_and_again_is_left_to_settle_it() {
    let (stage, emails) = in_sync(2, json!({})).await;
    for round in ["1", "2", "3", "4"] {
        stage.simulator.set_role_by_hand(&emails[0], "MA").unwrap();
        reconcile(&stage, round).await;
    }
    let invite = stage.ready("userinvite/people", "False", "Reverted").await;
    assert_eq!(person(&invite, &emails[0])["reason"], "Reverted");
    let changes = stage.simulator.journal().count("PATCH", "/api/organizations/1/memberships");
    reconcile(&stage, "5").await;
    assert_eq!((changes, stage.simulator.journal().count("PATCH", "/api/organizations/1/memberships")), (3, 3));
}
