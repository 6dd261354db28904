//! What the manifests ask for, in a form in which addresses can be compared: one claim per address.
//! Pure; knows nothing of what is there.

use crate::resources::{DeletionPolicy, InviteRole, Mode, OrganizationSpec, UserInvite, folded};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use std::collections::{BTreeMap, BTreeSet};

/// One Organization with every living UserInvite that refers to it.
pub struct Desired {
    pub title: Option<String>,
    pub observes_only: bool,
    pub max_removals: IntOrString,
    /// Oldest first, then by name: the order in which a claim wins.
    pub invites: Vec<Invite>,
    /// Folded address → index of the UserInvite whose claim is effective.
    claims: BTreeMap<String, usize>,
}

pub struct Invite {
    pub name: String,
    pub role: InviteRole,
    pub policy: DeletionPolicy,
    /// Folded address → as typed. Duplicates that differ only in case are one address.
    pub emails: BTreeMap<String, String>,
    /// Whether our finalizer stands: then a status was written before, and none means that it was lost.
    pub finalized: bool,
    /// Addresses whose entry is known to be stored, not only planned.
    pub stored: BTreeSet<String>,
    pub reinvite: Option<String>,
}

/// `invites` may come in any order; those that are being deleted must be left out, since they claim nobody.
pub fn desired<'a>(organization: &OrganizationSpec, invites: impl IntoIterator<Item = &'a UserInvite>) -> Desired {
    let mut objects: Vec<&UserInvite> = invites.into_iter().collect();
    objects.sort_by_key(|invite| (invite.creation_timestamp(), invite.name_any()));
    let invites: Vec<Invite> = objects.into_iter().map(wanted).collect();
    let mut claims = BTreeMap::new();
    for (index, invite) in invites.iter().enumerate() {
        for email in invite.emails.keys() {
            claims.entry(email.clone()).or_insert(index);
        }
    }
    Desired {
        // The server trims a title (measured), so an untrimmed one would never be in sync.
        title: organization.title.as_deref().map(|title| title.trim().to_owned()),
        observes_only: organization.mode == Mode::Observe,
        max_removals: organization.guards.max_removals.clone(),
        invites,
        claims,
    }
}

fn wanted(invite: &UserInvite) -> Invite {
    let spec = &invite.spec;
    let mut emails = BTreeMap::new();
    for email in &spec.emails {
        emails.entry(folded(email)).or_insert_with(|| email.clone());
    }
    let status = invite.status.as_ref();
    Invite {
        name: invite.name_any(),
        role: spec.role,
        policy: spec.deletion_policy,
        emails,
        finalized: invite.finalizers().iter().any(|f| f == crate::resources::FINALIZER),
        stored: status.map(|s| s.users.iter().map(|u| folded(&u.email)).collect()).unwrap_or_default(),
        reinvite: invite.annotations().get(crate::resources::REINVITE_ANNOTATION).cloned(),
    }
}

impl Desired {
    /// The UserInvite whose claim on this folded address is effective.
    pub fn claimant(&self, email: &str) -> Option<&Invite> {
        self.claims.get(email).map(|index| &self.invites[*index])
    }

    pub fn invite(&self, name: &str) -> Option<&Invite> {
        self.invites.iter().find(|invite| invite.name == name)
    }
}
