//! One request and its answer: waits for its turn, sends, looks at status and content type before it reads, and reads
//! no more than it must. It never tries again (that is `retry`) and never decides what an answer means for a person.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::boottime::Boottime;
use super::client::Client;
use super::error::Error;
use super::pace::{LONGEST_PAUSE, Lane};
use super::reach::unreachable;
use super::refusal;

/// Longest answer that is read, after decompression: of a page of a list, and of anything else.
pub(super) const LONGEST_LIST: usize = 8 << 20;
const LONGEST_ANSWER: usize = 1 << 20;
/// Longest refusal that is read: a 404 may be 170 kB of HTML (measured on open-source 1.23.2).
const LONGEST_REFUSAL: usize = 64 << 10;

/// A request. Paths are exactly as published: some end in a slash, some must not.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) lane: Lane,
    /// Sent without our token: the token's own exchange, and what the server tells anybody.
    pub(super) anonymous: bool,
    /// Sends mail: takes longer, and must not start after this.
    pub(super) start_by: Option<Boottime>,
    /// Bytes of the answer that are read at most.
    pub(super) longest: usize,
}

/// A 2xx answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            lane: Lane::Read,
            anonymous: false,
            start_by: None,
            longest: LONGEST_ANSWER,
        }
    }

    pub(super) fn write(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, body, lane: Lane::Write, ..Self::get(path) }
    }
}

impl Client {
    /// Sends once. Anything but a 2xx is an error.
    pub(super) async fn exchange(&self, call: &Call, authorization: Option<&HeaderValue>) -> Result<Answer, Error> {
        let traffic = &self.inner.traffic;
        let queued = Instant::now();
        self.pace().ready(call.lane, call.start_by).await?;
        traffic.waited(call.lane, queued.elapsed());
        traffic.may_start()?;
        self.inner.sent.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let sent = self.request(call, authorization).send().await;
        // The path without its query: that may hold an address.
        let (method, path, ms) = (call.method.as_str(), call.path.as_str(), begun.elapsed().as_millis());
        let answer = match sent {
            Ok(response) => {
                tracing::debug!(method, path, status = response.status().as_u16(), ms, "label studio answered");
                self.answer(call, response).await
            }
            Err(error) => {
                let error = unreachable(self.inner.base_url.host(), &error);
                tracing::debug!(method, path, %error, ms, "label studio did not answer");
                Err(error)
            }
        };
        traffic.answered(method, path, &answer, begun.elapsed());
        answer
    }

    fn request(&self, call: &Call, authorization: Option<&HeaderValue>) -> reqwest::RequestBuilder {
        let (http, timeout) = match call.start_by {
            Some(_) => (self.mail_http(), self.inner.timeouts.mail),
            None => (&self.inner.http, self.inner.timeouts.read),
        };
        let mut request =
            http.request(call.method.clone(), self.inner.base_url.join(&call.path)).query(&call.query).timeout(timeout);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        request
    }

    async fn answer(&self, call: &Call, response: Response) -> Result<Answer, Error> {
        let status = response.status();
        let path = call.path.clone();
        if status.is_redirection() {
            return Err(Error::Redirected { path, to_host: target_host(&response) });
        }
        if !status.is_success() {
            return Err(self.refused(call, response).await);
        }
        let content_type = content_type(response.headers());
        let body = self.read(response, &path, call.longest).await?;
        Ok(Answer { path, status: status.as_u16(), content_type, body })
    }

    async fn refused(&self, call: &Call, response: Response) -> Error {
        let status = response.status();
        let retry_after = retry_after(response.headers(), Timestamp::now());
        let said = if is_json(&content_type(response.headers())) {
            // The status alone says enough if its explanation breaks off.
            let body = self.read(response, &call.path, LONGEST_REFUSAL).await.unwrap_or_default();
            refusal::read(&body, self.token().secret().expose_secret())
        } else {
            refusal::Refusal::default()
        };
        if let Some(error_id) = &said.error_id {
            // By it the support of Label Studio finds the request.
            tracing::info!(method = name(&call.method), path = call.path, %status, error_id, "refused by label studio");
        }
        Error::Status {
            method: name(&call.method),
            path: call.path.clone(),
            status: status.as_u16(),
            detail: said.detail,
            fields: said.fields,
            error_id: said.error_id,
            retry_after,
        }
    }

    /// Reads piece by piece: a length is only a promise, and a few compressed bytes may unfold to any size.
    async fn read(&self, mut response: Response, path: &str, limit: usize) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                    return Err(Error::TooLarge { path: path.to_owned(), limit });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => return Err(unreachable(self.inner.base_url.host(), &error)),
            }
        }
    }
}

