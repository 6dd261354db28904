//! A new version comes over objects that the version before has stored, in every state they can be in: nothing is sent to Label
//! Studio, and nothing that was remembered is lost. The older definitions are real, out of the history; what they hold was
//! made by this operator and stored through them, since its statuses are what an older operator would have written.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_link;
mod stage_lock;
mod stage_upgrade;

use label_studio_harness::{ControlPlane, RunFolder, checkout};
use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{Stage, condition, person};
use stage_upgrade::scenes::{Scenes, interrupt, patch_status, reconcile};
use stage_upgrade::{
    Schemas, Version, git, install_current, install_previous, install_versions, known, objects, previous, store_anew,
    today, unseen,
};
use std::collections::BTreeMap;

const VALUES: [&str; 3] = ["watch.allNamespaces=true", "inviteLink.enabled=true", "signupLock.enabled=true"];
/// Told while a long pass goes on, and gone with the next status: nothing to keep.
const PASSING: &str = "Organization.progress";

#[tokio::test]
async fn what_the_version_before_has_stored_is_kept_and_nothing_is_sent() {
    let previous = match previous(&checkout()) {
        Ok(previous) => previous,
        Err(why) => return println!("skipped: {why}"),
    };
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await.unwrap()));
    plane.install_crds().await.unwrap();
    let home = plane.namespace("operator").await.unwrap();
    let kubeconfig = plane.operator_kubeconfig_with(&home, &VALUES).await.unwrap();
    let mut scenes = Scenes::set(plane, &kubeconfig).await;
    scenes.people.start_operator();
    scenes.play().await;
    assert!(scenes.people.operator().terminate().await.unwrap().status.success());
    interrupt(&scenes).await;
    assert_every_state(&today(plane).await, &objects(plane).await);

    let schemas = install_previous(plane, &previous, &scenes.people).await;
    store_anew(plane).await;
    let before = objects(plane).await;
    let there: Vec<_> =
        scenes.all().iter().map(|stage| (stage.simulator.members(), stage.simulator.mails().len())).collect();
    scenes.all().iter().for_each(|stage| stage.simulator.clear_journal());

    install_current(plane, &scenes.people).await;
    scenes.people.start_operator();
    let Scenes { people, guarded, link, hidden, asleep, waiting } = &scenes;
    for stage in [people, guarded, link, hidden, waiting] {
        reconcile(stage, "upgraded").await;
    }
    // A suspended one looks at nothing, so only an edit shows that it was seen.
    let edit = json!({"spec": {"interval": "11m"}}).to_string();
    asleep.kubectl(&["patch", "organization/acme", "--type=merge", "-p", &edit], "").await;
    asleep.ready("organization/acme", "True", "Suspended").await;
    let unknown = hidden.ready("userinvite/unknown", "False", "InviteUnconfirmed").await;
    stage_link::rotated(link, "2").await;
    assert!(scenes.people.operator().terminate().await.unwrap().status.success());

    // The empty form that asks whether sign-up is closed creates nobody.
    for (stage, there) in scenes.all().iter().zip(there) {
        let journal = stage.simulator.journal();
        let writes: Vec<_> = journal.writes().into_iter().filter(|write| write.path != "/user/signup/").collect();
        assert!(writes.is_empty(), "{writes:#?}");
        assert_eq!((stage.simulator.members(), stage.simulator.mails().len()), there);
    }
    let after = objects(plane).await;
    let organization = |stage: &Stage| after[&format!("Organization {}/acme", stage.namespace)].clone();
    // What was under way ended as designed.
    let marked = person(&after[&format!("UserInvite {}/marked", people.namespace)], "marked@example.com");
    assert_eq!((&marked["state"], &marked["attempts"]), (&json!("Invited"), &json!(1)), "{marked}");
    assert_eq!(person(&unknown, "unknown@example.com")["state"], "Held");
    for stage in [people, hidden] {
        assert!(organization(stage)["status"]["inFlight"].is_null());
    }
    let rotating = &before[&format!("Organization {}/acme", link.namespace)]["status"]["inviteLink"]["rotating"];
    let rotated = organization(link)["status"]["inviteLink"].clone();
    assert_eq!((&rotated["rotatedAt"], &rotated["rotating"]), (&rotating["startedAt"], &Value::Null));
    assert_eq!(stage_link::published(link).await, link.simulator.invite_token());

    // And everything else is as it was.
    let settled = [
        format!("UserInvite {}/marked", people.namespace),
        format!("UserInvite {}/unknown", hidden.namespace),
        format!("Organization {}/acme", hidden.namespace),
    ];
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (key, before) in before.iter().filter(|(key, _)| !settled.contains(key)) {
        let schema = &schemas[before["kind"].as_str().unwrap()];
        let (was, is) = (steady(before, schema), steady(&after[key], schema));
        assert_eq!(was, is, "{key}\nbefore: {was:#}\nafter: {is:#}");
        for field in ["finalizers", "uid", "deletionTimestamp"] {
            assert_eq!(before["metadata"][field], after[key]["metadata"][field], "{key}");
        }
    }
    let hides = |objects: &BTreeMap<String, Value>| {
        let status = &objects[&settled[2]]["status"];
        (status["target"].clone(), status["invitationsVisible"].clone())
    };
    assert_eq!(hides(&before), hides(&after));
    assert_eq!(condition(&organization(asleep), "Ready")["reason"], "Suspended");
}

