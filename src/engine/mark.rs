//! The mark of a mail: what it still forbids, and when it is settled. Pure; clocks are arguments.
//!
//! No mail leaves without a mark. An address found in a mark whose request's end nobody knows is sent again only
//! if the request can no longer be under way, a complete roster read begun after that lacks it, and this server has
//! shown an open invitation before; else it is held as unconfirmed and a person decides.

use super::ledger::{Ledger, MarkSeen};
use super::outcome::{self, forget_revocation, people_mut};
use super::plan::must_depart;
use super::snapshot::{Snapshot, is_invited};
use crate::label_studio::{Boottime, Member};
use crate::resources::{DeletionPolicy, Departure, HeldReason, InFlight, Person, PersonState};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// How long a request of unknown end may still be under way.
#[derive(Clone, Copy, Debug)]
pub struct MailPatience {
    /// Whole-request timeout of the mail.
    pub timeout: Duration,
    /// What the server may take longer than we wait.
    pub settle: Duration,
}

/// What the mark means now.
#[derive(Clone, Debug, PartialEq)]
pub enum MarkVerdict {
    /// No mark, or each of its addresses has its outcome: nothing stands in the way of the next mail.
    Settled,
    /// A roster that begins now settles it.
    LookNow,
    /// Wait that long, then look.
    Wait(Duration),
}

/// Notes by our own clock when we first saw the mark that stands.
pub fn notice_mark(ledger: &mut Ledger, now: Boottime) {
    let Some(mark) = &ledger.in_flight else {
        ledger.passing.mark = None;
        return;
    };
    if ledger.passing.mark.as_ref().is_none_or(|seen| seen.id != mark.id) {
        ledger.passing.mark = Some(MarkSeen { id: mark.id.clone(), at: now, ended: None, refused: false });
    }
}

/// Gives each address of the mark its outcome, as far as `snapshot` tells it, and says what is left to wait for.
/// When it says `Settled`, the outcomes are in the ledger and the mark may be replaced once they are stored.
pub fn settle_mark(
    ledger: &mut Ledger,
    claimant: impl Fn(&str) -> Option<(String, String)>,
    snapshot: &Snapshot,
    patience: MailPatience,
    now: Timestamp,
    clock: Boottime,
) -> MarkVerdict {
    let (Some(mark), Some(seen)) = (ledger.in_flight.clone(), ledger.passing.mark.clone()) else {
        return MarkVerdict::Settled;
    };
    let safe = seen.ended.unwrap_or(seen.at + patience.timeout + patience.settle);
    let roster_tells = snapshot.begun > safe;
    let mut open = false;
    for email in &mark.emails {
        let known = claimant(email).filter(|(invite, _)| has_outcome(ledger, invite, email, &mark));
        if known.is_some() {
            continue;
        }
        // A row may be the old invitation that this mail was to replace: then only a later roster tells.
        let replaces = was_invited_before(ledger, claimant(email), email, &mark.started_at)
            || ledger.passing.revoked.contains_key(email);
        let row = snapshot.member(email).map(|row| (row, is_an_old_one(row, &mark)));
        if let Some((_, old)) = row.filter(|(_, old)| roster_tells || !(replaces || *old)) {
            if !old {
                was_sent(ledger, claimant(email), email, &mark, now);
            }
            // Else it is as before the mark: the next plan replaces it.
        } else if roster_tells && snapshot.proves_absent(email) && ledger.invitations_visible == Some(true) {
            never_sent(ledger, email, &mark.started_at);
            if !seen.refused {
                outcome::not_sent(ledger, email, &mark, now);
            }
        } else if roster_tells && (ledger.invitations_visible != Some(true) || snapshot.may_hide()) {
            // No roster to come will tell either.
            unconfirmed(ledger, claimant(email), email, &mark.started_at, now);
        } else {
            open = true;
        }
    }
    if !open {
        MarkVerdict::Settled
    } else if clock > safe {
        MarkVerdict::LookNow
    } else {
        MarkVerdict::Wait(safe.saturating_duration_since(clock) + Duration::from_millis(10))
    }
}

