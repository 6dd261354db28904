//! Two clocks that differ: the server alone says whether a token is good, and whoever has the wrong clock is told what it looks
//! like from here.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{Stage, condition};
use std::time::Duration;

const HOUR: i64 = 3600;

/// Tokens of half an hour.
async fn set() -> Stage {
    let half = Duration::from_secs(1800);
    let mut stage = Stage::set(Options { personal_access_token_life: half, ..Options::default() }).await;
    stage.start_operator();
    stage
}

/// Everybody invited once, and nothing else was written.
fn assert_only_mails(stage: &Stage, emails: &[&str]) {
    for email in emails {
        assert_eq!(stage.simulator.mails_to(email), 1, "{email}");
    }
    let journal = stage.simulator.journal();
    let done = journal.writes().into_iter().filter(|write| write.status == Some(200)).count();
    assert_eq!((stage.simulator.mails().len(), done), (emails.len(), emails.len()), "{journal:#?}");
}

async fn authenticated(stage: &Stage, status: &str, reason: &str) -> Value {
    let mut last = Value::Null;
    stage
        .until(reason, async || {
            last = condition(&stage.get("organization/acme").await, "Authenticated");
            last["status"] == status && last["reason"] == reason
        })
        .await;
    last
}

/// The token ended half an hour ago by our clock, and by the server's, which is an hour behind, it has just been made.
#[tokio::test]
async fn a_token_that_has_ended_by_our_clock_alone_is_used_and_told_of() {
    let stage = set().await;
    stage.simulator.set_clock_ahead(-HOUR);
    stage.secret(&stage.simulator.personal_access_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let told = authenticated(&stage, "True", "TokenExpiresSoon").await;
    assert!(told["message"].as_str().unwrap().contains("by the clock here"), "{told}");
    // Its access tokens have ended by our clock as well, and are not renewed with each request for that.
    assert_eq!(stage.simulator.journal().count("POST", "/api/token/refresh"), 1);
    assert_only_mails(&stage, &["ada@example.com"]);
}

/// The server's clock jumps ahead: by ours the token has half an hour left.
#[tokio::test]
async fn a_token_that_has_ended_by_the_servers_clock_alone_stops_everything_until_there_is_another() {
    let stage = set().await;
    stage.secret(&stage.simulator.personal_access_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;

    stage.simulator.set_clock_ahead(HOUR);
    let both = ["ada@example.com", "alan@example.com"];
    stage.apply(&Stage::invite("people", "Annotator", &both)).await;
    let organization = stage.ready("organization/acme", "False", "Unauthorized").await;
    let stalled = condition(&organization, "Stalled");
    let message = stalled["message"].as_str().unwrap();
    assert!(message.contains("key \"token\" of Secret \"label-studio\""), "{message}");
    assert!(!message.contains("ended at"), "by our clock it has not: {message}");
    authenticated(&stage, "False", "Unauthorized").await;
    assert_only_mails(&stage, &["ada@example.com"]);

    stage.secret(&stage.simulator.rotate_personal_access_token()).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_only_mails(&stage, &both);
}

/// Both agree, so it is said what is wrong with it.
#[tokio::test]
async fn a_token_that_has_ended_by_both_clocks_is_refused_with_its_end() {
    let stage = set().await;
    stage.simulator.set_clock_ahead(-HOUR);
    let ended = stage.simulator.personal_access_token();
    stage.simulator.set_clock_ahead(0);
    stage.secret(&ended).await;
    stage.apply(&stage.organization(json!({}))).await;
    let organization = stage.ready("organization/acme", "False", "Unauthorized").await;
    let message = condition(&organization, "Stalled")["message"].clone();
    let message = message.as_str().unwrap();
    assert!(message.contains("ended at") && message.contains("Secret \"label-studio\""), "{message}");
    let asked = stage.simulator.journal().len();
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "False", "OrganizationNotReady").await;
    assert_eq!(stage.simulator.journal().len(), asked, "it is left alone");
    assert_only_mails(&stage, &[]);
}
