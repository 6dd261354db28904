//! The status of everybody: the first one, and what became of it after a pass. Changed objects only; the Organization last.

use super::Context;
use super::objects::{Objects, is_finalized, tolerated};
use super::status::{InviteSituation, OrganizationView, invite_status, organization_status};
use super::tell::{tell_invites, tell_organization};
use crate::engine::apply::Gate;
use crate::engine::desired::Desired;
use crate::engine::ledger::{InviteMemory, Ledger, Passing};
use crate::engine::memory::Forgotten;
use crate::engine::plan::unmanaged;
use crate::engine::target::first_mismatch;
use crate::resources::{Organization, Target, UserInvite, UserInviteStatus, folded, seconds};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// UserInvites whose statuses are made and written at a time.
const PART: usize = 100;
/// UserInvites that are written at a time while something else is waited for.
pub const FEW: usize = 16;

/// Stores the Organization's memory alone.
pub async fn remember(objects: &mut Objects, ledger: &Ledger) -> Result<(), Forgotten> {
    let Some(organization) = objects.organization.clone() else {
        return Err(Forgotten::Changed("the Organization".to_owned()));
    };
    let mut status = organization.status.clone().unwrap_or_default();
    status.observed_generation = status.observed_generation.or(Some(-1));
    status.target.clone_from(&ledger.target);
    status.in_flight.clone_from(&ledger.in_flight);
    status.invitations_visible = ledger.invitations_visible;
    status.departures.clone_from(&ledger.departures);
    status.removals.clone_from(&ledger.removals);
    status.approval.clone_from(&ledger.approval);
    status.earlier_approvals.clone_from(&ledger.earlier_approvals);
    status.invite_link.clone_from(&ledger.invite_link);
    status.signup.clone_from(&ledger.signup);
    objects.put_organization(status).await
}

/// What became of the mails that this operator sent, where another acts by now and nobody else knows of it. Of each UserInvite
/// only these people's entries change: what is said of all of them is the other's to say.
pub async fn leave_outcomes(objects: &mut Objects, passing: &mut Passing) -> Result<(), Forgotten> {
    let mut statuses: BTreeMap<String, UserInviteStatus> = BTreeMap::new();
    for ((name, email), person) in &passing.unstored {
        let Some(invite) = objects.invites.get(name) else { continue };
        let status = statuses.entry(name.clone()).or_insert_with(|| invite.status.clone().unwrap_or_default());
        match status.users.iter_mut().find(|known| folded(&known.email) == *email) {
            // A later mail is the other's.
            Some(known) if known.invited_at > person.invited_at => {}
            Some(known) => *known = person.clone().into(),
            None => status.users.push(person.clone().into()),
        }
    }
    // What cannot be written is no reason to stay: its mark stands, so nobody is mailed twice.
    tolerated(objects.put_invites(statuses.into_iter().collect()).await)?;
    passing.unstored.clear();
    Ok(())
}

/// First status and finalizer of UserInvites never seen before, so that no mail has to wait for them. Begins nothing more
/// once there is `enough` of it. One that no grant allows anything needs none. One that has our finalizer and no status has lost it: that must stay to be seen.
pub async fn introduce(
    context: &Context,
    objects: &mut Objects,
    desired: &Desired,
    ledger: &Ledger,
    target: &Target,
    enough: &AtomicBool,
) -> Result<(), Forgotten> {
    // Nothing is written where the target changed.
    if desired.observes_only || first_mismatch(ledger, &desired.grants, target).is_some() {
        return Ok(());
    }
    let now = seconds(Timestamp::now());
    let nothing = InviteMemory { target: Some(target.clone()), ..InviteMemory::default() };
    let situation = InviteSituation::Judged { pending: 1, observes: false };
    let unseen = objects.living().filter(|invite| {
        !is_finalized(invite)
            && !is_left_behind(objects, desired, &invite.key())
            && desired.may_act(invite)
            && ledger.invites.get(&invite.key()).is_none_or(|m| m.target.is_none())
    });
    for names in in_parts(unseen.map(UserInvite::key), FEW) {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        objects.release(context);
        let first = names.iter().filter_map(|name| {
            let invite = objects.invites.get(name)?;
            let status = invite_status(invite, &nothing, &situation, desired.generation_of(invite), now);
            Some((name.clone(), status))
        });
        let first = first.collect();
        tolerated(objects.put_invites(first).await)?;
        // In this order: whose status could not be written gets no finalizer.
        tolerated(objects.add_finalizers(names).await)?;
    }
    Ok(())
}

fn in_parts(names: impl Iterator<Item = String>, size: usize) -> Vec<Vec<String>> {
    let names: Vec<String> = names.collect();
    names.chunks(size).map(<[String]>::to_vec).collect()
}

