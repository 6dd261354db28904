//! Roles by their codes on the wire. An open set: what a newer server sends is kept, and never assigned.

use serde::{Deserialize, Deserializer};
use std::fmt;

/// Published contract: `OW AD MA RE AN VO NO DI`. `Owner` and `ViewOnly` cannot be assigned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Role {
    Owner,
    Administrator,
    Manager,
    Reviewer,
    Annotator,
    ViewOnly,
    /// Signed up or invited, no role yet: no access, no seat.
    Pending,
    /// Access revoked, history kept, no seat.
    Deactivated,
    Other(String),
}

impl Role {
    pub fn as_code(&self) -> &str {
        match self {
            Self::Owner => "OW",
            Self::Administrator => "AD",
            Self::Manager => "MA",
            Self::Reviewer => "RE",
            Self::Annotator => "AN",
            Self::ViewOnly => "VO",
            Self::Pending => "NO",
            Self::Deactivated => "DI",
            Self::Other(code) => code,
        }
    }

    pub fn from_code(code: &str) -> Self {
        match code {
            "OW" => Self::Owner,
            "AD" => Self::Administrator,
            "MA" => Self::Manager,
            "RE" => Self::Reviewer,
            "AN" => Self::Annotator,
            "VO" => Self::ViewOnly,
            "NO" => Self::Pending,
            "DI" => Self::Deactivated,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Higher may do more; 0 may do nothing. An unknown role is below every known one, so that none is ever thought
    /// to rise from it.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Pending | Self::Deactivated | Self::Other(_) => 0,
            Self::ViewOnly => 1,
            Self::Annotator => 2,
            Self::Reviewer => 3,
            Self::Manager => 4,
            Self::Administrator => 5,
            Self::Owner => 6,
        }
    }

    pub fn has_access(&self) -> bool {
        !matches!(self, Self::Pending | Self::Deactivated)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(code) => f.write_str(code),
            known => write!(f, "{known:?}"),
        }
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|code| Self::from_code(&code))
    }
}
