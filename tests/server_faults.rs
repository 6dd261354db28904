//! What a server does to an organization that is in sync: it is upgraded, restored from an old backup, or hangs. Each with a
//! verdict on the end, on the writes, on the mails, and on what is shown meanwhile.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::{Edition, Fault, FaultKind, Options, Simulator};
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
    let hole = Simulator::start(Options { legacy_token: Some(token.clone()), ..Options::default() }).await.unwrap();
    hole.fault(Fault::on("*", "/api/current-user/whoami", FaultKind::HangForever).always());
    let invite = another(&stage, "hole", &hole.url()).await;
    stage.apply(&invite).await;
    let mut servers = Vec::new();
    for n in 0..19 {
        let server =
            Simulator::start(Options { legacy_token: Some(token.clone()), ..Options::default() }).await.unwrap();
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
    for name in ["one", "two"] {
        stage.ready(&format!("organization/{name}"), "True", "Reconciled").await;
    }
    // Both begin with the token's bucket, and go on with the account's: a burst of one each.
    let most = stage.simulator.journal().most_in_one_second();
    assert!(most <= 7, "{most} in one second");
}
