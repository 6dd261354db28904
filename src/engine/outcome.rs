//! What became of it: folds verdicts and answers into memory and snapshot, from which status is computed.

use super::ledger::{Asked, DAY, Ledger, Passing, Refusal};
use super::plan::{Action, Guest, MOST_MESSAGE, Plan, WINDOW, at_most};
use super::snapshot::{Snapshot, has_access, is_invited};
use crate::label_studio::{Boottime, Role};
use crate::resources::{HeldReason, InFlight, Person, PersonState, RemovalBucket, Target, folded, later};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;

/// Records where everybody stands for whom nothing has to be done. The entries move out of the plan: of ten thousand
/// people one copy is enough.
pub fn settle(ledger: &mut Ledger, plan: &mut Plan, target: &Target) {
    for name in plan.pending.keys() {
        ledger.invites.entry(name.clone()).or_default().target = Some(target.clone());
    }
    for (name, people) in std::mem::take(&mut plan.people) {
        let memory = ledger.invites.entry(name).or_default();
        for (email, person) in people {
            match person {
                Some(person) => memory.users.insert(email, person),
                None => memory.users.remove(&email),
            };
        }
    }
    for departure in &mut ledger.departures {
        departure.users.retain_mut(|person| match plan.departing.get(&folded(&person.email)) {
            Some(Some(now)) => {
                *person = now.clone();
                true
            }
            Some(None) => false,
            None => true,
        });
    }
    ledger.departures.retain(|departure| !departure.users.is_empty());
}

/// So often the mail to one address fails before it is left for a while.
const MOST_UNSENT: u32 = 2;
/// For how long at first; twice as long each time, up to a day.
const UNSENT_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// A roster tells that the mail of this mark did not reach the address: perhaps it is the one at which the server fails. It
/// goes alone and last from now on, and after a few times it is left for a while, so that the others do not wait for it.
pub fn not_sent(ledger: &mut Ledger, email: &str, mark: &InFlight, now: Timestamp) {
    let (last, times) = ledger.passing.unsent.entry(email.to_owned()).or_default();
    if *last == mark.id {
        return;
    }
    last.clone_from(&mark.id);
    *times += 1;
    let times = *times;
    ledger.passing.batch_limits.insert(email.to_owned(), 1);
    if let Some(role) = mark.role.as_ref().filter(|_| times >= MOST_UNSENT) {
        let wait = UNSENT_AGAIN * 2_i32.pow((times - MOST_UNSENT).min(7));
        let message =
            format!("the server failed {times} times at the mail to this address; the next try is in {wait:#}");
        refused(ledger, email, &format!("invite {role}"), HeldReason::Failed, message, now + wait);
    }
}

/// A write that the server confirmed.
pub fn succeeded(ledger: &mut Ledger, snapshot: &mut Snapshot, action: &Action) {
    for email in action.emails() {
        // Done: it stays counted, and the note that it is counted goes.
        ledger.passing.reserved.remove(email);
        ledger.passing.failures.remove(&(email.to_owned(), action.verb()));
    }
    if action.frees_a_seat() {
        note_freed_early(ledger, action);
    }
    match action {
        Action::SetTitle { to, .. } => {
            snapshot.title.clone_from(to);
            note_declared(ledger, action);
        }
        Action::SetDefaultRole { to, .. } => {
            snapshot.default_role = Some(to.clone());
            note_declared(ledger, action);
        }
        Action::SetRole { user_id, email, to, .. } => {
            snapshot.fold_role(email, *user_id, to);
            ledger.passing.set.insert((email.clone(), *user_id), (to.clone(), Boottime::now()));
        }
        Action::Remove { user_id, email, .. } => snapshot.fold_removal(email, *user_id),
        Action::Revoke { email, .. } => {
            ledger.passing.revoked.insert(email.clone(), Asked::now(snapshot.member(email)));
            snapshot.fold_revocation(email);
            ledger.passing.nothing_open.remove(email);
            for person in people_mut(ledger, email) {
                person.invited_at = None;
                if person.is_held_for(HeldReason::InviteUnconfirmed) {
                    person.reason = None;
                    person.message = None;
                }
            }
        }
        Action::AddToWorkspace { user_id, workspace, .. } => {
            snapshot.workspaces.fold_member(*workspace, *user_id);
            let rounds = ledger.passing.added.entry((*user_id, *workspace)).or_default();
            rounds.retain(|at| at.elapsed() < DAY);
            rounds.push(Boottime::now());
        }
        Action::Invite { .. } | Action::InviteAnew { .. } => {}
    }
}

