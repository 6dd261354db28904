//! The first account of an empty server: made once, whatever goes wrong in between, and never on a server that has an
//! organization.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_harness::OpenSourceLabelStudio;
use label_studio_simulator::{Edition, Fault, FaultKind, Options};
use serde_json::{Value, json};
use stage::{Stage, condition};

const SIGN_UP: &str = "/user/signup/";
const PASSWORD: &str = "correct horse battery";

fn empty(edition: Edition) -> Options {
    Options { edition, empty: true, ..Options::default() }
}

/// With the right to write Secrets, and the operator running.
async fn set(options: Options) -> Stage {
    let mut stage = Stage::set_with(options, &["bootstrap.enabled=true"]).await;
    stage.start_operator();
    stage
}

/// The Organization and the Secret with the password, in one `kubectl apply`.
async fn apply(stage: &Stage, password: &str, more: Value) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first-account"}, "stringData": {"password": password}
    });
    let mut spec = json!({"bootstrap": {"email": "Boss@example.com", "passwordSecretRef": {"name": "first-account"}}});
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret, stage.organization(spec)]});
    stage.apply(&list).await;
}

async fn is_founded_once(stage: &Stage) {
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(condition(&organization, "Authenticated")["status"], "True");
    let members = stage.simulator.members();
    assert_eq!(members.iter().map(|m| m.email.as_str()).collect::<Vec<_>>(), ["boss@example.com"]);
    assert_eq!(stage.simulator.read(|state| state.foreign_organizations.len()), 0);
    let secret = stage.get("secret/label-studio").await;
    assert!(secret["data"]["token"].as_str().is_some_and(|token| !token.is_empty()));
}

fn forms_sent(stage: &Stage) -> usize {
    stage.simulator.journal().count("POST", SIGN_UP)
}

#[tokio::test]
async fn an_empty_server_gets_its_owner_and_the_token_is_stored() {
    for edition in [Edition::Enterprise, Edition::Community] {
        let stage = set(empty(edition)).await;
        apply(&stage, PASSWORD, json!({"title": "Acme"})).await;
        is_founded_once(&stage).await;
        assert_eq!(stage.simulator.title(), "Acme");
    }
}

