//! Two accounts whose addresses differ only in case.

use super::*;

/// One person with two accounts, both in sync.
fn doubled() -> World {
    let mut world = World::in_sync();
    world.member(70, "Fay@example.com", Role::Annotator);
    world.member(71, "fay@example.com", Role::Annotator);
    world.edit("annotators", |spec| spec.emails.push("fay@example.com".to_owned()));
    world.settle();
    world
}

/// Plans and carries out until nothing is left. Within one pass what was done is folded into the roster that was read.
fn carry_out(world: &mut World) {
    let mut snapshot = world.snapshot();
    for _ in 0..10 {
        let desired = desired(&world.organization, &world.invites, world.now);
        let circumstances = Circumstances { now: world.now, mail_allowed: true, roster_fresh: true };
        let mut plan = plan(&desired, &snapshot, &world.ledger, circumstances);
        outcome::settle(&mut world.ledger, &mut plan, &target());
        let Some(step) = plan.steps.first() else { return };
        match &step.action {
            Action::SetRole { user_id, to, .. } => {
                world.members.iter_mut().find(|m| m.user_id == *user_id).unwrap().role = Some(to.clone());
            }
            Action::Remove { user_id, .. } => world.members.retain(|m| m.user_id != *user_id),
            other => panic!("{other}"),
        }
        outcome::succeeded(&mut world.ledger, &mut snapshot, &step.action);
    }
    panic!("comes to no end");
}

fn of_fay(world: &World) -> Vec<(i64, Option<Role>)> {
    let fay = world.members.iter().filter(|m| m.email.eq_ignore_ascii_case("fay@example.com"));
    fay.map(|m| (m.user_id, m.role.clone())).collect()
}

fn delete(world: &mut World, policy: DeletionPolicy) {
    let person = Person::clone(world.person("annotators", "fay@example.com"));
    world.edit("annotators", |spec| spec.emails.retain(|email| email != "fay@example.com"));
    world.ledger.invites.get_mut("annotators").unwrap().users.remove("fay@example.com");
    let (users, from, since) = (vec![person], "gone".to_owned(), Time(world.now));
    world.ledger.departures = vec![Departure { users, policy, from, since }];
    world.later(30);
}

#[test]
fn of_two_accounts_that_differ_only_in_case_the_one_with_access_counts() {
    for order in [["Fay@example.com", "fay@example.com"], ["fay@example.com", "Fay@example.com"]] {
        for (with_access, without) in [(0, 1), (1, 0)] {
            let mut world = World::in_sync();
            let user_id = |at: usize| 70 + i64::try_from(at).unwrap();
            for (at, email) in order.into_iter().enumerate() {
                world.member(user_id(at), email, if at == with_access { Role::Reviewer } else { Role::Deactivated });
            }
            world.edit("annotators", |spec| spec.emails.push("FAY@example.com".to_owned()));
            let plan = world.plan();
            let changes: Vec<i64> = plan
                .steps
                .iter()
                .filter_map(|step| match step.action {
                    Action::SetRole { user_id, .. } => Some(user_id),
                    _ => None,
                })
                .collect();
            assert_eq!(changes, [user_id(with_access)], "and not {}", user_id(without));
        }
    }
}

#[test]
fn a_departure_ends_the_access_of_both_accounts() {
    let off = Some(Role::Deactivated);
    for (policy, left) in
        [(DeletionPolicy::Deactivate, vec![(70, off.clone()), (71, off.clone())]), (DeletionPolicy::Remove, vec![])]
    {
        for deleted in [true, false] {
            let mut world = doubled();
            if deleted {
                delete(&mut world, policy);
            } else {
                world.edit("annotators", |spec| {
                    spec.emails.retain(|email| email != "fay@example.com");
                    spec.deletion_policy = policy;
                });
                world.settle();
                world.later(30);
            }
            carry_out(&mut world);
            assert_eq!(of_fay(&world), left, "{policy:?}, deleted: {deleted}");
            assert_eq!(world.ledger.departing(), 0);
            assert!(world.ledger.person("annotators", "fay@example.com").is_none());
        }
    }
}

#[test]
fn both_accounts_of_somebody_who_is_to_be_deactivated_are() {
    let mut world = doubled();
    world.edit("annotators", |spec| spec.emails.retain(|email| email != "fay@example.com"));
    world.invite("off", InviteRole::Deactivated, &["fay@example.com".to_owned()]);
    carry_out(&mut world);
    assert_eq!(of_fay(&world), [(70, Some(Role::Deactivated)), (71, Some(Role::Deactivated))]);
    world.read_roster();
    assert!(world.ledger.passing.taken_back.is_empty(), "nobody took anything back");
}

#[test]
fn an_open_invitation_beside_an_account_is_revoked_when_the_person_leaves() {
    let mut world = World::in_sync();
    world.member(70, "Fay@example.com", Role::Annotator);
    world.member(71, "fay@example.com", Role::Annotator);
    world.members.last_mut().unwrap().invitation = InvitationState::Open;
    world.edit("annotators", |spec| spec.emails.push("fay@example.com".to_owned()));
    assert_eq!(world.snapshot().counts().invited, 1);
    world.settle();
    delete(&mut world, DeletionPolicy::Deactivate);
    assert_eq!(steps(&world.settle()), ["fay@example.com: Annotator → Deactivated"]);
    world.change_member("Fay@example.com", |member| member.role = Some(Role::Deactivated));
    assert_eq!(steps(&world.settle()), ["fay@example.com: invitation → revoked"]);
}

#[test]
fn both_accounts_count() {
    let mut world = World::in_sync();
    let snapshot = world.snapshot();
    let (access, active, administrators) =
        (snapshot.with_access(), snapshot.counts().active, snapshot.other_administrators());
    world.member(70, "Fay@example.com", Role::Administrator);
    world.member(71, "fay@example.com", Role::Administrator);
    let snapshot = world.snapshot();
    assert_eq!(snapshot.with_access(), access + 2);
    assert_eq!(snapshot.counts().active, active + 2);
    assert_eq!(snapshot.other_administrators(), administrators + 2);
    assert_eq!(snapshot.members().filter(|(email, _)| *email == "fay@example.com").count(), 2);
}
