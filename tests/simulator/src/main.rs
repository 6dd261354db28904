//! The simulator as a program: parses its arguments, says where it listens and which tokens to use, runs until stopped.

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use label_studio_simulator::{Edition, Options, RateLimit, Simulator};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A Label Studio that is not one: its organization API, with people who do as they are told.
///
/// Under /simulator/ it serves what Label Studio has not: GET state, GET journal, POST deed.
#[derive(Parser)]
#[command(name = "label-studio-simulator", version)]
struct Arguments {
    #[arg(long, value_enum, default_value = "enterprise")]
    edition: EditionName,
    /// Port 0: a free one
    #[arg(long, default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
    /// How many annotators are there from the start
    #[arg(long, default_value_t = 0)]
    members: usize,
    /// Requests per second and user; none: no limit
    #[arg(long)]
    rate_limit: Option<usize>,
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// JSON: which answer to give where the published contract is silent
    #[arg(long)]
    switches: Option<PathBuf>,
    #[arg(long)]
    seat_limit: Option<u64>,
    /// For example /label-studio
    #[arg(long, default_value = "")]
    sub_path: String,
    /// Where to write URL and tokens as JSON, readable by its owner only
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The operator's legacy token; none: a random one
    #[arg(long)]
    legacy_token: Option<String>,
    /// An empty server: the first sign-up makes the organization
    #[arg(long)]
    empty: bool,
    /// Sign-up needs the invite link
    #[arg(long)]
    signup_closed: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum EditionName {
    Enterprise,
    Community,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut options = Options {
        edition: match arguments.edition {
            EditionName::Enterprise => Edition::Enterprise,
            EditionName::Community => Edition::Community,
        },
        listen: arguments.listen,
        rate_limit: arguments.rate_limit.map(|n| RateLimit { requests_per_second: n }),
        latency: Duration::from_millis(arguments.latency_ms),
        seat_limit: arguments.seat_limit,
        sub_path: arguments.sub_path,
        legacy_token: arguments.legacy_token,
        empty: arguments.empty,
        signup_closed: arguments.signup_closed,
        log_requests: true,
        ..Options::default()
    };
    if let Some(file) = &arguments.switches {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        options.switches =
            serde_json::from_str(&text).with_context(|| format!("{} is no set of switches", file.display()))?;
    }
    let (edition, empty) = (options.edition.name(), options.empty);
    let simulator = Simulator::start(options).await?;
    simulator.seed_members(arguments.members, "AN");
    let (url, legacy, personal) = if empty {
        (simulator.url(), String::new(), String::new())
    } else {
        (simulator.url(), simulator.legacy_token(), simulator.personal_access_token())
    };
    if let Some(file) = &arguments.token_file {
        write_secret(
            file,
            &serde_json::json!({"url": url, "legacy_token": legacy, "personal_access_token": personal}),
        )?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "Label Studio {edition} (simulated) at {url}")?;
    if empty {
        writeln!(out, "  nobody is here yet: sign up at {url}/user/signup/")?;
    } else {
        writeln!(out, "  legacy token:          {legacy}")?;
        writeln!(out, "  personal access token: {personal}")?;
    }
    writeln!(out, "  look and act:          http://{}/simulator/state, …/journal, …/deed", simulator.address())?;
    out.flush()?;
    drop(out);
    stopped().await?;
    simulator.stop().await;
    Ok(())
}

fn write_secret(file: &std::path::Path, content: &serde_json::Value) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // Whole or not at all: a script waits for this file to appear.
    let beside = file.with_extension("part");
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .with_context(|| format!("cannot write {}", beside.display()))?;
    writeln!(out, "{content}")?;
    std::fs::rename(&beside, file).with_context(|| format!("cannot write {}", file.display()))
}

async fn stopped() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
