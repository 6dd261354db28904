//! The memory of the controller: what `apply` needs stored before and after its acts. On the way it tells how far a long
//! pass is.

use super::Context;
use super::objects::{Objects, is_finalized};
use super::publish::{FEW, has_people, is_left_behind, publish_organization, remember};
use super::status::{InviteSituation, OrganizationView, invite_status};
use super::tell::{tell_approvals, tell_invites};
use crate::engine::desired::Desired;
use crate::engine::ledger::{InviteMemory, Ledger};
use crate::engine::memory::{Concerned, Forgotten, Memory};
use crate::engine::outcome;
use crate::engine::plan::{Circumstances, Guest, Plan, Step, plan};
use crate::engine::snapshot::Snapshot;
use crate::resources::{Progress, UserInvite, UserInviteStatus, folded, seconds};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How often a long pass tells how far it is.
pub const EVERY: Duration = Duration::from_secs(5);
/// UserInvites that are told of with each mail, while it is under way.
const MEANWHILE: usize = 4;

pub struct Desk<'a> {
    context: &'a Context,
    objects: &'a mut Objects,
    desired: &'a Desired,
    /// What the plan still has to do, by UserInvite.
    pending: BTreeMap<String, usize>,
    /// UserInvites that nothing was written of since the plan was made.
    untold: VecDeque<String>,
    pub told: Instant,
    token_expires_at: Option<Timestamp>,
}

impl Memory for Desk<'_> {
    fn begin(&mut self, plan: &Plan) {
        self.pending.clone_from(&plan.pending);
        self.untold = plan.pending.keys().cloned().collect();
    }

    async fn prepare(&mut self, ledger: &Ledger, concerned: &Concerned) -> Result<(), Forgotten> {
        let mut first = Vec::new();
        let mut unfinalized = Vec::new();
        for (name, emails) in concerned {
            let (Some(object), Some(memory)) = (self.objects.invites.get(name), ledger.invites.get(name)) else {
                // Deleted since the plan was made.
                return Err(Forgotten::Changed(format!("UserInvite {name}")));
            };
            if !remembers(object, memory, emails) {
                first.push((name.clone(), self.so_far(object, memory)));
            }
            if !is_finalized(object) {
                unfinalized.push(name.clone());
            }
        }
        // In this order: a finalizer without a status means that the status was lost.
        self.objects.put_invites(first).await?;
        // Else a mail would be the try, and its outcome what cannot be stored.
        self.objects.prove(concerned.keys().cloned().collect()).await?;
        self.objects.add_finalizers(unfinalized).await
    }

    async fn remember(&mut self, ledger: &Ledger) -> Result<(), Forgotten> {
        remember(self.objects, ledger).await?;
        // Before its first step: a pass can be long, and its end may never come.
        tell_approvals(self.context, self.objects).await;
        Ok(())
    }

    async fn record(&mut self, ledger: &Ledger, guests: &[Guest]) -> Result<(), Forgotten> {
        let invites: BTreeSet<&String> = guests.iter().map(|guest| &guest.invite).collect();
        let before: Vec<(String, usize)> =
            invites.iter().filter_map(|name| Some(((*name).clone(), *self.pending.get(*name)?))).collect();
        for guest in guests {
            if let Some(left) = self.pending.get_mut(&guest.invite) {
                *left = left.saturating_sub(1);
            }
        }
        let statuses = invites.into_iter().filter_map(|name| {
            let (object, memory) = (self.objects.invites.get(name)?, ledger.invites.get(name)?);
            (!is_stored(object, memory)).then(|| (name.clone(), self.so_far(object, memory)))
        });
        let statuses = statuses.collect();
        if let Err(forgotten) = self.objects.put_invites(statuses).await {
            // It is tried again, and counted then.
            self.pending.extend(before);
            return Err(forgotten);
        }
        self.tell_some(ledger, MEANWHILE).await;
        Ok(())
    }

    fn tried(&mut self, step: &Step, result: &'static str) {
        self.context.figures.tried(&self.objects.key, step.action.kind(), result);
    }

    async fn stands(&mut self) -> Result<bool, Forgotten> {
        self.objects.stands_as(self.desired.generation).await
    }

    async fn meanwhile(&mut self, ledger: &Ledger, enough: &AtomicBool) {
        while !self.untold.is_empty() && !enough.load(Ordering::Relaxed) {
            self.tell_some(ledger, FEW).await;
        }
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
            token_expires_at: self.token_expires_at,
            ..Default::default()
        };
        // Role changes done are no longer planned; mails done are counted off when their outcome is recorded.
        self.pending.clone_from(&now.pending);
        for (invite, _) in ledger.passing.unstored.keys() {
            *self.pending.entry(invite.clone()).or_default() += 1;
        }
        if self.untold.is_empty() {
            self.untold = self.pending.keys().cloned().collect();
        }
        self.tell_some(&ledger, FEW).await;
        publish_organization(self.context, self.objects, self.desired, &ledger, view).await?;
        self.told = Instant::now();
        Ok(())
    }
}

