//! The decision: what has to be done so that the server agrees with the manifests, what is held, and why.
//!
//! Performs no I/O, takes the time as an argument and is deterministic. What we do not understand we do not touch;
//! absence is concluded only from a complete roster.

mod absent;
mod departure;
mod entry;
mod grant;
mod guard;
mod invited;
mod order;
mod person;
mod places;
mod seat;
mod step;
mod subject;
mod view;

pub use departure::{is_known_here_alone, must_depart};
pub use entry::{MOST_MESSAGE, at_most, held, role_named};
pub use grant::{UNTOLD_ROLE, claimant, effective_claimant, is_refused, unmanaged};
pub use guard::{WINDOW, removals_in_window};
pub use step::{Action, Cause, Guest, Place, Places, Step};

use view::{View, remembered};

use super::approval;
use super::desired::{Allowed, Desired};
use super::ledger::Ledger;
use super::snapshot::{Completeness, Snapshot};
use crate::label_studio::Edition;
use crate::resources::{HeldReason, Person, PersonState, folded, later, seconds};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many newcomers are searched for at once, and then mailed: a mass of them costs as many requests either way, and an
/// edit that comes in between does not wait for all of them.
const MOST_SOUGHT: usize = 10;

/// What decides besides manifests, roster and memory.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Whole seconds.
    pub now: Timestamp,
    /// False while an earlier mark waits for its outcome.
    pub mail_allowed: bool,
    /// Whether the roster is young enough to take access away by it.
    pub roster_fresh: bool,
}

#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Where an address of a UserInvite stands, if nothing has to be done for it and that is not what is remembered
    /// already: an entry to record, or none to drop.
    pub people: BTreeMap<String, BTreeMap<String, Option<Arc<Person>>>>,
    /// The same for departures of deleted UserInvites, by folded address.
    pub departing: BTreeMap<String, Option<Person>>,
    /// How much is left to do for each UserInvite, steps and waits.
    pub pending: BTreeMap<String, usize>,
    /// Departures of deleted UserInvites that wait or have a step.
    pub departures_pending: usize,
    pub held: BTreeMap<HeldReason, Vec<String>>,
    /// What of it a person may approve.
    pub sets: Vec<HeldSet>,
    /// Of the approved steps those that are not done and still wanted; none where the roster does not tell.
    pub approved: Option<Vec<String>>,
    /// Not every seat that is wanted is free before others are freed.
    pub seats_short: bool,
    /// What of the organization itself is not done: the field, the reason, and the words for it.
    pub refused: Option<(&'static str, HeldReason, String)>,
    /// When the next thing becomes due without anybody's doing.
    pub due: Option<Timestamp>,
    /// A roster has to be read before more can be decided.
    pub look: bool,
    /// People who would lose access or rank by a roster that is too old for that: they are looked at before.
    pub stale: Vec<String>,
    /// Newcomers who have to be searched for before they are mailed, since the roster may hide people: the next few.
    pub unseen: Vec<Guest>,
}

/// Steps that one guard holds, and that one digest approves.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldSet {
    pub reason: HeldReason,
    pub digest: String,
    /// Since when all of it is held.
    pub since: Timestamp,
    /// Folded addresses, sorted.
    pub who: Vec<String>,
    /// One short hash for each of them.
    pub steps: Vec<String>,
}

/// What becomes of one address.
enum Decision {
    /// Nothing to do: this is where it stands.
    Settled(Person),
    /// Nothing to do and nothing to remember.
    Forget,
    /// To be done; until then this is where the person stands.
    Act(Action, Option<Person>),
    /// To be done, but not yet.
    Wait(Option<Person>),
    /// To be searched for, and invited if not found.
    Seek,
    Held(HeldReason, Person),
    /// The same until then, since the server refused it.
    Refused(HeldReason, Person, Timestamp),
}

