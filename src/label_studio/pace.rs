//! How fast a server is asked: one bucket per (base URL, user of the token), shared by the Organizations that sign in as
//! the same user, served in turn at the smallest of their limits. Writes go before reads, which keep a fifth.

use super::boottime::Boottime;
use super::error::Error;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// After so many writes in a row a waiting read has its turn.
const WRITES_PER_READ: u32 = 4;
/// A timer wakes up to so much late; that is no reason to fall behind the rate.
const SLACK: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    Write,
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    pub requests_per_second: f64,
    pub burst: u32,
}

/// The buckets of this process.
#[derive(Clone, Default)]
pub struct Paces {
    buckets: Arc<Mutex<HashMap<String, Weak<Bucket>>>>,
}

/// One Organization's place at a bucket. Its limit counts as long as a clone of it lives.
#[derive(Clone)]
pub struct Pace {
    place: Arc<Place>,
}

struct Place {
    bucket: Arc<Bucket>,
    organization: String,
}

struct Bucket {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    limits: BTreeMap<String, Limit>,
    /// When the next request would be due if the rate were kept exactly (GCRA's theoretical arrival time).
    due: Option<Instant>,
    paused_until: Option<Instant>,
    writes_in_a_row: u32,
    turn: u64,
    served: HashMap<String, u64>,
    writes: VecDeque<Waiter>,
    reads: VecDeque<Waiter>,
}

struct Waiter {
    organization: String,
    go: oneshot::Sender<()>,
}

impl Paces {
    pub fn new() -> Self {
        Self::default()
    }

    /// `server` names the bucket: base URL and user id, or before that is known the token's fingerprint.
    pub fn of(&self, server: &str, organization: &str, limit: Limit) -> Pace {
        let mut buckets = lock(&self.buckets);
        buckets.retain(|_, bucket| bucket.strong_count() > 0);
        let bucket = buckets.get(server).and_then(Weak::upgrade).unwrap_or_else(|| {
            let bucket = Arc::new(Bucket { state: Mutex::default() });
            buckets.insert(server.to_owned(), Arc::downgrade(&bucket));
            bucket
        });
        lock(&bucket.state).limits.insert(organization.to_owned(), limit);
        Pace { place: Arc::new(Place { bucket, organization: organization.to_owned() }) }
    }
}

impl Pace {
    /// Waits for a turn. With `start_by`: not longer than that. Dropping the future gives the place in the queue up.
    pub async fn ready(&self, lane: Lane, start_by: Option<Boottime>) -> Result<(), Error> {
        let mut turn = self.queue(lane);
        loop {
            let next = lock(&self.place.bucket.state).drive(Instant::now());
            let left = start_by.map(|by| by.saturating_duration_since(Boottime::now()));
            if left == Some(Duration::ZERO) {
                return Err(Error::NotStarted);
            }
            let wake = left.map_or(next, |left| next.min(Instant::now() + left));
            tokio::select! {
                biased;
                granted = &mut turn => return granted.map_err(|_| Error::NotStarted),
                () = sleep_until(wake) => {}
            }
        }
    }

    /// The server asked for a pause: everybody at this bucket waits.
    pub fn pause(&self, duration: Duration) {
        let mut state = lock(&self.place.bucket.state);
        let until = Instant::now() + duration;
        state.paused_until = Some(state.paused_until.map_or(until, |known| known.max(until)));
    }

    fn queue(&self, lane: Lane) -> oneshot::Receiver<()> {
        let (go, turn) = oneshot::channel();
        let waiter = Waiter { organization: self.place.organization.clone(), go };
        let mut state = lock(&self.place.bucket.state);
        match lane {
            Lane::Write => state.writes.push_back(waiter),
            Lane::Read => state.reads.push_back(waiter),
        }
        turn
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.bucket.state);
        state.limits.remove(&self.organization);
        state.served.remove(&self.organization);
    }
}

impl State {
    /// Lets go whoever may go now, and says when to ask again.
    fn drive(&mut self, now: Instant) -> Instant {
        loop {
            let at = self.next_at(now);
            if at > now {
                return at;
            }
            let Some(waiter) = self.next_waiter() else {
                // Nobody waits: whoever comes asks for itself.
                return now + Duration::from_secs(3600);
            };
            self.turn += 1;
            self.served.insert(waiter.organization, self.turn);
            if waiter.go.send(()).is_ok() {
                self.take(now);
            }
        }
    }

    fn next_at(&self, now: Instant) -> Instant {
        let (interval, burst) = self.limit();
        let allowed = self.due.map_or(now, |due| due.checked_sub(interval * (burst - 1)).unwrap_or(now));
        allowed.max(self.paused_until.unwrap_or(now)).max(now)
    }

    fn take(&mut self, now: Instant) {
        let (interval, _) = self.limit();
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        self.due = Some(self.due.map_or(now, |due| due.max(earliest)) + interval);
    }

