//! One member: how a row of the list is read, and the two writes there are. Whether a person should be changed or
//! removed is decided elsewhere.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::error::{Class, Error};
use super::refusal;
use super::role::Role;
use super::send::Call;

/// Longer than any address that can be declared (254), so that a cut one is never taken for one of those.
pub(super) const LONGEST_ADDRESS: usize = 320;

/// Somebody on the list of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub user_id: i64,
    /// As on the server; compare it without regard to case.
    pub email: String,
    /// `None` on the open-source edition, which has no roles.
    pub role: Option<Role>,
    pub invitation: InvitationState,
    /// When the server sent the invitation that it lists, by its own clock.
    pub invited_at: Option<jiff::Timestamp>,
    /// When that invitation ran out, by the same clock.
    pub expired_at: Option<jiff::Timestamp>,
    /// When the person last did something on the server, by its clock.
    pub last_activity: Option<jiff::Timestamp>,
    /// A service account: it cannot log in and takes no seat.
    pub is_service: bool,
    /// Who set the role last: `manual`, `saml`, `scim`, `ldap`, `api`, `billing` or something newer.
    pub role_source: Option<String>,
}

/// What the list says of an invitation by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InvitationState {
    /// Was never invited by mail, or the server does not say.
    None,
    Open,
    Expired,
    Accepted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    Done,
    /// Was not a member any more.
    AlreadyGone,
}

/// A row of the list (published contract, `GET memberships`). Everything beyond the user's id is optional.
#[derive(Deserialize)]
pub(super) struct Row {
    user: User,
    role: Option<String>,
    user_type: Option<String>,
    role_source: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: i64,
    email: Option<String>,
    last_activity: Option<String>,
    lse_fields: Option<LseFields>,
}

#[derive(Deserialize)]
struct LseFields {
    invited_at: Option<String>,
    invite_activated: Option<bool>,
    invite_expired: Option<bool>,
    invite_expired_at: Option<String>,
}

impl Client {
    /// Sets a role (published contract, `PATCH memberships`: the user's id goes into the body). Deactivated and
    /// Pending are roles too. Idempotent: tried again after a lost answer.
    pub async fn set_role(&self, organization: i64, user_id: i64, role: &Role) -> Result<(), Error> {
        let body = serde_json::json!({ "user_id": user_id, "role": role.as_code() });
        let call = Call::write(Method::PATCH, list_path(organization), Some(body));
        self.persist(&call).await?.done()
    }

    /// Takes somebody out of the organization (published contract, `DELETE memberships/{user_id}/`). Cannot be undone;
    /// on the open-source edition it does not cut access.
    pub async fn remove_member(&self, organization: i64, user_id: i64) -> Result<Removed, Error> {
        let path = format!("{}/{user_id}/", list_path(organization));
        let call = Call::write(Method::DELETE, path, None);
        let written = self.persist_write(&call).await;
        let error = match written.result {
            Ok(answer) => return answer.done().map(|()| Removed::Done),
            Err(error) => error,
        };
        if error.class() != Class::NotFound {
            return Err(error);
        }
        // This path ends in a slash, and there Label Studio explains a 404 in JSON (measured on open-source 1.23.2).
        // A bare 404 comes from something in front of it: nobody may be taken for gone because of that.
        match error {
            error if error.is_explained() && written.lost_before => Ok(Removed::Done),
            error if error.is_explained() => Ok(Removed::AlreadyGone),
            Error::Status { path, status, .. } => {
                Err(Error::NotLabelStudio { path, status, content_type: "no explanation".to_owned() })
            }
            other => Err(other),
        }
    }
}

/// The list of members and the place where roles are set: without a slash at its end.
pub(super) fn list_path(organization: i64) -> String {
    format!("/api/organizations/{organization}/memberships")
}

impl Row {
    pub(super) fn user_id(&self) -> i64 {
        self.user.id
    }

    /// A removed member stays listed under this name (measured on open-source 1.23.2).
    pub(super) fn is_tombstone(&self) -> bool {
        self.user.email.as_deref() == Some("Deleted")
    }

    pub(super) fn into_member(self) -> Member {
        Member {
            user_id: self.user.id,
            email: refusal::at_most(LONGEST_ADDRESS, self.user.email.unwrap_or_default()),
            role: self.role.as_deref().map(Role::from_code),
            invitation: self.user.lse_fields.as_ref().map_or(InvitationState::None, LseFields::state),
            invited_at: self.user.lse_fields.as_ref().and_then(|fields| fields.invited_at.as_deref()?.parse().ok()),
            expired_at: self
                .user
                .lse_fields
                .as_ref()
                .and_then(|fields| fields.invite_expired_at.as_deref()?.parse().ok()),
            last_activity: self.user.last_activity.as_deref().and_then(|at| at.parse().ok()),
            is_service: self.user_type.as_deref() == Some("service"),
            role_source: self.role_source.map(|source| refusal::cut(&source)),
        }
    }
}

