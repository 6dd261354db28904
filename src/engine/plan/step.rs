//! One write to Label Studio, with every id and the old and the new value, so that `apply` decides nothing and a
//! person can read it.

use crate::engine::grants::foreign_namespace;
use crate::label_studio::Role;
use crate::resources::folded;
use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub cause: Cause,
    pub action: Action,
}

impl Step {
    /// A UserInvite of another namespace asks for it, or for something in it.
    pub fn is_foreign(&self) -> bool {
        self.cause.is_foreign() || self.action.guests().iter().any(|guest| foreign_namespace(&guest.invite).is_some())
    }
}

/// Which manifest asks for it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Cause {
    Organization,
    /// Key of the UserInvite.
    Invite(String),
    /// A deleted UserInvite's departure, by that UserInvite's key.
    Departure(String),
    /// One request for addresses of several UserInvites.
    Several,
}

impl Cause {
    /// A UserInvite of another namespace.
    pub fn is_foreign(&self) -> bool {
        self.namespace().is_some()
    }

    /// The namespace of the UserInvite, if it is not the Organization's.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Invite(key) | Self::Departure(key) => foreign_namespace(key),
            Self::Organization | Self::Several => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    SetTitle {
        from: String,
        to: String,
    },
    /// Of people who sign up by the link.
    SetDefaultRole {
        /// Unknown where the server does not tell it.
        from: Option<Role>,
        to: Role,
    },
    SetRole {
        user_id: i64,
        email: String,
        from: Role,
        to: Role,
    },
    Remove {
        user_id: i64,
        email: String,
        from: Option<Role>,
    },
    /// `blind`: the roster does not show it, so it may not be there.
    Revoke {
        email: String,
        blind: bool,
    },
    /// One mail request, at most 50 addresses.
    Invite {
        role: Role,
        places: Places,
        guests: Vec<Guest>,
    },
    /// The role of an open invitation was lowered: revoked and sent anew under one mark.
    InviteAnew {
        guest: Guest,
        from: Role,
        to: Role,
        places: Places,
    },
    /// Somebody who is a member already.
    AddToWorkspace {
        user_id: i64,
        email: String,
        workspace: i64,
        title: String,
    },
}

/// What an invitation gives access to besides the role.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Places {
    pub workspaces: Vec<Place>,
    /// Ids.
    pub projects: Vec<i64>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    pub id: i64,
    pub title: String,
}

/// One address of a mail request.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Guest {
    /// Name of the UserInvite.
    pub invite: String,
    /// Folded: the form that is sent.
    pub email: String,
    /// As the manifest has it, or folded where that is not known: the form that is shown.
    pub typed: String,
}

impl Guest {
    pub fn new(invite: &str, typed: &str) -> Self {
        Self { invite: invite.to_owned(), email: folded(typed), typed: typed.to_owned() }
    }
}

impl Action {
    /// The role of a member before and after. Before: none where the server does not tell it. After: none where the
    /// membership ends.
    fn change(&self) -> Option<(Option<&Role>, Option<&Role>)> {
        match self {
            Self::SetRole { from, to, .. } => Some((Some(from), Some(to))),
            Self::Remove { from, .. } => Some((from.as_ref(), None)),
            Self::SetTitle { .. }
            | Self::SetDefaultRole { .. }
            | Self::Revoke { .. }
            | Self::Invite { .. }
            | Self::InviteAnew { .. }
            | Self::AddToWorkspace { .. } => None,
        }
    }

    /// Takes access or rank from somebody who has it: what the removal guard counts.
    pub fn removes(&self) -> bool {
        let lowers = |from: Option<&Role>, to: &Role| from.is_none_or(|from| to.rank() < from.rank());
        self.change()
            .is_some_and(|(from, to)| from.is_none_or(Role::has_access) && to.is_none_or(|to| lowers(from, to)))
    }

    pub fn takes_an_administrator(&self) -> bool {
        self.change().is_some_and(|(from, _)| from == Some(&Role::Administrator))
    }

    /// Ends an access that takes a seat of the licence.
    pub fn frees_a_seat(&self) -> bool {
        self.change().is_some_and(|(from, to)| from.is_none_or(Role::takes_seat) && !to.is_some_and(Role::takes_seat))
    }

    /// Takes a seat, or promises one. An invitation that takes the place of an open one is promised its seat already.
    pub fn takes_a_seat(&self) -> bool {
        matches!(self, Self::Invite { .. })
            || self
                .change()
                .is_some_and(|(from, to)| !from.is_none_or(Role::takes_seat) && to.is_some_and(Role::takes_seat))
    }

