//! What a server does to an organization that is in sync: it is upgraded, restored from an old backup, or hangs. Each with a
//! verdict on the end, on the writes, on the mails, and on what is shown meanwhile.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use jiff::Timestamp;
use label_studio_harness::ControlPlane;
use label_studio_simulator::{
    AuthKind, Edition, Fault, FaultKind, Options, OrganizationSeed, RateLimit, Simulator, Superfluous, Switches,
};
use serde_json::{Value, json};
use stage::{Stage, condition, person};

async fn reconcile(stage: &Stage, value: &str) {
    let annotation = format!("labelstudio.rs/reconcile={value}");
    stage.kubectl(&["annotate", "--overwrite", "organization/acme", &annotation], "").await;
}

#[tokio::test]
async fn a_server_upgraded_to_enterprise_is_written_to_only_when_that_is_approved() {
    let stage = Stage::play(Options { edition: Edition::Community, ..Options::default() }).await;
    stage.simulator.add_member("ada@example.com", "AN");
    stage.apply(&Stage::invite("people", "Reviewer", &["ada@example.com", "new@example.com"])).await;
    stage.ready("userinvite/people", "True", "Held").await;

    stage.simulator.set_edition(Edition::Enterprise);
    stage.simulator.clear_journal();
    reconcile(&stage, "1").await;
    let organization = stage.ready("organization/acme", "False", "TargetChanged").await;
    stage.ready("userinvite/people", "False", "TargetChanged").await;
    assert_eq!((stage.simulator.journal().writes().len(), stage.simulator.mails().len()), (0, 0));

    let message = condition(&organization, "Ready")["message"].as_str().unwrap().to_owned();
    let approve = message.split("labelstudio.rs/approve=").nth(1).unwrap().trim();
    stage.kubectl(&["annotate", "organization/acme", &format!("labelstudio.rs/approve={approve}")], "").await;
    let invite = stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(person(&invite, "ada@example.com")["role"], "Reviewer");
    assert_eq!(stage.simulator.mails_to("new@example.com"), 1);
}

#[tokio::test]
async fn a_server_restored_from_an_old_backup_loses_nobody_else_and_mails_nobody() {
    let stage = Stage::play(Options::default()).await;
    let people = ["ada@example.com", "alan@example.com", "grace@example.com"];
    for email in people {
        stage.simulator.add_member(email, "AN");
    }
    stage.apply(&Stage::invite("people", "Annotator", &people)).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;

    // The backup is older than two of them.
    stage.simulator.remove_by_hand("alan@example.com").unwrap();
    stage.simulator.remove_by_hand("grace@example.com").unwrap();
    stage.simulator.clear_journal();
    reconcile(&stage, "1").await;
    let invite = stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(person(&invite, "ada@example.com")["state"], "Active");
    for email in ["alan@example.com", "grace@example.com"] {
        assert_eq!(person(&invite, email)["state"], "Left");
    }
    assert_eq!((stage.simulator.journal().writes().len(), stage.simulator.mails().len()), (0, 0));
}

/// The addresses that the server asked for come back in another case than they were typed.
#[tokio::test]
async fn an_address_that_changes_its_case_is_the_same_person() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.add_member("Ada.Lovelace@Example.COM", "AN");
    stage.apply(&Stage::invite("people", "Annotator", &["ada.lovelace@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!((stage.simulator.journal().writes().len(), stage.simulator.mails().len()), (0, 0));
}

/// A quota, or a permission that the organization took away: the others go on.
#[tokio::test]
async fn a_refused_invitation_holds_the_newcomers_and_nobody_else() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.add_member("ada@example.com", "RE");
    stage.simulator.fault(Fault::on("POST", "/api/invite/send-email", FaultKind::Forbidden403).always());
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "new@example.com"])).await;
    let invite = stage.ready("userinvite/people", "False", "Forbidden").await;
    assert_eq!(person(&invite, "ada@example.com")["role"], "Annotator");
    assert_eq!(person(&invite, "new@example.com")["reason"], "Forbidden");
    let tries = stage.simulator.journal().count("POST", "/api/invite/send-email");
    reconcile(&stage, "1").await;
    stage
        .until("another look", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    assert_eq!((tries, stage.simulator.journal().count("POST", "/api/invite/send-email")), (1, 1), "left alone");
}

/// An administrator was a moment quicker, and this server does not show open invitations.
#[tokio::test]
async fn an_invitation_that_exists_already_is_a_refusal_of_that_one_and_no_second_mail() {
    let switches = Switches {
        open_invitations_listed: false,
        invite_already_invited: Superfluous::Conflict,
        ..Switches::default()
    };
    let stage = Stage::play(Options { switches, ..Options::default() }).await;
    stage.simulator.invite_by_hand("ada@example.com", "AN");
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "new@example.com"])).await;
    let invite = stage.ready("userinvite/people", "False", "Failed").await;
    let ada = person(&invite, "ada@example.com");
    assert!(ada["message"].as_str().unwrap().contains("409"), "{ada}");
    assert_eq!(person(&invite, "new@example.com")["state"], "Invited");
    for email in ["ada@example.com", "new@example.com"] {
        assert_eq!(stage.simulator.mails_to(email), 1, "{email}");
    }
    assert_eq!(stage.simulator.journal().count("POST", "/api/invite/send-email"), 2, "not again and again");
    stage.ready("organization/acme", "True", "Reconciled").await;
    // It is accepted, and so the person is there.
    stage.simulator.accept_invitation("ada@example.com").unwrap();
    reconcile(&stage, "1").await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
}

