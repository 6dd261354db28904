//! Every switch of the chart does what it says, and a typing error in one says so: with real Helm, and the real API server
//! looks at what is rendered.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_chart;

use label_studio_harness::ControlPlane;
use serde_json::{Value, json};
use stage_chart::{NAME, chart};
use std::collections::BTreeSet;
use std::path::Path;

#[tokio::test]
async fn it_has_nothing_to_be_told_by_the_linter_and_the_version_of_the_program() {
    let plane = ControlPlane::shared().await;
    plane.helm().answer(&["lint", "--strict", &chart()]).await.unwrap();
    let about = plane.helm().answer(&["show", "chart", &chart()]).await.unwrap();
    let version = format!("appVersion: {}", env!("CARGO_PKG_VERSION"));
    assert!(about.lines().any(|line| line == version), "{about}");
}

/// A value of the chart, and where in which kind of object it has to be found.
fn switches(namespaces: &[&str]) -> Vec<(&'static str, Value, &'static str, &'static str, Value)> {
    let digest = format!("sha256:{}", "0f".repeat(32));
    let pod = "/spec/template/spec";
    let image = "/spec/template/spec/containers/0/image";
    let env = "/spec/template/spec/containers/0/env";
    let version = env!("CARGO_PKG_VERSION");
    let events = json!({"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]});
    let secrets = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "update", "delete"]});
    let stores = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch"]});
    let patches =
        json!({"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": ["get", "patch"]});
    let proxy = json!({"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"});
    let toleration = json!({"key": "people", "operator": "Exists", "effect": "NoSchedule"});
    let term = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}});
    vec![
        ("watch.namespaces", json!(namespaces), "Role", "/metadata/namespace", json!(namespaces[0])),
        ("watch.inviteNamespaces", json!(["1e3"]), "Role", "/metadata/namespace", json!("1e3")),
        ("watch.allNamespaces", json!(true), "ClusterRole", "/rules", events),
        ("inviteLink.enabled", json!(true), "Role", "/rules", secrets),
        (
            "allowedServers",
            json!(["a.example.com", "b.example.com"]),
            "Deployment",
            env,
            json!({"name": "LABEL_STUDIO_OPERATOR_ALLOWED_SERVER", "value": "a.example.com,b.example.com"}),
        ),
        ("signupLock.enabled", json!(true), "Role", "/rules", patches),
        ("bootstrap.enabled", json!(true), "Role", "/rules", stores),
        ("image.repository", json!("example.com/it"), "Deployment", image, json!(format!("example.com/it:{version}"))),
        ("image.tag", json!("1.2.3"), "Deployment", image, json!(format!("{NAME}:1.2.3"))),
        ("image.digest", json!(digest), "Deployment", image, json!(format!("{NAME}@{digest}"))),
        (
            "image.pullPolicy",
            json!("Never"),
            "Deployment",
            "/spec/template/spec/containers/0/imagePullPolicy",
            json!("Never"),
        ),
        (
            "imagePullSecrets",
            json!([{"name": "registry"}]),
            "Deployment",
            "/spec/template/spec/imagePullSecrets",
            json!({"name": "registry"}),
        ),
        (
            "log.format",
            json!("text"),
            "Deployment",
            env,
            json!({"name": "LABEL_STUDIO_OPERATOR_LOG_FORMAT", "value": "text"}),
        ),
        (
            "log.filter",
            json!("debug"),
            "Deployment",
            env,
            json!({"name": "LABEL_STUDIO_OPERATOR_LOG", "value": "debug"}),
        ),
        (
            "serviceAccount.annotations",
            json!({"example.com/role": "1234"}),
            "ServiceAccount",
            "/metadata/annotations/example.com~1role",
            json!("1234"),
        ),
        ("env", json!([proxy]), "Deployment", env, proxy),
        (
            "resources",
            json!({"limits": {"memory": "1Gi"}}),
            "Deployment",
            "/spec/template/spec/containers/0/resources/limits/memory",
            json!("1Gi"),
        ),
        (
            "podAnnotations",
            json!({"example.com/on": "true"}),
            "Deployment",
            "/spec/template/metadata/annotations/example.com~1on",
            json!("true"),
        ),
        ("podLabels", json!({"team": "42"}), "Deployment", "/spec/template/metadata/labels/team", json!("42")),
        ("nodeSelector", json!({"disk": "1"}), "Deployment", "/spec/template/spec/nodeSelector/disk", json!("1")),
        ("tolerations", json!([toleration]), "Deployment", "/spec/template/spec/tolerations", toleration),
        (
            "affinity",
            json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}),
            "Deployment",
            "/spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution",
            term,
        ),
        ("priorityClassName", json!("7"), "Deployment", "/spec/template/spec/priorityClassName", json!("7")),
        ("crds.install", json!(false), "Deployment", pod, Value::Null),
    ]
}

