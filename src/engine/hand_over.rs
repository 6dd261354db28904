//! The people of a UserInvite that is being deleted go to the Organization's list of departures, whole. Pure; decides
//! neither whether nor when anybody leaves.

use super::desired::claim_of;
use super::grants::{ceiling, foreign_namespace, granted};
use super::ledger::{InviteMemory, Ledger};
use super::plan::{is_known_here_alone, is_refused, must_depart};
use super::target::counts;
use crate::resources::{DeletionPolicy, Departure, Grant, Person, PersonState, UserInvite, folded};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeSet;

/// So much room the list of departures may take in status, in bytes of JSON.
const MOST_BYTES: usize = 350_000;

/// False: they do not fit into the list yet. Else the ledger is to be stored before the finalizer goes.
pub fn hand_over(ledger: &mut Ledger, invite: &UserInvite, grants: &[Grant], now: Timestamp) -> bool {
    if !is_of_this_target(ledger, grants, &invite.key()) {
        return true;
    }
    let departure = departure(invite, ledger, grants, now);
    record(ledger, departure)
}

/// People of another server are not to leave this one. A new Organization takes over the target of what it inherits, so
/// that a server that turns out to be another is noticed; but not from whom it grants nothing.
fn is_of_this_target(ledger: &mut Ledger, grants: &[Grant], name: &str) -> bool {
    let Some(memory) = ledger.invites.get(name) else { return true };
    let Some(remembered) = memory.target.clone() else { return true };
    if !counts(grants, name, memory) {
        return ledger.target.as_ref().is_some_and(|target| target.is_same(&remembered));
    }
    ledger.target.get_or_insert_with(|| remembered.clone()).is_same(&remembered)
}

/// Everybody whom this UserInvite ever reached, and whoever of those it may claim stands in a mark: a mail may be on its way
/// to them.
fn departure(invite: &UserInvite, ledger: &Ledger, grants: &[Grant], now: Timestamp) -> Departure {
    let key = invite.key();
    let memory = ledger.invites.get(&key);
    // Once a grant is withdrawn nobody leaves by what it allowed, and it is asked for again when it is carried out.
    let withdrawn =
        |email: &str| foreign_namespace(&key).is_some_and(|namespace| ceiling(grants, namespace, email).is_err());
    let departs = |email: &str, person: &Person| must_depart(person) && !(is_refused(person) && withdrawn(email));
    let mut users: Vec<Person> = memory
        .map(|m| m.users.iter().filter(|(email, p)| departs(email, p)).map(|(_, p)| Person::clone(p)).collect())
        .unwrap_or_default();
    if let Some(mark) = &ledger.in_flight {
        let known: BTreeSet<String> = users.iter().map(|user| folded(&user.email)).collect();
        let addresses = invite.spec.emails.iter().map(|email| (folded(email), email));
        let claim = claim_of(invite, now);
        let may_be_meant = |email: &String| {
            mark.emails.contains(email) && !known.contains(email) && granted(grants, &claim, email).is_ok()
        };
        for (email, typed) in addresses.filter(|(email, _)| may_be_meant(email)) {
            let remembers = |(name, other): (&String, &InviteMemory)| {
                *name != key && other.users.get(&email).is_some_and(|person| must_depart(person))
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
    Departure { users, policy: invite.spec.deletion_policy, from: key, since: Time(now) }
}

/// By folded address the first record stays, so that a crash between this and the finalizer records nobody twice; but the
/// Organization's own namespace counts before others. False: there is no room.
fn record(ledger: &mut Ledger, mut departure: Departure) -> bool {
    if foreign_namespace(&departure.from).is_none() {
        let own: BTreeSet<String> = departure.users.iter().map(|user| folded(&user.email)).collect();
        for other in ledger.departures.iter_mut().filter(|other| foreign_namespace(&other.from).is_some()) {
            other.users.retain(|user| !own.contains(&folded(&user.email)));
        }
        ledger.departures.retain(|departure| !departure.users.is_empty());
    }
    let known: BTreeSet<String> =
        ledger.departures.iter().flat_map(|d| &d.users).map(|user| folded(&user.email)).collect();
    departure.users.retain(|user| !known.contains(&folded(&user.email)));
    if departure.policy == DeletionPolicy::Retain {
        // A mail may be on its way to somebody, or may be known here alone: until that is settled, and somebody has had the
        // time to claim them.
        let mailed = |user: &Person| ledger.is_marked(&folded(&user.email)) || is_known_here_alone(ledger, user);
        departure.users.retain(mailed);
    }
    if departure.users.is_empty() {
        return true;
    }
    add(ledger, departure)
}

/// False: there is no room.
pub fn add(ledger: &mut Ledger, departure: Departure) -> bool {
    ledger.departures.push(departure);
    let size = serde_json::to_vec(&ledger.departures).map_or(usize::MAX, |json| json.len());
    if size > MOST_BYTES {
        ledger.departures.pop();
        return false;
    }
    true
}
