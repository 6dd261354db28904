//! How far a UserInvite of another namespace may go: as the Organization's owner allows in `spec.grants`, and no step
//! further. Pure; whatever is not granted is refused.

use super::desired::wire_role;
use crate::label_studio::Role;
use crate::resources::{Grant, GrantedRole, HeldReason, InviteRole, folded_domain, is_one_address};

/// Why a claim counts for nothing, or what stands above it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ungranted {
    pub reason: HeldReason,
    pub message: String,
}

/// What a UserInvite asks for, as far as a grant has to allow it.
pub struct Claim<'a> {
    /// None: the Organization's own.
    pub namespace: Option<&'a str>,
    pub role: Role,
    pub names_places: bool,
}

impl<'a> Claim<'a> {
    /// Taking access away needs no higher grant because of what was declared until it `ended`, and shows nobody anything.
    pub fn new(namespace: Option<&'a str>, role: InviteRole, ended: bool, names_places: bool) -> Self {
        let role = if ended { InviteRole::Deactivated } else { role };
        Self { namespace, role: wire_role(role), names_places: names_places && role != InviteRole::Deactivated }
    }
}

/// The highest role that this namespace may give to the folded address, or take from it: by one grant that names both.
pub fn ceiling(grants: &[Grant], namespace: &str, email: &str) -> Result<Role, Ungranted> {
    let mut granted = grants.iter().filter(|grant| names(grant, namespace)).peekable();
    if granted.peek().is_none() {
        return Err(Ungranted { reason: HeldReason::NotGranted, message: names_none(namespace) });
    }
    let one = email.rsplit_once('@').filter(|_| is_one_address(email));
    let domain = one.map(|(_, domain)| domain).unwrap_or_default();
    // What is no address has no domain that even a grant for all of them names.
    let highest = granted
        .filter(|grant| one.is_some() && covers(grant, domain))
        .map(|grant| role(grant.max_role))
        .max_by_key(Role::rank);
    highest.ok_or_else(|| {
        let message = format!("spec.grants of the Organization gives namespace {namespace:?} no address at {domain:?}");
        Ungranted { reason: HeldReason::DomainNotGranted, message }
    })
}

/// Whether any grant is for this namespace at all.
pub fn is_named(grants: &[Grant], namespace: &str) -> bool {
    grants.iter().any(|grant| names(grant, namespace))
}

/// What is told where none is.
pub fn names_none(namespace: &str) -> String {
    format!("spec.grants of the Organization names no namespace {namespace:?}")
}

fn names(grant: &Grant, namespace: &str) -> bool {
    grant.namespaces.iter().any(|named| named == "*" || named == namespace)
}

/// Whether the folded address may be claimed like this. The Organization's own namespace may always.
pub fn granted(grants: &[Grant], claim: &Claim, email: &str) -> Result<(), Ungranted> {
    let Some(namespace) = claim.namespace else { return Ok(()) };
    let ceiling = ceiling(grants, namespace, email)?;
    if claim.names_places {
        // What lies in a workspace is not this namespace's to show to anybody.
        let message = "spec.workspaces and spec.projects: a UserInvite of another namespace cannot name any".to_owned();
        return Err(Ungranted { reason: HeldReason::NotGranted, message });
    }
    if claim.role.rank() <= ceiling.rank() {
        return Ok(());
    }
    Err(above(namespace, &ceiling, &format!("the role {}", claim.role)))
}

/// `what` is higher than this namespace reaches.
pub fn above(namespace: &str, ceiling: &Role, what: &str) -> Ungranted {
    let message =
        format!("{what} is above {ceiling}, the highest that the Organization grants namespace {namespace:?}");
    Ungranted { reason: HeldReason::RoleAboveGrant, message }
}

/// The namespace in the key of a UserInvite, if it is not the Organization's.
pub fn foreign_namespace(key: &str) -> Option<&str> {
    key.split_once('/').map(|(namespace, _)| namespace)
}

/// Compared whole, so that `example.com` says nothing of `evil-example.com` or `a.example.com`.
fn covers(grant: &Grant, domain: &str) -> bool {
    grant.email_domains.is_empty() || grant.email_domains.iter().any(|named| folded_domain(named) == domain)
}

