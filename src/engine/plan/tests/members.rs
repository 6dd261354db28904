//! Members and their roles.

use super::*;

#[test]
fn in_sync_means_no_step() {
    let world = World::in_sync();
    let plan = world.plan();
    assert!(plan.is_done(), "{plan:?}");
    assert_eq!(steps(&plan), Vec::<String>::new());
    assert_eq!(plan.held_count(), 0);
}

#[test]
fn a_changed_title_is_one_step_and_blanks_around_it_are_none() {
    let mut world = World::in_sync();
    world.organization.spec.title = Some(" Acme ".to_owned());
    assert!(world.plan().steps.is_empty());
    world.organization.spec.title = Some("Acme Labels".to_owned());
    assert_eq!(steps(&world.plan()), ["title \"Acme\" → \"Acme Labels\""]);
}

#[test]
fn a_role_changed_on_the_server_is_put_back() {
    let mut world = World::in_sync();
    world.change_member("person3@example.com", |m| m.role = Some(Role::Reviewer));
    assert_eq!(steps(&world.plan()), ["person3@example.com: Reviewer → Annotator"]);
}

#[test]
fn who_signed_up_by_the_link_gets_the_role() {
    let mut world = World::in_sync();
    world.member(99, "walkin@example.com", Role::Pending);
    world.edit("annotators", |spec| spec.emails.push("walkin@example.com".to_owned()));
    assert_eq!(steps(&world.plan()), ["walkin@example.com: Pending → Annotator"]);
}

#[test]
fn deactivated_is_satisfied_by_somebody_who_is_not_there() {
    let mut world = World::in_sync();
    world.invite("offboarded", InviteRole::Deactivated, &["gone@example.com".to_owned()]);
    let plan = world.settle();
    assert!(plan.is_done());
    assert_eq!(world.person("offboarded", "gone@example.com").state, PersonState::Deactivated);
}

#[test]
fn members_whom_nobody_claims_are_left_alone() {
    let mut world = World::in_sync();
    world.member(99, "stranger@example.com", Role::Manager);
    assert!(world.plan().is_done());
}

#[test]
fn owner_ourselves_service_accounts_and_unknown_roles_are_held_and_the_others_go_on() {
    let mut world = World::in_sync();
    world.member(97, "robot@example.com", Role::Annotator);
    world.change_member("robot@example.com", |m| m.is_service = true);
    world.member(98, "odd@example.com", Role::Other("XX".to_owned()));
    let emails =
        ["owner@example.com", "operator@example.com", "robot@example.com", "odd@example.com", "new@example.com"];
    world.invite("more", InviteRole::Reviewer, &emails.map(str::to_owned));
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 1 as Reviewer: new@example.com"]);
    assert_eq!(
        held(&plan),
        [
            (HeldReason::Owner, vec!["owner@example.com".to_owned()]),
            (HeldReason::Self_, vec!["operator@example.com".to_owned()]),
            (HeldReason::ServiceAccount, vec!["robot@example.com".to_owned()]),
            (HeldReason::UnknownRole, vec!["odd@example.com".to_owned()]),
        ]
    );
}

#[test]
fn the_operators_own_account_is_not_invited_where_the_server_does_not_list_it() {
    let mut world = World::in_sync();
    world.members.retain(|m| m.user_id != ME);
    world.invite("more", InviteRole::Reviewer, &["Operator@Example.com".to_owned()]);
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    assert_eq!(held(&plan), [(HeldReason::Self_, vec!["operator@example.com".to_owned()])]);
}

#[test]
fn two_manifests_for_one_person_the_older_wins_and_the_other_says_who() {
    let mut world = World::in_sync();
    world.invite("rival", InviteRole::Manager, &["person1@example.com".to_owned()]);
    world.invites.last_mut().unwrap().metadata.creation_timestamp = Some(Time(noon() + SignedDuration::from_secs(60)));
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), [(HeldReason::Conflict, vec!["person1@example.com".to_owned()])]);
    let message = world.person("rival", "person1@example.com").message.clone().unwrap();
    assert!(message.contains("UserInvite annotators (Annotator)"), "{message}");
}

#[test]
fn the_order_of_the_manifests_does_not_matter() {
    let mut world = World::in_sync();
    world.invite("rival", InviteRole::Manager, &["person1@example.com".to_owned(), "new@example.com".to_owned()]);
    let forwards = world.plan();
    world.invites.reverse();
    assert_eq!(forwards, world.plan());
}