    /// The smallest of the limits of those who share the bucket.
    fn limit(&self) -> (Duration, u32) {
        let rate = self.limits.values().map(|l| l.requests_per_second).fold(f64::INFINITY, f64::min);
        let burst = self.limits.values().map(|l| l.burst).min().unwrap_or(1);
        let interval =
            if rate.is_finite() && rate > 0.0 { Duration::from_secs_f64(1.0 / rate) } else { Duration::ZERO };
        (interval, burst.max(1))
    }

    fn next_waiter(&mut self) -> Option<Waiter> {
        let gone = |waiter: &Waiter| !waiter.go.is_closed();
        self.writes.retain(gone);
        self.reads.retain(gone);
        let read_is_due = self.writes_in_a_row >= WRITES_PER_READ && !self.reads.is_empty();
        if !self.writes.is_empty() && !read_is_due {
            self.writes_in_a_row += 1;
            return in_turn(&mut self.writes, &self.served);
        }
        self.writes_in_a_row = 0;
        in_turn(&mut self.reads, &self.served)
    }
}

/// Whoever was served longest ago.
fn in_turn(queue: &mut VecDeque<Waiter>, served: &HashMap<String, u64>) -> Option<Waiter> {
    let longest = |(_, waiter): &(usize, &Waiter)| served.get(&waiter.organization).copied().unwrap_or_default();
    let (at, _) = queue.iter().enumerate().min_by_key(longest)?;
    queue.remove(at)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(requests_per_second: f64, burst: u32) -> Limit {
        Limit { requests_per_second, burst }
    }

    /// When each of `count` requests of one Organization may start, in milliseconds.
    async fn starts(pace: &Pace, count: usize) -> Vec<u128> {
        let begin = Instant::now();
        let mut at = Vec::new();
        for _ in 0..count {
            pace.ready(Lane::Write, None).await.unwrap();
            at.push(begin.elapsed().as_millis());
        }
        at
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_one_spaces_every_request() {
        let pace = Paces::new().of("s", "a", limit(10.0, 1));
        assert_eq!(starts(&pace, 4).await, [0, 100, 200, 300]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_then_the_rate_holds() {
        let pace = Paces::new().of("s", "a", limit(10.0, 3));
        assert_eq!(starts(&pace, 5).await, [0, 0, 0, 100, 200]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_shares_a_bucket_is_served_in_turn_at_the_smallest_limit() {
        let paces = Paces::new();
        let (a, b) = (paces.of("s", "a", limit(100.0, 1)), paces.of("s", "b", limit(10.0, 1)));
        let order = Arc::new(Mutex::new(Vec::new()));
        let begin = Instant::now();
        let mut all = Vec::new();
        for (name, pace) in [("a", &a), ("a", &a), ("a", &a), ("b", &b), ("b", &b)] {
            let (pace, order) = (pace.clone(), order.clone());
            all.push(tokio::spawn(async move {
                pace.ready(Lane::Write, None).await.unwrap();
                lock(&order).push(name);
            }));
        }
        for one in all {
            one.await.unwrap();
        }
        assert_eq!(*lock(&order), ["a", "b", "a", "b", "a"]);
        assert_eq!(begin.elapsed().as_millis(), 400);
        drop(b);
        assert_eq!(lock(&a.place.bucket.state).limit().0, Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn writes_go_first_and_reads_keep_a_fifth() {
        let pace = Paces::new().of("s", "a", limit(10.0, 1));
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut all = Vec::new();
        for lane in [Lane::Read; 2].into_iter().chain([Lane::Write; 8]) {
            let (pace, order) = (pace.clone(), order.clone());
            all.push(tokio::spawn(async move {
                pace.ready(lane, None).await.unwrap();
                lock(&order).push(lane);
            }));
        }
        for one in all {
            one.await.unwrap();
        }
        let reads: Vec<usize> =
            lock(&order).iter().enumerate().filter(|(_, lane)| **lane == Lane::Read).map(|(at, _)| at).collect();
        assert!(reads.iter().all(|at| *at < 10) && reads[1] >= 4, "{reads:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everybody_and_a_deadline_gives_up() {
        let pace = Paces::new().of("s", "a", limit(10.0, 1));
        pace.pause(Duration::from_secs(5));
        assert_eq!(starts(&pace, 1).await, [5000]);
        let late = pace.ready(Lane::Write, Some(Boottime::now())).await;
        assert!(matches!(late, Err(Error::NotStarted)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_waiter_takes_no_turn() {
        let pace = Paces::new().of("s", "a", limit(1.0, 1));
        pace.ready(Lane::Write, None).await.unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(10), pace.ready(Lane::Write, None)).await;
        assert!(given_up.is_err());
        let begin = Instant::now();
        pace.ready(Lane::Write, None).await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(1));
    }
}
