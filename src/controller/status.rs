//! One function builds the complete status of each kind. It is computed from what was found and what became of it,
//! and holds no clock that ticks: when nothing changed, it is equal to what stands.

use super::situation::{Kind, Problem};
use crate::engine::ledger::{InviteMemory, Ledger};
use crate::engine::plan::Plan;
use crate::engine::snapshot::Snapshot;
use crate::engine::target::TargetChanged;
use crate::resources::{
    HeldReason, HeldSummary, InviteCounts, MemberCounts, Mode, Organization, OrganizationStatus, Person, PersonState,
    PlanStatus, Progress, SAME_WISH, UserInvite, UserInviteStatus, condition,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// What a UserInvite's Organization is up to.
pub enum InviteSituation<'a> {
    OrganizationMissing(&'a str),
    /// It cannot act; why is told there.
    OrganizationNotReady(&'a str),
    Suspended(&'a str),
    TargetChanged(&'a TargetChanged),
    /// So much is left to do; `observes`: and nobody will.
    Judged {
        pending: usize,
        observes: bool,
    },
    /// Its departures cannot be handed over: the Organization's list is full.
    DeparturesFull,
}

/// What is known of the Organization after a pass.
#[derive(Default)]
pub struct OrganizationView<'a> {
    pub snapshot: Option<&'a Snapshot>,
    pub plan: Option<&'a Plan>,
    pub problem: Option<&'a Problem>,
    pub target_changed: Option<&'a TargetChanged>,
    pub unmanaged: usize,
    pub progress: Option<Progress>,
    pub handled_reconcile: Option<String>,
}

/// Reasons a UserInvite may be Ready=False for, in the order in which they are told.
struct Verdict {
    ready: bool,
    reason: &'static str,
    message: String,
    reconciling: bool,
    stalled: bool,
}

pub fn invite_status(
    invite: &UserInvite,
    memory: &InviteMemory,
    situation: &InviteSituation,
    now: Timestamp,
) -> UserInviteStatus {
    let before = invite.status.clone().unwrap_or_default();
    let generation = invite.metadata.generation;
    let unchanged = before.observed_generation == generation && !before.conditions.is_empty();
    let keeps = matches!(situation, InviteSituation::OrganizationNotReady(_) | InviteSituation::Suspended(_));
    if unchanged && keeps {
        // Its failure is the Organization's to tell, not copied into thousands.
        return before;
    }
    let users: Vec<Person> = memory.users.values().cloned().collect();
    let verdict = invite_verdict(situation, &users);
    let known = match situation {
        InviteSituation::OrganizationMissing(_) | InviteSituation::OrganizationNotReady(_) => false,
        InviteSituation::Suspended(_) | InviteSituation::TargetChanged(_) | InviteSituation::DeparturesFull => true,
        InviteSituation::Judged { pending, observes } => *pending == 0 || *observes,
    };
    let accepted = accepted(&users, verdict.ready);
    let mut conditions = conditions(&before.conditions, &verdict, generation, now);
    conditions.push(condition(
        &before.conditions,
        "Accepted",
        accepted.0,
        if accepted.0 { "AllAccepted" } else { "Waiting" },
        accepted.1,
        generation,
        now,
    ));
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    UserInviteStatus {
        observed_generation: if known { generation } else { before.observed_generation.or(Some(-1)) },
        conditions,
        target: memory.target.clone(),
        counts: Some(counts(&users, invite.spec.emails.len())),
        users,
        last_handled_reinvite: memory.last_handled_reinvite.clone(),
    }
}

fn invite_verdict(situation: &InviteSituation, users: &[Person]) -> Verdict {
    match situation {
        InviteSituation::OrganizationMissing(name) => Verdict {
            ready: false,
            reason: "OrganizationNotFound",
            message: format!(
                "spec.organizationRef: there is no Organization {name:?} in this namespace: create it, or name another"
            ),
            reconciling: true,
            stalled: false,
        },
        InviteSituation::OrganizationNotReady(name) => Verdict {
            ready: false,
            reason: "OrganizationNotReady",
            message: format!("the Organization {name:?} cannot act now; its conditions say why"),
            reconciling: false,
            stalled: false,
        },
        InviteSituation::Suspended(name) => Verdict {
            ready: false,
            reason: "OrganizationSuspended",
            message: format!(
                "the Organization {name:?} is suspended: nothing is read or written until spec.suspend is false"
            ),
            reconciling: false,
            stalled: true,
        },
        InviteSituation::TargetChanged(changed) => Verdict {
            ready: false,
            reason: "TargetChanged",
            message: changed.to_string(),
            reconciling: false,
            stalled: true,
        },
        InviteSituation::DeparturesFull => Verdict {
            ready: false,
            reason: "DeparturesFull",
            message:
                "the Organization's list of departures is full, so this UserInvite waits until some are carried out"
                    .to_owned(),
            reconciling: false,
            stalled: true,
        },
        InviteSituation::Judged { pending, observes } => judged(*pending, *observes, users),
    }
}

fn judged(pending: usize, observes: bool, users: &[Person]) -> Verdict {
    let held: Vec<&Person> = users.iter().filter(|person| person.reason.is_some()).collect();
    let stalling = held.iter().find(|person| stalls(person) && !agrees_with_winner(person));
    if observes && pending > 0 {
        let message = format!("{pending} people are not as declared; the Organization only observes (spec.mode)");
        return Verdict { ready: false, reason: "ObserveOnly", message, reconciling: false, stalled: true };
    }
    let waits_for_roster = held.iter().any(|person| person.is_held_for(HeldReason::IncompleteRoster));
    if pending > 0 || waits_for_roster {
        let reason = if pending > 0 { "Progressing" } else { "IncompleteRoster" };
        // No numbers: they would be written anew with every person. `counts` has them.
        let message = match pending {
            0 => "the server's list of members is not complete; it is read again",
            _ => "not everybody is as declared yet",
        };
        let message = message.to_owned();
        return Verdict { ready: false, reason, message, reconciling: true, stalled: false };
    }
    if let Some(person) = stalling {
        let reason = reason_of(person);
        return Verdict {
            ready: false,
            reason: reason.as_str(),
            message: summary(&held),
            reconciling: false,
            stalled: true,
        };
    }
    if held.is_empty() {
        let message = "everybody is as declared".to_owned();
        return Verdict { ready: true, reason: "Reconciled", message, reconciling: false, stalled: false };
    }
    Verdict { ready: true, reason: "Held", message: summary(&held), reconciling: false, stalled: false }
}

pub fn organization_status(
    organization: &Organization,
    ledger: &Ledger,
    view: &OrganizationView,
    now: Timestamp,
) -> OrganizationStatus {
    let before = organization.status.clone().unwrap_or_default();
    let generation = organization.metadata.generation;
    let verdict = organization_verdict(organization, view);
    let mut conditions = conditions(&before.conditions, &verdict, generation, now);
    conditions.extend(authenticated(&before.conditions, view, generation, now));
    conditions.extend(members_synced(&before.conditions, view, generation, now));
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
        members: view.snapshot.map(|s| member_counts(s, view.unmanaged)).or(before.members),
        plan: view.plan.map(plan_status).or(before.plan),
        progress: view.progress.clone(),
        in_flight: ledger.in_flight.clone(),
        invitations_visible: ledger.invitations_visible,
        departures: ledger.departures.clone(),
        removals: ledger.removals.clone(),
        approval: ledger.approval.clone(),
        last_handled_reconcile_at: view.handled_reconcile.clone().or(before.last_handled_reconcile_at),
    }
}

fn organization_verdict(organization: &Organization, view: &OrganizationView) -> Verdict {
    let spec = &organization.spec;
    if spec.suspend {
        let message = "nothing is read or written until spec.suspend is false".to_owned();
        return Verdict { ready: true, reason: "Suspended", message, reconciling: false, stalled: false };
    }
    if let Some(problem) = view.problem {
        let stalled = problem.kind == Kind::Terminal;
        let message = problem.message.clone();
        return Verdict { ready: false, reason: problem.reason, message, reconciling: !stalled, stalled };
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
        let departing_held = plan.departing.values().flatten().find(|person| person.reason.is_some() && stalls(person));
        if let Some(person) = departing_held.filter(|_| plan.departures_pending == 0) {
            let message = format!(
                "an access that no manifest grants any more still stands: {}: {}",
                person.email,
                person.message.clone().unwrap_or_default()
            );
            return Verdict { ready: false, reason: "DeparturesHeld", message, reconciling: false, stalled: true };
        }
        let own = plan.steps.iter().any(|step| step.cause == crate::engine::plan::Cause::Organization);
        if plan.departures_pending > 0 || own {
            let message = format!("{} departures wait or are under way", plan.departures_pending);
            return Verdict { ready: false, reason: "Progressing", message, reconciling: true, stalled: false };
        }
    }
    let message = "the organization is as declared".to_owned();
    Verdict { ready: true, reason: "Reconciled", message, reconciling: false, stalled: false }
}

/// `Ready`, and `Reconciling` or `Stalled` while true, never both (kstatus).
fn conditions(before: &[Condition], verdict: &Verdict, generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let Verdict { ready, reason, message, reconciling, stalled } = verdict;
    let mut conditions = vec![condition(before, "Ready", *ready, reason, message.clone(), generation, now)];
    if *reconciling {
        conditions.push(condition(before, "Reconciling", true, reason, message.clone(), generation, now));
    } else if *stalled {
        conditions.push(condition(before, "Stalled", true, reason, message.clone(), generation, now));
    }
    conditions
}

fn authenticated(
    before: &[Condition],
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
    let (reason, message) = match view.problem.filter(|_| !signed_in) {
        Some(problem) => (problem.reason, problem.message.clone()),
        None => ("TokenAccepted", "the server accepts the token".to_owned()),
    };
    Some(condition(before, "Authenticated", signed_in, reason, message, generation, now))
}

fn members_synced(
    before: &[Condition],
    view: &OrganizationView,
    generation: Option<i64>,
    now: Timestamp,
) -> Option<Condition> {
    let Some(plan) = view.plan else {
        return before.iter().find(|c| c.type_ == "MembersSynced").cloned();
    };
    let left: usize = plan.pending.values().sum();
    let stalled: usize = plan.held.iter().filter(|(reason, _)| reason.stalls()).map(|(_, who)| who.len()).sum();
    let synced = left == 0 && stalled == 0;
    let (reason, message) = match (left, stalled) {
        (0, 0) => ("Synced", "everybody is as declared".to_owned()),
        (0, held) => ("Held", format!("{held} people are held; status.plan.held says why")),
        (left, held) => ("Progressing", format!("{left} people left, {held} held")),
    };
    Some(condition(before, "MembersSynced", synced, reason, message, generation, now))
}

fn plan_status(plan: &Plan) -> PlanStatus {
    const LINES: usize = 50;
    let mut steps: Vec<String> =
        plan.steps.iter().take(LINES).map(|step| shortened(&step.action.to_string())).collect();
    if plan.steps.len() > LINES {
        steps.push(format!("and {} more", plan.steps.len() - LINES));
    }
    let held = plan.held.iter().map(|(reason, who)| HeldSummary {
        reason: reason.to_string(),
        digest: None,
        count: number(who.len()),
        who: who.iter().take(10).cloned().collect(),
    });
    PlanStatus {
        steps,
        step_count: number(plan.steps.len()),
        held_count: number(plan.held_count()),
        held: held.collect(),
    }
}

fn shortened(line: &str) -> String {
    const LONGEST: usize = 200;
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    line.chars().take(LONGEST).chain(std::iter::once('…')).collect()
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

fn owner_address(snapshot: &Snapshot) -> Option<String> {
    let owner = snapshot.owner?;
    snapshot.members().find(|(_, member)| member.user_id == owner).map(|(_, member)| member.email.clone())
}

fn counts(users: &[Person], wanted: usize) -> InviteCounts {
    let of = |test: &dyn Fn(&Person) -> bool| number(users.iter().filter(|person| test(person)).count());
    InviteCounts {
        total: number(wanted),
        active: of(&|p| p.state == PersonState::Active),
        invited: of(&|p| matches!(p.state, PersonState::Invited | PersonState::Inviting)),
        held: of(&|p| p.reason.is_some()),
    }
}

fn accepted(users: &[Person], ready: bool) -> (bool, String) {
    let open = users.iter().filter(|p| !matches!(p.state, PersonState::Active | PersonState::Deactivated)).count();
    if open == 0 && ready {
        (true, "everybody has accepted".to_owned())
    } else {
        (false, format!("{open} of {} people have not accepted yet", users.len()))
    }
}

fn stalls(person: &Person) -> bool {
    reason_of(person).stalls()
}

/// Two manifests with the same wish: nobody waits for that.
fn agrees_with_winner(person: &Person) -> bool {
    person.is_held_for(HeldReason::Conflict)
        && person.message.as_deref().is_some_and(|message| message.starts_with(SAME_WISH))
}

fn reason_of(person: &Person) -> HeldReason {
    let word = person.reason.as_deref().unwrap_or_default();
    HeldReason::ALL.into_iter().find(|reason| reason.as_str() == word).unwrap_or(HeldReason::Failed)
}

/// Names at most three people.
fn summary(held: &[&Person]) -> String {
    let named: Vec<String> = held
        .iter()
        .take(3)
        .map(|person| {
            let reason = person.reason.as_deref().unwrap_or_default();
            format!("{}: {reason}: {}", person.email.trim(), person.message.as_deref().unwrap_or_default())
        })
        .collect();
    let more = held.len().saturating_sub(3);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", named.join("; "))
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
