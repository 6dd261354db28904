//! What the manifests ask for, in a form in which addresses can be compared: one claim per address.
//! Pure; knows nothing of what is there.

use super::grants::{Claim, granted, is_named};
use crate::label_studio::Role;
use crate::resources::{
    DefaultRole, DeletionPolicy, Grant, IdentityProvider, InviteRole, Mode, Organization, Person, PersonState,
    RECONCILE_ANNOTATION, UserInvite, UserInviteSpec, UserInviteStatus, folded, seconds,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One Organization with every living UserInvite that refers to it.
pub struct Desired {
    /// What the plan is made of: status speaks of these, whatever has been edited meanwhile.
    pub generation: Option<i64>,
    pub reconcile: Option<String>,
    pub title: Option<String>,
    pub default_role: Option<Role>,
    pub observes_only: bool,
    pub max_removals: IntOrString,
    pub min_administrators: usize,
    pub min_seat_time: Option<SignedDuration>,
    /// Members whose role an identity provider has set are left alone.
    pub respects_identity_provider: bool,
    /// Those of the Organization's own namespace first, then oldest first, then by name: the order in which a claim wins.
    pub invites: Vec<Invite>,
    /// How far UserInvites of other namespaces may go.
    pub grants: Vec<Grant>,
    /// Folded address → index of the UserInvite whose claim wins, of those that the grants allow.
    claims: BTreeMap<String, usize>,
    /// The same for claims that come after the first, in their order.
    further: BTreeMap<String, Vec<usize>>,
    /// Folded addresses that UserInvites of another Organization for the same server claim.
    pub elsewhere: BTreeSet<String>,
    /// Names of UserInvites whose memory cannot be stored now, or whose spec may be an old one: they claim as ever, and
    /// nothing is done for their people.
    pub left_behind: BTreeSet<String>,
    /// Namespaces whose UserInvites cannot be listed now: what they claim nobody knows.
    pub unlisted: BTreeSet<String>,
    /// Name of the UserInvite → index.
    names: BTreeMap<String, usize>,
}

pub struct Invite {
    /// See [`UserInvite::key`].
    pub name: String,
    /// Where it is, if that is not the Organization's namespace.
    pub namespace: Option<String>,
    pub generation: Option<i64>,
    /// As declared; from `expires_at` on it is another: [`Invite::role_at`].
    pub role: InviteRole,
    /// When access ends, in whole seconds like the time that it is compared with.
    pub expires_at: Option<Timestamp>,
    /// Whether it had ended when this was made: by that it is judged what the grants have to allow.
    pub ended: bool,
    pub policy: DeletionPolicy,
    pub resend: Resend,
    /// Titles.
    pub workspaces: Vec<String>,
    pub projects: Vec<i64>,
    /// Folded address → as typed. Duplicates that differ only in case are one address.
    pub emails: BTreeMap<String, String>,
    /// Whether our finalizer stands: then a status was written before, and none means that it was lost.
    pub finalized: bool,
    pub allowed: Allowed,
    /// Addresses whose memory is known to be stored, not only planned.
    pub stored: BTreeSet<String>,
    pub reinvite: Option<String>,
}

/// How far the grants go for a UserInvite.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Allowed {
    /// None names its namespace. It costs nothing: only what it remembers is looked at.
    Nothing,
    /// None of its addresses.
    Nobody,
    Somebody,
}

/// How an invitation goes on that nobody accepted in time.
#[derive(Clone, Copy, Debug)]
pub struct Resend {
    /// After it expired.
    pub after: SignedDuration,
    /// Mails in all.
    pub most: i32,
}

