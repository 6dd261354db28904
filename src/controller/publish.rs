//! The memory of the controller: what `apply` needs stored before and after its acts, and the status of everybody
//! after a pass. Changed objects only; the Organization last.

use super::Context;
use super::objects::{Objects, is_finalized};
use super::status::{InviteSituation, OrganizationView, invite_status, organization_status};
use crate::engine::desired::Desired;
use crate::engine::ledger::{InviteMemory, Ledger};
use crate::engine::memory::{Forgotten, Memory};
use crate::engine::outcome;
use crate::engine::plan::{Circumstances, Guest, Plan, plan};
use crate::engine::snapshot::Snapshot;
use crate::resources::{Organization, Progress, UserInvite, UserInviteStatus, folded, seconds};
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Events in flight.
const IN_FLIGHT: usize = 8;
/// How often a long pass tells how far it is.
pub const EVERY: Duration = Duration::from_secs(5);

pub struct Desk<'a> {
    pub context: &'a Context,
    pub objects: &'a mut Objects,
    pub desired: &'a Desired,
    /// What the plan still has to do, by UserInvite.
    pub pending: BTreeMap<String, usize>,
    pub told: Instant,
}

impl Memory for Desk<'_> {
    fn begin(&mut self, plan: &Plan) {
        self.pending.clone_from(&plan.pending);
    }

    async fn prepare(&mut self, ledger: &Ledger, invites: &BTreeSet<String>) -> Result<(), Forgotten> {
        let mut first = Vec::new();
        let mut unfinalized = Vec::new();
        for name in invites {
            let (Some(object), Some(memory)) = (self.objects.invites.get(name), ledger.invites.get(name)) else {
                // Deleted since the plan was made.
                return Err(Forgotten::Changed(format!("UserInvite {name}")));
            };
            if !remembers(object, memory) {
                first.push((name.clone(), self.so_far(object, memory)));
            }
            if !is_finalized(object) {
                unfinalized.push(name.clone());
            }
        }
        // In this order: a finalizer without a status means that the status was lost.
        self.objects.put_invites(first).await?;
        self.objects.add_finalizers(unfinalized).await
    }

    async fn remember(&mut self, ledger: &Ledger) -> Result<(), Forgotten> {
        remember(self.objects, ledger).await
    }

    async fn record(&mut self, ledger: &Ledger, guests: &[Guest]) -> Result<(), Forgotten> {
        for guest in guests {
            if let Some(left) = self.pending.get_mut(&guest.invite) {
                *left = left.saturating_sub(1);
            }
        }
        let invites: BTreeSet<&String> = guests.iter().map(|guest| &guest.invite).collect();
        let statuses = invites.into_iter().filter_map(|name| {
            let (object, memory) = (self.objects.invites.get(name)?, ledger.invites.get(name)?);
            Some((name.clone(), self.so_far(object, memory)))
        });
        let statuses = statuses.collect();
        self.objects.put_invites(statuses).await
    }

    async fn stands(&mut self) -> Result<bool, Forgotten> {
        self.objects.stands().await
    }

    async fn progress(
        &mut self,
        ledger: &Ledger,
        snapshot: &Snapshot,
        done: usize,
        total: usize,
    ) -> Result<(), Forgotten> {
        if self.told.elapsed() < EVERY {
            return Ok(());
        }
        let circumstances = Circumstances { now: seconds(Timestamp::now()), mail_allowed: true, roster_fresh: true };
        let mut now = plan(self.desired, snapshot, ledger, circumstances);
        let mut ledger = ledger.clone();
        outcome::settle(&mut ledger, &mut now, &snapshot.target);
        let progress = Progress { done: number(done), total: number(total) };
        let view = OrganizationView {
            snapshot: Some(snapshot),
            plan: Some(&now),
            progress: Some(progress),
            ..Default::default()
        };
        publish(self.context, self.objects, self.desired, &ledger, view).await?;
        self.told = Instant::now();
        Ok(())
    }
}

impl Desk<'_> {
    /// Where the plan does not know the UserInvite something is left.
    fn so_far(&self, object: &UserInvite, memory: &InviteMemory) -> UserInviteStatus {
        let pending = self.pending.get(&object.name_any()).copied().unwrap_or(1);
        let situation = InviteSituation::Judged { pending, observes: false };
        invite_status(object, memory, &situation, self.desired.generation_of(object), seconds(Timestamp::now()))
    }
}

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
    objects.put_organization(status).await
}

