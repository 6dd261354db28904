//! UserInvites of other namespaces that ask for more than they are granted, or have no grant at all.

use super::grants::{assert_nothing_happens, delete, foreign, grant, managed, only_held, withdraw};
use super::*;
use crate::engine::target::settle_target;

/// More than the grant allows, so that all of it is refused.
fn overstep(spec: &mut UserInviteSpec, by_role: bool) {
    if by_role {
        spec.role = InviteRole::Manager;
    } else {
        spec.workspaces = vec!["Secret".to_owned()];
    }
}

#[test]
fn who_asks_for_more_than_is_granted_and_then_gives_up_ends_the_access_that_was_given() {
    for (by_role, deletes) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut world = managed();
        world.edit("team", |spec| overstep(spec, by_role));
        assert_eq!(world.settle().held_count(), 1);
        assert_eq!(world.person("team/team", "ann@example.com").user_id, Some(70));
        if deletes {
            delete(&mut world, "team");
        } else {
            world.edit("team", |spec| spec.emails = vec!["x@example.com".to_owned()]);
        }
        assert_eq!(steps(&world.settle()), Vec::<String>::new(), "the grace");
        world.later(60);
        assert_eq!(steps(&world.plan()), ["ann@example.com: Annotator → Deactivated"], "{by_role} {deletes}");
        // Unless she is above the grant by then, or it is gone.
        world.change_member("ann@example.com", |m| m.role = Some(Role::Reviewer));
        assert_eq!(steps(&world.plan()), Vec::<String>::new());
        world.change_member("ann@example.com", |m| m.role = Some(Role::Annotator));
        withdraw(&mut world);
        assert_nothing_happens(&mut world);
    }
}

#[test]
fn who_asked_for_too_much_ends_nobodys_access_once_the_grant_is_withdrawn() {
    let mut world = managed();
    world.edit("team", |spec| overstep(spec, true));
    world.settle();
    withdraw(&mut world);
    world.settle();
    delete(&mut world, "team");
    assert!(world.ledger.departures.is_empty());
    assert_nothing_happens(&mut world);
}

#[test]
fn whom_a_claim_never_reached_it_does_not_reach_by_asking_for_more() {
    let mut world = World::in_sync();
    grant(&mut world, "team", "Reviewer");
    world.member(70, "ann@example.com", Role::Annotator);
    world.change_member("ann@example.com", |m| m.role_source = Some("scim".to_owned()));
    foreign(&mut world, "team", InviteRole::Reviewer, "ann@example.com", 1);
    world.edit("team", |spec| spec.deletion_policy = DeletionPolicy::Remove);
    assert_eq!(held(&world.settle()), only_held(HeldReason::ManagedByIdentityProvider, "ann@example.com"));
    world.edit("team", |spec| overstep(spec, true));
    assert_eq!(held(&world.settle()), only_held(HeldReason::RoleAboveGrant, "ann@example.com"));
    delete(&mut world, "team");
    assert!(world.ledger.departures.is_empty());
    assert_nothing_happens(&mut world);
}

#[test]
fn access_ends_in_time_whatever_role_is_declared_until_then() {
    for by_role in [true, false] {
        let mut world = managed();
        let end = noon() + SignedDuration::from_hours(1);
        world.edit("team", |spec| {
            overstep(spec, by_role);
            spec.expires_at = Some(Time(end));
        });
        let plan = world.settle();
        assert_eq!((held(&plan).len(), plan.due), (1, Some(end)));
        world.now = end;
        let plan = world.settle();
        assert_eq!((steps(&plan), held(&plan).len()), (vec!["ann@example.com: Annotator → Deactivated".to_owned()], 0));
        // Not of somebody above the grant.
        world.change_member("ann@example.com", |m| m.role = Some(Role::Reviewer));
        assert_eq!(held(&world.settle()), only_held(HeldReason::RoleAboveGrant, "ann@example.com"));
    }
}

