//! The arithmetic of a shared token bucket, as a pure function of a given time: who may send next, and when.
//! It must not look at a clock, wait, or know what a request is. Times are durations since the bucket was made.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Lane, Limit};

/// After this many writes in a row a waiting read is next: reads keep a fifth.
const WRITES_PER_READ: u32 = 4;

/// Slower than one request in 100 s is taken for a mistake, faster than this for no limit.
const SLOWEST: f64 = 0.01;
const FASTEST: f64 = 10_000.0;

/// A grant that came late by at most this part of an interval brings the next one no later.
const MOST_LATE: u32 = 4;

pub(super) type Ticket = u64;
pub(super) type Handle = u64;

#[derive(Debug, Default)]
pub(super) struct Bucket {
    organizations: BTreeMap<String, Organization>,
    allowance: Option<Allowance>,
    /// When the bucket would be full again; every grant moves it on by one interval.
    full_at: Duration,
    last_grant: Option<Duration>,
    paused_until: Duration,
    writes_in_a_row: u32,
    last_writer: String,
    last_reader: String,
}

/// The smallest of the limits in force.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Allowance {
    interval: Duration,
    /// How far ahead of its even pace the bucket may run.
    ahead: Duration,
}

#[derive(Debug, Default)]
struct Organization {
    /// By handle, oldest first. The newest counts: an edit takes effect at once, while requests still hold the old.
    limits: BTreeMap<Handle, Limit>,
    writes: VecDeque<Waiting>,
    reads: VecDeque<Waiting>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    ticket: Ticket,
    since: Duration,
}

impl Bucket {
    pub(super) fn admit(&mut self, organization: &str, handle: Handle, limit: Limit, now: Duration) {
        let entry = self.organizations.entry(organization.to_owned()).or_default();
        entry.limits.insert(handle, limit);
        self.adjust(now);
    }

    /// Takes a limit out. With an organization's last handle its queue goes too: nobody can be waiting in it.
    pub(super) fn leave(&mut self, organization: &str, handle: Handle, now: Duration) {
        if let Some(entry) = self.organizations.get_mut(organization) {
            entry.limits.remove(&handle);
            if entry.limits.is_empty() {
                self.organizations.remove(organization);
            }
        }
        self.adjust(now);
    }

    #[cfg(test)]
    pub(super) fn members(&self) -> usize {
        self.organizations.len()
    }

    pub(super) fn enqueue(&mut self, organization: &str, lane: Lane, ticket: Ticket, since: Duration) {
        let entry = self.organizations.entry(organization.to_owned()).or_default();
        entry.queue(lane).push_back(Waiting { ticket, since });
    }

    /// Takes somebody who gave up out of the queue. Nothing happens if the ticket was granted already.
    pub(super) fn withdraw(&mut self, organization: &str, lane: Lane, ticket: Ticket) {
        if let Some(entry) = self.organizations.get_mut(organization) {
            entry.queue(lane).retain(|waiting| waiting.ticket != ticket);
        }
    }

