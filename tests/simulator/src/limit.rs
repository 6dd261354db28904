//! The rate limit: a sliding window of one second per user. A refused request does not count against the limit.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(crate) struct Windows(HashMap<u64, VecDeque<Instant>>);

const WINDOW: Duration = Duration::from_secs(1);

impl Windows {
    /// True: within the limit, and counted.
    pub(crate) fn admit(&mut self, user: u64, limit: usize, now: Instant) -> bool {
        let window = self.0.entry(user).or_default();
        while window.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            window.pop_front();
        }
        if window.len() >= limit {
            return false;
        }
        window.push_back(now);
        true
    }
}
