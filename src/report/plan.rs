//! The plan as a value whose JSON is a contract: docs/command-line.md explains every field.

use super::change::{Change, Kind, changes};
use crate::engine::desired::{Desired, Invite};
use crate::engine::ledger::Ledger;
use crate::engine::plan::{Plan, UNTOLD_ROLE, unmanaged};
use crate::engine::snapshot::Snapshot;
use crate::label_studio::Edition;
use crate::resources::{HeldReason, Mode, Organization, SAME_WISH};
use serde::Serialize;
use std::collections::BTreeSet;

/// The form of the JSON. It changes only with a line in the changelog.
const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    version: u32,
    /// Nothing is to be changed and nothing is held that a person has to look at.
    pub in_sync: bool,
    pub organizations: Vec<OrganizationReport>,
    /// UserInvites that were left out, in words.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationReport {
    /// `namespace/name`, or the name alone where the file names no namespace.
    pub name: String,
    pub url: String,
    /// As it was found; absent where nobody looked, since it is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<FoundOrganization>,
    /// `Enforce` or `Observe`: then nothing is ever applied.
    pub mode: Mode,
    pub suspended: bool,
    pub changes: Vec<Change>,
    pub held: Vec<Held>,
    /// What of it may be done all the same, once, by `apply --approve DIGEST`.
    pub approvable: Vec<Approvable>,
    /// What is declared and not the command line's to do.
    pub notes: Vec<String>,
    pub totals: Totals,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundOrganization {
    pub organization_id: i64,
    pub title: String,
    /// `Enterprise` or `Community`.
    pub edition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Wanted, and not done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// One of the reasons of docs/people.md.
    pub reason: String,
    pub message: String,
    /// None for what is about the organization itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_invite: Option<String>,
    /// A person has to do something about it, or nobody can tell yet.
    pub blocks: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Approvable {
    pub reason: String,
    pub digest: String,
    pub people: usize,
}

/// People, but for `other`: title, default role and workspaces.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub invite: usize,
    pub change_role: usize,
    /// Deactivated, removed, or an invitation revoked.
    pub take_access: usize,
    pub other: usize,
    pub held: usize,
    pub as_declared: usize,
    /// Members whom no manifest names: nothing is ever done to them.
    pub unmanaged: usize,
}

impl Report {
    pub fn new(organizations: Vec<OrganizationReport>, notes: Vec<String>) -> Self {
        let in_sync = organizations.iter().all(|report| !report.is_suspended_or_held() && report.changes.is_empty());
        Self { version: VERSION, in_sync, organizations, notes }
    }

    pub fn changes(&self) -> usize {
        self.organizations.iter().map(|organization| organization.changes.len()).sum()
    }

    /// Whether something is held that a person has to look at.
    pub fn is_held(&self) -> bool {
        self.organizations.iter().any(OrganizationReport::is_suspended_or_held)
    }
}

impl OrganizationReport {
    /// `stands`: where everybody stands before the plan is carried out.
    pub fn new(
        name: String,
        organization: &Organization,
        desired: &Desired,
        snapshot: &Snapshot,
        plan: &Plan,
        stands: &Ledger,
    ) -> Self {
        let mut changes: Vec<Change> =
            plan.steps.iter().flat_map(|step| changes(desired, &step.cause, &step.action)).collect();
        changes.extend(searched_first(desired, plan, stands));
        let held = held(desired, plan, stands);
        let approvable = plan.sets.iter().map(|set| Approvable {
            reason: set.reason.to_string(),
            digest: set.digest.clone(),
            people: set.who.len(),
        });
        let mut totals = totals(&changes, &held, desired, stands);
        totals.unmanaged = unmanaged(snapshot, desired).len();
        Self {
            found: Some(FoundOrganization {
                organization_id: snapshot.target.organization_id,
                title: snapshot.title.clone(),
                edition: snapshot.edition.to_string(),
                version: snapshot.release.clone(),
            }),
            approvable: approvable.collect(),
            notes: notes(organization, snapshot.edition),
            changes,
            held,
            totals,
            ..Self::empty(name, organization)
        }
    }

    /// Nobody looks at one that is suspended.
    pub fn suspended(name: String, organization: &Organization) -> Self {
        Self { suspended: true, ..Self::empty(name, organization) }
    }

    fn empty(name: String, organization: &Organization) -> Self {
        Self {
            name,
            url: organization.spec.url.clone(),
            found: None,
            mode: organization.spec.mode,
            suspended: false,
            changes: Vec::new(),
            held: Vec::new(),
            approvable: Vec::new(),
            notes: Vec::new(),
            totals: Totals::default(),
        }
    }

