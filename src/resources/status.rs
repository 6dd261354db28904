//! What both kinds share: the entry of one address, why something is held, and conditions.

use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The role a UserInvite may ask for. `Owner` is absent on purpose: Label Studio cannot assign it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum InviteRole {
    Administrator,
    Manager,
    Reviewer,
    Annotator,
    /// No access: the person is not invited, or loses the role and frees the seat.
    Deactivated,
}

impl fmt::Display for InviteRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Where one address stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum PersonState {
    /// A mail is on its way, or may be: its mark stands in the Organization's `status.inFlight`.
    Inviting,
    /// Invited; the person has not accepted yet.
    Invited,
    /// The invitation expired on the server.
    InviteExpired,
    /// Signed up by the link; the role is not assigned yet.
    Pending,
    Active,
    Deactivated,
    /// Dropped from the manifest; the departure is not carried out yet.
    Leaving,
    /// Was a member and is gone; not invited again until the address was removed and added anew.
    Left,
    /// The invitation was revoked on the server by somebody else.
    Revoked,
    /// Wanted, but not done; `reason` says why.
    Held,
    /// The server refused this address; the others go on.
    Failed,
}

/// Why something wanted is not done. The same word in status, event and condition.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum HeldReason {
    Conflict,
    DeparturesFull,
    DomainNotGranted,
    EmailNotConfigured,
    Failed,
    Forbidden,
    GaveUp,
    IncompleteRoster,
    InviteUnconfirmed,
    LastAdministrator,
    Left,
    ManagedByIdentityProvider,
    MinSeatTime,
    NotGranted,
    Owner,
    RemovalGuard,
    /// Somebody else takes back what the operator does, again and again.
    Reverted,
    Revoked,
    RoleAboveGrant,
    SeatLimit,
    /// The operator's own account; shown as `Self`.
    Self_,
    ServiceAccount,
    TargetChanged,
    UnknownRole,
    UnknownWorkspace,
    UnsupportedByEdition,
}

/// How the message of a conflict begins in which both manifests want the same: nobody waits for that.
pub const SAME_WISH: &str = "claimed with the same role";

impl HeldReason {
    pub const ALL: [Self; 26] = [
        Self::Conflict,
        Self::DeparturesFull,
        Self::DomainNotGranted,
        Self::EmailNotConfigured,
        Self::Failed,
        Self::Forbidden,
        Self::GaveUp,
        Self::IncompleteRoster,
        Self::InviteUnconfirmed,
        Self::LastAdministrator,
        Self::Left,
        Self::ManagedByIdentityProvider,
        Self::MinSeatTime,
        Self::NotGranted,
        Self::Owner,
        Self::RemovalGuard,
        Self::Reverted,
        Self::Revoked,
        Self::RoleAboveGrant,
        Self::SeatLimit,
        Self::Self_,
        Self::ServiceAccount,
        Self::TargetChanged,
        Self::UnknownRole,
        Self::UnknownWorkspace,
        Self::UnsupportedByEdition,
    ];

