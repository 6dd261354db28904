//! The plan as a person reads a change, line by line, with a sign before each: `+` comes, `~` changes, `-` goes, `!` held.

use super::change::Change;
use super::plan::{Held, OrganizationReport, Report, Totals};
use crate::resources::Mode;
use std::fmt::Write as _;

/// How a sign is made to stand out: the command line knows whether it may be in colour.
pub type Paint = fn(char) -> String;

pub fn plan_text(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    for organization in &report.organizations {
        about(&mut text, organization, paint);
        text.push('\n');
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let all = report.organizations.iter().map(|organization| &organization.totals);
    let totals = all.fold(Totals::default(), Totals::with);
    let _ = writeln!(text, "Plan: {totals}");
    text
}

fn about(text: &mut String, report: &OrganizationReport, paint: Paint) {
    let _ = writeln!(text, "{}", heading(report));
    if report.suspended {
        text.push_str("  suspended (spec.suspend): nothing is read or written\n");
        return;
    }
    for change in &report.changes {
        line(text, change, paint);
    }
    for held in &report.held {
        held_line(text, held, paint);
    }
    for set in &report.approvable {
        let _ = writeln!(
            text,
            "  to have what {} holds of {} people done all the same: apply --approve {}",
            set.reason, set.people, set.digest
        );
    }
    for note in &report.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    if report.changes.is_empty() && report.held.is_empty() {
        text.push_str("  as declared\n");
    }
}

pub fn heading(report: &OrganizationReport) -> String {
    let mut heading = format!("Organization {}: {}", report.name, report.url);
    if let Some(found) = &report.found {
        let version = found.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        let _ =
            write!(heading, ", organization {} {:?} ({}{version})", found.organization_id, found.title, found.edition);
    }
    if report.mode == Mode::Observe {
        heading.push_str(", observed only");
    }
    heading
}

pub fn line(text: &mut String, change: &Change, paint: Paint) {
    let _ = writeln!(text, "  {} {change}{}", paint(change.action.sign()), asked_by(change.user_invite.as_deref()));
}

pub fn held_line(text: &mut String, held: &Held, paint: Paint) {
    let Held { reason, message, email, user_invite, .. } = held;
    let whom = email.as_ref().map(|email| format!("{email}: ")).unwrap_or_default();
    let _ = writeln!(text, "  {} {whom}{reason}: {message}{}", paint('!'), asked_by(user_invite.as_deref()));
}

fn asked_by(user_invite: Option<&str>) -> String {
    user_invite.map(|name| format!(" ({name})")).unwrap_or_default()
}

impl Totals {
    fn with(mut self, other: &Self) -> Self {
        self.invite += other.invite;
        self.change_role += other.change_role;
        self.take_access += other.take_access;
        self.other += other.other;
        self.held += other.held;
        self.as_declared += other.as_declared;
        self.unmanaged += other.unmanaged;
        self
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { invite, change_role, take_access, other, held, as_declared, unmanaged } = self;
        let parts = [
            (*invite, "to invite", "to invite"),
            (*change_role, "role to change", "roles to change"),
            (*take_access, "to lose access", "to lose access"),
            (*other, "other change", "other changes"),
            (*held, "held", "held"),
        ];
        let told = parts.iter().filter(|(count, ..)| *count > 0);
        let told = told.map(|(count, one, more)| format!("{count} {}", if *count == 1 { one } else { more }));
        let told: Vec<String> = told.collect();
        let told = if told.is_empty() { "nothing to do".to_owned() } else { told.join(", ") };
        write!(f, "{told}; {as_declared} as declared, {unmanaged} unmanaged.")
    }
}
