//! What bad input gets: a condition that names object, field, value and remedy; other people still reconciled; nothing
//! lost; and a server that refuses our token is left alone.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::{Fault, FaultKind, Options};
use serde_json::{Value, json};
use stage::{Stage, condition, person};
use std::time::Duration;

/// Applies the Organization with `more`, and returns the message of its Ready condition.
async fn refused(stage: &Stage, more: Value, reason: &str) -> String {
    stage.apply(&stage.organization(more)).await;
    let organization = stage.ready("organization/acme", "False", reason).await;
    condition(&organization, "Ready")["message"].as_str().unwrap().to_owned()
}

async fn set() -> Stage {
    let mut stage = Stage::set(Options::default()).await;
    stage.start_operator();
    stage
}

#[tokio::test]
async fn a_wrong_url_or_host_says_so() {
    let stage = set().await;
    stage.secret(&stage.simulator.legacy_token()).await;
    let message = refused(&stage, json!({"url": "http://127.0.0.1:9"}), "Unreachable").await;
    assert!(message.contains("spec.url \"http://127.0.0.1:9\""), "{message}");
    let message = refused(&stage, json!({"url": "http://no-such-host.invalid"}), "Unreachable").await;
    assert!(message.contains("no-such-host.invalid"), "{message}");
    // TLS where plain http is spoken.
    let url = stage.simulator.url().replace("http://", "https://");
    let message = refused(&stage, json!({"url": url}), "TlsFailed").await;
    assert!(message.contains("spec.tls.caBundle"), "{message}");
    // A path that is no Label Studio.
    let url = format!("{}/nothing/here", stage.simulator.url());
    stage.apply(&stage.organization(json!({"url": url}))).await;
    stage
        .until("it says where to look", async || {
            let organization = stage.get("organization/acme").await;
            let ready = condition(&organization, "Ready");
            ready["message"]
                .as_str()
                .is_some_and(|message| message.contains("check spec.url") && message.contains("nothing/here"))
        })
        .await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn html_instead_of_json_is_no_label_studio() {
    let stage = set().await;
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.simulator.fault(Fault::on("GET", "/api/current-user/whoami", FaultKind::HtmlInsteadOfJson).always());
    let message = refused(&stage, json!({}), "NotLabelStudio").await;
    assert!(message.contains("check spec.url"), "{message}");
}

#[tokio::test]
async fn a_missing_secret_or_key_names_both_and_no_other_key_and_appears_when_created() {
    let stage = set().await;
    let message = refused(&stage, json!({}), "SecretMissing").await;
    assert!(message.contains("spec.credentials.secretRef: there is no Secret \"label-studio\""), "{message}");
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let reference = json!({"credentials": {"secretRef": {"name": "label-studio", "key": "password"}}});
    let message = refused(&stage, reference, "SecretKeyMissing").await;
    let words = "Secret \"label-studio\" in namespace";
    assert!(message.contains(words) && message.contains("has no key \"password\": add it"), "{message}");
    assert!(message.contains("spec.credentials.secretRef.key"), "{message}");
    // Whoever may write an Organization may not be allowed to look into every Secret beside it.
    assert!(!message.contains("token"), "{message}");
    let tls = json!({"tls": {"caBundle": {"configMapName": "authority"}}});
    let message = refused(&stage, tls.clone(), "ConfigMapMissing").await;
    assert!(message.contains("spec.tls.caBundle: there is no ConfigMap \"authority\""), "{message}");
    let map = |key: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authority"}, "data": {key: "no PEM"}});
    stage.apply(&map("other")).await;
    let message = refused(&stage, tls.clone(), "ConfigMapKeyMissing").await;
    assert!(message.contains("ConfigMap \"authority\"") && message.contains("has no key \"ca.crt\""), "{message}");
    stage.apply(&map("ca.crt")).await;
    let message = refused(&stage, tls, "InvalidCaBundle").await;
    assert!(message.contains("key \"ca.crt\" of ConfigMap \"authority\""), "{message}");
}

#[tokio::test]
async fn each_unusable_token_gets_its_own_word_and_is_never_shown() {
    let stage = set().await;
    let access = stage.simulator.access_token();
    let good = stage.simulator.legacy_token();
    for (token, word) in
        [("", "empty"), (" \t", "blanks"), (&*format!("{good}\n"), "newline"), (&*access, "access token")]
    {
        stage.secret(token).await;
        stage.apply(&stage.organization(json!({}))).await;
        stage
            .until(word, async || {
                let organization = stage.get("organization/acme").await;
                let ready = condition(&organization, "Ready");
                ready["reason"] == "InvalidToken"
                    && ready["message"].as_str().is_some_and(|message| message.contains(word))
            })
            .await;
    }
    let binary = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "label-studio"}, "data": {"token": "/w=="}
    });
    stage.apply(&binary).await;
    stage
        .until("not text", async || {
            let organization = stage.get("organization/acme").await;
            condition(&organization, "Authenticated")["status"] == "False"
                && condition(&organization, "Ready")["message"]
                    .as_str()
                    .is_some_and(|message| message.contains("not text"))
        })
        .await;
    let log = stage.operator().log().join("\n");
    let status = stage.get("organization/acme").await.to_string();
    for secret in [&access, &good] {
        assert!(!log.contains(secret.as_str()) && !status.contains(secret.as_str()));
    }
}

