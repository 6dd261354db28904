//! Where the server counts people whom its list hides, newcomers are invited all the same, and nobody twice.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_engine;

use label_studio_operator::resources::{HeldReason, InviteRole, PersonState};
use label_studio_simulator::{MemberState, SearchEmail, Switches};
use stage_engine::{Manifest, Scene, Stage, Trouble};

/// Ten members, whom nobody claims.
async fn stage(shows_invitations: bool, hide: impl FnOnce(&mut Switches)) -> Stage {
    let members = vec![("AN", false); 10];
    let scene = Scene {
        members,
        manifests: Vec::new(),
        edit: None,
        deletes: false,
        guest: false,
        promise_shown: false,
        stale: false,
        count_fits: true,
        acts: Vec::new(),
        pause: 0,
        reinvites: false,
    };
    let stage = Stage::set(&scene, shows_invitations).await;
    stage.simulator.set_switches(hide);
    stage
}

/// The operator is a service account: counted, and by this not listed.
fn hides_service_accounts(switches: &mut Switches) {
    switches.service_account_listed = false;
}

fn annotators(emails: Vec<String>) -> Vec<Manifest> {
    vec![Manifest { name: "people".to_owned(), role: InviteRole::Annotator, age: 0, emails, most: 3, reinvite: None }]
}

fn crowd(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("new{n:02}@example.com")).collect()
}

fn searches(stage: &Stage) -> usize {
    let journal = stage.simulator.journal();
    journal.entries().filter(|entry| entry.query.contains("search=")).count()
}

#[tokio::test]
async fn newcomers_are_invited_once_and_not_searched_for_again() {
    for shows in [true, false] {
        let mut stage = stage(shows, hides_service_accounts).await;
        let manifests = annotators(crowd(25));
        stage.live(&manifests, None).await;
        let ending = stage.ending();
        assert_eq!(ending.mails.values().copied().collect::<Vec<_>>(), [1; 25], "{shows}");
        let states: Vec<PersonState> = ending.entries.values().map(|entry| entry.state).collect();
        assert_eq!(states, [PersonState::Invited; 25], "{shows}");
        // One each; after the first mail the roster is read again, and those who were not mailed are searched for anew.
        assert!(searches(&stage) <= 25 + 9 + 2, "{shows}: {}", searches(&stage));
        stage.simulator.clear_journal();
        stage.live(&manifests, None).await;
        assert_eq!((stage.simulator.journal().writes().len(), searches(&stage)), (0, 0), "{shows}");
        assert_eq!(stage.ending(), ending);
    }
}

#[tokio::test]
async fn a_hidden_member_whom_a_search_finds_gets_the_role_and_no_mail() {
    let mut stage = stage(true, |switches| switches.deactivated_listed = false).await;
    stage.simulator.add_member("Back@example.com", "DI");
    let emails = ["back@example.com", "new@example.com"].map(str::to_owned);
    stage.live(&annotators(emails.to_vec()), None).await;
    let people = stage.ending().people;
    assert_eq!(people["back@example.com"], ("AN".to_owned(), MemberState::Active));
    assert_eq!(people["new@example.com"].1, MemberState::Invited);
    assert_eq!((stage.simulator.mails_to("back@example.com"), stage.simulator.mails_to("new@example.com")), (0, 1));
}

#[tokio::test]
async fn a_search_that_does_not_find_who_is_there_invites_nobody() {
    let mut stage = stage(true, |switches| {
        hides_service_accounts(switches);
        switches.search_email = SearchEmail::NotAtAll;
    })
    .await;
    stage.live(&annotators(crowd(25)), None).await;
    assert!(stage.simulator.mails().is_empty());
    assert_eq!(searches(&stage), 1);
    let incomplete = Some(HeldReason::IncompleteRoster.to_string());
    assert!(stage.ending().entries.values().all(|entry| entry.reason == incomplete));
}

#[tokio::test]
async fn killed_at_any_request_it_mails_nobody_twice_and_leaves_nobody_out_but_those_in_doubt() {
    for shows in [true, false] {
        for request in 1..=24 {
            let mut stage = stage(shows, hides_service_accounts).await;
            let manifests = annotators(crowd(4));
            stage.live(&manifests, Some(&Trouble::KilledAtRequest(request))).await;
            stage.live(&manifests, None).await;
            let ending = stage.ending();
            for ((email, _), entry) in &ending.entries {
                let mails = ending.mails.get(email).copied().unwrap_or_default();
                let doubtful = entry.reason.as_deref() == Some(HeldReason::InviteUnconfirmed.as_str());
                assert!(mails == 1 || (doubtful && mails == 0), "{request} {shows}: {email} {mails} {entry:?}");
            }
            let held = ending.entries.values().filter(|entry| entry.reason.is_some()).count();
            assert!(held <= 1, "{request} {shows}: one request leaves one person in doubt: {ending:#?}");
        }
    }
}
