//! What this process is up to, for those who look at it from outside: its turn, what it waits for, and while it leads,
//! everything that its tasks share.

use super::Context;
use super::task::Tasks;
use super::watch::Watched;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by whoever changes it and the pages that show it.
pub struct Station {
    phase: Mutex<Phase>,
}

pub enum Phase {
    /// Something has to come first; what.
    Waiting(String),
    /// Another replica leads.
    StandingBy,
    Leading(Arc<Context>, Tasks),
}

impl Station {
    pub fn new() -> Self {
        Self { phase: Mutex::new(Phase::Waiting("starting".to_owned())) }
    }

    pub fn enter(&self, phase: Phase) {
        *self.lock() = phase;
    }

    pub fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page that says it, or why not. A namespace that cannot be listed is named, and keeps nobody from being ready: the
    /// others go on without it.
    pub fn readiness(&self) -> Result<String, String> {
        match &*self.lock() {
            Phase::Waiting(what) => Err(format!("{what}\n")),
            Phase::StandingBy => Ok("standing by: another replica leads\n".to_owned()),
            Phase::Leading(context, _) => readiness(&context.watched),
        }
    }
}

fn readiness(watched: &[Watched]) -> Result<String, String> {
    let mut lines = Vec::new();
    let (mut waits, mut works) = (false, false);
    for watched in watched {
        let lacks = match (watched.is_refused(), watched.is_left_out()) {
            (true, _) => "cannot be listed, it does not exist or the right is missing",
            (false, false) => {
                works = true;
                continue;
            }
            (false, true) => {
                waits = true;
                "not listed yet"
            }
        };
        let name = match watched.name() {
            "" => "all namespaces".to_owned(),
            name => format!("namespace {name:?}"),
        };
        lines.push(format!("{name}: {lacks}\n"));
    }
    if works && !waits { Ok(lines.concat() + "ready\n") } else { Err(lines.concat()) }
}