    /// A hold that a person must resolve: the UserInvite is Ready=False and Stalled. The others are either no
    /// error (Ready=True, reason `Held`) or resolve by themselves (`IncompleteRoster`).
    pub fn stalls(self) -> bool {
        match self {
            Self::Conflict
            | Self::DeparturesFull
            | Self::DomainNotGranted
            | Self::EmailNotConfigured
            | Self::Failed
            | Self::Forbidden
            | Self::InviteUnconfirmed
            | Self::LastAdministrator
            | Self::NotGranted
            | Self::Owner
            | Self::RemovalGuard
            | Self::Reverted
            | Self::RoleAboveGrant
            | Self::SeatLimit
            | Self::Self_
            | Self::ServiceAccount
            | Self::TargetChanged
            | Self::UnknownRole
            | Self::UnknownWorkspace => true,
            Self::GaveUp
            | Self::IncompleteRoster
            | Self::Left
            | Self::ManagedByIdentityProvider
            | Self::MinSeatTime
            | Self::Revoked
            | Self::UnsupportedByEdition => false,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "Conflict",
            Self::DeparturesFull => "DeparturesFull",
            Self::DomainNotGranted => "DomainNotGranted",
            Self::EmailNotConfigured => "EmailNotConfigured",
            Self::Failed => "Failed",
            Self::Forbidden => "Forbidden",
            Self::GaveUp => "GaveUp",
            Self::IncompleteRoster => "IncompleteRoster",
            Self::InviteUnconfirmed => "InviteUnconfirmed",
            Self::LastAdministrator => "LastAdministrator",
            Self::Left => "Left",
            Self::ManagedByIdentityProvider => "ManagedByIdentityProvider",
            Self::MinSeatTime => "MinSeatTime",
            Self::NotGranted => "NotGranted",
            Self::Owner => "Owner",
            Self::RemovalGuard => "RemovalGuard",
            Self::Reverted => "Reverted",
            Self::Revoked => "Revoked",
            Self::RoleAboveGrant => "RoleAboveGrant",
            Self::SeatLimit => "SeatLimit",
            Self::Self_ => "Self",
            Self::ServiceAccount => "ServiceAccount",
            Self::TargetChanged => "TargetChanged",
            Self::UnknownRole => "UnknownRole",
            Self::UnknownWorkspace => "UnknownWorkspace",
            Self::UnsupportedByEdition => "UnsupportedByEdition",
        }
    }
}

impl fmt::Display for HeldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One address and what is remembered about it. Part of it is *memory*: `invitedAt` and `userId` keep a second
/// mail from being sent.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// As typed in the manifest; compared trimmed and lower-cased.
    pub email: String,
    pub state: PersonState,
    /// The role last sent or seen on the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The user's id in Label Studio, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<i64>,
    /// Mails sent to this address by the operator; an invitation that it adopted counts as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// When the last mail was sent, as far as the operator knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_at: Option<Time>,
    /// Since when the person holds a seat, as far as the operator saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_since: Option<Time>,
    /// Since when `state` and `reason` are what they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why the address is held, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// At most 200 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Person {
    pub fn new(email: &str, state: PersonState) -> Self {
        Self {
            email: email.to_owned(),
            state,
            role: None,
            user_id: None,
            attempts: None,
            invited_at: None,
            seat_since: None,
            since: None,
            reason: None,
            message: None,
        }
    }

    /// Whether the operator ever reached this person: then no second mail, and a departure to carry out.
    pub fn was_reached(&self) -> bool {
        self.user_id.is_some() || self.invited_at.is_some()
    }

    /// Reached, or perhaps: then nobody else may take the address for a new one.
    pub fn may_have_been_mailed(&self) -> bool {
        self.was_reached() || self.is_held_for(HeldReason::InviteUnconfirmed)
    }

    pub fn is_held_for(&self, reason: HeldReason) -> bool {
        self.reason.as_deref() == Some(reason.as_str())
    }
}

/// Status times have whole seconds, so the clock is cut before it is compared with them.
pub fn seconds(now: Timestamp) -> Timestamp {
    now.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc)).unwrap_or(now)
}

/// However late the time: what stands in a status anybody may have written.
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A condition that keeps its `lastTransitionTime` as long as its status stays.
pub fn condition(
    before: &[Condition],
    kind: &str,
    status: bool,
    reason: &str,
    message: String,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    debug_assert!(
        super::reasons::reason_named(reason).is_some(),
        "{reason} is missing in docs/conditions.md or docs/people.md"
    );
    let status = if status { "True" } else { "False" };
    let since = before
        .iter()
        .find(|c| c.type_ == kind && c.status == status)
        .map_or(Time(seconds(now)), |c| c.last_transition_time.clone());
    Condition {
        last_transition_time: since,
        message,
        observed_generation: generation,
        reason: reason.to_owned(),
        status: status.to_owned(),
        type_: kind.to_owned(),
    }
}
