//! A new invite link kills the old one: it is made once for each request, whatever is killed, cut or lost, and the Secret
//! of an Organization that is Ready never holds a dead one.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_link;

use label_studio_simulator::{Fault, FaultKind, Options};
use serde_json::json;
use stage::{Stage, condition};
use stage_link::{RESET, annotate, assert_no_link_shows, play, published, resets, rotated, secret, value, with_link};

#[tokio::test]
async fn a_new_value_of_the_annotation_makes_one_new_link() {
    let mut stage = play(Options { sub_path: "/studio".to_owned(), ..Options::default() }).await;
    let old = published(&stage).await;
    annotate(&stage, "rotate-invite-link", "leaked").await;
    rotated(&stage, "leaked").await;
    let new = published(&stage).await;
    assert_ne!(old, new);
    let link = secret(&stage, "invite-link").await.unwrap();
    assert_eq!(value(&link, "url"), format!("{}/user/signup/?token={new}", stage.simulator.url()));
    assert!(stage.get("organization/acme").await["status"]["inviteLink"]["rotatedAt"].is_string());
    stage.operator().kill_hard().unwrap();
    stage.start_operator();
    annotate(&stage, "reconcile", "1").await;
    stage
        .until("another pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    assert_eq!(resets(&stage), 1);
    annotate(&stage, "rotate-invite-link", "again").await;
    rotated(&stage, "again").await;
    assert_eq!(resets(&stage), 2);
    assert_no_link_shows(&stage, &stage.get("organization/acme").await, &[&old, &new, &published(&stage).await]);
}

#[tokio::test]
async fn whatever_becomes_of_the_request_one_new_link_is_made() {
    let stage = play(Options::default()).await;
    for (round, (fault, requests)) in [
        (FaultKind::CutAfter, 1),
        (FaultKind::Status5xxAfter { status: 502 }, 1),
        (FaultKind::HangAfter, 1),
        // Not carried out, which only time tells.
        (FaultKind::CutBefore, 2),
        (FaultKind::Status5xxHtml { status: 504 }, 2),
        (FaultKind::HangForever, 2),
        // Not carried out, as the server says.
        (FaultKind::Status429 { retry_after: Some(1) }, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let (old, before) = (published(&stage).await, resets(&stage));
        stage.simulator.fault(Fault::on("POST", RESET, fault.clone()));
        annotate(&stage, "rotate-invite-link", &round.to_string()).await;
        rotated(&stage, &round.to_string()).await;
        assert_ne!(published(&stage).await, old, "{fault:?}");
        assert_eq!(resets(&stage) - before, requests, "{fault:?}");
    }
}

#[tokio::test]
async fn killed_between_any_two_steps_one_new_link_is_made() {
    let mut stage = play(Options::default()).await;
    let rotating = async |stage: &Stage| {
        stage
            .until("the mark is stored and the request under way", async || {
                let organization = stage.get("organization/acme").await;
                !organization["status"]["inviteLink"]["rotating"].is_null()
            })
            .await;
    };

    // Before the mark.
    stage.operator().kill_hard().unwrap();
    annotate(&stage, "rotate-invite-link", "1").await;
    stage.start_operator();
    rotated(&stage, "1").await;
    assert_eq!(resets(&stage), 1);

    // After the mark, before the server did anything. Time does not run out while it is looked at.
    assert!(stage.operator().terminate().await.unwrap().status.success());
    stage.start_operator_with(&[("LABEL_STUDIO_OPERATOR_MAIL_TIMEOUT_MS", "600000")]);
    stage.simulator.fault(Fault::on("POST", RESET, FaultKind::HangForever));
    annotate(&stage, "rotate-invite-link", "2").await;
    rotating(&stage).await;
    stage.until("the request is there", async || resets(&stage) == 2).await;
    let organization = stage.get("organization/acme").await;
    assert_eq!(condition(&organization, "Ready")["status"], "False", "{organization:#}");
    assert_eq!(condition(&organization, "InviteLinkPublished")["reason"], "Rotating");
    stage.operator().kill_hard().unwrap();
    stage.start_operator();
    rotated(&stage, "2").await;
    assert_eq!(resets(&stage), 3);

    // After the server made it, before the Secret.
    let old = published(&stage).await;
    stage.simulator.fault(Fault::on("POST", RESET, FaultKind::HangAfter));
    annotate(&stage, "rotate-invite-link", "3").await;
    stage.until("a new link is made", async || stage.simulator.invite_token() != old).await;
    stage.operator().kill_hard().unwrap();
    rotating(&stage).await;
    assert_eq!(published(&stage).await, old);
    stage.start_operator();
    rotated(&stage, "3").await;
    assert_eq!(resets(&stage), 4);

    // After the Secret, before status.
    let old = published(&stage).await;
    stage.simulator.fault(Fault::on("POST", RESET, FaultKind::HangAfter));
    annotate(&stage, "rotate-invite-link", "4").await;
    stage.until("a new link is made", async || stage.simulator.invite_token() != old).await;
    stage.operator().kill_hard().unwrap();
    let token = stage.simulator.invite_token();
    let url = format!("{}/user/signup/?token={token}", stage.simulator.url());
    let written = json!({"stringData": {"token": token, "url": url}}).to_string();
    stage.kubectl(&["patch", "secret/invite-link", "--type=merge", "-p", &written], "").await;
    stage.start_operator();
    rotated(&stage, "4").await;
    assert_eq!(resets(&stage), 5);
    assert_eq!(published(&stage).await, token);
}

#[tokio::test]
async fn a_link_that_is_old_enough_is_replaced_once() {
    let mut stage = play(Options::default()).await;
    stage.operator().kill_hard().unwrap();
    let old = published(&stage).await;
    let past = json!({"status": {"inviteLink": {"publishedAt": "2020-01-01T00:00:00Z"}}}).to_string();
    stage.kubectl(&["patch", "organization/acme", "--subresource=status", "--type=merge", "-p", &past], "").await;
    let every = json!({"inviteLink": {"secretName": "invite-link", "rotateEvery": "1h"}});
    stage.apply(&with_link(&stage, every)).await;
    stage.start_operator();
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert_ne!(published(&stage).await, old);
    annotate(&stage, "reconcile", "1").await;
    stage
        .until("another pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    assert_eq!(resets(&stage), 1);
}

#[tokio::test]
async fn nobody_waits_for_a_server_that_hangs_over_a_new_link() {
    let mut stage = play(Options::default()).await;
    stage.operator().kill_hard().unwrap();
    stage.simulator.fault(Fault::on("POST", RESET, FaultKind::HangForever));
    // Longer than this test waits for anything.
    stage.start_operator_with(&[("LABEL_STUDIO_OPERATOR_MAIL_TIMEOUT_MS", "600000")]);
    annotate(&stage, "rotate-invite-link", "1").await;
    stage.until("the request is there", async || resets(&stage) == 1).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    let organization = stage.get("organization/acme").await;
    assert!(!organization["status"]["inviteLink"]["rotating"].is_null(), "it may still be under way");
    assert_eq!(resets(&stage), 1);
}
