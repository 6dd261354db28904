//! `kubectl explain` tells something of every field that people write or read.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_harness::{ControlPlane, eventually};
use label_studio_operator::resources::definitions;
use serde_json::Value;
use std::time::Duration;

/// Every field below `at`, of objects in lists as well, with its description.
fn fields(schema: &Value, at: &str, found: &mut Vec<(String, Option<String>)>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        found.push((at.clone(), field["description"].as_str().map(ToOwned::to_owned)));
        fields(field, &at, found);
        fields(&field["items"], &at, found);
    }
}

/// `organization.spec.url` and so on.
fn all_fields() -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for definition in definitions() {
        let definition = serde_json::to_value(definition).unwrap();
        let kind = definition["spec"]["names"]["singular"].as_str().unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        found.push((kind.to_owned(), schema["description"].as_str().map(ToOwned::to_owned)));
        fields(schema, kind, &mut found);
    }
    found
}

#[test]
fn every_field_is_described() {
    let all = all_fields();
    for part in ["organization.spec.", "organization.status.", "userinvite.spec.", "userinvite.status."] {
        assert!(
            all.iter().filter(|(field, _)| field.starts_with(part)).count() >= 10,
            "{part} was not walked: {all:?}"
        );
    }
    let silent = all.iter().filter(|(_, text)| text.as_ref().is_none_or(|text| text.trim().len() < 8));
    let silent: Vec<&str> = silent.map(|(field, _)| field.as_str()).collect();
    assert!(
        silent.is_empty(),
        "`kubectl explain` has nothing to say of {silent:#?}: give them a docstring in src/resources/"
    );
}

#[tokio::test]
async fn kubectl_explains_what_the_code_says() {
    let plane = ControlPlane::shared().await;
    plane.install_crds().await.unwrap();
    let words = |text: &str| text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>().join(" ");
    for deep in [
        "organization.status.plan.held.digest",
        "userinvite.spec.organizationRef.name",
        "userinvite.status.users.state",
    ] {
        let (_, text) = all_fields().into_iter().find(|(field, _)| field == deep).unwrap();
        // The document that kubectl reads is put together a moment after the kinds are served.
        let answer = eventually(deep, Duration::from_secs(60), async || {
            Ok(Some(plane.kubectl().answer(&["explain", deep]).await?))
        });
        let answer = words(&answer.await.unwrap());
        assert!(answer.contains(&words(&text.unwrap())), "{deep}: {answer}");
    }
    let whole = plane.kubectl().answer(&["explain", "organization", "--recursive"]).await.unwrap();
    assert!(whole.contains("maxRemovals") && whole.contains("lastHandledReconcileAt"), "{whole}");
}
