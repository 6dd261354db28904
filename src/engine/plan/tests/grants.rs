//! UserInvites of other namespaces: as far as the Organization's grants go, and nobody leaves because one is withdrawn.

use super::*;
use crate::engine::hand_over::{Room, hand_over};

/// Everybody at example.com, up to this role.
pub fn grant(world: &mut World, namespace: &str, role: &str) {
    let grant = serde_json::json!({"namespaces": [namespace], "maxRole": role, "emailDomains": ["example.com"]});
    world.organization.spec.grants.push(serde_json::from_value(grant).unwrap());
}

pub fn withdraw(world: &mut World) {
    world.organization.spec.grants.clear();
}

/// A UserInvite of another namespace, that many seconds younger than the Organization's own.
pub fn foreign(world: &mut World, namespace: &str, role: InviteRole, email: &str, age: i64) {
    world.invite(namespace, role, &[email.to_owned()]);
    let invite = world.invites.last_mut().unwrap();
    invite.metadata.namespace = Some(namespace.to_owned());
    invite.metadata.creation_timestamp = Some(Time(noon() + SignedDuration::from_secs(age)));
    invite.spec.organization_ref.namespace = Some("labels".to_owned());
}

/// `team` may give Annotator, and manages Ann, who is one.
pub fn managed() -> World {
    let mut world = World::in_sync();
    grant(&mut world, "team", "Annotator");
    world.member(70, "ann@example.com", Role::Annotator);
    foreign(&mut world, "team", InviteRole::Annotator, "ann@example.com", 1);
    let plan = world.settle();
    assert!(plan.is_done() && plan.held.is_empty(), "{plan:?}");
    assert_eq!(world.person("team/team", "ann@example.com").user_id, Some(70));
    world
}

/// Nobody is invited in her place.
pub fn drop_everybody(world: &mut World) {
    world.edit("team", |spec| (spec.emails, spec.role) = (vec!["x@example.com".to_owned()], InviteRole::Deactivated));
}

/// As the controller does with a deleted UserInvite.
pub fn delete(world: &mut World, name: &str) {
    let at = world.invites.iter().position(|invite| invite.metadata.name.as_deref() == Some(name)).unwrap();
    let invite = world.invites.remove(at);
    let mut room = Room::of(&world.ledger);
    assert!(hand_over(&mut world.ledger, &mut room, &invite, &world.organization.spec.grants, world.now));
    world.ledger.invites.remove(&invite.key());
}

pub fn give_up(world: &mut World, deletes: bool) {
    if deletes {
        delete(world, "team");
    } else {
        drop_everybody(world);
    }
}

pub fn assert_nothing_happens(world: &mut World) {
    for _ in 0..3 {
        let plan = world.settle();
        assert_eq!(steps(&plan), Vec::<String>::new());
        world.later(60);
    }
}

pub fn only_held(reason: HeldReason, email: &str) -> Vec<(HeldReason, Vec<String>)> {
    vec![(reason, vec![email.to_owned()])]
}

#[test]
fn who_has_a_grant_invites_and_changes_roles_up_to_it() {
    let mut world = World::in_sync();
    grant(&mut world, "team", "Reviewer");
    world.member(70, "ann@example.com", Role::Annotator);
    foreign(&mut world, "team", InviteRole::Reviewer, "Ann@Example.com", 1);
    foreign(&mut world, "team", InviteRole::Annotator, "new@example.com", 1);
    world.invites.last_mut().unwrap().metadata.name = Some("more".to_owned());
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 1 as Annotator: new@example.com", "ann@example.com: Annotator → Reviewer"]);
    assert_eq!(plan.steps[1].cause, Cause::Invite("team/team".to_owned()));
}

#[test]
fn what_is_not_granted_is_held_with_its_reason_and_nothing_is_learned_of_the_person() {
    for (namespace, role, email, reason) in [
        ("team", InviteRole::Manager, "new@example.com", HeldReason::RoleAboveGrant),
        ("team", InviteRole::Annotator, "new@a.example.com", HeldReason::DomainNotGranted),
    ] {
        let mut world = World::in_sync();
        grant(&mut world, "team", "Annotator");
        foreign(&mut world, namespace, role, email, -60);
        let plan = world.settle();
        assert_eq!((steps(&plan).len(), held(&plan)), (0, only_held(reason, email)));
        let person = world.person(&format!("{namespace}/{namespace}"), email);
        assert!(!person.was_reached() && person.role.is_none(), "{person:?}");
        // Else a stranger's object could say that the server is another than before.
        assert!(world.ledger.invites[&format!("{namespace}/{namespace}")].target.is_none());
        delete(&mut world, namespace);
        assert_nothing_happens(&mut world);
    }
}

