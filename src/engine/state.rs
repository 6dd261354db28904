//! A snapshot as a file: what `export -o state` writes, and what `plan --state` reads where there is no server to ask. Its form is
//! a contract; it holds personal data, and no secret.

use super::snapshot::{Completeness, Found, Snapshot};
use super::workspaces::Workspaces;
use crate::label_studio::{Boottime, Edition, InvitationState, Member, Role};
use crate::resources::{Seats, Target};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The form of the file. It changes only with a line in the changelog.
const VERSION: u32 = 1;
/// Whoever opens it should see at once what it is.
const ABOUT: &str = "Members of a Label Studio organization, for `label-studio-operator plan --state`. This is personal data: keep it as such.";

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    version: u32,
    about: String,
    pub taken_at: Timestamp,
    pub target: Target,
    edition: Edition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_role: Option<Role>,
    /// User id of the account that it was read with, and its address.
    me: i64,
    own_address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<i64>,
    roles_by_hand: bool,
    email_configured: bool,
    may_invite: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seats: Option<Seats>,
    completeness: Completeness,
    /// By user id.
    members: Vec<Row>,
    workspaces: Vec<Room>,
    /// Why there are none, where the token may not see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workspaces_unread: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    user_id: i64,
    email: String,
    /// As the server writes it: `AN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    invitation: InvitationState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invited_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expired_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_activity: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    service: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role_source: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Room {
    id: i64,
    title: String,
    /// User ids; or why they are not known.
    members: Result<BTreeSet<i64>, String>,
}

#[derive(Debug, thiserror::Error)]
pub enum NoState {
    #[error("is no state as `export -o state` writes it")]
    Unreadable(#[from] serde_json::Error),
    #[error(
        "is a state of form {0}, and this program reads form {VERSION}: export it anew with the program that is to read it"
    )]
    OtherVersion(u32),
}

impl State {
    /// Workspaces as far as they were read.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        let mut members: Vec<Row> = snapshot.members().map(|(_, member)| Row::of(member)).collect();
        members.sort_by_key(|row| row.user_id);
        let room = |(title, id, members): (&str, i64, Result<&BTreeSet<i64>, &str>)| Room {
            id,
            title: title.to_owned(),
            members: members.cloned().map_err(ToOwned::to_owned),
        };
        Self {
            version: VERSION,
            about: ABOUT.to_owned(),
            taken_at: crate::resources::seconds(now),
            target: snapshot.target.clone(),
            edition: snapshot.edition,
            release: snapshot.release.clone(),
            title: snapshot.title.clone(),
            default_role: snapshot.default_role.clone(),
            me: snapshot.me,
            own_address: snapshot.own_address.clone(),
            owner: snapshot.owner,
            roles_by_hand: snapshot.roles_by_hand,
            email_configured: snapshot.email_configured,
            may_invite: snapshot.may_invite,
            seats: snapshot.seats,
            completeness: snapshot.completeness,
            members,
            workspaces: snapshot.workspaces.read().map(room).collect(),
            workspaces_unread: snapshot.workspaces.unread().map(ToOwned::to_owned),
        }
    }

    pub fn read(text: &str) -> Result<Self, NoState> {
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        // First, since another form need not have these fields.
        match serde_json::from_str::<Form>(text)?.version {
            VERSION => Ok(serde_json::from_str(text)?),
            other => Err(NoState::OtherVersion(other)),
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        let rooms = self.workspaces.iter().map(|room| (room.title.clone(), room.id, room.members.clone())).collect();
        let mut snapshot = Snapshot::new(Found {
            target: self.target.clone(),
            edition: self.edition,
            release: self.release.clone(),
            title: self.title.clone(),
            default_role: self.default_role.clone(),
            me: self.me,
            own_address: self.own_address.clone(),
            created_by: self.owner,
            roles_by_hand: self.roles_by_hand,
            email_configured: self.email_configured,
            may_invite: self.may_invite,
            seats: self.seats,
            completeness: self.completeness,
            begun: Boottime::now(),
            members: self.members.iter().map(Row::member).collect(),
        });
        snapshot.workspaces = Workspaces::known(rooms, self.workspaces_unread.clone());
        snapshot
    }
}

impl Row {
    fn of(member: &Member) -> Self {
        Self {
            user_id: member.user_id,
            email: member.email.clone(),
            role: member.role.clone(),
            invitation: member.invitation,
            invited_at: member.invited_at,
            expired_at: member.expired_at,
            last_activity: member.last_activity,
            service: member.is_service,
            role_source: member.role_source.clone(),
        }
    }

    fn member(&self) -> Member {
        Member {
            user_id: self.user_id,
            email: self.email.clone(),
            role: self.role.clone(),
            invitation: self.invitation,
            invited_at: self.invited_at,
            expired_at: self.expired_at,
            last_activity: self.last_activity,
            is_service: self.service,
            role_source: self.role_source.clone(),
        }
    }
}
