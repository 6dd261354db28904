//! Open-source Label Studio as measured: no roles, no invitation mails, tombstones, and web pages where JSON is expected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use common::{MEMBERS, call, call_as, emails, start};
use label_studio_simulator::{Edition, Options};
use serde_json::json;

#[tokio::test]
async fn removed_members_stay_in_the_list_masked_and_counted() {
    let simulator = start(Options::community()).await;
    let user = simulator.add_member("second@example.com", "AN");
    let path = format!("{MEMBERS}/{user}/");
    assert_eq!(call(&simulator, "DELETE", &path, None).await.status, 403, "only the owner may");
    let owner = format!("Token {}", simulator.owner_legacy_token());
    let delete = async |path: &str| call_as(&simulator, &owner, "DELETE", path, None).await.unwrap();
    assert_eq!(delete(&path).await.status, 204);
    let page = call(&simulator, "GET", MEMBERS, None).await.json();
    assert_eq!((page["count"].as_u64(), emails(&page)[2].as_str()), (Some(3), "Deleted"));
    let masked = &page["results"][2]["user"];
    assert_eq!(
        (&masked["last_name"], &masked["initials"], &masked["id"]),
        (&json!("User"), &json!("DU"), &json!(user))
    );
    assert!(page["results"][0].get("role").is_none());
    let again = delete(&path).await;
    assert_eq!((again.status, &again.json()["detail"]), (404, &json!("Member not found")));
    let self_path = format!("{MEMBERS}/{}/", simulator.member("owner@example.com").unwrap().user_id);
    let oneself = delete(&self_path).await;
    assert_eq!((oneself.status, oneself.json()), (405, json!({"detail": "User cannot soft delete self"})));
}

#[tokio::test]
async fn what_only_enterprise_has_is_a_large_page_and_not_json() {
    let simulator = start(Options::community()).await;
    for (method, path) in [
        ("POST", "/api/invite/send-email"),
        ("POST", "/api/invite/revoke"),
        ("GET", "/api/billing/info"),
        ("GET", "/api/organizations/1/seat-report"),
        ("PATCH", "/api/organizations/1/set-default-role"),
        ("GET", "/api/organizations/1/"),
        ("GET", "/api/organizations/1/memberships/"),
        ("GET", "/api/organizations/999"),
        ("GET", "/api/organizations/1/memberships?page=99"),
        ("GET", "/api/organizations/1/memberships?page=0"),
        ("GET", "/api/current-user/whoami/"),
        ("GET", "/api/nope/"),
    ] {
        let answer = call(&simulator, method, path, None).await;
        assert_eq!((answer.status, answer.html, answer.text.len()), (404, true, 170_734), "{path}");
    }
    let detail = call(&simulator, "GET", &format!("{MEMBERS}/999/"), None).await;
    assert_eq!(detail.json()["detail"], "No OrganizationMember matches the given query.");
}

#[tokio::test]
async fn roles_are_405_on_both_urls() {
    let simulator = start(Options::community()).await;
    for path in [MEMBERS.to_owned(), format!("{MEMBERS}/2/")] {
        let answer = call(&simulator, "PATCH", &path, Some(json!({"role": "AD"}))).await;
        assert_eq!((answer.status, &answer.json()["detail"]), (405, &json!("Method \"PATCH\" not allowed.")));
    }
}

#[tokio::test]
async fn filters_are_ignored_and_the_list_is_sorted_by_user_name() {
    let simulator = start(Options::community()).await;
    simulator.add_member("zoe@example.com", "AN");
    simulator.add_member("abe@example.com", "AN");
    let page = call(&simulator, "GET", &format!("{MEMBERS}?search=zoe&role=AD&ordering=-id"), None).await.json();
    assert_eq!(emails(&page), ["abe@example.com", "operator@example.com", "owner@example.com", "zoe@example.com"]);
}

#[tokio::test]
async fn a_page_of_999_rows_breaks_sqlite_and_minus_one_means_everybody() {
    let simulator = start(Options::community()).await;
    simulator.seed_members(996, "AN");
    let everybody = call(&simulator, "GET", &format!("{MEMBERS}?page_size=-1"), None).await;
    assert_eq!((everybody.status, emails(&everybody.json()).len()), (200, 998));
    simulator.add_member("one-more@example.com", "AN");
    let broken = call(&simulator, "GET", &format!("{MEMBERS}?page_size=-1"), None).await;
    assert_eq!(
        (broken.status, &broken.json()["detail"]),
        (500, &json!("Expression tree is too large (maximum depth 1000)"))
    );
}

#[tokio::test]
async fn a_removed_user_is_half_locked_out_as_measured() {
    let simulator = start(Options::community()).await;
    simulator.add_member("gone@example.com", "AN");
    let token = format!("Token {}", simulator.legacy_token_of("gone@example.com").unwrap());
    simulator.remove_by_hand("gone@example.com").unwrap();
    let get = async |path: &str| call_as(&simulator, &token, "GET", path, None).await.unwrap();
    let whoami = get("/api/current-user/whoami").await.json();
    assert_eq!((&whoami["email"], &whoami["active_organization"]), (&json!("gone@example.com"), &json!(null)));
    assert_eq!(get("/api/organizations/").await.json(), json!([]));
    assert_eq!((get(MEMBERS).await.status, get("/api/invite").await.status), (200, 500));
}

#[tokio::test]
async fn a_title_is_checked_as_django_checks_it() {
    let simulator = start(Options::community()).await;
    let patch = async |title: serde_json::Value| {
        let answer = call(&simulator, "PATCH", "/api/organizations/1", Some(json!({"title": title}))).await;
        (answer.status, answer.json()["validation_errors"]["title"][0].as_str().map(str::to_owned))
    };
    assert_eq!(patch(json!("  New é  ")).await, (200, None));
    assert_eq!(simulator.title(), "New é");
    assert_eq!(patch(json!("  ")).await, (400, Some("This field may not be blank.".to_owned())));
    assert_eq!(patch(json!(null)).await, (400, Some("This field may not be null.".to_owned())));
    assert_eq!(patch(json!(true)).await, (400, Some("Not a valid string.".to_owned())));
    assert_eq!(patch(json!("x".repeat(1001))).await.0, 400);
    assert_eq!(patch(json!(123)).await, (200, None));
    assert_eq!(simulator.title(), "123");
    simulator.set_switches(|s| s.numbers_become_text = false);
    assert_eq!(patch(json!(5)).await.0, 400);
}

#[tokio::test]
async fn an_upgrade_to_enterprise_keeps_the_people() {
    let simulator = start(Options::community()).await;
    simulator.add_member("ann@example.com", "AN");
    assert_eq!(call(&simulator, "GET", "/api/version/", None).await.json()["edition"], "Community");
    simulator.set_edition(Edition::Enterprise);
    assert_eq!(call(&simulator, "GET", "/api/version/", None).await.json()["edition"], "Enterprise");
    let page = call(&simulator, "GET", MEMBERS, None).await.json();
    assert_eq!((emails(&page).len(), &page["results"][2]["role"]), (3, &json!("AN")));
}
