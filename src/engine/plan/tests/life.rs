//! How an invitation goes on that nobody accepts.

use super::*;

const EMAIL: &str = "new@example.com";
const AFTER: i64 = 72 * 3600;

/// In sync, but one invitation has just expired; it was sent at noon.
fn expired(attempts: i32) -> World {
    let mut world = invited(EMAIL, "Annotator");
    world.change_member(EMAIL, |m| m.invitation = InvitationState::Expired);
    world.change_member(EMAIL, |m| (m.invited_at, m.expired_at) = (Some(noon()), Some(noon())));
    world.remembered("annotators", EMAIL).attempts = Some(attempts);
    world
}

#[test]
fn the_wait_counts_from_the_expiry_and_not_from_the_mail() {
    let after = |hours| Some(noon() + SignedDuration::from_hours(hours) + SignedDuration::from_secs(AFTER));
    // The server tells when, long before it is looked at.
    let mut world = expired(1);
    world.change_member(EMAIL, |m| m.expired_at = Some(noon() + SignedDuration::from_hours(100)));
    world.later(120 * 3600);
    assert_eq!((world.settle().due, world.plan().steps.len()), (after(100), 0));
    world.later(52 * 3600);
    assert_eq!(world.plan().steps.len(), 1);
    // It tells nothing, or what cannot be: then it counts from when it was seen.
    for told in [None, Some(noon() + SignedDuration::from_hours(1000))] {
        let mut world = expired(1);
        world.change_member(EMAIL, |m| m.expired_at = told);
        world.later(100 * 3600);
        assert_eq!(world.settle().due, after(100));
        world.later(71 * 3600);
        assert_eq!(world.settle().due, after(100), "seen, and not seen anew");
        world.later(3600);
        assert_eq!(world.plan().steps.len(), 1);
        // What holds it up then gives it no second wait.
        world.seats = Some(crate::resources::Seats { used: 20, limit: Some(20) });
        for _ in 0..3 {
            assert_eq!(held(&world.settle()), [(HeldReason::SeatLimit, vec![EMAIL.to_owned()])]);
            world.later(600);
        }
        world.seats = None;
        assert_eq!(world.plan().steps.len(), 1);
    }
}

/// Carries out the mail that is planned.
fn mail(world: &mut World, plan: &Plan) {
    let Action::Invite { role, guests, .. } = &plan.steps[0].action else { panic!("{plan:?}") };
    let mut snapshot = world.snapshot();
    outcome::mailed(&mut world.ledger, &mut snapshot, guests, role, world.now);
    let now = world.now;
    world.change_member(EMAIL, |m| {
        m.invitation = InvitationState::Open;
        m.invited_at = Some(now);
    });
}

#[test]
fn an_expired_invitation_waits_until_it_may_be_sent_again_and_the_next_pass_is_due_then() {
    let mut world = expired(1);
    let plan = world.settle();
    assert!(plan.is_done(), "{:?}", steps(&plan));
    assert_eq!(plan.due, Some(noon() + SignedDuration::from_secs(AFTER)));
    assert_eq!(world.person("annotators", EMAIL).state, PersonState::InviteExpired);
    world.later(AFTER - 1);
    assert_eq!(world.plan().steps.len(), 0);
    world.later(1);
    let plan = world.settle();
    assert_eq!((steps(&plan), plan.due), (vec!["invite 1 as Annotator: new@example.com".to_owned()], None));
    mail(&mut world, &plan);
    assert!(world.settle().is_done());
    let person = world.person("annotators", EMAIL);
    assert_eq!((person.state, person.attempts), (PersonState::Invited, Some(2)));
    assert_eq!(person.invited_at, Some(Time(world.now)));
}

#[test]
fn after_the_last_attempt_it_is_given_up_which_is_no_error_and_more_attempts_go_on() {
    let mut world = expired(3);
    world.later(100 * AFTER);
    let plan = world.settle();
    assert!(plan.is_done() && plan.due.is_none() && plan.held_count() == 0);
    let person = world.person("annotators", EMAIL);
    assert_eq!((person.state, person.is_held_for(HeldReason::GaveUp)), (PersonState::InviteExpired, true));
    assert!(!HeldReason::GaveUp.stalls());
    world.edit("annotators", |spec| spec.resend.max_attempts = 4);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
    world.edit("annotators", |spec| spec.resend.max_attempts = 1);
    assert!(world.plan().steps.is_empty());
}

