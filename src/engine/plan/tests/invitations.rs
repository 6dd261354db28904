//! Who is invited, when, and with whom.

use super::*;

#[test]
fn a_new_address_is_invited_and_a_duplicate_by_case_is_one_person() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.extend([" New@Example.com ".to_owned(), "new@example.com".to_owned()]));
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn a_deactivated_person_is_reactivated_and_not_invited() {
    let mut world = World::in_sync();
    world.change_member("person3@example.com", |m| m.role = Some(Role::Deactivated));
    assert_eq!(steps(&world.plan()), ["person3@example.com: Deactivated → Annotator"]);
}

#[test]
fn an_open_invitation_stays_and_is_never_mailed_again() {
    let mut world = invited("new@example.com", "Annotator");
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
    // Hidden by the server: what is remembered keeps a second mail from being sent.
    world.members.retain(|m| m.email != "new@example.com");
    world.ledger.invitations_visible = Some(false);
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
}

#[test]
fn an_invitation_revoked_by_hand_stays_revoked() {
    let mut world = invited("new@example.com", "Annotator");
    world.members.retain(|m| m.email != "new@example.com");
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Revoked);
}

#[test]
fn an_open_invitation_is_sent_anew_for_a_lower_role_and_kept_for_a_higher_one() {
    let mut world = invited("new@example.com", "Annotator");
    world.remembered("annotators", "new@example.com").role = Some("Manager".to_owned());
    assert_eq!(steps(&world.plan()), ["new@example.com: invited as Manager → Annotator"]);

    let mut world = invited("new@example.com", "Annotator");
    world.edit("annotators", |spec| spec.role = InviteRole::Reviewer);
    world.members.retain(|m| m.email.starts_with("new") || m.user_id <= ME || m.role == Some(Role::Administrator));
    world.edit("annotators", |spec| spec.emails.retain(|e| e.starts_with("new")));
    world.ledger.invites.get_mut("annotators").unwrap().users.retain(|email, _| email.starts_with("new"));
    assert!(world.plan().is_done(), "{:?}", steps(&world.plan()));
}

#[test]
fn deactivating_somebody_who_is_invited_revokes_the_invitation() {
    let mut world = invited("new@example.com", "Annotator");
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
    world.invite("off", InviteRole::Deactivated, &["new@example.com".to_owned()]);
    assert_eq!(steps(&world.plan()), ["new@example.com: invitation → revoked"]);
}