#[test]
fn a_member_is_remembered_before_the_role_changes() {
    let mut world = World::in_sync();
    world.member(99, "walkin@example.com", Role::Pending);
    world.invite("more", InviteRole::Annotator, &["walkin@example.com".to_owned()]);
    let plan = world.settle();
    assert_eq!(steps(&plan), ["walkin@example.com: Pending → Annotator"]);
    assert_eq!(world.person("more", "walkin@example.com").state, PersonState::Pending);
    assert_eq!(world.person("more", "walkin@example.com").user_id, Some(99));
}

#[test]
fn a_refused_title_is_told_and_not_tried_again_at_once() {
    let mut world = World::in_sync();
    world.organization.spec.title = Some("Other".to_owned());
    let until = noon() + SignedDuration::from_mins(10);
    outcome::refused(&mut world.ledger, "", "title Other", HeldReason::Forbidden, "no".to_owned(), until);
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.refused, Some(("title", HeldReason::Forbidden, "no".to_owned())));
}

#[test]
fn the_default_role_is_kept_and_not_where_there_are_no_roles() {
    let mut world = World::in_sync();
    world.organization.spec.default_role = Some(crate::resources::DefaultRole::Annotator);
    assert_eq!(steps(&world.plan()), ["default role Pending → Annotator"]);
    world.organization.spec.default_role = Some(crate::resources::DefaultRole::Pending);
    assert!(world.plan().steps.is_empty());
    world.organization.spec.default_role = Some(crate::resources::DefaultRole::Manager);
    world.edition = Edition::Community;
    assert!(world.plan().steps.is_empty());
}

#[test]
fn the_open_source_edition_lists_people_and_holds_the_rest() {
    let mut world = World::empty();
    world.edition = Edition::Community;
    world.member(10, "here@example.com", Role::Annotator);
    world.change_member("here@example.com", |m| m.role = None);
    world.invite("people", InviteRole::Annotator, &["here@example.com".to_owned(), "away@example.com".to_owned()]);
    world.invite("off", InviteRole::Deactivated, &["here2@example.com".to_owned()]);
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), [(HeldReason::UnsupportedByEdition, vec!["away@example.com".to_owned()])]);
    assert_eq!(world.person("people", "here@example.com").state, PersonState::Active);
}

#[test]
fn a_refused_write_is_not_repeated_at_once_and_holds_that_person_only() {
    let mut world = World::in_sync();
    world.change_member("person3@example.com", |m| m.role = Some(Role::Reviewer));
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    let until = noon() + SignedDuration::from_mins(10);
    outcome::refused(
        &mut world.ledger,
        "person3@example.com",
        "role Annotator",
        HeldReason::Forbidden,
        "no".to_owned(),
        until,
    );
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 1 as Annotator: new@example.com"]);
    assert_eq!(held(&plan), [(HeldReason::Forbidden, vec!["person3@example.com".to_owned()])]);
    world.later(601);
    assert_eq!(world.plan().steps.len(), 2);
}

#[test]
fn where_the_organization_forbids_roles_by_hand_only_invitations_are_sent() {
    let mut world = World::in_sync();
    world.roles_by_hand = false;
    world.change_member("person0@example.com", |m| m.role = Some(Role::Reviewer));
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    for provider in [crate::resources::IdentityProvider::Respect, crate::resources::IdentityProvider::Override] {
        world.organization.spec.guards.identity_provider = provider;
        let plan = world.plan();
        assert_eq!(steps(&plan), ["invite 1 as Annotator: new@example.com"], "{provider:?}");
        assert_eq!(
            held(&plan),
            [(HeldReason::ManagedByIdentityProvider, vec!["person0@example.com".to_owned()])],
            "{provider:?}"
        );
    }
}

#[test]
fn the_open_source_edition_never_calls_somebody_deactivated_who_is_listed() {
    let mut world = World::empty();
    world.edition = Edition::Community;
    world.member(10, "here@example.com", Role::Annotator);
    world.change_member("here@example.com", |m| m.role = None);
    world.invite("off", InviteRole::Deactivated, &["here@example.com".to_owned(), "away@example.com".to_owned()]);
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), [(HeldReason::UnsupportedByEdition, vec!["here@example.com".to_owned()])]);
    assert_eq!(world.person("off", "here@example.com").state, PersonState::Held);
    assert_eq!(world.person("off", "away@example.com").state, PersonState::Deactivated);
}
