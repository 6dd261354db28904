//! Start in sync, change one thing, assert the plan.

use super::*;
use crate::engine::desired::desired;
use crate::engine::ledger::{InviteMemory, MarkSeen, Passing};
use crate::engine::mark::{MailPatience, MarkVerdict, settle_mark};
use crate::engine::outcome;
use crate::engine::snapshot::{Completeness, Found, Snapshot};
use crate::label_studio::{Boottime, Edition, InvitationState, Member, Role};
use crate::resources::{
    DeletionPolicy, Departure, InFlight, InviteRole, Organization, RemovalBucket, Target, UserInvite, UserInviteSpec,
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::time::Duration;

/// An organization in sync: what is declared, what is there, and what is remembered agree.
struct World {
    organization: Organization,
    invites: Vec<UserInvite>,
    members: Vec<Member>,
    edition: Edition,
    completeness: Completeness,
    ledger: Ledger,
    now: Timestamp,
    mail_allowed: bool,
    fresh: bool,
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
            ledger: Ledger { invitations_visible: Some(true), target: Some(target()), ..Ledger::default() },
            now: noon(),
            mail_allowed: true,
            fresh: true,
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
            is_service: false,
            role_source: None,
        });
    }

    fn invite(&mut self, name: &str, role: InviteRole, emails: &[String]) {
        let spec = UserInviteSpec {
            organization_ref: crate::resources::OrganizationRef { name: "acme".to_owned() },
            emails: emails.to_vec(),
            role,
            deletion_policy: DeletionPolicy::Deactivate,
        };
        let mut invite = UserInvite::new(name, spec);
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
        Snapshot::new(Found {
            target: target(),
            edition: self.edition,
            release: None,
            title: "Acme".to_owned(),
            me: ME,
            created_by: Some(OWNER),
            roles_by_hand: true,
            email_configured: true,
            may_invite: true,
            completeness: self.completeness,
            begun: Boottime::now(),
            members: self.members.clone(),
        })
    }

    fn plan(&self) -> Plan {
        let circumstances = Circumstances { now: self.now, mail_allowed: self.mail_allowed, roster_fresh: self.fresh };
        plan(&desired(&self.organization, &self.invites), &self.snapshot(), &self.ledger, circumstances)
    }

    /// Records where everybody stands, as a pass does.
    fn settle(&mut self) -> Plan {
        let mut plan = self.plan();
        outcome::settle(&mut self.ledger, &mut plan, &target());
        for invite in &mut self.invites {
            let name = invite.metadata.name.clone().unwrap();
            let users = self.ledger.invites[&name].users.values().cloned().collect();
            let status = crate::resources::UserInviteStatus { users, ..Default::default() };
            invite.status = Some(status);
        }
        plan
    }

    fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    fn person(&self, invite: &str, email: &str) -> &Person {
        self.ledger.person(invite, email).unwrap()
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

#[test]
fn in_sync_means_no_step() {
    let world = World::in_sync();
    let plan = world.plan();
    assert!(plan.is_done(), "{plan:?}");
    assert_eq!(steps(&plan), Vec::<String>::new());
    assert_eq!(plan.held_count(), 0);
}

#[test]
fn a_new_address_is_invited_and_a_duplicate_by_case_is_one_person() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.extend([" New@Example.com ".to_owned(), "new@example.com".to_owned()]));
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn a_changed_title_is_one_step_and_blanks_around_it_are_none() {
    let mut world = World::in_sync();
    world.organization.spec.title = Some(" Acme ".to_owned());
    assert!(world.plan().steps.is_empty());
    world.organization.spec.title = Some("Acme Labels".to_owned());
    assert_eq!(steps(&world.plan()), ["title \"Acme\" → \"Acme Labels\""]);
}

#[test]
fn a_role_changed_on_the_server_is_put_back() {
    let mut world = World::in_sync();
    world.change_member("person3@example.com", |m| m.role = Some(Role::Reviewer));
    assert_eq!(steps(&world.plan()), ["person3@example.com: Reviewer → Annotator"]);
}

