//! What a guard holds a person may let pass, once: exactly those steps.

use super::*;
use crate::engine::approval::{MOST_STEPS, Named, named, strike, use_approval};

impl World {
    /// Ten people are to lose access, which the guard holds.
    fn tripped() -> Self {
        let mut world = Self::in_sync();
        world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
        world.settle();
        world.later(60);
        world
    }

    fn approve(&mut self, digest: &str) -> bool {
        let sets = self.plan().sets;
        use_approval(&mut self.ledger, Some(digest), &sets, self.now)
    }

    /// One pass: plans, strikes what is not wanted any more, records.
    fn pass(&mut self) -> Plan {
        let mut plan = self.settle();
        strike(&mut self.ledger, plan.approved.take());
        plan
    }
}

#[test]
fn the_digest_stays_as_long_as_the_same_people_are_held() {
    let mut world = World::tripped();
    let first = world.plan().sets;
    world.later(3600);
    world.settle();
    assert_eq!(world.plan().sets, first);
    assert_eq!((first.len(), first[0].who.len(), first[0].steps.len()), (1, 10, 10));
    world.edit("administrators", |spec| spec.role = InviteRole::Manager);
    assert_ne!(world.plan().sets[0].digest, first[0].digest, "somebody more");
}

#[test]
fn an_approval_lets_exactly_those_pass_and_nobody_else() {
    let mut world = World::tripped();
    let digest = world.plan().sets[0].digest.clone();
    world.organization.spec.guards.min_administrators = 0;
    world.organization.spec.guards.max_removals = IntOrString::Int(0);
    assert!(!world.approve("0123456789ab"), "another digest");
    assert!(world.approve(&digest));
    world.edit("administrators", |spec| spec.role = InviteRole::Deactivated);
    let plan = world.pass();
    assert_eq!(plan.steps.len(), 10, "{:?}", steps(&plan));
    let two = vec!["anna@example.com".to_owned(), "ben@example.com".to_owned()];
    assert_eq!(held(&plan), [(HeldReason::RemovalGuard, two)]);
}

#[test]
fn what_is_left_goes_after_a_restart_and_is_struck_when_it_is_done() {
    let mut world = World::tripped();
    let digest = world.plan().sets[0].digest.clone();
    assert!(world.approve(&digest));
    world.pass();
    for n in 0..5 {
        world.change_member(&format!("person{n}@example.com"), |m| m.role = Some(Role::Deactivated));
    }
    // What the process knew besides its status is gone.
    world.ledger.passing = Passing::default();
    assert_eq!(world.pass().steps.len(), 5);
    assert_eq!(world.ledger.approval.as_ref().unwrap().steps.len(), 5);
    // Somebody gives one of them access again: that one is to lose it by nobody's approval.
    world.change_member("person0@example.com", |m| m.role = Some(Role::Annotator));
    let plan = world.pass();
    assert_eq!((plan.steps.len(), plan.held.get(&HeldReason::RemovalGuard)), (6, None), "one is within the limit");
    world.organization.spec.guards.max_removals = IntOrString::Int(0);
    let plan = world.pass();
    assert_eq!(held(&plan), [(HeldReason::RemovalGuard, vec!["person0@example.com".to_owned()])]);
}

#[test]
fn a_wish_that_was_withdrawn_and_comes_back_is_held_again_with_a_new_digest() {
    let mut world = World::tripped();
    let digest = world.plan().sets[0].digest.clone();
    assert!(world.approve(&digest));
    world.edit("annotators", |spec| spec.role = InviteRole::Annotator);
    world.pass();
    assert_eq!(world.ledger.approval.as_ref().unwrap().steps.len(), 0);
    world.later(60);
    world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    let plan = world.pass();
    assert_eq!(plan.steps.len(), 0);
    assert_ne!(plan.sets[0].digest, digest);
    assert!(!world.approve(&digest), "used");
}

