//! One account with its membership. It knows what it is, not what the server answers about it.

use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;

/// A role code as on the wire. Open, so that a test can give somebody a role that no client knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Role(Cow<'static, str>);

impl Role {
    pub const OWNER: Role = Role(Cow::Borrowed("OW"));
    pub const ADMINISTRATOR: Role = Role(Cow::Borrowed("AD"));
    pub const MANAGER: Role = Role(Cow::Borrowed("MA"));
    pub const REVIEWER: Role = Role(Cow::Borrowed("RE"));
    pub const ANNOTATOR: Role = Role(Cow::Borrowed("AN"));
    pub const PENDING: Role = Role(Cow::Borrowed("NO"));
    pub const DEACTIVATED: Role = Role(Cow::Borrowed("DI"));
    pub const VIEW_ONLY: Role = Role(Cow::Borrowed("VO"));

    pub fn code(&self) -> &str {
        &self.0
    }

    /// Whether a person with this role has access and takes a seat, as the published role table says.
    pub fn is_working(&self) -> bool {
        !matches!(self.code(), "NO" | "DI" | "VO")
    }
}

impl From<&str> for Role {
    fn from(code: &str) -> Role {
        // Known codes take no memory of their own: there may be 50,000 of them.
        match code {
            "OW" => Role::OWNER,
            "AD" => Role::ADMINISTRATOR,
            "MA" => Role::MANAGER,
            "RE" => Role::REVIEWER,
            "AN" => Role::ANNOTATOR,
            "NO" => Role::PENDING,
            "DI" => Role::DEACTIVATED,
            "VO" => Role::VIEW_ONLY,
            other => Role(Cow::Owned(other.to_owned())),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub role: Role,
    pub invited_at: Timestamp,
    pub invited_by: u64,
    pub state: InvitationState,
    pub expires_at: Option<Timestamp>,
    pub workspaces: Vec<u64>,
    pub projects: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationState {
    Open,
    Expired,
    Accepted,
    /// Dead, though its row may still be there.
    Revoked,
}

#[derive(Clone, Debug)]
pub struct Person {
    pub user_id: u64,
    pub membership_id: u64,
    pub email: String,
    /// None: the local part of the address.
    pub username: Option<String>,
    pub first_name: String,
    pub last_name: String,
    /// The role once the person is in; while an invitation is open, `NO`.
    pub role: Role,
    pub role_source: Cow<'static, str>,
    /// standard, flex, viewonly or service
    pub user_type: Cow<'static, str>,
    pub invitation: Option<Box<Invitation>>,
    pub joined_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub password: Option<String>,
}

impl Person {
    pub fn new(user_id: u64, membership_id: u64, email: &str, role: Role, joined_at: Timestamp) -> Person {
        Person {
            user_id,
            membership_id,
            email: email.to_owned(),
            username: None,
            first_name: String::new(),
            last_name: String::new(),
            role,
            role_source: Cow::Borrowed("manual"),
            user_type: Cow::Borrowed("standard"),
            invitation: None,
            joined_at,
            deleted_at: None,
            password: None,
        }
    }

    pub fn username(&self) -> &str {
        match &self.username {
            Some(name) => name,
            None => self.email.split('@').next().unwrap_or_default(),
        }
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    pub fn is_service(&self) -> bool {
        self.user_type == "service"
    }

    /// Invited by mail and not in yet, whether the invitation still works or not.
    pub fn is_invited(&self) -> bool {
        self.invitation.as_deref().is_some_and(|i| i.state != InvitationState::Accepted)
    }

    /// An open invitation that ran out counts as expired from that moment on.
    pub fn invitation_state(&self, now: Timestamp) -> Option<InvitationState> {
        let invitation = self.invitation.as_deref()?;
        if invitation.state == InvitationState::Open && invitation.expires_at.is_some_and(|end| end <= now) {
            return Some(InvitationState::Expired);
        }
        Some(invitation.state)
    }

    /// Service accounts and view-only people are licensed apart.
    pub fn takes_seat(&self, deleted_ones_too: bool) -> bool {
        self.role.is_working()
            && !self.is_invited()
            && matches!(self.user_type.as_ref(), "standard" | "flex")
            && (deleted_ones_too || !self.is_deleted())
    }
}