/// How much was told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    Everything,
    /// Somebody waits for an edit that came in meanwhile; the rest is told by the next pass.
    Part,
}

/// The status of everybody after a pass, or in the middle of one. Gives way to an edit, and to the end of the process, but
/// not before something was written: however many edits come, it goes on.
pub async fn publish(
    context: &Context,
    objects: &mut Objects,
    desired: &Desired,
    ledger: &Ledger,
    view: OrganizationView<'_>,
    gate: &impl Gate,
) -> Result<Told, Forgotten> {
    let told = publish_people(context, objects, desired, ledger, &view, gate).await?;
    if told == Told::Everything {
        publish_organization(context, objects, desired, ledger, view).await?;
    }
    Ok(told)
}

/// The same without the Organization.
pub async fn publish_people(
    context: &Context,
    objects: &mut Objects,
    desired: &Desired,
    ledger: &Ledger,
    view: &OrganizationView<'_>,
    gate: &impl Gate,
) -> Result<Told, Forgotten> {
    let Some(organization) = objects.organization.clone() else { return Ok(Told::Everything) };
    let now = seconds(Timestamp::now());
    let name = organization.name_any();
    let abroad = format!("{}/{name}", organization.namespace().unwrap_or_default());
    let mut wrote = false;
    // A few at a time, since the statuses of ten thousand people are large.
    let written = objects.living().map(UserInvite::key).filter(|name| !is_left_behind(objects, desired, name));
    for names in in_parts(written, PART) {
        if wrote && !gate.is_open() {
            return Ok(Told::Part);
        }
        objects.release(context);
        let mut statuses = Vec::new();
        let mut unfinalized = Vec::new();
        for key in names {
            let Some(invite) = objects.invites.get(&key) else { continue };
            let nothing = InviteMemory::default();
            let memory = ledger.invites.get(&key).unwrap_or(&nothing);
            let name = if invite.foreign_namespace().is_some() { &abroad } else { &name };
            let situation = situation(&organization, name, view, desired, &key);
            let status = invite_status(invite, memory, &situation, desired.generation_of(invite), now);
            if !desired.observes_only && view.plan.is_some() && !is_finalized(invite) && has_people(memory) {
                unfinalized.push(key.clone());
            }
            if invite.status.as_ref() != Some(&status) {
                statuses.push((key, status));
            }
        }
        wrote |= !statuses.is_empty() || !unfinalized.is_empty();
        tell_invites(context, objects, &statuses).await;
        tolerated(objects.put_invites(statuses).await)?;
        tolerated(objects.add_finalizers(unfinalized).await)?;
    }
    Ok(Told::Everything)
}

/// Nothing is written of it: it cannot be, or what is known of it may be old.
pub fn is_left_behind(objects: &Objects, desired: &Desired, name: &str) -> bool {
    objects.left_behind.waits(name) || desired.left_behind.contains(name)
}

/// The Organization's status alone.
pub async fn publish_organization(
    context: &Context,
    objects: &mut Objects,
    desired: &Desired,
    ledger: &Ledger,
    mut view: OrganizationView<'_>,
) -> Result<(), Forgotten> {
    let Some(organization) = objects.organization.clone() else { return Ok(()) };
    let now = seconds(Timestamp::now());
    view.unmanaged = view.snapshot.map(|snapshot| unmanaged(snapshot, desired)).unwrap_or_default();
    view.generation = desired.generation;
    // Looked at is handled, whatever came of it.
    view.handled_reconcile = desired.reconcile.clone().filter(|_| view.snapshot.is_some());
    let status = organization_status(&organization, ledger, &view, now);
    tell_organization(context, &organization, &status.conditions, view.plan).await;
    objects.put_organization(status).await
}

fn situation<'a>(
    organization: &Organization,
    name: &'a str,
    view: &'a OrganizationView,
    desired: &'a Desired,
    invite: &str,
) -> InviteSituation<'a> {
    if organization.spec.suspend {
        return InviteSituation::Suspended(name);
    }
    if let Some(namespace) = desired.stranger(invite) {
        return InviteSituation::NotGranted(namespace);
    }
    if let Some(changed) = view.target_changed {
        return InviteSituation::TargetChanged(name, changed);
    }
    match view.plan {
        None => InviteSituation::OrganizationNotReady(name),
        Some(plan) => InviteSituation::Judged {
            pending: plan.pending.get(invite).copied().unwrap_or_default(),
            observes: desired.observes_only,
        },
    }
}

pub fn has_people(memory: &InviteMemory) -> bool {
    memory.users.values().any(|person| person.was_reached())
}
