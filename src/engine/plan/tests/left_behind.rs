//! A UserInvite whose status cannot be written: it waits, and takes nothing from those that can.

use super::*;

/// Two UserInvites with a newcomer each; the first of them cannot be written.
fn two_newcomers() -> World {
    let mut world = World::in_sync();
    for name in ["a-behind", "b-written"] {
        world.invite(name, InviteRole::Annotator, &[format!("{name}@example.com")]);
    }
    world.left_behind = vec!["a-behind".to_owned()];
    world
}

#[test]
fn whoever_is_left_behind_takes_no_place_in_a_mail() {
    for visible in [None, Some(true)] {
        let mut world = two_newcomers();
        world.ledger.invitations_visible = visible;
        let plan = world.plan();
        assert_eq!(steps(&plan), ["invite 1 as Annotator: b-written@example.com"], "{visible:?}");
        assert_eq!(plan.pending["a-behind"], 1);
    }
}

#[test]
fn whoever_is_left_behind_takes_no_seat_and_frees_none() {
    let mut world = two_newcomers();
    let limit = |limit| Some(crate::resources::Seats { used: 13, limit: Some(limit) });
    world.seats = limit(14);
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 1 as Annotator: b-written@example.com"]);
    assert!(!plan.held.contains_key(&HeldReason::SeatLimit) && !plan.seats_short);
    // A seat that only they would free is not there.
    world.seats = limit(13);
    world.left_behind.push("annotators".to_owned());
    world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    world.organization.spec.guards.max_removals = IntOrString::Int(10);
    assert_eq!(held(&world.plan()), [(HeldReason::SeatLimit, vec!["b-written@example.com".to_owned()])]);
}

#[test]
fn whoever_is_left_behind_uses_nothing_of_what_the_removal_guard_allows() {
    let mut world = World::in_sync();
    world.organization.spec.guards.max_removals = IntOrString::Int(2);
    world.invite("off", InviteRole::Deactivated, &["anna@example.com".to_owned()]);
    world.edit("administrators", |spec| spec.emails.retain(|e| e != "anna@example.com"));
    world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    world.left_behind = vec!["annotators".to_owned()];
    let plan = world.plan();
    assert_eq!(steps(&plan), ["anna@example.com: Administrator → Deactivated"]);
    assert!(plan.held.is_empty() && plan.stale.is_empty());
}

#[test]
fn whoever_is_left_behind_is_not_searched_for_before_others_are() {
    let mut world = World::empty();
    world.completeness = Completeness::Stable;
    let crowd: Vec<String> = (0..20).map(|n| format!("a{n:02}@example.com")).collect();
    world.invite("crowd", InviteRole::Annotator, &crowd);
    let others: Vec<String> = (0..30).map(|n| format!("z{n:02}@example.com")).collect();
    world.invite("others", InviteRole::Annotator, &others);
    world.left_behind = vec!["crowd".to_owned()];
    let plan = world.plan();
    assert_eq!(plan.unseen.len(), 10);
    assert!(plan.unseen.iter().all(|guest| guest.invite == "others"));
}

#[test]
fn what_was_approved_for_somebody_who_is_left_behind_stays_approved() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    let set = world.plan().sets.remove(0);
    assert!(crate::engine::approval::use_approval(
        &mut world.ledger,
        Some(&set.digest),
        std::slice::from_ref(&set),
        noon()
    ));
    world.left_behind = vec!["annotators".to_owned()];
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.approved.unwrap().len(), set.steps.len());
}

#[test]
fn nobody_comes_back_every_second_for_a_taker_that_cannot_be_written() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.invite("taker", InviteRole::Annotator, &["person2@example.com".to_owned()]);
    assert_eq!(world.plan().due, Some(noon() + SignedDuration::from_secs(1)));
    world.left_behind = vec!["taker".to_owned()];
    let plan = world.settle();
    assert_eq!((plan.due, plan.steps.len()), (None, 0));
    assert!(world.ledger.person("annotators", "person2@example.com").is_some(), "until it is stored");
}

#[test]
fn whoever_was_mailed_for_a_list_that_could_not_be_written_stays_while_the_manifest_stands() {
    let mut world = grants::managed();
    let invite = |world: &mut World, email: &str| {
        world.edit("team", |spec| spec.emails.push(email.to_owned()));
        world.member(71, email, Role::Annotator);
    };
    invite(&mut world, "new@example.com");
    // As it is remembered of a mail whose outcome could not be stored where it belongs.
    let mut person = Person::new("new@example.com", PersonState::Invited);
    person.invited_at = Some(Time(noon()));
    world.ledger.departures.push(Departure {
        users: vec![person],
        policy: DeletionPolicy::Deactivate,
        from: "team/team".to_owned(),
        since: Time(noon()),
    });
    world.left_behind = vec!["team/team".to_owned()];
    world.later(60);
    assert_eq!(steps(&world.plan()), Vec::<String>::new());
    // Above the grant nobody claims her, and she still stands in the manifest.
    world.edit("team", |spec| spec.role = InviteRole::Manager);
    assert_eq!(steps(&world.plan()), Vec::<String>::new());
    world.edit("team", |spec| spec.emails.retain(|email| email != "new@example.com"));
    assert_eq!(steps(&world.plan()), ["new@example.com: Annotator → Deactivated"]);
}

/// What a cache still holds of a namespace that cannot be listed any more may be old: by it nobody is changed, and nobody
/// whom it claims leaves by another hand.
#[test]
fn what_was_known_of_a_namespace_that_cannot_be_listed_any_more_claims_and_does_nothing() {
    let mut world = World::in_sync();
    let granted = serde_json::json!([{"namespaces": ["team"], "maxRole": "Manager"}]);
    world.organization.spec.grants = serde_json::from_value(granted).unwrap();
    let people = ["rises", "dropped", "moves"].map(|name| format!("{name}@example.com"));
    for (id, email) in (70..).zip(&people) {
        world.member(id, email, Role::Annotator);
    }
    world.invite("people", InviteRole::Annotator, &people);
    let team = world.invites.last_mut().unwrap();
    team.metadata.namespace = Some("team".to_owned());
    team.spec.organization_ref.namespace = Some("home".to_owned());
    world.invite("own", InviteRole::Annotator, &[]);
    world.settle();
    world.edit("people", |spec| {
        spec.role = InviteRole::Manager;
        spec.emails.retain(|email| !email.starts_with("dropped"));
        spec.emails.push("new@example.com".to_owned());
    });
    world.edit("annotators", |spec| spec.emails.retain(|email| email != "person2@example.com"));
    world.edit("people", |spec| spec.emails.push("person2@example.com".to_owned()));
    world.settle();
    world.later(31);
    let all = steps(&world.plan());
    assert!(all.len() == 5, "{all:?}");

    world.unlisted = vec!["team".to_owned()];
    let plan = world.plan();
    assert_eq!(steps(&plan), [""; 0]);
    assert!(plan.stale.is_empty() && plan.held.is_empty(), "{:?}", plan.held);
    world.settle();
    world.unlisted.clear();
    assert_eq!(steps(&world.plan()), all, "once it is listed again it goes on");
}
