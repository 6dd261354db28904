//! The scale runs: a real API server, a simulated Label Studio with latency and a limit, the release binary with the
//! chart's rights. Prints one table; `benches/README.md` keeps the last one. Asserts nothing: speed is measured here.
//!
//! `cargo bench --bench scale` runs all; `cargo bench --bench scale -- 1000x20` one.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use label_studio_harness::{ControlPlane, OperatorProcess};
use label_studio_simulator::{Journal, Options, RateLimit, Simulator};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const RATE: u64 = 14;
const LATENCY: Duration = Duration::from_millis(20);
/// Single changes measured at rest and in the middle of a mass change.
const CHANGES: usize = 20;

struct Scale {
    members: usize,
    manifests: usize,
}

struct Measured {
    wall: f64,
    requests: usize,
    over_ideal: f64,
    too_many: usize,
    resync: (usize, usize, usize),
    peak_mib: f64,
    /// With half as many people, and manifests, again.
    peak_after_mass_mib: f64,
    at_rest: Vec<f64>,
    in_mass: Vec<f64>,
    kinds: String,
}

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let scales = [(1_000, 20), (1_000, 1_000), (10_000, 20), (10_000, 1_000), (10_000, 10_000)];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!(
        "| members | manifests | wall s | requests | over the rate | 429 | resync reads / writes / status writes | peak MiB, after a mass change | effect at rest p50 / p99 s | in a mass change p50 / p99 s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (members, manifests) in scales {
        let name = format!("{members}x{manifests}");
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        let m = runtime.block_on(run(&Scale { members, manifests }));
        println!(
            "| {members} | {manifests} | {:.1} | {} | {:.3} | {} | {} / {} / {} | {:.1} / {:.1} | {} | {} |",
            m.wall,
            m.requests,
            m.over_ideal,
            m.too_many,
            m.resync.0,
            m.resync.1,
            m.resync.2,
            m.peak_mib,
            m.peak_after_mass_mib,
            percentiles(&m.at_rest),
            percentiles(&m.in_mass)
        );
        eprintln!("{name}: {}", m.kinds);
    }
}

/// Half of the people are members with the right role; the other half is new. Then single changes at rest, a resync, and
/// single changes while as many again are invited.
async fn run(scale: &Scale) -> Measured {
    let plane = ControlPlane::start().await.unwrap();
    plane.install_crds().await.unwrap();
    let namespace = plane.namespace("bench").await.unwrap();
    let kubeconfig = plane.operator_kubeconfig(&namespace).await.unwrap();
    let limit = RateLimit { requests_per_second: 15 };
    let simulator =
        Simulator::start(Options { latency: LATENCY, rate_limit: Some(limit), ..Options::default() }).await.unwrap();
    simulator.seed_members(scale.members / 2, "AN");
    simulator.add_member("single@example.com", "AN");

    let client = plane.admin().unwrap();
    let invites = api(&client, &namespace, "UserInvite", "userinvites");
    let organizations = api(&client, &namespace, "Organization", "organizations");
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(client.clone(), &namespace);
    let secret = json!({"metadata": {"name": "label-studio"}, "stringData": {"token": simulator.legacy_token()}});
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    let people: Vec<String> = (0..scale.members / 2)
        .flat_map(|n| [format!("person{n:05}@example.com"), format!("new{n:05}@example.com")])
        .collect();
    create(&invites, scale, "team", &people).await;
    create_one(&invites, "single", "Annotator", &["single@example.com".to_owned()]).await;
    let spec = json!({
        "url": simulator.url(), "credentials": {"secretRef": {"name": "label-studio"}}, "interval": "1h",
        "rateLimit": {"requestsPerSecond": RATE, "burst": 1}
    });
    let organization = object("Organization", "acme", &spec);
    organizations.create(&PostParams::default(), &organization).await.unwrap();

    let log = std::env::var("BENCH_LOG").unwrap_or_else(|_| "warn".to_owned());
    let binary = env!("CARGO_BIN_EXE_label-studio-operator");
    let operator = OperatorProcess::start(
        binary,
        &kubeconfig,
        &namespace,
        &[],
        &[("LABEL_STUDIO_OPERATOR_START_SPREAD_MS", "0"), ("LABEL_STUDIO_OPERATOR_LOG", &log)],
    )
    .unwrap();
    let begin = Instant::now();
    wait("everybody is invited", async || simulator.read(|state| state.mails.len()) >= scale.members / 2).await;
    let last_write = begin.elapsed().as_secs_f64();
    let journal = simulator.journal();
    let requests = journal.len();
    wait("everything is published", async || synced(&organizations).await).await;
    let wall = begin.elapsed().as_secs_f64();
    eprintln!("last mail after {last_write:.1} s, all published after {wall:.1} s");
    if let Some(file) = std::env::var_os("BENCH_LOG_FILE") {
        std::fs::write(file, operator.log().join("\n")).unwrap();
    }

    let at_rest = changes(&invites, &simulator).await;
    let resync = resync(&organizations, &invites, &simulator).await;

    let more: Vec<String> = (0..scale.members / 2).map(|n| format!("more{n:05}@example.com")).collect();
    let peak_mib = mib(&operator);
    let before = simulator.read(|state| state.mails.len());
    create(&invites, &Scale { members: more.len(), manifests: scale.manifests.min(more.len()) }, "more", &more).await;
    wait("the mass change has begun", async || simulator.read(|state| state.mails.len()) > before).await;
    let in_mass = changes(&invites, &simulator).await;
    let peak_after_mass_mib = mib(&operator);
    Measured {
        wall,
        requests,
        over_ideal: last_write / (requests as f64 / RATE as f64),
        too_many: simulator.journal().too_many_requests(),
        resync,
        peak_mib,
        peak_after_mass_mib,
        at_rest,
        in_mass,
        kinds: kinds(&journal),
    }
}

