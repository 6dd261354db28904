//! What every request of this process passes: the fence, and the figures that are kept of it. Labels are bounded: an
//! operation is a method and a path without ids, and no host and no address is among them.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::error::{Class, Error};
use super::fence::Fence;
use super::pace::Lane;

/// In seconds. A request may take 120 s, and waiting for a turn longer than that.
const TOOK: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];
const WAITED: [f64; 8] = [0.001, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];

/// Cloning shares it.
#[derive(Clone)]
pub struct Traffic {
    fence: Fence,
    requests: Family<Request, Histogram, fn() -> Histogram>,
    waits: Family<Wait, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    /// Such as `GET /api/organizations/{id}`.
    operation: String,
    /// One word for what came of it.
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Wait {
    lane: &'static str,
}

impl Traffic {
    pub fn behind(fence: Fence) -> Self {
        Self {
            fence,
            requests: Family::new_with_constructor(|| Histogram::new(TOOK)),
            waits: Family::new_with_constructor(|| Histogram::new(WAITED)),
        }
    }

    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests to Label Studio until their answer was read, by operation and by what came of it";
        registry.register_with_unit("api_request_duration", help, Unit::Seconds, self.requests.clone());
        let help = "How long requests to Label Studio waited for their turn, by kind";
        registry.register_with_unit("api_request_wait", help, Unit::Seconds, self.waits.clone());
    }

    pub fn is_open(&self) -> bool {
        self.fence.is_open()
    }

    /// Asked right before a request starts, after every wait.
    pub(super) fn may_start(&self) -> Result<(), Error> {
        if self.is_open() { Ok(()) } else { Err(Error::NotStarted) }
    }

    pub(super) fn waited(&self, lane: Lane, waited: Duration) {
        let lane = match lane {
            Lane::Read => "read",
            Lane::Write => "write",
        };
        self.waits.get_or_create(&Wait { lane }).observe(waited.as_secs_f64());
    }

    pub(super) fn answered<T>(&self, method: &str, path: &str, answer: &Result<T, Error>, took: Duration) {
        let operation = format!("{method} {}", without_ids(path));
        let request = Request { operation, answer: word(answer) };
        self.requests.get_or_create(&request).observe(took.as_secs_f64());
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self::behind(Fence::open())
    }
}

/// Every id in a path is a number.
fn without_ids(path: &str) -> String {
    let is_id = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    path.split('/').map(|part| if is_id(part) { "{id}" } else { part }).collect::<Vec<_>>().join("/")
}

fn word<T>(answer: &Result<T, Error>) -> &'static str {
    let Err(error) = answer else { return "ok" };
    if error.status() == Some(429) {
        return "too_many";
    }
    if let Error::Unreachable { .. } = error {
        return "unreachable";
    }
    match error.class() {
        Class::Transient => "transient",
        Class::Unauthorized => "unauthorized",
        Class::Forbidden => "forbidden",
        Class::NotFound => "not_found",
        Class::Refused => "refused",
        Class::NotLabelStudio => "not_label_studio",
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Reply, Scripted};
    use super::super::{Client, Pace};
    use super::*;

    #[tokio::test]
    async fn a_request_is_counted_by_what_was_asked_and_answered_and_never_by_whom_it_was_about() {
        let server = Scripted::start(|_| Reply::json(403, &serde_json::json!({ "detail": "no" })));
        let traffic = Traffic::default();
        let connection = server.connection("sesame-sesame", traffic.clone());
        let client = Client::new(connection, Pace::unlimited()).unwrap();
        assert!(client.search(4711, "ada@example.com").await.is_err());
        let mut registry = Registry::default();
        traffic.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains(r#"organizations/{id}/memberships",answer="forbidden"}"#), "{text}");
        assert!(text.contains(r#"api_request_wait_seconds_count{lane="read"} 1"#), "{text}");
        assert!(!text.contains("ada") && !text.contains("4711") && !text.contains("127.0.0.1"), "{text}");
    }

    #[test]
    fn ids_are_left_out_of_a_path() {
        assert_eq!(without_ids("/api/organizations/12/memberships/7/"), "/api/organizations/{id}/memberships/{id}/");
        assert_eq!(without_ids("/api/version"), "/api/version");
    }
}
