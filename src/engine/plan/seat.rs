//! Seats of the licence: nobody loses one sooner than the Organization allows, and nobody is promised one that is not there.
//! What frees seats comes first; nobody is deactivated to make room.

use super::guard::{hold, hold_for_approval, take_out};
use super::{Action, Candidate, Plan, View};
use crate::label_studio::InvitationState;
use crate::resources::HeldReason;

/// A seat that was taken lately is kept for a while, where `spec.guards.minSeatTime` says so.
pub fn keep_seat_time(view: &View, plan: &mut Plan, candidates: &mut Vec<Candidate>) {
    let Some(least) = view.desired.min_seat_time else { return };
    let mut due = plan.due;
    let taken = take_out(candidates, |candidate| {
        let since = candidate.if_held.seat_since.as_ref().filter(|_| candidate.action.frees_a_seat())?;
        let until = since.0.checked_add(least).ok().filter(|until| view.now() < *until)?;
        if view.is_approved(HeldReason::MinSeatTime, candidate) {
            return None;
        }
        Plan::due_at(&mut due, until);
        let message = format!(
            "holds a seat since {since}, which may be freed at {until} (spec.guards.minSeatTime): wait, or approve as the Organization says",
            since = since.0
        );
        Some((HeldReason::MinSeatTime, message))
    });
    plan.due = due;
    hold_for_approval(view, plan, taken);
}

/// Invitations and reactivations beyond the licence are held. An open invitation counts as a seat that is promised, though
/// the licence counts it only once it is accepted (documentation page "Admin usage"): whoever accepts must find one.
pub fn limit_seats(view: &View, plan: &mut Plan, candidates: &mut Vec<Candidate>) {
    let Some((used, limit)) = view.snapshot.seats.and_then(|seats| Some((seats.used, seats.limit?))) else { return };
    let promised = number(view.promised());
    // A promise that is taken back frees one, too; one that has run out does not.
    let is_open = |email: &str| view.member(email).is_some_and(|row| row.invitation == InvitationState::Open);
    let frees = |c: &&Candidate| {
        c.action.frees_a_seat() || (matches!(c.action, Action::Revoke { blind: false, .. }) && is_open(&c.email))
    };
    let to_come = number(candidates.iter().filter(frees).count());
    let wanted = number(candidates.iter().filter(|candidate| candidate.action.takes_a_seat()).count());
    plan.seats_short = wanted > limit - used - promised;
    let mut free = limit - used - promised + to_come;
    if wanted <= free {
        return;
    }
    let message = format!(
        "the licence has {limit} seats: {used} are taken, {promised} promised to open invitations: free one, or buy one"
    );
    let taken = take_out(candidates, |candidate| {
        if !candidate.action.takes_a_seat() {
            return None;
        }
        free -= 1;
        (free < 0).then(|| (HeldReason::SeatLimit, message.clone()))
    });
    hold(view, plan, taken);
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
