//! A release with `--wait`, as a pipeline installs it: each step ends when the Pods are ready, and is not before. There is no
//! node, so the test says of the Pods what a node would (`stage_chart/node.rs`).

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_chart;

use label_studio_harness::ControlPlane;
use serde_json::{Value, json};
use stage_chart::node::{Node, operator_of};
use stage_chart::{NAME, chart, get, install_monitoring_kinds};

/// Everything that can be switched on besides, but for what excludes one another.
const ALL: &str = "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true,\
                   networkPolicy.enabled=true,podDisruptionBudget.enabled=true,replicas=2,signupLock.enabled=true,\
                   inviteLink.enabled=true,bootstrap.enabled=true,grantPolicy.enabled=true";

#[tokio::test]
async fn install_upgrade_rollback_test_and_uninstall_wait_for_what_they_did() {
    let plane = ControlPlane::shared().await;
    install_monitoring_kinds(plane).await;
    let namespace = plane.namespace("waits").await.unwrap();
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    plane.kubectl().answer(&["label", "namespace", &namespace, restricted]).await.unwrap();
    let (helm, chart) = (plane.helm(), chart());
    let here = ["--namespace", &namespace, "--timeout", "90s"];
    let step = async |arguments: &[&str]| {
        let all = [arguments, &here[..]].concat();
        Node { plane, namespace: &namespace, health: None }.during(helm.answer(&all)).await.unwrap()
    };
    let deployment = async || get(plane, &namespace, &format!("deployment/{NAME}")).await;

    let alone = [&["install", NAME, &chart, "--wait", "--timeout", "3s"], &here[..2]].concat();
    let waits = helm.run(&alone, "").await.unwrap();
    assert_ne!(waits.code, 0, "nothing ran: {waits:?}");
    helm.answer(&[&["uninstall", NAME, "--wait"], &here[..]].concat()).await.unwrap();

    step(&["install", NAME, &chart, "--wait"]).await;
    says_by_its_test_whether_it_is_ready(plane, &namespace).await;
    for made_for_the_test in ["pods", "services"] {
        let list = get(plane, &namespace, made_for_the_test).await;
        assert!(!list.to_string().contains("helm.sh/hook"), "{made_for_the_test} of the test stay");
    }
    step(&["upgrade", NAME, &chart, "--wait", "--set", ALL]).await;
    assert_eq!(deployment().await["status"]["readyReplicas"], 2);
    for there in ["servicemonitor", "prometheusrule", "networkpolicy", "poddisruptionbudget", "service"] {
        get(plane, &namespace, &format!("{there}/{NAME}")).await;
    }
    leads_where_it_should(plane, &namespace).await;

    // Without a Lease the old one has to end first; and back.
    let alone = ["--set", "leaderElection.enabled=false"];
    step(&[&["upgrade", NAME, &chart, "--wait", "--reset-values"], &alone[..]].concat()).await;
    assert_eq!(deployment().await["spec"]["strategy"], json!({"type": "Recreate"}));
    step(&["rollback", NAME, "2", "--wait"]).await;
    assert_eq!(deployment().await["spec"]["strategy"]["type"], "RollingUpdate");
    assert_eq!(deployment().await["status"]["readyReplicas"], 2);
    step(&["rollback", NAME, "1", "--wait"]).await;
    assert_eq!(deployment().await["status"]["readyReplicas"], 1);

    step(&["uninstall", NAME, "--wait"]).await;
    let left = "all,networkpolicy,poddisruptionbudget,servicemonitor,prometheusrule,configmap,role,rolebinding,clusterrole,\
                validatingadmissionpolicy,validatingadmissionpolicybinding";
    let selector = format!("app.kubernetes.io/instance={NAME}");
    let left = ["get", left, "--selector", &selector, "-o", "name", "--namespace", &namespace];
    assert_eq!(plane.kubectl().answer(&left).await.unwrap(), "");
}

