//! The entry of one address: what of it stays from pass to pass, and how long it has been so.

pub use crate::engine::desired::wire_role;

use crate::label_studio::Role;
use crate::resources::{HeldReason, Person, PersonState};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Bytes of a message: thousands of entries have to fit into a status.
pub const MOST_MESSAGE: usize = 200;

/// What was remembered, without the reason of last time.
pub fn entry(before: Option<&Person>, typed: &str, now: Timestamp) -> Person {
    let mut person = before.cloned().unwrap_or_else(|| Person::new(typed, PersonState::Held));
    typed.clone_into(&mut person.email);
    person.reason = None;
    person.message = None;
    person.since = person.since.or(Some(Time(now)));
    person
}

pub fn held(mut person: Person, reason: HeldReason, message: String) -> Person {
    person.state = PersonState::Held;
    person.reason = Some(reason.to_string());
    person.message = Some(at_most(message, MOST_MESSAGE));
    person
}

/// `since` moves only when state or reason did.
pub fn settled_since(before: Option<&Person>, mut person: Person, now: Timestamp) -> Person {
    let same = before.filter(|b| b.state == person.state && b.reason == person.reason);
    person.since = same.and_then(|b| b.since.clone()).or(Some(Time(now)));
    person
}

pub fn role_named(name: &str) -> Option<Role> {
    [Role::Administrator, Role::Manager, Role::Reviewer, Role::Annotator, Role::Deactivated]
        .into_iter()
        .find(|role| role.to_string() == name)
}

pub fn at_most(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let end = (0..=bytes - '…'.len_utf8()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
