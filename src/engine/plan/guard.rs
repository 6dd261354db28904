//! What makes a mistake survivable: an administrator always remains, and no more people lose access or rank within
//! a day than the Organization allows. All or nothing: half of a mistake is no better. What a person approved passes.

use super::{Candidate, HeldSet, Plan, View};
use crate::engine::approval::{self, MOST_STEPS};
use crate::engine::ledger::Kept;
use crate::resources::{HeldReason, RemovalBucket, later};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeSet;

/// A percentage of a small team still lets it offboard a few people without a ceremony.
const LEAST_LIMIT: usize = 3;
/// A bucket holds one hour, so it counts until its last minute is a day old.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(25);

pub fn keep_administrators(view: &View, plan: &mut Plan, candidates: &mut Vec<Candidate>) {
    let least = view.desired.min_administrators;
    // Who is approved counts before those who may yet be held for another reason.
    let going = |approved: bool| {
        let takes = candidates.iter().filter(|candidate| candidate.action.takes_an_administrator());
        takes.filter(|candidate| view.is_approved(HeldReason::RemovalGuard, candidate) == approved).count()
    };
    let may_go = view.snapshot.other_administrators().saturating_sub(least);
    let mut of_approved = may_go.min(going(true));
    let mut of_others = (may_go - of_approved).min(going(false));
    let message = format!(
        "besides the Owner and the operator {least} Administrators must stay (spec.guards.minAdministrators): make somebody else Administrator first"
    );
    let taken = take_out(candidates, |candidate| {
        if !candidate.action.takes_an_administrator() {
            return None;
        }
        let approved = view.is_approved(HeldReason::RemovalGuard, candidate);
        let left = if approved { &mut of_approved } else { &mut of_others };
        if *left > 0 {
            *left -= 1;
            return None;
        }
        Some((HeldReason::LastAdministrator, message.clone()))
    });
    hold(view, plan, taken);
}

/// The Organization's own namespace first, then one after the other, each all or nothing: what a team removes by mistake does
/// not hold what the owner means.
pub fn limit_removals(view: &View, plan: &mut Plan, candidates: &mut Vec<Candidate>) {
    let window = removals_in_window(&view.ledger.removals, view.now());
    let base = window.first().map_or(view.snapshot.with_access(), |bucket| count(bucket.base));
    let limit = limit(&view.desired.max_removals, base);
    let mut used: usize = window.iter().map(|bucket| count(bucket.count)).sum();
    let removing = candidates.iter().filter(|candidate| candidate.action.removes());
    let namespaces: BTreeSet<Option<String>> =
        removing.map(|candidate| candidate.cause.namespace().map(ToOwned::to_owned)).collect();
    for namespace in namespaces {
        // Who is approved is not counted.
        let removes = |candidate: &Candidate| {
            candidate.action.removes()
                && candidate.cause.namespace() == namespace.as_deref()
                && !view.is_approved(HeldReason::RemovalGuard, candidate)
        };
        // Nor is twice who is counted already, by an attempt whose answer was lost.
        let counted = |candidate: &Candidate| view.ledger.passing.reserved.contains_key(&candidate.email);
        let wanted = candidates.iter().filter(|candidate| removes(candidate) && !counted(candidate)).count();
        if wanted == 0 || used + wanted <= limit {
            used += wanted;
            continue;
        }
        if let Some(oldest) = window.first() {
            Plan::due_at(&mut plan.due, later(oldest.hour.0, WINDOW));
        }
        let message = match view.ledger.kept {
            Kept::InStatus => format!(
                "{wanted} people would lose access or rank; within 24 hours at most {limit} may (spec.guards.maxRemovals), {used} did or do: wait, raise it, or approve as the Organization says"
            ),
            Kept::ForOneRun { .. } => format!(
                "{wanted} people would lose access or rank; in one run at most {limit} may (spec.guards.maxRemovals, which counts by runs here): raise it, or approve"
            ),
        };
        let taken = take_out(candidates, |c| removes(c).then(|| (HeldReason::RemovalGuard, message.clone())));
        hold_for_approval(view, plan, taken);
    }
}

/// The buckets that still count, oldest first.
pub fn removals_in_window(removals: &[RemovalBucket], now: Timestamp) -> Vec<&RemovalBucket> {
    let mut window: Vec<&RemovalBucket> = removals.iter().filter(|bucket| now < later(bucket.hour.0, WINDOW)).collect();
    window.sort_by(|a, b| a.hour.cmp(&b.hour));
    window
}

fn limit(max_removals: &IntOrString, base: usize) -> usize {
    match max_removals {
        IntOrString::Int(people) => count(*people),
        IntOrString::String(share) => {
            let percent: usize = share.trim_end_matches('%').parse().unwrap_or(0);
            LEAST_LIMIT.max(base * percent / 100)
        }
    }
}

pub type TakenOut = Vec<(Candidate, HeldReason, String)>;

pub fn hold(view: &View, plan: &mut Plan, taken: TakenOut) {
    for (candidate, reason, message) in taken {
        plan.hold_candidate(view, candidate, reason, message);
    }
}

/// Held for one reason that a person may overrule: the set gets a digest, and a very large one is offered in parts.
pub fn hold_for_approval(view: &View, plan: &mut Plan, taken: TakenOut) {
    let Some(reason) = taken.first().map(|(_, reason, _)| *reason) else { return };
    let organization = view.snapshot.target.organization_id;
    let mut held: Vec<(String, String, Timestamp)> = Vec::new();
    for (candidate, reason, message) in taken {
        let email = candidate.email.clone();
        let step = approval::step(organization, reason, &email, &candidate.action);
        let since = plan.hold_candidate(view, candidate, reason, message);
        held.push((email, step, since));
    }
    for part in held.chunks(MOST_STEPS) {
        let since = part.iter().map(|(_, _, since)| *since).max().unwrap_or(view.now());
        // Where nobody remembers it, the same steps have the same digest in each run.
        let named = if view.ledger.kept == Kept::InStatus { since } else { Timestamp::UNIX_EPOCH };
        let steps: Vec<String> = part.iter().map(|(_, step, _)| step.clone()).collect();
        plan.sets.push(HeldSet {
            reason,
            digest: approval::digest(view.ledger, organization, reason, named, &steps),
            since,
            who: part.iter().map(|(email, _, _)| email.clone()).collect(),
            steps,
        });
    }
}

/// Candidates are judged in the order of their addresses, so that the same plan holds the same people.
pub fn take_out(
    candidates: &mut Vec<Candidate>,
    mut judge: impl FnMut(&Candidate) -> Option<(HeldReason, String)>,
) -> TakenOut {
    candidates.sort_by(|a, b| (&a.email, &a.cause).cmp(&(&b.email, &b.cause)));
    let mut taken = Vec::new();
    let mut kept = Vec::new();
    for candidate in candidates.drain(..) {
        match judge(&candidate) {
            Some((reason, message)) => taken.push((candidate, reason, message)),
            None => kept.push(candidate),
        }
    }
    *candidates = kept;
    taken
}

fn count(number: i32) -> usize {
    usize::try_from(number).unwrap_or_default()
}
