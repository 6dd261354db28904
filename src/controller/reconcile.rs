//! One pass over one Organization and every UserInvite that refers to it: hand over, connect, observe, plan, apply,
//! publish. A pass may end at any point and the next goes on from what is stored.

use super::credentials::connection;
use super::farewell::without_organization;
use super::gate::Preemption;
use super::handover::hand_over;
use super::objects::Objects;
use super::publish::{Desk, publish, publish_problem, publish_target_changed};
use super::server::{Server, Session};
use super::situation::{Kind, Problem};
use super::status::OrganizationView;
use super::task::OrganizationKey;
use super::{Context, credentials};
use crate::engine::apply::{Applied, End, Hands, apply};
use crate::engine::desired::{Desired, desired};
use crate::engine::ledger::{Ledger, Passing};
use crate::engine::mark::{MarkVerdict, notice_mark, settle_mark};
use crate::engine::memory::{Forgotten, Memory as _};
use crate::engine::outcome;
use crate::engine::plan::{Circumstances, Plan, plan};
use crate::engine::reinvite::release_reinvited;
use crate::engine::target::settle_target;
use crate::engine::visibility::learn_visibility;
use crate::label_studio::Boottime;
use crate::resources::{APPROVE_ANNOTATION, Organization, folded, seconds};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::Instant;

/// Rounds of looking and planning in which nothing was done, before the pass gives up until later.
const MOST_IDLE_ROUNDS: u32 = 12;
/// A roster older than this takes nobody's access away.
const FRESH: Duration = Duration::from_secs(60);
/// When to come back to a roster that is not complete.
const INCOMPLETE_AGAIN: Duration = Duration::from_secs(60);

/// When the next pass is due, unless somebody wakes the task.
#[derive(Debug)]
pub enum Next {
    After(Duration),
    WhenWoken,
    /// Nobody refers to this Organization any more.
    Never,
}

/// What a task keeps from pass to pass. Losing it costs a read of the roster.
pub struct State {
    pub key: OrganizationKey,
    pub wake: channel::Sender<u64>,
    objects: Option<Objects>,
    references: credentials::References,
    session: Session,
    passing: Passing,
    conflicts: u32,
}

impl State {
    pub fn new(key: OrganizationKey, wake: channel::Sender<u64>) -> Self {
        Self {
            key,
            wake,
            objects: None,
            references: credentials::References::default(),
            session: Session::default(),
            passing: Passing::default(),
            conflicts: 0,
        }
    }
}

pub async fn pass(context: &Arc<Context>, state: &mut State, woken: &channel::Receiver<u64>, seen: u64) -> Next {
    let key = state.key.clone();
    let mut objects = state.objects.take().unwrap_or_else(|| Objects::new(context.kube.clone(), key.clone()));
    objects.refresh(context);
    let ended = attempt(context, state, &mut objects, woken, seen).await;
    state.objects = Some(objects);
    match ended {
        Ok(next) => {
            state.conflicts = 0;
            next
        }
        Err(forgotten) => {
            // Somebody else wrote, or the API server does not answer: what stands is read again.
            tracing::warn!(organization = %key, error = %forgotten, "pass ended early");
            state.conflicts = (state.conflicts + 1).min(10);
            Next::After(Duration::from_millis(100 << state.conflicts.min(8)).mul_f64(0.5 + fastrand::f64()))
        }
    }
}

async fn attempt(
    context: &Arc<Context>,
    state: &mut State,
    objects: &mut Objects,
    woken: &channel::Receiver<u64>,
    seen: u64,
) -> Result<Next, Forgotten> {
    let standing = objects.organization.clone().filter(|o| o.metadata.deletion_timestamp.is_none());
    let Some(organization) = standing else {
        let alone = without_organization(context, &state.key, objects).await?;
        return Ok(if alone { Next::Never } else { Next::WhenWoken });
    };
    let mut ledger = read_ledger(objects, std::mem::take(&mut state.passing));
    let handed = hand_over(context, objects, &mut ledger).await?;
    let wanted = desired(&organization.spec, objects.living());
    let next = if organization.spec.suspend {
        publish(context, objects, &wanted, &ledger, OrganizationView::default()).await.map(|()| Next::WhenWoken)
    } else {
        let gate = Preemption { woken: woken.clone(), seen, planned: Instant::now(), stop: context.stop.clone() };
        let pass = Pass {
            context,
            organization: &organization,
            desired: &wanted,
            gate,
            handed_over_all: handed.waiting.is_empty(),
        };
        pass.run(state, objects, &mut ledger).await
    };
    state.passing = ledger.passing;
    next
}

