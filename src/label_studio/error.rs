//! What can go wrong with a request, and what that means for whoever asked. Of an answer's body only `detail` and
//! `validation_errors` of parsed JSON are kept, cut short: else a URL would be a way to read the cluster's network.

use super::token::TokenError;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

/// Longest quotation from an answer, in bytes.
const LONGEST: usize = 300;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{host} cannot be reached: {text}")]
    Unreachable { host: String, reason: Reach, text: String },
    #[error("{method} {path} was answered with {status}{}{}", said(detail.as_deref(), fields), id(error_id.as_deref()))]
    Status {
        method: &'static str,
        path: String,
        status: u16,
        detail: Option<String>,
        fields: BTreeMap<String, Vec<String>>,
        error_id: Option<String>,
        retry_after: Option<Duration>,
    },
    #[error("{path} was answered with {status} and {content_type}, not with Label Studio's JSON")]
    NotLabelStudio { path: String, status: u16, content_type: String },
    #[error("{path} was answered with a redirect to {to_host}, which is not followed")]
    Redirected { path: String, to_host: String },
    #[error("the answer to {path} is larger than {limit} bytes")]
    TooLarge { path: String, limit: usize },
    #[error("the answer to {path} is not what Label Studio sends: {what}")]
    Unreadable { path: String, what: String },
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Its turn did not come in time; nothing was sent.
    #[error("the request was not started in time")]
    NotStarted,
    #[error("the bundle of authorities cannot be used: {0}")]
    CaBundle(String),
}

/// Where the way to the server ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    Dns,
    Connect,
    Tls,
    /// The connection stood, no answer came: a write may have taken effect.
    Timeout,
    /// The connection broke: a write may have taken effect.
    Broken,
}

/// What the caller makes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Passes by itself.
    Transient,
    Unauthorized,
    Forbidden,
    NotFound,
    /// The server understood and said no.
    Refused,
    /// Somebody else answers there.
    NotLabelStudio,
}

impl Error {
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::NotStarted => Class::Transient,
            Self::Status { status, .. } => by_status(*status).unwrap_or(Class::Refused),
            Self::NotLabelStudio { status, .. } => by_status(*status).unwrap_or(Class::NotLabelStudio),
            Self::Redirected { .. } | Self::TooLarge { .. } | Self::Unreadable { .. } | Self::CaBundle(_) => {
                Class::NotLabelStudio
            }
            Self::Token(_) => Class::Unauthorized,
        }
    }

    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::NotLabelStudio { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether a write may have taken effect all the same. A 429 was not executed, nor was what never connected.
    pub fn lost(&self) -> bool {
        match self {
            Self::Unreachable { reason, .. } => matches!(reason, Reach::Timeout | Reach::Broken),
            Self::Status { status, .. } | Self::NotLabelStudio { status, .. } => {
                matches!(status, 200..300 | 408 | 500..)
            }
            Self::TooLarge { .. } | Self::Unreadable { .. } => true,
            Self::Redirected { .. } | Self::Token(_) | Self::NotStarted | Self::CaBundle(_) => false,
        }
    }

    pub(super) fn unreachable(host: &str, error: &reqwest::Error) -> Self {
        let causes = causes(error);
        let says = |word: &str| causes.iter().any(|cause| cause.to_lowercase().contains(word));
        let reason = if says("certificate") || says("invalid peer") || says("tls") || says("corrupt message") {
            Reach::Tls
        } else if error.is_connect() && (says("dns") || says("lookup")) {
            Reach::Dns
        } else if error.is_connect() {
            Reach::Connect
        } else if error.is_timeout() {
            Reach::Timeout
        } else {
            Reach::Broken
        };
        let text = causes.last().cloned().unwrap_or_default();
        Self::Unreachable { host: host.to_owned(), reason, text: cut(&text) }
    }

    /// From an answer that is no success.
    pub(super) fn refused(
        method: &'static str,
        path: &str,
        status: u16,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> Self {
        let said: Said = serde_json::from_slice(body).unwrap_or_default();
        let fields = said.validation_errors.into_iter().map(|(field, value)| (cut(&field), words(value))).collect();
        let (detail, error_id) = (said.detail.and_then(text), said.id.and_then(text));
        Self::Status { method, path: path.to_owned(), status, detail, fields, error_id, retry_after }
    }
}

/// What a status says whoever sends it.
fn by_status(status: u16) -> Option<Class> {
    match status {
        401 => Some(Class::Unauthorized),
        403 => Some(Class::Forbidden),
        404 => Some(Class::NotFound),
        408 | 429 | 500.. => Some(Class::Transient),
        _ => None,
    }
}

#[derive(Default, Deserialize)]
struct Said {
    detail: Option<Value>,
    id: Option<Value>,
    #[serde(default)]
    validation_errors: BTreeMap<String, Value>,
}

fn causes(error: &reqwest::Error) -> Vec<String> {
    let mut all = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        all.push(cause.to_string());
        next = cause.source();
    }
    if error.is_timeout() && all.is_empty() {
        all.push("no answer in time".to_owned());
    }
    all
}

/// A value may be a list of sentences or, measured on open source, a bare string.
fn words(value: Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.into_iter().filter_map(text).take(5).collect(),
        // Errors of a list stand under the place of the bad one.
        Value::Object(places) => places.into_values().take(5).flat_map(words).collect(),
        other => text(other).into_iter().collect(),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(cut(&text)),
        _ => None,
    }
}

fn cut(text: &str) -> String {
    let end = (0..=text.len().min(LONGEST)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

fn said(detail: Option<&str>, fields: &BTreeMap<String, Vec<String>>) -> String {
    let fields: Vec<String> = fields.iter().map(|(field, words)| format!("{field}: {}", words.join(" "))).collect();
    match (detail, fields.is_empty()) {
        (_, false) => format!(": {}", cut(&fields.join("; "))),
        (Some(detail), true) => format!(": {detail}"),
        (None, true) => String::new(),
    }
}

fn id(error_id: Option<&str>) -> String {
    error_id.map(|id| format!(" (id {id})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_quoted_by_its_fields_or_its_detail_and_nothing_else() {
        let body = br#"{"id":"7","status_code":400,"detail":"Validation error","secret":"x","validation_errors":{"title":["Too long."]}}"#;
        let error = Error::refused("PATCH", "/api/organizations/1", 400, body, None);
        assert_eq!(error.to_string(), "PATCH /api/organizations/1 was answered with 400: title: Too long. (id 7)");
        let error = Error::refused("GET", "/x", 502, b"<html>internal page</html>", None);
        assert_eq!(error.to_string(), "GET /x was answered with 502");
    }

    #[test]
    fn only_what_may_have_taken_effect_is_lost() {
        let status = |status| Error::refused("POST", "/x", status, b"", None);
        for (code, lost) in [(400, false), (403, false), (429, false), (500, true), (502, true), (504, true)] {
            assert_eq!(status(code).lost(), lost, "{code}");
        }
        assert!(!Error::NotStarted.lost());
    }
}