#[test]
fn who_signed_up_by_the_link_gets_the_role() {
    let mut world = World::in_sync();
    world.member(99, "walkin@example.com", Role::Pending);
    world.edit("annotators", |spec| spec.emails.push("walkin@example.com".to_owned()));
    assert_eq!(steps(&world.plan()), ["walkin@example.com: Pending → Annotator"]);
}

#[test]
fn a_deactivated_person_is_reactivated_and_not_invited() {
    let mut world = World::in_sync();
    world.change_member("person3@example.com", |m| m.role = Some(Role::Deactivated));
    assert_eq!(steps(&world.plan()), ["person3@example.com: Deactivated → Annotator"]);
}

#[test]
fn deactivated_is_satisfied_by_somebody_who_is_not_there() {
    let mut world = World::in_sync();
    world.invite("offboarded", InviteRole::Deactivated, &["gone@example.com".to_owned()]);
    let plan = world.settle();
    assert!(plan.is_done());
    assert_eq!(world.person("offboarded", "gone@example.com").state, PersonState::Deactivated);
}

#[test]
fn members_whom_nobody_claims_are_left_alone() {
    let mut world = World::in_sync();
    world.member(99, "stranger@example.com", Role::Manager);
    assert!(world.plan().is_done());
}

#[test]
fn owner_ourselves_service_accounts_and_unknown_roles_are_held_and_the_others_go_on() {
    let mut world = World::in_sync();
    world.member(97, "robot@example.com", Role::Annotator);
    world.change_member("robot@example.com", |m| m.is_service = true);
    world.member(98, "odd@example.com", Role::Other("XX".to_owned()));
    let emails =
        ["owner@example.com", "operator@example.com", "robot@example.com", "odd@example.com", "new@example.com"];
    world.invite("more", InviteRole::Reviewer, &emails.map(str::to_owned));
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 1 as Reviewer: new@example.com"]);
    assert_eq!(
        held(&plan),
        [
            (HeldReason::Owner, vec!["owner@example.com".to_owned()]),
            (HeldReason::Self_, vec!["operator@example.com".to_owned()]),
            (HeldReason::ServiceAccount, vec!["robot@example.com".to_owned()]),
            (HeldReason::UnknownRole, vec!["odd@example.com".to_owned()]),
        ]
    );
}

#[test]
fn two_manifests_for_one_person_the_older_wins_and_the_other_says_who() {
    let mut world = World::in_sync();
    world.invite("rival", InviteRole::Manager, &["person1@example.com".to_owned()]);
    world.invites.last_mut().unwrap().metadata.creation_timestamp = Some(Time(noon() + SignedDuration::from_secs(60)));
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), [(HeldReason::Conflict, vec!["person1@example.com".to_owned()])]);
    let message = world.person("rival", "person1@example.com").message.clone().unwrap();
    assert!(message.contains("UserInvite annotators (Annotator)"), "{message}");
}

#[test]
fn the_order_of_the_manifests_does_not_matter() {
    let mut world = World::in_sync();
    world.invite("rival", InviteRole::Manager, &["person1@example.com".to_owned(), "new@example.com".to_owned()]);
    let forwards = world.plan();
    world.invites.reverse();
    assert_eq!(forwards, world.plan());
}

#[test]
fn an_incomplete_roster_holds_invitations_and_removals_of_those_it_lacks() {
    let mut world = World::in_sync();
    world.completeness = Completeness::Incomplete;
    world.members.retain(|m| m.email != "person2@example.com");
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    let lacking = vec!["new@example.com".to_owned(), "person2@example.com".to_owned()];
    assert_eq!(held(&plan), [(HeldReason::IncompleteRoster, lacking)]);
}

#[test]
fn an_empty_roster_removes_and_invites_nobody() {
    let mut world = World::in_sync();
    world.completeness = Completeness::Incomplete;
    world.members.clear();
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.held[&HeldReason::IncompleteRoster].len(), 12);
}

#[test]
fn who_left_is_not_invited_again_until_removed_and_added() {
    let mut world = World::in_sync();
    world.members.retain(|m| m.email != "person2@example.com");
    assert!(world.settle().steps.is_empty());
    assert_eq!(world.person("annotators", "person2@example.com").state, PersonState::Left);
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.settle();
    world.later(31);
    world.settle();
    assert!(world.ledger.person("annotators", "person2@example.com").is_none());
    world.edit("annotators", |spec| spec.emails.push("person2@example.com".to_owned()));
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: person2@example.com"]);
}

