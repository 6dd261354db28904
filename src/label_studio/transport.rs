//! One request: signed, paced, bounded, and tried again only where that is safe. The other files of this room say what
//! is asked; how it is asked stands here.

use super::base_url::BaseUrl;
use super::boottime::Boottime;
use super::error::{Class, Error};
use super::pace::{Lane, Pace};
use super::token::{Kind, Token};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bodies are cut off here: an HTML page for a 404 can be 170 kB (measured), a page of members is some 100 kB.
const LONGEST_ERROR: usize = 64 * 1024;
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;
/// An access token lives five minutes (measured); it is renewed a minute before its end.
const RENEW_AFTER: Duration = Duration::from_secs(300 - 60);
/// Tries after the first: reads, and writes that may be repeated.
const READ_RETRIES: u32 = 3;
const WRITE_RETRIES: u32 = 2;
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// A longer pause is the caller's to schedule.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

pub struct Connection {
    pub base_url: BaseUrl,
    pub token: Token,
    /// PEM; trusted besides the usual authorities.
    pub ca_bundle: Option<Vec<u8>>,
    pub timeouts: Timeouts,
}

#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub connect: Duration,
    /// Whole request, mails excepted.
    pub read: Duration,
    /// Whole request that sends mail.
    pub mail: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(5), read: seconds(30), mail: seconds(120) }
    }
}

/// Cheap to clone; all clones share connections, pace and access token.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    http: reqwest::Client,
    base_url: BaseUrl,
    token: Token,
    timeouts: Timeouts,
    pace: Mutex<Pace>,
    /// One renewal at a time; who waits for it uses its result.
    access: tokio::sync::Mutex<Option<Access>>,
}

#[derive(Clone)]
struct Access {
    token: SecretString,
    renew_at: Instant,
}

/// What is asked.
pub(super) struct Ask<'a> {
    pub method: Method,
    pub path: &'a str,
    pub query: &'a [(&'a str, &'a str)],
    pub body: Option<&'a Value>,
    pub kind: Repeat,
}

/// Whether it may be asked again when the answer is lost.
#[derive(Clone, Copy)]
pub(super) enum Repeat {
    Read,
    /// A write whose repetition changes nothing.
    Idempotent,
    /// A mail: again only after a 429, which was not executed, and only while it may still start.
    Mail {
        start_by: Boottime,
    },
}

pub(super) struct Answer {
    pub body: Vec<u8>,
    pub path: String,
}

