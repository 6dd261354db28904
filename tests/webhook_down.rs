//! An admission webhook of one namespace is down: what is there cannot be written, and everybody else is served.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::Options;
use serde_json::json;
use stage::Stage;

#[tokio::test]
async fn a_webhook_that_is_down_in_one_namespace_leaves_its_people_behind_and_nobody_else() {
    let (mut stage, [team, _]) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
    let home = stage.namespace.clone();
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({"grants": [{"namespaces": [team], "maxRole": "Annotator"}]}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;

    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": team},
        "webhooks": [{
            "name": "down.example.com", "clientConfig": {"url": "https://127.0.0.1:1/"}, "timeoutSeconds": 1,
            "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": team}},
            "rules": [{
                "apiGroups": ["labelstudio.rs"], "apiVersions": ["*"], "operations": ["UPDATE"],
                "resources": ["userinvites", "userinvites/status"]
            }]
        }]
    });
    stage.apply(&webhook).await;
    let mut there = Stage::invite("there", "Annotator", &["there@example.com"]);
    there["spec"]["organizationRef"]["namespace"] = json!("nowhere");
    stage.at(&team).apply(&there).await;
    let edit = ["--namespace", &team, "annotate", "--overwrite", "userinvite/there", "example.com/x=1"];
    stage
        .until("the webhook is asked", async || {
            stage.plane.kubectl().run(&edit, "").await.unwrap().stderr.contains("failed calling webhook")
        })
        .await;
    stage.kubectl(&["delete", "userinvite/there"], "").await;
    there["spec"]["organizationRef"]["namespace"] = json!(home);
    stage.apply(&there).await;

    stage.at(&home).apply(&Stage::invite("own", "Annotator", &["own@example.com"])).await;
    stage.ready("userinvite/own", "True", "Reconciled").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails_to("there@example.com"), 0, "nobody is mailed whose memory cannot be stored");

    stage.kubectl(&["delete", "validatingwebhookconfiguration", &team], "").await;
    stage.at(&team).ready("userinvite/there", "True", "Reconciled").await;
    assert_eq!(stage.simulator.mails_to("there@example.com"), 1);
}
