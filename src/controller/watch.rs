//! Caches of both kinds, and which Organization an event is about. Events are filtered *after* the cache, so that the
//! cache stays true while our own status writes wake nobody.

mod listing;
mod signal;

use self::listing::{Listing, Listings, Says};
use self::signal::{Signal, Signals};
use super::Context;
use super::readable::readable;
use super::rivals::heard;
use super::shard::is_ours;
use super::task::{OrganizationKey, Tasks, stopped};
use crate::resources::{Organization, UserInvite};
use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt as _};
use kube::core::{DeserializeGuard, Selector};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::events::EventType;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::watch as channel;

/// What is seen of one namespace, or of all.
pub struct Watched {
    namespace: Option<String>,
    /// Nobody looks for Organizations there, and none is known.
    only_invites: bool,
    /// What the API server lets us list of it; until that is everything, the namespace is left out.
    listings: channel::Receiver<Listings>,
    pub organizations: Store<Organization>,
    pub invites: Store<UserInvite>,
}

pub type Streams = SelectAll<BoxStream<'static, Seen>>;

/// An event that the cache has taken in.
pub enum Seen {
    Object {
        is_invite: bool,
        signal: Signal,
        organization: OrganizationKey,
    },
    /// Everything of this kind there was listed anew, so what vanished in between gave no event.
    Relisted {
        is_invite: bool,
        /// Empty: all.
        namespace: String,
    },
    /// This namespace cannot be listed, says the API server; once for each time that it begins to.
    Refused(String),
}

/// `namespaces`: where both kinds are looked for; none: everywhere. `invite_namespaces`: where UserInvites alone are, too.
/// `selector`: whose Organizations are ours; of the others that is heard which ours have to know.
pub fn watch(
    kube: &kube::Client,
    namespaces: &[String],
    invite_namespaces: &[String],
    selector: &Selector,
) -> (Vec<Watched>, Streams) {
    // Each once, whoever names one twice.
    let both: BTreeSet<&String> = namespaces.iter().collect();
    let only_invites: BTreeSet<&String> = invite_namespaces.iter().filter(|also| !both.contains(also)).collect();
    let mut streams = SelectAll::new();
    let mut watched = Vec::new();
    if both.is_empty() {
        watched.push(watch_both(kube, None, selector, &mut streams));
        return (watched, streams);
    }
    watched.extend(both.into_iter().map(|namespace| watch_both(kube, Some(namespace), selector, &mut streams)));
    watched.extend(only_invites.into_iter().map(|namespace| watch_invites(kube, namespace, &mut streams)));
    (watched, streams)
}

fn watch_both(kube: &kube::Client, namespace: Option<&String>, selector: &Selector, streams: &mut Streams) -> Watched {
    let (of_organizations, of_invites, listings) = Says::both(namespace.cloned().unwrap_or_default());
    let (organizations, events) = cache(scoped(kube, namespace), of_organizations);
    let selector = selector.clone();
    let more = move |organization: &Organization| (!is_ours(&selector, organization)).then(|| heard(organization));
    streams.push(events.map(move |change| seen(change, false, key_of, &more)).boxed());
    let (invites, events) = cache(scoped(kube, namespace), of_invites);
    streams.push(events.map(|change| seen(change, true, organization_of, |_| None)).boxed());
    Watched { namespace: namespace.cloned(), only_invites: false, listings, organizations, invites }
}

fn watch_invites(kube: &kube::Client, namespace: &String, streams: &mut Streams) -> Watched {
    let (of_invites, listings) = Says::of_invites(namespace.clone());
    let (invites, events) = cache(scoped(kube, Some(namespace)), of_invites);
    streams.push(events.map(|change| seen(change, true, organization_of, |_| None)).boxed());
    let (organizations, _) = reflector::store();
    Watched { namespace: Some(namespace.clone()), only_invites: true, listings, organizations, invites }
}

