//! Editions and organization roles, and the codes they have on the wire. Codes this version does not know are kept
//! as they are, so that nothing is done to a member whose role is not understood.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which Label Studio answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Edition {
    /// Open source: no roles, no invitations by mail.
    Community,
    Enterprise,
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Community => "Community",
            Self::Enterprise => "Enterprise",
        })
    }
}

/// A role in an organization, or the lack of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Owner,
    Administrator,
    Manager,
    Reviewer,
    Annotator,
    ViewOnly,
    /// Signed up or invited, without a role yet: "Not Activated" in the contract.
    Pending,
    Deactivated,
    /// A code that is newer than this program.
    Other(String),
}

/// A code longer than this is not a role; it is cut so that a broken server cannot flood a status.
const LONGEST_CODE: usize = 32;

impl Role {
    /// Reads the code on the wire (`OW`, `AD`, …). Never fails: what is not known becomes [`Role::Other`].
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
            other => Self::Other(other.chars().filter(|c| !c.is_control()).take(LONGEST_CODE).collect()),
        }
    }

    /// The code on the wire.
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

    /// How much a role may do: 0 nothing, 1 to 6 from ViewOnly to Owner. An unknown role is below every known one, so
    /// that none is ever thought to rise from it.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Deactivated | Self::Pending | Self::Other(_) => 0,
            Self::ViewOnly => 1,
            Self::Annotator => 2,
            Self::Reviewer => 3,
            Self::Manager => 4,
            Self::Administrator => 5,
            Self::Owner => 6,
        }
    }

    /// Whether the licence counts whoever has it (api.md §4): ViewOnly has seats of its own.
    pub fn takes_seat(&self) -> bool {
        self.has_access() && *self != Self::ViewOnly
    }

    /// Whether somebody with this role can work in the organization. An unknown role counts as access.
    pub fn has_access(&self) -> bool {
        match self {
            Self::Pending | Self::Deactivated => false,
            Self::Owner
            | Self::Administrator
            | Self::Manager
            | Self::Reviewer
            | Self::Annotator
            | Self::ViewOnly
            | Self::Other(_) => true,
        }
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|code| Self::from_code(&code))
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_code())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "Owner",
            Self::Administrator => "Administrator",
            Self::Manager => "Manager",
            Self::Reviewer => "Reviewer",
            Self::Annotator => "Annotator",
            Self::ViewOnly => "ViewOnly",
            Self::Pending => "Pending",
            Self::Deactivated => "Deactivated",
            Self::Other(code) => code,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_way_there_and_back() {
        for code in ["OW", "AD", "MA", "RE", "AN", "VO", "NO", "DI", "XY"] {
            assert_eq!(Role::from_code(code).as_code(), code);
        }
        assert_eq!(Role::from_code("XY"), Role::Other("XY".to_owned()));
    }

    #[test]
    fn ranks_rise_from_nothing_to_the_owner() {
        let codes = ["??", "VO", "AN", "RE", "MA", "AD", "OW"];
        let ranks: Vec<u8> = codes.iter().map(|c| Role::from_code(c).rank()).collect();
        assert_eq!(ranks, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(Role::Pending.rank(), Role::Deactivated.rank());
    }

    #[test]
    fn only_pending_and_deactivated_have_no_access() {
        assert!(!Role::Pending.has_access() && !Role::Deactivated.has_access());
        assert!(Role::ViewOnly.has_access() && Role::Other("XY".to_owned()).has_access());
    }

    #[test]
    fn an_absurd_code_is_cut() {
        let role = Role::from_code(&"A\n".repeat(1000));
        assert_eq!(role.as_code().len(), LONGEST_CODE);
    }
}