/// Recorded after the mark: invited, refused, or held as unconfirmed since.
fn has_outcome(ledger: &Ledger, invite: &str, email: &str, mark: &InFlight) -> bool {
    let marked = &mark.started_at;
    ledger.person(invite, email).is_some_and(|person| {
        // Times have whole seconds: the role tells an earlier mail of the same second from this one.
        let this_one = mark.role.is_none() || person.role == mark.role;
        let at = this_one && person.invited_at.as_ref().is_some_and(|at| at >= marked);
        let said = person.since.as_ref().is_some_and(|since| since >= marked)
            && (person.state == PersonState::Failed || person.is_held_for(HeldReason::InviteUnconfirmed));
        at || said
    })
}

/// After a move another manifest may still be the one that remembers.
fn was_invited_before(ledger: &Ledger, claim: Option<(String, String)>, email: &str, marked: &Time) -> bool {
    let (invite, _) = claim.unwrap_or_default();
    let known = ledger.person(&invite, email).into_iter().chain(ledger.remembered_elsewhere(&invite, email));
    known.filter_map(|person| person.invited_at.as_ref()).any(|at| at < marked)
}

/// Whether the server lists an invitation that this mail was to replace, by its own time of it.
fn is_an_old_one(row: &Member, mark: &InFlight) -> bool {
    let newest = mark.replaces.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
    is_invited(row) && row.invited_at.zip(newest).is_some_and(|(at, newest)| at <= newest)
}

/// An earlier invitation was revoked for this mail, so the person is a new one, whoever remembers.
fn never_sent(ledger: &mut Ledger, email: &str, marked: &Time) {
    for person in people_mut(ledger, email) {
        if person.invited_at.as_ref().is_some_and(|at| at < marked) {
            person.invited_at = None;
        }
    }
}

fn was_sent(ledger: &mut Ledger, claim: Option<(String, String)>, email: &str, mark: &InFlight, now: Timestamp) {
    forget_revocation(ledger, email);
    record(ledger, claim, email, &mark.started_at, now, |person| {
        person.role = mark.role.clone().or(person.role.take());
        person.attempts = Some(person.attempts.unwrap_or_default().saturating_add(1));
        person.state = PersonState::Invited;
        person.reason = None;
        person.message = None;
    });
}

fn unconfirmed(ledger: &mut Ledger, claim: Option<(String, String)>, email: &str, at: &Time, now: Timestamp) {
    record(ledger, claim, email, at, now, |person| {
        person.state = PersonState::Held;
        person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
        person.message = Some(
            "a mail may have been sent and this server does not show it: ask the person, then annotate the UserInvite \
             with labelstudio.rs/reinvite=<address>"
                .to_owned(),
        );
        person.invited_at = None;
    });
}

/// Whom nobody claims any more departs: an invitation that may be open must not survive its manifest by accident.
fn record(
    ledger: &mut Ledger,
    claim: Option<(String, String)>,
    email: &str,
    at: &Time,
    now: Timestamp,
    change: impl FnOnce(&mut Person),
) {
    let sent = |person: &mut Person| {
        person.invited_at = Some(at.clone());
        person.since = Some(Time(now));
        change(person);
    };
    if let Some((invite, typed)) = claim {
        ledger.edit(&invite, email, || Person::new(&typed, PersonState::Inviting), sent);
        return;
    }
    let mut known = false;
    for person in people_mut(ledger, email).filter(|person| must_depart(person) || person.reason.is_none()) {
        known = true;
        person.invited_at.get_or_insert_with(|| at.clone());
        person.state = PersonState::Leaving;
    }
    if !known {
        let mut person = Person::new(email, PersonState::Leaving);
        sent(&mut person);
        person.invited_at = Some(at.clone());
        person.state = PersonState::Leaving;
        person.reason = None;
        person.message = None;
        let policy = DeletionPolicy::Deactivate;
        ledger.departures.push(Departure { users: vec![person], policy, from: String::new(), since: Time(now) });
    }
}
