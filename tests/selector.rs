//! `run --selector`: several operators share the Organizations of one cluster by their labels. Whoever a label is moved to goes
//! on where the other one stopped, and two for one server are told apart whoever acts for them.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use kube::core::SelectorExt as _;
use label_studio_harness::{OperatorProcess, Relay};
use label_studio_operator::controller::selector;
use label_studio_simulator::{Fault, FaultKind, Options, OrganizationSeed, Simulator, Switches};
use serde_json::{Value, json};
use stage::{SOON, Stage, condition, person};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

/// An operator that acts for `shard=NAME`.
struct Shard {
    operator: OperatorProcess,
}

impl Shard {
    async fn start(stage: &Stage, name: &str) -> Self {
        Self::start_with(stage, name, &[]).await
    }

    /// The same by a way to Label Studio that it alone takes.
    async fn start_over(stage: &Stage, name: &str, way: &Relay) -> Self {
        Self::start_with(stage, name, &[("HTTP_PROXY", &format!("http://{}", way.address()))]).await
    }

    async fn start_with(stage: &Stage, name: &str, more: &[(&str, &str)]) -> Self {
        let environment = [
            ("LABEL_STUDIO_OPERATOR_SELECTOR", &*format!("shard={name}")),
            // Nobody dies here, so nobody waits for it; and no answer is taken for lost only because the machine is busy.
            ("LABEL_STUDIO_OPERATOR_MAIL_TIMEOUT_MS", "20000"),
            ("LABEL_STUDIO_OPERATOR_MAIL_SETTLE_MS", "1000"),
            ("LABEL_STUDIO_OPERATOR_START_SPREAD_MS", "0"),
            ("LABEL_STUDIO_OPERATOR_METRICS_ADDRESS", "127.0.0.1:0"),
            ("LABEL_STUDIO_OPERATOR_LOG", "info,label_studio_operator=debug"),
        ];
        let environment = [&environment, more].concat();
        let binary = env!("CARGO_BIN_EXE_label-studio-operator");
        let (first, others) = stage.watched.split_first().unwrap();
        let more: Vec<&str> = others.iter().flat_map(|other| ["--namespace", other]).collect();
        let operator = OperatorProcess::start(binary, &stage.kubeconfig, first, &more, &environment).unwrap();
        operator.wait_for_line("caches in sync", SOON).await.unwrap();
        Self { operator }
    }

    async fn metrics(&self) -> String {
        let line = self.operator.wait_for_line("pages=Figures", SOON).await.unwrap();
        let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
        reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap()
    }
}

async fn give(stage: &Stage, organization: &str, shard: &str) {
    let label = format!("shard={shard}");
    stage.kubectl(&["label", "--overwrite", &format!("organization/{organization}"), &label], "").await;
}

fn labelled(mut organization: Value, name: &str, shard: &str) -> Value {
    organization["metadata"] = json!({"name": name, "labels": {"shard": shard}});
    organization
}

#[tokio::test]
async fn each_acts_for_its_own_and_for_nobody_else() {
    let mut stage = Stage::set(Options::default()).await;
    let (token, elsewhere) =
        (Some(stage.simulator.legacy_token()), OrganizationSeed { id: 2, ..OrganizationSeed::default() });
    let other = Options { legacy_token: token, organization: elsewhere, ..Options::default() };
    let other = Simulator::start(other).await.unwrap();
    stage.secret(&stage.simulator.legacy_token()).await;
    let mut of_other = Stage::invite("others", "Annotator", &["grace@example.com"]);
    of_other["spec"]["organizationRef"]["name"] = "beta".into();
    stage.apply(&labelled(stage.organization(json!({})), "acme", "a")).await;
    stage.apply(&labelled(stage.organization(json!({"url": other.url()})), "beta", "b")).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.apply(&of_other).await;
    let mut nobodys = Stage::invite("nobodys", "Annotator", &["alan@example.com"]);
    nobodys["spec"]["organizationRef"]["name"] = "missing".into();
    stage.apply(&nobodys).await;

    let one = Shard::start(&stage, "a").await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    // Whose Organization is not there is told so by anybody.
    stage.ready("userinvite/nobodys", "False", "OrganizationNotFound").await;
    // An edit of the others' is seen, and nothing is done about it.
    let before = one.operator.log().len();
    of_other["spec"]["role"] = "Reviewer".into();
    stage.apply(&of_other).await;
    stage.apply(&Stage::invite("more", "Annotator", &["joan@example.com"])).await;
    stage.ready("userinvite/more", "True", "Reconciled").await;
    assert!(one.operator.log()[before..].iter().all(|line| !line.contains("/beta")), "{:?}", one.operator.log());
    let untouched = stage.get("userinvite/others").await;
    assert_eq!(untouched["status"], json!({"observedGeneration": -1}));
    assert!(untouched["metadata"]["finalizers"].is_null());
    assert!(other.journal().is_empty(), "{:?}", other.journal().counts_by_kind());
    let metrics = one.metrics().await;
    assert!(metrics.contains("organization=\"acme\"") && !metrics.contains("organization=\"beta\""), "{metrics}");

    stage.simulator.clear_journal();
    let two = Shard::start(&stage, "b").await;
    stage.ready("userinvite/others", "True", "Reconciled").await;
    let metrics = two.metrics().await;
    assert!(metrics.contains("organization=\"beta\"") && !metrics.contains("organization=\"acme\""), "{metrics}");
    // One that has no label is nobody's, and its people stay as they are.
    stage.kubectl(&["label", "organization/acme", "shard-"], "").await;
    one.operator.wait_for_line("another operator acts", SOON).await.unwrap();
    stage.apply(&Stage::invite("late", "Annotator", &["mary@example.com"])).await;
    of_other["spec"]["role"] = "Annotator".into();
    stage.apply(&of_other).await;
    stage.ready("userinvite/others", "True", "Reconciled").await;
    assert!(stage.simulator.journal().writes().is_empty());
    assert_eq!(stage.get("userinvite/late").await["status"], json!({"observedGeneration": -1}));
    give(&stage, "acme", "b").await;
    stage.ready("userinvite/late", "True", "Reconciled").await;
    stage.operator = Some(two.operator);
    for email in ["ada@example.com", "joan@example.com", "mary@example.com"] {
        assert_eq!(stage.simulator.mails_to(email), 1, "{email}");
    }
}

