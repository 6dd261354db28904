//! Every value of the chart with another than its usual value, and where in which kind of object that has to be found; null:
//! nothing must be left there.

use super::NAME;
use serde_json::{Value, json};

/// Value, what it is set to, kind, where, what.
pub type Switch = (&'static str, Value, &'static str, &'static str, Value);

const IMAGE: &str = "/spec/template/spec/containers/0/image";
const ENV: &str = "/spec/template/spec/containers/0/env";

pub fn switches(namespaces: &[&str]) -> Vec<Switch> {
    [rights(namespaces), program(), pod(), around()].concat()
}

/// What else has to be set for the value to mean anything.
pub fn needed(path: &str) -> Option<String> {
    if path == "volumeMounts" {
        return Some(r#"volumes=[{"name": "more", "emptyDir": {}}]"#.to_owned());
    }
    let (part, field) = path.rsplit_once('.')?;
    let is_off = ["metrics", "networkPolicy", "podDisruptionBudget"].iter().any(|off| part.starts_with(off));
    (is_off && field != "enabled").then(|| format!("{part}.enabled=true"))
}

fn rights(namespaces: &[&str]) -> Vec<Switch> {
    let events = json!({"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]});
    let secrets = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "update", "delete"]});
    let stores = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch"]});
    let patches =
        json!({"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": ["get", "patch"]});
    let selector = json!({"name": "LABEL_STUDIO_OPERATOR_SELECTOR", "value": "shard in (a,b)"});
    let aggregated = "/metadata/labels/rbac.authorization.k8s.io~1aggregate-to-edit";
    vec![
        ("watch.namespaces", json!(namespaces), "Role", "/metadata/namespace", json!(namespaces[0])),
        ("watch.inviteNamespaces", json!(["1e3"]), "Role", "/metadata/namespace", json!("1e3")),
        ("watch.allNamespaces", json!(true), "ClusterRole", "/rules", events),
        ("watch.selector", json!("shard in (a,b)"), "Deployment", ENV, selector),
        ("inviteLink.enabled", json!(true), "Role", "/rules", secrets),
        ("signupLock.enabled", json!(true), "Role", "/rules", patches),
        ("bootstrap.enabled", json!(true), "Role", "/rules", stores),
        ("grantPolicy.enabled", json!(false), "ValidatingAdmissionPolicy", "/kind", Value::Null),
        ("peopleRoles.create", json!(false), "ClusterRole", aggregated, Value::Null),
        ("peopleRoles.aggregate", json!(false), "ClusterRole", aggregated, Value::Null),
        ("crds.install", json!(false), "CustomResourceDefinition", "/kind", Value::Null),
    ]
}

fn program() -> Vec<Switch> {
    let digest = format!("sha256:{}", "0f".repeat(32));
    let version = env!("CARGO_PKG_VERSION");
    let pull = "/spec/template/spec/containers/0/imagePullPolicy";
    let proxy = json!({"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"});
    let env = |name: &str, value: &str| json!({"name": format!("LABEL_STUDIO_OPERATOR_{name}"), "value": value});
    let servers = json!(["a.example.com", "b.example.com"]);
    vec![
        ("allowedServers", servers, "Deployment", ENV, env("ALLOWED_SERVER", "a.example.com,b.example.com")),
        ("replicas", json!(3), "Deployment", "/spec/replicas", json!(3)),
        ("leaderElection.enabled", json!(false), "Deployment", "/spec/strategy/type", json!("Recreate")),
        ("image.repository", json!("example.com/it"), "Deployment", IMAGE, json!(format!("example.com/it:{version}"))),
        ("image.tag", json!("1.2.3"), "Deployment", IMAGE, json!(format!("{NAME}:1.2.3"))),
        ("image.digest", json!(digest), "Deployment", IMAGE, json!(format!("{NAME}@{digest}"))),
        ("image.pullPolicy", json!("Never"), "Deployment", pull, json!("Never")),
        ("log.format", json!("text"), "Deployment", ENV, env("LOG_FORMAT", "text")),
        ("log.filter", json!("debug"), "Deployment", ENV, env("LOG", "debug")),
        ("bindAddress", json!("::"), "Deployment", ENV, env("HEALTH_ADDRESS", "[::]:8081")),
        ("env", json!([proxy]), "Deployment", ENV, proxy),
    ]
}

fn pod() -> Vec<Switch> {
    let volume = json!({"name": "more", "configMap": {"name": "more", "defaultMode": 256}});
    let mount = json!({"name": "more", "mountPath": "/more", "readOnly": true});
    let toleration = json!({"key": "people", "operator": "Exists", "effect": "NoSchedule"});
    let term = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}});
    let apart = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
    let apart_at = "/spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    let spread = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"});
    let mut spread_here = spread.clone();
    spread_here["labelSelector"] =
        json!({"matchLabels": {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME}});
    let [secrets, volumes, spreads, tolerations] = [
        "/spec/template/spec/imagePullSecrets",
        "/spec/template/spec/volumes",
        "/spec/template/spec/topologySpreadConstraints",
        "/spec/template/spec/tolerations",
    ];
    let [live, ready, mounts, memory] = [
        "/spec/template/spec/containers/0/livenessProbe/initialDelaySeconds",
        "/spec/template/spec/containers/0/readinessProbe/initialDelaySeconds",
        "/spec/template/spec/containers/0/volumeMounts",
        "/spec/template/spec/containers/0/resources/limits/memory",
    ];
    let annotation = "/spec/template/metadata/annotations/example.com~1on";
    let later = json!({"initialDelaySeconds": 7});
    vec![
        ("imagePullSecrets", json!([{"name": "registry"}]), "Deployment", secrets, json!({"name": "registry"})),
        ("volumes", json!([volume]), "Deployment", volumes, volume),
        ("volumeMounts", json!([mount]), "Deployment", mounts, mount),
        ("livenessProbe", later.clone(), "Deployment", live, json!(7)),
        ("readinessProbe", later, "Deployment", ready, json!(7)),
        ("resources", json!({"limits": {"memory": "1Gi"}}), "Deployment", memory, json!("1Gi")),
        ("podAnnotations", json!({"example.com/on": "true"}), "Deployment", annotation, json!("true")),
        ("podLabels", json!({"team": "42"}), "Deployment", "/spec/template/metadata/labels/team", json!("42")),
        ("nodeSelector", json!({"disk": "1"}), "Deployment", "/spec/template/spec/nodeSelector/disk", json!("1")),
        ("tolerations", json!([toleration]), "Deployment", tolerations, toleration),
        ("affinity", apart, "Deployment", apart_at, term),
        ("topologySpreadConstraints", json!([spread]), "Deployment", spreads, spread_here),
        ("priorityClassName", json!("7"), "Deployment", "/spec/template/spec/priorityClassName", json!("7")),
    ]
}

