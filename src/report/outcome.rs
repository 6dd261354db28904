//! What became of it: what the server took, what is held, and what is left undone.

use super::change::{Change, changes};
use super::plan::{Held, OrganizationReport};
use super::text::{Paint, heading, held_line, line};
use crate::engine::desired::Desired;
use crate::engine::plan::Step;
use crate::resources::folded;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeReport {
    pub name: String,
    pub done: Vec<Change>,
    pub held: Vec<Held>,
    /// What is still to be done: it was stopped, or the server failed.
    pub left: Vec<Change>,
    /// Addresses of a mail whose answer was lost, and of which nothing more is known.
    pub unknown: Vec<String>,
    /// Why it ended before everything was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Nobody looked, since it is suspended.
    suspended: bool,
    #[serde(skip)]
    heading: String,
}

impl OutcomeReport {
    /// `planned`: before anything was done; `after`: what stands now; `deeds`: what the server took.
    pub fn new(
        planned: &OrganizationReport,
        after: OrganizationReport,
        desired: &Desired,
        deeds: &[Step],
        unknown: Vec<String>,
        error: Option<String>,
    ) -> Self {
        let mut done: Vec<Change> = deeds.iter().flat_map(|step| changes(desired, &step.cause, &step.action)).collect();
        let OrganizationReport { name, held, changes: mut left, .. } = after;
        let is_unknown = |change: &Change| change.email.as_ref().is_some_and(|email| unknown.contains(&folded(email)));
        left.retain(|change| !is_unknown(change));
        if error.is_none() {
            // Taken though its answer was lost: what came after shows it.
            let told: BTreeSet<String> = done.iter().chain(&left).map(Change::key).collect();
            let held: BTreeSet<&Option<String>> = held.iter().map(|held| &held.email).collect();
            // Whom a search found needed no mail.
            let may_be = |change: &Change| !change.searched_first && !is_unknown(change);
            let taken =
                |change: &&Change| may_be(change) && !held.contains(&change.email) && !told.contains(&change.key());
            done.extend(planned.changes.iter().filter(taken).cloned());
        }
        Self { name, done, held, left, unknown, error, suspended: false, heading: heading(planned) }
    }

    /// Nothing was to be done, or nothing may be.
    pub fn untouched(planned: &OrganizationReport) -> Self {
        let OrganizationReport { name, held, changes, suspended, .. } = planned.clone();
        let (done, unknown, heading) = (Vec::new(), Vec::new(), heading(planned));
        Self { name, done, held, left: changes, unknown, error: None, suspended, heading }
    }

    /// Nothing was begun, and why.
    pub fn not_begun(planned: &OrganizationReport, why: String) -> Self {
        Self { error: Some(why), ..Self::untouched(planned) }
    }

    /// Whether something is held that a person has to look at, or all of it by the Organization itself.
    pub fn is_held(&self) -> bool {
        self.suspended || !self.left.is_empty() || self.held.iter().any(|held| held.blocks)
    }
}

pub fn outcome_text(report: &OutcomeReport, paint: Paint) -> String {
    let OutcomeReport { done, held, left, unknown, error, heading, .. } = report;
    let mut text = format!("{heading}\n");
    for change in done {
        line(&mut text, change, paint);
    }
    for held in held {
        held_line(&mut text, held, paint);
    }
    for change in left {
        let _ = writeln!(text, "  {} not done: {change}", paint('?'));
    }
    for email in unknown {
        let _ = writeln!(text, "  {} {email}: may have been mailed: look before you run this again", paint('?'));
    }
    if let Some(error) = error {
        let _ = writeln!(text, "  {error}");
    }
    let unknown = if unknown.is_empty() { String::new() } else { format!(", unknown: {}", unknown.len()) };
    let _ = writeln!(text, "Done: {}, held: {}, not done: {}{unknown}.", done.len(), held.len(), left.len());
    text
}
