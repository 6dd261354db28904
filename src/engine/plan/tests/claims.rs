//! Two manifests for one address, and what becomes of what each of them remembers.

use super::*;

/// An older manifest claims an address that `annotators` has.
fn overtaken(mut world: World, email: &str, role: InviteRole) -> World {
    world.invite("older", role, &[email.to_owned()]);
    world.invites.last_mut().unwrap().metadata.creation_timestamp = Some(Time(noon() - SignedDuration::from_secs(60)));
    world
}

/// Carries out a revocation, which is all that there is to do here.
fn revoke(world: &mut World, plan: &Plan) {
    let mut snapshot = world.snapshot();
    for step in &plan.steps {
        assert!(matches!(step.action, Action::Revoke { .. }), "{:?}", step.action);
        outcome::succeeded(&mut world.ledger, &mut snapshot, &step.action);
        world.members.retain(|m| !step.action.emails().contains(&m.email.as_str()));
    }
}

fn assert_remembers_nothing(person: &Person) {
    assert!(person.is_held_for(HeldReason::Conflict), "{person:?}");
    let remembered = (&person.user_id, &person.attempts, &person.role, &person.invited_at, &person.seat_since);
    assert_eq!(remembered, (&None, &None, &None, &None, &None), "{person:?}");
}

#[test]
fn what_the_winner_has_stored_the_loser_forgets_in_the_next_pass_which_is_due_at_once() {
    let mut world = overtaken(World::in_sync(), "person2@example.com", InviteRole::Annotator);
    let plan = world.settle();
    // Until the winner's entry is stored this one alone would survive a crash.
    assert_eq!(world.person("annotators", "person2@example.com").user_id, Some(12));
    assert_eq!(plan.due, Some(noon() + SignedDuration::from_secs(1)));
    let plan = world.settle();
    assert_remembers_nothing(world.person("annotators", "person2@example.com"));
    assert_eq!(plan.due, None);
}

#[test]
fn a_loser_whose_invitation_the_winner_revoked_forgets_it() {
    for visible in [Some(true), Some(false)] {
        let mut world = invited("new@example.com", "Annotator");
        world.ledger.invitations_visible = visible;
        let mut world = overtaken(world, "new@example.com", InviteRole::Deactivated);
        let plan = world.settle();
        revoke(&mut world, &plan);
        world.settle();
        let plan = world.settle();
        assert_remembers_nothing(world.person("annotators", "new@example.com"));
        assert_eq!((plan.steps.len(), plan.due), (0, None));
    }
}

#[test]
fn a_loser_whose_invitation_somebody_else_revoked_forgets_it() {
    let mut world = invited("new@example.com", "Annotator");
    world.members.retain(|m| m.email != "new@example.com");
    world.settle();
    let mut world = overtaken(world, "new@example.com", InviteRole::Deactivated);
    world.settle();
    world.settle();
    assert_remembers_nothing(world.person("annotators", "new@example.com"));
}

#[test]
fn a_loser_whose_mail_is_unconfirmed_hands_the_doubt_over_and_forgets_it() {
    let mut world = invited("new@example.com", "Annotator");
    world.members.retain(|m| m.email != "new@example.com");
    world.ledger.invitations_visible = Some(false);
    let person = world.remembered("annotators", "new@example.com");
    person.invited_at = None;
    person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
    let mut world = overtaken(world, "new@example.com", InviteRole::Reviewer);
    let plan = world.settle();
    assert!(world.person("annotators", "new@example.com").is_held_for(HeldReason::InviteUnconfirmed));
    assert_eq!(plan.due, Some(noon() + SignedDuration::from_secs(1)));
    world.settle();
    assert!(world.person("older", "new@example.com").is_held_for(HeldReason::InviteUnconfirmed));
    assert_remembers_nothing(world.person("annotators", "new@example.com"));
}

#[test]
fn an_observer_is_in_no_hurry() {
    let mut world = overtaken(World::in_sync(), "person2@example.com", InviteRole::Annotator);
    world.organization.spec.mode = crate::resources::Mode::Observe;
    assert_eq!(world.settle().due, None);
}

#[test]
fn a_move_between_two_manifests_that_were_there_before_ends_at_once() {
    let mut world = World::in_sync();
    world.invite("more", InviteRole::Annotator, &["person0@example.com".to_owned()]);
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person0@example.com"));
    world.settle();
    world.settle();
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.edit("more", |spec| spec.emails.push("person2@example.com".to_owned()));
    let plan = world.settle();
    assert_eq!((plan.pending["annotators"], plan.due), (1, Some(noon() + SignedDuration::from_secs(1))));
    let plan = world.settle();
    assert!(plan.is_done() && plan.due.is_none());
    assert!(world.ledger.person("annotators", "person2@example.com").is_none());
}
