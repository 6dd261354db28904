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
fn as_many_administrators_stay_as_the_organization_says() {
    let mut world = World::in_sync();
    world.edit("administrators", |spec| spec.role = InviteRole::Manager);
    for (least, changed) in [(0, 2), (1, 1), (2, 0), (5, 0)] {
        world.organization.spec.guards.min_administrators = least;
        assert_eq!(world.plan().steps.len(), changed, "{least}");
    }
}

#[test]
fn a_role_that_an_identity_provider_set_is_left_alone_unless_that_is_overruled() {
    let mut world = World::in_sync();
    world.organization.spec.guards.max_removals = IntOrString::Int(10);
    for (number, source) in ["scim", "SAML", "ldap", "manual", "api"].into_iter().enumerate() {
        world.change_member(&format!("person{number}@example.com"), |member| {
            member.role = Some(Role::Reviewer);
            member.role_source = Some(source.to_owned());
        });
    }
    let plan = world.plan();
    assert_eq!(
        steps(&plan),
        ["person3@example.com: Reviewer → Annotator", "person4@example.com: Reviewer → Annotator"]
    );
    assert_eq!(plan.held[&HeldReason::ManagedByIdentityProvider].len(), 3);
    world.organization.spec.guards.identity_provider = crate::resources::IdentityProvider::Override;
    assert_eq!(world.plan().steps.len(), 5);
}

#[test]
fn a_role_that_somebody_changes_back_three_times_is_left_to_be_settled() {
    let mut world = World::in_sync();
    for round in 0..3 {
        world.change_member("person2@example.com", |member| member.role = Some(Role::Reviewer));
        world.read_roster();
        let plan = world.plan();
        assert_eq!(plan.steps.len(), 1, "round {round}");
        let mut snapshot = world.snapshot();
        outcome::succeeded(&mut world.ledger, &mut snapshot, &plan.steps[0].action);
    }
    world.read_roster();
    assert_eq!(held(&world.plan()), [(HeldReason::Reverted, vec!["person2@example.com".to_owned()])]);
    world.edit("annotators", |spec| spec.role = InviteRole::Manager);
    assert_eq!(world.plan().steps.len(), 10, "another wish is another matter");
}

#[test]
fn a_role_that_stays_is_no_round() {
    let mut world = World::in_sync();
    for _ in 0..5 {
        world.edit("annotators", |spec| spec.role = InviteRole::Reviewer);
        let plan = world.plan();
        let mut snapshot = world.snapshot();
        outcome::succeeded(&mut world.ledger, &mut snapshot, &plan.steps[0].action);
        world.change_member("person0@example.com", |member| member.role = Some(Role::Reviewer));
        world.read_roster();
        world.edit("annotators", |spec| spec.role = InviteRole::Annotator);
        let back = world.plan();
        outcome::succeeded(&mut world.ledger, &mut snapshot, &back.steps[0].action);
        world.change_member("person0@example.com", |member| member.role = Some(Role::Annotator));
        world.read_roster();
    }
    assert!(world.ledger.passing.taken_back.is_empty());
}

#[test]
fn a_service_account_is_no_administrator_who_stays() {
    let mut world = World::in_sync();
    world.change_member("ben@example.com", |member| member.is_service = true);
    world.edit("administrators", |spec| spec.emails = vec!["anna@example.com".to_owned()]);
    world.edit("administrators", |spec| spec.role = InviteRole::Manager);
    let plan = world.plan();
    assert_eq!(plan.held[&HeldReason::LastAdministrator], ["anna@example.com"], "{:?}", steps(&plan));
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

#[test]
fn a_title_or_default_role_that_somebody_changes_back_three_times_is_left_to_be_settled() {
    for (field, kind) in [("title", "set_title"), ("defaultRole", "set_default_role")] {
        let mut world = World::in_sync();
        if field == "title" {
            world.organization.spec.title = Some("Acme Labels".to_owned());
        } else {
            world.organization.spec.default_role = Some(crate::resources::DefaultRole::Annotator);
        }
        for round in 0..3 {
            let plan = world.plan();
            assert_eq!(plan.steps.iter().map(|step| step.action.kind()).collect::<Vec<_>>(), [kind], "round {round}");
            let mut snapshot = world.snapshot();
            outcome::succeeded(&mut world.ledger, &mut snapshot, &plan.steps[0].action);
            // Its own answer is folded in, and says nothing of what others do.
            outcome::take_in_roster(&mut world.ledger, &snapshot);
            world.read_roster();
        }
        let plan = world.plan();
        assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
        let (of, reason, message) = plan.refused.unwrap();
        assert_eq!((of, reason), (field, HeldReason::Reverted), "{message}");
        world.organization.spec.title = Some("Another wish".to_owned());
        assert_eq!(world.plan().steps.len(), 1);
    }
}

#[test]
fn a_demotion_is_a_removal_and_a_promotion_is_none() {
    let mut world = World::in_sync();
    world.organization.spec.guards.max_removals = IntOrString::Int(0);
    for email in ["person2@example.com", "person3@example.com"] {
        world.change_member(email, |member| member.role = Some(Role::Reviewer));
    }
    world.change_member("person4@example.com", |member| member.role = Some(Role::Pending));
    let plan = world.plan();
    assert_eq!(steps(&plan), ["person4@example.com: Pending → Annotator"]);
    assert_eq!(plan.held[&HeldReason::RemovalGuard], ["person2@example.com", "person3@example.com"]);
    // As any other, it takes its place in the window.
    world.organization.spec.guards.max_removals = IntOrString::Int(2);
    assert_eq!(world.plan().steps.len(), 3);
    outcome::reserve_removals(&mut world.ledger, &["person2@example.com", "person3@example.com"], 12, world.now);
    world.ledger.passing = Passing::default();
    assert_eq!(world.plan().held[&HeldReason::RemovalGuard].len(), 2);
}

#[test]
fn where_no_role_can_be_set_by_hand_whoever_has_another_one_is_held_before_any_write() {
    let mut world = World::in_sync();
    world.roles_by_hand = false;
    world.change_member("person2@example.com", |member| member.role = Some(Role::Reviewer));
    world.change_member("person3@example.com", |member| member.role = Some(Role::Pending));
    let plan = world.settle();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    let both = vec!["person2@example.com".to_owned(), "person3@example.com".to_owned()];
    assert_eq!(held(&plan), [(HeldReason::ManagedByIdentityProvider, both)]);
    assert!(!HeldReason::ManagedByIdentityProvider.stalls(), "that is no error");
    assert_eq!(world.person("annotators", "person4@example.com").state, PersonState::Active, "as declared");
    // What is no role of a member goes on.
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
    // Not even where the provider may be overruled: the organization itself forbids it.
    world.organization.spec.guards.identity_provider = crate::resources::IdentityProvider::Override;
    assert_eq!(world.plan().held[&HeldReason::ManagedByIdentityProvider].len(), 2);
}
