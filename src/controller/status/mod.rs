//! One function builds the complete status of each kind. It is computed from what was found and what became of it,
//! and holds no clock that ticks: when nothing changed, it is equal to what stands.

mod invite;
mod link;
mod lock;
mod organization;
mod people;

pub use invite::{InviteSituation, Sight, invite_status};
pub use link::LinkState;
pub use organization::{OrganizationView, organization_status};
pub use people::approvable;

use crate::engine::problem::{Kind, Problem};
use crate::resources::{HeldReason, Organization, Person, condition, reason_named};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Reasons a UserInvite may be Ready=False for, in the order in which they are told.
struct Verdict {
    ready: bool,
    reason: &'static str,
    message: String,
    reconciling: bool,
    stalled: bool,
}

impl Verdict {
    fn of(problem: &Problem) -> Self {
        let stalled = problem.kind == Kind::Terminal;
        let (reason, message) = (problem.reason, problem.message.clone());
        Self { ready: false, reason, message, reconciling: !stalled, stalled }
    }
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

fn known<'a>(organization: &'a Organization, kind: &str) -> Option<&'a Condition> {
    organization.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == kind)
}

/// In the middle of a pass what comes after the people has not had its turn: what was said of this generation stands, so
/// that nothing flaps. None: it does not stand in the way of Ready.
fn as_before(organization: &Organization, kind: &str, generation: Option<i64>) -> Option<Verdict> {
    let before = organization.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let Some(known) = known(organization, kind).filter(|known| known.observed_generation == generation) else {
        let message = format!("{kind} is looked at after the people");
        return Some(Verdict { ready: false, reason: "Progressing", message, reconciling: true, stalled: false });
    };
    if known.status == "True" || matches!(known.reason.as_str(), "Observing" | "UnsupportedOnCloud") {
        return None;
    }
    let stalled = before.iter().any(|c| c.type_ == "Stalled" && c.reason == known.reason);
    let reason = reason_named(&known.reason).unwrap_or("Progressing");
    Some(Verdict { ready: false, reason, message: known.message.clone(), reconciling: !stalled, stalled })
}

fn stalls(person: &Person) -> bool {
    reason_of(person).stalls()
}

fn reason_of(person: &Person) -> HeldReason {
    let word = person.reason.as_deref().unwrap_or_default();
    HeldReason::ALL.into_iter().find(|reason| reason.as_str() == word).unwrap_or(HeldReason::Failed)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
