//! Both kinds of token, and the switches that turn a kind off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use common::{Answer, answer, call, call_as, http, start};
use label_studio_simulator::{Options, Simulator};
use serde_json::{Value, json};
use std::time::Duration;

const WHOAMI: &str = "/api/current-user/whoami";

async fn refresh(simulator: &Simulator, token: &str) -> Answer {
    let url = format!("{}/api/token/refresh/", simulator.url());
    answer(http().post(url).json(&json!({"refresh": token})).send().await.unwrap()).await.unwrap()
}

async fn access(simulator: &Simulator) -> String {
    let body = refresh(simulator, &simulator.personal_access_token()).await.json();
    body["access"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn both_kinds_of_token_name_the_same_administrator() {
    let simulator = start(Options::default()).await;
    let legacy = call(&simulator, "GET", WHOAMI, None).await.json();
    let bearer = format!("Bearer {}", access(&simulator).await);
    let personal = call_as(&simulator, &bearer, "GET", WHOAMI, None).await.unwrap().json();
    assert_eq!(legacy["id"], personal["id"]);
    assert_eq!(legacy["email"], "operator@example.com");
    assert_eq!(legacy["organization_membership"]["role"], "AD");
    assert_eq!(legacy["organization_membership"]["user_type"], "service");
    assert_eq!(simulator.legacy_token().len(), 40);
}

#[tokio::test]
async fn an_access_token_dies_after_its_life_and_looks_then_like_no_credentials() {
    let simulator = start(Options { access_token_life: Duration::from_secs(300), ..Options::default() }).await;
    let bearer = format!("Bearer {}", access(&simulator).await);
    assert_eq!(call_as(&simulator, &bearer, "GET", WHOAMI, None).await.unwrap().status, 200);
    simulator.set_clock_ahead(301);
    let late = call_as(&simulator, &bearer, "GET", WHOAMI, None).await.unwrap();
    assert_eq!((late.status, &late.json()["detail"]), (401, &json!("Authentication credentials were not provided.")));
    assert_eq!(late.headers["www-authenticate"], "Token");
}

#[tokio::test]
async fn a_personal_access_token_is_no_request_header_and_a_legacy_one_no_bearer() {
    let simulator = start(Options::default()).await;
    let (personal, legacy) = (simulator.personal_access_token(), simulator.legacy_token());
    for authorization in [format!("Bearer {personal}"), format!("Token {personal}"), format!("Bearer {legacy}")] {
        assert_eq!(call_as(&simulator, &authorization, "GET", WHOAMI, None).await.unwrap().status, 401);
    }
}

#[tokio::test]
async fn a_refresh_is_refused_in_the_servers_words() {
    let simulator = start(Options::default()).await;
    let token = simulator.personal_access_token();
    let access = access(&simulator).await;
    let garbage = refresh(&simulator, "x.y.z").await;
    assert_eq!((garbage.status, &garbage.json()["detail"]), (401, &json!("Token is invalid")));
    assert_eq!(garbage.headers["www-authenticate"], "Bearer realm=\"api\"");
    assert_eq!(refresh(&simulator, &access).await.json()["detail"], "Token has wrong type");
    let new = simulator.rotate_personal_access_token();
    assert_eq!(refresh(&simulator, &token).await.json()["detail"], "Token is blacklisted");
    assert_eq!(refresh(&simulator, &new).await.status, 200);
    let url = format!("{}/api/token/refresh/", simulator.url());
    let empty = answer(http().post(url).json(&json!({})).send().await.unwrap()).await.unwrap();
    assert_eq!(
        (empty.status, &empty.json()["validation_errors"]["refresh"][0]),
        (400, &json!("This field is required."))
    );
}

#[tokio::test]
async fn one_personal_token_at_a_time_and_the_list_shows_it_without_its_signature() {
    let simulator = start(Options::default()).await;
    let token = simulator.personal_access_token();
    assert_eq!(call(&simulator, "POST", "/api/token/", None).await.status, 409);
    let list = call(&simulator, "GET", "/api/token/", None).await.json();
    let shown = list[0]["token"].as_str().unwrap();
    assert!(token.starts_with(shown) && shown.matches('.').count() == 1);
    let blacklist = async || call(&simulator, "POST", "/api/token/blacklist/", Some(json!({"refresh": shown}))).await;
    assert_eq!(blacklist().await.status, 204);
    let again = blacklist().await;
    assert_eq!((again.status, again.json()), (404, json!({"detail": "Token is invalid or already blacklisted."})));
    assert_eq!(call(&simulator, "POST", "/api/token/", None).await.status, 201);
}

#[tokio::test]
async fn a_kind_that_is_switched_off_is_refused() {
    let simulator = start(Options::default()).await;
    let bearer = format!("Bearer {}", simulator.access_token());
    simulator.enable_tokens(false, true);
    let legacy = call(&simulator, "GET", WHOAMI, None).await;
    assert_eq!(legacy.status, 401);
    assert!(legacy.text.contains("legacy token authentication has been disabled for this organization"));
    assert_eq!(call_as(&simulator, &bearer, "GET", WHOAMI, None).await.unwrap().status, 200);
    simulator.enable_tokens(true, false);
    assert_eq!(call_as(&simulator, &bearer, "GET", WHOAMI, None).await.unwrap().status, 401);
    assert_eq!(refresh(&simulator, &simulator.personal_access_token()).await.status, 200, "the exchange still works");
}

#[tokio::test]
async fn a_revoked_operator_is_nobody_with_either_token() {
    let simulator = start(Options::default()).await;
    let legacy = format!("Token {}", simulator.legacy_token());
    let bearer = format!("Bearer {}", simulator.access_token());
    simulator.revoke_token();
    assert_eq!(call_as(&simulator, &legacy, "GET", WHOAMI, None).await.unwrap().status, 401);
    assert_eq!(call_as(&simulator, &bearer, "GET", WHOAMI, None).await.unwrap().status, 401);
}

#[tokio::test]
async fn the_journal_holds_no_token() {
    let simulator = start(Options::default()).await;
    access(&simulator).await;
    call(&simulator, "GET", WHOAMI, None).await;
    let journal = serde_json::to_string(&simulator.journal()).unwrap();
    assert!(!journal.contains(&simulator.legacy_token()) && !journal.contains(&simulator.personal_access_token()));
    let entries: Vec<Value> = serde_json::from_str(&journal).unwrap();
    assert_eq!((&entries[0]["body"], &entries[1]["auth"]), (&json!({"refresh": "***"}), &json!("legacy")));
}
