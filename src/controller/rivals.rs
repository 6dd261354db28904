//! Which Organization acts where several are for one organization on one server: the older, and never two at once. What
//! each is about is known only when its server has answered, so each says so before its first write, and then looks at the
//! others. One process sees them all; the next one, and that of another shard, finds their targets in status.

use super::Context;
use super::objects::Objects;
use super::reconcile::{DOUBTFUL_AGAIN, Pass};
use super::state::{Next, State};
use super::task::OrganizationKey;
use super::watch::key_of;
use crate::engine::desired::desired;
use crate::engine::ledger::Ledger;
use crate::engine::memory::Forgotten;
use crate::engine::problem::Problem;
use crate::engine::rivals::{are_separate, is_same_place, is_same_url, rank, separation};
use crate::resources::{Organization, SEPARATE_ANNOTATION, Target, seconds};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::Instant;

#[derive(Default)]
pub struct Rivals(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// What each was last found to be about, and how to wake it.
    found: HashMap<OrganizationKey, (Target, channel::Sender<u64>)>,
    /// Those in the middle of a pass that may write.
    acting: HashSet<OrganizationKey>,
    /// Younger → the older one that it gives way to.
    yielding: HashMap<OrganizationKey, OrganizationKey>,
    /// Since when each waits for another one to let go, or for an older one to find out what it is about.
    waiting: HashMap<OrganizationKey, Instant>,
}

/// An older Organization that nothing becomes known of, or one whose operator does not say that it gives way, is waited for no
/// longer than this.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// Whose turn it is.
pub enum Place<'a> {
    /// Ours, as long as this is kept.
    Ours(Turn<'a>),
    /// Of this older Organization.
    Older(Arc<Organization>),
    /// Ours as soon as another one has let go, or an older one has found out what it is about.
    Soon,
}

pub struct Turn<'a> {
    rivals: &'a Rivals,
    key: OrganizationKey,
    /// Another one acted until now: what is known of the server is to be read anew.
    pub anew: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.rivals.lock().acting.remove(&self.key);
    }
}

impl Pass<'_> {
    /// An older Organization is for the same place: it acts, this one does not.
    pub async fn give_way(
        &self,
        state: &mut State,
        objects: &mut Objects,
        ledger: &Ledger,
        older: &Organization,
    ) -> Result<Next, Forgotten> {
        let acts = key_of(older);
        let message = format!(
            "Organization {acts} is for the same server and organization and was there first: it counts, this one changes nothing. \
             Delete one of the two{}",
            separation(self.organization, older).map(|digest| self.how_to_separate(older, &digest)).unwrap_or_default()
        );
        let problem = Problem { authenticated: Some(true), ..Problem::stalled("Conflict", message) };
        let status = self.organization.status.as_ref();
        if !status.is_some_and(|s| s.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == problem.reason)) {
            let note = format!(
                "Organization {} is for the same server and organization and came later: it changes nothing. Delete one of the two",
                state.key
            );
            self.context.events.tell(older, EventType::Warning, problem.reason, &note).await;
        }
        let told = self.tell_problem(state, objects, ledger, &problem).await?;
        // Its deletion wakes us.
        let resync = state.session.current().map_or(DOUBTFUL_AGAIN, |server| server.until_resync());
        Ok(Next::After(resync).once(told))
    }

    /// What a server tells of itself is in its backup, too.
    fn how_to_separate(&self, older: &Organization, digest: &str) -> String {
        let (name, namespace) = (self.organization.name_any(), self.organization.namespace().unwrap_or_default());
        format!(
            "; if {} and {} are two servers, of which one was restored from a backup of the other: \
             kubectl annotate --overwrite --namespace {namespace} organization {name} {SEPARATE_ANNOTATION}={digest}",
            older.spec.url, self.organization.spec.url
        )
    }
}

