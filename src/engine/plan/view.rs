//! Everything a decision may look at, and the questions that several kinds of decision ask of it. Decides nothing.

use super::places::Belonging;
use super::{Candidate, Circumstances, claimant};
use crate::engine::approval;
use crate::engine::desired::{Desired, Invite};
use crate::engine::ledger::Ledger;
use crate::engine::snapshot::{Snapshot, is_invited};
use crate::label_studio::{InvitationState, Member};
use crate::resources::{HeldReason, Person, PersonState, folded};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Whoever could still accept it must not be forgotten.
pub const IRREVOCABLE: &str = "the server lists the invitation and does not revoke it: revoke it in Label Studio";

pub struct View<'a> {
    pub desired: &'a Desired,
    pub snapshot: &'a Snapshot,
    pub ledger: &'a Ledger,
    pub circumstances: Circumstances,
    pub remembered: BTreeMap<String, Vec<(&'a str, &'a Person)>>,
    pub approved: BTreeSet<&'a str>,
    pub belonging: BTreeMap<&'a str, Belonging>,
}

/// Who remembers an address without being the one that claims it, by folded address: looked up for each of ten thousand
/// people, so it is made once. Departures have no name.
pub fn remembered<'a>(desired: &Desired, ledger: &'a Ledger) -> BTreeMap<String, Vec<(&'a str, &'a Person)>> {
    let mut index: BTreeMap<String, Vec<(&str, &Person)>> = BTreeMap::new();
    let departing = ledger.departures.iter().flat_map(|departure| &departure.users).map(|person| ("", person));
    let claims = |name: &str, email: &str| {
        let mut claimants = desired.claimants(email);
        claimants.next().is_some_and(|claimant| claimant.name == name) && claimants.next().is_none()
    };
    let listed =
        ledger.invites.iter().filter(|(_, memory)| ledger.is_of_this_target(memory)).flat_map(|(name, memory)| {
            let others = memory.users.iter().filter(move |(email, _)| !claims(name, email));
            others.map(move |(_, person)| (name.as_str(), person.as_ref()))
        });
    for (name, person) in departing.chain(listed).filter(|(_, person)| person.may_have_been_mailed()) {
        index.entry(folded(&person.email)).or_default().push((name, person));
    }
    index
}

impl View<'_> {
    /// What is remembered of an address outside of `invite`.
    pub fn remembered_elsewhere(&self, invite: &str, email: &str) -> Option<&Person> {
        self.remembered.get(email)?.iter().find(|(name, _)| *name != invite).map(|(_, person)| *person)
    }

    /// Whether a person has said that this guard is to let it pass.
    pub fn is_approved(&self, reason: HeldReason, candidate: &Candidate) -> bool {
        let organization = self.snapshot.target.organization_id;
        let step = || approval::step(organization, reason, &candidate.email, &candidate.action);
        !self.approved.is_empty() && self.approved.contains(step().as_str())
    }

    /// Seats that open invitations are promised: those that the roster shows, and ours that it hides.
    pub fn promised(&self) -> usize {
        let is_open = |email: &str, row: &Member| row.invitation == InvitationState::Open && self.counts(email, row);
        let shown = self.snapshot.members().filter(|(email, row)| is_open(email, row)).count();
        let hides = self.ledger.invitations_visible != Some(true) || self.snapshot.may_hide();
        let ours = self.ledger.invites.values().filter(|_| hides).flat_map(|memory| &memory.users);
        let hidden = ours.filter(|(email, person)| {
            let unseen = self.snapshot.member(email).is_none() && !self.snapshot.was_invited_since(email);
            unseen && person.state == PersonState::Invited
        });
        shown + hidden.count() + self.snapshot.invited_since()
    }

    pub fn now(&self) -> Timestamp {
        self.circumstances.now
    }

    /// Which identity provider set this member's role, where that is to be respected (documentation page "Set up SCIM").
    pub fn identity_provider_of<'m>(&self, member: &'m Member) -> Option<&'m str> {
        let source = member.role_source.as_deref().filter(|_| self.desired.respects_identity_provider)?;
        ["saml", "scim", "ldap"].iter().any(|provider| source.eq_ignore_ascii_case(provider)).then_some(source)
    }

    /// The UserInvite whose claim on this folded address wins.
    pub fn claimant(&self, email: &str) -> Option<&Invite> {
        claimant(self.desired, self.member(email), email)
    }

    /// Of several accounts of this address the one to talk about.
    pub fn member(&self, email: &str) -> Option<&Member> {
        self.snapshot.accounts(email).find(|row| self.counts(email, row))
    }

    /// A row whose invitation we revoked counts as gone, whether or not the server still lists it; so does one that nobody can
    /// accept any more and that cannot be revoked.
    fn counts(&self, email: &str, row: &Member) -> bool {
        let asked = self.ledger.passing.revoked.get(email);
        let revoked = is_invited(row) && asked.is_some_and(|asked| asked.was_for(row));
        let dead = row.invitation == InvitationState::Expired && self.found_nothing_open(email);
        !(revoked || dead)
    }

    /// Asked to revoke it, the server found nothing open, and lists it as open all the same: to ask again changes nothing.
    pub fn is_irrevocable(&self, email: &str) -> bool {
        let open = self.member(email).is_some_and(|row| row.invitation == InvitationState::Open);
        open && self.found_nothing_open(email)
    }

    /// We tried to revoke, there was nothing, and this roster was read after that.
    pub fn found_nothing_open(&self, email: &str) -> bool {
        let row = self.snapshot.member(email);
        let asked = self.ledger.passing.nothing_open.get(email);
        asked.is_some_and(|asked| asked.at < self.snapshot.begun && row.is_none_or(|row| asked.was_for(row)))
    }
}
