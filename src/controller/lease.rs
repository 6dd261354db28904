//! Which of several replicas acts: whoever holds the Lease. Holding it is a matter of this process's own clock, which runs
//! on while the machine sleeps: each renewal moves the fence, and behind the fence no request starts. What the Lease says of
//! the time is shown to people and compared with nothing, since clocks of two machines differ.

use super::station::{Phase, Station};
use crate::label_studio::{Boottime, Fence};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Which Lease, and how long it is good for.
#[derive(Clone, Debug)]
pub struct Terms {
    pub name: String,
    /// Another replica takes over when it saw no renewal for so long: whole seconds.
    pub lasts: Duration,
    /// Where its holder looks, said in the Lease; none: everywhere.
    pub looks_into: Vec<String>,
}

/// By which a Lease of ours is found, whatever it is called and wherever it is.
pub const LABEL: (&str, &str) = ("app.kubernetes.io/name", "label-studio-operator");
/// The namespaces that its holder looks into, by comma. Empty: all.
pub const LOOKS_INTO: &str = "labelstudio.rs/looks-into";

impl Terms {
    /// No request starts when the last renewal that was accepted was sent so long ago. The rest is what a request that
    /// started just before it may take, and what clocks differ in speed.
    fn is_safe_for(&self) -> Duration {
        self.lasts * 2 / 3
    }

    /// Between two renewals, and between two looks at somebody else's Lease.
    fn pause(&self) -> Duration {
        self.lasts / 8
    }
}

/// The Lease as this process holds or wants it.
pub struct Candidate {
    api: Api<Lease>,
    terms: Terms,
    identity: String,
    fence: Fence,
    /// Somebody else's Lease as it was seen last.
    seen: Option<Sighting>,
}

struct Sighting {
    holder: Option<String>,
    /// Changes with each renewal.
    version: Option<String>,
    /// When this version was first seen.
    since: Boottime,
    /// From then on, whatever becomes of it, it is the holder's for so long.
    lasts: Duration,
}

/// The Lease in our hands.
pub struct Held {
    candidate: Candidate,
    lease: Lease,
    /// From when on nothing may start, unless it is renewed.
    until: Boottime,
}

impl Candidate {
    /// `kube` must not be behind the fence: a Lease is asked for while it is closed.
    pub fn new(kube: kube::Client, terms: Terms, fence: Fence) -> Self {
        let api = Api::default_namespaced(kube);
        // A container that starts anew in its pod is another holder: what its predecessor sent may still be under way.
        let pod = std::env::var("POD_NAME").unwrap_or_else(|_| "label-studio-operator".to_owned());
        let identity = format!("{pod}_{}", uuid::Uuid::new_v4());
        Self { api, terms, identity, fence, seen: None }
    }

    /// Waits until the Lease is ours. May be dropped at any time: what was asked for meanwhile ends by itself.
    pub async fn acquire(mut self, station: &Station) -> Held {
        loop {
            match timeout(self.terms.is_safe_for(), self.attempt()).await {
                Ok(Ok(Some((lease, until)))) => {
                    tracing::info!(lease = self.terms.name, holder = self.identity, "this replica leads");
                    return Held { candidate: self, lease, until };
                }
                Ok(Ok(None)) => station.enter(Phase::StandingBy),
                Ok(Err(error)) => self.tell(station, &error.to_string()),
                Err(_) => self.tell(station, "the API server does not answer"),
            }
            sleep(self.terms.pause()).await;
        }
    }

    fn tell(&self, station: &Station, why: &str) {
        tracing::warn!(lease = self.terms.name, why, "no Lease yet, trying again");
        station.enter(Phase::Waiting(format!("Lease {:?} cannot be had: {why}", self.terms.name)));
    }

    async fn attempt(&mut self) -> kube::Result<Option<(Lease, Boottime)>> {
        let begun = Boottime::now();
        let taken = match self.api.get_opt(&self.terms.name).await? {
            // Deleted while somebody held it, who may act until the fence closes there.
            None if self.seen.as_ref().is_some_and(|seen| seen.since.elapsed() < seen.lasts) => None,
            None => {
                let mut lease = Lease::default();
                lease.metadata.name = Some(self.terms.name.clone());
                lease.spec = Some(self.spec(None));
                self.describe(&mut lease);
                unless_conflict(self.api.create(&PostParams::default(), &lease).await)?
            }
            Some(lease) if self.is_free(&lease) => self.write(lease).await?,
            Some(_) => None,
        };
        let until = begun + self.terms.is_safe_for();
        Ok(taken.filter(|_| Boottime::now() < until).map(|lease| {
            self.fence.move_to(until);
            (lease, until)
        }))
    }

    /// Given back, ours by an answer that was lost, or not renewed for as long as its holder said.
    fn is_free(&mut self, lease: &Lease) -> bool {
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
        if holder.is_none() || holder.as_ref() == Some(&self.identity) {
            return true;
        }
        let version = lease.metadata.resource_version.clone();
        let since = match &self.seen {
            Some(seen) if seen.version == version => seen.since,
            seen => {
                if seen.as_ref().is_none_or(|seen| seen.holder != holder) {
                    tracing::info!(lease = self.terms.name, holder, "another replica leads, standing by");
                }
                Boottime::now()
            }
        };
        let said = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
        let lasts = Duration::from_secs(said).max(self.terms.lasts);
        self.seen = Some(Sighting { holder, version, since, lasts });
        since.elapsed() >= lasts
    }

