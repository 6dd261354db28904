//! Each deletion policy with each state that somebody may be in, and with each thing that may happen at the same time. One
//! table says how it ends.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use futures::future::join_all;
use label_studio_simulator::{Fault, FaultKind, MemberState, Options, Switches};
use serde_json::{Value, json};
use stage::{Stage, person};
use std::collections::BTreeMap;

const POLICIES: [&str; 3] = ["Deactivate", "Retain", "Remove"];

/// Where somebody stands when the manifest goes, and where they end under each policy.
const STATES: [(&str, [&str; 3]); 7] = [
    ("active", ["Deactivated", "Active AN", "Removed"]),
    // Signed up by the link; the role that is declared was refused until now.
    ("pending", ["Deactivated", "Pending", "Removed"]),
    ("deactivated", ["Deactivated", "Deactivated", "Removed"]),
    ("invited", ["nobody", "Invited", "nobody"]),
    ("expired", ["nobody", "InviteExpired", "nobody"]),
    // Another manifest claims the same person, and has done so for longer.
    ("claimed", ["Active AN", "Active AN", "Active AN"]),
    // Another manifest takes the person within the half minute.
    ("moved", ["Active RE", "Active RE", "Active RE"]),
];

fn name(policy: &str, state: &str) -> String {
    format!("{state}-{}", policy.to_lowercase())
}

fn email(policy: &str, state: &str) -> String {
    format!("{}@example.com", name(policy, state))
}

fn invite(name: &str, role: &str, policy: &str, email: &str) -> Value {
    let mut invite = Stage::invite(name, role, &[email]);
    invite["spec"]["deletionPolicy"] = json!(policy);
    invite
}

/// How somebody stands on the server.
fn standing(stage: &Stage, email: &str) -> String {
    let Some(member) = stage.simulator.member(email) else { return "nobody".to_owned() };
    match member.state {
        MemberState::InviteRevoked => "nobody".to_owned(),
        MemberState::Active => format!("Active {}", member.role),
        other => format!("{other:?}"),
    }
}

async fn delete_all(stage: &Stage, names: &[String]) {
    let mut arguments = vec!["delete", "--timeout=60s", "userinvites"];
    arguments.extend(names.iter().map(String::as_str));
    stage.kubectl(&arguments, "").await;
}

async fn departed(stage: &Stage) {
    stage
        .until("all departures", async || {
            stage.get("organization/acme").await["status"]["departures"].as_array().is_none_or(Vec::is_empty)
        })
        .await;
}

#[tokio::test]
async fn each_policy_with_each_state() {
    let stage = Stage::play(Options::default()).await;
    stage.apply(&stage.organization(json!({"guards": {"maxRemovals": 100}}))).await;
    for policy in POLICIES {
        for state in ["active", "claimed", "moved"] {
            stage.simulator.add_member(&email(policy, state), "AN");
        }
        stage.simulator.add_member(&email(policy, "deactivated"), "DI");
        stage.simulator.sign_up_by_link(&email(policy, "pending")).unwrap();
        // The older one also by its name, which decides where both were made in one second.
        let older = format!("before-{}", policy.to_lowercase());
        stage.apply(&invite(&older, "Annotator", policy, &email(policy, "claimed"))).await;
    }
    stage.simulator.fault(Fault::on("PATCH", "/api/organizations/1/memberships", FaultKind::Forbidden403).always());
    for policy in POLICIES {
        for (state, _) in STATES {
            let role = if state == "deactivated" { "Deactivated" } else { "Annotator" };
            stage.apply(&invite(&name(policy, state), role, policy, &email(policy, state))).await;
        }
    }
    for policy in POLICIES {
        for (state, _) in STATES {
            let (ready, reason) = match state {
                "pending" => ("False", "Forbidden"),
                "claimed" => ("True", "Held"),
                _ => ("True", "Reconciled"),
            };
            stage.ready(&format!("userinvite/{}", name(policy, state)), ready, reason).await;
        }
        stage.simulator.expire_invitation(&email(policy, "expired")).unwrap();
    }
    stage.simulator.clear_faults();
    let mails = stage.simulator.mails().len();

    let all = POLICIES.iter().flat_map(|policy| STATES.map(|(state, _)| (state, name(policy, state))));
    let (moved, others): (Vec<_>, Vec<_>) = all.partition(|(state, _)| *state == "moved");
    // Those who move go last, and whoever takes them comes with one call: it has to be there in time.
    for some in [others, moved] {
        delete_all(&stage, &some.into_iter().map(|(_, name)| name).collect::<Vec<_>>()).await;
    }
    let takers = POLICIES
        .map(|policy| invite(&format!("taker-{}", policy.to_lowercase()), "Reviewer", policy, &email(policy, "moved")));
    stage.apply(&json!({"apiVersion": "v1", "kind": "List", "items": takers})).await;
    stage.until("the first has left", async || standing(&stage, &email("Remove", "active")) == "Removed").await;
    departed(&stage).await;
    for (at, policy) in POLICIES.iter().enumerate() {
        stage.ready(&format!("userinvite/taker-{}", policy.to_lowercase()), "True", "Reconciled").await;
        for (state, ends) in STATES {
            assert_eq!(standing(&stage, &email(policy, state)), ends[at], "{policy}, {state}");
        }
    }
    assert_eq!(stage.simulator.mails().len(), mails, "nobody is mailed by a departure or a move");
}

