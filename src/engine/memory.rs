//! What `apply` needs of whoever keeps the memory: the controller stores it in status, the command line has none.
//! Everything here is written *before* the act that it guards.

use super::ledger::Ledger;
use super::plan::{Guest, Plan, Step};
use super::snapshot::Snapshot;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::AtomicBool;

/// By name of the UserInvite, the folded addresses that something is to be done for.
pub type Concerned = BTreeMap<String, BTreeSet<String>>;

pub trait Memory: Send {
    /// The plan that the following calls are about.
    fn begin(&mut self, plan: &Plan);

    /// Before anything is done for these people: the first status of their UserInvite, which knows each of them who was
    /// reached before, then its finalizer.
    fn prepare(&mut self, ledger: &Ledger, concerned: &Concerned)
    -> impl Future<Output = Result<(), Forgotten>> + Send;

    /// Stores the Organization's memory (target, mark, reservation, departures) by compare-and-swap.
    fn remember(&mut self, ledger: &Ledger) -> impl Future<Output = Result<(), Forgotten>> + Send;

    /// Stores the outcome of a mail in the UserInvites of these people at once.
    fn record(&mut self, ledger: &Ledger, guests: &[Guest]) -> impl Future<Output = Result<(), Forgotten>> + Send;

    /// Reads live whether the Organization still stands, as the plan knows it: people leave only while it does, and another
    /// namespace acts only by grants that stand.
    fn stands(&mut self) -> impl Future<Output = Result<bool, Forgotten>> + Send;

    /// While a roster is read there is time to write what has to be written anyway, until there is `enough` of it.
    /// Nothing stands on it.
    fn meanwhile(&mut self, ledger: &Ledger, enough: &AtomicBool) -> impl Future<Output = ()> + Send;

    /// That a step was tried, and what came of it in a word: `done`, `nothing_open`, or `failed`, which may be an answer that was
    /// lost. For whoever counts them; nothing stands on it.
    fn tried(&mut self, _step: &Step, _result: &'static str) {}

    /// Told now and then, so that people can watch a long pass.
    fn progress(
        &mut self,
        ledger: &Ledger,
        snapshot: &Snapshot,
        done: usize,
        total: usize,
    ) -> impl Future<Output = Result<(), Forgotten>> + Send;
}

/// The memory could not be written, so the act that it guards must not happen.
#[derive(Debug, thiserror::Error)]
pub enum Forgotten {
    /// Somebody else wrote the object: read it live and plan again.
    #[error("{0} was changed by somebody else")]
    Changed(String),
    #[error("cannot write the status of {object}: {reason}")]
    Unwritten { object: String, reason: String },
    /// This one object cannot be written; the next plan does without it.
    #[error("cannot write {object}: {reason}")]
    LeftBehind { object: String, reason: String },
}