fn role(granted: GrantedRole) -> Role {
    match granted {
        GrantedRole::Administrator => Role::Administrator,
        GrantedRole::Manager => Role::Manager,
        GrantedRole::Reviewer => Role::Reviewer,
        GrantedRole::Annotator => Role::Annotator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(grants: serde_json::Value) -> Vec<Grant> {
        serde_json::from_value(grants).unwrap()
    }

    #[test]
    fn one_grant_has_to_allow_namespace_domain_and_role() {
        let grants = grants(serde_json::json!([
            {"namespaces": ["team-a", "team-b"], "maxRole": "Reviewer", "emailDomains": ["Example.com", "b.example.org"]},
            {"namespaces": ["team-a"], "maxRole": "Annotator"},
            {"namespaces": ["team-c"], "maxRole": "Manager"},
        ]));
        let judge = |namespace, role: &str, email| {
            let role = crate::engine::plan::role_named(role).unwrap();
            let claim = Claim { namespace: Some(namespace), role, names_places: false };
            granted(&grants, &claim, email).map_err(|ungranted| ungranted.reason)
        };
        for (namespace, role, email, verdict) in [
            ("team-a", "Reviewer", "ann@example.com", Ok(())),
            ("team-a", "Deactivated", "ann@elsewhere.com", Ok(())),
            ("team-a", "Annotator", "ann@elsewhere.com", Ok(())),
            // The role of one grant and the domain of another are no grant.
            ("team-a", "Reviewer", "ann@elsewhere.com", Err(HeldReason::RoleAboveGrant)),
            ("team-a", "Manager", "ann@example.com", Err(HeldReason::RoleAboveGrant)),
            ("team-b", "Reviewer", "ann@b.example.org", Ok(())),
            // Whole domains: neither below, nor above, nor one that only ends alike.
            ("team-b", "Annotator", "ann@a.example.com", Err(HeldReason::DomainNotGranted)),
            ("team-b", "Annotator", "ann@example.org", Err(HeldReason::DomainNotGranted)),
            ("team-b", "Annotator", "ann@evil-example.com", Err(HeldReason::DomainNotGranted)),
            ("team-b", "Annotator", "example.com", Err(HeldReason::DomainNotGranted)),
            ("team-c", "Administrator", "ann@example.com", Err(HeldReason::RoleAboveGrant)),
            ("team", "Deactivated", "ann@example.com", Err(HeldReason::NotGranted)),
            ("team-aa", "Annotator", "ann@example.com", Err(HeldReason::NotGranted)),
        ] {
            assert_eq!(judge(namespace, role, email), verdict, "{namespace} {role} {email}");
        }
    }

    #[test]
    fn without_a_grant_there_is_none_and_a_star_is_every_namespace() {
        let one = |namespaces| grants(serde_json::json!([{"namespaces": [namespaces], "maxRole": "Annotator"}]));
        let may = |grants: &[Grant], namespace, names_places| {
            granted(grants, &Claim { namespace, role: Role::Annotator, names_places }, "a@b.c").is_ok()
        };
        let annotates = |grants: &[Grant], namespace| may(grants, namespace, false);
        assert!(!annotates(&[], Some("team")) && annotates(&[], None));
        assert!(annotates(&one("*"), Some("team")));
        // Not a pattern.
        assert!(!annotates(&one("team-*"), Some("team-a")));
        assert!(!may(&one("*"), Some("team"), true) && may(&[], None, true), "workspaces are not another namespace's");
    }

    #[test]
    fn an_address_that_could_be_two_is_granted_to_nobody() {
        for domains in [serde_json::json!([]), serde_json::json!(["example.com"])] {
            let grants = grants(serde_json::json!([
                {"namespaces": ["team"], "maxRole": "Annotator", "emailDomains": domains}
            ]));
            for odd in
                ["eve@evil.com\u{ff20}example.com", "eve@evil.com\u{ff0c}eve@example.com", "eve@evil.com@example.com"]
            {
                let judged = ceiling(&grants, "team", &crate::resources::folded(odd));
                assert_eq!(judged.map_err(|ungranted| ungranted.reason), Err(HeldReason::DomainNotGranted), "{odd}");
            }
        }
    }

    #[test]
    fn a_domain_is_the_same_in_either_script() {
        for named in ["bücher.example", "XN--BCHER-KVA.example"] {
            let grants = grants(serde_json::json!([
                {"namespaces": ["team"], "maxRole": "Annotator", "emailDomains": [named]}
            ]));
            assert!(ceiling(&grants, "team", &crate::resources::folded("ann@Bücher.example")).is_ok(), "{named}");
        }
    }
}
