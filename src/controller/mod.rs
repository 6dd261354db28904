//! The only room that knows kube's runtime: watches both kinds, keeps one task per Organization, writes status.

mod bootstrap;
mod conclude;
mod connect;
mod credentials;
mod desk;
mod detach;
mod events;
mod farewell;
mod figures;
mod gate;
mod handover;
mod invite_link;
mod kinds;
mod lead;
mod lease;
mod left_behind;
mod link_secret;
mod metrics;
mod objects;
mod probe;
mod publish;
mod readable;
mod reconcile;
mod rivals;
mod selector;
mod serve;
mod server;
mod shard;
mod signup_lock;
mod state;
mod station;
mod status;
mod takeover;
mod task;
mod tell;
mod watch;

use crate::engine::mark::MailPatience;
use crate::label_studio::{Paces, Timeouts, Traffic};
use kube::core::Selector;

pub use detach::{Detached, Scope, Undetached, detach};
pub use lead::{Ended, run};
pub use lease::Terms;
pub use probe::{Unwell, probe};
pub use selector::selector;

use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch as channel;

/// What the operator of this process decides. Times that tests shorten are hidden from people.
#[derive(Clone, Debug)]
pub struct Settings {
    /// With whom the work is shared in turn. None: this process is alone.
    pub lease: Option<Terms>,
    /// Where `/livez` and `/readyz` are served.
    pub health_address: Option<SocketAddr>,
    /// Where `/metrics` is served.
    pub metrics_address: Option<SocketAddr>,
    /// None: all namespaces.
    pub namespaces: Vec<String>,
    /// Looked into for UserInvites only, besides those.
    pub invite_namespaces: Vec<String>,
    /// Which Organizations are acted for, by their labels; those of the others are seen.
    pub selector: Selector,
    /// Hosts in lower case, without port. Empty: every host.
    pub allowed_servers: Vec<String>,
    /// How long a mail request may take.
    pub mail_timeout: Duration,
    /// How much longer the server may take with it.
    pub mail_settle: Duration,
    /// A roster older than this takes nobody's access away before somebody has looked again.
    pub roster_fresh: Duration,
    /// Over how long the passes of a start are spread when nothing is new.
    pub start_spread: Duration,
    /// How long a roll-out may take where Kubernetes sets no deadline of its own.
    pub longest_rollout: Duration,
    /// How long a pass in flight may take to end after the stop signal.
    pub stop_within: Duration,
}

impl Settings {
    fn mail_patience(&self) -> MailPatience {
        MailPatience { timeout: self.mail_timeout, settle: self.mail_settle }
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts { mail: self.mail_timeout, ..Timeouts::default() }
    }
}

/// What every task shares.
struct Context {
    kube: kube::Client,
    watched: Vec<watch::Watched>,
    events: events::Events,
    paces: Paces,
    traffic: Traffic,
    figures: figures::Figures,
    rivals: rivals::Rivals,
    compared: shard::Compared,
    settings: Settings,
    stop: channel::Receiver<bool>,
}
