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

    /// How many may start at once; `None` where there is no limit.
    pub(super) fn left(&self, now: Duration) -> Option<u32> {
        let Allowance { interval, ahead } = self.allowance?;
        if self.free_at() > now {
            return Some(0);
        }
        let free = (ahead + now).saturating_sub(self.full_at).min(ahead);
        u32::try_from(free.as_nanos() / interval.as_nanos().max(1) + 1).ok()
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
mod tests;
