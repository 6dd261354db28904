//! `detach`: an uninstall without losing people. The finalizers go, nothing else changes, and beside a controller at work
//! nothing is done at all.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_harness::{ControlPlane, Output};
use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{SOON, Stage, condition};
use std::path::Path;
use std::process::Stdio;

const LEASE: [(&str, &str); 1] = [("LABEL_STUDIO_OPERATOR_LEADER_ELECT", "true")];

async fn detach(kubeconfig: &Path, arguments: &[&str]) -> Output {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_label-studio-operator"))
        .arg("detach")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Output { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code().unwrap() }
}

/// By an administrator, in the stage's namespace.
async fn detach_here(stage: &Stage) -> Output {
    detach(stage.plane.admin_kubeconfig(), &["--namespace", &stage.namespace]).await
}

/// Two UserInvites with a finalizer each, and nothing left to do.
async fn attach(stage: &Stage) {
    stage.simulator.add_member("ada@example.com", "AN");
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("team", "Annotator", &["ada@example.com"])).await;
    stage.apply(&Stage::invite("guests", "Reviewer", &["grace@example.com"])).await;
    for invite in ["userinvite/team", "userinvite/guests"] {
        stage.ready(invite, "True", "Reconciled").await;
        stage.until("its finalizer", async || finalizers(stage, invite).await == json!([OURS])).await;
    }
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage.simulator.clear_journal();
}

const OURS: &str = "labelstudio.rs/departures";

async fn finalizers(stage: &Stage, what: &str) -> Value {
    stage.get(what).await["metadata"]["finalizers"].clone()
}

#[tokio::test]
async fn it_refuses_while_a_controller_renews_its_lease_and_takes_one_that_was_left_for_none() {
    let mut stage = Stage::set(Options::default()).await;
    stage.start_operator_with(&LEASE);
    attach(&stage).await;
    let refused = detach_here(&stage).await;
    let lease = format!("renews Lease {}/label-studio-operator", stage.namespace);
    assert_eq!(refused.code, 1);
    for words in ["a controller is at work", &lease, "Stop it first"] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert_eq!(refused.stdout, "");
    assert_eq!(finalizers(&stage, "userinvite/team").await, json!([OURS]));

    // It dies, and nobody takes the Lease away: it names a holder for ever. Then somebody deletes a UserInvite in vain.
    stage.operator().kill_hard().unwrap();
    stage.kubectl(&["delete", "userinvite/guests", "--wait=false"], "").await;
    let foreign = json!({"metadata": {"finalizers": [OURS, "example.com/mine"]}}).to_string();
    stage.kubectl(&["patch", "userinvite/team", "--type=merge", "-p", &foreign], "").await;
    let before = (stage.get("userinvite/team").await, stage.get("organization/acme").await);
    let done = detach_here(&stage).await;
    assert_eq!(done.code, 0, "{done:?}");
    let namespace = &stage.namespace;
    let told = format!(
        "{namespace}: took the finalizer off 2 UserInvites, 1 of them being deleted\n\
         2 UserInvites in 1 namespace; nobody's access was changed\n"
    );
    assert_eq!(done.stdout, told);
    assert!(done.stderr.contains(&format!("Lease {namespace}/label-studio-operator names")), "{done:?}");
    assert!(stage.try_get("userinvite/guests").await.is_err(), "nothing held it any more");

    // Nothing but the finalizer.
    let after = stage.get("userinvite/team").await;
    assert_eq!(after["metadata"]["finalizers"], json!(["example.com/mine"]));
    assert_eq!((&after["spec"], &after["status"]), (&before.0["spec"], &before.0["status"]));
    assert_eq!(stage.get("organization/acme").await, before.1);
    assert!(stage.simulator.journal().is_empty(), "Label Studio was asked something");
    assert_eq!(stage.simulator.member("ada@example.com").unwrap().role, "AN");
    let again = detach_here(&stage).await;
    assert_eq!((again.code, &*again.stdout), (0, "no UserInvite has the finalizer: nothing was changed\n"));

    // Whoever installs it anew goes on, and nobody gets a second mail.
    stage.start_operator_with(&LEASE);
    stage.until("the finalizer", async || finalizers(&stage, "userinvite/team").await.to_string().contains(OURS)).await;
    assert_eq!(stage.simulator.mails_to("grace@example.com"), 1);
}

#[tokio::test]
async fn a_controller_that_looks_elsewhere_is_no_hindrance_and_one_that_was_stopped_is_not_waited_for() {
    let (mut stage, [other, _]) = Stage::set_teams(Options::default(), "watch.namespaces").await;
    stage.watched.truncate(1);
    stage.start_operator_with(&LEASE);
    attach(&stage).await;
    let there = detach(stage.plane.admin_kubeconfig(), &["--namespace", &other]).await;
    assert_eq!((there.code, &*there.stdout), (0, "no UserInvite has the finalizer: nothing was changed\n"));
    let both = detach(stage.plane.admin_kubeconfig(), &["--namespace", &other, "--namespace", &stage.namespace]).await;
    assert!(both.code == 1 && both.stderr.contains("a controller is at work"), "{both:?}");
    assert!(stage.operator().terminate().await.unwrap().status.success());
    let done = detach_here(&stage).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("took the finalizer off 2 UserInvites\n") && done.stderr.is_empty(), "{done:?}");
}

