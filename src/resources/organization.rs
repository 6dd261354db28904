//! `Organization`: where Label Studio is, how to sign in, and what of the organization itself is declared.

use super::guards::{Grant, Guards, UnmanagedMembers};
use super::organization_status::OrganizationStatus;
use super::user_invite::EMAIL;
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

    /// Creates the first account, the Owner, of an empty server of your own, and stores its token in
    /// `credentials.secretRef`. Does nothing once there is a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,

    /// Trust in a private certificate authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// Title of the organization, trimmed as the server trims it. Left out: not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    #[x_kube(validation = Rule::new(r"self.matches('\\S')").message("title must not be blank: write a title, or leave the field out"))]
    pub title: Option<String>,

    /// The role of people who sign up by the link; Enterprise only. `Pending` has no access and takes no seat until somebody
    /// gives a role. Left out: not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_role: Option<DefaultRole>,

    /// Whether people can sign up without a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signup: Option<Signup>,

    /// Publish the link by which anybody may sign up, and rotate it. Left out: not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite_link: Option<InviteLink>,

    /// `Enforce`: make the server agree. `Observe`: show in status what would be done, and write nothing.
    #[serde(default)]
    pub mode: Mode,

    /// How often everything is read anew and drift repaired, from one minute to a year. Written like `10m` or `1h30m`.
    #[serde(default = "ten_minutes")]
    #[schemars(length(max = 32), regex(pattern = "^([0-9]+(\\.[0-9]+)?(h|m|s))+$"), extend("default" = "10m"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('8760h')").message(
        "interval must be at least 1m and at most 8760h"))]
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

    /// Members whom no UserInvite claims. `Report`: their addresses are listed in status. `Ignore`: only counted. Nothing is
    /// ever done to them.
    #[serde(default)]
    pub unmanaged_members: UnmanagedMembers,

    /// Which other namespaces may have UserInvites for this Organization, and how far. None: only its own namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub grants: Vec<Grant>,
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
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key of it that holds the token.
    #[serde(default = "token_key")]
    #[schemars(length(min = 1, max = 253), extend("default" = "token"))]
    pub key: String,
}

fn token_key() -> String {
    "token".to_owned()
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// Address of the first account.
    #[schemars(length(min = 3, max = 254), regex(pattern = EMAIL))]
    pub email: String,
    /// A Secret in the same namespace that holds its password, 8 to 128 characters.
    pub password_secret_ref: PasswordKeyRef,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct PasswordKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key of it that holds the password.
    #[serde(default = "password_key")]
    #[schemars(length(min = 1, max = 253), extend("default" = "password"))]
    pub key: String,
}

fn password_key() -> String {
    "password".to_owned()
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
    /// Name of the ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub config_map_name: Option<String>,
    /// Name of the Secret, instead of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
    /// The key that holds the certificates.
    #[serde(default = "ca_key")]
    #[schemars(length(min = 1, max = 253), extend("default" = "ca.crt"))]
    pub key: String,
}

fn ca_key() -> String {
    "ca.crt".to_owned()
}

/// `Administrator` is absent on purpose: whoever finds the link would be one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DefaultRole {
    Pending,
    Annotator,
    Reviewer,
    Manager,
}

/// Whoever has the link may sign up, so it stands in a Secret and nowhere else.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteLink {
    /// The Secret in the same namespace that the operator makes, with the keys `url` and `token`. One that is there
    /// already is left alone.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(r"self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')").message(
        "secretName must be the name of a Secret: small letters, digits, '-' and '.', such as invite-link"))]
    pub secret_name: String,
    /// How long a link is valid before a new one takes its place, from one hour to a year. Written like `720h`. Left out:
    /// only a new value of the annotation `labelstudio.rs/rotate-invite-link` makes a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^([0-9]+(\\.[0-9]+)?(h|m|s))+$"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1h') && duration(self) <= duration('8760h')").message(
        "rotateEvery must be at least 1h and at most 8760h"))]
    pub rotate_every: Option<Duration>,
}

#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signup {
    /// true: who has no invite link is refused. Proved by asking the server, whatever its environment says.
    #[serde(default)]
    pub require_invite: bool,
    /// Whose environment carries the switch; the operator sets it, unless somebody else does. None: only the proof.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".to_owned(), "name".to_owned()]))]
    pub workloads: Vec<SignupWorkload>,
}

/// A workload in the same namespace that runs Label Studio.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct SignupWorkload {
    /// What it is.
    pub kind: WorkloadKind,
    /// Name of the workload.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The container whose environment Label Studio reads.
    #[schemars(length(min = 1, max = 63))]
    pub container: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum WorkloadKind {
    #[default]
    Deployment,
    StatefulSet,
}

impl WorkloadKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
        }
    }
}

impl SignupWorkload {
    /// The same object, whichever of its containers.
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.name == other.name
    }
}

impl std::fmt::Display for SignupWorkload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.kind.as_str(), self.name)
    }
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
    /// So many requests in each second, in the long run.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 10))]
    pub requests_per_second: i32,
    /// So many at once after a while without any.
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
