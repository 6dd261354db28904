//! The invite link has its turn when everybody else had theirs: it is read, published to its Secret, and rotated when
//! that was decided. A failure of it blocks nobody, and the server is not asked again and again for what it refused.

use super::Context;
use super::credentials::References;
use super::gate::Preemption;
use super::link_secret::{LinkSecrets, Write};
use super::objects::Objects;
use super::publish::{publish_organization, remember};
use super::server::Server;
use super::status::{LinkState, OrganizationView};
use super::task::OrganizationKey;
use crate::engine::apply::{Gate as _, Reset, reset_link};
use crate::engine::desired::Desired;
use crate::engine::invite_link::{self, Decision, Sight, Wanted};
use crate::engine::ledger::Ledger;
use crate::engine::memory::Forgotten;
use crate::engine::plan::Plan;
use crate::engine::problem::{Kind, Problem};
use crate::engine::snapshot::Snapshot;
use crate::label_studio::{Boottime, Error, InviteLink};
use crate::resources::{InviteLinkStatus, Organization, RECONCILE_ANNOTATION, ROTATE_ANNOTATION, seconds};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::time::Duration;
use tokio::sync::watch as channel;

/// When a Secret is tried again whose write failed by chance.
const SECRET_AGAIN: Duration = Duration::from_secs(5);
/// When to look whether a right was granted meanwhile, or the server has recovered.
const REFUSED_AGAIN: Duration = Duration::from_secs(60);
/// How often the link is looked at in one turn.
const MOST_LOOKS: u32 = 3;

/// What is kept from pass to pass. Losing it costs a request.
#[derive(Default)]
pub struct Kept {
    references: References,
    link: Option<Known>,
    read: Option<Refused>,
    reset: Option<Refused>,
}

#[derive(Clone)]
struct Known {
    link: InviteLink,
    begun: Boottime,
}

/// What the server refused, and until when it is not asked again: the next reading of everything, where nothing else is
/// said.
struct Refused {
    cause: String,
    problem: Problem,
    at: Boottime,
    until: Option<Boottime>,
}

/// What came of a turn.
#[derive(Default)]
pub struct Outcome {
    /// None: it did not have its turn.
    pub state: Option<LinkState>,
    /// When to come back for it.
    pub next: Option<Duration>,
}

/// Why a turn ended early.
enum Halt {
    Failed { problem: Problem, again: Option<Duration> },
    Preempted,
    Forgotten(Forgotten),
}

pub struct Turn<'a> {
    pub context: &'a Context,
    pub key: &'a OrganizationKey,
    pub wake: &'a channel::Sender<u64>,
    pub organization: &'a Organization,
    pub desired: &'a Desired,
    pub server: &'a Server,
    pub snapshot: &'a Snapshot,
    pub plan: &'a Plan,
    pub gate: &'a Preemption,
}

/// `ledger` has to be stored afterwards.
pub async fn keep_link(
    turn: &Turn<'_>,
    kept: &mut Kept,
    objects: &mut Objects,
    ledger: &mut Ledger,
) -> Result<Outcome, Forgotten> {
    let Some(secrets) = LinkSecrets::of(&turn.context.kube, turn.key, turn.organization) else {
        return Ok(Outcome::default());
    };
    let wanted = invite_link::wanted(turn.organization);
    if turn.desired.observes_only {
        let asks = |wanted| {
            let memory = ledger.invite_link.as_ref();
            memory.is_some_and(|memory| invite_link::asks_for_another(wanted, memory, seconds(Timestamp::now())))
        };
        let anew = wanted.as_ref().is_some_and(asks);
        return Ok(Outcome { state: Some(LinkState::Observed { anew }), next: None });
    }
    let ended = match wanted {
        Some(wanted) => turn.publish(&wanted, &secrets, kept, objects, ledger).await,
        None => withdraw(&secrets, kept, ledger).await,
    };
    match ended {
        Ok(outcome) => Ok(outcome),
        Err(Halt::Failed { problem, again }) => {
            let (reason, message) = (problem.reason, &problem.message);
            tracing::info!(organization = %turn.key, reason, message, "the invite link is not as declared");
            Ok(Outcome { state: Some(LinkState::Failed(problem)), next: again })
        }
        Err(Halt::Preempted) => Ok(Outcome { state: None, next: Some(Duration::ZERO) }),
        Err(Halt::Forgotten(forgotten)) => Err(forgotten),
    }
}

