//! What can go wrong between us and Label Studio, and what it means for the next step. Errors carry no token, no
//! query and no more of an answer than Label Studio's own explanation.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::pace::NotStarted;
use super::token::TokenError;

/// Where a personal access token is exchanged for an access token (published contract).
pub(super) const RENEWAL: &str = "/api/token/refresh/";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No whole answer came. `text` is the innermost cause, without the URL.
    #[error("{host} cannot be reached ({reason}): {text}")]
    Unreachable { host: String, reason: Reach, text: String },
    /// An answer other than 2xx and 3xx. `detail` and `fields` are Label Studio's own words, cut at 300 bytes each.
    /// `error_id` is new in each answer, so it stands in the log and not in the text, which goes into status: there
    /// nothing may change while nothing has changed. `retry_after` is at most ten minutes.
    #[error("{method} {path} answered {status}{}", explanation(detail.as_ref(), fields))]
    Status {
        method: &'static str,
        path: String,
        status: u16,
        detail: Option<String>,
        fields: BTreeMap<String, Vec<String>>,
        error_id: Option<String>,
        retry_after: Option<Duration>,
    },
    #[error("{path} answered {status} with {content_type}: this is not Label Studio, or a proxy answers in its place")]
    NotLabelStudio { path: String, status: u16, content_type: String },
    #[error("{path} redirects to {to_host}, which is never followed: set the final URL")]
    Redirected { path: String, to_host: String },
    #[error("the answer to {path} is longer than {limit} bytes")]
    TooLarge { path: String, limit: usize },
    /// A list beyond what is held in memory.
    #[error("{path} lists more than {limit} people, which is more than the operator holds")]
    TooMany { path: String, limit: usize },
    /// A 2xx answer in JSON that does not have the published form. `what` holds no value of it.
    #[error("the answer to {path} cannot be read: {what}")]
    Unreadable { path: String, what: String },
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The request was not sent, because it could not start in time.
    #[error("the request could not start in time and was not sent")]
    NotStarted,
    #[error("the certificates cannot be used: {0}")]
    CaBundle(String),
}

/// Where the way to the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    Dns,
    /// Refused, no route, or no connection within the connect timeout: nothing was sent.
    Connect,
    Tls,
    /// Connected, but no whole answer in time.
    Timeout,
    /// The connection broke after it stood.
    Broken,
}

/// What an error means for the caller. Matched without a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// 408, 425, 429, 5xx, connection and timeout: later it may work.
    Transient,
    /// 401, or a token that can be nothing else.
    Unauthorized,
    Forbidden,
    NotFound,
    /// 400, 405, 409, 422 and every other 4xx: the same request will be refused again.
    Refused,
    /// What answers is not Label Studio, or not at this URL.
    NotLabelStudio,
}

impl Error {
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::NotStarted => Class::Transient,
            // Whatever the server says to a token that it does not exchange, the token is no good.
            Self::Status { path, status: 400..=404, .. } if path == RENEWAL => Class::Unauthorized,
            Self::Status { status, .. } => match status {
                401 => Class::Unauthorized,
                403 => Class::Forbidden,
                404 | 410 => Class::NotFound,
                408 | 425 | 429 | 500.. => Class::Transient,
                _ => Class::Refused,
            },
            Self::NotLabelStudio { .. } | Self::Redirected { .. } | Self::TooLarge { .. } | Self::Unreadable { .. } => {
                Class::NotLabelStudio
            }
            Self::Token(_) => Class::Unauthorized,
            Self::TooMany { .. } | Self::CaBundle(_) => Class::Refused,
        }
    }

    /// How long the server asks to wait; at most ten minutes.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The HTTP status, if an answer came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::NotLabelStudio { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// For the error of a write: true if it may have taken effect all the same. A refusal, a 429 and a connection
    /// that never stood are not lost; a timeout, a broken connection, a 5xx and an answer that makes no sense are.
    pub fn lost(&self) -> bool {
        // Only the token's own exchange was sent, and that changes nothing.
        if self.path() == Some(RENEWAL) {
            return false;
        }
        match self {
            Self::Unreachable { reason, .. } => match reason {
                Reach::Timeout | Reach::Broken => true,
                Reach::Dns | Reach::Connect | Reach::Tls => false,
            },
            // 501 is a refusal. 503 mostly is one too, but a proxy says it also when the server died half-way.
            Self::Status { status, .. } => *status == 408 || (*status >= 500 && *status != 501),
            Self::NotLabelStudio { status, .. } => !(400..500).contains(status),
            Self::TooLarge { .. } | Self::Unreadable { .. } => true,
            Self::Redirected { .. } | Self::TooMany { .. } | Self::Token(_) | Self::NotStarted | Self::CaBundle(_) => {
                false
            }
        }
    }

    fn path(&self) -> Option<&str> {
        match self {
            Self::Status { path, .. }
            | Self::NotLabelStudio { path, .. }
            | Self::Redirected { path, .. }
            | Self::TooLarge { path, .. }
            | Self::TooMany { path, .. }
            | Self::Unreadable { path, .. } => Some(path),
            Self::Unreachable { .. } | Self::Token(_) | Self::NotStarted | Self::CaBundle(_) => None,
        }
    }

    /// True if a refusal was explained in Label Studio's own form; a proxy's page is not.
    pub fn is_explained(&self) -> bool {
        match self {
            Self::Status { detail, fields, error_id, .. } => {
                detail.is_some() || error_id.is_some() || !fields.is_empty()
            }
            _ => false,
        }
    }
}

