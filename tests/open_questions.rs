//! Each question that the published contract leaves open, answered in each way: it ends the same, or somebody is held with a
//! reason, and never goes round in circles. One scene has all that may depend on an answer.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_engine;

use label_studio_operator::resources::{InviteRole, PersonState};
use label_studio_simulator::{MemberState, RevokedRow, Simulator, Switches};
use serde_json::{Value, json};
use stage_engine::{Act, Ending, Manifest, Scene, Stage};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// What has to be so for an answer to matter.
type Given = fn(&Simulator);

fn nothing(_: &Simulator) {}

fn few_seats(simulator: &Simulator) {
    simulator.set_seat_limit(Some(u64::try_from(simulator.seats_used()).unwrap()));
}

fn roles_by_provider(simulator: &Simulator) {
    simulator.change(|state| state.organization.manual_role_management = false);
}

fn no_mail(simulator: &Simulator) {
    simulator.change(|state| state.organization.mail_configured = false);
}

fn busy(simulator: &Simulator) {
    simulator.set_rate_limit(Some(label_studio_simulator::RateLimit { requests_per_second: 40 }));
}

/// Every switch of the simulator, and every answer besides the usual one.
fn questions() -> Vec<(&'static str, Vec<Value>, Given)> {
    let superfluous = || vec![json!("ignored"), json!("mailed_again"), json!("bad_request"), json!("conflict")];
    vec![
        ("open_invitation_role", vec![json!("target")], nothing),
        ("open_invitations_listed", vec![json!(false)], nothing),
        ("revoked_row", vec![json!("left_pending"), json!("left_invited")], nothing),
        ("revoke_unknown", vec![json!("ok"), json!("bad_request")], nothing),
        ("patch_open_invitation", vec![json!("bad_request"), json!("not_found")], nothing),
        ("invitation_life_seconds", vec![json!(3600)], nothing),
        ("invite_existing_member", superfluous(), nothing),
        ("invite_already_invited", superfluous(), nothing),
        ("duplicate_in_batch", vec![json!("mailed_twice"), json!("bad_request")], nothing),
        ("invalid_address", vec![json!("accepted")], nothing),
        ("refused_batch", vec![json!("part_mailed")], nothing),
        ("email_case_kept", vec![json!(true)], nothing),
        ("send_email_answers_json", vec![json!(false)], nothing),
        ("no_mail_server", vec![json!("lost")], no_mail),
        ("reinvited_keeps_user_id", vec![json!(false)], nothing),
        ("seat_limit_refusal", vec![json!("forbidden")], few_seats),
        ("invitation_needs_free_seat", vec![json!(false)], few_seats),
        ("delete_frees_seat", vec![json!(false)], few_seats),
        ("role_management_refusal", vec![json!("bad_request")], roles_by_provider),
        ("default_role_touches_others", vec![json!(true)], nothing),
        ("default_page_size", vec![json!(3)], nothing),
        ("max_page_size", vec![json!(4)], nothing),
        ("past_the_end", vec![json!("empty_list")], nothing),
        ("search_email", vec![json!("whole"), json!("not_at_all"), json!("ignored")], nothing),
        ("count_includes_hidden", vec![json!(true)], nothing),
        ("deactivated_listed", vec![json!(false)], nothing),
        ("service_account_listed", vec![json!(false)], nothing),
        ("service_account_counted", vec![json!(false)], nothing),
        ("sqlite_page_limit", vec![json!(false)], nothing),
        ("newer_member_fields", vec![json!(false)], nothing),
        ("seat_report_available", vec![json!(false)], nothing),
        ("service_account_token", vec![json!("legacy")], nothing),
        ("invite_url_absolute", vec![json!(true)], nothing),
        ("retry_after", vec![Value::Null], busy),
        ("too_many_requests_html", vec![json!(true)], busy),
        ("closed_signup_binds_first", vec![json!(false)], nothing),
        ("edition_in_version", vec![json!(false)], nothing),
        ("numbers_become_text", vec![json!(false)], nothing),
    ]
}

fn manifest(name: &str, role: InviteRole, emails: &[&str]) -> Manifest {
    let emails = emails.iter().map(|local| format!("{local}@Example.com")).collect();
    Manifest { name: name.to_owned(), role, age: 0, emails, most: 2, reinvite: None }
}

/// Promotions and demotions, somebody who comes back and one who has no role yet, an invitation to adopt, newcomers; then some
/// accept, leave, or let it expire; then all lists move on by one, and the people of one are dropped.
fn scene() -> Scene {
    let members =
        [("AN", false), ("RE", false), ("MA", false), ("AD", false), ("DI", false), ("NO", false), ("AN", true)];
    Scene {
        members: members.to_vec(),
        manifests: vec![
            manifest("reviewers", InviteRole::Reviewer, &["person0", "person1", "new12", "new13"]),
            manifest(
                "annotators",
                InviteRole::Annotator,
                &["person2", "person4", "person5", "person6", "new14", "new15"],
            ),
            manifest("leavers", InviteRole::Deactivated, &["person3", "new16"]),
        ],
        edit: Some((vec![InviteRole::Annotator, InviteRole::Deactivated, InviteRole::Manager, InviteRole::Manager], 1)),
        deletes: true,
        guest: false,
        promise_shown: false,
        stale: false,
        count_fits: true,
        acts: vec![(12, Act::Accept), (13, Act::Expire), (14, Act::Leave), (15, Act::Revoke), (0, Act::Leave)],
        pause: 100,
        reinvites: true,
    }
}

