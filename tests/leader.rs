//! Two replicas, and one of them acts: whoever holds the Lease. Whatever becomes of it, nobody gets a second mail, and
//! nothing is sent by a replica whose time is over.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_harness::{OperatorProcess, Relay};
use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{SOON, Stage};
use std::time::{Duration, Instant};

/// A replica, the way to Label Studio that it alone takes, and its way to the API server.
struct Replica {
    operator: OperatorProcess,
    label_studio: Relay,
    api_server: Relay,
}

impl Replica {
    /// The Lease is good for `lease` seconds.
    async fn start(stage: &Stage, lease: u32) -> Self {
        let label_studio = Relay::start(stage.simulator.address()).await.unwrap();
        let api_server = Relay::start(stage.plane.address().unwrap()).await.unwrap();
        let kubeconfig = stage.plane.kubeconfig_over(&stage.kubeconfig, api_server.address()).unwrap();
        let (proxy, lease) = (format!("http://{}", label_studio.address()), lease.to_string());
        let environment = [
            ("LABEL_STUDIO_OPERATOR_LEASE_SECONDS", &*lease),
            ("HTTP_PROXY", &*proxy),
            ("LABEL_STUDIO_OPERATOR_MAIL_TIMEOUT_MS", "2000"),
            ("LABEL_STUDIO_OPERATOR_MAIL_SETTLE_MS", "1000"),
            ("LABEL_STUDIO_OPERATOR_LOG", "info,label_studio_operator=debug"),
        ];
        let binary = env!("CARGO_BIN_EXE_label-studio-operator");
        let more = ["--leader-elect"];
        let operator = OperatorProcess::start(binary, &kubeconfig, &stage.namespace, &more, &environment).unwrap();
        Self { operator, label_studio, api_server }
    }

    async fn leads(&self) {
        self.operator.wait_for_line("this replica leads", SOON).await.unwrap();
    }
}

/// What is usual.
const LEASE: u32 = 12;

/// Two replicas, of which the first leads.
async fn replicas(lease: u32) -> (Stage, Replica, Replica) {
    let stage = Stage::set(Options { latency: Duration::from_millis(50), ..Options::default() }).await;
    let one = Replica::start(&stage, lease).await;
    one.leads().await;
    let other = Replica::start(&stage, lease).await;
    other.operator.wait_for_line("another replica leads", SOON).await.unwrap();
    stage.secret(&stage.simulator.legacy_token()).await;
    (stage, one, other)
}

/// The same, and the first is in the middle of 200 mails.
async fn half_way(lease: u32) -> (Stage, Replica, Replica) {
    let (stage, one, other) = replicas(lease).await;
    stage.apply(&stage.organization(json!({"rateLimit": {"requestsPerSecond": 4, "burst": 1}}))).await;
    let emails: Vec<String> = (0..200).map(|n| format!("p{n:03}@example.com")).collect();
    let invites = emails.chunks(10).enumerate().map(|(n, chunk)| {
        let emails: Vec<&str> = chunk.iter().map(String::as_str).collect();
        let mut invite = Stage::invite(&emails[0][..4], "Annotator", &emails);
        // A request for each list, so that there is a middle.
        invite["spec"]["projects"] = json!([n + 1]);
        invite
    });
    // All at once: on a busy machine twenty calls take longer than the mails.
    stage.apply(&json!({"apiVersion": "v1", "kind": "List", "items": invites.collect::<Vec<_>>()})).await;
    stage.until("some of the mails", async || stage.simulator.mails().len() > 30).await;
    assert!(stage.simulator.mails().len() < 200, "it is still in the middle");
    (stage, one, other)
}

async fn everybody_has_one_mail(stage: &Stage) {
    for list in 0..20 {
        stage.ready(&format!("userinvite/p{:03}", list * 10), "True", "Reconciled").await;
    }
    let mut mails: Vec<String> = stage.simulator.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(mails.len(), 200);
    mails.sort();
    mails.dedup();
    assert_eq!(mails.len(), 200);
}

async fn lease(stage: &Stage) -> Value {
    stage.get("lease/label-studio-operator").await
}

