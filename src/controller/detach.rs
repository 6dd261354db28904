//! For an uninstall without losing people: takes our finalizer off the UserInvites, so that nothing waits for an operator that
//! does not come back. Nobody's access changes by that and nothing else is written, neither status nor Label Studio.
//!
//! Beside a controller at work it would be in vain, so there it refuses. Whether one is at work is seen by a Lease that is
//! renewed while we look. What a Lease says of the time is compared with no clock, and one that an uninstalled release left
//! behind names a holder for ever.

use super::lease::{LABEL, LOOKS_INTO};
use super::objects::{Failure, patch_finalizers};
use super::watch::scoped;
use crate::resources::{FINALIZER, UserInvite};
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, ResourceExt as _};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Of a list that is read piece by piece.
const PIECE: u32 = 500;
/// Finalizers that are taken off at a time.
const IN_FLIGHT: usize = 8;
/// Between two looks at the Leases.
const LOOK: Duration = Duration::from_millis(500);
/// A controller without a Lease puts its finalizers back within this.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// By name alone: an object that this version cannot read can be let go all the same.
type Known = PartialObjectMeta<UserInvite>;

pub struct Scope {
    /// None: all.
    pub namespaces: Vec<String>,
    /// Where a controller's Lease is. None: anywhere.
    pub lease_namespace: Option<String>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Detached {
    /// By namespace.
    pub taken_off: BTreeMap<String, Count>,
    /// Those that still have it, or have it again, as namespace/name; with the reason where one is known.
    pub left: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    pub all: usize,
    /// So many of them are being deleted.
    pub going: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum Undetached {
    #[error(
        "a controller is at work: {holder:?} renews Lease {lease}. Stop it first (helm uninstall, or kubectl scale deployment --replicas=0): \
         it would put the finalizers back"
    )]
    Controlled { lease: String, holder: String },
    #[error("Leases {place} cannot be listed, so nobody can say whether a controller is at work: {error}{remedy}")]
    LeasesUnread { place: String, error: kube::Error, remedy: &'static str },
    #[error("namespace {0:?} does not exist")]
    NoNamespace(String),
    #[error("UserInvites {place} cannot be listed: {error}")]
    InvitesUnread { place: String, error: kube::Error },
}

/// Says what it waits for by `tell`.
pub async fn detach(kube: &kube::Client, scope: &Scope, tell: impl Fn(&str)) -> Result<Detached, Undetached> {
    for namespace in &scope.namespaces {
        // Who may not look is not told that it is missing: the list says the rest.
        if let Ok(None) = Api::<Namespace>::all(kube.clone()).get_opt(namespace).await {
            return Err(Undetached::NoNamespace(namespace.clone()));
        }
    }
    let proved = no_controller_renews(kube, scope, &tell).await?;
    let mut detached = Detached::default();
    let mut reasons = BTreeMap::new();
    for known in carriers(kube, scope).await? {
        take_off(kube, known, &mut detached, &mut reasons).await;
    }
    if !proved && !detached.taken_off.is_empty() {
        tell(
            "no controller has a Lease here, which does not say that none is at work: looking whether the finalizers stay off",
        );
        sleep(AFTERWARDS).await;
    }
    let left = carriers(kube, scope).await?.into_iter().flatten().map(|known| {
        let name = name_of(&known);
        reasons.get(&name).map_or(name.clone(), |reason| format!("{name} ({reason})"))
    });
    detached.left = left.collect();
    Ok(detached)
}

/// Whether that is certain: a Lease is there, and nobody renews it.
async fn no_controller_renews(kube: &kube::Client, scope: &Scope, tell: impl Fn(&str)) -> Result<bool, Undetached> {
    let before = leases(kube, scope).await?;
    let held = before.values().filter_map(|sight| Some((sight.holder.as_ref()?, sight.lasts)));
    let Some(longest) = held.clone().map(|(_, lasts)| lasts).max() else { return Ok(!before.is_empty()) };
    for (name, Sight { holder, .. }) in &before {
        let Some(holder) = holder else { continue };
        tell(&format!("Lease {name} names {holder:?}: looking for {} s whether it is renewed", longest.as_secs()));
    }
    let begun = Instant::now();
    loop {
        sleep(LOOK).await;
        for (lease, sight) in leases(kube, scope).await? {
            if let Some(holder) = sight.holder.clone()
                && before.get(&lease) != Some(&sight)
            {
                return Err(Undetached::Controlled { lease, holder });
            }
        }
        if begun.elapsed() >= longest {
            return Ok(true);
        }
    }
}

#[derive(Eq, PartialEq)]
struct Sight {
    holder: Option<String>,
    renewed: Option<MicroTime>,
    lasts: Duration,
}

/// Of controllers that look into any of the namespaces, by namespace and name.
async fn leases(kube: &kube::Client, scope: &Scope) -> Result<BTreeMap<String, Sight>, Undetached> {
    let api: Api<Lease> = scoped(kube, scope.lease_namespace.as_ref());
    let (label, value) = LABEL;
    let found = api.list(&ListParams::default().labels(&format!("{label}={value}"))).await.map_err(|error| {
        let (place, remedy) = match &scope.lease_namespace {
            Some(namespace) => (format!("in namespace {namespace:?}"), ""),
            None => {
                ("of all namespaces".to_owned(), ". --lease-namespace names the one in which the operator is installed")
            }
        };
        Undetached::LeasesUnread { place, error, remedy }
    })?;
    let concerned = found.items.into_iter().filter(|lease| looks_into_any(lease, &scope.namespaces));
    Ok(concerned
        .map(|lease| {
            let name = format!("{}/{}", lease.namespace().unwrap_or_default(), lease.name_any());
            let spec = lease.spec.unwrap_or_default();
            let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
            let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
            (name, Sight { holder, renewed: spec.renew_time, lasts: Duration::from_secs(lasts) })
        })
        .collect())
}

fn looks_into_any(lease: &Lease, namespaces: &[String]) -> bool {
    let looks_into = lease.annotations().get(LOOKS_INTO).filter(|looks_into| !looks_into.is_empty());
    looks_into.is_none_or(|looks_into| {
        namespaces.is_empty() || looks_into.split(',').any(|one| namespaces.iter().any(|namespace| namespace == one))
    })
}

/// Those that have our finalizer, piece by piece.
async fn carriers(kube: &kube::Client, scope: &Scope) -> Result<Vec<Vec<Known>>, Undetached> {
    let places: Vec<Option<&String>> =
        if scope.namespaces.is_empty() { vec![None] } else { scope.namespaces.iter().map(Some).collect() };
    let mut found = Vec::new();
    for place in places {
        let api: Api<UserInvite> = scoped(kube, place);
        let mut parameters = ListParams::default().limit(PIECE);
        loop {
            let piece = match api.list_metadata(&parameters).await {
                Ok(piece) => piece,
                // The kind is not there, so there is none.
                Err(kube::Error::Api(status)) if status.code == 404 => break,
                Err(error) => {
                    let place = place.map_or("of all namespaces".to_owned(), |name| format!("in namespace {name:?}"));
                    return Err(Undetached::InvitesUnread { place, error });
                }
            };
            let carries = |known: &Known| known.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
            found.push(piece.items.into_iter().filter(carries).collect());
            match piece.metadata.continue_.filter(|more| !more.is_empty()) {
                Some(more) => parameters = parameters.continue_token(&more),
                None => break,
            }
        }
    }
    Ok(found)
}

async fn take_off(
    kube: &kube::Client,
    piece: Vec<Known>,
    detached: &mut Detached,
    reasons: &mut BTreeMap<String, String>,
) {
    let without = |finalizers: &mut Vec<String>| finalizers.retain(|finalizer| finalizer != FINALIZER);
    let written: Vec<(Known, Result<Known, Failure>)> = futures::stream::iter(piece)
        .map(|known| async move {
            let api: Api<Known> = Api::namespaced(kube.clone(), &known.namespace().unwrap_or_default());
            let written = patch_finalizers(&api, &known, without).await;
            (known, written)
        })
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;
    for (known, result) in written {
        match result {
            Ok(_) => {
                let count = detached.taken_off.entry(known.namespace().unwrap_or_default()).or_default();
                count.all += 1;
                count.going += usize::from(known.metadata.deletion_timestamp.is_some());
            }
            // Gone, or written by somebody else again and again: the last look tells which.
            Err(Failure::Changed) => {}
            Err(failure) => {
                reasons.insert(name_of(&known), failure.reason());
            }
        }
    }
}

fn name_of(known: &Known) -> String {
    format!("{}/{}", known.namespace().unwrap_or_default(), known.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_counts_where_its_holder_looks_and_everywhere_if_it_does_not_say() {
        let lease = |looks_into: Option<&str>| {
            let mut lease = Lease::default();
            let said = looks_into.map(|looks_into| (LOOKS_INTO.to_owned(), looks_into.to_owned()));
            lease.annotations_mut().extend(said);
            lease
        };
        let counts = |looks_into: Option<&str>, namespaces: &[&str]| {
            looks_into_any(&lease(looks_into), &namespaces.iter().map(|&one| one.to_owned()).collect::<Vec<_>>())
        };
        assert!(counts(None, &["a"]) && counts(Some(""), &["a"]) && counts(Some(""), &[]));
        assert!(counts(Some("b,a"), &["a"]) && counts(Some("b"), &[]));
        assert!(!counts(Some("b,ab"), &["a"]));
    }
}
