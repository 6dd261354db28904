//! The one write about the invite link: a new one, which kills the old. Its mark is stored before it. That it is wanted
//! was decided before.

use super::{AUDIT, Gate};
use crate::engine::ledger::Ledger;
use crate::engine::memory::Forgotten;
use crate::label_studio::{Boottime, Client, Error, InviteLink};
use crate::resources::Rotating;
use std::time::Duration;

/// The request starts within this time of its mark, or not at all.
const MARK_LIFE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub enum Reset {
    Done(InviteLink),
    /// The gate closed before anything was sent.
    Preempted,
    /// Something else is more urgent than the answer, which the link itself tells later.
    Overtaken,
    /// Not carried out: the old link is valid.
    Refused(Error),
    /// Whether it was carried out only the link itself tells.
    Unknown(Error),
}

/// `store` stores the ledger's memory by compare-and-swap. Whatever comes of it, the caller stores the ledger once more.
/// The answer is waited for until `overtaken`: nobody else waits for a server that hangs.
pub async fn reset_link(
    client: &Client,
    ledger: &mut Ledger,
    mark: Rotating,
    gate: &impl Gate,
    overtaken: impl Future<Output = ()>,
    store: impl AsyncFnOnce(&Ledger) -> Result<(), Forgotten>,
) -> Result<Reset, Forgotten> {
    if !gate.is_open() {
        return Ok(Reset::Preempted);
    }
    let clock = Boottime::now();
    set_mark(ledger, Some((mark, clock)));
    store(ledger).await?;
    if !gate.is_open() {
        set_mark(ledger, None);
        return Ok(Reset::Preempted);
    }
    let answer = tokio::select! {
        biased;
        answer = client.reset_invite_link(clock + MARK_LIFE) => answer,
        () = overtaken => {
            audit("no answer was waited for");
            return Ok(Reset::Overtaken);
        }
    };
    match answer {
        Ok(link) => {
            audit("done");
            Ok(Reset::Done(link))
        }
        Err(error) => {
            audit(&error.to_string());
            if error.lost() {
                return Ok(Reset::Unknown(error));
            }
            set_mark(ledger, None);
            Ok(Reset::Refused(error))
        }
    }
}

fn set_mark(ledger: &mut Ledger, mark: Option<(Rotating, Boottime)>) {
    if let Some(memory) = &mut ledger.invite_link {
        memory.rotating = mark.as_ref().map(|(mark, _)| mark.clone());
    }
    ledger.passing.rotation = mark;
}

fn audit(result: &str) {
    let change = "a new invite link in place of the old one";
    tracing::info!(target: AUDIT, manifest = "Organization", change, result, "written to Label Studio");
}
