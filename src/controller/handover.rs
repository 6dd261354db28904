//! A UserInvite that is being deleted: its people are handed over and stored by compare-and-swap, then its finalizer goes
//! at once. Never blocked by a bad spec, a missing Secret, a dead server or `suspend`; whether and when anybody leaves is
//! decided later.

use super::Context;
use super::objects::{Objects, tolerated};
use super::publish::remember;
use super::status::{InviteSituation, invite_status};
use crate::engine;
use crate::engine::hand_over::Room;
use crate::engine::ledger::Ledger;
use crate::engine::memory::Forgotten;
use crate::resources::{Mode, seconds};
use jiff::Timestamp;
use kube::runtime::events::EventType;

/// Names of those whose people do not fit into the list yet.
pub async fn hand_over(
    context: &Context,
    objects: &mut Objects,
    ledger: &mut Ledger,
) -> Result<Vec<String>, Forgotten> {
    let dying = objects.dying();
    let mut waiting = Vec::new();
    if dying.is_empty() {
        return Ok(waiting);
    }
    let stands = objects.stands().await?;
    let observes = objects.organization.as_ref().is_none_or(|o| o.spec.mode == Mode::Observe);
    let grants = objects.organization.as_ref().map(|o| o.spec.grants.clone()).unwrap_or_default();
    let (mut room, now) = (Room::of(ledger), seconds(Timestamp::now()));
    let mut done = Vec::new();
    for invite in dying {
        let name = invite.key();
        if objects.left_behind.is_handed_over(&name) {
            // Only the finalizer is left: its people may have come back by another hand since.
            done.push(name);
            continue;
        }
        // Everything goes at once: a GitOps tool prunes all, a namespace ends. Nobody loses access by that. And once the
        // list is full, whoever comes after waits for those before, so that none of them is tried again and again in vain.
        if stands
            && !observes
            && (!waiting.is_empty() || !engine::hand_over::hand_over(ledger, &mut room, &invite, &grants, now))
        {
            waiting.push(name);
            continue;
        }
        done.push(name);
    }
    if stands {
        // Before any finalizer goes.
        remember(objects, ledger).await?;
    } else {
        for name in &done {
            if let Some(invite) = objects.invites.get(name).filter(|_| !objects.left_behind.waits(name)) {
                let note = "its Organization is gone or going: nobody's access was changed";
                context.events.tell(&**invite, EventType::Normal, "Retained", note).await;
            }
        }
    }
    say_full(objects, ledger, &waiting).await?;
    for name in &done {
        ledger.invites.remove(name);
    }
    tolerated(objects.remove_finalizers(done.clone()).await)?;
    if stands {
        for name in &done {
            objects.left_behind.handed_over(name);
        }
    }
    Ok(waiting)
}

async fn say_full(objects: &mut Objects, ledger: &Ledger, waiting: &[String]) -> Result<(), Forgotten> {
    let now = seconds(Timestamp::now());
    let statuses = waiting.iter().filter_map(|name| {
        let (invite, memory) = (objects.invites.get(name)?, ledger.invites.get(name)?);
        Some((
            name.clone(),
            invite_status(invite, memory, &InviteSituation::DeparturesFull, invite.metadata.generation, now),
        ))
    });
    let statuses = statuses.collect();
    tolerated(objects.put_invites(statuses).await)
}