/// `invites` may come in any order; those that are being deleted must be left out, since they claim nobody.
/// Whose access has ended by `now` asks for no role any more.
pub fn desired<'a>(
    organization: &Organization,
    invites: impl IntoIterator<Item = &'a UserInvite>,
    now: Timestamp,
) -> Desired {
    let mut objects: Vec<&UserInvite> = invites.into_iter().collect();
    objects.sort_by_key(|invite| (invite.foreign_namespace().is_some(), invite.creation_timestamp(), invite.key()));
    let grants = &organization.spec.grants;
    let mut invites: Vec<Invite> = objects.into_iter().map(|invite| wanted(invite, grants, now)).collect();
    let mut claims = BTreeMap::new();
    let mut further: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, invite) in invites.iter_mut().enumerate() {
        let claim = invite.claim();
        let mut may_act = claim.namespace.is_none();
        let addresses = invite.emails.keys().filter(|_| invite.is_named());
        for email in addresses.filter(|email| granted(grants, &claim, email).is_ok()) {
            may_act = true;
            if claims.contains_key(email) {
                further.entry(email.clone()).or_default().push(index);
            } else {
                claims.insert(email.clone(), index);
            }
        }
        if may_act {
            invite.allowed = Allowed::Somebody;
        }
    }
    let reconcile = organization.annotations().get(RECONCILE_ANNOTATION).cloned();
    let generation = organization.metadata.generation;
    let organization = &organization.spec;
    Desired {
        generation,
        reconcile,
        // The server trims a title (measured), so an untrimmed one would never be in sync.
        title: organization.title.as_deref().map(|title| title.trim().to_owned()),
        default_role: organization.default_role.map(|role| match role {
            DefaultRole::Pending => Role::Pending,
            DefaultRole::Annotator => Role::Annotator,
            DefaultRole::Reviewer => Role::Reviewer,
            DefaultRole::Manager => Role::Manager,
        }),
        observes_only: organization.mode == Mode::Observe,
        max_removals: organization.guards.max_removals.clone(),
        min_administrators: usize::try_from(organization.guards.min_administrators).unwrap_or_default(),
        min_seat_time: organization
            .guards
            .min_seat_time
            .map(Duration::from)
            .and_then(|least| SignedDuration::try_from(least).ok()),
        respects_identity_provider: organization.guards.identity_provider == IdentityProvider::Respect,
        names: invites.iter().enumerate().map(|(index, invite)| (invite.name.clone(), index)).collect(),
        invites,
        grants: organization.grants.clone(),
        claims,
        further,
        elsewhere: BTreeSet::new(),
        left_behind: BTreeSet::new(),
        unlisted: BTreeSet::new(),
    }
}

fn wanted(invite: &UserInvite, grants: &[Grant], now: Timestamp) -> Invite {
    let spec = &invite.spec;
    let mut emails = BTreeMap::new();
    let status = invite.status.as_ref();
    let finalized = invite.finalizers().iter().any(|f| f == crate::resources::FINALIZER);
    let named = invite.foreign_namespace().is_none_or(|namespace| is_named(grants, namespace));
    let was_granted = finalized || status.is_some_and(|status| !status.users.is_empty());
    for email in spec.emails.iter().filter(|_| named || was_granted) {
        emails.entry(folded(email)).or_insert_with(|| email.clone());
    }
    let expires_at = expires_at(spec);
    Invite {
        name: invite.key(),
        namespace: invite.foreign_namespace().map(ToOwned::to_owned),
        generation: invite.metadata.generation,
        role: spec.role,
        expires_at,
        ended: has_ended(expires_at, now),
        policy: spec.deletion_policy,
        workspaces: spec.workspaces.clone(),
        projects: spec.projects.clone(),
        resend: Resend {
            // Longer than can be counted is never.
            after: SignedDuration::try_from(std::time::Duration::from(spec.resend.after))
                .unwrap_or(SignedDuration::MAX),
            most: spec.resend.max_attempts,
        },
        emails,
        allowed: if named { Allowed::Nobody } else { Allowed::Nothing },
        finalized,
        stored: status.map(stored).unwrap_or_default(),
        reinvite: invite.annotations().get(crate::resources::REINVITE_ANNOTATION).cloned(),
    }
}

fn stored(status: &UserInviteStatus) -> BTreeSet<String> {
    status.users.iter().filter(|user| says_all(user)).map(|user| folded(&user.email)).collect()
}

fn expires_at(spec: &UserInviteSpec) -> Option<Timestamp> {
    spec.expires_at.as_ref().map(|at| seconds(at.0))
}

fn has_ended(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|end| end <= now)
}

/// What a UserInvite asks for that is not part of any plan, since it is being deleted.
pub fn claim_of(invite: &UserInvite, now: Timestamp) -> Claim<'_> {
    let spec = &invite.spec;
    let names_places = !(spec.workspaces.is_empty() && spec.projects.is_empty());
    Claim::new(invite.foreign_namespace(), spec.role, has_ended(expires_at(spec), now), names_places)
}

