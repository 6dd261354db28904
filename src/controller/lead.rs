//! The life of the process: waits for its turn where several share the work, leads, and ends. Nothing here knows what is
//! done while it leads.

use super::figures::Figures;
use super::kinds::missing;
use super::lease::{Candidate, Held};
use super::serve::{Pages, serve};
use super::station::{Phase, Station};
use super::task::{Tasks, stopped};
use super::{Context, Settings, events, rivals, shard, watch};
use crate::label_studio::{Fence, Paces, Traffic};
use kube::client::{Body, ClientBuilder};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower::filter::FilterLayer;

/// Why the process ends before anybody stopped it.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    #[error("the Lease is lost; whoever holds it now goes on, and this process starts anew to stand by")]
    LeaseLost,
    #[error("the connection to the API server cannot be made: {0}")]
    Unconnected(#[from] kube::Error),
    #[error("{0} cannot be served: {1}")]
    Unserved(SocketAddr, std::io::Error),
    #[error("the controller failed: {0}")]
    Failed(#[from] tokio::task::JoinError),
}

/// How often to look whether the kinds are there.
const KINDS_AGAIN: Duration = Duration::from_secs(1);

/// Runs until `stop` says so, then lets what is in flight end and gives the Lease back.
pub async fn run(config: kube::Config, settings: Settings, mut stop: channel::Receiver<bool>) -> Result<(), Ended> {
    let station = Arc::new(Station::new());
    for (address, pages) in [(settings.health_address, Pages::Health), (settings.metrics_address, Pages::Figures)] {
        let Some(address) = address else { continue };
        serve(address, pages, Arc::clone(&station)).await.map_err(|error| Ended::Unserved(address, error))?;
    }
    let Some(terms) = settings.lease.clone() else {
        lead(kube::Client::try_from(config)?, settings, Fence::open(), station, stop).await;
        return Ok(());
    };
    let fence = Fence::closed();
    let kube = kube::Client::try_from(config.clone())?;
    let candidate = Candidate::new(kube.clone(), terms, fence.clone());
    // Whoever could not work is not ready to follow and does not take the Lease: in a roll-out it must not replace one that can.
    let turn = async {
        until_kinds_are_there(&kube, &station).await;
        candidate.acquire(&station).await
    };
    let held = tokio::select! {
        biased;
        () = stopped(&mut stop) => return Ok(()),
        held = turn => held,
    };
    let (tell, end) = channel::channel(false);
    // Lists both kinds afresh: whoever led before has written to them until a moment ago.
    let leading = tokio::spawn(lead(behind(&fence, config)?, settings, fence, station, end));
    while_held(held, leading, &tell, stop).await
}

/// Tells what leads to end when somebody stops the process or the Lease is lost.
async fn while_held(
    mut held: Held,
    mut leading: JoinHandle<bool>,
    tell: &channel::Sender<bool>,
    mut stop: channel::Receiver<bool>,
) -> Result<(), Ended> {
    let mut lost = false;
    tokio::select! {
        () = stopped(&mut stop) => {}
        () = held.keep() => lost = true,
    }
    tell.send_replace(true);
    // It is kept until the last request has ended.
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut leading => break ended?,
            () = held.keep(), if !lost => lost = true,
        }
    };
    if lost {
        return Err(Ended::LeaseLost);
    }
    if ended {
        held.release().await;
    }
    Ok(())
}

/// Whether everything that was in flight has ended.
async fn lead(
    kube: kube::Client,
    settings: Settings,
    fence: Fence,
    station: Arc<Station>,
    mut stop: channel::Receiver<bool>,
) -> bool {
    // Looked at anew: a replica may have stood by for weeks.
    tokio::select! {
        biased;
        () = stopped(&mut stop) => return true,
        () = until_kinds_are_there(&kube, &station) => {}
    }
    let (watched, streams) = watch::watch(&kube, &settings.namespaces, &settings.invite_namespaces, &settings.selector);
    let context = Arc::new(Context {
        events: events::Events::new(kube.clone()),
        kube,
        watched,
        paces: Paces::new(),
        traffic: Traffic::behind(fence),
        figures: Figures::default(),
        rivals: rivals::Rivals::default(),
        compared: shard::Compared::default(),
        settings,
        stop: stop.clone(),
    });
    let tasks = Tasks::new(context.clone());
    station.enter(Phase::Leading(context.clone(), tasks.clone()));
    watch::follow(streams, &context, &tasks, stop).await;
    tasks.end(context.settings.stop_within).await
}

async fn until_kinds_are_there(kube: &kube::Client, station: &Station) {
    let mut told = String::new();
    loop {
        let lacks = match missing(kube).await {
            Ok(missing) if missing.is_empty() => return,
            Ok(missing) => format!(
                "the API server does not know the kinds as this version writes them: {}; apply the CRDs of this version",
                missing.join(", ")
            ),
            Err(error) => format!("the API server does not say which kinds it knows: {error}"),
        };
        if told != lacks {
            tracing::warn!("{lacks}");
            station.enter(Phase::Waiting(lacks.clone()));
            told = lacks;
        }
        sleep(KINDS_AGAIN).await;
    }
}

/// A client whose writes do not start behind the fence. Reads change nothing.
fn behind(fence: &Fence, config: kube::Config) -> kube::Result<kube::Client> {
    let fence = fence.clone();
    let passes = move |request: http::Request<Body>| {
        if request.method() == http::Method::GET || fence.is_open() { Ok(request) } else { Err(FenceClosed) }
    };
    Ok(ClientBuilder::try_from(config)?.with_layer(&FilterLayer::new(passes)).build())
}

#[derive(Debug, thiserror::Error)]
#[error("the request could not start while this replica holds the Lease")]
struct FenceClosed;
