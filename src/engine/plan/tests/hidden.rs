//! A server whose count never fits, since it includes rows that the list hides.

use super::*;
use crate::engine::visibility::learn_visibility;

/// In sync, but for the count.
fn hiding() -> World {
    let mut world = World::in_sync();
    world.completeness = Completeness::Stable;
    world
}

fn sought(plan: &Plan) -> Vec<&str> {
    plan.unseen.iter().map(|guest| guest.email.as_str()).collect()
}

#[test]
fn people_whom_the_list_shows_are_managed_as_anywhere() {
    let mut world = hiding();
    assert!(world.plan().is_done());
    world.change_member("person3@example.com", |m| m.role = Some(Role::Reviewer));
    assert_eq!(steps(&world.plan()), ["person3@example.com: Reviewer → Annotator"]);
}

#[test]
fn a_newcomer_is_searched_for_and_then_invited() {
    let mut world = hiding();
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    let plan = world.settle();
    assert_eq!((steps(&plan).len(), plan.pending["annotators"], plan.held_count()), (0, 1, 0));
    assert_eq!(sought(&plan), ["new@example.com"]);
    world.sought.push("new@example.com".to_owned());
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 1 as Annotator: new@example.com"]);
    assert!(plan.unseen.is_empty());
}

#[test]
fn a_mass_of_newcomers_is_searched_for_a_few_at_a_time_and_one_persons_edit_comes_first() {
    let mut world = World::empty();
    world.completeness = Completeness::Stable;
    let crowd: Vec<String> = (0..200).map(|n| format!("a{n:03}@example.com")).collect();
    world.invite("crowd", InviteRole::Annotator, &crowd);
    world.invite("one", InviteRole::Annotator, &["zoe@example.com".to_owned()]);
    let plan = world.plan();
    assert_eq!((plan.unseen.len(), sought(&plan)[0], sought(&plan)[1]), (10, "zoe@example.com", "a000@example.com"));
    world.sought = plan.unseen.iter().map(|guest| guest.email.clone()).collect();
    let plan = world.plan();
    // Each alone: of a refused request nobody could tell whom it reached.
    assert_eq!(plan.steps.len(), 10);
    assert!(plan.steps.iter().all(|step| step.action.guests().len() == 1));
}

#[test]
fn nobody_is_invited_where_the_search_does_not_find_who_is_there() {
    let mut world = hiding();
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    world.search_finds = Some(false);
    let plan = world.plan();
    assert!(plan.steps.is_empty() && plan.unseen.is_empty());
    assert_eq!(held(&plan), [(HeldReason::IncompleteRoster, vec!["new@example.com".to_owned()])]);
}

#[test]
fn the_open_source_edition_ignores_a_search_so_none_is_made() {
    let mut world = World::empty();
    world.edition = Edition::Community;
    world.completeness = Completeness::Stable;
    world.invite("people", InviteRole::Annotator, &["new@example.com".to_owned()]);
    let plan = world.plan();
    assert!(plan.unseen.is_empty());
    assert_eq!(held(&plan), [(HeldReason::IncompleteRoster, vec!["new@example.com".to_owned()])]);
}

#[test]
fn a_member_who_is_missing_is_neither_called_gone_nor_searched_for_nor_invited() {
    let mut world = hiding();
    world.members.retain(|m| m.email != "person2@example.com");
    world.sought.push("person2@example.com".to_owned());
    let plan = world.settle();
    assert!(plan.steps.is_empty() && plan.unseen.is_empty());
    assert_eq!(held(&plan), [(HeldReason::IncompleteRoster, vec!["person2@example.com".to_owned()])]);
    assert_eq!(world.person("annotators", "person2@example.com").state, PersonState::Held);
    assert_eq!(world.person("annotators", "person2@example.com").user_id, Some(12));
}

#[test]
fn nobody_is_called_deactivated_for_not_being_found() {
    let mut world = hiding();
    world.invite("off", InviteRole::Deactivated, &["away@example.com".to_owned()]);
    world.sought.push("away@example.com".to_owned());
    assert_eq!(held(&world.plan()), [(HeldReason::IncompleteRoster, vec!["away@example.com".to_owned()])]);
}

