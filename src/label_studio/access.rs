//! What stands in the Authorization header. A legacy token goes as it is; a personal access token is exchanged for an
//! access token, which is renewed before its five minutes end, once for everybody who asks at the same time.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::boottime::Boottime;
use super::client::Client;
use super::error::{Error, RENEWAL, Reach};
use super::pace::Lane;
use super::send::Call;
use super::token::{Token, TokenError, TokenKind, claims, time_claim};

/// Where the access token does not say how long it lives (measured on open-source 1.23.2: 300 s).
const USUAL_LIFE: Duration = Duration::from_secs(300);
/// Renewed so long before its end: longer than any request takes to reach the server.
const MARGIN: Duration = Duration::from_secs(60);

pub(super) enum Credential {
    Legacy(HeaderValue),
    PersonalAccess { refresh: SecretString, access: Mutex<Option<Access>> },
}

/// An access token, and when to have a new one.
#[derive(Clone)]
pub(super) struct Access {
    header: HeaderValue,
    renew_at: Boottime,
}

#[derive(Deserialize)]
struct Refreshed {
    access: String,
}

impl Credential {
    pub(super) fn new(token: &Token) -> Result<Self, Error> {
        Ok(match token.kind() {
            TokenKind::Legacy => Self::Legacy(header("Token", token.secret())?),
            TokenKind::PersonalAccess { .. } => {
                Self::PersonalAccess { refresh: token.secret().clone(), access: Mutex::new(None) }
            }
        })
    }

    /// True if a 401 may only mean that the access token ended.
    pub(super) fn is_renewable(&self) -> bool {
        matches!(self, Self::PersonalAccess { .. })
    }
}

impl Client {
    /// The header to send. `rejected` is one that was just answered with 401: it is not given out again.
    pub(super) async fn authorization(&self, rejected: Option<&HeaderValue>) -> Result<HeaderValue, Error> {
        let (refresh, access) = match &self.inner.credential {
            Credential::Legacy(header) => return Ok(header.clone()),
            Credential::PersonalAccess { refresh, access } => (refresh, access),
        };
        // Held while renewing: who comes meanwhile waits for the same new token.
        let mut access = access.lock().await;
        if let Some(current) = access.as_ref()
            && rejected != Some(&current.header)
            && Boottime::now() < current.renew_at
        {
            return Ok(current.header.clone());
        }
        *access = None;
        let renewed = self.renew(refresh).await?;
        let header = renewed.header.clone();
        *access = Some(renewed);
        Ok(header)
    }

    async fn renew(&self, refresh: &SecretString) -> Result<Access, Error> {
        let call = Call {
            lane: Lane::Read,
            anonymous: true,
            ..Call::write(Method::POST, RENEWAL, Some(serde_json::json!({ "refresh": refresh.expose_secret() })))
        };
        let asked = Boottime::now();
        let answer = self.persist(&call).await.map_err(not_renewed)?;
        let answer: Refreshed = answer.json()?;
        let access = SecretString::from(answer.access);
        Ok(Access { header: header("Bearer", &access)?, renew_at: asked + useful_life(&access) })
    }
}

/// The request that needed the token was never sent, so nothing of it can be lost on the way.
fn not_renewed(error: Error) -> Error {
    match error {
        Error::Unreachable { host, reason: Reach::Timeout | Reach::Broken, text } => {
            Error::Unreachable { host, reason: Reach::Connect, text: format!("no access token: {text}") }
        }
        // Every Label Studio that gives such tokens has this path, and explains itself there in JSON.
        Error::Status { path, status: status @ 404, detail: None, .. } => {
            Error::NotLabelStudio { path, status, content_type: "no explanation".to_owned() }
        }
        other => other,
    }
}

/// How long to use an access token: from its own two times, so that a wrong clock here or there does not matter.
fn useful_life(access: &SecretString) -> Duration {
    let life = claims(access.expose_secret())
        .and_then(|claims| {
            let (from, to) = (time_claim(&claims, "iat")?, time_claim(&claims, "exp")?);
            Duration::try_from(to.duration_since(from)).ok()
        })
        .unwrap_or(USUAL_LIFE);
    life.saturating_sub(MARGIN).max(life / 2)
}

