//! What makes a mistake survivable: an administrator always remains, and no more people lose access or rank within
//! a day than the Organization allows. All or nothing: half of a mistake is no better.

use super::{Action, Candidate, Plan, View};
use crate::label_studio::Role;
use crate::resources::{HeldReason, RemovalBucket};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// At least so many Administrators keep their role, not counting the Owner and the operator's own account.
const LEAST_ADMINISTRATORS: usize = 1;
/// A percentage of a small team still lets it offboard a few people without a ceremony.
const LEAST_LIMIT: usize = 3;
/// A bucket holds one hour, so it counts until its last minute is a day old.
const WINDOW: SignedDuration = SignedDuration::from_hours(25);

pub fn keep_an_administrator(view: &View, plan: &mut Plan, candidates: &mut Vec<Candidate>) {
    let mut left = view.snapshot.other_administrators();
    let taken = take_out(candidates, |candidate| {
        if !takes_an_administrator(&candidate.action) {
            return None;
        }
        if left > LEAST_ADMINISTRATORS {
            left -= 1;
            return None;
        }
        let message =
            "is the last Administrator besides the Owner and the operator: make somebody else Administrator first";
        Some((HeldReason::LastAdministrator, message.to_owned()))
    });
    hold(view, plan, taken);
}

pub fn limit_removals(view: &View, plan: &mut Plan, candidates: &mut Vec<Candidate>) {
    // Who is counted already, by an attempt whose answer was lost, is not counted twice.
    let counted = |candidate: &&Candidate| view.ledger.passing.reserved.contains_key(&candidate.email);
    let wanted = candidates.iter().filter(|c| c.action.removes() && !counted(c)).count();
    let window = removals_in_window(&view.ledger.removals, view.now());
    let used: usize = window.iter().map(|bucket| count(bucket.count)).sum();
    let base = window.first().map_or(view.snapshot.with_access(), |bucket| count(bucket.base));
    let limit = limit(&view.desired.max_removals, base);
    if wanted == 0 || used + wanted <= limit {
        return;
    }
    if let Some(oldest) = window.first() {
        Plan::due_at(&mut plan.due, oldest.hour.0 + WINDOW);
    }
    let message = format!(
        "{wanted} people would lose access or rank; within 24 hours at most {limit} may (spec.guards.maxRemovals of the Organization), {used} did: wait, or raise it"
    );
    let judge = |candidate: &Candidate| candidate.action.removes().then(|| (HeldReason::RemovalGuard, message.clone()));
    let taken = take_out(candidates, judge);
    hold(view, plan, taken);
}

/// The buckets that still count, oldest first.
pub fn removals_in_window(removals: &[RemovalBucket], now: Timestamp) -> Vec<&RemovalBucket> {
    let mut window: Vec<&RemovalBucket> = removals.iter().filter(|bucket| now < bucket.hour.0 + WINDOW).collect();
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

fn takes_an_administrator(action: &Action) -> bool {
    match action {
        Action::SetRole { from, .. } => *from == Role::Administrator,
        Action::Remove { from, .. } => *from == Some(Role::Administrator),
        Action::SetTitle { .. }
        | Action::SetDefaultRole { .. }
        | Action::Revoke { .. }
        | Action::Invite { .. }
        | Action::InviteAnew { .. } => false,
    }
}

fn hold(view: &View, plan: &mut Plan, taken: TakenOut) {
    for (candidate, reason, message) in taken {
        plan.hold_candidate(view, candidate, reason, message);
    }
}

type TakenOut = Vec<(Candidate, HeldReason, String)>;

/// Candidates are judged in the order of their addresses, so that the same plan holds the same people.
fn take_out(
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
