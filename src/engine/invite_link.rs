//! When the invite link is published as it is, and when a new one is made. Pure; clocks are arguments, and of the link
//! only its hash is known here.
//!
//! A new link kills the old one, so it is made once for each request, whatever crashes: a mark that names the old link is
//! stored before the request goes out. Another link found later means that it took place. The same link means that it
//! did not, but only once the request can no longer be under way.

use super::ledger::Ledger;
use super::mark::MailPatience;
use crate::label_studio::{Boottime, InviteLink};
use crate::resources::{InviteLinkStatus, Organization, ROTATE_ANNOTATION, Rotating};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// What the manifest asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub secret_name: String,
    pub rotate_every: Option<SignedDuration>,
    /// Value of the annotation `labelstudio.rs/rotate-invite-link`.
    pub asked: Option<String>,
}

/// The link that the server has, and when the look at it began.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    pub hash: String,
    pub begun: Boottime,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing but to publish the link as it is.
    Publish,
    /// A new link is to be made, under a new mark.
    Rotate,
    /// The rotation of the mark took place: publish, then clear the mark.
    Finish,
    /// The rotation of the mark may still be under way: look again after that time.
    Wait(Duration),
}

pub fn wanted(organization: &Organization) -> Option<Wanted> {
    let link = organization.spec.invite_link.as_ref()?;
    let rotate_every = link.rotate_every.map(Duration::from).and_then(|every| SignedDuration::try_from(every).ok());
    Some(Wanted {
        secret_name: link.secret_name.clone(),
        rotate_every,
        asked: organization.annotations().get(ROTATE_ANNOTATION).cloned(),
    })
}

pub fn decide(
    wanted: &Wanted,
    memory: &InviteLinkStatus,
    marked: Option<Boottime>,
    found: &Sight,
    patience: MailPatience,
    now: Timestamp,
) -> Decision {
    if let Some(rotating) = &memory.rotating {
        if rotating.old_hash != found.hash {
            return Decision::Finish;
        }
        let safe = marked.unwrap_or(found.begun) + patience.timeout + patience.settle;
        if found.begun <= safe {
            return Decision::Wait(safe.saturating_duration_since(found.begun) + Duration::from_millis(10));
        }
    }
    if asks_for_another(wanted, memory, now) { Decision::Rotate } else { Decision::Publish }
}

/// When the next rotation is due by time, and none by request.
pub fn due(wanted: &Wanted, memory: &InviteLinkStatus) -> Option<Timestamp> {
    let since = memory.rotated_at.as_ref().or(memory.published_at.as_ref())?;
    since.0.checked_add(wanted.rotate_every?).ok()
}

/// Whether a new link is wanted. The first publication makes none: nobody has the old one from us.
pub fn asks_for_another(wanted: &Wanted, memory: &InviteLinkStatus, now: Timestamp) -> bool {
    let published = memory.published_at.is_some();
    published && (request(wanted, memory).is_some() || due(wanted, memory).is_some_and(|due| due <= now))
}

/// The annotation's value, if it was not acted on yet.
fn request(wanted: &Wanted, memory: &InviteLinkStatus) -> Option<String> {
    wanted.asked.clone().filter(|asked| Some(asked) != memory.last_handled_rotate.as_ref())
}

/// The mark to store before a new link is asked for.
pub fn mark(wanted: &Wanted, memory: &InviteLinkStatus, found: &Sight, now: Timestamp) -> Rotating {
    Rotating { started_at: Time(now), old_hash: found.hash.clone(), asked: request(wanted, memory) }
}

/// The Secret holds the link, and no rotation is under way.
pub fn published(memory: &mut InviteLinkStatus, wanted: &Wanted, now: Timestamp) {
    memory.rotating = None;
    if memory.published_at.is_none() {
        memory.published_at = Some(Time(now));
        memory.last_handled_rotate.clone_from(&wanted.asked);
    }
}

/// The Secret holds the link that the rotation of the mark made.
pub fn rotated(memory: &mut InviteLinkStatus) {
    if let Some(Rotating { started_at, asked, .. }) = memory.rotating.take() {
        memory.rotated_at = Some(started_at);
        memory.last_handled_rotate = asked.or(memory.last_handled_rotate.take());
    }
}

/// Notes by our own clock when we first saw the mark that stands.
pub fn notice_rotation(ledger: &mut Ledger, clock: Boottime) {
    let standing = ledger.invite_link.as_ref().and_then(|link| link.rotating.clone());
    let known = ledger.passing.rotation.take();
    ledger.passing.rotation = standing.map(|standing| match known {
        Some((mark, at)) if mark == standing => (mark, at),
        _ => (standing, clock),
    });
}