impl Rivals {
    /// To be asked before the first write of a pass.
    pub fn take(
        &self,
        context: &Context,
        organization: &Organization,
        target: &Target,
        wake: &channel::Sender<u64>,
    ) -> Place<'_> {
        let key = key_of(organization);
        let mut known = self.lock();
        let before = known.found.insert(key.clone(), (target.clone(), wake.clone()));
        let stays = before.as_ref().map(|(before, _)| is_same_place(before, target));
        if stays == Some(false) {
            // It turned to another place: whoever gives way to it may have the old one to themselves.
            known.wake_younger(&key);
        }
        let others = others(context, organization);
        let same = |other: &&Arc<Organization>| known.is_about(organization, other, target) == Some(true);
        let (older, younger): (Vec<_>, Vec<_>) =
            others.iter().filter(same).cloned().partition(|other| rank(other) < rank(organization));
        if let Some(older) = older.into_iter().min_by_key(|older| rank(older)) {
            known.yielding.insert(key, key_of(&older));
            return Place::Older(older);
        }
        // To let go, or to say so.
        let busy = known.acting_for(organization, target, |key| organization_of(context, key));
        let unaware = younger.iter().map(|rival| key_of(rival)).filter(|rival| !known.yielding.contains_key(rival));
        busy.iter().cloned().chain(unaware).for_each(|rival| known.wake(&rival));
        // Of two that nothing was said of yet, the older goes first, once it is known what that one is about.
        let first = |other: &Arc<Organization>| {
            rank(other) < rank(organization)
                && is_unseen(other)
                && known.is_about(organization, other, target).is_none()
                && is_same_url(&other.spec.url, &target.url)
        };
        // Another operator's, which finds our target in status and then says in its own that it gives way.
        let begins = stays != Some(true) || known.waiting.contains_key(&key);
        let at_work = |other: &Arc<Organization>| !context.is_ours(other) && !is_unseen(other) && !gives_way(other);
        let others_work =
            (begins && younger.iter().any(at_work)) || (is_unseen(organization) && others.iter().any(first));
        let patient = known.waiting.get(&key).is_none_or(|since| since.elapsed() < FIRST_LOOK);
        if !busy.is_empty() || (patient && others_work) {
            known.waiting.entry(key).or_insert_with(Instant::now);
            return Place::Soon;
        }
        let (yielded, waited) = (known.yielding.remove(&key), known.waiting.remove(&key));
        known.acting.insert(key.clone());
        Place::Ours(Turn { rivals: self, key, anew: yielded.is_some() || waited.is_some() })
    }

    /// Whether an older one may be about this too: then nothing is begun beforehand.
    pub fn may_be_older(&self, context: &Context, organization: &Organization, target: &Target) -> bool {
        let known = self.lock();
        let others = others(context, organization);
        others.iter().any(|other| rank(other) < rank(organization) && known.may_be_about(organization, other, target))
    }

    /// Addresses that UserInvites of the others claim: nobody loses access here who is to have it there.
    pub fn claimed(&self, context: &Context, organization: &Organization, target: &Target) -> BTreeSet<String> {
        let known = self.lock();
        let others = others(context, organization);
        // One that never found out may name any server: it keeps nobody's access alive.
        let rivals = others.iter().filter(|other| known.is_about(organization, other, target) == Some(true));
        let claims = rivals.flat_map(|rival| {
            let invites = context.invites_of(&key_of(rival));
            let living = invites.iter().filter(|invite| invite.metadata.deletion_timestamp.is_none());
            desired(rival, living.map(AsRef::as_ref), seconds(Timestamp::now())).claimed().cloned().collect::<Vec<_>>()
        });
        claims.collect()
    }

    /// It is gone. One that is made anew under its name is another one.
    pub fn forget(&self, key: &OrganizationKey) {
        self.lock().forget(key);
    }

    /// Something happened to this Organization, or became known to it: those that give way to it look again.
    pub fn stir(&self, key: &OrganizationKey) {
        self.lock().wake_younger(key);
    }

    /// One that another operator acts for says something new of itself: ours that are about the same look again.
    pub fn hear(&self, context: &Context, key: &OrganizationKey) {
        let other = organization_of(context, key).filter(|other| !context.is_ours(other));
        let Some(target) = other.as_ref().and_then(|other| other.status.as_ref()?.target.as_ref()) else { return };
        let known = self.lock();
        let same = known.found.iter().filter(|(own, (found, _))| *own != key && is_same_place(found, target));
        same.for_each(|(_, (_, wake))| wake.send_modify(|count| *count += 1));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget(&mut self, key: &OrganizationKey) {
        self.wake_younger(key);
        self.found.remove(key);
        self.waiting.remove(key);
        self.yielding.remove(key);
    }

    /// Those that give way to this one.
    fn wake_younger(&self, key: &OrganizationKey) {
        self.yielding.iter().filter(|(_, older)| *older == key).for_each(|(younger, _)| self.wake(younger));
    }

    /// None: nobody knows yet. What this process found counts before what is stored.
    fn is_about(&self, organization: &Organization, other: &Organization, target: &Target) -> Option<bool> {
        let found = self.found.get(&key_of(other)).map(|(found, _)| found);
        let remembered = other.status.as_ref().and_then(|status| status.target.as_ref());
        found.or(remembered).map(|known| is_same_place(known, target) && !are_separate(organization, other))
    }

    /// Also of one that is being deleted: its last request may be under way.
    fn acting_for(
        &self,
        organization: &Organization,
        target: &Target,
        find: impl Fn(&OrganizationKey) -> Option<Arc<Organization>>,
    ) -> Vec<OrganizationKey> {
        let own = key_of(organization);
        let same = |key: &&OrganizationKey| self.found.get(*key).is_some_and(|(found, _)| is_same_place(found, target));
        let one_server = |key: &&OrganizationKey| !find(key).is_some_and(|other| are_separate(organization, &other));
        self.acting.iter().filter(|key| **key != own).filter(same).filter(one_server).cloned().collect()
    }

    fn may_be_about(&self, organization: &Organization, other: &Organization, target: &Target) -> bool {
        self.is_about(organization, other, target).unwrap_or_else(|| is_same_url(&other.spec.url, &target.url))
    }

    fn wake(&self, key: &OrganizationKey) {
        if let Some((_, wake)) = self.found.get(key) {
            wake.send_modify(|count| *count += 1);
        }
    }
}

