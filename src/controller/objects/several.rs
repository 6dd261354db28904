//! Several UserInvites at once, a few in flight. A namespace where an answer is long in coming, as when an admission webhook
//! hangs there, is not asked about the rest of them: else everybody else would wait for all of them.

use super::write::{Failure, TRIES, patch_finalizers, put_status};
use crate::controller::left_behind::LeftBehind;
use crate::resources::{FINALIZER, UserInvite, UserInviteStatus};
use futures::StreamExt as _;
use kube::{Api, ResourceExt as _};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Writes in flight.
const IN_FLIGHT: usize = 8;
/// An error that comes as late as this is one of whatever stands between us and all objects of the namespace.
const LATE: Duration = Duration::from_secs(1);

/// What is to be written of one UserInvite.
pub enum Write {
    Status(Box<UserInviteStatus>),
    AddFinalizer,
    RemoveFinalizer,
}

pub type Written = (String, Result<UserInvite, Failure>);

pub async fn write_several(
    kube: &kube::Client,
    left_behind: &LeftBehind,
    writes: Vec<(String, Arc<UserInvite>, Write)>,
) -> Vec<Written> {
    let slow = &Mutex::new(BTreeSet::new());
    futures::stream::iter(writes)
        .map(|(name, invite, what)| async move {
            let namespace = invite.namespace().unwrap_or_default();
            if left_behind.waits(&name) {
                return (name, Err(Failure::Waits));
            }
            if lock(slow).contains(&namespace) {
                return (name, Err(Failure::PassedOver));
            }
            let begun = Instant::now();
            let mut written = write(kube, &invite, what).await;
            if let Err(Failure::ServerError { late, .. }) = &mut written {
                *late = begun.elapsed() >= LATE;
                if *late {
                    lock(slow).insert(namespace);
                }
            }
            (name, written)
        })
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await
}

async fn write(kube: &kube::Client, invite: &UserInvite, what: Write) -> Result<UserInvite, Failure> {
    let api = Api::namespaced(kube.clone(), invite.metadata.namespace.as_deref().unwrap_or_default());
    match what {
        Write::Status(status) => {
            let set = |object: &mut UserInvite| object.status = Some((*status).clone());
            put_status(&api, invite, set, |o| o.status.as_ref(), TRIES).await
        }
        Write::AddFinalizer => {
            let add = |finalizers: &mut Vec<String>| {
                if !finalizers.iter().any(|f| f == FINALIZER) {
                    finalizers.push(FINALIZER.to_owned());
                }
            };
            patch_finalizers(&api, invite, add).await
        }
        Write::RemoveFinalizer => {
            let remove = |finalizers: &mut Vec<String>| finalizers.retain(|f| f != FINALIZER);
            patch_finalizers(&api, invite, remove).await
        }
    }
}

fn lock(slow: &Mutex<BTreeSet<String>>) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
    slow.lock().unwrap_or_else(PoisonError::into_inner)
}
