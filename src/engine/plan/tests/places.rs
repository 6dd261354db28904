//! Workspaces and projects.

use super::*;

/// In sync; the ten Annotators belong to Cats, and person 3 is not in it.
fn with_cats() -> World {
    let mut world = World::in_sync();
    let there: Vec<i64> = (10..20).filter(|id| *id != 13).collect();
    world.workspaces = Workspaces::with(&[("Cats", 7, &there), ("Dogs", 8, &[])]);
    world.edit("annotators", |spec| spec.workspaces = vec![" Cats ".to_owned()]);
    world
}

fn apply(world: &mut World, plan: &Plan) {
    let mut snapshot = world.snapshot();
    for step in &plan.steps {
        outcome::succeeded(&mut world.ledger, &mut snapshot, &step.action);
    }
    world.workspaces = snapshot.workspaces;
}

#[test]
fn members_who_lack_a_workspace_are_added_and_nobody_is_taken_out() {
    let mut world = with_cats();
    let plan = world.settle();
    assert_eq!(steps(&plan), ["person3@example.com: into workspace \"Cats\""]);
    assert_eq!(plan.pending["annotators"], 1);
    apply(&mut world, &plan);
    assert!(world.settle().is_done());
    world.edit("annotators", |spec| spec.workspaces.clear());
    assert!(world.plan().is_done());
}

#[test]
fn several_workspaces_are_given_one_after_the_other() {
    let mut world = with_cats();
    world.edit("annotators", |spec| {
        spec.workspaces.push("Dogs".to_owned());
        spec.emails.retain(|email| email == "person3@example.com");
    });
    world.ledger.invites.get_mut("annotators").unwrap().users.retain(|email, _| email == "person3@example.com");
    let plan = world.settle();
    assert_eq!(steps(&plan), ["person3@example.com: into workspace \"Cats\""]);
    apply(&mut world, &plan);
    assert_eq!(steps(&world.plan()), ["person3@example.com: into workspace \"Dogs\""]);
}

#[test]
fn the_role_comes_first_and_who_is_deactivated_is_added_to_nothing() {
    let mut world = with_cats();
    world.change_member("person3@example.com", |m| m.role = Some(Role::Pending));
    assert_eq!(steps(&world.plan()), ["person3@example.com: Pending → Annotator"]);
    world.change_member("person3@example.com", |m| m.role = Some(Role::Deactivated));
    world.edit("annotators", |spec| spec.emails.retain(|email| email != "person3@example.com"));
    world.invite("off", InviteRole::Deactivated, &["person3@example.com".to_owned()]);
    world.edit("off", |spec| spec.workspaces = vec!["Cats".to_owned()]);
    assert!(world.plan().steps.is_empty());
}

#[test]
fn an_invitation_carries_workspaces_and_projects_and_only_alike_ones_share_a_request() {
    let mut world = World::empty();
    world.workspaces = Workspaces::with(&[("Cats", 7, &[])]);
    world.invite("a", InviteRole::Annotator, &["a1@example.com".to_owned(), "a2@example.com".to_owned()]);
    world.invite("b", InviteRole::Annotator, &["b@example.com".to_owned()]);
    world.invite("c", InviteRole::Annotator, &["c@example.com".to_owned()]);
    for name in ["a", "b"] {
        world.edit(name, |spec| (spec.workspaces, spec.projects) = (vec!["Cats".to_owned()], vec![9]));
    }
    let expected = [
        "invite 3 as Annotator into workspace \"Cats\", project 9: b@example.com, a1@example.com, a2@example.com",
        "invite 1 as Annotator: c@example.com",
    ];
    assert_eq!(steps(&world.plan()), expected);
    let Action::Invite { places, .. } = &world.plan().steps[0].action else { panic!() };
    assert_eq!((places.workspaces[0].id, places.projects.as_slice()), (7, [9].as_slice()));
}