#[tokio::test]
async fn without_a_lease_a_controller_is_found_by_what_it_puts_back() {
    let mut stage = Stage::set(Options::default()).await;
    stage.start_operator();
    attach(&stage).await;
    let mut in_vain = detach_here(&stage).await;
    // It looks on for a few seconds. A controller that a busy machine kept from its work for so long puts them back later.
    for _ in 0..2 {
        if in_vain.code == 0 {
            for invite in ["userinvite/team", "userinvite/guests"] {
                stage.until("it comes back", async || finalizers(&stage, invite).await == json!([OURS])).await;
            }
            in_vain = detach_here(&stage).await;
        }
    }
    assert_eq!(in_vain.code, 1, "{in_vain:?}");
    for words in ["no controller has a Lease here", &format!("{}/team", stage.namespace), "Stop the controller"] {
        assert!(in_vain.stderr.contains(words), "{words}: {in_vain:?}");
    }
    assert!(stage.simulator.journal().writes().is_empty());
    assert!(stage.operator().terminate().await.unwrap().status.success());
    let done = detach_here(&stage).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("no controller has a Lease here"), "{done:?}");
}

/// Of a cluster of its own, since it is about all of it.
#[tokio::test]
async fn without_a_namespace_it_is_all_of_them_and_one_that_hangs_goes() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await.unwrap()));
    let none = detach(plane.admin_kubeconfig(), &[]).await;
    assert_eq!((none.code, &*none.stdout), (0, "no UserInvite has the finalizer: nothing was changed\n"));
    plane.install_crds().await.unwrap();
    let mut stages = Vec::new();
    for _ in 0..2 {
        let mut stage = Stage::set_on(plane, Options::default(), &[]).await;
        stage.start_operator_with(&LEASE);
        attach(&stage).await;
        stages.push(stage);
    }
    let [one, other] = &stages[..] else { unreachable!() };
    assert!(one.operator().terminate().await.unwrap().status.success());
    let refused = detach(plane.admin_kubeconfig(), &[]).await;
    assert!(refused.code == 1 && refused.stderr.contains(&format!("Lease {}/", other.namespace)), "{refused:?}");
    assert_eq!(finalizers(one, "userinvite/team").await, json!([OURS]));
    other.operator().kill_hard().unwrap();

    // Somebody deletes the whole namespace after the operator: it waits for the finalizers.
    plane.kubectl().answer(&["delete", "namespace", &one.namespace, "--wait=false"]).await.unwrap();
    one.until("the namespace hangs", async || {
        let namespace = one.get(&format!("namespace/{}", one.namespace)).await;
        condition(&namespace, "NamespaceFinalizersRemaining")["status"] == "True"
    })
    .await;
    let done = detach(plane.admin_kubeconfig(), &[]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("4 UserInvites in 2 namespaces; nobody's access was changed\n"), "{done:?}");
    let gone = format!("namespace/{}", one.namespace);
    let timeout = format!("--timeout={}s", SOON.as_secs());
    plane.kubectl().answer(&["wait", "--for=delete", &gone, &timeout]).await.unwrap();
    for stage in &stages {
        assert!(stage.simulator.journal().writes().is_empty());
        assert_eq!(stage.simulator.member("ada@example.com").unwrap().role, "AN");
    }
}

#[tokio::test]
async fn it_says_what_it_may_not_do_and_needs_no_more_than_the_page_says() {
    let mut stage = Stage::set(Options::default()).await;
    stage.start_operator_with(&LEASE);
    attach(&stage).await;
    assert!(stage.operator().terminate().await.unwrap().status.success());
    let typo = detach(stage.plane.admin_kubeconfig(), &["--namespace", "no-such-namespace"]).await;
    assert!(typo.code == 1 && typo.stderr.contains("namespace \"no-such-namespace\" does not exist"), "{typo:?}");

    let here = stage.namespace.clone();
    stage.kubectl(&["create", "serviceaccount", "detacher"], "").await;
    let kubeconfig = stage.plane.account_kubeconfig(&here, "detacher").await.unwrap();
    let everywhere = detach(&kubeconfig, &["--namespace", &here]).await;
    assert!(everywhere.code == 1 && everywhere.stderr.contains("--lease-namespace names the one"), "{everywhere:?}");
    let arguments = ["--namespace", &*here, "--lease-namespace", &*here];
    let right = async |name: &str, verbs: &str, resource: &str| {
        stage.kubectl(&["create", "role", name, verbs, resource], "").await;
        let (role, account) = (format!("--role={name}"), format!("--serviceaccount={here}:detacher"));
        stage.kubectl(&["create", "rolebinding", name, &role, &account], "").await;
        // The API server reads a new right a moment later.
        let verb = verbs.rsplit(['=', ',']).next().unwrap();
        let who = format!("--as=system:serviceaccount:{here}:detacher");
        let ask = ["auth", "can-i", verb, resource.trim_start_matches("--resource="), "--namespace", &*here, &who];
        stage.until("the right", async || stage.plane.kubectl().run(&ask, "").await.unwrap().ok().is_ok()).await;
    };
    right("leases", "--verb=list", "--resource=leases.coordination.k8s.io").await;
    let blind = detach(&kubeconfig, &arguments).await;
    assert!(blind.code == 1 && blind.stderr.contains("UserInvites in namespace"), "{blind:?}");
    right("see", "--verb=list", "--resource=userinvites.labelstudio.rs").await;
    let bound = detach(&kubeconfig, &arguments).await;
    assert!(bound.code == 1 && bound.stderr.contains("the right to patch userinvites"), "{bound:?}");
    assert!(bound.stderr.contains(&format!("2 UserInvites still have the finalizer, or again: {here}/guests (")));
    assert_eq!(finalizers(&stage, "userinvite/team").await, json!([OURS]));
    right("change", "--verb=get,patch", "--resource=userinvites.labelstudio.rs").await;
    let done = detach(&kubeconfig, &arguments).await;
    assert_eq!(done.code, 0, "{done:?}");
}
