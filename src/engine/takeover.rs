//! What the UserInvites of another Organization for the same server and organization remember of people whom this one
//! claims. Whoever acts in its place, as when an Organization is renamed, takes that over, or would mail again whom the
//! server does not show. Pure; decides neither who acts nor what is done.

use super::desired::{Desired, Invite};
use super::ledger::Ledger;
use super::plan::held;
use crate::resources::{HeldReason, InFlight, Person, PersonState, Target, folded};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How the message of an entry begins that another Organization's memory is the source of.
const TAKEN_OVER: &str = "known through another Organization for the same server";

/// Whoever may have been mailed through others, by folded address.
#[derive(Default)]
pub struct Inheritance(BTreeMap<String, Person>);

impl Inheritance {
    /// Of several who remember somebody, the one that knows of the latest mail counts.
    pub fn add<'a>(&mut self, people: impl IntoIterator<Item = &'a Person>) {
        // What somebody has taken over themselves says nothing new, and may be of a time long past.
        for person in people.into_iter().filter(|person| person.may_have_been_mailed() && !is_taken_over(person)) {
            let known = self.0.entry(folded(&person.email)).or_insert_with(|| person.clone());
            let mailed = |person: &Person| person.invited_at.as_ref().map(|at| at.0);
            if mailed(person) > mailed(known) {
                known.clone_from(person);
            }
        }
    }

    /// Nobody knows yet what became of these mails.
    pub fn add_mark(&mut self, mark: &InFlight) {
        for email in &mark.emails {
            self.0.entry(email.clone()).or_insert_with(|| {
                let mut person = Person::new(email, PersonState::Held);
                person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
                person.since = Some(mark.started_at.clone());
                person
            });
        }
    }

    /// While another one acts: what it remembers stands in our status, too, should it be gone all at once. What it forgets
    /// is forgotten here.
    pub fn copy(&self, ledger: &mut Ledger, desired: &Desired, place: &Target) {
        for invite in &desired.invites {
            let Some(memory) = ledger.invites.get_mut(&invite.name) else { continue };
            if memory.target.as_ref().is_some_and(|target| !target.is_same(place)) {
                continue;
            }
            memory.users.retain(|_, person| !is_taken_over(person));
            if memory.users.is_empty() && !invite.finalized {
                memory.target = None;
            }
            for email in invite.emails.keys() {
                self.enter(ledger, desired, invite, email, place);
            }
        }
    }

    /// From now on this one acts. Before it is judged whether the place is the one that is remembered: what was taken over
    /// for another one is not.
    pub fn take_over(&self, ledger: &mut Ledger, desired: &Desired, place: &Target) {
        for memory in ledger.invites.values_mut() {
            let elsewhere = memory.target.as_ref().is_some_and(|target| !target.is_same(place));
            if elsewhere && !memory.users.is_empty() && memory.users.values().all(|person| is_taken_over(person)) {
                memory.users.clear();
                memory.target = None;
            }
        }
        for email in self.0.keys() {
            if let Some(invite) = desired.claimant(email)
                && ledger.remembered_elsewhere(&invite.name, email).is_none()
            {
                self.enter(ledger, desired, invite, email, place);
            }
        }
    }

    /// Only for a claim that wins, and never over what it remembers itself.
    fn enter(&self, ledger: &mut Ledger, desired: &Desired, invite: &Invite, email: &str, place: &Target) {
        let (Some(known), Some(typed)) = (self.0.get(email), invite.emails.get(email)) else { return };
        if desired.claimant(email).is_none_or(|claimant| claimant.name != invite.name) {
            return;
        }
        let memory = ledger.invites.entry(invite.name.clone()).or_default();
        if memory.users.get(email).is_some_and(|own| own.may_have_been_mailed()) {
            return;
        }
        memory.users.insert(email.to_owned(), Arc::new(taken_over(known, typed)));
        // Our finalizer without a target says that a status was lost, which must stay to be seen.
        if !invite.finalized {
            memory.target.get_or_insert_with(|| place.clone());
        }
    }
}

/// As of a claim that has no effect: nobody departs by it before we have acted.
fn taken_over(known: &Person, typed: &str) -> Person {
    let person = Person { email: typed.to_owned(), ..known.clone() };
    if known.is_held_for(HeldReason::InviteUnconfirmed) {
        let message = format!(
            "{TAKEN_OVER}, which may have sent a mail: ask the person, then annotate the UserInvite with labelstudio.rs/reinvite=<address>"
        );
        return held(person, HeldReason::InviteUnconfirmed, message);
    }
    held(person, HeldReason::Conflict, format!("{TAKEN_OVER}, where the address is claimed, too"))
}