/// Wakes tasks until `stop`. No plan before every cache is in sync: until then events are only taken in. What the API server
/// refuses to list is not waited for, or one lost namespace would stop all.
pub async fn follow(mut streams: Streams, context: &Arc<Context>, tasks: &Tasks, mut stop: channel::Receiver<bool>) {
    let synced = async {
        for watched in &context.watched {
            if watched.listings.clone().wait_for(|listings| listings.are_known()).await.is_err() {
                tracing::error!("a watch ended before its cache was in sync");
            }
        }
    };
    tokio::pin!(synced);
    let mut signals = Signals::default();
    let mut ready = false;
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = &mut synced, if !ready => {
                ready = true;
                tracing::info!("caches in sync");
                start(context, tasks);
                context.watched.iter().filter(|watched| watched.is_left_out()).for_each(|w| tell_refused(context, w.name()));
            }
            seen = streams.next() => {
                let Some(seen) = seen else { return };
                let (is_invite, signal, organization) = match seen {
                    Seen::Object { is_invite, signal, organization } => (is_invite, signal, organization),
                    Seen::Relisted { is_invite, namespace } => {
                        signals.retain(|kind, at, name| {
                            kind != is_invite || (!namespace.is_empty() && at != namespace) || context.holds(kind, at, name)
                        });
                        if ready {
                            // A task that was woken by the list before its end has found nothing, and retired.
                            start(context, tasks);
                            tasks.wake_all();
                        }
                        continue;
                    }
                    Seen::Refused(namespace) => {
                        if ready {
                            // Passes under way stand on what was known of it.
                            tasks.wake_all();
                            tell_refused(context, &namespace);
                        }
                        continue;
                    }
                };
                if signals.wakes(is_invite, signal) && ready {
                    tasks.wake(&organization);
                    if !is_invite {
                        context.rivals.stir(&organization);
                        context.rivals.hear(context, &organization);
                    }
                }
            }
        }
    }
}

/// Every Organization is told, since any may miss the people of that namespace.
fn tell_refused(context: &Arc<Context>, namespace: &str) {
    let note = format!(
        "namespace {namespace:?} cannot be listed: it does not exist, or the operator's right there is missing. It is left out until it can"
    );
    let all = context.watched.iter().flat_map(|watched| watched.organizations.state());
    let organizations: Vec<_> = all.filter(|organization| context.is_ours(organization)).collect();
    let context = context.clone();
    tokio::spawn(async move {
        for organization in organizations {
            context.events.tell(&*organization, EventType::Warning, "NamespaceLeftOut", &note).await;
        }
    });
}

/// Generations never observed first, the rest spread: a restart is no burst.
fn start(context: &Arc<Context>, tasks: &Tasks) {
    let mut calm: HashMap<OrganizationKey, bool> = HashMap::new();
    for watched in &context.watched {
        for organization in watched.organizations.state() {
            let status = organization.status.as_ref();
            let observed = status.and_then(|s| s.observed_generation) == organization.metadata.generation
                && status.is_some_and(|s| s.in_flight.is_none() && s.departures.is_empty() && s.progress.is_none())
                && status.and_then(|s| s.invite_link.as_ref()?.rotating.as_ref()).is_none();
            calm.insert(key_of(&organization), observed);
        }
    }
    for watched in &context.watched {
        for invite in watched.invites.state() {
            let observed = invite.status.as_ref().and_then(|s| s.observed_generation) == invite.metadata.generation
                && invite.metadata.deletion_timestamp.is_none();
            *calm.entry(organization_of(&invite)).or_insert(false) &= observed;
        }
    }
    let spread = context.settings.start_spread;
    for (key, calm) in calm {
        let delay = if calm { spread.mul_f64(fastrand::f64()) } else { std::time::Duration::ZERO };
        tasks.start(&key, delay);
    }
}

impl Context {
    /// The store that holds the Organizations of this namespace; none where nobody looks for any.
    pub fn organizations_in(&self, namespace: &str) -> Option<&Watched> {
        self.watched(namespace).filter(|watched| !watched.only_invites)
    }

    /// The store that holds this namespace.
    fn watched(&self, namespace: &str) -> Option<&Watched> {
        self.watched.iter().find(|w| w.namespace.as_deref().is_none_or(|watched| watched == namespace))
    }

    /// Every UserInvite that refers to this Organization, wherever it is. They are looked through at each pass, so the name,
    /// which tells most of them apart, is compared first and nothing is copied.
    pub fn invites_of(&self, key: &OrganizationKey) -> Vec<Arc<UserInvite>> {
        let refers = |invite: &UserInvite| {
            invite.spec.organization_ref.name == key.name && invite.organization_namespace() == key.namespace
        };
        self.watched.iter().flat_map(|watched| watched.invites.state_filter(refers)).collect()
    }

    /// Namespaces whose UserInvites cannot be listed now: what is claimed there nobody knows.
    pub fn unlisted(&self) -> BTreeSet<String> {
        let unlisted = self.watched.iter().filter(|watched| watched.listings.borrow().invites != Listing::Listed);
        unlisted.filter_map(|watched| watched.namespace.clone()).collect()
    }

