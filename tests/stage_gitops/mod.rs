//! What the tests about GitOps tools share: the rules by which they judge an object, and objects in every state.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.
#![allow(dead_code)] // Each test file uses its own part of it.

pub mod argo_cd;
pub mod states;

use crate::stage::condition;
use serde_json::Value;

/// The rules of kstatus for a kind that it does not know, in the order in which they are asked. Our own statement of them: that
/// it is the right one a test holds against Helm, which has the real ones in it.
pub fn kstatus(object: &Value) -> &'static str {
    let is_true = |kind: &str| condition(object, kind)["status"] == "True";
    let observed = &object["status"]["observedGeneration"];
    if !object["metadata"]["deletionTimestamp"].is_null() {
        "Terminating"
    } else if (!observed.is_null() && *observed != object["metadata"]["generation"]) || is_true("Reconciling") {
        "InProgress"
    } else if is_true("Stalled") {
        "Failed"
    } else if condition(object, "Ready").is_null() || is_true("Ready") {
        // Without a condition there is nothing to wait for: an object that nobody has seen yet must not come this far.
        "Current"
    } else {
        "InProgress"
    }
}