fn mib(operator: &OperatorProcess) -> f64 {
    operator.peak_memory_kib().unwrap() as f64 / 1024.0
}

/// From the apply of one role to the role on the server.
async fn changes(invites: &Api<DynamicObject>, simulator: &Simulator) -> Vec<f64> {
    let mut took = Vec::new();
    for n in 0..CHANGES {
        let (role, code) = [("Reviewer", "RE"), ("Manager", "MA"), ("Annotator", "AN")][n % 3];
        let patch = json!({"spec": {"role": role}});
        let begin = Instant::now();
        invites.patch("single", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&patch)).await.unwrap();
        wait("the role on the server", async || simulator.member("single@example.com").unwrap().role == code).await;
        took.push(begin.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    took
}

/// Reads, writes and status writes of one full reading in sync.
async fn resync(
    organizations: &Api<DynamicObject>,
    invites: &Api<DynamicObject>,
    simulator: &Simulator,
) -> (usize, usize, usize) {
    let versions = async || -> Vec<Option<String>> {
        let list = invites.list(&kube::api::ListParams::default()).await.unwrap();
        list.items.into_iter().map(|invite| invite.metadata.resource_version).collect()
    };
    // The single changes end first.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = versions().await;
    simulator.clear_journal();
    let patch = json!({"metadata": {"annotations": {"labelstudio.rs/reconcile": "bench"}}});
    organizations.patch("acme", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&patch)).await.unwrap();
    wait("the resync", async || {
        organizations.get("acme").await.unwrap().data["status"]["lastHandledReconcileAt"] == "bench"
    })
    .await;
    let after = versions().await;
    let journal = simulator.journal();
    let writes = journal.writes().len();
    let status_writes = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    (journal.len() - writes, writes, status_writes)
}

async fn synced(organizations: &Api<DynamicObject>) -> bool {
    let organization = organizations.get("acme").await.unwrap();
    let conditions = organization.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|c| c["type"] == "MembersSynced" && c["status"] == "True")
}

async fn create(invites: &Api<DynamicObject>, scale: &Scale, prefix: &str, people: &[String]) {
    let each = people.len().div_ceil(scale.manifests);
    let all: Vec<(String, Vec<String>)> =
        people.chunks(each).enumerate().map(|(n, emails)| (format!("{prefix}-{n:05}"), emails.to_vec())).collect();
    futures::stream::iter(all)
        .for_each_concurrent(16, |(name, emails)| async move { create_one(invites, &name, "Annotator", &emails).await })
        .await;
}

async fn create_one(invites: &Api<DynamicObject>, name: &str, role: &str, emails: &[String]) {
    let spec = json!({"organizationRef": {"name": "acme"}, "emails": emails, "role": role});
    invites.create(&PostParams::default(), &object("UserInvite", name, &spec)).await.unwrap();
}

fn object(kind: &str, name: &str, spec: &Value) -> DynamicObject {
    let object = json!({
        "apiVersion": "labelstudio.rs/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec
    });
    serde_json::from_value(object).unwrap()
}

fn api(client: &kube::Client, namespace: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("labelstudio.rs", "v1alpha1", kind);
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk_with_plural(&kind, plural))
}

async fn wait(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < Duration::from_secs(900), "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn percentiles(took: &[f64]) -> String {
    let mut sorted = took.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: usize| sorted[(sorted.len() * share / 100).min(sorted.len() - 1)];
    format!("{:.2} / {:.2}", at(50), at(99))
}

fn kinds(journal: &Journal) -> String {
    journal.counts_by_kind().iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
}
