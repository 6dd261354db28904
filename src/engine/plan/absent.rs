//! A claimed address that the roster does not show: invited and hidden, gone, or new.

use super::entry::{role_named, wire_role};
use super::places::settled;
use super::subject::Subject;
use super::{Action, Decision};
use crate::engine::ledger::Kept;
use crate::label_studio::{Edition, Role};
use crate::resources::{HeldReason, InviteRole, Person, PersonState};

/// Nobody with this address is in the roster that was read.
pub fn unlisted(subject: &Subject) -> Decision {
    let view = subject.view;
    let hides = view.ledger.invitations_visible != Some(true);
    if view.snapshot.was_invited_since(subject.email) {
        return waits_for_person(subject);
    }
    let complete = view.snapshot.is_complete();
    // The open-source edition ignores `search` (measured).
    let searchable = view.snapshot.may_hide() && view.snapshot.edition == Edition::Enterprise;
    if !complete && !searchable {
        return perhaps_there(subject);
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
        if before.user_id.is_some() && subject.role != InviteRole::Deactivated {
            return concluded(subject, has_left);
        }
        if before.invited_at.is_some() {
            let nothing = view.found_nothing_open(subject.email);
            return if hides && !nothing { waits_for_person(subject) } else { concluded(subject, was_revoked) };
        }
        // Where the status was lost, only a whole roster that shows open invitations tells who is new.
        let doubtful = hides || !complete || !view.snapshot.shows_open_invitation();
        if before.is_held_for(HeldReason::InviteUnconfirmed) && doubtful && subject.role != InviteRole::Deactivated {
            return subject.hold(HeldReason::InviteUnconfirmed, before.message.as_deref().unwrap_or_default());
        }
    }
    if subject.role == InviteRole::Deactivated {
        if is_unconfirmed(subject.before) && hides && !view.found_nothing_open(subject.email) {
            // Perhaps invited, and nobody sees it: revoked once, so that no access comes of it.
            return subject.act(Action::Revoke { email: subject.email.to_owned(), blind: true });
        }
        return concluded(subject, |subject| Decision::Settled(subject.satisfied()));
    }
    newcomer(subject)
}

/// What follows from somebody's absence.
fn concluded(subject: &Subject, conclude: impl FnOnce(&Subject) -> Decision) -> Decision {
    if subject.view.snapshot.is_complete() { conclude(subject) } else { perhaps_there(subject) }
}

pub fn perhaps_there(subject: &Subject) -> Decision {
    if let Some(before) = subject.before.filter(|_| is_unconfirmed(subject.before)) {
        // That a mail may be out nobody else knows.
        return subject.hold(HeldReason::InviteUnconfirmed, before.message.as_deref().unwrap_or_default());
    }
    subject.hold(
        HeldReason::IncompleteRoster,
        "the server's list of members is not complete, so nobody's absence is concluded from it",
    )
}

fn absent_without_roles(subject: &Subject) -> Decision {
    if subject.role == InviteRole::Deactivated {
        return Decision::Settled(subject.satisfied());
    }
    subject.hold(
        HeldReason::UnsupportedByEdition,
        "the open-source edition sends no invitations: give the person the invite link",
    )
}

fn waits_for_person(subject: &Subject) -> Decision {
    let to = wire_role(subject.role);
    let hidden = !subject.view.snapshot.was_invited_since(subject.email);
    if to == Role::Deactivated {
        // Revoked once, blindly where the server hides invitations: the outcome clears `invitedAt`.
        return subject.act(Action::Revoke { email: subject.email.to_owned(), blind: hidden });
    }
    let from = subject.before.and_then(|p| p.role.as_deref()).and_then(role_named).unwrap_or_else(|| to.clone());
    let invited = subject.invited(&from);
    if to.rank() < from.rank() {
        return subject.anew(from, to, invited);
    }
    settled(subject, invited)
}

fn has_left(subject: &Subject) -> Decision {
    if subject.was_dropped() {
        return anew(subject);
    }
    let mut person = subject.entry();
    person.state = PersonState::Left;
    person.seat_since = None;
    let message = "was a member and is gone: to invite again, annotate labelstudio.rs/reinvite=<address>, or remove the address and add it anew";
    subject.ended(person, HeldReason::Left, message)
}

fn was_revoked(subject: &Subject) -> Decision {
    if subject.role == InviteRole::Deactivated {
        return Decision::Settled(subject.satisfied());
    }
    if subject.was_dropped() {
        return anew(subject);
    }
    let mut person = subject.entry();
    person.state = PersonState::Revoked;
    let message = "the invitation is gone from the server: to send one, annotate labelstudio.rs/reinvite=<address>, or remove the address and add it anew";
    subject.ended(person, HeldReason::Revoked, message)
}

/// Removed and added again: a newcomer, and what was tried before does not count.
fn anew(subject: &Subject) -> Decision {
    match (newcomer(subject), subject.before) {
        (Decision::Act(action, None), Some(before)) => {
            let mut person = before.clone();
            person.attempts = Some(0);
            Decision::Act(action, Some(person))
        }
        (decision, _) => decision,
    }
}

fn newcomer(subject: &Subject) -> Decision {
    let view = subject.view;
    let complete = view.snapshot.is_complete();
    let shows = complete && view.snapshot.shows_open_invitation();
    let lost =
        subject.invite.finalized && view.ledger.invites.get(&subject.invite.name).is_none_or(|m| m.target.is_none());
    if lost && !shows {
        // Our finalizer without a status: somebody cleared it, and with it who was mailed already.
        return subject.hold(
            HeldReason::InviteUnconfirmed,
            "the status was lost, so a mail may have been sent: ask the person, then annotate the UserInvite with labelstudio.rs/reinvite=<address>",
        );
    }
    let blind = view.ledger.invitations_visible == Some(false);
    if blind && view.ledger.kept == (Kept::ForOneRun { first_invitation: false }) {
        return subject.hold(
            HeldReason::InviteUnconfirmed,
            "the server lists no open invitations, so an earlier run may have mailed this address: ask the person; --first-invitation says that nobody in these files was, so take out whom a run has mailed",
        );
    }
    if let Some(held) = unsendable(subject) {
        return held;
    }
    let invitation = subject.act(subject.invitation());
    let hidden = !complete && !view.snapshot.was_sought(subject.email);
    match (invitation, view.snapshot.search_finds) {
        (Decision::Act(..), Some(false)) if hidden => perhaps_there(subject),
        // Not long before the mail, so not while an earlier one keeps it waiting.
        (Decision::Act(..), _) if hidden && !view.circumstances.mail_allowed => Decision::Wait(None),
        (Decision::Act(..), _) if hidden => Decision::Seek,
        (invitation, _) => invitation,
    }
}

/// Why nobody of this UserInvite is mailed.
pub fn unsendable(subject: &Subject) -> Option<Decision> {
    let snapshot = subject.view.snapshot;
    if !snapshot.email_configured {
        let message = "the server sends no mail: configure its e-mail settings";
        return Some(subject.hold(HeldReason::EmailNotConfigured, message));
    }
    if !snapshot.may_invite {
        return Some(subject.hold(HeldReason::Forbidden, "the server's licence does not allow invitations"));
    }
    if let Some(missing) = subject.belonging().and_then(|belonging| belonging.missing.as_ref()) {
        return Some(subject.hold(missing.reason, &missing.message));
    }
    None
}

fn is_unconfirmed(before: Option<&Person>) -> bool {
    before.is_some_and(|person| person.is_held_for(HeldReason::InviteUnconfirmed))
}
