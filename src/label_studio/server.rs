//! Which server this is and who we are to it.

use super::error::{Class, Error};
use super::role::Role;
use super::transport::Client;
use serde::Deserialize;
use std::fmt;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Edition {
    /// Open source: no roles, no invitations by e-mail.
    Community,
    Enterprise,
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[derive(Clone, Debug)]
pub struct Version {
    pub edition: Option<Edition>,
    pub release: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Whoami {
    pub user_id: i64,
    pub email: String,
    pub active_organization: Option<i64>,
    /// Enterprise only.
    pub role: Option<Role>,
}

/// Enterprise only; what a server does not tell is absent.
#[derive(Clone, Debug, Default)]
pub struct Billing {
    pub seats_used: Option<i64>,
    pub seats_limit: Option<i64>,
    pub email_configured: Option<bool>,
    pub invite_allowed: Option<bool>,
    pub manual_role_management: Option<bool>,
}

#[derive(Deserialize)]
struct WireVersion {
    edition: Option<String>,
    release: Option<String>,
}

#[derive(Deserialize)]
struct WireWhoami {
    id: i64,
    #[serde(default)]
    email: String,
    active_organization: Option<i64>,
    organization_membership: Option<WireMembership>,
}

#[derive(Deserialize)]
struct WireMembership {
    role: Option<Role>,
}

#[derive(Deserialize)]
struct WireBilling {
    #[serde(default)]
    billing_checks: WireChecks,
    #[serde(default)]
    billing_flags: WireFlags,
}

#[derive(Default, Deserialize)]
struct WireChecks {
    #[serde(default)]
    users: WireSeats,
}

#[derive(Default, Deserialize)]
struct WireSeats {
    count: Option<i64>,
    limit: Option<i64>,
}

#[derive(Default, Deserialize)]
struct WireFlags {
    email_configured: Option<bool>,
    allow_invite_people: Option<bool>,
    manual_role_management: Option<bool>,
}

impl Client {
    /// A server too old to tell its edition is asked for its licence, which only Enterprise has. An edition is
    /// concluded from Label Studio's own JSON only: a proxy's page is an error, never a downgrade.
    pub async fn version(&self) -> Result<Version, Error> {
        let WireVersion { edition, release } = self.get("/api/version/", &[]).await?;
        let edition = match edition.as_deref() {
            Some("Community") => Some(Edition::Community),
            Some("Enterprise") => Some(Edition::Enterprise),
            Some(_) => None,
            None => self.edition_by_licence(release.is_some()).await?,
        };
        Ok(Version { edition, release })
    }

    async fn edition_by_licence(&self, is_label_studio: bool) -> Result<Option<Edition>, Error> {
        match self.billing().await {
            Ok(_) => Ok(Some(Edition::Enterprise)),
            Err(error) if error.class() == Class::Forbidden => Ok(Some(Edition::Enterprise)),
            Err(error) if error.class() == Class::NotFound && is_label_studio => Ok(Some(Edition::Community)),
            Err(error) => Err(error),
        }
    }

    pub async fn whoami(&self) -> Result<Whoami, Error> {
        let WireWhoami { id, email, active_organization, organization_membership } =
            self.get("/api/current-user/whoami", &[]).await?;
        let role = organization_membership.and_then(|membership| membership.role);
        Ok(Whoami { user_id: id, email, active_organization, role })
    }

    pub async fn billing(&self) -> Result<Billing, Error> {
        let WireBilling { billing_checks, billing_flags } = self.get("/api/billing/info", &[]).await?;
        Ok(Billing {
            seats_used: billing_checks.users.count,
            seats_limit: billing_checks.users.limit,
            email_configured: billing_flags.email_configured,
            invite_allowed: billing_flags.allow_invite_people,
            manual_role_management: billing_flags.manual_role_management,
        })
    }
}
