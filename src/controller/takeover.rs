//! Who else in the cluster remembers people of one server: UserInvites of other Organizations, whether or not these still
//! stand, and what those have not carried out. What becomes of it is decided in `engine::takeover`.

use super::Context;
use super::watch::key_of;
use crate::engine::rivals::{are_separate, is_same_place};
use crate::engine::takeover::Inheritance;
use crate::resources::{Organization, Target, UserInvite};
use std::sync::Arc;

/// As the cache holds them.
#[derive(Default)]
pub struct Others {
    invites: Vec<Arc<UserInvite>>,
    organizations: Vec<Arc<Organization>>,
}

impl Others {
    /// To be asked more than once in a pass: who vanishes while the server is read is remembered from before.
    pub fn look(&mut self, context: &Context, organization: &Organization) {
        let own = key_of(organization);
        let refers = |invite: &UserInvite| {
            invite.spec.organization_ref.name == own.name && invite.organization_namespace() == own.namespace
        };
        let remembers = |invite: &UserInvite| {
            invite.status.as_ref().is_some_and(|status| status.target.is_some() && !status.users.is_empty())
        };
        for watched in &context.watched {
            let all = watched.organizations.state();
            self.organizations.extend(all.into_iter().filter(|other| key_of(other) != own));
            self.invites.extend(watched.invites.state_filter(|invite| !refers(invite) && remembers(invite)));
        }
    }

    pub fn remember(&self, organization: &Organization, place: &Target) -> Inheritance {
        let mut inheritance = Inheritance::default();
        let here = |target: Option<&Target>| target.is_some_and(|target| is_same_place(target, place));
        let separate: Vec<_> = self.organizations.iter().filter(|other| are_separate(organization, other)).collect();
        for invite in &self.invites {
            let key = (invite.organization_namespace(), &invite.spec.organization_ref.name);
            let is_its = |other: &Organization| {
                let other = key_of(other);
                (other.namespace.as_str(), &other.name) == key
            };
            let status = invite.status.as_ref().filter(|status| here(status.target.as_ref()));
            if let Some(status) = status.filter(|_| !separate.iter().any(|other| is_its(other))) {
                inheritance.add(status.users.iter().map(AsRef::as_ref));
            }
        }
        let others = self.organizations.iter().filter(|other| !are_separate(organization, other));
        for status in others.filter_map(|other| other.status.as_ref()).filter(|status| here(status.target.as_ref())) {
            inheritance.add(status.departures.iter().flat_map(|departure| &departure.users));
            status.in_flight.iter().for_each(|mark| inheritance.add_mark(mark));
        }
        inheritance
    }
}