impl From<NotStarted> for Error {
    fn from(NotStarted: NotStarted) -> Self {
        Self::NotStarted
    }
}

impl Reach {
    /// One word, the same in condition, event and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Connect => "connect",
            Self::Tls => "TLS",
            Self::Timeout => "timeout",
            Self::Broken => "broken connection",
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn explanation(detail: Option<&String>, fields: &BTreeMap<String, Vec<String>>) -> String {
    let said = fields
        .iter()
        .map(|(field, messages)| format!("{field}: {}", messages.join(" ")))
        .collect::<Vec<_>>()
        .join("; ");
    match (said.is_empty(), detail) {
        (false, _) => format!(": {said}"),
        (true, Some(detail)) => format!(": {detail}"),
        (true, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> Error {
        status_of("/api/invite/send-email", status)
    }

    fn status_of(path: &str, status: u16) -> Error {
        Error::Status {
            method: "POST",
            path: path.to_owned(),
            status,
            detail: Some("Nope.".to_owned()),
            fields: BTreeMap::new(),
            error_id: Some("abc".to_owned()),
            retry_after: None,
        }
    }

    fn unreachable(reason: Reach) -> Error {
        Error::Unreachable { host: "h".to_owned(), reason, text: "t".to_owned() }
    }

    #[test]
    fn every_status_has_its_class() {
        for (code, class) in [
            (400, Class::Refused),
            (401, Class::Unauthorized),
            (403, Class::Forbidden),
            (404, Class::NotFound),
            (405, Class::Refused),
            (409, Class::Refused),
            (422, Class::Refused),
            (429, Class::Transient),
            (500, Class::Transient),
            (504, Class::Transient),
        ] {
            assert_eq!(status(code).class(), class, "{code}");
        }
    }

    #[test]
    fn a_write_is_lost_only_if_it_may_have_taken_effect() {
        for code in [500, 502, 503, 504] {
            assert!(status(code).lost(), "{code}");
        }
        for code in [400, 401, 403, 404, 405, 429, 501] {
            assert!(!status(code).lost(), "{code}");
        }
        assert!(unreachable(Reach::Timeout).lost() && unreachable(Reach::Broken).lost());
        assert!(!unreachable(Reach::Connect).lost() && !unreachable(Reach::Tls).lost());
        // The token was not exchanged: the write itself never left.
        assert!(!status_of(RENEWAL, 502).lost());
    }

    #[test]
    fn a_token_that_is_not_exchanged_is_unauthorized_whatever_the_status() {
        for code in [400, 401, 403, 404] {
            assert_eq!(status_of(RENEWAL, code).class(), Class::Unauthorized, "{code}");
        }
        assert_eq!(status_of(RENEWAL, 429).class(), Class::Transient);
    }

    #[test]
    fn the_text_says_what_the_server_said_and_not_its_id_which_is_new_each_time() {
        assert_eq!(status(403).to_string(), "POST /api/invite/send-email answered 403: Nope.");
    }
}
