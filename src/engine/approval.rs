//! One-time approval of what a guard holds: it names exactly those steps, and lets them and no others pass, over any number
//! of passes and restarts, until each is done or a day is over. Pure.

use super::ledger::Ledger;
use super::plan::{Action, HeldSet};
use crate::resources::{Approval, HeldReason, later};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// So many steps are approved at a time; of a larger set the first so many are offered, then the next.
pub const MOST_STEPS: usize = 5000;
/// So many approvals are known besides the last: a digest that is used stays refused.
pub const MOST_EARLIER: usize = 15;
/// What is not done by then is held again.
const LIFE: SignedDuration = SignedDuration::from_hours(24);
/// Characters of a step that tell whom it is about; the others tell what.
const WHOM: usize = 6;

const WHAT: usize = 6;

/// What the annotation says, besides nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Named {
    /// One of the sets that are held.
    Held,
    /// An approval that was used.
    Used,
    Nothing,
}

/// Takes the approval that `approve` names into use, beside those before it: each has its own day. True: plan again.
pub fn use_approval(ledger: &mut Ledger, approve: Option<&str>, sets: &[HeldSet], now: Timestamp) -> bool {
    let named = approve.map(str::trim).and_then(|digest| sets.iter().find(|set| set.digest == digest));
    let Some(set) = named.filter(|set| !is_used(ledger, &set.digest)) else { return false };
    all_mut(ledger).filter(|approval| !is_valid(approval, now)).for_each(|over| over.steps.clear());
    let left: usize = all(ledger).map(|approval| approval.steps.len()).sum();
    let room = all(ledger).count() <= MOST_EARLIER || all(ledger).any(|approval| approval.steps.is_empty());
    if left + set.steps.len() > MOST_STEPS || !room {
        // Those before it have to be carried out first.
        return false;
    }
    record_use(ledger, Approval { digest: set.digest.clone(), at: Time(now), steps: set.steps.clone() });
    true
}

/// Where there are too many the oldest of which nothing is left is forgotten.
pub fn record_use(ledger: &mut Ledger, approval: Approval) {
    if let Some(before) = ledger.approval.replace(approval) {
        ledger.earlier_approvals.insert(0, before);
    }
    let earlier = &mut ledger.earlier_approvals;
    if earlier.len() > MOST_EARLIER {
        let spent = earlier.iter().rposition(|approval| approval.steps.is_empty());
        earlier.remove(spent.unwrap_or(MOST_EARLIER));
    }
}

fn all(ledger: &Ledger) -> impl Iterator<Item = &Approval> {
    ledger.approval.iter().chain(&ledger.earlier_approvals)
}

fn all_mut(ledger: &mut Ledger) -> impl Iterator<Item = &mut Approval> {
    ledger.approval.iter_mut().chain(&mut ledger.earlier_approvals)
}

fn is_valid(approval: &Approval, now: Timestamp) -> bool {
    now < later(approval.at.0, LIFE)
}

pub fn is_used(ledger: &Ledger, digest: &str) -> bool {
    all(ledger).any(|used| used.digest == digest)
}

/// What the annotation names, so that people are told where it names nothing.
pub fn named(ledger: &Ledger, approve: &str, sets: &[HeldSet]) -> Named {
    let approve = approve.trim();
    if is_used(ledger, approve) {
        Named::Used
    } else if sets.iter().any(|set| set.digest == approve) {
        Named::Held
    } else {
        Named::Nothing
    }
}

/// Strikes what is done or no longer wanted: should it be wanted again, it is held again.
pub fn strike(ledger: &mut Ledger, left: Option<Vec<String>>) {
    let Some(left) = left else { return };
    let left: BTreeSet<String> = left.into_iter().collect();
    all_mut(ledger).for_each(|approval| approval.steps.retain(|step| left.contains(step)));
}

/// The steps that may pass now.
pub fn approved(ledger: &Ledger, now: Timestamp) -> BTreeSet<&str> {
    let valid = all(ledger).filter(|approval| is_valid(approval, now));
    valid.flat_map(|approval| &approval.steps).map(String::as_str).collect()
}

/// One step, short: whom it is about, what is done and which guard is to let it pass. The same step of another organization
/// is another one.
pub fn step(organization: i64, reason: HeldReason, email: &str, action: &Action) -> String {
    let from = match action {
        Action::SetRole { user_id, from, .. } => format!("{user_id} {from}"),
        Action::Remove { user_id, from, .. } => {
            format!("{user_id} {}", from.as_ref().map_or("", |role| role.as_code()))
        }
        _ => String::new(),
    };
    format!(
        "{}{}",
        whom(email),
        short(&[&organization.to_string(), reason.as_str(), email, &action.verb(), &from], WHAT)
    )
}

/// The part of a step that tells whom it is about.
pub fn whom(email: &str) -> String {
    short(&[email], WHOM)
}

pub fn is_about(step: &str, whom: &BTreeSet<String>) -> bool {
    step.get(..WHOM).is_some_and(|who| whom.contains(who))
}

/// `since` makes the same people held again another set. One whose approval is over without having been carried out, as
/// when the server was away, gets a new digest too.
pub fn digest(ledger: &Ledger, organization: i64, reason: HeldReason, since: Timestamp, steps: &[String]) -> String {
    let mut parts = vec![organization.to_string(), reason.to_string(), since.to_string()];
    parts.extend_from_slice(steps);
    let digest = |parts: &[String]| short(&parts.iter().map(String::as_str).collect::<Vec<_>>(), 12);
    let mut found = digest(&parts);
    while let Some(used) = all(ledger).find(|used| used.digest == found) {
        parts.push(used.at.0.to_string());
        found = digest(&parts);
    }
    found
}

fn short(parts: &[&str], characters: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut text = format!("{:x}", hash.finalize());
    text.truncate(characters);
    text
}