/// UserInvites of two people each.
const LISTS: usize = 40;

/// Sent to and fro while its mails go out.
async fn moved_in_the_middle(switches: Switches) -> Stage {
    let options = Options { latency: Duration::from_millis(50), switches, ..Options::default() };
    let mut stage = Stage::set(options).await;
    let ways = [
        Relay::start(stage.simulator.address()).await.unwrap(),
        Relay::start(stage.simulator.address()).await.unwrap(),
    ];
    let one = Shard::start_over(&stage, "a", &ways[0]).await;
    let _two = Shard::start_over(&stage, "b", &ways[1]).await;
    stage.secret(&stage.simulator.legacy_token()).await;
    let lists = (0..LISTS).map(|list| {
        let emails = [format!("p{list:03}@example.com"), format!("q{list:03}@example.com")];
        let mut invite = Stage::invite(&format!("list-{list:02}"), "Annotator", &[&emails[0], &emails[1]]);
        // A request for each list, so that there is a middle.
        invite["spec"]["projects"] = json!([list + 1]);
        invite
    });
    stage.apply(&json!({"apiVersion": "v1", "kind": "List", "items": lists.collect::<Vec<_>>()})).await;
    let slow = stage.organization(json!({"rateLimit": {"requestsPerSecond": 2, "burst": 1}}));
    stage.apply(&labelled(slow, "acme", "a")).await;
    for turn in 0..6 {
        let sent = stage.simulator.mails().len();
        assert!(sent < 2 * LISTS, "it is still in the middle at turn {turn}");
        stage.until("some more mails", async || stage.simulator.mails().len() > sent).await;
        give(&stage, "acme", ["b", "a"][turn % 2]).await;
    }
    for list in 0..LISTS {
        stage.ready(&format!("userinvite/list-{list:02}"), "True", "Reconciled").await;
    }
    assert!(ways.iter().all(|way| way.first_sent().is_some()), "both have acted");
    stage.operator = Some(one.operator);
    stage
}

fn everybody_has_one_mail(stage: &Stage) {
    let mut mails: Vec<String> = stage.simulator.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(mails.len(), 2 * LISTS);
    mails.sort();
    mails.dedup();
    assert_eq!(mails.len(), 2 * LISTS);
}

#[tokio::test]
async fn an_organization_that_changes_hands_in_the_middle_of_its_mails_sends_none_twice() {
    everybody_has_one_mail(&moved_in_the_middle(Switches::default()).await);
}

#[tokio::test]
async fn nor_does_one_whose_server_hides_invitations() {
    let switches = Switches { open_invitations_listed: false, ..Switches::default() };
    everybody_has_one_mail(&moved_in_the_middle(switches).await);
}