impl<'a> Desk<'a> {
    pub fn new(
        context: &'a Context,
        objects: &'a mut Objects,
        desired: &'a Desired,
        told: Instant,
        token_expires_at: Option<Timestamp>,
    ) -> Self {
        Self { context, objects, desired, pending: BTreeMap::new(), untold: VecDeque::new(), told, token_expires_at }
    }

    /// Some of what a long pass has found out already: people need not wait for its end, and it waits for few statuses.
    /// Whoever cannot be told now is told at the end, and stops nothing.
    async fn tell_some(&mut self, ledger: &Ledger, most: usize) {
        self.objects.release(self.context);
        let mut statuses = Vec::new();
        let mut unfinalized = Vec::new();
        while statuses.len() < most
            && let Some(name) = self.untold.pop_front()
        {
            let (Some(object), Some(memory)) = (self.objects.invites.get(&name), ledger.invites.get(&name)) else {
                continue;
            };
            if is_left_behind(self.objects, self.desired, &name) {
                continue;
            }
            let status = self.so_far(object, memory);
            if !is_finalized(object) && memory.target.is_some() && self.desired.may_act(object) {
                unfinalized.push(name.clone());
            }
            if object.status.as_ref() != Some(&status) {
                statuses.push((name, status));
            }
        }
        tell_invites(self.context, self.objects, &statuses).await;
        let told = match self.objects.put_invites(statuses).await {
            Ok(()) => self.objects.add_finalizers(unfinalized).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::debug!(%error, "told later");
        }
    }

    /// Where the plan does not know the UserInvite something is left.
    fn so_far(&self, object: &UserInvite, memory: &InviteMemory) -> UserInviteStatus {
        let pending = self.pending.get(&object.key()).copied().unwrap_or(1);
        let situation = InviteSituation::Judged { pending, observes: false };
        invite_status(object, memory, &situation, self.desired.generation_of(object), seconds(Timestamp::now()))
    }
}

/// Whether everybody's entry stands in status as it is: then there is nothing to record, and nobody is told of progress
/// where there is none.
fn is_stored(object: &UserInvite, memory: &InviteMemory) -> bool {
    object
        .status
        .as_ref()
        .is_some_and(|status| status.target == memory.target && status.users.iter().eq(memory.users.values()))
}

/// Whether the stored status remembers what must stand before anything is done for these people.
fn remembers(object: &UserInvite, memory: &InviteMemory, emails: &BTreeSet<String>) -> bool {
    let stored = |status: &UserInviteStatus, email: &str| {
        status.users.iter().any(|user| user.was_reached() && folded(&user.email) == email)
    };
    object.status.as_ref().is_some_and(|status| {
        let reached = emails.iter().filter(|email| memory.users.get(*email).is_some_and(|person| person.was_reached()));
        // Whoever was adopted is known before the first mail, should the manifest be deleted right after it.
        let adopts = status.users.is_empty() && has_people(memory);
        !adopts
            && status.target == memory.target
            && status.last_handled_reinvite == memory.last_handled_reinvite
            && reached.into_iter().all(|email| stored(status, email))
    })
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