/// `helm test` fails while nobody answers, and passes when the operator does, with the rights of this very release.
async fn says_by_its_test_whether_it_is_ready(plane: &ControlPlane, namespace: &str) {
    let helm = plane.helm();
    let test = ["test", NAME, "--namespace", namespace, "--timeout", "60s"];
    let nobody = Node { plane, namespace, health: None }.during(helm.run(&test, "")).await.unwrap();
    assert_ne!(nobody.code, 0, "nobody is there: {nobody:?}");
    let (_operator, health) = operator_of(plane, namespace).await;
    Node { plane, namespace, health: Some(&health) }.during(helm.answer(&test)).await.unwrap();
}

/// What selects Pods selects the operator's and nothing else, and the ServiceMonitor the Service.
async fn leads_where_it_should(plane: &ControlPlane, namespace: &str) {
    let labels_of = async |what: &str| get(plane, namespace, what).await["metadata"]["labels"].clone();
    let pods = get(plane, namespace, "pods").await;
    let pods = pods["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["labels"].clone());
    let pods: Vec<Value> = pods.collect();
    for (what, pointer) in [
        ("service", "/spec/selector"),
        ("networkpolicy", "/spec/podSelector/matchLabels"),
        ("poddisruptionbudget", "/spec/selector/matchLabels"),
    ] {
        let selector = get(plane, namespace, &format!("{what}/{NAME}")).await.pointer(pointer).unwrap().clone();
        assert!(pods.len() == 2 && pods.iter().all(|labels| selects(&selector, labels)), "{what}: {selector}");
    }
    let monitor = get(plane, namespace, &format!("servicemonitor/{NAME}")).await;
    let service = labels_of(&format!("service/{NAME}")).await;
    assert!(selects(&monitor["spec"]["selector"]["matchLabels"], &service), "{monitor:#}");

    let hooks = plane.helm().answer(&["get", "hooks", NAME, "--namespace", namespace]).await.unwrap();
    let read = ["create", "--dry-run=client", "-o", "json", "-f", "-"];
    let hooks = plane.kubectl().run(&read, &hooks).await.unwrap().ok().unwrap();
    let hooks: Vec<Value> = serde_json::Deserializer::from_str(&hooks).into_iter().collect::<Result<_, _>>().unwrap();
    let hooks: Vec<&Value> =
        hooks.iter().flat_map(|hook| hook["items"].as_array().map_or(vec![hook], |all| all.iter().collect())).collect();
    let of_kind = |kind: &str| *hooks.iter().find(|hook| hook["kind"] == kind).unwrap();
    assert!(pods.iter().all(|labels| selects(&of_kind("Service")["spec"]["selector"], labels)));
    let tester = &of_kind("Pod")["metadata"]["labels"];
    assert!(!selects(&of_kind("Service")["spec"]["selector"], tester), "the test would count itself: {tester}");
    let policy = get(plane, namespace, &format!("networkpolicy/{NAME}")).await;
    let let_in = &policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"];
    assert!(selects(let_in, tester), "the test is not let in: {let_in}");
    let policy = get(plane, namespace, &format!("networkpolicy/{NAME}-test")).await;
    assert!(selects(&policy["spec"]["podSelector"]["matchLabels"], tester), "the test is not let out: {policy:#}");
    let leads_to = &policy["spec"]["egress"][1]["to"][0]["podSelector"]["matchLabels"];
    assert!(pods.iter().all(|labels| selects(leads_to, labels)), "{policy:#}");
    let deployment = get(plane, namespace, &format!("deployment/{NAME}")).await;
    let asked = |object: &Value, at: &str| object.pointer(at).unwrap().clone();
    assert_eq!(
        asked(of_kind("Pod"), "/spec/containers/0/resources"),
        asked(&deployment, "/spec/template/spec/containers/0/resources"),
        "what a quota lets through for one"
    );
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
}
