//! The arithmetic by itself: times are given.

use super::*;

const A: &str = "a";
const B: &str = "b";

fn limit(requests_per_second: f64, burst: u32) -> Limit {
    Limit { requests_per_second, burst }
}

fn bucket(limits: &[(&str, Limit)]) -> Bucket {
    let mut bucket = Bucket::default();
    for (handle, (organization, limit)) in (1..).zip(limits) {
        bucket.admit(organization, handle, *limit, Duration::ZERO);
    }
    bucket
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Everybody in the queue, with the time of the grant, where the clock wakes exactly when it should.
fn drain(bucket: &mut Bucket, from: Duration) -> Vec<(Ticket, Duration)> {
    let mut granted = Vec::new();
    let mut now = from;
    while let Some(at) = bucket.next_at() {
        now = now.max(at);
        granted.push((bucket.grant(now).unwrap(), now));
    }
    granted
}

fn tickets(granted: &[(Ticket, Duration)]) -> Vec<Ticket> {
    granted.iter().map(|(ticket, _)| *ticket).collect()
}

#[test]
fn at_a_burst_of_one_no_two_are_closer_than_the_interval_and_no_second_holds_fifteen() {
    let mut bucket = bucket(&[(A, limit(14.0, 1))]);
    (0..200).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
    let times: Vec<Duration> = drain(&mut bucket, Duration::ZERO).iter().map(|(_, at)| *at).collect();
    assert_eq!(times.len(), 200);
    let interval = Duration::from_secs_f64(1.0 / 14.0);
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + interval));
    for (n, from) in times.iter().enumerate() {
        let within = times[n..].iter().take_while(|at| **at < *from + Duration::from_secs(1)).count();
        assert!(within <= 14, "{within} within a second");
    }
}

#[test]
fn a_late_timer_does_not_slow_the_pace_and_a_very_late_one_makes_up_for_a_quarter_of_an_interval() {
    let mut bucket = bucket(&[(A, limit(10.0, 1))]);
    (0..4).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
    assert!(bucket.grant(ms(0)).is_some());
    assert!(bucket.grant(ms(99)).is_none());
    assert!(bucket.grant(ms(102)).is_some());
    assert_eq!(bucket.next_at(), Some(ms(200)));
    assert!(bucket.grant(ms(290)).is_some());
    assert_eq!(bucket.next_at(), Some(ms(365)));
}

#[test]
fn time_in_which_nobody_asked_is_not_made_up_for() {
    let mut bucket = bucket(&[(A, limit(10.0, 1))]);
    bucket.enqueue(A, Lane::Write, 0, ms(0));
    assert!(bucket.grant(ms(0)).is_some());
    bucket.enqueue(A, Lane::Write, 1, ms(120));
    assert!(bucket.grant(ms(120)).is_some());
    bucket.enqueue(A, Lane::Write, 2, ms(120));
    assert_eq!(bucket.next_at(), Some(ms(220)));
}

#[test]
fn a_burst_is_spent_at_once_and_fills_again_while_nobody_asks() {
    let mut bucket = bucket(&[(A, limit(10.0, 3))]);
    (0..5).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
    let times: Vec<u128> = drain(&mut bucket, ms(0)).iter().map(|(_, at)| at.as_millis()).collect();
    assert_eq!(times, [0, 0, 0, 100, 200]);
    (5..9).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(10_000)));
    let times: Vec<u128> = drain(&mut bucket, ms(10_000)).iter().map(|(_, at)| at.as_millis()).collect();
    assert_eq!(times, [10_000, 10_000, 10_000, 10_100]);
}

#[test]
fn writes_go_first_but_every_fifth_is_a_read() {
    let mut bucket = bucket(&[(A, limit(10.0, 1))]);
    (0..10).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
    (100..103).for_each(|ticket| bucket.enqueue(A, Lane::Read, ticket, ms(0)));
    let order = tickets(&drain(&mut bucket, ms(0)));
    assert_eq!(order, [0, 1, 2, 3, 100, 4, 5, 6, 7, 101, 8, 9, 102]);
}

