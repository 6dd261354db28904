//! How long the commands take that need no cluster, as a shell sees it, and the most memory they hold: the release binary, and a
//! simulator without latency or limit. Prints one table; `benches/README.md` keeps the last one. Asserts nothing.
//!
//! `cargo bench --bench shell`

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use jiff::Timestamp;
use label_studio_harness::RunFolder;
use label_studio_operator::engine::ledger::{Kept, Ledger};
use label_studio_operator::engine::preview::preview;
use label_studio_operator::manifest::{manifests, read};
use label_studio_operator::standalone::{Environment, Objects, connect, look};
use label_studio_simulator::{Options, Simulator};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 9;
const MEMBERS: usize = 10_000;
const FILES: usize = 1_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    println!("| command | ms | peak MiB |\n|---|---|---|");
    let folder = RunFolder::new("bench").unwrap();
    tell("--version", &folder, &["--version"], "");
    let simulator = runtime.block_on(Simulator::start(Options::default())).unwrap();
    simulator.seed_members(MEMBERS, "AN");
    let token = simulator.legacy_token();
    write(&folder, &simulator);
    tell(&format!("validate, {FILES} files with {MEMBERS} addresses"), &folder, &["validate", "."], &token);
    tell(&format!("plan, {MEMBERS} members in sync"), &folder, &["plan", "."], &token);
    runtime.block_on(planning(&folder, &token));
}

/// `FILES` UserInvites with everybody, and the Organization.
fn write(folder: &RunFolder, simulator: &Simulator) {
    let url = simulator.url();
    let organization = format!(
        "apiVersion: labelstudio.rs/v1alpha1\nkind: Organization\nmetadata: {{name: acme}}\nspec:\n  url: {url}\n  credentials: {{secretRef: {{name: label-studio}}}}\n  rateLimit: {{requestsPerSecond: 1000, burst: 1000}}\n"
    );
    std::fs::write(folder.file("organization.yaml"), organization).unwrap();
    let members = simulator.members();
    let people: Vec<&str> =
        members.iter().map(|member| member.email.as_str()).filter(|email| email.starts_with("person")).collect();
    for (number, emails) in people.chunks(MEMBERS / FILES).enumerate() {
        let mut text = format!(
            "apiVersion: labelstudio.rs/v1alpha1\nkind: UserInvite\nmetadata:\n  name: people-{number}\nspec:\n  organizationRef:\n    name: acme\n  role: Annotator\n  emails:\n"
        );
        for email in emails {
            let _ = writeln!(text, "    - {email}");
        }
        std::fs::write(folder.file(format!("people-{number}.yaml")), text).unwrap();
    }
}

fn tell(name: &str, folder: &RunFolder, arguments: &[&str], token: &str) {
    let mut runs: Vec<(Duration, u64)> = (0..RUNS).map(|_| run(folder.path(), arguments, token)).collect();
    let memory = runs.iter().map(|(_, memory)| *memory).max().unwrap();
    runs.sort();
    println!("| {name} | {:.1} | {:.1} |", milliseconds(runs[RUNS / 2].0), memory as f64 / 1024.0);
}

/// Wall time, and the peak in KiB as it was last seen before the end.
fn run(folder: &Path, arguments: &[&str], token: &str) -> (Duration, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_label-studio-operator"));
    command.args(arguments).current_dir(folder).env("LABEL_STUDIO_API_KEY", token);
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        peak = peak_of(child.id()).unwrap_or(peak);
        std::thread::sleep(Duration::from_micros(500));
    };
    let took = begun.elapsed();
    assert!(status.success(), "{arguments:?}: {status}");
    (took, peak)
}

fn peak_of(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// The part of `plan` that asks nobody: from what was read to what would be done.
async fn planning(folder: &RunFolder, token: &str) {
    let objects = Objects::of(&manifests(&read(&[folder.path().to_owned()]).unwrap())).unwrap();
    let environment = Environment { api_key: Some(token.to_owned().into()), url: None };
    let (client, _) = connect(&objects, &objects.groups[0], &environment).unwrap();
    let seen = look(&client, &objects.groups[0], Kept::ForOneRun { first_invitation: false }, &[]).await.unwrap();
    let mut runs: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let mut ledger = Ledger { kept: seen.ledger.kept, ..Ledger::default() };
            let begun = Instant::now();
            let planned = preview(&seen.desired, &seen.snapshot, &mut ledger, &[], Timestamp::now());
            let took = begun.elapsed();
            assert!(planned.0.steps.is_empty(), "not in sync");
            took
        })
        .collect();
    runs.sort();
    println!("| of which planning | {:.1} | |", milliseconds(runs[RUNS / 2]));
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
