//! A person as tests and scripts see one: what really is, not what the server would say under its switches.

use crate::person::{InvitationState, Person};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    Active,
    Pending,
    Deactivated,
    Invited,
    InviteExpired,
    InviteRevoked,
    Removed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberView {
    pub user_id: u64,
    pub email: String,
    /// The role once in; for somebody invited, the one promised.
    pub role: String,
    pub state: MemberState,
    pub role_source: String,
    pub user_type: String,
    pub workspaces: Vec<u64>,
    pub projects: Vec<u64>,
}

impl MemberView {
    pub(crate) fn of(person: &Person) -> MemberView {
        let invitation = person.invitation.as_deref();
        let state = if person.is_deleted() {
            MemberState::Removed
        } else {
            match person.invitation_state(Timestamp::now()) {
                Some(InvitationState::Open) => MemberState::Invited,
                Some(InvitationState::Expired) => MemberState::InviteExpired,
                Some(InvitationState::Revoked) => MemberState::InviteRevoked,
                Some(InvitationState::Accepted) | None => match person.role.code() {
                    "NO" => MemberState::Pending,
                    "DI" => MemberState::Deactivated,
                    _ => MemberState::Active,
                },
            }
        };
        let promised = invitation.filter(|_| person.is_invited()).map(|i| &i.role);
        MemberView {
            user_id: person.user_id,
            email: person.email.clone(),
            role: promised.unwrap_or(&person.role).code().to_owned(),
            state,
            role_source: person.role_source.to_string(),
            user_type: person.user_type.to_string(),
            workspaces: invitation.map(|i| i.workspaces.clone()).unwrap_or_default(),
            projects: invitation.map(|i| i.projects.clone()).unwrap_or_default(),
        }
    }
}
