//! One pass over one Organization and every UserInvite that refers to it: hand over, connect, observe, plan, apply,
//! publish. A pass may end at any point and the next goes on from what is stored.

use super::connect::connection;
use super::desk::Desk;
use super::farewell::without_organization;
use super::gate::Preemption;
use super::handover::hand_over;
use super::objects::Objects;
use super::publish::{Told, introduce, leave_outcomes, publish, remember};
use super::rivals::Place;
use super::server::{Server, Session};
use super::state::{Next, State};
use super::status::OrganizationView;
use super::takeover::Others;
use super::task::stopped;
use super::tell::{tell_approvals, tell_departures_undone, tell_left_behind};
use super::watch::Watched;
use super::{Context, credentials};
use crate::engine::desired::{Desired, desired};
use crate::engine::ledger::{Ledger, Passing};
use crate::engine::memory::Forgotten;
use crate::engine::plan::Plan;
use crate::engine::problem::{Kind, Problem};
use crate::engine::rounds::{self, Stop};
use crate::resources::{APPROVE_ANNOTATION, Organization, seconds};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::Instant;

/// When to come back to a roster that cannot be trusted.
pub const DOUBTFUL_AGAIN: Duration = Duration::from_secs(60);

/// When to look again, at the latest, for a Secret that the API server has not told of, or a server that is not up yet.
const UNREAD_AGAIN: Duration = Duration::from_secs(30);

/// When to look again whether another Organization for the same server has let go.
const RIVAL_AGAIN: Duration = Duration::from_secs(1);

/// When to look again whether the cache holds what another operator wrote.
const CACHE_AGAIN: Duration = Duration::from_millis(200);

pub async fn pass(context: &Arc<Context>, state: &mut State, woken: &channel::Receiver<u64>, seen: u64) -> Next {
    let key = state.key.clone();
    let begun = Instant::now();
    state.result = "done";
    let selector = &context.settings.selector;
    let anew = || Objects::new(context.kube.clone(), key.clone(), selector.clone());
    let mut objects = state.objects.take().unwrap_or_else(anew);
    let before = objects.organization.clone();
    objects.refresh(context);
    tell_undone(context, state, before.as_deref(), objects.organization.as_deref()).await;
    let asked = objects.organization.as_ref().and_then(|organization| asks_for_a_pass(organization).cloned());
    objects.begin(asked.as_ref());
    // Boxed, since it is large.
    let ended = Box::pin(attempt(context, state, &mut objects, woken, seen)).await;
    if ended.is_ok() {
        objects.left_behind.end();
    }
    tell_left_behind(context, &mut objects).await;
    tell_approvals(context, &mut objects).await;
    let again = objects.left_behind.next();
    state.objects = Some(objects);
    let result = if ended.is_ok() { state.result } else { "conflict" };
    context.figures.passed(result, begun.elapsed());
    context.figures.connected(&key, state.session.current().map(|server| &server.client));
    if ended.is_err() {
        (state.taken_over, state.unmarked_since) = (false, None);
    }
    match ended {
        Ok(next) => {
            state.conflicts = 0;
            next.within(again)
        }
        Err(forgotten @ Forgotten::LeftBehind { .. }) => {
            tracing::warn!(organization = %key, error = %forgotten, "planned anew without it");
            Next::After(Duration::ZERO)
        }
        Err(forgotten) => {
            // Somebody else wrote, or the API server does not answer: what stands is read again.
            tracing::warn!(organization = %key, error = %forgotten, "pass ended early");
            // At most a few seconds: whoever writes all the time must not keep people waiting.
            state.conflicts = (state.conflicts + 1).min(5);
            Next::After(Duration::from_millis(100 << state.conflicts).mul_f64(0.5 + fastrand::f64()))
        }
    }
}

/// What an Organization had not carried out when it was deleted nobody will: with it goes the only list of it.
async fn tell_undone(context: &Context, state: &mut State, before: Option<&Organization>, now: Option<&Organization>) {
    let same = now.filter(|now| before.is_none_or(|before| now.uid() == before.uid()));
    // As it was last known; where another one stands in its place already, too.
    let Some(gone) = same.or(before).filter(|known| known.metadata.deletion_timestamp.is_some() || same.is_none())
    else {
        return;
    };
    if state.undone != gone.uid() {
        state.undone = gone.uid();
        tell_departures_undone(context, gone).await;
    }
}

