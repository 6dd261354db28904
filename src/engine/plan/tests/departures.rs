//! Who leaves, and who is taken back.

use super::*;

/// Somebody with an open invitation, dropped from the list and past the grace.
fn dropped() -> World {
    let mut world = invited("new@example.com", "Annotator");
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
    world.settle();
    world.later(30);
    world
}

#[test]
fn an_empty_roster_removes_and_invites_nobody() {
    let mut world = World::in_sync();
    world.completeness = Completeness::Incomplete;
    world.members.clear();
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.held[&HeldReason::IncompleteRoster].len(), 12);
}

#[test]
fn who_left_is_not_invited_again_until_removed_and_added() {
    let mut world = World::in_sync();
    world.members.retain(|m| m.email != "person2@example.com");
    assert!(world.settle().steps.is_empty());
    assert_eq!(world.person("annotators", "person2@example.com").state, PersonState::Left);
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.settle();
    world.later(31);
    world.settle();
    assert!(world.ledger.person("annotators", "person2@example.com").is_none());
    world.edit("annotators", |spec| spec.emails.push("person2@example.com".to_owned()));
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: person2@example.com"]);
}

#[test]
fn a_dropped_address_leaves_after_the_grace_and_not_before() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.due, Some(noon() + SignedDuration::from_secs(30)));
    assert_eq!(world.person("annotators", "person2@example.com").state, PersonState::Leaving);
    world.later(30);
    assert_eq!(steps(&world.plan()), ["person2@example.com: Annotator → Deactivated"]);
}

#[test]
fn no_time_that_somebody_writes_into_a_status_ends_the_process() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.settle();
    let end = Time(Timestamp::MAX);
    let person = world.remembered("annotators", "person2@example.com");
    (person.since, person.seat_since, person.attempts) = (Some(end.clone()), Some(end.clone()), Some(i32::MAX));
    world.ledger.removals = vec![RemovalBucket { hour: end.clone(), base: 12, count: 3 }];
    world.ledger.approval =
        Some(crate::resources::Approval { digest: "d".to_owned(), at: end.clone(), steps: Vec::new() });
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person3@example.com"));
    world.settle();
    world.later(30);
    assert_eq!(held(&world.settle()), [(HeldReason::RemovalGuard, vec!["person3@example.com".to_owned()])]);
    let mut snapshot = world.snapshot();
    outcome::reserve_removals(&mut world.ledger, &["person2@example.com"], 12, world.now);
    let (email, from, to) = ("person2@example.com".to_owned(), Role::Annotator, Role::Deactivated);
    world.read_roster();
    outcome::succeeded(&mut world.ledger, &mut snapshot, &Action::SetRole { user_id: 12, email, from, to });
    let guest = Guest::new("annotators", "person2@example.com");
    outcome::mailed(&mut world.ledger, &mut snapshot, &[guest], &Role::Annotator, world.now);
}

#[test]
fn deletion_policies_retain_and_remove() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| {
        spec.emails.retain(|e| e != "person2@example.com");
        spec.deletion_policy = DeletionPolicy::Remove;
    });
    world.settle();
    world.later(30);
    assert_eq!(steps(&world.plan()), ["person2@example.com: Annotator → removed"]);
    world.edit("annotators", |spec| spec.deletion_policy = DeletionPolicy::Retain);
    assert!(world.settle().is_done());
    assert!(world.ledger.person("annotators", "person2@example.com").is_none());
}

#[test]
fn a_move_to_another_manifest_is_a_role_change_and_no_departure() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.invite("reviewers", InviteRole::Reviewer, &["person2@example.com".to_owned()]);
    let plan = world.plan();
    assert_eq!(steps(&plan), ["person2@example.com: Annotator → Reviewer"]);
    // The old entry stays until the new one is stored.
    world.settle();
    assert!(world.ledger.person("annotators", "person2@example.com").is_some());
    world.change_member("person2@example.com", |m| m.role = Some(Role::Reviewer));
    world.settle();
    world.settle();
    assert!(world.ledger.person("annotators", "person2@example.com").is_none());
    assert_eq!(world.person("reviewers", "person2@example.com").user_id, Some(12));
}

#[test]
fn a_hidden_invitation_is_revoked_blindly_on_departure_once() {
    let mut world = dropped();
    world.ledger.invitations_visible = Some(false);
    world.members.retain(|m| m.email != "new@example.com");
    let plan = world.plan();
    assert_eq!(plan.steps[0].action, Action::Revoke { email: "new@example.com".to_owned(), blind: true });
    let mut snapshot = world.snapshot();
    outcome::succeeded(&mut world.ledger, &mut snapshot, &plan.steps[0].action);
    assert!(world.settle().is_done());
    assert!(world.ledger.person("annotators", "new@example.com").is_none());
}

