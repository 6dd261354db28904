//! A release of the chart with real Helm on the real control plane, from its installation to what its removal leaves, with
//! the rights that it grants.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_chart;

use label_studio_harness::{ControlPlane, RunFolder, eventually};
use serde_json::{Value, json};
use stage_chart::{NAME, chart, get};
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(40);

#[tokio::test]
async fn a_release_is_installed_upgraded_with_new_fields_and_removed_without_the_data() {
    let plane = ControlPlane::shared().await;
    let (helm, kubectl) = (plane.helm(), plane.kubectl());
    let namespace = plane.namespace("release").await.unwrap();
    let other = plane.namespace("other").await.unwrap();
    for namespace in [&namespace, &other] {
        let restricted = "pod-security.kubernetes.io/enforce=restricted";
        kubectl.answer(&["label", "namespace", namespace, restricted]).await.unwrap();
    }
    let folder = RunFolder::new("chart").unwrap();
    let here = ["--namespace", &namespace];

    // What people get is a package; the CRDs have to be in it.
    let destination = folder.path().to_str().unwrap();
    helm.answer(&["package", &chart(), "--destination", destination]).await.unwrap();
    let package = format!("{destination}/{NAME}-{}.tgz", env!("CARGO_PKG_VERSION"));
    let before = chart_of_yesterday(&folder);

    let notes = helm.answer(&[&["install", NAME, &before], &here[..]].concat()).await.unwrap();
    for crd in ["crd/organizations.labelstudio.rs", "crd/userinvites.labelstudio.rs"] {
        kubectl.answer(&["wait", "--for=condition=Established", "--timeout=40s", crd]).await.unwrap();
    }
    let deployment = get(plane, &namespace, &format!("deployment/{NAME}")).await;
    assert_hardened(&deployment["spec"]["template"]["spec"]);
    assert_known_environment(&deployment["spec"]["template"]["spec"]["containers"][0]["env"]);
    pod_is_pending(plane, &namespace).await;
    assert_eq!(get(plane, &namespace, &format!("serviceaccount/{NAME}")).await["automountServiceAccountToken"], false);
    for kind in ["role", "rolebinding", "clusterrole", "clusterrolebinding"] {
        get(plane, &namespace, &format!("{kind}/{NAME}:{namespace}")).await;
    }
    assert_rights(plane, &namespace, &other).await;

    // Suspend is unknown yesterday, and known after the upgrade.
    let organization = json!({
        "apiVersion": "labelstudio.rs/v1alpha1", "kind": "Organization", "metadata": {"name": "acme"},
        "spec": {"url": "https://ls.example.com", "credentials": {"secretRef": {"name": "token"}}, "suspend": true}
    })
    .to_string();
    let apply = [&["apply", "-f", "-"], &here[..]].concat();
    let refused = eventually("the kind is served", SOON, async || {
        let refused = kubectl.run(&apply, &organization).await?;
        Ok((!refused.stderr.contains("no matches for kind")).then_some(refused))
    });
    let refused = refused.await.unwrap();
    assert!(refused.stderr.contains("unknown field \"spec.suspend\""), "{refused:?}");
    helm.answer(&[&["upgrade", NAME, &package], &here[..]].concat()).await.unwrap();
    eventually("the new field is known", SOON, async || Ok(Some(kubectl.run(&apply, &organization).await?.ok()?)))
        .await
        .unwrap();
    let example = notes.split("<<END\n").nth(1).unwrap().split("     END\n").next().unwrap();
    kubectl.run(&[&["apply", "--dry-run=server", "-f", "-"], &here[..]].concat(), example).await.unwrap().ok().unwrap();

    // Rights follow the switch, there and back.
    let upgrade = [&["upgrade", NAME, &package, "--reset-values"], &here[..]].concat();
    helm.answer(&[&upgrade[..], &["--set", "watch.allNamespaces=true"]].concat()).await.unwrap();
    eventually("it may look everywhere", SOON, async || {
        Ok(may(plane, &namespace, "watch secrets", &other).await.then_some(()))
    })
    .await
    .unwrap();
    helm.answer(&upgrade).await.unwrap();
    assert_kept_to_itself(plane, &namespace, &other).await;

    // A second release, of the same name, beside it.
    let there = ["--namespace", &other];
    let beside = [&["install", NAME, &package, "--set", "crds.install=false"], &there[..]].concat();
    helm.answer(&beside).await.unwrap();
    assert_kept_to_itself(plane, &other, &namespace).await;
    helm.answer(&[&["uninstall", NAME], &there[..]].concat()).await.unwrap();
    assert_kept_to_itself(plane, &namespace, &other).await;

    helm.answer(&[&["uninstall", NAME], &here[..]].concat()).await.unwrap();
    let left = "deployment,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding";
    let selector = format!("app.kubernetes.io/name={NAME}");
    let left = [&["get", left, "--selector", &selector, "-o", "name", "--ignore-not-found"], &here[..]].concat();
    assert_eq!(kubectl.answer(&left).await.unwrap(), "");
    assert_eq!(get(plane, &namespace, "organization/acme").await["spec"]["suspend"], true);
    get(plane, &namespace, "crd/userinvites.labelstudio.rs").await;

    // Another release does not take the kinds by accident, but it can take them.
    let elsewhere = [&["install", NAME, &package], &there[..]].concat();
    let refused = helm.run(&elsewhere, "").await.unwrap();
    assert!(refused.stderr.contains("release-namespace"), "{refused:?}");
    helm.answer(&[&elsewhere[..], &["--take-ownership"]].concat()).await.unwrap();
    assert_kept_to_itself(plane, &other, &namespace).await;
    helm.answer(&[&["uninstall", NAME], &there[..]].concat()).await.unwrap();
    get(plane, &namespace, "organization/acme").await;
    kinds_applied_by_hand_are_taken_over_when_told_to(plane, &namespace, &before, &package).await;
}

