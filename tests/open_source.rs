//! The same manifests against real open-source Label Studio.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_harness::OpenSourceLabelStudio;
use label_studio_simulator::Options;
use serde_json::json;
use stage::{Stage, condition, person};

#[tokio::test]
async fn the_same_manifests_work_on_real_open_source_label_studio() {
    let server = OpenSourceLabelStudio::start().await.unwrap();
    server.sign_up("ada@example.com").await.unwrap();
    let mut stage = Stage::set(Options::default()).await;
    stage.start_operator();
    stage.secret(server.legacy_token()).await;
    let organization = stage.organization(json!({"url": server.url(), "title": "Acme Labels"}));
    stage.apply(&organization).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "new@example.com"])).await;
    let invite = stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(person(&invite, "ada@example.com")["state"], "Active");
    assert_eq!(person(&invite, "new@example.com")["reason"], "UnsupportedByEdition");
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(organization["status"]["edition"], "Community");
    assert_eq!(organization["status"]["version"], "1.23.2");
    assert_eq!(server.whoami().await.unwrap()["active_organization_meta"]["title"], "Acme Labels");

    // The Owner's own address is no one's to manage.
    stage.apply(&Stage::invite("owner", "Administrator", &["owner@example.com"])).await;
    stage.ready("userinvite/owner", "False", "Owner").await;

    // A personal access token of the same server does as well.
    stage.secret(&server.personal_access_token().await.unwrap()).await;
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage
        .until("a pass with the other token", async || {
            let organization = stage.get("organization/acme").await;
            organization["status"]["lastHandledReconcileAt"] == "1"
                && condition(&organization, "Ready")["status"] == "True"
        })
        .await;
    stage.delete("userinvite/people").await;
}

/// What Python trims and Rust does not: the server makes another title of it, and is not asked for it again and again.
#[tokio::test]
async fn a_title_that_the_server_changes_is_told_of_and_not_written_again_at_each_look() {
    let server = OpenSourceLabelStudio::start().await.unwrap();
    let mut stage = Stage::set(Options::default()).await;
    stage.start_operator();
    stage.secret(server.legacy_token()).await;
    stage.apply(&stage.organization(json!({"url": server.url(), "title": "Acme\u{1f}"}))).await;
    let organization = stage.ready("organization/acme", "False", "TitleRefused").await;
    let message = condition(&organization, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the server makes \"Acme\" of it"), "{message}");
    for value in ["1", "2"] {
        stage
            .kubectl(
                &["annotate", "--overwrite", "organization/acme", &format!("labelstudio.rs/reconcile={value}")],
                "",
            )
            .await;
        stage
            .until("another look", async || {
                stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == value
            })
            .await;
    }
    let writes = stage.operator().log().iter().filter(|line| line.contains("written to Label Studio")).count();
    assert_eq!(writes, 1);
}