/// With and without a word of when to come back.
#[tokio::test]
async fn a_server_that_is_too_busy_is_asked_later_and_nobody_is_mailed_twice() {
    for retry_after in [Some(1), None] {
        let switches = Switches { retry_after, ..Switches::default() };
        let rate_limit = Some(RateLimit { requests_per_second: 3 });
        let stage = Stage::play(Options { switches, rate_limit, ..Options::default() }).await;
        stage.simulator.seed_members(20, "AN");
        let emails: Vec<String> = (0..20).map(|n| format!("person{n:05}@example.com")).collect();
        let mut emails: Vec<&str> = emails.iter().map(String::as_str).collect();
        emails.push("new@example.com");
        stage.apply(&Stage::invite("people", "Reviewer", &emails)).await;
        stage
            .until("the work to be done", async || {
                for what in ["organization/acme", "userinvite/people"] {
                    let object = stage.get(what).await;
                    assert!(condition(&object, "Stalled").is_null(), "{object:#}");
                }
                !stage.simulator.mails().is_empty()
                    && stage.simulator.member("person00019@example.com").unwrap().role == "RE"
            })
            .await;
        stage.ready("userinvite/people", "True", "Reconciled").await;
        let journal = stage.simulator.journal();
        assert!(journal.too_many_requests() > 0, "it was never too busy");
        let done = journal.writes().into_iter().filter(|write| write.status != Some(429)).count();
        assert_eq!((done, stage.simulator.mails().len()), (21, 1), "{:#?}", journal.counts_by_kind());
    }
}

#[tokio::test]
async fn who_is_gone_when_the_membership_is_to_be_deleted_is_gone() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.add_member("ada@example.com", "AN");
    let mut invite = Stage::invite("people", "Annotator", &["ada@example.com", "alan@example.com"]);
    invite["spec"]["deletionPolicy"] = json!("Remove");
    stage.apply(&invite).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    // Somebody else is quicker.
    stage.simulator.remove_by_hand("ada@example.com").unwrap();
    invite["spec"]["emails"] = json!(["alan@example.com"]);
    stage.apply(&invite).await;
    stage
        .until("she is forgotten", async || {
            let invite = stage.get("userinvite/people").await;
            person(&invite, "ada@example.com").is_null() && condition(&invite, "Ready")["status"] == "True"
        })
        .await;
}

#[tokio::test]
async fn an_operator_that_is_there_before_the_kinds_waits_for_them() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await.unwrap()));
    let mut stage = Stage::set_on(plane, Options::default(), &[]).await;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.until("it to find none", async || stage.log().contains("Organization is not served")).await;
    plane.install_crds().await.unwrap();
    stage.apply(&stage.organization(json!({}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
}

/// Neither knows of the other; the server is all that they share.
#[tokio::test]
async fn two_operators_in_two_clusters_leave_each_others_people_alone() {
    let one = Stage::play(Options::default()).await;
    one.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "both@example.com"])).await;
    one.ready("userinvite/people", "True", "Reconciled").await;
    let mut two = Stage::set(Options::default()).await;
    two.start_operator();
    two.secret(&one.simulator.legacy_token()).await;
    two.apply(&two.organization(json!({"url": one.simulator.url()}))).await;
    two.apply(&Stage::invite("others", "Annotator", &["grace@example.com", "both@example.com"])).await;
    let invite = two.ready("userinvite/others", "True", "Reconciled").await;
    assert_eq!(person(&invite, "both@example.com")["state"], "Invited", "adopted");
    reconcile(&one, "1").await;
    one.ready("userinvite/people", "True", "Reconciled").await;
    for email in ["ada@example.com", "grace@example.com", "both@example.com"] {
        assert_eq!(one.simulator.mails_to(email), 1, "{email}");
    }
    assert_eq!(two.get("organization/acme").await["status"]["members"]["unmanaged"], 1);
}

async fn another(stage: &Stage, name: &str, url: &str) -> Value {
    let mut organization = stage.organization(json!({"url": url}));
    organization["metadata"]["name"] = json!(name);
    stage.apply(&organization).await;
    let mut invite = Stage::invite(name, "Annotator", &[&format!("{name}@example.com")]);
    invite["spec"]["organizationRef"]["name"] = json!(name);
    invite
}