#[tokio::test]
async fn the_api_server_takes_every_switch_and_it_does_what_it_says() {
    let plane = ControlPlane::shared().await;
    let own = plane.namespace("switches").await.unwrap();
    // What a YAML reader could take for a number.
    for namespace in ["2024", "1e3"] {
        plane.kubectl().answer(&["create", "namespace", namespace]).await.unwrap();
    }
    let usual = rendered(plane, &own, NAME, &[]).await;
    assert_eq!(of(&usual, "CustomResourceDefinition", "/kind").len(), 2);
    assert_eq!(of(&usual, "Role", "/metadata/namespace"), [json!(own)]);
    let mut tried = BTreeSet::new();
    for (path, value, kind, pointer, wanted) in switches(&["1e3", "2024"]) {
        tried.insert(path.to_owned());
        let set = format!("{path}={value}");
        let objects = rendered(plane, &own, NAME, &[&set]).await;
        if path == "crds.install" {
            assert!(of(&objects, "CustomResourceDefinition", "/kind").is_empty());
        } else {
            let found = of(&objects, kind, pointer);
            assert!(found.contains(&wanted), "{set}: {wanted} is not in {found:?}");
            let found = of(&usual, kind, pointer);
            assert!(!found.contains(&wanted), "{set} changes nothing: {found:?}");
        }
        match path {
            "watch.namespaces" => assert_eq!(of(&objects, kind, pointer), [json!("1e3"), json!("2024")]),
            "watch.inviteNamespaces" => {
                let role = |namespace: &str| {
                    let there =
                        |object: &&Value| object["kind"] == "Role" && object["metadata"]["namespace"] == namespace;
                    objects.iter().find(there).unwrap()["rules"].to_string()
                };
                assert!(role(&own).contains("secrets") && !role("1e3").contains("secrets"), "{}", role("1e3"));
            }
            "watch.allNamespaces" => assert!(of(&objects, "Role", "/kind").is_empty()),
            _ => assert_eq!(of(&objects, "ClusterRole", "/rules").len(), 1, "{set} widens the rights"),
        }
    }
    let schema = std::fs::read_to_string(Path::new(&chart()).join("values.schema.json")).unwrap();
    let mut known = BTreeSet::new();
    leaves("", &serde_json::from_str(&schema).unwrap(), &mut known);
    assert_eq!(tried, known, "a value without a test, or a test without a value");

    // Names that are not usual: digits alone, and the longest ones.
    rendered(plane, "2024", "7", &[]).await;
    rendered(plane, &own, &"r".repeat(53), &[]).await;
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
        ("podLabels.team=42", "at '/podLabels/team': got number, want string"),
    ] {
        let answer = plane.helm().run(&["template", NAME, &chart(), "--set", value], "").await.unwrap();
        assert_ne!(answer.code, 0, "{value} was taken");
        assert!(answer.stderr.contains(words), "{value}: {}", answer.stderr);
    }
}
