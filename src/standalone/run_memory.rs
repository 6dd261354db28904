//! The memory of one run: nothing outlives it, so nothing is stored. It tells whoever watches what was tried.

use crate::engine::ledger::Ledger;
use crate::engine::memory::{Concerned, Forgotten, Memory};
use crate::engine::plan::{Guest, Plan, Step};
use crate::engine::snapshot::Snapshot;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Is told how a run comes along.
pub trait Watcher: Send {
    /// One write was tried; `taken`: the server took it.
    fn tried(&mut self, step: &Step, taken: bool);
    /// The answer to a mail was lost, so nothing can be said of it for so long.
    fn waits(&mut self, how_long: Duration);
}

pub struct RunMemory<'a, W> {
    pub watcher: &'a mut W,
    /// What the server took.
    pub deeds: Vec<Step>,
}

impl<W: Watcher> Memory for RunMemory<'_, W> {
    fn begin(&mut self, _: &Plan) {}

    async fn prepare(&mut self, _: &Ledger, _: &Concerned) -> Result<(), Forgotten> {
        Ok(())
    }

    async fn remember(&mut self, _: &Ledger) -> Result<(), Forgotten> {
        Ok(())
    }

    async fn record(&mut self, _: &Ledger, _: &[Guest]) -> Result<(), Forgotten> {
        Ok(())
    }

    /// The files were read once, and stand.
    async fn stands(&mut self) -> Result<bool, Forgotten> {
        Ok(true)
    }

    async fn meanwhile(&mut self, _: &Ledger, _: &AtomicBool) {}

    fn tried(&mut self, step: &Step, result: &'static str) {
        let taken = result == "done";
        if taken {
            self.deeds.push(step.clone());
        }
        self.watcher.tried(step, taken);
    }

    async fn progress(&mut self, _: &Ledger, _: &Snapshot, _: usize, _: usize) -> Result<(), Forgotten> {
        Ok(())
    }
}
