//! The organization itself (published contract, `GET` and `PATCH /api/organizations/{id}`). Both answers hold the
//! token of the invite link, which must not be read into anything.

use reqwest::Method;
use serde::Deserialize;

use super::client::Client;
use super::error::Error;
use super::refusal;
use super::role::Role;
use super::send::Call;

/// Longer than any title that can be declared (1000), so that a cut one is never taken for one of those.
const LONGEST_TITLE: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    pub id: i64,
    pub title: String,
    pub created_at: Option<jiff::Timestamp>,
    /// The owner's user id; the open-source edition only.
    pub created_by: Option<i64>,
    /// Of people who sign up; Enterprise only.
    pub default_role: Option<Role>,
    /// False if an identity provider sets the roles; Enterprise only.
    pub manual_role_management: Option<bool>,
}

#[derive(Deserialize)]
struct Wire {
    id: i64,
    title: String,
    created_at: Option<String>,
    created_by: Option<i64>,
    default_role: Option<String>,
    billing: Option<Billing>,
}

#[derive(Deserialize)]
struct Billing {
    manual_role_management: Option<bool>,
}

impl Client {
    pub async fn organization(&self, id: i64) -> Result<Organization, Error> {
        let wire: Wire = self.persist(&Call::get(path(id))).await?.json()?;
        Ok(wire.into())
    }

    /// Sets the title and returns what the server made of it. Idempotent: tried again after a lost answer.
    pub async fn set_title(&self, id: i64, title: &str) -> Result<Organization, Error> {
        let body = serde_json::json!({ "title": title });
        let call = Call::write(Method::PATCH, path(id), Some(body));
        let wire: Wire = self.persist(&call).await?.json()?;
        Ok(wire.into())
    }
}

#[derive(Deserialize)]
struct WireDefaultRole {
    default_role: Option<String>,
}

impl Client {
    /// Sets the role of people who sign up by the link, and nothing else (api.md 3.4, 12.7: whether the server touches only
    /// what is sent is not published, so nothing but this is). Enterprise only. Idempotent. Returns what the server made
    /// of it.
    pub async fn set_default_role(&self, id: i64, role: &Role) -> Result<Role, Error> {
        let body = serde_json::json!({ "default_role": role.as_code() });
        let call = Call::write(Method::PATCH, format!("{}/set-default-role", path(id)), Some(body));
        let wire: WireDefaultRole = self.persist(&call).await?.json()?;
        Ok(wire.default_role.as_deref().map_or_else(|| role.clone(), Role::from_code))
    }
}

/// Without a slash at its end: with one it is a 404 (measured on open-source 1.23.2).
fn path(id: i64) -> String {
    format!("/api/organizations/{id}")
}

impl From<Wire> for Organization {
    fn from(wire: Wire) -> Self {
        Self {
            id: wire.id,
            title: refusal::at_most(LONGEST_TITLE, wire.title),
            created_at: wire.created_at.and_then(|text| text.parse().ok()),
            created_by: wire.created_by,
            default_role: wire.default_role.as_deref().map(Role::from_code),
            manual_role_management: wire.billing.and_then(|billing| billing.manual_role_management),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_editions_are_read_and_the_invite_token_is_dropped() {
        let community: Organization = serde_json::from_str::<Wire>(
            r#"{"id":1,"title":"Label Studio","token":"sesame","contact_info":null,"created_by":1,
                "created_at":"2026-11-24T02:56:17.938192Z","updated_at":"2026-11-24T02:56:17.938192Z","users":[1,2]}"#,
        )
        .unwrap()
        .into();
        assert_eq!(community.created_by, Some(1));
        assert!(community.created_at.is_some());
        assert!(!format!("{community:?}").contains("sesame"));
        let enterprise: Organization = serde_json::from_str::<Wire>(
            r#"{"id":2,"title":"T","token":"sesame","created_at":"2026-01-01T00:00:00Z","default_role":"NO",
                "billing":{"manual_role_management":false,"max_parallel_sessions":null}}"#,
        )
        .unwrap()
        .into();
        assert_eq!(enterprise.default_role, Some(Role::Pending));
        assert_eq!(enterprise.manual_role_management, Some(false));
        let endless = serde_json::json!({ "id": 1, "title": "é".repeat(100_000) });
        let endless: Organization = serde_json::from_value::<Wire>(endless).unwrap().into();
        assert_eq!(endless.title.chars().count(), LONGEST_TITLE);
    }
}
