//! Where one workload of several fails, or its pods never come up: the others have their way, nothing is forgotten, and it goes on
//! by itself once it can.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_lock;

use serde_json::{Value, json};
use stage::{Stage, condition};
use stage_lock::{
    VARIABLE, generation, named, play_node, reconcile, restricted, rolled_out, set, set_with, signup, variable,
    workload,
};

/// The Organization closes these Deployments.
fn closes(stage: &Stage, names: &[&str]) -> Value {
    let one = |name: &&str| json!({"kind": "Deployment", "name": name, "container": "app"});
    let workloads: Vec<Value> = names.iter().map(one).collect();
    stage.organization(json!({"signup": {"requireInvite": true, "workloads": workloads}}))
}

/// Leaves the operator its rights to this Deployment only, or to every one.
async fn limit_rights(stage: &Stage, only: Option<&str>) {
    let roles = stage.get("roles").await;
    let role = &roles["items"][0];
    let is_apps = |rule: &Value| rule["apiGroups"] == json!(["apps"]);
    let at = role["rules"].as_array().unwrap().iter().position(is_apps).unwrap();
    let path = format!("/rules/{at}/resourceNames");
    let change = match only {
        Some(name) => json!([{"op": "add", "path": path, "value": [name]}]),
        None => json!([{"op": "remove", "path": path}]),
    };
    let role = format!("role/{}", role["metadata"]["name"].as_str().unwrap());
    stage.kubectl(&["patch", &role, "--type=json", "-p", &change.to_string()], "").await;
    let operator = format!("system:serviceaccount:{}:label-studio-operator", stage.namespace);
    let asked = ["--namespace", &stage.namespace, "auth", "can-i", "patch", "deployments/api", "--as", &operator];
    let allowed = only.is_none_or(|name| name == "api");
    stage
        .until("the rights to count", async || {
            (stage.plane.kubectl().run(&asked, "").await.unwrap().code == 0) == allowed
        })
        .await;
}

#[tokio::test]
async fn of_two_that_are_given_back_one_that_fails_is_remembered_until_it_can_be() {
    let stage = set().await;
    for name in ["api", "web"] {
        stage.apply(&named("Deployment", name, &json!([]))).await;
    }
    stage.apply(&closes(&stage, &["api", "web"])).await;
    restricted(&stage, "False", "RollingOut").await;
    for name in ["api", "web"] {
        assert_eq!(variable(&stage, &format!("deployment/{name}")).await, "true", "{name}");
    }

    limit_rights(&stage, Some("web")).await;
    stage.apply(&stage.organization(json!({"signup": {"requireInvite": false}}))).await;
    let organization = stage.ready("organization/acme", "False", "WorkloadForbidden").await;
    let message = condition(&organization, "Stalled")["message"].clone();
    assert!(message.as_str().unwrap().contains("Deployment \"api\""), "{message}");
    assert_eq!(condition(&organization, "SignupRestricted"), Value::Null, "it is not declared any more");
    assert_eq!(variable(&stage, "deployment/web").await, Value::Null, "the other one is given back all the same");
    assert_eq!(variable(&stage, "deployment/api").await, "true");
    let remembered = organization["status"]["signup"].as_array().unwrap();
    assert_eq!((remembered.len(), &remembered[0]["workload"]["name"]), (1, &json!("api")));

    let web = generation(&stage, "deployment/web").await;
    limit_rights(&stage, None).await;
    reconcile(&stage, "1").await;
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(variable(&stage, "deployment/api").await, Value::Null);
    assert_eq!(organization["status"]["signup"], Value::Null);
    assert_eq!(generation(&stage, "deployment/web").await, web, "once is enough");
}

#[tokio::test]
async fn one_that_is_missing_leaves_none_of_the_others_open() {
    let stage = set().await;
    stage.apply(&named("Deployment", "web", &json!([]))).await;
    stage.apply(&closes(&stage, &["api", "web"])).await;
    let message = restricted(&stage, "False", "WorkloadMissing").await;
    assert!(message.contains("Deployment \"api\""), "{message}");
    assert_eq!(variable(&stage, "deployment/web").await, "true");

    // One that cannot be given back keeps none open either.
    stage.apply(&named("Deployment", "late", &json!([]))).await;
    limit_rights(&stage, Some("late")).await;
    stage.apply(&closes(&stage, &["late"])).await;
    let message = restricted(&stage, "False", "WorkloadForbidden").await;
    assert!(message.contains("Deployment \"web\""), "{message}");
    assert_eq!(variable(&stage, "deployment/late").await, "true");
}

/// Kubernetes sets no deadline there, whoever set the variable.
#[tokio::test]
async fn a_stateful_set_that_hangs_is_told_of_and_goes_on_by_itself_when_its_pods_come_up() {
    let theirs = json!([{"name": VARIABLE, "value": "true"}]);
    for env in [json!([]), theirs] {
        let stage = set_with(&[("LABEL_STUDIO_OPERATOR_LONGEST_ROLLOUT_MS", "12000")]).await;
        stage.simulator.set_signup_closed(true);
        stage.apply(&workload("StatefulSet", &env)).await;
        if env == json!([]) {
            // What is rolled out then is the variable; else it is the first pod.
            stage.until("the first pod", async || play_node(&stage).await).await;
        }
        stage.apply(&stage.organization(signup("StatefulSet"))).await;
        restricted(&stage, "False", "RollingOut").await;
        let organization = stage.ready("organization/acme", "False", "RolloutFailed").await;
        let message = condition(&organization, "Stalled")["message"].clone();
        let message = message.as_str().unwrap();
        assert!(message.contains("StatefulSet \"studio\"") && message.contains("longer than 12s"), "{message}");
        rolled_out(&stage).await;
        stage.ready("organization/acme", "True", "Reconciled").await;
    }
}
