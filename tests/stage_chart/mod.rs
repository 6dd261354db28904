//! What the chart's tests share: where it is, what it is called, and what its cluster has besides.

#![allow(clippy::unwrap_used)] // A test says what went wrong by failing.
#![allow(dead_code)] // Each test file uses its own part of it.

pub mod metrics;
pub mod node;
pub mod switches;

use label_studio_harness::{ControlPlane, checkout};
use serde_json::{Value, json};

pub const NAME: &str = "label-studio-operator";

pub fn chart() -> String {
    checkout().join("charts").join(NAME).to_str().unwrap().to_owned()
}

pub async fn get(plane: &ControlPlane, namespace: &str, what: &str) -> Value {
    let answer = plane.kubectl().answer(&["get", what, "-o", "json", "--namespace", namespace]).await.unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// The kinds of the Prometheus Operator by their names alone: it is no part of the control plane.
pub async fn install_monitoring_kinds(plane: &ControlPlane) {
    // Of two that find the kind missing at once, one would be told that it exists.
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    for (kind, plural) in
        [("ServiceMonitor", "servicemonitors"), ("PodMonitor", "podmonitors"), ("PrometheusRule", "prometheusrules")]
    {
        let name = format!("{plural}.monitoring.coreos.com");
        let any = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
            "spec": {
                "group": "monitoring.coreos.com", "names": {"kind": kind, "plural": plural}, "scope": "Namespaced",
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": any}]
            }
        });
        let kubectl = plane.kubectl();
        kubectl.run(&["apply", "-f", "-"], &crd.to_string()).await.unwrap().ok().unwrap();
        kubectl.answer(&["wait", "--for=condition=Established", "--timeout=40s", "crd", &name]).await.unwrap();
    }
}
