//! Whether this server lists open invitations: an open question of the published contract, answered by looking at
//! the roster after the first mail. Pure.

use super::ledger::Ledger;
use super::snapshot::Snapshot;

/// Learns from a roster. `true` stays true; `false` becomes true once an open invitation is seen.
pub fn learn_visibility(ledger: &mut Ledger, snapshot: &Snapshot) {
    if snapshot.shows_open_invitation() {
        ledger.invitations_visible = Some(true);
    } else if ledger.invitations_visible.is_none() && lacks_a_sent_invitation(ledger, snapshot) {
        ledger.invitations_visible = Some(false);
    }
}

/// The first mail was answered with success and the roster read since is still to come.
pub fn must_look_after_first_mail(ledger: &Ledger, snapshot: &Snapshot) -> bool {
    ledger.invitations_visible.is_none() && ledger.passing.last_mail.is_some_and(|mail| mail > snapshot.begun)
}

fn lacks_a_sent_invitation(ledger: &Ledger, snapshot: &Snapshot) -> bool {
    let roster_is_newer = ledger.passing.last_mail.is_none_or(|mail| mail <= snapshot.begun);
    roster_is_newer
        && ledger
            .invites
            .values()
            .flat_map(|memory| &memory.users)
            .any(|(email, person)| person.state == crate::resources::PersonState::Invited && snapshot.lacks(email))
}
