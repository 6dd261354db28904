//! Start in sync, change one thing, assert the plan.

mod approvals;
mod carry_out;
mod claims;
mod departures;
mod doubles;
mod expiry;
mod grants;
mod grants_withdrawn;
mod guards;
mod hidden;
mod invitations;
mod left_behind;
mod life;
mod losses;
mod marks;
mod members;
mod places;
mod reinvite;
mod seats;
mod strangers;

use super::*;
use crate::engine::desired::desired;
use crate::engine::ledger::{Asked, InviteMemory, MarkSeen, Passing};
use crate::engine::mark::{MailPatience, MarkVerdict, settle_mark};
use crate::engine::outcome;
use crate::engine::snapshot::{Completeness, Found, Snapshot};
use crate::engine::workspaces::Workspaces;
use crate::label_studio::{Boottime, Edition, InvitationState, Member, Role};
use crate::resources::{
    DeletionPolicy, Departure, InFlight, InviteRole, Organization, RemovalBucket, Target, UserInvite, UserInviteSpec,
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::sync::Arc;
use std::time::Duration;

/// An organization in sync: what is declared, what is there, and what is remembered agree.
#[expect(clippy::struct_excessive_bools, reason = "each one is a circumstance of its own")]
struct World {
    organization: Organization,
    invites: Vec<UserInvite>,
    members: Vec<Member>,
    edition: Edition,
    completeness: Completeness,
    /// Whom a search was made for, and did not find.
    sought: Vec<String>,
    search_finds: Option<bool>,
    seats: Option<crate::resources::Seats>,
    /// Whether the organization lets roles be set by hand.
    roles_by_hand: bool,
    /// Whether the server can send mail, and its licence allows it.
    email_configured: bool,
    may_invite: bool,
    workspaces: Workspaces,
    ledger: Ledger,
    now: Timestamp,
    mail_allowed: bool,
    fresh: bool,
    /// Whom another Organization for the same server claims.
    elsewhere: Vec<String>,
    /// Namespaces that cannot be listed.
    unlisted: Vec<String>,
    /// UserInvites whose status cannot be written.
    left_behind: Vec<String>,
}

const OWNER: i64 = 1;
const ME: i64 = 2;

fn noon() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

impl World {
    fn empty() -> Self {
        let spec =
            serde_json::json!({"url": "https://ls.example.com", "credentials": {"secretRef": {"name": "token"}}});
        let organization = Organization::new("acme", serde_json::from_value(spec).unwrap());
        let mut world = Self {
            organization,
            invites: Vec::new(),
            members: Vec::new(),
            edition: Edition::Enterprise,
            completeness: Completeness::Complete,
            sought: Vec::new(),
            search_finds: None,
            seats: None,
            roles_by_hand: true,
            email_configured: true,
            may_invite: true,
            workspaces: Workspaces::default(),
            ledger: Ledger { invitations_visible: Some(true), target: Some(target()), ..Ledger::default() },
            now: noon(),
            mail_allowed: true,
            fresh: true,
            elsewhere: Vec::new(),
            left_behind: Vec::new(),
            unlisted: Vec::new(),
        };
        world.member(OWNER, "owner@example.com", Role::Owner);
        world.member(ME, "operator@example.com", Role::Administrator);
        world
    }

    /// Ten Annotators in one UserInvite, and two Administrators in another.
    fn in_sync() -> Self {
        let mut world = Self::empty();
        let annotators: Vec<String> = (0..10).map(|n| format!("person{n}@example.com")).collect();
        let administrators = ["anna@example.com".to_owned(), "ben@example.com".to_owned()];
        for (n, email) in annotators.iter().enumerate() {
            world.member(10 + i64::try_from(n).unwrap(), email, Role::Annotator);
        }
        for (n, email) in administrators.iter().enumerate() {
            world.member(50 + i64::try_from(n).unwrap(), email, Role::Administrator);
        }
        world.invite("annotators", InviteRole::Annotator, &annotators);
        world.invite("administrators", InviteRole::Administrator, &administrators);
        world.settle();
        world
    }

    fn member(&mut self, user_id: i64, email: &str, role: Role) {
        self.members.push(Member {
            user_id,
            email: email.to_owned(),
            role: Some(role),
            invitation: InvitationState::None,
            invited_at: None,
            expired_at: None,
            last_activity: None,
            is_service: false,
            role_source: None,
        });
    }

    fn invite(&mut self, name: &str, role: InviteRole, emails: &[String]) {
        let spec = serde_json::json!({"organizationRef": {"name": "acme"}, "emails": emails, "role": role});
        let mut invite = UserInvite::new(name, serde_json::from_value(spec).unwrap());
        invite.metadata.creation_timestamp = Some(Time(noon()));
        self.invites.push(invite);
    }

    fn edit(&mut self, name: &str, change: impl FnOnce(&mut UserInviteSpec)) {
        change(&mut self.invites.iter_mut().find(|i| i.metadata.name.as_deref() == Some(name)).unwrap().spec);
    }

    fn change_member(&mut self, email: &str, change: impl FnOnce(&mut Member)) {
        change(self.members.iter_mut().find(|m| m.email == email).unwrap());
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new(Found {
            target: target(),
            edition: self.edition,
            release: None,
            title: "Acme".to_owned(),
            default_role: Some(Role::Pending),
            me: ME,
            own_address: "operator@example.com".to_owned(),
            created_by: Some(OWNER),
            roles_by_hand: self.roles_by_hand,
            email_configured: self.email_configured,
            may_invite: self.may_invite,
            seats: self.seats,
            completeness: self.completeness,
            begun: Boottime::now(),
            members: self.members.clone(),
        });
        snapshot.search_finds = self.search_finds;
        snapshot.workspaces = self.workspaces.clone();
        self.sought.iter().for_each(|email| snapshot.fold_search(email, Vec::new()));
        snapshot
    }

    fn plan(&self) -> Plan {
        let circumstances = Circumstances { now: self.now, mail_allowed: self.mail_allowed, roster_fresh: self.fresh };
        let mut desired = desired(&self.organization, &self.invites, self.now);
        desired.elsewhere.extend(self.elsewhere.iter().cloned());
        desired.left_behind.extend(self.left_behind.iter().cloned());
        desired.leave_out(self.unlisted.iter().cloned().collect());
        plan(&desired, &self.snapshot(), &self.ledger, circumstances)
    }

    /// Records where everybody stands, as a pass does.
    fn settle(&mut self) -> Plan {
        let mut plan = self.plan();
        outcome::settle(&mut self.ledger, &mut plan, &target());
        for invite in &mut self.invites {
            let name = invite.key();
            let users = self
                .ledger
                .invites
                .get(&name)
                .map(|memory| memory.users.values().cloned().collect())
                .unwrap_or_default();
            let status = crate::resources::UserInviteStatus { users, ..Default::default() };
            invite.status = Some(status);
        }
        plan
    }

    fn read_roster(&mut self) {
        let snapshot = self.snapshot();
        outcome::take_in_roster(&mut self.ledger, &snapshot);
    }

    /// A revocation was answered so; rosters are read later.
    fn finds_nothing_open(&mut self, email: &str) {
        let snapshot = self.snapshot();
        outcome::nothing_open(&mut self.ledger, &snapshot, email);
    }

    fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    fn person(&self, invite: &str, email: &str) -> &Person {
        self.ledger.person(invite, email).unwrap()
    }

    /// To change what is remembered behind the plan's back.
    fn remembered(&mut self, invite: &str, email: &str) -> &mut Person {
        let memory = self.ledger.invites.get_mut(invite).unwrap();
        Arc::make_mut(memory.users.get_mut(email).unwrap())
    }
}

fn target() -> Target {
    Target {
        organization_id: 1,
        created_at: None,
        edition: "Enterprise".to_owned(),
        url: "https://ls.example.com".to_owned(),
    }
}

fn steps(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.action.to_string()).collect()
}

fn held(plan: &Plan) -> Vec<(HeldReason, Vec<String>)> {
    plan.held.clone().into_iter().collect()
}

/// In sync, with one invitation that the person has not accepted.
fn invited(email: &str, role: &str) -> World {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.push(email.to_owned()));
    world.member(99, email, Role::Annotator);
    world.change_member(email, |m| m.invitation = InvitationState::Open);
    let mut person = Person::new(email, PersonState::Invited);
    person.invited_at = Some(Time(noon()));
    person.attempts = Some(1);
    person.role = Some(role.to_owned());
    person.since = Some(Time(noon()));
    world.ledger.invites.get_mut("annotators").unwrap().users.insert(email.to_owned(), person.into());
    world
}
