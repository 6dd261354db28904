//! The Kubernetes objects of one Organization, in the newest form known: from the cache, or as we last wrote them.
//! The only place that writes them: status whole, by PUT with resourceVersion, and the finalizer. Never a spec.

mod several;
mod write;

use self::several::{Write, Written, write_several};
use self::write::{TRIES, put_status};
use super::Context;
use super::left_behind::LeftBehind;
use super::shard::is_ours;
use super::task::OrganizationKey;
use crate::engine::grants::foreign_namespace;
use crate::engine::memory::Forgotten;
use crate::resources::{Approval, FINALIZER, Organization, OrganizationStatus, UserInvite, UserInviteStatus};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::Selector;
use kube::{Api, Resource, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::write::{Failure, patch_finalizers};

/// Name under which the API server notes who wrote what.
pub const MANAGER: &str = "label-studio-operator";

pub struct Objects {
    kube: kube::Client,
    pub key: OrganizationKey,
    selector: Selector,
    pub organization: Option<Arc<Organization>>,
    /// The generation of its spec when the pass began, which the plan is made of.
    judged: Option<i64>,
    /// By [`UserInvite::key`]: not all need be in the Organization's namespace.
    pub invites: BTreeMap<String, Arc<UserInvite>>,
    /// Written by us; the cache may not hold them yet.
    written: BTreeSet<String>,
    pub left_behind: LeftBehind,
    /// Approvals that were stored and not told yet.
    used: Vec<Approval>,
}

impl Objects {
    /// `selector`: whose Organizations are ours.
    pub fn new(kube: kube::Client, key: OrganizationKey, selector: Selector) -> Self {
        Self {
            kube,
            key,
            selector,
            organization: None,
            judged: None,
            invites: BTreeMap::new(),
            written: BTreeSet::new(),
            left_behind: LeftBehind::default(),
            used: Vec::new(),
        }
    }

    /// Takes in what the cache holds, unless we have written something newer ourselves.
    pub fn refresh(&mut self, context: &Context) {
        let cached = context.organizations_in(&self.key.namespace).and_then(|watched| watched.organization(&self.key));
        self.organization = match (cached, self.organization.take()) {
            (Some(cached), Some(own)) => Some(newer(cached, own)),
            (cached, _) => cached,
        };
        let mut before = std::mem::take(&mut self.invites);
        for cached in context.invites_of(&self.key) {
            let name = cached.key();
            let invite = match before.remove(&name) {
                Some(own) => newer(cached, own),
                None => cached,
            };
            self.invites.insert(name, invite);
        }
    }

    /// Lets go of what we have written ourselves and the cache holds by now: of ten thousand objects one copy is enough.
    pub fn release(&mut self, context: &Context) {
        let Self { invites, written, .. } = self;
        written.retain(|name| {
            let Some(own) = invites.get_mut(name) else { return false };
            let Some(cached) = context.invite(own) else { return true };
            let same = cached.metadata.uid == own.metadata.uid
                && cached.metadata.resource_version == own.metadata.resource_version;
            if same {
                *own = cached;
            }
            !same
        });
    }

    /// Begins a pass: decides which of those that could not be written are tried again. All, when somebody has `asked` for it.
    pub fn begin(&mut self, asked: Option<&String>) {
        let Self { organization, invites, left_behind, .. } = self;
        self.judged = organization.as_ref().and_then(|organization| organization.metadata.generation);
        left_behind.begin(|name| invites.get(name).map(AsRef::as_ref), asked);
    }

    /// UserInvites that are not being deleted.
    pub fn living(&self) -> impl Iterator<Item = &UserInvite> {
        self.invites.values().map(AsRef::as_ref).filter(|invite| invite.metadata.deletion_timestamp.is_none())
    }

    /// UserInvites that are being deleted and still carry our finalizer.
    pub fn dying(&self) -> Vec<Arc<UserInvite>> {
        let dying = |invite: &&Arc<UserInvite>| invite.metadata.deletion_timestamp.is_some() && is_finalized(invite);
        self.invites.values().filter(dying).cloned().collect()
    }

    pub async fn put_organization(&mut self, status: OrganizationStatus) -> Result<(), Forgotten> {
        let Some(known) = self.organization.clone() else {
            return Err(Forgotten::Changed(format!("Organization {}", self.key)));
        };
        if known.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let api: Api<Organization> = Api::namespaced(self.kube.clone(), &self.key.namespace);
        // A new mark is stored over exactly what was read: a status that was changed and changed back is another one.
        let mark = |status: Option<&OrganizationStatus>| status.and_then(|s| s.in_flight.clone()).map(|mark| mark.id);
        let marks = status.in_flight.is_some() && mark(Some(&status)) != mark(known.status.as_ref());
        if marks && known.metadata.generation != self.judged {
            // An earlier write of this pass came upon an edit of the spec: whether it still asks for this mail nobody has asked.
            return Err(Forgotten::Changed(format!("Organization {}", self.key)));
        }
        let tries = if marks { 1 } else { TRIES };
        let set = |object: &mut Organization| object.status = Some(status.clone());
        let written = put_status(&api, &known, set, |o| o.status.as_ref(), tries).await;
        match written {
            Ok(object) => {
                let digest = |status: Option<&OrganizationStatus>| Some(status?.approval.as_ref()?.digest.clone());
                if digest(known.status.as_ref()) != digest(object.status.as_ref()) {
                    self.used.extend(object.status.as_ref().and_then(|status| status.approval.clone()));
                }
                let ours = is_ours(&self.selector, &object);
                self.organization = Some(Arc::new(object));
                // What was stored is true, but what it was stored for is another operator's now.
                if ours { Ok(()) } else { Err(Forgotten::Changed(format!("Organization {}", self.key))) }
            }
            Err(failure) => {
                self.reread_organization().await;
                // Without it nothing goes on.
                Err(failure.ends(&*known))
            }
        }
    }

    /// Approvals that were stored, each once, by whichever write that was.
    pub fn take_used(&mut self) -> Vec<Approval> {
        std::mem::take(&mut self.used)
    }

    /// Several statuses at once, a few in flight. The others are tried all the same when one fails; see [`tolerated`].
    pub async fn put_invites(&mut self, statuses: Vec<(String, UserInviteStatus)>) -> Result<(), Forgotten> {
        let changed = statuses.into_iter().filter_map(|(name, status)| {
            let known = self.invites.get(&name)?.clone();
            (known.status.as_ref() != Some(&status)).then(|| (name, known, Write::Status(Box::new(status))))
        });
        self.write(changed.collect()).await
    }

    /// Writes what stands there already, to see whether it can be written.
    pub async fn prove(&mut self, names: Vec<String>) -> Result<(), Forgotten> {
        let doubted = names.into_iter().filter_map(|name| {
            let known = self.invites.get(&name).filter(|known| self.left_behind.doubts(&name, known))?.clone();
            let status = known.status.clone()?;
            Some((name, known, Write::Status(Box::new(status))))
        });
        self.write(doubted.collect()).await
    }

    /// Those for which nothing can be done in this pass.
    pub fn left_behind(&self) -> BTreeSet<String> {
        self.invites.keys().filter(|name| self.left_behind.waits(name)).cloned().collect()
    }

    pub async fn add_finalizers(&mut self, names: Vec<String>) -> Result<(), Forgotten> {
        self.write(self.known(names, |known| !is_finalized(known), || Write::AddFinalizer)).await
    }

    pub async fn remove_finalizers(&mut self, names: Vec<String>) -> Result<(), Forgotten> {
        self.write(self.known(names, is_finalized, || Write::RemoveFinalizer)).await
    }

    /// Reads live whether the Organization and its namespace stand: not gone, not being deleted.
    pub async fn stands(&self) -> Result<bool, Forgotten> {
        Ok(self.standing().await.map_err(|error| self.unread(&error))?.is_some())
    }

    /// The same where it may be out of sight: what must not be read is as if it were elsewhere.
    pub async fn stands_as_far_as_seen(&self) -> Result<bool, Forgotten> {
        match self.standing().await {
            Ok(standing) => Ok(standing.is_some()),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(false),
            Err(error) => Err(self.unread(&error)),
        }
    }

    /// The same, and whether it is still the generation that was judged, and ours: else it is to be planned anew.
    pub async fn stands_as(&mut self, judged: Option<i64>) -> Result<bool, Forgotten> {
        let Some(live) = self.standing().await.map_err(|error| self.unread(&error))? else { return Ok(false) };
        if live.metadata.generation != judged || !is_ours(&self.selector, &live) {
            // The cache may be behind.
            self.organization = Some(Arc::new(live));
            return Err(Forgotten::Changed(format!("Organization {}", self.key)));
        }
        Ok(true)
    }

    fn unread(&self, error: &kube::Error) -> Forgotten {
        Forgotten::Unwritten {
            object: format!("Organization {}", self.key),
            reason: format!("it cannot be read: {error}"),
        }
    }

    async fn standing(&self) -> Result<Option<Organization>, kube::Error> {
        let organizations: Api<Organization> = Api::namespaced(self.kube.clone(), &self.key.namespace);
        let organization = organizations.get_opt(&self.key.name).await?;
        let known = self.organization.as_ref().and_then(|known| known.metadata.uid.clone());
        let standing = organization.filter(|live| {
            live.metadata.deletion_timestamp.is_none() && (known.is_none() || live.metadata.uid == known)
        });
        if standing.is_none() {
            return Ok(None);
        }
        let namespaces: Api<Namespace> = Api::all(self.kube.clone());
        let namespace = namespaces.get_opt(&self.key.namespace).await?;
        Ok(standing.filter(|_| namespace.is_some_and(|live| live.metadata.deletion_timestamp.is_none())))
    }

    fn known(
        &self,
        names: Vec<String>,
        lacks: impl Fn(&UserInvite) -> bool,
        what: impl Fn() -> Write,
    ) -> Vec<(String, Arc<UserInvite>, Write)> {
        let known = names.into_iter().filter_map(|name| Some((self.invites.get(&name)?.clone(), name)));
        known.filter(|(known, _)| lacks(known)).map(|(known, name)| (name, known, what())).collect()
    }

    async fn write(&mut self, writes: Vec<(String, Arc<UserInvite>, Write)>) -> Result<(), Forgotten> {
        // Boxed: a pass waits for it in many places.
        let written = Box::pin(write_several(&self.kube, &self.left_behind, writes)).await;
        self.take_in(written)
    }

    fn take_in(&mut self, written: Vec<Written>) -> Result<(), Forgotten> {
        let (mut end, mut behind) = (Ok(()), Ok(()));
        let others_go_on = written.iter().any(|(_, result)| result.is_ok());
        for (name, result) in written {
            let failure = match result {
                Ok(object) => {
                    self.left_behind.written(&name);
                    self.written.insert(name.clone());
                    self.invites.insert(name, Arc::new(object));
                    continue;
                }
                Err(failure) => failure,
            };
            let Some(invite) = self.invites.get(&name) else {
                end = Err(Forgotten::Changed(format!("UserInvite {name}")));
                continue;
            };
            let alone = match failure {
                Failure::Waits | Failure::PassedOver | Failure::Refused(_) => true,
                // Who changes objects in another namespace stops nobody here.
                Failure::Changed => foreign_namespace(&name).is_some(),
                // An admission webhook that is down answers so for its objects alone.
                Failure::ServerError { .. } => {
                    self.left_behind.strikes(&name) || others_go_on || self.left_behind.is_slow(&name)
                }
                Failure::Unanswered(_) => false,
            };
            let hung = matches!(failure, Failure::ServerError { late: true, .. });
            if !alone {
                if hung {
                    self.left_behind.hung(&name);
                }
                end = Err(failure.ends(&**invite));
                continue;
            }
            let error = failure.leaves_behind(invite);
            let refused = matches!(failure, Failure::Refused(_));
            if !matches!(failure, Failure::Waits | Failure::PassedOver) {
                self.left_behind.failed(&name, invite, refused, &error.to_string());
            }
            if hung {
                self.left_behind.hung(&name);
            }
            behind = Err(error);
        }
        end.and(behind)
    }

    /// After a conflict the object is read live, so that the next plan does not stand on a stale cache.
    async fn reread_organization(&mut self) {
        let api: Api<Organization> = Api::namespaced(self.kube.clone(), &self.key.namespace);
        if let Ok(Some(live)) = api.get_opt(&self.key.name).await {
            self.organization = Some(Arc::new(live));
        }
    }
}

/// What is written for its own sake and guards no act: those that are left behind keep nobody waiting.
pub fn tolerated(written: Result<(), Forgotten>) -> Result<(), Forgotten> {
    match written {
        Err(Forgotten::LeftBehind { .. }) => Ok(()),
        other => other,
    }
}

pub fn is_finalized(invite: &UserInvite) -> bool {
    invite.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// The cached object, unless ours is the same object in a later version.
fn newer<K: Resource>(cached: Arc<K>, own: Arc<K>) -> Arc<K> {
    let version = |object: &K| object.meta().resource_version.as_deref().and_then(|v| v.parse::<u64>().ok());
    if cached.meta().uid == own.meta().uid && version(&own) > version(&cached) { own } else { cached }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(names: &[&str]) -> Objects {
        let config = kube::Config::new("https://127.0.0.1:1".parse().unwrap());
        let key = OrganizationKey { namespace: "home".to_owned(), name: "acme".to_owned() };
        let mut objects = Objects::new(kube::Client::try_from(config).unwrap(), key, Selector::default());
        objects.invites = names.iter().map(|name| ((*name).to_owned(), Arc::new(invite(name)))).collect();
        objects
    }

    fn invite(name: &str) -> UserInvite {
        let spec =
            serde_json::json!({"organizationRef": {"name": "acme"}, "emails": ["a@example.com"], "role": "Annotator"});
        UserInvite::new(name, serde_json::from_value(spec).unwrap())
    }

    fn answer(code: u16) -> Failure {
        kube::Error::Api(Box::new(kube::core::Status::failure("no", "Unlucky").with_code(code))).into()
    }

    fn is_left_behind(written: &Result<(), Forgotten>) -> bool {
        matches!(written, Err(Forgotten::LeftBehind { .. }))
    }

    #[tokio::test]
    async fn no_mark_is_stored_for_a_plan_of_an_older_spec() {
        let mut objects = objects(&[]);
        let spec =
            serde_json::json!({"url": "https://ls.example.com", "credentials": {"secretRef": {"name": "token"}}});
        let mut organization = Organization::new("acme", serde_json::from_value(spec).unwrap());
        organization.metadata.generation = Some(1);
        objects.organization = Some(Arc::new(organization.clone()));
        objects.begin(None);
        // As it is after a write that came upon an edit.
        organization.metadata.generation = Some(2);
        objects.organization = Some(Arc::new(organization));
        let mark = serde_json::json!({"id": "1", "startedAt": "2026-01-01T12:00:00Z", "emails": ["a@example.com"]});
        let status =
            OrganizationStatus { in_flight: Some(serde_json::from_value(mark).unwrap()), ..Default::default() };
        assert!(matches!(objects.put_organization(status).await, Err(Forgotten::Changed(_))));
    }

    #[tokio::test]
    async fn a_server_error_is_about_one_object_once_it_repeats_or_others_are_written() {
        let mut objects = objects(&["one", "two"]);
        let strike = |name: &str| (name.to_owned(), Err(answer(500)));
        assert!(matches!(objects.take_in(vec![strike("one")]), Err(Forgotten::Unwritten { .. })));
        assert!(is_left_behind(&objects.take_in(vec![strike("one")])));
        assert!(is_left_behind(&objects.take_in(vec![strike("two"), ("one".to_owned(), Ok(invite("one")))])));
        objects.left_behind.end();
        assert!(matches!(objects.take_in(vec![strike("one")]), Err(Forgotten::Unwritten { .. })), "it was well since");
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_is_about_that_object_and_none_at_all_is_about_all() {
        let mut objects = objects(&["one"]);
        let unreadable = serde_json::from_str::<UserInvite>("{}").unwrap_err();
        let written = vec![("one".to_owned(), Err(kube::Error::SerdeError(unreadable).into()))];
        assert!(is_left_behind(&objects.take_in(written)));
        for code in [401, 429] {
            let written = vec![("one".to_owned(), Err(answer(code)))];
            assert!(matches!(objects.take_in(written), Err(Forgotten::Unwritten { .. })), "{code}");
        }
    }
}
