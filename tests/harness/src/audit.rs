//! What the operators asked of the API server: its audit log, of service accounts alone, and never with what a request or
//! an answer holds.

use anyhow::Context as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `system:serviceaccounts` are the operators, and the people of some tests. A watch is told of when it starts, anything else
/// when it was answered.
const POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1",
  "kind": "Policy",
  "omitStages": ["RequestReceived"],
  "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}]
}"#;

/// One request, as the API server understood it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    pub verb: String,
    pub path: String,
    /// None: a page of the API server that is no object.
    pub object: Option<ObjectRequest>,
    /// Of the answer.
    pub code: u64,
    /// The rights of the account do not reach so far.
    pub is_forbidden: bool,
}

/// What a request is about, in the words of a right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectRequest {
    pub group: String,
    /// With its subresource, as `userinvites/status`.
    pub resource: String,
    /// Empty: all, or none.
    pub namespace: String,
    pub name: String,
}

/// Writes the policy. The arguments that make the API server keep the log.
pub(crate) fn arguments(folder: &Path) -> anyhow::Result<[PathBuf; 4]> {
    let policy = folder.join("audit-policy.json");
    std::fs::write(&policy, POLICY)?;
    Ok(["--audit-policy-file".into(), policy, "--audit-log-path".into(), log(folder)])
}

fn log(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}

/// In the order in which they were answered.
pub(crate) fn requests_of(folder: &Path, account: &str) -> anyhow::Result<Vec<Request>> {
    let log = std::fs::read_to_string(log(folder)).context("the API server has no audit log yet")?;
    let mut requests = BTreeMap::new();
    // What follows the last newline is still being written.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for (position, line) in whole.lines().enumerate() {
        let event: Value = serde_json::from_str(line).context("the audit log has a line that is none of its own")?;
        if event["user"]["username"] == account {
            // A watch is told of twice.
            let id = event["auditID"].as_str().unwrap_or_default().to_owned();
            requests.entry(id).or_insert_with(|| (position, read(&event)));
        }
    }
    let mut requests: Vec<(usize, Request)> = requests.into_values().collect();
    requests.sort_by_key(|(position, _)| *position);
    Ok(requests.into_iter().map(|(_, request)| request).collect())
}

fn read(event: &Value) -> Request {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let about = &event["objectRef"];
    let object = about.is_object().then(|| {
        let (resource, part) = (text(&about["resource"]), text(&about["subresource"]));
        let resource = if part.is_empty() { resource } else { format!("{resource}/{part}") };
        let (group, namespace, name) = (text(&about["apiGroup"]), text(&about["namespace"]), text(&about["name"]));
        ObjectRequest { group, resource, namespace, name }
    });
    let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
    // Where a right is missing for a part of what is asked, as for what an apply would create, only the answer says so.
    let is_forbidden = code == 403 || event["annotations"]["authorization.k8s.io/decision"] == "forbid";
    Request { verb: text(&event["verb"]), path: text(&event["requestURI"]), object, code, is_forbidden }
}