    fn is_suspended_or_held(&self) -> bool {
        self.suspended || self.held.iter().any(|held| held.blocks)
    }
}

/// Whom the plan neither does something for nor knows: they are searched for before they are invited.
fn searched_first(desired: &Desired, plan: &Plan, stands: &Ledger) -> Vec<Change> {
    let steps: BTreeSet<&str> = plan.steps.iter().flat_map(|step| step.action.emails()).collect();
    let of = |invite: &Invite, typed: &str| Change {
        email: Some(typed.trim().to_owned()),
        user_invite: Some(invite.name.clone()),
        to: Some(invite.role.to_string()),
        workspaces: invite.workspaces.clone(),
        projects: invite.projects.clone(),
        searched_first: true,
        ..Change::new(Kind::Invite)
    };
    let unknown = |invite: &Invite, email: &str| {
        !steps.contains(email) && stands.person(&invite.name, email).is_none() && invite.is_named()
    };
    let invites = desired.invites.iter();
    invites
        .flat_map(|invite| {
            let people = invite.emails.iter().filter(move |(email, _)| unknown(invite, email));
            people.map(move |(_, typed)| of(invite, typed))
        })
        .collect()
}

fn held(desired: &Desired, plan: &Plan, stands: &Ledger) -> Vec<Held> {
    let mut held = Vec::new();
    if let Some((field, reason, message)) = &plan.refused {
        let (reason, message) = (reason.to_string(), format!("spec.{field}: {message}"));
        held.push(Held { reason, message, email: None, user_invite: None, blocks: true });
    }
    for invite in &desired.invites {
        let people = stands.invites.get(&invite.name).map(|memory| memory.users.values());
        for person in people.into_iter().flatten() {
            let Some(reason) = &person.reason else { continue };
            let message = person.message.clone().unwrap_or_default();
            let known = HeldReason::ALL.into_iter().find(|known| known.as_str() == reason);
            // The same wish twice; and an invitation that an earlier run may have sent itself.
            let harmless = message.starts_with(SAME_WISH) || message.starts_with(UNTOLD_ROLE);
            // Acted on once, it says to whoever remembers; here nobody does.
            let message = if message.contains("annotate") { format!("{message}{UNHEEDED}") } else { message };
            held.push(Held {
                reason: reason.clone(),
                // In a cluster an incomplete roster is read again; here nobody does.
                blocks: known.is_none_or(|known| known.stalls() || known == HeldReason::IncompleteRoster) && !harmless,
                message,
                email: Some(person.email.trim().to_owned()),
                user_invite: Some(invite.name.clone()),
            });
        }
    }
    held
}

/// After a message that is made for a status.
const UNHEEDED: &str = " (that is for the operator in a cluster: here take the address out, or invite by hand)";

fn totals(changes: &[Change], held: &[Held], desired: &Desired, stands: &Ledger) -> Totals {
    let of = |test: &dyn Fn(Kind) -> bool| changes.iter().filter(|change| test(change.action)).count();
    let busy: BTreeSet<(&str, &str)> =
        changes.iter().filter_map(|change| Some((change.user_invite.as_deref()?, change.email.as_deref()?))).collect();
    let stand = desired.invites.iter().filter_map(|invite| Some((invite, stands.invites.get(&invite.name)?)));
    let settled = stand.flat_map(|(invite, memory)| {
        let people = memory.users.values().filter(|person| person.reason.is_none());
        people.filter(|person| !busy.contains(&(invite.name.as_str(), person.email.trim())))
    });
    Totals {
        invite: of(&|kind| matches!(kind, Kind::Invite | Kind::InviteAnew)),
        change_role: of(&|kind| kind == Kind::SetRole),
        take_access: of(&|kind| matches!(kind, Kind::Deactivate | Kind::Remove | Kind::Revoke)),
        other: of(&|kind| matches!(kind, Kind::SetTitle | Kind::SetDefaultRole | Kind::AddToWorkspace)),
        held: held.len(),
        as_declared: settled.count(),
        unmanaged: 0,
    }
}

fn notes(organization: &Organization, edition: Edition) -> Vec<String> {
    let spec = &organization.spec;
    let mut notes = Vec::new();
    if spec.mode == Mode::Observe {
        notes.push("spec.mode is Observe: nothing of this is applied".to_owned());
    }
    if spec.default_role.is_some() && edition == Edition::Community {
        notes.push("spec.defaultRole: the open-source edition has no roles".to_owned());
    }
    for (field, declared) in [("signup", spec.signup.is_some()), ("inviteLink", spec.invite_link.is_some())] {
        if declared {
            notes.push(format!("spec.{field} is kept by the operator in the cluster alone"));
        }
    }
    notes
}