/// Too late for a move: whoever was deactivated gets a role again, whoever was removed is invited.
#[tokio::test]
async fn each_policy_and_somebody_who_comes_back_after_the_departure() {
    let stage = Stage::play(Options::default()).await;
    for policy in POLICIES {
        stage.simulator.add_member(&email(policy, "back"), "AN");
        stage.apply(&invite(&name(policy, "back"), "Annotator", policy, &email(policy, "back"))).await;
    }
    for policy in POLICIES {
        stage.ready(&format!("userinvite/{}", name(policy, "back")), "True", "Reconciled").await;
    }
    delete_all(&stage, &POLICIES.map(|policy| name(policy, "back"))).await;
    stage.until("one has left", async || standing(&stage, &email("Remove", "back")) == "Removed").await;
    departed(&stage).await;
    let ends: BTreeMap<&str, (&str, usize)> =
        [("Deactivate", ("Active RE", 0)), ("Retain", ("Active RE", 0)), ("Remove", ("Invited", 1))].into();
    for policy in POLICIES {
        stage
            .apply(&invite(&format!("again-{}", policy.to_lowercase()), "Reviewer", policy, &email(policy, "back")))
            .await;
    }
    for policy in POLICIES {
        stage.ready(&format!("userinvite/again-{}", policy.to_lowercase()), "True", "Reconciled").await;
        let end = (standing(&stage, &email(policy, "back")), stage.simulator.mails_to(&email(policy, "back")));
        assert_eq!((end.0.as_str(), end.1), ends[policy], "{policy}");
    }
}

#[tokio::test]
async fn each_policy_and_the_last_administrator() {
    let ends = [("Deactivate", "DeparturesHeld"), ("Remove", "DeparturesHeld"), ("Retain", "Reconciled")];
    // Side by side, since each waits for half a minute.
    join_all(ends.map(async |(policy, reason)| {
        let stage = Stage::play(Options::default()).await;
        stage.simulator.add_member("ada@example.com", "AD");
        stage.apply(&invite("people", "Administrator", policy, "ada@example.com")).await;
        stage.ready("userinvite/people", "True", "Reconciled").await;
        stage.delete("userinvite/people").await;
        let ready = if reason == "Reconciled" { "True" } else { "False" };
        let organization = stage.ready("organization/acme", ready, reason).await;
        assert_eq!(standing(&stage, "ada@example.com"), "Active AD", "{policy}");
        if ready == "False" {
            let message = organization["status"]["conditions"].to_string();
            assert!(message.contains("ada@example.com") && message.contains("Administrator"), "{message}");
            // Somebody else takes over, and then nothing is in the way.
            stage.simulator.add_member("alan@example.com", "AD");
            stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
            departed(&stage).await;
            assert_ne!(standing(&stage, "ada@example.com"), "Active AD", "{policy}");
        }
    }))
    .await;
}

/// What happens around it decides for everybody, whatever the policy: gone with the Organization is retained, and what is in
/// the way for a while is waited for.
#[tokio::test]
async fn each_policy_with_what_may_happen_at_the_same_time() {
    let circumstances = ["Organization gone", "server gone", "Secret gone", "suspended"];
    join_all(circumstances.map(async |circumstance| {
        let stage = Stage::play(Options::default()).await;
        // All of them before anybody looks.
        for policy in POLICIES {
            stage.simulator.add_member(&email(policy, "active"), "AN");
        }
        for policy in POLICIES {
            stage.apply(&invite(&name(policy, "active"), "Annotator", policy, &email(policy, "active"))).await;
        }
        let names = POLICIES.map(|policy| name(policy, "active"));
        for name in &names {
            stage.ready(&format!("userinvite/{name}"), "True", "Reconciled").await;
        }
        match circumstance {
            "Organization gone" => stage.delete("organization/acme").await,
            "server gone" => stage.simulator.pause_listening().await,
            "Secret gone" => drop(stage.kubectl(&["delete", "secret", "label-studio"], "").await),
            _ => {
                stage.apply(&stage.organization(json!({"suspend": true}))).await;
                stage.ready("organization/acme", "True", "Suspended").await;
            }
        }
        delete_all(&stage, &names).await;
        match circumstance {
            "server gone" => stage.simulator.resume_listening().await.unwrap(),
            "Secret gone" => stage.secret(&stage.simulator.legacy_token()).await,
            "suspended" => stage.apply(&stage.organization(json!({"suspend": false}))).await,
            _ => {}
        }
        let retained = circumstance == "Organization gone";
        if retained {
            assert_eq!(stage.simulator.journal().writes().len(), 0, "{circumstance}");
        } else {
            departed(&stage).await;
        }
        let ends = if retained { ["Active AN"; 3] } else { STATES[0].1 };
        for (policy, end) in POLICIES.iter().zip(ends) {
            assert_eq!(standing(&stage, &email(policy, "active")), end, "{circumstance}, {policy}");
        }
    }))
    .await;
}

