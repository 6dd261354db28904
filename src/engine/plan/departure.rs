//! People whom no manifest claims any more: dropped from a list, or their UserInvite was deleted. They leave after a
//! short grace, so that a move from one manifest to another is a role change and not a departure and an arrival.

use super::entry::{entry, held, settled_since};
use super::grant::{effective_claimant, is_refused, policy};
use super::person::{known_role, never_acts, wait_for_taker};
use super::view::IRREVOCABLE;
use super::{Action, Decision, Plan, View};
use crate::engine::desired::Invite;
use crate::engine::grants::foreign_namespace;
use crate::engine::ledger::Ledger;
use crate::engine::snapshot::is_invited;
use crate::label_studio::{Edition, Member, Role};
use crate::resources::{DeletionPolicy, Departure, HeldReason, Person, PersonState, later};
use jiff::{SignedDuration, Timestamp};

/// How long a claim elsewhere may still take somebody back.
pub const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// An address that stands in a UserInvite's memory and no longer in its list.
pub fn dropped(view: &View, invite: &Invite, email: &str, person: &Person, due: &mut Option<Timestamp>) -> Decision {
    if let Some(taker) = effective_claimant(view.desired, view.member(email), Some(person), email) {
        return taken_back(view, taker, email, person, due);
    }
    let policy = policy(view, &invite.name, email, person, invite.policy);
    if policy == DeletionPolicy::Retain && view.ledger.is_marked(email) && !view.circumstances.mail_allowed {
        // Who forgets them now could only guess the policy when the mark is settled.
        return Decision::Wait(None);
    }
    if !must_depart(person) {
        return Decision::Forget;
    }
    let already = person.state == PersonState::Leaving;
    let since = person.since.as_ref().filter(|_| already).map_or(view.now(), |since| since.0);
    if policy == DeletionPolicy::Retain {
        return retain(view, person, since, due);
    }
    depart(view, email, person, policy, since, due)
}

/// An address of a deleted UserInvite.
pub fn handed_over(
    view: &View,
    gone: &Departure,
    email: &str,
    person: &Person,
    due: &mut Option<Timestamp>,
) -> Decision {
    if let Some(taker) = effective_claimant(view.desired, view.member(email), Some(person), email) {
        return taken_back(view, taker, email, person, due);
    }
    let marked = view.ledger.is_marked(email) && !view.circumstances.mail_allowed;
    // An entry of somebody who was mailed for a UserInvite that could not be written: it stands, and what it asks for by now may
    // be above its grant. That takes nothing from anybody.
    if marked || may_be_claimed_unseen(view, &gone.from) || view.desired.lists(&gone.from, email) {
        return Decision::Wait(None);
    }
    let policy = policy(view, &gone.from, email, person, gone.policy);
    if !must_depart(person) {
        return Decision::Forget;
    }
    if policy == DeletionPolicy::Retain {
        return retain(view, person, gone.since.0, due);
    }
    let community = view.snapshot.edition == Edition::Community;
    if community && policy == DeletionPolicy::Deactivate {
        // The open-source edition cannot, and nobody is left to tell it to: they show up as unmanaged.
        return Decision::Forget;
    }
    depart(view, email, person, policy, gone.since.0, due)
}

/// Whether the UserInvite that this entry is of may stand all the same, where it cannot be seen now: an entry is made, too, of
/// whoever was mailed for one that could not be written, and of whoever was in a mark that nobody listed claims.
fn may_be_claimed_unseen(view: &View, from: &str) -> bool {
    let unlisted = &view.desired.unlisted;
    if from.is_empty() {
        return !unlisted.is_empty();
    }
    foreign_namespace(from).is_some_and(|namespace| unlisted.contains(namespace))
}

/// A claim elsewhere takes over. The entry is kept until the taker's own is stored: a crash in between must not forget that
/// a mail was sent.
fn taken_back(view: &View, taker: &Invite, email: &str, person: &Person, due: &mut Option<Timestamp>) -> Decision {
    // Who was managed by a grant that is withdrawn departs no more, but a mail of that time is a mail.
    let says_something =
        (must_depart(person) || is_refused(person)) && (person.may_have_been_mailed() || view.ledger.is_marked(email));
    if taker.stored.contains(email) || !says_something {
        return Decision::Forget;
    }
    wait_for_taker(view, taker, email, due);
    Decision::Wait(None)
}

/// Whether the claim was ever effective: only then is there something to take back.
pub fn must_depart(person: &Person) -> bool {
    if is_refused(person) {
        // Of a time when it was granted: whoever asks for too much since then has not made the access a lasting one. Whether
        // the grant still reaches so far is asked when it is carried out.
        return person.was_reached();
    }
    if person.is_held_for(HeldReason::Conflict) || never_acts(person) {
        return false;
    }
    person.may_have_been_mailed() || matches!(person.state, PersonState::Leaving | PersonState::Inviting)
}

/// Nobody loses anything by it. But nobody else may know of the mail: for the grace whoever claims the person next, also
/// through another Organization, takes that over.
fn retain(view: &View, person: &Person, since: Timestamp, due: &mut Option<Timestamp>) -> Decision {
    let over = later(since, GRACE);
    if !is_known_here_alone(view.ledger, person) || over <= view.now() {
        return Decision::Forget;
    }
    Plan::due_at(due, over);
    Decision::Wait(Some(leaving(view, person)))
}

