//! Every switch of the chart does what it says, and a typing error in one says so: with real Helm, and the real API server
//! looks at what is rendered.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_chart;

use label_studio_harness::ControlPlane;
use serde_json::{Value, json};
use stage_chart::switches::{needed, switches};
use stage_chart::{NAME, chart, install_monitoring_kinds};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[tokio::test]
async fn it_has_nothing_to_be_told_by_the_linter_and_the_version_of_the_program() {
    let plane = ControlPlane::shared().await;
    plane.helm().answer(&["lint", "--strict", &chart()]).await.unwrap();
    let about = plane.helm().answer(&["show", "chart", &chart()]).await.unwrap();
    let version = format!("appVersion: {}", env!("CARGO_PKG_VERSION"));
    assert!(about.lines().any(|line| line == version), "{about}");
}

#[tokio::test]
async fn the_api_server_takes_every_switch_and_it_does_what_it_says() {
    let plane = ControlPlane::shared().await;
    install_monitoring_kinds(plane).await;
    let own = plane.namespace("switches").await.unwrap();
    // What a YAML reader could take for a number.
    for namespace in ["2024", "1e3"] {
        plane.kubectl().answer(&["create", "namespace", namespace]).await.unwrap();
    }
    let usual = rendered(plane, &own, NAME, &[]).await;
    assert_eq!(of(&usual, "CustomResourceDefinition", "/kind").len(), 2);
    assert_eq!(looks_into(&usual), [json!(own)]);
    assert_eq!(of(&usual, "Deployment", "/spec/replicas"), [json!(1)]);
    let mut tried = BTreeSet::new();
    for (path, value, kind, pointer, wanted) in switches(&["1e3", "2024"]) {
        tried.insert(path.to_owned());
        let set = format!("{path}={value}");
        let needed = needed(path);
        let needed: Vec<&str> = needed.as_deref().into_iter().collect();
        let objects = rendered(plane, &own, NAME, &[&needed[..], &[&set]].concat()).await;
        let before = if needed.is_empty() { usual.clone() } else { rendered(plane, &own, NAME, &needed).await };
        let (before, found) = (of(&before, kind, pointer), of(&objects, kind, pointer));
        if wanted.is_null() {
            assert!(found.is_empty() && !before.is_empty(), "{set} leaves {found:?} of {before:?}");
        } else {
            assert!(found.contains(&wanted), "{set}: {wanted} is not in {found:?}");
            assert!(!before.contains(&wanted), "{set} changes nothing: {before:?}");
        }
        match path {
            "watch.namespaces" => assert_eq!(looks_into(&objects), [json!("1e3"), json!("2024")]),
            "watch.inviteNamespaces" => {
                let role = |namespace: &str| {
                    let there =
                        |object: &&Value| object["kind"] == "Role" && object["metadata"]["namespace"] == namespace;
                    objects.iter().find(there).unwrap()["rules"].to_string()
                };
                for kind in ["secrets", "organizations"] {
                    assert!(role(&own).contains(kind) && !role("1e3").contains(kind), "{}", role("1e3"));
                }
                let environment = "/spec/template/spec/containers/0/env";
                let variable = json!({"name": "LABEL_STUDIO_OPERATOR_INVITE_NAMESPACE", "value": "1e3"});
                assert!(of(&objects, "Deployment", environment).contains(&variable));
                let variable = json!({"name": "LABEL_STUDIO_OPERATOR_NAMESPACE", "value": own});
                assert!(of(&objects, "Deployment", environment).contains(&variable));
            }
            "watch.allNamespaces" => assert!(looks_into(&objects).is_empty()),
            _ => assert_eq!(cluster_rules(&objects, &own).len(), 1, "{set} widens the rights"),
        }
    }
    let schema = std::fs::read_to_string(Path::new(&chart()).join("values.schema.json")).unwrap();
    let mut known = BTreeSet::new();
    leaves("", &serde_json::from_str(&schema).unwrap(), &mut known);
    assert_eq!(tried, known, "a value without a test, or a test without a value");

    // Names that are not usual: digits alone, and the longest ones.
    let metrics = "metrics.serviceMonitor.enabled=true";
    rendered(plane, "2024", "7", &[metrics]).await;
    rendered(plane, &own, &"r".repeat(53), &[metrics]).await;
}

/// Namespaces in which there is a Role for looking into them; that for the Lease is another.
fn looks_into(objects: &[Value]) -> Vec<Value> {
    let is_lease = |object: &Value| object["metadata"]["name"].as_str().unwrap().ends_with(":lease");
    let others: Vec<Value> = objects.iter().filter(|object| !is_lease(object)).cloned().collect();
    of(&others, "Role", "/metadata/namespace")
}