#[test]
fn what_the_server_refused_is_due_when_it_may_be_tried_again() {
    let until = noon() + SignedDuration::from_mins(10);
    let refuse = |world: &mut World, verb: &str, until| {
        outcome::refused(&mut world.ledger, "person2@example.com", verb, HeldReason::Failed, "no".to_owned(), until);
    };
    let mut world = World::in_sync();
    world.change_member("person2@example.com", |m| m.role = Some(Role::Reviewer));
    refuse(&mut world, "role Annotator", until);
    assert_eq!(world.plan().due, Some(until));
    // Times are compared in whole seconds.
    refuse(&mut world, "role Annotator", until + SignedDuration::from_millis(1));
    world.now = until;
    assert_eq!((world.plan().due, world.plan().steps.len()), (Some(until + SignedDuration::from_secs(1)), 0));
    world.later(1);
    assert_eq!((world.plan().due, world.plan().steps.len()), (None, 1));
    // Of somebody who leaves, and of the organization itself.
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.settle();
    world.later(30);
    refuse(&mut world, "role Deactivated", until);
    assert_eq!(world.plan().due, Some(until));
    let mut world = World::in_sync();
    world.organization.spec.title = Some("Other".to_owned());
    outcome::refused(&mut world.ledger, "", "title Other", HeldReason::Failed, "no".to_owned(), until);
    assert_eq!(world.plan().due, Some(until));
}

#[test]
fn a_shorter_wait_is_another_time() {
    let mut world = expired(1);
    world.edit("annotators", |spec| spec.resend.after = Duration::from_secs(3600).into());
    assert_eq!(world.plan().due, Some(noon() + SignedDuration::from_secs(3600)));
}

#[test]
fn an_expired_invitation_that_somebody_else_sent_counts_as_one_attempt() {
    let mut world = World::in_sync();
    world.member(99, EMAIL, Role::Pending);
    world.change_member(EMAIL, |m| m.invitation = InvitationState::Expired);
    world.change_member(EMAIL, |m| m.invited_at = Some(noon() - SignedDuration::from_secs(60)));
    world.edit("annotators", |spec| spec.emails.push(EMAIL.to_owned()));
    assert_eq!(world.settle().due, Some(noon() + SignedDuration::from_secs(AFTER)));
    assert_eq!(world.person("annotators", EMAIL).attempts, Some(1));
    world.later(AFTER);
    let plan = world.settle();
    mail(&mut world, &plan);
    assert_eq!(world.person("annotators", EMAIL).attempts, Some(2));

    // Only one is allowed, and that was theirs.
    let mut world = expired(1);
    world.ledger.invites.get_mut("annotators").unwrap().users.remove(EMAIL);
    world.edit("annotators", |spec| spec.resend.max_attempts = 1);
    world.later(AFTER);
    world.settle();
    assert!(world.person("annotators", EMAIL).is_held_for(HeldReason::GaveUp));
}

#[test]
fn a_server_whose_clock_is_ahead_delays_nothing() {
    let mut world = World::in_sync();
    world.member(99, EMAIL, Role::Pending);
    world.change_member(EMAIL, |m| m.invitation = InvitationState::Expired);
    world.change_member(EMAIL, |m| m.invited_at = Some(noon() + SignedDuration::from_hours(1000)));
    world.edit("annotators", |spec| spec.emails.push(EMAIL.to_owned()));
    assert_eq!(world.settle().due, Some(noon() + SignedDuration::from_secs(AFTER)));
}

#[test]
fn expired_invitations_and_newcomers_share_a_request() {
    let mut world = expired(1);
    world.later(AFTER);
    world.edit("annotators", |spec| spec.emails.push("other@example.com".to_owned()));
    // The server has shown one that is open.
    world.member(98, "third@example.com", Role::Pending);
    world.change_member("third@example.com", |m| m.invitation = InvitationState::Open);
    assert_eq!(steps(&world.plan()), ["invite 2 as Annotator: new@example.com, other@example.com"]);
}

