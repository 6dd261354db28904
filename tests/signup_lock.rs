//! Sign-up without a link is closed as declared: by one variable of the named workload, never by force, and believed only when
//! the server's own forms refuse. The test plays the node, and a real Label Studio gets the environment of the pod.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_lock;

use label_studio_harness::OpenSourceLabelStudio;
use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{Stage, condition};
use stage_lock::{VARIABLE, generation, play_node, reconcile, restricted, rolled_out, set, signup, variable, workload};
use std::time::Duration;

#[tokio::test]
async fn declared_is_rolled_out_and_really_refused_and_back_again_on_real_label_studio() {
    let mut server = OpenSourceLabelStudio::start().await.unwrap();
    let stage = set().await;
    stage.secret(server.legacy_token()).await;
    stage.apply(&workload("Deployment", &json!([]))).await;
    stage.until("the first pod", async || play_node(&stage).await).await;
    server.sign_up("early@example.com").await.unwrap();

    let mut spec = signup("Deployment");
    spec["url"] = json!(server.url());
    stage.apply(&stage.organization(spec.clone())).await;
    restricted(&stage, "False", "RollingOut").await;
    assert_eq!(variable(&stage, "deployment/studio").await, "true");
    // The pod comes up, and with it the server in its environment.
    server.restart_with(&[(VARIABLE, "true")]).await.unwrap();
    rolled_out(&stage).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(server.sign_up("stranger@example.com").await.is_err(), "really refused");

    // Rolled out, and yet open: the variable is not the proof.
    server.restart_with(&[]).await.unwrap();
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    restricted(&stage, "False", "SignupOpen").await;

    spec["signup"]["requireInvite"] = json!(false);
    stage.apply(&stage.organization(spec)).await;
    stage.until("the variable is given back", async || variable(&stage, "deployment/studio").await.is_null()).await;
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(condition(&organization, "SignupRestricted"), Value::Null);
    server.sign_up("late@example.com").await.unwrap();
}

#[tokio::test]
async fn a_stateful_set_is_closed_too_and_deleting_the_organization_leaves_it_closed() {
    let stage = set().await;
    stage.apply(&workload("StatefulSet", &json!([{"name": "A", "value": "b"}]))).await;
    stage.until("the first pod", async || play_node(&stage).await).await;
    stage.apply(&stage.organization(signup("StatefulSet"))).await;
    restricted(&stage, "False", "RollingOut").await;
    stage.simulator.set_signup_closed(true);
    rolled_out(&stage).await;
    stage.delete("organization/acme").await;
    assert_eq!(variable(&stage, "statefulset/studio").await, "true");
}

#[tokio::test]
async fn where_helm_keeps_it_open_three_resyncs_give_one_condition_and_no_roll_out() {
    let stage = set().await;
    let object = workload("Deployment", &json!([{"name": VARIABLE, "value": "false"}]));
    stage.kubectl(&["apply", "--server-side", "--field-manager=helm", "-f", "-"], &object.to_string()).await;
    let before = generation(&stage, "deployment/studio").await;
    stage.apply(&stage.organization(signup("Deployment"))).await;
    let organization = stage.ready("organization/acme", "False", "FieldConflict").await;
    let message = restricted(&stage, "False", "FieldConflict").await;
    assert!(message.contains("helm") && message.contains(VARIABLE), "{message}");
    let since = condition(&organization, "SignupRestricted")["lastTransitionTime"].clone();
    for round in ["1", "2", "3"] {
        reconcile(&stage, round).await;
    }
    assert_eq!(generation(&stage, "deployment/studio").await, before);
    assert_eq!(variable(&stage, "deployment/studio").await, "false");
    let after = condition(&stage.get("organization/acme").await, "SignupRestricted");
    assert_eq!((&after["lastTransitionTime"], &after["message"]), (&since, &json!(message)));
}