/// Besides the Deployment.
fn around() -> Vec<Switch> {
    let role = "/metadata/annotations/example.com~1role";
    let label = "/metadata/labels/release";
    let labels = json!({"release": "42"});
    let peer = json!({"namespaceSelector": {"matchLabels": {"a": "b"}}});
    let let_in = json!({"from": [peer], "ports": [{"port": "metrics", "protocol": "TCP"}]});
    let outward = json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]});
    let ports = json!({"ports": [{"port": 8443, "protocol": "TCP"}]});
    let every = "/spec/endpoints/0/interval";
    let every_pod = "/spec/podMetricsEndpoints/0/interval";
    vec![
        ("serviceAccount.annotations", json!({"example.com/role": "1234"}), "ServiceAccount", role, json!("1234")),
        ("commonLabels", labels.clone(), "Deployment", label, json!("42")),
        ("commonAnnotations", json!({"example.com/role": "1234"}), "Deployment", role, json!("1234")),
        ("metrics.service.enabled", json!(true), "Service", "/spec/clusterIP", json!("None")),
        ("metrics.serviceMonitor.enabled", json!(true), "ServiceMonitor", "/spec/endpoints/0/port", json!("metrics")),
        ("metrics.serviceMonitor.interval", json!("1m"), "ServiceMonitor", every, json!("1m")),
        ("metrics.serviceMonitor.labels", labels.clone(), "ServiceMonitor", label, json!("42")),
        ("metrics.podMonitor.enabled", json!(true), "PodMonitor", "/kind", json!("PodMonitor")),
        ("metrics.podMonitor.interval", json!("1m"), "PodMonitor", every_pod, json!("1m")),
        ("metrics.podMonitor.labels", labels.clone(), "PodMonitor", label, json!("42")),
        ("metrics.prometheusRule.enabled", json!(true), "PrometheusRule", "/kind", json!("PrometheusRule")),
        ("metrics.prometheusRule.labels", labels.clone(), "PrometheusRule", label, json!("42")),
        ("metrics.dashboard.enabled", json!(true), "ConfigMap", "/metadata/labels/grafana_dashboard", json!("1")),
        ("metrics.dashboard.labels", labels, "ConfigMap", label, json!("42")),
        ("metrics.dashboard.annotations", json!({"example.com/role": "1234"}), "ConfigMap", role, json!("1234")),
        ("networkPolicy.enabled", json!(true), "NetworkPolicy", "/kind", json!("NetworkPolicy")),
        ("networkPolicy.metricsFrom", json!([peer]), "NetworkPolicy", "/spec/ingress", let_in),
        ("networkPolicy.egressPorts", json!([8443]), "NetworkPolicy", "/spec/egress", ports),
        ("networkPolicy.egress", json!([outward]), "NetworkPolicy", "/spec/egress", outward),
        ("podDisruptionBudget.enabled", json!(true), "PodDisruptionBudget", "/spec/maxUnavailable", json!(1)),
        (
            "podDisruptionBudget.maxUnavailable",
            json!("50%"),
            "PodDisruptionBudget",
            "/spec/maxUnavailable",
            json!("50%"),
        ),
    ]
}
