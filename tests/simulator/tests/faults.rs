//! Faults: a cut is a broken connection and not an answer, before the effect or after it; the rate limit; a dead server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use common::{MEMBERS, answer, call, call_as, emails, http, start, try_call};
use label_studio_simulator::{Fault, FaultKind, Options, RateLimit};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SEND: &str = "/api/invite/send-email";
const WHOAMI: &str = "/api/current-user/whoami";

#[tokio::test]
async fn a_cut_before_the_effect_breaks_the_connection_and_mails_nobody() {
    let simulator = start(Options::default()).await;
    simulator.fault(Fault::on("POST", SEND, FaultKind::CutBefore));
    let body = json!({"emails": ["ann@example.com"], "role": "AN"});
    assert!(try_call(&simulator, "POST", SEND, Some(body.clone())).await.is_err_and(|e| e.is_request()));
    assert!(simulator.member("ann@example.com").is_none() && simulator.mails().is_empty());
    assert_eq!(call(&simulator, "POST", SEND, Some(body)).await.status, 200);
    assert_eq!(simulator.mails_to("ann@example.com"), 1);
}

#[tokio::test]
async fn a_cut_after_the_effect_breaks_the_connection_and_the_mail_is_out() {
    let simulator = start(Options::default()).await;
    simulator.fault(Fault::on("POST", SEND, FaultKind::CutAfter));
    let body = json!({"emails": ["ann@example.com"], "role": "AN"});
    assert!(try_call(&simulator, "POST", SEND, Some(body)).await.is_err_and(|e| e.is_request()));
    assert_eq!(simulator.mails_to("ann@example.com"), 1);
    let journal = simulator.journal();
    let cut = journal.matching("POST", SEND)[0];
    assert_eq!((cut.status, cut.fault.as_deref()), (None, Some("cut_after")));
}

#[tokio::test]
async fn a_cut_connection_carries_not_one_byte_of_an_answer() {
    let simulator = start(Options::default()).await;
    simulator.fault(Fault::any(FaultKind::CutAfter));
    let mut socket = tokio::net::TcpStream::connect(simulator.address()).await.unwrap();
    socket.write_all(b"GET /api/version/ HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut received = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut received)).await.expect("closed");
    assert_eq!(received, b"");
}

#[tokio::test]
async fn the_request_above_the_limit_is_refused_and_a_second_later_there_is_room() {
    let limit = RateLimit { requests_per_second: 5 };
    let simulator = start(Options { rate_limit: Some(limit), ..Options::default() }).await;
    let owner = format!("Token {}", simulator.owner_legacy_token());
    let mut heard = None;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(1050)).await;
        simulator.clear_journal();
        let began = Instant::now();
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(call(&simulator, "GET", WHOAMI, None).await.status);
        }
        let journal = simulator.journal();
        let other = call_as(&simulator, &owner, "GET", WHOAMI, None).await.unwrap();
        simulator.set_switches(|s| s.retry_after = Some(7));
        let told = call(&simulator, "GET", MEMBERS, None).await;
        simulator.set_switches(|s| s.retry_after = None);
        let untold = call(&simulator, "GET", MEMBERS, None).await;
        // On a busy machine they may take more than the second that they are about: then again.
        if began.elapsed() < Duration::from_secs(1) {
            heard = Some((statuses, journal, other, told, untold));
            break;
        }
    }
    let (statuses, journal, other, told, untold) = heard.expect("nine requests within one second of twenty");
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    assert_eq!((journal.too_many_requests(), journal.most_in_one_second()), (1, 6));
    assert_eq!(other.status, 200, "the limit is per user");
    assert_eq!(told.headers["retry-after"], "7");
    assert!(untold.status == 429 && !untold.headers.contains_key("retry-after"));
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(call(&simulator, "GET", MEMBERS, None).await.status, 200);
}

#[tokio::test]
async fn a_page_lacks_a_row_repeats_one_or_is_empty() {
    let simulator = start(Options::default()).await;
    simulator.seed_members(3, "AN");
    simulator.fault(Fault::on("GET", "/api/organizations/*/memberships", FaultKind::ShortPage));
    let page = call(&simulator, "GET", MEMBERS, None).await.json();
    assert_eq!((page["count"].as_u64(), emails(&page).len()), (Some(5), 4));
    simulator.fault(Fault::on("GET", "/api/organizations/*/memberships", FaultKind::DuplicateRow));
    let page = emails(&call(&simulator, "GET", MEMBERS, None).await.json());
    assert_eq!((page.len(), &page[0]), (5, &page[4]));
    simulator.fault(Fault::on("GET", "/api/organizations/*/memberships", FaultKind::EmptyRoster));
    assert_eq!(call(&simulator, "GET", MEMBERS, None).await.json()["count"], 0);
    assert_eq!(call(&simulator, "GET", MEMBERS, None).await.json()["count"], 5);
}