#[test]
fn whoever_is_held_before_a_role_change_is_remembered_for_the_departure() {
    let mut world = World::in_sync();
    world.member(99, "bob@example.com", Role::Manager);
    world.organization.spec.guards.max_removals = IntOrString::Int(0);
    world.invite("more", InviteRole::Annotator, &["bob@example.com".to_owned()]);
    world.settle();
    assert_eq!(world.person("more", "bob@example.com").user_id, Some(99));
    assert!(must_depart(world.person("more", "bob@example.com")));
}

#[test]
fn an_open_invitation_is_looked_at_before_it_is_revoked_by_an_old_roster() {
    let mut world = dropped();
    world.fresh = false;
    assert_eq!(world.plan().stale, ["new@example.com"]);
}

#[test]
fn nothing_to_revoke_means_look_again_and_not_gone() {
    let mut world = dropped();
    world.finds_nothing_open("new@example.com");
    // The next roster shows that the person had accepted.
    world.change_member("new@example.com", |m| m.invitation = InvitationState::Accepted);
    assert_eq!(steps(&world.plan()), ["new@example.com: Annotator → Deactivated"]);
    // Or it still lists the dead invitation, or nobody.
    world.change_member("new@example.com", |m| m.invitation = InvitationState::Expired);
    assert!(world.plan().is_done());
    world.members.retain(|m| m.email != "new@example.com");
    assert!(world.plan().is_done());
}

#[test]
fn an_invitation_that_the_server_lists_as_open_and_does_not_revoke_is_not_forgotten() {
    let failed = [(HeldReason::Failed, vec!["new@example.com".to_owned()])];
    let mut world = dropped();
    world.finds_nothing_open("new@example.com");
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), failed);
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Leaving);
    // Nor is it called deactivated.
    let mut world = invited("new@example.com", "Annotator");
    world.finds_nothing_open("new@example.com");
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
    world.invite("off", InviteRole::Deactivated, &["new@example.com".to_owned()]);
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), failed);
    assert_eq!(world.person("off", "new@example.com").state, PersonState::Failed);
}

#[test]
fn an_invitation_that_is_sent_by_hand_after_one_was_revoked_is_another_one() {
    for done in [true, false] {
        let mut world = dropped();
        world.change_member("new@example.com", |m| m.invited_at = Some(noon()));
        if done {
            let mut snapshot = world.snapshot();
            let revoked = Action::Revoke { email: "new@example.com".to_owned(), blind: false };
            outcome::succeeded(&mut world.ledger, &mut snapshot, &revoked);
        } else {
            world.finds_nothing_open("new@example.com");
        }
        world.change_member("new@example.com", |m| m.invitation = InvitationState::Expired);
        assert!(world.plan().is_done(), "the same one");
        // By the server's own time of it.
        let by_hand = noon() + SignedDuration::from_secs(60);
        world.change_member("new@example.com", |m| {
            (m.invitation, m.invited_at) = (InvitationState::Open, Some(by_hand));
        });
        for _ in 0..2 {
            assert_eq!(steps(&world.plan()), ["new@example.com: invitation → revoked"], "{done}");
            world.read_roster();
        }
        assert!(world.ledger.passing.revoked.is_empty() && world.ledger.passing.nothing_open.is_empty());
    }
}

#[test]
fn what_was_found_out_at_a_revocation_is_forgotten_once_a_roster_shows_nobody() {
    let mut world = dropped();
    world.finds_nothing_open("new@example.com");
    let row = world.members.pop().unwrap();
    // Where open invitations are hidden it is all that says that there is none.
    world.ledger.invitations_visible = Some(false);
    world.read_roster();
    assert!(world.plan().is_done());
    world.ledger.invitations_visible = Some(true);
    world.completeness = Completeness::Incomplete;
    world.read_roster();
    assert_eq!(world.ledger.passing.nothing_open.len(), 1);
    world.completeness = Completeness::Complete;
    world.read_roster();
    assert!(world.ledger.passing.nothing_open.is_empty());
    // Sent by hand since.
    world.members.push(row);
    assert_eq!(steps(&world.plan()), ["new@example.com: invitation → revoked"]);
}

#[test]
fn departures_of_a_deleted_manifest_are_carried_out_or_taken_back() {
    let mut world = World::in_sync();
    let people: Vec<Person> =
        world.ledger.invites["annotators"].users.values().take(2).map(|person| Person::clone(person)).collect();
    world.ledger.invites.remove("annotators");
    world.invites.remove(0);
    world.ledger.departures = vec![Departure {
        users: people,
        policy: DeletionPolicy::Deactivate,
        from: "annotators".to_owned(),
        since: Time(noon()),
    }];
    assert_eq!(world.plan().departures_pending, 2);
    world.later(30);
    assert_eq!(world.plan().steps.len(), 2);
    world.invite("again", InviteRole::Annotator, &["person0@example.com".to_owned()]);
    world.settle();
    assert_eq!(world.person("again", "person0@example.com").user_id, Some(10));
    world.settle();
    let left: Vec<&str> = world.ledger.departures[0].users.iter().map(|u| u.email.as_str()).collect();
    assert_eq!(left, ["person1@example.com"]);
}

