//! An admission webhook of one namespace is down: what is there cannot be written, and everybody else is served.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::Stage;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::net::TcpListener;

/// One that every change of a UserInvite in this namespace has to pass, for so many seconds.
fn webhook(namespace: &str, url: &str, seconds: i32) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [{
            "name": "down.example.com", "clientConfig": {"url": url}, "timeoutSeconds": seconds,
            "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "rules": [{
                "apiGroups": ["labelstudio.rs"], "apiVersions": ["*"], "operations": ["UPDATE"],
                "resources": ["userinvites", "userinvites/status"]
            }]
        }]
    })
}

#[tokio::test]
async fn a_webhook_that_is_down_in_one_namespace_leaves_its_people_behind_and_nobody_else() {
    let (mut stage, [team, _]) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
    let home = stage.namespace.clone();
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({"grants": [{"namespaces": [team], "maxRole": "Annotator"}]}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;

    let webhook = webhook(&team, "https://127.0.0.1:1/", 1);
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

/// Takes every call and answers none. How many have come.
async fn silent() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            held.push(stream);
        }
    });
    (port, calls)
}

#[tokio::test]
async fn a_webhook_that_hangs_is_asked_about_a_few_of_many_before_the_others_are_served() {
    let (mut stage, [team, _]) = Stage::set_teams(Options::default(), "watch.inviteNamespaces").await;
    let home = stage.namespace.clone();
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({"grants": [{"namespaces": [team], "maxRole": "Annotator"}]}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let (port, calls) = silent().await;
    stage.apply(&webhook(&team, &format!("https://127.0.0.1:{port}/"), 5)).await;
    let there: Vec<Value> = (0..40)
        .map(|n| {
            let mut there = Stage::invite(&format!("there{n:02}"), "Annotator", &[&format!("there{n:02}@example.com")]);
            there["spec"]["organizationRef"]["namespace"] = json!(home);
            there
        })
        .collect();
    stage.at(&team).apply(&json!({"apiVersion": "v1", "kind": "List", "items": there})).await;

    for round in 0..3 {
        let asked = || calls.load(Ordering::Relaxed);
        let (before, begun) = (asked(), Instant::now());
        stage.until("the webhook is asked again", async || asked() > before).await;
        let own = format!("own{round}");
        stage.at(&home).apply(&Stage::invite(&own, "Annotator", &[&format!("{own}@example.com")])).await;
        stage.ready(&format!("userinvite/{own}"), "True", "Reconciled").await;
        // Eight at a time, and after eight that hung half a minute without any: what is under way, another try, and one more
        // for each half minute that this machine took. All forty in one go are five times eight within half a minute.
        let (came, took) = (asked() - before, begun.elapsed());
        let tries = 2 + usize::try_from(took.as_secs() / 30).unwrap();
        assert!(came <= 8 * tries, "{came} calls within {took:?} before a colleague was served");
    }
    assert!(stage.simulator.mails().iter().all(|mail| mail.to.starts_with("own")), "{:?}", stage.simulator.mails());
    stage.kubectl(&["delete", "validatingwebhookconfiguration", &team], "").await;
    stage.at(&team).ready("userinvite/there39", "True", "Reconciled").await;
}