pub fn wire_role(role: InviteRole) -> Role {
    match role {
        InviteRole::Administrator => Role::Administrator,
        InviteRole::Manager => Role::Manager,
        InviteRole::Reviewer => Role::Reviewer,
        InviteRole::Annotator => Role::Annotator,
        InviteRole::Deactivated => Role::Deactivated,
    }
}

/// Whether this entry, once it is stored, is all that has to be remembered of its address.
pub fn says_all(person: &Person) -> bool {
    // Nobody there, and nobody wanted: then there is nothing.
    person.may_have_been_mailed() || person.state == PersonState::Deactivated
}

impl Invite {
    /// What a grant has to allow.
    pub fn claim(&self) -> Claim<'_> {
        Claim::new(self.namespace.as_deref(), self.role, self.ended, self.names_places())
    }

    /// Whether any grant is for its namespace.
    pub fn is_named(&self) -> bool {
        self.allowed != Allowed::Nothing
    }

    pub fn names_places(&self) -> bool {
        !(self.workspaces.is_empty() && self.projects.is_empty())
    }

    /// Once access has ended, it is as if it had been written like that.
    pub fn role_at(&self, now: Timestamp) -> InviteRole {
        if has_ended(self.expires_at, now) { InviteRole::Deactivated } else { self.role }
    }
}

impl Desired {
    /// Titles that somebody names who may, each once.
    pub fn workspaces(&self) -> BTreeSet<&str> {
        let own = self.invites.iter().filter(|invite| invite.namespace.is_none());
        own.flat_map(|invite| &invite.workspaces).map(|title| title.trim()).collect()
    }

    /// The UserInvite whose claim on this folded address wins, as far as the manifests tell.
    pub fn claimant(&self, email: &str) -> Option<&Invite> {
        self.claimants(email).next()
    }

    /// Whom a mail to this address may have been for that no grant allows any more: our finalizer tells that it was allowed.
    pub fn once_claimed(&self, email: &str) -> Option<&Invite> {
        self.invites
            .iter()
            .find(|invite| invite.namespace.is_some() && invite.finalized && invite.emails.contains_key(email))
    }

    /// Whether the grants allow this UserInvite anything at all.
    pub fn may_act(&self, invite: &UserInvite) -> bool {
        let known = self.names.get(&invite.key()).map(|index| &self.invites[*index]);
        known.is_none_or(|known| known.allowed == Allowed::Somebody)
    }

    /// The namespace of this UserInvite, if no grant names it.
    pub fn stranger(&self, key: &str) -> Option<&str> {
        let invite = self.names.get(key).map(|index| &self.invites[*index]).filter(|invite| !invite.is_named())?;
        invite.namespace.as_deref()
    }

    /// Nobody knows what is claimed in these namespaces now. What was known of it before is left behind: it may be old.
    pub fn leave_out(&mut self, unlisted: BTreeSet<String>) {
        let old = |invite: &&Invite| invite.namespace.as_ref().is_some_and(|namespace| unlisted.contains(namespace));
        self.left_behind.extend(self.invites.iter().filter(old).map(|invite| invite.name.clone()));
        self.unlisted = unlisted;
    }

    /// By key.
    pub fn invite(&self, key: &str) -> Option<&Invite> {
        self.names.get(key).map(|index| &self.invites[*index])
    }

    /// Every folded address that a claim wins.
    pub fn claimed(&self) -> impl Iterator<Item = &String> {
        self.claims.keys()
    }

    /// Whether this UserInvite stands and lists the folded address, whatever the grants say to that.
    pub fn lists(&self, key: &str, email: &str) -> bool {
        self.names.get(key).is_some_and(|index| self.invites[*index].emails.contains_key(email))
    }

    /// All that the grants allow, in the order in which they win.
    pub fn claimants(&self, email: &str) -> impl Iterator<Item = &Invite> {
        let further = self.further.get(email).into_iter().flatten();
        self.claims.get(email).into_iter().chain(further).map(|index| &self.invites[*index])
    }

    /// The generation of this object that the plan is made of.
    pub fn generation_of(&self, object: &UserInvite) -> Option<i64> {
        let name = object.key();
        let judged = self.names.get(&name).and_then(|index| self.invites[*index].generation);
        judged.or(object.metadata.generation)
    }
}
