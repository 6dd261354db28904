//! What the tests of the invite link share: an Organization that publishes it, and how to look at what stands where.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.
#![allow(clippy::needless_pass_by_value)] // `json!` values are handed over, not lent.
#![allow(dead_code)] // Each test file uses its own part of it.

use crate::stage::{Stage, condition};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use label_studio_simulator::Options;
use serde_json::{Value, json};

pub const RIGHTS: &[&str] = &["inviteLink.enabled=true"];
pub const RESET: &str = "/api/invite/reset-token";

/// The operator may write Secrets; it runs, and the link is published.
pub async fn play(options: Options) -> Stage {
    let mut stage = Stage::set_with(options, RIGHTS).await;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&with_link(&stage, json!({}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage
}

pub fn with_link(stage: &Stage, more: Value) -> Value {
    let mut organization = stage.organization(json!({"inviteLink": {"secretName": "invite-link"}}));
    organization["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    organization
}

pub async fn secret(stage: &Stage, name: &str) -> Option<Value> {
    let text = stage.kubectl(&["get", "secret", name, "--ignore-not-found", "-o", "json"], "").await;
    (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap())
}

pub fn value(secret: &Value, key: &str) -> String {
    String::from_utf8(STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap()).unwrap()
}

pub async fn published(stage: &Stage) -> String {
    value(&secret(stage, "invite-link").await.unwrap(), "token")
}

pub async fn annotate(stage: &Stage, annotation: &str, value: &str) {
    let annotation = format!("labelstudio.rs/{annotation}={value}");
    stage.kubectl(&["annotate", "--overwrite", "organization/acme", &annotation], "").await;
}

/// Waits until the request was handled. On the way, whenever the Organization is Ready, its Secret holds the link that
/// works: no rotation can begin between two readings of the same version, since status tells of it first.
pub async fn rotated(stage: &Stage, asked: &str) {
    stage
        .until("the rotation is done", async || {
            let before = stage.get("organization/acme").await;
            let link = &before["status"]["inviteLink"];
            if condition(&before, "Ready")["status"] != "True" || !link["rotating"].is_null() {
                return false;
            }
            let (shown, valid) = (published(stage).await, stage.simulator.invite_token());
            let after = stage.get("organization/acme").await;
            if before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"] {
                assert_eq!(shown, valid, "Ready with a dead link: {before:#}");
            }
            link["lastHandledRotate"] == asked
        })
        .await;
}

pub fn resets(stage: &Stage) -> usize {
    stage.simulator.journal().count("POST", RESET)
}

pub fn assert_no_link_shows(stage: &Stage, status: &Value, tokens: &[&str]) {
    let log = stage.operator().log().join("\n");
    for token in tokens {
        assert!(!log.contains(token) && !status.to_string().contains(token), "a link shows");
    }
}
