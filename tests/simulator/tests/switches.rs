//! The switches that no other file turns, and their form as JSON.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use common::{MEMBERS, call, call_as, emails, start};
use label_studio_simulator::{InvalidAddress, NoMailServer, Options, ServiceAccountToken, Switches};
use serde_json::json;

const SEND: &str = "/api/invite/send-email";

#[test]
fn switches_are_json_in_which_what_is_left_out_is_usual_and_a_typing_error_is_refused() {
    let some: Switches = serde_json::from_value(json!({"past_the_end": "empty_list", "max_page_size": 50})).unwrap();
    assert_eq!((some.max_page_size, some.default_page_size), (Some(50), Switches::default().default_page_size));
    let whole = serde_json::to_value(&some).unwrap();
    assert_eq!(serde_json::from_value::<Switches>(whole).unwrap(), some);
    assert!(serde_json::from_value::<Switches>(json!({"past_the_edn": "empty_list"})).is_err());
}

#[tokio::test]
async fn the_case_of_an_address_is_lowered_or_kept() {
    let simulator = start(Options::default()).await;
    let invite =
        async |email: &str| call(&simulator, "POST", SEND, Some(json!({"emails": [email], "role": "AN"}))).await;
    invite("Ann@Example.com").await;
    simulator.set_switches(|s| s.email_case_kept = true);
    invite("Bob@Example.com").await;
    let listed = emails(&call(&simulator, "GET", &format!("{MEMBERS}?role=NO"), None).await.json());
    assert_eq!(listed, ["ann@example.com", "Bob@Example.com"]);
    assert_eq!(simulator.mails_to("bob@example.com"), 1);
}

#[tokio::test]
async fn a_removed_member_frees_the_seat_or_keeps_it() {
    for (frees, left) in [(true, 1), (false, 2)] {
        let simulator = start(Options::default()).await;
        simulator.set_switches(|s| s.delete_frees_seat = frees);
        let user = simulator.add_member("ann@example.com", "AN");
        call(&simulator, "DELETE", &format!("{MEMBERS}/{user}/"), None).await;
        assert_eq!(simulator.seats_used(), left);
    }
}

#[tokio::test]
async fn somebody_invited_again_is_the_same_user_or_a_new_one() {
    for same in [true, false] {
        let simulator = start(Options::default()).await;
        simulator.set_switches(|s| s.reinvited_keeps_user_id = same);
        let before = simulator.add_member("ann@example.com", "AN");
        simulator.leave("ann@example.com").unwrap();
        simulator.invite_by_hand("ann@example.com", "RE");
        simulator.accept_invitation("ann@example.com").unwrap();
        assert_eq!(simulator.member("ann@example.com").unwrap().user_id == before, same);
    }
}

#[tokio::test]
async fn the_invite_link_is_a_path_or_a_whole_address() {
    let simulator = start(Options { sub_path: "ls".to_owned(), ..Options::default() }).await;
    let read =
        async || call(&simulator, "GET", "/api/invite", None).await.json()["invite_url"].as_str().unwrap().to_owned();
    assert!(read().await.starts_with("/user/signup/?token="), "reading it leaves the sub-path out");
    let reset = call(&simulator, "POST", "/api/invite/reset-token", Some(json!({}))).await.json();
    assert!(reset["invite_url"].as_str().unwrap().starts_with("/ls/user/signup/?token="));
    simulator.set_switches(|s| s.invite_url_absolute = true);
    assert!(read().await.starts_with(&format!("{}/user/signup/?token=", simulator.url())));
}

#[tokio::test]
async fn a_service_account_has_both_kinds_of_token_or_one() {
    let simulator = start(Options::default()).await;
    let look = async || {
        let bearer = format!("Bearer {}", simulator.access_token());
        let personal = call_as(&simulator, &bearer, "GET", "/api/current-user/whoami", None).await.unwrap().status;
        (call(&simulator, "GET", "/api/current-user/whoami", None).await.status, personal)
    };
    assert_eq!(look().await, (200, 200));
    simulator.set_switches(|s| s.service_account_token = ServiceAccountToken::Legacy);
    assert_eq!(look().await, (200, 401));
    simulator.set_switches(|s| s.service_account_token = ServiceAccountToken::Personal);
    assert_eq!(look().await, (401, 200));
}

#[tokio::test]
async fn without_a_mail_server_an_invitation_fails_or_is_lost() {
    let simulator = start(Options { mail_configured: false, ..Options::default() }).await;
    let body = json!({"emails": ["ann@example.com"], "role": "AN"});
    assert_eq!(call(&simulator, "POST", SEND, Some(body.clone())).await.status, 500);
    simulator.set_switches(|s| s.no_mail_server = NoMailServer::Lost);
    assert_eq!(call(&simulator, "POST", SEND, Some(body)).await.status, 200);
    assert_eq!((simulator.mails().len(), simulator.member("ann@example.com").is_some()), (0, true));
}

#[tokio::test]
async fn an_invalid_address_may_be_accepted_and_an_answer_may_have_no_body() {
    let simulator = start(Options::default()).await;
    simulator.set_switches(|s| {
        s.invalid_address = InvalidAddress::Accepted;
        s.send_email_answers_json = false;
    });
    let answer = call(&simulator, "POST", SEND, Some(json!({"emails": ["nobody"], "role": "AN"}))).await;
    assert_eq!((answer.status, answer.text.as_str(), simulator.mails_to("nobody")), (200, "", 1));
}

#[tokio::test]
async fn an_old_server_lacks_the_newer_fields_and_its_edition() {
    let simulator = start(Options::default()).await;
    simulator.set_switches(|s| {
        s.newer_member_fields = false;
        s.edition_in_version = false;
    });
    let row = call(&simulator, "GET", MEMBERS, None).await.json()["results"][0].clone();
    assert!(row.get("role_source").is_none() && row.get("user_type").is_none() && row["role"] == "OW");
    assert!(call(&simulator, "GET", "/api/version/", None).await.json().get("edition").is_none());
}

#[tokio::test]
async fn an_invitation_expires_by_itself_when_it_has_a_life() {
    let simulator = start(Options::default()).await;
    simulator.set_switches(|s| s.invitation_life_seconds = Some(1));
    simulator.invite_by_hand("ann@example.com", "AN");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert!(simulator.accept_invitation("ann@example.com").is_err());
    let row = call(&simulator, "GET", &format!("{MEMBERS}?search=ann"), None).await.json()["results"][0].clone();
    assert_eq!(row["user"]["lse_fields"]["invite_expired"], true);
}
