//! A UserInvite that is being deleted hands its people to the Organization's list of departures, whole, by
//! compare-and-swap; then its finalizer goes at once. Never blocked by a bad spec, a missing Secret, a dead server or
//! `suspend`; whether and when anybody leaves is decided later.

use super::Context;
use super::objects::Objects;
use super::publish::remember;
use super::status::{InviteSituation, invite_status};
use crate::engine::ledger::{InviteMemory, Ledger};
use crate::engine::memory::Forgotten;
use crate::engine::plan::must_depart;
use crate::resources::{DeletionPolicy, Departure, Mode, Person, PersonState, UserInvite, folded, seconds};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use std::collections::BTreeSet;

/// So much room the list of departures may take in status, in bytes of JSON.
const MOST_BYTES: usize = 400_000;

/// What became of the deleted UserInvites.
#[derive(Default)]
pub struct HandedOver {
    /// Names of those whose people do not fit into the list yet.
    pub waiting: Vec<String>,
}

pub async fn hand_over(context: &Context, objects: &mut Objects, ledger: &mut Ledger) -> Result<HandedOver, Forgotten> {
    let dying = objects.dying();
    let mut handed = HandedOver::default();
    if dying.is_empty() {
        return Ok(handed);
    }
    let stands = objects.stands().await?;
    let observes = objects.organization.as_ref().is_none_or(|o| o.spec.mode == Mode::Observe);
    let mut done = Vec::new();
    for invite in dying {
        let name = invite.name_any();
        // Everything goes at once: a GitOps tool prunes all, a namespace ends. Nobody loses access by that.
        if stands && !observes && is_of_this_target(ledger, &name) {
            let departure = departure(&invite, ledger);
            if !record(ledger, departure) {
                handed.waiting.push(name);
                continue;
            }
        }
        done.push(name);
    }
    if stands {
        // Before any finalizer goes.
        remember(objects, ledger).await?;
    } else {
        for name in &done {
            if let Some(invite) = objects.invites.get(name) {
                let note = "its Organization is gone or going: nobody's access was changed";
                context.events.tell(&**invite, EventType::Normal, "Retained", note).await;
            }
        }
    }
    say_full(objects, ledger, &handed.waiting).await?;
    for name in &done {
        ledger.invites.remove(name);
    }
    objects.remove_finalizers(done).await?;
    Ok(handed)
}

/// People of another server are not to leave this one. A new Organization takes over the target of what it inherits, so
/// that a server that turns out to be another is noticed.
fn is_of_this_target(ledger: &mut Ledger, name: &str) -> bool {
    let Some(remembered) = ledger.invites.get(name).and_then(|memory| memory.target.clone()) else { return true };
    ledger.target.get_or_insert_with(|| remembered.clone()).is_same(&remembered)
}

/// Everybody whom this UserInvite ever reached, and whoever stands in a mark: a mail may be on its way to them.
fn departure(invite: &UserInvite, ledger: &Ledger) -> Departure {
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
    Departure {
        users,
        policy: invite.spec.deletion_policy,
        from: invite.name_any(),
        since: Time(seconds(Timestamp::now())),
    }
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

async fn say_full(objects: &mut Objects, ledger: &Ledger, waiting: &[String]) -> Result<(), Forgotten> {
    let now = seconds(Timestamp::now());
    let statuses = waiting.iter().filter_map(|name| {
        let (invite, memory) = (objects.invites.get(name)?, ledger.invites.get(name)?);
        Some((
            name.clone(),
            invite_status(invite, memory, &InviteSituation::DeparturesFull, invite.metadata.generation, now),
        ))
    });
    let statuses = statuses.collect();
    objects.put_invites(statuses).await
}