#[test]
fn the_organizations_own_namespace_wins_over_an_older_claim() {
    let mut world = managed();
    grant(&mut world, "team", "Reviewer");
    world.edit("team", |spec| spec.role = InviteRole::Reviewer);
    world.invite("mine", InviteRole::Annotator, &["ann@example.com".to_owned()]);
    world.invites.last_mut().unwrap().metadata.creation_timestamp = Some(Time(noon() + SignedDuration::from_hours(1)));
    let plan = world.settle();
    assert_eq!((steps(&plan).len(), held(&plan)), (0, only_held(HeldReason::Conflict, "ann@example.com")));
    // The winner remembers it now.
    world.settle();
    assert!(!world.person("team/team", "ann@example.com").was_reached());
    assert_eq!(world.person("mine", "ann@example.com").user_id, Some(70));
    delete(&mut world, "team");
    assert_nothing_happens(&mut world);
}

#[test]
fn a_claim_without_a_grant_takes_no_part_in_a_conflict() {
    let mut world = managed();
    foreign(&mut world, "stranger", InviteRole::Deactivated, "ann@example.com", -60);
    grant(&mut world, "other", "Annotator");
    foreign(&mut world, "other", InviteRole::Manager, "ann@example.com", -60);
    let plan = world.settle();
    assert_eq!((steps(&plan).len(), held(&plan)), (0, only_held(HeldReason::RoleAboveGrant, "ann@example.com")));
}

#[test]
fn nobody_above_the_grant_is_touched_whatever_another_namespace_asks_for() {
    for (role, deletes) in [
        (InviteRole::Annotator, false),
        (InviteRole::Annotator, true),
        (InviteRole::Deactivated, false),
        (InviteRole::Deactivated, true),
    ] {
        let mut world = World::in_sync();
        grant(&mut world, "team", "Annotator");
        world.member(80, "boss@example.com", Role::Administrator);
        foreign(&mut world, "team", role, "boss@example.com", -60);
        let plan = world.settle();
        assert_eq!((steps(&plan).len(), held(&plan)), (0, only_held(HeldReason::RoleAboveGrant, "boss@example.com")));
        assert!(!world.person("team/team", "boss@example.com").was_reached());
        give_up(&mut world, deletes);
        assert!(world.ledger.departures.is_empty());
        assert_nothing_happens(&mut world);
    }
}

#[test]
fn a_claim_that_does_not_reach_a_member_keeps_nobody_who_is_to_leave() {
    for email in ["anna@example.com", "person1@example.com"] {
        let mut world = World::in_sync();
        grant(&mut world, "team", "Annotator");
        world.edit("annotators", |spec| spec.emails.retain(|e| e != email));
        world.edit("administrators", |spec| spec.emails.retain(|e| e != email));
        foreign(&mut world, "team", InviteRole::Annotator, email, 1);
        world.settle();
        world.settle();
        world.later(60);
        let leaves = steps(&world.plan());
        if email == "anna@example.com" {
            assert_eq!(leaves, ["anna@example.com: Administrator → Deactivated"]);
        } else {
            assert_eq!(leaves, Vec::<String>::new());
            assert_eq!(world.person("team/team", email).user_id, Some(11), "taken over");
        }
    }
}

#[test]
fn an_older_claim_that_does_not_reach_a_member_takes_nobody_from_one_that_does() {
    let mut world = World::in_sync();
    grant(&mut world, "low", "Annotator");
    grant(&mut world, "high", "Manager");
    world.member(70, "ann@example.com", Role::Manager);
    foreign(&mut world, "high", InviteRole::Manager, "ann@example.com", 2);
    world.settle();
    foreign(&mut world, "low", InviteRole::Annotator, "ann@example.com", 1);
    let plan = world.settle();
    assert_eq!((steps(&plan).len(), held(&plan)), (0, only_held(HeldReason::Conflict, "ann@example.com")));
    world.change_member("ann@example.com", |m| m.role = Some(Role::Reviewer));
    assert_eq!(steps(&world.plan()), ["ann@example.com: Reviewer → Manager"]);
    // Both reach her: then the older one wins, as always.
    world.change_member("ann@example.com", |m| m.role = Some(Role::Annotator));
    let plan = world.settle();
    assert_eq!((steps(&plan).len(), held(&plan)), (0, only_held(HeldReason::Conflict, "ann@example.com")));
}

