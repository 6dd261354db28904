//! The status of both kinds, without a cluster.

use super::*;
use crate::engine::ledger::{InviteMemory, Ledger};
use crate::engine::plan::{Action, Cause, HeldSet, Plan, Step};
use crate::engine::problem::Problem;
use crate::engine::snapshot::{Completeness, Found, Snapshot};
use crate::label_studio::{Boottime, Edition, Role};
use crate::resources::{
    Approval, DeletionPolicy, Departure, InFlight, Organization, PersonState, RemovalBucket, Target, UnmanagedMembers,
    UserInvite, folded,
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

fn noon() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn invite(generation: i64) -> UserInvite {
    let spec = serde_json::json!({
        "organizationRef": {"name": "acme"}, "emails": ["ann@example.com"], "role": "Annotator",
    });
    let mut invite = UserInvite::new("people", serde_json::from_value(spec).unwrap());
    invite.metadata.generation = Some(generation);
    invite
}

fn organization() -> Organization {
    let spec = serde_json::json!({"url": "https://ls.example.com", "credentials": {"secretRef": {"name": "token"}}});
    let mut organization = Organization::new("acme", serde_json::from_value(spec).unwrap());
    organization.metadata.generation = Some(3);
    organization
}

fn person(state: PersonState, reason: Option<HeldReason>) -> Person {
    let mut person = Person::new("ann@example.com", state);
    person.reason = reason.map(|reason| reason.to_string());
    person
}

fn memory(person: Person) -> InviteMemory {
    InviteMemory { users: [(folded(&person.email), person.into())].into(), ..InviteMemory::default() }
}

fn has(conditions: &[Condition], kind: &str, status: &str) -> bool {
    conditions.iter().any(|c| c.type_ == kind && c.status == status)
}

#[test]
fn what_did_not_change_is_equal_and_keeps_its_times() {
    let mut object = invite(1);
    let memory = memory(person(PersonState::Active, None));
    let done = InviteSituation::Judged { pending: 0, observes: false };
    let first = invite_status(&object, &memory, &done, object.metadata.generation, noon());
    object.status = Some(first.clone());
    assert_eq!(
        first,
        invite_status(&object, &memory, &done, object.metadata.generation, noon() + SignedDuration::from_hours(1))
    );

    let mut object = organization();
    let ledger = Ledger::default();
    let plan = Plan::default();
    let view = || OrganizationView { plan: Some(&plan), ..Default::default() };
    let first = organization_status(&object, &ledger, &view(), noon());
    object.status = Some(first.clone());
    assert_eq!(first, organization_status(&object, &ledger, &view(), noon() + SignedDuration::from_hours(1)));
}

#[test]
fn of_a_namespace_that_no_grant_names_one_verdict_is_told_and_nobody_is_listed() {
    let object = invite(1);
    let status =
        invite_status(&object, &InviteMemory::default(), &InviteSituation::NotGranted("team"), Some(1), noon());
    let ready = status.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "NotGranted"));
    assert!(
        ready.message.contains("\"team\"") && has(&status.conditions, "Stalled", "True"),
        "{:?}",
        status.conditions
    );
    assert!(status.users.is_empty() && status.target.is_none() && status.observed_generation == Some(1));
}

#[test]
fn that_access_has_ended_is_told_once_it_has() {
    let mut object = invite(1);
    object.spec.expires_at = Some(Time(noon() + SignedDuration::from_millis(500)));
    let memory = memory(person(PersonState::Deactivated, None));
    let done = InviteSituation::Judged { pending: 0, observes: false };
    let message = |now| {
        let status = invite_status(&object, &memory, &done, Some(1), now);
        status.conditions.iter().find(|c| c.type_ == "Ready").unwrap().message.clone()
    };
    assert_eq!(message(noon() - SignedDuration::from_secs(1)), "everybody is as declared");
    let ended = "access ended at 2026-01-01T12:00:00Z by spec.expiresAt; everybody is as declared";
    assert_eq!(message(noon()), ended);
    assert_eq!(message(noon() + SignedDuration::from_hours(9)), ended, "no clock in it");
}