#[tokio::test]
async fn a_refused_token_stops_all_traffic_until_the_secret_changes() {
    let stage = set().await;
    stage.secret("0123456789012345678901234567890123456789").await;
    let message = refused(&stage, json!({}), "Unauthorized").await;
    assert!(message.contains("key \"token\" of Secret \"label-studio\""), "{message}");
    let organization = stage.get("organization/acme").await;
    assert_eq!(condition(&organization, "Authenticated")["status"], "False");
    assert_eq!(condition(&organization, "Stalled")["status"], "True");
    stage.simulator.clear_journal();
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "False", "OrganizationNotReady").await;
    assert_eq!(stage.simulator.journal().len(), 0, "{:?}", stage.simulator.journal());
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
}

#[tokio::test]
async fn a_token_of_too_low_a_role_and_a_foreign_organization_stop_before_the_first_write() {
    let stage = set().await;
    stage.simulator.add_member("ada@example.com", "AN");
    stage.secret(&stage.simulator.legacy_token()).await;
    let message = refused(&stage, json!({"organizationId": 4711, "title": "Other"}), "OrganizationMismatch").await;
    assert!(message.contains("spec.organizationId is 4711"), "{message}");
    stage.simulator.set_role_by_hand("operator@example.com", "RE").unwrap();
    stage.apply(&stage.organization(json!({"title": "Other"}))).await;
    let message = refused(&stage, json!({"title": "Other"}), "RoleTooLow").await;
    assert!(message.contains("Reviewer") && message.contains("Owner or Administrator"), "{message}");
    assert_eq!(stage.simulator.journal().writes().len(), 0);
}

#[tokio::test]
async fn owner_ourselves_and_a_second_claim_are_held_and_the_others_go_on() {
    let stage = Stage::play(Options::default()).await;
    let emails = ["owner@example.com", "operator@example.com", "ada@example.com"];
    stage.apply(&Stage::invite("first", "Annotator", &emails)).await;
    // The first of those who need a look, by address.
    let first = stage.ready("userinvite/first", "False", "Self").await;
    assert_eq!(person(&first, "owner@example.com")["reason"], "Owner");
    assert_eq!(person(&first, "operator@example.com")["reason"], "Self");
    assert_eq!(person(&first, "ada@example.com")["state"], "Invited");
    assert_eq!(condition(&first, "Stalled")["status"], "True");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await; // creation times have whole seconds
    stage.apply(&Stage::invite("second", "Manager", &["Ada@example.com", "ben@example.com"])).await;
    let second = stage.ready("userinvite/second", "False", "Conflict").await;
    let entry = person(&second, "Ada@example.com");
    assert!(entry["message"].as_str().unwrap().contains("UserInvite first"), "{entry}");
    assert_eq!(person(&second, "ben@example.com")["state"], "Invited");
    assert_eq!(stage.simulator.mails_to("ada@example.com"), 1);
}