async fn attempt(
    context: &Arc<Context>,
    state: &mut State,
    objects: &mut Objects,
    woken: &channel::Receiver<u64>,
    seen: u64,
) -> Result<Next, Forgotten> {
    if objects.organization.as_ref().is_some_and(|organization| !context.is_ours(organization)) {
        leave_outcomes(objects, &mut state.passing).await?;
        tracing::info!(organization = %state.key, "another operator acts for it, by its labels");
        context.rivals.forget(&state.key);
        return Ok(Next::Never);
    }
    let left_out = context.organizations_in(&state.key.namespace).is_some_and(Watched::is_left_out);
    let standing = objects.organization.clone().filter(|o| o.metadata.deletion_timestamp.is_none());
    let Some(organization) = standing.filter(|_| !left_out) else {
        if !left_out {
            context.rivals.forget(&state.key);
            // Those who refer to it still keep the task, and with it no connection and no share of an account's budget.
            state.session = Session::default();
            state.references = credentials::References::default();
            context.figures.forget(&state.key);
        }
        let alone = without_organization(context, &state.key, objects).await?;
        return Ok(match left_out {
            // What is declared there nobody knows now; the list that succeeds wakes us, and nothing else tells of the end
            // of an Organization that those who go wait for.
            true if objects.dying().is_empty() => Next::WhenWoken,
            true => Next::After(UNREAD_AGAIN),
            false if alone => Next::Never,
            false => Next::WhenWoken,
        });
    };
    if !state.taken_over && !take_over(context, state, &organization).await? {
        return Ok(Next::After(CACHE_AGAIN));
    }
    let mut ledger = read_ledger(objects, std::mem::take(&mut state.passing));
    let (stop, traffic) = (context.stop.clone(), context.traffic.clone());
    let gate = Preemption { woken: woken.clone(), seen, planned: Instant::now(), stop, traffic };
    let next = stages(context, state, objects, &mut ledger, &organization, gate).await;
    state.passing = ledger.passing;
    next
}

/// Whether the cache holds whatever another operator wrote that acted for it until now; where none does, it does.
async fn take_over(context: &Context, state: &mut State, organization: &Organization) -> Result<bool, Forgotten> {
    if context.settings.selector.selects_all() {
        state.taken_over = true;
        return Ok(true);
    }
    let now = Instant::now();
    state.unmarked_since = is_unmarked(organization).then(|| state.unmarked_since.unwrap_or(now));
    let since = state.unmarked_since.unwrap_or(now);
    let holds = context.holds_all_since(since).await.map_err(|error| Forgotten::Unwritten {
        object: format!("Organization {}", state.key),
        reason: format!("the UserInvites cannot be listed: {error}"),
    })?;
    // With a mark there is more to come, and to compare.
    state.taken_over = holds && is_unmarked(organization);
    Ok(holds)
}

pub fn is_unmarked(organization: &Organization) -> bool {
    organization.status.as_ref().is_none_or(|status| status.in_flight.is_none())
}

async fn stages(
    context: &Arc<Context>,
    state: &mut State,
    objects: &mut Objects,
    ledger: &mut Ledger,
    organization: &Organization,
    gate: Preemption,
) -> Result<Next, Forgotten> {
    let waiting = hand_over(context, objects, ledger).await?;
    let mut desired = desired(organization, objects.living(), seconds(Timestamp::now()));
    if let Some(target) = &ledger.target {
        desired.elsewhere = context.rivals.claimed(context, organization, target);
    }
    desired.left_behind = objects.left_behind();
    desired.leave_out(context.unlisted());
    let desired = &desired;
    if organization.spec.suspend {
        let told = publish(context, objects, desired, ledger, OrganizationView::default(), &gate).await?;
        return Ok(Next::WhenWoken.once(told));
    }
    let waits_for_room = (!waiting.is_empty()).then(|| ledger.departing());
    let pass = Pass { context, organization, desired, gate, waits_for_room };
    pass.run(state, objects, ledger).await
}

fn read_ledger(objects: &Objects, passing: Passing) -> Ledger {
    let organization = objects.organization.as_ref().and_then(|o| o.status.as_ref());
    let invites = objects.invites.iter().map(|(name, invite)| (name.clone(), invite.status.clone()));
    Ledger::read(organization, invites, passing)
}

pub struct Pass<'a> {
    pub context: &'a Arc<Context>,
    pub organization: &'a Organization,
    pub desired: &'a Desired,
    pub gate: Preemption,
    /// So many people depart; the list has no room for those of further UserInvites.
    pub waits_for_room: Option<usize>,
}