#[test]
fn the_generation_moves_only_with_its_outcome() {
    let mut object = invite(1);
    let memory = memory(person(PersonState::Active, None));
    let under_way = InviteSituation::Judged { pending: 1, observes: false };
    let status = invite_status(&object, &memory, &under_way, Some(1), noon());
    assert_eq!(status.observed_generation, Some(-1));
    assert!(has(&status.conditions, "Ready", "False") && has(&status.conditions, "Reconciling", "True"));
    object.status = Some(status);
    let done = InviteSituation::Judged { pending: 0, observes: false };
    let status = invite_status(&object, &memory, &done, object.metadata.generation, noon());
    assert_eq!(status.observed_generation, Some(1));
    assert!(has(&status.conditions, "Ready", "True") && !has(&status.conditions, "Reconciling", "True"));
}

#[test]
fn a_failure_of_the_organization_is_not_copied_into_what_was_observed() {
    let mut object = invite(1);
    let memory = memory(person(PersonState::Active, None));
    object.status = Some(invite_status(
        &object,
        &memory,
        &InviteSituation::Judged { pending: 0, observes: false },
        Some(1),
        noon(),
    ));
    let failing = InviteSituation::OrganizationNotReady("acme");
    assert_eq!(object.status, Some(invite_status(&object, &memory, &failing, object.metadata.generation, noon())));
    object.metadata.generation = Some(2);
    let edited = invite_status(&object, &memory, &failing, object.metadata.generation, noon());
    assert!(has(&edited.conditions, "Ready", "False"));
    assert!(!has(&edited.conditions, "Stalled", "True") && !has(&edited.conditions, "Reconciling", "True"));
    assert_eq!(edited.users.len(), 1, "nothing is lost");
    assert_eq!(edited.observed_generation, Some(1));
}

#[test]
fn each_reason_either_stalls_or_does_not_and_never_both_reconciles_and_stalls() {
    for reason in HeldReason::ALL {
        for pending in [0, 1] {
            let held = memory(person(PersonState::Held, Some(reason)));
            let situation = InviteSituation::Judged { pending, observes: false };
            let status = invite_status(&invite(1), &held, &situation, Some(1), noon());
            let stalled = has(&status.conditions, "Stalled", "True");
            let reconciling = has(&status.conditions, "Reconciling", "True");
            assert!(!(stalled && reconciling), "{reason}");
            assert_eq!(stalled, reason.stalls() && pending == 0, "{reason}");
            let waits = pending > 0 || reason == HeldReason::IncompleteRoster;
            assert_eq!(reconciling, waits, "{reason}");
            assert_eq!(has(&status.conditions, "Ready", "True"), !stalled && !reconciling, "{reason}");
        }
    }
}

#[test]
fn a_problem_is_told_with_its_reason_and_keeps_what_was_known() {
    let mut object = organization();
    object.status = Some(crate::resources::OrganizationStatus {
        title: Some("Acme".to_owned()),
        edition: Some("Enterprise".to_owned()),
        ..Default::default()
    });
    let problem = Problem::stalled("Unauthorized", "no".to_owned()).unauthenticated();
    let view = OrganizationView { problem: Some(&problem), ..Default::default() };
    let status = organization_status(&object, &Ledger::default(), &view, noon());
    assert_eq!(status.title.as_deref(), Some("Acme"));
    assert!(has(&status.conditions, "Authenticated", "False") && has(&status.conditions, "Stalled", "True"));
    assert_eq!(status.observed_generation, Some(3));
}

