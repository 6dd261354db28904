//! Why it does not work: looks at a server and at a token in the order in which they are needed, and says of each what was
//! found and what to do. Writes nothing, sends no mail, and knows neither clap nor a terminal.
//!
//! `examine` asks; `judge` (the server and the organization) and `token` say what an answer means.

mod examine;
mod judge;
mod token;

pub use examine::{Declared, examine};

use serde::Serialize;
use std::fmt;

/// One thing that was looked at. Its texts hold no secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub check: Check,
    pub level: Level,
    pub message: String,
    /// Where the message does not say what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    Ok,
    /// It works, but not for everybody or not for long.
    Warning,
    Failed,
}

/// What is looked at, in this order. A check that fails stops those that stand on it, and no others.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    Url,
    /// Further certificates; told of only where they are of no use.
    Certificates,
    Server,
    Version,
    Token,
    SignIn,
    Organization,
    Role,
    Members,
    Invitations,
    Mail,
    Seats,
    Roles,
    Workspaces,
    SignUp,
}

impl Finding {
    pub(crate) fn ok(check: Check, message: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, message: message.into(), remedy: None }
    }

    pub(crate) fn warning(check: Check, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::ok(check, message) }
    }

    pub(crate) fn failed(check: Check, message: impl Into<String>) -> Self {
        Self { level: Level::Failed, ..Self::ok(check, message) }
    }

    pub(crate) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Url => "URL",
            Self::Certificates => "certificates",
            Self::Server => "server",
            Self::Version => "version",
            Self::Token => "token",
            Self::SignIn => "sign-in",
            Self::Organization => "organization",
            Self::Role => "own role",
            Self::Members => "members",
            Self::Invitations => "invitations",
            Self::Mail => "mail",
            Self::Roles => "roles",
            Self::Seats => "seats",
            Self::Workspaces => "workspaces",
            Self::SignUp => "sign-up",
        })
    }
}
