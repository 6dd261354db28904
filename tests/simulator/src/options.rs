//! How a simulator is started: edition, address, who is there on the first day. It holds no behaviour; what the published
//! contract leaves open is in `switches.rs`.

use crate::switches::Switches;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    #[default]
    Enterprise,
    Community,
}

impl Edition {
    /// The word in `GET /api/version/`.
    pub fn name(self) -> &'static str {
        match self {
            Edition::Enterprise => "Enterprise",
            Edition::Community => "Community",
        }
    }

    /// What `version` says in answers, unless told otherwise.
    pub fn usual_version(self) -> &'static str {
        match self {
            Edition::Enterprise => "2.37.0",
            Edition::Community => "1.23.2",
        }
    }
}

/// The published cloud limit is 15 in one second, per user within an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    pub requests_per_second: usize,
}

#[derive(Clone, Debug)]
pub struct OrganizationSeed {
    pub id: u64,
    pub title: String,
    pub created_at: jiff::Timestamp,
}

impl Default for OrganizationSeed {
    fn default() -> Self {
        OrganizationSeed {
            id: 1,
            title: "Label Studio".to_owned(),
            // A fixed day: an organization's identity includes its creation time, and tests compare it.
            created_at: jiff::Timestamp::constant(1_767_225_600, 0),
        }
    }
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each one is a setting of its own")]
pub struct Options {
    pub edition: Edition,
    pub listen: SocketAddr,
    /// For example `/label-studio`; empty: the server's root.
    pub sub_path: String,
    /// Default: a version usual for the edition.
    pub version: Option<String>,
    pub switches: Switches,
    pub rate_limit: Option<RateLimit>,
    /// Every answer waits so long; what a request changes is changed on its arrival.
    pub latency: Duration,
    pub mail_configured: bool,
    pub seat_limit: Option<u64>,
    pub access_token_life: Duration,
    /// How long a personal access token made from now on lives. Published default: 200 years.
    pub personal_access_token_life: Duration,
    pub organization: OrganizationSeed,
    pub owner_email: String,
    pub operator_email: String,
    pub operator_role: String,
    /// Enterprise only: the operator's account cannot log in and takes no seat.
    pub operator_is_service_account: bool,
    /// Fixes the operator's legacy token, so that a script can know it beforehand.
    pub legacy_token: Option<String>,
    /// A new organization has these off; here they are on, since most tests want both kinds.
    pub legacy_tokens_enabled: bool,
    pub personal_tokens_enabled: bool,
    /// `DISABLE_SIGNUP_WITHOUT_LINK`
    pub signup_closed: bool,
    /// No organization and nobody in it: the first sign-up makes both.
    pub empty: bool,
    /// One line on standard output for each request, never with a token.
    pub log_requests: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            edition: Edition::Enterprise,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            sub_path: String::new(),
            version: None,
            switches: Switches::default(),
            rate_limit: None,
            latency: Duration::ZERO,
            mail_configured: true,
            seat_limit: None,
            access_token_life: Duration::from_secs(300),
            personal_access_token_life: Duration::from_secs(200 * 365 * 86_400),
            organization: OrganizationSeed::default(),
            owner_email: "owner@example.com".to_owned(),
            operator_email: "operator@example.com".to_owned(),
            operator_role: "AD".to_owned(),
            operator_is_service_account: true,
            legacy_token: None,
            legacy_tokens_enabled: true,
            personal_tokens_enabled: true,
            signup_closed: false,
            empty: false,
            log_requests: false,
        }
    }
}

impl Options {
    pub fn enterprise() -> Self {
        Options::default()
    }

    pub fn community() -> Self {
        Options { edition: Edition::Community, ..Options::default() }
    }
}
