//! Instants on a clock that runs on while the machine sleeps. Deadlines that other machines rely on (a lease, a mark
//! before a mail) are kept on it. It must not be used for anything that is shown to people: it has no date.

use std::ops::{Add, Sub};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

// On Linux the monotonic clock stands still during sleep; elsewhere it is the one that does not.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// An instant on `CLOCK_BOOTTIME`. Comparable within one boot of one machine only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boottime(Duration);

impl Boottime {
    /// No boot lasts until then.
    pub const NEVER: Self = Self(Duration::MAX);

    pub fn now() -> Self {
        let time = clock_gettime(CLOCK);
        Self(Duration::new(
            u64::try_from(time.tv_sec).unwrap_or_default(),
            u32::try_from(time.tv_nsec).unwrap_or_default(),
        ))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The same under the name that `std::time::Instant` uses.
    pub fn duration_since(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// How long ago this was; zero if it is still to come.
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}

impl Add<Duration> for Boottime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub<Duration> for Boottime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_forward_and_differences_never_go_below_zero() {
        let then = Boottime::now();
        let later = then + Duration::from_secs(5);
        assert!(later > then);
        assert_eq!(later.duration_since(then), Duration::from_secs(5));
        assert_eq!(then.saturating_duration_since(later), Duration::ZERO);
        assert!(Boottime::now() >= then);
    }
}