    /// Whether a cache holds an object of this name.
    fn holds(&self, is_invite: bool, namespace: &str, name: &str) -> bool {
        self.watched(namespace).is_some_and(|watched| {
            if is_invite {
                watched.invites.get(&ObjectRef::new(name).within(namespace)).is_some()
            } else {
                watched.organizations.get(&ObjectRef::new(name).within(namespace)).is_some()
            }
        })
    }

    /// As the cache holds it.
    pub fn invite(&self, known: &UserInvite) -> Option<Arc<UserInvite>> {
        let namespace = known.metadata.namespace.as_deref().unwrap_or_default();
        self.watched(namespace)?.invites.get(&ObjectRef::new(&known.name_any()).within(namespace))
    }
}

impl Watched {
    /// Something of it could not be listed, and is not yet listed again: what is cached of it may be nothing, or old.
    pub fn is_left_out(&self) -> bool {
        !self.listings.borrow().are_complete()
    }

    /// The API server refuses to list something of it.
    pub fn is_refused(&self) -> bool {
        self.listings.borrow().has_refused()
    }

    /// Empty: all.
    pub fn name(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// None: all.
    pub fn namespace(&self) -> Option<&String> {
        self.namespace.as_ref()
    }

    pub fn organization(&self, key: &OrganizationKey) -> Option<Arc<Organization>> {
        self.organizations.get(&ObjectRef::new(&key.name).within(&key.namespace))
    }
}

pub fn scoped<K>(kube: &kube::Client, namespace: Option<&String>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(kube.clone(), namespace),
        None => Api::all(kube.clone()),
    }
}

enum Change<K> {
    Object {
        object: K,
        gone: bool,
    },
    /// The list of this namespace is complete.
    Listed(String),
    Refused(String),
}

/// That a list is refused does not pass by itself; whatever else goes wrong may. An API server that has just started refuses
/// watches for a moment, until it knows who may what.
fn is_refusal(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(error) if is_refused(error))
}

fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 404))
}

/// kube's watcher would ask for the same watch for ever after it was refused: only a list tells whether the right is gone, and
/// a list is what has to come once it is back.
fn events<K>(api: Api<K>) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    use watcher::Error::{WatchFailed, WatchStartFailed};
    let begin = move || watcher(api.clone(), watcher::Config::default()).boxed();
    futures::stream::unfold((begin(), begin), |(mut events, begin)| async move {
        let event = events.next().await?;
        if matches!(&event, Err(WatchStartFailed(error) | WatchFailed(error)) if is_refused(error)) {
            events = begin();
        }
        Some((event, (events, begin)))
    })
}

fn cache<K>(api: Api<DeserializeGuard<K>>, says: Says) -> (Store<K>, BoxStream<'static, Change<K>>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let known = store.clone();
    let events = events(api)
        .default_backoff()
        .filter_map(move |event| std::future::ready(event.map(|event| readable(event, &known)).transpose()))
        .modify(|object| {
            // Nothing reads them, and they are larger than everything else.
            object.managed_fields_mut().clear();
            object.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
        })
        .reflect(writer)
        .filter_map(move |event| {
            std::future::ready(match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => Some(Change::Object { object, gone: false }),
                Ok(Event::Delete(object)) => Some(Change::Object { object, gone: true }),
                Ok(Event::InitDone) => {
                    says.listed();
                    Some(Change::Listed(says.namespace.clone()))
                }
                Ok(Event::Init) => None,
                Err(error) => {
                    let namespace = &says.namespace;
                    tracing::warn!(kind = %K::kind(&()), namespace, %error, "watch failed, trying again");
                    let new = is_refusal(&error) && says.refused();
                    new.then(|| Change::Refused(namespace.clone()))
                }
            })
        });
    (store, events.boxed())
}

fn seen<K: Resource>(
    change: Change<K>,
    is_invite: bool,
    organization: impl Fn(&K) -> OrganizationKey,
    more: impl Fn(&K) -> Option<String>,
) -> Seen {
    match change {
        Change::Object { object, gone } => {
            let signal = Signal::of(&object, gone).with(more(&object));
            Seen::Object { is_invite, signal, organization: organization(&object) }
        }
        Change::Listed(namespace) => Seen::Relisted { is_invite, namespace },
        Change::Refused(namespace) => Seen::Refused(namespace),
    }
}

pub fn key_of(organization: &Organization) -> OrganizationKey {
    OrganizationKey { namespace: organization.namespace().unwrap_or_default(), name: organization.name_any() }
}

/// The Organization that it refers to, whether or not there is one.
pub fn organization_of(invite: &UserInvite) -> OrganizationKey {
    let namespace = invite.organization_namespace().to_owned();
    OrganizationKey { namespace, name: invite.spec.organization_ref.name.clone() }
}
