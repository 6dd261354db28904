//! What stands in the way of a pass, in the words of a condition. Three classes, matched without a wildcard.

use crate::engine::observe::Unobserved;
use crate::label_studio::{Class, Error, Reach};
use std::time::Duration;

/// Why an Organization cannot act.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub kind: Kind,
    /// One word, the same in condition and event.
    pub reason: &'static str,
    /// Names object, field, value and remedy.
    pub message: String,
    /// What is known of the token: None where it was not tried.
    pub authenticated: Option<bool>,
    /// When the server said to come back.
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Passes by itself: tried again, ever more slowly.
    Transient,
    /// Another object is missing: its watch wakes us.
    Waiting,
    /// A person must change something: no traffic until then, but one try per interval.
    Terminal,
}

impl Problem {
    pub fn stalled(reason: &'static str, message: String) -> Self {
        Self { kind: Kind::Terminal, reason, message, authenticated: None, retry_after: None }
    }

    pub fn waiting(reason: &'static str, message: String) -> Self {
        Self { kind: Kind::Waiting, reason, message, authenticated: None, retry_after: None }
    }

    pub fn transient(reason: &'static str, message: String) -> Self {
        Self { kind: Kind::Transient, reason, message, authenticated: None, retry_after: None }
    }

    pub fn unauthenticated(mut self) -> Self {
        self.authenticated = Some(false);
        self
    }

    /// From what the server answered. `secret` names where the token comes from.
    pub fn from_unobserved(error: &Unobserved, url: &str, secret: &str) -> Self {
        match error {
            Unobserved::Client(error) => Self::from_client(error, url, secret),
            Unobserved::UnknownEdition { .. } => Self::stalled("NotLabelStudio", error.to_string()),
            Unobserved::NoOrganization { .. } => Self::stalled("NoOrganization", error.to_string()),
            Unobserved::WrongOrganization { .. } => Self::stalled("OrganizationMismatch", error.to_string()),
            Unobserved::RoleTooLow { .. } => Self::stalled("RoleTooLow", format!("{error} (the token is in {secret})")),
        }
        .signed_in(!matches!(error, Unobserved::Client(_) | Unobserved::UnknownEdition { .. }))
    }

    pub fn from_client(error: &Error, url: &str, secret: &str) -> Self {
        let (kind, reason) = match error {
            Error::Unreachable { reason, .. } => match reason {
                Reach::Tls => (Kind::Terminal, "TlsFailed"),
                Reach::Dns | Reach::Connect | Reach::Timeout | Reach::Broken => (Kind::Transient, "Unreachable"),
            },
            Error::Token(_) => (Kind::Terminal, "InvalidToken"),
            Error::CaBundle(_) => (Kind::Terminal, "InvalidCaBundle"),
            Error::TooMany { .. } => (Kind::Terminal, "TooManyMembers"),
            Error::Redirected { .. } => (Kind::Terminal, "Redirected"),
            Error::Status { .. }
            | Error::NotLabelStudio { .. }
            | Error::TooLarge { .. }
            | Error::Unreadable { .. }
            | Error::NotStarted => match error.class() {
                Class::Transient => (Kind::Transient, "ServerError"),
                Class::Unauthorized => (Kind::Terminal, "Unauthorized"),
                Class::Forbidden => (Kind::Terminal, "Forbidden"),
                Class::NotFound => (Kind::Terminal, "NotFound"),
                Class::Refused => (Kind::Terminal, "Refused"),
                Class::NotLabelStudio => (Kind::Terminal, "NotLabelStudio"),
            },
        };
        let remedy = match reason {
            "Unauthorized" => format!(": the server refuses the token in {secret}; put a valid one there"),
            "Forbidden" => format!(": the token in {secret} may not do this; it takes an Owner or Administrator"),
            "NotLabelStudio" | "Redirected" | "NotFound" => format!(": check spec.url {url:?}"),
            "TlsFailed" => format!(": check the certificate of {url:?}, or name its authority in spec.tls.caBundle"),
            "TooManyMembers" => format!(": check that spec.url {url:?} is the organization you mean, or divide it"),
            "InvalidCaBundle" => ": correct spec.tls.caBundle".to_owned(),
            "ServerError" => format!(": {url:?} has a problem of its own; it is tried again"),
            "Refused" => format!(": check spec.url {url:?} and spec.organizationId"),
            "Unreachable" => format!(": check spec.url {url:?}, the network and the server"),
            _ => String::new(),
        };
        Self {
            kind,
            reason,
            message: format!("{error}{remedy}"),
            authenticated: (reason == "Unauthorized").then_some(false),
            retry_after: error.retry_after(),
        }
    }

    fn signed_in(mut self, signed_in: bool) -> Self {
        if signed_in {
            self.authenticated = Some(true);
        }
        self
    }
}
