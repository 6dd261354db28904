//! What may be in the way of the sign-up lock, in words: each names the workload, and what to do.

use super::MOST_ROUNDS;
use super::workload::NAMES;
use crate::engine::problem::Problem;
use crate::resources::{Signup, SignupWorkload};
use std::time::Duration;

pub fn missing(workload: &SignupWorkload) -> Problem {
    let message =
        format!("spec.signup.workloads: there is no {workload} in this namespace: create it, or name another");
    Problem::transient("WorkloadMissing", message)
}

pub fn no_container(workload: &SignupWorkload, there: &[String]) -> Problem {
    let (container, there) = (&workload.container, there.join(", "));
    let message =
        format!("spec.signup.workloads: {workload} has no container {container:?}, but {there}: name one of them");
    Problem::stalled("ContainerMissing", message)
}

pub fn by_reference(workload: &SignupWorkload) -> Problem {
    let message = format!(
        "spec.signup.workloads: {} of {workload} is set by valueFrom: set it to \"true\" where it comes from, or take it out",
        NAMES[0]
    );
    Problem::stalled("SetByReference", message)
}

pub fn reverted(workload: &SignupWorkload) -> Problem {
    let message = format!(
        "spec.signup.workloads: somebody has taken {} out of {workload} {MOST_ROUNDS} times within a day, so it is not put back: set it to \"true\" where that workload is declared, or take the workload out of this list",
        NAMES[0]
    );
    Problem::stalled("Reverted", message)
}

pub fn stuck(workload: &SignupWorkload, why: &str) -> Problem {
    let message = format!("spec.signup.workloads: the roll-out of {workload} does not end: {why}: look at its pods");
    Problem::stalled("RolloutFailed", message)
}

pub fn slow(workload: &SignupWorkload, longest: Duration) -> Problem {
    stuck(workload, &format!("it takes longer than {longest:?}"))
}

pub fn by_hand(workload: &SignupWorkload) -> Problem {
    let message = format!("spec.signup.workloads: {workload} replaces no pod by itself (OnDelete): delete its pods");
    Problem::stalled("RolloutByHand", message)
}

pub fn open(signup: &Signup) -> Problem {
    let message = if signup.workloads.is_empty() {
        format!(
            "spec.signup.requireInvite: people can sign up without a link: set {}=\"true\" in the environment of Label Studio, or name its workload in spec.signup.workloads",
            NAMES[0]
        )
    } else {
        "spec.signup.requireInvite: the workloads are rolled out, and yet people can sign up without a link: does spec.url lead to them, and does the container read its environment?".to_owned()
    };
    Problem::stalled("SignupOpen", message)
}

pub fn refused(workload: &SignupWorkload, error: kube::Error) -> Problem {
    match error {
        kube::Error::Api(status) if status.code == 403 => Problem::stalled(
            "WorkloadForbidden",
            format!(
                "spec.signup.workloads: the operator may not read or patch {workload}: install the chart with signupLock.enabled=true"
            ),
        ),
        kube::Error::Api(status) if status.code == 409 && status.message.contains("conflict with") => Problem::stalled(
            "FieldConflict",
            format!(
                "spec.signup.workloads: somebody else keeps {} of {workload}: set it to \"true\" there, or have it left out ({})",
                NAMES[0], status.message
            ),
        ),
        error => Problem::transient("WorkloadUnreachable", format!("spec.signup.workloads: {workload}: {error}")),
    }
}
