//! Whom a UserInvite of another namespace gives up: what it had done, and what a grant that is gone lets it do no more.

use super::grants::{
    assert_nothing_happens, delete, drop_everybody, foreign, give_up, grant, managed, only_held, withdraw,
};
use super::*;

#[test]
fn who_rose_above_the_grant_does_not_leave_with_the_manifest() {
    for (deletes, carried_out) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = managed();
        give_up(&mut world, deletes);
        world.settle();
        if !carried_out {
            world.change_member("ann@example.com", |m| m.role = Some(Role::Reviewer));
        }
        world.later(60);
        let plan = world.plan();
        let wanted: &[&str] = if carried_out { &["ann@example.com: Annotator → Deactivated"] } else { &[] };
        assert_eq!(steps(&plan), wanted, "{deletes}");
        if !carried_out {
            assert_nothing_happens(&mut world);
            assert!(world.ledger.departures.is_empty());
        }
    }
}

#[test]
fn a_withdrawn_grant_removes_nobody_and_a_new_one_resumes() {
    let mut world = managed();
    withdraw(&mut world);
    let plan = world.settle();
    assert_eq!((steps(&plan).len(), plan.held_count()), (0, 0));
    assert!(world.person("team/team", "ann@example.com").is_held_for(HeldReason::NotGranted));
    assert_eq!(world.person("team/team", "ann@example.com").user_id, Some(70));
    world.change_member("ann@example.com", |m| m.role = Some(Role::Deactivated));
    assert_nothing_happens(&mut world);
    // She is remembered: gone is gone, and no new mail.
    let members = world.members.clone();
    world.members.retain(|m| m.email != "ann@example.com");
    grant(&mut world, "team", "Annotator");
    let plan = world.settle();
    assert_eq!(steps(&plan), Vec::<String>::new());
    assert_eq!(world.person("team/team", "ann@example.com").state, PersonState::Left);
    world.members = members;
    assert_eq!(steps(&world.plan()), ["ann@example.com: Deactivated → Annotator"]);
}

#[test]
fn after_a_grant_is_withdrawn_neither_dropping_nor_deleting_ends_an_access() {
    for deletes in [true, false] {
        // Given up while the grant stood, and withdrawn within the grace.
        let mut world = managed();
        give_up(&mut world, deletes);
        world.settle();
        withdraw(&mut world);
        world.later(60);
        assert_nothing_happens(&mut world);
        assert!(world.ledger.departures.is_empty());
        grant(&mut world, "team", "Annotator");
        assert_nothing_happens(&mut world);

        // Given up without one: a new grant brings nothing of it back.
        let mut world = managed();
        withdraw(&mut world);
        world.settle();
        give_up(&mut world, deletes);
        assert!(world.ledger.departures.is_empty());
        world.settle();
        grant(&mut world, "team", "Annotator");
        assert_nothing_happens(&mut world);
    }
}

#[test]
fn nobody_is_removed_by_another_namespace_whose_role_the_server_does_not_tell() {
    for (highest, waits) in [("Manager", 0), ("Administrator", 1)] {
        let mut world = managed();
        withdraw(&mut world);
        grant(&mut world, "team", highest);
        world.edit("team", |spec| spec.deletion_policy = DeletionPolicy::Remove);
        delete(&mut world, "team");
        world.settle();
        world.change_member("ann@example.com", |m| m.role = None);
        world.later(60);
        let plan = world.plan();
        assert!(plan.steps.is_empty(), "{highest} {:?}", steps(&plan));
        // Where no role is above the grant, it is held as any other departure is.
        assert_eq!(plan.held.get(&HeldReason::UnknownRole).map_or(0, Vec::len), waits, "{highest}");
    }
}

#[test]
fn a_mail_of_the_time_of_the_grant_is_remembered_until_whoever_takes_over_has_stored_it() {
    let mut world = managed();
    world.members.retain(|m| m.email != "ann@example.com");
    world.ledger.invitations_visible = Some(false);
    let person = world.remembered("team/team", "ann@example.com");
    (person.user_id, person.invited_at) = (None, Some(Time(noon())));
    withdraw(&mut world);
    world.settle();
    drop_everybody(&mut world);
    world.invite("mine", InviteRole::Annotator, &["ann@example.com".to_owned()]);
    let plan = world.settle();
    assert_eq!(steps(&plan), Vec::<String>::new(), "no second mail");
    assert!(world.person("team/team", "ann@example.com").invited_at.is_some());
    world.settle();
    assert!(world.ledger.person("team/team", "ann@example.com").is_none());
    assert!(world.person("mine", "ann@example.com").invited_at.is_some());
}

#[test]
fn whether_a_mail_went_out_is_not_forgotten_with_the_grant() {
    let mut world = managed();
    world.members.retain(|m| m.email != "ann@example.com");
    world.ledger.invitations_visible = Some(false);
    let person = world.remembered("team/team", "ann@example.com");
    person.user_id = None;
    person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
    withdraw(&mut world);
    world.settle();
    assert!(world.person("team/team", "ann@example.com").is_held_for(HeldReason::InviteUnconfirmed));
    grant(&mut world, "team", "Annotator");
    assert_eq!(held(&world.settle()), only_held(HeldReason::InviteUnconfirmed, "ann@example.com"));
    delete(&mut world, "team");
    withdraw(&mut world);
    world.later(60);
    assert_nothing_happens(&mut world);
}

#[test]
fn a_mail_on_its_way_is_no_departure_of_whoever_else_lists_the_address() {
    let mut world = World::in_sync();
    let emails = vec!["new@example.com".to_owned()];
    let started_at = Time(noon());
    world.ledger.in_flight = Some(InFlight { id: "1".to_owned(), started_at, emails, replaces: None, role: None });
    grant(&mut world, "team", "Annotator");
    foreign(&mut world, "stranger", InviteRole::Annotator, "new@example.com", 1);
    foreign(&mut world, "team", InviteRole::Annotator, "new@example.com", 1);
    delete(&mut world, "stranger");
    assert!(world.ledger.departures.is_empty());
    delete(&mut world, "team");
    let from = |world: &World| world.ledger.departures.iter().map(|d| d.from.clone()).collect::<Vec<_>>();
    assert_eq!(from(&world), ["team/team"]);
    // And the Organization's own namespace counts before others.
    world.invite("mine", InviteRole::Annotator, &["new@example.com".to_owned()]);
    delete(&mut world, "mine");
    assert_eq!(from(&world), ["mine"]);
}