/// What the README says to whoever ran `kubectl apply -f crds/` before.
async fn kinds_applied_by_hand_are_taken_over_when_told_to(
    plane: &ControlPlane,
    namespace: &str,
    before: &str,
    package: &str,
) {
    let (helm, kubectl) = (plane.helm(), plane.kubectl());
    let apply_by_hand = async || {
        let kinds = ["organizations.labelstudio.rs", "userinvites.labelstudio.rs"];
        kubectl.answer(&[&["delete", "crd"], &kinds[..]].concat()).await.unwrap();
        kubectl.answer(&["apply", "-f", &format!("{before}/files/crds")]).await.unwrap();
    };
    apply_by_hand().await;
    let install = ["install", NAME, before, "--namespace", namespace];
    let refused = helm.run(&install, "").await.unwrap();
    assert!(refused.stderr.contains("invalid ownership metadata"), "{refused:?}");
    helm.answer(&[&install[..], &["--take-ownership"]].concat()).await.unwrap();

    let upgrade = ["upgrade", NAME, package, "--namespace", namespace];
    let refused = helm.run(&upgrade, "").await.unwrap();
    assert!(refused.stderr.contains("conflict with \"kubectl-client-side-apply\""), "{refused:?}");
    helm.answer(&[&upgrade[..], &["--force-conflicts"]].concat()).await.unwrap();
    let known = get(plane, namespace, "crd/organizations.labelstudio.rs").await.to_string();
    assert!(known.contains("\"suspend\""));
    helm.answer(&upgrade).await.unwrap();
    helm.answer(&["uninstall", NAME, "--namespace", namespace]).await.unwrap();

    apply_by_hand().await;
    let at_once = ["install", NAME, package, "--namespace", namespace, "--take-ownership", "--force-conflicts"];
    helm.answer(&at_once).await.unwrap();
}

/// The same chart before there was a field `suspend`.
fn chart_of_yesterday(folder: &RunFolder) -> String {
    let copy = folder.file("yesterday").to_str().unwrap().to_owned();
    let copied = std::process::Command::new("cp").args(["-R", &chart(), &copy]).status().unwrap();
    assert!(copied.success());
    let crd = Path::new(&copy).join("files/crds/organizations.labelstudio.rs.yaml");
    let text = std::fs::read_to_string(&crd).unwrap();
    let mut inside = false;
    let kept = text.lines().filter(|line| {
        let depth = line.len() - line.trim_start().len();
        inside = *line == "              suspend:" || (inside && depth > 14);
        !inside
    });
    let kept = kept.collect::<Vec<_>>().join("\n");
    assert_ne!(kept, text.trim_end());
    std::fs::write(&crd, kept + "\n").unwrap();
    copy
}

fn assert_hardened(pod: &Value) {
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_ne!(pod["securityContext"]["runAsUser"], 0);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["enableServiceLinks"], false);
    assert_eq!(pod["serviceAccountName"], NAME);
    for shared in ["hostNetwork", "hostPID", "hostIPC", "volumes"] {
        assert!(pod[shared].is_null(), "{shared}");
    }
    let containers = pod["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    let security = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}
    });
    assert_eq!(containers[0]["securityContext"], security);
    assert!(containers[0]["resources"]["limits"]["memory"].is_string());
}

/// A name that the program does not read would be a switch that does nothing.
fn assert_known_environment(environment: &Value) {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_label-studio-operator")).args(["run", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for variable in environment.as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        // The name of the Pod is no choice of anybody's, so no flag is called after it.
        let is_read = name == "POD_NAME" || help.contains(&format!("{name}="));
        assert!(is_read, "{name} is not in\n{help}");
    }
}

