//! Keeps sign-up without a link closed, as `spec.signup` says: sets one variable of the named workloads by server-side apply,
//! waits for their roll-out, and believes only what the server's own forms say. Never forces a field that somebody else
//! holds, never creates a workload, and never claims what it has not seen.

mod problems;
mod under_way;
mod workload;

use super::Context;
use super::gate::Preemption;
use super::objects::Objects;
use super::publish::remember;
use crate::engine::apply::AUDIT;
use crate::engine::ledger::Ledger;
use crate::engine::memory::Forgotten;
use crate::engine::problem::{Names, Problem};
use crate::label_studio::{Boottime, Client, SignUp};
use crate::resources::{
    LockedWorkload, Organization, RECONCILE_ANNOTATION, Signup, SignupWorkload, WorkloadKind, seconds,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use std::time::Duration;
use under_way::UnderWay;
use workload::{Rollout, Variable};

/// How often a roll-out is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How often something that may pass by itself is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// So often within a day it is put back where somebody takes it out; then it is theirs to settle.
const MOST_ROUNDS: usize = 3;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What came of it. None: nothing is declared.
#[derive(Clone, Debug, PartialEq)]
pub enum LockState {
    /// The roll-out is complete, and the server refuses who has no link.
    Closed,
    /// The new environment is on its way into the pods.
    RollingOut(String),
    /// `spec.mode` is Observe.
    Observed,
    /// The vendor's cloud has no such switch; said once, and nothing to act on.
    Unsupported,
    Failed(Problem),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub state: Option<LockState>,
    /// When to come back for it.
    pub next: Option<Duration>,
}

/// What is kept from pass to pass.
#[derive(Default)]
pub struct Kept {
    /// The outcome of before, as long as nothing can have changed it but somebody whom the next reading of everything finds.
    settled: Option<(String, Boottime, Outcome)>,
    under_way: UnderWay,
}

pub struct Turn<'a> {
    pub context: &'a Context,
    pub organization: &'a Organization,
    pub client: &'a Client,
    /// When the last reading of everything began.
    pub begun: Boottime,
    pub gate: &'a Preemption,
}

/// `ledger` has to be stored afterwards.
pub async fn keep_lock(
    turn: &Turn<'_>,
    kept: &mut Kept,
    objects: &mut Objects,
    ledger: &mut Ledger,
) -> Result<Outcome, Forgotten> {
    let cause = turn.cause();
    if let Some((before, at, outcome)) = &kept.settled
        && *before == cause
        && *at >= turn.begun
        && outcome.next.is_none_or(|next| at.elapsed() < next)
    {
        let next = outcome.next.map(|next| next.saturating_sub(at.elapsed()));
        return Ok(Outcome { next, ..outcome.clone() });
    }
    let at = Boottime::now();
    let outcome = match turn.settle(&mut kept.under_way, objects, ledger).await {
        Ok(outcome) => outcome,
        Err(Halt::Failed(problem)) => {
            tracing::info!(reason = problem.reason, message = problem.message, "sign-up is not as declared");
            // A roll-out that hangs may end by itself, too.
            let passes = problem.passes() || problem.reason == "RolloutFailed";
            let next = problem.retry_after.or_else(|| passes.then_some(TRY_AGAIN));
            Outcome { state: Some(LockState::Failed(problem)), next }
        }
        Err(Halt::Forgotten(forgotten)) => return Err(forgotten),
    };
    // Cut short by an edit: it has its turn in the next pass.
    kept.settled = (outcome.next != Some(Duration::ZERO)).then(|| (cause, at, outcome.clone()));
    Ok(outcome)
}