#[tokio::test]
async fn a_userinvite_without_its_organization_waits_and_goes_on_when_it_comes() {
    let stage = set().await;
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    let invite = stage.ready("userinvite/people", "False", "OrganizationNotFound").await;
    assert!(condition(&invite, "Ready")["message"].as_str().unwrap().contains("\"acme\""));
    assert!(invite["metadata"]["finalizers"].is_null());
    stage.apply(&stage.organization(json!({}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
}

#[tokio::test]
async fn one_bad_address_among_many_fails_alone_and_nobody_is_mailed_twice() {
    let stage = Stage::play(Options::default()).await;
    let emails: Vec<String> =
        (0..60).map(|n| format!("p{n:02}@example.com")).chain(["bad..one@example.com".to_owned()]).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    stage.apply(&Stage::invite("people", "Annotator", &emails)).await;
    let invite = stage.ready("userinvite/people", "False", "Failed").await;
    assert_eq!(person(&invite, "bad..one@example.com")["state"], "Failed");
    for n in 0..60 {
        assert_eq!(stage.simulator.mails_to(&format!("p{n:02}@example.com")), 1);
    }
}

#[tokio::test]
async fn a_403_on_one_operation_holds_that_operation_only() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.add_member("ada@example.com", "AN");
    stage.simulator.fault(Fault::on("POST", "/api/invite/send-email", FaultKind::Forbidden403).always());
    stage.apply(&Stage::invite("people", "Reviewer", &["ada@example.com", "new@example.com"])).await;
    let invite = stage.ready("userinvite/people", "False", "Forbidden").await;
    assert_eq!(person(&invite, "ada@example.com")["state"], "Active");
    let new = person(&invite, "new@example.com");
    assert_eq!(new["reason"], "Forbidden");
    // The server's id of the error is another one each time: it is for the log, not for a status that would never rest.
    let logged = stage.operator().log().iter().find(|line| line.contains("refused by label studio")).cloned().unwrap();
    let id = logged.split("error_id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(id.len() == 36 && !invite.to_string().contains(&id), "{invite:#}");
    assert!(new["message"].as_str().unwrap().contains("answered 403"), "{new}");
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_never_asked() {
    let mut stage = Stage::set(Options::default()).await;
    let allowed = "LABEL_STUDIO_OPERATOR_ALLOWED_SERVER";
    stage.start_operator_with(&[(allowed, "label-studio.example.com, Other.example.com")]);
    stage.secret(&stage.simulator.legacy_token()).await;
    let message = refused(&stage, json!({}), "ServerNotAllowed").await;
    assert!(message.contains("127.0.0.1") && message.contains("allowedServers"), "{message}");
    assert_eq!(stage.simulator.journal().len(), 0);
    stage.operator = None;
    stage.start_operator_with(&[(allowed, "label-studio.example.com,127.0.0.1")]);
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn a_token_that_ends_soon_is_told_of_while_it_works() {
    let ten_days = Duration::from_secs(10 * 86_400);
    let mut stage = Stage::set(Options { personal_access_token_life: ten_days, ..Options::default() }).await;
    stage.start_operator();
    stage.secret(&stage.simulator.personal_access_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    let authenticated = condition(&organization, "Authenticated");
    assert_eq!((&authenticated["status"], &authenticated["reason"]), (&json!("True"), &json!("TokenExpiresSoon")));
    stage
        .until("an Event", async || {
            stage.kubectl(&["get", "events.events.k8s.io", "-o", "json"], "").await.contains("TokenExpiresSoon")
        })
        .await;
    stage.secret(&stage.simulator.legacy_token()).await;
    stage
        .until("the warning to go with the token", async || {
            let organization = stage.get("organization/acme").await;
            let authenticated = condition(&organization, "Authenticated");
            authenticated["reason"] == "TokenAccepted"
                && authenticated["message"].as_str().is_some_and(|message| message.contains("use https"))
        })
        .await;
}
