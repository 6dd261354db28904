//! What is remembered from pass to pass: the part of both kinds' status that nobody else knows, and a few
//! things that only matter while the process lives. Holds no decision.

use super::plan::Action;
use crate::label_studio::{Boottime, Member, Role};
use crate::resources::{
    Approval, Departure, HeldReason, InFlight, InviteLinkStatus, LockedWorkload, OrganizationStatus, Person,
    RemovalBucket, Rotating, Target, UserInviteStatus, folded,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub target: Option<Target>,
    pub in_flight: Option<InFlight>,
    /// Whether this server has ever shown an open invitation; unknown before the first.
    pub invitations_visible: Option<bool>,
    pub departures: Vec<Departure>,
    pub removals: Vec<RemovalBucket>,
    pub approval: Option<Approval>,
    /// The newest first.
    pub earlier_approvals: Vec<Approval>,
    pub invite_link: Option<InviteLinkStatus>,
    /// Workloads whose environment the operator holds.
    pub signup: Vec<LockedWorkload>,
    /// By key of the UserInvite.
    pub invites: BTreeMap<String, InviteMemory>,
    pub passing: Passing,
    pub kept: Kept,
}

/// How long what is remembered lasts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kept {
    /// In status, from pass to pass.
    #[default]
    InStatus,
    /// For one run of the command line: since when something is held nobody knows, nor whom an earlier run has mailed.
    /// `first_invitation`: somebody says that nobody was.
    ForOneRun { first_invitation: bool },
}

/// What one UserInvite's status remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InviteMemory {
    pub target: Option<Target>,
    /// By folded address. Shared with the status it was read from, since of ten thousand people one copy is enough.
    pub users: BTreeMap<String, Arc<Person>>,
    pub last_handled_reinvite: Option<String>,
}

/// Known only to this process; losing it costs a request or a wait, never a mail.
#[derive(Clone, Debug, Default)]
pub struct Passing {
    /// The mark that this process looks after, and what it knows of its request.
    pub mark: Option<MarkSeen>,
    /// When the last mail was answered with success.
    pub last_mail: Option<Boottime>,
    /// Writes that the server refused, not to be repeated before `until`.
    pub refusals: BTreeMap<(String, String), Refusal>,
    /// Outcomes of mails that could not be stored yet.
    pub unstored: BTreeMap<(String, String), Person>,
    /// Revoked by us: a server may go on listing such a row.
    pub revoked: BTreeMap<String, Asked>,
    /// Where the server found no open invitation to revoke: the person may have accepted in between.
    pub nothing_open: BTreeMap<String, Asked>,
    /// Removals that are counted in `removals` and not confirmed, with their hour: they are not counted again.
    pub reserved: BTreeMap<String, Time>,
    /// How often in a row the server failed at the same write.
    pub failures: BTreeMap<(String, String), u32>,
    /// Addresses of a refused batch: how many may go together next time.
    pub batch_limits: BTreeMap<String, usize>,
    /// The role that we set last, by address and user id, and when.
    pub set: BTreeMap<(String, i64), (Role, Boottime)>,
    /// Title and default role that we set last, and when.
    pub declared: Vec<(Action, Boottime)>,
    /// When a roster showed that somebody had taken back such a write, by address and what was written.
    pub taken_back: BTreeMap<(String, String), Vec<Boottime>>,
    /// Who lost a seat within the vendor's seven days, to be told once.
    pub freed_early: BTreeSet<String>,
    /// Whose mail is known not to have gone out, though it was asked for: by which mark last, and how often.
    pub unsent: BTreeMap<String, (String, u32)>,
    /// Where a roster showed an invitation that could not be revoked, and when that was: the next look tells.
    pub not_revoked: BTreeMap<String, Boottime>,
    /// When somebody was added to a workspace, by user id and workspace id.
    pub added: BTreeMap<(i64, i64), Vec<Boottime>>,
    /// By name of the UserInvite, what its annotation asks for in vain: to be told once.
    pub unheeded: BTreeMap<String, String>,
    /// The mark of a rotation of the invite link, and when this process first saw it.
    pub rotation: Option<(Rotating, Boottime)>,
}

/// That an invitation be revoked.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub at: Boottime,
    /// When it was sent, as the roster had it.
    invited_at: Option<Timestamp>,
}

impl Asked {
    pub fn now(row: Option<&Member>) -> Self {
        Self { at: Boottime::now(), invited_at: row.and_then(|row| row.invited_at) }
    }

    /// Not of one that was sent since, as far as the server tells.
    pub fn was_for(&self, row: &Member) -> bool {
        row.invited_at.zip(self.invited_at).is_none_or(|(listed, asked)| listed <= asked)
    }
}

