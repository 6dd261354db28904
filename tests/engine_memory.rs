//! What the engine asks right before it goes on, and what becomes of a mail whose UserInvite cannot be written.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_engine;

use label_studio_operator::resources::{InviteRole, PersonState};
use label_studio_simulator::Switches;
use stage_engine::{Manifest, Scene, Stage, Stands, Trouble};

const ADA: &str = "ada@example.com";

fn manifest(name: &str, role: InviteRole, emails: &[&str]) -> Manifest {
    let emails = emails.iter().map(|email| (*email).to_owned()).collect();
    Manifest { name: name.to_owned(), role, age: 0, emails, most: 3, reinvite: None }
}

async fn stage(shows_invitations: bool) -> Stage {
    let switches = Switches { open_invitations_listed: shows_invitations, ..Switches::default() };
    Stage::set_on(&Scene::empty(), switches).await
}

fn writes(stage: &Stage) -> usize {
    stage.simulator.journal().writes().len()
}

/// The process dies when the mail is out and its outcome is not stored.
async fn mailed_and_killed(shows_invitations: bool, manifests: &[Manifest]) -> Stage {
    for nth in 1..=20 {
        let mut stage = stage(shows_invitations).await;
        stage.live(manifests, Some(&Trouble::KilledAtRequest(nth))).await;
        if stage.simulator.mails_to(ADA) == 1 && stage.disk.stored.organization.in_flight.is_some() {
            return stage;
        }
    }
    panic!("no request is the one of the mail");
}

#[tokio::test]
async fn a_mail_whose_user_invite_cannot_be_written_is_remembered_by_the_organization_until_it_can() {
    for shows in [true, false] {
        let first = manifest("first", InviteRole::Annotator, &[ADA]);
        let mut stage = mailed_and_killed(shows, std::slice::from_ref(&first)).await;
        let both = [first, manifest("second", InviteRole::Reviewer, &["bo@example.com", "cy@example.com"])];
        stage.left_behind.insert("first".to_owned());
        stage.live(&both, None).await;
        let organization = &stage.disk.stored.organization;
        assert_eq!(organization.in_flight, None, "the mark stands in nobody's way");
        let [departure] = organization.departures.as_slice() else { panic!("{:?}", organization.departures) };
        assert_eq!((departure.from.as_str(), departure.users[0].email.as_str()), ("first", ADA));
        assert!(stage.disk.stored.invites["first"].users.is_empty(), "it cannot be written");
        for email in ["bo@example.com", "cy@example.com"] {
            assert_eq!(stage.simulator.mails_to(email), 1, "{email} waits for nobody");
        }
        // It can be written again: nobody leaves, and nobody is mailed.
        stage.left_behind.clear();
        stage.live(&both, None).await;
        assert!(stage.disk.stored.organization.departures.is_empty());
        let [person] = stage.disk.stored.invites["first"].users.as_slice() else { panic!("one person") };
        assert_eq!(person.email, ADA);
        assert!(person.may_have_been_mailed(), "{person:?}");
        if shows {
            assert_eq!((person.state, person.attempts), (PersonState::Invited, Some(1)));
        }
        assert_eq!(stage.simulator.mails_to(ADA), 1, "open invitations listed: {shows}");
    }
}

/// Whoever leaves, and whatever another namespace does, is asked about live before the first write.
#[tokio::test]
async fn nothing_is_written_where_the_organization_does_not_stand_any_more_or_is_another_one_by_now() {
    for (name, role) in [("own", InviteRole::Deactivated), ("team/theirs", InviteRole::Reviewer)] {
        for answers in [vec![Stands::Falls], vec![Stands::Changed, Stands::Falls]] {
            let mut stage = stage(true).await;
            stage.simulator.add_member(ADA, "AN");
            stage.grant("team", "Reviewer");
            stage.disk.stands = answers.clone().into();
            let manifests = [manifest(name, role, &[ADA])];
            stage.live(&manifests, None).await;
            assert!(stage.disk.stands.is_empty(), "{name} {answers:?}: it was asked");
            assert_eq!(writes(&stage), 0, "{name} {answers:?}");
            assert_eq!(stage.simulator.member(ADA).unwrap().role, "AN");
            // Once it stands it is done.
            stage.live(&manifests, None).await;
            let wanted = if role == InviteRole::Deactivated { "DI" } else { "RE" };
            assert_eq!(stage.simulator.member(ADA).unwrap().role, wanted, "{name}");
        }
    }
}

/// Workspaces are many requests where there are many of them, and an edit does not wait for all.
#[tokio::test]
async fn what_is_newer_does_not_wait_until_every_workspace_is_read() {
    let asked = |stage: &Stage| {
        let about = |target: &str| target.contains("workspaces") || target.contains("whoami");
        let journal = stage.simulator.journal();
        journal.entries().map(|entry| entry.path.clone()).filter(|path| about(path)).collect::<Vec<_>>()
    };
    let (who, titles) = ("/api/current-user/whoami", "/api/workspaces");
    for (closed_at, wanted) in [(1, vec![who, who, titles]), (2, vec![who, titles, who])] {
        let mut stage = stage(true).await;
        stage.simulator.add_member(ADA, "AN");
        stage.simulator.add_workspace("Cats");
        stage.workspaces = vec!["Cats".to_owned()];
        stage.gate.closed_at = vec![closed_at];
        stage.live(&[manifest("people", InviteRole::Annotator, &[ADA])], None).await;
        let asked: Vec<String> = asked(&stage);
        let first: Vec<&str> = asked.iter().take(3).map(|path| path.trim_end_matches('/')).collect();
        assert_eq!(first, wanted, "closed at look {closed_at}: {asked:?}");
        let entry = &stage.disk.stored.invites["people"].users[0];
        assert_eq!((entry.state, &entry.reason), (PersonState::Active, &None), "and it gets there all the same");
    }
}
