//! The organization itself. Its invite token comes with it on the wire and is dropped here: it is a secret.

use super::error::Error;
use super::role::Role;
use super::transport::{Ask, Client, Repeat};
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(from = "WireOrganization")]
pub struct Organization {
    pub id: i64,
    pub title: String,
    pub created_at: Option<Timestamp>,
    /// Open source only: its Owner.
    pub created_by: Option<i64>,
    pub default_role: Option<Role>,
    /// False where only the identity provider may change roles.
    pub manual_role_management: Option<bool>,
}

#[derive(Deserialize)]
struct WireOrganization {
    id: i64,
    #[serde(default)]
    title: String,
    created_at: Option<Timestamp>,
    created_by: Option<i64>,
    default_role: Option<Role>,
    billing: Option<WireBilling>,
}

#[derive(Deserialize)]
struct WireBilling {
    manual_role_management: Option<bool>,
}

impl From<WireOrganization> for Organization {
    fn from(wire: WireOrganization) -> Self {
        let WireOrganization { id, title, created_at, created_by, default_role, billing } = wire;
        let manual_role_management = billing.and_then(|billing| billing.manual_role_management);
        Self { id, title, created_at, created_by, default_role, manual_role_management }
    }
}

impl Client {
    pub async fn organization(&self, id: i64) -> Result<Organization, Error> {
        self.get(&format!("/api/organizations/{id}"), &[]).await
    }

    /// 1 to 1,000 characters; the server trims (measured). Nothing else is sent: `token` is writable on this endpoint.
    pub async fn set_title(&self, id: i64, title: &str) -> Result<Organization, Error> {
        let body = serde_json::json!({"title": title});
        let path = format!("/api/organizations/{id}");
        self.json(Ask { method: Method::PATCH, path: &path, query: &[], body: Some(&body), kind: Repeat::Idempotent })
            .await
    }
}
