//! Who is invited anew because somebody asks for it, and who is not.

use super::*;
use crate::engine::reinvite::release_reinvited;

const GONE: &str = "person2@example.com";

/// In sync, but one member has left.
fn left() -> World {
    let mut world = World::in_sync();
    world.members.retain(|m| m.email != GONE);
    world.settle();
    assert_eq!(world.person("annotators", GONE).state, PersonState::Left);
    world
}

/// Annotates the first manifest; what of it is in vain.
fn annotate(world: &mut World, value: &str) -> Option<String> {
    let annotations = [(crate::resources::REINVITE_ANNOTATION.to_owned(), value.to_owned())];
    let name = world.invites[0].metadata.name.clone().unwrap();
    world.invites[0].metadata.annotations = Some(annotations.into());
    release_reinvited(&desired(&world.organization, &world.invites, world.now), &mut world.ledger);
    world.ledger.passing.unheeded.remove(&name)
}

#[test]
fn a_colleague_who_is_added_changes_nothing_for_who_left() {
    let mut world = left();
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn who_left_or_was_revoked_is_invited_anew_when_named_or_with_everybody() {
    for value in [GONE, "Person2@Example.com,person3@example.com", "*", "* because of the merger"] {
        let mut world = left();
        annotate(&mut world, value);
        assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: person2@example.com"], "{value}");
    }
    let mut world = invited("new@example.com", "Annotator");
    world.members.retain(|m| m.email != "new@example.com");
    world.settle();
    assert_eq!(annotate(&mut world, "new@example.com"), None);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn the_same_value_is_acted_on_once_and_what_follows_a_blank_makes_it_new() {
    let mut world = left();
    annotate(&mut world, GONE);
    assert_eq!(world.ledger.invites["annotators"].last_handled_reinvite.as_deref(), Some(GONE));
    let mut person = Person::new(GONE, PersonState::Left);
    person.user_id = Some(12);
    world.ledger.invites.get_mut("annotators").unwrap().users.insert(GONE.to_owned(), person.into());
    assert_eq!(annotate(&mut world, GONE), None);
    assert!(world.plan().steps.is_empty());
    annotate(&mut world, "person2@example.com again");
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: person2@example.com"]);
}

#[test]
fn who_was_given_up_starts_anew_at_once_whatever_the_wait() {
    let mut world = invited("new@example.com", "Annotator");
    world.change_member("new@example.com", |m| m.invitation = InvitationState::Expired);
    world.remembered("annotators", "new@example.com").attempts = Some(3);
    world.settle();
    assert!(world.person("annotators", "new@example.com").is_held_for(HeldReason::GaveUp));
    world.edit("annotators", |spec| spec.resend.max_attempts = 1);
    assert_eq!(annotate(&mut world, "*"), None);
    let plan = world.settle();
    assert_eq!(steps(&plan), ["invite 1 as Annotator: new@example.com"]);
    let mut snapshot = world.snapshot();
    outcome::mailed(&mut world.ledger, &mut snapshot, plan.steps[0].action.guests(), &Role::Annotator, world.now);
    assert_eq!(world.person("annotators", "new@example.com").attempts, Some(1));
    assert!(world.settle().is_done());
    assert!(world.person("annotators", "new@example.com").is_held_for(HeldReason::GaveUp), "one more, and no second");
}

#[test]
fn who_is_named_in_vain_is_told() {
    let mut world = left();
    let told = annotate(&mut world, "stranger@example.com,person3@example.com").unwrap();
    assert!(told.contains("person3@example.com is Active; stranger@example.com is not in spec.emails"), "{told}");
    assert!(annotate(&mut world, "").unwrap().contains("names nobody"));
    assert!(world.plan().steps.is_empty());
    world.settle();
    annotate(&mut world, "*");
    assert!(annotate(&mut world, "* 2").unwrap().contains("nobody of this UserInvite needs it"));
    let crowd: Vec<String> = (0..9).map(|n| format!("x{n}@example.com")).collect();
    assert!(annotate(&mut world, &crowd.join(",")).unwrap().contains("and 6 more"));
}

#[test]
fn a_newcomer_is_named_in_vain_and_nobody_needs_to_know() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    assert_eq!(annotate(&mut world, "new@example.com"), None);
}

#[test]
fn an_address_that_is_on_its_way_out_or_in_a_mark_is_not_released() {
    let mut world = World::in_sync();
    world.ledger.invitations_visible = Some(false);
    let unconfirmed = |email: &str| {
        let mut person = Person::new(email, PersonState::Held);
        person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
        Arc::new(person)
    };
    for email in ["dropped@example.com", "marked@example.com"] {
        world.ledger.invites.get_mut("annotators").unwrap().users.insert(email.to_owned(), unconfirmed(email));
    }
    world.edit("annotators", |spec| spec.emails.push("marked@example.com".to_owned()));
    world.ledger.in_flight = Some(InFlight {
        id: "m".to_owned(),
        started_at: Time(noon()),
        emails: vec!["marked@example.com".to_owned()],
        role: None,
        replaces: None,
    });
    let told = annotate(&mut world, "dropped@example.com,marked@example.com").unwrap();
    assert!(told.contains("dropped@example.com is not in spec.emails"), "{told}");
    assert!(told.contains("a mail to marked@example.com may be on its way"), "{told}");
    for email in ["dropped@example.com", "marked@example.com"] {
        assert!(world.ledger.person("annotators", email).is_some(), "{email}");
    }
}

#[test]
fn an_observer_leaves_the_annotation_for_later() {
    let mut world = left();
    world.organization.spec.mode = crate::resources::Mode::Observe;
    assert_eq!(annotate(&mut world, "*"), None);
    assert_eq!(world.ledger.invites["annotators"].last_handled_reinvite, None);
}

#[test]
fn who_is_taken_out_and_put_back_is_invited_anew_even_before_the_departure_is_done() {
    let mut world = left();
    world.edit("annotators", |spec| spec.emails.retain(|email| email != GONE));
    world.settle();
    assert_eq!(world.person("annotators", GONE).state, PersonState::Leaving);
    world.edit("annotators", |spec| spec.emails.push(GONE.to_owned()));
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: person2@example.com"]);
}

#[test]
fn who_is_taken_out_and_put_back_starts_at_no_attempt() {
    let mut revoked = invited(GONE, "Annotator");
    revoked.members.retain(|m| m.email != GONE);
    revoked.settle();
    for mut world in [left(), revoked] {
        world.remembered("annotators", GONE).attempts = Some(3);
        world.edit("annotators", |spec| spec.emails.retain(|email| email != GONE));
        world.settle();
        world.edit("annotators", |spec| spec.emails.push(GONE.to_owned()));
        for _ in 0..2 {
            // Nobody is forgotten before the mail went out.
            let plan = world.settle();
            assert_eq!(steps(&plan), ["invite 1 as Annotator: person2@example.com"]);
            assert_eq!(world.person("annotators", GONE).attempts, Some(0));
        }
        let mut snapshot = world.snapshot();
        let guest = Guest::new("annotators", GONE);
        outcome::mailed(&mut world.ledger, &mut snapshot, &[guest], &Role::Annotator, world.now);
        assert_eq!(world.person("annotators", GONE).attempts, Some(1));
    }
}

#[test]
fn who_left_and_moves_to_another_manifest_is_not_invited_by_that() {
    let mut world = left();
    world.edit("annotators", |spec| spec.emails.retain(|email| email != GONE));
    world.settle();
    world.invite("reviewers", InviteRole::Reviewer, &[GONE.to_owned()]);
    world.invites.swap(0, 2);
    let told = annotate(&mut world, GONE).unwrap();
    assert!(told.contains("is being taken over from another UserInvite"), "{told}");
    let plan = world.settle();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    assert_eq!(world.person("reviewers", GONE).state, PersonState::Left);
}