#[test]
fn a_dropped_address_leaves_after_the_grace_and_not_before() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.due, Some(noon() + SignedDuration::from_secs(30)));
    assert_eq!(world.person("annotators", "person2@example.com").state, PersonState::Leaving);
    world.later(30);
    assert_eq!(steps(&world.plan()), ["person2@example.com: Annotator → Deactivated"]);
}

#[test]
fn deletion_policies_retain_and_remove() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| {
        spec.emails.retain(|e| e != "person2@example.com");
        spec.deletion_policy = DeletionPolicy::Remove;
    });
    world.settle();
    world.later(30);
    assert_eq!(steps(&world.plan()), ["person2@example.com: Annotator → removed"]);
    world.edit("annotators", |spec| spec.deletion_policy = DeletionPolicy::Retain);
    assert!(world.settle().is_done());
    assert!(world.ledger.person("annotators", "person2@example.com").is_none());
}

#[test]
fn a_move_to_another_manifest_is_a_role_change_and_no_departure() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.invite("reviewers", InviteRole::Reviewer, &["person2@example.com".to_owned()]);
    let plan = world.plan();
    assert_eq!(steps(&plan), ["person2@example.com: Annotator → Reviewer"]);
    // The old entry stays until the new one is stored.
    world.settle();
    assert!(world.ledger.person("annotators", "person2@example.com").is_some());
    world.change_member("person2@example.com", |m| m.role = Some(Role::Reviewer));
    world.settle();
    world.settle();
    assert!(world.ledger.person("annotators", "person2@example.com").is_none());
    assert_eq!(world.person("reviewers", "person2@example.com").user_id, Some(12));
}

#[test]
fn an_open_invitation_stays_and_is_never_mailed_again() {
    let mut world = invited("new@example.com", "Annotator");
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
    // Hidden by the server: what is remembered keeps a second mail from being sent.
    world.members.retain(|m| m.email != "new@example.com");
    world.ledger.invitations_visible = Some(false);
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
}

#[test]
fn an_invitation_revoked_by_hand_stays_revoked() {
    let mut world = invited("new@example.com", "Annotator");
    world.members.retain(|m| m.email != "new@example.com");
    assert!(world.settle().is_done());
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Revoked);
}

#[test]
fn an_open_invitation_is_sent_anew_for_a_lower_role_and_kept_for_a_higher_one() {
    let mut world = invited("new@example.com", "Annotator");
    world.ledger.invites.get_mut("annotators").unwrap().users.get_mut("new@example.com").unwrap().role =
        Some("Manager".to_owned());
    assert_eq!(steps(&world.plan()), ["new@example.com: invited as Manager → Annotator"]);

    let mut world = invited("new@example.com", "Annotator");
    world.edit("annotators", |spec| spec.role = InviteRole::Reviewer);
    world.members.retain(|m| m.email.starts_with("new") || m.user_id <= ME || m.role == Some(Role::Administrator));
    world.edit("annotators", |spec| spec.emails.retain(|e| e.starts_with("new")));
    world.ledger.invites.get_mut("annotators").unwrap().users.retain(|email, _| email.starts_with("new"));
    assert!(world.plan().is_done(), "{:?}", steps(&world.plan()));
}

#[test]
fn deactivating_somebody_who_is_invited_revokes_the_invitation() {
    let mut world = invited("new@example.com", "Annotator");
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
    world.invite("off", InviteRole::Deactivated, &["new@example.com".to_owned()]);
    assert_eq!(steps(&world.plan()), ["new@example.com: invitation → revoked"]);
}