/// What the operator itself may do in the whole cluster.
fn cluster_rules(objects: &[Value], namespace: &str) -> Vec<Value> {
    let own = objects.iter().filter(|object| object["metadata"]["name"] == format!("{NAME}:{namespace}"));
    of(&own.cloned().collect::<Vec<_>>(), "ClusterRole", "/rules")
}

#[tokio::test]
async fn common_labels_and_annotations_stand_on_every_object_and_change_no_selector() {
    let plane = ControlPlane::shared().await;
    install_monitoring_kinds(plane).await;
    let own = plane.namespace("common").await.unwrap();
    let all = [
        "metrics.serviceMonitor",
        "metrics.prometheusRule",
        "metrics.dashboard",
        "networkPolicy",
        "podDisruptionBudget",
    ];
    let mut values: Vec<String> = all.iter().map(|one| format!("{one}.enabled=true")).collect();
    values.push(r#"commonLabels={"team": "a", "app.kubernetes.io/name": "mine"}"#.to_owned());
    values.push(r#"commonAnnotations={"example.com/owner": "b", "helm.sh/resource-policy": "mine"}"#.to_owned());
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let objects = rendered(plane, &own, NAME, &values).await;
    let kinds: BTreeSet<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert!(kinds.len() >= 14, "{kinds:?}");
    for object in &objects {
        let metadata = &object["metadata"];
        assert_eq!(
            (&metadata["labels"]["team"], &metadata["annotations"]["example.com/owner"]),
            (&json!("a"), &json!("b"))
        );
        assert_ne!(metadata["labels"]["app.kubernetes.io/name"], "mine");
    }
    assert_eq!(of(&objects, "Deployment", "/spec/template/metadata/labels/team"), [json!("a")]);
    assert_eq!(of(&objects, "Deployment", "/spec/template/metadata/annotations/example.com~1owner"), [json!("b")]);
    assert!(of(&objects, "Deployment", "/spec/selector/matchLabels/team").is_empty());
    // What keeps the kinds at an uninstall is not to be had away.
    let kept = of(&objects, "CustomResourceDefinition", "/metadata/annotations/helm.sh~1resource-policy");
    assert_eq!(kept, [json!("keep"), json!("keep")]);
}

#[tokio::test]
async fn the_policy_of_grants_is_left_out_only_where_its_kind_is_not_served_or_by_the_switch() {
    let plane = ControlPlane::shared().await;
    let kind = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy";
    for (arguments, there) in [
        // Nobody to ask: the versions that the chart allows serve it.
        (&[][..], true),
        // What a cluster answers that has it turned off, and one that has not.
        (&["--api-versions", "v1/Pod"], false),
        (&["--api-versions", "v1/Pod", "--api-versions", kind], true),
        (&["--api-versions", "v1/Pod", "--set", "grantPolicy.enabled=true"], true),
        (&["--set", "grantPolicy.enabled=false"], false),
    ] {
        let rendered = plane.helm().answer(&[&["template", NAME, &chart()], arguments].concat()).await.unwrap();
        for kind in ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] {
            assert_eq!(rendered.contains(&format!("kind: {kind}\n")), there, "{kind} with {arguments:?}");
        }
    }
}

#[tokio::test]
async fn a_dashboard_and_alerts_come_as_their_files_are() {
    let plane = ControlPlane::shared().await;
    install_monitoring_kinds(plane).await;
    let own = plane.namespace("files").await.unwrap();
    let on = ["metrics.dashboard.enabled=true", "metrics.prometheusRule.enabled=true"];
    let objects = rendered(plane, &own, NAME, &on).await;
    let file = |name: &str| std::fs::read_to_string(Path::new(&chart()).join("files").join(name)).unwrap();
    let dashboard = of(&objects, "ConfigMap", "/data/label-studio-operator.json");
    let dashboard: Value = serde_json::from_str(dashboard[0].as_str().unwrap()).unwrap();
    assert_eq!(dashboard, serde_json::from_str::<Value>(&file("dashboard.json")).unwrap());
    // Its double braces are Prometheus's: Helm must not read them.
    let rendered = plane.helm().answer(&["template", NAME, &chart(), "--set-json", on[1]]).await.unwrap();
    let alerts =
        file("alerts.yaml").replace("RELEASE_NAMESPACE", "default").replace('\n', "\n  ").replace("  \n", "\n");
    let alerts = format!("  {}\n", alerts.trim_end());
    assert!(rendered.replace("  \n", "\n").contains(&alerts), "{rendered}");
    assert!(!of(&objects, "PrometheusRule", "/spec/groups/0/rules").is_empty());
}

#[tokio::test]
async fn a_spread_that_names_pods_of_its_own_counts_those_and_no_others() {
    let plane = ControlPlane::shared().await;
    let own = plane.namespace("spread").await.unwrap();
    let selector = json!({"matchLabels": {"app.kubernetes.io/part-of": "labels"}});
    let spread = json!([{
        "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector
    }]);
    let objects = rendered(plane, &own, NAME, &[&format!("topologySpreadConstraints={spread}")]).await;
    let counted = of(&objects, "Deployment", "/spec/template/spec/topologySpreadConstraints");
    assert_eq!(counted[0]["labelSelector"], selector);
}

#[tokio::test]
async fn two_releases_share_no_object_of_the_cluster_whatever_they_and_their_namespaces_are_called() {
    let plane = ControlPlane::shared().await;
    let mut owners = BTreeMap::new();
    // Joined by a hyphen, these would be called alike.
    let alike =
        [(NAME.to_owned(), "a-b"), (format!("{NAME}-a"), "b"), (NAME.to_owned(), "b-view"), (NAME.to_owned(), "b")];
    for (release, namespace) in &alike {
        let rendered = plane.helm().answer(&["template", release, &chart(), "--namespace", namespace]).await.unwrap();
        let objects =
            plane.kubectl().run(&["create", "--dry-run=client", "-o", "json", "-f", "-"], &rendered).await.unwrap();
        for object in serde_json::Deserializer::from_str(&objects.ok().unwrap()).into_iter::<Value>() {
            let object = object.unwrap();
            let (kind, name) = (object["kind"].as_str().unwrap().to_owned(), object["metadata"]["name"].clone());
            if object["metadata"]["namespace"].is_null() && kind != "CustomResourceDefinition" {
                let before = owners.insert((kind.clone(), name.to_string()), (release, namespace));
                assert_eq!(before, None, "{kind} {name} is also of {release} in {namespace}");
            }
        }
    }
    assert_eq!(owners.len(), alike.len() * 7, "{owners:?}");
}

#[tokio::test]
async fn either_monitor_keeps_the_namespace_that_a_figure_names() {
    let plane = ControlPlane::shared().await;
    install_monitoring_kinds(plane).await;
    let own = plane.namespace("monitors").await.unwrap();
    for (value, kind, endpoint) in [
        ("serviceMonitor", "ServiceMonitor", "/spec/endpoints/0"),
        ("podMonitor", "PodMonitor", "/spec/podMetricsEndpoints/0"),
    ] {
        let objects = rendered(plane, &own, NAME, &[&format!("metrics.{value}.enabled=true")]).await;
        // Else Prometheus calls it exported_namespace, and every Organization is in the operator's own.
        assert_eq!(of(&objects, kind, &format!("{endpoint}/honorLabels")), [json!(true)], "{kind}");
    }
}

/// What the API server would hold after an installation. It checks each field; a warning is an error here.
async fn rendered(plane: &ControlPlane, namespace: &str, release: &str, values: &[&str]) -> Vec<Value> {
    let chart = chart();
    let mut arguments = vec!["template", release, &chart, "--namespace", namespace];
    for value in values {
        arguments.extend(["--set-json", value]);
    }
    let manifest = plane.helm().answer(&arguments).await.unwrap();
    let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-o", "json", "-f", "-"];
    let answer = plane.kubectl().run(&apply, &manifest).await.unwrap();
    assert!(
        answer.code == 0 && answer.stderr.is_empty(),
        "{release} in {namespace} with {values:?}: {}",
        answer.stderr
    );
    let objects = serde_json::from_str::<Value>(&answer.stdout).unwrap()["items"].as_array().unwrap().clone();
    for rule in objects.iter().filter_map(|object| object["rules"].as_array()).flatten() {
        assert!(!rule.to_string().contains('*'), "a wildcard: {rule}");
    }
    objects
}

/// What stands there in every object of the kind; lists are taken apart.
fn of(objects: &[Value], kind: &str, pointer: &str) -> Vec<Value> {
    let objects = objects.iter().filter(|object| object["kind"] == kind);
    let found = objects.filter_map(|object| object.pointer(pointer).cloned());
    found.flat_map(|found| if let Value::Array(list) = found { list } else { vec![found] }).collect()
}

/// Every value that the schema allows, as `log.format`.
fn leaves(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    let Some(properties) = schema["properties"].as_object() else {
        found.insert(path.to_owned());
        return;
    };
    for (name, schema) in properties {
        match path {
            // Helm's own, for charts that contain charts.
            "" if name == "global" => {}
            "" => leaves(name, schema, found),
            _ => leaves(&format!("{path}.{name}"), schema, found),
        }
    }
}

#[tokio::test]
async fn a_typing_error_in_the_values_is_refused_with_a_word_about_it() {
    let plane = ControlPlane::shared().await;
    for (value, words) in [
        ("wach.allNamespaces=true", "additional properties 'wach' not allowed"),
        ("watch.namespace=a", "at '/watch': additional properties 'namespace' not allowed"),
        ("watch.namespaces=a", "at '/watch/namespaces': got string, want array"),
        ("watch.namespaces={A_b}", "at '/watch/namespaces/0': 'A_b' does not match pattern"),
        ("watch.inviteNamespaces={a},watch.namespaces={a}", "watch.inviteNamespaces names a"),
        ("watch.allNamespaces=true,watch.inviteNamespaces={a}", "choose one of the two"),
        ("watch.selector[0]=a", "at '/watch/selector': got array, want string"),
        ("watch.allNamespaces=yes", "at '/watch/allNamespaces': got string, want boolean"),
        ("watch.allNamespaces=true,watch.namespaces={a}", "choose one of the two"),
        ("inviteLink.enable=true", "at '/inviteLink': additional properties 'enable' not allowed"),
        ("crds.instal=false", "at '/crds': additional properties 'instal' not allowed"),
        ("image.repository=", "at '/image/repository': minLength"),
        ("image.digest=latest", "at '/image/digest': 'latest' does not match pattern"),
        ("image.pullPolicy=Sometimes", "at '/image/pullPolicy': value must be one of 'Always'"),
        ("log.fromat=json", "at '/log': additional properties 'fromat' not allowed"),
        ("log.format=yaml", "at '/log/format': value must be one of 'text', 'json'"),
        ("resource.limits.memory=1Gi", "additional properties 'resource' not allowed"),
        ("replicas=2,leaderElection.enabled=false", "several would work at once"),
        ("replica=2", "additional properties 'replica' not allowed"),
        ("replicas=two", "at '/replicas': got string, want integer"),
        ("leaderElection.enable=false", "at '/leaderElection': additional properties 'enable' not allowed"),
        ("grantPolicy.enabled=yes", "at '/grantPolicy/enabled': value must be one of 'auto', true, false"),
        ("peopleRoles.agregate=false", "at '/peopleRoles': additional properties 'agregate' not allowed"),
        ("metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true", "choose one of the two"),
        (
            "metrics.serviceMonitor.intervall=1m",
            "at '/metrics/serviceMonitor': additional properties 'intervall' not allowed",
        ),
        ("metrics.podMonitor.interval=often", "at '/metrics/podMonitor/interval': 'often' does not match pattern"),
        ("networkPolicy.egressPorts={https}", "at '/networkPolicy/egressPorts/0': got string, want integer"),
        (
            "networkPolicy.metricsFrom[0].pods=a",
            "at '/networkPolicy/metricsFrom/0': additional properties 'pods' not allowed",
        ),
        ("podDisruptionBudget.maxUnavailable=half", "at '/podDisruptionBudget/maxUnavailable'"),
        ("livenessProbe.period=3", "at '/livenessProbe': additional properties 'period' not allowed"),
        ("env[0].name=A,env[0].vaule=b", "at '/env/0': additional properties 'vaule' not allowed"),
        ("volumeMounts[0].name=a", "at '/volumeMounts/0': missing property 'mountPath'"),
        ("topologySpreadConstraints[0].maxSkew=1", "missing properties 'topologyKey', 'whenUnsatisfiable'"),
        ("resources.limit.memory=1Gi", "at '/resources': additional properties 'limit' not allowed"),
        ("tolerations[0].keys=a", "at '/tolerations/0': additional properties 'keys' not allowed"),
        ("affinity.podAffinty.a=b", "at '/affinity': additional properties 'podAffinty' not allowed"),
        ("commonLabels.team=42", "at '/commonLabels/team': got number, want string"),
        ("bindAddress=everywhere", "at '/bindAddress': 'everywhere' does not match pattern"),
        ("podLabels.team=42", "at '/podLabels/team': got number, want string"),
    ] {
        let answer = plane.helm().run(&["template", NAME, &chart(), "--set", value], "").await.unwrap();
        assert_ne!(answer.code, 0, "{value} was taken");
        assert!(answer.stderr.contains(words), "{value}: {}", answer.stderr);
    }
}