#[test]
fn an_approval_is_over_after_a_day() {
    let mut world = World::tripped();
    let digest = world.plan().sets[0].digest.clone();
    assert!(world.approve(&digest));
    world.later(24 * 3600 - 1);
    assert_eq!(world.plan().steps.len(), 10);
    world.later(1);
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.sets.len()), (0, 1));
    assert_eq!(named(&world.ledger, &digest, &plan.sets), Named::Used);
    assert_ne!(plan.sets[0].digest, digest, "or nobody could approve it any more");
    assert_eq!(named(&world.ledger, &plan.sets[0].digest, &plan.sets), Named::Held);
    assert_eq!(named(&world.ledger, "no", &plan.sets), Named::Nothing);
}

#[test]
fn an_incomplete_roster_strikes_nothing() {
    let mut world = World::tripped();
    let digest = world.plan().sets[0].digest.clone();
    assert!(world.approve(&digest));
    world.completeness = Completeness::Incomplete;
    world.members.retain(|member| member.email != "person2@example.com");
    world.pass();
    assert_eq!(world.ledger.approval.as_ref().unwrap().steps.len(), 10);
}

#[test]
fn whoever_is_held_for_another_reason_stays_approved() {
    let mut world = World::tripped();
    let digest = world.plan().sets[0].digest.clone();
    assert!(world.approve(&digest));
    let refusal = |until| crate::engine::ledger::Refusal { reason: HeldReason::Failed, message: "500".into(), until };
    let key = ("person2@example.com".to_owned(), "role Deactivated".to_owned());
    world.ledger.passing.refusals.insert(key, refusal(world.now + SignedDuration::from_secs(60)));
    assert_eq!(world.pass().steps.len(), 9);
    world.later(60);
    assert_eq!(world.pass().steps.len(), 10);
}

#[test]
fn departures_can_be_approved_too() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.truncate(2));
    world.settle();
    world.later(30);
    world.settle();
    world.later(60);
    let set = world.plan().sets.remove(0);
    assert_eq!((set.reason, set.who.len()), (HeldReason::RemovalGuard, 8));
    assert!(world.approve(&set.digest));
    assert_eq!(world.plan().steps.len(), 8);
}

#[test]
fn the_approval_of_one_guard_does_not_overrule_the_other() {
    let mut world = World::in_sync();
    world.organization.spec.guards.min_seat_time = Some(Duration::from_secs(7200).into());
    for n in 0..10 {
        world.remembered("annotators", &format!("person{n}@example.com")).seat_since = Some(Time(noon()));
    }
    world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    let set = world.pass().sets.remove(0);
    assert_eq!((set.reason, set.who.len()), (HeldReason::MinSeatTime, 10));
    assert!(world.approve(&set.digest));
    let plan = world.pass();
    assert_eq!((plan.steps.len(), plan.sets[0].reason, plan.sets[0].who.len()), (0, HeldReason::RemovalGuard, 10));
    assert!(world.approve(&plan.sets[0].digest));
    assert_eq!(world.pass().steps.len(), 10, "both have been said");
}

#[test]
fn what_is_left_of_one_approval_stays_beside_the_next() {
    let mut world = World::tripped();
    let digest = world.plan().sets[0].digest.clone();
    assert!(world.approve(&digest));
    world.pass();
    world.organization.spec.guards.min_administrators = 0;
    world.organization.spec.guards.max_removals = IntOrString::Int(0);
    world.edit("administrators", |spec| spec.role = InviteRole::Deactivated);
    let set = world.pass().sets.remove(0);
    assert_eq!(set.who.len(), 2);
    assert!(world.approve(&set.digest));
    assert_eq!(world.pass().steps.len(), 12);
}

#[test]
fn where_the_count_never_fits_a_step_that_is_done_is_struck_too() {
    let mut world = World::tripped();
    let digest = world.plan().sets[0].digest.clone();
    assert!(world.approve(&digest));
    world.completeness = Completeness::Stable;
    world.change_member("person0@example.com", |m| m.role = Some(Role::Deactivated));
    world.pass();
    assert_eq!(world.ledger.approval.as_ref().unwrap().steps.len(), 9);
}

