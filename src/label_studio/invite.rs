//! Invitations by mail (published contract, `POST /api/invite/send-email` and `POST /api/invite/revoke`; Enterprise
//! only). They act on the token's active organization. Who must not be invited twice is the caller's to know: here
//! the promise is only that one call sends one request.

use reqwest::Method;

use super::boottime::Boottime;
use super::client::Client;
use super::error::{Class, Error};
use super::role::Role;
use super::send::Call;

/// People to invite with one role. At most 50 addresses keep the request within its timeout.
#[derive(Clone, Copy, Debug)]
pub struct Invite<'a> {
    /// Trimmed and in lower case.
    pub emails: &'a [String],
    pub role: &'a Role,
    /// Ids of what the invitation gives access to.
    pub workspaces: &'a [i64],
    pub projects: &'a [i64],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    Done,
    /// The server knows no open invitation of this address.
    NothingOpen,
}

impl Client {
    /// Sends one request that mails everybody named, and never repeats it by itself, except after a 429 or an access
    /// token that ended, because neither was carried out. Not begun before `start_by`: [`Error::NotStarted`].
    /// An error that is [lost](Error::lost) leaves open who was mailed.
    pub async fn invite(&self, invite: Invite<'_>, start_by: Boottime) -> Result<(), Error> {
        let Invite { emails, role, workspaces, projects } = invite;
        let mut body = serde_json::json!({ "emails": emails, "role": role.as_code() });
        for (field, ids) in [("workspaces", workspaces), ("projects", projects)] {
            if !ids.is_empty() {
                body[field] = serde_json::json!(ids);
            }
        }
        let call = Call { start_by: Some(start_by), ..Call::write(Method::POST, "/api/invite/send-email", Some(body)) };
        self.mail(&call, start_by).await?.done()
    }

    /// Takes an open invitation back. Idempotent: tried again after a lost answer.
    pub async fn revoke_invitation(&self, email: &str) -> Result<Revoked, Error> {
        let body = serde_json::json!({ "email": email });
        let call = Call::write(Method::POST, "/api/invite/revoke", Some(body));
        let written = self.persist_write(&call).await;
        match written.result {
            Ok(answer) => answer.done().map(|()| Revoked::Done),
            // On a path without a slash at its end even Label Studio's own 404 is a page (measured on open-source
            // 1.23.2), so it cannot be told from a proxy's.
            Err(error) if error.class() == Class::NotFound || error.status() == Some(400) => {
                Ok(if written.lost_before { Revoked::Done } else { Revoked::NothingOpen })
            }
            Err(error) => Err(error),
        }
    }
}
