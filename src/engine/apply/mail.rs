//! A mail: the one write that cannot be taken back. First status, finalizer, mark, mail, outcome: in this order, whatever
//! happens.

use super::{End, Gate, Hands, concerned, first_reason};
use crate::engine::ledger::{Ledger, MarkSeen};
use crate::engine::memory::{Forgotten, Memory};
use crate::engine::outcome;
use crate::engine::plan::{Action, Guest, Step};
use crate::label_studio::{Boottime, Class, Error, Invite, Revoked};
use crate::resources::{HeldReason, InFlight, seconds};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// A mail starts within this time of its mark, or not at all.
const MARK_LIFE: Duration = Duration::from_secs(5);

/// A look for somebody whose invitation could not be revoked tells no longer than this whether it was accepted.
const JUST_LOOKED: Duration = Duration::from_secs(300);

/// So many addresses one mark may name: those of one request, and those whose outcome is not stored yet.
const MOST_MARKED: usize = 500;
/// So long an outcome may wait for more of its UserInvite: a crash leaves the people to the roster, which no longer lists
/// whoever left or was revoked meanwhile.
const LONGEST_UNSTORED: Duration = Duration::from_secs(2);

/// Somebody whose mail the server took: the outcome is in the ledger, and not stored yet.
pub struct Answered {
    guest: Guest,
    marked: Time,
    at: Boottime,
}

