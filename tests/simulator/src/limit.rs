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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides_and_a_refused_request_does_not_count() {
        let mut windows = Windows::default();
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        assert!(windows.admit(1, 2, at(0)) && windows.admit(1, 2, at(600)));
        assert!(!windows.admit(1, 2, at(999)) && windows.admit(2, 2, at(999)));
        assert!(windows.admit(1, 2, at(1000)), "the first one has left the window");
        assert!(!windows.admit(1, 2, at(1599)) && windows.admit(1, 2, at(1600)));
    }
}