/// The field is gone: so is the Secret, and what was remembered of it.
async fn withdraw(secrets: &LinkSecrets, kept: &mut Kept, ledger: &mut Ledger) -> Result<Outcome, Halt> {
    if let Some(memory) = &ledger.invite_link {
        secrets.remove(&memory.secret_name).await?;
        ledger.invite_link = None;
    }
    *kept = Kept::default();
    Ok(Outcome { state: Some(LinkState::Withdrawn), next: None })
}

impl Turn<'_> {
    async fn publish(
        &self,
        wanted: &Wanted,
        secrets: &LinkSecrets,
        kept: &mut Kept,
        objects: &mut Objects,
        ledger: &mut Ledger,
    ) -> Result<Outcome, Halt> {
        let name = &wanted.secret_name;
        kept.references.follow_secret(&self.context.kube, self.key, name, self.wake).await;
        if !self.gate.is_open() {
            return Err(Halt::Preempted);
        }
        // Where the link has no place, the server is not asked for it.
        secrets.has_place(name).await?;
        settle_name(name, secrets, objects, ledger).await?;
        invite_link::notice_rotation(ledger, Boottime::now());
        let mut made = None;
        for _ in 0..MOST_LOOKS {
            let Known { link, begun } = match made.take() {
                Some(made) => made,
                None => self.link(wanted, kept, ledger).await?,
            };
            secrets.put(name, &link, Write::Now).await?;
            let sight = Sight { hash: invite_link::hash(self.organization, &link), begun };
            let marked = ledger.passing.rotation.as_ref().map(|(_, at)| *at);
            let patience = self.context.settings.mail_patience();
            let now = seconds(Timestamp::now());
            let memory = memory(ledger);
            match invite_link::decide(wanted, memory, marked, &sight, patience, now) {
                Decision::Publish => {
                    invite_link::published(memory, wanted, now);
                    return Ok(done(wanted, memory));
                }
                Decision::Finish => {
                    invite_link::rotated(memory);
                    return Ok(done(wanted, memory));
                }
                Decision::Wait(wait) => {
                    return Ok(Outcome { state: Some(LinkState::Rotating), next: Some(wait) });
                }
                Decision::Rotate => {
                    if let Some(refused) = kept.reset.as_ref().filter(|refused| self.stands(refused)) {
                        // What the mark was for did not happen, and is not tried now.
                        invite_link::published(memory, wanted, now);
                        return Err(refused.halt());
                    }
                    // A new link that could not be published would leave a dead one in the Secret.
                    secrets.put(name, &link, Write::Rehearsal).await?;
                    made = self.rotate(wanted, &sight, kept, objects, ledger).await?;
                }
            }
        }
        Ok(Outcome { state: Some(LinkState::Rotating), next: Some(REFUSED_AGAIN) })
    }

    /// The new link, if the server answered with it. Otherwise the look that follows tells whether one was made, as it
    /// does after a crash.
    async fn rotate(
        &self,
        wanted: &Wanted,
        sight: &Sight,
        kept: &mut Kept,
        objects: &mut Objects,
        ledger: &mut Ledger,
    ) -> Result<Option<Known>, Halt> {
        let mark = invite_link::mark(wanted, memory(ledger), sight, seconds(Timestamp::now()));
        let store = async |ledger: &Ledger| {
            let view = OrganizationView {
                snapshot: Some(self.snapshot),
                plan: Some(self.plan),
                token_expires_at: self.server.client.token_expires_at(),
                link: Some(&LinkState::Rotating),
                ..OrganizationView::default()
            };
            publish_organization(self.context, objects, self.desired, ledger, view).await
        };
        let reset = reset_link(&self.server.client, ledger, mark, self.gate, self.gate.overtaken(), store).await;
        kept.link = None;
        match reset.map_err(Halt::Forgotten)? {
            Reset::Done(link) => Ok(Some(kept.link.insert(Known { link, begun: Boottime::now() }).clone())),
            Reset::Preempted | Reset::Overtaken => Err(Halt::Preempted),
            Reset::Refused(error) => Err(kept.reset.insert(self.refused(&error)).halt()),
            Reset::Unknown(error) => {
                tracing::warn!(organization = %self.key, %error, "was a new invite link made? the link itself tells");
                Ok(None)
            }
        }
    }

    /// The link that is valid now. While we change nothing about it, it is read when everything else is.
    async fn link(&self, wanted: &Wanted, kept: &mut Kept, ledger: &Ledger) -> Result<Known, Halt> {
        let memory = ledger.invite_link.as_ref();
        let rotating = memory.is_some_and(|memory| memory.rotating.is_some());
        let asks = memory.is_some_and(|m| invite_link::asks_for_another(wanted, m, seconds(Timestamp::now())));
        let refused = kept.reset.as_ref().is_some_and(|refused| self.stands(refused));
        let calm = !rotating && (!asks || refused);
        if let Some(known) = kept.link.clone().filter(|known| calm && known.begun >= self.snapshot.begun) {
            return Ok(known);
        }
        if let Some(refused) = kept.read.as_ref().filter(|refused| self.stands(refused)) {
            return Err(refused.halt());
        }
        let begun = Boottime::now();
        let read = tokio::select! {
            biased;
            read = self.server.client.invite_link() => read,
            // An edit does not wait for a server that hangs.
            () = self.gate.closed() => return Err(Halt::Preempted),
        };
        kept.link = None;
        match read {
            Ok(link) => {
                kept.read = None;
                Ok(kept.link.insert(Known { link, begun }).clone())
            }
            Err(error) => Err(kept.read.insert(self.refused(&error)).halt()),
        }
    }

    fn refused(&self, error: &Error) -> Refused {
        let problem = self.server.problem(error);
        let at = Boottime::now();
        let until = (problem.kind != Kind::Terminal).then(|| at + problem.retry_after.unwrap_or(REFUSED_AGAIN));
        Refused { cause: self.cause(), problem, at, until }
    }

    fn stands(&self, refused: &Refused) -> bool {
        let early = match refused.until {
            Some(until) => Boottime::now() < until,
            None => self.snapshot.begun < refused.at,
        };
        early && refused.cause == self.cause()
    }

    /// What people change when they want it tried again.
    fn cause(&self) -> String {
        let annotations = self.organization.annotations();
        let (reconcile, rotate) = (annotations.get(RECONCILE_ANNOTATION), annotations.get(ROTATE_ANNOTATION));
        format!("{:?} {reconcile:?} {rotate:?}", self.organization.metadata.generation)
    }
}

