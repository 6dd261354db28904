//! What the API server lets us list of one namespace. Each kind has a watch of its own, and either may be refused, or come
//! back, before the other.

use std::sync::Arc;
use tokio::sync::watch as channel;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Listing {
    /// Nothing is known yet.
    #[default]
    Awaited,
    /// The cache holds what there is.
    Listed,
    /// The cache may hold nothing, or what is old.
    Refused,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Listings {
    pub organizations: Listing,
    pub invites: Listing,
}

impl Listings {
    /// Whether there is nothing left to wait for at a start: what is refused may stay so, and stops nobody elsewhere.
    pub fn are_known(self) -> bool {
        self.organizations != Listing::Awaited && self.invites != Listing::Awaited
    }

    pub fn are_complete(self) -> bool {
        self.organizations == Listing::Listed && self.invites == Listing::Listed
    }

    pub fn has_refused(self) -> bool {
        self.organizations == Listing::Refused || self.invites == Listing::Refused
    }
}

/// What one of the two watches says.
#[derive(Clone)]
pub struct Says {
    pub namespace: String,
    is_invite: bool,
    listings: Arc<channel::Sender<Listings>>,
}

impl Says {
    /// Where UserInvites alone are looked for: there are no Organizations, which is known.
    pub fn of_invites(namespace: String) -> (Self, channel::Receiver<Listings>) {
        let (organizations, invites, receiver) = Self::both(namespace);
        organizations.listed();
        (invites, receiver)
    }

    pub fn both(namespace: String) -> (Self, Self, channel::Receiver<Listings>) {
        let (listings, receiver) = channel::channel(Listings::default());
        let organizations = Self { namespace, is_invite: false, listings: Arc::new(listings) };
        let invites = Self { is_invite: true, ..organizations.clone() };
        (organizations, invites, receiver)
    }

    pub fn listed(&self) {
        self.say(Listing::Listed);
    }

    /// True: nothing of the namespace was refused before.
    pub fn refused(&self) -> bool {
        let before = self.say(Listing::Refused);
        !before.has_refused()
    }

    /// What was known before.
    fn say(&self, listing: Listing) -> Listings {
        let mut before = Listings::default();
        self.listings.send_if_modified(|known| {
            before = *known;
            let own = if self.is_invite { &mut known.invites } else { &mut known.organizations };
            std::mem::replace(own, listing) != listing
        });
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_complete_only_when_both_kinds_were_listed_and_is_refused_once() {
        let (organizations, invites, known) = Says::both("team".to_owned());
        let state = || (known.borrow().are_known(), known.borrow().are_complete());
        assert!(organizations.refused());
        assert_eq!(state(), (false, false));
        organizations.listed();
        assert_eq!(state(), (false, false), "the UserInvites were not listed yet");
        assert!(invites.refused() && !organizations.refused() && !invites.refused(), "told once");
        assert_eq!(state(), (true, false));
        organizations.listed();
        assert_eq!(state(), (true, false), "each clears its own only");
        invites.listed();
        assert_eq!(state(), (true, true));
        assert!(invites.refused(), "and once more when it begins anew");
    }
}