/// Why it ended early.
enum Halt {
    Failed(Problem),
    Forgotten(Forgotten),
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl Turn<'_> {
    async fn settle(
        &self,
        under_way: &mut UnderWay,
        objects: &mut Objects,
        ledger: &mut Ledger,
    ) -> Result<Outcome, Halt> {
        let declared = self.organization.spec.signup.as_ref().filter(|signup| signup.require_invite);
        if self.organization.spec.mode == crate::resources::Mode::Observe {
            return Ok(Outcome { state: declared.map(|_| LockState::Observed), next: None });
        }
        let mut ended = self.give_back(declared, ledger).await;
        under_way.retain(declared.map(|signup| signup.workloads.as_slice()).unwrap_or_default());
        let Some(signup) = declared else { return Ok(ended.map(|()| Outcome::default())?) };
        if is_cloud(self.client.base_url().host()) {
            return Ok(Outcome { state: Some(LockState::Unsupported), next: None });
        }
        let mut waits = None;
        for workload in &signup.workloads {
            match self.close(workload, under_way, objects, ledger).await {
                Ok(waiting) => waits = waits.or(waiting),
                // The others are closed all the same.
                Err(Halt::Failed(problem)) => ended = ended.and(Err(problem)),
                Err(forgotten @ Halt::Forgotten(_)) => return Err(forgotten),
            }
        }
        ended?;
        if let Some(message) = waits {
            return Ok(Outcome { state: Some(LockState::RollingOut(message)), next: Some(LOOK_AGAIN) });
        }
        tokio::select! {
            biased;
            probed = self.probe(signup) => probed?,
            // An edit does not wait for a page that hangs.
            () = self.gate.closed() => return Ok(Outcome { state: None, next: Some(Duration::ZERO) }),
        }
        Ok(Outcome { state: Some(LockState::Closed), next: None })
    }

    /// Lets go of workloads that are not declared any more.
    async fn give_back(&self, declared: Option<&Signup>, ledger: &mut Ledger) -> Result<(), Problem> {
        let stays = |locked: &LockedWorkload| {
            declared.is_some_and(|signup| signup.workloads.iter().any(|workload| workload.is_same(&locked.workload)))
        };
        let mut ended = Ok(());
        let mut left = Vec::new();
        for locked in std::mem::take(&mut ledger.signup) {
            if stays(&locked) {
                left.push(locked);
            } else if let Err(problem) = self.let_go(&locked.workload).await {
                // The others are given back all the same; none of them is forgotten.
                left.push(locked);
                ended = Err(problem);
            }
        }
        ledger.signup = left;
        ended
    }

    async fn let_go(&self, workload: &SignupWorkload) -> Result<(), Problem> {
        let Some(found) = self.read(workload).await? else { return Ok(()) };
        if workload::is_managed_by(&found, &self.manager()) {
            self.apply(workload, &workload::given_back(workload, uid(&found))).await?;
            tracing::info!(target: AUDIT, action = "give the sign-up lock back", %workload, "done");
        }
        Ok(())
    }

    /// Some: what its roll-out waits for.
    async fn close(
        &self,
        workload: &SignupWorkload,
        under_way: &mut UnderWay,
        objects: &mut Objects,
        ledger: &mut Ledger,
    ) -> Result<Option<String>, Halt> {
        let found = self.read(workload).await?.ok_or_else(|| problems::missing(workload))?;
        let variable = workload::variable(&found, &workload.container)
            .map_err(|there| problems::no_container(workload, &there))?;
        let ours = workload::is_managed_by(&found, &self.manager());
        let stood = matches!(&variable, Variable::Value(value) if workload::is_true(value));
        let locked = match variable {
            Variable::ByReference => return Err(problems::by_reference(workload).into()),
            Variable::Value(value) if workload::is_true(&value) => {
                if ours {
                    entry(ledger, workload);
                }
                found
            }
            Variable::Value(_) | Variable::Absent => {
                let taken_out = variable == Variable::Absent;
                let locked = entry(ledger, workload);
                // Once for each time it stood: a write of ours that failed takes nothing out.
                if taken_out && locked.applied_at.is_some() {
                    let now = seconds(Timestamp::now());
                    locked.taken_out.retain(|at| now < at.0 + DAY);
                    if locked.taken_out.len() >= MOST_ROUNDS {
                        return Err(problems::reverted(workload).into());
                    }
                    locked.taken_out.push(Time(now));
                    locked.applied_at = None;
                }
                // Before it is applied: what is held has to be known when it is to be given back.
                remember(objects, ledger).await.map_err(Halt::Forgotten)?;
                let applied = self.apply(workload, &workload::closed(workload, uid(&found))).await?;
                tracing::info!(target: AUDIT, action = "close sign-up", %workload, "done");
                entry(ledger, workload).applied_at = Some(Time(seconds(Timestamp::now())));
                applied
            }
        };
        if stood && self.is_proved() {
            // Every pod has it; what is rolled out now is somebody else's change, and the server is asked anyway.
            under_way.ended(workload);
            return Ok(None);
        }
        let rollout = workload::rollout(workload.kind, &locked);
        if rollout != Rollout::UnderWay {
            under_way.ended(workload);
        }
        match rollout {
            Rollout::Complete => Ok(None),
            Rollout::Failed(why) => Err(problems::stuck(workload, &why).into()),
            Rollout::ByHand => Err(problems::by_hand(workload).into()),
            Rollout::UnderWay => {
                let generation = locked["metadata"]["generation"].as_i64().unwrap_or_default();
                let longest = self.context.settings.longest_rollout;
                if under_way.since(workload, generation) > longest {
                    return Err(problems::slow(workload, longest).into());
                }
                Ok(Some(format!("{workload} is being rolled out")))
            }
        }
    }