impl Decision {
    /// Of whom no grant names any more only what was done is remembered, and nobody waits for them.
    fn of_a_stranger(self) -> Self {
        match self {
            Self::Held(_, person) | Self::Refused(_, person, _) if person.may_have_been_mailed() => {
                Self::Settled(person)
            }
            Self::Held(..) | Self::Refused(..) => Self::Forget,
            other => other,
        }
    }
}

/// A step before the guards have looked at it.
struct Candidate {
    cause: Cause,
    email: String,
    action: Action,
    /// What the entry becomes if a guard holds it.
    if_held: Person,
}

pub fn plan(desired: &Desired, snapshot: &Snapshot, ledger: &Ledger, circumstances: Circumstances) -> Plan {
    let view = View {
        desired,
        snapshot,
        ledger,
        circumstances,
        remembered: remembered(desired, ledger),
        approved: approval::approved(ledger, circumstances.now),
        belonging: places::belonging(desired, snapshot, circumstances.now),
    };
    let mut plan = Plan::default();
    let mut candidates = Vec::new();
    if snapshot.workspaces.failed() {
        Plan::due_at(&mut plan.due, view.now() + places::AGAIN);
    }
    for invite in &desired.invites {
        // Whoever may do nothing does not become one whose memory has to fit this server.
        if invite.allowed == Allowed::Somebody {
            plan.pending.insert(invite.name.clone(), 0);
        }
        if let Some(end) = invite.expires_at.filter(|_| !invite.ended && invite.is_named()) {
            Plan::due_at(&mut plan.due, end);
        }
        let full = person::is_full(&view, invite);
        let cause = Cause::Invite(invite.name.clone());
        let known = |email: &str| ledger.person(&invite.name, email).is_some();
        for (email, typed) in invite.emails.iter().filter(|(email, _)| invite.is_named() || known(email)) {
            let decision = person::decide(&view, invite, email, typed, full, &mut plan.due);
            let decision = if invite.is_named() { decision } else { decision.of_a_stranger() };
            let if_held = || entry::entry(ledger.person(&invite.name, email), typed, view.now());
            sort_in(&view, &mut plan, &mut candidates, &cause, email, decision, if_held);
        }
        let Some(memory) = ledger.invites.get(&invite.name) else { continue };
        for (email, person) in memory.users.iter().filter(|(email, _)| !invite.emails.contains_key(*email)) {
            let decision = departure::dropped(&view, invite, email, person, &mut plan.due);
            let if_held = || entry::entry(Some(person), &person.email, view.now());
            sort_in(&view, &mut plan, &mut candidates, &cause, email, decision, if_held);
        }
    }
    for gone in &ledger.departures {
        let cause = Cause::Departure(gone.from.clone());
        for person in &gone.users {
            let email = folded(&person.email);
            let decision = departure::handed_over(&view, gone, &email, person, &mut plan.due);
            let if_held = || entry::entry(Some(person), &person.email, view.now());
            sort_in(&view, &mut plan, &mut candidates, &cause, &email, decision, if_held);
        }
    }
    organization(&view, &mut plan, &mut candidates);
    plan.approved = still_approved(&view, &plan, &candidates);
    leave_behind(desired, &mut plan, &mut candidates);
    seat::keep_seat_time(&view, &mut plan, &mut candidates);
    guard::keep_administrators(&view, &mut plan, &mut candidates);
    guard::limit_removals(&view, &mut plan, &mut candidates);
    seat::limit_seats(&view, &mut plan, &mut candidates);
    if !circumstances.roster_fresh {
        // An invitation that was open may be accepted by now, and then revoking it ends no access.
        // Another namespace may touch nobody who rose above its grant meanwhile.
        let counts = |c: &&Candidate| {
            c.action.removes()
                || matches!(c.action, Action::Revoke { blind: false, .. })
                || (c.cause.is_foreign() && matches!(c.action, Action::SetRole { .. }))
        };
        plan.stale = candidates.iter().filter(counts).map(|c| c.email.clone()).collect();
    }
    let left = &plan.pending;
    plan.unseen.sort_by_cached_key(|guest| (left.get(&guest.invite).copied().unwrap_or_default(), guest.clone()));
    plan.unseen.truncate(MOST_SOUGHT);
    order::order(&view, &mut plan, candidates);
    for names in plan.held.values_mut() {
        names.sort();
    }
    plan
}

