//! The end of a pass: everybody's status, then what comes after the people, then the Organization's own; and when to come
//! back.

use super::desk::EVERY;
use super::gate::Preemption;
use super::invite_link::{self, keep_link};
use super::objects::Objects;
use super::publish::{Told, publish_organization, publish_people, remember};
use super::reconcile::{DOUBTFUL_AGAIN, Pass};
use super::signup_lock::{self, keep_lock};
use super::state::{Next, State};
use super::status::OrganizationView;
use super::tell::tell_freed_early;
use crate::engine::ledger::Ledger;
use crate::engine::memory::Forgotten;
use crate::engine::plan::Plan;
use crate::engine::rounds::Stop;
use crate::engine::snapshot::Completeness;
use jiff::Timestamp;
use kube::runtime::events::EventType;
use std::time::Duration;
use tokio::time::Instant;

/// When to look whether an Organization that is going away is gone.
const FALLING_AGAIN: Duration = Duration::from_secs(1);

impl Pass<'_> {
    /// Publishes, and says when to come back.
    pub async fn conclude(
        &self,
        state: &mut State,
        objects: &mut Objects,
        ledger: &mut Ledger,
        plan: &Plan,
        stop: Stop,
    ) -> Result<Next, Forgotten> {
        let Some(server) = state.session.current() else { return Ok(Next::After(DOUBTFUL_AGAIN)) };
        if matches!(stop, Stop::Preempted) && server.told.elapsed() < EVERY {
            // Whoever waits for the edit that came in between should not wait for everybody's status first.
            remember(objects, ledger).await?;
            return Ok(Next::After(Duration::ZERO));
        }
        let problem = match &stop {
            Stop::Failed(error) => Some(server.problem(error)),
            Stop::Unobserved(unobserved) => Some(server.unobserved(unobserved)),
            _ => None,
        };
        let target_changed = match &stop {
            Stop::TargetChanged(changed) => Some(&**changed),
            _ => None,
        };
        let mut view = OrganizationView {
            snapshot: server.snapshot.as_ref(),
            plan: target_changed.is_none().then_some(plan),
            token_expires_at: server.client.token_expires_at(),
            problem: problem.as_ref(),
            target_changed,
            ..Default::default()
        };
        self.tell_unheeded(objects, ledger).await;
        let told = publish_people(self.context, objects, self.desired, ledger, &view, &self.gate).await?;
        // Last, so that nobody waits for them.
        let (mut lock, mut link) = (signup_lock::Outcome::default(), invite_link::Outcome::default());
        if let (Stop::Settled { .. } | Stop::Doubtful, Told::Everything, Some(snapshot)) =
            (&stop, told, &server.snapshot)
        {
            let Self { context, organization, desired, .. } = self;
            let gate = &Preemption { planned: Instant::now(), ..self.gate.clone() };
            let (client, begun) = (&server.client, snapshot.begun);
            let turn = signup_lock::Turn { context, organization, client, begun, gate };
            lock = keep_lock(&turn, &mut state.lock, objects, ledger).await?;
            let State { key, wake, link: kept, .. } = state;
            let turn = invite_link::Turn { context, key, wake, organization, desired, server, snapshot, plan, gate };
            link = keep_link(&turn, kept, objects, ledger).await?;
        }
        if told == Told::Everything {
            view.lock = lock.state.as_ref();
            view.link = link.state.as_ref();
            publish_organization(self.context, objects, self.desired, ledger, view).await?;
        }
        // Whoever gives way copies what was remembered just now.
        self.context.rivals.stir(&state.key);
        tell_freed_early(self.context, objects, &std::mem::take(&mut ledger.passing.freed_early)).await;
        server.told = Instant::now();
        let resync = server.until_resync();
        let due = plan.due.map(until);
        let has_room = |before| ledger.departing() < before;
        let full = self.waits_for_room.map(|before| if has_room(before) { Duration::ZERO } else { DOUBTFUL_AGAIN });
        let mut after = lock.next.into_iter().chain(link.next).min();
        let wait = match stop {
            Stop::Settled { wait } => wait,
            Stop::Doubtful => {
                server.doubtful = true;
                // Each look reads the roster anew.
                after = after.map(|after| after.max(DOUBTFUL_AGAIN));
                // A count that never fits will not fit in a minute either.
                let stable = server.snapshot.as_ref().is_some_and(|s| s.completeness == Completeness::Stable);
                Some(if stable { server.interval } else { DOUBTFUL_AGAIN })
            }
            Stop::Preempted => Some(Duration::ZERO),
            // The cache is behind what was read live.
            Stop::Falling => Some(FALLING_AGAIN),
            Stop::TargetChanged(_) => None,
            Stop::Failed(_) | Stop::Unobserved(_) => {
                server.doubtful = true;
                problem.clone().map(|problem| state.session.block(self.organization, problem))
            }
        };
        if problem.is_none() {
            state.session.recovered();
        }
        let all = [Some(resync), due, wait, full, after];
        Ok(Next::After(all.into_iter().flatten().min().unwrap_or(resync)).once(told))
    }

    /// Whoever annotates in vain should not wait for something to happen.
    async fn tell_unheeded(&self, objects: &Objects, ledger: &mut Ledger) {
        for (name, message) in std::mem::take(&mut ledger.passing.unheeded) {
            if let Some(invite) = objects.invites.get(&name) {
                self.context.events.tell(&**invite, EventType::Warning, "NothingToReinvite", &message).await;
            }
        }
    }
}

/// Until then, at least; since status times are cut to whole seconds, a moment more.
pub fn until(due: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default() + Duration::from_millis(20)
}