#[test]
fn the_longest_status_stays_under_700_kilobytes() {
    let long = |n: usize| format!("{}{n:04}@example.com", "a".repeat(238));
    let longest = |n: usize| {
        let mut person = Person::new(&long(n), PersonState::Leaving);
        person.role = Some("Administrator".to_owned());
        person.message = Some("m".repeat(200));
        person.reason = Some(HeldReason::ManagedByIdentityProvider.to_string());
        (person.user_id, person.attempts) = (Some(i64::MAX), Some(i32::MAX));
        person.invited_at = Some(Time(noon()));
        person.since = Some(Time(noon()));
        person.seat_since = Some(Time(noon()));
        person
    };
    let mut ledger = Ledger::default();
    let users: Vec<Person> = (0..500).map(longest).collect();
    let policy = DeletionPolicy::Deactivate;
    while serde_json::to_vec(&ledger.departures).unwrap().len() < 350_000 {
        let from = "n".repeat(253);
        ledger.departures.push(Departure { users: users[..50].to_vec(), policy, from, since: Time(noon()) });
    }
    ledger.in_flight = Some(InFlight {
        id: "i".repeat(36),
        started_at: Time(noon()),
        emails: (0..500).map(long).collect(),
        role: None,
        replaces: None,
    });
    ledger.removals = (0..26).map(|_| RemovalBucket { hour: Time(noon()), base: i32::MAX, count: i32::MAX }).collect();
    let steps: Vec<String> = (0..crate::engine::approval::MOST_STEPS).map(|n| format!("{n:012}")).collect();
    let approval = |steps| Approval { digest: "d".repeat(12), at: Time(noon()), steps };
    // So many steps over all of them.
    ledger.approval = Some(approval(steps));
    ledger.earlier_approvals = vec![approval(Vec::new()); crate::engine::approval::MOST_EARLIER];
    let strangers: Vec<crate::label_studio::Member> = (0..500).map(|n| stranger(long(n))).collect();
    let mut plan = Plan::default();
    let set = HeldSet {
        reason: HeldReason::RemovalGuard,
        digest: "d".repeat(12),
        since: noon(),
        who: (0..500).map(long).collect(),
        steps: Vec::new(),
    };
    plan.sets = vec![set; 40];
    for n in 0..500 {
        let action = Action::SetRole { user_id: 1, email: long(n), from: Role::Manager, to: Role::Annotator };
        plan.steps.push(Step { cause: Cause::Invite("people".to_owned()), action });
    }
    for reason in HeldReason::ALL {
        plan.held.insert(reason, (0..500).map(long).collect());
    }
    let unmanaged = strangers.iter().collect();
    let view = OrganizationView { plan: Some(&plan), unmanaged, ..Default::default() };
    let status = organization_status(&organization(), &ledger, &view, noon());
    let size = serde_json::to_vec(&status).unwrap().len();
    assert!(size < 700_000, "{size}");

    let users = (0..1500).map(longest).map(|person| (folded(&person.email), person.into())).collect();
    let memory = InviteMemory { users, ..InviteMemory::default() };
    let judged = InviteSituation::Judged { pending: 0, observes: false };
    let size = serde_json::to_vec(&invite_status(&invite(1), &memory, &judged, Some(1), noon())).unwrap().len();
    assert!(size < 1_400_000, "{size}: the API server takes one and a half megabytes");
}

#[test]
fn an_organization_is_not_as_declared_while_nobody_knows_whether_somebody_still_has_access() {
    let person = person(PersonState::Leaving, Some(HeldReason::IncompleteRoster));
    let plan = Plan { departing: [("ann@example.com".to_owned(), Some(person))].into(), ..Plan::default() };
    let view = OrganizationView { plan: Some(&plan), ..Default::default() };
    let status = organization_status(&organization(), &Ledger::default(), &view, noon());
    assert!(has(&status.conditions, "Ready", "False") && has(&status.conditions, "Reconciling", "True"));
}

#[test]
fn a_generation_is_not_observed_while_the_roster_does_not_tell() {
    let memory = memory(person(PersonState::Held, Some(HeldReason::IncompleteRoster)));
    let situation = InviteSituation::Judged { pending: 0, observes: false };
    assert_eq!(invite_status(&invite(1), &memory, &situation, Some(1), noon()).observed_generation, Some(-1));
}

