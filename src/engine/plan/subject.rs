//! One claimed address with all that is known of it, and the entries that can come of it.

use super::entry::{MOST_MESSAGE, at_most, entry, held, settled_since, wire_role};
use super::places::Belonging;
use super::{Action, Decision, Guest, Places, View};
use crate::engine::desired::Invite;
use crate::engine::snapshot::is_invited;
use crate::label_studio::{Member, Role};
use crate::resources::{HeldReason, InviteRole, Person, PersonState};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub struct Subject<'a> {
    pub view: &'a View<'a>,
    pub invite: &'a Invite,
    /// As it is to be now.
    pub role: InviteRole,
    pub email: &'a str,
    pub typed: &'a str,
    pub before: Option<&'a Person>,
    pub member: Option<&'a Member>,
}

impl Subject<'_> {
    pub fn entry(&self) -> Person {
        let mut person = entry(self.before, self.typed, self.view.now());
        if let Some(member) = self.member.filter(|member| !is_invited(member)) {
            person.user_id = Some(member.user_id);
        }
        person
    }

    /// Taken out of this very list and put back before the departure was carried out: whoever edits it wants the person anew.
    pub fn was_dropped(&self) -> bool {
        let own = self.view.ledger.person(&self.invite.name, self.email);
        own.is_some_and(|person| person.state == PersonState::Leaving)
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
    pub fn ended(&self, mut person: Person, reason: HeldReason, message: &str) -> Decision {
        person.reason = Some(reason.to_string());
        person.message = Some(at_most(message.to_owned(), MOST_MESSAGE));
        Decision::Settled(self.since(person))
    }

    pub fn since(&self, person: Person) -> Person {
        settled_since(self.before, person, self.view.now())
    }

    pub fn hold(&self, reason: HeldReason, message: &str) -> Decision {
        Decision::Held(reason, self.since(held(self.entry(), reason, message.to_owned())))
    }

    /// What is wanted cannot be done for this person.
    pub fn fail(&self, message: &str) -> Decision {
        let mut person = held(self.entry(), HeldReason::Failed, message.to_owned());
        person.state = PersonState::Failed;
        Decision::Held(HeldReason::Failed, self.since(person))
    }

    /// A write, unless the server refused the same one lately.
    pub fn act(&self, action: Action) -> Decision {
        let refused = self.view.ledger.refusal(self.email, &action.verb(), self.view.now());
        let everybody = if action.mails() { self.view.ledger.refusal("", "invite", self.view.now()) } else { None };
        let Some(refusal) = refused.or(everybody) else {
            return Decision::Act(action, self.as_found());
        };
        let unconfirmed = self.before.is_some_and(|before| before.is_held_for(HeldReason::InviteUnconfirmed));
        if unconfirmed && self.member.is_none() && matches!(action, Action::Revoke { .. }) {
            // That a mail may be out nobody else knows.
            let reason = HeldReason::InviteUnconfirmed;
            let person = self.since(held(self.entry(), reason, refusal.message.clone()));
            return Decision::Refused(reason, person, refusal.until);
        }
        let mut person = held(self.entry(), refusal.reason, refusal.message.clone());
        if refusal.reason == HeldReason::Failed {
            person.state = PersonState::Failed;
        }
        Decision::Refused(refusal.reason, self.since(person), refusal.until)
    }

    /// `invited`: where the person stands until then, to be remembered before the old invitation is revoked.
    pub fn anew(&self, from: Role, to: Role, invited: Person) -> Decision {
        // What of its places is not known is added once the person is there: the high role does not wait for that.
        let places = self.places();
        match self.act(Action::InviteAnew { guest: self.guest(), from, to, places }) {
            Decision::Act(action, _) => Decision::Act(action, Some(invited)),
            held => held,
        }
    }

    pub fn invitation(&self) -> Action {
        Action::Invite { role: wire_role(self.role), places: self.places(), guests: vec![self.guest()] }
    }

    fn guest(&self) -> Guest {
        Guest::new(&self.invite.name, self.typed)
    }

    pub fn belonging(&self) -> Option<&Belonging> {
        self.view.belonging.get(self.invite.name.as_str())
    }

    fn places(&self) -> Places {
        self.belonging().map(|belonging| belonging.places.clone()).unwrap_or_default()
    }

    pub fn invited(&self, role: &Role) -> Person {
        let mut person = self.entry();
        person.state = PersonState::Invited;
        person.role = Some(role.to_string());
        self.since(person)
    }

    pub fn member(&self, member: &Member, role: &Role) -> Person {
        let mut person = self.entry();
        person.state = if *role == Role::Deactivated { PersonState::Deactivated } else { PersonState::Active };
        person.user_id = Some(member.user_id);
        // Of somebody who had one before we first looked nobody knows since when.
        let taken = self.before.filter(|before| had_no_seat(before)).map(|_| Time(self.view.now()));
        person.seat_since = if role.takes_seat() { person.seat_since.or(taken) } else { None };
        person.role = Some(role.to_string());
        self.since(person)
    }

    /// Wanted `Deactivated`, and nobody is there: nobody is invited.
    pub fn satisfied(&self) -> Person {
        let mut person = Person::new(self.typed, PersonState::Deactivated);
        person.user_id = self.before.and_then(|before| before.user_id);
        self.since(person)
    }
}

/// Remembered as somebody who could not work there, or could not any more.
fn had_no_seat(before: &Person) -> bool {
    match before.state {
        PersonState::Inviting
        | PersonState::Invited
        | PersonState::InviteExpired
        | PersonState::Pending
        | PersonState::Deactivated
        | PersonState::Left
        | PersonState::Revoked => true,
        PersonState::Active | PersonState::Leaving | PersonState::Held | PersonState::Failed => false,
    }
}