#[test]
fn a_hidden_invitation_is_revoked_blindly_on_departure_once() {
    let mut world = invited("new@example.com", "Annotator");
    world.ledger.invitations_visible = Some(false);
    world.members.retain(|m| m.email != "new@example.com");
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
    world.settle();
    world.later(30);
    let plan = world.plan();
    assert_eq!(plan.steps[0].action, Action::Revoke { email: "new@example.com".to_owned(), blind: true });
    let mut snapshot = world.snapshot();
    outcome::succeeded(&mut world.ledger, &mut snapshot, &plan.steps[0].action);
    assert!(world.settle().is_done());
    assert!(world.ledger.person("annotators", "new@example.com").is_none());
}

#[test]
fn a_lost_status_holds_newcomers_unless_the_roster_shows_open_invitations() {
    let mut world = World::in_sync();
    world.ledger.invitations_visible = None;
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    world.invites[0].metadata.finalizers = Some(vec![crate::resources::FINALIZER.to_owned()]);
    world.ledger.invites.insert("annotators".to_owned(), InviteMemory::default());
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
    world.member(99, "other@example.com", Role::Annotator);
    world.change_member("other@example.com", |m| m.invitation = InvitationState::Open);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn an_unconfirmed_invitation_is_judged_anew_once_the_server_shows_invitations() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    let mut person = Person::new("new@example.com", PersonState::Held);
    person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
    world.ledger.invites.get_mut("annotators").unwrap().users.insert("new@example.com".to_owned(), person);
    world.ledger.invitations_visible = Some(false);
    assert_eq!(held(&world.plan()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
    world.ledger.invitations_visible = Some(true);
    assert_eq!(held(&world.plan()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
    world.member(99, "other@example.com", Role::Annotator);
    world.change_member("other@example.com", |m| m.invitation = InvitationState::Open);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn an_unconfirmed_invitation_stays_unconfirmed_when_it_moves_to_another_manifest() {
    let mut world = World::in_sync();
    world.ledger.invitations_visible = Some(false);
    let mut person = Person::new("new@example.com", PersonState::Held);
    person.reason = Some(HeldReason::InviteUnconfirmed.to_string());
    world.ledger.invites.get_mut("annotators").unwrap().users.insert("new@example.com".to_owned(), person);
    world.invite("reviewers", InviteRole::Reviewer, &["new@example.com".to_owned()]);
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    assert_eq!(held(&plan), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
}

#[test]
fn whoever_is_held_before_a_role_change_is_remembered_for_the_departure() {
    let mut world = World::in_sync();
    world.member(99, "bob@example.com", Role::Manager);
    world.organization.spec.guards.max_removals = IntOrString::Int(0);
    world.invite("more", InviteRole::Annotator, &["bob@example.com".to_owned()]);
    world.settle();
    assert_eq!(world.person("more", "bob@example.com").user_id, Some(99));
    assert!(must_depart(world.person("more", "bob@example.com")));
}

#[test]
fn a_member_is_remembered_before_the_role_changes() {
    let mut world = World::in_sync();
    world.member(99, "walkin@example.com", Role::Pending);
    world.invite("more", InviteRole::Annotator, &["walkin@example.com".to_owned()]);
    let plan = world.settle();
    assert_eq!(steps(&plan), ["walkin@example.com: Pending → Annotator"]);
    assert_eq!(world.person("more", "walkin@example.com").state, PersonState::Pending);
    assert_eq!(world.person("more", "walkin@example.com").user_id, Some(99));
}

#[test]
fn an_open_invitation_is_looked_at_before_it_is_revoked_by_an_old_roster() {
    let mut world = invited("new@example.com", "Annotator");
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
    world.settle();
    world.later(30);
    world.fresh = false;
    assert_eq!(world.plan().stale, ["new@example.com"]);
}

#[test]
fn nothing_to_revoke_means_look_again_and_not_gone() {
    let mut world = invited("new@example.com", "Annotator");
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "new@example.com"));
    world.settle();
    world.later(30);
    outcome::nothing_open(&mut world.ledger, "new@example.com");
    // The next roster shows that the person had accepted.
    world.change_member("new@example.com", |m| m.invitation = InvitationState::Accepted);
    assert_eq!(steps(&world.plan()), ["new@example.com: Annotator → Deactivated"]);
    // Or it still lists the dead invitation, or nobody.
    world.change_member("new@example.com", |m| m.invitation = InvitationState::Open);
    assert!(world.plan().is_done());
    world.members.retain(|m| m.email != "new@example.com");
    assert!(world.plan().is_done());
}

#[test]
fn a_removal_whose_answer_was_lost_is_counted_once() {
    let mut world = World::in_sync();
    world.organization.spec.guards.max_removals = IntOrString::Int(1);
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.settle();
    world.later(30);
    assert!(outcome::reserve_removals(&mut world.ledger, &["person2@example.com"], 12, world.now));
    assert_eq!(steps(&world.plan()), ["person2@example.com: Annotator → Deactivated"]);
    assert!(!outcome::reserve_removals(&mut world.ledger, &["person2@example.com"], 12, world.now));
    outcome::release_removal(&mut world.ledger, "person2@example.com");
    assert!(world.ledger.removals.is_empty());
}

#[test]
fn a_refused_title_is_told_and_not_tried_again_at_once() {
    let mut world = World::in_sync();
    world.organization.spec.title = Some("Other".to_owned());
    let until = noon() + SignedDuration::from_mins(10);
    outcome::refused(&mut world.ledger, "", "title Other", HeldReason::Forbidden, "no".to_owned(), until);
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.title_refused.as_deref(), Some("no"));
}

#[test]
fn one_mail_goes_until_the_server_has_shown_an_invitation_then_fifty() {
    let mut world = World::empty();
    let emails: Vec<String> = (0..120).map(|n| format!("new{n:03}@example.com")).collect();
    world.invite("crowd", InviteRole::Annotator, &emails);
    world.ledger.invitations_visible = None;
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 1 as Annotator: new000@example.com"]);
    assert_eq!(plan.pending["crowd"], 120);
    world.ledger.invitations_visible = Some(false);
    assert_eq!(world.plan().steps.len(), 120);
    world.ledger.invitations_visible = Some(true);
    let sizes: Vec<usize> = world.plan().steps.iter().map(|s| s.action.guests().len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
}

#[test]
fn a_refused_batch_goes_on_in_halves() {
    let mut world = World::empty();
    let emails: Vec<String> = (0..4).map(|n| format!("new{n}@example.com")).collect();
    world.invite("crowd", InviteRole::Annotator, &emails);
    for email in &emails {
        world.ledger.passing.batch_limits.insert(email.clone(), 2);
    }
    let sizes: Vec<usize> = world.plan().steps.iter().map(|s| s.action.guests().len()).collect();
    assert_eq!(sizes, [2, 2]);
}

#[test]
fn one_persons_edit_overtakes_a_mass_change() {
    let mut world = World::empty();
    let crowd: Vec<String> = (0..200).map(|n| format!("a{n:03}@example.com")).collect();
    world.invite("a-crowd", InviteRole::Annotator, &crowd);
    world.invite("z-single", InviteRole::Reviewer, &["zoe@example.com".to_owned()]);
    assert_eq!(steps(&world.plan())[0], "invite 1 as Reviewer: zoe@example.com");
}

#[test]
fn what_frees_a_seat_comes_first() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.emails.push("a-new@example.com".to_owned()));
    world.invite("off", InviteRole::Deactivated, &["zed@example.com".to_owned()]);
    world.member(99, "zed@example.com", Role::Annotator);
    assert_eq!(
        steps(&world.plan()),
        ["zed@example.com: Annotator → Deactivated", "invite 1 as Annotator: a-new@example.com"]
    );
}

#[test]
fn the_last_administrator_keeps_the_role() {
    let mut world = World::in_sync();
    world.edit("administrators", |spec| spec.role = InviteRole::Manager);
    let plan = world.plan();
    assert_eq!(steps(&plan), ["anna@example.com: Administrator → Manager"]);
    assert_eq!(held(&plan), [(HeldReason::LastAdministrator, vec!["ben@example.com".to_owned()])]);
}

#[test]
fn more_removals_than_allowed_are_held_all_of_them() {
    let mut world = World::in_sync();
    world.edit("annotators", |spec| spec.role = InviteRole::Deactivated);
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.held[&HeldReason::RemovalGuard].len(), 10);
    world.organization.spec.guards.max_removals = IntOrString::Int(10);
    assert_eq!(world.plan().steps.len(), 10);
}

#[test]
fn a_small_team_offboards_three_people_without_a_ceremony() {
    let mut world = World::in_sync();
    for n in 0..3 {
        world.edit("annotators", |spec| spec.emails.retain(|e| *e != format!("person{n}@example.com")));
    }
    world.settle();
    world.later(30);
    assert_eq!(world.plan().steps.len(), 3);
}

#[test]
fn removals_of_the_last_day_count_and_the_window_makes_room() {
    let mut world = World::in_sync();
    let hour = Time("2026-01-01T10:00:00Z".parse().unwrap());
    world.ledger.removals = vec![RemovalBucket { hour, base: 12, count: 3 }];
    world.edit("annotators", |spec| spec.emails.retain(|e| e != "person2@example.com"));
    world.settle();
    world.later(30);
    let plan = world.plan();
    assert_eq!(held(&plan), [(HeldReason::RemovalGuard, vec!["person2@example.com".to_owned()])]);
    assert_eq!(plan.due, Some("2026-01-02T11:00:00Z".parse().unwrap()));
    world.now = "2026-01-02T11:00:00Z".parse().unwrap();
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn an_old_roster_takes_nobodys_access_away() {
    let mut world = World::in_sync();
    world.change_member("person3@example.com", |m| m.role = Some(Role::Reviewer));
    world.fresh = false;
    assert_eq!(world.plan().stale, ["person3@example.com"]);
}

#[test]
fn departures_of_a_deleted_manifest_are_carried_out_or_taken_back() {
    let mut world = World::in_sync();
    let people: Vec<Person> = world.ledger.invites["annotators"].users.values().take(2).cloned().collect();
    world.ledger.invites.remove("annotators");
    world.invites.remove(0);
    world.ledger.departures = vec![Departure {
        users: people,
        policy: DeletionPolicy::Deactivate,
        from: "annotators".to_owned(),
        since: Time(noon()),
    }];
    assert_eq!(world.plan().departures_pending, 2);
    world.later(30);
    assert_eq!(world.plan().steps.len(), 2);
    world.invite("again", InviteRole::Annotator, &["person0@example.com".to_owned()]);
    world.settle();
    assert_eq!(world.person("again", "person0@example.com").user_id, Some(10));
    world.settle();
    let left: Vec<&str> = world.ledger.departures[0].users.iter().map(|u| u.email.as_str()).collect();
    assert_eq!(left, ["person1@example.com"]);
}

#[test]
fn the_open_source_edition_lists_people_and_holds_the_rest() {
    let mut world = World::empty();
    world.edition = Edition::Community;
    world.member(10, "here@example.com", Role::Annotator);
    world.change_member("here@example.com", |m| m.role = None);
    world.invite("people", InviteRole::Annotator, &["here@example.com".to_owned(), "away@example.com".to_owned()]);
    world.invite("off", InviteRole::Deactivated, &["here2@example.com".to_owned()]);
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan), [(HeldReason::UnsupportedByEdition, vec!["away@example.com".to_owned()])]);
    assert_eq!(world.person("people", "here@example.com").state, PersonState::Active);
}

