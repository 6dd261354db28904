//! A mail: the one write that cannot be taken back. First status, finalizer, mark, mail, outcome: in this order, whatever
//! happens.

use super::{End, Gate, Hands, audit, invites_of};
use crate::engine::ledger::MarkSeen;
use crate::engine::memory::Memory;
use crate::engine::outcome;
use crate::engine::plan::{Action, Guest, Step};
use crate::label_studio::{Boottime, Class, Invite, Revoked, Role};
use crate::resources::{HeldReason, InFlight, seconds};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// A mail starts within this time of its mark, or not at all.
const MARK_LIFE: Duration = Duration::from_secs(5);
/// A roster so young is not read again for one row.
const JUST_READ: Duration = Duration::from_secs(5);

impl<M: Memory, G: Gate> Hands<'_, M, G> {
    /// First status, finalizer, mark, mail, outcome: in this order, whatever happens.
    /// What comes `next` is prepared while this mail is under way.
    pub(super) async fn mail(&mut self, step: &Step, next: Option<&Step>) -> Result<(), End> {
        let guests = step.action.guests();
        self.prepare(std::slice::from_ref(step)).await?;
        if !self.gate.is_open() {
            return Err(End::Preempted);
        }
        let clock = Boottime::now();
        let mark = InFlight {
            id: uuid::Uuid::new_v4().to_string(),
            started_at: Time(seconds(Timestamp::now())),
            emails: guests.iter().map(|guest| guest.email.clone()).collect(),
            replaces: guests
                .first()
                .filter(|_| matches!(step.action, Action::InviteAnew { .. }))
                .and_then(|guest| self.snapshot.member(&guest.email)?.invited_at.map(|at| at.to_string())),
            role: step.action.mailed_role().map(ToString::to_string),
        };
        self.ledger.passing.mark = Some(MarkSeen { id: mark.id.clone(), at: clock, ended: None });
        self.ledger.in_flight = Some(mark);
        self.memory.remember(self.ledger).await.map_err(End::Forgotten)?;
        if !self.gate.is_open() {
            self.unmark();
            return Err(End::Preempted);
        }
        let role = match &step.action {
            Action::InviteAnew { guest, to, .. } => {
                if !self.replaces(guest).await? {
                    return self.store_outcome(guests).await;
                }
                to
            }
            Action::Invite { role, .. } => role,
            _ => return Ok(()),
        };
        self.send(step, next, role, clock + MARK_LIFE).await
    }

    async fn send(&mut self, step: &Step, next: Option<&Step>, role: &Role, start_by: Boottime) -> Result<(), End> {
        let guests = step.action.guests();
        let emails: Vec<String> = guests.iter().map(|guest| guest.email.clone()).collect();
        let ahead = invites_of(next.map(std::slice::from_ref).unwrap_or_default());
        let invite = self.client.invite(Invite { emails: &emails, role }, start_by);
        let (answer, prepared) = futures::join!(invite, self.memory.prepare(self.ledger, &ahead));
        let Err(error) = answer else {
            audit(step, "done");
            outcome::mailed(self.ledger, self.snapshot, guests, role, seconds(Timestamp::now()));
            self.store_outcome(guests).await?;
            return prepared.map_err(End::Forgotten);
        };
        audit(step, &error.to_string());
        if error.lost() {
            // Perhaps mailed, perhaps not: the mark stays until a roster tells.
            return Err(End::Look);
        }
        match error.class() {
            Class::Refused if guests.len() > 1 => {
                // Part of it may have been mailed. The roster tells; the rest goes in halves.
                for guest in guests {
                    self.ledger.passing.batch_limits.insert(guest.email.clone(), guests.len().div_ceil(2));
                }
                outcome::end_request(self.ledger, Boottime::now());
                Err(End::Look)
            }
            Class::Refused | Class::NotFound => {
                for guest in guests {
                    let verb = step.action.verb();
                    let message = error.to_string();
                    outcome::mail_refused(self.ledger, guest, &message, seconds(Timestamp::now()));
                    self.refuse(&guest.email, &verb, HeldReason::Failed, message);
                }
                self.store_outcome(guests).await
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
    async fn replaces(&mut self, guest: &Guest) -> Result<bool, End> {
        let listed = self.snapshot.member(&guest.email).is_some() || self.snapshot.was_invited_since(&guest.email);
        match self.client.revoke_invitation(&guest.email).await {
            Ok(Revoked::Done) => {
                let revoked = Action::Revoke { email: guest.email.clone(), blind: !listed };
                outcome::succeeded(self.ledger, self.snapshot, &revoked);
                Ok(true)
            }
            Ok(Revoked::NothingOpen) if listed && self.snapshot.begun.elapsed() > JUST_READ => {
                // Perhaps accepted since the roster was read: then it is a role to change.
                self.unmark();
                Err(End::Look)
            }
            Ok(Revoked::NothingOpen) if listed => Ok(true),
            Ok(Revoked::NothingOpen) => {
                outcome::unconfirmed(self.ledger, guest, seconds(Timestamp::now()));
                Ok(false)
            }
            Err(error) => {
                self.unmark();
                Err(End::Failed(error))
            }
        }
    }

    async fn store_outcome(&mut self, guests: &[Guest]) -> Result<(), End> {
        for Guest { invite, email } in guests {
            if let Some(person) = self.ledger.person(invite, email).cloned() {
                self.ledger.passing.unstored.insert((invite.clone(), email.clone()), person);
            }
        }
        self.memory.record(self.ledger, guests).await.map_err(End::Forgotten)?;
        self.ledger.passing.unstored.clear();
        self.unmark();
        Ok(())
    }

    /// Each address of the mark has its outcome, so it may be replaced or cleared.
    fn unmark(&mut self) {
        self.ledger.in_flight = None;
        self.ledger.passing.mark = None;
    }
}
