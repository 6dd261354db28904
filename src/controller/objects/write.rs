//! One write of one object, and why it failed.

use super::MANAGER;
use crate::engine::memory::Forgotten;
use crate::resources::UserInvite;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// How often a write is tried whose object somebody else edits at the same time.
pub const TRIES: u32 = 3;

/// Why an object was not written.
#[derive(Debug)]
pub enum Failure {
    /// Somebody else wrote it, or it is gone.
    Changed,
    /// It could not be written before, and is not tried in this pass.
    Waits,
    /// Others in its namespace wait long for their answer, so it is not tried.
    PassedOver,
    /// An answer about this object, not about us or the API server.
    Refused(kube::Error),
    /// About this object or about all: which of the two others tell, or time.
    ServerError {
        error: kube::Error,
        /// It was long in coming.
        late: bool,
    },
    Unanswered(kube::Error),
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) => match status.code {
                404 => Self::Changed,
                400 | 403 | 405 | 413 | 422 => Self::Refused(error),
                500.. => Self::ServerError { error, late: false },
                _ => Self::Unanswered(error),
            },
            // What it looks like afterwards we cannot read.
            kube::Error::SerdeError(_) => Self::Refused(error),
            _ => Self::Unanswered(error),
        }
    }
}

impl Failure {
    pub fn reason(&self) -> String {
        match self {
            Self::Changed => "it was changed by somebody else".to_owned(),
            Self::Waits => "it could not be written before".to_owned(),
            Self::PassedOver => "the API server takes too long to answer for others in its namespace".to_owned(),
            Self::Refused(error) | Self::ServerError { error, .. } | Self::Unanswered(error) => error.to_string(),
        }
    }

    /// The pass ends.
    pub fn ends<K: Resource<DynamicType = ()>>(&self, object: &K) -> Forgotten {
        match self {
            Self::Changed => Forgotten::Changed(name_of(object)),
            _ => Forgotten::Unwritten { object: name_of(object), reason: self.reason() },
        }
    }

    /// It goes on without this object.
    pub fn leaves_behind(&self, invite: &UserInvite) -> Forgotten {
        Forgotten::LeftBehind { object: name_of(invite), reason: self.reason() }
    }
}

/// Compare-and-swap of the status: a conflict is no matter as long as nobody else changed the *status* that we knew.
pub async fn put_status<K, S>(
    api: &Api<K>,
    known: &K,
    set: impl Fn(&mut K),
    status: impl Fn(&K) -> Option<&S>,
    tries: u32,
) -> Result<K, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
    S: PartialEq,
{
    let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let mut object = known.clone();
    for _ in 0..tries {
        set(&mut object);
        match api.replace_status(&object.name_any(), &parameters, &object).await {
            Ok(mut written) => {
                written.managed_fields_mut().clear();
                return Ok(written);
            }
            Err(error) if is_conflict(&error) => {
                let live = api.get_opt(&object.name_any()).await?;
                let same = |live: &K| live.uid() == known.uid() && status(live) == status(known);
                object = live.filter(same).ok_or(Failure::Changed)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Changed)
}

/// Compare-and-swap of the finalizers: after a conflict the change is made to those that stand then.
pub async fn patch_finalizers<K>(api: &Api<K>, known: &K, change: impl Fn(&mut Vec<String>)) -> Result<K, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let name = known.name_any();
    let mut finalizers = known.finalizers().to_vec();
    change(&mut finalizers);
    let mut version = known.resource_version();
    for _ in 0..TRIES {
        let patch = serde_json::json!({"metadata": {"finalizers": finalizers, "resourceVersion": version}});
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match api.patch(&name, &parameters, &Patch::Merge(&patch)).await {
            Ok(mut written) => {
                written.managed_fields_mut().clear();
                return Ok(written);
            }
            Err(error) if is_conflict(&error) => {
                let live = api.get_opt(&name).await?;
                let Some(live) = live.filter(|live| live.uid() == known.uid()) else {
                    return Err(Failure::Changed);
                };
                finalizers = live.finalizers().to_vec();
                change(&mut finalizers);
                version = live.resource_version();
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Changed)
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn name_of<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{} {}/{}", K::kind(&()), object.namespace().unwrap_or_default(), object.name_any())
}
