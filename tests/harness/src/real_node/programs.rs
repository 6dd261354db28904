//! How each program of the node is called. Nothing is started here.

use super::settings::{ADDRESS, NAME};
use crate::RunFolder;
use std::path::Path;
use std::process::Command;

/// Where they are: those of `scripts/control-plane`, those of `scripts/real-node`, and where they work.
pub(super) struct Programs<'a> {
    pub plane: &'a Path,
    pub node: &'a Path,
    pub folder: &'a RunFolder,
}

const CLIENTS: &str = "http://127.0.0.1:2379";
const PEERS: &str = "http://127.0.0.1:2380";

impl Programs<'_> {
    pub fn etcd(&self) -> Command {
        let mut command = Command::new(self.plane.join("etcd"));
        command
            .args(["--name", "default", "--log-level", "error", "--unsafe-no-fsync", "--data-dir", &self.file("etcd")])
            .args(["--listen-client-urls", CLIENTS, "--advertise-client-urls", CLIENTS])
            .args(["--listen-peer-urls", PEERS, "--initial-advertise-peer-urls", PEERS])
            .args(["--initial-cluster", &format!("default={PEERS}")]);
        command
    }

    /// With everything that a cluster has by default; the control plane of the other tests does without some of it.
    pub fn api_server(&self) -> Command {
        let mut command = Command::new(self.plane.join("kube-apiserver"));
        command
            .args(["--etcd-servers", CLIENTS, "--bind-address", "0.0.0.0", "--secure-port", "6443"])
            .args(["--advertise-address", ADDRESS, "--service-cluster-ip-range", "10.96.0.0/16"])
            .args(["--authorization-mode", "Node,RBAC", "--allow-privileged=true"])
            .args(["--enable-admission-plugins", "NodeRestriction,OwnerReferencesPermissionEnforcement"])
            .args(["--service-account-issuer", "https://kubernetes.default.svc"])
            .args(["--service-account-key-file", &self.file("sa.pub")])
            .args(["--service-account-signing-key-file", &self.file("sa.key")])
            .args(["--token-auth-file", &self.file("tokens.csv"), "--cert-dir", &self.file("certificates")])
            .args(["--kubelet-client-certificate", &self.file("client.crt")])
            .args(["--kubelet-client-key", &self.file("client.key")])
            .args(["--kubelet-preferred-address-types", "InternalIP"]);
        command
    }

    pub fn controllers(&self) -> Command {
        let mut command = Command::new(self.plane.join("kube-controller-manager"));
        command
            .args(["--kubeconfig", &self.kubeconfig("controllers"), "--leader-elect=false", "--secure-port=0"])
            .args(["--use-service-account-credentials", "--service-account-private-key-file", &self.file("sa.key")])
            .args(["--root-ca-file", &self.file("certificates/apiserver.crt")]);
        command
    }

    pub fn scheduler(&self) -> Command {
        let mut command = Command::new(self.node.join("kube-scheduler"));
        let kubeconfig = self.kubeconfig("scheduler");
        command.args(["--kubeconfig", &kubeconfig, "--leader-elect=false", "--bind-address", "127.0.0.1"]).args([
            "--authentication-kubeconfig",
            &kubeconfig,
            "--authorization-kubeconfig",
            &kubeconfig,
        ]);
        command
    }

    pub fn service_proxy(&self) -> Command {
        let mut command = Command::new(self.node.join("kube-proxy"));
        command.args(["--config", &self.file("proxy.json")]);
        command
    }

    pub fn kubelet(&self) -> Command {
        let mut command = Command::new(self.node.join("kubelet"));
        command
            .args(["--config", &self.file("kubelet.json"), "--kubeconfig", &self.kubeconfig("kubelet")])
            .args(["--root-dir", &self.file("kubelet"), "--cert-dir", &self.file("kubelet-certificates")])
            .args(["--hostname-override", NAME, "--node-ip", ADDRESS]);
        command
    }

    pub fn containerd(&self) -> Command {
        let mut command = Command::new("containerd");
        command.args(["--config", &self.file("containerd.toml")]);
        command
    }

    pub fn names(&self) -> Command {
        let mut command = Command::new(self.node.join("coredns"));
        command.args(["-conf", &self.file("Corefile")]);
        command
    }

    fn file(&self, name: &str) -> String {
        self.folder.file(name).to_string_lossy().into_owned()
    }

    fn kubeconfig(&self, name: &str) -> String {
        self.file(&format!("{name}.kubeconfig"))
    }
}
