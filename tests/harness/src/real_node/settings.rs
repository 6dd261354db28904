//! Every file that the programs of the node read: keys, who is who, and what each is to do.

use crate::control_plane::{signing_key, write_kubeconfig};
use crate::{RunFolder, random_word};
use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

/// Of the node.
pub(super) const NAME: &str = "node1";
/// Of the node, as its Pods see it.
pub(super) const ADDRESS: &str = "10.250.0.1";

/// Name of the kubeconfig, user, group. The API server grants each what it grants it in every cluster.
const USERS: [(&str, &str, &str); 6] = [
    ("admin", "admin", "system:masters"),
    ("controllers", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
    ("kubelet", "system:node:node1", "system:nodes"),
    ("names", "coredns", ""),
];

/// What CoreDNS has in every cluster.
pub(super) const RIGHTS_OF_NAMES: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: coredns}
rules:
  - {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: coredns}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: coredns}]
"#;

/// All that is known before the API server has made its certificate.
pub(super) fn write(folder: &RunFolder, cgroup: &str) -> anyhow::Result<()> {
    let (private, public) = signing_key()?;
    std::fs::write(folder.file("sa.key"), private)?;
    std::fs::write(folder.file("sa.pub"), public)?;
    write_client_certificate(folder)?;
    let mut tokens = String::new();
    for (name, user, group) in USERS {
        let token = random_word()?;
        writeln!(tokens, "{token},{user},{user},\"{group}\"")?;
        std::fs::write(folder.file(format!("{name}.token")), token)?;
    }
    std::fs::write(folder.file("tokens.csv"), tokens)?;

    std::fs::create_dir_all(folder.file("cni"))?;
    std::fs::write(folder.file("cni/10-pods.conflist"), pod_network().to_string())?;
    std::fs::write(folder.file("containerd.toml"), containerd(folder)?)?;
    // Both read what begins with a brace as JSON only.
    std::fs::write(folder.file("kubelet.json"), kubelet(folder, cgroup).to_string())?;
    std::fs::write(folder.file("proxy.json"), service_proxy(folder).to_string())?;
    let kubeconfig = folder.file("names.kubeconfig");
    let names = format!(
        ".:53 {{\n  errors\n  kubernetes cluster.local {{\n    kubeconfig {}\n  }}\n}}\n",
        kubeconfig.display()
    );
    std::fs::write(folder.file("Corefile"), names)?;
    Ok(())
}

/// For all users, once there is a certificate to trust.
pub(super) fn write_kubeconfigs(folder: &RunFolder, certificate: &Path) -> anyhow::Result<()> {
    for (name, _, _) in USERS {
        let token = std::fs::read_to_string(folder.file(format!("{name}.token")))?;
        let path = folder.file(format!("{name}.kubeconfig"));
        write_kubeconfig(&path, &format!("https://{ADDRESS}:6443"), certificate, &token, "default")?;
    }
    Ok(())
}

/// What the API server shows the kubelet when somebody asks for a log, and the authority that the kubelet knows it by.
fn write_client_certificate(folder: &RunFolder) -> anyhow::Result<()> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    std::fs::write(folder.file("client-authority.crt"), authority.self_signed(&authority_key)?.pem())?;
    let mut client = CertificateParams::new(Vec::new())?;
    client.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    client.distinguished_name.push(DnType::OrganizationName, "system:masters");
    client.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    let key = KeyPair::generate()?;
    let certificate = client.signed_by(&key, &Issuer::new(authority, authority_key))?;
    std::fs::write(folder.file("client.crt"), certificate.pem())?;
    std::fs::write(folder.file("client.key"), key.serialize_pem())?;
    Ok(())
}

/// Each Pod has a wire of its own to the node, so that every answer passes the rules that rewrite the addresses of Services. On a
/// bridge that takes a module of the kernel.
fn pod_network() -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0", "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]
            }
        }]
    })
}

fn containerd(folder: &RunFolder) -> anyhow::Result<String> {
    let here = folder.path().display();
    let runc = found_in(&["/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc", "/usr/local/bin/runc"])?;
    let plugins = if Path::new("/usr/lib/cni/ptp").exists() { "/usr/lib/cni" } else { "/opt/cni/bin" };
    Ok(format!(
        "version = 2
root = '{here}/containerd/root'
state = '{here}/containerd/state'
grpc.address = '{here}/containerd.sock'
plugins.'io.containerd.internal.v1.opt'.path = '{here}/containerd/opt'
[plugins.'io.containerd.grpc.v1.cri']
sandbox_image = 'localhost/pause:1'
# A root without CAP_SYS_RESOURCE may not lower it.
restrict_oom_score_adj = true
cni = {{bin_dir = '{plugins}', conf_dir = '{here}/cni'}}
containerd.runtimes.runc = {{runtime_type = 'io.containerd.runc.v2', options = {{BinaryName = '{runc}', SystemdCgroup = false}}}}
"
    ))
}

fn found_in(paths: &[&'static str]) -> anyhow::Result<&'static str> {
    paths.iter().copied().find(|path| Path::new(path).exists()).with_context(|| format!("there is none of {paths:?}"))
}

fn kubelet(folder: &RunFolder, cgroup: &str) -> serde_json::Value {
    let file = |name: &str| folder.file(name).to_string_lossy().into_owned();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}", file("containerd.sock")),
        "failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupRoot": format!("/{cgroup}"),
        "address": ADDRESS, "clusterDNS": [ADDRESS], "clusterDomain": "cluster.local", "resolvConf": "",
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": true},
            "x509": {"clientCAFile": file("client-authority.crt")}
        },
        "authorization": {"mode": "Webhook"},
        "podLogsDir": file("logs"), "volumePluginDir": file("volume-plugins"),
        // What is the machine's is left as it is.
        "failSwapOn": false, "oomScoreAdj": 0, "maxOpenFiles": 20000, "makeIPTablesUtilChains": false,
        "protectKernelDefaults": true, "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"
        }
    })
}

fn service_proxy(folder: &RunFolder) -> serde_json::Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "mode": "nftables", "clusterCIDR": "10.244.0.0/16", "hostnameOverride": NAME, "oomScoreAdj": 0,
        "clientConnection": {"kubeconfig": folder.file("proxy.kubeconfig").to_string_lossy()},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    })
}
