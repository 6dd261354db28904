//! A namespace per team: each invites as far as the Organization's grants go, nobody above them is touched, and nobody loses
//! access because a grant is withdrawn.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{Stage, condition, person};

/// A UserInvite for the Organization in another namespace.
fn invite(home: &str, name: &str, role: &str, emails: &[&str]) -> Value {
    let mut invite = Stage::invite(name, role, emails);
    invite["spec"]["organizationRef"]["namespace"] = home.into();
    invite
}

fn grants(team: &str, role: &str) -> Value {
    json!({"grants": [{"namespaces": [team], "maxRole": role, "emailDomains": ["example.com"]}]})
}

/// With these members, and the first team granted up to Annotator. Home, and both teams.
async fn play(members: &[(&str, &str)]) -> (Stage, String, [String; 2]) {
    let (mut stage, teams) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
    for (email, role) in members {
        stage.simulator.add_member(email, role);
    }
    // Before somebody loses access the person is looked at.
    stage.start_operator_with(&[("LABEL_STUDIO_OPERATOR_ROSTER_FRESH_MS", "0")]);
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(grants(&teams[0], "Annotator"))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let home = stage.namespace.clone();
    (stage, home, teams)
}

/// With Ada, an Annotator, in the first team's UserInvite `people`.
async fn with_ada() -> (Stage, String, String) {
    let members = [("ada@example.com", "AN"), ("boss@example.com", "AD"), ("other@example.com", "AD")];
    let (mut stage, home, [team, _]) = play(&members).await;
    let people = invite(&home, "people", "Annotator", &["ada@example.com"]);
    stage.at(&team).apply(&people).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    // Nobody was written to, so it comes after the status.
    stage
        .until("the finalizer", async || stage.get("userinvite/people").await["metadata"]["finalizers"].is_array())
        .await;
    (stage, home, team)
}

