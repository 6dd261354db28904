//! What an Organization's status says of the invite link: its condition, there only while `spec.inviteLink` is, and what
//! it means for Ready. Knows no link.

use super::{Verdict, as_before, known};
use crate::engine::problem::Problem;
use crate::resources::{Organization, condition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

const CONDITION: &str = "InviteLinkPublished";
const ROTATING: &str = "Rotating";

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkState {
    Published,
    /// A new one is being made; until it is published the Secret may hold a dead one.
    Rotating,
    /// `spec.mode` is Observe. `anew`: a new one would be made.
    Observed {
        anew: bool,
    },
    Failed(Problem),
    /// The field is gone, and so is the Secret.
    Withdrawn,
}

/// None where nothing is said: the field is left out.
pub fn link_condition(
    organization: &Organization,
    state: Option<&LinkState>,
    generation: Option<i64>,
    now: Timestamp,
) -> Option<Condition> {
    let name = &organization.spec.invite_link.as_ref()?.secret_name;
    let (published, reason, message) = match state {
        // Not tried this time: what was known stays.
        None => return known(organization, CONDITION).cloned(),
        Some(LinkState::Published) => (true, "Published", format!("the invite link is in Secret {name:?}")),
        Some(LinkState::Rotating | LinkState::Withdrawn) => {
            (false, ROTATING, format!("a new invite link is being made; then it is in Secret {name:?}"))
        }
        Some(LinkState::Observed { anew }) => {
            let link = if *anew { "a new invite link would be made and kept" } else { "the invite link would be kept" };
            (false, "Observing", format!("{link} in Secret {name:?}; spec.mode is Observe, so nothing is written"))
        }
        Some(LinkState::Failed(problem)) => (false, problem.reason, problem.message.clone()),
    };
    let before = organization.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    Some(condition(before, CONDITION, published, reason, message, generation, now))
}

/// Why the Organization is not Ready because of its link.
pub fn link_verdict(
    organization: &Organization,
    state: Option<&LinkState>,
    generation: Option<i64>,
) -> Option<Verdict> {
    match state {
        Some(LinkState::Published | LinkState::Observed { .. } | LinkState::Withdrawn) => None,
        Some(LinkState::Rotating) => Some(under_way("a new invite link is being made")),
        Some(LinkState::Failed(problem)) => Some(Verdict::of(problem)),
        // In the middle of a pass its turn is still to come.
        None => {
            organization.spec.invite_link.as_ref()?;
            as_before(organization, CONDITION, generation)
        }
    }
}

fn under_way(message: &str) -> Verdict {
    Verdict { ready: false, reason: "Progressing", message: message.to_owned(), reconciling: true, stalled: false }
}
