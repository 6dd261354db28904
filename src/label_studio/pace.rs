//! When a request may start. All Organizations that use one account on one server share a bucket, because the server
//! counts per account. It must not send anything, and a future that waits here may be dropped at any time.

mod bucket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::boottime::Boottime;
use bucket::{Bucket, Handle, Ticket};

/// No answer makes us wait longer than this.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What kind of request waits. Writes go first, but reads keep at least a fifth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    Write,
    Read,
}

/// How fast requests may follow one another. At a burst of 1 one follows another after
/// `1 / requests_per_second`; what a late timer lost, at most a quarter of that, is made up for.
/// A rate outside 0.01 to 10,000 and a burst of 0 are brought to the nearest bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    pub requests_per_second: f64,
    pub burst: u32,
}

/// The request was not let start before its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not start in time")]
pub struct NotStarted;

/// All buckets of this process. Cloning shares them.
#[derive(Clone, Default)]
pub struct Paces {
    buckets: Arc<Mutex<HashMap<String, Arc<Shared>>>>,
}

/// The place of one organization in a bucket. Cloning shares the place; with the last clone its limit goes.
#[derive(Clone)]
pub struct Pace {
    place: Option<Arc<Place>>,
}

impl Paces {
    pub fn new() -> Self {
        Self::default()
    }

    /// A place for `organization` in the bucket named `server`. The bucket runs at the smallest limit of its organizations; where one organization
    /// holds several places, its newest limit counts.
    pub fn of(&self, server: &str, organization: &str, limit: Limit) -> Pace {
        let mut buckets = lock(&self.buckets);
        // A bucket outlives its last place until nothing is owed, else leaving and coming back would be a way around it.
        buckets.retain(|name, shared| name == server || !shared.is_idle());
        let shared = Arc::clone(buckets.entry(server.to_owned()).or_default());
        drop(buckets);
        let handle = shared.admit(organization, limit);
        Pace { place: Some(Arc::new(Place { shared, organization: organization.to_owned(), handle })) }
    }

    #[cfg(test)]
    pub(super) fn members(&self, server: &str) -> usize {
        let buckets = lock(&self.buckets);
        buckets.get(server).map_or(0, |shared| lock(&shared.state).bucket.members())
    }
}

impl Pace {
    /// No waiting at all: for tests.
    pub fn unlimited() -> Self {
        Self { place: None }
    }

    /// Waits for the turn of this organization. `Ok` allows one request to start now.
    /// With `start_by` it is [`NotStarted`] when that instant passes first.
    pub async fn ready(&self, lane: Lane, start_by: Option<Boottime>) -> Result<(), NotStarted> {
        let Some(deadline) = start_by else {
            self.turn(lane).await;
            return Ok(());
        };
        let left = deadline.saturating_duration_since(Boottime::now());
        if left.is_zero() {
            return Err(NotStarted);
        }
        tokio::time::timeout(left, self.turn(lane)).await.map_err(|_| NotStarted)?;
        // The timer stands still while the machine sleeps; the deadline does not.
        if Boottime::now() < deadline { Ok(()) } else { Err(NotStarted) }
    }

    /// Lets nobody on this bucket start for `pause`, at most ten minutes: the server asked for it.
    pub fn pause(&self, pause: Duration) {
        if let Some(place) = &self.place {
            place.shared.pause(pause.min(LONGEST_PAUSE));
        }
    }

    /// How many requests may start at once, whoever's on this bucket; `None` where there is no limit.
    pub(super) fn left(&self) -> Option<u32> {
        let shared = &self.place.as_ref()?.shared;
        lock(&shared.state).bucket.left(shared.now())
    }

    async fn turn(&self, lane: Lane) {
        let Some(place) = &self.place else { return };
        // The sender is dropped unused only if the task below was ended together with its runtime.
        while place.queue(lane).granted().await.is_err() {}
    }
}

struct Place {
    shared: Arc<Shared>,
    organization: String,
    handle: Handle,
}