/// Nothing is done for people whose memory cannot be stored first, or by what may be an old spec, and nothing of what the others may have is spent on them.
fn leave_behind(desired: &Desired, plan: &mut Plan, candidates: &mut Vec<Candidate>) {
    let left = &desired.left_behind;
    plan.unseen.retain(|guest| !left.contains(&guest.invite));
    candidates.retain(|candidate| !matches!(&candidate.cause, Cause::Invite(name) if left.contains(name)));
}

/// Who is held for another reason is still wanted; whoever is there by now as declared is not.
fn still_approved(view: &View, plan: &Plan, candidates: &[Candidate]) -> Option<Vec<String>> {
    if view.approved.is_empty() {
        return Some(Vec::new());
    }
    // Where the count never fits, whoever is listed is judged all the same; whoever is not has to be approved again.
    if view.snapshot.completeness == Completeness::Incomplete {
        return None;
    }
    let organization = view.snapshot.target.organization_id;
    let reasons = [HeldReason::MinSeatTime, HeldReason::RemovalGuard];
    let steps = |c: &Candidate| reasons.map(|reason| approval::step(organization, reason, &c.email, &c.action));
    let wanted: BTreeSet<String> = candidates.iter().flat_map(steps).collect();
    let held: BTreeSet<String> = plan.held.values().flatten().map(|email| approval::whom(email)).collect();
    let left = view.approved.iter().filter(|step| wanted.contains(**step) || approval::is_about(step, &held));
    Some(left.map(ToString::to_string).collect())
}

/// Title, then default role.
fn organization(view: &View, plan: &mut Plan, candidates: &mut Vec<Candidate>) {
    let (desired, snapshot) = (view.desired, view.snapshot);
    let from = snapshot.title.clone();
    let title = desired.title.clone().filter(|to| *to != from).map(|to| Action::SetTitle { from, to });
    // The open-source edition has no roles; status says so.
    let has_roles = snapshot.edition == Edition::Enterprise;
    let from = snapshot.default_role.clone();
    let wanted = desired.default_role.clone().filter(|to| has_roles && Some(to) != from.as_ref());
    let role = wanted.map(|to| Action::SetDefaultRole { from, to });
    for (field, action) in [("title", title), ("defaultRole", role)] {
        let Some(action) = action else { continue };
        if let Some(refusal) = view.ledger.refusal("", &action.verb(), view.now()) {
            plan.refused_until(refusal.until);
            plan.refused = plan.refused.take().or(Some((field, refusal.reason, refusal.message.clone())));
            continue;
        }
        if view.ledger.passing.gives_up("", &action.verb()) {
            let message = "somebody has changed it back three times within a day, so it is left as it is: settle what is meant, or take the field out";
            plan.refused = plan.refused.take().or(Some((field, HeldReason::Reverted, message.to_owned())));
            continue;
        }
        let if_held = Person::new("", PersonState::Held);
        candidates.push(Candidate { cause: Cause::Organization, email: String::new(), action, if_held });
    }
}

