//! The Secret and the ConfigMap that an Organization refers to: one watch per name, so that a rotated token is used
//! at once and no cache ever holds the namespace's other Secrets.

use super::situation::Problem;
use super::task::OrganizationKey;
use crate::label_studio::{BaseUrl, Connection, Timeouts, Token};
use crate::resources::{KeyRef, OrganizationSpec};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use kube::{Api, Resource};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;

/// How long the first look at a referred object may take before the pass goes on without it.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// The watches of one Organization, by what they watch.
#[derive(Default)]
pub struct References {
    watches: BTreeMap<Reference, Watch>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Reference {
    Secret(String),
    ConfigMap(String),
}

struct Watch {
    seen: Arc<Mutex<Sight>>,
    looked: channel::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
enum Sight {
    Unknown,
    Missing,
    Unreadable(String),
    Data(BTreeMap<String, Vec<u8>>),
}

/// What it takes to ask the server, from spec and referred objects.
pub async fn connection(
    kube: &kube::Client,
    key: &OrganizationKey,
    spec: &OrganizationSpec,
    references: &mut References,
    wake: &channel::Sender<u64>,
    timeouts: Timeouts,
) -> Result<Connection, Problem> {
    let base_url = BaseUrl::parse(&spec.url)
        .map_err(|error| Problem::stalled("InvalidUrl", format!("spec.url {:?}: {error}", spec.url)))?;
    let secret = &spec.credentials.secret_ref;
    let token_at = Reference::Secret(secret.name.clone());
    let ca_at = spec.tls.as_ref().and_then(|tls| reference(&tls.ca_bundle).map(|at| (at, tls.ca_bundle.key.clone())));
    references.watches.retain(|at, _| *at == token_at || ca_at.as_ref().is_some_and(|(ca, _)| ca == at));

    let what = "spec.credentials.secretRef";
    let bytes = references.value(kube, key, &token_at, &secret.key, what, wake).await?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Problem::stalled(
            "InvalidToken",
            format!(
                "{what}: key {:?} of Secret {:?} is not text: put the token itself there, as text",
                secret.key, secret.name
            ),
        )
        .unauthenticated()
    })?;
    let token = Token::parse(SecretString::from(text)).map_err(|error| {
        Problem::stalled("InvalidToken", format!("{what}: key {:?} of Secret {:?}: {error}", secret.key, secret.name))
            .unauthenticated()
    })?;
    let ca_bundle = match ca_at {
        Some((at, entry)) => Some(references.value(kube, key, &at, &entry, "spec.tls.caBundle", wake).await?),
        None => None,
    };
    Ok(Connection { base_url, token, ca_bundle, timeouts })
}

fn reference(key: &KeyRef) -> Option<Reference> {
    let secret = key.secret_name.clone().map(Reference::Secret);
    secret.or_else(|| key.config_map_name.clone().map(Reference::ConfigMap))
}

impl Reference {
    fn choose(&self, secret: &'static str, config_map: &'static str) -> &'static str {
        match self {
            Self::Secret(_) => secret,
            Self::ConfigMap(_) => config_map,
        }
    }
}

impl References {
    async fn value(
        &mut self,
        kube: &kube::Client,
        key: &OrganizationKey,
        at: &Reference,
        entry: &str,
        field: &str,
        wake: &channel::Sender<u64>,
    ) -> Result<Vec<u8>, Problem> {
        let watch =
            self.watches.entry(at.clone()).or_insert_with(|| Watch::start(kube, &key.namespace, at, wake.clone()));
        let looked = tokio::time::timeout(FIRST_LOOK, watch.looked.wait_for(|looked| *looked)).await;
        drop(looked);
        let sight = watch.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let namespace = &key.namespace;
        match sight {
            Sight::Data(mut data) => data.remove(entry).ok_or_else(|| {
                // Not which keys it has: whoever may write an Organization may not be allowed to read the Secret.
                Problem::waiting(
                    at.choose("SecretKeyMissing", "ConfigMapKeyMissing"),
                    format!("{field}: {at} in namespace {namespace:?} has no key {entry:?}: add it, or name another in {field}.key"),
                )
            }),
            Sight::Missing => Err(Problem::waiting(
                at.choose("SecretMissing", "ConfigMapMissing"),
                format!("{field}: there is no {at} in namespace {namespace:?}: create it, or name another"),
            )),
            Sight::Unreadable(error) => Err(Problem::waiting(
                at.choose("SecretUnreadable", "ConfigMapUnreadable"),
                format!("{field}: {at} in namespace {namespace:?} cannot be read: {error}"),
            )),
            Sight::Unknown => Err(Problem::transient(
                at.choose("SecretUnreadable", "ConfigMapUnreadable"),
                format!("{field}: {at} in namespace {namespace:?} is not read yet: the API server does not answer"),
            )),
        }
    }
}

impl Watch {
    fn start(kube: &kube::Client, namespace: &str, at: &Reference, wake: channel::Sender<u64>) -> Self {
        let seen = Arc::new(Mutex::new(Sight::Unknown));
        let (tell, looked) = channel::channel(false);
        let into = seen.clone();
        let put = move |sight: Sight| {
            let mut known = into.lock().unwrap_or_else(PoisonError::into_inner);
            // A watch that fails for a moment takes nothing away that was read before.
            if matches!((&*known, &sight), (Sight::Data(_), Sight::Unreadable(_))) {
                return;
            }
            *known = sight;
            drop(known);
            // The pass that started the watch waits for its first look; only what comes later wakes.
            if tell.send_replace(true) {
                wake.send_modify(|count| *count += 1);
            }
        };
        let task = match at {
            Reference::Secret(name) => {
                let api: Api<Secret> = Api::namespaced(kube.clone(), namespace);
                tokio::spawn(follow(api, name.clone(), put, |secret| {
                    secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
                }))
            }
            Reference::ConfigMap(name) => {
                let api: Api<ConfigMap> = Api::namespaced(kube.clone(), namespace);
                tokio::spawn(follow(api, name.clone(), put, |map| {
                    let text = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
                    let binary = map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
                    text.chain(binary).collect()
                }))
            }
        };
        Self { seen, looked, task }
    }
}

async fn follow<K>(
    api: Api<K>,
    name: String,
    put: impl Fn(Sight) + Send + Sync,
    data: impl Fn(K) -> BTreeMap<String, Vec<u8>> + Send + Sync,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let events = watch_object(api, &name).default_backoff();
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Some(object)) => put(Sight::Data(data(object))),
            Ok(None) => put(Sight::Missing),
            Err(error) => put(Sight::Unreadable(error.to_string())),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "Secret {name:?}"),
            Self::ConfigMap(name) => write!(f, "ConfigMap {name:?}"),
        }
    }
}