#[test]
fn a_refused_write_is_not_repeated_at_once_and_holds_that_person_only() {
    let mut world = World::in_sync();
    world.change_member("person3@example.com", |m| m.role = Some(Role::Reviewer));
    world.edit("annotators", |spec| spec.emails.push("new@example.com".to_owned()));
    let until = noon() + SignedDuration::from_mins(10);
    outcome::refused(
        &mut world.ledger,
        "person3@example.com",
        "role Annotator",
        HeldReason::Forbidden,
        "no".to_owned(),
        until,
    );
    let plan = world.plan();
    assert_eq!(steps(&plan), ["invite 1 as Annotator: new@example.com"]);
    assert_eq!(held(&plan), [(HeldReason::Forbidden, vec!["person3@example.com".to_owned()])]);
    world.later(601);
    assert_eq!(world.plan().steps.len(), 2);
}

const PATIENCE: MailPatience = MailPatience { timeout: Duration::from_secs(120), settle: Duration::from_secs(60) };

/// A mark found after a crash, first seen `ago`.
fn marked(world: &mut World, email: &str, ago: Duration) {
    world.edit("annotators", |spec| spec.emails.push(email.to_owned()));
    world.ledger.in_flight = Some(InFlight {
        id: "m".to_owned(),
        started_at: Time(noon()),
        emails: vec![email.to_owned()],
        role: None,
        replaces: None,
    });
    world.ledger.passing = Passing {
        mark: Some(MarkSeen { id: "m".to_owned(), at: Boottime::now() - ago, ended: None }),
        ..Passing::default()
    };
}