#[tokio::test]
async fn one_server_that_hangs_among_twenty_slows_none_of_the_others() {
    let mut stage = Stage::set(Options::default()).await;
    let token = stage.simulator.legacy_token();
    stage.start_operator();
    stage.secret(&token).await;
    // Servers of their own, each with an organization that was born at another time.
    let born = |second: i64| OrganizationSeed {
        created_at: Timestamp::from_second(1_700_000_000 + second).unwrap(),
        ..OrganizationSeed::default()
    };
    let options = |n: i64| Options { legacy_token: Some(token.clone()), organization: born(n), ..Options::default() };
    let hole = Simulator::start(options(99)).await.unwrap();
    hole.fault(Fault::on("*", "/api/current-user/whoami", FaultKind::HangForever).always());
    let invite = another(&stage, "hole", &hole.url()).await;
    stage.apply(&invite).await;
    let mut servers = Vec::new();
    for n in 0..19 {
        let server = Simulator::start(options(n)).await.unwrap();
        let name = format!("org{n:02}");
        let invite = another(&stage, &name, &server.url()).await;
        stage.apply(&invite).await;
        servers.push((name, server));
    }
    stage.until("it to be asked", async || !hole.journal().is_empty()).await;
    for (name, server) in &servers {
        stage.ready(&format!("userinvite/{name}"), "True", "Reconciled").await;
        assert_eq!(server.mails_to(&format!("{name}@example.com")), 1);
    }
    // Thirty seconds until it is given up.
    let invite = stage.get("userinvite/hole").await;
    assert_ne!(condition(&invite, "Ready")["status"], "True");
    stage.ready("organization/hole", "False", "Unreachable").await;
    hole.clear_faults();
    stage.ready("userinvite/hole", "True", "Reconciled").await;
}

#[tokio::test]
async fn two_organizations_with_one_account_share_its_budget() {
    let mut stage = Stage::set(Options::default()).await;
    stage.simulator.seed_members(600, "AN");
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    // The same server, typed in two ways.
    let urls = [stage.simulator.url(), format!("{}/", stage.simulator.url())];
    for (name, url) in ["one", "two"].iter().zip(urls) {
        let mut organization =
            stage.organization(json!({"url": url, "rateLimit": {"requestsPerSecond": 5, "burst": 1}}));
        organization["metadata"]["name"] = json!(name);
        stage.apply(&organization).await;
    }
    stage.ready("organization/one", "True", "Reconciled").await;
    // Both have to look before it is known that they are about the same one.
    stage.ready("organization/two", "False", "Conflict").await;
    // By the span of all of them: a stall of this machine only lengthens it, while requests that it held up come in a bunch.
    // Both begin with the token's bucket, and go on with the account's, with a burst of one each; the last of these three
    // intervals is one that a stall at the begin may hide. Each asks some ten times, so with budgets of their own they would
    // take half as long: two seconds and not four.
    let journal = stage.simulator.journal();
    let counted = journal.entries().filter(|entry| entry.auth != AuthKind::None);
    let times: Vec<u64> = counted.map(|entry| entry.at_ms).collect();
    let span = times[times.len() - 1] - times[0];
    let least = (u64::try_from(times.len()).unwrap() - 1).saturating_sub(3) * 1000 / 5;
    assert!(span >= least, "{} requests within {span} ms", times.len());
}

/// The mail server refuses one recipient, and Label Studio answers 500.
#[tokio::test]
async fn one_address_at_whose_mail_the_server_fails_keeps_nobody_else_waiting() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.add_member("guest@example.com", "AN");
    let bad = Fault::on("POST", "/api/invite/send-email", FaultKind::Status5xxJson { status: 500 });
    stage.simulator.fault(bad.with_body("a-bad@example.com").always());
    let mut people: Vec<String> = (0..60).map(|n| format!("p{n:02}@example.com")).collect();
    people.push("a-bad@example.com".to_owned());
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    stage.apply(&Stage::invite("people", "Annotator", &people)).await;
    let invite = stage.ready("userinvite/people", "False", "Failed").await;
    let failed = person(&invite, "a-bad@example.com");
    assert!(failed["message"].as_str().unwrap().contains("failed 2 times"), "{failed}");
    for email in people.iter().filter(|email| email.starts_with('p')) {
        assert_eq!(stage.simulator.mails_to(email), 1, "{email}");
    }
    assert_eq!(stage.simulator.mails_to("a-bad@example.com"), 0);
}

#[tokio::test]
async fn an_invitation_that_may_not_be_revoked_holds_its_person_and_nobody_else() {
    let stage = Stage::play(Options::default()).await;
    stage.apply(&Stage::invite("people", "Manager", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.fault(Fault::on("POST", "/api/invite/revoke", FaultKind::Forbidden403).always());
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.apply(&Stage::invite("others", "Annotator", &["new@example.com"])).await;
    stage.ready("userinvite/people", "False", "Forbidden").await;
    stage.ready("userinvite/others", "True", "Reconciled").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!((stage.simulator.mails_to("ada@example.com"), stage.simulator.mails_to("new@example.com")), (1, 1));
}
