//! What was proved stays said while something else takes long: every status that an Organization ever had is looked at.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};
use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{Stage, condition};
use std::sync::{Arc, Mutex};

const BOTH: [&str; 2] = ["SignupRestricted", "InviteLinkPublished"];

/// Every version of the Organization from now on, as whoever watches it sees them.
fn versions(stage: &Stage) -> Arc<Mutex<Vec<Value>>> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("labelstudio.rs", "v1alpha1", "Organization"));
    let api: Api<DynamicObject> = Api::namespaced_with(stage.plane.admin().unwrap(), &stage.namespace, &kind);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    tokio::spawn(async move {
        let mut events = watcher(api, watcher::Config::default()).applied_objects().boxed();
        while let Some(event) = events.next().await {
            // A version that was missed would be no proof.
            told.lock().unwrap().push(serde_json::to_value(event.unwrap()).unwrap());
        }
    });
    seen
}

#[tokio::test]
async fn a_long_pass_takes_back_nothing_of_lock_and_link() {
    let values = ["signupLock.enabled=true", "inviteLink.enabled=true"];
    let mut stage = Stage::set_with(Options::default(), &values).await;
    stage.simulator.seed_members(100, "AN");
    stage.simulator.set_signup_closed(true);
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    let declared = json!({
        "signup": {"requireInvite": true}, "inviteLink": {"secretName": "invite-link"},
        "rateLimit": {"requestsPerSecond": 5, "burst": 1}
    });
    stage.apply(&stage.organization(declared)).await;
    let before = stage.ready("organization/acme", "True", "Reconciled").await;
    for kind in BOTH {
        assert_eq!(condition(&before, kind)["status"], "True", "{before:#}");
    }

    let seen = versions(&stage);
    let emails: Vec<String> = (0..100).map(|n| format!("person{n:05}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    stage.apply(&Stage::invite("crowd", "Reviewer", &emails)).await;
    stage.ready("userinvite/crowd", "True", "Reconciled").await;
    let last = stage.ready("organization/acme", "True", "Reconciled").await;
    stage
        .until("the watch to see the end", async || {
            let version = &last["metadata"]["resourceVersion"];
            seen.lock().unwrap().iter().any(|seen| seen["metadata"]["resourceVersion"] == *version)
        })
        .await;
    let seen = seen.lock().unwrap();
    let tellings = seen.iter().filter(|organization| !organization["status"]["progress"].is_null()).count();
    assert!(tellings >= 2, "too quick to prove anything: {tellings} of {} tell of progress", seen.len());
    for organization in &*seen {
        for kind in BOTH {
            assert_eq!(condition(organization, kind), condition(&before, kind), "{organization:#}");
        }
        assert_eq!(condition(organization, "Ready")["status"], "True", "{organization:#}");
    }
}
