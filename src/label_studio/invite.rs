//! Invitations by e-mail: Enterprise only.

use super::boottime::Boottime;
use super::error::Error;
use super::role::Role;
use super::transport::{Ask, Client, Repeat};
use reqwest::Method;

/// One request, at most 50 addresses by our own rule.
pub struct Invite<'a> {
    /// Folded: lower case, no blanks around.
    pub emails: &'a [String],
    pub role: &'a Role,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Revoked {
    Done,
    /// 400 or 404: no open invitation for this address. The published contract does not say which of the two.
    NothingOpen,
}

impl Client {
    /// Sends mail. Never sent twice by itself: only a 429, which was not executed, is followed by another try, and only
    /// until `start_by`. After any other failure `Error::lost` says whether mails may be out.
    pub async fn invite(&self, invite: Invite<'_>, start_by: Boottime) -> Result<(), Error> {
        let body = serde_json::json!({"emails": invite.emails, "role": invite.role.as_code()});
        let kind = Repeat::Mail { start_by };
        let path = "/api/invite/send-email";
        self.ask(Ask { method: Method::POST, path, query: &[], body: Some(&body), kind }).await.map(drop)
    }

    pub async fn revoke_invitation(&self, email: &str) -> Result<Revoked, Error> {
        let body = serde_json::json!({"email": email});
        let path = "/api/invite/revoke";
        let asked =
            self.ask(Ask { method: Method::POST, path, query: &[], body: Some(&body), kind: Repeat::Idempotent });
        match asked.await {
            Ok(_) => Ok(Revoked::Done),
            Err(error) if matches!(error.status(), Some(400 | 404)) => Ok(Revoked::NothingOpen),
            Err(error) => Err(error),
        }
    }
}
