//! What a task keeps from pass to pass, and when the next one is due. Decides nothing.

use super::objects::Objects;
use super::publish::Told;
use super::server::Session;
use super::task::OrganizationKey;
use super::{connect, credentials, invite_link, signup_lock};
use crate::engine::ledger::Passing;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::Instant;

/// When the next pass is due, unless somebody wakes the task.
#[derive(Debug)]
pub enum Next {
    After(Duration),
    WhenWoken,
    /// Nobody refers to this Organization any more, or another operator acts for it.
    Never,
}

impl Next {
    /// As it is once everybody was told; until then, again at once.
    pub fn once(self, told: Told) -> Self {
        match told {
            Told::Everything => self,
            Told::Part => Self::After(Duration::ZERO),
        }
    }

    /// At the latest then, if that is said.
    pub fn within(self, latest: Option<Duration>) -> Self {
        match (self, latest) {
            (Self::After(duration), Some(latest)) => Self::After(duration.min(latest)),
            (Self::WhenWoken, Some(latest)) => Self::After(latest),
            (next, _) => next,
        }
    }
}

/// What a task keeps from pass to pass. Losing it costs a read of the roster.
pub struct State {
    pub key: OrganizationKey,
    pub wake: channel::Sender<u64>,
    pub objects: Option<Objects>,
    pub references: credentials::References,
    pub first_account: connect::Refused,
    pub session: Session,
    pub lock: signup_lock::Kept,
    pub link: invite_link::Kept,
    pub passing: Passing,
    pub conflicts: u32,
    /// The last pass ended when the roster was there, for what had happened meanwhile.
    pub overtaken: bool,
    /// The Organization, by its uid, whose departures were told to end undone.
    pub undone: Option<String>,
    /// Nobody else can have written what the cache does not hold: it was compared, or there is nobody else.
    pub taken_over: bool,
    /// Since when the Organization is known to be ours without a mark that somebody else may still settle.
    pub unmarked_since: Option<Instant>,
    /// What came of the last pass, in a word for the figures.
    pub result: &'static str,
}

impl State {
    pub fn new(key: OrganizationKey, wake: channel::Sender<u64>) -> Self {
        Self {
            key,
            wake,
            objects: None,
            references: credentials::References::default(),
            first_account: connect::Refused::default(),
            session: Session::default(),
            lock: signup_lock::Kept::default(),
            link: invite_link::Kept::default(),
            passing: Passing::default(),
            conflicts: 0,
            overtaken: false,
            undone: None,
            taken_over: false,
            unmarked_since: None,
            result: "",
        }
    }
}
