//! Whatever state an object is in, every tool that waits for it learns the same: kstatus (Helm's own, which is also that of Flux),
//! `kubectl wait`, and Argo CD by the script in `examples/argo-cd`. Nothing waits for ever, and nothing calls good what is not.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_gitops;

use label_studio_harness::{ControlPlane, RunFolder, checkout, eventually};
use label_studio_simulator::Options;
use serde::Deserialize as _;
use serde_json::{Value, json};
use stage::{Stage, condition};
use stage_gitops::argo_cd::Scripts;
use stage_gitops::kstatus;
use stage_gitops::states::{State, every_state};
use std::collections::{BTreeMap, BTreeSet};

fn namespace(state: &State) -> &str {
    state.object["metadata"]["namespace"].as_str().unwrap()
}

#[tokio::test]
async fn every_state_is_what_it_should_be_by_the_rules_of_kstatus() {
    for State { name, wanted, object } in every_state().await {
        assert_eq!(kstatus(object), *wanted, "{name}: {:#}", object["status"]);
        let is_true = |kind: &str| condition(object, kind)["status"] == "True";
        assert!(!(is_true("Reconciling") && is_true("Stalled")), "{name}");
        assert!(!(is_true("Ready") && (is_true("Reconciling") || is_true("Stalled"))), "{name}");
        for told in object["status"]["conditions"].as_array().into_iter().flatten() {
            assert!(told["observedGeneration"].is_i64(), "{name}: {told}");
        }
    }
}

/// One release with all of them, which are there already and are in it as they are: `--wait` says of each that is not `Current`
/// what kstatus calls it.
#[tokio::test]
async fn helm_waits_for_what_is_under_way_and_for_nothing_else() {
    let states = every_state().await;
    let plane = ControlPlane::shared().await;
    let folder = RunFolder::new("states").unwrap();
    std::fs::create_dir(folder.file("templates")).unwrap();
    std::fs::write(folder.file("Chart.yaml"), "apiVersion: v2\nname: states\nversion: 0.1.0\n").unwrap();
    let manifests = states.iter().map(|State { object, .. }| {
        let metadata = json!({"name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"]});
        let (version, kind, spec) = (&object["apiVersion"], &object["kind"], &object["spec"]);
        format!("---\n{}\n", json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}))
    });
    std::fs::write(folder.file("templates/all.yaml"), manifests.collect::<String>()).unwrap();
    let namespace = plane.namespace("helm").await.unwrap();
    let chart = folder.path().to_str().unwrap();
    let install =
        ["install", "states", chart, "--namespace", &namespace, "--take-ownership", "--wait", "--timeout", "30s"];
    let answer = plane.helm().run(&install, "").await.unwrap();
    assert_ne!(answer.code, 0, "{answer:?}");

    let mut said = BTreeMap::new();
    for line in answer.stderr.lines().filter_map(|line| line.split("resource ").nth(1)) {
        let (what, rest) = line.split_once(" not ready. status: ").unwrap();
        let [kind, namespace, name] = what.splitn(3, '/').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let of = (namespace.to_owned(), format!("{}/{name}", kind.to_lowercase()));
        said.insert(of, rest.split(',').next().unwrap().to_owned());
    }
    for state in states {
        let of = (self::namespace(state).to_owned(), state.name.clone());
        let word = said.remove(&of).unwrap_or_else(|| "Current".to_owned());
        assert_eq!(word, state.wanted, "{}: {}", state.name, answer.stderr);
    }
    assert!(said.is_empty(), "{said:?}");
}

#[tokio::test]
async fn kubectl_waits_for_ready_and_for_stalled() {
    let kubectl = ControlPlane::shared().await.kubectl();
    for state in every_state().await {
        for (kind, wanted) in [("Ready", "Current"), ("Stalled", "Failed")] {
            let condition = format!("--for=condition={kind}");
            // Zero: looks once.
            let wait = ["wait", &condition, "--timeout=0", &state.name, "--namespace", namespace(state)];
            let answer = kubectl.run(&wait, "").await.unwrap();
            // Deleting is a change as well, so that nothing deleted passes for Ready.
            assert_eq!(answer.code == 0, state.wanted == wanted, "{} {kind}: {answer:?}", state.name);
        }
    }
}

