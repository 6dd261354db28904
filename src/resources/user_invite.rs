//! `UserInvite`: a list of addresses and one role, as in Label Studio's dialog "Invite via email".

use super::organization_status::Target;
use super::status::{InviteRole, Person};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::Duration;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// People who belong to a Label Studio organization with one role. They are invited by e-mail; members who are
/// there already get the role.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "labelstudio.rs",
    version = "v1alpha1",
    kind = "UserInvite",
    namespaced,
    shortname = "lsinvite",
    category = "label-studio",
    status = "UserInviteStatus",
    derive = "PartialEq",
    doc = "People who belong to a Label Studio organization with one role: invited by e-mail, or given the role if they are members already.",
    printcolumn(name = "Organization", type_ = "string", json_path = ".spec.organizationRef.name"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.role"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "People", type_ = "integer", json_path = ".status.counts.total"),
    printcolumn(name = "Active", type_ = "integer", json_path = ".status.counts.active"),
    printcolumn(name = "Invited", type_ = "integer", json_path = ".status.counts.invited"),
    printcolumn(name = "Held", type_ = "integer", json_path = ".status.counts.held"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct UserInviteSpec {
    /// The Organization these people belong to. It cannot be changed: create another UserInvite instead.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "organizationRef cannot be changed: create a new UserInvite for the other Organization and delete this one"))]
    pub organization_ref: OrganizationRef,

    /// 1 to 500 addresses of at most 254 characters. They are trimmed and lower-cased before they are compared and
    /// sent; the status shows them as typed. For more people write a second UserInvite.
    #[schemars(length(min = 1, max = 500), inner(length(min = 3, max = 254), regex(pattern = EMAIL)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub emails: Vec<String>,

    /// The role in the organization. `Deactivated` takes access away and frees the seat; the history stays.
    /// The Owner cannot be assigned.
    pub role: InviteRole,

    /// Enterprise only: titles of at most 20 workspaces that these people belong to. Sent with the invitation, and added
    /// to members who lack them; nobody is taken out of one. Not for UserInvites of other namespaces than the Organization's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 255)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub workspaces: Vec<String>,

    /// Enterprise only: ids of at most 100 projects, sent with the invitation. Members who are there already are not added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(range(min = 1)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub projects: Vec<i64>,

    /// When access ends, such as `2026-12-31T18:00:00Z`: from then on as if the role were `Deactivated`.
    // The rule also refuses a list: where there is a format, the API server takes one for a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= timestamp('2000-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')").message(
        "expiresAt must be a time from the year 2000 on, such as 2026-12-31T18:00:00Z"))]
    pub expires_at: Option<Time>,

    /// What happens to invitations that nobody accepts until they expire.
    #[serde(default)]
    pub resend: Resend,

    /// What happens to people who are dropped from this list, or whose UserInvite is deleted. `Deactivate`: role
    /// Deactivated, an open invitation is revoked (reversible). `Retain`: nothing. `Remove`: the membership is
    /// deleted. On the open-source edition `Deactivate` does nothing, and whoever is removed by `Remove` can still
    /// sign in: end that access on the server itself.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// One `@`, no blanks or list separators inside, a dot in the domain; blanks around it are trimmed.
pub(super) const EMAIL: &str = r#"^ *[^@\s,;<>"]+@[^@\s,;<>"]+\.[^@\s,;<>".]+ *$"#;

/// What Kubernetes takes for the name of an object.
const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// The same of a namespace.
const NAMESPACE: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct OrganizationRef {
    /// The name of the Organization.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub name: String,
    /// Where the Organization is. Left out: in the same namespace. Another namespace needs a grant of that Organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE))]
    pub namespace: Option<String>,
}

impl UserInvite {
    /// Where its Organization is.
    pub fn organization_namespace(&self) -> &str {
        let own = self.metadata.namespace.as_deref();
        self.spec.organization_ref.namespace.as_deref().or(own).unwrap_or_default()
    }

    /// Its own namespace, if its Organization is in another one.
    pub fn foreign_namespace(&self) -> Option<&str> {
        let own = self.metadata.namespace.as_deref().unwrap_or_default();
        (self.organization_namespace() != own).then_some(own)
    }

    /// What its Organization knows it by: its name, or `namespace/name` where it is in another one. Names hold no slash, so
    /// the two cannot be confused.
    pub fn key(&self) -> String {
        let name = self.metadata.name.clone().unwrap_or_default();
        match self.foreign_namespace() {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        }
    }
}

/// An expired invitation is sent anew, a few times; then it is given up.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resend {
    /// At least so long after it expired, from one hour to a year. Written like `72h`.
    #[serde(default = "three_days")]
    #[schemars(length(max = 32), regex(pattern = "^([0-9]+(\\.[0-9]+)?(h|m|s))+$"), extend("default" = "72h"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1h') && duration(self) <= duration('8760h')").message(
        "after must be at least 1h and at most 8760h"))]
    pub after: Duration,
    /// So many mails in all, the first one included. 1: an expired invitation is not sent again.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 20), extend("default" = 3))]
    pub max_attempts: i32,
}

fn three_days() -> Duration {
    std::time::Duration::from_secs(72 * 3600).into()
}

fn three() -> i32 {
    3
}

impl Default for Resend {
    fn default() -> Self {
        Self { after: three_days(), max_attempts: three() }
    }
}

/// What becomes of people whom no manifest claims any more.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// Role Deactivated, an open invitation revoked: reversible, the history is kept, the seat is freed.
    #[default]
    Deactivate,
    /// Nothing: they keep what they have and show up as unmanaged.
    Retain,
    /// The membership is deleted. In the open-source edition this does not end the person's access.
    Remove,
}

/// What the operator knows of these people.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = serde_json::json!({"observedGeneration": -1})))]
pub struct UserInviteStatus {
    /// The generation whose outcome this status tells; -1 before the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Accepted`, and `Reconciling` or `Stalled` while true. Each reason is explained in docs/conditions.md.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// Where the memory in `users` is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// How many addresses stand where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<InviteCounts>,
    /// One entry per address, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2000))]
    pub users: Vec<Arc<Person>>,
    /// The last value of the annotation `labelstudio.rs/reinvite` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reinvite: Option<String>,
}

/// Numbers for the printer columns.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct InviteCounts {
    /// Addresses in the manifest.
    pub total: i32,
    /// Members with the role that is asked for.
    pub active: i32,
    /// Invited, or about to be; they have not accepted yet.
    pub invited: i32,
    /// Wanted, but not done.
    pub held: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_namespace_is_the_same_as_none_and_another_one_stands_in_its_key() {
        let key = |namespace: Option<&str>| {
            let spec = serde_json::json!({
                "organizationRef": {"name": "acme", "namespace": namespace}, "emails": [], "role": "Annotator"
            });
            let mut invite = UserInvite::new("people", serde_json::from_value(spec).unwrap());
            invite.metadata.namespace = Some("team".to_owned());
            (invite.key(), invite.organization_namespace().to_owned())
        };
        assert_eq!(key(None), ("people".to_owned(), "team".to_owned()));
        assert_eq!(key(Some("team")), key(None));
        assert_eq!(key(Some("labels")), ("team/people".to_owned(), "labels".to_owned()));
    }
}