impl LseFields {
    fn state(&self) -> InvitationState {
        match (&self.invited_at, self.invite_activated, self.invite_expired) {
            (None, _, _) => InvitationState::None,
            (Some(_), Some(true), _) => InvitationState::Accepted,
            (Some(_), _, Some(true)) => InvitationState::Expired,
            (Some(_), _, _) => InvitationState::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Reply, Scripted};
    use super::*;

    fn row(text: &str) -> Row {
        serde_json::from_str(text).unwrap()
    }

    fn invitation(fields: &str) -> InvitationState {
        let text = format!(r#"{{"user":{{"id":1,"email":"a@example.com","lse_fields":{fields}}}}}"#);
        row(&text).into_member().invitation
    }

    #[test]
    fn an_enterprise_row_is_read() {
        let member = row(
            r#"{"id":501,"organization":1,"role":"AN","role_source":"scim","user_type":"service","tags":[{"id":3}],
                "user":{"id":77,"email":"A@example.com","lse_fields":{"invited_at":null,"invite_activated":true}}}"#,
        )
        .into_member();
        assert_eq!((member.user_id, member.email.as_str()), (77, "A@example.com"));
        assert_eq!(member.role, Some(Role::Annotator));
        assert_eq!(member.role_source.as_deref(), Some("scim"));
        assert!(member.is_service);
        let endless = format!(r#"{{"user":{{"id":1,"email":"{}"}}}}"#, "a".repeat(100_000));
        assert_eq!(row(&endless).into_member().email.len(), LONGEST_ADDRESS);
    }

    #[test]
    fn an_open_source_row_has_no_role_and_no_invitation() {
        let member = row(r#"{"id":4,"user":{"id":4,"email":"a@example.com","avatar":null}}"#).into_member();
        assert_eq!((member.role, member.invitation), (None, InvitationState::None));
        assert!(!member.is_service);
    }

    #[test]
    fn the_state_of_an_invitation_comes_from_its_fields_alone() {
        let at = r#""invited_at":"2026-01-01T00:00:00Z""#;
        assert_eq!(invitation("null"), InvitationState::None);
        assert_eq!(invitation(r#"{"invite_activated":true}"#), InvitationState::None);
        assert_eq!(invitation(&format!("{{{at}}}")), InvitationState::Open);
        assert_eq!(
            invitation(&format!(r#"{{{at},"invite_activated":false,"invite_expired":null}}"#)),
            InvitationState::Open
        );
        assert_eq!(
            invitation(&format!(r#"{{{at},"invite_activated":false,"invite_expired":true}}"#)),
            InvitationState::Expired
        );
        assert_eq!(
            invitation(&format!(r#"{{{at},"invite_activated":true,"invite_expired":true}}"#)),
            InvitationState::Accepted
        );
    }

    #[test]
    fn when_an_invitation_ran_out_is_told_or_not() {
        let expired_at = |fields: &str| {
            let text = format!(r#"{{"user":{{"id":1,"email":"a@example.com","lse_fields":{fields}}}}}"#);
            row(&text).into_member().expired_at
        };
        assert_eq!(expired_at(r#"{"invite_expired":true,"invite_expired_at":null}"#), None);
        assert_eq!(expired_at(r#"{"invite_expired":true,"invite_expired_at":"soon"}"#), None);
        let at = expired_at(r#"{"invite_expired":true,"invite_expired_at":"2026-01-01T00:00:00Z"}"#);
        assert_eq!(at.map(|at| at.to_string()).as_deref(), Some("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn only_the_masked_address_is_a_tombstone() {
        assert!(row(r#"{"user":{"id":1,"email":"Deleted"}}"#).is_tombstone());
        assert!(!row(r#"{"user":{"id":1,"email":""}}"#).is_tombstone());
        assert!(!row(r#"{"user":{"id":1,"email":"deleted@example.com"}}"#).is_tombstone());
    }

    fn gone(status: u16) -> Reply {
        Reply::json(status, &serde_json::json!({ "detail": "Member not found" }))
    }

    async fn remove(replies: Vec<Reply>) -> Result<Removed, Error> {
        Scripted::replies(replies).client("sesame-sesame").remove_member(1, 7).await
    }

    #[tokio::test]
    async fn whoever_is_not_there_is_gone_already_but_done_if_an_answer_was_lost() {
        assert_eq!(remove(vec![Reply::with_type(204, "", Vec::new())]).await.unwrap(), Removed::Done);
        assert_eq!(remove(vec![gone(404)]).await.unwrap(), Removed::AlreadyGone);
        assert_eq!(remove(vec![gone(502), gone(404)]).await.unwrap(), Removed::Done);
        assert_eq!(remove(vec![Reply::Cut, gone(404)]).await.unwrap(), Removed::Done);
        assert_eq!(remove(vec![gone(429), gone(404)]).await.unwrap(), Removed::AlreadyGone);
    }

    #[tokio::test]
    async fn nobody_is_taken_for_gone_because_of_a_proxys_page() {
        assert_eq!(remove(vec![Reply::html(404)]).await.unwrap_err().class(), Class::NotLabelStudio);
        assert_eq!(remove(vec![Reply::html(200)]).await.unwrap_err().class(), Class::NotLabelStudio);
    }

    #[tokio::test]
    async fn a_role_is_set_on_the_list_with_the_user_in_the_body() {
        let server = Scripted::start(|_| Reply::json(200, &serde_json::json!({})));
        server.client("sesame-sesame").set_role(1, 7, &Role::Deactivated).await.unwrap();
        let asked = &server.asked()[0];
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("PATCH", "/sub/api/organizations/1/memberships"));
        assert_eq!(asked.body, r#"{"role":"DI","user_id":7}"#);
    }
}
