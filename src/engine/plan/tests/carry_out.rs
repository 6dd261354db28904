//! Who is looked at once more when a departure is carried out.

use super::*;

/// Somebody dropped from the list whom the roster shows `as_found`, past the grace.
fn leaving(policy: DeletionPolicy, as_found: impl FnOnce(&mut Member)) -> World {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| {
        spec.emails.retain(|email| email != "person2@example.com");
        spec.deletion_policy = policy;
    });
    world.settle();
    world.change_member("person2@example.com", as_found);
    world.later(30);
    world
}

const ENDING: [DeletionPolicy; 2] = [DeletionPolicy::Deactivate, DeletionPolicy::Remove];

#[test]
fn whoever_has_a_role_that_nobody_knows_is_held_and_not_forgotten() {
    for policy in ENDING {
        for role in [None, Some(Role::Other("XX".to_owned()))] {
            let mut world = leaving(policy, |member| member.role.clone_from(&role));
            let plan = world.settle();
            assert!(plan.steps.is_empty(), "{role:?} {:?}", steps(&plan));
            assert_eq!(held(&plan), [(HeldReason::UnknownRole, vec!["person2@example.com".to_owned()])], "{role:?}");
            let person = world.person("annotators", "person2@example.com");
            assert_eq!(person.state, PersonState::Leaving);
            assert!(person.message.as_ref().is_some_and(|message| message.contains("Label Studio")), "{person:?}");
            // Once it is one of those that are known, the departure goes on.
            world.change_member("person2@example.com", |member| member.role = Some(Role::Reviewer));
            assert_eq!(world.plan().steps.len(), 1);
        }
    }
}

#[test]
fn whom_an_identity_provider_manages_leaves_there_and_not_here() {
    for policy in ENDING {
        let by_provider = |member: &mut Member| member.role_source = Some("scim".to_owned());
        let mut world = leaving(policy, by_provider);
        assert!(world.plan().steps.is_empty(), "{policy:?} {:?}", steps(&world.plan()));
        world.organization.spec.guards.identity_provider = crate::resources::IdentityProvider::Override;
        assert_eq!(world.plan().steps.len(), 1, "{policy:?}");
        // Nor does anybody where no role can be set by hand, whatever that says.
        world.roles_by_hand = false;
        assert!(world.plan().steps.is_empty(), "{policy:?} {:?}", steps(&world.plan()));
        assert!(world.settle().is_done(), "{policy:?}");
    }
}

#[test]
fn an_invitation_is_revoked_whoever_manages_the_roles() {
    let mut world = leaving(DeletionPolicy::Deactivate, |member| member.invitation = InvitationState::Open);
    world.roles_by_hand = false;
    assert_eq!(steps(&world.plan()), ["person2@example.com: invitation → revoked"]);
}

#[test]
fn the_open_source_edition_removes_and_does_not_deactivate() {
    let listed = |member: &mut Member| member.role = None;
    // Dropped from a list that is still there: that it was not done is told.
    let mut world = leaving(DeletionPolicy::Deactivate, listed);
    world.edition = Edition::Community;
    let plan = world.settle();
    assert_eq!((plan.steps.len(), plan.held[&HeldReason::UnsupportedByEdition].len()), (0, 1));
    assert_eq!(world.person("annotators", "person2@example.com").state, PersonState::Leaving);
    let mut world = leaving(DeletionPolicy::Remove, listed);
    world.edition = Edition::Community;
    assert_eq!(steps(&world.plan()), ["person2@example.com: member → removed"]);
    // The list itself is gone: nobody is left to tell it to.
    for (policy, wanted) in [(DeletionPolicy::Deactivate, 0), (DeletionPolicy::Remove, 1)] {
        let mut world = leaving(policy, listed);
        world.edition = Edition::Community;
        let person = Person::clone(world.person("annotators", "person2@example.com"));
        world.ledger.invites.get_mut("annotators").unwrap().users.remove("person2@example.com");
        let (users, from, since) = (vec![person], "gone".to_owned(), Time(noon()));
        world.ledger.departures = vec![Departure { users, policy, from, since }];
        let plan = world.settle();
        assert_eq!((plan.steps.len(), plan.held_count()), (wanted, 0), "{policy:?}");
        assert_eq!(world.ledger.departing(), wanted, "{policy:?}: done, or forgotten");
    }
}
