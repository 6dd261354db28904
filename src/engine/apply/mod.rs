//! The only stage that writes to Label Studio. Decides nothing: every step carries what it needs. Before each write
//! the gate is looked at; before each mail a mark is stored.

mod invite_link;
mod mail;

pub use self::invite_link::{Reset, reset_link};
use self::mail::Answered;
use super::approval;
use super::ledger::Ledger;
use super::memory::{Concerned, Forgotten, Memory};
use super::outcome;
use super::plan::{Action, Cause, Guest, Plan, Step};
use super::snapshot::Snapshot;
use crate::label_studio::{Class, Client, Error, Reach, Revoked};
use crate::resources::{HeldReason, seconds};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the log has one line for each write. Below the name of the program, so that a filter for that lets it through.
pub const AUDIT: &str = "label_studio_operator::audit";

/// Role changes and removals in flight, of distinct people.
const IN_FLIGHT: usize = 4;
/// After so many errors of the server at one person's write, that person is held and the others go on.
const MOST_FAILURES: u32 = 2;

/// Whether a write may still start: false once there is something newer to plan, or the process has to end.
pub trait Gate: Sync {
    fn is_open(&self) -> bool;
}

/// How far it got.
#[derive(Debug)]
pub struct Applied {
    pub done: usize,
    pub end: End,
}

#[derive(Debug)]
pub enum End {
    /// Every step was tried.
    Done,
    /// The gate closed: plan again from the snapshot.
    Preempted,
    /// An answer makes the roster doubtful: read it, then plan again.
    Look,
    /// The server does not answer, or refuses us: nothing more is sent now.
    Failed(Error),
    /// The memory that guards a write could not be stored.
    Forgotten(Forgotten),
    /// The Organization is being deleted: nobody leaves because of that.
    Falling,
}

/// Everything a step works on.
pub struct Hands<'a, M, G> {
    pub client: &'a Client,
    pub snapshot: &'a mut Snapshot,
    pub ledger: &'a mut Ledger,
    pub memory: &'a mut M,
    pub gate: &'a G,
    /// How long a refused write is not repeated.
    pub patience: SignedDuration,
}

pub async fn apply<M: Memory, G: Gate>(mut hands: Hands<'_, M, G>, plan: &Plan) -> Applied {
    hands.memory.begin(plan);
    let mut tally = Tally::default();
    let mut end = match hands.reserve(plan).await {
        Ok(()) => hands.steps(plan, &mut tally).await,
        Err(end) => Err(end),
    };
    // Whatever ended it, what was mailed last is stored.
    end = first_reason(end, hands.store_answered(&mut tally.answered).await);
    let untried = plan.steps.iter().filter(|step| step.action.removes() && !tally.has_tried(step));
    untried.for_each(|step| hands.undone(step));
    if !matches!(end, Err(End::Forgotten(_))) {
        // A mark of a mail that never left, and the place of a removal that was not tried, must not stand in the way of
        // the next pass, should this one be cut short.
        end = first_reason(end, hands.memory.remember(hands.ledger).await.map_err(End::Forgotten));
    }
    Applied { done: tally.done, end: end.err().unwrap_or(End::Done) }
}

#[derive(Default)]
struct Tally {
    done: usize,
    /// Whose write went out, whatever came of it.
    tried: BTreeSet<String>,
    /// Somebody was not found as the roster has it.
    look: bool,
    /// Not everything was done that should have been.
    refused: bool,
    /// Whose outcome is stored while the next mails are under way.
    answered: Vec<Answered>,
}

impl Tally {
    fn has_tried(&self, step: &Step) -> bool {
        step.action.emails().iter().any(|email| self.tried.contains(*email))
    }
}

