//! Whether the organization found is the one that is remembered. Nothing is written to a server that we did not
//! mean: the organization's id, its birthday and the edition must fit, whatever the URL.

use super::approval::{is_used, record_use};
use super::grants::{ceiling, foreign_namespace, is_named};
use super::ledger::{InviteMemory, Ledger};
use crate::resources::{Approval, Grant, InviteLinkStatus, Target};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sha2::{Digest as _, Sha256};

/// What is remembered belongs to another organization than the one found.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetChanged {
    pub remembered: Target,
    pub found: Target,
    /// What the annotation `labelstudio.rs/approve` must name to go on with what was found.
    pub digest: String,
}

/// Adopts `found` where nothing is remembered, or where `approve` names the change. On an approval everything that
/// was true of the old organization is forgotten; the same organization in another edition keeps its people.
pub fn settle_target(
    ledger: &mut Ledger,
    grants: &[Grant],
    found: &Target,
    approve: Option<&str>,
    now: Timestamp,
) -> Result<(), TargetChanged> {
    while let Some(remembered) = first_mismatch(ledger, grants, found) {
        let digest = digest(&remembered, found);
        let named = approve.map(str::trim) == Some(digest.as_str());
        let used_before =
            is_used(ledger, &digest) && ledger.target.as_ref().is_some_and(|target| target.is_same(found));
        if !named && !used_before {
            return Err(TargetChanged { remembered, found: found.clone(), digest });
        }
        if !used_before {
            record_use(ledger, Approval { digest, at: Time(now), steps: Vec::new() });
        }
        forget(ledger, &remembered, found);
    }
    ledger.target = Some(found.clone());
    Ok(())
}

/// What is remembered of another organization than the one found.
pub fn first_mismatch(ledger: &Ledger, grants: &[Grant], found: &Target) -> Option<Target> {
    let strange = |memory: &&Target| !memory.is_same(found);
    let counting = ledger.invites.iter().filter(|(key, memory)| {
        memory.target.as_ref().is_some_and(|target| strange(&target)) && counts(grants, key, memory)
    });
    let remembered = counting.filter_map(|(_, memory)| memory.target.as_ref());
    ledger.target.iter().chain(remembered).find(strange).cloned()
}

/// Whether what a UserInvite remembers may say which server this is: the Organization's own may, another namespace's where
/// a grant still reaches somebody whom it remembers. The others' memory is kept for a time when one does again.
pub fn counts(grants: &[Grant], key: &str, memory: &InviteMemory) -> bool {
    let Some(namespace) = foreign_namespace(key) else { return true };
    is_named(grants, namespace) && memory.users.keys().any(|email| ceiling(grants, namespace, email).is_ok())
}

fn forget(ledger: &mut Ledger, old: &Target, found: &Target) {
    let same_people = old.is_same_organization(found);
    if ledger.target.as_ref().is_some_and(|target| target.is_same(old)) {
        ledger.target = Some(found.clone());
        ledger.in_flight = None;
        ledger.invitations_visible = None;
        ledger.removals.clear();
        ledger.departures.clear();
        forget_link(ledger, same_people);
        ledger.passing = super::ledger::Passing::default();
    }
    for memory in ledger.invites.values_mut() {
        if memory.target.as_ref().is_some_and(|target| target.is_same(old)) {
            memory.target = Some(found.clone());
            if !same_people {
                memory.users.clear();
            }
        }
    }
}

/// The link is another organization's now, so it is published anew; the Secret is still ours to delete.
fn forget_link(ledger: &mut Ledger, same_organization: bool) {
    if let Some(link) = ledger.invite_link.as_mut().filter(|_| !same_organization) {
        *link = InviteLinkStatus { secret_name: link.secret_name.clone(), ..InviteLinkStatus::default() };
    }
}

fn digest(old: &Target, new: &Target) -> String {
    let mut hash = Sha256::new();
    for target in [old, new] {
        let born = target.created_at.as_ref().map(|time| time.0.as_second()).unwrap_or_default();
        hash.update(format!("{}\n{born}\n{}\n", target.organization_id, target.edition));
    }
    let mut digest = format!("{:x}", hash.finalize());
    digest.truncate(12);
    digest
}

impl std::fmt::Display for TargetChanged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { remembered: old, found: new, digest } = self;
        write!(
            f,
            "the server is not the one that was managed before: remembered {} organization {} at {}, found {} organization {} at {}. \
             Nothing is written. If this is right: kubectl annotate --overwrite organization <name> labelstudio.rs/approve={digest}",
            old.edition, old.organization_id, old.url, new.edition, new.organization_id, new.url
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: i64) -> Target {
        let url = "https://ls.example.com".to_owned();
        Target { organization_id: id, created_at: None, edition: "Community".to_owned(), url }
    }

    #[test]
    fn the_link_of_another_organization_is_published_anew_and_its_secret_is_still_ours() {
        let link = InviteLinkStatus {
            secret_name: "link".to_owned(),
            published_at: Some(Time(Timestamp::UNIX_EPOCH)),
            last_handled_rotate: Some("1".to_owned()),
            ..InviteLinkStatus::default()
        };
        let mut ledger = Ledger { target: Some(target(1)), invite_link: Some(link.clone()), ..Ledger::default() };
        settle_target(&mut ledger, &[], &target(1), None, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(ledger.invite_link, Some(link));
        let changed = settle_target(&mut ledger, &[], &target(2), None, Timestamp::UNIX_EPOCH).unwrap_err();
        settle_target(&mut ledger, &[], &target(2), Some(&changed.digest), Timestamp::UNIX_EPOCH).unwrap();
        let known = InviteLinkStatus { secret_name: "link".to_owned(), ..InviteLinkStatus::default() };
        assert_eq!(ledger.invite_link, Some(known));
    }
}
