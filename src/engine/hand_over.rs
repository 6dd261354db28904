//! The people of a UserInvite that is being deleted go to the Organization's list of departures, whole. Pure; decides
//! neither whether nor when anybody leaves.

use super::ledger::{InviteMemory, Ledger};
use super::plan::must_depart;
use crate::resources::{DeletionPolicy, Departure, Person, PersonState, UserInvite, folded};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use std::collections::BTreeSet;

/// So much room the list of departures may take in status, in bytes of JSON.
const MOST_BYTES: usize = 350_000;

/// False: they do not fit into the list yet. Else the ledger is to be stored before the finalizer goes.
pub fn hand_over(ledger: &mut Ledger, invite: &UserInvite, now: Timestamp) -> bool {
    if !is_of_this_target(ledger, &invite.name_any()) {
        return true;
    }
    let departure = departure(invite, ledger, now);
    record(ledger, departure)
}

/// People of another server are not to leave this one. A new Organization takes over the target of what it inherits, so
/// that a server that turns out to be another is noticed.
fn is_of_this_target(ledger: &mut Ledger, name: &str) -> bool {
    let Some(remembered) = ledger.invites.get(name).and_then(|memory| memory.target.clone()) else { return true };
    ledger.target.get_or_insert_with(|| remembered.clone()).is_same(&remembered)
}

/// Everybody whom this UserInvite ever reached, and whoever stands in a mark: a mail may be on its way to them.
fn departure(invite: &UserInvite, ledger: &Ledger, now: Timestamp) -> Departure {
    let memory = ledger.invites.get(&invite.name_any());
    let mut users: Vec<Person> = memory
        .map(|m| m.users.values().filter(|p| must_depart(p)).map(|p| Person::clone(p)).collect())
        .unwrap_or_default();
    if let Some(mark) = &ledger.in_flight {
        let known: BTreeSet<String> = users.iter().map(|user| folded(&user.email)).collect();
        let addresses = invite.spec.emails.iter().map(|email| (folded(email), email));
        for (email, typed) in addresses.filter(|(email, _)| mark.emails.contains(email) && !known.contains(email)) {
            let remembers = |(name, other): (&String, &InviteMemory)| {
                *name != invite.name_any() && other.users.get(&email).is_some_and(|person| must_depart(person))
            };
            if ledger.invites.iter().any(remembers) {
                continue;
            }
            let mut person = Person::new(typed, PersonState::Leaving);
            person.invited_at = Some(mark.started_at.clone());
            users.push(person);
        }
    }
    for user in &mut users {
        user.state = PersonState::Leaving;
    }
    Departure { users, policy: invite.spec.deletion_policy, from: invite.name_any(), since: Time(now) }
}

/// By folded address the first record stays, so that a crash between this and the finalizer records nobody twice.
/// False: there is no room.
fn record(ledger: &mut Ledger, mut departure: Departure) -> bool {
    let known: BTreeSet<String> =
        ledger.departures.iter().flat_map(|d| &d.users).map(|user| folded(&user.email)).collect();
    departure.users.retain(|user| !known.contains(&folded(&user.email)));
    // A mail may be on its way to somebody who is to be retained: that has to be known until it is settled.
    let marked = departure.users.iter().any(|user| ledger.is_marked(&folded(&user.email)));
    if departure.users.is_empty() || (departure.policy == DeletionPolicy::Retain && !marked) {
        return true;
    }
    ledger.departures.push(departure);
    let size = serde_json::to_vec(&ledger.departures).map_or(usize::MAX, |json| json.len());
    if size > MOST_BYTES {
        ledger.departures.pop();
        return false;
    }
    true
}
