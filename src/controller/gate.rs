//! Whether a write may still start: looked at before every one.

use super::task::stopped;
use crate::engine::apply::Gate;
use crate::label_studio::Traffic;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::Instant;

/// A mass change is planned anew for an edit at most this often.
const REPLAN_EVERY: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Preemption {
    pub woken: channel::Receiver<u64>,
    /// The counter that the plan knows of.
    pub seen: u64,
    pub planned: Instant,
    pub stop: channel::Receiver<bool>,
    pub traffic: Traffic,
}

impl Preemption {
    /// Until there is something newer to plan.
    pub async fn overtaken(&self) {
        let mut woken = self.woken.clone();
        drop(woken.wait_for(|count| *count != self.seen).await);
        tokio::time::sleep_until(self.planned + REPLAN_EVERY).await;
    }

    /// Something has happened that the plan does not know of.
    pub fn is_overtaken(&self) -> bool {
        *self.woken.borrow() != self.seen
    }

    /// Until no write may start any more.
    pub async fn closed(&self) {
        let mut stop = self.stop.clone();
        tokio::select! { () = self.overtaken() => {}, () = stopped(&mut stop) => {} }
    }
}

impl Gate for Preemption {
    fn is_open(&self) -> bool {
        let newer = self.is_overtaken() && self.planned.elapsed() >= REPLAN_EVERY;
        !newer && !*self.stop.borrow() && self.traffic.is_open()
    }
}
