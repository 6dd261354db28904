//! Looks, plans and acts, round after round, until nothing is left that can be done now. The controller and the command
//! line both stand on it; what they store, and how, is behind `Memory`.

use super::apply::{Applied, End, Gate, Hands, apply};
use super::approval::{strike, use_approval};
use super::desired::{Desired, Invite};
use super::hand_over;
use super::ledger::Ledger;
use super::mark::{MailPatience, MarkVerdict, notice_mark, settle_mark};
use super::memory::{Forgotten, Memory};
use super::observe::{Unobserved, beside, confirm, observe_roster};
use super::outcome;
use super::plan::{Action, Circumstances, Guest, Plan, claimant, plan};
use super::reinvite::release_reinvited;
use super::seek::{greet, seek};
use super::snapshot::Snapshot;
use super::target::{TargetChanged, settle_target};
use super::visibility::learn_visibility;
use super::workspaces::read_workspaces;
use crate::label_studio::{Boottime, Client, Edition, Error};
use crate::resources::{Departure, HeldReason, folded, seconds};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeSet;
use std::time::Duration;

/// Rounds in which nothing was done, before it is left until later.
const MOST_IDLE: u32 = 12;
/// When to look again whether there is room for what became of a mail.
const ROOM_AGAIN: Duration = Duration::from_secs(60);
/// So many people are looked at one by one instead of with a walk over the whole roster.
const MOST_CONFIRMED: usize = 10;

/// Everything a pass works with.
pub struct Pass<'a, M, G> {
    pub client: &'a Client,
    pub desired: &'a Desired,
    /// Value of the annotation `labelstudio.rs/approve`.
    pub approve: Option<&'a str>,
    pub snapshot: &'a mut Snapshot,
    pub ledger: &'a mut Ledger,
    pub memory: &'a mut M,
    pub gate: &'a G,
    pub mail: MailPatience,
    /// How long a refused write is not repeated.
    pub refusal: SignedDuration,
    /// A roster older than this takes nobody's access away.
    pub fresh: Duration,
}

/// Why it ended. The plan that comes with it is made of what stands now.
#[derive(Debug)]
pub enum Stop {
    /// Nothing can be done now. `wait`: until a mark can be settled.
    Settled {
        wait: Option<Duration>,
    },
    /// The roster cannot be trusted, or looking at it again and again led to nothing.
    Doubtful,
    Preempted,
    /// A write failed in a way that concerns the server, not one person.
    Failed(Error),
    Unobserved(Unobserved),
    /// Boxed, since it is large and rare.
    TargetChanged(Box<TargetChanged>),
    /// The Organization is being deleted.
    Falling,
}