#[test]
fn the_link_has_a_condition_only_while_its_field_is_there_and_stalls_only_where_a_person_must_act() {
    let plan = Plan::default();
    let failed = |problem: Problem| LinkState::Failed(problem);
    for (state, ready, published, word) in [
        (LinkState::Published, "True", "True", "Published"),
        (LinkState::Rotating, "False", "False", "Rotating"),
        (failed(Problem::stalled("SecretNotOurs", "no".to_owned())), "False", "False", "SecretNotOurs"),
        (failed(Problem::transient("ServerError", "no".to_owned())), "False", "False", "ServerError"),
    ] {
        let view = OrganizationView { plan: Some(&plan), link: Some(&state), ..Default::default() };
        let mut object = organization();
        let without = organization_status(&object, &Ledger::default(), &view, noon());
        assert!(without.conditions.iter().all(|c| c.type_ != "InviteLinkPublished"), "{word}");
        let link = serde_json::json!({"secretName": "link"});
        object.spec.invite_link = Some(serde_json::from_value(link).unwrap());
        let status = organization_status(&object, &Ledger::default(), &view, noon());
        assert!(has(&status.conditions, "Ready", ready), "{word}");
        assert!(has(&status.conditions, "InviteLinkPublished", published), "{word}");
        assert_eq!(has(&status.conditions, "Stalled", "True"), word == "SecretNotOurs");
        assert_eq!(has(&status.conditions, "Reconciling", "True"), word == "Rotating" || word == "ServerError");
        let told = status.conditions.iter().find(|c| c.type_ == "InviteLinkPublished").unwrap();
        assert_eq!(told.reason, word);
    }
}

#[test]
fn an_organization_is_not_ready_before_its_link_had_its_turn() {
    let mut object = organization();
    object.spec.invite_link = Some(serde_json::from_value(serde_json::json!({"secretName": "link"})).unwrap());
    let plan = Plan::default();
    let so_far = || OrganizationView { plan: Some(&plan), ..Default::default() };
    let status = organization_status(&object, &Ledger::default(), &so_far(), noon());
    assert!(has(&status.conditions, "Ready", "False") && has(&status.conditions, "Reconciling", "True"));
    let done = OrganizationView { link: Some(&LinkState::Published), ..so_far() };
    object.status = Some(organization_status(&object, &Ledger::default(), &done, noon()));
    let status = organization_status(&object, &Ledger::default(), &so_far(), noon());
    assert_eq!(object.status.as_ref(), Some(&status), "what was published stays so");
    // An edit may name another Secret.
    object.metadata.generation = Some(4);
    let status = organization_status(&object, &Ledger::default(), &so_far(), noon());
    assert!(has(&status.conditions, "Ready", "False"));
    assert_eq!(status.observed_generation, Some(3));
}

fn stranger(email: String) -> crate::label_studio::Member {
    let role = Some(Role::Annotator);
    let invitation = crate::label_studio::InvitationState::None;
    crate::label_studio::Member {
        user_id: 1,
        email,
        role,
        invitation,
        invited_at: None,
        expired_at: None,
        last_activity: None,
        is_service: false,
        role_source: None,
    }
}

#[test]
fn of_many_unmanaged_members_fifty_are_named_and_all_are_counted_or_only_that() {
    let strangers: Vec<crate::label_studio::Member> =
        (0..60).map(|n| stranger(format!("s{n:02}@example.com"))).collect();
    let snapshot = Snapshot::new(Found {
        target: Target { organization_id: 1, created_at: None, edition: "Enterprise".to_owned(), url: String::new() },
        edition: Edition::Enterprise,
        release: None,
        title: "Acme".to_owned(),
        default_role: None,
        me: 1000,
        own_address: "operator@example.com".to_owned(),
        created_by: None,
        roles_by_hand: true,
        email_configured: true,
        may_invite: true,
        seats: None,
        completeness: Completeness::Complete,
        begun: Boottime::now(),
        members: strangers.clone(),
    });
    let plan = Plan::default();
    for (mode, named) in [(UnmanagedMembers::Report, 50), (UnmanagedMembers::Ignore, 0)] {
        let mut object = organization();
        object.spec.unmanaged_members = mode;
        let view = OrganizationView {
            plan: Some(&plan),
            snapshot: Some(&snapshot),
            unmanaged: strangers.iter().collect(),
            ..Default::default()
        };
        let status = organization_status(&object, &Ledger::default(), &view, noon());
        assert_eq!(status.members.unwrap().unmanaged, 60, "{mode:?}");
        assert_eq!(status.unmanaged.len(), named, "{mode:?}");
        let first = status.unmanaged.first().map(|member| member.email.as_str());
        assert_eq!(first, (named > 0).then_some("s00@example.com"), "by address");
    }
}
