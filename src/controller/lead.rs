//! The life of the process: waits for its turn where several share the work, leads, and ends. Nothing here knows what is
//! done while it leads.

use super::lease::{Candidate, Held};
use super::task::{Tasks, stopped};
use super::{Context, Settings, events, rivals, watch};
use crate::label_studio::{Fence, Paces, Traffic};
use kube::client::{Body, ClientBuilder};
use std::sync::Arc;
use tokio::sync::watch as channel;
use tower::filter::FilterLayer;

/// Why the process ends before anybody stopped it.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    #[error("the Lease is lost; whoever holds it now goes on, and this process starts anew to stand by")]
    LeaseLost,
    #[error("the connection to the API server cannot be made: {0}")]
    Unconnected(#[from] kube::Error),
    #[error("the controller failed: {0}")]
    Failed(#[from] tokio::task::JoinError),
}

/// Runs until `stop` says so, then lets what is in flight end and gives the Lease back.
pub async fn run(config: kube::Config, settings: Settings, mut stop: channel::Receiver<bool>) -> Result<(), Ended> {
    let Some(terms) = settings.lease.clone() else {
        lead(kube::Client::try_from(config)?, settings, Fence::open(), stop).await;
        return Ok(());
    };
    let fence = Fence::closed();
    let candidate = Candidate::new(kube::Client::try_from(config.clone())?, terms, fence.clone());
    let held = tokio::select! {
        biased;
        () = stopped(&mut stop) => return Ok(()),
        held = candidate.acquire() => held,
    };
    // Lists both kinds afresh: whoever led before has written to them until a moment ago.
    lead_in_turn(held, behind(&fence, config)?, settings, fence, stop).await
}

async fn lead_in_turn(
    mut held: Held,
    kube: kube::Client,
    settings: Settings,
    fence: Fence,
    mut stop: channel::Receiver<bool>,
) -> Result<(), Ended> {
    let (tell, end) = channel::channel(false);
    let mut leading = tokio::spawn(lead(kube, settings, fence, end));
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
async fn lead(kube: kube::Client, settings: Settings, fence: Fence, stop: channel::Receiver<bool>) -> bool {
    let (watched, streams) = watch::watch(&kube, &settings.namespaces);
    let context = Arc::new(Context {
        events: events::Events::new(kube.clone()),
        kube,
        watched,
        paces: Paces::new(),
        traffic: Traffic::behind(fence),
        rivals: rivals::Rivals::default(),
        settings,
        stop: stop.clone(),
    });
    let tasks = Tasks::new(context.clone());
    watch::follow(streams, &context, &tasks, stop).await;
    tasks.end(context.settings.stop_within).await
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
