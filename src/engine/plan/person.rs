//! One address that a UserInvite claims: where it stands and what has to be done for it.

use super::entry::{entry, held, role_named, settled_since, wire_role};
use super::{Action, Decision, Guest, View};
use crate::engine::desired::Invite;
use crate::engine::snapshot::is_invited;
use crate::label_studio::{Edition, InvitationState, Member, Role};
use crate::resources::{HeldReason, InviteRole, Person, PersonState, SAME_WISH};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// At most so many addresses wait for their departure in one UserInvite; new ones wait until there is room.
const MOST_DEPARTING: usize = 1000;

/// `full`: too many of this UserInvite wait for their departure.
pub fn decide(view: &View, invite: &Invite, email: &str, typed: &str, full: bool) -> Decision {
    let own = view.ledger.person(&invite.name, email);
    if let Some(winner) = view.desired.claimant(email).filter(|winner| winner.name != invite.name) {
        return lost_claim(view, invite, winner, own, email, typed);
    }
    // A claim takes over what another manifest remembers, so that a move is no departure and no second mail.
    let remembered = || view.remembered_elsewhere(&invite.name, email);
    let before = own.filter(|p| p.may_have_been_mailed()).or_else(remembered).or(own);
    let subject = Subject { view, invite, email, typed, before, member: view.member(email) };
    if own.is_none() && full {
        return subject.hold(
            HeldReason::DeparturesFull,
            "1,000 addresses dropped from this UserInvite still wait for their departure: this one waits for them",
        );
    }
    match subject.member {
        Some(member) => listed(&subject, member),
        None => unlisted(&subject),
    }
}

struct Subject<'a> {
    view: &'a View<'a>,
    invite: &'a Invite,
    email: &'a str,
    typed: &'a str,
    before: Option<&'a Person>,
    member: Option<&'a Member>,
}

fn lost_claim(
    view: &View,
    invite: &Invite,
    winner: &Invite,
    own: Option<&Person>,
    email: &str,
    typed: &str,
) -> Decision {
    if let Some(own) =
        own.filter(|own| own.is_held_for(HeldReason::InviteUnconfirmed) && !winner.stored.contains(email))
    {
        // A mail may be out, and this entry alone knows it until the winner's is stored.
        return Decision::Held(HeldReason::InviteUnconfirmed, own.clone());
    }
    let mut person = entry(own, typed, view.now());
    if view.ledger.person(&winner.name, email).is_some_and(Person::was_reached) && winner.stored.contains(email) {
        // The winner remembers it now; a copy here would come to life when the winner is long gone.
        person.user_id = None;
        person.invited_at = None;
        person.attempts = None;
        person.seat_since = None;
        person.role = None;
    }
    // The same wish twice, as while people move from one manifest to another: nobody waits for that.
    let same = winner.role == invite.role;
    let words = if same { SAME_WISH } else { "claimed with another role" };
    let message =
        format!("{words} by UserInvite {} ({}): remove the address from one of the two", winner.name, winner.role);
    let person = settled_since(own, held(person, HeldReason::Conflict, message), view.now());
    if same { Decision::Settled(person) } else { Decision::Held(HeldReason::Conflict, person) }
}

/// Somebody with this address is in the roster.
fn listed(subject: &Subject, member: &Member) -> Decision {
    let view = subject.view;
    if Some(member.user_id) == view.snapshot.owner || member.role == Some(Role::Owner) {
        return subject
            .hold(HeldReason::Owner, "is the Owner of the organization, whom nobody can change: remove the address");
    }
    if member.user_id == view.snapshot.me {
        return subject.hold(
            HeldReason::Self_,
            "is the operator's own account: remove the address, or give the operator another token",
        );
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
        InvitationState::Expired => return expired_invitation(subject),
        InvitationState::None | InvitationState::Accepted => {}
    }
    let Some(from) = member.role.clone() else {
        return subject.hold(HeldReason::UnknownRole, "the server does not tell the role of this member");
    };
    let to = wire_role(subject.invite.role);
    if let Role::Other(code) = &from {
        let message = format!("has the role {code:?}, which this version does not know: change it in Label Studio");
        return subject.hold(HeldReason::UnknownRole, &message);
    }
    if from == to {
        return Decision::Settled(subject.member(member, &from));
    }
    if !view.snapshot.roles_by_hand {
        let message = format!("roles are managed by the identity provider; is {from}, wanted {to}");
        return subject.hold(HeldReason::ManagedByIdentityProvider, &message);
    }
    subject.act(Action::SetRole { user_id: member.user_id, email: subject.email.to_owned(), from, to })
}

