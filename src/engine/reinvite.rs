//! The annotation `labelstudio.rs/reinvite`: a person wants somebody invited anew who would not be, since the mail before is
//! unconfirmed, the person left, or the invitation was revoked or expired. Acted on once: the value handled is stored before
//! the mail. Pure.

use super::desired::{Desired, Invite};
use super::ledger::{InviteMemory, Ledger};
use crate::resources::{HeldReason, PersonState, REINVITE_ANNOTATION, folded};
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many addresses one message names.
const MOST_NAMED: usize = 3;

/// Releases those whom the annotations name. Whom that does not help is noted in `passing`, for people to be told.
/// Where nothing is written, an annotation waits until something is.
pub fn release_reinvited(desired: &Desired, ledger: &mut Ledger) {
    if desired.observes_only {
        return;
    }
    let marked: BTreeSet<String> = ledger.in_flight.iter().flat_map(|mark| &mark.emails).cloned().collect();
    for invite in desired.invites.iter().filter(|invite| invite.is_named()) {
        let memory = ledger.invites.entry(invite.name.clone()).or_default();
        let Some(value) = invite.reinvite.as_ref() else { continue };
        if memory.last_handled_reinvite.as_ref() == Some(value) {
            continue;
        }
        memory.last_handled_reinvite = Some(value.clone());
        let named = named(value);
        let unknown = named.iter().filter(|email| !memory.users.contains_key(*email)).cloned();
        let unknown: Vec<String> = unknown.collect();
        let elsewhere = |email: &String| ledger.remembered_elsewhere(&invite.name, email).is_some();
        let moving: BTreeSet<String> = unknown.into_iter().filter(elsewhere).collect();
        let memory = ledger.invites.entry(invite.name.clone()).or_default();
        let unheeded = release(invite, memory, &named, &marked, &moving);
        if !unheeded.is_empty() {
            let message = format!(
                "{REINVITE_ANNOTATION}: {}; only who is Left, Revoked, InviteExpired or InviteUnconfirmed is invited anew",
                summary(&unheeded)
            );
            ledger.passing.unheeded.insert(invite.name.clone(), message);
        }
    }
}

/// What follows a blank only makes the value new.
fn named(value: &str) -> BTreeSet<String> {
    let named = value.split_whitespace().next().unwrap_or_default();
    named.split(',').map(folded).filter(|email| !email.is_empty()).collect()
}

/// Who is named in vain, and why. `marked`: a mail may be under way; `moving`: another UserInvite remembers them still.
fn release(
    invite: &Invite,
    memory: &mut InviteMemory,
    named: &BTreeSet<String>,
    marked: &BTreeSet<String>,
    moving: &BTreeSet<String>,
) -> Vec<String> {
    if named.is_empty() {
        return vec!["names nobody".to_owned()];
    }
    let mut unheeded = Vec::new();
    for email in named.iter().filter(|email| *email != "*") {
        let state = memory.users.get(email).map(|person| person.state);
        if !invite.emails.contains_key(email) {
            unheeded.push(format!("{email} is not in spec.emails"));
        } else if marked.contains(email) {
            unheeded.push(format!("a mail to {email} may be on its way"));
        } else if moving.contains(email) {
            unheeded.push(format!("{email} is being taken over from another UserInvite, annotate anew"));
        } else if let Some(state) = state.filter(|_| !release_one(memory, email)) {
            unheeded.push(format!("{email} is {state:?}"));
        }
        // Whom nobody knows yet is invited anyway.
    }
    if named.contains("*") {
        let everybody = invite.emails.keys().filter(|email| !marked.contains(*email));
        let released = everybody.filter(|email| release_one(memory, email)).count();
        if released == 0 && named.len() == 1 {
            unheeded.push("nobody of this UserInvite needs it".to_owned());
        }
    }
    unheeded
}

/// False: this person is in no such state.
fn release_one(memory: &mut InviteMemory, email: &str) -> bool {
    let Some(person) = memory.users.get_mut(email) else { return false };
    if person.state == PersonState::InviteExpired {
        let person = Arc::make_mut(person);
        person.attempts = Some(0);
        person.reason = None;
        person.message = None;
        return true;
    }
    let releases = person.is_held_for(HeldReason::InviteUnconfirmed)
        || matches!(person.state, PersonState::Left | PersonState::Revoked);
    if releases {
        // A new one then, if the roster agrees.
        memory.users.remove(email);
    }
    releases
}

fn summary(unheeded: &[String]) -> String {
    let more = unheeded.len().saturating_sub(MOST_NAMED);
    let named = unheeded.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join("; ");
    if more > 0 { format!("{named}; and {more} more") } else { named }
}
