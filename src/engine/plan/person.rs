//! One address that a UserInvite claims: where it stands and what has to be done for it.

use super::absent::unlisted;
use super::entry::{entry, held, settled_since, wire_role};
use super::grant::{out_of_reach, refusal};
use super::invited::{expired_invitation, open_invitation};
use super::places::placed;
use super::subject::Subject;
use super::{Action, Decision, Plan, View};
use crate::engine::desired::{Invite, says_all};
use crate::engine::grants::Ungranted;
use crate::label_studio::{Edition, InvitationState, Member, Role};
use crate::resources::{HeldReason, InviteRole, Person, PersonState, SAME_WISH, is_one_address};
use jiff::{SignedDuration, Timestamp};

/// At most so many addresses wait for their departure in one UserInvite; new ones wait until there is room.
const MOST_DEPARTING: usize = 1000;

/// `full`: too many of this UserInvite wait for their departure.
pub fn decide(
    view: &View,
    invite: &Invite,
    email: &str,
    typed: &str,
    full: bool,
    due: &mut Option<Timestamp>,
) -> Decision {
    let own = view.ledger.person(&invite.name, email);
    if !is_one_address(email) {
        return no_address(view, own, email, typed);
    }
    let winner = view.claimant(email).filter(|winner| winner.name != invite.name);
    // The winner's entry says all that there is to remember, and is safe.
    let keeps = |winner: &Invite| {
        winner.stored.contains(email) && view.ledger.person(&winner.name, email).is_some_and(says_all)
    };
    let stored = winner.is_some_and(keeps);
    if let Some(winner) = winner.filter(|_| !stored && own.is_some_and(carries_something)) {
        wait_for_taker(view, winner, email, due);
    }
    let idle = |why: Ungranted| {
        let (reason, person) = without_effect(view, own, stored, typed, why);
        Decision::Held(reason, person)
    };
    if let Some(ungranted) = refusal(view, invite, email) {
        return idle(ungranted);
    }
    if let Some(winner) = winner {
        return lost_claim(view, invite, winner, own, stored, typed);
    }
    // A claim takes over what another manifest remembers, so that a move is no departure and no second mail.
    let remembered = || view.remembered_elsewhere(&invite.name, email);
    let before = own.filter(|p| p.may_have_been_mailed()).or_else(remembered).or(own);
    if let Some(ungranted) = out_of_reach(view, invite, email, before) {
        return idle(ungranted);
    }
    let role = invite.role_at(view.now());
    let subject = Subject { view, invite, role, email, typed, before, member: view.member(email) };
    if full && own.is_none_or(|person| person.is_held_for(HeldReason::DeparturesFull)) {
        return subject.hold(
            HeldReason::DeparturesFull,
            "1,000 addresses dropped from this UserInvite still wait for their departure: this one waits for them",
        );
    }
    match subject.member {
        Some(member) => listed(&subject, member, due),
        // A service account, which not every server lists.
        None if email == view.snapshot.own_address => ourselves(&subject),
        None => unlisted(&subject),
    }
}

/// Never sent: the server could take it for another address, or for several and refuse those that go along.
fn no_address(view: &View, own: Option<&Person>, email: &str, typed: &str) -> Decision {
    let message = format!("is not one address as the server would read it, so it is not sent: correct {email}");
    let mut person = held(entry(own, typed, view.now()), HeldReason::Failed, message);
    person.state = PersonState::Failed;
    Decision::Held(HeldReason::Failed, settled_since(own, person, view.now()))
}

/// The taker's entry is stored at the end of this pass, and then the one that it takes over from may go: in the next
/// pass, for which nobody should have to wait until everything is read anew.
pub fn wait_for_taker(view: &View, taker: &Invite, email: &str, due: &mut Option<Timestamp>) {
    if view.desired.left_behind.contains(&taker.name) {
        // Not stored until it can be written, and that is waited for elsewhere.
        return;
    }
    let typed = taker.emails.get(email).map_or(email, String::as_str);
    let planned = match decide(view, taker, email, typed, false, &mut None) {
        Decision::Settled(person) | Decision::Held(_, person) | Decision::Refused(_, person, _) => says_all(&person),
        Decision::Act(_, person) | Decision::Wait(person) => person.is_some_and(|person| says_all(&person)),
        Decision::Forget | Decision::Seek => false,
    };
    if planned && !view.desired.observes_only {
        Plan::due_at(due, view.now() + SignedDuration::from_secs(1));
    }
}

fn carries_something(person: &Person) -> bool {
    person.may_have_been_mailed() || person.role.is_some() || person.attempts.is_some()
}

fn lost_claim(
    view: &View,
    invite: &Invite,
    winner: &Invite,
    own: Option<&Person>,
    stored: bool,
    typed: &str,
) -> Decision {
    // The same wish twice, as while people move from one manifest to another: nobody waits for that.
    let (theirs, ours) = (winner.role_at(view.now()), invite.role_at(view.now()));
    let same = theirs == ours;
    let words = if same { SAME_WISH } else { "claimed with another role" };
    let message = format!("{words} by UserInvite {} ({theirs}): remove the address from one of the two", winner.name);
    let (reason, person) =
        without_effect(view, own, stored, typed, Ungranted { reason: HeldReason::Conflict, message });
    if same && reason == HeldReason::Conflict { Decision::Settled(person) } else { Decision::Held(reason, person) }
}

