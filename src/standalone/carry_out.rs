//! Makes the server agree with the files, by the very rounds of the controller. What only a status could remember is lost with
//! the run: see `Kept::ForOneRun`.

use super::look::Look;
use super::run_memory::{Deed, RunMemory, Watcher};
use crate::engine::apply::Gate;
use crate::engine::desired::Desired;
use crate::engine::ledger::Ledger;
use crate::engine::mark::MailPatience;
use crate::engine::observe::Unobserved;
use crate::engine::plan::Plan;
use crate::engine::rounds::{Pass, Stop, rounds};
use crate::engine::snapshot::Snapshot;
use crate::label_studio::{Client, Error};
use jiff::SignedDuration;
use std::time::Duration;
use tokio::sync::watch;

/// A roster older than this takes nobody's access away: as long as the controller's.
const FRESH: Duration = Duration::from_secs(60);
/// A run does not come back to what the server refused.
const REFUSED: SignedDuration = SignedDuration::from_hours(24);

pub struct CarriedOut {
    pub desired: Desired,
    pub snapshot: Snapshot,
    /// What is left, and what is held.
    pub plan: Plan,
    pub stands: Ledger,
    pub deeds: Vec<Deed>,
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
        let (plan, stopped) = rounds(&mut pass).await.unwrap_or((Plan::default(), Stop::Doubtful));
        let ending = match stopped {
            Stop::Settled { wait: Some(wait) } => {
                memory.watcher.waits(wait);
                tokio::select! {
                    () = tokio::time::sleep(wait) => continue,
                    _ = stop.wait_for(|stop| *stop) => Ending::Stopped,
                }
            }
            Stop::Settled { wait: None } => Ending::Settled,
            Stop::Preempted => Ending::Stopped,
            Stop::Failed(error) => Ending::Failed(error),
            Stop::Unobserved(error) => Ending::Unobserved(error),
            // The last two are about memory that outlives a run.
            Stop::Doubtful | Stop::TargetChanged(_) | Stop::Falling => Ending::Doubtful,
        };
        let deeds = memory.deeds;
        return CarriedOut { desired, snapshot, plan, stands: ledger, deeds, ending };
    }
}

struct Stopped(watch::Receiver<bool>);

impl Gate for Stopped {
    fn is_open(&self) -> bool {
        !*self.0.borrow()
    }
}