impl Client {
    pub fn new(connection: Connection, pace: Pace) -> Result<Self, Error> {
        let Connection { base_url, token, ca_bundle, timeouts } = connection;
        // The process has one provider; whoever installed it first is as good as we are.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .connect_timeout(timeouts.connect)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("label-studio-operator/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = ca_bundle {
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| Error::CaBundle("it is not PEM".to_owned()))?;
            if certificates.is_empty() {
                return Err(Error::CaBundle("it holds no certificate".to_owned()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| Error::CaBundle(error.to_string()))?;
        let access = tokio::sync::Mutex::new(None);
        let shared = Shared { http, base_url, token, timeouts, pace: Mutex::new(pace), access };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// From now on at this place: once the user of the token is known.
    pub fn set_pace(&self, pace: Pace) {
        *self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
    }

    /// When the personal access token ends; a legacy token never does.
    pub fn token_expires_at(&self) -> Option<Timestamp> {
        match self.shared.token.kind() {
            Kind::Legacy => None,
            Kind::PersonalAccess { expires_at } => Some(expires_at),
        }
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, Error> {
        let answer = self.ask(ask).await?;
        parse(&answer)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        self.json(Ask { method: Method::GET, path, query, body: None, kind: Repeat::Read }).await
    }

    /// Asks until there is an answer, as often as its kind allows.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, Error> {
        let mut renewed = false;
        let mut retried = 0;
        loop {
            let error = match self.once(&ask).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.class() == Class::Unauthorized && !renewed && self.renewable() {
                renewed = true;
                self.forget_access().await;
                continue;
            }
            let Some(wait) = self.may_repeat(&ask, &error, retried) else { return Err(error) };
            retried += 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// How long to wait before the next try; None: no other.
    fn may_repeat(&self, ask: &Ask<'_>, error: &Error, retried: u32) -> Option<Duration> {
        if error.class() != Class::Transient || matches!(error, Error::NotStarted) {
            return None;
        }
        let jitter =
            FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(retried)).min(LONGEST_BACKOFF).mul_f64(fastrand::f64());
        let throttled = error.status() == Some(429);
        if throttled {
            let pause = error.retry_after().unwrap_or(FIRST_BACKOFF + jitter);
            self.pace().pause(pause.min(LONGEST_RETRY_AFTER));
        }
        if error.retry_after().is_some_and(|wait| wait > LONGEST_SLEEP) {
            return None;
        }
        let allowed = match ask.kind {
            Repeat::Read => READ_RETRIES,
            Repeat::Idempotent => WRITE_RETRIES,
            // Its deadline ends it.
            Repeat::Mail { .. } if throttled => u32::MAX,
            Repeat::Mail { .. } => 0,
        };
        (retried < allowed).then(|| if throttled { Duration::ZERO } else { error.retry_after().unwrap_or(jitter) })
    }

    async fn once(&self, ask: &Ask<'_>) -> Result<Answer, Error> {
        let authorization = self.authorization().await?;
        let (lane, start_by, timeout) = match ask.kind {
            Repeat::Read => (Lane::Read, None, self.shared.timeouts.read),
            Repeat::Idempotent => (Lane::Write, None, self.shared.timeouts.read),
            Repeat::Mail { start_by } => (Lane::Write, Some(start_by), self.shared.timeouts.mail),
        };
        self.pace().ready(lane, start_by).await?;
        let mut request = self
            .shared
            .http
            .request(ask.method.clone(), self.shared.base_url.join(ask.path))
            .header(AUTHORIZATION, authorization)
            .header(reqwest::header::ACCEPT, "application/json")
            .query(ask.query)
            .timeout(timeout);
        if let Some(body) = ask.body {
            request = request.json(body);
        }
        let body = self.send(request, &ask.method, ask.path).await?;
        Ok(Answer { body, path: ask.path.to_owned() })
    }

    async fn send(&self, request: reqwest::RequestBuilder, method: &Method, path: &str) -> Result<Vec<u8>, Error> {
        let begin = Instant::now();
        let answer = request.send().await;
        let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
        let millis = begin.elapsed().as_millis();
        tracing::debug!(%method, path, status, millis, "asked Label Studio");
        let response = answer.map_err(|error| Error::unreachable(self.shared.base_url.host(), &error))?;
        self.read(response, method, path).await
    }

    async fn read(&self, mut response: Response, method: &Method, path: &str) -> Result<Vec<u8>, Error> {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        if status.is_redirection() {
            let to = header(LOCATION).and_then(|to| reqwest::Url::parse(&to).ok());
            let to_host =
                to.and_then(|to| to.host_str().map(str::to_owned)).unwrap_or_else(|| "the same host".to_owned());
            return Err(Error::Redirected { path: path.to_owned(), to_host });
        }
        let retry_after = header(RETRY_AFTER).and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let limit = if status.is_success() { LONGEST_ANSWER } else { LONGEST_ERROR };
        let mut body = Vec::new();
        loop {
            let chunk =
                response.chunk().await.map_err(|error| Error::unreachable(self.shared.base_url.host(), &error))?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > limit {
                if status.is_success() {
                    return Err(Error::TooLarge { path: path.to_owned(), limit });
                }
                body.clear();
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let is_json = content_type.starts_with("application/json");
        if status.is_success() && (is_json || body.is_empty()) {
            return Ok(body);
        }
        // A 401, 403 or 429 says what it means whoever wrote the page.
        let plain = matches!(status.as_u16(), 401 | 403 | 408 | 429 | 500..);
        if is_json || plain {
            let quoted: &[u8] = if is_json { &body } else { &[] };
            return Err(Error::refused(name_of(method), path, status.as_u16(), quoted, retry_after));
        }
        let content_type = content_type.split(';').next().unwrap_or_default().chars().take(60).collect::<String>();
        let content_type = if content_type.is_empty() { "no content type".to_owned() } else { content_type };
        Err(Error::NotLabelStudio { path: path.to_owned(), status: status.as_u16(), content_type })
    }

    async fn authorization(&self) -> Result<HeaderValue, Error> {
        let text = match self.shared.token.kind() {
            Kind::Legacy => format!("Token {}", self.shared.token.secret().expose_secret()),
            Kind::PersonalAccess { .. } => format!("Bearer {}", self.access().await?.expose_secret()),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| super::token::TokenError::Blanks)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The access token that the personal access token is good for; renewed once for everybody who waits.
    async fn access(&self) -> Result<SecretString, Error> {
        let mut access = self.shared.access.lock().await;
        if let Some(known) = access.as_ref().filter(|known| Instant::now() < known.renew_at) {
            return Ok(known.token.clone());
        }
        let token = self.exchange().await?;
        *access = Some(Access { token: token.clone(), renew_at: Instant::now() + RENEW_AFTER });
        Ok(token)
    }

    async fn exchange(&self) -> Result<SecretString, Error> {
        #[derive(Deserialize)]
        struct Exchanged {
            access: SecretString,
        }
        const PATH: &str = "/api/token/refresh/";
        let mut retried = 0;
        loop {
            self.pace().ready(Lane::Read, None).await?;
            let body = serde_json::json!({"refresh": self.shared.token.secret().expose_secret()});
            let url = self.shared.base_url.join(PATH);
            let request = self.shared.http.post(url).json(&body).timeout(self.shared.timeouts.read);
            let error = match self.send(request, &Method::POST, PATH).await {
                Ok(body) => {
                    let answer = Answer { body, path: PATH.to_owned() };
                    return parse::<Exchanged>(&answer).map(|exchanged| exchanged.access);
                }
                Err(error) => error,
            };
            let ask = Ask { method: Method::POST, path: PATH, query: &[], body: None, kind: Repeat::Read };
            match self.may_repeat(&ask, &error, retried) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(as_unauthorized(error)),
            }
            retried += 1;
        }
    }

    fn renewable(&self) -> bool {
        self.token_expires_at().is_some()
    }

    async fn forget_access(&self) {
        *self.shared.access.lock().await = None;
    }

    fn pace(&self) -> Pace {
        self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whatever the server says to a token that it does not exchange (measured: 401; 400 or 404 for deleted users): it is
/// no good.
fn as_unauthorized(error: Error) -> Error {
    match error {
        Error::Status { method, path, status: 400 | 403 | 404, detail, fields, error_id, retry_after } => {
            Error::Status { method, path, status: 401, detail, fields, error_id, retry_after }
        }
        other => other,
    }
}

fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        // Where, not what: the text of the error may quote the body.
        let what = format!("{:?} at line {} column {}", error.classify(), error.line(), error.column());
        Error::Unreadable { path: answer.path.clone(), what }
    })
}

fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "request",
    }
}