impl<M: Memory, G: Gate> Hands<'_, M, G> {
    /// First status, finalizer, mark, mail, outcome: in this order, whatever happens.
    /// While this mail is under way, outcomes of earlier ones are stored, and what comes `next` is prepared.
    pub(super) async fn mail(
        &mut self,
        step: &Step,
        next: Option<&Step>,
        answered: &mut Vec<Answered>,
    ) -> Result<(), End> {
        if !self.may_share_a_mark(step) || answered.len() + step.action.guests().len() > MOST_MARKED {
            self.store_answered(answered).await?;
        }
        self.prepare(std::slice::from_ref(step)).await?;
        if !self.gate.is_open() {
            return Err(End::Preempted);
        }
        let clock = Boottime::now();
        let marked = Time(seconds(Timestamp::now()));
        let mark = self.mark(step, &marked, answered);
        self.ledger.passing.mark = Some(MarkSeen { id: mark.id.clone(), at: clock, ended: None, refused: false });
        self.ledger.in_flight = Some(mark);
        self.memory.remember(self.ledger).await.map_err(End::Forgotten)?;
        if !self.gate.is_open() {
            self.unmark();
            return Err(End::Preempted);
        }
        let (role, places) = match &step.action {
            Action::InviteAnew { guest, to, places, .. } => {
                if !self.replaces(step, guest).await? {
                    self.store_outcome(step.action.guests()).await?;
                    self.unmark();
                    return Ok(());
                }
                (to, places)
            }
            Action::Invite { role, places, .. } => (role, places),
            _ => return Ok(()),
        };
        let start_by = clock + MARK_LIFE;
        let emails: Vec<String> = step.action.guests().iter().map(|guest| guest.email.clone()).collect();
        let workspaces: Vec<i64> = places.workspaces.iter().map(|place| place.id).collect();
        let invite = Invite { emails: &emails, role, workspaces: &workspaces, projects: &places.projects };
        let invite = self.client.invite(invite, start_by);
        let (due, waiting) = due(answered, step, next);
        let is_over = Notify::new();
        let mail = async {
            let answer = invite.await;
            is_over.notify_one();
            answer
        };
        let (answer, kept) = futures::join!(mail, keep(self.memory, self.ledger, &due, next, &waiting, &is_over));
        if let Ok(all) = &kept {
            let stored: BTreeSet<&Guest> = due.iter().chain(waiting.iter().filter(|_| *all)).collect();
            self.stored(stored.iter().copied());
            answered.retain(|answered| !stored.contains(&answered.guest));
        }
        let taken = match answer {
            Ok(()) => {
                self.told(step, "done", "done");
                let guests = step.action.guests();
                outcome::mailed(self.ledger, self.snapshot, guests, role, seconds(Timestamp::now()));
                self.not_stored(guests);
                let at = Boottime::now();
                answered.extend(guests.iter().map(|guest| Answered {
                    guest: guest.clone(),
                    marked: marked.clone(),
                    at,
                }));
                Ok(())
            }
            Err(error) => {
                self.told(step, "failed", &error.to_string());
                self.not_taken(step, error, answered).await
            }
        };
        first_reason(taken, kept.map(drop).map_err(End::Forgotten))
    }

    /// A mark says of each of its addresses that a mail *may* be out. Where the roster tells such a one from the others,
    /// the mark of the next mail may go on naming those of the last: then their outcome need not be stored before it.
    fn may_share_a_mark(&self, step: &Step) -> bool {
        let role = step.action.mailed_role().map(ToString::to_string);
        matches!(step.action, Action::Invite { .. })
            && self.ledger.invitations_visible == Some(true)
            && self.snapshot.is_complete()
            && self.ledger.in_flight.as_ref().is_some_and(|mark| mark.role == role && mark.replaces.is_none())
    }

    fn mark(&self, step: &Step, marked: &Time, answered: &[Answered]) -> InFlight {
        let guests = step.action.guests();
        let behind = answered.iter().map(|answered| &answered.guest);
        InFlight {
            id: uuid::Uuid::new_v4().to_string(),
            // The earliest, since an outcome counts as this mark's if it is not older.
            started_at: answered.first().map_or(marked, |first| &first.marked).clone(),
            emails: behind.chain(guests).map(|guest| guest.email.clone()).collect(),
            // Of several the newest: whatever the server sends for this mail is newer than all of them.
            replaces: guests
                .iter()
                .filter_map(|guest| self.snapshot.member(&guest.email)?.invited_at)
                .max()
                .map(|at| at.to_string()),
            role: step.action.mailed_role().map(ToString::to_string),
        }
    }

    async fn not_taken(&mut self, step: &Step, error: Error, answered: &mut Vec<Answered>) -> Result<(), End> {
        let guests = step.action.guests();
        if error.lost() {
            if error.status() == Some(500) {
                // The server itself says that it has ended, unlike something in front of it.
                outcome::end_request(self.ledger, Boottime::now());
            }
            // Perhaps mailed, perhaps not: the mark stays until a roster tells.
            self.store_all(answered).await?;
            return Err(End::Look);
        }
        match error.class() {
            Class::Refused if guests.len() > 1 => {
                // Part of it may have been mailed. The roster tells; the rest goes in halves.
                outcome::batch_refused(self.ledger, guests, Boottime::now());
                self.store_all(answered).await?;
                Err(End::Look)
            }
            Class::Refused | Class::NotFound => {
                for guest in guests {
                    let verb = step.action.verb();
                    let message = error.to_string();
                    outcome::mail_refused(self.ledger, guest, &message, seconds(Timestamp::now()));
                    self.refuse(&guest.email, &verb, HeldReason::Failed, message);
                }
                self.store_outcome(guests).await?;
                self.unmark();
                Ok(())
            }
            Class::Forbidden => {
                self.unmark();
                self.refuse("", "invite", HeldReason::Forbidden, error.to_string());
                Ok(())
            }
            Class::Transient | Class::Unauthorized | Class::NotLabelStudio => {
                self.unmark();
                Err(End::Failed(error))
            }
        }
    }

    /// Revokes the invitation that is to be sent anew. False: there was none to replace, and none is sent.
    async fn replaces(&mut self, step: &Step, guest: &Guest) -> Result<bool, End> {
        let verb = step.action.verb();
        let listed = self.snapshot.member(&guest.email).is_some() || self.snapshot.was_invited_since(&guest.email);
        match self.client.revoke_invitation(&guest.email).await {
            Ok(Revoked::Done) => {
                let revoked = Action::Revoke { email: guest.email.clone(), blind: !listed };
                outcome::succeeded(self.ledger, self.snapshot, &revoked);
                Ok(true)
            }
            Ok(Revoked::NothingOpen) if listed => {
                let looked = |at: Boottime| at < self.snapshot.begun && at.elapsed() < JUST_LOOKED;
                if self.ledger.passing.not_revoked.remove(&guest.email).is_some_and(looked) {
                    // Looked at since, and still there.
                    return Ok(true);
                }
                self.ledger.passing.not_revoked.insert(guest.email.clone(), Boottime::now());
                // Perhaps accepted since the roster was read: then it is a role to change.
                self.unmark();
                Err(End::Look)
            }
            Ok(Revoked::NothingOpen) => {
                outcome::unconfirmed(self.ledger, guest, seconds(Timestamp::now()));
                Ok(false)
            }
            Err(error)
                if error.lost()
                    && self.ledger.invitations_visible == Some(true)
                    && !self.fails_again(&guest.email, &verb) =>
            {
                // Perhaps revoked, and not by anybody else: the mark says so until a roster tells. No mail is out.
                outcome::end_request(self.ledger, Boottime::now());
                Err(End::Look)
            }
            // About this person alone, as any other write is.
            Err(error) => self.judge(&guest.email, &verb, error).map(|()| false).inspect_err(|_| self.unmark()),
        }
    }

    /// Before a mark that does not name them, and when no mail follows.
    pub(super) async fn store_answered(&mut self, answered: &mut Vec<Answered>) -> Result<(), End> {
        if !answered.is_empty() {
            self.store_all(answered).await?;
            self.unmark();
        }
        Ok(())
    }

    async fn store_all(&mut self, answered: &mut Vec<Answered>) -> Result<(), End> {
        let guests: Vec<Guest> = answered.drain(..).map(|answered| answered.guest).collect();
        self.store_outcome(&guests).await
    }

    async fn store_outcome(&mut self, guests: &[Guest]) -> Result<(), End> {
        self.not_stored(guests);
        self.memory.record(self.ledger, guests).await.map_err(End::Forgotten)?;
        self.stored(guests);
        Ok(())
    }

    fn not_stored(&mut self, guests: &[Guest]) {
        for Guest { invite, email, .. } in guests {
            if let Some(person) = self.ledger.person(invite, email).cloned() {
                self.ledger.passing.unstored.insert((invite.clone(), email.clone()), person);
            }
        }
    }

    fn stored<'g>(&mut self, guests: impl IntoIterator<Item = &'g Guest>) {
        for Guest { invite, email, .. } in guests {
            self.ledger.passing.unstored.remove(&(invite.clone(), email.clone()));
        }
    }

    /// Once the outcome of each address of the mark is stored, it may be replaced or cleared.
    fn unmark(&mut self) {
        if self.ledger.passing.unstored.is_empty() {
            self.ledger.in_flight = None;
            self.ledger.passing.mark = None;
        } else {
            // It stays for others; nothing of its own is under way.
            outcome::end_request(self.ledger, Boottime::now());
        }
    }
}