pub async fn rounds<M: Memory, G: Gate>(pass: &mut Pass<'_, M, G>) -> Result<(Plan, Stop), Forgotten> {
    let mut idle = 0;
    let mut looked = false;
    let mut mark_looked = false;
    let mut greeted = BTreeSet::new();
    loop {
        if let Err(changed) = recognize(pass) {
            return Ok((Plan::default(), Stop::TargetChanged(Box::new(changed))));
        }
        let mut mark = judge_mark(pass);
        if mark == MarkVerdict::Settled && pass.ledger.in_flight.is_some() && !store_mark(pass).await? {
            tracing::warn!(
                "what became of a mail finds no room in the list of departures, and until it does no mail is sent"
            );
            mark = MarkVerdict::Wait(ROOM_AGAIN);
        }
        // After the mark: what it holds as unconfirmed must not undo what is released.
        release_reinvited(pass.desired, pass.ledger);
        let gate = pass.gate;
        let read = read_workspaces(pass.client, pass.desired, pass.snapshot, pass.fresh, || gate.is_open()).await;
        let made = decide(pass, &mark, looked);
        if !read {
            return Ok((made, Stop::Preempted));
        }
        if !made.stale.is_empty() && may_confirm(pass, &made) {
            idle += 1;
            match confirm(pass.client, pass.snapshot, &made.stale).await {
                Ok(found) => looked = found,
                Err(unobserved) => return Ok((made, Stop::Unobserved(unobserved))),
            }
            if looked {
                continue;
            }
        }
        // What can be done without a search is done before it.
        if made.steps.is_empty() && !made.look && !made.unseen.is_empty() && !pass.desired.observes_only {
            if !pass.gate.is_open() {
                return Ok((made, Stop::Preempted));
            }
            greeted.extend(made.unseen.iter().map(|guest| guest.email.clone()));
            match seek(pass.client, pass.snapshot, &made.unseen).await {
                Ok(()) => continue,
                Err(unobserved) => return Ok((made, Stop::Unobserved(unobserved))),
            }
        }
        let newcomers = unseen(pass, &made, &greeted);
        if !newcomers.is_empty() {
            let found = greet(pass.client, pass.snapshot, &newcomers).await;
            greeted.extend(newcomers);
            match found {
                Ok(true) => continue,
                Ok(false) => {}
                Err(unobserved) => return Ok((made, Stop::Unobserved(unobserved))),
            }
        }
        // Once for a mark: where the roster is never complete, looking again and again settles nothing.
        let for_mark = mark == MarkVerdict::LookNow && !mark_looked;
        mark_looked |= for_mark;
        let look = made.look || !made.stale.is_empty() || for_mark;
        if pass.desired.observes_only || (made.steps.is_empty() && !look) {
            return Ok(settled(made, &mark));
        }
        if idle >= MOST_IDLE {
            return Ok((made, Stop::Doubtful));
        }
        let end = if look {
            idle += 1;
            End::Look
        } else {
            // Boxed: what it holds on to while it waits is most of what a pass would.
            let Applied { done, end } = Box::pin(act(pass, &made)).await?;
            idle = if done > 0 { 0 } else { idle + 1 };
            end
        };
        looked = matches!(end, End::Look);
        let stop = match end {
            End::Done => continue,
            End::Look => match look_again(pass).await {
                Ok(roster) => {
                    *pass.snapshot = roster;
                    continue;
                }
                Err(unobserved) => Stop::Unobserved(unobserved),
            },
            End::Preempted => Stop::Preempted,
            End::Failed(error) => Stop::Failed(error),
            End::Forgotten(forgotten) => return Err(forgotten),
            End::Falling => Stop::Falling,
        };
        return Ok((decide(pass, &mark, false), stop));
    }
}

async fn look_again<M: Memory, G>(pass: &mut Pass<'_, M, G>) -> Result<Snapshot, Unobserved> {
    let Pass { client, snapshot, ledger, memory, .. } = pass;
    let roster = observe_roster(client, snapshot);
    beside(roster, async |enough| memory.meanwhile(ledger, enough).await).await.0
}

/// Is this the organization that is remembered, and does it show open invitations?
fn recognize<M, G>(pass: &mut Pass<'_, M, G>) -> Result<(), TargetChanged> {
    let now = seconds(Timestamp::now());
    settle_target(pass.ledger, &pass.desired.grants, &pass.snapshot.target, pass.approve, now)?;
    outcome::take_in_roster(pass.ledger, pass.snapshot);
    learn_visibility(pass.ledger, pass.snapshot);
    Ok(())
}

fn judge_mark<M, G>(pass: &mut Pass<'_, M, G>) -> MarkVerdict {
    let clock = Boottime::now();
    notice_mark(pass.ledger, clock);
    let claimant = |email: &str| {
        let invite = mailed_for(pass.desired, pass.snapshot, email)?;
        Some((invite.name.clone(), invite.emails.get(email)?.clone()))
    };
    settle_mark(pass.ledger, claimant, pass.snapshot, pass.mail, seconds(Timestamp::now()), clock)
}

/// Who has to know what became of a mail: a grant that was withdrawn meanwhile is no reason to forget it.
fn mailed_for<'a>(desired: &'a Desired, snapshot: &Snapshot, email: &str) -> Option<&'a Invite> {
    claimant(desired, snapshot.member(email), email).or_else(|| desired.once_claimed(email))
}

