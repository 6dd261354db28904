//! No secret that was used stands anywhere but where it belongs: not in a log line, at whatever level, not in an event, a
//! status or a condition. And nobody but the declared host is ever asked.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::{Fault, FaultKind, Options, Simulator};
use serde_json::{Value, json};
use stage::{Stage, condition};

const PASSWORD: &str = "sesame-of-the-first-account";
const WRONG_TOKEN: &str = "f00df00df00df00df00df00df00df00df00df00d";

async fn set(options: Options) -> Stage {
    let mut stage = Stage::set_with(options, &["bootstrap.enabled=true", "inviteLink.enabled=true"]).await;
    stage.start_operator_with(&[("LABEL_STUDIO_OPERATOR_LOG", "trace")]);
    stage
}

/// The first account is made, people are invited, the link is published and rotated, a wrong token is tried.
async fn live(stage: &Stage) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first"}, "stringData": {"password": PASSWORD}
    });
    stage.apply(&secret).await;
    let spec = json!({
        "title": "Acme", "inviteLink": {"secretName": "link"},
        "bootstrap": {"email": "boss@example.com", "passwordSecretRef": {"name": "first"}}
    });
    stage.apply(&stage.organization(spec)).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "alan@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.ready("organization/acme", "True", "Reconciled").await;

    let old = stage.simulator.invite_token();
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/rotate-invite-link=1"], "").await;
    stage.until("a new link", async || stage.simulator.invite_token() != old).await;
    let fault = FaultKind::Status5xxJson { status: 500 };
    stage.simulator.fault(Fault::on("GET", "/api/organizations/*/memberships", fault).times(4));
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage.ready("organization/acme", "True", "Reconciled").await;

    let good = stage.get("secret/label-studio").await["data"]["token"].clone();
    let patch = |token: &Value| json!({"data": {"token": token}}).to_string();
    let wrong = json!({"stringData": {"token": WRONG_TOKEN}}).to_string();
    stage.kubectl(&["patch", "secret/label-studio", "--type=merge", "-p", &wrong], "").await;
    stage.ready("organization/acme", "False", "Unauthorized").await;
    stage.kubectl(&["patch", "secret/label-studio", "--type=merge", "-p", &patch(&good)], "").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn no_secret_stands_in_a_log_line_an_event_or_a_status() {
    let stage = set(Options { empty: true, ..Options::default() }).await;
    let first_link = stage.simulator.invite_token();
    live(&stage).await;
    let mut secrets = stage.simulator.secrets();
    secrets.extend([PASSWORD.to_owned(), WRONG_TOKEN.to_owned(), first_link]);
    assert!(secrets.len() >= 7, "tokens of both kinds, access tokens, a session and links: {}", secrets.len());

    let mut said = stage.operator().log();
    assert!(said.iter().any(|line| line.contains("TRACE")), "everything is logged");
    for kinds in ["organizations,userinvites", "events.events.k8s.io"] {
        said.push(stage.kubectl(&["get", kinds, "-o", "json", "--show-managed-fields"], "").await);
    }
    for secret in secrets {
        let found = said.iter().find(|text| text.contains(&secret));
        assert!(
            found.is_none(),
            "a secret of {} letters that begins with {:?} stands in: {}",
            secret.len(),
            &secret[..4],
            found.unwrap()
        );
    }
}

#[tokio::test]
async fn whoever_redirects_is_not_followed_and_nobody_else_is_asked() {
    let elsewhere = Simulator::start(Options::default()).await.unwrap();
    for path in [
        "/user/login/",
        "/user/signup/",
        "/api/token/",
        "/api/token/refresh/",
        "/api/current-user/whoami",
        "/api/version/",
        "/api/organizations/*",
        "/api/organizations/*/memberships",
        "/api/invite/send-email",
        "/api/invite",
    ] {
        let stage = set(Options { empty: true, ..Options::default() }).await;
        let location = format!("{}{}", elsewhere.url(), path.replace('*', "1"));
        stage.simulator.fault(Fault::on("*", path, FaultKind::RedirectToOtherHost { location }).always());
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first"}, "stringData": {"password": PASSWORD}
        });
        stage.apply(&secret).await;
        let spec = json!({
            "inviteLink": {"secretName": "link"},
            "bootstrap": {"email": "boss@example.com", "passwordSecretRef": {"name": "first"}}
        });
        stage.apply(&stage.organization(spec)).await;
        stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
        stage
            .until(&format!("{path} to be told of"), async || {
                let organization = stage.get("organization/acme").await;
                let conditions = organization["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions.iter().any(|c| c["message"].as_str().is_some_and(|message| message.contains("redirects to")))
                    || condition(&organization, "Ready")["reason"] == "Redirected"
                    || stage.get("userinvite/people").await["status"]["users"].to_string().contains("redirects to")
            })
            .await;
        assert_eq!(elsewhere.journal().len(), 0, "{path}");
    }
}