#[test]
fn what_is_no_address_once_its_domain_is_mapped_is_neither_granted_nor_sent() {
    for odd in
        ["eve@evil.com\u{ff20}example.com", "eve@evil.com\u{ff0c}eve@example.com", "eve\u{ff20}evil.com@example.com"]
    {
        let mut world = World::in_sync();
        grant(&mut world, "team", "Annotator");
        foreign(&mut world, "team", InviteRole::Annotator, odd, 1);
        world.edit("annotators", |spec| {
            spec.emails.extend([odd, "a@example.com", "z@example.com"].map(str::to_owned));
        });
        let plan = world.settle();
        // The others go together.
        assert_eq!(steps(&plan), ["invite 2 as Annotator: a@example.com, z@example.com"]);
        let odd = crate::resources::folded(odd);
        assert_eq!(held(&plan), vec![(HeldReason::Failed, vec![odd.clone(), odd.clone()])]);
        for invite in ["annotators", "team/team"] {
            let person = world.person(invite, &odd);
            let message = person.message.as_deref().unwrap();
            assert!(person.state == PersonState::Failed && message.contains(&odd), "{person:?}");
        }
    }
}

fn another_target() -> Target {
    Target { organization_id: 2, ..target() }
}

#[test]
fn what_a_stranger_remembers_of_another_server_holds_up_nobody_and_makes_nobody_known_here() {
    let mut world = managed();
    withdraw(&mut world);
    world.settle();
    // The Organization was created anew, for another server.
    world.ledger.target = None;
    world.ledger.invites.retain(|name, _| name == "team/team");
    settle_target(&mut world.ledger, &world.organization.spec.grants, &another_target(), None, noon()).unwrap();
    assert_eq!(world.ledger.invites["team/team"].target, Some(target()), "not forgotten");
    assert_eq!(world.ledger.target, Some(another_target()));
    // Nobody of that server is known on this one.
    let view = remembered(&desired(&world.organization, &world.invites, world.now), &world.ledger);
    assert!(view.is_empty(), "{view:?}");
    // Granted, its memory counts.
    grant(&mut world, "team", "Annotator");
    settle_target(&mut world.ledger, &world.organization.spec.grants, &another_target(), None, noon()).unwrap_err();
}

#[test]
fn a_strangers_object_that_is_deleted_says_nothing_of_the_server() {
    let mut world = managed();
    withdraw(&mut world);
    world.ledger.target = None;
    delete(&mut world, "team");
    assert!(world.ledger.target.is_none() && world.ledger.departures.is_empty());
}

#[test]
fn an_object_of_a_namespace_that_no_grant_names_is_not_looked_into() {
    let mut world = managed();
    foreign(&mut world, "stranger", InviteRole::Deactivated, "person1@example.com", -60);
    world.edit("stranger", |spec| {
        spec.workspaces = vec!["Secret".to_owned()];
        spec.expires_at = Some(Time(noon() + SignedDuration::from_hours(1)));
    });
    let judged = desired(&world.organization, &world.invites, world.now);
    assert!(judged.workspaces().is_empty() && judged.stranger("stranger/stranger") == Some("stranger"));
    let plan = world.settle();
    assert!(plan.due.is_none(), "{plan:?}");
    assert!(plan.is_done() && plan.held.is_empty(), "{plan:?}");
    assert!(!plan.pending.contains_key("stranger/stranger"));
    assert!(world.ledger.invites.get("stranger/stranger").is_none_or(|memory| *memory == InviteMemory::default()));
    // Of a time when a grant named it, only what was done is remembered.
    world.edit("team", |spec| spec.emails.push("x@elsewhere.com".to_owned()));
    assert_eq!(held(&world.settle()), only_held(HeldReason::DomainNotGranted, "x@elsewhere.com"));
    withdraw(&mut world);
    let plan = world.settle();
    assert!(plan.is_done() && plan.held.is_empty(), "{plan:?}");
    assert!(world.person("team/team", "ann@example.com").is_held_for(HeldReason::NotGranted));
    assert!(world.ledger.person("team/team", "x@elsewhere.com").is_none());
}