#[tokio::test]
async fn a_leader_that_is_killed_is_followed_by_the_other_which_sends_the_rest() {
    let (stage, one, other) = half_way(LEASE).await;
    one.operator.kill_hard().unwrap();
    let killed = Instant::now();
    assert!(other.label_studio.first_sent().is_none(), "who stands by asks Label Studio nothing");
    other.leads().await;
    // What was under way when the leader was killed has arrived long since.
    let written = stage.simulator.journal().writes().len();
    stage.until("its first write", async || stage.simulator.journal().writes().len() > written).await;
    // The promise of 20 s is kept by the terms of the Lease, whose own test adds them up; the rest is this machine's.
    println!("wrote {:.1} s after the leader was killed", killed.elapsed().as_secs_f64());
    everybody_has_one_mail(&stage).await;
    assert_eq!(lease(&stage).await["spec"]["leaseTransitions"], 1);
}

#[tokio::test]
async fn a_leader_that_is_stopped_hands_over_at_once() {
    let (stage, one, other) = half_way(60).await;
    let ended = one.operator.terminate().await.unwrap();
    assert!(ended.status.success(), "{}", ended.status);
    let from = Instant::now();
    other.leads().await;
    let took = from.elapsed();
    println!("led {:.1} s after the other had ended", took.as_secs_f64());
    // Else it would have had to run out.
    assert!(took < Duration::from_secs(50), "{took:?}");
    let holder = lease(&stage).await["spec"]["holderIdentity"].clone();
    assert!(one.operator.log().iter().any(|line| line.contains("the Lease is given back")));
    assert!(holder.is_string(), "{holder}");
    everybody_has_one_mail(&stage).await;
}

#[tokio::test]
async fn a_leader_that_wakes_up_after_its_time_sends_nothing_and_ends() {
    let (stage, one, other) = half_way(LEASE).await;
    one.operator.pause().unwrap();
    other.leads().await;
    everybody_has_one_mail(&stage).await;
    let woken = Instant::now();
    one.operator.resume().unwrap();
    let status = one.operator.ended(SOON).await.unwrap();
    assert!(!status.success(), "its pod has to start it anew");
    assert!(one.label_studio.last_sent().unwrap() < woken, "it sent something after it woke up");
    everybody_has_one_mail(&stage).await;
}

#[tokio::test]
async fn a_leader_that_is_cut_from_the_api_server_falls_silent_before_the_other_speaks() {
    let (stage, one, other) = half_way(LEASE).await;
    one.api_server.cut();
    other.leads().await;
    stage.until("its first request", async || other.label_studio.first_sent().is_some()).await;
    let (last, first) = (one.label_studio.last_sent().unwrap(), other.label_studio.first_sent().unwrap());
    assert!(last < first, "both spoke to Label Studio");
    println!("silent for {:.1} s in between", (first - last).as_secs_f64());
    let status = one.operator.ended(SOON).await.unwrap();
    assert!(!status.success(), "{status}");
    everybody_has_one_mail(&stage).await;
    assert!(one.label_studio.last_sent().unwrap() == last, "it has said nothing more");
}

#[tokio::test]
async fn a_lease_that_is_deleted_is_nobodys_before_the_leader_has_fallen_silent() {
    let (stage, one, other) = replicas(LEASE).await;
    // A roster of many pages, for which it needs no API server.
    stage.simulator.seed_members(10_000, "AN");
    stage.apply(&stage.organization(json!({"rateLimit": {"requestsPerSecond": 2, "burst": 1}}))).await;
    let roster = "/api/organizations/*/memberships";
    stage.until("the roster is read", async || stage.simulator.journal().count("GET", roster) > 0).await;
    one.api_server.cut();
    stage.kubectl(&["delete", "lease/label-studio-operator"], "").await;
    other.leads().await;
    stage.until("its first request", async || other.label_studio.first_sent().is_some()).await;
    let status = one.operator.ended(SOON).await.unwrap();
    assert!(!status.success(), "{status}");
    let (last, first) = (one.label_studio.last_sent().unwrap(), other.label_studio.first_sent().unwrap());
    assert!(last < first, "both spoke to Label Studio");
}