impl Answer {
    /// Reads JSON. The error says where it went wrong, never what stood there.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        if !is_json(&self.content_type) {
            return Err(self.not_label_studio());
        }
        serde_json::from_slice(&self.body).map_err(|error| Error::Unreadable {
            what: format!("{:?} error at line {}, column {}", error.classify(), error.line(), error.column()),
            path: self.path,
        })
    }

    /// For an answer whose body is not needed. A page in its place means that a proxy or a login answered.
    pub(super) fn done(self) -> Result<(), Error> {
        if self.body.is_empty() || is_json(&self.content_type) {
            return Ok(());
        }
        if self.content_type.contains("html") { Err(self.not_label_studio()) } else { Ok(()) }
    }

    fn not_label_studio(self) -> Error {
        Error::NotLabelStudio { path: self.path, status: self.status, content_type: self.content_type }
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("no content type");
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    refusal::cut(&kind)
}

fn is_json(content_type: &str) -> bool {
    content_type == "application/json" || content_type.ends_with("+json")
}

fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "POST",
    }
}

/// Only the host: the rest of a redirect may hold whatever its server put there.
pub(super) fn target_host(response: &Response) -> String {
    response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|location| response.url().join(location).ok())
        .and_then(|url| url.host_str().map(refusal::cut))
        .unwrap_or_else(|| "an unnamed host".to_owned())
}

/// Seconds or a date; the date is compared with the server's own clock, where it sends one. Nothing to wait for counts as
/// nothing said: else a server that is down would be asked again and again without a pause.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let until = http_date(text)?;
        let now = headers.get(DATE).and_then(|d| d.to_str().ok()).and_then(http_date).unwrap_or(now);
        Duration::try_from(until.duration_since(now)).unwrap_or_default()
    };
    (!wait.is_zero()).then(|| wait.min(LONGEST_PAUSE))
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// The status of a call that was understood but not carried out because there were too many.
pub(super) fn is_too_many(error: &Error) -> bool {
    error.status() == Some(StatusCode::TOO_MANY_REQUESTS.as_u16())
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Reply, Scripted};
    use super::*;

    fn headers(pairs: &[(reqwest::header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_and_bounded() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let wait = |pairs: &[_]| retry_after(&headers(pairs), now);
        assert_eq!(wait(&[(RETRY_AFTER, "7")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[(RETRY_AFTER, "86400")]), Some(LONGEST_PAUSE));
        assert_eq!(wait(&[(RETRY_AFTER, "soon")]), None);
        assert_eq!(wait(&[]), None);
        let date = [(RETRY_AFTER, "Wed, 21 Oct 2026 07:28:30 GMT"), (DATE, "Wed, 21 Oct 2026 07:28:00 GMT")];
        assert_eq!(wait(&date), Some(Duration::from_secs(30)));
        for no_wait in ["0", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(wait(&[(RETRY_AFTER, no_wait)]), None, "{no_wait}");
        }
    }

    #[test]
    fn json_is_told_by_its_content_type() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/html; charset=utf-8", false),
        ] {
            let found = content_type(&headers(&[(CONTENT_TYPE, value)]));
            assert_eq!(is_json(&found), json, "{value}");
        }
        assert!(!is_json(&content_type(&HeaderMap::new())));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed_and_names_the_host_only() {
        let target = "https://login.example.com/sso?secret=x";
        let server = Scripted::start(move |_| Reply::html(302).header("Location", target));
        let error = server.client("sesame-sesame").whoami().await.unwrap_err();
        assert!(matches!(&error, Error::Redirected { to_host, .. } if to_host == "login.example.com"), "{error}");
        assert_eq!(server.asked().len(), 1);
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound_only() {
        let server = Scripted::start(|_| Reply::with_type(200, "application/json", vec![b' '; LONGEST_ANSWER + 1]));
        let client = server.client("sesame-sesame");
        assert!(matches!(client.whoami().await, Err(Error::TooLarge { limit: LONGEST_ANSWER, .. })));
        // A page of a list may be longer.
        assert!(matches!(client.roster(1).await, Err(Error::Unreadable { .. })));
        // A refusal that is too long still says its status.
        let server = Scripted::start(|_| Reply::with_type(403, "application/json", vec![b' '; LONGEST_REFUSAL + 1]));
        assert_eq!(server.client("sesame-sesame").whoami().await.unwrap_err().status(), Some(403));
    }

    #[tokio::test]
    async fn of_a_page_and_of_odd_json_nothing_is_quoted() {
        let server = Scripted::start(|_| Reply::html(200));
        let error = server.client("sesame-sesame").whoami().await.unwrap_err().to_string();
        assert!(error.contains("text/html") && !error.contains("page<"), "{error}");
        let server = Scripted::start(|_| Reply::json(200, &serde_json::json!({ "id": "internal" })));
        let error = server.client("sesame-sesame").whoami().await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }));
        assert!(!error.to_string().contains("internal"), "{error}");
    }

    #[tokio::test]
    async fn the_token_shows_nowhere() {
        let server = Scripted::start(|_| Reply::json(500, &serde_json::json!({ "detail": "bad sesame-sesame" })));
        let client = server.client("sesame-sesame");
        let error = client.set_title(1, "t").await.unwrap_err();
        for shown in [format!("{client:?}"), format!("{error:?}"), error.to_string()] {
            assert!(!shown.contains("sesame"), "{shown}");
        }
    }
}
