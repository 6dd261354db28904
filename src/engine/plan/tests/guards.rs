//! What keeps a mistake from doing harm.

use super::*;

#[test]
fn an_incomplete_roster_holds_invitations_and_removals_of_those_it_lacks() {
    let mut world = World::in_sync();
    world.completeness = Completeness::Incomplete;
    world.members.retain(|m| m.email != "person2@example.com");
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    let lacking = vec!["new@example.com".to_owned(), "person2@example.com".to_owned()];
    assert_eq!(held(&plan), [(HeldReason::IncompleteRoster, lacking)]);
}

#[test]
fn a_removal_whose_answer_was_lost_is_counted_once() {
    let mut world = World::in_sync();
    world.organization.spec.guards.max_removals = IntOrString::Int(1);
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.settle();
    world.later(30);
    assert!(outcome::reserve_removals(&mut world.ledger, &["person2@example.com"], 12, world.now));
    assert_eq!(steps(&world.plan()), ["person2@example.com: Annotator → Deactivated"]);
    assert!(!outcome::reserve_removals(&mut world.ledger, &["person2@example.com"], 12, world.now));
    outcome::release_removal(&mut world.ledger, "person2@example.com");
    assert!(world.ledger.removals.is_empty());
}

#[test]
fn the_last_administrator_keeps_the_role() {
    let mut world = World::in_sync();
    world.edit("administrators", |spec| spec.role = InviteRole::Manager);
    let plan = world.plan();
    assert_eq!(steps(&plan), ["anna@example.com: Administrator → Manager"]);
    assert_eq!(held(&plan), [(HeldReason::LastAdministrator, vec!["ben@example.com".to_owned()])]);
}

#[test]
fn more_removals_than_allowed_are_held_all_of_them() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.held[&HeldReason::RemovalGuard].len(), 10);
    world.organization.spec.guards.max_removals = IntOrString::Int(10);
    assert_eq!(world.plan().steps.len(), 10);
}

#[test]
fn a_small_team_offboards_three_people_without_a_ceremony() {
    let mut world = World::in_sync();
    for n in 0..3 {
        world.edit("annotators", |spec| spec.emails.retain(|e| *e != format!("person{n}@example.com")));
    }
    world.settle();
    world.later(30);
    assert_eq!(world.plan().steps.len(), 3);
}

#[test]
fn removals_of_the_last_day_count_and_the_window_makes_room() {
    let mut world = World::in_sync();
    let hour = Time("2026-01-01T10:00:00Z".parse().unwrap());
    world.ledger.removals = vec![RemovalBucket { hour, base: 12, count: 3 }];
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.settle();
    world.later(30);
    let plan = world.plan();
    assert_eq!(held(&plan), [(HeldReason::RemovalGuard, vec!["person2@example.com".to_owned()])]);
    assert_eq!(plan.due, Some("2026-01-02T11:00:00Z".parse().unwrap()));
    world.now = "2026-01-02T11:00:00Z".parse().unwrap();
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn an_old_roster_takes_nobodys_access_away() {
    let mut world = World::in_sync();
    world.change_member("person3@example.com", |m| m.role = Some(Role::Reviewer));
    world.fresh = false;
    assert_eq!(world.plan().stale, ["person3@example.com"]);
}