/// Whoever takes over may write to the UserInvite before, and this server does not show whom it mailed.
#[tokio::test]
async fn what_became_of_a_mail_is_stored_by_whoever_sent_it_though_another_acts_by_then() {
    let switches = Switches { open_invitations_listed: false, ..Switches::default() };
    let stage = Stage::set(Options { switches, ..Options::default() }).await;
    let send = "/api/invite/send-email";
    stage.simulator.fault(Fault::on("POST", send, FaultKind::Slow { milliseconds: 8000 }));
    let _one = Shard::start(&stage, "a").await;
    let _two = Shard::start(&stage, "b").await;
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage.apply(&labelled(stage.organization(json!({})), "acme", "a")).await;
    stage.until("the mail is under way", async || stage.simulator.journal().count("POST", send) == 1).await;
    give(&stage, "acme", "b").await;
    let another = json!({"status": {"conditions": null}}).to_string();
    stage.kubectl(&["patch", "userinvite/people", "--subresource=status", "--type=merge", "-p", &another], "").await;
    let people = stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(person(&people, "ada@example.com")["state"], "Invited");
    assert_eq!(stage.simulator.mails().len(), 1);
}

#[tokio::test]
async fn of_two_for_one_server_the_older_acts_whichever_operator_it_has() {
    let mut stage = Stage::set(Options::default()).await;
    stage.simulator.add_member("ada@example.com", "AN");
    let _one = Shard::start(&stage, "a").await;
    let two = Shard::start(&stage, "b").await;
    // The older cannot act at first, so the younger does.
    let mut older = labelled(stage.organization(json!({})), "older", "a");
    older["spec"]["credentials"]["secretRef"]["name"] = "later".into();
    stage.apply(&older).await;
    stage.ready("organization/older", "False", "SecretMissing").await;
    let born: jiff::Timestamp =
        stage.get("organization/older").await["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    stage.until("the next second", async || jiff::Timestamp::now().as_second() > born.as_second()).await;
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&labelled(stage.organization(json!({})), "younger", "b")).await;
    let invite = |organization: &str, role: &str| {
        let mut invite = Stage::invite(organization, role, &["ada@example.com"]);
        invite["spec"]["organizationRef"]["name"] = organization.into();
        invite
    };
    stage.apply(&invite("younger", "Reviewer")).await;
    stage.ready("userinvite/younger", "True", "Reconciled").await;
    assert_eq!(stage.simulator.member("ada@example.com").unwrap().role, "RE");

    // Now it can, and the other operator finds that out.
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"}});
    secret["stringData"] = json!({"token": stage.simulator.legacy_token()});
    stage.apply(&invite("older", "Manager")).await;
    stage.apply(&secret).await;
    let told = stage.ready("organization/younger", "False", "Conflict").await;
    let message = condition(&told, "Ready")["message"].to_string();
    assert!(message.contains(&format!("{}/older", stage.namespace)), "{message}");
    stage.ready("userinvite/older", "True", "Reconciled").await;
    assert_eq!(stage.simulator.member("ada@example.com").unwrap().role, "MA");

    // Deleted, it leaves the place to the younger, whose people it does not take along.
    stage.delete("organization/older").await;
    stage.ready("organization/younger", "True", "Reconciled").await;
    stage.until("its role", async || stage.simulator.member("ada@example.com").unwrap().role == "RE").await;
    stage.operator = Some(two.operator);
}

#[tokio::test]
async fn a_selector_means_what_kubectl_means_by_it() {
    let stage = Stage::set(Options::default()).await;
    let labels = [
        json!({"shard": "a"}),
        json!({"shard": "b", "example.com/tier": "gold"}),
        json!({"shard": ""}),
        json!({"example.com/tier": "free"}),
        json!({}),
    ];
    for (n, labels) in labels.iter().enumerate() {
        let mut organization = stage.organization(json!({}));
        organization["metadata"] = json!({"name": format!("o{n}"), "labels": labels});
        stage.apply(&organization).await;
    }
    let read = |labels: &Value| serde_json::from_value::<BTreeMap<String, String>>(labels.clone()).unwrap();
    for text in [
        "shard=a",
        "shard==b,example.com/tier=gold",
        "shard!=a",
        "shard",
        "!shard",
        "shard in (a, b)",
        "shard notin (a,b),example.com/tier",
        "shard=",
        "shard in (a,)",
        " example.com/tier = free , !shard ",
    ] {
        let names = ["get", "organizations", "--selector", text, "-o", "jsonpath={.items[*].metadata.name}"];
        let theirs = stage.kubectl(&names, "").await;
        let selector = selector(text).unwrap();
        let ours = labels.iter().enumerate().filter(|(_, labels)| selector.matches(&read(labels)));
        let ours: Vec<String> = ours.map(|(n, _)| format!("o{n}")).collect();
        assert_eq!(theirs.split_whitespace().collect::<Vec<_>>(), ours, "{text}");
    }
}

#[test]
fn one_that_cannot_be_read_is_a_usage_error_that_names_it() {
    for bad in ["shard>1", "shard in (a", "shard=a,,"] {
        let run = ["run", "--selector", bad];
        let output = Command::new(env!("CARGO_BIN_EXE_label-studio-operator")).args(run).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        for words in ["--selector", bad, "shard in (a,b)"] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}
