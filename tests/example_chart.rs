//! The chart in `examples/helm` ships an Organization and its people as it says: installed with real Helm, by somebody who may
//! give these roles, with the operator at work.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_grants;

use label_studio_harness::checkout;
use label_studio_simulator::Options;
use stage::{Stage, condition};
use stage_grants::{guarded, of_chart, person};

fn chart() -> String {
    checkout().join("examples/helm/people").to_str().unwrap().to_owned()
}

#[tokio::test]
async fn people_come_with_the_release_and_leave_with_it() {
    let (plane, _) = guarded().await;
    let mut stage = Stage::set_on(plane, Options::default(), &[]).await;
    stage.simulator.add_workspace("Speech");
    stage.simulator.add_member("ada@example.com", "RE");
    stage.simulator.add_member("alan@example.com", "AN");
    // Nobody is held here: three of so few is more than a quarter.
    for n in 0..12 {
        stage.simulator.add_member(&format!("other{n}@example.com"), "AN");
    }
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    // Helm stores its releases in Secrets.
    person(plane, &stage.namespace, "pipeline", &["edit", &of_chart("administrator")]).await;
    let kubeconfig = plane.account_kubeconfig(&stage.namespace, "pipeline").await.unwrap();
    let (helm, chart, url) = (plane.helm().with_kubeconfig(kubeconfig), chart(), stage.simulator.url());
    let url = format!("organization.url={url}");
    let release = ["people", &chart, "--namespace", &stage.namespace, "--set", &url];
    label_studio_harness::eventually("the pipeline's rights", stage::SOON, async || {
        Ok(Some(helm.answer(&[&["upgrade", "--install"], &release[..]].concat()).await?))
    })
    .await
    .unwrap();
    for team in ["leads", "annotators", "contractors"] {
        stage.ready(&format!("userinvite/{team}"), "True", "Reconciled").await;
    }
    let role = |email: &str| stage.simulator.member(email).map_or("none".to_owned(), |member| member.role);
    assert_eq!((role("ada@example.com"), role("alan@example.com")), ("AN".to_owned(), "AN".to_owned()));
    assert_eq!(stage.simulator.mails().len(), 2, "Grace and Mary");

    // A team less; Ada's address written in another way.
    let fewer =
        r#"teams=[{"name": "annotators", "role": "Annotator", "emails": ["ADA@example.com", "alan@example.com"]}]"#;
    helm.answer(&[&["upgrade"], &release[..], &["--set-json", fewer]].concat()).await.unwrap();
    stage.until("the team is gone", async || stage.try_get("userinvite/leads").await.is_err()).await;
    stage.ready("userinvite/annotators", "True", "Reconciled").await;
    assert_eq!((role("ada@example.com"), stage.simulator.mails().len()), ("AN".to_owned(), 2));

    helm.answer(&["uninstall", "people", "--namespace", &stage.namespace]).await.unwrap();
    stage.until("they have left", async || role("ada@example.com") == "DI" && role("alan@example.com") == "DI").await;
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert_eq!(condition(&organization, "MembersSynced")["status"], "True", "{organization:#}");
}

#[tokio::test]
async fn it_is_well_formed_and_a_mistake_in_its_values_is_refused_with_a_word_about_it() {
    let (plane, namespace) = guarded().await;
    let helm = plane.helm();
    helm.answer(&["lint", "--strict", &chart()]).await.unwrap();
    let rendered = helm.answer(&["template", "people", &chart()]).await.unwrap();
    let apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-n", &namespace, "-f", "-"];
    let applied = plane.kubectl().run(&apply, &rendered).await.unwrap();
    assert!(applied.stderr.is_empty() && applied.code == 0 && applied.stdout.lines().count() == 4, "{applied:?}");
    for (value, words) in [
        ("team=a", "additional properties 'team' not allowed"),
        ("teams[0].name=a,teams[0].role=Boss,teams[0].emails={a@example.com}", "value must be one of 'Administrator'"),
        ("teams[0].name=a,teams[0].role=Manager", "at '/teams/0': missing property 'emails'"),
        ("teams[0].name=a,teams[0].role=Manager,teams[0].emails={ada}", "'ada' does not match pattern"),
        ("organization.url=ls.example.com", "at '/organization/url': 'ls.example.com' does not match pattern"),
    ] {
        let answer = helm.run(&["template", "people", &chart(), "--set", value], "").await.unwrap();
        assert!(answer.code != 0 && answer.stderr.contains(words), "{value}: {}", answer.stderr);
    }
}