#[test]
fn an_approved_administrator_goes_before_one_who_is_held_anyway() {
    let mut world = World::in_sync();
    world.organization.spec.guards.max_removals = IntOrString::Int(0);
    world.edit("administrators", |spec| spec.emails.retain(|email| email != "ben@example.com"));
    world.settle();
    world.later(30);
    let set = world.pass().sets.remove(0);
    assert!(world.approve(&set.digest));
    world.edit("administrators", |spec| spec.role = InviteRole::Manager);
    assert_eq!(steps(&world.pass()), ["ben@example.com: Administrator → Deactivated"]);
}

#[test]
fn a_very_large_set_is_offered_in_parts_that_stay() {
    let mut world = World::empty();
    let emails: Vec<String> = (0..MOST_STEPS + 3).map(|n| format!("p{n:05}@example.com")).collect();
    for (n, email) in emails.iter().enumerate() {
        world.member(100 + i64::try_from(n).unwrap(), email, Role::Annotator);
    }
    world.invite("all", InviteRole::Deactivated, &emails);
    world.settle();
    let sets = world.plan().sets;
    assert_eq!(sets.iter().map(|set| set.steps.len()).collect::<Vec<_>>(), [MOST_STEPS, 3]);
    assert!(world.approve(&sets[1].digest));
    assert_eq!(world.plan().steps.len(), 3);
    assert_eq!(world.plan().sets[0], sets[0]);
}

#[test]
fn a_second_approval_gives_the_first_no_more_time_and_both_stay_used() {
    let mut world = World::tripped();
    world.organization.spec.guards.min_administrators = 0;
    world.organization.spec.guards.max_removals = IntOrString::Int(0);
    let first = world.plan().sets.remove(0).digest;
    assert!(world.approve(&first));
    assert_eq!(world.pass().steps.len(), 10);
    world.later(20 * 3600);
    world.edit("administrators", |spec| spec.role = InviteRole::Deactivated);
    let second = world.pass().sets.remove(0);
    assert_eq!(second.who.len(), 2);
    assert!(world.approve(&second.digest));
    assert_eq!(world.pass().steps.len(), 12, "both are valid");
    world.later(5 * 3600);
    let plan = world.pass();
    assert_eq!(plan.steps.len(), 2, "the first is over");
    assert_eq!(plan.held[&HeldReason::RemovalGuard].len(), 10);
    for digest in [&first, &second.digest] {
        assert!(!world.approve(digest), "{digest} is used");
        assert_eq!(named(&world.ledger, digest, &plan.sets), Named::Used);
    }
    // Held since the same moment, and yet another set than the one that is used.
    assert_ne!(plan.sets[0].digest, first);
    assert!(world.approve(&plan.sets[0].digest));
    assert_eq!(world.pass().steps.len(), 12);
}

#[test]
fn what_was_approved_never_grows_without_end() {
    let mut world = World::tripped();
    for _ in 0..40 {
        world.later(3600);
        let digest = world.pass().sets.remove(0).digest;
        assert!(world.approve(&digest));
        world.edit("annotators", |spec| spec.role = InviteRole::Annotator);
        world.pass();
        world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    }
    assert_eq!(world.ledger.earlier_approvals.len(), 15);
    // As many that are not done leave no room for another.
    let steps = vec!["0".repeat(12)];
    world.ledger.earlier_approvals.iter_mut().for_each(|earlier| {
        earlier.at = Time(world.now);
        earlier.steps.clone_from(&steps);
    });
    world.ledger.approval.as_mut().unwrap().steps = steps;
    let set = world.plan().sets.remove(0);
    assert!(!use_approval(&mut world.ledger, Some(&set.digest), std::slice::from_ref(&set), world.now));
    world.ledger.earlier_approvals[7].steps.clear();
    assert!(use_approval(&mut world.ledger, Some(&set.digest), std::slice::from_ref(&set), world.now));
    assert_eq!(world.ledger.earlier_approvals.len(), 15);
}