/// The open-source edition has no roles: who is listed has access.
fn listed_without_roles(subject: &Subject, member: &Member) -> Decision {
    if subject.invite.role == InviteRole::Deactivated {
        return subject.hold(
            HeldReason::UnsupportedByEdition,
            "the open-source edition cannot deactivate: the person still has access",
        );
    }
    let mut person = subject.entry();
    person.state = PersonState::Active;
    person.user_id = Some(member.user_id);
    Decision::Settled(subject.since(person))
}

fn open_invitation(subject: &Subject, member: &Member) -> Decision {
    let to = wire_role(subject.invite.role);
    // The role last sent or seen decides; where nothing is remembered, what is there is adopted.
    let sent = subject.before.filter(|p| p.invited_at.is_some()).and_then(|p| p.role.as_deref()).and_then(role_named);
    if to == Role::Deactivated {
        return subject.act(Action::Revoke { email: subject.email.to_owned(), blind: false });
    }
    let from = sent.or_else(|| member.role.clone().filter(|role| *role != Role::Pending)).unwrap_or_else(|| to.clone());
    if to.rank() < from.rank() {
        return subject.anew(from, to);
    }
    Decision::Settled(subject.invited(&from))
}

fn expired_invitation(subject: &Subject) -> Decision {
    if subject.invite.role == InviteRole::Deactivated {
        return subject.act(Action::Revoke { email: subject.email.to_owned(), blind: false });
    }
    let mut person = subject.entry();
    person.state = PersonState::InviteExpired;
    Decision::Settled(subject.since(person))
}

/// Nobody with this address is in the roster that was read.
fn unlisted(subject: &Subject) -> Decision {
    let view = subject.view;
    let hides = view.ledger.invitations_visible != Some(true);
    if view.snapshot.was_invited_since(subject.email) {
        return waits_for_person(subject);
    }
    if !view.snapshot.is_complete() {
        return subject.hold(
            HeldReason::IncompleteRoster,
            "the server's list of members is not complete, so nobody's absence is concluded from it",
        );
    }
    if view.snapshot.edition == Edition::Community {
        return absent_without_roles(subject);
    }
    if view.ledger.is_marked(subject.email) && !view.circumstances.mail_allowed && !is_unconfirmed(subject.before) {
        let mut person = subject.entry();
        person.state = PersonState::Inviting;
        return Decision::Wait(Some(subject.since(person)));
    }
    if let Some(before) = subject.before {
        if before.user_id.is_some() && subject.invite.role != InviteRole::Deactivated {
            return has_left(subject);
        }
        if before.invited_at.is_some() {
            let nothing = view.found_nothing_open(subject.email);
            return if hides && !nothing { waits_for_person(subject) } else { was_revoked(subject) };
        }
        // Where the status was lost, only a roster that shows open invitations tells who is new.
        let doubtful = hides || !view.snapshot.shows_open_invitation();
        if before.is_held_for(HeldReason::InviteUnconfirmed)
            && doubtful
            && subject.invite.role != InviteRole::Deactivated
        {
            return subject.hold(HeldReason::InviteUnconfirmed, before.message.as_deref().unwrap_or_default());
        }
    }
    if subject.invite.role == InviteRole::Deactivated {
        if is_unconfirmed(subject.before) && hides && !view.found_nothing_open(subject.email) {
            // Perhaps invited, and nobody sees it: revoked once, so that no access comes of it.
            return subject.act(Action::Revoke { email: subject.email.to_owned(), blind: true });
        }
        return Decision::Settled(subject.satisfied());
    }
    newcomer(subject)
}

fn absent_without_roles(subject: &Subject) -> Decision {
    if subject.invite.role == InviteRole::Deactivated {
        return Decision::Settled(subject.satisfied());
    }
    subject.hold(
        HeldReason::UnsupportedByEdition,
        "the open-source edition sends no invitations: give the person the invite link",
    )
}

fn waits_for_person(subject: &Subject) -> Decision {
    let to = wire_role(subject.invite.role);
    let hidden = !subject.view.snapshot.was_invited_since(subject.email);
    if to == Role::Deactivated {
        // Revoked once, blindly where the server hides invitations: the outcome clears `invitedAt`.
        return subject.act(Action::Revoke { email: subject.email.to_owned(), blind: hidden });
    }
    let from = subject.before.and_then(|p| p.role.as_deref()).and_then(role_named).unwrap_or_else(|| to.clone());
    if to.rank() < from.rank() {
        return subject.anew(from, to);
    }
    Decision::Settled(subject.invited(&from))
}

fn has_left(subject: &Subject) -> Decision {
    let mut person = subject.entry();
    person.state = PersonState::Left;
    person.seat_since = None;
    let message = "was a member and is gone; not invited again until the address is removed and added anew";
    subject.ended(person, HeldReason::Left, message)
}

