//! How people look on the wire, in both editions. Reads the state, changes nothing.

use crate::person::{InvitationState, Person, Role};
use crate::state::State;
use crate::switches::OpenInvitationRole;
use jiff::Timestamp;
use serde_json::{Value, json};

impl State {
    /// The role a list shows, which for an open invitation is an open question.
    pub(crate) fn shown_role(&self, person: &Person) -> Role {
        match (person.invitation.as_deref(), self.switches.open_invitation_role) {
            (Some(invitation), OpenInvitationRole::Target)
                if matches!(invitation.state, InvitationState::Open | InvitationState::Expired) =>
            {
                invitation.role.clone()
            }
            _ => person.role.clone(),
        }
    }

    /// One row of the member list.
    pub(crate) fn member_row(&self, person: &Person) -> Value {
        let mut user = self.user(person, true);
        user["created_projects"] = Value::Null;
        user["contributed_to_projects"] = Value::Null;
        if self.is_community() {
            return json!({
                "id": person.membership_id,
                "organization": self.organization.id,
                "user": user,
                "created_projects": null,
                "contributed_to_projects": null,
            });
        }
        if let Some(user) = user.as_object_mut() {
            user.remove("active_organization_meta");
        }
        let mut row = json!({
            "id": person.membership_id,
            "organization": self.organization.id,
            "role": self.shown_role(person),
            "concurrency": null,
            "tags": [],
            "flex": null,
            "created_projects": null,
            "contributed_to_projects": null,
            "user": user,
        });
        if self.switches.newer_member_fields {
            row["role_source"] = json!(person.role_source);
            row["user_type"] = json!(person.user_type);
        }
        row
    }

    /// A user as lists and whoami show it. `masked`: a removed one is shown as "Deleted User".
    pub(crate) fn user(&self, person: &Person, masked: bool) -> Value {
        let masked = masked && person.is_deleted();
        let (first, last, username, email) = if masked {
            ("Deleted", "User", "Deleted", "Deleted")
        } else {
            (person.first_name.as_str(), person.last_name.as_str(), person.username(), person.email.as_str())
        };
        let initials = if masked { "DU".to_owned() } else { initials(person) };
        let active = !person.is_deleted();
        let owner = self.roster.get(self.organization.owner).map_or("", |o| o.email.as_str());
        let meta = if active {
            json!({"title": self.organization.title, "email": owner})
        } else {
            json!({"title": "", "email": ""})
        };
        let mut user = json!({
            "id": person.user_id,
            "first_name": first,
            "last_name": last,
            "username": username,
            "email": email,
            "last_activity": stamp(person.joined_at),
            "custom_hotkeys": {},
            "avatar": null,
            "initials": initials,
            "phone": "",
            "active_organization": active.then_some(self.organization.id),
            "active_organization_meta": meta,
            "allow_newsletters": false,
            "date_joined": stamp(person.joined_at),
        });
        if !self.is_community() {
            user["pause"] = Value::Null;
            user["lse_fields"] = Self::lse_fields(person);
        }
        user
    }

    fn lse_fields(person: &Person) -> Value {
        let now = Timestamp::now();
        let state = person.invitation_state(now);
        let invitation = person.invitation.as_deref();
        let expired_at = invitation.and_then(|i| i.expires_at).filter(|_| state == Some(InvitationState::Expired));
        json!({
            "invited_at": invitation.map(|i| stamp(i.invited_at)),
            "invited_by": invitation.map(|i| i.invited_by),
            "invite_activated": state.map(|s| s == InvitationState::Accepted),
            "invite_expired": state.map(|s| s == InvitationState::Expired),
            "invite_expired_at": expired_at.map(stamp),
            "onboarding_state": if person.is_invited() { "not_started" } else { "complete" },
            "social_auth_finished": null,
            "email_notification_settings": {},
        })
    }

    pub(crate) fn organization_membership(&self, person: &Person) -> Value {
        json!({
            "organization_id": self.organization.id,
            "role": self.shown_role(person),
            "active": person.role.is_working() && !person.is_deleted(),
            "user_type": person.user_type,
            "flex": null,
        })
    }
}

/// As Django writes it: UTC, six digits after the second.
pub(crate) fn stamp(time: Timestamp) -> String {
    format!("{time:.6}")
}

fn initials(person: &Person) -> String {
    let (first, last) = (person.first_name.chars().next(), person.last_name.chars().next());
    match (first, last) {
        (None, None) => person.username().chars().take(2).collect(),
        _ => first.into_iter().chain(last).collect(),
    }
}