impl Pass<'_> {
    async fn run(&self, state: &mut State, objects: &mut Objects, ledger: &mut Ledger) -> Result<Next, Forgotten> {
        let connection = match connection(self.context, self.organization, state).await {
            Ok(connection) => connection,
            Err(problem) => return self.wait_for_change(state, objects, ledger, problem).await,
        };
        let server = match state.session.server(&self.context.paces, self.organization, connection) {
            Ok(server) => server,
            Err(problem) => return self.give_up(state, objects, ledger, problem).await,
        };
        let read_before = server.read_at();
        let rivals = &self.context.rivals;
        let mut others = Others::default();
        others.look(self.context, self.organization);
        let asked = asks_for_a_pass(self.organization);
        let mut stop = self.context.stop.clone();
        let observed = tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(Next::WhenWoken),
            observed = server.observe(&self.organization.spec, asked, async |target, enough| {
                if rivals.may_be_older(self.context, self.organization, target) {
                    return Ok(());
                }
                introduce(self.context, objects, self.desired, ledger, target, enough).await
            }) => observed,
        };
        match observed {
            Ok(introduced) => introduced?,
            Err(problem) => return self.give_up(state, objects, ledger, problem).await,
        }
        let Some(snapshot) = &server.snapshot else { return Ok(Next::After(DOUBTFUL_AGAIN)) };
        let turn = match rivals.take(self.context, self.organization, &snapshot.target, &state.wake) {
            Place::Ours(turn) => turn,
            Place::Older(older) => {
                others.look(self.context, self.organization);
                let theirs = others.remember(self.organization, &snapshot.target);
                theirs.copy(ledger, self.desired, &snapshot.target);
                return self.give_way(state, objects, ledger, &older).await;
            }
            Place::Soon => {
                if ledger.target.is_none() {
                    // By which the operator of the other one finds out.
                    ledger.target = Some(snapshot.target.clone());
                    remember(objects, ledger).await?;
                }
                return Ok(Next::After(RIVAL_AGAIN));
            }
        };
        others.look(self.context, self.organization);
        others.remember(self.organization, &snapshot.target).take_over(ledger, self.desired, &snapshot.target);
        drop(others);
        if turn.anew {
            // Before anything is done by what was seen while somebody else acted.
            server.doubtful = true;
            let read = tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(Next::WhenWoken),
                read = server.observe(&self.organization.spec, None, async |_, _| Ok(())) => read,
            };
            if let Err(problem) = read {
                return self.give_up(state, objects, ledger, problem).await;
            }
        }
        // What was declared when the roster was asked for may be withdrawn by the time it is there. Not twice in a row: a roster
        // that is read anew in each pass would have nothing done where something happens all the time.
        let overtaken = server.read_at() != read_before && self.gate.is_overtaken() && !state.overtaken;
        state.overtaken = overtaken;
        if overtaken {
            return Ok(Next::After(Duration::ZERO));
        }
        let (plan, stop) = self.rounds(server, objects, ledger).await?;
        self.context.figures.left(&state.key, &plan);
        tracing::debug!(organization = %state.key, ?stop, "rounds ended");
        self.conclude(state, objects, ledger, &plan, stop).await
    }

    async fn rounds(
        &self,
        server: &mut Server,
        objects: &mut Objects,
        ledger: &mut Ledger,
    ) -> Result<(Plan, Stop), Forgotten> {
        let Server { client, snapshot: Some(snapshot), interval, told, .. } = server else {
            return Ok((Plan::default(), Stop::Doubtful));
        };
        let mut desk = Desk::new(self.context, objects, self.desired, *told, client.token_expires_at());
        // What comes in just now does not close it before anything was done.
        let gate = Preemption { planned: Instant::now(), ..self.gate.clone() };
        let mut pass = rounds::Pass {
            client,
            desired: self.desired,
            approve: self.organization.annotations().get(APPROVE_ANNOTATION).map(String::as_str),
            snapshot,
            ledger,
            memory: &mut desk,
            gate: &gate,
            mail: self.context.settings.mail_patience(),
            fresh: self.context.settings.roster_fresh,
            refusal: SignedDuration::try_from(*interval).unwrap_or(SignedDuration::from_mins(10)),
        };
        let ended = rounds::rounds(&mut pass).await;
        *told = desk.told;
        ended
    }

    /// Something is missing, whose watch wakes us; or the first account could not be made.
    async fn wait_for_change(
        &self,
        state: &mut State,
        objects: &mut Objects,
        ledger: &Ledger,
        problem: Problem,
    ) -> Result<Next, Forgotten> {
        let told = self.tell_problem(state, objects, ledger, &problem).await?;
        let next = match problem.kind {
            Kind::Waiting => Next::WhenWoken,
            Kind::Terminal => Next::After(state.session.hold_off(self.organization, problem)),
            Kind::Transient => Next::After(state.session.hold_off(self.organization, problem).min(UNREAD_AGAIN)),
        };
        Ok(next.once(told))
    }

    pub async fn tell_problem(
        &self,
        state: &mut State,
        objects: &mut Objects,
        ledger: &Ledger,
        problem: &Problem,
    ) -> Result<Told, Forgotten> {
        state.result = problem.reason;
        tracing::info!(organization = %state.key, reason = problem.reason, message = problem.message, "cannot act");
        let view = OrganizationView { problem: Some(problem), ..Default::default() };
        publish(self.context, objects, self.desired, ledger, view, &self.gate).await
    }

    async fn give_up(
        &self,
        state: &mut State,
        objects: &mut Objects,
        ledger: &Ledger,
        problem: Problem,
    ) -> Result<Next, Forgotten> {
        let told = self.tell_problem(state, objects, ledger, &problem).await?;
        Ok(Next::After(state.session.block(self.organization, problem)).once(told))
    }
}

/// The value of the annotation `labelstudio.rs/reconcile`, if it was not handled yet.
fn asks_for_a_pass(organization: &Organization) -> Option<&String> {
    let asked = organization.annotations().get(crate::resources::RECONCILE_ANNOTATION);
    let handled = organization.status.as_ref().and_then(|s| s.last_handled_reconcile_at.as_ref());
    asked.filter(|_| asked != handled)
}
