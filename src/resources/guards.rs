//! What of an `Organization`'s spec makes mistakes survivable: its guards, who is managed by nobody, and how far other
//! namespaces may go. Judges nothing.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Guards {
    /// How many people may lose access or rank within any 24 hours: a number, or a percentage of those who had
    /// access when the 24 hours began (then at least 3). More than that is held, all of it.
    // Bounded far below what 32 bits hold: one object that is admitted and cannot be read would blind the whole watch.
    // Not asked for its type(), which the library that judges it without an API server does not know.
    #[serde(default = "a_quarter", deserialize_with = "a_quarter_if_null")]
    #[schemars(extend("default" = "25%", "nullable" = false))]
    #[x_kube(validation = Rule::new(
        "self == string(self) ? self.matches('^(100|[1-9]?[0-9])%$') : self >= 0 && self <= 1000000").message(
        "maxRemovals must be a number of people (0 to 1000000) or a percentage such as 25%"))]
    pub max_removals: IntOrString,
    /// So many Administrators keep their role, not counting the Owner and the operator's own account.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000), extend("default" = 1))]
    pub min_administrators: i32,
    /// How long somebody keeps a seat before it may be taken away, up to a year, written like `168h`: the vendor's rules for
    /// passing seats on may ask for it. Left out: access ends at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^([0-9]+(\\.[0-9]+)?(h|m|s))+$"))]
    #[x_kube(validation = Rule::new("duration(self) <= duration('8760h')").message("minSeatTime must be at most 8760h"))]
    pub min_seat_time: Option<Duration>,
    /// Members whose role comes from SAML, SCIM or LDAP. `Respect`: they are held and left alone. `Override`: they are treated
    /// like everybody else, until the identity provider sets the role again.
    #[serde(default)]
    pub identity_provider: IdentityProvider,
}

fn one() -> i32 {
    1
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum IdentityProvider {
    #[default]
    Respect,
    Override,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum UnmanagedMembers {
    #[default]
    Report,
    Ignore,
}

/// What UserInvites of other namespaces may do. One grant has to allow all of it: the namespace, the role and the domain.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Names of namespaces, or `*` for all.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 63), regex(pattern = r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$"))
    )]
    pub namespaces: Vec<String>,
    /// The highest role they may give, or take from somebody.
    pub max_role: GrantedRole,
    /// Domains of the addresses, compared whole: `example.com` says nothing of `a.example.com`. Left out: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 3, max = 253), regex(pattern = r"^[^@\s,;]+\.[^@\s,;.]+$")))]
    pub email_domains: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum GrantedRole {
    Administrator,
    Manager,
    Reviewer,
    Annotator,
}

fn a_quarter() -> IntOrString {
    IntOrString::String("25%".to_owned())
}

/// A null may be stored already: an earlier schema admitted it.
fn a_quarter_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IntOrString, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(a_quarter))
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            max_removals: a_quarter(),
            min_administrators: one(),
            min_seat_time: None,
            identity_provider: IdentityProvider::Respect,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_that_an_earlier_schema_admitted_reads_as_the_default() {
        for guards in [serde_json::json!({}), serde_json::json!({"maxRemovals": null})] {
            assert_eq!(serde_json::from_value::<Guards>(guards).unwrap(), Guards::default());
        }
    }
}