fn was_revoked(subject: &Subject) -> Decision {
    if subject.invite.role == InviteRole::Deactivated {
        return Decision::Settled(subject.satisfied());
    }
    let mut person = subject.entry();
    person.state = PersonState::Revoked;
    let message = "the invitation is gone from the server; not sent again until the address is removed and added anew";
    subject.ended(person, HeldReason::Revoked, message)
}

fn newcomer(subject: &Subject) -> Decision {
    let view = subject.view;
    let shows = view.snapshot.shows_open_invitation();
    let lost =
        subject.invite.finalized && view.ledger.invites.get(&subject.invite.name).is_none_or(|m| m.target.is_none());
    if lost && !shows {
        // Our finalizer without a status: somebody cleared it, and with it who was mailed already.
        return subject.hold(
            HeldReason::InviteUnconfirmed,
            "the status was lost, so a mail may have been sent: ask the person, then annotate the UserInvite with labelstudio.rs/reinvite=<address>",
        );
    }
    if !view.snapshot.email_configured {
        return subject.hold(HeldReason::EmailNotConfigured, "the server sends no mail: configure its e-mail settings");
    }
    if !view.snapshot.may_invite {
        return subject.hold(HeldReason::Forbidden, "the server's licence does not allow invitations");
    }
    let guest = Guest { invite: subject.invite.name.clone(), email: subject.email.to_owned() };
    subject.act(Action::Invite { role: wire_role(subject.invite.role), guests: vec![guest] })
}

pub fn is_full(view: &View, invite: &Invite) -> bool {
    view.ledger.invites.get(&invite.name).is_some_and(|memory| {
        memory.users.keys().filter(|email| !invite.emails.contains_key(*email)).count() >= MOST_DEPARTING
    })
}

fn is_unconfirmed(before: Option<&Person>) -> bool {
    before.is_some_and(|person| person.is_held_for(HeldReason::InviteUnconfirmed))
}

impl Subject<'_> {
    fn entry(&self) -> Person {
        let mut person = entry(self.before, self.typed, self.view.now());
        if let Some(member) = self.member.filter(|member| !is_invited(member)) {
            person.user_id = Some(member.user_id);
        }
        person
    }

    /// Where a member stands before something is done about the role.
    fn as_found(&self) -> Option<Person> {
        let member = self.member.filter(|member| !is_invited(member))?;
        let role = member.role.clone()?;
        let mut person = self.member(member, &role);
        if role == Role::Pending {
            person.state = PersonState::Pending;
            person = settled_since(self.before, person, self.view.now());
        }
        Some(person)
    }

    /// Nothing is left to do, and it is not as declared.
    fn ended(&self, mut person: Person, reason: HeldReason, message: &str) -> Decision {
        person.reason = Some(reason.to_string());
        person.message = Some(message.to_owned());
        Decision::Settled(self.since(person))
    }

    fn since(&self, person: Person) -> Person {
        settled_since(self.before, person, self.view.now())
    }

    fn hold(&self, reason: HeldReason, message: &str) -> Decision {
        Decision::Held(reason, self.since(held(self.entry(), reason, message.to_owned())))
    }

    /// A write, unless the server refused the same one lately.
    fn act(&self, action: Action) -> Decision {
        let refused = self.view.ledger.refusal(self.email, &action.verb(), self.view.now());
        let everybody = if action.mails() { self.view.ledger.refusal("", "invite", self.view.now()) } else { None };
        let Some(refusal) = refused.or(everybody) else {
            return Decision::Act(action, self.as_found());
        };
        let mut person = held(self.entry(), refusal.reason, refusal.message.clone());
        if refusal.reason == HeldReason::Failed {
            person.state = PersonState::Failed;
        }
        Decision::Held(refusal.reason, self.since(person))
    }

    fn anew(&self, from: Role, to: Role) -> Decision {
        let guest = Guest { invite: self.invite.name.clone(), email: self.email.to_owned() };
        self.act(Action::InviteAnew { guest, from, to })
    }

    fn invited(&self, role: &Role) -> Person {
        let mut person = self.entry();
        person.state = PersonState::Invited;
        person.role = Some(role.to_string());
        self.since(person)
    }

    fn member(&self, member: &Member, role: &Role) -> Person {
        let mut person = self.entry();
        person.state = if *role == Role::Deactivated { PersonState::Deactivated } else { PersonState::Active };
        person.user_id = Some(member.user_id);
        person.seat_since = if role.has_access() { person.seat_since.or(Some(Time(self.view.now()))) } else { None };
        person.role = Some(role.to_string());
        self.since(person)
    }

    /// Wanted `Deactivated`, and nobody is there: nobody is invited.
    fn satisfied(&self) -> Person {
        let mut person = Person::new(self.typed, PersonState::Deactivated);
        person.user_id = self.before.and_then(|before| before.user_id);
        self.since(person)
    }
}