/// Its status as the older definitions know it, without what this test has changed itself, or what ended as designed.
fn steady(object: &Value, schema: &Value) -> Value {
    let mut status = known(&object["status"], schema);
    let suspended = object["spec"]["suspend"] == true;
    let fields = status.as_object_mut().unwrap();
    fields.remove("lastHandledReconcileAt");
    if suspended {
        fields.remove("observedGeneration");
        let conditions = fields["conditions"].as_array_mut().unwrap();
        for condition in conditions {
            condition["observedGeneration"] = Value::Null;
        }
    } else if object["kind"] == "Organization" {
        fields.remove("inFlight");
        fields.remove("inviteLink");
    }
    status
}

/// Or the test would prove little.
fn assert_every_state(schemas: &Schemas, objects: &BTreeMap<String, Value>) {
    for (kind, schema) in schemas {
        let statuses: Vec<&Value> =
            objects.values().filter(|object| object["kind"] == **kind).map(|object| &object["status"]).collect();
        let mut unseen = unseen(kind, schema, &statuses);
        unseen.retain(|field| !field.starts_with(PASSING));
        assert!(unseen.is_empty(), "no object shows these: {unseen:#?}");
    }
}

/// What `docs/upgrading.md` plans, with today's definitions: the next version beside this one, then in its place.
#[tokio::test]
async fn the_plan_for_the_next_version_of_the_kinds_keeps_everything() {
    let plane = ControlPlane::shared().await;
    let stage = Stage::set(Options::default()).await;
    stage.apply(&stage.organization(json!({"title": "Acme"}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    let user =
        json!({"email": "ada@example.com", "state": "Invited", "invitedAt": "2026-01-01T00:00:00Z", "attempts": 1});
    patch_status(&stage, "userinvite/people", json!({"users": [user]})).await;
    patch_status(&stage, "organization/acme", json!({"invitationsVisible": true})).await;
    let before = objects(plane).await;
    let is_as_before = async || {
        let after = objects(plane).await;
        for (key, before) in &before {
            for part in ["spec", "status"] {
                assert_eq!(before[part], after[key][part], "{key}");
            }
            assert_eq!(before["metadata"]["uid"], after[key]["metadata"]["uid"], "{key}");
        }
    };
    let readers_first = [Version { name: "v1alpha1", is_stored: true }, Version { name: "v1beta1", is_stored: false }];
    install_versions(plane, &readers_first).await.ok().unwrap();
    let read = async || stage.get("organizations.v1beta1.labelstudio.rs/acme").await;
    stage
        .until("the next version is served", async || {
            stage.try_get("organizations.v1beta1.labelstudio.rs/acme").await.is_ok()
        })
        .await;
    assert_eq!(read().await["apiVersion"], "labelstudio.rs/v1beta1");
    is_as_before().await;

    let stored = [Version { name: "v1alpha1", is_stored: false }, Version { name: "v1beta1", is_stored: true }];
    install_versions(plane, &stored).await.ok().unwrap();
    let versions = async || stage.get("crd/userinvites.labelstudio.rs").await["status"]["storedVersions"].clone();
    stage.until("the next version is stored", async || versions().await == json!(["v1alpha1", "v1beta1"])).await;
    let alone = [Version { name: "v1beta1", is_stored: true }];
    let refused = install_versions(plane, &alone).await;
    assert!(refused.stderr.contains("storedVersions"), "{refused:?}");
    store_anew(plane).await;
    let migrated = json!({"status": {"storedVersions": ["v1beta1"]}}).to_string();
    let kinds = ["organizations.labelstudio.rs", "userinvites.labelstudio.rs"];
    let patch = ["--subresource=status", "--type=merge", "-p", &migrated];
    stage.kubectl(&[&["patch", "crd"], &kinds[..], &patch].concat(), "").await;

    // What had not been stored anew could not be read now.
    install_versions(plane, &alone).await.ok().unwrap();
    stage
        .until("the old version is gone", async || {
            stage.try_get("organizations.v1alpha1.labelstudio.rs/acme").await.is_err()
        })
        .await;
    is_as_before().await;
}

/// A repository with these definitions, each in a commit of its own, and something else in the last one.
fn repository(folder: &RunFolder, name: &str, definitions: &[&str]) -> std::path::PathBuf {
    let path = folder.file(name);
    std::fs::create_dir_all(path.join("crds")).unwrap();
    let commit = |message: &str| {
        git(&path, &["add", "--all"]).unwrap();
        let author = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
        git(&path, &[&author[..], &["commit", "--quiet", "--message", message]].concat()).unwrap();
    };
    git(&path, &["init", "--quiet"]).unwrap();
    for definition in definitions {
        std::fs::write(path.join("crds/kind.yaml"), definition).unwrap();
        commit(definition);
    }
    std::fs::write(path.join("other"), "").unwrap();
    commit("something else");
    path
}

#[test]
fn the_version_before_is_found_in_the_history_and_whoever_has_too_little_of_it_is_told() {
    let folder = RunFolder::new("history").unwrap();
    let two = repository(&folder, "two", &["one", "two"]);
    assert_eq!(previous(&two).unwrap(), "one");
    // Not committed yet.
    std::fs::write(two.join("crds/kind.yaml"), "three").unwrap();
    assert_eq!(previous(&two).unwrap(), "two");
    let first = repository(&folder, "first", &["one"]);
    assert_eq!(previous(&first).unwrap(), "one");
    let (origin, shallow) = (format!("file://{}", first.display()), folder.file("shallow"));
    git(folder.path(), &["clone", "--quiet", "--depth=1", &origin, shallow.to_str().unwrap()]).unwrap();
    let refused = previous(&shallow).unwrap_err();
    assert!(refused.contains("git fetch --unshallow"), "{refused}");
    std::fs::create_dir(folder.file("none")).unwrap();
    let refused = previous(&folder.file("none")).unwrap_err();
    assert!(refused.contains("without its history"), "{refused}");
}
