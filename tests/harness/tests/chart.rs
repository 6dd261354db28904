//! The chart on the real control plane: it installs, upgrades, leaves the data at an uninstall, and grants what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use label_studio_harness::{ControlPlane, checkout, eventually};
use std::time::Duration;

#[tokio::test]
async fn it_installs_where_only_restricted_pods_may_run_and_an_uninstall_keeps_the_data() {
    let control_plane = ControlPlane::start().await.unwrap();
    let (helm, kubectl) = (control_plane.helm(), control_plane.kubectl());
    let namespace = control_plane.namespace("chart").await.unwrap();
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    kubectl.answer(&["label", "namespace", &namespace, restricted]).await.unwrap();

    let chart = checkout().join("charts/label-studio-operator");
    let chart = chart.to_str().unwrap();
    let release = ["label-studio-operator", chart, "--namespace", &namespace];
    helm.answer(&[&["install"], &release[..]].concat()).await.unwrap();
    let pod = eventually("a Pod of the Deployment", Duration::from_secs(30), async || {
        let pods = kubectl.answer(&["--namespace", &namespace, "get", "pods", "-o", "name"]).await?;
        Ok(pods.lines().next().map(str::to_owned))
    })
    .await
    .unwrap();
    assert!(pod.starts_with("pod/label-studio-operator-"), "{pod}");

    kubectl
        .answer(&["wait", "--for=condition=Established", "--timeout=30s", "crd/organizations.labelstudio.rs"])
        .await
        .unwrap();
    helm.answer(&[&["upgrade"], &release[..], &["--set", "log.format=text"]].concat()).await.unwrap();
    helm.answer(&["uninstall", "label-studio-operator", "--namespace", &namespace]).await.unwrap();
    let kept = kubectl.answer(&["get", "crd", "-o", "name"]).await.unwrap();
    assert_eq!(kept.lines().filter(|line| line.ends_with(".labelstudio.rs")).count(), 2, "{kept}");
    let left = kubectl.answer(&["get", "clusterrole,clusterrolebinding", "-o", "name"]).await.unwrap();
    assert!(!left.contains("label-studio-operator"), "{left}");
}

#[tokio::test]
async fn the_operator_may_do_its_work_in_its_namespace_and_nothing_elsewhere() {
    let control_plane = ControlPlane::shared().await;
    control_plane.install_crds().await.unwrap();
    let own = control_plane.namespace("own").await.unwrap();
    let other = control_plane.namespace("other").await.unwrap();
    let kubeconfig = control_plane.operator_kubeconfig(&own).await.unwrap();
    let operator = control_plane.kubectl().with_kubeconfig(kubeconfig);
    let may = async |verb: &str, resource: &str, namespace: &str| {
        let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
        let part = format!("--subresource={part}");
        let question = ["auth", "can-i", verb, resource, &part, "--namespace", namespace];
        let answer = operator.run(&question, "").await.unwrap();
        answer.stdout.trim() == "yes"
    };

    for (verb, resource) in [
        ("watch", "organizations.labelstudio.rs"),
        ("update", "organizations.labelstudio.rs/status"),
        ("patch", "userinvites.labelstudio.rs"),
        ("update", "userinvites.labelstudio.rs/status"),
        ("watch", "secrets"),
        ("get", "configmaps"),
        ("create", "events.events.k8s.io"),
    ] {
        assert!(may(verb, resource, &own).await, "{verb} {resource}");
        assert!(!may(verb, resource, &other).await, "{verb} {resource} elsewhere");
    }
    for (verb, resource) in [
        ("patch", "organizations.labelstudio.rs"),
        ("create", "userinvites.labelstudio.rs"),
        ("delete", "userinvites.labelstudio.rs"),
        ("update", "secrets"),
        ("create", "secrets"),
        ("delete", "pods"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
    ] {
        assert!(!may(verb, resource, &own).await, "{verb} {resource} is more than it needs");
    }
    operator.answer(&["get", "namespace", &own]).await.unwrap();
    operator.answer(&["get", "namespace", &other]).await.unwrap_err();
}
