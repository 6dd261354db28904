//! The whole of what would be done, before any of it is: for people who read a change before it happens. `rounds` finds some
//! of it out as it goes, such as whether the server shows open invitations; here it is taken as it mostly is. Pure.

use super::approval::use_approval;
use super::desired::Desired;
use super::ledger::Ledger;
use super::outcome;
use super::plan::{Circumstances, Plan, plan};
use super::snapshot::Snapshot;
use crate::resources::seconds;
use jiff::Timestamp;

/// The plan, and where everybody stands before it. What is `approved` is recorded in the ledger as in use.
pub fn preview(
    desired: &Desired,
    snapshot: &Snapshot,
    ledger: &mut Ledger,
    approved: &[String],
    now: Timestamp,
) -> (Plan, Ledger) {
    let circumstances = Circumstances { now: seconds(now), mail_allowed: true, roster_fresh: true };
    // A copy: before the first mail nobody knows it, and until then they go one at a time.
    let mut stands = Ledger { invitations_visible: Some(true), ..ledger.clone() };
    let mut made = plan(desired, snapshot, &stands, circumstances);
    for digest in approved {
        if use_approval(&mut stands, Some(digest), &made.sets, circumstances.now) {
            made = plan(desired, snapshot, &stands, circumstances);
        }
    }
    ledger.approval.clone_from(&stands.approval);
    ledger.earlier_approvals.clone_from(&stands.earlier_approvals);
    outcome::settle(&mut stands, &mut made, &snapshot.target);
    (made, stands)
}
