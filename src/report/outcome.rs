//! What became of it: what the server took, what is held, and what is left undone.

use super::change::{Change, changes};
use super::plan::{Held, OrganizationReport};
use super::text::{Paint, heading, held_line, line};
use crate::engine::desired::Desired;
use crate::standalone::Deed;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeReport {
    pub name: String,
    pub done: Vec<Change>,
    pub held: Vec<Held>,
    /// Neither done nor held: it was stopped, or the server failed.
    pub left: Vec<Change>,
    /// Why it ended before everything was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Nobody looked, since it is suspended.
    suspended: bool,
    #[serde(skip)]
    heading: String,
}

impl OutcomeReport {
    /// `planned`: before anything was done; `after`: what stands now.
    pub fn new(
        planned: &OrganizationReport,
        after: OrganizationReport,
        desired: &Desired,
        deeds: &[Deed],
        error: Option<String>,
    ) -> Self {
        let done: Vec<Change> = deeds.iter().flat_map(|deed| changes(desired, &deed.cause, &deed.action)).collect();
        let OrganizationReport { name, held, .. } = after;
        let about = |change: &Change| (change.action, change.email.clone());
        let known: BTreeSet<_> = done.iter().map(about).collect();
        let names: BTreeSet<&str> = held.iter().map(|held| held.email.as_str()).collect();
        let is_held = |change: &Change| change.email.as_deref().is_some_and(|email| names.contains(email));
        let undone = planned.changes.iter().filter(|change| !known.contains(&about(change)) && !is_held(change));
        // Without an error whoever is left turned out to be there as declared.
        let left = undone.filter(|_| error.is_some()).cloned().collect();
        Self { name, done, held, left, error, suspended: false, heading: heading(planned) }
    }

    /// Nothing was to be done, or nothing may be.
    pub fn untouched(planned: &OrganizationReport) -> Self {
        let OrganizationReport { name, held, changes, suspended, .. } = planned.clone();
        let heading = heading(planned);
        Self { name, done: Vec::new(), held, left: changes, error: None, suspended, heading }
    }

    /// Whether something is held that a person has to look at, or all of it by the Organization itself.
    pub fn is_held(&self) -> bool {
        self.suspended || !self.left.is_empty() || self.held.iter().any(|held| held.blocks)
    }
}

pub fn outcome_text(report: &OutcomeReport, paint: Paint) -> String {
    let OutcomeReport { done, held, left, error, heading, .. } = report;
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
    if let Some(error) = error {
        let _ = writeln!(text, "  {error}");
    }
    let _ = writeln!(text, "Done: {}, held: {}, not done: {}.", done.len(), held.len(), left.len());
    text
}
