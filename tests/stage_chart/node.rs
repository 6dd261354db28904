//! The control plane of the tests has no node. Here is one that says of each Pod what a node would: it runs and is ready. What
//! `helm test` starts is run for real, by the binary with the Pod's very arguments.

use super::{NAME, get};
use label_studio_harness::{ControlPlane, OperatorProcess};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// The operator of a release, which no Pod runs here: with the rights of the release and ready, and where its health is asked.
pub async fn operator_of(plane: &ControlPlane, namespace: &str) -> (OperatorProcess, String) {
    let kubeconfig = plane.account_kubeconfig(namespace, NAME).await.unwrap();
    let serves = [("LABEL_STUDIO_OPERATOR_HEALTH_ADDRESS", "127.0.0.1:0")];
    let binary = env!("CARGO_BIN_EXE_label-studio-operator");
    let operator = OperatorProcess::start(binary, &kubeconfig, namespace, &[], &serves).unwrap();
    let health = operator.address_of("Health", SOON).await.unwrap();
    operator.wait_for_line("caches in sync", SOON).await.unwrap();
    (operator, health)
}

/// A node for one namespace.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub plane: &'a ControlPlane,
    pub namespace: &'a str,
    /// Where an operator answers to which Services lead, since no network does. None: nobody is there.
    pub health: Option<&'a str>,
}

impl Node<'_> {
    /// Does the deed while it runs.
    pub async fn during<T>(self, deed: impl Future<Output = T>) -> T {
        tokio::select! {
            done = deed => done,
            () = self.run() => unreachable!("a node does not end"),
        }
    }

    async fn run(self) {
        let here = ["--namespace", self.namespace];
        loop {
            let pods = get(self.plane, self.namespace, "pods").await;
            for pod in pods["items"].as_array().unwrap().iter().filter(|pod| pod["status"]["phase"] == "Pending") {
                let name = pod["metadata"]["name"].as_str().unwrap();
                let status = json!({"status": self.told(pod).await}).to_string();
                let patch = ["patch", "pod", name, "--subresource=status", "--type=merge", "--patch", &status];
                // A Pod may have gone meanwhile.
                let _ = self.plane.kubectl().run(&[&patch[..], &here].concat(), "").await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn told(self, pod: &Value) -> Value {
        let (phase, ready) = match &pod["metadata"]["annotations"]["helm.sh/hook"] {
            Value::Null => ("Running", "True"),
            _ if self.ends_well(pod).await => ("Succeeded", "False"),
            _ => ("Failed", "False"),
        };
        let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(|kind| {
            let status = if kind.ends_with("Ready") { ready } else { "True" };
            json!({"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"})
        });
        json!({"phase": phase, "conditions": conditions})
    }

    /// The way that kube-proxy would lay is looked up in the Service that the arguments name.
    async fn ends_well(self, pod: &Value) -> bool {
        let container = &pod["spec"]["containers"][0];
        assert!(container["command"].is_null(), "the image's entry point is the binary");
        let arguments = container["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
        let mut arguments: Vec<String> = arguments.collect();
        let url = arguments.last_mut().unwrap();
        let authority = url.split('/').nth(2).unwrap().to_owned();
        let (host, port) = authority.split_once(':').unwrap();
        let service = host.strip_suffix(&format!(".{}.svc", self.namespace)).unwrap();
        let service = get(self.plane, self.namespace, &format!("service/{service}")).await;
        let ports = service["spec"]["ports"].as_array().unwrap();
        let port = ports.iter().find(|one| one["port"].as_u64() == port.parse().ok()).unwrap();
        let deployment = get(self.plane, self.namespace, &format!("deployment/{NAME}")).await;
        let open = deployment.pointer("/spec/template/spec/containers/0/ports").unwrap().as_array().unwrap();
        assert!(open.iter().any(|one| one["name"] == port["targetPort"]), "{port} leads nowhere");
        if let Some(health) = self.health {
            *url = url.replace(&authority, health);
        }
        let binary = env!("CARGO_BIN_EXE_label-studio-operator");
        let ended = std::process::Command::new(binary).args(arguments).status();
        ended.unwrap().success()
    }
}