/// Mailed, or perhaps, and where the server hides invitations no roster tells.
pub fn is_known_here_alone(ledger: &Ledger, person: &Person) -> bool {
    person.may_have_been_mailed() && person.user_id.is_none() && ledger.invitations_visible != Some(true)
}

fn leaving(view: &View, person: &Person) -> Person {
    let mut leaving = entry(Some(person), &person.email, view.now());
    leaving.state = PersonState::Leaving;
    leaving.reason.clone_from(&person.reason.clone().filter(|_| person.is_held_for(HeldReason::InviteUnconfirmed)));
    settled_since(Some(person), leaving, view.now())
}

fn depart(
    view: &View,
    email: &str,
    person: &Person,
    policy: DeletionPolicy,
    since: Timestamp,
    due: &mut Option<Timestamp>,
) -> Decision {
    let leaving = leaving(view, person);
    if view.ledger.is_marked(email) && !view.circumstances.mail_allowed {
        return Decision::Wait(Some(leaving));
    }
    let over = later(since, GRACE);
    if view.now() < over {
        Plan::due_at(due, over);
        return Decision::Wait(Some(leaving));
    }
    match view.member(email) {
        Some(member) => carry_out(view, email, person, policy, member),
        None => absent(view, email, person),
    }
}

fn carry_out(view: &View, email: &str, person: &Person, policy: DeletionPolicy, member: &Member) -> Decision {
    let untouchable = Some(member.user_id) == view.snapshot.owner
        || member.user_id == view.snapshot.me
        || member.is_service
        || member.role == Some(Role::Owner);
    if untouchable {
        return Decision::Forget;
    }
    if is_invited(member) {
        if view.is_irrevocable(email) {
            return hold(view, person, HeldReason::Failed, IRREVOCABLE.to_owned());
        }
        return act(view, person, Action::Revoke { email: email.to_owned(), blind: false });
    }
    if !view.snapshot.roles_by_hand || view.identity_provider_of(member).is_some() {
        // That is where this person leaves, whatever the policy.
        return Decision::Forget;
    }
    let community = view.snapshot.edition == Edition::Community;
    if let Some(message) = known_role(member).err().filter(|_| !community) {
        return hold(view, person, HeldReason::UnknownRole, message);
    }
    let (user_id, email, from) = (member.user_id, email.to_owned(), member.role.clone());
    let action = match (policy, from) {
        (DeletionPolicy::Retain, _) | (DeletionPolicy::Deactivate, Some(Role::Deactivated)) => return Decision::Forget,
        (DeletionPolicy::Remove, from) => Action::Remove { user_id, email, from },
        (DeletionPolicy::Deactivate, Some(from)) if !community => {
            Action::SetRole { user_id, email, from, to: Role::Deactivated }
        }
        (DeletionPolicy::Deactivate, _) => {
            let message = "the open-source edition cannot deactivate: the person still has access".to_owned();
            return hold(view, person, HeldReason::UnsupportedByEdition, message);
        }
    };
    act(view, person, action)
}

fn absent(view: &View, email: &str, person: &Person) -> Decision {
    let invited_just_now = view.snapshot.was_invited_since(email);
    let may_hide = view.snapshot.may_hide();
    let told = view.snapshot.is_complete() || invited_just_now;
    let hides = view.ledger.invitations_visible != Some(true) || may_hide;
    let maybe_invited = person.invited_at.is_some() || person.is_held_for(HeldReason::InviteUnconfirmed);
    let unknown = invited_just_now || (maybe_invited && person.user_id.is_none() && hides);
    let revocable = view.snapshot.edition == Edition::Enterprise && unknown && (told || may_hide);
    if revocable && !view.found_nothing_open(email) {
        // The roster does not tell, so it is revoked once; "nothing open" counts as done where everybody is listed.
        return act(view, person, Action::Revoke { email: email.to_owned(), blind: true });
    }
    // Once revoked, nothing is left to take back.
    let revoked = may_hide && person.user_id.is_none() && !maybe_invited;
    if !told && !revoked {
        let message = "the server's list of members is not complete".to_owned();
        return hold(view, person, HeldReason::IncompleteRoster, message);
    }
    Decision::Forget
}

fn act(view: &View, person: &Person, action: Action) -> Decision {
    let email = action.emails().first().map(ToString::to_string).unwrap_or_default();
    match view.ledger.refusal(&email, &action.verb(), view.now()) {
        Some(refusal) => match hold(view, person, refusal.reason, refusal.message.clone()) {
            Decision::Held(reason, person) => Decision::Refused(reason, person, refusal.until),
            other => other,
        },
        None => Decision::Act(action, None),
    }
}

/// Stays `Leaving`, so that the grace is not given twice; the reason says why it is not done. That a mail may be out
/// nobody else knows, so this reason stays.
fn hold(view: &View, person: &Person, reason: HeldReason, message: String) -> Decision {
    let unconfirmed = person.is_held_for(HeldReason::InviteUnconfirmed);
    let reason = if unconfirmed { HeldReason::InviteUnconfirmed } else { reason };
    let mut entry = held(entry(Some(person), &person.email, view.now()), reason, message);
    entry.state = PersonState::Leaving;
    entry.since.clone_from(&person.since);
    Decision::Held(reason, entry)
}