fn read_ledger(objects: &Objects, passing: Passing) -> Ledger {
    let organization = objects.organization.as_ref().and_then(|o| o.status.as_ref());
    let invites = objects.invites.iter().map(|(name, invite)| (name.clone(), invite.status.clone()));
    Ledger::read(organization, invites, passing)
}

struct Pass<'a> {
    context: &'a Arc<Context>,
    organization: &'a Organization,
    desired: &'a Desired,
    gate: Preemption,
    handed_over_all: bool,
}

/// How the rounds of a pass ended.
struct Rounds {
    plan: Plan,
    problem: Option<Problem>,
    wait: Option<Duration>,
    again: bool,
}

impl Pass<'_> {
    async fn run(&self, state: &mut State, objects: &mut Objects, ledger: &mut Ledger) -> Result<Next, Forgotten> {
        let server = match self.connect(state).await {
            Ok(server) => server,
            Err(problem) => return self.give_up(state, objects, ledger, problem).await,
        };
        if let Err(problem) = server.observe(&self.organization.spec, self.asks_for_a_pass()).await {
            return self.give_up(state, objects, ledger, problem).await;
        }
        let rounds = match self.rounds(server, objects, ledger).await? {
            Ok(rounds) => rounds,
            Err(problem) => return self.give_up(state, objects, ledger, problem).await,
        };
        let Some(rounds) = rounds else {
            return Ok(Next::After(server.until_resync()));
        };
        let view = OrganizationView {
            snapshot: server.snapshot.as_ref(),
            plan: Some(&rounds.plan),
            problem: rounds.problem.as_ref(),
            ..Default::default()
        };
        publish(self.context, objects, self.desired, ledger, view).await?;
        if let Some(problem) = rounds.problem {
            server.snapshot = None;
            return Ok(Next::After(state.session.block(self.organization, problem)));
        }
        if rounds.again {
            return Ok(Next::After(Duration::ZERO));
        }
        let resync = server.until_resync();
        state.session.succeeded();
        let due = rounds.plan.due.map(until);
        let waiting = (!self.handed_over_all).then_some(INCOMPLETE_AGAIN);
        let soonest = [Some(resync), due, rounds.wait, waiting].into_iter().flatten().min();
        Ok(Next::After(soonest.unwrap_or(resync)))
    }

    async fn connect<'s>(&self, state: &'s mut State) -> Result<&'s mut Server, Problem> {
        let State { key, wake, references, session, .. } = state;
        let timeouts = self.context.settings.timeouts();
        let connection =
            connection(&self.context.kube, key, &self.organization.spec, references, wake, timeouts).await?;
        session.server(&self.context.paces, self.organization, connection)
    }

    /// Looks, plans and acts until nothing is left that can be done now. `Ok(Ok(None))`: the target is another one.
    async fn rounds(
        &self,
        server: &mut Server,
        objects: &mut Objects,
        ledger: &mut Ledger,
    ) -> Result<Result<Option<Rounds>, Problem>, Forgotten> {
        let mut idle = 0;
        let mut looked = false;
        let mut problem = None;
        let mut again = false;
        loop {
            let Some(snapshot) = server.snapshot.as_mut() else { return Ok(Ok(None)) };
            let now = seconds(Timestamp::now());
            let approve = self.organization.annotations().get(APPROVE_ANNOTATION).map(String::as_str);
            if let Err(changed) = settle_target(ledger, &snapshot.target, approve, now) {
                publish_target_changed(self.context, objects, self.desired, ledger, snapshot, &changed).await?;
                return Ok(Ok(None));
            }
            learn_visibility(ledger, snapshot);
            release_reinvited(self.desired, ledger);
            notice_mark(ledger, Boottime::now());
            let claimant = |email: &str| {
                let invite = self.desired.claimant(email)?;
                Some((invite.name.clone(), invite.emails.get(email)?.clone()))
            };
            let patience = self.context.settings.mail_patience();
            let mark = settle_mark(ledger, claimant, snapshot, patience, now, Boottime::now());
            let mut circumstances = Circumstances {
                now,
                mail_allowed: mark == MarkVerdict::Settled,
                roster_fresh: looked || snapshot.begun.elapsed() < FRESH,
            };
            if mark == MarkVerdict::Settled && ledger.in_flight.is_some() {
                self.store_mark(objects, ledger, circumstances).await?;
            }
            let made = plan(self.desired, snapshot, ledger, circumstances);
            outcome::settle(ledger, &made, &snapshot.target);
            let look = made.look || mark == MarkVerdict::LookNow;
            let finished = (made.steps.is_empty() && !look) || self.desired.observes_only;
            if finished || problem.is_some() || again || idle > MOST_IDLE_ROUNDS {
                let incomplete =
                    made.held.contains_key(&crate::resources::HeldReason::IncompleteRoster) || idle > MOST_IDLE_ROUNDS;
                let wait = match mark {
                    MarkVerdict::Wait(wait) => Some(wait),
                    _ => incomplete.then_some(INCOMPLETE_AGAIN),
                };
                if incomplete {
                    server.doubtful = true;
                }
                return Ok(Ok(Some(Rounds { plan: made, problem, wait, again })));
            }
            if look {
                idle += 1;
                looked = true;
                if let Err(trouble) = server.look(&self.organization.spec).await {
                    return Ok(Err(trouble));
                }
                continue;
            }
            circumstances.now = seconds(Timestamp::now());
            let Applied { done, end } = self.act(server, objects, ledger, circumstances, &made).await;
            idle = if done > 0 { 0 } else { idle + 1 };
            looked = false;
            match end {
                End::Done => {}
                End::Preempted => again = true,
                End::Look => {
                    if let Err(trouble) = server.look(&self.organization.spec).await {
                        return Ok(Err(trouble));
                    }
                }
                End::Failed(error) => problem = Some(server.problem(&error)),
                End::Forgotten(forgotten) => return Err(forgotten),
                End::Falling => return Ok(Ok(None)),
            }
        }
    }

    async fn act(
        &self,
        server: &mut Server,
        objects: &mut Objects,
        ledger: &mut Ledger,
        circumstances: Circumstances,
        made: &Plan,
    ) -> Applied {
        let Server { client, snapshot: Some(snapshot), interval, .. } = server else {
            return Applied { done: 0, end: End::Done };
        };
        let mut desk =
            Desk { context: self.context, objects, desired: self.desired, circumstances, told: Instant::now() };
        // The target is remembered before any write.
        if let Err(forgotten) = desk.remember(ledger).await {
            return Applied { done: 0, end: End::Forgotten(forgotten) };
        }
        let patience = SignedDuration::try_from(*interval).unwrap_or(SignedDuration::from_mins(10));
        let hands = Hands { client, snapshot, ledger, memory: &mut desk, gate: &self.gate, patience };
        apply(hands, made).await
    }

    /// Each address of the mark has its outcome: it is stored in the UserInvites, then the mark may go.
    async fn store_mark(
        &self,
        objects: &mut Objects,
        ledger: &mut Ledger,
        circumstances: Circumstances,
    ) -> Result<(), Forgotten> {
        let marked = ledger.in_flight.as_ref().map(|mark| mark.emails.clone()).unwrap_or_default();
        let invites: BTreeSet<String> = marked
            .iter()
            .filter_map(|email| self.desired.claimant(&folded(email)))
            .map(|invite| invite.name.clone())
            .collect();
        let mut desk =
            Desk { context: self.context, objects, desired: self.desired, circumstances, told: Instant::now() };
        desk.record(ledger, &invites).await?;
        ledger.in_flight = None;
        ledger.passing.mark = None;
        Ok(())
    }

    async fn give_up(
        &self,
        state: &mut State,
        objects: &mut Objects,
        ledger: &Ledger,
        problem: Problem,
    ) -> Result<Next, Forgotten> {
        tracing::info!(organization = %state.key, reason = problem.reason, message = problem.message, "cannot act");
        publish_problem(self.context, objects, self.desired, ledger, &problem).await?;
        Ok(match problem.kind {
            Kind::Waiting => Next::WhenWoken,
            Kind::Transient | Kind::Terminal => Next::After(state.session.block(self.organization, problem)),
        })
    }

    /// The annotation `labelstudio.rs/reconcile` has a value that was not handled yet.
    fn asks_for_a_pass(&self) -> bool {
        let asked = self.organization.annotations().get(crate::resources::RECONCILE_ANNOTATION);
        let handled = self.organization.status.as_ref().and_then(|s| s.last_handled_reconcile_at.as_ref());
        asked.is_some() && asked != handled
    }
}

fn until(due: Timestamp) -> Duration {
    // A moment more, since status times are cut to whole seconds.
    Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default() + Duration::from_millis(20)
}
