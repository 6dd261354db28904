//! What an Organization's status tells of its people: what is left to do, what is held, and how a person may overrule it.

use super::number;
use super::organization::OrganizationView;
use crate::engine::approval::{Named, named};
use crate::engine::ledger::Ledger;
use crate::engine::plan::{HeldSet, Plan};
use crate::resources::{APPROVE_ANNOTATION, HeldReason, HeldSummary, Mode, Organization, PlanStatus, condition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

/// Addresses that are named in status.
const NAMED: usize = 10;
/// Sets that are offered at once; the next ones when these are done.
const OFFERED: usize = 10;
/// Addresses that are named in a sentence, and sets that are told of in one.
const FEW: usize = 3;

pub fn members_synced(
    organization: &Organization,
    ledger: &Ledger,
    view: &OrganizationView,
    generation: Option<i64>,
    now: Timestamp,
) -> Option<Condition> {
    let before = organization.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let Some(plan) = view.plan else {
        return before.iter().find(|c| c.type_ == "MembersSynced").cloned();
    };
    let left: usize = plan.pending.values().sum();
    // Whoever has no grant declares nothing for this Organization, and cannot make it look bad.
    let counts = |reason: HeldReason| reason.stalls() && reason != HeldReason::NotGranted;
    let stalled: usize = plan.held.iter().filter(|(reason, _)| counts(**reason)).map(|(_, who)| who.len()).sum();
    let (reason, mut message) = match (left, stalled) {
        (0, 0) => ("Synced", "everybody is as declared".to_owned()),
        (0, held) => ("Held", format!("{held} people are held; status.plan.held says why")),
        (left, held) => ("Progressing", format!("{left} people left, {held} held")),
    };
    for told in approvable(organization, plan).iter().take(FEW) {
        message = format!("{message}; {}", told.1);
    }
    message.extend(says_nothing(organization, ledger, plan));
    Some(condition(before, "MembersSynced", left == 0 && stalled == 0, reason, message, generation, now))
}

/// What a person may overrule, and the line that does it. Nothing where nothing is written anyway.
pub fn approvable<'a>(organization: &Organization, plan: &'a Plan) -> Vec<(&'a HeldSet, String)> {
    let enforces = organization.spec.mode == Mode::Enforce;
    let sets = plan.sets.iter().filter(|_| enforces).take(OFFERED);
    sets.map(|set| (set, how_to_approve(organization, set))).collect()
}

fn how_to_approve(organization: &Organization, set: &HeldSet) -> String {
    let (name, namespace) = (organization.name_any(), organization.namespace().unwrap_or_default());
    let HeldSet { reason, digest, who, .. } = set;
    let more = who.len().saturating_sub(FEW);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named: Vec<&str> = who.iter().take(FEW).map(String::as_str).collect();
    format!(
        "{reason} holds {} ({}{rest}); to have it done all the same: kubectl annotate --overwrite --namespace {namespace} organization {name} {APPROVE_ANNOTATION}={digest}",
        who.len(),
        named.join(", "),
    )
}

/// An annotation that approves nothing should not be taken for one that does.
fn says_nothing(organization: &Organization, ledger: &Ledger, plan: &Plan) -> Option<String> {
    let approve = organization.annotations().get(APPROVE_ANNOTATION).filter(|_| !plan.sets.is_empty())?;
    match named(ledger, approve, &plan.sets) {
        Named::Held => None,
        Named::Used => Some(format!("; the approval {approve:.40} was used already")),
        Named::Nothing => {
            Some(format!("; the annotation {APPROVE_ANNOTATION} names {approve:.40?}, which is none of these"))
        }
    }
}

pub fn plan_status(organization: &Organization, plan: &Plan) -> PlanStatus {
    const LINES: usize = 50;
    let mut steps: Vec<String> =
        plan.steps.iter().take(LINES).map(|step| shortened(&step.action.to_string())).collect();
    if plan.steps.len() > LINES {
        steps.push(format!("and {} more", plan.steps.len() - LINES));
    }
    let offered: Vec<HeldSummary> = approvable(organization, plan)
        .into_iter()
        .map(|(set, _)| HeldSummary {
            digest: Some(set.digest.clone()),
            since: Some(Time(set.since)),
            ..summary(set.reason, &set.who)
        })
        .collect();
    let is_offered = |reason: &HeldReason| offered.iter().any(|summary| summary.reason == reason.as_str());
    let rest = plan.held.iter().filter(|(reason, _)| !is_offered(reason)).map(|(reason, who)| summary(*reason, who));
    let mut held: Vec<HeldSummary> = rest.chain(offered.iter().cloned()).collect();
    held.sort_by(|a, b| a.reason.cmp(&b.reason));
    PlanStatus { steps, step_count: number(plan.steps.len()), held_count: number(plan.held_count()), held }
}

fn summary(reason: HeldReason, who: &[String]) -> HeldSummary {
    let named = who.iter().take(NAMED).cloned().collect();
    HeldSummary { reason: reason.to_string(), digest: None, since: None, count: number(who.len()), who: named }
}

fn shortened(line: &str) -> String {
    const LONGEST: usize = 200;
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    line.chars().take(LONGEST).chain(std::iter::once('…')).collect()
}