#[test]
fn whoever_was_invited_and_is_hidden_stays_invited() {
    let mut world = invited("new@example.com", "Annotator");
    world.completeness = Completeness::Stable;
    world.ledger.invitations_visible = Some(false);
    world.members.retain(|m| m.email != "new@example.com");
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
    // A server that shows invitations would show it, if it hid nobody.
    world.ledger.invitations_visible = Some(true);
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), [(HeldReason::IncompleteRoster, vec!["new@example.com".to_owned()])]);
}

#[test]
fn nobody_is_searched_for_while_an_earlier_mail_keeps_the_next_one_waiting_or_the_server_refuses_it() {
    let mut world = hiding();
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    world.mail_allowed = false;
    let plan = world.plan();
    assert_eq!((plan.unseen.len(), plan.pending["annotators"]), (0, 1));
    world.mail_allowed = true;
    let until = noon() + SignedDuration::from_mins(10);
    outcome::refused(&mut world.ledger, "", "invite", HeldReason::Forbidden, "no".to_owned(), until);
    let plan = world.plan();
    assert!(plan.unseen.is_empty());
    assert_eq!(held(&plan), [(HeldReason::Forbidden, vec!["new@example.com".to_owned()])]);
}

#[test]
fn a_lost_status_holds_newcomers_even_if_the_roster_shows_open_invitations() {
    let mut world = invited("other@example.com", "Annotator");
    world.completeness = Completeness::Stable;
    world.invite("people", InviteRole::Annotator, &["new@example.com".to_owned()]);
    world.invites.last_mut().unwrap().metadata.finalizers = Some(vec![crate::resources::FINALIZER.to_owned()]);
    world.sought.push("new@example.com".to_owned());
    assert_eq!(held(&world.plan()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
    world.settle();
    assert_eq!(held(&world.plan()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
}

#[test]
fn an_invitation_that_only_a_search_shows_does_not_make_the_roster_one_that_shows_them() {
    let mut world = hiding();
    world.member(99, "new@example.com", Role::Annotator);
    world.change_member("new@example.com", |m| m.invitation = InvitationState::Open);
    let found = world.members.pop().unwrap();
    let mut snapshot = world.snapshot();
    snapshot.fold_search("new@example.com", vec![found]);
    assert!(snapshot.member("new@example.com").is_some());
    assert!(!snapshot.shows_open_invitation());
}

#[test]
fn a_server_that_does_not_list_whom_it_invited_is_known_to_hide_invitations() {
    let mut world = invited("new@example.com", "Annotator");
    world.completeness = Completeness::Stable;
    world.ledger.invitations_visible = None;
    world.members.retain(|m| m.email != "new@example.com");
    let snapshot = world.snapshot();
    learn_visibility(&mut world.ledger, &snapshot);
    assert_eq!(world.ledger.invitations_visible, Some(false));
}

/// Somebody whose invitation may be open and hidden, dropped from the list and past the grace.
fn dropped() -> World {
    let mut world = invited("new@example.com", "Annotator");
    world.completeness = Completeness::Stable;
    world.members.retain(|m| m.email != "new@example.com");
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
    world.settle();
    world.later(30);
    world
}

#[test]
fn an_invitation_that_may_be_hidden_is_revoked_on_departure_and_then_the_person_is_gone() {
    for visible in [Some(true), Some(false)] {
        let mut world = dropped();
        world.ledger.invitations_visible = visible;
        let plan = world.plan();
        assert_eq!(plan.steps[0].action, Action::Revoke { email: "new@example.com".to_owned(), blind: true });
        let mut snapshot = world.snapshot();
        outcome::succeeded(&mut world.ledger, &mut snapshot, &plan.steps[0].action);
        assert!(world.settle().is_done());
        assert!(world.ledger.person("annotators", "new@example.com").is_none());
    }
}

#[test]
fn a_departing_person_without_an_invitation_to_revoke_may_be_a_hidden_member_and_is_held() {
    let mut world = dropped();
    world.finds_nothing_open("new@example.com");
    assert_eq!(held(&world.plan()), [(HeldReason::IncompleteRoster, vec!["new@example.com".to_owned()])]);
    let mut world = hiding();
    world.members.retain(|m| m.email != "person2@example.com");
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.settle();
    world.later(30);
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), [(HeldReason::IncompleteRoster, vec!["person2@example.com".to_owned()])]);
}