    /// Takes somebody out, whichever queue it is.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        for entry in self.organizations.values_mut() {
            entry.writes.retain(|waiting| waiting.ticket != ticket);
            entry.reads.retain(|waiting| waiting.ticket != ticket);
        }
    }

    /// Nobody starts before `until`.
    pub(super) fn pause(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(until);
    }

    /// When the next grant is due; `None` while nobody waits.
    pub(super) fn next_at(&self) -> Option<Duration> {
        let waiting = self.organizations.values().any(|o| !o.writes.is_empty() || !o.reads.is_empty());
        waiting.then(|| self.free_at())
    }

    /// Lets one start, if the time has come: a write before a read, but every fifth a read; organizations in turn.
    pub(super) fn grant(&mut self, now: Duration) -> Option<Ticket> {
        let free_at = self.free_at();
        if free_at > now {
            return None;
        }
        let Waiting { ticket, since } = if self.writes_in_a_row >= WRITES_PER_READ {
            self.take(Lane::Read).or_else(|| self.take(Lane::Write))
        } else {
            self.take(Lane::Write).or_else(|| self.take(Lane::Read))
        }?;
        if let Some(Allowance { interval, .. }) = self.allowance {
            // Counted from when it was due, else each late timer would slow the pace a little. Only where somebody waited
            // for it, and only so far: time in which nobody asked is not made up for.
            let late = now.saturating_sub(free_at.max(since)).min(interval / MOST_LATE);
            self.full_at = self.full_at.max(now.saturating_sub(late)) + interval;
        }
        self.last_grant = Some(now);
        Some(ticket)
    }

    /// True if forgetting this bucket would let nobody start earlier.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.organizations.is_empty() && self.full_at <= now && self.paused_until <= now
    }

    fn free_at(&self) -> Duration {
        let ahead = self.allowance.map_or(Duration::MAX, |a| a.ahead);
        self.full_at.saturating_sub(ahead).max(self.paused_until)
    }

    fn take(&mut self, lane: Lane) -> Option<Waiting> {
        let last = match lane {
            Lane::Write => &self.last_writer,
            Lane::Read => &self.last_reader,
        };
        let waits = |o: &Organization| match lane {
            Lane::Write => !o.writes.is_empty(),
            Lane::Read => !o.reads.is_empty(),
        };
        let name = self
            .organizations
            .iter()
            .filter(|(_, o)| waits(o))
            .map(|(name, _)| name)
            .fold(Next::default(), |next, name| next.consider(name, last))
            .name()?
            .to_owned();
        let waiting = self.organizations.get_mut(&name)?.queue(lane).pop_front()?;
        match lane {
            Lane::Write => {
                self.writes_in_a_row = (self.writes_in_a_row + 1).min(WRITES_PER_READ);
                self.last_writer = name;
            }
            Lane::Read => {
                self.writes_in_a_row = 0;
                self.last_reader = name;
            }
        }
        Some(waiting)
    }

    /// Applies the smallest limit. What was spent under the old one is spent under the new one.
    fn adjust(&mut self, now: Duration) {
        let limits: Vec<Limit> =
            self.organizations.values().filter_map(|o| o.limits.values().next_back().copied()).collect();
        let Some(rate) = limits.iter().map(|l| sane(l.requests_per_second)).reduce(f64::min) else {
            // Between two handles the last allowance stays in force, and what was spent stays spent.
            return;
        };
        let burst = limits.iter().map(|l| l.burst.max(1)).min().unwrap_or(1);
        let mut interval = Duration::from_secs_f64(1.0 / rate);
        // Rounded up, so that no second holds one request more than the rate says.
        if interval.mul_f64(rate) < Duration::from_secs(1) {
            interval += Duration::from_nanos(1);
        }
        let allowance = Allowance { interval, ahead: interval.saturating_mul(burst - 1) };
        if let Some(old) = self.allowance.replace(allowance)
            && old.interval != interval
        {
            let debt = self.full_at.saturating_sub(now);
            self.full_at = now + debt.mul_f64(interval.as_secs_f64() / old.interval.as_secs_f64());
            if let Some(last) = self.last_grant {
                self.full_at = self.full_at.max(last + interval);
            }
        }
    }
}

impl Organization {
    fn queue(&mut self, lane: Lane) -> &mut VecDeque<Waiting> {
        match lane {
            Lane::Write => &mut self.writes,
            Lane::Read => &mut self.reads,
        }
    }
}

/// The first name after the last one served, else the first of all.
#[derive(Default)]
struct Next<'a> {
    first: Option<&'a str>,
    after: Option<&'a str>,
}

impl<'a> Next<'a> {
    fn consider(mut self, name: &'a str, last: &str) -> Self {
        self.first = self.first.or(Some(name));
        if name > last {
            self.after = self.after.or(Some(name));
        }
        self
    }

    fn name(&self) -> Option<&'a str> {
        self.after.or(self.first)
    }
}

fn sane(rate: f64) -> f64 {
    if rate.is_nan() { SLOWEST } else { rate.clamp(SLOWEST, FASTEST) }
}

#[cfg(test)]
mod tests {
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
}