/// The entry of a claim that does nothing. What was done while it did stays in there, since that may be so again, but what
/// a winner has `stored` is the winner's.
fn without_effect(
    view: &View,
    own: Option<&Person>,
    stored: bool,
    typed: &str,
    why: Ungranted,
) -> (HeldReason, Person) {
    if let Some(own) = own.filter(|own| own.is_held_for(HeldReason::InviteUnconfirmed) && !stored) {
        // A mail may be out, and this entry alone knows it until the winner's is stored.
        return (HeldReason::InviteUnconfirmed, own.clone());
    }
    let mut person = entry(own, typed, view.now());
    if own.is_some_and(never_acts) {
        // Seen, and nothing was done: else this would look like somebody to whom access was given.
        person.user_id = None;
    }
    if stored {
        // A copy here would come to life when the winner is long gone.
        person.user_id = None;
        person.invited_at = None;
        person.attempts = None;
        person.seat_since = None;
        person.role = None;
    }
    let Ungranted { reason, message } = why;
    (reason, settled_since(own, held(person, reason, message), view.now()))
}

/// Held for what the person is: the claim does nothing, whatever it asks for.
pub fn never_acts(person: &Person) -> bool {
    let reasons =
        [HeldReason::Owner, HeldReason::Self_, HeldReason::ServiceAccount, HeldReason::ManagedByIdentityProvider];
    reasons.iter().any(|reason| person.is_held_for(*reason))
}

/// Somebody with this address is in the roster.
fn listed(subject: &Subject, member: &Member, due: &mut Option<Timestamp>) -> Decision {
    let view = subject.view;
    if Some(member.user_id) == view.snapshot.owner || member.role == Some(Role::Owner) {
        return subject
            .hold(HeldReason::Owner, "is the Owner of the organization, whom nobody can change: remove the address");
    }
    if member.user_id == view.snapshot.me {
        return ourselves(subject);
    }
    if member.is_service {
        return subject.hold(
            HeldReason::ServiceAccount,
            "is a service account, which is managed in Label Studio: remove the address",
        );
    }
    if view.snapshot.edition == Edition::Community {
        return listed_without_roles(subject, member);
    }
    match member.invitation {
        InvitationState::Open => return open_invitation(subject, member),
        InvitationState::Expired => return expired_invitation(subject, member, due),
        InvitationState::None | InvitationState::Accepted => {}
    }
    let from = match known_role(member) {
        Ok(role) => role.clone(),
        Err(message) => return subject.hold(HeldReason::UnknownRole, &message),
    };
    let to = wire_role(subject.role);
    if from == to {
        return placed(subject, member, subject.member(member, &from));
    }
    if !view.snapshot.roles_by_hand {
        let message = format!("roles are managed by the identity provider; is {from}, wanted {to}");
        return subject.hold(HeldReason::ManagedByIdentityProvider, &message);
    }
    if let Some(provider) = view.identity_provider_of(member) {
        let message = format!(
            "the role was set by {provider}; is {from}, wanted {to}: change it there, or set spec.guards.identityProvider of the Organization to Override"
        );
        return subject.hold(HeldReason::ManagedByIdentityProvider, &message);
    }
    let action = Action::SetRole { user_id: member.user_id, email: subject.email.to_owned(), from, to };
    if view.ledger.passing.gives_up(subject.email, &action.verb()) {
        let message = "somebody has changed the role back three times within a day, so it is left as it is: settle which role is meant, or remove the address";
        return subject.hold(HeldReason::Reverted, message);
    }
    subject.act(action)
}

/// What is not understood is not touched: the error is told. Only Enterprise has roles.
pub fn known_role(member: &Member) -> Result<&Role, String> {
    match &member.role {
        None => Err("the server does not tell the role of this member: look at it in Label Studio".to_owned()),
        Some(Role::Other(code)) => {
            Err(format!("has the role {code:?}, which this version does not know: change it in Label Studio"))
        }
        Some(role) => Ok(role),
    }
}

/// The open-source edition has no roles: who is listed has access.
fn listed_without_roles(subject: &Subject, member: &Member) -> Decision {
    if subject.role == InviteRole::Deactivated {
        return subject.hold(
            HeldReason::UnsupportedByEdition,
            "the open-source edition cannot deactivate: the person still has access",
        );
    }
    let mut person = subject.entry();
    person.state = PersonState::Active;
    person.user_id = Some(member.user_id);
    if subject.invite.names_places() {
        let message = "spec.workspaces and spec.projects: the open-source edition has no invitations and no workspaces";
        return subject.ended(person, HeldReason::UnsupportedByEdition, message);
    }
    Decision::Settled(subject.since(person))
}

fn ourselves(subject: &Subject) -> Decision {
    subject.hold(
        HeldReason::Self_,
        "is the operator's own account: remove the address, or give the operator another token",
    )
}

pub fn is_full(view: &View, invite: &Invite) -> bool {
    view.ledger.invites.get(&invite.name).is_some_and(|memory| {
        memory.users.keys().filter(|email| !invite.emails.contains_key(*email)).count() >= MOST_DEPARTING
    })
}
