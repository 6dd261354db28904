//! The control plane of the tests has no node. Here is one that says of each Pod what a node would: it runs and is ready, and
//! what `helm test` starts has ended well.

use super::get;
use label_studio_harness::ControlPlane;
use serde_json::{Value, json};
use std::time::Duration;

/// Does the deed while there is a node for the namespace.
pub async fn with_node<T>(plane: &ControlPlane, namespace: &str, deed: impl Future<Output = T>) -> T {
    tokio::select! {
        done = deed => done,
        () = run(plane, namespace) => unreachable!("a node does not end"),
    }
}

async fn run(plane: &ControlPlane, namespace: &str) {
    loop {
        let pods = get(plane, namespace, "pods").await;
        for pod in pods["items"].as_array().unwrap().iter().filter(|pod| pod["status"]["phase"] == "Pending") {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let status = json!({"status": told(pod)}).to_string();
            let patch = ["patch", "pod", name, "--subresource=status", "--type=merge", "--patch", &status];
            // A Pod may have gone meanwhile.
            let _ = plane.kubectl().run(&[&patch[..], &["--namespace", namespace]].concat(), "").await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn told(pod: &Value) -> Value {
    let is_test = pod["metadata"]["annotations"]["helm.sh/hook"] == "test";
    let (phase, ready) = if is_test { ("Succeeded", "False") } else { ("Running", "True") };
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(|kind| {
        let status = if kind.ends_with("Ready") { ready } else { "True" };
        json!({"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    });
    json!({"phase": phase, "conditions": conditions})
}
