//! What a mark still forbids.

use super::*;

const PATIENCE: MailPatience = MailPatience { timeout: Duration::from_secs(120), settle: Duration::from_secs(60) };

/// A mark found after a crash, first seen `ago`.
fn marked(world: &mut World, email: &str, ago: Duration) {
    world.edit("annotators", |spec| spec.emails.push(email.to_owned()));
    world.ledger.in_flight = Some(InFlight {
        id: "m".to_owned(),
        started_at: Time(noon()),
        emails: vec![email.to_owned()],
        role: None,
        replaces: None,
    });
    world.ledger.passing = Passing {
        mark: Some(MarkSeen { id: "m".to_owned(), at: Boottime::now() - ago, ended: None, refused: false }),
        ..Passing::default()
    };
}

fn judge(world: &mut World) -> MarkVerdict {
    let claimant = |email: &str| Some(("annotators".to_owned(), email.to_owned()));
    let snapshot = world.snapshot();
    let verdict = settle_mark(&mut world.ledger, claimant, &snapshot, PATIENCE, world.now, Boottime::now());
    world.mail_allowed = verdict == MarkVerdict::Settled;
    verdict
}

#[test]
fn a_marked_address_waits_until_its_request_can_no_longer_be_under_way() {
    let mut world = World::in_sync();
    marked(&mut world, "new@example.com", Duration::from_secs(100));
    assert!(matches!(judge(&mut world), MarkVerdict::Wait(_)));
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.pending["annotators"], 1);
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Inviting);
}

#[test]
fn a_marked_address_that_the_roster_shows_was_sent() {
    let mut world = World::in_sync();
    marked(&mut world, "new@example.com", Duration::ZERO);
    world.member(99, "new@example.com", Role::Annotator);
    world.change_member("new@example.com", |m| m.invitation = InvitationState::Open);
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
    assert_eq!(world.person("annotators", "new@example.com").attempts, Some(1));
}

#[test]
fn a_row_that_the_mail_was_to_replace_says_nothing_until_the_request_is_over() {
    let mut world = invited("new@example.com", "Manager");
    let earlier = noon() - SignedDuration::from_hours(1);
    world.remembered("annotators", "new@example.com").invited_at = Some(Time(earlier));
    marked(&mut world, "new@example.com", Duration::from_secs(1));
    world.ledger.in_flight.as_mut().unwrap().role = Some("Annotator".to_owned());
    assert!(matches!(judge(&mut world), MarkVerdict::Wait(_)));
    marked(&mut world, "new@example.com", Duration::from_secs(181));
    world.ledger.in_flight.as_mut().unwrap().role = Some("Annotator".to_owned());
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(world.person("annotators", "new@example.com").role.as_deref(), Some("Annotator"));
    assert!(world.plan().is_done(), "{:?}", steps(&world.plan()));
}

/// An expired invitation that is sent again together with a newcomer; the process dies over the mail.
fn sent_again(ago: u64) -> World {
    let mut world = invited("old@example.com", "Annotator");
    world.change_member("old@example.com", |m| m.invitation = InvitationState::Expired);
    let earlier = noon() - SignedDuration::from_hours(100);
    world.change_member("old@example.com", |m| (m.invited_at, m.expired_at) = (Some(earlier), Some(earlier)));
    world.remembered("annotators", "old@example.com").invited_at = Some(Time(earlier));
    marked(&mut world, "new@example.com", Duration::from_secs(ago));
    let mark = world.ledger.in_flight.as_mut().unwrap();
    mark.emails.push("old@example.com".to_owned());
    mark.role = Some("Annotator".to_owned());
    mark.replaces = Some(earlier.to_string());
    world
}

#[test]
fn an_expired_row_that_was_to_be_sent_again_says_nothing_while_the_request_may_be_under_way() {
    let mut world = sent_again(1);
    // Nor where nobody remembers, since somebody else had sent it.
    world.ledger.invites.get_mut("annotators").unwrap().users.remove("old@example.com");
    assert!(matches!(judge(&mut world), MarkVerdict::Wait(_)));
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(world.person("annotators", "old@example.com").state, PersonState::Inviting);
}

