//! Who can be declared, with which role, and who cannot, and why: so that a plan of what is exported is empty, and nobody is
//! passed over in silence.

use crate::engine::snapshot::Snapshot;
use crate::label_studio::{Edition, InvitationState, Member, Role};
use crate::resources::{InviteRole, folded, is_one_address};
use std::collections::BTreeMap;

/// As many characters as `spec.emails` takes.
const LONGEST: usize = 254;

pub struct Sorted<'a> {
    /// By folded address within each role.
    pub people: BTreeMap<InviteRole, Vec<&'a str>>,
    /// Address and why, by reason.
    pub left_out: BTreeMap<&'static str, Vec<&'a str>>,
}

pub fn sort(snapshot: &Snapshot) -> Sorted<'_> {
    let mut sorted = Sorted { people: BTreeMap::new(), left_out: BTreeMap::new() };
    let mut members: Vec<(&String, &Member)> = snapshot.members().collect();
    members.sort_by(|(a, one), (b, other)| (a, one.user_id).cmp(&(b, other.user_id)));
    for (_, member) in members {
        match role_of(snapshot, member) {
            Ok(role) => sorted.people.entry(role).or_default().push(&member.email),
            Err(why) => sorted.left_out.entry(why).or_default().push(&member.email),
        }
    }
    sorted
}

fn role_of(snapshot: &Snapshot, member: &Member) -> Result<InviteRole, &'static str> {
    let address = folded(&member.email);
    if Some(member.user_id) == snapshot.owner || member.role == Some(Role::Owner) {
        return Err("the Owner, whom nobody can change");
    }
    if member.user_id == snapshot.me {
        return Err("the account that this was exported with, which the operator leaves alone");
    }
    if member.is_service {
        return Err("service accounts, which are managed in Label Studio");
    }
    if snapshot.accounts(&address).count() > 1 {
        return Err("several accounts that differ in the case of their address alone: merge them in Label Studio");
    }
    if !is_declarable(&member.email) {
        return Err("not one address as a manifest takes it");
    }
    if snapshot.edition == Edition::Community {
        return Ok(InviteRole::Annotator);
    }
    match (member.invitation, &member.role) {
        (InvitationState::Expired, _) => Err("an invitation that expired: whoever is listed is invited again"),
        (InvitationState::Open, None | Some(Role::Pending)) => {
            Err("an open invitation whose role the server does not tell: list the address under the role that is meant")
        }
        (InvitationState::Open, Some(Role::Deactivated)) => {
            Err("an open invitation of somebody who is deactivated: whoever is listed as such loses the invitation")
        }
        (_, Some(Role::Administrator)) => Ok(InviteRole::Administrator),
        (_, Some(Role::Manager)) => Ok(InviteRole::Manager),
        (_, Some(Role::Reviewer)) => Ok(InviteRole::Reviewer),
        (_, Some(Role::Annotator)) => Ok(InviteRole::Annotator),
        (_, Some(Role::Deactivated)) => Ok(InviteRole::Deactivated),
        (_, Some(Role::Pending)) => Err("signed up and without a role: list the address under the role that is meant"),
        (_, None | Some(Role::Owner | Role::ViewOnly | Role::Other(_))) => {
            Err("a role that no manifest can ask for, or that the server does not tell")
        }
    }
}

/// Whether the schema takes it (tests/export.rs compares), and the plan does.
pub fn is_declarable(email: &str) -> bool {
    let folded = folded(email);
    let domain = folded.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    let has_dot = domain.rsplit_once('.').is_some_and(|(before, last)| !before.is_empty() && !last.is_empty());
    // As it stands, too: folding takes more blanks off its ends than the schema does.
    let has_blank = email.trim_matches(' ').contains(char::is_whitespace);
    is_one_address(&folded) && has_dot && !has_blank && email.chars().count() <= LONGEST
}