/// Whose outcome is to be stored now, and whose may wait: a UserInvite of five hundred people is written once, not with each
/// mail.
fn due(answered: &[Answered], step: &Step, next: Option<&Step>) -> (Vec<Guest>, Vec<Guest>) {
    let coming: Vec<&Guest> = std::iter::once(step).chain(next).flat_map(|step| step.action.guests()).collect();
    let is_full = answered.len() + coming.len() > MOST_MARKED
        || answered.first().is_some_and(|first| first.at.elapsed() > LONGEST_UNSTORED);
    let invites: BTreeSet<&str> = coming.into_iter().map(|guest| guest.invite.as_str()).collect();
    let guests = answered.iter().map(|answered| answered.guest.clone());
    guests.partition(|guest| is_full || !invites.contains(guest.invite.as_str()))
}

/// Stores outcomes, then prepares the mail that comes next. Those that are `waiting` for more of their UserInvite are
/// stored too when this mail is not over in time. True: nothing waits any more.
async fn keep<M: Memory>(
    memory: &mut M,
    ledger: &Ledger,
    due: &[Guest],
    next: Option<&Step>,
    waiting: &[Guest],
    is_over: &Notify,
) -> Result<bool, Forgotten> {
    memory.record(ledger, due).await?;
    memory.prepare(ledger, &concerned(next.map(std::slice::from_ref).unwrap_or_default())).await?;
    if waiting.is_empty() || timeout(LONGEST_UNSTORED, is_over.notified()).await.is_ok() {
        return Ok(false);
    }
    memory.record(ledger, waiting).await?;
    Ok(true)
}
