//! `run`: the controller, in a cluster or from a kubeconfig.

use super::runtime;
use crate::controller::{self, Settings, Terms};
use crate::revision::REVISION;
use anyhow::Context as _;
use kube::core::Selector;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

const AFTER_HELP: &str = "Exit codes:
  0  stopped by SIGTERM or SIGINT: what was in flight has ended
  1  it cannot start, or the Lease is lost

Example:
  label-studio-operator run --namespace label-studio --health-address 127.0.0.1:8081";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Watch this namespace; repeat it for several. Without it: all namespaces.
    #[arg(long, value_name = "NS", env = "LABEL_STUDIO_OPERATOR_NAMESPACE", value_delimiter = ',')]
    namespace: Vec<String>,

    /// Look into this namespace, too, but for UserInvites only: an Organization there is not acted for. Repeat it for several.
    #[arg(
        long,
        value_name = "NS",
        env = "LABEL_STUDIO_OPERATOR_INVITE_NAMESPACE",
        value_delimiter = ',',
        requires = "namespace"
    )]
    invite_namespace: Vec<String>,

    /// Act for those Organizations only whose labels fit, and for the UserInvites that refer to them: for several operators that
    /// share the work, such as shard=a and shard=b. Written as for kubectl get --selector. Without it: for all.
    #[arg(long, value_name = "SELECTOR", env = "LABEL_STUDIO_OPERATOR_SELECTOR", value_parser = controller::selector)]
    selector: Option<Selector>,

    /// Talk to this Label Studio host only; repeat it for several. Without it: to whatever host an Organization names.
    #[arg(long, value_name = "HOST", env = "LABEL_STUDIO_OPERATOR_ALLOWED_SERVER", value_delimiter = ',')]
    allowed_server: Vec<String>,

    /// Wait until this replica holds the Lease, and act only while it does: for more than one replica.
    #[arg(long, env = "LABEL_STUDIO_OPERATOR_LEADER_ELECT")]
    leader_elect: bool,

    /// Which Lease, in the namespace of the pod or of the kubeconfig. Operators that watch different namespaces need
    /// different ones.
    #[arg(
        long,
        value_name = "NAME",
        env = "LABEL_STUDIO_OPERATOR_LEASE_NAME",
        default_value = "label-studio-operator"
    )]
    lease_name: String,

    /// Serve `/livez` and `/readyz` at this address, such as 0.0.0.0:8081.
    #[arg(long, value_name = "ADDRESS", env = "LABEL_STUDIO_OPERATOR_HEALTH_ADDRESS")]
    health_address: Option<SocketAddr>,

    /// Serve `/metrics` at this address, such as 0.0.0.0:8080.
    #[arg(long, value_name = "ADDRESS", env = "LABEL_STUDIO_OPERATOR_METRICS_ADDRESS")]
    metrics_address: Option<SocketAddr>,

    /// Log lines as text for people or as JSON for machines.
    #[arg(long, value_name = "FORMAT", env = "LABEL_STUDIO_OPERATOR_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// What to log, as `info` or `info,label_studio_operator=debug`. Each write to Label Studio is one line of
    /// `label_studio_operator::audit`.
    #[arg(long, value_name = "FILTER", env = "LABEL_STUDIO_OPERATOR_LOG", default_value = "info")]
    log: String,

    // Hidden: tests shorten these; nobody else has a reason to.
    #[arg(long, hide = true, env = "LABEL_STUDIO_OPERATOR_LEASE_SECONDS", default_value_t = 12)]
    lease_seconds: u64,
    #[arg(long, hide = true, env = "LABEL_STUDIO_OPERATOR_MAIL_TIMEOUT_MS", default_value_t = 120_000)]
    mail_timeout_ms: u64,
    #[arg(long, hide = true, env = "LABEL_STUDIO_OPERATOR_MAIL_SETTLE_MS", default_value_t = 60_000)]
    mail_settle_ms: u64,
    #[arg(long, hide = true, env = "LABEL_STUDIO_OPERATOR_ROSTER_FRESH_MS", default_value_t = 60_000)]
    roster_fresh_ms: u64,
    #[arg(long, hide = true, env = "LABEL_STUDIO_OPERATOR_START_SPREAD_MS", default_value_t = 60_000)]
    start_spread_ms: u64,
    #[arg(long, hide = true, env = "LABEL_STUDIO_OPERATOR_LONGEST_ROLLOUT_MS", default_value_t = 600_000)]
    longest_rollout_ms: u64,
}

#[derive(Clone, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments {
        namespace,
        invite_namespace,
        selector,
        allowed_server,
        leader_elect,
        lease_name,
        lease_seconds,
        health_address,
        metrics_address,
        log_format,
        log,
        mail_timeout_ms,
        mail_settle_ms,
        roster_fresh_ms,
        start_spread_ms,
        longest_rollout_ms,
    } = arguments;
    let filter = EnvFilter::try_new(&log).with_context(|| format!("--log {log:?} is not a filter"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log_format {
        LogFormat::Text => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => logs.json().init(),
    }
    let named =
        |namespaces: Vec<String>| -> Vec<String> { namespaces.into_iter().filter(|name| !name.is_empty()).collect() };
    let (namespaces, invite_namespaces) = (named(namespace), named(invite_namespace));
    let looks_into = [&*namespaces, &*invite_namespaces].concat();
    let terms = Terms { name: lease_name, lasts: Duration::from_secs(lease_seconds.max(1)), looks_into };
    let settings = Settings {
        lease: leader_elect.then_some(terms),
        health_address,
        metrics_address,
        namespaces,
        invite_namespaces,
        selector: selector.unwrap_or_default(),
        allowed_servers: allowed_server
            .iter()
            .map(|host| host.trim().to_lowercase())
            .filter(|h| !h.is_empty())
            .collect(),
        mail_timeout: Duration::from_millis(mail_timeout_ms),
        mail_settle: Duration::from_millis(mail_settle_ms),
        roster_fresh: Duration::from_millis(roster_fresh_ms),
        start_spread: Duration::from_millis(start_spread_ms),
        longest_rollout: Duration::from_millis(longest_rollout_ms),
        stop_within: Duration::from_secs(10),
    };
    runtime::block_on(controller(settings))
}

async fn controller(settings: Settings) -> anyhow::Result<()> {
    let (tell, stop) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping: what is in flight ends, nothing new starts");
        tell.send_replace(true);
    });
    let config = runtime::config().await?;
    let (version, selector) = (env!("CARGO_PKG_VERSION"), settings.selector.to_string());
    tracing::info!(version, revision = REVISION, namespaces = ?settings.namespaces, selector, "starting");
    controller::run(config, settings, stop).await?;
    tracing::info!("stopped");
    Ok(())
}
