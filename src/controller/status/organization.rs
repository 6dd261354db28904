//! The status of an Organization.

use super::link::{LinkState, link_condition, link_verdict};
use super::lock::{lock_condition, lock_verdict};
use super::people::{members_synced, plan_status};
use super::{Verdict, conditions, number, stalls};
use crate::controller::signup_lock::LockState;
use crate::engine::ledger::Ledger;
use crate::engine::plan::Plan;
use crate::engine::problem::Problem;
use crate::engine::snapshot::Snapshot;
use crate::engine::target::TargetChanged;
use crate::label_studio::{Edition, Member};
use crate::resources::{
    HeldReason, MemberCounts, Mode, Organization, OrganizationStatus, Person, Progress, UnmanagedMember,
    UnmanagedMembers, condition,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// What is known of the Organization after a pass.
#[derive(Default)]
pub struct OrganizationView<'a> {
    pub snapshot: Option<&'a Snapshot>,
    pub plan: Option<&'a Plan>,
    pub problem: Option<&'a Problem>,
    pub target_changed: Option<&'a TargetChanged>,
    /// What became of the invite link; none where it was not its turn.
    pub link: Option<&'a LinkState>,
    /// Whom no UserInvite claims.
    pub unmanaged: Vec<&'a Member>,
    /// What became of the sign-up lock; none where it was not its turn.
    pub lock: Option<&'a LockState>,
    /// The end of the token in use, if it has one.
    pub token_expires_at: Option<Timestamp>,
    pub progress: Option<Progress>,
    pub handled_reconcile: Option<String>,
    /// The generation that was judged, which may be older than the object's.
    pub generation: Option<i64>,
}

pub fn organization_status(
    organization: &Organization,
    ledger: &Ledger,
    view: &OrganizationView,
    now: Timestamp,
) -> OrganizationStatus {
    let before = organization.status.clone().unwrap_or_default();
    let generation = view.generation.or(organization.metadata.generation);
    let verdict = organization_verdict(organization, view, generation);
    let mut conditions = conditions(&before.conditions, &verdict, generation, now);
    let url = &organization.spec.url;
    conditions.extend(authenticated(&before.conditions, url, view, generation, now));
    conditions.extend(members_synced(organization, ledger, view, generation, now));
    conditions.extend(link_condition(organization, view.link, generation, now));
    conditions.extend(lock_condition(organization, view.lock, generation, now));
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    let known = !verdict.reconciling;
    OrganizationStatus {
        observed_generation: if known { generation } else { before.observed_generation.or(Some(-1)) },
        conditions,
        edition: view.snapshot.map(|s| s.edition.to_string()).or(before.edition),
        version: view.snapshot.map_or(before.version, |s| s.release.clone()),
        target: ledger.target.clone(),
        title: view.snapshot.map(|s| s.title.clone()).or(before.title),
        owner: view.snapshot.map_or(before.owner, owner_address),
        seats: view.snapshot.map_or(before.seats, |s| s.seats),
        members: view.snapshot.map(|s| member_counts(s, view.unmanaged.len())).or(before.members),
        unmanaged: view.snapshot.map_or(before.unmanaged, |_| unmanaged(organization, view)),
        plan: view.plan.map(|plan| plan_status(organization, plan)).or(before.plan),
        progress: view.progress.clone(),
        in_flight: ledger.in_flight.clone(),
        invitations_visible: ledger.invitations_visible,
        departures: ledger.departures.clone(),
        removals: ledger.removals.clone(),
        approval: ledger.approval.clone(),
        earlier_approvals: ledger.earlier_approvals.clone(),
        invite_link: ledger.invite_link.clone(),
        signup: ledger.signup.clone(),
        last_handled_reconcile_at: view.handled_reconcile.clone().or(before.last_handled_reconcile_at),
    }
}

