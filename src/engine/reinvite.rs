//! The annotation `labelstudio.rs/reinvite`: a person vouches that an unconfirmed invitation may be sent again.
//! Acted on once: the value handled is stored before the mail. Pure.

use super::desired::Desired;
use super::ledger::Ledger;
use crate::resources::{HeldReason, folded};

/// Forgets the holds that the annotations release. True if something is to be stored.
pub fn release_reinvited(desired: &Desired, ledger: &mut Ledger) -> bool {
    let mut released = false;
    for invite in &desired.invites {
        let memory = ledger.invites.entry(invite.name.clone()).or_default();
        let Some(value) = invite.reinvite.as_ref() else { continue };
        if memory.last_handled_reinvite.as_ref() == Some(value) {
            continue;
        }
        // What follows a blank only makes the value new.
        let named = value.split_whitespace().next().unwrap_or_default();
        let named: Vec<String> = named.split(',').map(folded).collect();
        memory.users.retain(|email, person| {
            let is_named = named.iter().any(|name| name == "*" || name == email);
            !(is_named && person.is_held_for(HeldReason::InviteUnconfirmed))
        });
        memory.last_handled_reinvite = Some(value.clone());
        released = true;
    }
    released
}
