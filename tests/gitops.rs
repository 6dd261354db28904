//! What `docs/gitops.md` promises to people whose manifests stand in Git: the examples are valid and work in the order in which they
//! say, and the operator leaves every field alone that a GitOps tool applies.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_gitops;
mod stage_link;

use label_studio_harness::{ControlPlane, checkout, gitops_kinds_folder};
use label_studio_operator::resources::FINALIZER;
use label_studio_simulator::Options;
use serde::Deserialize as _;
use serde_json::{Value, json};
use stage::{Stage, person};
use stage_gitops::kstatus;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 2] = ["argo-cd", "flux"];
const OURS: &str = "labelstudio.rs/v1alpha1";

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Every object below a folder of the checkout.
fn objects(folder: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for file in files(&checkout().join(folder)) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("# "), "{} does not say what it shows", file.display());
        found.extend(serde_yaml::Deserializer::from_str(&text).map(|object| Value::deserialize(object).unwrap()));
    }
    found
}

fn examples(folder: &str) -> Vec<Value> {
    objects(&format!("examples/{folder}"))
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Argo CD and Flux are no part of the control plane, but their definitions can be had: of these kinds every field is checked.
#[tokio::test]
async fn the_api_server_takes_every_manifest_of_argo_cd_and_flux_as_it_stands() {
    let plane = ControlPlane::shared().await;
    let kubectl = plane.kubectl();
    let kinds = gitops_kinds_folder().await.unwrap();
    let kinds = kinds.to_str().unwrap();
    kubectl.answer(&["apply", "--server-side", "-f", kinds]).await.unwrap();
    kubectl.answer(&["wait", "--for=condition=Established", "--timeout=60s", "-f", kinds]).await.unwrap();
    for namespace in ["argocd", "flux-system"] {
        kubectl.answer(&["create", "namespace", namespace]).await.unwrap();
    }
    for (folder, home, least) in [("argo-cd", "argocd", 4), ("flux", "flux-system", 5)] {
        let foreign: Vec<Value> = examples(folder).into_iter().filter(|object| object["apiVersion"] != OURS).collect();
        assert!(foreign.len() >= least, "{foreign:#?}");
        for object in foreign {
            let apply = ["apply", "--server-side", "--validate=strict", "--namespace", home, "-f", "-"];
            let answer = kubectl.run(&apply, &object.to_string()).await.unwrap();
            assert!(answer.code == 0 && answer.stderr.is_empty(), "{}: {answer:?}", name(&object));
        }
    }

    // As their first lines say, beside what is there already.
    for map in ["argocd-cm", "argocd-rbac-cm"] {
        kubectl.answer(&["-n", "argocd", "delete", "configmap", map]).await.unwrap();
        kubectl.answer(&["-n", "argocd", "create", "configmap", map, "--from-literal=policy.csv=g"]).await.unwrap();
        let file = checkout().join(format!("examples/argo-cd/{map}.yaml"));
        let text = std::fs::read_to_string(&file).unwrap();
        let command =
            format!("kubectl -n argocd patch configmap {map} --type merge --patch-file examples/argo-cd/{map}.yaml");
        assert!(text.contains(&command), "{map}.yaml does not say how it is applied");
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let (file, words) = (file.to_str().unwrap(), &words[..words.len() - 1]);
        kubectl.answer(&[words, &[file]].concat()).await.unwrap();
        let map: Value = serde_json::from_str(
            &kubectl.answer(&["-n", "argocd", "get", "configmap", map, "-o", "json"]).await.unwrap(),
        )
        .unwrap();
        assert!(map["data"]["policy.csv"] == "g" && map["data"].as_object().unwrap().len() > 1, "{map:#}");
    }
}

#[test]
fn what_the_examples_refer_to_is_there() {
    let (argo, flux) = (examples("argo-cd"), examples("flux"));
    let of = |objects: &[Value], kind: &str| objects.iter().filter(|o| o["kind"] == kind).cloned().collect::<Vec<_>>();
    let applications = of(&argo, "Application");
    let kustomizations = of(&flux, "Kustomization");
    let paths = applications.iter().map(|application| &application["spec"]["source"]["path"]);
    let paths: Vec<&Value> = paths.chain(kustomizations.iter().map(|step| &step["spec"]["path"])).collect();
    assert_eq!(paths.len(), 5);
    for path in paths {
        assert!(checkout().join(path.as_str().unwrap()).is_dir(), "there is no {path}");
    }
    let chart = &of(&flux, "HelmRelease")[0]["spec"]["chart"]["spec"]["chart"];
    assert!(checkout().join(chart.as_str().unwrap()).join("Chart.yaml").exists());
    let steps: Vec<String> = kustomizations.iter().map(name).collect();
    for (n, step) in kustomizations.iter().enumerate() {
        for before in step["spec"]["dependsOn"].as_array().into_iter().flatten() {
            assert!(steps[..n].contains(&name(&json!({"metadata": before}))), "{step:#}");
        }
        for checked in step["spec"]["healthChecks"].as_array().into_iter().flatten() {
            let mut ours = flux.iter().filter(|object| object["apiVersion"] == OURS);
            assert!(
                ours.any(|object| object["kind"] == checked["kind"] && object["metadata"]["name"] == checked["name"]),
                "{checked}"
            );
        }
    }
    let people = of(&flux, "UserInvite");
    let checked =
        kustomizations.iter().flat_map(|step| step["spec"]["healthChecks"].as_array().cloned().unwrap_or_default());
    assert_eq!(
        checked.filter(|checked| checked["kind"] == "UserInvite").count(),
        people.len(),
        "who is not waited for?"
    );
}

/// Wave by wave, each begun when the one before is healthy, as Argo CD does it; the steps of Flux have the same order.
#[tokio::test]
async fn each_step_of_the_examples_becomes_healthy_before_the_next_begins() {
    for folder in FOLDERS {
        let mut stage = Stage::set_with(Options::default(), stage_link::RIGHTS).await;
        stage.start_operator();
        stage.secret(&stage.simulator.personal_access_token()).await;
        let mut ours: Vec<Value> = examples(folder).into_iter().filter(|object| object["apiVersion"] == OURS).collect();
        assert_eq!(ours.len(), 3);
        let wave = |object: &Value| match object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"].as_str() {
            Some(wave) => wave.parse::<i32>().unwrap(),
            None => i32::from(object["kind"] == "UserInvite"),
        };
        ours.sort_by_key(wave);
        assert!(wave(&ours[0]) < wave(&ours[1]) && wave(&ours[1]) == wave(&ours[2]));
        for object in &mut ours {
            if object["kind"] == "Organization" {
                object["spec"]["url"] = stage.simulator.url().into();
            }
            stage.apply(object).await;
            let what = format!("{}/{}", object["kind"].as_str().unwrap().to_lowercase(), name(object));
            stage.until(&what, async || kstatus(&stage.get(&what).await) == "Current").await;
        }
        assert_eq!(stage.simulator.mails().len(), 3, "{folder}");
    }
}