/// Tells links apart without holding one: whoever may read status must not be able to sign up, nor to try tokens out on
/// the hash of another Organization.
pub fn hash(organization: &Organization, link: &InviteLink) -> String {
    let uid = organization.uid().unwrap_or_default();
    format!("{:x}", Sha256::digest(format!("{uid}\n{}", link.token.expose_secret())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: MailPatience = MailPatience { timeout: Duration::from_secs(2), settle: Duration::from_secs(1) };

    fn noon() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn after(hours: i64) -> Timestamp {
        noon() + SignedDuration::from_hours(hours)
    }

    fn wanting(asked: Option<&str>) -> Wanted {
        Wanted {
            secret_name: "link".to_owned(),
            rotate_every: Some(SignedDuration::from_hours(24)),
            asked: asked.map(ToOwned::to_owned),
        }
    }

    fn in_sync(wanted: &Wanted) -> InviteLinkStatus {
        let mut memory = InviteLinkStatus { secret_name: "link".to_owned(), ..InviteLinkStatus::default() };
        published(&mut memory, wanted, noon());
        memory
    }

    fn seen(hash: &str, begun: Boottime) -> Sight {
        Sight { hash: hash.to_owned(), begun }
    }

    fn decided(wanted: &Wanted, memory: &InviteLinkStatus, now: Timestamp) -> Decision {
        decide(wanted, memory, None, &seen("old", Boottime::now()), PATIENCE, now)
    }

    #[test]
    fn the_first_publication_rotates_nothing_whatever_the_annotation_says() {
        let asked = wanting(Some("1"));
        assert_eq!(decided(&asked, &InviteLinkStatus::default(), after(1000)), Decision::Publish);
        let memory = in_sync(&asked);
        assert_eq!(memory.last_handled_rotate.as_deref(), Some("1"));
        assert_eq!(decided(&asked, &memory, noon()), Decision::Publish);
    }

    #[test]
    fn a_new_value_rotates_once_and_a_value_that_is_taken_away_does_not() {
        let memory = in_sync(&wanting(None));
        let asked = wanting(Some("1"));
        assert_eq!(decided(&asked, &memory, noon()), Decision::Rotate);
        let mut memory = InviteLinkStatus {
            rotating: Some(mark(&asked, &memory, &seen("old", Boottime::now()), after(1))),
            ..memory
        };
        rotated(&mut memory);
        assert_eq!(memory.rotated_at, Some(Time(after(1))));
        assert_eq!(decided(&asked, &memory, after(1)), Decision::Publish);
        assert_eq!(decided(&wanting(None), &memory, after(1)), Decision::Publish);
        assert_eq!(decided(&wanting(Some("2")), &memory, after(1)), Decision::Rotate);
    }

    #[test]
    fn a_value_set_while_another_rotation_is_under_way_is_not_lost() {
        let wanted = wanting(Some("1"));
        let mut memory = in_sync(&wanting(None));
        memory.rotating = Some(mark(&wanted, &memory, &seen("old", Boottime::now()), noon()));
        rotated(&mut memory);
        assert_eq!(decided(&wanting(Some("2")), &memory, noon()), Decision::Rotate);
    }

    #[test]
    fn time_counts_from_the_first_publication_and_then_from_the_last_rotation() {
        let wanted = wanting(None);
        let mut memory = in_sync(&wanted);
        assert_eq!(due(&wanted, &memory), Some(after(24)));
        assert_eq!(decided(&wanted, &memory, after(23)), Decision::Publish);
        assert_eq!(decided(&wanted, &memory, after(24)), Decision::Rotate);
        memory.rotated_at = Some(Time(after(24)));
        assert_eq!(due(&wanted, &memory), Some(after(48)));
        assert_eq!(due(&Wanted { rotate_every: None, ..wanted }, &memory), None);
    }

    #[test]
    fn another_link_than_that_of_the_mark_means_that_the_rotation_took_place() {
        let wanted = wanting(Some("1"));
        let mut memory = in_sync(&wanting(None));
        let now = Boottime::now();
        memory.rotating = Some(mark(&wanted, &memory, &seen("old", now), noon()));
        assert_eq!(decide(&wanted, &memory, Some(now), &seen("new", now), PATIENCE, noon()), Decision::Finish);
    }

    #[test]
    fn the_same_link_rotates_again_only_when_the_request_can_no_longer_be_under_way() {
        let wanted = wanting(Some("1"));
        let mut memory = in_sync(&wanting(None));
        let marked = Boottime::now();
        memory.rotating = Some(mark(&wanted, &memory, &seen("old", marked), noon()));
        let at =
            |begun, wanted: &Wanted| decide(wanted, &memory, Some(marked), &seen("old", begun), PATIENCE, after(1000));
        let Decision::Wait(wait) = at(marked + Duration::from_secs(1), &wanted) else {
            panic!("it may be under way");
        };
        assert!(wait > Duration::from_secs(2) && wait < Duration::from_millis(2100), "{wait:?}");
        assert!(matches!(at(marked + Duration::from_secs(3), &wanted), Decision::Wait(_)));
        let over = marked + Duration::from_millis(3010);
        assert_eq!(at(over, &wanted), Decision::Rotate);
        // Not wanted any more: the mark goes and nothing else happens.
        let unwanted = Wanted { rotate_every: None, ..wanting(None) };
        assert_eq!(at(over, &unwanted), Decision::Publish);
    }

    #[test]
    fn a_mark_found_at_a_start_is_waited_for_from_when_it_was_first_seen() {
        let wanted = wanting(Some("1"));
        let mut ledger = Ledger::default();
        let now = Boottime::now();
        let memory = in_sync(&wanting(None));
        let rotating = Some(mark(&wanted, &memory, &seen("old", now), noon()));
        ledger.invite_link = Some(InviteLinkStatus { rotating, ..memory });
        notice_rotation(&mut ledger, now);
        notice_rotation(&mut ledger, now + Duration::from_secs(9));
        assert_eq!(ledger.passing.rotation.as_ref().map(|(_, at)| *at), Some(now));
        ledger.invite_link = None;
        notice_rotation(&mut ledger, now);
        assert!(ledger.passing.rotation.is_none());
    }

    #[test]
    fn the_hash_holds_no_link_and_differs_between_organizations() {
        let link = InviteLink { url: "https://ls.example.com/?token=sesame".into(), token: "sesame".into() };
        let spec =
            serde_json::json!({"url": "https://ls.example.com", "credentials": {"secretRef": {"name": "token"}}});
        let mut organization = Organization::new("acme", serde_json::from_value(spec).unwrap());
        organization.metadata.uid = Some("a".to_owned());
        let first = hash(&organization, &link);
        assert_eq!(first.len(), 64);
        organization.metadata.uid = Some("b".to_owned());
        assert_ne!(first, hash(&organization, &link));
    }
}
