//! Somebody whom the roster shows as invited and not there yet: the invitation is open, or it expired and goes on.

use super::absent::{perhaps_there, unsendable};
use super::entry::{role_named, wire_role};
use super::places::settled;
use super::subject::Subject;
use super::view::IRREVOCABLE;
use super::{Action, Decision, Plan};
use crate::engine::snapshot::Completeness;
use crate::label_studio::{Member, Role};
use crate::resources::{HeldReason, InviteRole, Person, PersonState, seconds};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub fn open_invitation(subject: &Subject, member: &Member) -> Decision {
    let to = wire_role(subject.role);
    // The role last sent or seen decides; where nothing is remembered, what is there is adopted.
    let sent = subject.before.filter(|p| p.invited_at.is_some()).and_then(|p| p.role.as_deref()).and_then(role_named);
    if to == Role::Deactivated {
        if subject.view.is_irrevocable(subject.email) {
            return subject.fail(IRREVOCABLE);
        }
        return subject.act(Action::Revoke { email: subject.email.to_owned(), blind: false });
    }
    let from = sent.or_else(|| member.role.clone().filter(|role| *role != Role::Pending)).unwrap_or_else(|| to.clone());
    let invited = adopted(subject, member, subject.invited(&from));
    if to.rank() < from.rank() {
        return subject.anew(from, to, invited);
    }
    settled(subject, invited)
}

/// Nobody can accept it any more, so it is sent again as it stands: there are never two that work. How often, and when,
/// says `spec.resend`.
pub fn expired_invitation(subject: &Subject, member: &Member, due: &mut Option<Timestamp>) -> Decision {
    let view = subject.view;
    if subject.role == InviteRole::Deactivated {
        return subject.act(Action::Revoke { email: subject.email.to_owned(), blind: false });
    }
    let mut person = adopted(subject, member, subject.entry());
    if subject.was_dropped() {
        person.attempts = Some(0);
    }
    if view.ledger.is_marked(subject.email) && !view.circumstances.mail_allowed {
        person.state = PersonState::Inviting;
        return Decision::Wait(Some(subject.since(person)));
    }
    person.state = PersonState::InviteExpired;
    let resend = &subject.invite.resend;
    let attempts = person.attempts.unwrap_or_default();
    if attempts >= resend.most {
        let message = format!(
            "nobody accepted {attempts} invitations (spec.resend.maxAttempts): ask the person; to start anew, annotate the \
             UserInvite with labelstudio.rs/reinvite=<address>"
        );
        return subject.ended(person, HeldReason::GaveUp, &message);
    }
    let person = subject.since(person);
    // Whoever asks for it again does not wait for it.
    let again = expiry(subject, member, &person)
        .filter(|_| attempts > 0)
        .and_then(|expired| expired.checked_add(resend.after).ok())
        .filter(|again| view.now() < *again);
    if let Some(again) = again {
        Plan::due_at(due, again);
        return Decision::Settled(person);
    }
    if view.snapshot.completeness == Completeness::Incomplete {
        return perhaps_there(subject);
    }
    if let Some(held) = unsendable(subject) {
        return held;
    }
    match subject.act(subject.invitation()) {
        // What was adopted is remembered before the next mail.
        Decision::Act(action, _) => Decision::Act(action, Some(person)),
        held => held,
    }
}

/// An invitation that somebody else sent is ours from now on, and counts as one attempt: it leaves with its manifest, and
/// if somebody takes it back, it stays taken back.
fn adopted(subject: &Subject, member: &Member, mut person: Person) -> Person {
    let now = subject.view.now();
    person.invited_at = person.invited_at.or_else(|| last_mail(None, member, now).map(Time));
    // Zero is a reinvitation that was asked for.
    person.attempts = person.attempts.or(Some(1));
    person
}

/// By the server's own time; where it tells none, since it was seen to have run out. Whoever was held or being mailed then was
/// due already, and only when the last mail went is left to count from.
fn expiry(subject: &Subject, member: &Member, person: &Person) -> Option<Timestamp> {
    let now = subject.view.now();
    let last_mail = last_mail(person.invited_at.as_ref(), member, now);
    if let Some(told) = member.expired_at.map(seconds).filter(|at| *at <= now) {
        return last_mail.max(Some(told));
    }
    let was_due = |b: &Person| matches!(b.state, PersonState::Held | PersonState::Failed | PersonState::Inviting);
    let seen = person.since.as_ref().filter(|_| !subject.before.is_some_and(was_due)).map(|since| since.0);
    last_mail.max(seen)
}

/// By our own memory or by the server's, whichever is later; never in the future, however the server's clock goes.
fn last_mail(remembered: Option<&Time>, member: &Member, now: Timestamp) -> Option<Timestamp> {
    remembered.map(|at| at.0).max(member.invited_at.map(|at| seconds(at.min(now))))
}