#[derive(Clone, Debug)]
pub struct MarkSeen {
    pub id: String,
    /// When this process first saw the mark, by its own clock.
    pub at: Boottime,
    /// When the request ended with an answer, if it did.
    pub ended: Option<Boottime>,
    /// That answer was a refusal, of the whole request: nobody's mail was lost.
    pub refused: bool,
}

#[derive(Clone, Debug)]
pub struct Refusal {
    pub reason: HeldReason,
    pub message: String,
    pub until: Timestamp,
}

impl Ledger {
    pub fn read(
        organization: Option<&OrganizationStatus>,
        invites: impl IntoIterator<Item = (String, Option<UserInviteStatus>)>,
        passing: Passing,
    ) -> Self {
        let organization = organization.cloned().unwrap_or_default();
        let mut invites: BTreeMap<_, _> =
            invites.into_iter().map(|(name, status)| (name, InviteMemory::read(status))).collect();
        for ((invite, email), person) in &passing.unstored {
            if let Some(memory) = invites.get_mut(invite) {
                memory.users.insert(email.clone(), person.clone().into());
            }
        }
        Self {
            target: organization.target,
            in_flight: organization.in_flight,
            invitations_visible: organization.invitations_visible,
            departures: organization.departures,
            removals: organization.removals,
            approval: organization.approval,
            earlier_approvals: organization.earlier_approvals,
            invite_link: organization.invite_link,
            signup: organization.signup,
            invites,
            passing,
            kept: Kept::InStatus,
        }
    }

    pub fn person(&self, invite: &str, email: &str) -> Option<&Person> {
        self.invites.get(invite)?.users.get(email).map(AsRef::as_ref)
    }

    /// Changes the entry of one address, or the `new` one that it gets.
    pub fn edit(&mut self, invite: &str, email: &str, new: impl FnOnce() -> Person, change: impl FnOnce(&mut Person)) {
        let memory = self.invites.entry(invite.to_owned()).or_default();
        let entry = memory.users.entry(email.to_owned()).or_insert_with(|| new().into());
        change(Arc::make_mut(entry));
    }

    /// People of deleted UserInvites whose departure is not carried out.
    pub fn departing(&self) -> usize {
        self.departures.iter().map(|departure| departure.users.len()).sum()
    }

    pub fn is_marked(&self, email: &str) -> bool {
        self.in_flight.as_ref().is_some_and(|mark| mark.emails.iter().any(|marked| marked == email))
    }

    /// What is remembered of an address outside of `invite`: in a departure, or in another UserInvite that had it.
    pub fn remembered_elsewhere(&self, invite: &str, email: &str) -> Option<&Person> {
        let departing = self.departures.iter().flat_map(|d| &d.users).filter(|u| folded(&u.email) == email);
        let others = self.invites.iter().filter(|(name, memory)| *name != invite && self.is_of_this_target(memory));
        let dropped = others.filter_map(|(_, memory)| memory.users.get(email)).map(AsRef::as_ref);
        departing.chain(dropped).find(|person| person.may_have_been_mailed())
    }

    /// People of another server are nobody here.
    pub fn is_of_this_target(&self, memory: &InviteMemory) -> bool {
        match (&memory.target, &self.target) {
            (Some(theirs), Some(ours)) => theirs.is_same(ours),
            _ => true,
        }
    }

    pub fn refusal(&self, email: &str, what: &str, now: Timestamp) -> Option<&Refusal> {
        let refusal = self.passing.refusals.get(&(email.to_owned(), what.to_owned()))?;
        (now < refusal.until).then_some(refusal)
    }
}

/// So often within a day a write is repeated that somebody takes back; then it is theirs to settle.
const MOST_ROUNDS: usize = 3;
pub const DAY: Duration = Duration::from_secs(24 * 3600);

fn is_enough(rounds: &[Boottime]) -> bool {
    rounds.iter().filter(|at| at.elapsed() < DAY).count() >= MOST_ROUNDS
}

impl Passing {
    /// Whether somebody takes this write back again and again.
    pub fn gives_up(&self, email: &str, what: &str) -> bool {
        self.taken_back.get(&(email.to_owned(), what.to_owned())).is_some_and(|rounds| is_enough(rounds))
    }

    /// Whether somebody takes this person out of the workspace again and again.
    pub fn gives_up_adding(&self, user_id: i64, workspace: i64) -> bool {
        self.added.get(&(user_id, workspace)).is_some_and(|rounds| is_enough(rounds))
    }
}

impl InviteMemory {
    fn read(status: Option<UserInviteStatus>) -> Self {
        let Some(UserInviteStatus { target, users, last_handled_reinvite, .. }) = status else {
            return Self::default();
        };
        let users = users.into_iter().map(|person| (folded(&person.email), person)).collect();
        Self { target, users, last_handled_reinvite }
    }
}