impl Place {
    fn queue(&self, lane: Lane) -> Waiting<'_> {
        let (sender, receiver) = oneshot::channel();
        let mut state = lock(&self.shared.state);
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.bucket.enqueue(&self.organization, lane, ticket, self.shared.now());
        state.waiting.insert(ticket, sender);
        if !state.driven {
            state.driven = true;
            tokio::spawn(drive(Driver { shared: Arc::clone(&self.shared), ended: false }));
        }
        Waiting { place: self, lane, ticket, receiver }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.shared.now();
        lock(&self.shared.state).bucket.leave(&self.organization, self.handle, now);
        self.shared.changed.notify_one();
    }
}

/// Somebody in the queue; dropping it leaves the queue.
struct Waiting<'a> {
    place: &'a Place,
    lane: Lane,
    ticket: Ticket,
    receiver: oneshot::Receiver<()>,
}

impl Waiting<'_> {
    async fn granted(mut self) -> Result<(), oneshot::error::RecvError> {
        (&mut self.receiver).await
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.place.shared.state);
        if state.waiting.remove(&self.ticket).is_some() {
            state.bucket.withdraw(&self.place.organization, self.lane, self.ticket);
        }
    }
}

struct Shared {
    origin: Instant,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    bucket: Bucket,
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
    last_ticket: Ticket,
    last_handle: Handle,
    driven: bool,
}

impl Default for Shared {
    fn default() -> Self {
        Self { origin: Instant::now(), state: Mutex::default(), changed: Notify::new() }
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn admit(&self, organization: &str, limit: Limit) -> Handle {
        let now = self.now();
        let mut state = lock(&self.state);
        state.last_handle += 1;
        let handle = state.last_handle;
        state.bucket.admit(organization, handle, limit, now);
        self.changed.notify_one();
        handle
    }

    fn pause(&self, pause: Duration) {
        let until = self.now() + pause;
        lock(&self.state).bucket.pause(until);
    }

    fn is_idle(&self) -> bool {
        let now = self.now();
        lock(&self.state).bucket.is_idle(now)
    }
}

/// Serves one bucket while somebody waits. A task of its own, so that a waiting future which is not polled for a while
/// holds up nobody but itself.
async fn drive(mut driver: Driver) {
    while let Some(at) = driver.serve() {
        let due = driver.shared.origin + at;
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = driver.shared.changed.notified() => {}
        }
    }
}

struct Driver {
    shared: Arc<Shared>,
    ended: bool,
}