    /// About the organization and no person.
    pub fn is_organizations(&self) -> bool {
        matches!(self, Self::SetTitle { .. } | Self::SetDefaultRole { .. })
    }

    /// Frees a seat, or may: done before anything that takes one.
    pub fn frees(&self) -> bool {
        match self {
            Self::SetRole { from, to, .. } => to.rank() < from.rank() || *to == Role::Deactivated,
            Self::Remove { .. } | Self::Revoke { .. } => true,
            Self::SetTitle { .. }
            | Self::SetDefaultRole { .. }
            | Self::Invite { .. }
            | Self::InviteAnew { .. }
            | Self::AddToWorkspace { .. } => false,
        }
    }

    pub fn mails(&self) -> bool {
        matches!(self, Self::Invite { .. } | Self::InviteAnew { .. })
    }

    pub fn mailed_role(&self) -> Option<&Role> {
        match self {
            Self::Invite { role, .. } | Self::InviteAnew { to: role, .. } => Some(role),
            Self::SetTitle { .. }
            | Self::SetDefaultRole { .. }
            | Self::SetRole { .. }
            | Self::Remove { .. }
            | Self::Revoke { .. }
            | Self::AddToWorkspace { .. } => None,
        }
    }

    /// One word, whatever its values.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SetTitle { .. } => "set_title",
            Self::SetDefaultRole { .. } => "set_default_role",
            Self::SetRole { .. } => "set_role",
            Self::Remove { .. } => "remove",
            Self::Revoke { .. } => "revoke",
            Self::Invite { .. } => "invite",
            Self::InviteAnew { .. } => "invite_anew",
            Self::AddToWorkspace { .. } => "add_to_workspace",
        }
    }

    /// The word for what is asked, by which a refusal is remembered.
    pub fn verb(&self) -> String {
        match self {
            Self::SetTitle { to, .. } => format!("title {to}"),
            Self::SetDefaultRole { to, .. } => format!("default role {to}"),
            Self::SetRole { to, .. } => format!("role {to}"),
            Self::Remove { .. } => "remove".to_owned(),
            Self::Revoke { .. } => "revoke".to_owned(),
            Self::Invite { role, .. } | Self::InviteAnew { to: role, .. } => format!("invite {role}"),
            Self::AddToWorkspace { workspace, .. } => format!("workspace {workspace}"),
        }
    }

    pub fn emails(&self) -> Vec<&str> {
        match self {
            Self::SetTitle { .. } | Self::SetDefaultRole { .. } => Vec::new(),
            Self::SetRole { email, .. }
            | Self::Remove { email, .. }
            | Self::Revoke { email, .. }
            | Self::AddToWorkspace { email, .. } => vec![email],
            Self::Invite { guests, .. } => guests.iter().map(|guest| guest.email.as_str()).collect(),
            Self::InviteAnew { guest, .. } => vec![&guest.email],
        }
    }

    pub fn guests(&self) -> &[Guest] {
        match self {
            Self::Invite { guests, .. } => guests,
            Self::InviteAnew { guest, .. } => std::slice::from_ref(guest),
            _ => &[],
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetTitle { from, to } => write!(f, "title {from:?} → {to:?}"),
            Self::SetDefaultRole { from: Some(from), to } => write!(f, "default role {from} → {to}"),
            Self::SetDefaultRole { from: None, to } => write!(f, "default role → {to}"),
            Self::SetRole { email, from, to, .. } => write!(f, "{email}: {from} → {to}"),
            Self::Remove { email, from: Some(from), .. } => write!(f, "{email}: {from} → removed"),
            Self::Remove { email, from: None, .. } => write!(f, "{email}: member → removed"),
            Self::Revoke { email, .. } => write!(f, "{email}: invitation → revoked"),
            Self::Invite { role, places, guests } => {
                let emails: Vec<&str> = guests.iter().map(|guest| guest.email.as_str()).collect();
                write!(f, "invite {} as {role}{places}: {}", emails.len(), emails.join(", "))
            }
            Self::InviteAnew { guest, from, to, places } => {
                write!(f, "{}: invited as {from} → {to}{places}", guest.email)
            }
            Self::AddToWorkspace { email, title, .. } => write!(f, "{email}: into workspace {title:?}"),
        }
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = self.workspaces.iter().map(|place| format!("workspace {:?}", place.title));
        let all: Vec<String> = titles.chain(self.projects.iter().map(|id| format!("project {id}"))).collect();
        if all.is_empty() { Ok(()) } else { write!(f, " into {}", all.join(", ")) }
    }
}