/// Waits for a pass that begins now.
async fn pass(stage: &Stage, value: &str) {
    stage
        .kubectl(&["annotate", "--overwrite", "organization/acme", &format!("labelstudio.rs/reconcile={value}")], "")
        .await;
    stage
        .until("a pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == value)
        .await;
}

fn role(stage: &Stage, email: &str) -> String {
    stage.simulator.member(email).map_or("gone".to_owned(), |member| member.role)
}

async fn is_told(stage: &Stage, reason: &str) -> bool {
    let events = stage.kubectl(&["get", "events.events.k8s.io", "-o", "json"], "").await;
    let events: Value = serde_json::from_str(&events).unwrap();
    events["items"].as_array().unwrap().iter().any(|event| event["reason"] == reason)
}

#[tokio::test]
async fn a_team_invites_as_far_as_its_grant_goes_and_is_told_what_is_not_granted() {
    let (mut stage, home, [team, stranger]) = play(&[("ada@example.com", "NO")]).await;
    stage.at(&team).apply(&invite(&home, "people", "Annotator", &["ada@example.com", "new@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(role(&stage, "ada@example.com"), "AN");
    assert_eq!(stage.simulator.mails_to("new@example.com"), 1);
    let log = stage.operator().log();
    let audit: Vec<_> = log.iter().filter(|line| line.contains("label_studio_operator::audit")).collect();
    assert!(audit.len() == 2 && audit.iter().all(|line| line.contains(&format!("{team}/people"))), "{audit:#?}");

    stage.simulator.clear_journal();
    for (namespace, name, role, email, reason) in [
        (&team, "above", "Manager", "x@example.com", "RoleAboveGrant"),
        (&team, "domain", "Annotator", "x@sub.example.com", "DomainNotGranted"),
        (&stranger, "any", "Deactivated", "ada@example.com", "NotGranted"),
    ] {
        stage.at(namespace).apply(&invite(&home, name, role, &[email])).await;
        let refused = stage.ready(&format!("userinvite/{name}"), "False", reason).await;
        assert!(refused["metadata"]["finalizers"].is_null(), "{refused:#}");
        if reason == "NotGranted" {
            // One verdict, and nothing of anybody.
            assert!(refused["status"]["users"].is_null() && refused["status"]["target"].is_null(), "{refused:#}");
        } else {
            assert!(person(&refused, email)["userId"].is_null(), "{refused:#}");
        }
    }
    // The Organization's own namespace wins, although it comes later.
    stage.at(&home).apply(&Stage::invite("own", "Reviewer", &["ada@example.com"])).await;
    stage.ready("userinvite/own", "True", "Reconciled").await;
    let people = stage.at(&team).ready("userinvite/people", "False", "Conflict").await;
    assert!(condition(&people, "Ready")["message"].as_str().unwrap().contains("UserInvite own (Reviewer)"));
    let writes: Vec<String> = stage.simulator.journal().writes().iter().map(|entry| entry.kind()).collect();
    assert_eq!((writes.len(), role(&stage, "ada@example.com").as_str()), (1, "RE"), "{writes:?}");
    // A stranger is told, and does not make the Organization look bad.
    stage.at(&home);
    stage.kubectl(&["delete", "userinvite", "own"], "").await;
    stage.at(&team).kubectl(&["delete", "userinvite", "--all"], "").await;
    stage.at(&home);
    stage
        .until("it looks well", async || {
            let acme = stage.get("organization/acme").await;
            condition(&acme, "MembersSynced")["status"] == "True" && acme["status"]["plan"]["held"].is_null()
        })
        .await;
}

#[tokio::test]
async fn a_team_that_lists_an_administrator_and_deletes_its_object_changes_nothing() {
    let (mut stage, home, team) = with_ada().await;
    for (n, wish) in ["Annotator", "Deactivated"].into_iter().enumerate() {
        stage.at(&team).apply(&invite(&home, "boss", wish, &["boss@example.com"])).await;
        let boss = stage.ready("userinvite/boss", "False", "RoleAboveGrant").await;
        assert!(person(&boss, "boss@example.com")["userId"].is_null());
        stage.delete("userinvite/boss").await;
        pass(stage.at(&home), &n.to_string()).await;
        assert!(stage.get("organization/acme").await["status"]["departures"].is_null());
    }
    // Ada, whom it manages, rises above its grant while she is to leave.
    stage.at(&team).delete("userinvite/people").await;
    assert_eq!(
        stage.at(&home).get("organization/acme").await["status"]["departures"][0]["from"],
        format!("{team}/people")
    );
    stage.simulator.set_role_by_hand("ada@example.com", "RE").unwrap();
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(stage.get("organization/acme").await["status"]["departures"].is_null());
    assert_eq!((role(&stage, "ada@example.com").as_str(), role(&stage, "boss@example.com").as_str()), ("RE", "AD"));
    assert!(stage.simulator.journal().writes().is_empty(), "{:?}", stage.simulator.journal().writes());
}

#[tokio::test]
async fn a_withdrawn_grant_stops_and_removes_nobody_also_after_the_manifest_is_deleted() {
    let (mut stage, home, team) = with_ada().await;
    stage.at(&home);
    stage.apply(&stage.organization(json!({}))).await;
    let people = stage.at(&team).ready("userinvite/people", "False", "NotGranted").await;
    assert!(person(&people, "ada@example.com")["userId"].is_number(), "she stays known: {people:#}");
    stage.simulator.set_role_by_hand("ada@example.com", "RE").unwrap();
    pass(stage.at(&home), "1").await;
    assert_eq!(role(&stage, "ada@example.com"), "RE", "nobody manages her");

    // Granted again, it goes on.
    stage.apply(&stage.organization(grants(&team, "Reviewer"))).await;
    stage.at(&team).ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(role(&stage, "ada@example.com"), "AN");
    stage.simulator.clear_journal();

    // Withdrawn while she is to leave.
    stage.delete("userinvite/people").await;
    stage.at(&home);
    assert!(stage.get("organization/acme").await["status"]["departures"].is_array());
    stage.apply(&stage.organization(json!({}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(stage.get("organization/acme").await["status"]["departures"].is_null());

    // And before the manifest is deleted.
    stage.apply(&stage.organization(grants(&team, "Annotator"))).await;
    stage.at(&team).apply(&invite(&home, "people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.at(&home);
    stage.apply(&stage.organization(json!({}))).await;
    stage.at(&team).ready("userinvite/people", "False", "NotGranted").await;
    stage.delete("userinvite/people").await;
    assert!(stage.at(&home).get("organization/acme").await["status"]["departures"].is_null());
    assert_eq!(role(&stage, "ada@example.com"), "AN");
    assert!(stage.simulator.journal().writes().is_empty(), "{:?}", stage.simulator.journal().writes());
}

#[tokio::test]
async fn a_team_whose_namespace_is_deleted_leaves_as_with_any_deletion() {
    // With rights that are not deleted along with the namespace.
    let mut stage = Stage::set_apart(Options::default()).await;
    let (home, team) = (stage.namespace.clone(), stage.plane.namespace("team").await.unwrap());
    stage.watched.push(team.clone());
    stage.simulator.add_member("ada@example.com", "AN");
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(grants("*", "Annotator"))).await;
    stage.at(&team).apply(&invite(&home, "people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.kubectl(&["delete", &format!("namespace/{team}"), "--timeout=60s"], "").await;
    stage.until("Ada has left", async || role(&stage, "ada@example.com") == "DI").await;
    stage.at(&home).ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn a_team_whose_objects_cannot_be_written_is_left_behind_and_the_others_go_on() {
    let (mut stage, home, team) = with_ada().await;
    let binding = stage.take_the_right("patch").await;
    stage.kubectl(&["delete", "userinvite/people", "--wait=false"], "").await;
    stage.apply(&invite(&home, "more", "Annotator", &["new@example.com"])).await;

    stage.at(&home).apply(&Stage::invite("own", "Annotator", &["own@example.com"])).await;
    stage.ready("userinvite/own", "True", "Reconciled").await;
    stage.delete("userinvite/own").await;
    stage.until("they are removed", async || stage.simulator.member("own@example.com").is_none()).await;
    // Her departure is stored with the Organization, whatever becomes of the finalizer.
    stage.until("Ada has left", async || role(&stage, "ada@example.com") == "DI").await;
    stage.until("it is told", async || is_told(&stage, "UserInviteUnwritten").await).await;
    assert_eq!(stage.simulator.mails_to("new@example.com"), 0, "nobody is mailed whose memory cannot be stored");
    // Whoever asks for a pass gets one, although what is left behind is tried in vain again.
    pass(stage.at(&home), "0").await;
    // Somebody brings her back by hand: she is not taken away by the same deletion again.
    stage.simulator.set_role_by_hand("ada@example.com", "AN").unwrap();

    stage.at(&team).apply(&binding).await;
    stage.ready("userinvite/more", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails_to("new@example.com"), 1);
    stage.until("the other is gone", async || stage.try_get("userinvite/people").await.is_err()).await;
    pass(stage.at(&home), "1").await;
    assert_eq!(role(&stage, "ada@example.com"), "AN");
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn nobody_is_mailed_for_a_list_that_grows_while_it_cannot_be_written() {
    let (stage, home, _) = with_ada().await;
    let binding = stage.take_the_right("patch").await;
    stage.apply(&invite(&home, "people", "Annotator", &["ada@example.com", "new@example.com"])).await;
    // Its turn comes several times.
    let tries = || stage.log_lines("left behind: it cannot be written");
    stage.until("a few tries", async || tries() > 2).await;
    assert_eq!(stage.simulator.mails_to("new@example.com"), 0);

    stage.apply(&binding).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails_to("new@example.com"), 1);
}

#[tokio::test]
async fn a_namespace_that_cannot_be_listed_at_a_start_is_left_out_until_it_can_be() {
    let (mut stage, home, team) = with_ada().await;
    let binding = stage.take_the_right("list").await;
    assert_eq!(stage.operator().terminate().await.unwrap().status.code(), Some(0));
    stage.start_operator();
    stage.at(&home).apply(&Stage::invite("own", "Annotator", &["own@example.com"])).await;
    stage.ready("userinvite/own", "True", "Reconciled").await;
    stage.until("it is told", async || is_told(&stage, "NamespaceLeftOut").await).await;
    stage.at(&team).apply(&invite(&home, "more", "Annotator", &["new@example.com"])).await;
    stage.apply(&binding).await;
    stage.ready("userinvite/more", "True", "Reconciled").await;
    assert_eq!(role(&stage, "ada@example.com"), "AN");
}

#[tokio::test]
async fn when_the_organization_goes_the_finalizers_of_other_namespaces_go() {
    let (mut stage, home, team) = with_ada().await;
    stage.at(&home).delete("organization/acme").await;
    let people = stage.at(&team).ready("userinvite/people", "False", "OrganizationNotFound").await;
    let message = condition(&people, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("in namespace {home:?}")), "{message}");
    stage
        .until("the finalizer is gone", async || {
            stage.get("userinvite/people").await["metadata"]["finalizers"].is_null()
        })
        .await;
    stage.delete("userinvite/people").await;
    assert!(stage.simulator.journal().writes().is_empty());
}

#[tokio::test]
async fn an_organization_where_the_operator_does_not_look_is_told_of_and_blocks_no_deletion() {
    let (mut stage, home, team) = with_ada().await;
    // The same namespace by its name is no other.
    let own = invite(&home, "own", "Annotator", &["grace@example.com"]);
    stage.at(&home).apply(&own).await;
    stage.ready("userinvite/own", "True", "Reconciled").await;
    assert_eq!(stage.operator().terminate().await.unwrap().status.code(), Some(0));
    stage.simulator.clear_journal();

    stage.watched = vec![stage.plane.namespace("elsewhere").await.unwrap()];
    stage.start_operator();
    let people = stage.at(&team).ready("userinvite/people", "False", "OrganizationNotFound").await;
    let message = condition(&people, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&home) && message.contains("watch.namespaces"), "{message}");
    assert!(!people["metadata"]["finalizers"].is_null() && person(&people, "ada@example.com")["userId"].is_number());
    stage.delete("userinvite/people").await;
    assert_eq!(stage.simulator.journal().len(), 0);
}
