//! What the running server and whoever watches it have in common: the state and the journal, each behind its lock.

use crate::journal::{Entry, Journal};
use crate::state::State;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    journal: Mutex<(u64, Journal)>,
    started: Instant,
    log: bool,
}

impl Shared {
    pub(crate) fn new(state: State, log: bool) -> Shared {
        Shared { state: Mutex::new(state), journal: Mutex::default(), started: Instant::now(), log }
    }

    /// A test that panicked while it held the lock must not take the others with it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn journal(&self) -> Journal {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    pub(crate) fn clear_journal(&self) {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).1.clear();
    }

    /// Called under the state's lock, so that the journal's order is the order of effects.
    pub(crate) fn record(&self, mut entry: Entry) {
        let at = self.started.elapsed();
        entry.at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.0 += 1;
        entry.sequence = journal.0;
        if self.log {
            let status = entry.status.map_or_else(|| "---".to_owned(), |s| s.to_string());
            let query = if entry.query.is_empty() { String::new() } else { format!("?{}", entry.query) };
            let fault = entry.fault.as_deref().map_or_else(String::new, |f| format!("  fault {f}"));
            let user = entry.user.as_deref().unwrap_or("-");
            let line =
                format!("{:>9.3}s {status} {:<6} {}{query}  {user}{fault}", at.as_secs_f64(), entry.method, entry.path);
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        journal.1.push(entry);
    }
}