#[test]
fn of_an_unknown_title_the_role_is_applied_and_the_rest_is_held_with_near_titles() {
    let mut world = with_cats();
    world.edit("annotators", |spec| {
        spec.workspaces.push("Dags".to_owned());
        spec.emails.push("new@example.com".to_owned());
    });
    world.change_member("person4@example.com", |m| m.role = Some(Role::Reviewer));
    let plan = world.settle();
    // Those that are known are given.
    let expected = ["person4@example.com: Reviewer → Annotator", "person3@example.com: into workspace \"Cats\""];
    assert_eq!(steps(&plan), expected);
    assert_eq!(plan.held[&HeldReason::UnknownWorkspace].len(), 9);
    let member = world.person("annotators", "person1@example.com");
    assert_eq!((member.state, member.is_held_for(HeldReason::UnknownWorkspace)), (PersonState::Active, true));
    assert_eq!(member.message.as_deref(), Some("there is no workspace \"Dags\"; near: \"Dogs\""));
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Held);
    // Found after all.
    world.edit("annotators", |spec| spec.workspaces = vec!["Dogs".to_owned()]);
    assert_eq!(world.settle().held_count(), 0);
}

#[test]
fn workspaces_that_may_not_be_read_hold_who_needs_them_and_nobody_else() {
    let mut world = with_cats();
    world.workspaces = Workspaces::none_read(HeldReason::Forbidden);
    world.invite("more", InviteRole::Reviewer, &["new@example.com".to_owned()]);
    let plan = world.settle();
    assert_eq!(steps(&plan), ["invite 1 as Reviewer: new@example.com"]);
    assert_eq!((plan.held[&HeldReason::Forbidden].len(), plan.due), (10, None));
    world.workspaces = Workspaces::none_read(HeldReason::Failed);
    assert_eq!(world.plan().due, Some(noon() + SignedDuration::from_mins(1)), "that may pass by itself");
}

#[test]
fn a_lowered_role_of_an_open_invitation_does_not_wait_for_an_unknown_workspace() {
    let mut world = invited("new@example.com", "Manager");
    world.edit("annotators", |spec| spec.workspaces = vec!["Birds".to_owned()]);
    assert_eq!(steps(&world.plan()), ["new@example.com: invited as Manager → Annotator"]);
}

#[test]
fn a_refused_addition_is_held_for_that_person_who_stays_active() {
    let mut world = with_cats();
    let until = noon() + SignedDuration::from_mins(10);
    let email = "person3@example.com";
    outcome::refused(&mut world.ledger, email, "workspace 7", HeldReason::Forbidden, "no".to_owned(), until);
    assert_eq!(held(&world.settle()), [(HeldReason::Forbidden, vec![email.to_owned()])]);
    assert_eq!(world.person("annotators", email).state, PersonState::Active);
}

#[test]
fn who_is_taken_out_again_and_again_is_left_to_whoever_does_it() {
    let mut world = with_cats();
    let as_found = world.workspaces.clone();
    for _ in 0..3 {
        let plan = world.settle();
        assert_eq!(plan.steps.len(), 1);
        apply(&mut world, &plan);
        world.workspaces = as_found.clone();
    }
    assert_eq!(held(&world.settle()), [(HeldReason::Reverted, vec!["person3@example.com".to_owned()])]);
}

#[test]
fn the_open_source_edition_has_none_and_says_so_without_an_error() {
    let mut world = World::empty();
    world.edition = Edition::Community;
    world.member(10, "here@example.com", Role::Annotator);
    world.invite("people", InviteRole::Annotator, &["here@example.com".to_owned()]);
    world.edit("people", |spec| spec.projects = vec![9]);
    assert!(world.settle().is_done());
    let person = world.person("people", "here@example.com");
    assert_eq!((person.state, person.is_held_for(HeldReason::UnsupportedByEdition)), (PersonState::Active, true));
    assert!(!HeldReason::UnsupportedByEdition.stalls());
}