#[test]
fn an_unconfirmed_invitation_is_revoked_on_departure_whatever_held_that_up() {
    let mut world = World::in_sync();
    world.ledger.invitations_visible = Some(false);
    let mut person = Person::new("new@example.com", PersonState::Held);
    person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
    world.ledger.invites.get_mut("annotators").unwrap().users.insert("new@example.com".to_owned(), person.into());
    world.settle();
    world.later(30);
    world.completeness = Completeness::Incomplete;
    let plan = world.settle();
    assert_eq!(plan.held_count(), 1, "{plan:?}");
    world.completeness = Completeness::Complete;
    let revoke = Action::Revoke { email: "new@example.com".to_owned(), blind: true };
    assert_eq!(world.plan().steps[0].action, revoke);
    let until = world.now + SignedDuration::from_mins(10);
    outcome::refused(&mut world.ledger, "new@example.com", "revoke", HeldReason::Forbidden, "no".to_owned(), until);
    assert_eq!(world.settle().held_count(), 1);
    world.later(601);
    assert_eq!(world.plan().steps[0].action, revoke);
}

#[test]
fn who_waits_for_room_goes_on_waiting_while_there_is_none() {
    let mut world = World::in_sync();
    for n in 0..1000 {
        let mut person = Person::new(&format!("gone{n}@example.com"), PersonState::Leaving);
        person.user_id = Some(1000 + n);
        person.since = Some(Time(world.now));
        let users = &mut world.ledger.invites.get_mut("annotators").unwrap().users;
        users.insert(format!("gone{n}@example.com"), person.into());
    }
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    for _ in 0..3 {
        assert_eq!(held(&world.settle()), [(HeldReason::DeparturesFull, vec!["new@example.com".to_owned()])]);
    }
}

#[test]
fn nobody_leaves_whose_user_invite_may_stand_in_a_namespace_that_cannot_be_listed() {
    for (from, unlisted, leaves) in [
        ("annotators", "team", true),
        ("team/x", "team", false),
        ("team/x", "other", true),
        ("", "team", false),
        ("", "", true),
    ] {
        let mut world = World::in_sync();
        super::grants::grant(&mut world, "team", "Manager");
        let person = Person::clone(world.person("annotators", "person2@example.com"));
        world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
        world.ledger.invites.get_mut("annotators").unwrap().users.remove("person2@example.com");
        let (users, policy, since) = (vec![person], DeletionPolicy::Deactivate, Time(noon()));
        world.ledger.departures = vec![Departure { users, policy, from: from.to_owned(), since }];
        world.unlisted = vec![unlisted.to_owned()];
        world.unlisted.retain(|namespace| !namespace.is_empty());
        world.later(60);
        let plan = world.settle();
        assert_eq!((plan.steps.len(), plan.departures_pending), (usize::from(leaves), 1), "{from} {unlisted}");
        // Nor is it forgotten, whatever the grants say meanwhile.
        super::grants::withdraw(&mut world);
        world.settle();
        assert!(leaves || world.ledger.departing() == 1, "{from} {unlisted}");
        super::grants::grant(&mut world, "team", "Manager");
        world.unlisted.clear();
        assert!(leaves || world.plan().steps.len() == 1, "{from} {unlisted}");
    }
}

#[test]
fn nobody_leaves_who_is_claimed_through_another_organization_for_the_same_server() {
    for claimed in [true, false] {
        let mut world = World::in_sync();
        world.elsewhere = if claimed { vec!["person1@example.com".to_owned()] } else { Vec::new() };
        world.edit("annotators", |spec| spec.emails.retain(|e| e != "person1@example.com"));
        world.settle();
        world.later(60);
        let wanted: &[&str] = if claimed { &[] } else { &["person1@example.com: Annotator → Deactivated"] };
        assert_eq!(steps(&world.plan()), wanted);
    }
}

/// Where the server hides invitations, and whoever claims the person next may be another Organization's.
#[test]
fn whoever_is_retained_is_remembered_for_the_grace_where_nobody_else_knows_of_the_mail() {
    for (visible, remembered) in [(Some(true), false), (Some(false), true), (None, true)] {
        for elsewhere in [true, false] {
            let mut world = invited("new@example.com", "Annotator");
            world.members.retain(|m| m.email != "new@example.com");
            world.ledger.invitations_visible = visible;
            world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
            if elsewhere {
                world.elsewhere = vec!["new@example.com".to_owned()];
            } else {
                world.edit("annotators", |spec| spec.deletion_policy = DeletionPolicy::Retain);
            }
            for seconds in [0, 29] {
                world.later(seconds);
                let plan = world.settle();
                assert!(plan.steps.is_empty());
                let person = world.ledger.person("annotators", "new@example.com");
                assert_eq!(person.is_some(), remembered, "{visible:?} {elsewhere} {seconds}");
                assert!(
                    person.is_none_or(|person| person.state == PersonState::Leaving && person.invited_at.is_some())
                );
            }
            world.later(1);
            assert!(world.settle().is_done());
            assert!(world.ledger.person("annotators", "new@example.com").is_none());
        }
    }
}