/// Plans, and records where everybody stands for whom nothing has to be done.
fn decide<M, G>(pass: &mut Pass<'_, M, G>, mark: &MarkVerdict, looked: bool) -> Plan {
    let circumstances = Circumstances {
        now: seconds(Timestamp::now()),
        mail_allowed: *mark == MarkVerdict::Settled,
        // Reading a large roster may itself take longer than it stays fresh.
        roster_fresh: looked || pass.snapshot.begun.elapsed() < pass.fresh,
    };
    let mut made = plan(pass.desired, pass.snapshot, pass.ledger, circumstances);
    let observes = pass.desired.observes_only;
    if !observes && use_approval(pass.ledger, pass.approve, &made.sets, circumstances.now) {
        made = plan(pass.desired, pass.snapshot, pass.ledger, circumstances);
    }
    strike(pass.ledger, made.approved.take());
    outcome::settle(pass.ledger, &mut made, &pass.snapshot.target);
    made
}

fn settled(made: Plan, mark: &MarkVerdict) -> (Plan, Stop) {
    let stop = match mark {
        MarkVerdict::Wait(wait) => Stop::Settled { wait: Some(*wait) },
        MarkVerdict::LookNow => Stop::Doubtful,
        MarkVerdict::Settled if made.held.contains_key(&HeldReason::IncompleteRoster) => Stop::Doubtful,
        MarkVerdict::Settled => Stop::Settled { wait: None },
    };
    (made, stop)
}

/// A few people who are to be mailed by a roster that is not young any more.
fn unseen<M, G>(pass: &Pass<'_, M, G>, made: &Plan, greeted: &BTreeSet<String>) -> Vec<String> {
    let fresh = pass.snapshot.begun.elapsed() < pass.fresh;
    if fresh || pass.desired.observes_only || pass.snapshot.edition != Edition::Enterprise {
        return Vec::new();
    }
    let invitations = made.steps.iter().filter(|step| matches!(step.action, Action::Invite { .. }));
    let guests: Vec<&String> = invitations.flat_map(|step| step.action.guests()).map(|guest| &guest.email).collect();
    if guests.len() > MOST_CONFIRMED {
        return Vec::new();
    }
    guests.into_iter().filter(|email| !greeted.contains(*email)).cloned().collect()
}

/// A few people are looked at by themselves; the open-source edition ignores `search` (measured).
fn may_confirm<M, G>(pass: &Pass<'_, M, G>, made: &Plan) -> bool {
    // Whether another Administrator is left, only the whole roster tells.
    let administrators = made.steps.iter().any(|step| step.action.takes_an_administrator());
    !administrators
        && made.stale.len() <= MOST_CONFIRMED
        && pass.snapshot.edition == Edition::Enterprise
        && !pass.desired.observes_only
}

async fn act<M: Memory, G: Gate>(pass: &mut Pass<'_, M, G>, made: &Plan) -> Result<Applied, Forgotten> {
    // The target is remembered before any write.
    pass.memory.remember(pass.ledger).await?;
    let hands = Hands {
        client: pass.client,
        snapshot: pass.snapshot,
        ledger: pass.ledger,
        memory: pass.memory,
        gate: pass.gate,
        patience: pass.refusal,
    };
    Ok(apply(hands, made).await)
}

