//! What stands in the way of acting, in the words of a condition and of an error. Three classes, matched without a wildcard.

use crate::engine::observe::Unobserved;
use crate::label_studio::{Class, Error, Reach};
use crate::resources::{KeyRef, OrganizationSpec, SecretKeyRef};
use jiff::Timestamp;
use std::time::Duration;

/// Why an Organization cannot act.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{reason}: {message}")]
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

/// What messages call the things that a person can change.
pub struct Names {
    /// Where the URL stands: a field, a variable or a flag.
    pub place: &'static str,
    pub url: String,
    /// Where the token comes from.
    pub secret: String,
    /// Where further certificates come from, if from anywhere.
    pub authority: Option<String>,
    /// Where further certificates may be named.
    pub trust: &'static str,
    /// What becomes of a problem of the server's own.
    pub later: &'static str,
    /// When the token ends by its own words, if it says so.
    pub token_end: Option<Timestamp>,
}

impl Names {
    pub fn of(spec: &OrganizationSpec) -> Self {
        let SecretKeyRef { name, key } = &spec.credentials.secret_ref;
        let authority = spec.tls.as_ref().and_then(|tls| {
            let KeyRef { config_map_name, secret_name, key } = &tls.ca_bundle;
            let secret = secret_name.as_ref().map(|name| format!("key {key:?} of Secret {name:?}"));
            secret.or_else(|| config_map_name.as_ref().map(|name| format!("key {key:?} of ConfigMap {name:?}")))
        });
        Self {
            place: "spec.url",
            url: spec.url.clone(),
            secret: format!("key {key:?} of Secret {name:?}"),
            authority,
            trust: "spec.tls.caBundle",
            later: "it is tried again",
            token_end: None,
        }
    }

    /// Only where the server refuses the token as well: the clock here may be the wrong one.
    fn ended(&self) -> Option<Timestamp> {
        self.token_end.filter(|end| *end <= Timestamp::now())
    }
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

    /// Whether it is tried again by itself.
    pub fn passes(&self) -> bool {
        self.kind == Kind::Transient
    }

    pub fn unauthenticated(mut self) -> Self {
        self.authenticated = Some(false);
        self
    }

    /// From what the server answered.
    pub fn from_unobserved(error: &Unobserved, names: &Names) -> Self {
        let token = || format!("{error} (the token is in {})", names.secret);
        match error {
            Unobserved::Client(error) => Self::from_client(error, names),
            Unobserved::UnknownEdition { .. } => Self::stalled("NotLabelStudio", error.to_string()),
            Unobserved::NoOrganization { .. } => Self::stalled("NoOrganization", token()),
            Unobserved::WrongOrganization { .. } => Self::stalled("OrganizationMismatch", error.to_string()),
            Unobserved::RoleTooLow { .. } => Self::stalled("RoleTooLow", token()),
        }
        .signed_in(!matches!(error, Unobserved::Client(_) | Unobserved::UnknownEdition { .. }))
    }

    pub fn from_client(error: &Error, names: &Names) -> Self {
        let (kind, reason) = kind_and_reason(error);
        let remedy = remedy(error, names).map(|remedy| format!(": {remedy}")).unwrap_or_default();
        Self {
            kind,
            reason,
            message: if remedy.is_empty() { error.to_string() } else { sentence(error) + &remedy },
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

/// Without its full stop: something follows.
fn sentence(error: &Error) -> String {
    error.to_string().trim_end_matches('.').to_owned()
}

fn kind_and_reason(error: &Error) -> (Kind, &'static str) {
    match error {
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
    }
}

/// What a person can do about it, where the error does not say so itself.
pub fn remedy(error: &Error, names: &Names) -> Option<String> {
    let Names { place, url, secret, authority, trust, later, .. } = names;
    Some(match kind_and_reason(error).1 {
        "Unauthorized" if let Some(end) = names.ended() => {
            format!("the token in {secret} ended at {end}; create another one in Label Studio and put it there")
        }
        "Unauthorized" => format!("the server refuses the token in {secret}; put a valid one there"),
        "Forbidden" => format!("the token in {secret} may not do this; it takes an Owner or Administrator"),
        "NotLabelStudio" | "Redirected" | "NotFound" => format!("check {place} {url:?}"),
        "TlsFailed" => format!("check the certificate of {url:?}, or name its authority in {trust}"),
        "TooManyMembers" => format!("check that spec.url {url:?} is the organization you mean, or divide it"),
        "InvalidCaBundle" => match authority {
            Some(at) => format!("{trust} names {at}; put certificates in PEM there"),
            None => format!("name the authority of the server in {trust}"),
        },
        "ServerError" => format!("{url:?} has a problem of its own; {later}"),
        "Refused" => format!("check {place} {url:?} and spec.organizationId"),
        "Unreachable" => format!("check {place} {url:?}, the network and the server"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tls: &serde_json::Value) -> Names {
        let spec = serde_json::json!({
            "url": "https://example.com", "credentials": {"secretRef": {"name": "label-studio"}}, "tls": tls
        });
        Names::of(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_key() {
        let nobody = Unobserved::NoOrganization { email: "a@example.com".to_owned() };
        let message = Problem::from_unobserved(&nobody, &names(&serde_json::Value::Null)).message;
        assert!(message.contains("key \"token\" of Secret \"label-studio\""), "{message}");
        let damaged = Error::CaBundle("no certificate".to_owned());
        for (tls, place) in [
            (serde_json::json!({"caBundle": {"configMapName": "ca"}}), "names key \"ca.crt\" of ConfigMap \"ca\""),
            (serde_json::json!({"caBundle": {"secretName": "ca", "key": "k"}}), "names key \"k\" of Secret \"ca\""),
            (serde_json::Value::Null, "name the authority of the server in spec.tls.caBundle"),
        ] {
            let message = Problem::from_client(&damaged, &names(&tls)).message;
            assert!(message.contains(place), "{message}");
        }
    }
}