#[tokio::test]
async fn a_fault_waits_for_its_turn_and_hits_as_often_as_told() {
    let simulator = start(Options::default()).await;
    simulator.fault(
        Fault::on("GET", MEMBERS, FaultKind::Status5xxHtml { status: 502 }).nth(2).times(2).with_query("page_size=7"),
    );
    let mut statuses = Vec::new();
    for path in ["?page_size=7", "", "?page_size=7", "?page_size=7", "?page_size=7"] {
        statuses.push(call(&simulator, "GET", &format!("{MEMBERS}{path}"), None).await.status);
    }
    assert_eq!(statuses, [200, 200, 502, 502, 200]);
}

#[tokio::test]
async fn every_other_fault_answers_as_its_name_says() {
    let simulator = start(Options::default()).await;
    let away = "http://127.0.0.1:9/elsewhere".to_owned();
    for (kind, status, html) in [
        (FaultKind::Status429 { retry_after: Some(3) }, 429, false),
        (FaultKind::Status5xxJson { status: 503 }, 503, false),
        (FaultKind::HtmlInsteadOfJson, 200, true),
        (FaultKind::TokenRevoked, 401, false),
        (FaultKind::RedirectToOtherHost { location: away }, 302, true),
        (FaultKind::Forbidden403, 403, false),
    ] {
        simulator.fault(Fault::any(kind.clone()));
        let answer = call(&simulator, "GET", MEMBERS, None).await;
        assert_eq!((answer.status, answer.html), (status, html), "{kind:?}");
    }
    simulator.fault(Fault::any(FaultKind::Slow { milliseconds: 300 }));
    let began = Instant::now();
    call(&simulator, "GET", MEMBERS, None).await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    simulator.fault(Fault::any(FaultKind::HangForever));
    let hung = tokio::time::timeout(Duration::from_millis(300), try_call(&simulator, "GET", MEMBERS, None)).await;
    assert!(hung.is_err(), "no answer came");
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_slow_server_has_had_its_effect() {
    let simulator = start(Options::default()).await;
    simulator.fault(Fault::on("PATCH", "/api/organizations/1", FaultKind::Slow { milliseconds: 5000 }));
    let patch = try_call(&simulator, "PATCH", "/api/organizations/1", Some(json!({"title": "New"})));
    let changed = async {
        while simulator.title() != "New" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = patch => panic!("answered at once"),
        () = changed => {}
    }
    assert_eq!(simulator.title(), "New");
}

#[tokio::test]
async fn a_server_that_was_killed_comes_back_on_its_port_with_what_it_knew() {
    let simulator = start(Options::default()).await;
    simulator.add_member("ann@example.com", "AN");
    let _ = http();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let health = format!("{}/health", simulator.url());
    assert_eq!(client.get(&health).send().await.unwrap().status(), 200);
    simulator.pause_listening().await;
    assert!(client.get(&health).send().await.is_err());
    simulator.resume_listening().await.unwrap();
    assert_eq!(client.get(&health).send().await.unwrap().status(), 200);
    assert!(emails(&call(&simulator, "GET", MEMBERS, None).await.json()).contains(&"ann@example.com".to_owned()));
    let (url, address) = (health, simulator.address());
    drop(simulator);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(http().get(url).send().await.is_err(), "{address} still answers");
}

#[tokio::test]
async fn a_script_may_look_and_act_without_leaving_a_trace_in_the_journal() {
    let simulator = start(Options::default()).await;
    let base = format!("{}/simulator", simulator.url());
    let act = async |deed: serde_json::Value| {
        answer(http().post(format!("{base}/deed")).json(&deed).send().await.unwrap()).await.unwrap().status
    };
    assert_eq!(act(json!({"deed": "invite", "email": "ann@example.com", "role": "RE"})).await, 200);
    assert_eq!(act(json!({"deed": "accept", "email": "ann@example.com"})).await, 200);
    assert_eq!(act(json!({"deed": "accept", "email": "ann@example.com"})).await, 400);
    assert_eq!(act(json!({"deed": "set_title", "title": "By hand"})).await, 200);
    assert_eq!(act(json!({"deed": "switches", "switches": {"past_the_end": "empty_list"}})).await, 200);
    let fault = json!({"deed": "fault", "matcher": {"path": "/health"}, "kind": {"status5xx_json": {"status": 503}}});
    assert_eq!(act(fault).await, 200);
    assert_eq!(http().get(format!("{}/health", simulator.url())).send().await.unwrap().status(), 503);
    let state = answer(http().get(format!("{base}/state")).send().await.unwrap()).await.unwrap().json();
    assert_eq!((&state["title"], &state["mails"][0]["to"]), (&json!("By hand"), &json!("ann@example.com")));
    assert_eq!(state["members"][2]["state"], "active");
    let journal = answer(http().get(format!("{base}/journal")).send().await.unwrap()).await.unwrap().json();
    assert_eq!(journal["entries"].as_array().unwrap().len(), 1);
}