#[test]
fn an_expired_row_that_stays_was_not_sent_again_and_a_newer_one_was() {
    let mut world = sent_again(181);
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(world.person("annotators", "old@example.com").attempts, Some(1));
    // One of the two may be the one at which the server fails.
    let alone = ["invite 1 as Annotator: old@example.com", "invite 1 as Annotator: new@example.com"];
    assert_eq!(steps(&world.plan()), alone);

    let mut world = sent_again(181);
    for (email, expired) in [("new@example.com", false), ("old@example.com", true)] {
        world.members.retain(|m| m.email != email);
        world.member(98, email, Role::Pending);
        // However short its life was.
        let state = if expired { InvitationState::Expired } else { InvitationState::Open };
        world.change_member(email, |m| m.invitation = state);
        world.change_member(email, |m| m.invited_at = Some(noon()));
    }
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "old@example.com").attempts, Some(2));
    assert_eq!(world.person("annotators", "old@example.com").state, PersonState::InviteExpired);
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
}

#[test]
fn an_invitation_that_was_revoked_for_a_mail_that_never_went_is_sent() {
    let mut world = invited("new@example.com", "Manager");
    let earlier = noon() - SignedDuration::from_hours(1);
    world.remembered("annotators", "new@example.com").invited_at = Some(Time(earlier));
    world.members.retain(|m| m.email != "new@example.com");
    marked(&mut world, "new@example.com", Duration::from_secs(181));
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn a_marked_address_is_sent_again_only_where_the_server_shows_invitations() {
    let mut world = World::in_sync();
    marked(&mut world, "new@example.com", Duration::from_secs(181));
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);

    let mut world = World::in_sync();
    world.ledger.invitations_visible = Some(false);
    marked(&mut world, "new@example.com", Duration::from_secs(181));
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(world.person("annotators", "new@example.com").attempts, None, "perhaps none was made");
    assert_eq!(held(&world.plan()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
}

#[test]
fn a_marked_address_is_held_and_stops_nobody_else_where_the_roster_may_hide_it() {
    let mut world = World::in_sync();
    world.completeness = Completeness::Stable;
    marked(&mut world, "new@example.com", Duration::from_secs(100));
    assert!(matches!(judge(&mut world), MarkVerdict::Wait(_)));
    marked(&mut world, "new@example.com", Duration::from_secs(181));
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(held(&world.plan()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
}

#[test]
fn a_new_invitation_is_not_taken_for_the_one_that_was_revoked() {
    let mut world = invited("new@example.com", "Annotator");
    world.finds_nothing_open("new@example.com");
    let mut snapshot = world.snapshot();
    let revoked = Action::Revoke { email: "new@example.com".to_owned(), blind: true };
    outcome::succeeded(&mut world.ledger, &mut snapshot, &revoked);
    world.finds_nothing_open("new@example.com");
    let guest = Guest::new("annotators", "new@example.com");
    outcome::mailed(&mut world.ledger, &mut snapshot, &[guest], &Role::Annotator, world.now);
    // The next roster shows it, and it is open.
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
}

#[test]
fn an_invitation_that_turns_out_to_be_sent_is_not_taken_for_the_one_that_was_revoked_for_it() {
    let mut world = invited("new@example.com", "Manager");
    let mut snapshot = world.snapshot();
    let revoked = Action::Revoke { email: "new@example.com".to_owned(), blind: false };
    outcome::succeeded(&mut world.ledger, &mut snapshot, &revoked);
    marked(&mut world, "new@example.com", Duration::from_secs(200));
    world.ledger.passing.revoked.insert("new@example.com".to_owned(), Asked::now(None));
    world.ledger.in_flight.as_mut().unwrap().role = Some("Annotator".to_owned());
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
}

/// Marked, and dropped from the list before anybody knows whether the mail went.
fn dropped_while_marked(policy: DeletionPolicy) -> World {
    let mut world = World::in_sync();
    marked(&mut world, "new@example.com", Duration::from_secs(1));
    assert!(matches!(judge(&mut world), MarkVerdict::Wait(_)));
    world.settle();
    world.edit("annotators", |spec| {
        spec.emails.retain(|email| email != "new@example.com");
        spec.deletion_policy = policy;
    });
    world.settle();
    world
}

fn settle_unclaimed(world: &mut World) {
    let snapshot = world.snapshot();
    world.ledger.passing.mark.as_mut().unwrap().at = Boottime::now() - Duration::from_secs(200);
    let verdict = settle_mark(&mut world.ledger, |_| None, &snapshot, PATIENCE, world.now, Boottime::now());
    assert_eq!(verdict, MarkVerdict::Settled);
    world.mail_allowed = true;
    world.ledger.in_flight = None;
    world.settle();
    world.later(60);
}

#[test]
fn who_is_dropped_while_a_mail_may_be_out_leaves_as_the_policy_of_the_list_says() {
    for (policy, expected) in
        [(DeletionPolicy::Retain, vec![]), (DeletionPolicy::Deactivate, vec!["new@example.com: invitation → revoked"])]
    {
        let mut world = dropped_while_marked(policy);
        world.member(99, "new@example.com", Role::Annotator);
        world.change_member("new@example.com", |m| m.invitation = InvitationState::Open);
        settle_unclaimed(&mut world);
        assert!(world.ledger.departures.is_empty(), "{policy:?}");
        assert_eq!(steps(&world.plan()), expected, "{policy:?}");
    }
}

#[test]
fn who_is_dropped_while_a_hidden_mail_may_be_out_is_revoked() {
    let mut world = dropped_while_marked(DeletionPolicy::Deactivate);
    world.ledger.invitations_visible = Some(false);
    settle_unclaimed(&mut world);
    let blind = Action::Revoke { email: "new@example.com".to_owned(), blind: true };
    assert_eq!(world.plan().steps[0].action, blind);
}

#[test]
fn a_batch_that_the_server_refuses_goes_in_halves() {
    let mut world = World::in_sync();
    world.member(98, "guest@example.com", Role::Annotator);
    world.change_member("guest@example.com", |m| m.invitation = InvitationState::Open);
    let crowd: Vec<String> = (0..20).map(|n| format!("new{n:02}@example.com")).collect();
    world.edit("annotators", |spec| spec.emails.extend(crowd.clone()));
    for batches in [vec![20], vec![10, 10], vec![5, 5, 10]] {
        let plan = world.plan();
        let mut sizes: Vec<usize> = plan.steps.iter().map(|step| step.action.guests().len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, batches);
        let guests = plan.steps.iter().map(|step| step.action.guests()).min_by_key(|guests| guests.len()).unwrap();
        let (id, emails) = ("m".to_owned(), guests.iter().map(|guest| guest.email.clone()).collect());
        let seen = MarkSeen { id: id.clone(), at: Boottime::now(), ended: None, refused: false };
        world.ledger.in_flight = Some(InFlight { id, started_at: Time(noon()), emails, role: None, replaces: None });
        world.ledger.passing.mark = Some(seen);
        outcome::batch_refused(&mut world.ledger, guests, Boottime::now());
        assert_eq!(judge(&mut world), MarkVerdict::Settled);
        world.ledger.in_flight = None;
    }
}

#[test]
fn an_address_at_whose_mail_the_server_fails_goes_alone_and_last_and_is_then_left_for_a_while() {
    let mut world = World::in_sync();
    world.member(98, "guest@example.com", Role::Annotator);
    world.change_member("guest@example.com", |m| m.invitation = InvitationState::Open);
    world.edit("annotators", |spec| spec.emails.extend(["a-bad@example.com".to_owned(), "new@example.com".to_owned()]));
    assert_eq!(steps(&world.plan()), ["invite 2 as Annotator: a-bad@example.com, new@example.com"]);
    for round in 1..=2 {
        let id = format!("m{round}");
        let seen =
            MarkSeen { id: id.clone(), at: Boottime::now() - Duration::from_secs(300), ended: None, refused: false };
        let (emails, role) = (vec!["a-bad@example.com".to_owned()], Some("Annotator".to_owned()));
        world.ledger.in_flight = Some(InFlight { id, started_at: Time(world.now), emails, role, replaces: None });
        world.ledger.passing.mark = Some(seen);
        assert_eq!(judge(&mut world), MarkVerdict::Settled);
        judge(&mut world);
        world.ledger.in_flight = None;
        let mails = ["invite 1 as Annotator: new@example.com", "invite 1 as Annotator: a-bad@example.com"];
        assert_eq!(steps(&world.plan()), mails[..if round < 2 { 2 } else { 1 }], "round {round}");
    }
    let plan = world.settle();
    assert_eq!(held(&plan), [(HeldReason::Failed, vec!["a-bad@example.com".to_owned()])]);
    world.later(600);
    assert_eq!(world.plan().steps.len(), 2, "tried again");
}
