//! The Secret and the ConfigMap that an Organization refers to: one watch per name, so that a rotated token is used
//! at once and no cache ever holds the namespace's other Secrets.

use super::task::OrganizationKey;
use crate::engine::problem::Problem;
use crate::label_studio::{BaseUrl, Token};
use crate::resources::{Bootstrap, KeyRef, OrganizationSpec, PasswordKeyRef, SecretKeyRef};
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

/// Where a server is, and whom it is trusted by.
#[derive(Clone)]
pub struct Place {
    pub base_url: BaseUrl,
    pub ca_bundle: Option<Vec<u8>>,
}

/// Reads what an Organization refers to, in the newest form that was watched.
pub struct Reader<'a> {
    pub kube: &'a kube::Client,
    pub key: &'a OrganizationKey,
    pub spec: &'a OrganizationSpec,
    pub references: &'a mut References,
    pub wake: &'a channel::Sender<u64>,
    /// Hosts that an Organization may name; empty: every one.
    pub allowed: &'a [String],
}

impl Reader<'_> {
    pub async fn place(&mut self) -> Result<Place, Problem> {
        let spec = self.spec;
        let base_url = BaseUrl::parse(&spec.url)
            .map_err(|error| Problem::stalled("InvalidUrl", format!("spec.url {:?}: {error}", spec.url)))?;
        if !self.allowed.is_empty() && !self.allowed.iter().any(|host| host == base_url.host()) {
            let message = format!(
                "spec.url {:?}: this operator may not talk to {:?}: name another host, or ask whoever installed it to add this one (chart value allowedServers, --allowed-server)",
                spec.url,
                base_url.host()
            );
            return Err(Problem::stalled("ServerNotAllowed", message));
        }
        let authority = spec.tls.as_ref().and_then(|tls| Some((reference(&tls.ca_bundle)?, &tls.ca_bundle.key)));
        let ca_bundle = match authority {
            Some((at, key)) => Some(self.value(&at, key, "spec.tls.caBundle").await?),
            None => None,
        };
        Ok(Place { base_url, ca_bundle })
    }

    /// `None`: there is no such Secret, or it lacks the key, and `spec.bootstrap` is there to change that.
    pub async fn token(&mut self) -> Result<Option<Token>, Problem> {
        let SecretKeyRef { name, key } = &self.spec.credentials.secret_ref;
        let what = "spec.credentials.secretRef";
        let value = self.value(&Reference::Secret(name.clone()), key, what).await;
        let is_absent = |problem: &Problem| matches!(problem.reason, "SecretMissing" | "SecretKeyMissing");
        if self.spec.bootstrap.is_some() && value.as_ref().is_err_and(is_absent) {
            return Ok(None);
        }
        let refused = |why: String| {
            let message = format!("{what}: key {key:?} of Secret {name:?}{why}");
            Problem::stalled("InvalidToken", message).unauthenticated()
        };
        let text = String::from_utf8(value?)
            .map_err(|_| refused(" is not text: put the token itself there, as text".to_owned()))?;
        Token::parse(SecretString::from(text)).map(Some).map_err(|error| refused(format!(": {error}")))
    }

    /// The password of the first account.
    pub async fn password(&mut self, bootstrap: &Bootstrap) -> Result<SecretString, Problem> {
        let PasswordKeyRef { name, key } = &bootstrap.password_secret_ref;
        let what = "spec.bootstrap.passwordSecretRef";
        let bytes = self.value(&Reference::Secret(name.clone()), key, what).await?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Problem::stalled("BootstrapPasswordRefused", format!("{what}: key {key:?} of Secret {name:?} is not text"))
        })?;
        Ok(SecretString::from(text))
    }

    async fn value(&mut self, at: &Reference, key: &str, what: &str) -> Result<Vec<u8>, Problem> {
        self.references.value(self.kube, self.key, at, key, what, self.wake).await
    }
}

impl References {
    /// Ends the watches of what is not referred to any more.
    pub fn retain(&mut self, spec: &OrganizationSpec) {
        let token = Reference::Secret(spec.credentials.secret_ref.name.clone());
        let authority = spec.tls.as_ref().and_then(|tls| reference(&tls.ca_bundle));
        let password = spec.bootstrap.as_ref().map(|b| Reference::Secret(b.password_secret_ref.name.clone()));
        let referred = [Some(token), authority, password];
        self.watches.retain(|at, _| referred.iter().flatten().any(|other| other == at));
    }
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
    /// Watches this Secret and nothing else, for somebody who reads it without us: what comes after this call wakes.
    pub async fn follow_secret(
        &mut self,
        kube: &kube::Client,
        key: &OrganizationKey,
        name: &str,
        wake: &channel::Sender<u64>,
    ) {
        let at = Reference::Secret(name.to_owned());
        self.watches.retain(|watched, _| *watched == at);
        let watch =
            self.watches.entry(at).or_insert_with_key(|at| Watch::start(kube, &key.namespace, at, wake.clone()));
        let looked = tokio::time::timeout(FIRST_LOOK, watch.looked.wait_for(|looked| *looked)).await;
        drop(looked);
    }

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
