//! The stage of the tests about who may give which role: the chart's policy and ClusterRoles on the real API server, and people with
//! tokens of their own.

#![allow(clippy::unwrap_used)] // A test says what went wrong by failing.

use crate::stage::{SOON, Stage};
use label_studio_harness::{ControlPlane, Kubectl, Output, checkout, eventually};
use serde_json::Value;

pub const OPERATOR: &str = "label-studio-operator";
/// The release's namespace, by which its ClusterRoles are called.
pub const HOME: &str = "label-studio";

/// A namespace where the policy holds.
pub async fn guarded() -> (&'static ControlPlane, String) {
    let plane = ControlPlane::shared().await;
    plane.install_crds().await.unwrap();
    let chart = checkout().join("charts").join(OPERATOR);
    let template = ["template", OPERATOR, chart.to_str().unwrap(), "--namespace", HOME];
    let parts = ["--show-only", "templates/grant-policy.yaml", "--show-only", "templates/people-roles.yaml"];
    let rendered = plane.helm().answer(&[&template[..], &parts].concat()).await.unwrap();
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    plane.kubectl().run(&apply, &rendered).await.unwrap().ok().unwrap();
    let namespace = plane.namespace("people").await.unwrap();
    // The API server reads a new policy a moment later.
    let nobody = person(plane, &namespace, "nobody", &["create,get,update,patch"]).await;
    eventually("the policy holds", SOON, async || {
        let tried = write(&nobody, &invite("tried", "Manager"), true).await;
        Ok(tried.stderr.contains("grant-manager").then_some(()))
    })
    .await
    .unwrap();
    (plane, namespace)
}

/// An account with these verbs on UserInvites, or with the ClusterRole of the chart that is called so.
pub async fn person(plane: &ControlPlane, namespace: &str, name: &str, rights: &[&str]) -> Kubectl {
    let kubectl = plane.kubectl();
    let here = ["--namespace", namespace];
    kubectl.answer(&[&["create", "serviceaccount", name], &here[..]].concat()).await.unwrap();
    for (n, right) in rights.iter().enumerate() {
        let own = format!("{name}-{n}");
        let role = if right.contains(',') || right.starts_with("grant-") {
            let verbs = format!("--verb={right}");
            let role = ["create", "role", &own, &verbs, "--resource=userinvites.labelstudio.rs"];
            kubectl.answer(&[&role, &here[..]].concat()).await.unwrap();
            format!("--role={own}")
        } else {
            format!("--clusterrole={right}")
        };
        let account = format!("--serviceaccount={namespace}:{name}");
        kubectl.answer(&[&["create", "rolebinding", &own, &role, &account], &here[..]].concat()).await.unwrap();
    }
    // The API server reads a new right a moment later.
    let verb = match rights.last().unwrap() {
        right if right.contains(',') || right.starts_with("grant-") => right.rsplit(',').next().unwrap(),
        right if right.ends_with("view") => "get",
        _ => "grant-annotator",
    };
    let who = format!("--as=system:serviceaccount:{namespace}:{name}");
    let ask = [&["auth", "can-i", verb, "userinvites.labelstudio.rs", &who], &here[..]].concat();
    eventually("the rights", SOON, async || Ok(kubectl.run(&ask, "").await?.ok().is_ok().then_some(()))).await.unwrap();
    kubectl.with_kubeconfig(plane.account_kubeconfig(namespace, name).await.unwrap())
}

/// A ClusterRole of the chart.
pub fn of_chart(role: &str) -> String {
    format!("{OPERATOR}:{HOME}:{role}")
}

pub fn invite(name: &str, role: &str) -> Value {
    Stage::invite(name, role, &["ada@example.com", "Alan@Example.com"])
}

pub async fn write(person: &Kubectl, object: &Value, dry: bool) -> Output {
    let dry = if dry { "--dry-run=server" } else { "--dry-run=none" };
    person.run(&["create", "--validate=false", dry, "-f", "-"], &object.to_string()).await.unwrap()
}