#[test]
fn an_open_invitation_above_the_grant_is_neither_replaced_nor_revoked() {
    for (role, listed) in
        [(InviteRole::Annotator, true), (InviteRole::Deactivated, true), (InviteRole::Annotator, false)]
    {
        // Invited as Manager by a manifest that is gone; not every server lists such an invitation.
        let mut world = invited("new@example.com", "Manager");
        world.edit("annotators", |spec| spec.role = InviteRole::Annotator);
        world.members.retain(|m| listed || m.email != "new@example.com");
        world.ledger.invitations_visible = Some(listed);
        let person = world.ledger.invites.get_mut("annotators").unwrap().users.remove("new@example.com").unwrap();
        world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
        foreign(&mut world, "team", role, "new@example.com", 1);
        grant(&mut world, "team", "Annotator");
        let users = [("new@example.com".to_owned(), person)].into();
        let memory = InviteMemory { target: Some(target()), users, last_handled_reinvite: None };
        world.ledger.invites.insert("team/team".to_owned(), memory);
        let plan = world.settle();
        assert_eq!((steps(&plan).len(), held(&plan)), (0, only_held(HeldReason::RoleAboveGrant, "new@example.com")));
    }
}

/// Somebody is invited by hand, and the roster does not say as what.
fn invited_as_whatever(highest: &str, role: Option<Role>) -> World {
    let mut world = World::in_sync();
    grant(&mut world, "team", highest);
    world.member(99, "new@example.com", Role::Pending);
    world.change_member("new@example.com", |m| (m.role, m.invitation) = (role, InvitationState::Open));
    world
}

#[test]
fn an_invitation_whose_role_nobody_tells_is_out_of_reach_of_another_namespace() {
    for role in [None, Some(Role::Pending), Some(Role::Other("XY".to_owned()))] {
        for asked in [InviteRole::Deactivated, InviteRole::Annotator] {
            let mut world = invited_as_whatever("Manager", role.clone());
            foreign(&mut world, "team", asked, "new@example.com", 1);
            let plan = world.settle();
            let only = only_held(HeldReason::RoleAboveGrant, "new@example.com");
            assert_eq!((steps(&plan).len(), held(&plan)), (0, only), "{role:?} {asked:?}");
        }
    }
    // Nothing is above this one.
    let mut world = invited_as_whatever("Administrator", None);
    foreign(&mut world, "team", InviteRole::Deactivated, "new@example.com", 1);
    assert_eq!(steps(&world.plan()), ["new@example.com: invitation → revoked"]);
}

#[test]
fn an_invitation_whose_role_only_we_remember_is_within_reach_and_leaves_with_its_manifest() {
    for known in [true, false] {
        let mut world = invited_as_whatever("Annotator", None);
        foreign(&mut world, "team", InviteRole::Annotator, "new@example.com", 1);
        let mut person = Person::new("new@example.com", PersonState::Invited);
        person.invited_at = Some(Time(noon()));
        person.role = known.then(|| "Annotator".to_owned());
        let users = [("new@example.com".to_owned(), person.into())].into();
        let memory = InviteMemory { target: Some(target()), users, last_handled_reinvite: None };
        world.ledger.invites.insert("team/team".to_owned(), memory);
        delete(&mut world, "team");
        world.later(30);
        let wanted: &[&str] = if known { &["new@example.com: invitation → revoked"] } else { &[] };
        assert_eq!(steps(&world.plan()), wanted);
    }
}

#[test]
fn before_another_namespace_changes_a_role_the_person_is_looked_at() {
    let mut world = managed();
    grant(&mut world, "team", "Reviewer");
    world.edit("team", |spec| spec.role = InviteRole::Reviewer);
    world.edit("annotators", |spec| spec.role = InviteRole::Reviewer);
    world.fresh = false;
    assert_eq!(world.plan().stale, ["ann@example.com"], "and nobody of the Organization's own");
    world.fresh = true;
    assert_eq!(world.plan().stale, Vec::<String>::new());
}

#[test]
fn a_mass_removal_of_another_namespace_does_not_hold_what_the_owner_means() {
    let mut world = managed();
    let team: Vec<String> = (0..5).map(|n| format!("t{n}@example.com")).collect();
    for (n, email) in team.iter().enumerate() {
        world.member(80 + i64::try_from(n).unwrap(), email, Role::Annotator);
    }
    world.edit("team", |spec| spec.emails.extend(team));
    world.settle();
    world.organization.spec.guards.max_removals = IntOrString::Int(3);
    world.edit("team", |spec| spec.role = InviteRole::Deactivated);
    world.edit("annotators", |spec| spec.emails.retain(|email| email != "person2@example.com"));
    world.settle();
    world.later(30);
    let plan = world.plan();
    assert_eq!(steps(&plan), ["person2@example.com: Annotator → Deactivated"]);
    assert_eq!((plan.sets.len(), plan.sets[0].who.len()), (1, 6), "the team's alone: {:?}", plan.sets);
}