fn is_taken_over(person: &Person) -> bool {
    person.message.as_deref().is_some_and(|message| message.starts_with(TAKEN_OVER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::desired::desired;
    use crate::engine::ledger::{InviteMemory, Passing};
    use crate::resources::{Organization, UserInvite};
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn place(id: i64) -> Target {
        let url = "https://ls.example.com".to_owned();
        Target { organization_id: id, created_at: None, edition: "Enterprise".to_owned(), url }
    }

    fn invited(email: &str, second: i64) -> Person {
        let mut person = Person::new(email, PersonState::Invited);
        person.invited_at = Some(Time(Timestamp::from_second(second).unwrap()));
        person.attempts = Some(1);
        person
    }

    /// One UserInvite with these addresses, never acted for.
    fn claims(emails: &[&str]) -> (Desired, Ledger) {
        let spec = serde_json::json!({"url": "https://ls.example.com", "credentials": {"secretRef": {"name": "t"}}});
        let organization = Organization::new("new", serde_json::from_value(spec).unwrap());
        let spec = serde_json::json!({"organizationRef": {"name": "new"}, "emails": emails, "role": "Annotator"});
        let invite = UserInvite::new("people", serde_json::from_value(spec).unwrap());
        let ledger = Ledger::read(None, [("people".to_owned(), None)], Passing::default());
        (desired(&organization, [&invite], Timestamp::UNIX_EPOCH), ledger)
    }

    fn inherited(people: &[Person]) -> Inheritance {
        let mut inheritance = Inheritance::default();
        inheritance.add(people);
        inheritance
    }

    #[test]
    fn what_is_copied_knows_of_the_mail_departs_nobody_and_goes_when_it_is_forgotten() {
        let (desired, mut ledger) = claims(&["Ada@example.com", "new@example.com"]);
        let theirs =
            inherited(&[invited("ada@example.com", 1), invited("ada@example.com", 2), invited("x@example.com", 1)]);
        theirs.copy(&mut ledger, &desired, &place(1));
        let memory = ledger.invites["people"].clone();
        assert_eq!((memory.users.len(), &memory.target), (1, &Some(place(1))));
        let ada = &memory.users["ada@example.com"];
        assert_eq!((ada.email.as_str(), ada.invited_at.as_ref().unwrap().0.as_second()), ("Ada@example.com", 2));
        assert!(ada.is_held_for(HeldReason::Conflict) && !crate::engine::plan::must_depart(ada), "{ada:?}");
        assert!(inherited(&[Person::clone(ada)]).0.is_empty(), "a copy is nobody's source");
        theirs.copy(&mut ledger, &desired, &place(1));
        assert_eq!(ledger.invites["people"], memory, "nothing new is nothing to write");
        Inheritance::default().copy(&mut ledger, &desired, &place(1));
        assert_eq!(ledger.invites["people"], InviteMemory::default());
    }

    #[test]
    fn what_is_remembered_here_counts_before_what_others_remember() {
        let (desired, mut ledger) = claims(&["ada@example.com"]);
        let own = InviteMemory {
            target: Some(place(1)),
            users: [("ada@example.com".to_owned(), invited("ada@example.com", 1).into())].into(),
            ..InviteMemory::default()
        };
        ledger.invites.insert("people".to_owned(), own.clone());
        let theirs = inherited(&[invited("ada@example.com", 2)]);
        theirs.copy(&mut ledger, &desired, &place(1));
        theirs.copy(&mut ledger, &desired, &place(2));
        theirs.take_over(&mut ledger, &desired, &place(1));
        assert_eq!(ledger.invites["people"], own);
    }

    #[test]
    fn what_was_taken_over_for_another_place_is_dropped_there_and_makes_no_other_target() {
        let (desired, mut ledger) = claims(&["ada@example.com"]);
        inherited(&[invited("ada@example.com", 1)]).copy(&mut ledger, &desired, &place(1));
        Inheritance::default().take_over(&mut ledger, &desired, &place(2));
        assert_eq!(ledger.invites["people"], InviteMemory::default());
    }

    #[test]
    fn a_mail_of_which_nobody_knows_whether_it_went_out_is_one_for_the_taker_too() {
        let (desired, mut ledger) = claims(&["ada@example.com"]);
        let mut theirs = Inheritance::default();
        theirs.add_mark(&InFlight {
            id: "1".to_owned(),
            started_at: Time(Timestamp::UNIX_EPOCH),
            emails: vec!["ada@example.com".to_owned()],
            replaces: None,
            role: None,
        });
        theirs.take_over(&mut ledger, &desired, &place(1));
        assert!(ledger.invites["people"].users["ada@example.com"].is_held_for(HeldReason::InviteUnconfirmed));
    }
}