/// There is no node, so this is as far as a Pod comes.
async fn pod_is_pending(plane: &ControlPlane, namespace: &str) {
    let pod = eventually("a Pod of the Deployment", SOON, async || {
        let pods = get(plane, namespace, "pods").await;
        Ok(pods["items"].as_array().unwrap().first().cloned())
    })
    .await
    .unwrap();
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "ReplicaSet");
    let set = format!("replicaset/{}", pod["metadata"]["ownerReferences"][0]["name"].as_str().unwrap());
    let set = get(plane, namespace, &set).await;
    assert_eq!(set["metadata"]["ownerReferences"][0]["name"], NAME);
    assert_hardened(&pod["spec"]);
}

/// May the ServiceAccount of the release in `home` do it in the namespace?
async fn may(plane: &ControlPlane, home: &str, deed: &str, namespace: &str) -> bool {
    let account = format!("--as=system:serviceaccount:{home}:{NAME}");
    let (verb, resource) = deed.split_once(' ').unwrap();
    // In words of can-i, what follows the slash is a name.
    let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
    let part = format!("--subresource={part}");
    let question = ["auth", "can-i", verb, resource, &part, &account, "--namespace", namespace];
    let answer = plane.kubectl().run(&question, "").await.unwrap();
    match answer.stdout.trim() {
        "yes" => true,
        "no" => false,
        _ => panic!("{answer:?}"),
    }
}

/// All that the operator needs in its namespace, and little else.
async fn assert_rights(plane: &ControlPlane, home: &str, other: &str) {
    assert_kept_to_itself(plane, home, other).await;
    for deed in [
        "list organizations.labelstudio.rs",
        "watch organizations.labelstudio.rs",
        "update organizations.labelstudio.rs/status",
        "watch userinvites.labelstudio.rs",
        "patch userinvites.labelstudio.rs",
        "update userinvites.labelstudio.rs/status",
        "watch secrets",
        "list configmaps",
        "create events.events.k8s.io",
        "create leases.coordination.k8s.io",
    ] {
        assert!(may(plane, home, deed, home).await, "it may not {deed}");
    }
    for deed in [
        "get organizations.labelstudio.rs/status",
        "update organizations.labelstudio.rs/finalizers",
        "update userinvites.labelstudio.rs/finalizers",
        "get secrets",
        "get configmaps",
        "create secrets",
        "update secrets",
        "delete userinvites.labelstudio.rs",
        "grant-annotator userinvites.labelstudio.rs",
        "update leases.coordination.k8s.io",
        "list leases.coordination.k8s.io",
        "patch organizations.labelstudio.rs",
        "create pods",
        "create serviceaccounts/token",
        "create rolebindings.rbac.authorization.k8s.io",
    ] {
        assert!(!may(plane, home, deed, home).await, "it may {deed}");
    }
    let (lease, account) =
        (format!("leases.coordination.k8s.io/{NAME}"), format!("--as=system:serviceaccount:{home}:{NAME}"));
    for verb in ["get", "update"] {
        let own = ["auth", "can-i", verb, &lease, &account, "--namespace", home];
        assert_eq!(plane.kubectl().run(&own, "").await.unwrap().stdout.trim(), "yes", "{verb} {lease}");
    }
}

/// It works at home, and may do nothing at all in another namespace.
async fn assert_kept_to_itself(plane: &ControlPlane, home: &str, other: &str) {
    // Rights are read from a cache of the API server.
    eventually("rights at home alone", SOON, async || {
        let (here, there) =
            (may(plane, home, "watch secrets", home).await, may(plane, home, "watch secrets", other).await);
        Ok((here && !there).then_some(()))
    })
    .await
    .unwrap();
    let own = json!({"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [home], "verbs": ["get"]});
    assert_eq!(rules(plane, home, other).await, [own]);
}

/// Everything that the ServiceAccount may do in a namespace, but for asking what it may do.
async fn rules(plane: &ControlPlane, home: &str, namespace: &str) -> Vec<Value> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}
    });
    let account = format!("--as=system:serviceaccount:{home}:{NAME}");
    // Its rights do not reach to what kubectl would check it with.
    let question = ["create", "--validate=false", "-f", "-", "-o", "json", &account];
    let answer = plane.kubectl().run(&question, &review.to_string()).await.unwrap().ok().unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let rules = answer["status"]["resourceRules"].as_array().unwrap().iter();
    rules.filter(|rule| !rule["resources"][0].as_str().unwrap().starts_with("selfsubject")).cloned().collect()
}
