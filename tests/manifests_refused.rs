//! What the API server itself refuses: each rule and bound of the schema has an object here that must fail, with a
//! message that names the field and says what to do.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod refused_objects;

use label_studio_harness::{ControlPlane, eventually};
use refused_objects::{invite, organization, refused, with};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn each_rule_and_bound_refuses_with_the_field_and_the_remedy() {
    let plane = ControlPlane::shared().await;
    plane.install_crds().await.unwrap();
    let kubectl = plane.kubectl();
    let namespace = plane.namespace("refused").await.unwrap();
    let create = async |object: &Value| {
        kubectl
            .run(&["create", "--dry-run=server", "--namespace", &namespace, "-f", "-"], &object.to_string())
            .await
            .unwrap()
    };
    let link = with(organization(), "/spec/inviteLink", json!({"secretName": "a.link-1", "rotateEvery": "720h"}));
    let granting = with(
        organization(),
        "/spec/grants",
        json!([{"namespaces": ["*", "team-a"], "maxRole": "Manager", "emailDomains": ["example.com", "münchen.de"]}]),
    );
    let ending = with(invite(), "/spec/expiresAt", json!("2026-12-31T18:00:00Z"));
    for good in [organization(), invite(), link, granting, ending] {
        create(&good).await.ok().unwrap();
    }
    for (object, wrong, words) in refused() {
        let answer = create(&object).await;
        assert_ne!(answer.code, 0, "{wrong}: accepted: {object}");
        for word in words {
            assert!(answer.stderr.contains(word), "{wrong}: {word:?} is missing in: {}", answer.stderr);
        }
    }
}

#[tokio::test]
async fn the_reference_cannot_be_changed_and_the_largest_list_passes() {
    let plane = ControlPlane::shared().await;
    plane.install_crds().await.unwrap();
    let kubectl = plane.kubectl();
    let local = "a".repeat(238);
    let emails: Vec<String> = (0..500).map(|n| format!("{local}{n:03}@example.com")).collect();
    assert_eq!(emails[0].len(), 253);
    let largest = with(invite(), "/spec/emails", json!(emails));
    kubectl.run(&["apply", "--server-side", "-f", "-"], &largest.to_string()).await.unwrap().ok().unwrap();
    let moved = with(largest, "/spec/organizationRef/name", json!("other"));
    let answer = kubectl.run(&["apply", "--server-side", "-f", "-"], &moved.to_string()).await.unwrap();
    assert_ne!(answer.code, 0);
    assert!(answer.stderr.contains("organizationRef cannot be changed"), "{}", answer.stderr);
}

#[tokio::test]
async fn the_api_server_warns_about_nothing_and_explains_every_field() {
    let plane = ControlPlane::shared().await;
    let crds = label_studio_harness::checkout().join("crds");
    let kubectl = plane.kubectl();
    let applied = kubectl.run(&["apply", "--server-side", "-f", &crds.to_string_lossy()], "").await.unwrap();
    assert!(!applied.stderr.to_lowercase().contains("warning"), "{}", applied.stderr);
    plane.install_crds().await.unwrap();
    for field in ["organization.spec.guards.maxRemovals", "userinvite.spec.deletionPolicy", "userinvite.status.users"] {
        // Discovery is a moment behind the definitions.
        let explain = async || Ok(Some(kubectl.answer(&["explain", field]).await?));
        let told = eventually("kubectl explain", Duration::from_secs(60), explain).await.unwrap();
        assert!(told.contains("DESCRIPTION"), "{told}");
    }
}