#[tokio::test]
async fn who_takes_it_out_again_and_again_is_left_to_settle_it() {
    let stage = set().await;
    stage.apply(&workload("Deployment", &json!([{"name": "A", "value": "b"}]))).await;
    stage.apply(&stage.organization(signup("Deployment"))).await;
    let take_out = json!([{"op": "replace", "path": "/spec/template/spec/containers/1/env", "value": []}]).to_string();
    for round in 0..4 {
        stage.until("the variable is set", async || variable(&stage, "deployment/studio").await == "true").await;
        let patch = ["patch", "deployment/studio", "--field-manager=somebody", "--type=json", "-p", &take_out];
        stage.kubectl(&patch, "").await;
        stage
            .kubectl(
                &["annotate", "--overwrite", "organization/acme", &format!("labelstudio.rs/reconcile=r{round}")],
                "",
            )
            .await;
    }
    let message = restricted(&stage, "False", "Reverted").await;
    assert!(message.contains("3 times within a day"), "{message}");
    reconcile(&stage, "last").await;
    assert_eq!(variable(&stage, "deployment/studio").await, Value::Null);
}

#[tokio::test]
async fn what_cannot_be_closed_says_why_and_nothing_is_created() {
    let stage = set().await;
    stage.apply(&stage.organization(signup("Deployment"))).await;
    restricted(&stage, "False", "WorkloadMissing").await;
    assert!(stage.try_get("deployment/studio").await.is_err(), "no workload is created");

    let by_reference = json!([{"name": VARIABLE, "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]);
    stage.apply(&workload("Deployment", &by_reference)).await;
    restricted(&stage, "False", "SetByReference").await;

    let mut other = signup("Deployment");
    other["signup"]["workloads"][0]["container"] = json!("application");
    stage.apply(&stage.organization(other)).await;
    let message = restricted(&stage, "False", "ContainerMissing").await;
    assert!(message.contains("proxy, app"), "{message}");

    // Nobody is named: only the proof.
    stage.apply(&stage.organization(json!({"signup": {"requireInvite": true}}))).await;
    let message = restricted(&stage, "False", "SignupOpen").await;
    assert!(message.contains(VARIABLE), "{message}");
    stage.simulator.set_signup_closed(true);
    reconcile(&stage, "1").await;
    restricted(&stage, "True", "SignupClosed").await;
    let before = stage.simulator.members().len();
    reconcile(&stage, "2").await;
    assert_eq!(stage.simulator.members().len(), before, "the look creates nobody");

    // The people do not wait for any of it.
    let stage = {
        let mut stage = Stage::set(Options::default()).await;
        stage.start_operator();
        stage.secret(&stage.simulator.legacy_token()).await;
        stage
    };
    stage.apply(&stage.organization(signup("Deployment"))).await;
    let message = restricted(&stage, "False", "WorkloadForbidden").await;
    assert!(message.contains("signupLock.enabled=true"), "{message}");
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
}

#[tokio::test]
async fn pods_that_do_not_come_up_are_told_of() {
    let stage = set().await;
    let mut object = workload("Deployment", &json!([]));
    object["spec"]["progressDeadlineSeconds"] = json!(1);
    object["spec"]["minReadySeconds"] = json!(0);
    stage.apply(&object).await;
    stage.apply(&stage.organization(signup("Deployment"))).await;
    let message = restricted(&stage, "False", "RolloutFailed").await;
    assert!(message.contains("Deployment \"studio\"") && message.contains("look at its pods"), "{message}");
}

#[tokio::test]
async fn observe_changes_no_workload() {
    let stage = set().await;
    stage.apply(&workload("Deployment", &json!([]))).await;
    let mut spec = signup("Deployment");
    spec["mode"] = json!("Observe");
    stage.apply(&stage.organization(spec)).await;
    restricted(&stage, "False", "Observing").await;
    tokio::time::timeout(Duration::from_secs(60), stage.ready("organization/acme", "True", "Observing")).await.unwrap();
    assert_eq!(variable(&stage, "deployment/studio").await, Value::Null);
}
