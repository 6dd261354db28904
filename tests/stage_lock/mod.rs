//! What the tests of the sign-up lock share: the workload whose environment carries it, and a stand-in for the node.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.
#![allow(dead_code)] // Each test file uses its own part of it.

use crate::stage::{Stage, condition};
use label_studio_simulator::Options;
use serde_json::{Value, json};

pub const VARIABLE: &str = "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK";
pub const SWITCH: &str = "signupLock.enabled=true";

pub async fn set() -> Stage {
    set_with(&[]).await
}

/// The operator runs in this environment, and may patch workloads.
pub async fn set_with(environment: &[(&str, &str)]) -> Stage {
    let mut stage = Stage::set_with(Options::default(), &[SWITCH]).await;
    stage.start_operator_with(environment);
    stage.secret(&stage.simulator.legacy_token()).await;
    stage
}

pub fn workload(kind: &str, env: &Value) -> Value {
    named(kind, "studio", env)
}

pub fn named(kind: &str, name: &str, env: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [
                    {"name": "proxy", "image": "proxy"}, {"name": "app", "image": "label-studio", "env": env}
                ]}
            }
        }
    });
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = json!(name);
    }
    object
}

pub fn signup(kind: &str) -> Value {
    json!({"signup": {"requireInvite": true, "workloads": [{"kind": kind, "name": "studio", "container": "app"}]}})
}

pub async fn variable(stage: &Stage, what: &str) -> Value {
    let found = stage.get(what).await;
    let env = found["spec"]["template"]["spec"]["containers"][1]["env"].as_array().cloned().unwrap_or_default();
    env.into_iter().find(|entry| entry["name"] == VARIABLE).map_or(Value::Null, |entry| entry["value"].clone())
}

pub async fn generation(stage: &Stage, what: &str) -> i64 {
    stage.get(what).await["metadata"]["generation"].as_i64().unwrap()
}

pub async fn restricted(stage: &Stage, status: &str, reason: &str) -> String {
    let mut last = Value::Null;
    stage
        .until(&format!("SignupRestricted={status} {reason}"), async || {
            last = condition(&stage.get("organization/acme").await, "SignupRestricted");
            last["status"] == status && last["reason"] == reason
        })
        .await;
    last["message"].as_str().unwrap().to_owned()
}

/// One round of what a node does: runs what is to run, and ends what is to end. True if a pod was started.
pub async fn play_node(stage: &Stage) -> bool {
    let pods = stage.get("pods").await["items"].as_array().cloned().unwrap();
    let mut started = false;
    for pod in pods {
        let name = pod["metadata"]["name"].as_str().unwrap();
        if pod["metadata"].get("deletionTimestamp").is_some() {
            stage.kubectl(&["delete", "pod", name, "--grace-period=0", "--force", "--ignore-not-found"], "").await;
        } else if pod["status"]["phase"] == "Pending" {
            let ready = json!({"status": {
                "phase": "Running",
                "conditions": [
                    {"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}
                ]
            }});
            let patch = ["patch", "pod", name, "--subresource=status", "--type=merge", "-p", &ready.to_string()];
            stage.kubectl(&patch, "").await;
            started = true;
        }
    }
    started
}

/// Until the roll-out has ended and the server was found closed.
pub async fn rolled_out(stage: &Stage) {
    stage
        .until("the roll-out", async || {
            play_node(stage).await;
            condition(&stage.get("organization/acme").await, "SignupRestricted")["status"] == "True"
        })
        .await;
}

pub async fn reconcile(stage: &Stage, value: &str) {
    let annotation = format!("labelstudio.rs/reconcile={value}");
    stage.kubectl(&["annotate", "--overwrite", "organization/acme", &annotation], "").await;
    stage
        .until("a pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == value)
        .await;
}
