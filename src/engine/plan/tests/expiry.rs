//! Access that ends at a time that the manifest names.

use super::*;

fn end() -> Timestamp {
    noon() + SignedDuration::from_hours(1)
}

/// In sync; three contractors besides, of whom one has not accepted and one is not there any more.
fn until_one_oclock() -> World {
    let mut world = World::in_sync();
    world.member(90, "here@example.com", Role::Reviewer);
    world.member(91, "invited@example.com", Role::Pending);
    world.change_member("invited@example.com", |m| m.invitation = InvitationState::Open);
    world.invite("contractors", InviteRole::Reviewer, &["here@example.com", "invited@example.com"].map(str::to_owned));
    // Parts of a second do not count.
    let at = end() + SignedDuration::from_millis(300);
    world.edit("contractors", |spec| spec.expires_at = Some(Time(at)));
    world
}

#[test]
fn until_then_nothing_is_different_and_the_next_pass_is_due_at_that_very_moment() {
    let mut world = until_one_oclock();
    let plan = world.settle();
    assert!(plan.is_done(), "{:?}", steps(&plan));
    assert_eq!(plan.due, Some(end()));
    world.now = end() - SignedDuration::from_secs(1);
    assert!(world.plan().is_done());
}

#[test]
fn from_then_on_it_is_as_if_the_role_were_deactivated() {
    let mut world = until_one_oclock();
    world.settle();
    world.now = end();
    let plan = world.settle();
    let expected = ["here@example.com: Reviewer → Deactivated", "invited@example.com: invitation → revoked"];
    assert_eq!((steps(&plan).as_slice(), plan.due), (expected.map(str::to_owned).as_slice(), None));
    let mut as_deactivated = until_one_oclock();
    as_deactivated.edit("contractors", |spec| (spec.role, spec.expires_at) = (InviteRole::Deactivated, None));
    assert_eq!(steps(&as_deactivated.plan()), steps(&plan));
}

#[test]
fn who_is_not_there_then_is_not_invited_and_counts_as_satisfied() {
    let mut world = until_one_oclock();
    world.edit("contractors", |spec| spec.emails = vec!["late@example.com".to_owned()]);
    world.now = end();
    assert!(world.settle().is_done());
    assert_eq!(world.person("contractors", "late@example.com").state, PersonState::Deactivated);
}

#[test]
fn the_guard_counts_it_like_any_other_removal() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.expires_at = Some(Time(end())));
    world.now = end();
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.held[&HeldReason::RemovalGuard].len(), 10);
}

#[test]
fn a_later_end_gives_the_role_back() {
    let mut world = until_one_oclock();
    world.settle();
    world.now = end();
    world.change_member("here@example.com", |m| m.role = Some(Role::Deactivated));
    world.members.retain(|m| m.email != "invited@example.com");
    for person in ["here@example.com", "invited@example.com"] {
        // Carried out, as far as memory goes.
        world.remembered("contractors", person).invited_at = None;
    }
    assert!(world.settle().is_done());
    world.edit("contractors", |spec| spec.expires_at = Some(Time(end() + SignedDuration::from_hours(1))));
    let expected = ["here@example.com: Deactivated → Reviewer", "invite 1 as Reviewer: invited@example.com"];
    assert_eq!(steps(&world.plan()), expected);
}

#[test]
fn two_manifests_of_which_one_has_ended_do_not_want_the_same() {
    let mut world = until_one_oclock();
    world.invite("rival", InviteRole::Reviewer, &["here@example.com".to_owned()]);
    world.invites.last_mut().unwrap().metadata.creation_timestamp = Some(Time(noon() + SignedDuration::from_secs(60)));
    assert_eq!(world.settle().held_count(), 0, "the same wish");
    world.now = end();
    assert_eq!(held(&world.settle()), [(HeldReason::Conflict, vec!["here@example.com".to_owned()])]);
    let message = world.person("rival", "here@example.com").message.clone().unwrap();
    assert!(message.contains("UserInvite contractors (Deactivated)"), "{message}");
}
