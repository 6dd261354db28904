//! What status remembers, lost piece by piece: no loss removes anyone, and none mails anyone.

use super::*;
use crate::engine::approval::use_approval;
use crate::engine::target::settle_target;

/// Twelve people in sync and one invited; one dropped, one of a deleted UserInvite, ten who are to lose access and are held, and
/// an approval for these in use.
fn busy() -> World {
    let mut world = invited("new@example.com", "Annotator");
    world.organization.spec.guards.max_removals = IntOrString::Int(0);
    world.member(98, "gone@example.com", Role::Annotator);
    let mut gone = Person::new("gone@example.com", PersonState::Leaving);
    gone.user_id = Some(98);
    let (users, policy, since) = (vec![gone], DeletionPolicy::Deactivate, Time(noon()));
    world.ledger.departures = vec![Departure { users, policy, from: "was".to_owned(), since }];
    world.ledger.removals = vec![RemovalBucket { hour: Time(noon()), base: 13, count: 3 }];
    world.edit("annotators", |spec| spec.emails.retain(|email| email != "person9@example.com"));
    world.settle();
    world.later(60);
    let sets = world.settle().sets;
    assert_eq!(sets[0].who, ["gone@example.com", "person9@example.com"]);
    assert!(use_approval(&mut world.ledger, Some(&sets[0].digest), &sets, world.now));
    assert_eq!(world.settle().steps.len(), 2);
    world
}

#[test]
fn without_its_departures_nobody_leaves_and_nobody_is_mailed() {
    let mut world = busy();
    world.ledger.departures.clear();
    let plan = world.settle();
    assert_eq!(steps(&plan), ["person9@example.com: Annotator → Deactivated"], "and not gone@example.com");
    assert!(!world.plan().people.values().any(|people| people.contains_key("gone@example.com")));
}

#[test]
fn without_its_removals_the_window_starts_anew_and_no_further() {
    let mut world = busy();
    world.ledger.approval = None;
    world.organization.spec.guards.max_removals = IntOrString::Int(4);
    assert_eq!(world.plan().held[&HeldReason::RemovalGuard].len(), 2, "three of four are used");
    world.ledger.removals.clear();
    assert_eq!(world.plan().steps.len(), 2);
    world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    let plan = world.plan();
    assert_eq!(plan.held[&HeldReason::RemovalGuard].len(), 11, "all or nothing: {:?}", steps(&plan));
}

#[test]
fn without_its_approval_everybody_is_held_again_and_can_be_approved_again() {
    let mut world = busy();
    world.ledger.approval = None;
    let plan = world.settle();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    assert_eq!(plan.held[&HeldReason::RemovalGuard], ["gone@example.com", "person9@example.com"]);
    assert!(use_approval(&mut world.ledger, Some(&plan.sets[0].digest), &plan.sets, world.now));
    assert_eq!(world.plan().steps.len(), 2);
}

#[test]
fn without_its_target_what_is_found_is_adopted_and_nothing_else_changes() {
    let mut world = busy();
    let before = world.plan();
    world.ledger.target = None;
    settle_target(&mut world.ledger, &[], &target(), None, world.now).unwrap();
    assert_eq!(world.ledger.target, Some(target()));
    assert_eq!(world.plan(), before);
    // And where all of it is gone at once nobody loses anything and nobody is mailed.
    let invites = std::mem::take(&mut world.ledger.invites);
    world.ledger = Ledger { invitations_visible: None, ..Ledger::default() };
    assert!(steps(&world.plan()).is_empty(), "{:?}", steps(&world.plan()));
    world.ledger.invites = invites;
    world.ledger.invites.values_mut().for_each(|memory| memory.target = None);
    let plan = world.plan();
    assert!(!plan.steps.iter().any(|step| step.action.mails()), "{:?}", steps(&plan));
}