#[test]
fn nobody_is_mailed_again_by_a_roster_that_is_not_complete_but_by_one_whose_count_never_fits() {
    let mut world = expired(1);
    world.later(AFTER);
    world.completeness = Completeness::Incomplete;
    assert_eq!(held(&world.plan()), [(HeldReason::IncompleteRoster, vec![EMAIL.to_owned()])]);
    world.completeness = Completeness::Stable;
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn an_expired_invitation_alone_does_not_show_that_open_ones_are_listed() {
    let world = expired(1);
    assert!(!world.snapshot().shows_open_invitation());
}

#[test]
fn where_no_mail_can_be_sent_an_expired_invitation_is_held_like_a_newcomer() {
    let mut world = expired(1);
    world.later(AFTER);
    let until = world.now + SignedDuration::from_mins(10);
    outcome::refused(&mut world.ledger, EMAIL, "invite Annotator", HeldReason::Failed, "no".to_owned(), until);
    assert_eq!(held(&world.settle()), [(HeldReason::Failed, vec![EMAIL.to_owned()])]);
    assert_eq!(world.person("annotators", EMAIL).attempts, Some(1), "what is refused is no attempt");
    world.later(601);
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn deactivating_somebody_whose_invitation_expired_revokes_it() {
    let mut world = expired(1);
    world.edit("annotators", |spec| spec.emails.retain(|email| email != EMAIL));
    world.invite("off", InviteRole::Deactivated, &[EMAIL.to_owned()]);
    assert_eq!(steps(&world.plan()), ["new@example.com: invitation → revoked"]);
}

#[test]
fn an_open_invitation_of_somebody_else_is_adopted_with_the_role_that_shows_or_is_wanted() {
    for (shown, wanted, expected) in [
        // The server does not tell the role, so what is wanted is taken for it.
        (Role::Pending, InviteRole::Annotator, Ok("Annotator")),
        (Role::Annotator, InviteRole::Annotator, Ok("Annotator")),
        // A higher one is set once the person is there.
        (Role::Annotator, InviteRole::Reviewer, Ok("Annotator")),
        // A lower one replaces the invitation.
        (Role::Manager, InviteRole::Annotator, Err("new@example.com: invited as Manager → Annotator")),
    ] {
        let mut world = World::in_sync();
        world.member(99, EMAIL, shown.clone());
        world.change_member(EMAIL, |m| m.invitation = InvitationState::Open);
        world.change_member(EMAIL, |m| m.invited_at = Some(noon() - SignedDuration::from_secs(60)));
        world.invite("more", wanted, &[EMAIL.to_owned()]);
        let plan = world.settle();
        match expected {
            Err(step) => assert_eq!(steps(&plan), [step]),
            Ok(role) => {
                assert!(plan.is_done(), "{shown} {wanted}: {:?}", steps(&plan));
                let person = world.person("more", EMAIL);
                assert_eq!((person.state, person.role.as_deref()), (PersonState::Invited, Some(role)));
                assert_eq!(person.attempts, Some(1));
            }
        }
    }
}

#[test]
fn an_adopted_invitation_leaves_with_its_manifest_and_stays_revoked_if_somebody_revokes_it() {
    let adopt = || {
        let mut world = World::in_sync();
        world.member(99, EMAIL, Role::Pending);
        world.change_member(EMAIL, |m| m.invitation = InvitationState::Open);
        world.change_member(EMAIL, |m| m.invited_at = Some(noon() - SignedDuration::from_secs(60)));
        world.edit("annotators", |spec| spec.emails.push(EMAIL.to_owned()));
        world.settle();
        world
    };
    let mut world = adopt();
    world.edit("annotators", |spec| spec.emails.retain(|email| email != EMAIL));
    world.settle();
    world.later(30);
    assert_eq!(steps(&world.plan()), ["new@example.com: invitation → revoked"]);

    let mut world = adopt();
    world.members.retain(|m| m.email != EMAIL);
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", EMAIL).state, PersonState::Revoked);
}

#[test]
fn who_signed_up_by_the_link_is_pending_until_the_role_is_there_which_takes_a_seat() {
    let mut world = World::in_sync();
    world.member(99, EMAIL, Role::Pending);
    world.edit("annotators", |spec| spec.emails.push(EMAIL.to_owned()));
    let plan = world.settle();
    assert_eq!(steps(&plan), ["new@example.com: Pending → Annotator"]);
    let person = world.person("annotators", EMAIL);
    assert_eq!((person.state, &person.seat_since), (PersonState::Pending, &None));
    let mut snapshot = world.snapshot();
    snapshot.seats = Some(crate::resources::Seats { used: 12, limit: Some(20) });
    outcome::succeeded(&mut world.ledger, &mut snapshot, &plan.steps[0].action);
    assert_eq!(snapshot.seats.unwrap().used, 13);
    world.change_member(EMAIL, |m| m.role = Some(Role::Annotator));
    world.settle();
    let person = world.person("annotators", EMAIL);
    assert_eq!((person.state, &person.seat_since), (PersonState::Active, &Some(Time(world.now))));
}

#[test]
fn another_role_for_somebody_who_was_given_up_sends_nothing() {
    let mut world = expired(3);
    world.settle();
    for role in [InviteRole::Reviewer, InviteRole::Administrator, InviteRole::Annotator] {
        world.edit("annotators", |spec| {
            spec.role = role;
            spec.emails = vec![EMAIL.to_owned()];
        });
        world.organization.spec.guards.max_removals = IntOrString::Int(100);
        world.later(100 * AFTER);
        let plan = world.settle();
        assert!(!plan.steps.iter().any(|step| step.action.mails()), "{role} {:?}", steps(&plan));
        assert!(world.person("annotators", EMAIL).is_held_for(HeldReason::GaveUp), "{role}");
    }
}
