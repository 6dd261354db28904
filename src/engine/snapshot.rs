//! What Label Studio was last seen to hold, with our own writes folded in. Decides nothing and asks nobody.

use super::workspaces::Workspaces;
use crate::label_studio::{Boottime, Edition, InvitationState, Member, Role};
use crate::resources::{Seats, Target, folded};
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone)]
pub struct Snapshot {
    /// Which organization was found.
    pub target: Target,
    pub edition: Edition,
    pub release: Option<String>,
    pub title: String,
    /// Of people who sign up; Enterprise only.
    pub default_role: Option<Role>,
    /// The user that the token belongs to.
    pub me: i64,
    /// Its address, folded: a service account may not be in the list.
    pub own_address: String,
    /// The Owner's user id, where the server tells it.
    pub owner: Option<i64>,
    /// False where roles are switched off for everybody but the identity provider.
    pub roles_by_hand: bool,
    pub email_configured: bool,
    pub may_invite: bool,
    pub seats: Option<Seats>,
    pub completeness: Completeness,
    /// When the reading of the roster began.
    pub begun: Boottime,
    /// By folded address: of several accounts whose addresses differ only in case the one to talk about.
    members: BTreeMap<String, Member>,
    /// The others, in the order in which they take its place.
    doubles: BTreeMap<String, Vec<Member>>,
    /// Invited after this roster began: their absence from it says nothing.
    invited_since: BTreeSet<String>,
    /// Looked up by themselves after this roster was read.
    sought: BTreeSet<String>,
    /// Whether the server's search found somebody known to be there: only then does finding nobody say anything.
    pub search_finds: Option<bool>,
    /// Read after the people, and only where some manifest names one.
    pub workspaces: Workspaces,
}

/// What may be concluded from somebody's absence.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Completeness {
    /// The walk ended, and the unique users are as many as the server counts.
    Complete,
    /// The count never fits (it may include hidden rows), but two walks found the same people: those may be acted
    /// on. Whoever is absent is left alone, unless a search does not find the person either: then it is a newcomer
    /// whom an invitation does no harm.
    Stable,
    Incomplete,
}

/// Who is who, for the status.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub active: usize,
    pub pending: usize,
    pub invited: usize,
    pub deactivated: usize,
}

pub struct Found {
    pub target: Target,
    pub edition: Edition,
    pub release: Option<String>,
    pub title: String,
    pub default_role: Option<Role>,
    pub me: i64,
    pub own_address: String,
    pub created_by: Option<i64>,
    pub roles_by_hand: bool,
    pub email_configured: bool,
    pub may_invite: bool,
    pub seats: Option<Seats>,
    pub completeness: Completeness,
    pub begun: Boottime,
    pub members: Vec<Member>,
}

impl Snapshot {
    pub fn new(found: Found) -> Self {
        let Found {
            target,
            edition,
            release,
            title,
            default_role,
            me,
            own_address,
            created_by,
            roles_by_hand,
            email_configured,
            may_invite,
            seats,
            completeness,
            begun,
            members,
        } = found;
        let by_role = members.iter().find(|member| member.role == Some(Role::Owner)).map(|member| member.user_id);
        let mut snapshot = Self {
            target,
            edition,
            release,
            title,
            default_role,
            me,
            own_address: folded(&own_address),
            owner: by_role.or(created_by),
            roles_by_hand,
            email_configured,
            may_invite,
            seats,
            completeness,
            begun,
            members: BTreeMap::new(),
            doubles: BTreeMap::new(),
            invited_since: BTreeSet::new(),
            sought: BTreeSet::new(),
            search_finds: None,
            workspaces: Workspaces::default(),
        };
        for member in members {
            snapshot.list(folded(&member.email), member);
        }
        snapshot
    }

    pub fn member(&self, email: &str) -> Option<&Member> {
        self.members.get(email)
    }

    /// Every account of this address, the one to talk about first.
    pub fn accounts(&self, email: &str) -> impl Iterator<Item = &Member> {
        self.members.get(email).into_iter().chain(self.doubles.get(email).into_iter().flatten())
    }

    /// Every account there is.
    pub fn members(&self) -> impl Iterator<Item = (&String, &Member)> {
        let doubles = self.doubles.iter().flat_map(|(email, all)| all.iter().map(move |member| (email, member)));
        self.members.iter().chain(doubles)
    }

    fn list(&mut self, email: String, member: Member) {
        match self.members.entry(email) {
            Entry::Vacant(free) => {
                free.insert(member);
            }
            Entry::Occupied(mut taken) => {
                let email = taken.key().clone();
                let double = if comes_before(&member, taken.get()) { taken.insert(member) } else { member };
                let doubles = self.doubles.entry(email).or_default();
                doubles.push(double);
                doubles.sort_by_key(rank);
            }
        }
    }

    /// Takes every account of this address out of the list.
    fn unlist(&mut self, email: &str) -> Vec<Member> {
        self.members.remove(email).into_iter().chain(self.doubles.remove(email).into_iter().flatten()).collect()
    }

