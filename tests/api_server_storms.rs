//! An API server that answers 409 or 410 over and over while a crowd is invited: one mail each, nobody removed, and it ends as if
//! nothing had been.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use label_studio_harness::ControlPlane;
use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{Stage, condition};
use std::time::Duration;

const CROWD: usize = 150;

fn crowd() -> Vec<String> {
    (0..CROWD).map(|n| format!("p{n:03}@example.com")).collect()
}

/// Three manifests share the crowd.
async fn invite(stage: &Stage) {
    let emails = crowd();
    for (n, part) in emails.chunks(CROWD / 3).enumerate() {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        stage.apply(&Stage::invite(&format!("crowd-{n}"), "Annotator", &part)).await;
    }
}

/// One mail each, and nothing was written besides.
async fn assert_converged(stage: &Stage) {
    for n in 0..3 {
        stage.ready(&format!("userinvite/crowd-{n}"), "True", "Reconciled").await;
    }
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(organization["status"]["inFlight"].is_null(), "{organization:#}");
    for email in crowd() {
        assert_eq!(stage.simulator.mails_to(&email), 1, "{email}");
    }
    let journal = stage.simulator.journal();
    let mails = journal.count("POST", "/api/invite/send-email");
    assert_eq!(journal.writes().len(), mails, "nothing but mails: {:#?}", journal.counts_by_kind());
    // 50 to a request; until the first has shown up one address goes alone, and a request may be cut short by a conflict.
    assert!(mails <= CROWD / 10, "{mails} requests for {CROWD} people");
}

/// What is shown meanwhile: that it goes on, never that somebody has to act.
fn assert_calm(object: &Value) {
    assert!(condition(object, "Stalled").is_null(), "{object:#}");
    for user in object["status"]["users"].as_array().into_iter().flatten() {
        assert!(["Pending", "Invited"].contains(&user["state"].as_str().unwrap()), "{user}");
    }
}

/// Whoever else writes to the same objects, as other controllers and people do: metadata, and the status itself.
fn disturb(stage: &Stage) -> tokio::task::JoinHandle<()> {
    let (client, namespace) = (stage.plane.admin().unwrap(), stage.namespace.clone());
    tokio::spawn(async move {
        for round in 0_u64.. {
            for (kind, names) in [("Organization", &["acme"][..]), ("UserInvite", &["crowd-0", "crowd-1", "crowd-2"])] {
                let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("labelstudio.rs", "v1alpha1", kind));
                let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
                for name in names {
                    let note = json!({"metadata": {"annotations": {"example.com/round": round.to_string()}}});
                    // It may not be there yet.
                    let _ = api.patch(name, &PatchParams::default(), &Patch::Merge(&note)).await;
                    if round % 4 == 0 {
                        let odd = json!({"status": {"version": round.to_string(), "conditions": []}});
                        let _ = api.patch_status(name, &PatchParams::default(), &Patch::Merge(&odd)).await;
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await; // the pace of the storm, not a wait
        }
    })
}

#[tokio::test]
async fn objects_that_others_write_all_the_time_cost_no_second_mail_and_stop_nobody() {
    let stage = Stage::play(Options { latency: Duration::from_millis(50), ..Options::default() }).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let storm = disturb(&stage);
    invite(&stage).await;
    stage
        .until("everybody is mailed", async || {
            for what in ["organization/acme", "userinvite/crowd-0"] {
                assert_calm(&stage.get(what).await);
            }
            stage.simulator.mails().len() >= CROWD
        })
        .await;
    let conflicts = stage.operator().log().iter().filter(|line| line.contains("pass ended early")).count();
    storm.abort();
    assert!(storm.await.unwrap_err().is_cancelled());
    println!("{conflicts} passes ended early");
    assert!(conflicts > 0, "no storm");
    // A status that a stranger wrote after the last pass stands until the next one.
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    assert_converged(&stage).await;
}

/// A restart forgets what happened before it: every watch is told that it is too old, and everything is listed anew.
#[tokio::test]
async fn watches_that_expire_again_and_again_remove_nobody_and_mail_nobody_twice() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await.unwrap()));
    plane.install_crds().await.unwrap();
    let mut stage =
        Stage::set_on(plane, Options { latency: Duration::from_millis(100), ..Options::default() }, &[]).await;
    stage.simulator.add_member("ada@example.com", "AN");
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    invite(&stage).await;
    for round in 0..3 {
        let before = stage.simulator.mails().len();
        stage.until("more mails", async || round > 0 || stage.simulator.mails().len() > before).await;
        let line = stage.operator().log().len();
        // Something that no watch of ours tells of, so that what each has seen last is older than the restart.
        let other = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}, "data": {"round": round.to_string()}
        });
        stage.apply(&other).await;
        plane.stop_api_server().unwrap();
        plane.start_api_server().await.unwrap();
        // A manifest that nobody saw come.
        let name = format!("late-{round}");
        stage.apply(&Stage::invite(&name, "Annotator", &["ada@example.com"])).await;
        // Too old, or refused by a server that does not know yet who may what: either way a list is what goes on.
        stage
            .until("watches that began anew", async || {
                let log = stage.operator().log();
                log[line..].iter().any(|line| {
                    line.contains("watch failed")
                        && ["too old resource version", "cannot watch"].iter().any(|why| line.contains(why))
                })
            })
            .await;
        stage.ready(&format!("userinvite/{name}"), "True", "Held").await;
        assert_calm(&stage.get("organization/acme").await);
    }
    assert_converged(&stage).await;
    assert_eq!(stage.simulator.member("ada@example.com").unwrap().role, "AN");
}