/// The status of everybody after a pass, or in the middle of one.
pub async fn publish(
    context: &Context,
    objects: &mut Objects,
    desired: &Desired,
    ledger: &Ledger,
    mut view: OrganizationView<'_>,
) -> Result<(), Forgotten> {
    let Some(organization) = objects.organization.clone() else { return Ok(()) };
    let now = seconds(Timestamp::now());
    let name = organization.name_any();
    let mut statuses = Vec::new();
    let mut unfinalized = Vec::new();
    for invite in objects.living() {
        let key = invite.name_any();
        let nothing = InviteMemory::default();
        let memory = ledger.invites.get(&key).unwrap_or(&nothing);
        let situation = situation(&organization, &name, &view, desired, &key);
        let status = invite_status(invite, memory, &situation, desired.generation_of(invite), now);
        if !desired.observes_only && view.plan.is_some() && !is_finalized(invite) && has_people(memory) {
            unfinalized.push(key.clone());
        }
        // Only what changed is kept: the statuses of ten thousand people are large.
        if invite.status.as_ref() != Some(&status) {
            statuses.push((key, status));
        }
    }
    tell_invites(context, objects, &statuses).await;
    objects.put_invites(statuses).await?;
    objects.add_finalizers(unfinalized).await?;

    view.unmanaged = view.snapshot.map_or(0, |snapshot| unmanaged(snapshot, desired));
    view.generation = desired.generation;
    // Looked at is handled, whatever came of it.
    view.handled_reconcile = desired.reconcile.clone().filter(|_| view.snapshot.is_some());
    let status = organization_status(&organization, ledger, &view, now);
    let before = organization.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    if worth_telling(before, &status.conditions, true) {
        tell(context, &*organization, &status.conditions).await;
    }
    objects.put_organization(status).await
}

fn situation<'a>(
    organization: &Organization,
    name: &'a str,
    view: &'a OrganizationView,
    desired: &Desired,
    invite: &str,
) -> InviteSituation<'a> {
    if organization.spec.suspend {
        return InviteSituation::Suspended(name);
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

/// Whether the stored status remembers all that must stand before a mail.
fn remembers(object: &UserInvite, memory: &InviteMemory) -> bool {
    object.status.as_ref().is_some_and(|status| {
        let stored: BTreeSet<String> =
            status.users.iter().filter(|user| user.was_reached()).map(|user| folded(&user.email)).collect();
        status.target == memory.target
            && status.last_handled_reinvite == memory.last_handled_reinvite
            && memory.users.iter().all(|(email, person)| !person.was_reached() || stored.contains(email))
    })
}

fn has_people(memory: &InviteMemory) -> bool {
    memory.users.values().any(crate::resources::Person::was_reached)
}

/// Members whom no manifest claims, besides the Owner, ourselves and service accounts.
fn unmanaged(snapshot: &Snapshot, desired: &Desired) -> usize {
    snapshot
        .members()
        .filter(|(email, member)| {
            desired.claimant(email).is_none()
                && Some(member.user_id) != snapshot.owner
                && member.user_id != snapshot.me
                && !member.is_service
        })
        .count()
}

async fn tell_invites(context: &Context, objects: &Objects, statuses: &[(String, UserInviteStatus)]) {
    let told = statuses.iter().filter_map(|(name, status)| {
        let object = objects.invites.get(name)?.clone();
        let before = object.status.as_ref().map(|s| s.conditions.clone()).unwrap_or_default();
        let after = status.conditions.clone();
        worth_telling(&before, &after, false).then_some((object, after))
    });
    let told: Vec<_> = told.collect();
    futures::stream::iter(told)
        .for_each_concurrent(IN_FLIGHT, |(object, after)| async move { tell(context, &*object, &after).await })
        .await;
}

/// An Event when somebody has to act, when that is over, and, for an Organization, when its state changes.
fn worth_telling(before: &[Condition], after: &[Condition], all: bool) -> bool {
    let stalled = |conditions: &[Condition]| conditions.iter().any(|c| c.type_ == "Stalled");
    let (Some(is), was) = (ready(after), ready(before)) else { return false };
    let same = was.is_some_and(|was| was.status == is.status && was.reason == is.reason);
    !same && is.reason != "Progressing" && (all || stalled(before) || stalled(after))
}

async fn tell<K>(context: &Context, object: &K, after: &[Condition])
where
    K: kube::Resource<DynamicType = ()>,
{
    if let Some(ready) = ready(after) {
        let kind = if ready.status == "True" { EventType::Normal } else { EventType::Warning };
        context.events.tell(object, kind, &ready.reason, &ready.message).await;
    }
}

fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == "Ready")
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
