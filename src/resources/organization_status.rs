//! What an `Organization`'s status tells: what was found, what was done, and what has to be remembered.

use super::organization::SignupWorkload;
use super::status::Person;
use super::user_invite::DeletionPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator found and did. Nothing in it is a secret.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = serde_json::json!({"observedGeneration": -1})))]
pub struct OrganizationStatus {
    /// The generation whose outcome this status tells; -1 before the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Authenticated`, `MembersSynced`, `SignupRestricted`, `InviteLinkPublished`, and `Reconciling` or `Stalled` while
    /// true. Each reason is explained in docs/conditions.md.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// `Enterprise` or `Community`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// Release of the server, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The organization that everything remembered here is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Title of the organization, as the server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Address of the organization's Owner, where the server tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Seats of the licence, where the server tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<Seats>,
    /// Members by where they stand, whoever manages them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<MemberCounts>,
    /// The first of the members whom no UserInvite claims, by address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub unmanaged: Vec<UnmanagedMember>,
    /// What is left to do, and what is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// How far a pass has come that takes long; only while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The mark of a mail that may be on its way: written before the mail, cleared when its outcome is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,
    /// Whether this server lists open invitations; unknown until the first one was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitations_visible: Option<bool>,
    /// People whose UserInvite was deleted and who have not been dealt with yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub departures: Vec<Departure>,
    /// Removals within the last 24 hours, by hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 26))]
    pub removals: Vec<RemovalBucket>,
    /// The approval that was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Those before it, the newest first: each has its own day, and none is used twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 15))]
    pub earlier_approvals: Vec<Approval>,
    /// What is remembered of the published invite link; never the link itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite_link: Option<InviteLinkStatus>,
    /// Workloads whose environment the operator holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub signup: Vec<LockedWorkload>,
    /// The last value of the annotation `labelstudio.rs/reconcile` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// Which organization it is: the id, its birthday and the edition, not the URL.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Id of the organization on its server.
    pub organization_id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// `Enterprise` or `Community`.
    pub edition: String,
    /// Where it was found; no part of the identity.
    pub url: String,
}

impl Target {
    pub fn is_same_organization(&self, other: &Self) -> bool {
        self.organization_id == other.organization_id && self.created_at == other.created_at
    }

    pub fn is_same(&self, other: &Self) -> bool {
        self.is_same_organization(other) && self.edition == other.edition
    }
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockedWorkload {
    pub workload: SignupWorkload,
    /// When the variable was set last; before that it is only meant to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<Time>,
    /// When it was found taken out, within the last day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub taken_out: Vec<Time>,
}

/// Of the whole server, as its licence counts.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Seats {
    /// Seats that are taken.
    pub used: i64,
    /// Left out: the licence names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct MemberCounts {
    /// Members with access.
    pub active: i32,
    /// Signed up by the link; they have no role yet.
    pub pending: i32,
    /// Invited; they have not accepted yet.
    pub invited: i32,
    /// Members without access, who take no seat.
    pub deactivated: i32,
    /// Members whom no UserInvite claims.
    pub unmanaged: i32,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct UnmanagedMember {
    /// Address of the member.
    pub email: String,
    /// The role on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// What is left to do, readable, at most 50 lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 51))]
    pub steps: Vec<String>,
    /// How many steps are left to do.
    pub step_count: i32,
    /// How many people are held.
    pub held_count: i32,
    /// The same by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldSummary>,
}

/// Everything that is held for one reason.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct HeldSummary {
    /// One of the words in docs/people.md.
    pub reason: String,
    /// What `labelstudio.rs/approve` must name, where the reason can be overruled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Since when all of it is held, where it can be overruled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// How many people.
    pub count: i32,
    /// At most ten.
    #[schemars(length(max = 10))]
    pub who: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Progress {
    /// Steps that are done.
    pub done: i32,
    /// All steps of the pass.
    pub total: i32,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    /// Tells this mark from any other.
    pub id: String,
    pub started_at: Time,
    /// Folded addresses of one request, at most 50, and of those before it whose outcome is not stored yet.
    #[schemars(length(max = 500))]
    pub emails: Vec<String>,
    /// When, by the server's own clock, the newest of those invitations was sent that this mail replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The role that the mail promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// The people of one deleted UserInvite.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Departure {
    /// Whom it still has to deal with, as the UserInvite knew them.
    pub users: Vec<Person>,
    pub policy: DeletionPolicy,
    /// Name of the UserInvite.
    pub from: String,
    pub since: Time,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct RemovalBucket {
    /// Start of the hour.
    pub hour: Time,
    /// People with access when the first removal of that hour was reserved.
    pub base: i32,
    /// People who lost access or rank in that hour, or were about to.
    pub count: i32,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Approval {
    /// What the annotation `labelstudio.rs/approve` named.
    pub digest: String,
    pub at: Time,
    /// A short hash of each step that was approved and is not done yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5000))]
    pub steps: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteLinkStatus {
    /// The Secret that was made for it, to be deleted once it is not wanted any more.
    pub secret_name: String,
    /// When a link was published first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Time>,
    /// When the last rotation began that took place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Time>,
    /// The last value of the annotation `labelstudio.rs/rotate-invite-link` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_rotate: Option<String>,
    /// The mark of a rotation that may be under way: written before its request, cleared once the new link is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotating: Option<Rotating>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotating {
    pub started_at: Time,
    /// SHA-256 of the link's token before the rotation, with the uid of the Organization. Another one now: it took place.
    pub old_hash: String,
    /// The value of the annotation that asked for it; none where it was time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}