#[test]
fn organizations_are_served_in_turn_however_much_one_of_them_asks() {
    let mut bucket = bucket(&[(A, limit(10.0, 1)), (B, limit(10.0, 1)), ("c", limit(10.0, 1))]);
    (0..4).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
    (10..12).for_each(|ticket| bucket.enqueue(B, Lane::Write, ticket, ms(0)));
    bucket.enqueue("c", Lane::Write, 20, ms(0));
    assert_eq!(tickets(&drain(&mut bucket, ms(0))), [0, 10, 20, 1, 11, 2, 3]);
}

#[test]
fn the_smallest_limit_counts_until_its_organization_leaves() {
    let mut bucket = bucket(&[(A, limit(100.0, 10)), (B, limit(2.0, 1))]);
    (0..4).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
    assert_eq!(bucket.grant(ms(0)), Some(0));
    assert_eq!(bucket.next_at(), Some(ms(500)));
    bucket.leave(B, 2, ms(0));
    // What was spent at half a second each is now spent at ten milliseconds each, and the burst of ten is back.
    assert_eq!(tickets(&drain(&mut bucket, ms(0))), [1, 2, 3]);
}

#[test]
fn a_lower_limit_counts_from_the_last_grant() {
    let mut bucket = bucket(&[(A, limit(100.0, 1))]);
    (0..2).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
    assert_eq!(bucket.grant(ms(0)), Some(0));
    bucket.admit(B, 9, limit(1.0, 1), ms(8));
    assert!(bucket.next_at() >= Some(ms(1000)));
}

#[test]
fn the_newest_limit_of_an_organization_replaces_its_older_ones() {
    let mut bucket = bucket(&[(A, limit(1.0, 1)), (A, limit(10.0, 1))]);
    (0..2).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
    assert_eq!(bucket.grant(ms(0)), Some(0));
    assert_eq!(bucket.next_at(), Some(ms(100)));
    // The old place goes later; the new one stays.
    bucket.leave(A, 1, ms(1));
    assert_eq!(bucket.next_at(), Some(ms(100)));
}

#[test]
fn a_pause_holds_everybody_and_a_shorter_one_does_not_shorten_it() {
    let mut bucket = bucket(&[(A, limit(10.0, 5)), (B, limit(10.0, 5))]);
    bucket.enqueue(B, Lane::Read, 1, ms(0));
    bucket.pause(ms(5000));
    bucket.pause(ms(1000));
    assert_eq!(bucket.next_at(), Some(ms(5000)));
    assert_eq!(bucket.grant(ms(4999)), None);
    assert_eq!(bucket.grant(ms(5000)), Some(1));
}

#[test]
fn who_gives_up_takes_no_turn() {
    let mut bucket = bucket(&[(A, limit(10.0, 1))]);
    (0..3).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
    bucket.withdraw(A, Lane::Write, 0);
    bucket.forget(1);
    assert_eq!(tickets(&drain(&mut bucket, ms(0))), [2]);
    assert_eq!(bucket.next_at(), None);
}

#[test]
fn a_bucket_is_forgotten_only_when_nothing_is_owed() {
    let mut bucket = bucket(&[(A, limit(1.0, 1))]);
    bucket.enqueue(A, Lane::Write, 0, ms(0));
    assert_eq!(bucket.grant(ms(0)), Some(0));
    assert!(!bucket.is_idle(ms(5000)), "somebody has a place");
    bucket.leave(A, 1, ms(1));
    assert!(!bucket.is_idle(ms(999)));
    assert!(bucket.is_idle(ms(1000)));
    bucket.pause(ms(3000));
    assert!(!bucket.is_idle(ms(2999)));
}

#[test]
fn absurd_limits_are_brought_to_a_bound() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut bucket = bucket(&[(A, limit(rate, 0))]);
        (0..2).for_each(|ticket| bucket.enqueue(A, Lane::Write, ticket, ms(0)));
        assert_eq!(drain(&mut bucket, ms(0)).len(), 2, "{rate}");
    }
}