fn organization_verdict(organization: &Organization, view: &OrganizationView, generation: Option<i64>) -> Verdict {
    let spec = &organization.spec;
    if spec.suspend {
        let message = "nothing is read or written until spec.suspend is false".to_owned();
        return Verdict { ready: true, reason: "Suspended", message, reconciling: false, stalled: false };
    }
    if let Some(problem) = view.problem {
        return Verdict::of(problem);
    }
    if let Some(changed) = view.target_changed {
        let name = organization.metadata.name.as_deref().unwrap_or_default();
        let message = changed.to_string().replace("<name>", name);
        return Verdict { ready: false, reason: "TargetChanged", message, reconciling: false, stalled: true };
    }
    if spec.mode == Mode::Observe {
        let left = view.plan.map_or(0, |plan| plan.steps.len());
        let message = format!("{left} changes would be made; spec.mode is Observe, so none is");
        return Verdict { ready: true, reason: "Observing", message, reconciling: false, stalled: false };
    }
    if let Some(plan) = view.plan {
        if let Some((field, held, refusal)) = &plan.refused {
            let (refused, value) = match *field {
                "title" => ("TitleRefused", format!("{:?}", spec.title.as_deref().unwrap_or_default())),
                _ => ("DefaultRoleRefused", spec.default_role.map(|role| format!("{role:?}")).unwrap_or_default()),
            };
            let message = format!("spec.{field} {value}: {refusal}");
            let reason = if *held == HeldReason::Reverted { held.as_str() } else { refused };
            return Verdict { ready: false, reason, message, reconciling: false, stalled: true };
        }
        let departing_held = plan.departing.values().flatten().find(|person| person.reason.is_some() && stalls(person));
        if let Some(person) = departing_held.filter(|_| plan.departures_pending == 0) {
            let message = format!(
                "an access that no manifest grants any more still stands: {}: {}",
                person.email,
                person.message.clone().unwrap_or_default()
            );
            return Verdict { ready: false, reason: "DeparturesHeld", message, reconciling: false, stalled: true };
        }
        let unsure = |person: &&Person| person.is_held_for(HeldReason::IncompleteRoster);
        if let Some(person) = plan.departing.values().flatten().find(unsure) {
            let message = format!(
                "the server's list of members is not complete, so whether {} still has access is not known; it is read again",
                person.email
            );
            return Verdict { ready: false, reason: "IncompleteRoster", message, reconciling: true, stalled: false };
        }
        let own = plan.steps.iter().any(|step| step.cause == crate::engine::plan::Cause::Organization);
        if plan.departures_pending > 0 || own {
            let message = format!("{} departures wait or are under way", plan.departures_pending);
            return Verdict { ready: false, reason: "Progressing", message, reconciling: true, stalled: false };
        }
    }
    let turns = [lock_verdict(organization, view.lock, generation), link_verdict(organization, view.link, generation)];
    if let Some(verdict) = turns.into_iter().flatten().next() {
        return verdict;
    }
    let without_roles = view.snapshot.is_some_and(|snapshot| snapshot.edition == Edition::Community);
    if spec.default_role.is_some() && without_roles {
        let message =
            "spec.defaultRole: the open-source edition has no roles; everything else is as declared".to_owned();
        return Verdict { ready: true, reason: "Held", message, reconciling: false, stalled: false };
    }
    let message = "the organization is as declared".to_owned();
    Verdict { ready: true, reason: "Reconciled", message, reconciling: false, stalled: false }
}

/// So long before its end a token is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

fn authenticated(
    before: &[Condition],
    url: &str,
    view: &OrganizationView,
    generation: Option<i64>,
    now: Timestamp,
) -> Option<Condition> {
    let known = match view.problem {
        Some(problem) => problem.authenticated,
        None => view.snapshot.map(|_| true),
    };
    let Some(signed_in) = known else {
        // Not tried this time: what was known stays.
        return before.iter().find(|c| c.type_ == "Authenticated").cloned();
    };
    let ends_soon = view.token_expires_at.filter(|end| *end < now + SOON);
    let (reason, message) = match (view.problem.filter(|_| !signed_in), ends_soon) {
        (Some(problem), _) => (problem.reason, problem.message.clone()),
        (None, Some(end)) if end <= now => (
            "TokenExpiresSoon",
            format!(
                "by the clock here the token ended at {end}, and the server takes it still: look at both clocks, or make a new token and put it into the Secret of spec.credentials.secretRef"
            ),
        ),
        (None, Some(end)) => (
            "TokenExpiresSoon",
            format!("the token ends at {end}: make a new one and put it into the Secret of spec.credentials.secretRef"),
        ),
        (None, None) if url.starts_with("http://") => (
            "TokenAccepted",
            "the server accepts the token, which anybody on the way can read: use https in spec.url".to_owned(),
        ),
        (None, None) => ("TokenAccepted", "the server accepts the token".to_owned()),
    };
    Some(condition(before, "Authenticated", signed_in, reason, message, generation, now))
}

fn member_counts(snapshot: &Snapshot, unmanaged: usize) -> MemberCounts {
    let counts = snapshot.counts();
    MemberCounts {
        active: number(counts.active),
        pending: number(counts.pending),
        invited: number(counts.invited),
        deactivated: number(counts.deactivated),
        unmanaged: number(unmanaged),
    }
}

/// Named only where people asked for it; counted always.
fn unmanaged(organization: &Organization, view: &OrganizationView) -> Vec<UnmanagedMember> {
    const NAMED: usize = 50;
    match organization.spec.unmanaged_members {
        UnmanagedMembers::Ignore => Vec::new(),
        UnmanagedMembers::Report => {
            let named = view.unmanaged.iter().take(NAMED);
            let row = |member: &&Member| UnmanagedMember {
                email: member.email.clone(),
                role: member.role.as_ref().map(ToString::to_string),
            };
            named.map(row).collect()
        }
    }
}

fn owner_address(snapshot: &Snapshot) -> Option<String> {
    let owner = snapshot.owner?;
    snapshot.members().find(|(_, member)| member.user_id == owner).map(|(_, member)| member.email.clone())
}