/// What the operator owns of an object, by what the API server keeps books of.
fn owned(object: &Value) -> Vec<Value> {
    let all = object["metadata"]["managedFields"].as_array().unwrap().iter();
    all.filter(|entry| entry["manager"] == "label-studio-operator").cloned().collect()
}

/// The finalizer and the status, and nothing else.
fn assert_owns_no_field_of_ours(object: &Value) {
    let entries = owned(object);
    assert!(entries.iter().any(|entry| entry["subresource"] == "status"), "the operator did nothing: {entries:#?}");
    for entry in entries {
        let fields = &entry["fieldsV1"];
        if entry["subresource"] == "status" {
            assert_eq!(fields.as_object().unwrap().keys().collect::<Vec<_>>(), ["f:status"], "{entry:#}");
            continue;
        }
        let finalizer = format!("v:\"{FINALIZER}\"");
        let finalizers = json!({"f:metadata": {"f:finalizers": {".": {}, finalizer: {}}}});
        assert_eq!(*fields, finalizers, "{entry:#}");
    }
}

/// Two tools, each with its part of the same objects: an owner and a team, say.
#[tokio::test]
async fn two_tools_apply_side_by_side_and_see_no_difference_afterwards() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.add_member("ada@example.com", "RE");
    let header = |kind: &str, name: &str| json!({"apiVersion": OURS, "kind": kind, "metadata": {"name": name}});
    let with = |mut object: Value, metadata: Value, spec: Value| {
        object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        object["spec"] = spec;
        object
    };
    let applied = [
        ("argocd-controller", stage.organization(json!({}))),
        (
            "kustomize-controller",
            with(header("Organization", "acme"), json!({"labels": {"team": "b"}}), json!({"title": "Acme"})),
        ),
        ("argocd-controller", Stage::invite("people", "Annotator", &["ada@example.com"])),
        (
            "kustomize-controller",
            with(header("UserInvite", "people"), json!({}), json!({"emails": ["alan@example.com"]})),
        ),
    ];
    let tool = async |verb: &str, manager: &str, object: &Value| {
        let manager = format!("--field-manager={manager}");
        let all = ["--namespace", &stage.namespace, verb, "--server-side", &manager, "-f", "-"];
        stage.plane.kubectl().run(&all, &object.to_string()).await.unwrap()
    };
    for (manager, object) in &applied {
        tool("apply", manager, object).await.ok().unwrap();
    }
    stage
        .until("both have their way", async || {
            let invite = stage.get("userinvite/people").await;
            kstatus(&invite) == "Current"
                && person(&invite, "ada@example.com")["state"] == "Active"
                && person(&invite, "alan@example.com")["state"] == "Invited"
                && stage.simulator.title() == "Acme"
        })
        .await;
    stage.ready("organization/acme", "True", "Reconciled").await;

    // kubectl leaves them out unless it is told to.
    let read = async |what: &str| -> Value {
        let text = stage.kubectl(&["get", what, "--show-managed-fields", "-o", "json"], "").await;
        serde_json::from_str(&text).unwrap()
    };
    let before = [read("organization/acme").await, read("userinvite/people").await];
    for object in &before {
        assert_owns_no_field_of_ours(object);
    }
    assert_eq!(before[1]["metadata"]["finalizers"], json!([FINALIZER]));
    for (manager, object) in &applied {
        let diff = tool("diff", manager, object).await;
        assert_eq!((diff.code, diff.stdout.as_str()), (0, ""), "{manager}: {diff:?}");
        tool("apply", manager, object).await.ok().unwrap();
    }
    let after = [read("organization/acme").await, read("userinvite/people").await];
    assert_eq!(
        after[0]["metadata"]["resourceVersion"], before[0]["metadata"]["resourceVersion"],
        "something was written"
    );
    assert_eq!(
        after[1]["metadata"]["resourceVersion"], before[1]["metadata"]["resourceVersion"],
        "something was written"
    );

    // One takes its person back: the other's stays, and the operator, which never had the list, has nothing to say.
    tool("apply", "kustomize-controller", &with(header("UserInvite", "people"), json!({}), json!({})))
        .await
        .ok()
        .unwrap();
    stage
        .until("Alan is leaving", async || {
            let invite = stage.get("userinvite/people").await;
            invite["spec"]["emails"] == json!(["ada@example.com"])
                && person(&invite, "alan@example.com")["state"] == "Leaving"
        })
        .await;
    assert_owns_no_field_of_ours(&read("userinvite/people").await);
}

/// `kubectl apply` without `--server-side` compares with an annotation of its own.
#[tokio::test]
async fn kubectl_diff_is_empty_in_sync_for_who_applies_client_side() {
    let stage = Stage::play(Options::default()).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let people = Stage::invite("people", "Annotator", &["Ada@Example.com", "alan@example.com"]);
    stage.kubectl(&["apply", "-f", "-"], &people.to_string()).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    let all = ["--namespace", &stage.namespace, "diff", "-f", "-"];
    let diff = stage.plane.kubectl().run(&all, &people.to_string()).await.unwrap();
    assert_eq!((diff.code, diff.stdout.as_str()), (0, ""), "{diff:?}");
    let generation = stage.get("userinvite/people").await["metadata"]["generation"].clone();
    assert_eq!(generation, 1, "a write of the operator's has touched the spec");
}
