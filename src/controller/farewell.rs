//! UserInvites whose Organization is missing or being deleted: they wait and say so, and their finalizers go, since
//! deleting an Organization changes nothing in Label Studio.

use super::Context;
use super::objects::{Objects, is_finalized};
use super::status::{InviteSituation, invite_status};
use super::task::OrganizationKey;
use crate::engine::ledger::{Ledger, Passing};
use crate::engine::memory::Forgotten;
use crate::resources::seconds;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;

/// True when nobody refers to the Organization any more.
pub async fn without_organization(
    context: &Context,
    key: &OrganizationKey,
    objects: &mut Objects,
) -> Result<bool, Forgotten> {
    if objects.invites.is_empty() {
        return Ok(true);
    }
    // The cache may be behind: a finalizer goes without a record only if the Organization is really gone.
    if objects.stands().await? {
        return Ok(false);
    }
    let statuses = objects.invites.iter().map(|(name, invite)| (name.clone(), invite.status.clone()));
    let ledger = Ledger::read(None, statuses, Passing::default());
    let now = seconds(Timestamp::now());
    let mut waiting = Vec::new();
    for invite in objects.living() {
        let name = invite.name_any();
        let memory = ledger.invites.get(&name).cloned().unwrap_or_default();
        let situation = InviteSituation::OrganizationMissing(&key.name);
        waiting.push((name, invite_status(invite, &memory, &situation, invite.metadata.generation, now)));
    }
    objects.put_invites(waiting).await?;
    let finalized: Vec<String> =
        objects.invites.iter().filter(|(_, invite)| is_finalized(invite)).map(|(name, _)| name.clone()).collect();
    for name in &finalized {
        let Some(invite) = objects.invites.get(name) else { continue };
        if invite.metadata.deletion_timestamp.is_some() {
            let note = "its Organization is gone: nobody's access was changed";
            context.events.tell(&**invite, EventType::Normal, "Retained", note).await;
        }
    }
    objects.remove_finalizers(finalized).await?;
    Ok(false)
}