/// A mail that the server accepted.
pub fn mailed(ledger: &mut Ledger, snapshot: &mut Snapshot, guests: &[Guest], role: &Role, now: Timestamp) {
    let clock = Boottime::now();
    ledger.passing.last_mail = Some(clock);
    end_request(ledger, clock);
    for Guest { invite, email, typed } in guests {
        snapshot.fold_invitation(email);
        forget_revocation(ledger, email);
        ledger.passing.unsent.remove(email);
        // Only an invitation sent anew, which goes alone, has something to take over.
        let before = (guests.len() == 1).then(|| ledger.remembered_elsewhere(invite, email).cloned()).flatten();
        let new = || before.unwrap_or_else(|| Person::new(typed, PersonState::Invited));
        ledger.edit(invite, email, new, |person| {
            person.state = PersonState::Invited;
            person.role = Some(role.to_string());
            person.attempts = Some(person.attempts.unwrap_or_default().saturating_add(1));
            person.invited_at = Some(Time(now));
            person.user_id = None;
            person.since = Some(Time(now));
            person.reason = None;
            person.message = None;
        });
    }
}

/// A new mail went out: what was found out when an earlier invitation was revoked says nothing of this one.
pub fn forget_revocation(ledger: &mut Ledger, email: &str) {
    ledger.passing.revoked.remove(email);
    ledger.passing.nothing_open.remove(email);
}

/// An invitation that could not be replaced since none was found open; whether one is, nobody knows.
pub fn unconfirmed(ledger: &mut Ledger, guest: &Guest, now: Timestamp) {
    let Guest { invite, email, typed } = guest;
    ledger.edit(invite, email, || Person::new(typed, PersonState::Held), |person| {
        person.state = PersonState::Held;
        person.invited_at = None;
        person.since = Some(Time(now));
        person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
        person.message = Some("the role was lowered, but no open invitation was found to replace: annotate labelstudio.rs/reinvite=<address> to send one".to_owned());
    });
}

/// The server refused a write: it is not repeated before `until`.
pub fn refused(ledger: &mut Ledger, email: &str, verb: &str, reason: HeldReason, message: String, until: Timestamp) {
    ledger.passing.refusals.insert((email.to_owned(), verb.to_owned()), Refusal { reason, message, until });
}

/// A mail for one address that the server refused: that is its outcome, so the mark may go.
pub fn mail_refused(ledger: &mut Ledger, guest: &Guest, message: &str, now: Timestamp) {
    let Guest { invite, email, typed } = guest;
    ledger.edit(
        invite,
        email,
        || Person::new(typed, PersonState::Failed),
        |person| {
            person.state = PersonState::Failed;
            person.since = Some(Time(now));
            person.reason = Some(HeldReason::Failed.to_string());
            person.message = Some(at_most(message.to_owned(), MOST_MESSAGE));
        },
    );
}

/// A mail for several that the server refused: they go in halves, until the one at which it takes offence stands alone.
pub fn batch_refused(ledger: &mut Ledger, guests: &[Guest], clock: Boottime) {
    for guest in guests {
        ledger.passing.batch_limits.insert(guest.email.clone(), guests.len().div_ceil(2));
    }
    if let Some(seen) = &mut ledger.passing.mark {
        seen.refused = true;
    }
    end_request(ledger, clock);
}

/// The request of the mark that stands ended with an answer.
pub fn end_request(ledger: &mut Ledger, clock: Boottime) {
    if let Some(seen) = &mut ledger.passing.mark {
        seen.ended = Some(clock);
    }
}

/// Counts these people's removals in this hour, before the first of them. Whoever is counted already is not counted
/// twice. True if something is to be stored.
pub fn reserve_removals(ledger: &mut Ledger, emails: &[&str], base: usize, now: Timestamp) -> bool {
    let hour = Time(Timestamp::from_second(now.as_second() - now.as_second().rem_euclid(3600)).unwrap_or(now));
    let new: Vec<&str> = emails.iter().copied().filter(|email| !ledger.passing.reserved.contains_key(*email)).collect();
    ledger.removals.retain(|bucket| now < later(bucket.hour.0, WINDOW));
    let count = i32::try_from(new.len()).unwrap_or(i32::MAX);
    if count == 0 {
        return false;
    }
    if let Some(bucket) = ledger.removals.iter_mut().find(|bucket| bucket.hour == hour) {
        bucket.count = bucket.count.saturating_add(count);
    } else {
        let base = i32::try_from(base).unwrap_or(i32::MAX);
        ledger.removals.push(RemovalBucket { hour: hour.clone(), base, count });
    }
    ledger.removals.sort_by(|a, b| a.hour.cmp(&b.hour));
    ledger.passing.reserved.extend(new.into_iter().map(|email| (email.to_owned(), hour.clone())));
    true
}

