//! One Organization of the files as the server has it now, or had it when a state was exported, and the whole of what would
//! be done. Writes nothing.

use super::objects::Group;
use crate::engine::desired::{Desired, desired};
use crate::engine::ledger::{Kept, Ledger};
use crate::engine::observe::{Unobserved, observe};
use crate::engine::plan::Plan;
use crate::engine::preview::preview;
use crate::engine::snapshot::Snapshot;
use crate::engine::state::State;
use crate::engine::workspaces::read_workspaces;
use crate::label_studio::Client;
use crate::resources::seconds;
use jiff::Timestamp;
use std::time::Duration;

pub struct Look {
    pub desired: Desired,
    pub snapshot: Snapshot,
    /// What is known before anything is done: nothing but what was approved.
    pub ledger: Ledger,
    pub plan: Plan,
    /// Where everybody stands before it.
    pub stands: Ledger,
}

/// At most `ceil(members / 100) + 4` requests, and one for each workspace that is named. `approved`: digests.
pub async fn look(client: &Client, group: &Group, kept: Kept, approved: &[String]) -> Result<Look, Unobserved> {
    let desired = wanted(group);
    let (mut snapshot, ()) = observe(client, &group.organization.spec, async |_, _| ()).await?;
    read_workspaces(client, &desired, &mut snapshot, Duration::ZERO, || true).await;
    Ok(seen(desired, snapshot, kept, approved))
}

/// By what was exported: nobody is asked.
pub fn look_by_state(state: &State, group: &Group) -> Look {
    let kept = Kept::ForOneRun { first_invitation: false };
    seen(wanted(group), state.snapshot(), kept, &[])
}

fn seen(desired: Desired, snapshot: Snapshot, kept: Kept, approved: &[String]) -> Look {
    let mut ledger = Ledger { kept, ..Ledger::default() };
    let (plan, stands) = preview(&desired, &snapshot, &mut ledger, approved, Timestamp::now());
    Look { desired, snapshot, ledger, plan, stands }
}

fn wanted(group: &Group) -> Desired {
    let mut desired = desired(&group.organization, &group.invites, seconds(Timestamp::now()));
    // Each annotation is to be acted on once, and nobody would remember here that it was.
    desired.invites.iter_mut().for_each(|invite| invite.reinvite = None);
    desired
}
