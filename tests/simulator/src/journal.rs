//! What was asked, by whom and what was answered, for tests to look at. Tokens and passwords never get in.

use crate::faults::fits;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthKind {
    None,
    Legacy,
    Access,
    Session,
    /// Something was sent that the server does not accept.
    Rejected,
}

#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    pub sequence: u64,
    /// Milliseconds since the simulator started.
    pub at_ms: u64,
    pub method: String,
    /// Below the sub-path.
    pub path: String,
    pub query: String,
    pub body: Option<Value>,
    pub auth: AuthKind,
    pub user: Option<String>,
    /// None: no answer was sent.
    pub status: Option<u16>,
    /// The fault that struck, by name.
    pub fault: Option<String>,
}

impl Entry {
    /// Asks for a change. The exchange of tokens is none.
    pub fn is_write(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS") && !self.path.starts_with("/api/token/refresh")
    }

    /// `*` in the pattern stands for any run of characters.
    pub fn is(&self, method: &str, pattern: &str) -> bool {
        self.method == method && fits(pattern.trim_end_matches('/'), self.path.trim_end_matches('/'))
    }

    /// Method and path with numbers as `{id}`, for counting.
    pub fn kind(&self) -> String {
        let path: Vec<&str> = self
            .path
            .split('/')
            .map(|s| if !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) { "{id}" } else { s })
            .collect();
        format!("{} {}", self.method, path.join("/"))
    }
}

#[derive(Clone, Debug, Default)]
pub struct Journal(Vec<Arc<Entry>>);

impl Serialize for Journal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries())
    }
}

impl Journal {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.0.push(Arc::new(entry));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().map(AsRef::as_ref)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn writes(&self) -> Vec<&Entry> {
        self.entries().filter(|e| e.is_write()).collect()
    }

    pub fn matching(&self, method: &str, pattern: &str) -> Vec<&Entry> {
        self.entries().filter(|e| e.is(method, pattern)).collect()
    }

    pub fn count(&self, method: &str, pattern: &str) -> usize {
        self.matching(method, pattern).len()
    }

    pub fn counts_by_kind(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.entries() {
            *counts.entry(entry.kind()).or_default() += 1;
        }
        counts
    }

    pub fn too_many_requests(&self) -> usize {
        self.entries().filter(|e| e.status == Some(429)).count()
    }

    /// The most requests with credentials that arrived in any one second.
    pub fn most_in_one_second(&self) -> usize {
        let times: Vec<u64> = self.entries().filter(|e| e.auth != AuthKind::None).map(|e| e.at_ms).collect();
        let mut first = 0;
        let mut most = 0;
        for (last, at) in times.iter().enumerate() {
            while at - times[first] >= 1000 {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }
}

/// A body as the journal may keep it.
pub(crate) fn redacted(body: &Value) -> Value {
    match body {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| {
                    let secret = matches!(name.as_str(), "refresh" | "token" | "password" | "csrfmiddlewaretoken");
                    (name.clone(), if secret { Value::from("***") } else { redacted(value) })
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(redacted).collect()),
        other => other.clone(),
    }
}
