//! The whole of what would be done, before any of it is: for people who read a change before it happens. `rounds` finds some
//! of it out as it goes, such as whether the server shows open invitations; here it is taken as it mostly is. Pure.

use super::approval::use_approval;
use super::desired::Desired;
use super::ledger::Ledger;
use super::outcome;
use super::plan::{Action, Cause, Circumstances, Plan, Step, plan};
use super::snapshot::Snapshot;
use crate::resources::seconds;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Workspaces that one UserInvite may name: a person is added to one after the other.
const MOST_FURTHER: usize = 20;

/// The plan, with what only follows from its own steps, and where everybody stands before it. What is `approved` is recorded in
/// the ledger as in use.
pub fn preview(
    desired: &Desired,
    snapshot: &Snapshot,
    ledger: &mut Ledger,
    approved: &[String],
    now: Timestamp,
) -> (Plan, Ledger) {
    let circumstances = Circumstances { now: seconds(now), mail_allowed: true, roster_fresh: true };
    // A copy: before the first mail nobody knows it, and until then they go one at a time.
    let shows = ledger.invitations_visible.or(Some(true));
    let mut stands = Ledger { invitations_visible: shows, ..ledger.clone() };
    let mut made = plan(desired, snapshot, &stands, circumstances);
    for digest in approved {
        if use_approval(&mut stands, Some(digest), &made.sets, circumstances.now) {
            made = plan(desired, snapshot, &stands, circumstances);
        }
    }
    ledger.approval.clone_from(&stands.approval);
    ledger.earlier_approvals.clone_from(&stands.earlier_approvals);
    let further = further(desired, snapshot, &stands, &made, circumstances);
    made.steps.extend(further);
    outcome::settle(&mut stands, &mut made, &snapshot.target);
    (made, stands)
}

/// A member gets the role first, and comes into one workspace after the other.
fn further(
    desired: &Desired,
    snapshot: &Snapshot,
    stands: &Ledger,
    made: &Plan,
    circumstances: Circumstances,
) -> Vec<Step> {
    let names_places = |step: &&Step| match &step.cause {
        Cause::Invite(key) => desired.invite(key).is_some_and(|invite| !invite.workspaces.is_empty()),
        _ => false,
    };
    let mut done: Vec<Step> =
        made.steps.iter().filter(names_places).filter(|step| is_of_a_member(step)).cloned().collect();
    let mut further = Vec::new();
    if done.is_empty() {
        return further;
    }
    let (mut snapshot, mut ledger) = (snapshot.clone(), stands.clone());
    let mut known: BTreeSet<(i64, i64)> = done.iter().filter_map(place).collect();
    for _ in 0..MOST_FURTHER {
        for step in &done {
            outcome::succeeded(&mut ledger, &mut snapshot, &step.action);
        }
        let next = plan(desired, &snapshot, &ledger, circumstances).steps;
        done = next.into_iter().filter(|step| place(step).is_some_and(|place| known.insert(place))).collect();
        if done.is_empty() {
            break;
        }
        further.extend(done.iter().cloned());
    }
    further
}

/// Who comes into which workspace.
fn place(step: &Step) -> Option<(i64, i64)> {
    match &step.action {
        Action::AddToWorkspace { user_id, workspace, .. } => Some((*user_id, *workspace)),
        _ => None,
    }
}

fn is_of_a_member(step: &Step) -> bool {
    matches!(step.action, Action::SetRole { .. } | Action::AddToWorkspace { .. })
}