    /// What is left of this address after one of its accounts changed, or went.
    fn change(&mut self, email: &str, change: impl FnOnce(&mut Vec<Member>)) {
        let mut accounts = self.unlist(email);
        change(&mut accounts);
        for member in accounts {
            self.list(email.to_owned(), member);
        }
    }

    pub fn is_complete(&self) -> bool {
        self.completeness == Completeness::Complete
    }

    /// The count never fits, and will not fit the next time either.
    pub fn may_hide(&self) -> bool {
        self.completeness == Completeness::Stable
    }

    /// Whether this roster is evidence that nobody with this address is there.
    pub fn proves_absent(&self, email: &str) -> bool {
        self.is_complete() && self.lacks(email)
    }

    /// Read to its end, and nobody with this address is listed.
    pub fn lacks(&self, email: &str) -> bool {
        let read = self.completeness != Completeness::Incomplete;
        read && !self.members.contains_key(email) && !self.invited_since.contains(email)
    }

    /// Whether the list itself shows one: who was found by a search alone does not count.
    pub fn shows_open_invitation(&self) -> bool {
        let open = |member: &Member| member.invitation == InvitationState::Open;
        self.members().any(|(email, member)| open(member) && !self.sought.contains(email))
    }

    /// People who hold a role that gives access: what a share of removals is a share of.
    pub fn with_access(&self) -> usize {
        self.members().filter(|(_, member)| has_access(member)).count()
    }

    /// People who are Administrators, other than the Owner and ourselves: a service account cannot sign in.
    pub fn other_administrators(&self) -> usize {
        let counted = |(_, m): &(&String, &Member)| {
            m.role == Some(Role::Administrator)
                && !is_invited(m)
                && !m.is_service
                && m.user_id != self.me
                && Some(m.user_id) != self.owner
        };
        self.members().filter(counted).count()
    }

    /// So many were invited after this roster began.
    pub fn invited_since(&self) -> usize {
        self.invited_since.len()
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts { invited: self.invited_since.len(), ..Counts::default() };
        for (_, member) in self.members() {
            match &member.role {
                _ if is_invited(member) => counts.invited += 1,
                Some(Role::Pending) => counts.pending += 1,
                Some(Role::Deactivated) => counts.deactivated += 1,
                _ => counts.active += 1,
            }
        }
        counts
    }

    pub fn fold_role(&mut self, email: &str, user_id: i64, role: &Role) {
        let mut more = 0;
        self.change(email, |accounts| {
            for member in accounts.iter_mut().filter(|member| member.user_id == user_id) {
                let had = takes_seat(member);
                member.role = Some(role.clone());
                // A role assigned by hand ends what an expired or open invitation would have done.
                member.invitation = InvitationState::Accepted;
                more += i64::from(takes_seat(member)) - i64::from(had);
            }
        });
        self.fold_seat(more);
    }

    fn fold_seat(&mut self, more: i64) {
        if let Some(seats) = &mut self.seats {
            seats.used += more;
        }
    }

    pub fn fold_member(&mut self, email: &str, member: Member) {
        self.change(email, |accounts| {
            accounts.retain(|known| known.user_id != member.user_id);
            accounts.push(member);
        });
    }

    /// What a search for this address found.
    pub fn fold_search(&mut self, email: &str, found: Vec<Member>) {
        self.sought.insert(email.to_owned());
        if !found.is_empty() {
            self.change(email, |accounts| *accounts = found);
        }
    }

    pub fn was_sought(&self, email: &str) -> bool {
        self.sought.contains(email)
    }

    pub fn fold_removal(&mut self, email: &str, user_id: i64) {
        let mut freed = 0;
        self.change(email, |accounts| {
            accounts.retain(|member| {
                let goes = member.user_id == user_id;
                freed += i64::from(goes && takes_seat(member));
                !goes
            });
        });
        self.fold_seat(-freed);
    }

    pub fn fold_invitation(&mut self, email: &str) {
        self.unlist(email);
        self.invited_since.insert(email.to_owned());
    }

    /// The one that was listed first: what else has this address is another account.
    pub fn fold_revocation(&mut self, email: &str) {
        self.change(email, |accounts| drop(accounts.drain(..accounts.len().min(1))));
        self.invited_since.remove(email);
    }

    pub fn was_invited_since(&self, email: &str) -> bool {
        self.invited_since.contains(email)
    }
}

/// Whoever has access comes first, then who may have it soon; among equals the older account, whatever order the server lists
/// them in.
fn rank(member: &Member) -> (bool, bool, i64) {
    (!has_access(member), !is_invited(member), member.user_id)
}

fn comes_before(one: &Member, other: &Member) -> bool {
    rank(one) < rank(other)
}

pub fn has_access(member: &Member) -> bool {
    !is_invited(member) && member.role.as_ref().is_none_or(Role::has_access)
}

pub fn takes_seat(member: &Member) -> bool {
    !is_invited(member) && member.role.as_ref().is_none_or(Role::takes_seat)
}

/// An invitation that its person has not accepted, open or expired.
pub fn is_invited(member: &Member) -> bool {
    matches!(member.invitation, InvitationState::Open | InvitationState::Expired)
}