/// A team's namespace: its deletion is that of its manifests. The Organization's own: everything goes, and nobody by it.
#[tokio::test]
async fn each_policy_and_a_namespace_that_is_deleted() {
    join_all(["team", "Organization"].map(async |whose| {
        // With rights that are not deleted along with the namespace.
        let mut stage = Stage::set_apart(Options::default()).await;
        let (home, team) = (stage.namespace.clone(), stage.plane.namespace("team").await.unwrap());
        stage.watched.push(team.clone());
        for policy in POLICIES {
            stage.simulator.add_member(&email(policy, "active"), "AN");
        }
        stage.start_operator();
        stage.secret(&stage.simulator.legacy_token()).await;
        stage.apply(&stage.organization(json!({"grants": [{"namespaces": [team], "maxRole": "Annotator"}]}))).await;
        let from = if whose == "team" { &team } else { &home };
        stage.at(from);
        for policy in POLICIES {
            stage
                .apply(&at_home(&home, invite(&name(policy, "active"), "Annotator", policy, &email(policy, "active"))))
                .await;
        }
        for policy in POLICIES {
            stage.ready(&format!("userinvite/{}", name(policy, "active")), "True", "Reconciled").await;
        }
        stage.kubectl(&["delete", &format!("namespace/{from}"), "--timeout=80s"], "").await;
        if whose == "team" {
            departed(stage.at(&home)).await;
        } else {
            assert!(stage.simulator.journal().writes().is_empty(), "{:?}", stage.simulator.journal().writes());
        }
        let ends = if whose == "team" { STATES[0].1 } else { ["Active AN"; 3] };
        for (policy, end) in POLICIES.iter().zip(ends) {
            assert_eq!(standing(&stage, &email(policy, "active")), end, "{whose}, {policy}");
        }
    }))
    .await;
}

/// Another namespace lists an Administrator, who stands above its grant, and deletes its object: nothing came of the claim,
/// and nothing comes of its end.
#[tokio::test]
async fn each_policy_and_a_foreign_namespace_that_lists_an_administrator() {
    let (mut stage, [team, _]) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
    let home = stage.namespace.clone();
    for policy in POLICIES {
        stage.simulator.add_member(&email(policy, "boss"), "AD");
    }
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({"grants": [{"namespaces": [team], "maxRole": "Manager"}]}))).await;
    for policy in POLICIES {
        let boss = invite(&name(policy, "boss"), "Annotator", policy, &email(policy, "boss"));
        stage.at(&team).apply(&at_home(&home, boss)).await;
    }
    for policy in POLICIES {
        stage.ready(&format!("userinvite/{}", name(policy, "boss")), "False", "RoleAboveGrant").await;
    }
    delete_all(&stage, &POLICIES.map(|policy| name(policy, "boss"))).await;
    stage.at(&home).kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage
        .until("a pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    assert!(stage.get("organization/acme").await["status"]["departures"].is_null(), "so nobody departs later either");
    for policy in POLICIES {
        assert_eq!(standing(&stage, &email(policy, "boss")), "Active AD", "{policy}");
    }
    assert!(stage.simulator.journal().writes().is_empty(), "{:?}", stage.simulator.journal().writes());
}

/// For the Organization in that namespace.
fn at_home(home: &str, mut invite: Value) -> Value {
    invite["spec"]["organizationRef"]["namespace"] = json!(home);
    invite
}

