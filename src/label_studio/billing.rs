//! Seats and what the licence allows (published contract, `GET /api/billing/info`; Enterprise only). Read value by
//! value: the form of this answer is only known from examples, and a field of another type must not spoil the rest.

use serde_json::Value;

use super::client::Client;
use super::error::Error;
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

impl Client {
    pub async fn billing(&self) -> Result<Billing, Error> {
        let info: Value = self.persist(&Call::get(INFO)).await?.json()?;
        Ok(Billing::read(&info))
    }
}

impl Billing {
    fn read(info: &Value) -> Self {
        let number = |pointer: &str| info.pointer(pointer).and_then(Value::as_i64);
        let flag = |pointer: &str| info.pointer(pointer).and_then(Value::as_bool);
        Self {
            seats_used: number("/billing_checks/users/count"),
            seats_limit: number("/billing_checks/users/limit"),
            email_configured: flag("/billing_flags/email_configured"),
            invite_allowed: flag("/billing_flags/allow_invite_people"),
            manual_role_management: flag("/billing_flags/manual_role_management"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_is_read_and_odd_values_are_left_open() {
        let info = serde_json::json!({
            "billing_checks": { "users": { "count": 5, "limit": 10, "reached": false, "total": 6 } },
            "billing_flags": { "allow_invite_people": true, "email_configured": true, "manual_role_management": false }
        });
        let billing = Billing::read(&info);
        assert_eq!((billing.seats_used, billing.seats_limit), (Some(5), Some(10)));
        assert_eq!((billing.email_configured, billing.invite_allowed), (Some(true), Some(true)));
        assert_eq!(billing.manual_role_management, Some(false));
        let odd = serde_json::json!({ "billing_checks": { "users": { "count": "5", "limit": null } } });
        assert_eq!(Billing::read(&odd), Billing::default());
    }
}
