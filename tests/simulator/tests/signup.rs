//! The HTML forms: cross-site protection, sign-up open, closed and by link, and the first Owner of an empty server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use common::{Answer, answer, call, http, start};
use label_studio_simulator::{MemberState, Options, Simulator};
use serde_json::json;

const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEF";

async fn post(simulator: &Simulator, path: &str, cookie: &str, field: &str, email: &str, password: &str) -> Answer {
    let escape = |text: &str| text.replace('@', "%40").replace('+', "%2B");
    let body = format!("csrfmiddlewaretoken={field}&email={}&password={password}", escape(email));
    let request = http()
        .post(format!("{}{path}", simulator.url()))
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    answer(request.send().await.unwrap()).await.unwrap()
}

async fn sign_up(simulator: &Simulator, query: &str, email: &str) -> Answer {
    let path = format!("/user/signup/{query}");
    post(simulator, &path, &format!("csrftoken={SECRET}"), SECRET, email, "passw0rd123").await
}

#[tokio::test]
async fn the_field_of_the_page_matches_its_cookie_though_it_looks_different() {
    let simulator = start(Options::community()).await;
    let page = answer(http().get(format!("{}/user/signup/", simulator.url())).send().await.unwrap()).await.unwrap();
    let cookie = page.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let field = page.text.split("name=\"csrfmiddlewaretoken\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_ne!(cookie, format!("csrftoken={field}"));
    let joined = post(&simulator, "/user/signup/", &cookie, field, "new@example.com", "passw0rd123").await;
    assert_eq!((joined.status, joined.headers["location"].to_str().unwrap()), (302, "/"));
    let wrong = post(&simulator, "/user/signup/", &cookie, SECRET, "other@example.com", "passw0rd123").await;
    assert_eq!((wrong.status, wrong.html), (403, true));
}

#[tokio::test]
async fn an_empty_form_tells_open_from_closed_and_makes_nobody() {
    let simulator = start(Options::community()).await;
    let empty = async || post(&simulator, "/user/signup/", &format!("csrftoken={SECRET}"), SECRET, "", "").await;
    let login =
        async || http().get(format!("{}/user/login/", simulator.url())).send().await.unwrap().text().await.unwrap();
    let open = empty().await;
    assert_eq!(open.status, 200);
    assert!(open.text.contains("field_errors") && login().await.contains("href=\"/user/signup/\""));
    simulator.set_signup_closed(true);
    assert_eq!(empty().await.status, 403);
    assert!(!login().await.contains("/user/signup/"));
    assert_eq!(simulator.members().len(), 2);
}

#[tokio::test]
async fn a_wrong_link_is_refused_even_while_none_at_all_is_accepted() {
    let simulator = start(Options::community()).await;
    assert_eq!(sign_up(&simulator, "?token=wrong", "a@example.com").await.status, 403);
    assert_eq!(sign_up(&simulator, "", "b@example.com").await.status, 302);
    simulator.set_signup_closed(true);
    assert_eq!(sign_up(&simulator, "", "c@example.com").await.status, 403);
    let old = simulator.invite_token();
    assert_eq!(sign_up(&simulator, &format!("?token={old}"), "d@example.com").await.status, 302);
    assert_eq!(call(&simulator, "POST", "/api/invite/reset-token", Some(json!({}))).await.status, 201);
    assert_eq!(sign_up(&simulator, &format!("?token={old}"), "e@example.com").await.status, 403);
}

#[tokio::test]
async fn enterprise_lets_people_in_by_link_without_a_role_and_gives_strangers_their_own_organization() {
    let simulator = start(Options::default()).await;
    let link = call(&simulator, "GET", "/api/invite", None).await.json()["invite_url"].as_str().unwrap().to_owned();
    assert!(link.starts_with("/user/signup/?token="));
    let query = link.strip_prefix("/user/signup/").unwrap();
    assert_eq!(sign_up(&simulator, query, "linked@example.com").await.status, 302);
    assert_eq!(simulator.member("linked@example.com").unwrap().state, MemberState::Pending);
    assert_eq!(sign_up(&simulator, "", "stranger@example.com").await.status, 302);
    assert!(simulator.member("stranger@example.com").is_none());
    assert_eq!(simulator.read(|s| s.foreign_organizations.clone()), ["stranger@example.com"]);
}

#[tokio::test]
async fn the_first_sign_up_on_an_empty_server_makes_the_owner_who_can_make_a_token() {
    let simulator = start(Options { empty: true, ..Options::default() }).await;
    let first = sign_up(&simulator, "", "First@Example.com").await;
    assert_eq!(first.status, 302);
    assert_eq!(simulator.member("first@example.com").unwrap().role, "OW");
    let cookies = first.headers.get_all("set-cookie").iter().map(|c| c.to_str().unwrap());
    let session = cookies.filter_map(|c| c.split(';').next()).find(|c| c.starts_with("sessionid=")).unwrap().to_owned();
    let made = http().post(format!("{}/api/token/", simulator.url())).header("cookie", &session).send().await.unwrap();
    let made = answer(made).await.unwrap();
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["token"], simulator.personal_access_token());
    let again =
        post(&simulator, "/user/login/", &format!("csrftoken={SECRET}"), SECRET, "first@example.com", "passw0rd123")
            .await;
    assert_eq!(again.status, 302);
    let closed = start(Options { empty: true, signup_closed: true, ..Options::default() }).await;
    assert_eq!(sign_up(&closed, "", "first@example.com").await.status, 403, "nobody can ever sign up");
}