/// How it ended, and how many requests that took.
async fn play(switches: Switches, given: Given, what: &str) -> (Ending, usize) {
    let counts_as_listed =
        switches.deactivated_listed && switches.service_account_listed && switches.service_account_counted;
    let hides = switches.count_includes_hidden || !counts_as_listed;
    // Such a row looks as if the invitation could be accepted: the departure is held, and shown.
    let lists_the_dead = switches.revoked_row == RevokedRow::LeftInvited;
    let scene = scene();
    let mut stage = Stage::set_on(&scene, switches).await;
    given(&stage.simulator);
    let editions = scene.editions();
    stage.play_editions(&editions, &[]).await;
    let requests = stage.simulator.journal().len();
    // What the last writes have changed on the server shows at the next reading.
    stage.live(editions.last().unwrap(), None).await;
    stage.simulator.clear_journal();
    let before = stage.ending();
    stage.live(editions.last().unwrap(), None).await;
    let after = stage.ending();
    let changed: Vec<_> =
        after.entries.iter().filter(|(key, entry)| before.entries.get(*key) != Some(*entry)).collect();
    let gone: Vec<_> = before.entries.keys().filter(|key| !after.entries.contains_key(*key)).collect();
    assert!(changed.is_empty() && gone.is_empty(), "{what}: another life changes {changed:#?}, forgets {gone:?}");
    assert_eq!((&after.people, &after.mails), (&before.people, &before.mails), "{what}: another life");
    let journal = stage.simulator.journal();
    let mut writes: Vec<String> =
        journal.writes().iter().map(|entry| format!("{} {:?} {:?}", entry.path, entry.body, entry.status)).collect();
    // Where the list may hide people, whoever departs without a trace is held, and once in each life it is looked for again.
    let again = hides || lists_the_dead;
    writes.retain(|write| !(write.starts_with("/api/invite/revoke") && write.contains("404") && again));
    assert!(writes.is_empty(), "{what}: another life writes {writes:#?}");
    (before, requests)
}

/// What somebody may do, or is promised.
fn access(ending: &Ending) -> BTreeMap<&String, String> {
    let some = ending.people.iter().filter_map(|(email, (role, state))| match state {
        MemberState::Active => Some((email, role.clone())),
        MemberState::Invited => Some((email, "invited".to_owned())),
        _ => None,
    });
    some.collect()
}

fn told(ending: &Ending) -> BTreeSet<&String> {
    let reasons =
        ending.entries.iter().filter(|(_, entry)| entry.reason.is_some() || entry.state == PersonState::Failed);
    reasons.map(|((email, _), _)| email).collect()
}

#[test]
fn every_switch_of_the_simulator_is_a_question_here() {
    let all = serde_json::to_value(Switches::default()).unwrap();
    let known: BTreeSet<&str> = all.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(questions().into_iter().map(|(field, ..)| field).collect::<BTreeSet<_>>(), known);
}

#[tokio::test]
async fn whatever_the_answer_it_ends_the_same_or_says_why_not_and_never_goes_round_in_circles() {
    let mut usual: BTreeMap<usize, (Ending, usize)> = BTreeMap::new();
    for (_, _, given) in questions() {
        if let Entry::Vacant(place) = usual.entry(given as usize) {
            place.insert(Box::pin(play(Switches::default(), given, "as usual")).await);
        }
    }
    let mut wrong = Vec::new();
    for (field, answers, given) in questions() {
        for answer in answers {
            let what = format!("{field}: {answer}");
            let mut switches = serde_json::to_value(Switches::default()).unwrap();
            switches[field] = answer;
            let played = Box::pin(play(serde_json::from_value(switches).unwrap(), given, &what)).await;
            let differences = differences(field, &played, &usual[&(given as usize)]);
            wrong.extend(differences.into_iter().map(|difference| format!("{what}: {difference}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn differences(field: &str, (ending, requests): &(Ending, usize), (calm, most): &(Ending, usize)) -> Vec<String> {
    let mut wrong = Vec::new();
    let (is, was, told) = (access(ending), access(calm), told(ending));
    let differs = is.keys().chain(was.keys()).filter(|email| is.get(*email) != was.get(*email));
    for email in differs.filter(|email| !told.contains(*email) && !runs_out_unseen(field, email)) {
        wrong.push(format!("{email} has {:?}, usually {:?}", is.get(email), was.get(email)));
    }
    for (email, mails) in &ending.mails {
        // One is right where nobody could see that somebody else had sent one.
        let usually = *calm.mails.get(email).unwrap_or(&0);
        if *mails > usually.max(1) {
            wrong.push(format!("{mails} mails to {email}, usually {usually}"));
        }
    }
    if *requests > 3 * most + 40 {
        wrong.push(format!("{requests} requests, usually {most}"));
    }
    wrong
}

/// Where the server shows no open invitation, nobody sees one run out: it stays as it is, and whoever asks for another gets
/// one by the annotation.
fn runs_out_unseen(field: &str, email: &str) -> bool {
    field == "open_invitations_listed" && email == "new13@example.com"
}