/// As a GitOps tool does it that prunes last: the new Organization and its people, then the old ones go. They come along with
/// all that is remembered of them: nobody is mailed again, and nobody leaves, not even where the server does not show who was
/// invited.
#[tokio::test]
async fn each_policy_and_an_organization_that_is_renamed_with_all_its_people() {
    let ways = ["Organization first", "people first", "while nobody looks"];
    let cases = ways.into_iter().flat_map(|way| [(way, true), (way, false)]);
    join_all(cases.map(async |(way, shows)| {
        let switches = Switches { open_invitations_listed: shows, ..Switches::default() };
        let mut stage = Stage::play(Options { switches, ..Options::default() }).await;
        for policy in POLICIES {
            stage.simulator.add_member(&email(policy, "active"), "AN");
            let mut both = invite(&name(policy, "all"), "Annotator", policy, &email(policy, "active"));
            both["spec"]["emails"] = json!([email(policy, "active"), email(policy, "invited")]);
            stage.apply(&both).await;
        }
        for policy in POLICIES {
            stage.ready(&format!("userinvite/{}", name(policy, "all")), "True", "Reconciled").await;
        }
        rename(&mut stage, way).await;
        for policy in POLICIES {
            let invite = stage.ready(&format!("userinvite/new-{}", name(policy, "all")), "True", "Reconciled").await;
            for (state, stands) in [("active", "Active"), ("invited", "Invited")] {
                let email = email(policy, state);
                assert_eq!(person(&invite, &email)["state"], stands, "{way}, {shows}, {policy}");
                assert!(standing(&stage, &email).starts_with(stands), "{way}, {shows}, {policy}");
            }
            assert_eq!(stage.simulator.mails_to(&email(policy, "invited")), 1, "{way}, {shows}, {policy}");
        }
        let mails = stage.simulator.journal().count("POST", "/api/invite/send-email");
        assert_eq!(stage.simulator.journal().writes().len(), mails, "{way}, {shows}: nothing but mails");
    }))
    .await;
}

async fn rename(stage: &mut Stage, way: &str) {
    let mut organization = stage.organization(json!({}));
    organization["metadata"]["name"] = json!("acme-new");
    stage.apply(&organization).await;
    for policy in POLICIES {
        let mut invite = invite(&format!("new-{}", name(policy, "all")), "Annotator", policy, "");
        invite["spec"]["emails"] = json!([email(policy, "active"), email(policy, "invited")]);
        invite["spec"]["organizationRef"]["name"] = json!("acme-new");
        stage.apply(&invite).await;
    }
    stage.ready("organization/acme-new", "False", "Conflict").await;
    let people = POLICIES.map(|policy| name(policy, "all"));
    match way {
        "Organization first" => {
            stage.delete("organization/acme").await;
            delete_all(stage, &people).await;
        }
        "people first" => {
            delete_all(stage, &people).await;
            stage.delete("organization/acme").await;
        }
        _ => {
            stage.operator().kill_hard().unwrap();
            for policy in POLICIES {
                let people = format!("userinvite/{}", name(policy, "all"));
                stage.kubectl(&["delete", &people, "--wait=false"], "").await;
            }
            stage.kubectl(&["delete", "organization/acme", "--wait=false"], "").await;
            stage.start_operator();
        }
    }
    stage.ready("organization/acme-new", "True", "Reconciled").await;
}

#[tokio::test]
async fn each_policy_and_more_at_once_than_the_list_of_departures_holds() {
    // Two of these fill the list; whoever is retained needs no place in it.
    const PARTS: [&str; 4] = ["Deactivate", "Deactivate", "Remove", "Retain"];
    let stage = Stage::play(Options::default()).await;
    stage
        .apply(&stage.organization(json!({
            "guards": {"maxRemovals": 100_000}, "rateLimit": {"requestsPerSecond": 1000, "burst": 1000}
        })))
        .await;
    let long = "x".repeat(200);
    let people = |part: usize| (0..500).map(|n| format!("{long}{part}-{n:03}@example.com")).collect::<Vec<String>>();
    for email in (0..PARTS.len()).flat_map(people) {
        stage.simulator.add_member(&email, "AN");
    }
    for (part, policy) in PARTS.into_iter().enumerate() {
        let mut invite = invite(&format!("part-{part}"), "Annotator", policy, "");
        invite["spec"]["emails"] = json!(people(part));
        stage.apply(&invite).await;
    }
    for part in 0..PARTS.len() {
        stage.ready(&format!("userinvite/part-{part}"), "True", "Reconciled").await;
    }
    stage.kubectl(&["delete", "userinvites", "--all", "--wait=false"], "").await;
    let full = async || {
        let invites = stage.get("userinvites").await;
        let reasons = invites["items"].as_array().unwrap().iter();
        reasons
            .map(|invite| stage::condition(invite, "Ready")["reason"].clone())
            .any(|reason| reason == "DeparturesFull")
    };
    stage.until("one that waits, and says so", full).await;
    stage.until("every manifest is gone", async || stage.get("userinvites").await["items"] == json!([])).await;
    departed(&stage).await;
    for (part, policy) in PARTS.into_iter().enumerate() {
        let end = STATES[0].1[POLICIES.iter().position(|known| *known == policy).unwrap()];
        for email in people(part) {
            assert_eq!(standing(&stage, &email), end, "{policy}, {email}");
        }
    }
}
