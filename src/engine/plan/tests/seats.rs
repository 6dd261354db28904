//! Seats: kept for a while, freed before they are taken, and never promised twice.

use super::*;
use crate::resources::Seats;
use kube::core::Duration as GoDuration;

fn with_seats(used: i64, limit: i64) -> World {
    let mut world = World::in_sync();
    world.seats = Some(Seats { used, limit: Some(limit) });
    world
}

#[test]
fn a_seat_taken_lately_is_kept_and_due_when_it_may_go() {
    let mut world = World::in_sync();
    world.remembered("annotators", "person2@example.com").seat_since = Some(Time(noon()));
    world.organization.spec.guards.min_seat_time = Some(GoDuration::from(Duration::from_secs(7200)));
    world.edit("annotators", |spec| spec.emails.retain(|email| email != "person2@example.com"));
    world.settle();
    world.later(30);
    let plan = world.settle();
    assert_eq!(held(&plan), [(HeldReason::MinSeatTime, vec!["person2@example.com".to_owned()])]);
    assert_eq!(plan.due, Some(noon() + SignedDuration::from_secs(7200)));
    assert_eq!(plan.sets.len(), 1, "a person may overrule it");
    world.now = noon() + SignedDuration::from_secs(7200);
    assert_eq!(steps(&world.plan()), ["person2@example.com: Annotator → Deactivated"]);
}

#[test]
fn another_role_frees_no_seat_so_it_does_not_wait() {
    let mut world = World::in_sync();
    world.organization.spec.guards.min_seat_time = Some(GoDuration::from(Duration::from_secs(7200)));
    world.edit("annotators", |spec| spec.role = InviteRole::Reviewer);
    assert_eq!(world.plan().steps.len(), 10);
}

#[test]
fn newcomers_beyond_the_licence_are_held_in_the_order_of_their_addresses() {
    let mut world = with_seats(12, 14);
    for n in [3, 1, 2] {
        world.edit("annotators", |spec| spec.emails.push(format!("new{n}@example.com")));
    }
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 2 as Annotator: new1@example.com, new2@example.com"]);
    assert_eq!(held(&plan), [(HeldReason::SeatLimit, vec!["new3@example.com".to_owned()])]);
    assert_eq!(plan, world.plan());
}

#[test]
fn a_seat_that_an_open_invitation_was_promised_is_not_promised_again() {
    let mut world = invited("guest@example.com", "Annotator");
    world.seats = Some(Seats { used: 12, limit: Some(13) });
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    assert_eq!(held(&world.plan()), [(HeldReason::SeatLimit, vec!["new@example.com".to_owned()])]);
    world.edit("annotators", |spec| spec.emails.retain(|email| email != "guest@example.com"));
    world.settle();
    world.later(30);
    let plan = world.plan();
    let expected = ["guest@example.com: invitation → revoked", "invite 1 as Annotator: new@example.com"];
    assert_eq!(steps(&plan), expected, "the promise is taken back first");
}

#[test]
fn whoever_leaves_makes_room_and_goes_first() {
    let mut world = with_seats(12, 12);
    world.edit("annotators", |spec| {
        spec.emails.retain(|email| email != "person2@example.com");
        spec.emails.push("new@example.com".to_owned());
    });
    world.settle();
    world.later(30);
    let plan = world.plan();
    assert_eq!(
        steps(&plan),
        ["person2@example.com: Annotator → Deactivated", "invite 1 as Annotator: new@example.com"]
    );
    assert!(plan.seats_short, "the first has to be done before the second begins");
}

#[test]
fn a_reactivation_takes_a_seat_and_a_change_of_role_does_not() {
    let mut world = with_seats(12, 12);
    world.change_member("person1@example.com", |m| m.role = Some(Role::Deactivated));
    world.change_member("person2@example.com", |m| m.role = Some(Role::Reviewer));
    let plan = world.plan();
    assert_eq!(steps(&plan), ["person2@example.com: Reviewer → Annotator"]);
    assert_eq!(held(&plan), [(HeldReason::SeatLimit, vec!["person1@example.com".to_owned()])]);
}

#[test]
fn a_licence_without_a_limit_holds_nobody() {
    let mut world = World::in_sync();
    world.seats = Some(Seats { used: 12, limit: None });
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn an_invitation_that_the_server_hides_is_a_promise_too() {
    let mut world = invited("guest@example.com", "Annotator");
    world.members.retain(|member| member.email != "guest@example.com");
    world.ledger.invitations_visible = Some(false);
    world.seats = Some(Seats { used: 12, limit: Some(13) });
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    assert_eq!(held(&world.plan()), [(HeldReason::SeatLimit, vec!["new@example.com".to_owned()])]);
}

#[test]
fn an_invitation_that_ran_out_or_was_revoked_promises_nothing() {
    let mut world = invited("guest@example.com", "Annotator");
    world.seats = Some(Seats { used: 12, limit: Some(12) });
    world.change_member("guest@example.com", |m| m.invitation = InvitationState::Expired);
    world.edit("annotators", |spec| {
        spec.emails.retain(|email| email != "guest@example.com");
        spec.emails.push("new@example.com".to_owned());
    });
    world.settle();
    world.later(30);
    assert_eq!(held(&world.plan()), [(HeldReason::SeatLimit, vec!["new@example.com".to_owned()])]);
    // The server goes on listing what we revoked.
    world.seats = Some(Seats { used: 12, limit: Some(13) });
    world.change_member("guest@example.com", |m| m.invitation = InvitationState::Open);
    world.ledger.passing.revoked.insert("guest@example.com".to_owned(), Asked::now(None));
    assert_eq!(world.plan().held.get(&HeldReason::SeatLimit), None);
}

#[test]
fn view_only_takes_no_seat_and_frees_none() {
    let mut world = with_seats(12, 12);
    world.change_member("person1@example.com", |m| m.role = Some(Role::ViewOnly));
    assert_eq!(held(&world.plan()), [(HeldReason::SeatLimit, vec!["person1@example.com".to_owned()])]);
}

#[test]
fn of_somebody_who_was_there_before_nobody_knows_since_when() {
    let mut world = World::in_sync();
    world.organization.spec.guards.min_seat_time = Some(GoDuration::from(Duration::from_secs(7200)));
    world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    world.organization.spec.guards.max_removals = IntOrString::Int(10);
    assert_eq!(world.plan().steps.len(), 10);
}
