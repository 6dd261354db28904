//! Makes the server agree with the files, by the very rounds of the controller. What only a status could remember is lost with
//! the run: see `Kept::ForOneRun`.

use super::look::Look;
use super::run_memory::{RunMemory, Watcher};
use crate::engine::apply::Gate;
use crate::engine::ledger::Ledger;
use crate::engine::mark::MailPatience;
use crate::engine::observe::Unobserved;
use crate::engine::plan::{Plan, Step};
use crate::engine::preview::preview;
use crate::engine::rounds::{Pass, Stop, rounds};
use crate::label_studio::{Client, Error};
use crate::resources::PersonState;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::sync::watch;

/// A roster older than this takes nobody's access away: as long as the controller's.
const FRESH: Duration = Duration::from_secs(60);
/// A run does not come back to what the server refused.
const REFUSED: SignedDuration = SignedDuration::from_hours(24);

pub struct CarriedOut {
    /// What stands now, and what is still to be done.
    pub left: Look,
    /// Addresses of a mail whose answer was lost, and of which nothing more is known.
    pub unknown: Vec<String>,
    /// The server lists no open invitations, as was found out by sending one.
    pub hides: bool,
    /// What the server took.
    pub deeds: Vec<Step>,
    pub ending: Ending,
}

pub enum Ending {
    /// Nothing is left that can be done now.
    Settled,
    /// Somebody stopped it: what was in flight ended.
    Stopped,
    /// The roster cannot be trusted, or looking at it again and again led to nothing.
    Doubtful,
    Failed(Error),
    Unobserved(Unobserved),
}

/// `stop`: true once nothing new is to start.
pub async fn carry_out(
    client: &Client,
    look: Look,
    mail: MailPatience,
    watcher: &mut impl Watcher,
    mut stop: watch::Receiver<bool>,
) -> CarriedOut {
    let Look { desired, mut snapshot, mut ledger, .. } = look;
    let gate = Stopped(stop.clone());
    let mut memory = RunMemory { watcher, deeds: Vec::new() };
    loop {
        let mut pass = Pass {
            client,
            desired: &desired,
            approve: None,
            snapshot: &mut snapshot,
            ledger: &mut ledger,
            memory: &mut memory,
            gate: &gate,
            mail,
            refusal: REFUSED,
            fresh: FRESH,
        };
        // A memory that stores nothing fails at nothing.
        let (_, stopped) = rounds(&mut pass).await.unwrap_or((Plan::default(), Stop::Doubtful));
        let ending = match stopped {
            Stop::Settled { wait: Some(wait) } => {
                memory.watcher.waits(wait);
                tokio::select! {
                    () = tokio::time::sleep(wait) => continue,
                    _ = stop.wait_for(|stop| *stop) => Ending::Stopped,
                }
            }
            Stop::Settled { wait: None } => Ending::Settled,
            // It never is whole, and nothing more can be done by it: that is held.
            Stop::Doubtful if snapshot.may_hide() => Ending::Settled,
            Stop::Preempted => Ending::Stopped,
            Stop::Failed(error) => Ending::Failed(error),
            Stop::Unobserved(error) => Ending::Unobserved(error),
            // The last two are about memory that outlives a run.
            Stop::Doubtful | Stop::TargetChanged(_) | Stop::Falling => Ending::Doubtful,
        };
        let deeds = memory.deeds;
        let (unknown, hides) = (unknown(&ledger), ledger.invitations_visible == Some(false));
        let (plan, stands) = preview(&desired, &snapshot, &mut ledger, &[], Timestamp::now());
        let left = Look { desired, snapshot, ledger, plan, stands };
        return CarriedOut { left, unknown, hides, deeds, ending };
    }
}

/// Marked, and without an outcome of their own.
fn unknown(ledger: &Ledger) -> Vec<String> {
    let known = |email: &str| {
        let entries = ledger.invites.values().filter_map(|memory| memory.users.get(email));
        entries.into_iter().any(|person| person.invited_at.is_some() || person.state == PersonState::Failed)
    };
    let marked = ledger.in_flight.iter().flat_map(|mark| &mark.emails);
    marked.filter(|email| !known(email)).cloned().collect()
}

struct Stopped(watch::Receiver<bool>);

impl Gate for Stopped {
    fn is_open(&self) -> bool {
        !*self.0.borrow()
    }
}