fn header(scheme: &str, token: &SecretString) -> Result<HeaderValue, Error> {
    let mut value =
        HeaderValue::from_str(&format!("{scheme} {}", token.expose_secret())).map_err(|_| TokenError::Characters)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::super::scripted::{Asked, Reply, Scripted};
    use super::super::{Class, Invite, Role};
    use super::*;

    fn jwt(claims: &serde_json::Value) -> String {
        format!("eyJhbGciOiJIUzI1NiJ9.{}.signature", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn personal() -> String {
        jwt(&json!({ "token_type": "refresh", "exp": 7_000_000_000_i64 }))
    }

    /// A server that hands out access tokens numbered from 1 and accepts those that `good` accepts.
    fn server(good: impl Fn(usize) -> bool + Send + 'static) -> Scripted {
        let handed_out = AtomicUsize::new(0);
        Scripted::start(move |asked: &Asked| {
            if asked.target.ends_with(RENEWAL) {
                assert_eq!(asked.authorization, None);
                let number = handed_out.fetch_add(1, Ordering::Relaxed) + 1;
                return Reply::json(200, &json!({ "access": format!("access-{number}") }));
            }
            let number = asked.authorization.as_deref().and_then(|a| a.strip_prefix("Bearer access-"));
            match number.and_then(|n| n.parse().ok()) {
                Some(number) if good(number) => {
                    Reply::json(200, &json!({ "id": 1, "email": "a@example.com", "active_organization": 1 }))
                }
                _ => Reply::json(401, &json!({ "detail": "Authentication credentials were not provided." })),
            }
        })
    }

    fn renewals(server: &Scripted) -> usize {
        server.asked().iter().filter(|asked| asked.target.ends_with(RENEWAL)).count()
    }

    #[tokio::test]
    async fn everybody_at_once_waits_for_one_access_token() {
        let server = server(|_| true);
        let client = server.client(&personal());
        let (a, b, c) = tokio::join!(client.whoami(), client.whoami(), client.whoami());
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert_eq!(renewals(&server), 1);
        assert_eq!(client.requests(), 4);
    }

    #[tokio::test]
    async fn an_access_token_that_is_refused_is_renewed_once() {
        let server = server(|number| number > 1);
        let client = server.client(&personal());
        let (a, b) = tokio::join!(client.whoami(), client.whoami());
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(renewals(&server), 2);
    }

    #[tokio::test]
    async fn a_token_that_is_refused_again_is_not_tried_for_ever() {
        let server = server(|_| false);
        let error = server.client(&personal()).whoami().await.unwrap_err();
        assert_eq!(error.class(), Class::Unauthorized);
        assert_eq!(server.asked().len(), 4);
    }

    #[tokio::test]
    async fn a_refused_exchange_is_unauthorized_and_nothing_else_is_sent() {
        for status in [400, 401, 404] {
            let server = Scripted::start(move |_| Reply::json(status, &json!({ "detail": "Token is blacklisted" })));
            let error = server.client(&personal()).whoami().await.unwrap_err();
            assert_eq!(error.class(), Class::Unauthorized, "{error}");
            assert!(error.to_string().contains("Token is blacklisted"));
            assert_eq!(server.asked().len(), 1);
        }
        let server = Scripted::start(|_| Reply::html(404));
        assert_eq!(server.client(&personal()).whoami().await.unwrap_err().class(), Class::NotLabelStudio);
    }

    #[tokio::test]
    async fn a_mail_whose_token_cannot_be_renewed_is_not_lost() {
        let replies: [fn() -> Reply; 3] = [|| Reply::html(502), || Reply::Cut, || Reply::html(200)];
        for reply in replies {
            let server = Scripted::start(move |_| reply());
            let emails = ["a@example.com".to_owned()];
            let invite = Invite { emails: &emails, role: &Role::Annotator, workspaces: &[], projects: &[] };
            let soon = Boottime::now() + Duration::from_secs(60);
            let error = server.client(&personal()).invite(invite, soon).await.unwrap_err();
            assert!(!error.lost(), "{error}");
            assert!(server.asked().iter().all(|asked| asked.target.ends_with(RENEWAL)));
            assert!(server.asked().len() <= 4, "renewal tried {} times", server.asked().len());
        }
    }

    #[test]
    fn an_access_token_is_used_until_a_minute_before_its_end() {
        let life = |claims| useful_life(&SecretString::from(jwt(&claims)));
        assert_eq!(life(json!({ "iat": 1000, "exp": 1300 })), Duration::from_secs(240));
        assert_eq!(life(json!({ "iat": 1000, "exp": 1030 })), Duration::from_secs(15));
        assert_eq!(life(json!({})), Duration::from_secs(240));
        assert_eq!(useful_life(&SecretString::from("opaque")), Duration::from_secs(240));
    }
}
