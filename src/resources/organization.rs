//! `Organization`: where Label Studio is, how to sign in, and what of the organization itself is declared.

use super::status::Person;
use super::user_invite::DeletionPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::Duration;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One organization on a Label Studio server, Enterprise or open source.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "labelstudio.rs",
    version = "v1alpha1",
    kind = "Organization",
    namespaced,
    shortname = "lsorg",
    category = "label-studio",
    status = "OrganizationStatus",
    derive = "PartialEq",
    doc = "An organization on a Label Studio server, Enterprise or open source: where it is, how the operator signs in, and what of it is declared.",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Edition", type_ = "string", json_path = ".status.edition"),
    printcolumn(name = "Active", type_ = "integer", json_path = ".status.members.active"),
    printcolumn(name = "Invited", type_ = "integer", json_path = ".status.members.invited"),
    printcolumn(name = "Unmanaged", type_ = "integer", json_path = ".status.members.unmanaged"),
    printcolumn(name = "Held", type_ = "integer", json_path = ".status.plan.heldCount"),
    printcolumn(name = "Title", type_ = "string", json_path = ".status.title", priority = "1"),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationSpec {
    /// Base URL of the server, with its sub-path if it has one: `https://label-studio.example.com/studio`.
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(
        validation = Rule::new(r"self.matches('^https?://[^/?#@\\s]+(/[^?#@\\s]*)?$')").message(
            "url must be http:// or https://, a host and an optional path, without user info, query or fragment, such as https://label-studio.example.com"),
    )]
    pub url: String,

    /// Id of the organization. Left out: the active organization of the token. Given: another organization stops
    /// everything before the first write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub organization_id: Option<i64>,

    /// How the operator signs in.
    pub credentials: Credentials,

    /// Trust in a private certificate authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// Title of the organization, trimmed as the server trims it. Left out: not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    #[x_kube(validation = Rule::new(r"self.matches('\\S')").message("title must not be blank: write a title, or leave the field out"))]
    pub title: Option<String>,

    /// `Enforce`: make the server agree. `Observe`: show in status what would be done, and write nothing.
    #[serde(default)]
    pub mode: Mode,

    /// How often everything is read anew and drift repaired, at least one minute. Written like `10m` or `1h30m`.
    #[serde(default = "ten_minutes")]
    #[schemars(length(max = 32), regex(pattern = "^([0-9]+(\\.[0-9]+)?(h|m|s))+$"), extend("default" = "10m"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m')").message("interval must be at least 1m"))]
    pub interval: Duration,

    /// Neither read nor write until this is false again. Departures are recorded and carried out afterwards.
    #[serde(default)]
    pub suspend: bool,

    /// How fast the operator may ask this server.
    #[serde(default)]
    pub rate_limit: RateLimit,

    /// What makes mistakes survivable.
    #[serde(default)]
    pub guards: Guards,
}

fn ten_minutes() -> Duration {
    std::time::Duration::from_secs(600).into()
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// A Secret in the same namespace that holds a legacy token or a personal access token of an Owner or
    /// Administrator. The two are told apart by their shape.
    pub secret_ref: SecretKeyRef,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct SecretKeyRef {
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    #[serde(default = "token_key")]
    #[schemars(length(min = 1, max = 253), extend("default" = "token"))]
    pub key: String,
}

fn token_key() -> String {
    "token".to_owned()
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Certificates of the authorities to trust besides the usual ones, as PEM.
    pub ca_bundle: KeyRef,
}

/// A key of a ConfigMap or of a Secret in the same namespace: exactly one of the two.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapName) != has(self.secretName)").message(
    "name either configMapName or secretName"))]
pub struct KeyRef {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub config_map_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
    #[serde(default = "ca_key")]
    #[schemars(length(min = 1, max = 253), extend("default" = "ca.crt"))]
    pub key: String,
}

fn ca_key() -> String {
    "ca.crt".to_owned()
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Mode {
    #[default]
    Enforce,
    Observe,
}

/// The published limit of the vendor's cloud is 15 requests in one second, per user and organization.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 10))]
    pub requests_per_second: i32,
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 5))]
    pub burst: i32,
}

fn ten() -> i32 {
    10
}

fn five() -> i32 {
    5
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { requests_per_second: ten(), burst: five() }
    }
}

#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Guards {
    /// How many people may lose access or rank within any 24 hours: a number, or a percentage of those who had
    /// access when the 24 hours began (then at least 3). More than that is held, all of it.
    #[serde(default = "a_quarter")]
    #[schemars(extend("default" = "25%"))]
    #[x_kube(validation = Rule::new(
        "type(self) == int ? self >= 0 : self.matches('^(100|[1-9]?[0-9])%$')").message(
        "maxRemovals must be a number of people (0 or more) or a percentage such as 25%"))]
    pub max_removals: IntOrString,
}

fn a_quarter() -> IntOrString {
    IntOrString::String("25%".to_owned())
}

impl Default for Guards {
    fn default() -> Self {
        Self { max_removals: a_quarter() }
    }
}

/// What the operator found and did. Nothing in it is a secret.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = serde_json::json!({"observedGeneration": -1})))]
pub struct OrganizationStatus {
    /// The generation whose outcome this status tells; -1 before the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Address of the organization's Owner, where the server tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<MemberCounts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
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
    /// The last value of the annotation `labelstudio.rs/reconcile` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// Which organization it is: the id, its birthday and the edition, not the URL.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub organization_id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
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
pub struct MemberCounts {
    pub active: i32,
    pub pending: i32,
    pub invited: i32,
    pub deactivated: i32,
    /// Members whom no UserInvite claims.
    pub unmanaged: i32,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// What is left to do, readable, at most 50 lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 51))]
    pub steps: Vec<String>,
    pub step_count: i32,
    pub held_count: i32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldSummary>,
}

/// Everything that is held for one reason.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct HeldSummary {
    pub reason: String,
    /// What `labelstudio.rs/approve` must name, where the reason can be overruled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    pub count: i32,
    /// At most ten.
    #[schemars(length(max = 10))]
    pub who: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Progress {
    pub done: i32,
    pub total: i32,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    pub id: String,
    pub started_at: Time,
    /// Folded addresses of one request, at most 50, and of those before it whose outcome is not stored yet.
    #[schemars(length(max = 500))]
    pub emails: Vec<String>,
    /// When, by the server's own clock, the invitation was sent that this mail replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The role that the mail promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// The people of one deleted UserInvite.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Departure {
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
    pub count: i32,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Approval {
    pub digest: String,
    pub at: Time,
}
