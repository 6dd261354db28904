//! Where people belong besides their role: workspaces and projects. Both go along with an invitation; members who lack a
//! workspace are added to it, and nobody is ever taken out of one.

use super::entry::at_most;
use super::step::{Place, Places};
use super::subject::Subject;
use super::{Action, Decision};
use crate::engine::desired::{Desired, Invite};
use crate::engine::snapshot::Snapshot;
use crate::engine::workspaces::Missing;
use crate::label_studio::{Edition, Member};
use crate::resources::{HeldReason, InviteRole, Person};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// When to look for workspaces again that could not be read.
pub const AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What a UserInvite's workspaces and projects are on this server.
#[derive(Default)]
pub struct Belonging {
    pub places: Places,
    /// Why not all of them are known; the first one.
    pub missing: Option<Missing>,
}

/// By name of the UserInvite: the same for each of its people.
pub fn belonging<'a>(desired: &'a Desired, snapshot: &Snapshot, now: Timestamp) -> BTreeMap<&'a str, Belonging> {
    let with_places = desired.invites.iter().filter(|invite| invite.names_places());
    let needed = with_places.filter(|invite| invite.role_at(now) != InviteRole::Deactivated);
    let of = |invite: &'a Invite| {
        let mut belonging = Belonging::default();
        if snapshot.edition == Edition::Community {
            return belonging;
        }
        belonging.places.projects.clone_from(&invite.projects);
        for title in &invite.workspaces {
            match snapshot.workspaces.find(title) {
                Ok(id) => belonging.places.workspaces.push(Place { id, title: title.trim().to_owned() }),
                Err(missing) => belonging.missing = belonging.missing.or(Some(missing)),
            }
        }
        belonging
    };
    needed.map(|invite| (invite.name.as_str(), of(invite))).collect()
}

/// A member whose role is right.
pub fn placed(subject: &Subject, member: &Member, person: Person) -> Decision {
    let Some(Belonging { places, missing }) = subject.belonging() else { return Decision::Settled(person) };
    let (snapshot, ledger) = (subject.view.snapshot, subject.view.ledger);
    let mut held = None;
    for Place { id, title } in &places.workspaces {
        match snapshot.workspaces.lacks(*id, member.user_id) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(missing) => {
                held = held.or(Some(missing));
                continue;
            }
        }
        let action = Action::AddToWorkspace {
            user_id: member.user_id,
            email: subject.email.to_owned(),
            workspace: *id,
            title: title.clone(),
        };
        if ledger.passing.gives_up_adding(member.user_id, *id) {
            let message = format!("was added to workspace {title:?} three times within a day, and is not in it");
            held = held.or(Some(Missing { reason: HeldReason::Reverted, message }));
        } else if let Some(refusal) = ledger.refusal(subject.email, &action.verb(), subject.view.now()) {
            held = held.or(Some(Missing { reason: refusal.reason, message: refusal.message.clone() }));
        } else {
            return Decision::Act(action, Some(person));
        }
    }
    marked(subject, person, held.as_ref().or(missing.as_ref()))
}

/// Somebody for whom nothing is to be done, though not everything that is wanted is known.
pub fn settled(subject: &Subject, person: Person) -> Decision {
    let missing = subject.belonging().and_then(|belonging| belonging.missing.as_ref());
    marked(subject, person, missing)
}

/// Held, and still where the person stands.
fn marked(subject: &Subject, mut person: Person, missing: Option<&Missing>) -> Decision {
    let Some(Missing { reason, message }) = missing else { return Decision::Settled(person) };
    person.reason = Some(reason.to_string());
    person.message = Some(at_most(message.clone(), 200));
    Decision::Held(*reason, subject.since(person))
}