#[tokio::test]
async fn an_answer_lost_or_a_kill_in_between_makes_no_second_account() {
    // The form itself is the second that is posted: the first one is empty and asks whether there is an organization.
    let points = [
        Fault::on("POST", SIGN_UP, FaultKind::CutAfter).nth(2),
        Fault::on("POST", SIGN_UP, FaultKind::CutBefore).nth(2),
        Fault::on("POST", SIGN_UP, FaultKind::Status5xxAfter { status: 504 }).nth(2),
        Fault::on("POST", "/api/token/", FaultKind::CutAfter),
        Fault::on("GET", "/api/current-user/whoami", FaultKind::CutBefore).times(3),
    ];
    for fault in points {
        for killed in [false, true] {
            let mut stage = Stage::set_with(empty(Edition::Enterprise), &["bootstrap.enabled=true"]).await;
            stage.simulator.fault(fault.clone());
            stage.start_operator();
            apply(&stage, PASSWORD, json!({})).await;
            if killed {
                let path = fault.matcher.path.clone().unwrap();
                let count = usize::try_from(fault.nth).unwrap();
                let reached = async || {
                    stage.simulator.journal().entries().filter(|e| e.path == path && e.method != "HEAD").count()
                        >= count
                };
                stage.until("the operator gets that far", reached).await;
                stage.operator = None;
                stage.start_operator();
            }
            is_founded_once(&stage).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_has_an_organization_is_left_alone() {
    for edition in [Edition::Enterprise, Edition::Community] {
        let stage = set(Options { edition, ..Options::default() }).await;
        let before = stage.simulator.members().len();
        apply(&stage, PASSWORD, json!({})).await;
        let organization = stage.ready("organization/acme", "False", "BootstrapNotEmpty").await;
        let message = condition(&organization, "Ready")["message"].as_str().unwrap().to_owned();
        assert!(message.contains("has an organization already") && message.contains("label-studio"), "{message}");
        assert!(!message.contains(PASSWORD));
        // Nothing that has changed since could change the answer.
        stage.simulator.clear_journal();
        stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
        stage.ready("userinvite/people", "False", "OrganizationNotReady").await;
        assert_eq!(stage.simulator.journal().len(), 0, "left alone");
        stage.delete("userinvite/people").await;
        assert_eq!(stage.simulator.members().len(), before);
        assert_eq!(stage.simulator.read(|state| state.foreign_organizations.len()), 0);
        // A token put there by hand ends it.
        stage.secret(&stage.simulator.legacy_token()).await;
        stage.ready("organization/acme", "True", "Reconciled").await;
    }
}

#[tokio::test]
async fn an_empty_server_whose_sign_up_is_closed_is_told_of() {
    let stage = set(Options { signup_closed: true, ..empty(Edition::Community) }).await;
    apply(&stage, PASSWORD, json!({})).await;
    let organization = stage.ready("organization/acme", "False", "BootstrapNotEmpty").await;
    let message = condition(&organization, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"), "{message}");
    stage.simulator.set_signup_closed(false);
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    is_founded_once(&stage).await;
}

#[tokio::test]
async fn what_cannot_be_kept_or_is_no_password_is_said_before_any_form_is_sent() {
    let stage = set(empty(Edition::Enterprise)).await;
    for (password, word) in
        [("short", "5 characters"), ("long enough\n", "newline"), ("boss@example.com", "address itself")]
    {
        apply(&stage, password, json!({})).await;
        stage
            .until(word, async || {
                let organization = stage.get("organization/acme").await;
                let ready = condition(&organization, "Ready");
                ready["reason"] == "BootstrapPasswordRefused" && ready["message"].as_str().unwrap().contains(word)
            })
            .await;
    }
    assert_eq!(forms_sent(&stage), 0);
    apply(&stage, PASSWORD, json!({})).await;
    is_founded_once(&stage).await;

    // Without the chart's switch.
    let mut stage = Stage::set(empty(Edition::Enterprise)).await;
    stage.start_operator();
    apply(&stage, PASSWORD, json!({})).await;
    let organization = stage.ready("organization/acme", "False", "BootstrapForbidden").await;
    let message = condition(&organization, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("bootstrap.enabled=true"), "{message}");
    assert_eq!(stage.simulator.journal().len(), 0);
}

#[tokio::test]
async fn who_is_a_mere_member_is_no_first_account() {
    let stage = set(Options { edition: Edition::Community, ..Options::default() }).await;
    stage.simulator.change(|state| state.signup_closed = false);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let word = "abcdefghijklmnopqrstuvwxyzabcdef";
    let answer = client
        .post(format!("{}{SIGN_UP}", stage.simulator.url()))
        .header("Cookie", format!("csrftoken={word}"))
        .form(&[("csrfmiddlewaretoken", word), ("email", "boss@example.com"), ("password", PASSWORD)])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 302);
    let theirs = stage.simulator.personal_access_token_of("boss@example.com");
    assert!(theirs.is_some());
    apply(&stage, PASSWORD, json!({})).await;
    stage.ready("organization/acme", "False", "BootstrapNotOwner").await;
    assert!(stage.try_get("secret/label-studio").await.is_err(), "nothing is stored");
    assert_eq!(stage.simulator.journal().count("POST", "/api/token/"), 0);
    assert_eq!(stage.simulator.personal_access_token_of("boss@example.com"), theirs, "and nothing is taken away");
}

#[tokio::test]
async fn real_open_source_label_studio_goes_from_an_empty_data_folder_to_a_synced_organization() {
    let server = OpenSourceLabelStudio::start_empty().await.unwrap();
    let stage = set(Options::default()).await;
    apply(&stage, PASSWORD, json!({"url": server.url(), "title": "Acme Labels"})).await;
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(organization["status"]["title"], "Acme Labels");
    assert_eq!(organization["status"]["owner"], "boss@example.com");
    assert_eq!(organization["status"]["members"]["active"], 1);
}
