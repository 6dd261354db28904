//! The memory of the controller without its API server: each write is one point at which it may go wrong.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use label_studio_operator::engine::hand_over::{Room, hand_over};
use label_studio_operator::engine::ledger::{InviteMemory, Ledger};
use label_studio_operator::engine::memory::{Concerned, Forgotten, Memory};
use label_studio_operator::engine::plan::{Guest, Plan};
use label_studio_operator::engine::snapshot::Snapshot;
use label_studio_operator::resources::{OrganizationStatus, UserInvite, UserInviteStatus, seconds};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The memory as the controller keeps it in status. Nothing else outlives the process.
#[derive(Default)]
pub struct Disk {
    pub stored: Stored,
    pub writes: usize,
    /// Addresses of the longest mark that was ever stored.
    pub longest_mark: usize,
    /// The write that goes wrong: which, whether it is stored, whether the process dies of it.
    pub doomed: Option<(usize, bool, bool)>,
    /// What is found where the Organization is read live, one after the other; afterwards it stands.
    pub stands: VecDeque<Stands>,
    /// UserInvites that cannot be written.
    pub left_behind: BTreeSet<String>,
    pub died: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug)]
pub enum Stands {
    /// It is being deleted.
    Falls,
    /// Somebody has edited it since the plan was made.
    Changed,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    pub organization: OrganizationStatus,
    pub invites: BTreeMap<String, UserInviteStatus>,
    pub finalized: BTreeSet<String>,
}

impl Disk {
    async fn write(&mut self, change: impl FnOnce(&mut Stored) + Send) -> Result<(), Forgotten> {
        self.writes += 1;
        let (stored, killed) = match self.doomed {
            Some((nth, stored, killed)) if nth == self.writes => (stored, Some(killed)),
            _ => (true, None),
        };
        if stored {
            change(&mut self.stored);
        }
        match killed {
            None => Ok(()),
            Some(true) => {
                self.died.store(true, Ordering::Relaxed);
                std::future::pending().await
            }
            Some(false) => Err(Forgotten::Unwritten { object: "it".to_owned(), reason: "trouble".to_owned() }),
        }
    }

    async fn write_invite(&mut self, name: &str, memory: &InviteMemory) -> Result<(), Forgotten> {
        if self.left_behind.contains(name) {
            return Ok(());
        }
        let InviteMemory { target, users, last_handled_reinvite } = memory.clone();
        let users = users.into_values().collect();
        let status = UserInviteStatus { target, users, last_handled_reinvite, ..UserInviteStatus::default() };
        self.write(|stored| drop(stored.invites.insert(name.to_owned(), status))).await
    }

    async fn finalize(&mut self, name: &str) -> Result<(), Forgotten> {
        if self.stored.finalized.contains(name) || self.left_behind.contains(name) {
            return Ok(());
        }
        self.write(|stored| _ = stored.finalized.insert(name.to_owned())).await
    }

    /// What the controller does at the end of a pass.
    pub async fn publish(&mut self, ledger: &Ledger) -> Result<(), Forgotten> {
        for (name, memory) in &ledger.invites {
            self.write_invite(name, memory).await?;
        }
        for (name, _) in
            ledger.invites.iter().filter(|(_, memory)| memory.users.values().any(|person| person.was_reached()))
        {
            self.finalize(name).await?;
        }
        self.remember(ledger).await
    }

    /// What the controller does with a UserInvite that is being deleted. Its status goes with its finalizer.
    pub async fn bury(&mut self, ledger: &mut Ledger, deleted: Vec<UserInvite>) -> Result<(), Forgotten> {
        let (dying, gone): (Vec<_>, Vec<_>) =
            deleted.into_iter().partition(|invite| self.stored.finalized.contains(&invite.name_any()));
        for name in gone.iter().map(ResourceExt::name_any) {
            ledger.invites.remove(&name);
            self.stored.invites.remove(&name);
        }
        if dying.is_empty() {
            return Ok(());
        }
        let mut room = Room::of(ledger);
        for invite in &dying {
            assert!(hand_over(ledger, &mut room, invite, &[], seconds(Timestamp::now())));
        }
        self.remember(ledger).await?;
        for name in dying.iter().map(ResourceExt::name_any) {
            ledger.invites.remove(&name);
            self.write(|stored| {
                stored.finalized.remove(&name);
                stored.invites.remove(&name);
            })
            .await?;
        }
        Ok(())
    }

    /// As if what stands had been written so much earlier.
    pub fn grow_old(&mut self, by: SignedDuration) {
        for departure in &mut self.stored.organization.departures {
            departure.since.0 -= by;
        }
        let people = self.stored.invites.values_mut().flat_map(|status| &mut status.users).map(Arc::make_mut);
        let times = people.flat_map(|person| [&mut person.invited_at, &mut person.since, &mut person.seat_since]);
        for time in times.flatten() {
            time.0 -= by;
        }
    }
}

impl Memory for Disk {
    fn begin(&mut self, _: &Plan) {}

    async fn prepare(&mut self, ledger: &Ledger, concerned: &Concerned) -> Result<(), Forgotten> {
        for name in concerned.keys() {
            let memory = &ledger.invites[name];
            let remembers = self.stored.invites.get(name).is_some_and(|status| {
                status.target == memory.target && status.last_handled_reinvite == memory.last_handled_reinvite
            });
            if !remembers {
                self.write_invite(name, memory).await?;
            }
        }
        for name in concerned.keys() {
            self.finalize(name).await?;
        }
        Ok(())
    }

    async fn remember(&mut self, ledger: &Ledger) -> Result<(), Forgotten> {
        let status = OrganizationStatus {
            target: ledger.target.clone(),
            in_flight: ledger.in_flight.clone(),
            invitations_visible: ledger.invitations_visible,
            departures: ledger.departures.clone(),
            removals: ledger.removals.clone(),
            approval: ledger.approval.clone(),
            earlier_approvals: ledger.earlier_approvals.clone(),
            ..OrganizationStatus::default()
        };
        self.longest_mark = self.longest_mark.max(status.in_flight.as_ref().map_or(0, |mark| mark.emails.len()));
        self.write(|stored| stored.organization = status).await
    }

    async fn record(&mut self, ledger: &Ledger, guests: &[Guest]) -> Result<(), Forgotten> {
        let invites: BTreeSet<&String> = guests.iter().map(|guest| &guest.invite).collect();
        for name in invites {
            self.write_invite(name, &ledger.invites[name]).await?;
        }
        Ok(())
    }

    async fn stands(&mut self) -> Result<bool, Forgotten> {
        match self.stands.pop_front() {
            None => Ok(true),
            Some(Stands::Falls) => Ok(false),
            Some(Stands::Changed) => Err(Forgotten::Changed("the Organization".to_owned())),
        }
    }

    async fn meanwhile(&mut self, _: &Ledger, _: &AtomicBool) {}

    async fn progress(&mut self, _: &Ledger, _: &Snapshot, _: usize, _: usize) -> Result<(), Forgotten> {
        Ok(())
    }
}
