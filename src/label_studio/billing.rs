//! Seats and what the licence allows (published contract, `GET /api/billing/info`; Enterprise only). The form
//! of this answer is only known from examples, and a field of another type must not spoil the rest.

use serde::Deserialize;

use super::client::Client;
use super::error::Error;
use super::loose::{Object, Scalar};
use super::send::Call;

pub(super) const INFO: &str = "/api/billing/info";

/// What is known of seats and switches; `None` where the server does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    pub seats_used: Option<i64>,
    pub seats_limit: Option<i64>,
    /// Whether the server can send mail.
    pub email_configured: Option<bool>,
    pub invite_allowed: Option<bool>,
    /// False if an identity provider sets the roles.
    pub manual_role_management: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    billing_checks: Object<Checks>,
    billing_flags: Object<Flags>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Checks {
    users: Object<Seats>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Seats {
    count: Scalar,
    limit: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Flags {
    email_configured: Scalar,
    allow_invite_people: Scalar,
    manual_role_management: Scalar,
}

impl Client {
    pub async fn billing(&self) -> Result<Billing, Error> {
        let Object(info): Object<Info> = self.persist(&Call::get(INFO)).await?.json()?;
        Ok(Billing::from(info))
    }
}

impl From<Info> for Billing {
    fn from(Info { billing_checks: Object(checks), billing_flags: Object(flags) }: Info) -> Self {
        let Object(seats) = checks.users;
        Self {
            seats_used: seats.count.number(),
            seats_limit: seats.limit.number(),
            email_configured: flags.email_configured.flag(),
            invite_allowed: flags.allow_invite_people.flag(),
            manual_role_management: flags.manual_role_management.flag(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(info: serde_json::Value) -> Billing {
        let Object(info): Object<Info> = serde_json::from_value(info).unwrap();
        Billing::from(info)
    }

    #[test]
    fn the_published_example_is_read_and_odd_values_are_left_open() {
        let billing = read(serde_json::json!({
            "billing_checks": { "users": { "count": 5, "limit": 10, "reached": false, "total": 6 } },
            "billing_flags": { "allow_invite_people": true, "email_configured": true, "manual_role_management": false }
        }));
        assert_eq!((billing.seats_used, billing.seats_limit), (Some(5), Some(10)));
        assert_eq!((billing.email_configured, billing.invite_allowed), (Some(true), Some(true)));
        assert_eq!(billing.manual_role_management, Some(false));
        let odd = serde_json::json!({
            "billing_checks": { "users": { "count": "5", "limit": null } }, "billing_flags": ["email_configured"]
        });
        assert_eq!(read(odd), Billing::default());
        assert_eq!(read(serde_json::json!([])), Billing::default());
    }
}