impl<M: Memory, G: Gate> Hands<'_, M, G> {
    async fn steps(&mut self, plan: &Plan, tally: &mut Tally) -> Result<(), End> {
        // Of a mail the mark tells it.
        let live = |step: &Step| step.action.frees() || step.is_foreign();
        if plan.steps.iter().any(live) && !self.memory.stands().await.map_err(End::Forgotten)? {
            return Err(End::Falling);
        }
        let mut rest = plan.steps.as_slice();
        while let Some(step) = rest.first() {
            let alone = step.action.is_organizations() || step.action.mails();
            // Where seats are short, each is freed before one is taken.
            let together = |s: &Step| {
                is_about_a_person(&s.action) && (!plan.seats_short || s.action.frees() == step.action.frees())
            };
            let run = if alone { 1 } else { rest.iter().take_while(|s| together(s)).count() };
            let (now, later) = rest.split_at(run);
            if step.action.mails() {
                // Refused to one, it is refused to all: the others are not tried.
                if self.ledger.refusal("", "invite", Timestamp::now()).is_none() {
                    self.mail(step, later.first(), &mut tally.answered).await?;
                    tally.done += 1;
                }
            } else {
                // Thousands of role changes may take minutes.
                self.store_answered(&mut tally.answered).await?;
                self.together(now, tally, plan.steps.len()).await?;
            }
            self.tell(tally.done, plan.steps.len()).await?;
            if plan.seats_short && tally.refused {
                // A seat that somebody is promised may not be free now: that is planned anew.
                break;
            }
            rest = later;
        }
        if tally.look { Err(End::Look) } else { Ok(()) }
    }

    /// Writes about distinct people, a few at a time. After the first hard failure nothing new starts, and what is in
    /// flight ends.
    async fn together(&mut self, steps: &[Step], tally: &mut Tally, total: usize) -> Result<(), End> {
        self.prepare(steps).await?;
        let halted = AtomicBool::new(false);
        let (client, gate, id) = (self.client, self.gate, self.snapshot.target.organization_id);
        let mut answers = futures::stream::iter(steps.to_vec())
            .map(|step: Step| {
                let halted = &halted;
                async move {
                    if halted.load(Ordering::Relaxed) || !gate.is_open() {
                        return (step, None);
                    }
                    let answer = write(client, id, &step.action).await;
                    (step, Some(answer))
                }
            })
            .buffer_unordered(IN_FLIGHT);
        let mut end = Ok(());
        while let Some((step, answer)) = answers.next().await {
            if answer.is_some() {
                tally.tried.extend(step.action.emails().into_iter().map(ToOwned::to_owned));
            }
            let outcome = match answer {
                None => {
                    self.undone(&step);
                    Err(End::Preempted)
                }
                Some(Ok(Written::Done)) => {
                    self.told(&step, "done", "done");
                    outcome::succeeded(self.ledger, self.snapshot, &step.action);
                    tally.done += 1;
                    Ok(())
                }
                Some(Ok(Written::Otherwise(made))) => {
                    self.told(&step, "done", &format!("became {made}"));
                    // Else it would be written again at each look.
                    let message = format!("the server makes {made} of it");
                    self.refuse("", &step.action.verb(), HeldReason::Failed, message);
                    tally.done += 1;
                    Ok(())
                }
                Some(Ok(Written::NothingOpen)) => {
                    self.told(&step, "nothing_open", "nothing open");
                    let emails = step.action.emails();
                    for email in emails {
                        outcome::nothing_open(self.ledger, self.snapshot, email);
                    }
                    tally.done += 1;
                    tally.look = true;
                    Ok(())
                }
                Some(Err(error)) => {
                    self.told(&step, "failed", &error.to_string());
                    self.refused(&step, error, tally)
                }
            };
            let told = self.memory.progress(self.ledger, self.snapshot, tally.done, total).await;
            let outcome = outcome.and(told.map_err(End::Forgotten));
            if outcome.is_err() {
                // Nothing new starts; what is in flight ends.
                halted.store(true, Ordering::Relaxed);
                end = first_reason(end, outcome);
            }
        }
        end
    }

    /// One line for each external write: what, whom, from, to, which manifest. Which Organization says the span around it.
    fn told(&mut self, step: &Step, word: &'static str, result: &str) {
        let manifest = match &step.cause {
            Cause::Organization => "Organization",
            Cause::Invite(name) | Cause::Departure(name) => name,
            Cause::Several => "several UserInvites",
        };
        tracing::info!(target: AUDIT, manifest, change = %step.action, result, "written to Label Studio");
        self.memory.tried(step, word);
    }

    async fn prepare(&mut self, steps: &[Step]) -> Result<(), End> {
        self.memory.prepare(self.ledger, &concerned(steps)).await.map_err(End::Forgotten)
    }

    /// Counted before the first removal, so that a crash counts them rather than forgets them.
    async fn reserve(&mut self, plan: &Plan) -> Result<(), End> {
        // What a person approved is not counted.
        let approved = approval::approved(self.ledger, Timestamp::now());
        let organization = self.snapshot.target.organization_id;
        let is_approved = |email: &str, action: &Action| {
            !approved.is_empty()
                && approved.contains(approval::step(organization, HeldReason::RemovalGuard, email, action).as_str())
        };
        let removing = plan.steps.iter().filter(|step| step.action.removes());
        let emails = removing.flat_map(|step| step.action.emails().into_iter().map(|email| (email, &step.action)));
        let emails: Vec<&str> =
            emails.filter(|(email, action)| !is_approved(email, action)).map(|(email, _)| email).collect();
        if outcome::reserve_removals(self.ledger, &emails, self.snapshot.with_access(), seconds(Timestamp::now())) {
            self.memory.remember(self.ledger).await.map_err(End::Forgotten)?;
        }
        Ok(())
    }

    /// What was not tried, or was refused, is not counted.
    fn undone(&mut self, step: &Step) {
        step.action.emails().iter().for_each(|email| outcome::release_removal(self.ledger, email));
    }

    async fn tell(&mut self, done: usize, total: usize) -> Result<(), End> {
        self.memory.progress(self.ledger, self.snapshot, done, total).await.map_err(End::Forgotten)
    }

    /// A refusal holds this step alone; a server that does not answer ends the pass.
    fn refused(&mut self, step: &Step, error: Error, tally: &mut Tally) -> Result<(), End> {
        let email = step.action.emails().first().map(ToString::to_string).unwrap_or_default();
        let verb = step.action.verb();
        if !error.lost() {
            self.undone(step);
        }
        tally.refused = true;
        tally.look |= error.class() == Class::NotFound;
        self.judge(&email, &verb, error)
    }

    /// What an error means for one person's write: the person is held, or nothing more is sent.
    fn judge(&mut self, email: &str, verb: &str, error: Error) -> Result<(), End> {
        let reason = match error.class() {
            Class::Forbidden => HeldReason::Forbidden,
            Class::NotFound | Class::Refused => HeldReason::Failed,
            // An error page or no answer for one person, again and again, must not keep the others waiting.
            Class::Transient if is_about_one(&error) && self.fails_again(email, verb) => HeldReason::Failed,
            Class::Transient | Class::Unauthorized | Class::NotLabelStudio => return Err(End::Failed(error)),
        };
        self.refuse(email, verb, reason, error.to_string());
        Ok(())
    }

    fn fails_again(&mut self, email: &str, verb: &str) -> bool {
        let failures = self.ledger.passing.failures.entry((email.to_owned(), verb.to_owned())).or_default();
        *failures += 1;
        *failures >= MOST_FAILURES
    }

    fn refuse(&mut self, email: &str, verb: &str, reason: HeldReason, message: String) {
        let until = Timestamp::now().checked_add(self.patience).unwrap_or(Timestamp::MAX);
        outcome::refused(self.ledger, email, verb, reason, message, until);
    }
}

