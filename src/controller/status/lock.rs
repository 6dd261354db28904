//! What an Organization's status says of the sign-up lock: its condition, there only while the lock is declared, and what it
//! means for Ready.

use super::{Verdict, as_before, known};
use crate::controller::signup_lock::LockState;
use crate::resources::{Organization, condition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

const CONDITION: &str = "SignupRestricted";

/// None where nothing is said: the lock is not declared.
pub fn lock_condition(
    organization: &Organization,
    state: Option<&LockState>,
    generation: Option<i64>,
    now: Timestamp,
) -> Option<Condition> {
    if !is_declared(organization) {
        return None;
    }
    let (closed, reason, message) = match state {
        // Not its turn: what was known stays.
        None => return known(organization, CONDITION).cloned(),
        Some(LockState::Closed) => (true, "SignupClosed", "the server refuses who has no invite link".to_owned()),
        Some(LockState::RollingOut(message)) => (false, "RollingOut", message.clone()),
        Some(LockState::Observed) => (
            false,
            "Observing",
            "spec.mode is Observe, so no workload is changed and the server is not asked".to_owned(),
        ),
        Some(LockState::Unsupported) => (
            false,
            "UnsupportedOnCloud",
            "spec.signup.requireInvite: the vendor's cloud has no such switch: leave the field out".to_owned(),
        ),
        Some(LockState::Failed(problem)) => (false, problem.reason, problem.message.clone()),
    };
    let before = organization.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    Some(condition(before, CONDITION, closed, reason, message, generation, now))
}

/// Why the Organization is not Ready because of its lock.
pub fn lock_verdict(
    organization: &Organization,
    state: Option<&LockState>,
    generation: Option<i64>,
) -> Option<Verdict> {
    match state {
        Some(LockState::RollingOut(message)) => Some(under_way("RollingOut", message.clone())),
        Some(LockState::Failed(problem)) => Some(Verdict::of(problem)),
        None if is_declared(organization) => as_before(organization, CONDITION, generation),
        Some(LockState::Closed | LockState::Observed | LockState::Unsupported) | None => None,
    }
}

fn is_declared(organization: &Organization) -> bool {
    organization.spec.signup.as_ref().is_some_and(|signup| signup.require_invite)
}

fn under_way(reason: &'static str, message: String) -> Verdict {
    Verdict { ready: false, reason, message, reconciling: true, stalled: false }
}
