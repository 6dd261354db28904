//! Which Organizations this operator acts for, where several share those of a cluster by a label selector each. All of them
//! see all of both kinds: whoever saw its own alone would take another's Organization for one that is gone, and would not know
//! of a second one for the same server.
//!
//! A label that is moved hands an Organization over while the one before may be in the middle of it. It sends no mail after
//! that, since the mark is stored over a version that was its own, and it stops at its next write to the Organization. Whoever
//! takes over first makes sure that its cache holds what the other one wrote last.

use super::Context;
use super::task::OrganizationKey;
use super::watch::{Watched, scoped};
use crate::resources::{Organization, UserInvite};
use kube::api::ListParams;
use kube::core::{DeserializeGuard, Selector, SelectorExt as _};
use kube::{Api, ResourceExt as _};
use std::collections::HashMap;
use std::hash::Hash;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Of a list that is read piece by piece.
const PIECE: u32 = 500;

pub fn is_ours(selector: &Selector, organization: &Organization) -> bool {
    selector.selects_all() || selector.matches(organization.labels())
}

/// When the comparison began that found the caches true. One serves all who ask meanwhile.
#[derive(Default)]
pub struct Compared(Mutex<Option<Instant>>);

impl Context {
    pub fn is_ours(&self, organization: &Organization) -> bool {
        is_ours(&self.settings.selector, organization)
    }

    /// One that is not there is everybody's: its UserInvites wait, or are let go, whoever says so first.
    pub fn acts_for(&self, key: &OrganizationKey) -> bool {
        let organization = self.organizations_in(&key.namespace).and_then(|watched| watched.organization(key));
        organization.is_none_or(|organization| self.is_ours(&organization))
    }

    /// Whether the caches hold every UserInvite as it stood at some moment after `since`.
    pub async fn holds_all_since(&self, since: Instant) -> kube::Result<bool> {
        let mut compared = self.compared.0.lock().await;
        if compared.is_some_and(|begun| begun >= since) {
            return Ok(true);
        }
        let begun = Instant::now();
        for watched in self.watched.iter().filter(|watched| !watched.is_refused()) {
            if !self.is_current(watched).await? {
                return Ok(false);
            }
        }
        *compared = Some(begun);
        Ok(true)
    }

    async fn is_current(&self, watched: &Watched) -> kube::Result<bool> {
        // What cannot be read is in no cache, and nobody acts on it.
        let api: Api<DeserializeGuard<UserInvite>> = scoped(&self.kube, watched.namespace());
        let mut live = HashMap::new();
        let mut parameters = ListParams::default().limit(PIECE);
        let listed = loop {
            let piece = api.list(&parameters).await?;
            let readable = piece.items.into_iter().filter_map(|DeserializeGuard(invite)| invite.ok());
            live.extend(readable.map(|invite| (invite.uid(), version(&invite))));
            match piece.metadata.continue_.filter(|more| !more.is_empty()) {
                Some(more) => parameters = parameters.continue_token(&more),
                None => break piece.metadata.resource_version.and_then(|version| version.parse::<u64>().ok()),
            }
        };
        let cached = watched.invites.state();
        Ok(agrees(cached.iter().map(|invite| (invite.uid(), version(invite))), live, listed))
    }
}

/// Whether a cache is no older than a list that was made before it was looked at; `listed`: the version of the list.
fn agrees<Id: Eq + Hash>(
    cached: impl Iterator<Item = (Id, Option<u64>)>,
    mut live: HashMap<Id, Option<u64>>,
    listed: Option<u64>,
) -> bool {
    for (id, version) in cached {
        match live.remove(&id) {
            Some(there) if version < there => return false,
            // Either it was made since, or it is gone and the cache does not know.
            None if version <= listed => return false,
            Some(_) | None => {}
        }
    }
    live.is_empty()
}

/// Of one kind they can be compared, as the watch does it.
fn version(invite: &UserInvite) -> Option<u64> {
    invite.resource_version().and_then(|version| version.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_is_behind_in_any_way_does_not_agree() {
        let holds = |cached: &[(&str, u64)]| {
            let live = [("one", Some(3)), ("two", Some(7))].into();
            agrees(cached.iter().map(|&(id, version)| (id, Some(version))), live, Some(9))
        };
        assert!(holds(&[("one", 3), ("two", 7)]));
        assert!(holds(&[("one", 3), ("two", 8), ("new", 10)]), "newer than the list");
        assert!(!holds(&[("one", 2), ("two", 7)]), "an edit is missing");
        assert!(!holds(&[("two", 7)]), "a new one is missing");
        assert!(!holds(&[("one", 3), ("two", 7), ("old", 9)]), "that one is gone");
    }
}