    /// None: somebody else was faster.
    async fn write(&self, mut lease: Lease) -> kube::Result<Option<Lease>> {
        lease.spec = Some(self.spec(lease.spec.take()));
        self.describe(&mut lease);
        // The API server compares the resourceVersion that was read.
        unless_conflict(self.api.replace(&self.terms.name, &PostParams::default(), &lease).await)
    }

    fn describe(&self, lease: &mut Lease) {
        let (name, value) = LABEL;
        lease.labels_mut().insert(name.to_owned(), value.to_owned());
        lease.annotations_mut().insert(LOOKS_INTO.to_owned(), self.terms.looks_into.join(","));
    }

    fn spec(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let before = before.unwrap_or_default();
        let now = Some(MicroTime(Timestamp::now()));
        let ours = before.holder_identity.as_ref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.terms.lasts.as_secs()).ok(),
            acquire_time: if ours { before.acquire_time } else { now.clone() },
            renew_time: now,
            lease_transitions: Some(before.lease_transitions.unwrap_or(-1).saturating_add(i32::from(!ours))),
            ..before
        }
    }
}

impl Held {
    /// Renews it until it is lost, which is when this returns; the fence is closed then. Dropped, it renews no more.
    pub async fn keep(&mut self) {
        loop {
            sleep(self.candidate.terms.pause()).await;
            let begun = Boottime::now();
            if begun >= self.until {
                return self.lose("it was not renewed in time");
            }
            // One request that hangs must not use up the time of the next.
            match timeout(self.candidate.terms.pause() * 2, self.renew()).await {
                Ok(Ok(true)) => {
                    self.until = begun + self.candidate.terms.is_safe_for();
                    self.candidate.fence.move_to(self.until);
                }
                Ok(Ok(false)) => return self.lose("it is somebody else's"),
                Ok(Err(error)) => tracing::warn!(%error, "the Lease could not be renewed, trying again"),
                Err(_) => tracing::warn!("no answer to the renewal of the Lease, trying again"),
            }
        }
    }

    fn lose(&self, why: &str) {
        let Candidate { fence, terms, .. } = &self.candidate;
        fence.close();
        tracing::error!(lease = terms.name, why, "the Lease is lost: nothing starts any more");
    }

    async fn renew(&mut self) -> kube::Result<bool> {
        if let Some(lease) = self.candidate.write(self.lease.clone()).await? {
            self.lease = lease;
            return Ok(true);
        }
        // Somebody wrote to it, such as a label, or a renewal arrived whose answer was lost.
        let Some(lease) = self.candidate.api.get_opt(&self.candidate.terms.name).await? else { return Ok(false) };
        if holder(&lease) != Some(&self.candidate.identity) {
            return Ok(false);
        }
        let renewed = self.candidate.write(lease).await?;
        Ok(renewed.map(|lease| self.lease = lease).is_some())
    }

    /// Gives it back, so that another replica need not wait. Only after the last request has ended.
    pub async fn release(self) {
        self.candidate.fence.close();
        let Candidate { terms, .. } = &self.candidate;
        match timeout(terms.pause() * 2, self.give_back()).await {
            Ok(Ok(())) => tracing::info!(lease = terms.name, "the Lease is given back"),
            Ok(Err(error)) => tracing::warn!(%error, "the Lease ends by itself"),
            Err(_) => tracing::warn!("the Lease ends by itself"),
        }
    }

    async fn give_back(&self) -> kube::Result<()> {
        let Candidate { api, terms, identity, .. } = &self.candidate;
        // Read anew until it fits: a renewal may have been cut short by the end.
        while let Some(mut lease) = api.get_opt(&terms.name).await?
            && holder(&lease) == Some(identity)
        {
            if let Some(spec) = &mut lease.spec {
                spec.holder_identity = None;
            }
            if unless_conflict(api.replace(&terms.name, &PostParams::default(), &lease).await)?.is_some() {
                break;
            }
        }
        Ok(())
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    lease.spec.as_ref()?.holder_identity.as_ref()
}

fn unless_conflict(written: kube::Result<Lease>) -> kube::Result<Option<Lease>> {
    match written {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A leader that dies just after a renewal is followed when another has seen that renewal, has waited the Lease out and looks.
    #[test]
    fn by_the_usual_terms_another_leads_within_sixteen_seconds_and_never_before_the_fence_is_closed() {
        let terms = Terms { name: "lease".to_owned(), lasts: Duration::from_secs(12), looks_into: Vec::new() };
        assert!(terms.pause() + terms.lasts + terms.pause() < Duration::from_secs(16));
        assert!(terms.is_safe_for() + Duration::from_secs(4) <= terms.lasts);
        assert!(terms.pause() * 4 < terms.is_safe_for(), "a renewal or two may fail");
    }

    #[tokio::test]
    async fn no_number_that_somebody_writes_into_the_lease_ends_the_process() {
        let config = kube::Config::new("https://127.0.0.1:1".parse().unwrap());
        let terms = Terms { name: "lease".to_owned(), lasts: Duration::from_secs(15), looks_into: Vec::new() };
        let candidate = Candidate::new(kube::Client::try_from(config).unwrap(), terms, Fence::closed());
        let before = LeaseSpec { lease_transitions: Some(i32::MAX), ..LeaseSpec::default() };
        assert_eq!(candidate.spec(Some(before)).lease_transitions, Some(i32::MAX));
    }
}