/// That stand, and are another one.
fn others(context: &Context, organization: &Organization) -> Vec<Arc<Organization>> {
    let key = key_of(organization);
    let all = context.watched.iter().flat_map(|watched| watched.organizations.state());
    all.filter(|other| other.metadata.deletion_timestamp.is_none() && key_of(other) != key).collect()
}

/// Whether or not it stands.
fn organization_of(context: &Context, key: &OrganizationKey) -> Option<Arc<Organization>> {
    context.organizations_in(&key.namespace)?.organization(key)
}

/// What the operators of other Organizations have to know of one, as it stands in its status.
pub fn heard(organization: &Organization) -> String {
    let target = organization.status.as_ref().and_then(|status| status.target.as_ref());
    format!("{target:?} {}", gives_way(organization))
}

fn gives_way(organization: &Organization) -> bool {
    let conditions = organization.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.reason == "Conflict")
}

/// No pass over it has come to any end.
fn is_unseen(organization: &Organization) -> bool {
    organization.status.as_ref().is_none_or(|status| status.conditions.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: i64) -> Target {
        Target {
            organization_id: id,
            created_at: None,
            edition: "Enterprise".to_owned(),
            url: "https://a.example.com".to_owned(),
        }
    }

    fn organization(name: &str, url: &str) -> Organization {
        let spec = serde_json::json!({"url": url, "credentials": {"secretRef": {"name": "t"}}});
        Organization::new(name, serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn nobody_waits_for_one_that_a_person_declared_separate() {
        let asking = organization("mine", "https://a.example.com");
        let mut other = organization("acme", "https://b.example.com");
        let mut known = Known::default();
        known.found.insert(key_of(&other), (target(1), channel::Sender::new(0)));
        known.acting.insert(key_of(&other));
        known.acting.insert(key_of(&asking));
        let busy = |other: &Organization| known.acting_for(&asking, &target(1), |_| Some(Arc::new(other.clone())));
        assert_eq!(busy(&other), [key_of(&other)]);
        let digest = separation(&asking, &other).unwrap();
        other.annotations_mut().insert(SEPARATE_ANNOTATION.to_owned(), digest);
        assert_eq!(busy(&other), []);
        assert_eq!(known.acting_for(&asking, &target(1), |_| None), [key_of(&other)], "gone, but in the middle of it");
    }

    #[test]
    fn nothing_is_kept_of_one_that_is_gone_and_who_gave_way_to_it_is_woken() {
        let (older, younger) = ("older", "younger");
        let key = |name: &str| key_of(&organization(name, "https://a.example.com"));
        let (wake, woken) = channel::channel(0);
        let mut known = Known::default();
        known.found.insert(key(older), (target(1), channel::Sender::new(0)));
        known.found.insert(key(younger), (target(1), wake));
        known.yielding.insert(key(younger), key(older));
        known.waiting.insert(key(younger), Instant::now());
        known.forget(&key(older));
        assert_eq!(*woken.borrow(), 1);
        known.forget(&key(younger));
        assert!(known.found.is_empty() && known.yielding.is_empty() && known.waiting.is_empty());
    }

    #[test]
    fn what_this_process_found_counts_before_what_is_stored_and_the_url_alone_says_nothing() {
        let asking = organization("mine", "https://a.example.com");
        let mut other = organization("acme", "https://a.example.com");
        let mut known = Known::default();
        assert_eq!(known.is_about(&asking, &other, &target(1)), None);
        let status = serde_json::json!({"target": target(1)});
        other.status = Some(serde_json::from_value(status).unwrap());
        assert_eq!(known.is_about(&asking, &other, &target(1)), Some(true));
        known.found.insert(key_of(&other), (target(2), channel::Sender::new(0)));
        assert_eq!(known.is_about(&asking, &other, &target(1)), Some(false), "it has turned to another place");
        assert_eq!(known.is_about(&asking, &other, &target(2)), Some(true));
    }
}
