//! The chart grants what the operator needs and nothing more: a run from end to end is refused nothing, and leaves no right
//! unused. What the operator may do is what the API server says; what it did is what the API server's audit log says.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_link;
mod stage_lock;
mod stage_rights;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use label_studio_harness::{Authority, ControlPlane, TlsFront};
use label_studio_simulator::{Options, OrganizationSeed};
use serde_json::{Value, json};
use stage::{Stage, condition};
use stage_rights::{Right, assert_each_used, has_asked, settled, unrefused};
use std::collections::BTreeSet;

const ELECT: (&str, &str) = ("LABEL_STUDIO_OPERATOR_LEADER_ELECT", "true");
const SWITCHES: [&str; 3] = ["bootstrap.enabled=true", "inviteLink.enabled=true", "signupLock.enabled=true"];

/// Where people are, and whom no manifest can have, so that the same Event is told twice.
struct Place<'a> {
    namespace: &'a str,
    untouchable: &'a str,
}

/// Everything that takes no switch: the server behind a private authority, people who come, change and leave in each of these
/// places, the same trouble twice, and somebody else who writes at the same time.
async fn play_people(stage: &Stage, home: &str, places: &[Place<'_>]) {
    let here = stage.namespace.as_str();
    let authority = Authority::new().unwrap();
    let front = TlsFront::start(stage.simulator.address(), authority.identity("localhost").unwrap()).await.unwrap();
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": authority.pem()}
    });
    stage.apply(&map).await;
    stage.secret(&stage.simulator.legacy_token()).await;
    let organization = stage.organization(json!({
        "url": front.url(), "tls": {"caBundle": {"configMapName": "ca"}},
        "grants": [{"namespaces": ["*"], "maxRole": "Administrator"}]
    }));
    stage.apply(&organization).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    for place in places {
        let leaver = format!("leaver@{}.example.com", place.namespace);
        stage.simulator.add_member(&leaver, "AN");
        apply(stage, place, &invite(here, "leavers", "Annotator", &[&leaver])).await;
        until_ready(stage, place, "leavers", "True").await;
        kubectl(stage, place, &["delete", "userinvite/leavers", "--timeout=40s"]).await;
    }
    for place in places {
        let person = format!("person@{}.example.com", place.namespace);
        for untouchable in [&[place.untouchable][..], &[], &[place.untouchable]] {
            let emails = [&[person.as_str()], untouchable].concat();
            apply(stage, place, &invite(here, "people", "Annotator", &emails)).await;
            until_ready(stage, place, "people", if untouchable.is_empty() { "True" } else { "False" }).await;
        }
        assert_eq!(stage.simulator.mails_to(&person), 1);
        contend(stage, home, place, &person).await;
    }
    for place in places {
        let leaver = format!("leaver@{}.example.com", place.namespace);
        let role = || stage.simulator.member(&leaver).unwrap().role;
        stage.until("the leaver has left", async || role() == "DI").await;
    }
}

/// Somebody else writes so often that the operator meets it, and has to read anew what it was about to write.
async fn contend(stage: &Stage, home: &str, place: &Place<'_>, person: &str) {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("labelstudio.rs", "v1alpha1", "UserInvite"));
    let api: Api<DynamicObject> = Api::namespaced_with(stage.plane.admin().unwrap(), place.namespace, &kind);
    let others = async {
        for round in 0_u64.. {
            let note = json!({"metadata": {"annotations": {"example.com/round": round.to_string()}}});
            api.patch("people", &PatchParams::default(), &Patch::Merge(&note)).await.unwrap();
        }
    };
    let edits = async {
        for role in ["Reviewer", "Annotator"].into_iter().cycle() {
            apply(stage, place, &invite(&stage.namespace, "people", role, &[person])).await;
            until_ready(stage, place, "people", "True").await;
        }
    };
    // As long as others write all the time, nothing may ever become ready: it is asked beside that.
    let asked = stage.until("the operator to read the UserInvite live", async || {
        has_asked(stage.plane, home, "get", "userinvites", place.namespace)
    });
    tokio::select! { () = others => {}, () = edits => {}, () = asked => {} }
}

