//! One task per Organization that somebody refers to, woken by a counter. A burst of events is one pass: the task
//! waits for a moment of quiet.

use super::Context;
use super::reconcile::{is_unmarked, pass};
use super::state::{Next, State};
use crate::engine::apply::AUDIT;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument as _;

/// Quiet to wait for after an event, and how long at most.
const QUIET: Duration = Duration::from_millis(100);
const LONGEST_QUIET: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OrganizationKey {
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for OrganizationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[derive(Clone)]
pub struct Tasks {
    context: Arc<Context>,
    running: Arc<Mutex<Running>>,
}

#[derive(Default)]
struct Running {
    counters: HashMap<OrganizationKey, channel::Sender<u64>>,
    /// Woken, and their pass has not begun.
    waiting: HashSet<OrganizationKey>,
    set: JoinSet<()>,
}

impl Running {
    /// What has ended is let go of: Organizations come and go as long as the process lives.
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while self.set.try_join_next().is_some() {}
        self.set.spawn(task);
    }
}

impl Tasks {
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, running: Arc::default() }
    }

    /// Starts the task if there is none, and has it make a pass.
    pub fn wake(&self, key: &OrganizationKey) {
        self.start(key, Duration::ZERO);
        let mut running = self.lock();
        if let Some(counter) = running.counters.get(key) {
            tracing::debug!(organization = %key, "woken");
            counter.send_modify(|count| *count += 1);
            running.waiting.insert(key.clone());
        }
    }

    /// How many Organizations were woken whose pass has not begun.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    pub fn wake_all(&self) {
        tracing::debug!("all woken");
        let mut running = self.lock();
        let Running { counters, waiting, .. } = &mut *running;
        for (key, counter) in counters {
            counter.send_modify(|count| *count += 1);
            waiting.insert(key.clone());
        }
    }

    /// Starts the task if there is none and another operator does not act for it; its first pass comes after `delay`, or when
    /// it is woken. One that runs already finds out by itself.
    pub fn start(&self, key: &OrganizationKey, delay: Duration) {
        let mut running = self.lock();
        if running.counters.contains_key(key) || !self.context.acts_for(key) {
            return;
        }
        let (counter, woken) = channel::channel(0);
        running.counters.insert(key.clone(), counter.clone());
        running.spawn(keep(self.clone(), key.clone(), counter, woken, delay));
    }

    /// Waits until every pass has ended, at most `within`. False: one has not.
    pub async fn end(&self, within: Duration) -> bool {
        let mut set = std::mem::take(&mut self.lock().set);
        let ended = timeout_at(Instant::now() + within, async { while set.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("a pass did not end in time; its mark, if any, guards the mail");
        }
        ended.is_ok()
    }

    /// Nobody refers to this Organization any more, or another operator acts for it. False: an event came in between.
    fn retire(&self, key: &OrganizationKey, seen: u64) -> bool {
        let mut running = self.lock();
        let unchanged = running.counters.get(key).is_none_or(|counter| *counter.borrow() == seen);
        if unchanged {
            running.counters.remove(key);
            running.waiting.remove(key);
            self.context.figures.forget(key);
        }
        unchanged
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep(
    tasks: Tasks,
    key: OrganizationKey,
    counter: channel::Sender<u64>,
    mut woken: channel::Receiver<u64>,
    delay: Duration,
) {
    let mut stop = tasks.context.stop.clone();
    let mut state = State::new(key.clone(), counter);
    // One look at the caches, soon after, serves all who begin now.
    let organization = tasks.context.organizations_in(&key.namespace).and_then(|watched| watched.organization(&key));
    state.unmarked_since = organization.is_some_and(|known| is_unmarked(&known)).then(Instant::now);
    let mut wait = Some(delay);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            _ = woken.changed() => quiet(&mut woken).await,
            () = sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {}
        }
        let seen = *woken.borrow_and_update();
        tasks.lock().waiting.remove(&key);
        // The audit lines say by it whose they are, so it is there whenever they are.
        let span = tracing::info_span!(target: AUDIT, "pass", organization = %key);
        let next = pass(&tasks.context, &mut state, &woken, seen).instrument(span).await;
        wait = match next {
            Next::After(duration) => Some(duration),
            Next::WhenWoken => None,
            Next::Never if tasks.retire(&key, seen) => return,
            Next::Never => Some(Duration::ZERO),
        };
    }
}

async fn quiet(woken: &mut channel::Receiver<u64>) {
    let latest = Instant::now() + LONGEST_QUIET;
    loop {
        woken.mark_unchanged();
        let until = latest.min(Instant::now() + QUIET);
        match timeout_at(until, woken.changed()).await {
            Ok(Ok(())) if until < latest => {}
            _ => return,
        }
    }
}

/// Until the process has to end.
pub async fn stopped(stop: &mut channel::Receiver<bool>) {
    // An error says that nobody can give the signal any more: an end as well.
    drop(stop.wait_for(|stop| *stop).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_have_ended_are_not_kept() {
        let mut running = Running::default();
        for _ in 0..100 {
            running.spawn(std::future::ready(()));
            tokio::task::yield_now().await;
        }
        assert!(running.set.len() < 10, "{} are kept", running.set.len());
    }
}
