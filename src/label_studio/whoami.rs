//! Whose token this is (published contract, `GET /api/current-user/whoami`).

use serde::Deserialize;

use super::client::Client;
use super::error::Error;
use super::members::LONGEST_ADDRESS;
use super::refusal;
use super::role::Role;
use super::send::Call;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whoami {
    pub user_id: i64,
    pub email: String,
    /// Many endpoints act on this one without naming it. `None` after the account was removed from its organization.
    pub active_organization: Option<i64>,
    /// The role in the active organization; Enterprise only.
    pub role: Option<Role>,
}

#[derive(Deserialize)]
struct Wire {
    id: i64,
    #[serde(default)]
    email: Option<String>,
    active_organization: Option<i64>,
    organization_membership: Option<Membership>,
}

#[derive(Deserialize)]
struct Membership {
    organization_id: Option<i64>,
    role: Option<String>,
}

impl Client {
    pub async fn whoami(&self) -> Result<Whoami, Error> {
        let wire: Wire = self.persist(&Call::get("/api/current-user/whoami")).await?.json()?;
        // At once: the roster, which takes most requests, comes next.
        self.belongs_to(wire.id);
        Ok(wire.into())
    }
}

impl From<Wire> for Whoami {
    fn from(wire: Wire) -> Self {
        let active = wire.active_organization;
        let role = wire
            .organization_membership
            .filter(|membership| membership.organization_id.is_none() || membership.organization_id == active)
            .and_then(|membership| membership.role);
        Self {
            user_id: wire.id,
            email: refusal::at_most(LONGEST_ADDRESS, wire.email.unwrap_or_default()),
            active_organization: active,
            role: role.as_deref().map(Role::from_code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Whoami {
        serde_json::from_str::<Wire>(text).unwrap().into()
    }

    #[test]
    fn the_role_is_that_of_the_active_organization() {
        let me = read(
            r#"{"id":7,"email":"a@example.com","active_organization":1,"permissions":["x"],
                "organization_membership":{"organization_id":1,"role":"AD","active":true}}"#,
        );
        assert_eq!((me.user_id, me.active_organization), (7, Some(1)));
        assert_eq!(me.role, Some(Role::Administrator));
        let other = read(
            r#"{"id":7,"email":"a@example.com","active_organization":1,
                "organization_membership":{"organization_id":2,"role":"OW"}}"#,
        );
        assert_eq!(other.role, None);
    }

    #[test]
    fn the_open_source_answer_has_no_role_and_a_removed_account_no_organization() {
        let me = read(r#"{"id":1,"email":"a@example.com","active_organization":null}"#);
        assert_eq!((me.role, me.active_organization), (None, None));
        let endless = read(&format!(r#"{{"id":1,"email":"{}","active_organization":1}}"#, "a".repeat(100_000)));
        assert_eq!(endless.email.len(), LONGEST_ADDRESS);
    }
}