/// The removal did not happen: its place in the window is free again.
pub fn release_removal(ledger: &mut Ledger, email: &str) {
    let Some(hour) = ledger.passing.reserved.remove(email) else { return };
    if let Some(bucket) = ledger.removals.iter_mut().find(|bucket| bucket.hour == hour) {
        bucket.count = bucket.count.saturating_sub(1);
    }
    ledger.removals.retain(|bucket| bucket.count > 0);
}

/// The server found nothing to revoke: whether the person has accepted, the next roster tells.
pub fn nothing_open(ledger: &mut Ledger, snapshot: &Snapshot, email: &str) {
    ledger.passing.nothing_open.insert(email.to_owned(), Asked::now(snapshot.member(email)));
}

/// What a new roster settles of what we only noted.
pub fn take_in_roster(ledger: &mut Ledger, snapshot: &Snapshot) {
    // Whoever is invited after that is another one.
    let goes_on = |email: &str, asked: &Asked| {
        let row = snapshot.member(email);
        asked.at >= snapshot.begun || row.is_none_or(|row| is_invited(row) && asked.was_for(row))
    };
    ledger
        .passing
        .revoked
        .retain(|email, asked| goes_on(email, asked) && (asked.at >= snapshot.begun || !snapshot.lacks(email)));
    // Where the server hides invitations nothing but this note says that there is none.
    let shows = ledger.invitations_visible == Some(true);
    ledger.passing.nothing_open.retain(|email, asked| {
        goes_on(email, asked) && (asked.at >= snapshot.begun || !(shows && snapshot.proves_absent(email)))
    });
    note_taken_back(ledger, snapshot);
    // Confirmed or no longer wanted: the count stays, the note goes.
    let counts = |hour: &Time| Timestamp::now() < later(hour.0, WINDOW);
    ledger.passing.reserved.retain(|email, hour| counts(hour) && snapshot.accounts(email).any(has_access));
}

/// As far as the operator saw it; the vendor's rule of old, where a contract names no other (api.md §8).
fn note_freed_early(ledger: &mut Ledger, action: &Action) {
    const EARLY: SignedDuration = SignedDuration::from_hours(7 * 24);
    let now = Timestamp::now();
    for email in action.emails() {
        let taken = people_mut(ledger, email).filter_map(|person| person.seat_since.as_ref()).max().cloned();
        if taken.is_some_and(|since| now < later(since.0, EARLY)) {
            ledger.passing.freed_early.insert(email.to_owned());
        }
    }
}

fn note_declared(ledger: &mut Ledger, action: &Action) {
    let declared = &mut ledger.passing.declared;
    declared.retain(|(known, _)| known.kind() != action.kind());
    declared.push((action.clone(), Boottime::now()));
}

/// A roster that was read after something was set tells whether it stayed.
fn note_taken_back(ledger: &mut Ledger, snapshot: &Snapshot) {
    let Passing { set, declared, taken_back, .. } = &mut ledger.passing;
    let mut note = |email: &str, what: String| {
        let rounds = taken_back.entry((email.to_owned(), what)).or_default();
        rounds.retain(|at| at.elapsed() < DAY);
        rounds.push(Boottime::now());
    };
    declared.retain(|(action, at)| {
        let stands = match action {
            Action::SetTitle { to, .. } => snapshot.title == *to,
            // Where it is not told nobody is known to have changed it.
            Action::SetDefaultRole { to, .. } => snapshot.default_role.as_ref().is_none_or(|role| role == to),
            _ => true,
        };
        if !stands && snapshot.begun > *at {
            note("", action.verb());
        }
        stands || snapshot.begun <= *at
    });
    set.retain(|(email, user_id), (role, at)| {
        if snapshot.begun <= *at {
            return true;
        }
        let account = snapshot.accounts(email).find(|member| member.user_id == *user_id);
        let stands = account.map(|member| member.role.as_ref() == Some(role));
        if stands == Some(false) {
            note(email, format!("role {role}"));
        }
        stands == Some(true)
    });
}

/// Every entry of this address, wherever it stands.
pub fn people_mut<'a>(ledger: &'a mut Ledger, email: &'a str) -> impl Iterator<Item = &'a mut Person> {
    let departing = ledger.departures.iter_mut().flat_map(|departure| &mut departure.users);
    let listed = ledger.invites.values_mut().filter_map(|memory| memory.users.get_mut(email)).map(Arc::make_mut);
    departing.filter(move |person| folded(&person.email) == email).chain(listed)
}
