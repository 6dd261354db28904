//! UserInvites whose Organization is missing or being deleted: they wait and say so, and their finalizers go, since
//! deleting an Organization changes nothing in Label Studio. So do those that name one where the operator does not look, or
//! cannot.

use super::Context;
use super::objects::{Objects, is_finalized, tolerated};
use super::status::{InviteSituation, Sight, invite_status};
use super::task::OrganizationKey;
use crate::engine::ledger::{Ledger, Passing};
use crate::engine::memory::Forgotten;
use crate::resources::{UserInvite, seconds};
use jiff::Timestamp;
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
    let sight = match context.organizations_in(&key.namespace) {
        Some(watched) if watched.is_left_out() => Sight::LeftOut,
        Some(_) => Sight::Clear,
        None => Sight::Elsewhere,
    };
    // The cache may be behind: a finalizer goes without a record only if the Organization is really gone, or nobody can say.
    let stands = match sight {
        Sight::Clear => objects.stands().await?,
        Sight::LeftOut if !objects.dying().is_empty() => objects.stands_as_far_as_seen().await?,
        Sight::LeftOut | Sight::Elsewhere => false,
    };
    if stands && sight == Sight::Clear {
        return Ok(false);
    }
    let statuses = objects.invites.iter().map(|(name, invite)| (name.clone(), invite.status.clone()));
    let ledger = Ledger::read(None, statuses, Passing::default());
    let now = seconds(Timestamp::now());
    let situation = InviteSituation::OrganizationMissing { namespace: &key.namespace, name: &key.name, sight };
    let mut waiting = Vec::new();
    for invite in objects.living() {
        let name = invite.key();
        let memory = ledger.invites.get(&name).cloned().unwrap_or_default();
        waiting.push((name, invite_status(invite, &memory, &situation, invite.metadata.generation, now)));
    }
    tolerated(objects.put_invites(waiting).await)?;
    // Out of sight the Organization may stand, and what was done for it is not undone by a look elsewhere: those that stay
    // keep their finalizer. Nobody could take in the people of those that go.
    let goes = |invite: &UserInvite| !stands && (sight == Sight::Clear || invite.metadata.deletion_timestamp.is_some());
    let finalized = objects.invites.iter().filter(|(_, invite)| is_finalized(invite) && goes(invite));
    let finalized = finalized.filter(|(name, _)| !objects.left_behind.waits(name));
    let finalized: Vec<String> = finalized.map(|(name, _)| name.clone()).collect();
    for name in &finalized {
        let Some(invite) = objects.invites.get(name) else { continue };
        if invite.metadata.deletion_timestamp.is_some() {
            let why = match sight {
                Sight::Clear => "is gone",
                Sight::LeftOut => "is gone, or where the operator cannot look",
                Sight::Elsewhere => "is where the operator does not look",
            };
            let note = format!("its Organization {why}: nobody's access was changed");
            context.events.tell(&**invite, EventType::Normal, "Retained", &note).await;
        }
    }
    tolerated(objects.remove_finalizers(finalized).await)?;
    Ok(false)
}
