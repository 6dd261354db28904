//! One change of one person, or of the organization: what a step does, person by person.

use crate::engine::desired::Desired;
use crate::engine::plan::{Action, Cause, Guest, Places};
use crate::label_studio::Role;
use serde::Serialize;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub action: Kind,
    /// As the manifest shows it; none for what is about the organization itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Which manifest asks for it: the UserInvite's name, `namespace/name` where it is not in the Organization's; none where the
    /// Organization itself does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_invite: Option<String>,
    /// Role or title before; none where there is none, or the server does not tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Role or title after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Titles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workspaces: Vec<String>,
    /// Ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<i64>,
    /// The server may hide people, so the person is searched for, and invited if not found.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub searched_first: bool,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    SetTitle,
    SetDefaultRole,
    Invite,
    /// An open invitation with a higher role is revoked, and another one sent.
    InviteAnew,
    SetRole,
    /// The role `Deactivated`.
    Deactivate,
    Remove,
    /// An open invitation is taken back.
    Revoke,
    AddToWorkspace,
}

impl Kind {
    /// As people read a change: somebody comes, something changes, somebody goes.
    pub fn sign(self) -> char {
        match self {
            Self::Invite => '+',
            Self::SetTitle | Self::SetDefaultRole | Self::InviteAnew | Self::SetRole | Self::AddToWorkspace => '~',
            Self::Deactivate | Self::Remove | Self::Revoke => '-',
        }
    }
}

/// One for each person of the action.
pub fn changes<'a>(desired: &'a Desired, cause: &Cause, action: &'a Action) -> Vec<Change> {
    let of = |kind: Kind, email: &str| Change {
        email: Some(typed(desired, cause, email)),
        user_invite: asked_by(cause),
        ..Change::new(kind)
    };
    let name = |role: &Role| Some(role.to_string());
    let invited = |kind: Kind, guest: &Guest, to: &Role, places: &Places| Change {
        email: Some(guest.typed.trim().to_owned()),
        user_invite: Some(guest.invite.clone()),
        to: name(to),
        workspaces: places.workspaces.iter().map(|place| place.title.clone()).collect(),
        projects: places.projects.clone(),
        ..Change::new(kind)
    };
    match action {
        Action::SetTitle { from, to } => {
            vec![Change { from: Some(from.clone()), to: Some(to.clone()), ..Change::new(Kind::SetTitle) }]
        }
        Action::SetDefaultRole { from, to } => {
            let from = from.as_ref().map(ToString::to_string);
            vec![Change { from, to: name(to), ..Change::new(Kind::SetDefaultRole) }]
        }
        Action::SetRole { email, from, to, .. } => {
            let kind = if *to == Role::Deactivated { Kind::Deactivate } else { Kind::SetRole };
            vec![Change { from: name(from), to: name(to), ..of(kind, email) }]
        }
        Action::Remove { email, from, .. } => {
            vec![Change { from: from.as_ref().map(ToString::to_string), ..of(Kind::Remove, email) }]
        }
        Action::Revoke { email, .. } => vec![of(Kind::Revoke, email)],
        Action::Invite { role, places, guests } => {
            guests.iter().map(|guest| invited(Kind::Invite, guest, role, places)).collect()
        }
        Action::InviteAnew { guest, from, to, places } => {
            vec![Change { from: name(from), ..invited(Kind::InviteAnew, guest, to, places) }]
        }
        Action::AddToWorkspace { email, title, .. } => {
            vec![Change { workspaces: vec![title.clone()], ..of(Kind::AddToWorkspace, email) }]
        }
    }
}

impl Change {
    pub fn new(action: Kind) -> Self {
        Self {
            action,
            email: None,
            user_invite: None,
            from: None,
            to: None,
            workspaces: Vec::new(),
            projects: Vec::new(),
            searched_first: false,
        }
    }
}

fn asked_by(cause: &Cause) -> Option<String> {
    match cause {
        Cause::Invite(key) | Cause::Departure(key) => Some(key.clone()),
        Cause::Organization | Cause::Several => None,
    }
}

fn typed(desired: &Desired, cause: &Cause, email: &str) -> String {
    let key = asked_by(cause);
    let invite = key.and_then(|key| desired.invite(&key));
    let typed = invite.and_then(|invite| invite.emails.get(email)).map(|typed| typed.trim());
    typed.unwrap_or(email).to_owned()
}

impl Change {
    /// The same for the same change, however it came about.
    pub fn key(&self) -> String {
        let plain = Self { searched_first: false, ..self.clone() };
        format!("{plain} {}", self.user_invite.as_deref().unwrap_or_default())
    }

    /// Without sign, person and manifest.
    pub fn what(&self) -> String {
        let Self { action, from, to, .. } = self;
        let from = from.as_deref().unwrap_or("?");
        let to = to.as_deref().unwrap_or("?");
        let mut what = match action {
            Kind::SetTitle => format!("title {from:?} → {to:?}"),
            Kind::SetDefaultRole => format!("default role {from} → {to}"),
            Kind::Invite => format!("invite as {to}"),
            Kind::InviteAnew => format!("invited as {from}: invite anew as {to}"),
            Kind::SetRole | Kind::Deactivate => format!("{from} → {to}"),
            Kind::Remove => format!("{from} → removed"),
            Kind::Revoke => "revoke the invitation".to_owned(),
            Kind::AddToWorkspace => "member".to_owned(),
        };
        let titles = self.workspaces.iter().map(|title| format!("workspace {title:?}"));
        let places: Vec<String> = titles.chain(self.projects.iter().map(|id| format!("project {id}"))).collect();
        if !places.is_empty() {
            what = format!("{what}, into {}", places.join(", "));
        }
        if self.searched_first {
            what.push_str(", unless a search finds the person");
        }
        what
    }
}

/// Without sign and manifest.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(email) = &self.email {
            write!(f, "{email}: ")?;
        }
        f.write_str(&self.what())
    }
}
