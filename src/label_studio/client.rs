//! The client itself: where it connects, as whom, and at which pace. What it can do stands in one file per part of
//! the API. It must not be built with verification of certificates switched off, nor follow redirects: a redirect
//! would carry the token to a host nobody named.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};

use super::access::Credential;
use super::base_url::BaseUrl;
use super::budget::Budget;
use super::error::Error;
use super::pace::Pace;
use super::token::Token;
use super::traffic::Traffic;

/// How a client reaches its server.
pub struct Connection {
    pub base_url: BaseUrl,
    pub token: Token,
    /// Further root certificates in PEM, beside those of the system.
    pub ca_bundle: Option<Vec<u8>>,
    pub timeouts: Timeouts,
    pub traffic: Traffic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// A whole request, from its start to the last byte of the answer.
    pub read: Duration,
    /// The same for a request that sends mail, which the server does while we wait.
    pub mail: Duration,
}

/// A client of one server with one token. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) base_url: BaseUrl,
    pub(super) http: reqwest::Client,
    pub(super) timeouts: Timeouts,
    pub(super) credential: Credential,
    pub(super) traffic: Traffic,
    pub(super) sent: AtomicU64,
    token: Token,
    pace: Mutex<Pace>,
    budget: Option<Budget>,
    roots: Vec<reqwest::Certificate>,
    mail: OnceLock<reqwest::Client>,
}

/// Shorter than the keep-alive of the usual proxies, so that they do not close a connection in our hands.
const IDLE: Duration = Duration::from_secs(15);

impl Client {
    /// A client that shares its pace with nobody but the clients that were given the same.
    pub fn new(connection: Connection, pace: Pace) -> Result<Self, Error> {
        Self::build(connection, pace, None)
    }

    /// A client that shares its budget with whoever uses the same token, and from the first whoami on with whoever signs
    /// in as the same user.
    pub fn with_budget(connection: Connection, budget: Budget) -> Result<Self, Error> {
        let pace = budget.of_token(&connection.base_url, &connection.token);
        Self::build(connection, pace, Some(budget))
    }

    fn build(connection: Connection, pace: Pace, budget: Option<Budget>) -> Result<Self, Error> {
        // Fails if one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Connection { base_url, token, ca_bundle, timeouts, traffic } = connection;
        let roots = ca_bundle.as_deref().map(certificates).transpose()?.unwrap_or_default();
        let inner = Inner {
            http: build(&base_url, &roots, timeouts, usize::MAX)?,
            mail: OnceLock::new(),
            credential: Credential::new(&token)?,
            base_url,
            timeouts,
            traffic,
            sent: AtomicU64::new(0),
            token,
            pace: Mutex::new(pace),
            budget,
            roots,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Moves this client to the bucket of the user, now that whoami has told which one it is.
    pub(super) fn belongs_to(&self, user: i64) {
        if let Some(budget) = &self.inner.budget {
            let pace = budget.of_user(&self.inner.base_url, user);
            *self.inner.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
        }
    }

    /// When the personal access token ends; a legacy token has no end.
    pub fn token_expires_at(&self) -> Option<jiff::Timestamp> {
        self.inner.token.expires_at()
    }

    /// How many requests may start at once, of everybody who shares this client's budget.
    pub fn budget_left(&self) -> Option<u32> {
        self.pace().left()
    }

    /// How many requests were sent so far, those for access tokens included.
    pub fn requests(&self) -> u64 {
        self.inner.sent.load(Ordering::Relaxed)
    }

    pub fn base_url(&self) -> &BaseUrl {
        &self.inner.base_url
    }

    pub fn token(&self) -> &Token {
        &self.inner.token
    }

    /// For mails: keeps no connection open, since one that the server closed meanwhile would leave the fate of a mail
    /// unknown. Made when the first mail goes out: the system's certificates are read for it once more.
    pub(super) fn mail_http(&self) -> &reqwest::Client {
        let Inner { base_url, http, timeouts, roots, mail, .. } = &*self.inner;
        mail.get_or_init(|| build(base_url, roots, *timeouts, 0).unwrap_or_else(|_| http.clone()))
    }

    pub(super) fn pace(&self) -> Pace {
        self.inner.pace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) fn build(
    base_url: &BaseUrl,
    roots: &[reqwest::Certificate],
    timeouts: Timeouts,
    idle_connections: usize,
) -> Result<reqwest::Client, Error> {
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("label-studio-operator/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]))
            .redirect(reqwest::redirect::Policy::none())
            // What is sent again, and when, is decided in one place only: `retry`.
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(timeouts.connect)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(idle_connections)
    };
    let built = builder().tls_certs_merge(roots.iter().cloned()).build();
    match built {
        Ok(client) => Ok(client),
        // A machine without any root certificate can still speak plain http.
        Err(_) if base_url.is_plain_http() && roots.is_empty() => {
            builder().tls_certs_only([]).build().map_err(|error| unusable(&error))
        }
        Err(error) => Err(unusable(&error)),
    }
}

pub(super) fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, Error> {
    let found = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| unusable(&error))?;
    if found.is_empty() {
        return Err(Error::CaBundle("the bundle holds no certificate in PEM".to_owned()));
    }
    Ok(found)
}

fn unusable(error: &reqwest::Error) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Error::CaBundle(super::refusal::cut(&cause.to_string()))
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), read: Duration::from_secs(30), mail: Duration::from_secs(120) }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.inner.base_url)
            .field("token", &self.inner.token)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("base_url", &self.base_url)
            .field("token", &self.token)
            .field("ca_bundle", &self.ca_bundle.is_some())
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Boottime, Invite, Role};
    use super::*;

    fn assert_send<T: Send>(_: T) {}

    #[test]
    fn a_bundle_that_holds_no_usable_certificate_is_told() {
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bundle in ["", "no PEM", damaged] {
            let connection = Connection {
                base_url: BaseUrl::parse("https://localhost").unwrap(),
                token: Token::parse("sesame-sesame".into()).unwrap(),
                ca_bundle: Some(bundle.as_bytes().to_vec()),
                timeouts: Timeouts::default(),
                traffic: Traffic::default(),
            };
            assert!(matches!(Client::new(connection, Pace::unlimited()), Err(Error::CaBundle(_))), "{bundle}");
        }
    }

    #[allow(dead_code)]
    fn every_call_can_run_on_any_thread(client: &Client) {
        assert_send(client.version());
        assert_send(client.whoami());
        assert_send(client.organization(1));
        assert_send(client.set_title(1, "t"));
        assert_send(client.roster(1));
        assert_send(client.search(1, "a@example.com"));
        assert_send(client.set_role(1, 2, &Role::Annotator));
        assert_send(client.remove_member(1, 2));
        assert_send(
            client.invite(
                Invite { emails: &[], role: &Role::Annotator, workspaces: &[], projects: &[] },
                Boottime::now(),
            ),
        );
        assert_send(client.revoke_invitation("a@example.com"));
        assert_send(client.billing());
        assert_send(client.workspaces());
        assert_send(client.workspace_members(1));
        assert_send(client.add_to_workspace(1, 2));
        assert_send(client.invite_link());
        assert_send(client.reset_invite_link(Boottime::now()));
    }
}