impl Driver {
    /// Lets everybody start whose time has come, and says when the next one is due; `None` if nobody waits.
    fn serve(&mut self) -> Option<Duration> {
        let mut state = lock(&self.shared.state);
        loop {
            let now = self.shared.now();
            match state.bucket.next_at() {
                None => {
                    // Under the same lock as the look at the queue: who comes next finds it served or starts anew.
                    state.driven = false;
                    self.ended = true;
                    return None;
                }
                Some(at) if at > now => return Some(at),
                Some(_) => {
                    if let Some(sender) = state.bucket.grant(now).and_then(|t| state.waiting.remove(&t)) {
                        // Nobody listens any more: the grant is spent, which errs on the slow side.
                        let _ = sender.send(());
                    }
                }
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = lock(&self.shared.state);
            state.driven = false;
            let state = &mut *state;
            for ticket in std::mem::take(&mut state.waiting).into_keys() {
                state.bucket.forget(ticket);
            }
        }
    }
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

    async fn starts(pace: &Pace, lane: Lane, count: usize) -> Vec<Instant> {
        let mut all = Vec::new();
        for _ in 0..count {
            pace.ready(lane, None).await.unwrap();
            all.push(Instant::now());
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn requests_follow_one_another_at_the_rate_and_never_faster() {
        let pace = Paces::new().of("s", "a", limit(14.0, 1));
        let all = starts(&pace, Lane::Write, 50).await;
        let interval = Duration::from_secs_f64(1.0 / 14.0);
        for (n, at) in (0..).zip(&all) {
            let (after, due) = (*at - all[0], interval * n);
            // The timer counts in milliseconds and rounds up; that does not add up.
            assert!(after >= due && after <= due + Duration::from_millis(2), "{n}: {after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_organizations_share_a_bucket_and_two_servers_do_not() {
        let paces = Paces::new();
        let (a, b) = (paces.of("s", "a", limit(10.0, 1)), paces.of("s", "b", limit(10.0, 1)));
        let other = paces.of("t", "a", limit(10.0, 1));
        let begun = Instant::now();
        tokio::join!(starts(&a, Lane::Write, 5), starts(&b, Lane::Read, 5));
        assert_eq!(begun.elapsed().as_millis(), 900);
        let begun = Instant::now();
        starts(&other, Lane::Read, 1).await;
        assert_eq!(begun.elapsed().as_millis(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_is_not_polled_holds_up_nobody() {
        let pace = Paces::new().of("s", "a", limit(10.0, 1));
        starts(&pace, Lane::Write, 1).await;
        let mut idle = Box::pin(pace.ready(Lane::Write, None));
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut idle).await.is_err());
        let begun = Instant::now();
        starts(&pace, Lane::Write, 1).await;
        assert!(begun.elapsed() <= Duration::from_millis(200));
        idle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_is_dropped_leaves_the_queue() {
        let pace = Paces::new().of("s", "a", limit(1.0, 1));
        starts(&pace, Lane::Write, 1).await;
        let begun = Instant::now();
        for _ in 0..50 {
            let given_up = tokio::time::timeout(Duration::from_millis(1), pace.ready(Lane::Write, None)).await;
            assert!(given_up.is_err());
        }
        starts(&pace, Lane::Write, 1).await;
        assert!(begun.elapsed() <= Duration::from_millis(1001));
        assert!(lock(&pace.place.as_ref().unwrap().shared.state).waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_outlives_the_place_that_caused_it() {
        let paces = Paces::new();
        let pace = paces.of("s", "a", limit(10.0, 1));
        pace.pause(Duration::from_secs(30));
        drop(pace);
        let begun = Instant::now();
        starts(&paces.of("s", "a", limit(10.0, 1)), Lane::Read, 1).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_is_longer_than_ten_minutes() {
        let pace = Paces::new().of("s", "a", limit(10.0, 1));
        pace.pause(Duration::from_secs(86_400));
        let begun = Instant::now();
        starts(&pace, Lane::Read, 1).await;
        assert_eq!(begun.elapsed(), LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn buckets_are_forgotten_when_nothing_is_owed() {
        let paces = Paces::new();
        for n in 0..10 {
            starts(&paces.of(&format!("s{n}"), "a", limit(10.0, 1)), Lane::Read, 1).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let _last = paces.of("last", "a", limit(10.0, 1));
        assert_eq!(lock(&paces.buckets).len(), 1);
    }

    #[tokio::test]
    async fn who_cannot_start_in_time_is_told() {
        // The second turn comes after a hundred seconds, so that no machine is slow enough to reach it.
        let pace = Paces::new().of("s", "a", limit(0.01, 1));
        assert_eq!(pace.ready(Lane::Write, Some(Boottime::now())).await, Err(NotStarted));
        let within = |time| Some(Boottime::now() + time);
        assert_eq!(pace.ready(Lane::Write, within(Duration::from_secs(60))).await, Ok(()));
        assert_eq!(pace.ready(Lane::Write, within(Duration::from_millis(50))).await, Err(NotStarted));
        assert_eq!(Pace::unlimited().ready(Lane::Write, Some(Boottime::now())).await, Err(NotStarted));
        assert_eq!(Pace::unlimited().ready(Lane::Write, None).await, Ok(()));
    }

    #[test]
    fn a_bucket_serves_on_after_the_runtime_that_served_it_ended() {
        let paces = Paces::new();
        let pace = paces.of("s", "a", limit(1000.0, 1));
        for _ in 0..3 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async { tokio::join!(starts(&pace, Lane::Write, 2), starts(&pace, Lane::Read, 2)) });
        }
    }
}