fn judge(world: &mut World) -> MarkVerdict {
    let claimant = |email: &str| Some(("annotators".to_owned(), email.to_owned()));
    let snapshot = world.snapshot();
    let verdict = settle_mark(&mut world.ledger, claimant, &snapshot, PATIENCE, world.now, Boottime::now());
    world.mail_allowed = verdict == MarkVerdict::Settled;
    verdict
}

#[test]
fn a_marked_address_waits_until_its_request_can_no_longer_be_under_way() {
    let mut world = World::in_sync();
    marked(&mut world, "new@example.com", Duration::from_secs(100));
    assert!(matches!(judge(&mut world), MarkVerdict::Wait(_)));
    let plan = world.settle();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.pending["annotators"], 1);
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Inviting);
}

#[test]
fn a_marked_address_that_the_roster_shows_was_sent() {
    let mut world = World::in_sync();
    marked(&mut world, "new@example.com", Duration::ZERO);
    world.member(99, "new@example.com", Role::Annotator);
    world.change_member("new@example.com", |m| m.invitation = InvitationState::Open);
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(world.person("annotators", "new@example.com").state, PersonState::Invited);
    assert_eq!(world.person("annotators", "new@example.com").attempts, Some(1));
}

#[test]
fn a_row_that_the_mail_was_to_replace_says_nothing_until_the_request_is_over() {
    let mut world = invited("new@example.com", "Manager");
    let earlier = noon() - SignedDuration::from_hours(1);
    world.ledger.invites.get_mut("annotators").unwrap().users.get_mut("new@example.com").unwrap().invited_at =
        Some(Time(earlier));
    marked(&mut world, "new@example.com", Duration::from_secs(1));
    world.ledger.in_flight.as_mut().unwrap().role = Some("Annotator".to_owned());
    assert!(matches!(judge(&mut world), MarkVerdict::Wait(_)));
    marked(&mut world, "new@example.com", Duration::from_secs(181));
    world.ledger.in_flight.as_mut().unwrap().role = Some("Annotator".to_owned());
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(world.person("annotators", "new@example.com").role.as_deref(), Some("Annotator"));
    assert!(world.plan().is_done(), "{:?}", steps(&world.plan()));
}

#[test]
fn an_invitation_that_was_revoked_for_a_mail_that_never_went_is_sent() {
    let mut world = invited("new@example.com", "Manager");
    let earlier = noon() - SignedDuration::from_hours(1);
    world.ledger.invites.get_mut("annotators").unwrap().users.get_mut("new@example.com").unwrap().invited_at =
        Some(Time(earlier));
    world.members.retain(|m| m.email != "new@example.com");
    marked(&mut world, "new@example.com", Duration::from_secs(181));
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);
}

#[test]
fn a_marked_address_is_sent_again_only_where_the_server_shows_invitations() {
    let mut world = World::in_sync();
    marked(&mut world, "new@example.com", Duration::from_secs(181));
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(steps(&world.plan()), ["invite 1 as Annotator: new@example.com"]);

    let mut world = World::in_sync();
    world.ledger.invitations_visible = Some(false);
    marked(&mut world, "new@example.com", Duration::from_secs(181));
    assert_eq!(judge(&mut world), MarkVerdict::Settled);
    assert_eq!(held(&world.plan()), [(HeldReason::InviteUnconfirmed, vec!["new@example.com".to_owned()])]);
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
    world.ledger.invites.get_mut("annotators").unwrap().users.insert(email.to_owned(), person);
    world
}