/// The Secret of before goes, then the new name is remembered, then its Secret is made: so none is ever forgotten.
async fn settle_name(
    name: &str,
    secrets: &LinkSecrets,
    objects: &mut Objects,
    ledger: &mut Ledger,
) -> Result<(), Halt> {
    let memory = memory(ledger);
    if memory.secret_name == name {
        return Ok(());
    }
    if !memory.secret_name.is_empty() {
        secrets.remove(&memory.secret_name).await?;
    }
    name.clone_into(&mut memory.secret_name);
    remember(objects, ledger).await.map_err(Halt::Forgotten)
}

fn memory(ledger: &mut Ledger) -> &mut InviteLinkStatus {
    ledger.invite_link.get_or_insert_default()
}

fn done(wanted: &Wanted, memory: &InviteLinkStatus) -> Outcome {
    let now = seconds(Timestamp::now());
    // A request that came in meanwhile is carried out by the next pass.
    let asks = invite_link::asks_for_another(wanted, memory, now).then_some(Duration::ZERO);
    let due = || invite_link::due(wanted, memory).map(super::conclude::until);
    Outcome { state: Some(LinkState::Published), next: asks.or_else(due) }
}

impl Refused {
    fn halt(&self) -> Halt {
        let again = self.until.map(|until| until.saturating_duration_since(Boottime::now()));
        Halt::Failed { problem: self.problem.clone(), again }
    }
}

impl From<Problem> for Halt {
    /// What Kubernetes refused.
    fn from(problem: Problem) -> Self {
        let again = match problem.kind {
            Kind::Transient | Kind::Waiting => SECRET_AGAIN,
            // Nothing tells when a right was granted.
            Kind::Terminal => REFUSED_AGAIN,
        };
        Self::Failed { problem, again: Some(again) }
    }
}