#[test]
fn a_lost_status_holds_newcomers_unless_the_roster_shows_open_invitations() {
    let mut world = World::in_sync();
    world.ledger.invitations_visible = None;
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    world.invites[0].metadata.finalizers = Some(vec![crate::resources::FINALIZER.to_owned()]);
    world.ledger.invites.insert("annotators".to_owned(), InviteMemory::default());
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
    world.member(99, "other@example.com", Role::Annotator);
    world.change_member("other@example.com", |m| m.invitation = InvitationState::Open);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn an_unconfirmed_invitation_is_judged_anew_once_the_server_shows_invitations() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    let mut person = Person::new("new@example.com", PersonState::Held);
    person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
    world.ledger.invites.get_mut("annotators").unwrap().users.insert("new@example.com".to_owned(), person.into());
    world.ledger.invitations_visible = Some(false);
    assert_eq!(held(&world.plan()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
    world.ledger.invitations_visible = Some(true);
    assert_eq!(held(&world.plan()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
    world.member(99, "other@example.com", Role::Annotator);
    world.change_member("other@example.com", |m| m.invitation = InvitationState::Open);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn an_unconfirmed_invitation_stays_unconfirmed_when_it_moves_to_another_manifest() {
    let mut world = World::in_sync();
    world.ledger.invitations_visible = Some(false);
    let mut person = Person::new("new@example.com", PersonState::Held);
    person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
    world.ledger.invites.get_mut("annotators").unwrap().users.insert("new@example.com".to_owned(), person.into());
    world.invite("reviewers", InviteRole::Reviewer, &["new@example.com".to_owned()]);
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    assert_eq!(held(&plan), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
}

#[test]
fn one_mail_goes_until_the_server_has_shown_an_invitation_then_fifty() {
    let mut world = World::empty();
    let emails: Vec<String> = (0..120).map(|n| format!("new{n:03}@example.com")).collect();
    world.invite("crowd", InviteRole::Annotator, &emails);
    world.ledger.invitations_visible = None;
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 1 as Annotator: new000@example.com"]);
    assert_eq!(plan.pending["crowd"], 120);
    world.ledger.invitations_visible = Some(false);
    assert_eq!(world.plan().steps.len(), 120);
    world.ledger.invitations_visible = Some(true);
    let sizes: Vec<usize> = world.plan().steps.iter().map(|s| s.action.guests().len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
}

#[test]
fn a_refused_batch_goes_on_in_halves() {
    let mut world = World::empty();
    let emails: Vec<String> = (0..4).map(|n| format!("new{n}@example.com")).collect();
    world.invite("crowd", InviteRole::Annotator, &emails);
    for email in &emails {
        world.ledger.passing.batch_limits.insert(email.clone(), 2);
    }
    let sizes: Vec<usize> = world.plan().steps.iter().map(|s| s.action.guests().len()).collect();
    assert_eq!(sizes, [2, 2]);
}

#[test]
fn one_persons_edit_overtakes_a_mass_change() {
    let mut world = World::empty();
    let crowd: Vec<String> = (0..200).map(|n| format!("a{n:03}@example.com")).collect();
    world.invite("a-crowd", InviteRole::Annotator, &crowd);
    world.invite("z-single", InviteRole::Reviewer, &["zoe@example.com".to_owned()]);
    assert_eq!(steps(&world.plan())[0], "invite 1 as Reviewer: zoe@example.com");
}

#[test]
fn an_edit_of_somebody_known_overtakes_a_mass_of_new_manifests_of_one_person_each() {
    let mut world = World::in_sync();
    for n in 0..200 {
        world.invite(&format!("a{n:03}"), InviteRole::Annotator, &[format!("a{n:03}@example.com")]);
    }
    world.member(99, "zoe@example.com", Role::Annotator);
    world.invite("z-single", InviteRole::Annotator, &["zoe@example.com".to_owned()]);
    world.settle();
    world.edit("z-single", |spec| spec.role = InviteRole::Reviewer);
    assert_eq!(steps(&world.plan())[0], "zoe@example.com: Annotator → Reviewer");
}

#[test]
fn what_frees_a_seat_comes_first() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.push("a-new@example.com".to_owned()));
    world.invite("off", InviteRole::Deactivated, &["zed@example.com".to_owned()]);
    world.member(99, "zed@example.com", Role::Annotator);
    assert_eq!(
        steps(&world.plan()),
        ["zed@example.com: Annotator → Deactivated", "invite 1 as Annotator: a-new@example.com"]
    );
}

#[test]
fn an_unconfirmed_invitation_stays_unconfirmed_while_the_roster_is_incomplete() {
    for role in [InviteRole::Annotator, InviteRole::Deactivated] {
        let mut world = World::in_sync();
        world.ledger.invitations_visible = Some(false);
        world.invite("people", role, &["new@example.com".to_owned()]);
        world.settle();
        let mut person = Person::new("new@example.com", PersonState::Held);
        person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
        world.ledger.invites.get_mut("people").unwrap().users.insert("new@example.com".to_owned(), person.into());
        world.completeness = Completeness::Incomplete;
        assert_eq!(held(&world.settle()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
        world.completeness = Completeness::Complete;
        // Else it would be mailed again, or be satisfied without having been revoked.
        assert!(world.person("people", "new@example.com").is_held_for(HeldReason::InviteUnconfirmed), "{role}");
    }
}

#[test]
fn an_unconfirmed_invitation_whose_revocation_is_refused_is_not_forgotten() {
    let mut world = World::in_sync();
    world.ledger.invitations_visible = Some(false);
    world.invite("off", InviteRole::Deactivated, &["new@example.com".to_owned()]);
    world.settle();
    let mut person = Person::new("new@example.com", PersonState::Held);
    person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
    world.ledger.invites.get_mut("off").unwrap().users.insert("new@example.com".to_owned(), person.into());
    let until = noon() + SignedDuration::from_mins(10);
    outcome::refused(&mut world.ledger, "new@example.com", "revoke", HeldReason::Forbidden, "no".to_owned(), until);
    assert_eq!(world.settle().held_count(), 1);
    world.later(601);
    assert_eq!(world.plan().steps[0].action, Action::Revoke { email: "new@example.com".to_owned(), blind: true });
}

#[test]
fn what_the_server_says_to_a_refused_mail_is_cut() {
    let mut world = World::in_sync();
    let guest = Guest::new("annotators", "new@example.com");
    outcome::mail_refused(&mut world.ledger, &guest, &"Dieses Postfach gibt es nicht – ".repeat(100), world.now);
    let message = world.person("annotators", "new@example.com").message.clone().unwrap();
    assert!(message.len() <= 200 && message.ends_with('…'), "{}: {message}", message.len());
    let short = "no such mailbox";
    outcome::mail_refused(&mut world.ledger, &guest, short, world.now);
    assert_eq!(world.person("annotators", "new@example.com").message.as_deref(), Some(short));
}

#[test]
fn where_the_server_sends_no_mail_or_may_not_newcomers_are_held_and_the_others_go_on() {
    for (reason, word) in [(HeldReason::EmailNotConfigured, "e-mail settings"), (HeldReason::Forbidden, "licence")] {
        let mut world = World::in_sync();
        (world.email_configured, world.may_invite) =
            (reason != HeldReason::EmailNotConfigured, reason != HeldReason::Forbidden);
        world.change_member("person3@example.com", |m| m.role = Some(Role::Reviewer));
        world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
        let plan = world.settle();
        assert_eq!(steps(&plan), ["person3@example.com: Reviewer → Annotator"]);
        assert_eq!(held(&plan), [(reason, vec!["new@example.com".to_owned()])]);
        let person = world.person("annotators", "new@example.com");
        assert!(person.message.as_ref().is_some_and(|message| message.contains(word)), "{person:?}");
        assert!(reason.stalls());
        // Nothing stands in the way once it can.
        (world.email_configured, world.may_invite) = (true, true);
        assert_eq!(world.plan().steps.len(), 2);
    }
}