    /// The variable is not the proof: the server is asked as anybody could ask it.
    async fn probe(&self, signup: &Signup) -> Result<(), Problem> {
        let failed = |error| Problem::from_client(&error, &Names::of(&self.organization.spec));
        match self.client.visitor().sign_up_state().await.map_err(failed)? {
            SignUp::Closed => Ok(()),
            SignUp::Open => Err(problems::open(signup)),
            SignUp::Unclear => Err(Problem::transient(
                "SignupUnclear",
                "spec.signup.requireInvite: the server's login page and its sign-up form do not say the same; perhaps not every pod has the new environment yet"
                    .to_owned(),
            )),
        }
    }

    /// Whether the server was found closed when it was asked last.
    fn is_proved(&self) -> bool {
        let conditions = self.organization.status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|c| c.type_ == "SignupRestricted" && c.status == "True")
    }

    /// None: there is no such workload.
    async fn read(&self, workload: &SignupWorkload) -> Result<Option<Value>, Problem> {
        let found =
            self.api(workload).get_opt(&workload.name).await.map_err(|error| problems::refused(workload, error))?;
        Ok(found.and_then(|found| serde_json::to_value(found).ok()))
    }

    async fn apply(&self, workload: &SignupWorkload, object: &Value) -> Result<Value, Problem> {
        let parameters = PatchParams::apply(&self.manager());
        let applied = self.api(workload).patch(&workload.name, &parameters, &Patch::Apply(object)).await;
        let applied = applied.map_err(|error| problems::refused(workload, error))?;
        Ok(serde_json::to_value(applied).unwrap_or_default())
    }

    fn api(&self, workload: &SignupWorkload) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("apps", "v1", workload.kind.as_str());
        let plural = match workload.kind {
            WorkloadKind::Deployment => "deployments",
            WorkloadKind::StatefulSet => "statefulsets",
        };
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let namespace = self.organization.namespace().unwrap_or_default();
        Api::namespaced_with(self.context.kube.clone(), &namespace, &resource)
    }

    /// One for each Organization: what one holds the other does not give back.
    fn manager(&self) -> String {
        format!("label-studio-operator/{}", self.organization.uid().unwrap_or_default())
    }

    /// What people change when they want it tried again.
    fn cause(&self) -> String {
        let asked = self.organization.annotations().get(RECONCILE_ANNOTATION);
        format!("{:?} {asked:?}", self.organization.metadata.generation)
    }
}

/// What is remembered of a workload, from now on if not before.
fn entry<'a>(ledger: &'a mut Ledger, workload: &SignupWorkload) -> &'a mut LockedWorkload {
    let at = ledger.signup.iter().position(|locked| locked.workload.is_same(workload)).unwrap_or_else(|| {
        ledger.signup.push(LockedWorkload::default());
        ledger.signup.len() - 1
    });
    let locked = &mut ledger.signup[at];
    // Another container of the same workload: one write sets the new one and lets go of the old.
    locked.workload.clone_from(workload);
    locked
}

fn uid(found: &Value) -> &str {
    found["metadata"]["uid"].as_str().unwrap_or_default()
}

/// The vendor's cloud, where there is no environment to set.
fn is_cloud(host: &str) -> bool {
    ["humansignal.com", "heartex.com"].iter().any(|cloud| host == *cloud || host.ends_with(&format!(".{cloud}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_cloud_is_known_by_its_host() {
        assert!(is_cloud("app.humansignal.com") && is_cloud("app.heartex.com"));
        assert!(!is_cloud("label-studio.example.com") && !is_cloud("nothumansignal.com"));
    }
}
