//! Events: told on transitions only, each once, and never with more than three addresses. Writes no status.

use super::Context;
use super::objects::Objects;
use super::status::approvable;
use crate::engine::plan::Plan;
use crate::resources::{Organization, UserInviteStatus};
use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::EventType;
use std::collections::BTreeSet;

/// Events in flight.
const IN_FLIGHT: usize = 8;

/// What changes with a status that is about to be written.
pub async fn tell_organization(
    context: &Context,
    organization: &Organization,
    after: &[Condition],
    plan: Option<&Plan>,
) {
    let before = organization.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    if worth_telling(before, after, true) {
        tell(context, organization, after).await;
    }
    tell_approvable(context, organization, plan).await;
    for soon in after.iter().filter(|c| c.reason == "TokenExpiresSoon") {
        if !before.iter().any(|known| known.reason == soon.reason) {
            context.events.tell(organization, EventType::Warning, &soon.reason, &soon.message).await;
        }
    }
}

/// A guard that trips says so once for each set that it holds, with the line that overrules it.
async fn tell_approvable(context: &Context, organization: &Organization, plan: Option<&Plan>) {
    let plan_before = organization.status.as_ref().and_then(|status| status.plan.as_ref());
    let known = |digest: &str| {
        let told = plan_before.into_iter().flat_map(|plan| &plan.held);
        told.into_iter().any(|summary| summary.digest.as_deref() == Some(digest))
    };
    for (set, how) in plan.map(|plan| approvable(organization, plan)).unwrap_or_default() {
        if !known(&set.digest) {
            context.events.tell(organization, EventType::Warning, set.reason.as_str(), &how).await;
        }
    }
}

/// An approval is used once, and that is told, whether or not anything is left to do by it.
pub async fn tell_approvals(context: &Context, objects: &mut Objects) {
    let used = objects.take_used();
    let Some(organization) = objects.organization.as_ref() else { return };
    for used in used {
        let note = match used.steps.len() {
            0 => format!("approval {} is used", used.digest),
            steps => format!("approval {} is used: {steps} people lose access or rank by it", used.digest),
        };
        context.events.tell(&**organization, EventType::Normal, "Approved", &note).await;
    }
}

/// An Organization is deleted before all departures are carried out: who keeps access has to be known to somebody.
pub async fn tell_departures_undone(context: &Context, organization: &Organization) {
    let departures = organization.status.as_ref().map(|status| status.departures.as_slice()).unwrap_or_default();
    let people: Vec<&str> = departures.iter().flat_map(|gone| &gone.users).map(|person| person.email.trim()).collect();
    if people.is_empty() {
        return;
    }
    let more = people.len().saturating_sub(3);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named: Vec<&str> = people.iter().take(3).copied().collect();
    let note = format!(
        "deleted with {} departures that end undone: whatever access {}{rest} still have stays",
        people.len(),
        named.join(", ")
    );
    context.events.tell(organization, EventType::Warning, "DeparturesUndone", &note).await;
}

/// UserInvites that cannot be written, each once while it lasts.
pub async fn tell_left_behind(context: &Context, objects: &mut Objects) {
    let untold = objects.left_behind.take_untold();
    let (Some(organization), Some(_)) = (objects.organization.as_ref(), untold.first()) else { return };
    let more = untold.len().saturating_sub(3);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    let named: Vec<&str> = untold.iter().take(3).map(String::as_str).collect();
    let note =
        format!("nothing is done for the people of UserInvites that cannot be written: {}{rest}", named.join("; "));
    context.events.tell(&**organization, EventType::Warning, "UserInviteUnwritten", &note).await;
}

/// Seats that were freed sooner than the vendor's old rule of seven days; told once.
pub async fn tell_freed_early(context: &Context, objects: &Objects, freed: &BTreeSet<String>) {
    let (Some(organization), Some(_)) = (objects.organization.as_ref(), freed.first()) else { return };
    let named: Vec<&str> = freed.iter().take(3).map(String::as_str).collect();
    let more = freed.len().saturating_sub(3);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let note = format!(
        "as far as is known, {}{rest} held a seat for less than seven days; if your contract asks for a longer time, set spec.guards.minSeatTime",
        named.join(", ")
    );
    context.events.tell(&**organization, EventType::Normal, "SeatFreedEarly", &note).await;
}

pub async fn tell_invites(context: &Context, objects: &Objects, statuses: &[(String, UserInviteStatus)]) {
    let told = statuses.iter().filter_map(|(name, status)| {
        let object = objects.invites.get(name)?.clone();
        let before = object.status.as_ref().map(|s| s.conditions.clone()).unwrap_or_default();
        let after = status.conditions.clone();
        worth_telling(&before, &after, false).then_some((object, after))
    });
    let told: Vec<_> = told.collect();
    futures::stream::iter(told)
        .for_each_concurrent(IN_FLIGHT, |(object, after)| async move { tell(context, &*object, &after).await })
        .await;
}

/// An Event when somebody has to act, when that is over, and, for an Organization, when its state changes.
fn worth_telling(before: &[Condition], after: &[Condition], all: bool) -> bool {
    let stalled = |conditions: &[Condition]| conditions.iter().any(|c| c.type_ == "Stalled");
    let (Some(is), was) = (ready(after), ready(before)) else { return false };
    let same = was.is_some_and(|was| was.status == is.status && was.reason == is.reason);
    !same && is.reason != "Progressing" && (all || stalled(before) || stalled(after))
}

async fn tell<K>(context: &Context, object: &K, after: &[Condition])
where
    K: kube::Resource<DynamicType = ()>,
{
    if let Some(ready) = ready(after) {
        let kind = if ready.status == "True" { EventType::Normal } else { EventType::Warning };
        context.events.tell(object, kind, &ready.reason, &ready.message).await;
    }
}

fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == "Ready")
}
