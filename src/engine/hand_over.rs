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

/// What has to be known of the list again and again while many UserInvites go at once.
pub struct Room {
    /// Folded addresses that stand in it.
    known: BTreeSet<String>,
    /// Of JSON.
    bytes: usize,
}

impl Room {
    pub fn of(ledger: &Ledger) -> Self {
        let users = ledger.departures.iter().flat_map(|departure| &departure.users);
        Self { known: users.map(|user| folded(&user.email)).collect(), bytes: bytes(&ledger.departures) }
    }
}

fn bytes(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

/// False: they do not fit into the list yet. Else the ledger is to be stored before the finalizer goes.
pub fn hand_over(ledger: &mut Ledger, room: &mut Room, invite: &UserInvite, grants: &[Grant], now: Timestamp) -> bool {
    if !is_of_this_target(ledger, grants, &invite.key()) {
        return true;
    }
    let departure = departure(invite, ledger, grants, now);
    record(ledger, room, departure)
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
fn record(ledger: &mut Ledger, room: &mut Room, mut departure: Departure) -> bool {
    let own: BTreeSet<String> = departure.users.iter().map(|user| folded(&user.email)).collect();
    if foreign_namespace(&departure.from).is_none() && !own.is_disjoint(&room.known) {
        for other in ledger.departures.iter_mut().filter(|other| foreign_namespace(&other.from).is_some()) {
            other.users.retain(|user| !own.contains(&folded(&user.email)));
        }
        ledger.departures.retain(|departure| !departure.users.is_empty());
        *room = Room::of(ledger);
    }
    departure.users.retain(|user| !room.known.contains(&folded(&user.email)));
    if departure.policy == DeletionPolicy::Retain {
        // A mail may be on its way to somebody, or may be known here alone: until that is settled, and somebody has had the
        // time to claim them.
        let mailed = |user: &Person| ledger.is_marked(&folded(&user.email)) || is_known_here_alone(ledger, user);
        departure.users.retain(mailed);
    }
    if departure.users.is_empty() {
        return true;
    }
    fit(ledger, room, departure)
}

/// One that is not of a UserInvite that goes. False: there is no room.
pub fn add(ledger: &mut Ledger, departure: Departure) -> bool {
    let mut room = Room::of(ledger);
    fit(ledger, &mut room, departure)
}

fn fit(ledger: &mut Ledger, room: &mut Room, departure: Departure) -> bool {
    // And the comma before it.
    let grown = room.bytes.saturating_add(bytes(&departure)).saturating_add(1);
    if grown > MOST_BYTES {
        return false;
    }
    room.bytes = grown;
    room.known.extend(departure.users.iter().map(|user| folded(&user.email)));
    ledger.departures.push(departure);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure(from: &str, emails: &[String]) -> Departure {
        let users = emails.iter().map(|email| Person::new(email, PersonState::Leaving)).collect();
        Departure {
            users,
            policy: DeletionPolicy::Deactivate,
            from: from.to_owned(),
            since: Time(Timestamp::UNIX_EPOCH),
        }
    }

    fn emails(part: usize) -> Vec<String> {
        (0..500).map(|n| format!("{}{part}-{n:03}@example.com", "x".repeat(200))).collect()
    }

    #[test]
    fn what_is_known_of_the_list_stays_true_however_many_are_recorded() {
        let (mut ledger, mut room) = (Ledger::default(), Room::of(&Ledger::default()));
        assert!(record(&mut ledger, &mut room, departure("team/people", &emails(0)[..300])));
        // The Organization's own namespace takes some of them over, and the rest of the list is as before.
        assert!(record(&mut ledger, &mut room, departure("people", &emails(0)[200..400])));
        assert!(record(&mut ledger, &mut room, departure("again", &emails(0)[350..500])));
        let recorded = |ledger: &Ledger| ledger.departures.iter().map(|gone| gone.users.len()).collect::<Vec<_>>();
        assert_eq!(recorded(&ledger), [200, 200, 100]);
        let truly = Room::of(&ledger);
        assert_eq!(room.known, truly.known);
        // A list that was empty has no comma before its first.
        assert!((truly.bytes..=truly.bytes + 1).contains(&room.bytes), "{} {}", room.bytes, truly.bytes);
        assert!((1..9).any(|part| !record(&mut ledger, &mut room, departure("more", &emails(part)))), "it is full");
        assert!(bytes(&ledger.departures) <= MOST_BYTES && room.bytes <= MOST_BYTES);
        let full = recorded(&ledger);
        assert!(!record(&mut ledger, &mut room, departure("more", &emails(9))));
        assert_eq!(recorded(&ledger), full);
    }
}
