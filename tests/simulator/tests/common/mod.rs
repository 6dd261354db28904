//! A plain HTTP client for the tests: no retries, no pool, so that a cut is seen as a cut.
#![allow(dead_code, reason = "each test file uses its own part")]

use label_studio_simulator::{Options, Simulator};
use serde_json::Value;
use std::sync::LazyLock;

pub async fn start(options: Options) -> Simulator {
    Simulator::start(options).await.unwrap()
}

/// One for all tests: making one reads every certificate of the machine.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    // The second one to install it is told so, and that is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // No redirects: the forms answer 302, and that is what is looked at.
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
});

pub fn http() -> reqwest::Client {
    CLIENT.clone()
}

pub struct Answer {
    pub status: u16,
    pub html: bool,
    pub text: String,
    pub headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", &self.text))
    }
}

/// One request as the operator, with its legacy token.
pub async fn call(simulator: &Simulator, method: &str, path: &str, body: Option<Value>) -> Answer {
    try_call(simulator, method, path, body).await.unwrap()
}

pub async fn try_call(
    simulator: &Simulator,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Result<Answer, reqwest::Error> {
    let authorization = format!("Token {}", simulator.legacy_token());
    call_as(simulator, &authorization, method, path, body).await
}

pub async fn call_as(
    simulator: &Simulator,
    authorization: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Result<Answer, reqwest::Error> {
    let mut request = http()
        .request(method.parse().unwrap(), format!("{}{path}", simulator.url()))
        .header("authorization", authorization);
    if let Some(body) = body {
        request = request.json(&body);
    }
    answer(request.send().await?).await
}

pub async fn answer(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let html = headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().starts_with("text/html"));
    Ok(Answer { status, html, text: response.text().await?, headers })
}

pub const MEMBERS: &str = "/api/organizations/1/memberships";

pub fn emails(page: &Value) -> Vec<String> {
    let rows = page["results"].as_array().unwrap();
    rows.iter().map(|row| row["user"]["email"].as_str().unwrap().to_owned()).collect()
}
