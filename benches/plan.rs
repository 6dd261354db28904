//! How long planning takes and what it needs, without any I/O: everybody in sync, and a tenth of the people to be changed.
//! Prints one table; `benches/README.md` keeps the last one. Asserts nothing: speed is measured here.
//!
//! `cargo bench --bench plan`

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use jiff::Timestamp;
use label_studio_operator::engine::desired::desired;
use label_studio_operator::engine::ledger::{Ledger, Passing};
use label_studio_operator::engine::outcome::settle;
use label_studio_operator::engine::plan::{Circumstances, plan};
use label_studio_operator::engine::snapshot::{Completeness, Found, Snapshot};
use label_studio_operator::label_studio::{Boottime, Edition, InvitationState, Member, Role};
use label_studio_operator::resources::{Organization, Target, UserInvite};
use std::time::Instant;

const RUNS: usize = 9;
/// Of the people, so many in one manifest.
const TOGETHER: usize = 5;

fn main() {
    println!(
        "| members | UserInvites | manifests to claims ms | plan in sync ms | plan a tenth to change ms | MiB above the roster |"
    );
    println!("|---|---|---|---|---|---|");
    for members in [1_000, 10_000, 50_000] {
        measure(members);
    }
}

fn measure(members: usize) {
    let snapshot = snapshot(members);
    let roster = resident("VmRSS");
    // From here on the peak counts.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let organization = organization();
    let invites: Vec<UserInvite> = (0..members / TOGETHER).map(invite).collect();
    let statuses = invites.iter().map(|invite| (invite.metadata.name.clone().unwrap(), None));
    let mut ledger = Ledger::read(None, statuses, Passing::default());
    ledger.invitations_visible = Some(true);
    ledger.target = Some(target());
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let circumstances = Circumstances { now, mail_allowed: true, roster_fresh: true };
    // What a first pass remembers of everybody.
    let mut first = plan(&desired(&organization, &invites, now), &snapshot, &ledger, circumstances);
    settle(&mut ledger, &mut first, &target());
    drop(first);

    let claims = median(|| drop(desired(&organization, &invites, now)));
    let wanted = desired(&organization, &invites, now);
    let in_sync = median(|| {
        let made = plan(&wanted, &snapshot, &ledger, circumstances);
        assert!(made.steps.is_empty() && made.is_done(), "not in sync");
    });
    drop(wanted);
    let mut changed = invites;
    for invite in changed.iter_mut().step_by(10) {
        invite.spec.role = label_studio_operator::resources::InviteRole::Reviewer;
    }
    let wanted = desired(&organization, &changed, now);
    let to_change = median(|| {
        let made = plan(&wanted, &snapshot, &ledger, circumstances);
        assert_eq!(made.steps.len(), members / 10);
    });
    let above = (resident("VmHWM") - roster) as f64 / 1024.0;
    println!("| {members} | {} | {claims:.1} | {in_sync:.1} | {to_change:.1} | {above:.1} |", members / TOGETHER);
}

/// Milliseconds.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// KiB.
fn resident(what: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn email(number: usize) -> String {
    format!("person.number-{number:06}@example.com")
}

fn snapshot(members: usize) -> Snapshot {
    let member = |number: usize| Member {
        user_id: i64::try_from(number).unwrap() + 10,
        email: email(number),
        role: Some(Role::Annotator),
        invitation: InvitationState::None,
        invited_at: None,
        expired_at: None,
        last_activity: None,
        is_service: false,
        role_source: Some("manual".to_owned()),
    };
    Snapshot::new(Found {
        target: target(),
        edition: Edition::Enterprise,
        release: None,
        title: "Acme".to_owned(),
        default_role: None,
        me: 1,
        own_address: "operator@example.com".to_owned(),
        created_by: Some(2),
        roles_by_hand: true,
        email_configured: true,
        may_invite: true,
        seats: None,
        completeness: Completeness::Complete,
        begun: Boottime::now(),
        members: (0..members).map(member).collect(),
    })
}

fn organization() -> Organization {
    let spec = serde_json::json!({"url": "https://ls.example.com", "credentials": {"secretRef": {"name": "token"}}});
    Organization::new("acme", serde_json::from_value(spec).unwrap())
}

fn invite(number: usize) -> UserInvite {
    let emails: Vec<String> = (0..TOGETHER).map(|n| email(number * TOGETHER + n)).collect();
    let spec = serde_json::json!({"organizationRef": {"name": "acme"}, "emails": emails, "role": "Annotator"});
    UserInvite::new(&format!("people-{number:05}"), serde_json::from_value(spec).unwrap())
}

fn target() -> Target {
    let url = "https://ls.example.com".to_owned();
    Target { organization_id: 1, created_at: None, edition: "Enterprise".to_owned(), url }
}