/// Whether the server was reached, so that it may do better for another person.
fn is_about_one(error: &Error) -> bool {
    error.status().is_some() || matches!(error, Error::Unreachable { reason: Reach::Timeout, .. })
}

enum Written {
    Done,
    /// There was no open invitation to revoke.
    NothingOpen,
    /// The server took it and made something else of it.
    Otherwise(String),
}

async fn write(client: &Client, organization: i64, action: &Action) -> Result<Written, Error> {
    let written = match action {
        Action::SetTitle { to, .. } => {
            let title = client.set_title(organization, to).await?.title;
            return Ok(if title == *to { Written::Done } else { Written::Otherwise(format!("{title:?}")) });
        }
        Action::SetDefaultRole { to, .. } => {
            let role = client.set_default_role(organization, to).await?;
            return Ok(if role == *to { Written::Done } else { Written::Otherwise(role.to_string()) });
        }
        Action::SetRole { user_id, to, .. } => client.set_role(organization, *user_id, to).await,
        Action::Remove { user_id, .. } => client.remove_member(organization, *user_id).await.map(drop),
        Action::Revoke { email, .. } => match client.revoke_invitation(email).await? {
            Revoked::Done => Ok(()),
            Revoked::NothingOpen => return Ok(Written::NothingOpen),
        },
        Action::AddToWorkspace { user_id, workspace, .. } => client.add_to_workspace(*workspace, *user_id).await,
        // Mails go one at a time, under a mark.
        Action::Invite { .. } | Action::InviteAnew { .. } => Ok(()),
    };
    written.map(|()| Written::Done)
}

/// The UserInvites that these steps are about, and whom of their people.
fn concerned(steps: &[Step]) -> Concerned {
    let mut concerned = Concerned::new();
    for step in steps {
        if let Cause::Invite(name) = &step.cause {
            let emails = step.action.emails().into_iter().map(ToOwned::to_owned);
            concerned.entry(name.clone()).or_default().extend(emails);
        }
        for Guest { invite, email, .. } in step.action.guests() {
            concerned.entry(invite.clone()).or_default().insert(email.clone());
        }
    }
    concerned
}

fn is_about_a_person(action: &Action) -> bool {
    !action.mails() && !action.is_organizations()
}

/// A failure outweighs a closed gate: it decides when to come back.
fn first_reason(known: Result<(), End>, new: Result<(), End>) -> Result<(), End> {
    match (&known, &new) {
        (Ok(()) | Err(End::Preempted), Err(_)) => new,
        _ => known,
    }
}

#[cfg(test)]
mod tests;