/// Each address of the mark has its outcome: it is stored in the UserInvites, then the mark may go. False: one of them finds
/// no room anywhere, so the mark stays, and no mail is sent.
async fn store_mark<M: Memory, G>(pass: &mut Pass<'_, M, G>) -> Result<bool, Forgotten> {
    let marked = pass.ledger.in_flight.as_ref().map(|mark| mark.emails.clone()).unwrap_or_default();
    let guests: Vec<Guest> = marked
        .into_iter()
        .filter_map(|email| {
            let invite = mailed_for(pass.desired, pass.snapshot, &email)?;
            Some(Guest::new(&invite.name, &email))
        })
        // Whom nobody claims any more still stands in the memory of the UserInvite that had them.
        .chain(pass.ledger.passing.unstored.keys().map(|(invite, email)| Guest::new(invite, email)))
        .collect();
    let (behind, guests): (Vec<Guest>, Vec<Guest>) =
        guests.into_iter().partition(|guest| pass.desired.left_behind.contains(&guest.invite));
    let now = seconds(Timestamp::now());
    if !behind.iter().all(|guest| keep_for_later(pass.ledger, pass.desired, guest, now)) {
        return Ok(false);
    }
    // Made before any plan of this pass: what is left for these UserInvites nobody knows yet.
    pass.memory.begin(&Plan::default());
    pass.memory.record(pass.ledger, &guests).await?;
    pass.ledger.passing.unstored.clear();
    pass.ledger.in_flight = None;
    pass.ledger.passing.mark = None;
    Ok(true)
}

/// What became of a mail whose UserInvite cannot be written now: the Organization remembers it, as of somebody who is to
/// leave, until the claim that stands has it stored. So the mark stands in nobody's way. False: there is no room for it, or the
/// UserInvite is being deleted and its people wait for room themselves.
fn keep_for_later(ledger: &mut Ledger, desired: &Desired, guest: &Guest, now: Timestamp) -> bool {
    let Guest { invite, email, .. } = guest;
    let listed = ledger.departures.iter().flat_map(|departure| &departure.users);
    if listed.into_iter().any(|person| folded(&person.email) == *email) {
        return true;
    }
    let Some(person) = ledger.person(invite, email).filter(|person| person.may_have_been_mailed()).cloned() else {
        return true;
    };
    let Some(from) = desired.invites.iter().find(|known| known.name == *invite) else { return false };
    let departure = Departure { users: vec![person], policy: from.policy, from: invite.clone(), since: Time(now) };
    hand_over::add(ledger, departure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::desired::desired;
    use crate::resources::{DeletionPolicy, Organization, Person, PersonState, UserInvite};

    fn mailed(email: &str) -> Person {
        let mut person = Person::new(email, PersonState::Invited);
        person.invited_at = Some(Time(Timestamp::UNIX_EPOCH));
        person
    }

    #[test]
    fn what_became_of_a_mail_is_never_dropped_for_want_of_room() {
        let spec =
            serde_json::json!({"url": "https://ls.example.com", "credentials": {"secretRef": {"name": "token"}}});
        let organization = Organization::new("acme", serde_json::from_value(spec).unwrap());
        let spec =
            serde_json::json!({"organizationRef": {"name": "acme"}, "emails": ["a@example.com"], "role": "Annotator"});
        let invite = UserInvite::new("people", serde_json::from_value(spec).unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let guest = Guest::new("people", "a@example.com");
        let remembers = || {
            let mut ledger = Ledger::default();
            ledger.edit("people", "a@example.com", || mailed("a@example.com"), |_| {});
            ledger
        };
        let living = desired(&organization, [&invite], now);
        let mut ledger = remembers();
        assert!(keep_for_later(&mut ledger, &living, &guest, now));
        assert_eq!(ledger.departing(), 1);
        assert!(keep_for_later(&mut ledger, &living, &guest, now) && ledger.departing() == 1, "once");

        let mut full = remembers();
        let users = (0..10_000).map(|n| mailed(&format!("gone{n}@example.com"))).collect();
        let policy = DeletionPolicy::Deactivate;
        full.departures.push(Departure { users, policy, from: "gone".to_owned(), since: Time(now) });
        assert!(!keep_for_later(&mut full, &living, &guest, now));
        assert_eq!(full.departing(), 10_000);
        // It is being deleted and its people wait for room.
        assert!(!keep_for_later(&mut remembers(), &desired(&organization, [], now), &guest, now));
        // Nobody was mailed.
        assert!(keep_for_later(&mut Ledger::default(), &living, &guest, now));
    }
}