#[tokio::test]
async fn argo_cd_says_the_same_and_why() {
    let scripts = Scripts::read();
    for State { name, wanted, object } in every_state().await {
        let status = match *wanted {
            "Current" => "Healthy",
            "Failed" => "Degraded",
            // A sync waits for an object that is Suspended as for one that is Progressing, so that word is not used.
            _ => "Progressing",
        };
        let (health, message) = scripts.health(object);
        assert_eq!(health, status, "{name}: {message}: {:#}", object["status"]);
        let ready = condition(object, "Ready");
        let why = match *wanted {
            "Terminating" => "is being deleted".to_owned(),
            _ if ready["observedGeneration"] != object["metadata"]["generation"] => {
                "the operator has not looked at this version yet".to_owned()
            }
            _ => format!("{}: {}", ready["reason"].as_str().unwrap(), ready["message"].as_str().unwrap()),
        };
        assert_eq!(message, why, "{name}");
    }
}

/// By the expressions in `examples/flux/kustomizations.yaml`, as Flux asks them, and as the API server understands CEL: it knows
/// the fields of the kind, so a name that is wrong is refused.
#[tokio::test]
async fn the_expressions_for_flux_are_stricter_than_kstatus_only_where_somebody_is_held() {
    let states: Vec<&State> =
        every_state().await.iter().filter(|state| state.name.starts_with("organization/")).collect();
    let (plane, kubectl) = (ControlPlane::shared().await, ControlPlane::shared().await.kubectl());
    let text = std::fs::read_to_string(checkout().join("examples/flux/kustomizations.yaml")).unwrap();
    let steps = serde_yaml::Deserializer::from_str(&text).map(|step| Value::deserialize(step).unwrap());
    let asked = steps.map(|step| step["spec"]["healthCheckExprs"][0].clone()).find(|asked| !asked.is_null()).unwrap();
    let expression =
        |name: &str| asked[name].as_str().unwrap().replace("status.conditions", "object.status.conditions");
    let (moving, failed, current) = (expression("inProgress"), expression("failed"), expression("current"));
    let told = format!(
        "object.status.observedGeneration != object.metadata.generation ? 'InProgress' : ({moving}) ? 'InProgress' : \
         ({failed}) ? 'Failed' : ({current}) ? 'Current' : 'InProgress'"
    );
    let namespaces: BTreeSet<&str> = states.iter().map(|state| namespace(state)).collect();
    // It refuses the change that is tried below and no other, since other tests change these objects meanwhile, and says in the
    // refusal what the expressions say of the object.
    let refused = "!has(object.metadata.annotations) || !('probe' in object.metadata.annotations)";
    let policy = json!([
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "asked"},
            "spec": {
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": ["labelstudio.rs"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["organizations"]
                }]},
                "validations": [{"expression": refused, "messageExpression": format!("'said ' + ({told})")}]
            }
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "asked"},
            "spec": {"policyName": "asked", "validationActions": ["Deny"], "matchResources": {"namespaceSelector": {
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces}]
            }}}
        }
    ]);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": policy});
    kubectl.run(&["apply", "-f", "-"], &list.to_string()).await.unwrap().ok().unwrap();

    for state in states {
        let change =
            ["annotate", "--dry-run=server", "--overwrite", &state.name, "probe=1", "--namespace", namespace(state)];
        // A new policy is read a moment later.
        let said = eventually("the policy holds", stage::SOON, async || {
            let answer = plane.kubectl().run(&change, "").await?;
            anyhow::ensure!(!answer.stderr.contains("failed messageExpression"), "{answer:?}");
            Ok(answer.stderr.split("said ").nth(1).map(|said| said.trim().to_owned()))
        });
        let wanted = match state.name.as_str() {
            // Ready, and people of theirs are held.
            "organization/reconciled" => "Failed",
            // Ready, and the people are not there since nothing is written; deleting is a change that nobody has looked at.
            "organization/observing" | "organization/deleted" => "InProgress",
            _ => state.wanted,
        };
        assert_eq!(said.await.unwrap(), wanted, "{}: {:#}", state.name, state.object["status"]);
    }
    kubectl.answer(&["delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "asked"]).await.unwrap();
}

/// The chart in examples/helm: when `--wait` returns, everybody is invited.
#[tokio::test]
async fn a_release_that_waits_ends_when_the_people_are_invited() {
    let mut stage = Stage::set(Options::default()).await;
    stage.simulator.add_workspace("Speech");
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    let chart = checkout().join("examples/helm/people");
    let (chart, url) = (chart.to_str().unwrap(), format!("organization.url={}", stage.simulator.url()));
    let install =
        ["install", "people", chart, "--namespace", &stage.namespace, "--set", &url, "--wait", "--timeout", "90s"];
    stage.plane.helm().answer(&install).await.unwrap();
    assert_eq!(stage.simulator.mails().len(), 4);
    let all: Value =
        serde_json::from_str(&stage.kubectl(&["get", "organizations,userinvites", "-o", "json"], "").await).unwrap();
    let all = all["items"].as_array().unwrap();
    assert_eq!(all.iter().filter(|object| kstatus(object) == "Current").count(), 4, "{all:#?}");
}