/// A link that is published, replaced and withdrawn.
async fn play_link(stage: &Stage) {
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage_link::with_link(stage, json!({}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage_link::annotate(stage, "rotate-invite-link", "1").await;
    stage_link::rotated(stage, "1").await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(stage_link::secret(stage, "invite-link").await.is_none());
}

/// The first account of an empty server.
async fn play_first_account(stage: &Stage) {
    let password = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first-account"},
        "stringData": {"password": "correct horse battery"}
    });
    stage.apply(&password).await;
    let bootstrap = json!({"email": "boss@example.com", "passwordSecretRef": {"name": "first-account"}});
    stage.apply(&stage.organization(json!({"bootstrap": bootstrap}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
}

/// Sign-up is closed by a workload of either kind, and given back.
async fn play_lock(stage: &Stage) {
    stage.secret(&stage.simulator.legacy_token()).await;
    let kinds = ["Deployment", "StatefulSet"];
    for kind in kinds {
        stage.apply(&stage_lock::workload(kind, &json!([]))).await;
    }
    let workloads = kinds.map(|kind| json!({"kind": kind, "name": "studio", "container": "app"}));
    let is_set = async |value: Value| {
        for what in ["deployment/studio", "statefulset/studio"] {
            stage.until("the variable", async || stage_lock::variable(stage, what).await == value).await;
        }
    };
    stage.apply(&stage.organization(json!({"signup": {"requireInvite": true, "workloads": workloads}}))).await;
    is_set(json!("true")).await;
    stage.apply(&stage.organization(json!({"signup": {"requireInvite": false}}))).await;
    is_set(Value::Null).await;
}

async fn apply(stage: &Stage, place: &Place<'_>, object: &Value) {
    let all = ["--namespace", place.namespace, "apply", "--server-side", "--force-conflicts", "-f", "-"];
    stage.plane.kubectl().run(&all, &object.to_string()).await.unwrap().ok().unwrap();
}

async fn kubectl(stage: &Stage, place: &Place<'_>, arguments: &[&str]) -> String {
    stage.plane.kubectl().answer(&[&["--namespace", place.namespace], arguments].concat()).await.unwrap()
}

/// For the Organization `acme` in this namespace, wherever the UserInvite is.
fn invite(home: &str, name: &str, role: &str, emails: &[&str]) -> Value {
    let mut invite = Stage::invite(name, role, emails);
    invite["spec"]["organizationRef"]["namespace"] = home.into();
    invite
}

async fn until_ready(stage: &Stage, place: &Place<'_>, name: &str, status: &str) {
    let mut last = Value::Null;
    stage
        .until(&format!("{name} in {} is Ready={status}", place.namespace), async || {
            let text = kubectl(stage, place, &["get", "userinvite", name, "-o", "json"]).await;
            last = serde_json::from_str(&text).unwrap();
            let ready = condition(&last, "Ready");
            // Before the first verdict it is not ready either, and a play that went on then would not have its Event told.
            let decided = ready["reason"] != "Progressing";
            decided && ready["status"] == status && ready["observedGeneration"] == last["metadata"]["generation"]
        })
        .await;
}

/// It ends as it does with its pod, and gives the Lease back.
async fn end(stage: &Stage) {
    assert!(stage.operator().terminate().await.unwrap().status.success());
}

fn numbered(id: u64, empty: bool) -> Options {
    Options { organization: OrganizationSeed { id, ..OrganizationSeed::default() }, empty, ..Options::default() }
}

/// What is granted in `home` where nothing of the chart's values was changed, whatever the namespace is called.
async fn defaults(plane: &'static ControlPlane) -> BTreeSet<Right> {
    let home = plane.namespace("plain").await.unwrap();
    plane.operator_kubeconfig(&home).await.unwrap();
    settled(plane, &home, &[&home]).await.iter().map(|right| right.anywhere(&home)).collect()
}

#[tokio::test]
async fn each_right_of_the_defaults_is_used() {
    let mut stage = Stage::set(Options::default()).await;
    let home = stage.namespace.clone();
    let rights = settled(stage.plane, &home, &[&home]).await;
    stage.start_operator_with(&[ELECT]);
    let places = [Place { namespace: &home, untouchable: "operator@example.com" }];
    unrefused(stage.plane, &home, Box::pin(play_people(&stage, &home, &places))).await;
    end(&stage).await;
    assert_each_used(stage.plane, &home, &rights).await;
}

#[tokio::test]
async fn where_only_user_invites_count_each_right_is_used_and_none_reaches_further() {
    let plane = ControlPlane::shared().await;
    let team = plane.namespace("team").await.unwrap();
    let mut stage = Stage::set_with(Options::default(), &[&format!("watch.inviteNamespaces={{{team}}}")]).await;
    let home = stage.namespace.clone();
    let rights = settled(plane, &home, &[&home, &team]).await;
    let at_home = rights.iter().filter(|right| right.namespace.as_ref() != Some(&team));
    assert_eq!(at_home.map(|right| right.anywhere(&home)).collect::<BTreeSet<_>>(), defaults(plane).await);
    stage.invite_only.push(team.clone());
    stage.start_operator_with(&[ELECT]);
    let places = [
        Place { namespace: &home, untouchable: "operator@example.com" },
        Place { namespace: &team, untouchable: "owner@example.com" },
    ];
    unrefused(plane, &home, Box::pin(play_people(&stage, &home, &places))).await;
    end(&stage).await;
    assert_each_used(plane, &home, &rights).await;
}

/// The rights that a switch brings, and nothing else, are those that what it is for needs.
#[tokio::test]
async fn each_switch_brings_its_own_rights_and_each_of_them_is_used() {
    let plane = ControlPlane::shared().await;
    plane.install_crds().await.unwrap();
    let defaults = defaults(plane).await;
    for switch in SWITCHES {
        let empty = switch == "bootstrap.enabled=true";
        let mut stage = Stage::set_with(Options { empty, ..Options::default() }, &[switch]).await;
        let home = stage.namespace.clone();
        let rights = settled(plane, &home, &[&home]).await;
        let (common, own): (BTreeSet<Right>, BTreeSet<Right>) =
            rights.into_iter().partition(|right| defaults.contains(&right.anywhere(&home)));
        assert_eq!(common.len(), defaults.len(), "{switch} takes something away");
        assert!(!own.is_empty(), "{switch} brings nothing");
        stage.start_operator_with(&[ELECT]);
        let play = async {
            match switch {
                "bootstrap.enabled=true" => play_first_account(&stage).await,
                "inviteLink.enabled=true" => play_link(&stage).await,
                _ => play_lock(&stage).await,
            }
        };
        unrefused(plane, &home, Box::pin(play)).await;
        end(&stage).await;
        let needed = &common & &stage_rights::used(plane, &home, &common);
        assert_each_used(plane, &home, &(&needed | &own)).await;
    }
}

/// On a control plane of its own: the operator acts for whatever Organization there is.
#[tokio::test]
async fn where_it_watches_all_namespaces_each_right_is_used() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await.unwrap()));
    plane.install_crds().await.unwrap();
    let home = plane.namespace("operator").await.unwrap();
    let values = [&["watch.allNamespaces=true"], &SWITCHES[..]].concat();
    let kubeconfig = plane.operator_kubeconfig_with(&home, &values).await.unwrap();
    let mut people = Stage::one_of_many(plane, &kubeconfig, numbered(1, false)).await;
    let link = Stage::one_of_many(plane, &kubeconfig, numbered(2, false)).await;
    let first = Stage::one_of_many(plane, &kubeconfig, numbered(3, true)).await;
    let lock = Stage::one_of_many(plane, &kubeconfig, numbered(4, false)).await;
    let team = plane.namespace("team").await.unwrap();
    let rights = settled(plane, &home, &[&home, &people.namespace, &team]).await;
    let beyond: Vec<_> = rights.iter().filter(|right| right.namespace.is_some()).collect();
    assert!(
        beyond.iter().all(|right| right.namespace.as_ref() == Some(&home) && right.resource == "leases"),
        "{beyond:#?}"
    );
    people.start_operator_with(&[ELECT]);
    let namespace = people.namespace.clone();
    let places = [
        Place { namespace: &namespace, untouchable: "operator@example.com" },
        Place { namespace: &team, untouchable: "owner@example.com" },
    ];
    let play = async {
        let all_people = play_people(&people, &home, &places);
        tokio::join!(all_people, play_link(&link), play_first_account(&first), play_lock(&lock));
    };
    unrefused(plane, &home, Box::pin(play)).await;
    end(&people).await;
    assert_each_used(plane, &home, &rights).await;
}