fn sort_in(
    view: &View,
    plan: &mut Plan,
    candidates: &mut Vec<Candidate>,
    cause: &Cause,
    email: &str,
    decision: Decision,
    if_held: impl FnOnce() -> Person,
) {
    match decision {
        Decision::Settled(person) => plan.settle(view, cause, email, Some(person)),
        Decision::Forget => plan.settle(view, cause, email, None),
        Decision::Held(reason, person) => plan.hold(view, cause, email, reason, person),
        Decision::Refused(reason, person, until) => {
            plan.refused_until(until);
            plan.hold(view, cause, email, reason, person);
        }
        Decision::Wait(person) => {
            plan.waits(cause);
            if let Some(person) = person {
                plan.settle(view, cause, email, Some(person));
            }
        }
        Decision::Seek => {
            plan.waits(cause);
            if let Cause::Invite(invite) = cause {
                plan.unseen.push(Guest::new(invite, email));
            }
        }
        Decision::Act(action, person) => {
            plan.waits(cause);
            // A member is remembered before anything is done: if the manifest is deleted right after, the access that
            // was given must be known.
            let if_held = person.clone().unwrap_or_else(if_held);
            if person.is_some() {
                plan.settle(view, cause, email, person);
            }
            candidates.push(Candidate { cause: cause.clone(), email: email.to_owned(), action, if_held });
        }
    }
}

impl Plan {
    /// Whether there is nothing left, now or later.
    pub fn is_done(&self) -> bool {
        self.steps.is_empty() && self.departures_pending == 0 && self.pending.values().all(|left| *left == 0)
    }

    /// Everything that is held, whoever it is for.
    pub fn held_count(&self) -> usize {
        self.held.values().map(Vec::len).sum()
    }

    fn settle(&mut self, view: &View, cause: &Cause, email: &str, person: Option<Person>) {
        match cause {
            Cause::Invite(name) => {
                if person.as_ref() != view.ledger.person(name, email) {
                    let people = self.people.entry(name.clone()).or_default();
                    people.insert(email.to_owned(), person.map(Arc::new));
                } else if let Some(people) = self.people.get_mut(name) {
                    // Decided otherwise before a guard took it back.
                    people.remove(email);
                }
            }
            Cause::Departure(_) => {
                self.departing.insert(email.to_owned(), person);
            }
            Cause::Organization | Cause::Several => {}
        }
    }

    fn hold(&mut self, view: &View, cause: &Cause, email: &str, reason: HeldReason, person: Person) {
        self.held.entry(reason).or_default().push(email.to_owned());
        self.settle(view, cause, email, Some(person));
    }

    fn waits(&mut self, cause: &Cause) {
        match cause {
            Cause::Invite(name) => *self.pending.entry(name.clone()).or_default() += 1,
            Cause::Departure(_) => self.departures_pending += 1,
            Cause::Organization | Cause::Several => {}
        }
    }

    /// A guard took the candidate back. Since when it is held is returned.
    fn hold_candidate(&mut self, view: &View, candidate: Candidate, reason: HeldReason, message: String) -> Timestamp {
        let Candidate { cause, email, action: _, if_held } = candidate;
        match &cause {
            Cause::Invite(name) => {
                if let Some(left) = self.pending.get_mut(name) {
                    *left = left.saturating_sub(1);
                }
            }
            Cause::Departure(_) => self.departures_pending = self.departures_pending.saturating_sub(1),
            Cause::Organization | Cause::Several => {}
        }
        let departs = if_held.state == PersonState::Leaving;
        let mut person = entry::held(if_held, reason, message);
        if departs {
            person.state = PersonState::Leaving;
        } else if let Cause::Invite(name) = &cause {
            person = entry::settled_since(view.ledger.person(name, &email), person, view.now());
        }
        let since = person.since.as_ref().map_or(view.now(), |since| since.0);
        self.hold(view, &cause, &email, reason, person);
        since
    }

    /// Plans are made for whole seconds: a moment earlier it would still be refused.
    fn refused_until(&mut self, until: Timestamp) {
        let whole = seconds(until);
        let whole = if whole < until { later(whole, SignedDuration::from_secs(1)) } else { whole };
        Self::due_at(&mut self.due, whole);
    }

    fn due_at(due: &mut Option<Timestamp>, at: Timestamp) {
        *due = Some(due.map_or(at, |known| known.min(at)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
