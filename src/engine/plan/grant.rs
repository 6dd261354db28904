//! What the grants mean for one address: whose claim is effective, and what becomes of people whom another namespace may
//! not touch, or not any more. What the claims themselves ask for is judged in `engine::grants`; here it is who is there.

use super::View;
use crate::engine::desired::{Desired, Invite};
use crate::engine::grants::{Ungranted, above, ceiling, foreign_namespace, granted};
use crate::engine::snapshot::{Snapshot, is_invited};
use crate::label_studio::{Edition, Member, Role};
use crate::resources::{DeletionPolicy, HeldReason, Person};

/// Whose claim wins: the first that reaches up to whoever is there. Where none does, the first, which is told so.
pub fn claimant<'a>(desired: &'a Desired, member: Option<&Member>, email: &str) -> Option<&'a Invite> {
    effective_claimant(desired, member, None, email).or_else(|| desired.claimant(email))
}

/// The same, but nobody where none reaches: then nobody manages this member. `remembered`: what is known besides the roster.
pub fn effective_claimant<'a>(
    desired: &'a Desired,
    member: Option<&Member>,
    remembered: Option<&Person>,
    email: &str,
) -> Option<&'a Invite> {
    desired.claimants(email).find(|invite| reaches(desired, invite, member, remembered, email))
}

/// Members whom no manifest claims, besides the Owner, ourselves and service accounts, by address.
pub fn unmanaged<'a>(snapshot: &'a Snapshot, desired: &Desired) -> Vec<&'a Member> {
    let unclaimed = snapshot.members().filter(|(email, member)| {
        effective_claimant(desired, Some(member), None, email).is_none()
            && Some(member.user_id) != snapshot.owner
            && member.user_id != snapshot.me
            && !member.is_service
    });
    unclaimed.map(|(_, member)| member).collect()
}

/// Why this UserInvite may not even ask for what it asks for.
pub fn refusal(view: &View, invite: &Invite, email: &str) -> Option<Ungranted> {
    granted(&view.desired.grants, &invite.claim(), email).err()
}

/// Why a claim that wins does nothing all the same: whoever is there stands higher. `before`: what is remembered.
pub fn out_of_reach(view: &View, invite: &Invite, email: &str, before: Option<&Person>) -> Option<Ungranted> {
    let namespace = invite.namespace.as_deref()?;
    let highest = ceiling(&view.desired.grants, namespace, email).ok()?;
    let member = view.member(email);
    // They have reasons of their own; and where there are no roles, none is higher.
    let spoken_for =
        member.is_some_and(|m| Some(m.user_id) == view.snapshot.owner || m.user_id == view.snapshot.me || m.is_service);
    if spoken_for || view.snapshot.edition == Edition::Community {
        return None;
    }
    if let Some(higher) = present(member, before).into_iter().find(|role| role.rank() > highest.rank()) {
        return Some(above(namespace, &highest, &format!("the person's role {higher}")));
    }
    let message = format!(
        "{UNTOLD_ROLE}, which may be above {highest}, the highest that the Organization grants namespace {namespace:?}"
    );
    let untold = is_untold_invitation(member, before) && highest != Role::Administrator;
    untold.then_some(Ungranted { reason: HeldReason::RoleAboveGrant, message })
}

/// How the message begins where nobody knows how high an open invitation goes: in status its role would be remembered.
pub const UNTOLD_ROLE: &str = "the server does not tell the role of the invitation";

/// What becomes of somebody who departs. Another namespace takes nothing from those whom it may not touch, or not any more,
/// whatever it could do when it was asked; and nobody leaves here who is claimed through another Organization.
pub fn policy(view: &View, from: &str, email: &str, person: &Person, declared: DeletionPolicy) -> DeletionPolicy {
    if view.desired.elsewhere.contains(email) {
        return DeletionPolicy::Retain;
    }
    let Some(namespace) = foreign_namespace(from) else { return declared };
    let Ok(highest) = ceiling(&view.desired.grants, namespace, email) else { return DeletionPolicy::Retain };
    let member = view.member(email);
    let untold = member.is_some_and(|member| !is_invited(member) && member.role.is_none())
        || is_untold_invitation(member, Some(person));
    let higher = present(member, Some(person)).iter().any(|role| role.rank() > highest.rank());
    if higher || (untold && highest != Role::Administrator) { DeletionPolicy::Retain } else { declared }
}

/// Held for what another namespace may not do, or not any more: what stands in the entry is true of a time when it could.
pub fn is_refused(person: &Person) -> bool {
    REASONS.iter().any(|reason| person.is_held_for(*reason))
}

const REASONS: [HeldReason; 3] = [HeldReason::NotGranted, HeldReason::RoleAboveGrant, HeldReason::DomainNotGranted];

fn reaches(
    desired: &Desired,
    invite: &Invite,
    member: Option<&Member>,
    remembered: Option<&Person>,
    email: &str,
) -> bool {
    let Some(namespace) = &invite.namespace else { return true };
    ceiling(&desired.grants, namespace, email)
        .is_ok_and(|highest| present(member, remembered).iter().all(|role| role.rank() <= highest.rank()))
}

/// An invitation of which neither the roster nor our memory says what it promises: it may be any role.
fn is_untold_invitation(member: Option<&Member>, remembered: Option<&Person>) -> bool {
    let says = |role: &Role| !matches!(role, Role::Pending | Role::Other(_));
    member.is_some_and(is_invited) && !present(member, remembered).iter().any(says)
}

/// The role of a member, or those that an open invitation may promise.
fn present(member: Option<&Member>, remembered: Option<&Person>) -> Vec<Role> {
    let listed = member.and_then(|member| member.role.clone());
    if member.is_some_and(|member| !is_invited(member)) {
        return listed.into_iter().collect();
    }
    let mailed = remembered.filter(|person| person.invited_at.is_some()).and_then(|person| person.role.as_deref());
    listed.into_iter().chain(mailed.and_then(super::entry::role_named)).collect()
}
